"""The service as a process of this machine: signals, its supervisor, privileges and limits."""
