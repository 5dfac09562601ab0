"""What breaks exactly one rule of `bgp.errors.RULES`, whatever it is about, and what the RFCs demand then.

A `Broken` is data: the two ends of the session, how far that has come, what the peer does then, and the
outcome.  So whoever has a speaker of its own can bring a session up as `ours` says, do it, and compare.
Each rule has a row in `TABLE`; those about UPDATEs are made by `bgp.testing.breakage`, and the reference says
what they demand.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from enum import Enum
from random import Random

from bgp import errors
from bgp.errors import RULES, Notify, Outcome, Rule
from bgp.iana import AddPathMode, CapabilityCode, MessageType, Role
from bgp.session.config import AsExpected, SessionConfig
from bgp.session.event import Event, State
from bgp.session.negotiation import offer
from bgp.testing import breakage, generate, messages
from bgp.testing.generate import chance, octets
from bgp.wire import capability, reference
from bgp.wire.capability import Capability
from bgp.wire.context import Context
from bgp.wire.framing import frame
from bgp.wire.message import Keepalive, Open, RouteRefresh, encode

LOCAL_AS, PEER_AS = 64999, 65001


class Cause(Enum):
    """What it is that breaks the rule."""

    OCTETS = "octets"  # what the peer sends
    SILENCE = "silence"  # it sends nothing for the hold time
    UNREAD = "unread"  # it reads nothing for the send hold time
    COLLISION = "collision"  # another connection with it is kept
    EVENT = "event"  # something local that has no place in this state


@dataclass(frozen=True, slots=True)
class Broken:
    """One rule broken: how, and what is demanded.

    `ours` is the receiver's configuration and `theirs` the peer's, with which the session reaches `state`;
    then `cause` has the peer send `octets`, whole messages, or do nothing for too long.  `outcome` is what
    becomes of the message, and `data` that of the NOTIFICATION where that is a session reset.
    """

    rule: Rule
    ours: SessionConfig
    theirs: SessionConfig
    state: State
    octets: bytes = b""
    data: bytes = b""
    outcome: Outcome = Outcome.SESSION_RESET
    cause: Cause = Cause.OCTETS
    event: Event | None = None
    context: Context | None = None  # of an UPDATE

    @property
    def notification(self) -> tuple[int, int, bytes] | None:
        """Code, subcode and data of the NOTIFICATION that is demanded, None where the session goes on."""
        if self.outcome is not Outcome.SESSION_RESET:
            return None
        return self.rule.code, self.rule.subcode, self.data


Maker = Callable[[Random, Rule], Broken]


def sides(context: Context) -> tuple[SessionConfig, SessionConfig]:
    """Return the configurations of two ends that negotiate this session."""
    families = tuple(sorted(context.families, key=lambda family: family.afi))
    ours = SessionConfig(
        local_as=context.peer_as if context.internal else LOCAL_AS,
        identifier=1,
        peer_as=context.peer_as,
        families=families,
        confederation=context.confederation,
        four_octet_as=context.four_octet_as,
        extended_messages=context.extended_messages,
        add_path=dict.fromkeys(context.add_path, AddPathMode.BOTH),
        extended_next_hop=tuple(context.extended_next_hop),
        as_sets=context.as_sets,
        aigp=context.aigp,
        first_as=context.first_as,
    )
    theirs = replace(ours, local_as=context.peer_as, identifier=2, peer_as=AsExpected.ANY)
    return ours, theirs


_OURS = SessionConfig(local_as=LOCAL_AS, identifier=1)
_THEIRS = SessionConfig(local_as=PEER_AS, identifier=2)


# --- UPDATEs ----------------------------------------------------------------------------------------------


def _representable(context: Context) -> bool:
    """Whether an OPEN without four-octet AS numbers can say who the peer is."""
    return context.four_octet_as or context.peer_as <= 0xFFFF


def _update(random: Random, rule: Rule) -> Broken:
    context = generate.context(random)
    while not (breakage.BREAKERS[rule.name].applies(context) and _representable(context)):
        context = generate.context(random)
    maximum = 65535 if context.extended_messages else 4096
    while len(body := breakage.update(random, context, [rule.name])) > maximum - 19:
        pass
    ours, theirs = sides(context)
    outcome, data = Outcome.SESSION_RESET, b""
    try:
        outcome = reference.decode(body, context).outcome
    except Notify as notify:
        data = notify.data
    whole = frame(MessageType.UPDATE, body)
    return Broken(rule, ours, theirs, State.ESTABLISHED, whole, data, outcome, context=context)


# --- The header -------------------------------------------------------------------------------------------


def _anywhere(random: Random) -> State:
    return random.choice((State.OPEN_SENT, State.ESTABLISHED))


def _marker(random: Random, rule: Rule) -> Broken:
    at, octet = random.randrange(16), random.randrange(255)
    whole = encode(Keepalive())
    return Broken(rule, _OURS, _THEIRS, _anywhere(random), whole[:at] + bytes((octet,)) + whole[at + 1 :])


_LENGTHS = {
    MessageType.OPEN: (19, 20, 28, 4097),
    MessageType.UPDATE: (19, 22, 65535),
    MessageType.NOTIFICATION: (19, 20, 4097),
    MessageType.KEEPALIVE: (18, 20, 0, 4096, 65535),
}


def _message_length(random: Random, rule: Rule) -> Broken:
    """Break the bounds of RFC 4271 section 6.1 on a session without extended messages."""
    ours = replace(_OURS, extended_messages=False)
    kind = random.choice(list(_LENGTHS))
    length = random.choice(_LENGTHS[kind])
    head = b"\xff" * 16 + length.to_bytes(2, "big") + bytes((kind,))
    return Broken(
        rule, ours, _THEIRS, State.ESTABLISHED, head + bytes(max(length - 19, 0)), length.to_bytes(2, "big")
    )


def _message_type(random: Random, rule: Rule) -> Broken:
    kind = random.choice((0, 6, 7, 128, 255))
    return Broken(rule, _OURS, _THEIRS, _anywhere(random), frame(kind, octets(random, 4)), bytes((kind,)))


# --- OPEN -------------------------------------------------------------------------------------------------


def _opening(rule: Rule, whole: bytes, ours: SessionConfig = _OURS, data: bytes = b"") -> Broken:
    return Broken(rule, ours, _THEIRS, State.OPEN_SENT, whole, data)


def _changed(at: int, value: bytes) -> bytes:
    """Return a good OPEN of the peer with some octets of its body replaced."""
    body = encode(offer(_THEIRS))[19:]
    return frame(MessageType.OPEN, body[:at] + value + body[at + len(value) :])


def _version(random: Random, rule: Rule) -> Broken:
    version = random.choice((0, 1, 2, 3, 5, 255))
    return _opening(rule, _changed(0, bytes((version,))), data=b"\0\4")


def _peer_as(random: Random, rule: Rule) -> Broken:
    expected = random.choice((PEER_AS + 1, AsExpected.INTERNAL, 4200000001))
    return _opening(rule, encode(offer(_THEIRS)), replace(_OURS, peer_as=expected))


def _as_zero(random: Random, rule: Rule) -> Broken:
    if chance(random, 0.5):
        return _opening(rule, encode(Open(0, 90, 2)))
    zero = Capability(CapabilityCode.FOUR_OCTET_AS, bytes(4))
    return _opening(rule, encode(Open(PEER_AS, 90, 2, (zero,))))


def _identifier(random: Random, rule: Rule) -> Broken:
    return _opening(rule, _changed(5, bytes(4)))


def _identifier_ours(random: Random, rule: Rule) -> Broken:
    theirs = replace(_THEIRS, local_as=LOCAL_AS, identifier=_OURS.identifier)
    return _opening(rule, encode(offer(theirs)))


def _hold_time(random: Random, rule: Rule) -> Broken:
    if chance(random, 0.7):
        return _opening(rule, _changed(3, random.choice((b"\0\1", b"\0\2"))))
    demanding = replace(_OURS, minimum_hold_time=30)
    return _opening(rule, _changed(3, random.choice((b"\0\3", b"\0\x1d"))), demanding)


def _with_parameters(parameters: bytes, claimed: int | None = None) -> bytes:
    fixed = b"\4" + PEER_AS.to_bytes(2, "big") + b"\0\x5a\0\0\0\2"
    length = len(parameters) if claimed is None else claimed
    return frame(MessageType.OPEN, fixed + bytes((length,)) + parameters)


def _parameter(random: Random, rule: Rule) -> Broken:
    value = octets(random, random.randrange(5))
    kind = random.choice((0, 1, 3, 254))
    return _opening(rule, _with_parameters(bytes((kind, len(value))) + value))


def _parameter_malformed(random: Random, rule: Rule) -> Broken:
    cut = random.choice((b"\2", b"\2\4\2\0", b"\2\0\2", b"\2\xff"))
    return _opening(rule, _with_parameters(cut))


def _capability_malformed(random: Random, rule: Rule) -> Broken:
    some = capability.encode([messages.capability(random, CapabilityCode.MULTIPROTOCOL)])
    block = random.choice((some[:-1], some + b"\x46", some + b"\x46\x05\x01", b"\2"))
    return _opening(rule, _with_parameters(bytes((2, len(block))) + block))


def _capability_required(random: Random, rule: Rule) -> Broken:
    code = random.choice((CapabilityCode.ROUTE_REFRESH, CapabilityCode.FOUR_OCTET_AS))
    ours = replace(_OURS, required=(code,))
    wanted = [each for each in offer(ours).capabilities if each.code == code]
    whole = encode(Open(PEER_AS, 90, 2, (Capability(CapabilityCode.MULTIPROTOCOL, b"\0\1\0\1"),)))
    return _opening(rule, whole, ours, capability.encode(wanted))


def _role(random: Random, rule: Rule) -> Broken:
    ours = replace(_OURS, role=Role.PROVIDER, strict_role=chance(random, 0.3))
    theirs = replace(_THEIRS, role=random.choice((Role.PROVIDER, Role.PEER, Role.ROUTE_SERVER)))
    if ours.strict_role and chance(random, 0.5):
        theirs = _THEIRS
    return _opening(rule, encode(offer(theirs)), ours)


# --- ROUTE-REFRESH, the machine, its timers ---------------------------------------------------------------


def _route_refresh_length(random: Random, rule: Rule) -> Broken:
    body = b"\0\1" + bytes((random.choice((1, 2)), 1))
    body = body[:3] if chance(random, 0.3) else body + octets(random, random.randint(1, 40))
    whole = frame(MessageType.ROUTE_REFRESH, body)
    return Broken(rule, _OURS, _THEIRS, State.ESTABLISHED, whole, whole)


def _unexpected(state: State, *kinds: MessageType) -> Maker:
    """Return a maker of messages that have no place in a state."""
    whole = {
        MessageType.OPEN: encode(offer(_THEIRS)),
        MessageType.UPDATE: frame(MessageType.UPDATE, bytes(4)),
        MessageType.KEEPALIVE: encode(Keepalive()),
        MessageType.ROUTE_REFRESH: encode(RouteRefresh(1, 1)),
    }

    def make(random: Random, rule: Rule) -> Broken:
        kind = random.choice(kinds)
        return Broken(rule, _OURS, _THEIRS, state, whole[kind], bytes((kind,)))

    return make


def _silence(random: Random, rule: Rule) -> Broken:
    ours = replace(_OURS, hold_time=random.choice((3, 30, 90)))
    return Broken(rule, ours, _THEIRS, State.ESTABLISHED, cause=Cause.SILENCE)


def _unread(random: Random, rule: Rule) -> Broken:
    return Broken(rule, _OURS, _THEIRS, State.ESTABLISHED, cause=Cause.UNREAD)


def _event(random: Random, rule: Rule) -> Broken:
    event = random.choice((Event.CONNECT_RETRY_TIMER_EXPIRES, Event.DELAY_OPEN_TIMER_EXPIRES))
    state = random.choice((State.OPEN_SENT, State.OPEN_CONFIRM, State.ESTABLISHED))
    return Broken(rule, _OURS, _THEIRS, state, cause=Cause.EVENT, event=event)


def _collision(random: Random, rule: Rule) -> Broken:
    state = random.choice((State.OPEN_SENT, State.OPEN_CONFIRM))
    event = Event.OPEN_COLLISION_DUMP
    return Broken(rule, _OURS, _THEIRS, state, cause=Cause.COLLISION, event=event)


_M = MessageType
# The rules that no UPDATE breaks; `TABLE` has all.
_OTHERS: dict[Rule, Maker] = {
    errors.MARKER: _marker,
    errors.MESSAGE_LENGTH: _message_length,
    errors.MESSAGE_TYPE: _message_type,
    errors.VERSION: _version,
    errors.PEER_AS: _peer_as,
    errors.PEER_AS_ZERO: _as_zero,
    errors.IDENTIFIER: _identifier,
    errors.IDENTIFIER_OURS: _identifier_ours,
    errors.HOLD_TIME: _hold_time,
    errors.OPTIONAL_PARAMETER: _parameter,
    errors.OPTIONAL_PARAMETER_MALFORMED: _parameter_malformed,
    errors.CAPABILITY_MALFORMED: _capability_malformed,
    errors.CAPABILITY_REQUIRED: _capability_required,
    errors.ROLE_MISMATCH: _role,
    errors.ROUTE_REFRESH_LENGTH: _route_refresh_length,
    errors.HOLD_TIMER: _silence,
    errors.SEND_HOLD_TIMER: _unread,
    errors.FSM_OPEN_SENT: _unexpected(State.OPEN_SENT, _M.UPDATE, _M.KEEPALIVE, _M.ROUTE_REFRESH),
    errors.FSM_OPEN_CONFIRM: _unexpected(State.OPEN_CONFIRM, _M.UPDATE, _M.OPEN, _M.ROUTE_REFRESH),
    errors.FSM_ESTABLISHED: _unexpected(State.ESTABLISHED, _M.OPEN),
    errors.FSM_EVENT: _event,
    errors.COLLISION: _collision,
}
TABLE: dict[str, Maker] = {
    **{rule.name: maker for rule, maker in _OTHERS.items()},
    **dict.fromkeys(breakage.BREAKERS, _update),
}
# The rules that a peer breaks by what it sends.
BY_OCTETS = tuple(
    name
    for name in TABLE
    if name in breakage.BREAKERS or _OTHERS[RULES[name]] not in (_silence, _unread, _event, _collision)
)


def broken(random: Random, rules: Collection[str] = ()) -> Broken:
    """Return something that breaks one of `rules`, by default of all that there are."""
    name = random.choice(sorted(rules or TABLE))
    return TABLE[name](random, RULES[name])
