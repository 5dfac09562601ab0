"""`reflector capture` beside a capture of the wire: the same messages, and nothing that Wireshark minds."""

import re
import signal
import sys
from pathlib import Path

import pytest
from capture import Capture
from daemons import ROOT, find
from netns import Network, Node, Process, eventually
from ours import Reflector
from peers import BIRD, Daemon, Neighbor, Setup
from scenario import ASN, ORIGINATED

from bgp.iana import MessageType
from bgp.tools import capture, pcap
from bgp.tools.capture import Captured
from bgp.tools.reading import Source
from bgp.wire.context import Context

Flows = dict[tuple[str, str], list[bytes]]


def start(node: Node, name: str, *arguments: str) -> Process:
    """Start a command of the reflector's that goes on."""
    argv = [sys.executable, "-m", "reflector", *arguments, "--socket", str(node.directory / "control")]
    return node.start(name, argv, {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"})


def flows(path: Path) -> Flows:
    """Return the messages in a capture file by connection and direction, as far as they are whole."""
    found: Flows = {}
    with path.open("rb") as stream:
        for item in capture.read(pcap.read(Source(stream)), Context()):
            if isinstance(item, Captured):
                key = str(item.where.source), str(item.where.destination)
                found.setdefault(key, []).append(item.octets)
    return found


def has(path: Path, *types: MessageType) -> bool:
    """Whether a capture file has messages of all these types by now, as many as they are named."""
    if not path.exists() or not path.stat().st_size:
        return False
    there = [octets[18] for messages in flows(path).values() for octets in messages]
    return all(there.count(type_) >= types.count(type_) for type_ in types)


def complaints(path: Path) -> list[str]:
    """Return all that Wireshark warns of, checksums included."""
    program = find("tshark")
    assert program is not None
    checks = [word for layer in ("ip", "tcp") for word in ("-o", f"{layer}.check_checksum:TRUE")]
    shown = program.run("-n", "-r", str(path), *checks, "-q", "-z", "expert,warn", timeout=600)
    rows = [line.strip() for line in shown.splitlines() if re.match(r"\s*\d+\s", line)]
    return [row for row in rows if "Connection reset" not in row]


@pytest.mark.interop("bird", "birdc", "dumpcap", "tshark")
@pytest.mark.parametrize("lan", [("reflector", "bird")], indirect=True)
def test_a_capture_is_what_went_over_the_wire(lan: Network, tmp_path: Path) -> None:
    hub, bird = lan["reflector"], lan["bird"]
    ends = {"four": (hub.ipv4, bird.ipv4, "ipv4-unicast"), "six": (hub.ipv6, bird.ipv6, "ipv6-unicast")}
    inside = [
        Neighbor(name, ours, theirs, ASN, (family,), passive=True, client=True)
        for name, (ours, theirs, family) in ends.items()
    ]
    outside = tuple(
        Neighbor(name, theirs, ours, ASN, (family,), add_path=True, add_path_send=True)
        for name, (ours, theirs, family) in ends.items()
    )
    networks = [{"prefix": "198.51.100.0/24"}, {"prefix": "2001:db8:5::/48"}]
    add_path = {"add_path": "both"}
    reflector = Reflector(hub, ASN, inside, reporting=False, networks=networks, **add_path)
    wire = Capture.start(hub)
    reflector.start()
    paths = {name: tmp_path / f"{name}.pcap" for name in (*ends, "late")}
    captures = {name: start(hub, f"capture-{name}", "capture", name, str(paths[name])) for name in ends}
    for name, process in captures.items():
        eventually(lambda p=process: "Ctrl-C" in p.output(), f"{name} is captured", 60)
    daemon = Daemon(BIRD, bird, Setup(ASN, outside, ORIGINATED["bird"]))
    daemon.start()
    daemon.wait_established()
    both = (MessageType.OPEN, MessageType.UPDATE)
    for name in ends:
        eventually(lambda n=name: has(paths[n], *both, *both), f"{name} has messages of both", 60)
    # In the middle of a session: what it is about is known from its OPENs all the same.
    captures["late"] = start(hub, "capture-late", "capture", "four", str(paths["late"]))
    eventually(lambda: has(paths["late"], MessageType.OPEN, MessageType.OPEN), "the OPENs are recalled", 60)
    refresh = start(hub, "refresh", "refresh", "four")
    eventually(lambda: not refresh.alive, "the refresh is asked for", 60)
    assert "refresh requested" in refresh.output()
    wanted = MessageType.ROUTE_REFRESH, MessageType.UPDATE
    eventually(lambda: has(paths["late"], *wanted), "the routes come again", 60)
    assert daemon.process is not None
    daemon.process.stop()
    for name, path in paths.items():
        eventually(lambda p=path: has(p, MessageType.NOTIFICATION), f"{name} has the end", 60)
    for name, process in captures.items():
        process.popen.send_signal(signal.SIGINT)
        assert process.popen.wait(60) == 0, process.output()
        assert re.search(r"\d+ messages in, \d+ out\n", process.output()), name
    wire.judge()
    seen = flows(wire.path)
    for name in ends:
        captured = flows(paths[name])
        address = ends[name][1]
        assert captured and all(address in "".join(key) for key in captured)
        # Octet for octet what the kernel has put on the wire and taken from it.
        assert captured == {key: messages for key, messages in seen.items() if address in "".join(key)}
    late = flows(paths["late"])
    assert {messages[0][18] for messages in late.values()} == {MessageType.OPEN}
    assert all(seen[key][-len(messages) + 1 :] == messages[1:] for key, messages in late.items())
    for path in paths.values():
        assert complaints(path) == []
    show = find("tshark")
    assert show is not None
    text = show.run("-n", "-r", str(paths["late"]), "-V", timeout=600)
    assert "from memory" in text and re.search("path id", text, re.I) and "alformed" not in text
