"""What tables are said to weigh is what the process has grown by, in sight of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from routers import LOCAL_AS, Peer

from bgp.rib.path import Kind
from bgp.router import Router

ROOT = Path(__file__).parent.parent
# Run in a process of its own, whose memory nothing else has grown: prefixes, those of a set, sources.
GROW = """\
import gc, json, sys
from routers import LOCAL_AS, ROUTER_ID, Peer
from bgp.rib.path import Kind
from bgp.router import Router
from bgp.testing.census import resident

count, each, sources = map(int, sys.argv[1:])
router = Router(LOCAL_AS, ROUTER_ID)
peers = [Peer(router, f"p{number}", Kind.CLIENT, number + 1) for number in range(sources)]
gc.freeze()
gc.disable()
before = resident()
for peer in peers:
    for start in range(0, count, each):
        some = [b"\\x18" + (0x0A0000 + number).to_bytes(3, "big") for number in range(start, start + each)]
        peer.announce(some, as_path=f"{start % 64000 + 1} {start // 64000 + 1}", med=start)
    router.flush(0.0)
after = resident()
weighed = [[what, *weight] for what, weight in router.rib.weigh()]
print(json.dumps({"grown": after - before, "weighed": weighed}))
"""


@pytest.mark.parametrize(("prefixes", "of_a_set", "sources"), [(8000, 1, 1), (20000, 10, 3)])
def test_what_is_weighed_is_there(prefixes: int, of_a_set: int, sources: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GROW, *map(str, (prefixes, of_a_set, sources))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = json.loads(done.stdout)
    sums: dict[str, list[int]] = {}
    for what, number, octets in found["weighed"]:
        there = sums.setdefault(what, [0, 0])
        there[0] += number
        there[1] += octets
    assert sums["prefixes ipv4-unicast"][0] == prefixes
    assert sums["paths ipv4-unicast"][0] == sources * prefixes // of_a_set
    assert sums["attribute sets"][0] == prefixes // of_a_set
    weighed = sum(octets for _, octets in sums.values())
    print(found["grown"], sums)
    assert 0.5 < weighed / found["grown"] < 1.2, (found["grown"], sums)


def test_nothing_weighs_next_to_nothing() -> None:
    router = Router(LOCAL_AS, 1)
    assert sum(weight.octets for _, weight in router.rib.weigh()) < 4096
    peer = Peer(router, "one", Kind.CLIENT, 2)
    peer.announce(["10.0.0.0/8"])
    empty, one = (dict(router.rib.weigh()) for router in (Router(LOCAL_AS, 1), router))
    assert one["attribute sets"].octets > empty["attribute sets"].octets
    assert one["prefixes ipv4-unicast"].octets > empty["prefixes ipv4-unicast"].octets
