"""Capabilities: one row for each that we know, between octets, meaning and text (RFC 5492).

An OPEN holds a tuple of `Capability`: codes and octets, in the peer's order, nothing lost.
`Capabilities` is what they mean together.  Each row of `TABLE` makes one field of that meaning out of all
values of its code and gives the values back, so a further capability is a further row.

RFC 5492 section 3: a capability that we do not know "MUST be ignored"; it is kept in `unknown`.  No RFC says
what to do where a known capability has a value that cannot be read.  Ending the session would be harsh for
something optional, so such an instance counts as not sent and is kept in `malformed`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from bgp.family import family_name
from bgp.iana import AddPathMode, CapabilityCode, Role
from bgp.wire.grammar import message as grammar
from bgp.wire.text import printable


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability as it is on the wire (RFC 5492 section 4)."""

    code: int
    value: bytes = b""


@dataclass(frozen=True, slots=True)
class GracefulRestart:
    """RFC 4724 section 3, with the N bit of RFC 8538 section 2.

    `restarting` is the R bit, `notification` the N bit, `time` the Restart Time in seconds (12 bits), and
    each family is (afi, safi, forwarding), the last being the F bit.
    """

    restarting: bool = False
    notification: bool = False
    time: int = 0
    families: tuple[tuple[int, int, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class LongLivedGracefulRestart:
    """RFC 9494 section 3.1: each family is (afi, safi, F bit, Long-Lived Stale Time in seconds, 24 bits)."""

    families: tuple[tuple[int, int, bool, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Fqdn:
    """The speaker's name (draft-walton-bgp-hostname-capability section 2)."""

    hostname: str
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the capabilities of an OPEN mean together.

    `families`: (afi, safi) of each Multiprotocol capability, in order, each once.  `add_path`: (afi, safi,
    mode), each family once.  `extended_next_hop`: (afi, safi, next hop's afi).  `roles`: the values of the
    Role capabilities, each once; more than one is a fault of the peer (RFC 9234 section 4.2).
    """

    families: tuple[tuple[int, int], ...] = ()
    route_refresh: bool = False
    enhanced_route_refresh: bool = False
    extended_message: bool = False
    four_octet_as: int | None = None
    add_path: tuple[tuple[int, int, int], ...] = ()
    extended_next_hop: tuple[tuple[int, int, int], ...] = ()
    graceful_restart: GracefulRestart | None = None
    long_lived_graceful_restart: LongLivedGracefulRestart | None = None
    roles: tuple[int, ...] = ()
    fqdn: Fqdn | None = None
    unknown: tuple[Capability, ...] = ()
    malformed: tuple[Capability, ...] = ()

    @property
    def multiprotocol(self) -> bool:
        """Whether there was any Multiprotocol capability; without one the session is for IPv4 unicast."""
        return bool(self.families)

    @classmethod
    def parse(cls, capabilities: Iterable[Capability]) -> "Capabilities":
        """Return the meaning of `capabilities`; never raises."""
        unknown: list[Capability] = []
        malformed: list[Capability] = []
        # All values of a code are folded at once, for one by one would be quadratic in a hostile OPEN; and
        # identical instances count as one (RFC 5492 section 4), so each is parsed once.
        parsed: dict[tuple[int, bytes], Any] = {}
        found: dict[int, list[Any]] = {}
        for capability in capabilities:
            code, value = key = (capability.code, capability.value)
            declaration = grammar.CAPABILITY_VALUES.get(code)
            if declaration is None:
                unknown.append(capability)
                continue
            if key not in parsed:
                try:
                    parsed[key] = declaration.parse(value)
                except grammar.Malformed:
                    parsed[key] = None
            if parsed[key] is None:
                malformed.append(capability)
            else:
                found.setdefault(code, []).append(parsed[key])
        fields = {TABLE[code].field: TABLE[code].fold(values) for code, values in found.items()}
        return cls(**fields, unknown=tuple(unknown), malformed=tuple(malformed))

    def encode(self) -> tuple[Capability, ...]:
        """Return capabilities of this meaning, in ascending code, then the unknown and malformed ones.

        Raises ValueError where a value does not fit its field or a capability its 255 octets.
        """
        known = [
            Capability(row.code, value) for row in TABLE.values() for value in _checked(row, row.values(self))
        ]
        return (*known, *self.unknown, *self.malformed)

    def describe(self) -> tuple[str, ...]:
        """Return a line of text for each capability.

        What a peer spread over several instances is told in one, even where that could not be sent.
        """
        known = [Capability(row.code, value) for row in TABLE.values() for value in row.values(self)]
        return tuple(describe(capability) for capability in (*known, *self.unknown, *self.malformed))


def name(code: int) -> str:
    """Return the name of a capability, such as "route-refresh" or "capability-200"."""
    if code in TABLE:
        return CapabilityCode(code).name.lower().replace("_", "-")
    return f"capability-{code}"


def describe(capability: Capability) -> str:
    """Return one line of text, such as "add-path ipv4-unicast send"; safe to show whatever the peer sent."""
    meaning = Capabilities.parse((capability,))
    if meaning.malformed or meaning.unknown:
        words = ["malformed" if meaning.malformed else "", capability.value.hex()]
    else:
        words = [TABLE[capability.code].text(meaning)]
    return " ".join((name(capability.code), *filter(None, words)))


def encode(capabilities: Iterable[Capability]) -> bytes:
    """Return the octets of `capabilities`, as in an OPEN and as in a NOTIFICATION 2/7 (RFC 5492 section 5).

    Raises ValueError where a code or length does not fit its octet.
    """
    items = [(capability.code, capability.value) for capability in capabilities]
    try:
        return bytes(grammar.CAPABILITY_LIST.build(items))
    except grammar.Malformed as error:
        raise ValueError(f"a capability does not fit: {error}") from None


def decode(block: bytes) -> tuple[Capability, ...]:
    """Return the capabilities in `block`; raises ValueError where the last one overruns it."""
    try:
        items = grammar.CAPABILITY_LIST.parse(block)
    except grammar.Malformed:
        raise ValueError("a capability overruns its parameter") from None
    return tuple(Capability(code, value) for code, value in items)


# --- The rows ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """What is to know of one capability.

    `fold` makes the meaning's `field` out of the values in their order, parsed by the grammar, at least one;
    `values` gives the octets of the instances to send; `text` shows the meaning of a lone instance.
    """

    code: CapabilityCode
    field: str
    fold: Callable[[list[Any]], Any]
    values: Callable[[Capabilities], Iterator[bytes]]
    text: Callable[[Capabilities], str]


def _checked(row: Row, values: Iterator[bytes]) -> list[bytes]:
    try:
        found = list(values)
    except grammar.Malformed as error:
        raise ValueError(f"{name(row.code)} does not fit its fields: {error}") from None
    if any(len(value) > 255 for value in found):
        raise ValueError(f"{name(row.code)} is longer than 255 octets")
    return found


def _afi(afi: int) -> str:
    return {1: "ipv4", 2: "ipv6"}.get(afi, f"afi-{afi}")


# RFC 4760 section 8: an instance for each family.


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _multiprotocol_values(meaning: Capabilities) -> Iterator[bytes]:
    for family in meaning.families:
        yield grammar.MULTIPROTOCOL.build(family)


def _multiprotocol_text(meaning: Capabilities) -> str:
    return " ".join(family_name(afi, safi) for afi, safi in meaning.families)


# RFC 2918 section 2, RFC 7313 section 3.1, RFC 8654 section 3: presence is all that they say.


def _presence(code: CapabilityCode, field: str) -> "Row":
    def values(meaning: Capabilities) -> Iterator[bytes]:
        if getattr(meaning, field):
            yield b""

    return Row(code, field, lambda _: True, values, lambda _: "")


# RFC 8950 section 4.  Several instances are not spoken of: together they are a longer list.


def _fold_extended_next_hop(values: list[Any]) -> tuple[tuple[int, int, int], ...]:
    return _distinct(chain.from_iterable(values))


def _extended_next_hop_values(meaning: Capabilities) -> Iterator[bytes]:
    if meaning.extended_next_hop:
        yield grammar.EXTENDED_NEXT_HOP.build(meaning.extended_next_hop)


def _next_hop_text(meaning: Capabilities) -> str:
    return ", ".join(
        f"{family_name(afi, safi)} over {_afi(over)}" for afi, safi, over in meaning.extended_next_hop
    )


# RFC 9234 section 4.2: identical instances count as one; the session refuses a peer with different ones.


def _fold_role(values: list[Any]) -> tuple[int, ...]:
    return _distinct(role for (role,) in values)


def _role_values(meaning: Capabilities) -> Iterator[bytes]:
    for role in meaning.roles:
        yield grammar.ROLE.build((role,))


def _role_text(meaning: Capabilities) -> str:
    return " ".join(
        Role(role).name.lower().replace("_", "-") if role in set(Role) else str(role)
        for role in meaning.roles
    )


# RFC 4724 section 3: of several instances, "all but the last instance" are ignored.


def _fold_graceful_restart(values: list[Any]) -> GracefulRestart:
    (head,), families = values[-1]
    return GracefulRestart(
        bool(head & grammar.RESTARTING),
        bool(head & grammar.RESTART_NOTIFICATION),
        head & grammar.RESTART_TIME,
        tuple((afi, safi, bool(flags & grammar.FORWARDING)) for afi, safi, flags in families),
    )


def _graceful_restart_values(meaning: Capabilities) -> Iterator[bytes]:
    restart = meaning.graceful_restart
    if restart is None:
        return
    if not 0 <= restart.time <= grammar.RESTART_TIME:
        raise grammar.Malformed(f"a Restart Time of {restart.time} s")
    head = restart.time
    head |= grammar.RESTARTING * restart.restarting | grammar.RESTART_NOTIFICATION * restart.notification
    families = [(afi, safi, grammar.FORWARDING * forwarding) for afi, safi, forwarding in restart.families]
    yield grammar.GRACEFUL_RESTART.build(((head,), families))


def _graceful_restart_text(meaning: Capabilities) -> str:
    restart = meaning.graceful_restart
    assert restart is not None
    flags = "R" * restart.restarting + "N" * restart.notification
    families = [family_name(afi, safi) + " F" * forwarding for afi, safi, forwarding in restart.families]
    return ", ".join((f"{restart.time} s {flags}".rstrip(), *families))


# RFC 6793 section 3.


def _fold_four_octet_as(values: list[Any]) -> int:
    return int(values[-1][0])


def _four_octet_as_values(meaning: Capabilities) -> Iterator[bytes]:
    if meaning.four_octet_as is not None:
        yield grammar.FOUR_OCTET_AS.build((meaning.four_octet_as,))


# RFC 7911 section 4: any other Send/Receive value "SHOULD be treated as not understood and ignored"; that
# entry alone is, for the others say what they say.  All families must be in one instance; if there are
# several nevertheless, they are merged, and for a family the last entry counts.


_MODES = frozenset(AddPathMode)


def _fold_add_path(values: list[Any]) -> tuple[tuple[int, int, int], ...]:
    modes = {(afi, safi): mode for afi, safi, mode in chain.from_iterable(values) if mode in _MODES}
    return tuple((afi, safi, mode) for (afi, safi), mode in modes.items())


def _add_path_values(meaning: Capabilities) -> Iterator[bytes]:
    if meaning.add_path:
        yield grammar.ADD_PATH.build(meaning.add_path)


def _add_path_text(meaning: Capabilities) -> str:
    return ", ".join(
        f"{family_name(afi, safi)} {AddPathMode(mode).name.lower()}" for afi, safi, mode in meaning.add_path
    )


# RFC 9494 section 3.1, which goes with RFC 4724: the last instance counts.


def _fold_long_lived(values: list[Any]) -> LongLivedGracefulRestart:
    return LongLivedGracefulRestart(
        tuple(
            (
                afi,
                safi,
                bool(stale & grammar.LONG_LIVED_FORWARDING),
                stale & grammar.LONG_LIVED_STALE_TIME,
            )
            for afi, safi, stale in values[-1]
        )
    )


def _long_lived_values(meaning: Capabilities) -> Iterator[bytes]:
    restart = meaning.long_lived_graceful_restart
    if restart is None:
        return
    if any(not 0 <= time <= grammar.LONG_LIVED_STALE_TIME for *_, time in restart.families):
        raise grammar.Malformed("a Long-Lived Stale Time beyond 24 bits")
    yield grammar.LONG_LIVED_GRACEFUL_RESTART.build(
        [
            (afi, safi, grammar.LONG_LIVED_FORWARDING * forwarding | time)
            for afi, safi, forwarding, time in restart.families
        ]
    )


def _long_lived_text(meaning: Capabilities) -> str:
    restart = meaning.long_lived_graceful_restart
    assert restart is not None
    return ", ".join(
        f"{family_name(afi, safi)} {time} s" + " F" * forwarding
        for afi, safi, forwarding, time in restart.families
    )


# draft-walton-bgp-hostname-capability section 2: both names are in UTF-8.


def _fqdn_values(meaning: Capabilities) -> Iterator[bytes]:
    if meaning.fqdn is not None:
        yield grammar.FQDN.build((meaning.fqdn.hostname, meaning.fqdn.domain))


def _fqdn_text(meaning: Capabilities) -> str:
    assert meaning.fqdn is not None
    return printable(".".join(filter(None, (meaning.fqdn.hostname, meaning.fqdn.domain))))


_C = CapabilityCode
TABLE: dict[int, Row] = {
    row.code: row
    for row in (
        Row(_C.MULTIPROTOCOL, "families", _distinct, _multiprotocol_values, _multiprotocol_text),
        _presence(_C.ROUTE_REFRESH, "route_refresh"),
        Row(
            _C.EXTENDED_NEXT_HOP,
            "extended_next_hop",
            _fold_extended_next_hop,
            _extended_next_hop_values,
            _next_hop_text,
        ),
        _presence(_C.EXTENDED_MESSAGE, "extended_message"),
        Row(_C.ROLE, "roles", _fold_role, _role_values, _role_text),
        Row(
            _C.GRACEFUL_RESTART,
            "graceful_restart",
            _fold_graceful_restart,
            _graceful_restart_values,
            _graceful_restart_text,
        ),
        Row(
            _C.FOUR_OCTET_AS,
            "four_octet_as",
            _fold_four_octet_as,
            _four_octet_as_values,
            lambda meaning: str(meaning.four_octet_as),
        ),
        Row(_C.ADD_PATH, "add_path", _fold_add_path, _add_path_values, _add_path_text),
        _presence(_C.ENHANCED_ROUTE_REFRESH, "enhanced_route_refresh"),
        Row(
            _C.LONG_LIVED_GRACEFUL_RESTART,
            "long_lived_graceful_restart",
            _fold_long_lived,
            _long_lived_values,
            _long_lived_text,
        ),
        Row(_C.FQDN, "fqdn", lambda values: Fqdn(*values[-1]), _fqdn_values, _fqdn_text),
    )
}
