"""A Unix socket that answers as BIRD's does: what `birdc` and the tools around it commonly ask."""
