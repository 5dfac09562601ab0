"""End to end: a candidate in one network namespace, the load generator in another, and what is measured.

Without root there are no namespaces: then our reflector alone is measured, on loopback.
"""

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import daemons
from netns import Network, ip

from bench import ROOT
from bench.candidates import Candidate, Place
from bench.load import address
from bench.sample import Sampler, machine_busy

NET, LOOPBACK_NET = "10.98", "127.98"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the load generator is to do, and the name of each phase's result."""

    name: str
    load: Mapping[str, object]
    phases: Mapping[str, str]
    limit: float = 300

    @property
    def peers(self) -> int:
        names = ("nodes",) if self.load["kind"] == "cluster" else ("feeders", "receivers", "late")
        return sum(int(str(self.load.get(name, 0))) for name in names)


def number(count: int) -> str:
    """Write a count as scenarios' names do."""
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if count >= size and count % size == 0:
            return f"{count // size}{unit}"
    return str(count)


def one(routes: int) -> Scenario:
    """S1 and S6: one feeder, one client, and one that comes later."""
    load = {"kind": "table", "routes": routes, "feeders": 1, "receivers": 1, "late": 1}
    size = number(routes)
    return Scenario(f"one-{size}", load, {"load": f"S1-{size}", "late": f"S6-{size}"}, 600)


def fan(routes: int, clients: int) -> Scenario:
    """S2: one feeder, many clients."""
    name = f"S2-{number(routes)}-R{clients}"
    load = {"kind": "table", "routes": routes, "feeders": 1, "receivers": clients}
    return Scenario(name, load, {"load": name})


def cluster(nodes: int, kill: int = 0, churn: int = 0) -> Scenario:
    """S3p, S4 and S5: nodes that learn each other's routes; churn of one; resets of some."""
    load = {"kind": "cluster", "nodes": nodes, "kill": kill, "churn": churn}
    phases = {"cluster": f"S3p-{nodes}"}
    if churn:
        phases["churn"] = f"S4-{nodes}"
    if kill:
        phases["reset"] = f"S5-{nodes}"
    return Scenario(f"cluster-{nodes}", load, phases, 600 if nodes > 1500 else 300)


def herd(nodes: int) -> Scenario:
    """S3: as S3p, but everyone connects at once."""
    load = {"kind": "cluster", "nodes": nodes, "inflight": nodes}
    return Scenario(f"S3-{nodes}", load, {"cluster": f"S3-{nodes}"})


def real(files: tuple[Path, ...], feeders: int, clients: int) -> Scenario:
    """The table of files, from one feeder or several with differing attributes."""
    name = f"real-F{feeders}-R{clients}"
    load = {
        "kind": "table",
        "files": [str(path.resolve()) for path in files],
        "feeders": feeders,
        "receivers": clients,
    }
    return Scenario(name, load, {"load": name}, 900)


Result = dict[str, object]


@dataclass
class Hosts:
    """Two hosts: how to run a command on each, their addresses, and how the candidate's sockets are seen."""

    on_candidate: Callable[[list[str]], list[str]]
    on_load: Callable[[list[str]], list[str]]
    place: Callable[[Path, tuple[str, ...]], Place]
    net: str
    listening: Callable[[int], bool]
    sockets: list[str] = field(default_factory=list)


def has_namespaces() -> bool:
    """Whether this process can make network namespaces."""
    return os.geteuid() == 0 and daemons.why_not() is None


@contextlib.contextmanager
def hosts(directory: Path, namespaces: bool) -> Iterator[Hosts]:
    """Give two hosts for one run."""
    if not namespaces:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        yield Hosts(
            lambda argv: argv,
            lambda argv: argv,
            lambda at, clients: Place(at, "127.0.0.1", port, "192.0.2.1", clients),
            LOOPBACK_NET,
            _is_listening,
            ["ss", "-tnmH", "sport", "=", f":{port}"],
        )
        return
    with Network(("dut", "load"), directory) as network:
        dut, load = network["dut"], network["load"]
        ip("-n", load.namespace, "route", "add", "local", f"{NET}.0.0/16", "dev", "lo")
        ip("-n", dut.namespace, "route", "add", f"{NET}.0.0/16", "via", load.ipv4)
        ip("-n", dut.namespace, "-6", "route", "add", "fd98::/16", "via", load.ipv6)
        yield Hosts(
            lambda argv: dut.command(*argv),
            lambda argv: load.command(*argv),
            lambda at, clients: Place(at, dut.ipv4, 179, dut.router_id, clients, load.ipv4, load.ipv6),
            NET,
            lambda port: dut.listening(port),
            dut.command("ss", "-tnmH", "sport", "=", ":179"),
        )


