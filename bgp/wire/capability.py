"""Capabilities: one row for each that we know, between octets, meaning and text (RFC 5492).

An OPEN holds a tuple of `Capability`: codes and octets, in the peer's order, nothing lost.
`Capabilities` is what they mean together.  Each row of `TABLE` folds one value into that meaning and gives
the values back, so a further capability is a further row.

RFC 5492 section 3: a capability that we do not know "MUST be ignored"; it is kept in `unknown`.  No RFC says
what to do where a known capability has a value that cannot be read.  Ending the session would be harsh for
something optional, so such an instance counts as not sent and is kept in `malformed`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
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
        meaning = cls()
        unknown: list[Capability] = []
        malformed: list[Capability] = []
        for capability in capabilities:
            row = TABLE.get(capability.code)
            if row is None:
                unknown.append(capability)
                continue
            try:
                meaning = row.fold(meaning, capability.value)
            except grammar.Malformed:
                malformed.append(capability)
        return replace(meaning, unknown=tuple(unknown), malformed=tuple(malformed))

    def encode(self) -> tuple[Capability, ...]:
        """Return capabilities of this meaning, in ascending code, then the unknown and malformed ones.

        Raises ValueError where a value does not fit its field or a capability its 255 octets.
        """
        known = [
            Capability(row.code, value) for row in TABLE.values() for value in _checked(row, row.values(self))
        ]
        return (*known, *self.unknown, *self.malformed)

    def describe(self) -> tuple[str, ...]:
        """Return a line of text for each capability."""
        return tuple(describe(capability) for capability in self.encode())


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
    items = [{"code": capability.code, "value": capability.value} for capability in capabilities]
    try:
        return bytes(grammar.CAPABILITIES.build({"capabilities": items}))
    except grammar.Malformed as error:
        raise ValueError(f"a capability does not fit: {error}") from None


def decode(block: bytes) -> tuple[Capability, ...]:
    """Return the capabilities in `block`; raises ValueError where the last one overruns it."""
    try:
        parsed = grammar.CAPABILITIES.parse(block)
    except grammar.Malformed:
        raise ValueError("a capability overruns its parameter") from None
    return tuple(Capability(item.code, item.value) for item in parsed.capabilities)


# --- The rows ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """What is to know of one capability.

    `fold` adds the meaning of one value to what is known so far, and raises `Malformed` if it cannot be read;
    `values` gives the octets of the instances to send; `text` shows the meaning of a lone instance.
    """

    code: CapabilityCode
    fold: Callable[[Capabilities, bytes], Capabilities]
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


def _fold_multiprotocol(meaning: Capabilities, value: bytes) -> Capabilities:
    parsed = grammar.MULTIPROTOCOL.parse(value)
    families = dict.fromkeys((*meaning.families, (parsed.afi, parsed.safi)))
    return replace(meaning, families=tuple(families))


def _multiprotocol_values(meaning: Capabilities) -> Iterator[bytes]:
    for afi, safi in meaning.families:
        yield grammar.MULTIPROTOCOL.build({"afi": afi, "safi": safi})


def _multiprotocol_text(meaning: Capabilities) -> str:
    return " ".join(family_name(afi, safi) for afi, safi in meaning.families)


# RFC 2918 section 2, RFC 7313 section 3.1, RFC 8654 section 3: presence is all that they say.


def _presence(code: CapabilityCode, field: str) -> "Row":
    present: dict[str, Any] = {field: True}

    def fold(meaning: Capabilities, value: bytes) -> Capabilities:
        grammar.EMPTY.parse(value)
        return replace(meaning, **present)

    def values(meaning: Capabilities) -> Iterator[bytes]:
        if getattr(meaning, field):
            yield b""

    return Row(code, fold, values, lambda _: "")


# RFC 8950 section 4.  Several instances are not spoken of: together they are a longer list.


def _fold_extended_next_hop(meaning: Capabilities, value: bytes) -> Capabilities:
    parsed = grammar.EXTENDED_NEXT_HOP.parse(value)
    found = [(item.afi, item.safi, item.next_hop_afi) for item in parsed.families]
    return replace(meaning, extended_next_hop=tuple(dict.fromkeys((*meaning.extended_next_hop, *found))))


def _extended_next_hop_values(meaning: Capabilities) -> Iterator[bytes]:
    names = ("afi", "safi", "next_hop_afi")
    if meaning.extended_next_hop:
        families = [dict(zip(names, item, strict=True)) for item in meaning.extended_next_hop]
        yield grammar.EXTENDED_NEXT_HOP.build({"families": families})


def _next_hop_text(meaning: Capabilities) -> str:
    return ", ".join(
        f"{family_name(afi, safi)} over {_afi(over)}" for afi, safi, over in meaning.extended_next_hop
    )


# RFC 9234 section 4.2: identical instances count as one; the session refuses a peer with different ones.


def _fold_role(meaning: Capabilities, value: bytes) -> Capabilities:
    roles = dict.fromkeys((*meaning.roles, grammar.ROLE.parse(value).role))
    return replace(meaning, roles=tuple(roles))


def _role_values(meaning: Capabilities) -> Iterator[bytes]:
    for role in meaning.roles:
        yield grammar.ROLE.build({"role": role})


def _role_text(meaning: Capabilities) -> str:
    return " ".join(
        Role(role).name.lower().replace("_", "-") if role in set(Role) else str(role)
        for role in meaning.roles
    )


# RFC 4724 section 3: of several instances, "all but the last instance" are ignored.


def _fold_graceful_restart(meaning: Capabilities, value: bytes) -> Capabilities:
    parsed = grammar.GRACEFUL_RESTART.parse(value)
    restart = GracefulRestart(
        bool(parsed.restart.restarting),
        bool(parsed.restart.notification),
        parsed.restart.time,
        tuple((item.afi, item.safi, bool(item.flags.forwarding)) for item in parsed.families),
    )
    return replace(meaning, graceful_restart=restart)


def _graceful_restart_values(meaning: Capabilities) -> Iterator[bytes]:
    restart = meaning.graceful_restart
    if restart is None:
        return
    head = {
        "restarting": restart.restarting,
        "notification": restart.notification,
        "time": restart.time,
    }
    families = [
        {"afi": afi, "safi": safi, "flags": {"forwarding": forwarding}}
        for afi, safi, forwarding in restart.families
    ]
    yield grammar.GRACEFUL_RESTART.build({"restart": head, "families": families})


def _graceful_restart_text(meaning: Capabilities) -> str:
    restart = meaning.graceful_restart
    assert restart is not None
    flags = "R" * restart.restarting + "N" * restart.notification
    families = [family_name(afi, safi) + " F" * forwarding for afi, safi, forwarding in restart.families]
    return ", ".join((f"{restart.time} s {flags}".rstrip(), *families))


# RFC 6793 section 3.


def _fold_four_octet_as(meaning: Capabilities, value: bytes) -> Capabilities:
    return replace(meaning, four_octet_as=grammar.FOUR_OCTET_AS.parse(value).asn)


def _four_octet_as_values(meaning: Capabilities) -> Iterator[bytes]:
    if meaning.four_octet_as is not None:
        yield grammar.FOUR_OCTET_AS.build({"asn": meaning.four_octet_as})


# RFC 7911 section 4: any other Send/Receive value "SHOULD be treated as not understood and ignored"; that
# entry alone is, for the others say what they say.  All families must be in one instance; if there are
# several nevertheless, they are merged, and for a family the last entry counts.


def _fold_add_path(meaning: Capabilities, value: bytes) -> Capabilities:
    modes = {(afi, safi): mode for afi, safi, mode in meaning.add_path}
    for item in grammar.ADD_PATH.parse(value).families:
        if item.mode in set(AddPathMode):
            modes[item.afi, item.safi] = item.mode
    return replace(meaning, add_path=tuple((afi, safi, mode) for (afi, safi), mode in modes.items()))


def _add_path_values(meaning: Capabilities) -> Iterator[bytes]:
    if meaning.add_path:
        families = [{"afi": afi, "safi": safi, "mode": mode} for afi, safi, mode in meaning.add_path]
        yield grammar.ADD_PATH.build({"families": families})


def _add_path_text(meaning: Capabilities) -> str:
    return ", ".join(
        f"{family_name(afi, safi)} {AddPathMode(mode).name.lower()}" for afi, safi, mode in meaning.add_path
    )


# RFC 9494 section 3.1, which goes with RFC 4724: the last instance counts.


def _fold_long_lived(meaning: Capabilities, value: bytes) -> Capabilities:
    families = tuple(
        (item.afi, item.safi, bool(item.flags.forwarding), item.time)
        for item in grammar.LONG_LIVED_GRACEFUL_RESTART.parse(value).families
    )
    return replace(meaning, long_lived_graceful_restart=LongLivedGracefulRestart(families))


def _long_lived_values(meaning: Capabilities) -> Iterator[bytes]:
    if meaning.long_lived_graceful_restart is not None:
        families = [
            {"afi": afi, "safi": safi, "flags": {"forwarding": forwarding}, "time": time}
            for afi, safi, forwarding, time in meaning.long_lived_graceful_restart.families
        ]
        yield grammar.LONG_LIVED_GRACEFUL_RESTART.build({"families": families})


def _long_lived_text(meaning: Capabilities) -> str:
    restart = meaning.long_lived_graceful_restart
    assert restart is not None
    return ", ".join(
        f"{family_name(afi, safi)} {time} s" + " F" * forwarding
        for afi, safi, forwarding, time in restart.families
    )


# draft-walton-bgp-hostname-capability section 2: both names are in UTF-8.


def _fold_fqdn(meaning: Capabilities, value: bytes) -> Capabilities:
    parsed = grammar.FQDN.parse(value)
    return replace(meaning, fqdn=Fqdn(parsed.hostname, parsed.domain))


def _fqdn_values(meaning: Capabilities) -> Iterator[bytes]:
    if meaning.fqdn is not None:
        yield grammar.FQDN.build({"hostname": meaning.fqdn.hostname, "domain": meaning.fqdn.domain})


def _fqdn_text(meaning: Capabilities) -> str:
    assert meaning.fqdn is not None
    return printable(".".join(filter(None, (meaning.fqdn.hostname, meaning.fqdn.domain))))


_C = CapabilityCode
TABLE: dict[int, Row] = {
    row.code: row
    for row in (
        Row(_C.MULTIPROTOCOL, _fold_multiprotocol, _multiprotocol_values, _multiprotocol_text),
        _presence(_C.ROUTE_REFRESH, "route_refresh"),
        Row(_C.EXTENDED_NEXT_HOP, _fold_extended_next_hop, _extended_next_hop_values, _next_hop_text),
        _presence(_C.EXTENDED_MESSAGE, "extended_message"),
        Row(_C.ROLE, _fold_role, _role_values, _role_text),
        Row(_C.GRACEFUL_RESTART, _fold_graceful_restart, _graceful_restart_values, _graceful_restart_text),
        Row(_C.FOUR_OCTET_AS, _fold_four_octet_as, _four_octet_as_values, lambda m: str(m.four_octet_as)),
        Row(_C.ADD_PATH, _fold_add_path, _add_path_values, _add_path_text),
        _presence(_C.ENHANCED_ROUTE_REFRESH, "enhanced_route_refresh"),
        Row(_C.LONG_LIVED_GRACEFUL_RESTART, _fold_long_lived, _long_lived_values, _long_lived_text),
        Row(_C.FQDN, _fold_fqdn, _fqdn_values, _fqdn_text),
    )
}
