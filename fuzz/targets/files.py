"""Whatever file `python -m bgp decode` is given, of any kind and compression, it is taken for one kind and
read to its end or to one clear error, and all that is found can be written as JSON and shown.

Input: two octets for the session that the user names, and the file.
"""

from random import Random

from bgp.testing.generate import octets
from fuzz.dumps import any_file
from fuzz.target import Target
from fuzz.targets.reading import check, view


def seed(random: Random) -> bytes:
    return octets(random, 2) + any_file(random)


TARGET = Target("files", check, seed, view, 8192)
