"""What changes while a service runs: by a reload, by commands, in its file, and before maintenance."""
