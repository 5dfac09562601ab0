"""Any MRT file gives records, broken ones with the reason, or one clear error with its place: never another
exception, no more things than it has octets, and all of them can be written as JSON and shown.

Input: two octets for the session that the user names, and the file.
"""

from random import Random

from bgp.testing.generate import octets
from fuzz.dumps import mrt_file
from fuzz.target import Target
from fuzz.targets.reading import check, view


def seed(random: Random) -> bytes:
    return octets(random, 2) + mrt_file(random)


TARGET = Target("mrt", check, seed, view, 8192)
