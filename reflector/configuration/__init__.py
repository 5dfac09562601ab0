"""The configuration file: read whole, with the place of each value, before anything of it is used."""
