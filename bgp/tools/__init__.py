"""What `python -m bgp` is made of: readers of captures and dumps, and the text and JSON forms of messages."""
