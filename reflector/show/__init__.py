"""What a report looks like: tables for people, JSON lines for programs."""
