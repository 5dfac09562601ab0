"""Who is measured: our reflector, and the daemons that are found, all configured alike.

Everyone is one AS and every test peer a client with IPv4 and IPv6 unicast over its one IPv4 session; nobody
waits before advertising, nobody touches a routing table, and policy lets everything pass.
"""

import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import daemons

from bench import ROOT
from bench.tables import ASN

HOLD_TIME = 240
OURS = "martlet"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a candidate runs: its directory and address, the clients' addresses, and the way to them."""

    directory: Path
    address: str
    port: int
    router_id: str
    clients: tuple[str, ...]
    gateway4: str = ""
    gateway6: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One implementation: how it is configured, started, and which version it is.

    `poke`: what is said on its control socket every 20 ms.
    """

    name: str
    argv: Callable[[Place], list[str]]
    configure: Callable[[Place], str]
    version: str
    environment: dict[str, str] = field(default_factory=dict)
    poke: bytes = b""


# --- Ours -----------------------------------------------------------------------------------------------


def _ours(place: Place) -> str:
    lines = [
        "[router]",
        f"asn = {ASN}",
        f'router_id = "{place.router_id}"',
        f'listen = ["{place.address}:{place.port}"]',
        "[group.clients]",
        f"asn = {ASN}",
        "client = true",
        "passive = true",
        f"hold_time = {HOLD_TIME}",
        "as_sets = true",
        'families = ["ipv4-unicast", "ipv6-unicast"]',
    ]
    for client in place.clients:
        lines += ["[[neighbor]]", f'address = "{client}"', 'group = "clients"']
    return "\n".join(lines) + "\n"


def ours() -> Candidate:
    """Our reflector, as its users run it."""
    return Candidate(
        OURS,
        lambda place: [sys.executable, "-m", "reflector", "run", str(place.directory / "conf")],
        _ours,
        f"{OURS} {_own_version()}",
        {"PYTHONPATH": str(ROOT)},
    )


def watched(report: Path) -> Candidate:
    """Our reflector with every callback of its loop timed; `report` is where it tells of them."""
    plain = ours()
    return Candidate(
        f"{OURS}-watched",
        lambda place: [sys.executable, "-m", "bench.watched", str(place.directory / "conf"), str(report)],
        _ours,
        plain.version,
        {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )


def _own_version() -> str:
    try:
        return metadata.version("martlet")
    except metadata.PackageNotFoundError:
        return "(not installed)"


# --- The daemons ----------------------------------------------------------------------------------------


def _bird(place: Place) -> str:
    lines = [
        f'log "{place.directory}/log" {{ warning, error, fatal, bug }};',
        f"router id {place.router_id};",
        "protocol device { scan time 3600; }",
        "protocol direct { ipv4; ipv6; }",
        # Next hops are behind the gateway; without a way there BIRD would call every route unreachable.
        f"protocol static way4 {{ ipv4; route 10.98.0.0/16 via {place.gateway4}; }}",
        f"protocol static way6 {{ ipv6; route fd98::/16 via {place.gateway6}; }}",
        "template bgp tester {",
        f"  local {place.address} port {place.port} as {ASN};",
        f"  rr client; rr cluster id {place.router_id}; passive on; hold time {HOLD_TIME};",
        "  ipv4 { import all; export where source = RTS_BGP; };",
        "  ipv6 { import all; export where source = RTS_BGP; };",
        "}",
    ]
    lines += [
        f"protocol bgp p{number} from tester {{ neighbor {client} as {ASN}; }}"
        for number, client in enumerate(place.clients)
    ]
    return "\n".join(lines) + "\n"


def _frr(*more: str) -> Callable[[Place], str]:
    def configure(place: Place) -> str:
        lines = [
            "frr defaults traditional",
            # Without zebra it logs an error for each prefix.
            f"log file {place.directory}/log emergencies",
            f"router bgp {ASN}",
            f" bgp router-id {place.router_id}",
            f" bgp cluster-id {place.router_id}",
            " no bgp default ipv4-unicast",
            " no bgp network import-check",
            *more,
            " neighbor client peer-group",
            f" neighbor client remote-as {ASN}",
            " neighbor client passive",
            f" neighbor client timers {HOLD_TIME // 3} {HOLD_TIME}",
            " neighbor client advertisement-interval 0",
            *(f" neighbor {client} peer-group client" for client in place.clients),
        ]
        for family in ("ipv4", "ipv6"):
            lines += [
                f" address-family {family} unicast",
                "  neighbor client activate",
                "  neighbor client route-reflector-client",
                " exit-address-family",
            ]
        return "\n".join(lines) + "\n"

    return configure


def _openbgpd(place: Place) -> str:
    lines = [
        f"AS {ASN}",
        f"router-id {place.router_id}",
        "fib-update no",
        f"holdtime {HOLD_TIME}",
        f"listen on {place.address} port {place.port}",
        f'socket "{place.directory}/sock"',
        'group "clients" {',
        f"  remote-as {ASN}",
        f"  local-address {place.address}",
        f"  route-reflector {place.router_id}",
        "  passive",
        "  announce IPv4 unicast",
        "  announce IPv6 unicast",
        *(f"  neighbor {client}" for client in place.clients),
        "}",
        "allow from any",
        "allow to any",
    ]
    return "\n".join(lines) + "\n"


def _gobgp(place: Place) -> str:
    lines = [
        "[global.config]",
        f"as = {ASN}",
        f'router-id = "{place.router_id}"',
        f"port = {place.port}",
        f'local-address-list = ["{place.address}"]',
    ]
    for client in place.clients:
        lines += [
            "[[neighbors]]",
            "[neighbors.config]",
            f'neighbor-address = "{client}"',
            f"peer-as = {ASN}",
            "[neighbors.transport.config]",
            "passive-mode = true",
            f'local-address = "{place.address}"',
            "[neighbors.timers.config]",
            f"hold-time = {HOLD_TIME}",
            f"keepalive-interval = {HOLD_TIME // 3}",
            "[neighbors.route-reflector.config]",
            "route-reflector-client = true",
            f'route-reflector-cluster-id = "{place.router_id}"',
        ]
        for family in ("ipv4-unicast", "ipv6-unicast"):
            lines += [
                "[[neighbors.afi-safis]]",
                "[neighbors.afi-safis.config]",
                f'afi-safi-name = "{family}"',
            ]
    return "\n".join(lines) + "\n"


def _frr_argv(program: str) -> Callable[[Place], list[str]]:
    # -Z without zebra, -S without another user's rights, -P 0 without a TCP port for its command line.
    return lambda place: [
        *(program, "-f", str(place.directory / "conf"), "-i", str(place.directory / "pid")),
        *("--vty_socket", str(place.directory), "-Z", "-S", "-P", "0"),
        *("-p", str(place.port), "-l", place.address),
    ]


@dataclass(frozen=True, slots=True)
class _Kind:
    program: str
    configure: Callable[[Place], str]
    argv: Callable[[str], Callable[[Place], list[str]]]
    version: tuple[str, ...]
    poke: bytes = b""


def _bird_argv(program: str) -> Callable[[Place], list[str]]:
    return lambda place: [program, "-f", "-c", "conf", "-s", "ctl", "-P", "pid"]


_KINDS = {
    "bird": _Kind("bird", _bird, _bird_argv, ("--version",)),
    # BIRD 2.0 at times sleeps for 3 s with work at hand, until something comes: here something always does.
    "bird-poked": _Kind("bird", _bird, _bird_argv, ("--version",), b"echo\n"),
    "frr": _Kind("frr", _frr(), _frr_argv, ("--version",)),
    # FRR waits a second by default for more to come, which is no work: both ways are shown.
    "frr-eager": _Kind("frr", _frr(" coalesce-time 0"), _frr_argv, ("--version",)),
    "openbgpd": _Kind(
        "openbgpd", _openbgpd, lambda program: lambda place: [program, "-d", "-f", "conf"], ("-V",)
    ),
    "gobgp": _Kind(
        "gobgpd",
        _gobgp,
        lambda program: (
            lambda place: [
                *(program, "-f", "conf", "-t", "toml", "-l", "warn", "--pprof-disable"),
                *("--api-hosts", "127.0.0.1:50051"),
            ]
        ),
        ("--version",),
    ),
}
KNOWN = tuple(_KINDS)


def found(names: Sequence[str], given: Sequence[str] = ()) -> list[Candidate]:
    """Return the daemons of `names` that are here, and those `given` as NAME=KIND:PROGRAM."""
    here = []
    for name in names:
        kind = _KINDS[name]
        program = daemons.find(kind.program)
        if program is not None:
            here.append(_candidate(name, kind, str(program.path), program.environment))
    for text in given:
        name, _, rest = text.partition("=")
        kind_name, _, path = rest.partition(":")
        if kind_name not in _KINDS or not path:
            raise SystemExit(f"{text}: write NAME=KIND:PROGRAM with KIND of {', '.join(KNOWN)}")
        here.append(_candidate(name, _KINDS[kind_name], path, {}))
    return here


def _candidate(name: str, kind: _Kind, path: str, environment: dict[str, str]) -> Candidate:
    version = _asked([path, *kind.version], environment)
    return Candidate(name, kind.argv(path), kind.configure, version, environment, kind.poke)


def _asked(argv: list[str], environment: dict[str, str]) -> str:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=20, env={"PATH": "/usr/bin:/bin", **environment}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{shlex.join(argv)}: {error}"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else "?"
