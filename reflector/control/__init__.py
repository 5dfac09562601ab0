"""Asking a running service, and telling it what to do: over a Unix socket whose permissions say who may."""
