"""From one configuration to another while sessions run: a typed difference, in words, and step by step.

What did not change is not touched: its sessions notice nothing.  Policies, limits and the like change under
a session; only what is negotiated or built into a socket costs it (`bgp.aio.changing`).  What only a new
process can change is refused, and then nothing is done at all.  Whose secret cannot be read any more stays as
it is, with the secret that was read before.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from bgp.aio.changing import Effect, effect
from bgp.aio.options import PeerOptions
from bgp.aio.roster import ListenRange as RunningRange
from bgp.explanation import policy_name
from bgp.speaker import Speaker
from reflector.configuration.config import Aggregated, Configuration, ListenRange, Originated
from reflector.logs.log import Log, change
from reflector.originate import aggregate, originate
from reflector.report.words import identifier

if TYPE_CHECKING:
    from reflector.doors import Doors

logger = logging.getLogger(__name__)

T = TypeVar("T")
Apply = Callable[[Speaker], Awaitable[None]]

# Why others do not: by key, or by table.
_OPEN = ", for it stands in our OPEN and in what peers have been told"
_WHY = {
    **dict.fromkeys(("asn", "router_id", "confederation"), _OPEN),
    "cluster_id": ", for it stands in what peers have been told, and in what they gave back",
    "user": ", for a process does not get back what it has given up",
    "[decision]": ", for routes that are decided by two rules at a time may loop",
    "[fib]": ", for the kernel's routes would have to be made anew",
}
# Of [router] these change while we run; for the others we start anew.
_LIVE = {"listen", "max_paths", "max_attribute_octets", "lag_age", "client_to_client"}
_SECRET = {"password", "tcp_ao", "token", "read_token"}


class Kind(Enum):
    """What becomes of a thing."""

    ADDED = "+"
    REMOVED = "-"
    CHANGED = "~"


@dataclass(frozen=True, slots=True)
class Difference:
    """A key with another value."""

    key: str
    before: Any
    after: Any

    def __str__(self) -> str:
        show = _there if self.key in _SECRET else _dotted if self.key == "cluster_id" else _shown
        before, after = show(self.before), show(self.after)
        return f"{self.key} {before} -> {after}" if before != after else f"{self.key} {after} (changed)"

    def __repr__(self) -> str:
        return f"<Difference {self}>"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that changes, what that costs, and how it is done.

    `table` is the field of a configuration that it is of, none where that says the same, `before` and `after`
    the thing as it is there, None where it is not.  One that `stays` for a reason is shown, and not done.
    `apply` may raise OSError or ValueError: then the thing is as it was before.
    """

    table: str
    before: Any
    after: Any
    what: str
    differences: tuple[Difference, ...]
    effect: Effect | None
    apply: Apply
    stays: str = ""  # why nothing is done

    @property
    def kind(self) -> Kind:
        """What becomes of it."""
        if self.before is None:
            return Kind.ADDED
        return Kind.REMOVED if self.after is None else Kind.CHANGED

    def __str__(self) -> str:
        line = f"{self.kind.value} {self.what}"
        if self.stays:
            return f"{line}: stays as it is: {self.stays}"
        if self.differences:
            line += ": " + "; ".join(map(str, self.differences))
        return line + _COST[self.kind, self.effect]


