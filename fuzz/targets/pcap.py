"""Any capture gives messages, gaps, or one clear error with its place: never another exception, no more
things than it has octets, and all of them can be written as JSON and shown on a terminal.

Input: two octets for the session that the user names, and the file.
"""

from random import Random

from bgp.testing.generate import octets
from fuzz.dumps import capture
from fuzz.target import Target
from fuzz.targets.reading import check, view


def seed(random: Random) -> bytes:
    return octets(random, 2) + capture(random)


TARGET = Target("pcap", check, seed, view, 8192)
