"""A LAN of the test's own: one network namespace per node, all on one bridge, nothing shared with the host.

Namespaces are named after the test's process, so several runs do not meet; those whose process is gone
are swept before a new network is built.  Every process started in a node dies with the test.
"""

import itertools
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daemons import find

_numbers = itertools.count()
PREFIX = "martlet"
DEVICE = "eth0"


def eventually(condition: Callable[[], object], what: str, seconds: float = 30) -> object:
    """Ask `condition` until it is true and return its value; raise TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = 0.02
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds} s still not: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
    return value


def ip(*arguments: str) -> str:
    """Run iproute2's `ip`."""
    program = find("ip")
    assert program is not None
    return program.run(*arguments)


@dataclass
class Process:
    """A process in a node; its output goes to a file, which the failure report shows."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.popen.kill()
        self.popen.wait(10)

    def stop(self, seconds: float = 10) -> None:
        """End it as an operator would."""
        if self.alive:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def output(self) -> str:
        return self.log.read_text(errors="replace")


@dataclass
class Node:
    """A host on the LAN: its namespace, and its addresses in both families.

    `judges` are called when a test with it has passed, before it is taken down; `tolerated` is what Wireshark
    may complain of.
    """

    name: str
    namespace: str
    number: int
    directory: Path
    processes: list[Process] = field(default_factory=list)
    captured: bool = False
    tolerated: str = ""
    judges: list[Callable[[], None]] = field(default_factory=list)

    @property
    def ipv4(self) -> str:
        return f"10.99.0.{self.number}"

    @property
    def ipv6(self) -> str:
        return f"fd99::{self.number}"

    @property
    def router_id(self) -> str:
        """Unlike any address, so that a mix-up of the two shows."""
        return f"192.0.2.{self.number}"

    def address(self, version: int) -> str:
        return self.ipv4 if version == 4 else self.ipv6

    def command(self, *argv: str) -> list[str]:
        """Return the command line that runs `argv` in this node and ends it with the test."""
        ip_program, setpriv = find("ip"), find("setpriv")
        assert ip_program is not None and setpriv is not None
        inside = [str(ip_program.path), "netns", "exec", self.namespace]
        return [*inside, str(setpriv.path), "--pdeathsig", "KILL", "--", *argv]

    def start(self, name: str, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Process:
        """Start a process in this node."""
        log = self.directory / f"{name}.log"
        with log.open("ab") as output:
            popen = subprocess.Popen(
                self.command(*argv),
                env={**os.environ, **(environment or {})},
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def listening(self, port: int = 179) -> bool:
        """Tell whether a TCP socket in this node listens on `port`."""
        rows = []
        for table in ("tcp", "tcp6"):
            shown = subprocess.run(
                self.command("cat", f"/proc/net/{table}"), capture_output=True, text=True, check=True
            )
            rows += [line.split() for line in shown.stdout.splitlines()[1:]]
        return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


class Network:
    """The LAN; a context manager that takes everything down again, whatever happened."""

    def __init__(self, names: Sequence[str], directory: Path) -> None:
        self._tag = f"{PREFIX}-{os.getpid()}-{next(_numbers)}"
        self._hub = f"{self._tag}-0"  # no name of a node
        self.passed = False
        self.nodes = {
            name: Node(name, f"{self._tag}-{name}", number, directory / name)
            for number, name in enumerate(names, start=1)
        }

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def __enter__(self) -> "Network":
        sweep()
        try:
            self._build()
        except BaseException:
            self._take_down()
            raise
        return self

    def _build(self) -> None:
        ip("netns", "add", self._hub)
        # With an address of its own the bridge would be found as a neighbor on the link, after a while.
        settings = "/proc/sys/net/ipv6/conf"
        quiet = f"echo 1 | tee {settings}/all/disable_ipv6 {settings}/default/disable_ipv6"
        hub = Node("", self._hub, 0, Path())
        subprocess.run(hub.command("sh", "-c", quiet), check=True, capture_output=True)
        ip("-n", self._hub, "link", "add", "lan", "type", "bridge")
        ip("-n", self._hub, "link", "set", "lan", "up")
        for node in self.nodes.values():
            node.directory.mkdir(parents=True, exist_ok=True)
            ip("netns", "add", node.namespace)
            # Without duplicate address detection an address is usable at once.
            settings = "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad"
            subprocess.run(node.command("sh", "-c", settings), check=True)
            port = f"to-{node.number}"
            ip("-n", self._hub, "link", "add", port, "type", "veth", "peer", DEVICE, "netns", node.namespace)
            ip("-n", self._hub, "link", "set", port, "master", "lan", "up")
            ip("-n", node.namespace, "link", "set", "lo", "up")
            ip("-n", node.namespace, "link", "set", DEVICE, "up")
            ip("-n", node.namespace, "address", "add", f"{node.ipv4}/24", "dev", DEVICE)
            ip("-n", node.namespace, "address", "add", f"{node.ipv6}/64", "dev", DEVICE, "nodad")

    def unplug(self, name: str) -> None:
        """Take the node's cable out: what it sends is lost, and nobody is told."""
        ip("-n", self._hub, "link", "set", f"to-{self.nodes[name].number}", "nomaster")

    def plug(self, name: str) -> None:
        ip("-n", self._hub, "link", "set", f"to-{self.nodes[name].number}", "master", "lan")

    def __exit__(self, *_: object) -> None:
        self._take_down()

    def outputs(self) -> dict[str, str]:
        """Return what each process has printed, by node and program."""
        return {
            f"{node.name}: {process.name}": process.output()
            for node in self.nodes.values()
            for process in node.processes
        }

    def _take_down(self) -> None:
        for node in self.nodes.values():
            for process in node.processes:
                if process.alive:
                    process.kill()
        existing = _namespaces()
        for name in (*(node.namespace for node in self.nodes.values()), self._hub):
            if name in existing:
                _delete(name)


def _namespaces() -> list[str]:
    return [line.split()[0] for line in ip("netns", "list").splitlines() if line.strip()]


def _delete(name: str) -> None:
    try:
        ip("netns", "delete", name)
    except RuntimeError:
        # Another worker may have swept it away in the meantime.
        if name in _namespaces():
            raise


def sweep() -> None:
    """Delete what test processes that no longer exist have left behind."""
    for name in _namespaces():
        found = re.fullmatch(rf"{PREFIX}-(\d+)-.*", name)
        if found and not Path(f"/proc/{found[1]}").exists():
            _delete(name)
