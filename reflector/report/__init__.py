"""What a running service tells of itself: one report for each question, each in rows of plain data."""
