"""Whether this machine has room for what a configuration allows: open files, and what the kernel bounds.

Where it has not, the number, the limit and the remedy are named; it is not refused, for it may never come to
that: a listen range's limit is not what is there.
"""

import contextlib
import resource
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from bgp.aio.demand import Caller, demand
from bgp.aio.interfaces import InterfaceAddress, interface_addresses
from bgp.aio.signing import AoKey, Network, Secret
from reflector.configuration.config import Configuration

# What else than sessions is open: sockets that listen, who asks, and connections that collide.
SPARE = 128
# What a key takes of a socket's option memory, measured with Linux 6.18: 20,480 octets hold 150 keys, 131,072
# hold 963, and 1,048,576 hold 7,710; for IPv6, prefixes and keys of any length it is the same.
MD5_KEY = 136
# struct tcp_ao_key with its traffic keys, rounded up.
AO_KEY = 256


@dataclass(frozen=True, slots=True)
class Shortage:
    """A limit of the system that may be reached, what reaches it, and the remedy."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class System:
    """The limits of a machine: sysctls below `root`, open files now and at most, and its addresses."""

    root: Path
    open_files: int
    addresses: Sequence[InterfaceAddress] = ()

    def sysctl(self, name: str) -> int | None:
        """Return the first number of a sysctl, None where this machine or namespace has none."""
        try:
            return int((self.root / name.replace(".", "/")).read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None


def this_system() -> System:
    """Return the limits that hold here and now, for who may raise its own up to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = (1 << 62) if hard == resource.RLIM_INFINITY else hard
    return System(Path("/proc/sys"), files, interface_addresses())


def raise_open_files(configuration: Configuration) -> None:
    """Allow as many open files as we may have, and as root as many as we may need."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard == resource.RLIM_INFINITY else max(hard, open_files(configuration))
    for wanted in (most, hard):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return


def sessions(configuration: Configuration) -> int:
    """Return how many sessions there may be."""
    return len(configuration.neighbors) + sum(each.limit for each in configuration.listen_ranges)


def open_files(configuration: Configuration) -> int:
    """Return how many files all of them take, and what else there is."""
    return sessions(configuration) + SPARE


def shortages(configuration: Configuration, system: System | None = None) -> list[Shortage]:
    """Return which limits of the system the configuration may reach."""
    found = this_system() if system is None else system
    return [
        *_files(configuration, found),
        *_keys(configuration, found),
        *_queues(configuration, found),
        *_neighbor_tables(configuration, found),
    ]


def _files(configuration: Configuration, system: System) -> Iterator[Shortage]:
    wanted = open_files(configuration)
    if wanted > system.open_files:
        yield Shortage(
            f"{sessions(configuration)} sessions may take {wanted} open files,"
            f" and {system.open_files} are allowed",
            f"LimitNOFILE={wanted} in the systemd unit, `ulimit -n {wanted}` in the shell,"
            f" or `docker run --ulimit nofile={wanted}`",
        )


def _keys(configuration: Configuration, system: System) -> Iterator[Shortage]:
    allowed = system.sysctl("net.core.optmem_max")
    callers = [
        Caller(ip_network(each.remote.address), each.secret, each.minimum_ttl, each.remote.host)
        for each in configuration.neighbors
        if not each.interface
    ]
    callers += [
        Caller(each.prefix, each.options.secret, each.options.minimum_ttl)
        for each in configuration.listen_ranges
    ]
    try:
        keys = demand(callers).keys
    except ValueError:
        return  # two passwords for one address: starting says so
    of_family = [_octets(each for net, each in keys.items() if net.version == version) for version in (4, 6)]
    count, octets = max(of_family, key=lambda each: each[1])
    if allowed is not None and octets >= allowed:
        # In the kernel the sum stays below the limit.
        wanted = (octets // 4096 + 1) * 4096
        yield Shortage(
            f"{count} keys of TCP-MD5 or TCP-AO take {octets} octets of a listening socket,"
            f" and net.core.optmem_max allows {allowed}",
            f"sysctl -w net.core.optmem_max={wanted}, or give a listen range one password in place of many",
        )


def _octets(keys: Iterable[Secret]) -> tuple[int, int]:
    sizes = [AO_KEY if isinstance(key, AoKey) else MD5_KEY for key in keys]
    return len(sizes), sum(sizes)


def _queues(configuration: Configuration, system: System) -> Iterator[Shortage]:
    """Warn where all may come at once, and there is no room to wait in."""
    coming = min(sessions(configuration), 65535)
    allowed = system.sysctl("net.core.somaxconn")
    if allowed is not None and coming > allowed:
        yield Shortage(
            f"{coming} may connect at once, and net.core.somaxconn has {allowed} wait: the others come later",
            f"sysctl -w net.core.somaxconn={coming}",
        )
    half, cookies = system.sysctl("net.ipv4.tcp_max_syn_backlog"), system.sysctl("net.ipv4.tcp_syncookies")
    # With SYN cookies that queue may overflow, and nobody is lost.
    if half is not None and cookies == 0 and coming > half:
        yield Shortage(
            f"{coming} may connect at once,"
            f" and net.ipv4.tcp_max_syn_backlog has {half} wait without SYN cookies",
            f"sysctl -w net.ipv4.tcp_max_syn_backlog={coming}, or sysctl -w net.ipv4.tcp_syncookies=1",
        )


def _neighbor_tables(configuration: Configuration, system: System) -> Iterator[Shortage]:
    """Warn where more are on our links than the kernel keeps link addresses of."""
    for version in (4, 6):
        name = f"net.ipv{version}.neigh.default.gc_thresh"
        allowed = system.sysctl(f"{name}3")
        nets = {each.network for each in system.addresses if each.network.version == version}
        nets -= {net for net in nets if net.is_loopback or net.prefixlen == net.max_prefixlen}
        count = sum(_on_link(configuration, net) for net in nets)
        if allowed is not None and count > allowed:
            first, second, third = (count * share // 4 for share in (5, 6, 8))
            yield Shortage(
                f"{count} peers may be on our IPv{version} links, and {name}3 keeps {allowed} link addresses",
                f"sysctl -w {name}1={first} {name}2={second} {name}3={third}",
            )


def _on_link(configuration: Configuration, net: Network) -> int:
    """Return how many peers there may be on a link."""
    known = sum(not each.interface and each.remote.address in net for each in configuration.neighbors)
    return known + sum(min(each.limit, _shared(each.prefix, net)) for each in configuration.listen_ranges)


def _shared(one: Network, other: Network) -> int:
    """Return how many addresses are in both."""
    for smaller, larger in ((one, other), (other, one)):
        match smaller, larger:
            case (IPv4Network(), IPv4Network()) | (IPv6Network(), IPv6Network()) if smaller.subnet_of(larger):  # type: ignore[arg-type]
                return smaller.num_addresses
    return 0
