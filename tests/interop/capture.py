"""What crosses a node's interface, and what Wireshark has to say about the BGP in it.

Whatever runs us begins a capture on its node; when the test has passed, all that we sent is judged.  A test
that starts a capture itself judges that itself, too.
"""

import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from daemons import find
from netns import DEVICE, Node, Process, eventually


@dataclass
class Capture:
    """A capture of BGP on a node's interface: start it, stop it, then ask for complaints."""

    node: Node
    process: Process
    path: Path

    @classmethod
    def start(cls, node: Node) -> "Capture":
        program = find("dumpcap")
        assert program is not None
        node.captured = True
        path = node.directory / "capture.pcapng"
        path.touch()
        # A large kernel buffer, because a full table comes faster than it is written.
        argv = [
            *(str(program.path), "-q", "-i", DEVICE, "-B", "64"),
            *("-f", "tcp port 179", "-w", str(path)),
        ]
        process = node.start("dumpcap", argv, program.environment)
        eventually(lambda: "File:" in process.output() or not process.alive, "dumpcap captures", 20)
        assert process.alive, process.output()
        return cls(node, process, path)

    @classmethod
    def begin(cls, node: Node) -> None:
        """Let what the node sends be judged in the end, unless that is seen to already."""
        if not node.captured and find("dumpcap") is not None and find("tshark") is not None:
            node.judges.append(cls.start(node).judge)

    def judge(self) -> None:
        """Assert that Wireshark complains of nothing that the node sent."""
        self.stop()
        address = self.node.command("cat", f"/sys/class/net/{DEVICE}/address")
        mac = subprocess.run(address, check=True, capture_output=True, text=True).stdout.strip()
        shown = self.tshark("-q", "-z", f"expert,note,eth.src == {mac}")
        wrong = self.node.tolerated
        complaints = [
            line for line in bgp_complaints(shown) if not _is_long(line) and not (wrong and wrong in line)
        ]
        assert not complaints, f"of what {self.node.name} sent: {complaints}"

    def stop(self) -> None:
        """End the capture once nothing has been written for a moment."""
        size, since = -1, time.monotonic()

        def quiet() -> bool:
            nonlocal size, since
            now = self.path.stat().st_size
            if now != size:
                size, since = now, time.monotonic()
            return time.monotonic() - since > 0.5

        eventually(quiet, "the capture is complete", 60)
        self.process.popen.send_signal(signal.SIGINT)
        self.process.popen.wait(30)
        dropped = re.search(r"dropped on interface .*?: \d+/(\d+)", self.process.output())
        assert dropped is None or dropped[1] == "0", self.process.output()

    def tshark(self, *arguments: str) -> str:
        program = find("tshark")
        assert program is not None
        options = ["-n", "-r", str(self.path), "-o", "tcp.reassemble_out_of_order:TRUE"]
        return program.run(*options, *arguments, timeout=900)

    def messages(self, address: str) -> dict[int, int]:
        """Return how many BGP messages of each type Wireshark saw from `address`."""
        shown = self.tshark("-Y", f"bgp && {_source(address)}", "-T", "fields", "-e", "bgp.type")
        counts: dict[int, int] = {}
        for kind in re.findall(r"\d+", shown):
            counts[int(kind)] = counts.get(int(kind), 0) + 1
        return counts

    def streams(self, address: str, kind: int) -> dict[str, int]:
        """Return how many BGP messages of a type Wireshark saw from `address`, by TCP stream."""
        wanted = f"bgp.type == {kind} && {_source(address)}"
        counts: dict[str, int] = {}
        for line in self.tshark(
            "-Y", wanted, "-T", "fields", "-e", "tcp.stream", "-e", "bgp.type"
        ).splitlines():
            stream, _, kinds = line.partition("\t")
            counts[stream] = counts.get(stream, 0) + kinds.split(",").count(str(kind))
        return counts

    def complaints(self, address: str) -> list[str]:
        """Return the warnings and errors about BGP in what `address` sent."""
        shown = self.tshark("-q", "-z", f"expert,note,{_source(address)}")
        return bgp_complaints(shown)


def _is_long(complaint: str) -> bool:
    """Whether it is about a message of more than 4096 octets: Wireshark 4.0 does not know RFC 8654."""
    found = re.search(r"Length is invalid (\d+)", complaint)
    return found is not None and int(found[1]) > 4096


def _source(address: str) -> str:
    return f"ipv6.src == {address}" if ":" in address else f"ip.src == {address}"


def bgp_complaints(shown: str) -> list[str]:
    """Pick from `tshark -z expert` the lines of the BGP layer, with their severity.

    Notes count as well, but not the chats; nor do lines about TCP, whose segments the capture sees
    before the kernel cuts them.
    """
    found, severity = [], ""
    for line in shown.splitlines():
        if heading := re.match(r"(Errors|Warns|Notes|Chats) \(\d+\)", line):
            severity = heading[1]
            continue
        row = re.match(r"\s*(\d+)\s+(\S+)\s+(\S+)\s+(.*)", line)
        if row and severity != "Chats" and row[3] == "BGP":
            found.append(f"{severity}: {row[2]}: {row[4]} ({row[1]} times)")
        elif row and "alformed" in line and row[3] not in ("TCP", "IPv4", "IPv6"):
            found.append(f"{severity}: {line.strip()}")
    return found