_COST: Mapping[tuple[Kind, Effect | None], str] = {
    (Kind.ADDED, None): "",
    (Kind.REMOVED, None): "",
    (Kind.CHANGED, None): "",
    (Kind.REMOVED, Effect.RESET): ", its sessions end",
    (Kind.CHANGED, Effect.NONE): "",
    (Kind.CHANGED, Effect.AT_ONCE): " (at once, sessions stay)",
    (Kind.CHANGED, Effect.NEXT): " (from the next session on)",
    (Kind.CHANGED, Effect.RESET): " (its sessions are reset)",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What leads from one configuration to another; `restart`: what only a new process can change."""

    steps: tuple[Step, ...]
    restart: tuple[Difference, ...]
    notes: tuple[str, ...] = ()  # what differs from the file, and why it does

    def __bool__(self) -> bool:
        return bool(self.steps or self.restart)

    @property
    def reasons(self) -> list[str]:
        """What only a restart changes, and why."""
        return [
            f"{each}: only a restart changes this{_WHY.get(each.key.partition(' ')[0], '')}"
            for each in self.restart
        ]

    def __str__(self) -> str:
        lines = [f"! {each}" for each in self.reasons]
        return "\n".join([*lines, *map(str, self.steps), *self.notes]) or "nothing has changed"


def plan(before: Configuration, after: Configuration, doors: "Doors | None" = None) -> Plan:
    """Return the steps, in the order in which they are to be done, for a service that has these doors."""
    restart = [each for each in _differences(before.router, after.router) if each.key not in _LIVE]
    for name in sorted({each.name for each in fields(Configuration) if each.compare} - _STEPWISE):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            found = _differences(old, new) if is_dataclass(old) and is_dataclass(new) else ()
            restart += [replace(each, key=f"[{name}] {each.key}") for each in found]
            restart += [] if found else [Difference(f"[{name}]", old, new)]
    steps = (
        *_ourselves(before, after),
        *_log(before.log, after.log),
        *_aggregates(before.aggregates, after.aggregates),
        *_ranges(before.listen_ranges, after.listen_ranges),
        *_neighbors(before.neighbors, after.neighbors),
        *_networks(before.networks, after.networks),
        # The last ones, for whoever asked may have come by them.
        *_doors(before, after, doors),
    )
    return Plan(steps, tuple(restart))


_STEPWISE = frozenset(
    ("router", "log", "neighbors", "listen_ranges", "networks", "aggregates", "control", "http")
)


async def carry_out(steps: Sequence[Step], speaker: Speaker) -> list[tuple[Step, str]]:
    """Do the steps; return those that failed, which are as before, with the reason."""
    failed = []
    for step in steps:
        try:
            await step.apply(speaker)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            failed.append((step, reason))
            logger.error("not done: %s: %s", step, reason)
        else:
            logger.info("reload: %s", step)
    return failed


def settled(before: Configuration, after: Configuration, failed: Sequence[Step]) -> Configuration:
    """Return what is in force: `after`, but for what failed and is as it was `before`."""
    changed: dict[str, Any] = {}
    for step in failed:
        if step.table == "router":
            old = {each.key: each.before for each in step.differences}
            changed["router"] = replace(changed.get("router", after.router), **old)
            continue
        if not step.table or not isinstance(getattr(after, step.table), tuple):
            changed |= {step.table: step.before} if step.table else {}
            continue
        things = list(changed.get(step.table, getattr(after, step.table)))
        if step.after is not None:
            things.remove(step.after)
        if step.before is not None:
            things.append(step.before)
        changed[step.table] = tuple(things)
    return replace(after, **changed)


# --- The things -------------------------------------------------------------------------------------------


def _ourselves(before: Configuration, after: Configuration) -> Iterator[Step]:
    changed = {each.key: each for each in _differences(before.router, after.router) if each.key in _LIVE}

    async def listen(speaker: Speaker) -> None:
        speaker.listen(after.router.listen)

    async def bound(speaker: Speaker) -> None:
        router = after.router
        speaker.set_limits(
            max_paths=router.max_paths,
            max_attribute_octets=router.max_attribute_octets,
            lag_age=router.lag_age,
        )

    async def reflect(speaker: Speaker) -> None:
        speaker.reflect_clients(after.router.client_to_client)

    for keys, apply in (
        (("listen",), listen),
        (("client_to_client",), reflect),
        (("max_paths", "max_attribute_octets", "lag_age"), bound),
    ):
        found = tuple(changed[key] for key in keys if key in changed)
        if found:
            yield Step("router", before.router, after.router, "[router]", found, None, apply)


def _log(before: Log, after: Log) -> Iterator[Step]:
    async def apply(speaker: Speaker) -> None:
        change(after)

    if before != after:
        yield Step("log", before, after, "[log]", _differences(before, after), None, apply)


def _neighbors(before: Sequence[PeerOptions], after: Sequence[PeerOptions]) -> Iterator[Step]:
    old, new = ({_identity(each): each for each in options} for options in (before, after))
    for key, was in old.items():
        if key not in new:
            what = f"neighbor {_name(was)}"
            yield Step("neighbors", was, None, what, (), Effect.RESET, _remover(was))
    for key, will in new.items():
        what = f"neighbor {_name(will)}"
        if key not in old:
            yield Step("neighbors", None, will, what, (), None, _adder(will))
        elif _keeps_secret(was := old[key], will):
            yield Step("neighbors", was, will, what, (), None, _refuser(will), will.blocked)
        elif will != was:
            found, cost = _of_peers(was, will), effect(was, will)
            yield Step("neighbors", was, will, what, found, cost, _changer(was, will))


def _identity(options: PeerOptions) -> tuple[Any, ...]:
    return options.address, options.interface, options.source_address, options.name


def _name(options: PeerOptions) -> str:
    return options.name or options.address or options.interface


def _keeps_secret(before: PeerOptions, after: PeerOptions) -> bool:
    """Whether a secret that is known cannot be read any more: then sessions go on with the known one."""
    return bool(after.blocked) and before.secret is not None


def _refuser(options: PeerOptions) -> Apply:
    async def apply(speaker: Speaker) -> None:
        raise ValueError(options.blocked)

    return apply


def _of_peers(before: PeerOptions, after: PeerOptions) -> tuple[Difference, ...]:
    """Return what differs; where a secret could not be read, that says it."""
    unread = before.blocked or after.blocked
    return tuple(each for each in _differences(before, after) if not (unread and each.key in _SECRET))


def _adder(options: PeerOptions) -> Apply:
    async def apply(speaker: Speaker) -> None:
        speaker.add_peer(options)

    return apply


def _remover(options: PeerOptions) -> Apply:
    async def apply(speaker: Speaker) -> None:
        for peer in speaker.peers:
            if not peer.dynamic and _identity(peer.options) == _identity(options):
                await speaker.remove_peer(peer)

    return apply


def _changer(before: PeerOptions, options: PeerOptions) -> Apply:
    async def apply(speaker: Speaker) -> None:
        for peer in speaker.peers:
            if not peer.dynamic and _identity(peer.options) == _identity(before):
                speaker.change_peer(peer, options)

    return apply


def _ranges(before: Sequence[ListenRange], after: Sequence[ListenRange]) -> Iterator[Step]:
    old, new = ({each.prefix: each for each in ranges} for ranges in (before, after))

    def running(speaker: Speaker, each: ListenRange) -> RunningRange | None:
        return next((one for one in speaker.listen_ranges if one.prefix == each.prefix), None)

    def add(each: ListenRange) -> Apply:
        async def apply(speaker: Speaker) -> None:
            speaker.add_listen_range(each.prefix, each.options, limit=each.limit)

        return apply

    def remove(each: ListenRange) -> Apply:
        async def apply(speaker: Speaker) -> None:
            found = running(speaker, each)
            if found is not None:
                await speaker.remove_listen_range(found)

        return apply

    def change(each: ListenRange) -> Apply:
        async def apply(speaker: Speaker) -> None:
            found = running(speaker, each)
            if found is not None:
                speaker.change_listen_range(found, each.options, limit=each.limit)

        return apply

    for prefix, was in old.items():
        if prefix not in new:
            what = f"listen range {prefix}"
            yield Step("listen_ranges", was, None, what, (), Effect.RESET, remove(was))
    for prefix, will in new.items():
        what = f"listen range {prefix}"
        if prefix not in old:
            yield Step("listen_ranges", None, will, what, (), None, add(will))
        elif _keeps_secret((was := old[prefix]).options, will.options):
            yield Step(
                "listen_ranges", was, will, what, (), None, _refuser(will.options), will.options.blocked
            )
        elif will != was:
            found = _of_peers(was.options, will.options)
            if will.limit != was.limit:
                found += (Difference("limit", was.limit, will.limit),)
            cost = effect(was.options, will.options)
            yield Step("listen_ranges", was, will, what, found, cost, change(will))


def _networks(before: Sequence[Originated], after: Sequence[Originated]) -> Iterator[Step]:
    def announce(each: Originated) -> Apply:
        async def apply(speaker: Speaker) -> None:
            originate(speaker, each)

        return apply

    def withdraw(each: Originated) -> Apply:
        async def apply(speaker: Speaker) -> None:
            speaker.withdraw(each.prefix)

        return apply

    yield from _by_prefix("networks", before, after, announce, withdraw)


def _aggregates(before: Sequence[Aggregated], after: Sequence[Aggregated]) -> Iterator[Step]:
    def add(each: Aggregated) -> Apply:
        async def apply(speaker: Speaker) -> None:
            aggregate(speaker, each)

        return apply

    def remove(each: Aggregated) -> Apply:
        async def apply(speaker: Speaker) -> None:
            speaker.remove_aggregate(each.prefix)

        return apply

    yield from _by_prefix("aggregates", before, after, add, remove)


def _by_prefix(
    table: str,
    before: Sequence[T],
    after: Sequence[T],
    add: Callable[[T], Apply],
    remove: Callable[[T], Apply],
) -> Iterator[Step]:
    """Yield the steps for things with a `prefix`, where to add one again replaces it."""
    old: dict[Any, Any] = {each.prefix: each for each in before}  # type: ignore[attr-defined]
    new: dict[Any, Any] = {each.prefix: each for each in after}  # type: ignore[attr-defined]
    name = table.removesuffix("s")
    for prefix, was in old.items():
        if prefix not in new:
            yield Step(table, was, None, f"{name} {prefix}", (), None, remove(was))
    for prefix, will in new.items():
        was = old.get(prefix)
        if will != was:
            found = () if was is None else _differences(was, will)
            yield Step(table, was, will, f"{name} {prefix}", found, None, add(will))


def _doors(before: Configuration, after: Configuration, doors: "Doors | None") -> Iterator[Step]:
    async def control(speaker: Speaker) -> None:
        if doors is not None:
            await doors.change_control(after.control)

    async def http(speaker: Speaker) -> None:
        if doors is not None:
            await doors.http.change(after.http)

    async def renew(speaker: Speaker) -> None:
        if doors is not None:
            doors.http.renew()

    if before.control != after.control:
        found = _differences(before.control, after.control)
        yield Step("control", before.control, after.control, "[control]", found, None, control)
    if before.http != after.http:
        found = _differences(before.http, after.http)
        yield Step("http", before.http, after.http, "[http]", found, None, http)
    elif doors is not None and doors.http.is_renewed:
        what = "[http]: the certificate has changed in its file"
        yield Step("", before.http, after.http, what, (), None, renew)


# --- Words ------------------------------------------------------------------------------------------------


def _differences(before: Any, after: Any) -> tuple[Difference, ...]:
    found = []
    for each in fields(after):
        old, new = getattr(before, each.name), getattr(after, each.name)
        if old != new:
            found.append(Difference(each.name, old, new))
    return tuple(found)


def _there(secret: object) -> str:
    return "none" if secret is None else "(hidden)"


def _dotted(cluster: object) -> str:
    return identifier(cluster) if isinstance(cluster, int) else _shown(cluster)


def _shown(value: object) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if callable(value):
        return policy_name(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shown(each)}" for key, each in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return str(value)