def allow_files() -> None:
    """Let this process and all that it starts open as many files as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _is_listening(port: int) -> bool:
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "0A" for row in rows)


class Poker(threading.Thread):
    """Says something on a control socket all the time."""

    def __init__(self, path: Path, words: bytes) -> None:
        super().__init__(daemon=True)
        self._words = words
        self._end = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(5)
        self._socket.connect(str(path))

    def run(self) -> None:
        with self._socket, contextlib.suppress(OSError):
            while not self._end.wait(0.02):
                self._socket.send(self._words)
                self._socket.recv(1 << 16)

    def stop(self) -> None:
        self._end.set()
        self.join()


class Broken(Exception):
    """A run that cannot go on, and why."""


def run(
    candidate: Candidate, scenario: Scenario, namespaces: bool, report: Path | None = None
) -> list[Result]:
    """Run a scenario once, in namespaces or on loopback; return a result for each of its phases.

    `report` is where a watched candidate writes of its loop.
    """
    directory = Path(tempfile.mkdtemp(prefix="martlet-bench-"))
    directory.chmod(0o755)
    try:
        with hosts(directory, namespaces) as pair:
            return list(_run(candidate, scenario, pair, directory, report))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(
    candidate: Candidate, scenario: Scenario, pair: Hosts, directory: Path, report: Path | None
) -> Iterator[Result]:
    clients = tuple(address(pair.net, one) for one in range(scenario.peers))
    place = pair.place(directory, clients)
    configuration = directory / "conf"
    configuration.write_text(candidate.configure(place))
    configuration.chmod(0o600)
    if candidate.name.startswith("openbgpd"):
        # As a service manager would make it: its parts shut themselves in there.
        Path("/run/openbgpd").mkdir(exist_ok=True)
    log = directory / "output"
    with log.open("ab") as output:
        process = subprocess.Popen(
            pair.on_candidate(candidate.argv(place)),
            cwd=directory,
            env={**os.environ, **candidate.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    sampler = Sampler(process.pid, lambda: pair.sockets)
    done: set[str] = set()
    poker: Poker | None = None
    reason = "the load generator ended"
    try:
        _wait_until_listening(process, pair, place.port)
        sampler.sample()
        sampler.start()
        if candidate.poke:
            poker = Poker(directory / "ctl", candidate.poke)
            poker.start()
        for result in _phases(process, scenario, pair, place, sampler, report):
            if not result["ok"]:
                reason = str(result["reason"])
                break
            done.add(str(result["phase"]))
            yield {**result, "scenario": scenario.phases[str(result["phase"])]}
        if process.poll() is not None:
            reason = f"it ended with status {process.returncode}"
    except Broken as broken:
        reason = str(broken)
    finally:
        if poker is not None:
            poker.stop()
        if sampler.is_alive():
            sampler.stop()
        _end(process)
    for phase, name in scenario.phases.items():
        if phase not in done:
            said = log.read_text(errors="replace")[-400:].strip()
            yield {"scenario": name, "phase": phase, "ok": False, "reason": reason, "output": said}


def _wait_until_listening(process: subprocess.Popen[bytes], pair: Hosts, port: int) -> None:
    deadline = time.monotonic() + 60
    while not pair.listening(port):
        if process.poll() is not None:
            raise Broken(f"it ended with status {process.returncode} before it listened")
        if time.monotonic() > deadline:
            raise Broken("it did not listen within 60 s")
        time.sleep(0.05)
    # Some listen before they are ready.
    time.sleep(0.5)


def _phases(
    process: subprocess.Popen[bytes],
    scenario: Scenario,
    pair: Hosts,
    place: Place,
    sampler: Sampler,
    report: Path | None,
) -> Iterator[Result]:
    options = {
        **scenario.load,
        "address": place.address,
        "port": place.port,
        "net": pair.net,
        "timeout": scenario.limit,
    }
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}"}
    tester = subprocess.Popen(
        pair.on_load([sys.executable, "-m", "bench.load", json.dumps(options)]),
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert tester.stdin is not None and tester.stdout is not None
    cpu = start = busy = 0.0
    try:
        for line in tester.stdout:
            event: Result = json.loads(line)
            if "ready" in event:
                if report is not None:
                    process.send_signal(signal.SIGUSR1)
                cpu = sampler.sample()
                sampler.reset()
                start, busy = time.monotonic(), machine_busy()
                tester.stdin.write("go\n")
                continue
            if event["ok"]:
                used = sampler.sample() - cpu
                wall = max(time.monotonic() - start, 0.001)
                sampler.sample_sockets()
                own = used + float(str(event["load_cpu"])) + float(str(event["check_cpu"]))
                others = machine_busy() - busy - own
                event["cpu"] = round(used, 2)
                event["peak_mb"] = round(sampler.peak / 1e6, 1)
                event["kernel_mb"] = round(sampler.kernel_peak / 1e6, 1)
                # What others used meanwhile, in cores.
                event["company"] = round(max(others, 0.0) / wall, 2)
                if report is not None:
                    event["loop"] = _asked(process, report)
            yield event
        tester.wait(30)
    finally:
        if tester.poll() is None:
            tester.kill()
        tester.wait()
        tester.stdin.close()
        tester.stdout.close()


def _asked(process: subprocess.Popen[bytes], report: Path) -> object:
    """Let a watched candidate write its report, and return it."""
    report.unlink(missing_ok=True)
    process.send_signal(signal.SIGUSR2)
    deadline = time.monotonic() + 10
    while not report.exists():
        if time.monotonic() > deadline or process.poll() is not None:
            return None
        time.sleep(0.05)
    return json.loads(report.read_text())


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a candidate as an operator would, and all that it started."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
