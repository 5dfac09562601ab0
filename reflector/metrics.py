"""Metrics for Prometheus: a table of families, each with what it counts, in the text format.

One family after the other is written; those with a line for each neighbor come in pieces, so that five
thousand neighbors hold nobody up.
"""

import asyncio
import os
import resource
import time
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
)
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from bgp.aio.events import EventKind, PeerEvent
from bgp.aio.lag import BOUNDS
from bgp.aio.peer import Peer
from bgp.iana import ErrorCode, MessageType
from bgp.session.event import State
from bgp.wire.notification import Notification, subcodes
from reflector.control.lines import SLICE
from reflector.report.guards import of_member
from reflector.report.memory import resident
from reflector.report.slices import in_slices
from reflector.report.words import identifier, kind

if TYPE_CHECKING:
    from reflector.app import Service

Labels = Mapping[str, object]
Sample = tuple[Labels, float]
# So many lines are written at a time.
_LINES = 64


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: its name, its type, a sentence, and its samples."""

    name: str
    type: str
    text: str
    samples: Callable[["Service"], Iterable[Sample] | AsyncIterable[Sample]]


class Errors:
    """Counts the NOTIFICATIONs that ended connections: (way, code, subcode).

    All that the RFCs name are there from the start, for what grows from nothing is no increase to Prometheus;
    what they do not name is counted together, for a neighbor may send any number.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        for way in ("received", "sent"):
            for code in ErrorCode:
                for subcode in (0, *subcodes(code)):
                    self.counts[way, str(int(code)), str(int(subcode))] = 0

    def hear(self, event: PeerEvent) -> None:
        """Take note of what ended a connection."""
        if event.kind is EventKind.DOWN:
            self._note("sent", event.sent)
            self._note("received", event.received)

    def _note(self, way: str, notification: Notification | None) -> None:
        if notification is not None:
            key = way, str(notification.code), str(notification.subcode)
            self.counts[key if key in self.counts else (way, "other", "other")] += 1


async def exposition(service: "Service") -> AsyncGenerator[bytes, None]:
    """Yield the metrics in the text format, a piece at a time."""
    clock = asyncio.get_running_loop().time
    until = clock() + SLICE
    for family in FAMILIES:
        lines = [f"# HELP {family.name} {family.text}", f"# TYPE {family.name} {family.type}"]
        found = family.samples(service)
        for labels, value in [each async for each in found] if isinstance(found, AsyncIterable) else found:
            # A histogram's lines have names of their own.
            name = str(labels.get("", family.name))
            lines.append(f"{name}{_labels(labels)} {_number(value)}")
            if len(lines) >= _LINES:
                yield _octets(lines)
                lines = []
                # Who reads fast enough never has us wait, and the loop has other things to do.
                if clock() >= until:
                    await asyncio.sleep(0)
                    until = clock() + SLICE
        if lines:
            yield _octets(lines)


