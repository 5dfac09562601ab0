"""What a service says of itself: lines of text or JSON, with measure, and never waited for."""
