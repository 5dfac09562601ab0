"""The route-reflector service: one TOML file, one process, built on `bgp`."""
