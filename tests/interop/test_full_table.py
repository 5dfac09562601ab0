"""A whole Internet table through `reflector run`: from an external peer to BIRD, route for route.

The recorded table is looked for in $MARTLET_DATA, or beside the checkout; a generated one of the same
shape is always there.  What is expected is read from the messages by `raw`, which shares no code with us.
"""

import os
import random
import re
import struct
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
import raw
from capture import Capture
from daemons import ROOT
from netns import Network, Node, Process, eventually
from ours import Reflector
from peers import BIRD, Daemon, Neighbor, Setup
from routes import ORIGINS, Route, extended, from_bird, numbers

# In no AS_PATH of the recorded table, which a smaller private number would be: those routes are loops.
ASN = 4_200_000_099
FEEDER = 4777
DATA = Path(os.environ.get("MARTLET_DATA") or ROOT.parent / "shared" / "data")
RECORDED = ("internet-2025-v4.bgp.xz", "internet-2025-v6.bgp.xz")
LOCAL_PREF = 5, (0x40, struct.pack("!I", 100))


@pytest.fixture(params=["generated", pytest.param("recorded", marks=pytest.mark.slow)])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> list[Path]:
    """Give the files of UPDATEs to feed."""
    if request.param == "recorded":
        found = [DATA / name for name in RECORDED]
        if not all(path.is_file() for path in found):
            pytest.skip(f"no recorded table in {DATA}; set MARTLET_DATA")
        return found
    path = tmp_path / "generated.bgp"
    path.write_bytes(b"".join(generated(random.Random(1), 30_000, 8_000)))
    return [path]