def _octets(lines: list[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def _labels(labels: Labels) -> str:
    shown = [f'{name}="{_escaped(value)}"' for name, value in labels.items() if name]
    return f"{{{','.join(shown)}}}" if shown else ""


def _escaped(value: object) -> str:
    return str(value).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


# --- What is counted ----------------------------------------------------------------------------------------


def _one(value: Callable[["Service"], float]) -> Callable[["Service"], Iterable[Sample]]:
    return lambda service: [({}, value(service))]


def _each(value: Callable[[Peer], float]) -> Callable[["Service"], Iterable[Sample]]:
    return lambda service: (({"peer": peer.name}, value(peer)) for peer in list(service.speaker.peers))


def _info(service: "Service") -> Iterator[Sample]:
    router = service.speaker.router
    labels = {"version": service.version, "asn": router.asn, "router_id": identifier(router.router_id)}
    yield labels, 1


def _convergence(service: "Service") -> Iterator[Sample]:
    if service.convergence is not None:
        yield {}, service.convergence


def _sets(service: "Service") -> Iterator[Sample]:
    yield {}, len(service.speaker.router.table)


def _sessions(service: "Service") -> Iterator[Sample]:
    states = Counter(peer.state for peer in service.speaker.peers)
    for state in State:
        yield {"state": state.label}, states[state]


def _kept_down(service: "Service") -> Iterator[Sample]:
    for peer in list(service.speaker.peers):
        if peer.options.blocked:
            yield {"peer": peer.name}, 1
    for listen_range in service.speaker.listen_ranges:
        if listen_range.options.blocked:
            yield {"listen_range": listen_range.prefix}, 1


def _messages(service: "Service") -> Iterator[Sample]:
    for peer in list(service.speaker.peers):
        traffic = peer.traffic
        for type_ in MessageType:
            for way, counts in (("received", traffic.received), ("sent", traffic.sent)):
                yield {"peer": peer.name, "way": way, "type": type_.name.lower()}, counts[type_]


def _octets_moved(service: "Service") -> Iterator[Sample]:
    for peer in list(service.speaker.peers):
        traffic = peer.traffic
        yield {"peer": peer.name, "way": "received"}, traffic.octets_received
        yield {"peer": peer.name, "way": "sent"}, traffic.octets_sent


def _received(service: "Service") -> Iterator[Sample]:
    for peer in list(service.speaker.peers):
        member = peer.member
        if member is not None:
            for family in member.negotiated.families:
                yield {"peer": peer.name, "family": family.name}, member.received(family)


def _advertised(service: "Service") -> Iterator[Sample]:
    for peer in list(service.speaker.peers):
        for family, count in service.counts.told(peer.name).items():
            yield {"peer": peer.name, "family": family.name}, count


def _refused(service: "Service") -> Iterator[Sample]:
    for peer in list(service.speaker.peers):
        for family in service.counts.told(peer.name):
            yield {"peer": peer.name, "family": family.name}, service.counts.refused(peer.name, family)


def _slow(service: "Service") -> float:
    return sum(
        each.behind for group in service.speaker.router.groups.values() for each in group.listeners.values()
    )


def _counted(service: "Service") -> Iterator[Sample]:
    age = service.counts.age
    if age is not None:
        yield {}, age


def _errors(service: "Service") -> Iterator[Sample]:
    for (way, code, subcode), count in sorted(service.errors.counts.items()):
        yield {"way": way, "code": code, "subcode": subcode}, count


def _guard_hits(service: "Service") -> Iterator[Sample]:
    for (guard, rule), count in sorted(service.speaker.router.guarding.totals.items()):
        yield {"guard": guard, "rule": rule}, count


# Of thousands of guarded neighbors only those have lines that announce what they may not.
def _peer_guard_hits(service: "Service") -> Iterator[Sample]:
    return _guarded(service, "hits")


def _guard_refused(service: "Service") -> Iterator[Sample]:
    return _guarded(service, "kept_from_use")


def _guarded(service: "Service", what: str) -> Iterator[Sample]:
    for peer in list(service.speaker.peers):
        member = peer.member
        if member is not None and member.wards:
            for rule, count in of_member(member)[what].items():
                yield {"peer": peer.name, "rule": rule}, count


def _claims(what: str) -> Callable[["Service"], Iterable[Sample]]:
    def samples(service: "Service") -> Iterator[Sample]:
        for family, ledger in service.speaker.router.guarding.ledgers.items():
            yield {"family": family.name}, len(getattr(ledger, what))

    return samples


def _by_family(counts: Callable[["Service"], Mapping[str, int]]) -> Callable[["Service"], Iterable[Sample]]:
    return lambda service: [({"family": name}, count) for name, count in counts(service).items()]


def _prefixes(service: "Service") -> Mapping[str, int]:
    return {family.name: count for family, count in service.speaker.router.rib.prefixes.items()}


def _routes(service: "Service") -> Mapping[str, int]:
    router = service.speaker.router
    return {family.name: router.rib.routes_of(family) for family in router.rib.prefixes}


def _groups(value: str) -> Callable[["Service"], Iterable[Sample]]:
    def samples(service: "Service") -> Iterator[Sample]:
        for terms, group in list(service.speaker.router.groups.items()):
            labels = {"group": service.group_numbers.of(group), "kind": kind(terms.kind)}
            members = group.listeners.values()
            match value:
                case "members":
                    yield labels, len(members)
                case "pending":
                    yield labels, sum(each.pending for each in members)
                case "behind":
                    yield labels, sum(each.behind for each in members)
                case _:
                    yield labels, group.train.octets

    return samples


async def _group_lag(service: "Service") -> AsyncIterator[Sample]:
    now = service.loop.time()
    for terms, group in list(service.speaker.router.groups.items()):
        labels = {"group": service.group_numbers.of(group), "kind": kind(terms.kind)}
        lag = 0.0
        async for some in in_slices(list(group.listeners.items())):
            # Who has left meanwhile is not measured.
            lag = max(
                [lag, *(group.lag(each, now) for name, each in some if group.listeners.get(name) is each)]
            )
        yield labels, lag


def _lag(service: "Service") -> Iterator[Sample]:
    lag, name = service.speaker.lag, "martlet_loop_lag_seconds"
    if lag is None:
        return
    seen = 0
    for bound, count in zip(BOUNDS, lag.buckets, strict=False):
        seen += count
        yield {"": f"{name}_bucket", "le": bound}, seen
    yield {"": f"{name}_bucket", "le": "+Inf"}, lag.samples
    yield {"": f"{name}_sum"}, lag.total
    yield {"": f"{name}_count"}, lag.samples


def _descriptors(_: "Service") -> float:
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0


def _processor(_: "Service") -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _fib(value: str) -> Callable[["Service"], Iterable[Sample]]:
    def samples(service: "Service") -> Iterator[Sample]:
        if service.fib is not None:
            for family in service.speaker.router.rib.prefixes:
                yield {"family": family.name}, getattr(service.fib.progress(family), value)

    return samples


def _fib_writes(service: "Service") -> Iterator[Sample]:
    if service.fib is not None:
        for family in service.speaker.router.rib.prefixes:
            progress = service.fib.progress(family)
            for action in ("added", "replaced", "deleted"):
                yield {"family": family.name, "action": action}, getattr(progress, action)


FAMILIES = (
    Family("martlet_info", "gauge", "Who we are.", _info),
    Family("martlet_start_time_seconds", "gauge", "When the service began.", _one(attrgetter("started"))),
    Family(
        "martlet_configured_time_seconds",
        "gauge",
        "When the configuration was read.",
        _one(attrgetter("configured")),
    ),
    Family(
        "martlet_converged",
        "gauge",
        "Whether all first routes are there, or were waited for.",
        _one(attrgetter("speaker.is_converged")),
    ),
    Family("martlet_convergence_seconds", "gauge", "How long that took.", _convergence),
    Family("martlet_sessions", "gauge", "Neighbors by the state of their FSM.", _sessions),
    Family(
        "martlet_peer_up",
        "gauge",
        "Whether the session is Established.",
        _each(lambda peer: peer.state is State.ESTABLISHED),
    ),
    Family("martlet_kept_down", "gauge", "Who has no session for want of a secret, for one.", _kept_down),
    Family(
        "martlet_peer_state_age_seconds",
        "gauge",
        "For how long the state is what it is.",
        _each(lambda peer: time.time() - peer.since),
    ),
    Family(
        "martlet_peer_established_total",
        "counter",
        "Sessions that came up.",
        _each(lambda peer: peer.times_established),
    ),
    Family("martlet_peer_messages_total", "counter", "Messages of each type.", _messages),
    Family("martlet_peer_bytes_total", "counter", "Octets over TCP.", _octets_moved),
    Family("martlet_peer_prefixes_received", "gauge", "Routes that the neighbor has sent.", _received),
    Family("martlet_peer_prefixes_advertised", "gauge", "Routes told, at the last count.", _advertised),
    Family("martlet_peer_prefixes_refused", "gauge", "Routes received, but not usable.", _refused),
    Family(
        "martlet_advertised_count_age_seconds",
        "gauge",
        "How long ago what is told and refused was counted.",
        _counted,
    ),
    Family(
        "martlet_peer_queue_bytes",
        "gauge",
        "Octets that the kernel has not taken.",
        _each(lambda peer: sum(link.unsent for link in peer.connections)),
    ),
    Family(
        "martlet_peer_behind",
        "gauge",
        "Whether it is so slow that it is told the latest state only.",
        _each(lambda peer: peer.member is not None and peer.member.behind),
    ),
    Family("martlet_slow_peers", "gauge", "Neighbors that are told the latest state only.", _one(_slow)),
    Family("martlet_guard_hits_total", "counter", "Routes that were announced against a guard.", _guard_hits),
    Family(
        "martlet_peer_guard_hits_total",
        "counter",
        "The same for each neighbor that did, in its session.",
        _peer_guard_hits,
    ),
    Family("martlet_peer_guard_refused", "gauge", "Routes that a guard keeps from use.", _guard_refused),
    Family("martlet_guard_claims", "gauge", "What guards give to one neighbor.", _claims("claims")),
    Family("martlet_guard_disputed", "gauge", "What of that several announce.", _claims("disputed")),
    Family("martlet_notifications_total", "counter", "NOTIFICATIONs that ended connections.", _errors),
    Family("martlet_prefixes", "gauge", "Prefixes of the tables.", _by_family(_prefixes)),
    Family("martlet_routes", "gauge", "Routes; several paths to a prefix are several.", _by_family(_routes)),
    Family("martlet_attribute_sets", "gauge", "Sets of attributes.", _sets),
    Family(
        "martlet_attribute_bytes",
        "gauge",
        "Their octets.",
        _one(attrgetter("speaker.router.rib.attribute_octets")),
    ),
    Family("martlet_group_members", "gauge", "Members of each update group.", _groups("members")),
    Family("martlet_group_pending", "gauge", "Those with something to take.", _groups("pending")),
    Family("martlet_group_behind", "gauge", "Those that are told the latest state only.", _groups("behind")),
    Family("martlet_group_queue_bytes", "gauge", "Octets that not all have taken.", _groups("queue")),
    Family("martlet_group_lag_seconds", "gauge", "How far the last member is behind.", _group_lag),
    Family("martlet_loop_lag_seconds", "histogram", "How late the event loop runs.", _lag),
    Family(
        "martlet_connections_refused_total",
        "counter",
        "Connections of strangers, and beyond limits.",
        _one(attrgetter("speaker.refusals.total")),
    ),
    Family(
        "martlet_internal_errors_total",
        "counter",
        "Bugs of ours that were contained.",
        _one(attrgetter("speaker.internal_errors")),
    ),
    Family("martlet_fib_routes", "gauge", "Routes that the kernel is to have.", _fib("wanted")),
    Family("martlet_fib_pending", "gauge", "Routes on their way into the kernel.", _fib("pending")),
    Family("martlet_fib_refused", "gauge", "Routes that the kernel does not take.", _fib("refused")),
    Family("martlet_fib_conflicts", "gauge", "Routes in the way that are not ours.", _fib("conflicts")),
    Family("martlet_fib_withheld", "gauge", "Deletions that the guard holds back.", _fib("withheld")),
    Family("martlet_fib_stale", "gauge", "Routes that an earlier life left.", _fib("stale")),
    Family("martlet_fib_writes_total", "counter", "Routes written, by what was done.", _fib_writes),
    Family("martlet_fib_repairs_total", "counter", "Routes of ours that others broke.", _fib("repaired")),
    Family("martlet_fib_failures_total", "counter", "Routes that the kernel refused.", _fib("failed")),
    Family("process_resident_memory_bytes", "gauge", "Resident memory.", _one(lambda _: resident())),
    Family("process_cpu_seconds_total", "counter", "Processor time used.", _one(_processor)),
    Family("process_open_fds", "gauge", "Open file descriptors.", _one(_descriptors)),
    Family(
        "process_max_fds",
        "gauge",
        "The most that may be.",
        _one(lambda _: resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
    ),
)
