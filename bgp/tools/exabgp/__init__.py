"""A stand-in for ExaBGP: `python -m bgp exabgp` takes its text API and gives its JSON, of version 5.

As there, nothing is decided or passed on: each neighbor is told what the commands say, and what it says is
printed.  Two things are different on purpose.  Commands are read and done whether or not anybody reads what
is printed, so no order of reading and writing locks both sides up; and what nobody reads in time is lost
within bounds, with a line that says so (`pipe`).
"""