@pytest.mark.interop("bird", "birdc", "tshark", "dumpcap")
@pytest.mark.parametrize("lan", [("reflector", "feeder", "bird", "recorder")], indirect=True)
def test_full_table(
    lan: Network, files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every route arrives at a client with the attributes that it was sent with, and with LOCAL_PREF."""
    hub, feeder, recorder = lan["reflector"], lan["feeder"], lan["recorder"]
    stream = b"".join(raw.read(path) for path in files)
    # Next hops of the table are far away, so the peer is told to be so, too.
    external = {"policy": "accept-all", "as_sets": True, "multihop": 64, "passive": True, "hold_time": 0}
    reflector = Reflector(
        hub,
        ASN,
        [
            Neighbor(name, hub.ipv4, lan[name].ipv4, ASN, passive=True, client=True)
            for name in ("bird", "recorder")
        ],
        reporting=False,
        extra=[{"name": "feeder", "address": feeder.ipv4, "asn": FEEDER, **external}],
    )
    bird = Daemon(BIRD, lan["bird"], Setup(ASN, (Neighbor("reflector", lan["bird"].ipv4, hub.ipv4, ASN),)))
    record = tmp_path / "record.bgp"

    capture = Capture.start(hub)
    reflector.start()
    bird.start()
    bird.wait_established()
    recording = peer(recorder, "record", hub.ipv4, ASN, str(record))
    eventually(lambda: "established" in recording.output(), "the recorder Established")
    expected = raw.table(stream)
    feeding = peer(feeder, "feed", hub.ipv4, FEEDER, *map(str, files))
    eventually(lambda: "established" in feeding.output(), "the feeder Established")
    started = time.monotonic()
    eventually(lambda: count(bird) == len(expected) or not feeding.alive, f"{len(expected)} routes", 600)
    seconds = time.monotonic() - started
    with capsys.disabled():
        print(f"\n{len(expected)} routes reached BIRD in {seconds:.1f} s", end=" ")
    assert feeding.alive, feeding.output()

    def complete() -> bool:
        return record.stat().st_size > 0 and raw.table(record.read_bytes()).keys() == expected.keys()

    eventually(complete, "the recorder has every route", 120)
    arrived = raw.table(record.read_bytes())
    different = [prefix for prefix, entry in expected.items() if arrived[prefix] != internal(entry)]
    assert different == [], (len(different), arrived[different[0]], internal(expected[different[0]]))

    told = compared = 0
    text: dict[object, Route] = {}
    for route in bird_routes(bird):
        told += 1
        network, _, length = route.prefix.partition("/")
        address = ip_address(network)
        afi = 1 if address.version == 4 else 2
        entry = expected[afi, bytes([int(length)]) + address.packed[: (int(length) + 7) // 8]]
        wanted = text.get(entry)
        if wanted is None:
            wanted = text[entry] = in_text(internal(entry))
        compared += all(
            getattr(route, name) == getattr(wanted, name) for name in Route.__slots__ if name != "prefix"
        )
    assert (told, compared) == (len(expected), len(expected))

    capture.stop()
    assert capture.messages(hub.ipv4)[2] > 0
    assert capture.complaints(hub.ipv4) == []


def peer(node: Node, what: str, remote: str, asn: int, *files: str) -> Process:
    """Start a peer made of bytes in `node`."""
    script = str(Path(raw.__file__).resolve())
    return node.start(what, [sys.executable, script, what, node.ipv4, remote, str(asn), *files])


def count(bird: Daemon) -> int:
    """Return how many routes BIRD has imported, by a question that costs it nothing."""
    shown = bird.ask("birdc", "-s", str(bird.node.directory / "ctl"), "show protocols all to_reflector")
    return sum(int(number) for number in re.findall(r"Routes:\s+(\d+) imported", shown))


def bird_routes(bird: Daemon) -> Iterator[Route]:
    """Yield what BIRD shows; its answer is too long to be kept as a whole more than once."""
    shown = bird.ask("birdc", "-s", str(bird.node.directory / "ctl"), "show route all protocol to_reflector")
    return from_bird(shown.splitlines())


Entry = tuple[bytes, tuple[tuple[int, tuple[int, bytes]], ...]]


def internal(entry: Entry) -> Entry:
    """Return what an internal client gets of an external route: LOCAL_PREF more, and all else as it was."""
    next_hop, kept = entry
    return next_hop, tuple(sorted((*(item for item in kept if item[0] != 5), LOCAL_PREF)))


def in_text(entry: Entry) -> Route:
    """Return an entry in the form that BIRD's answer takes."""
    next_hop, kept = entry
    values = {kind: value for kind, (_, value) in kept}
    aggregator = values.get(7)
    return Route(
        prefix="",
        next_hop=(str(IPv4Address(next_hop) if len(next_hop) == 4 else IPv6Address(next_hop)),),
        origin=ORIGINS[values[1][0]],
        as_path=path_text(values[2]),
        med=int.from_bytes(values[4], "big") if 4 in values else None,
        local_pref=int.from_bytes(values[5], "big"),
        atomic_aggregate=6 in values,
        aggregator=(
            f"{int.from_bytes(aggregator[:4], 'big')} {IPv4Address(aggregator[4:])}" if aggregator else None
        ),
        communities=numbers(f"{high}:{low}" for high, low in struct.iter_unpack("!HH", values.get(8, b""))),
        extended_communities=tuple(
            sorted(extended(value) for (value,) in struct.iter_unpack("8s", values.get(16, b"")))
        ),
        large_communities=numbers(
            ":".join(map(str, value)) for value in struct.iter_unpack("!III", values.get(32, b""))
        ),
    )


def path_text(value: bytes) -> str:
    parts, position = [], 0
    while position < len(value):
        kind, size = value[position : position + 2]
        position += 2
        asns = struct.unpack_from(f"!{size}I", value, position)
        position += 4 * size
        text = " ".join(map(str, sorted(asns) if kind == 1 else asns))
        parts.append("{" + text + "}" if kind == 1 else text)
    return " ".join(parts)


def generated(rng: random.Random, routes4: int, routes6: int) -> Iterator[bytes]:
    """Yield UPDATEs shaped like the Internet's: six prefixes to a set of attributes, mostly /24 or /48."""
    for afi, routes in ((1, routes4), (2, routes6)):
        networks = rng.sample(range(1 << 20), routes)
        while networks:
            chunk = [networks.pop() for _ in range(min(len(networks), rng.randint(1, 11)))]
            yield _generated_update(rng, afi, chunk)
    yield raw.message(raw.UPDATE, bytes(4))
    yield raw.message(raw.UPDATE, bytes.fromhex("0000 0006 800f03 000201"))


def _generated_update(rng: random.Random, afi: int, networks: list[int]) -> bytes:
    def attribute(flags: int, kind: int, value: bytes) -> bytes:
        if len(value) > 255:
            return struct.pack("!BBH", flags | 0x10, kind, len(value)) + value
        return struct.pack("!BBB", flags, kind, len(value)) + value

    def asns(number: int) -> bytes:
        return b"".join(
            struct.pack("!I", rng.choice((rng.randint(1, 64000), 4200000000 + rng.randint(1, 9))))
            for _ in range(number)
        )

    length = rng.randint(1, 5)
    path = bytes([2, length + 1]) + struct.pack("!I", FEEDER) + asns(length)
    if rng.random() < 0.02:
        path += bytes([1, 3]) + asns(3)
    parts = [attribute(0x40, 1, bytes([rng.choice((0, 0, 0, 1, 2))])), attribute(0x40, 2, path)]
    if afi == 1:
        parts.append(attribute(0x40, 3, bytes([203, 0, 113, rng.randint(1, 254)])))
        nlri = b"".join(bytes([24]) + (0x0B0000 + network).to_bytes(3, "big") for network in networks)
    else:
        nlri = b"".join(b"\x30\x2a\x00" + (network << 8).to_bytes(4, "big") for network in networks)
    if rng.random() < 0.2:
        parts.append(attribute(0x80, 4, struct.pack("!I", rng.randint(0, 1000))))
    if rng.random() < 0.05:
        parts.append(attribute(0x40, 6, b""))
        parts.append(attribute(0xC0, 7, asns(1) + bytes([203, 0, 113, 1])))
    if rng.random() < 0.5:
        parts.append(attribute(0xC0, 8, rng.randbytes(4 * rng.choice((1, 2, 8, 80)))))
    if rng.random() < 0.1:
        parts.append(attribute(0xE0, 32, rng.randbytes(24)))
    if afi == 1:
        field = b"".join(parts)
        return raw.message(raw.UPDATE, bytes(2) + struct.pack("!H", len(field)) + field + nlri)
    hop = IPv6Address("2001:db8::1").packed
    field = attribute(0x80, 14, bytes.fromhex("0002 01 10") + hop + b"\0" + nlri) + b"".join(parts)
    return raw.message(raw.UPDATE, bytes(2) + struct.pack("!H", len(field)) + field)
