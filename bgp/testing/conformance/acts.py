"""Ways to break a good announcement of the victim, and what is then demanded.

That says `bgp.wire.reference`, which is written from the tables of the RFCs; so no case can ask for more than
those do.
"""

from collections.abc import Callable
from random import Random

from bgp.errors import Notify, Outcome
from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import AttributeType, MessageType
from bgp.testing.conformance.case import Answer, Case, Demand
from bgp.testing.conformance.scene import NEW_MARK, OPTIONAL, WELL_KNOWN, Scene
from bgp.testing.draft import Draft, Item
from bgp.wire import reference
from bgp.wire.attributes import walk
from bgp.wire.framing import frame

T = AttributeType
Act = Callable[[Draft, Scene], None]
Applies = Callable[[Scene], str]

UNKNOWN = 213  # an attribute type that nobody has taken


# These are no attributes of the route but say where it is, and by which way.
_ELSEWHERE = {T.NEXT_HOP, T.MP_REACH_NLRI, T.MP_UNREACH_NLRI}


def demanded(body: bytes, scene: Scene, victim: bytes) -> Demand:
    """Return what the RFCs demand of who receives this UPDATE."""
    try:
        verdict = reference.decode(body, scene.context)
    except Notify as fault:
        # Where the RFCs do not say what the data are, they may be anything.
        return Demand(Answer.RESET, fault.code, fault.subcode, fault.data or None)
    announced = [part for part in verdict.announced if any(route == victim for _, route in part.routes)]
    if not announced:
        withdrawn = any(route == victim for part in verdict.withdrawn for _, route in part.routes)
        return Demand(Answer.WITHDRAW if withdrawn else Answer.IGNORE)
    kept = {type: value for _, type, value in walk(announced[0].octets)}
    absent = (
        {fault.attribute for fault in verdict.faults if fault.attribute is not None}
        - kept.keys()
        - _ELSEWHERE
    )
    answer = Answer.DISCARD if verdict.outcome == Outcome.ATTRIBUTE_DISCARD and absent else Answer.ACCEPT
    passed = (T.COMMUNITIES, UNKNOWN)
    return Demand(
        answer,
        absent=tuple(sorted(absent)),
        present=tuple((type, kept[type]) for type in passed if type in kept),
    )


def update(
    name: str,
    sources: str,
    text: str,
    act: Act,
    *,
    family: Family = IPV4_UNICAST,
    two_octet_as: bool = False,
    applies: Applies = lambda scene: "",
    allowed: tuple[tuple[Demand, str], ...] = (),
    about: tuple[int, ...] = (),
    extended: bool = False,
) -> Case:
    """Return the case of an UPDATE that `act` breaks; `sources` are split at commas."""

    def build(scene: Scene) -> tuple[bytes, Demand]:
        draft = scene.draft(NEW_MARK, family=family)
        act(draft, scene)
        body = draft.body()
        return frame(MessageType.UPDATE, body), demanded(body, scene, scene.victim(family))

    def fits(scene: Scene) -> str:
        if family not in scene.next_hops:
            return f"the session has no {family}"
        return applies(scene)

    return Case(
        name,
        "update",
        tuple(source.strip() for source in sources.split(",")),
        text,
        build,
        family=family,
        watched=True,
        two_octet_as=two_octet_as,
        extended=extended,
        applies=fits,
        allowed=allowed,
        about=about,
    )


def internal(scene: Scene) -> str:
    return "" if scene.internal else "for internal sessions"


def external(scene: Scene) -> str:
    return "for external sessions" if scene.internal else ""


def two_octets(scene: Scene) -> str:
    return "" if scene.local_as < 65536 else "our AS number needs four octets"


# --- What a row does to the draft -----------------------------------------------------------------------


def put(flags: int, type: int, value: bytes, claimed: int | None = None) -> Act:
    """Put an attribute in, in place of the one that is there."""

    def act(draft: Draft, scene: Scene) -> None:
        draft.remove(type)
        draft.insert(Random(0), Item(flags, type, value, claimed))

    return act


def add(flags: int, type: int, value: bytes) -> Act:
    """Put an attribute in behind all others."""

    def act(draft: Draft, scene: Scene) -> None:
        draft.attributes.append(Item(flags, type, value))

    return act


def remove(type: int) -> Act:
    return lambda draft, scene: draft.remove(type)


def flip(type: int, bits: int, value: bytes | None = None, flags: int = 0) -> Act:
    """Turn bits of an attribute's flags; it is put in with `value` where the draft has none."""

    def act(draft: Draft, scene: Scene) -> None:
        item = draft.find(type)
        if item is None:
            assert value is not None
            item = draft.insert(Random(0), Item(flags, type, value))
        item.flags ^= bits

    return act


def path(make: Callable[[Scene], bytes]) -> Act:
    def act(draft: Draft, scene: Scene) -> None:
        item = draft.find(T.AS_PATH)
        assert item is not None
        item.value = make(scene)

    return act


def both(*acts: Act) -> Act:
    def act(draft: Draft, scene: Scene) -> None:
        for each in acts:
            each(draft, scene)

    return act


def lengths(withdrawn_excess: int = 0, attributes_excess: int = 0) -> Act:
    def act(draft: Draft, scene: Scene) -> None:
        draft.withdrawn_excess, draft.attributes_excess = withdrawn_excess, attributes_excess

    return act


def tail(octets: bytes) -> Act:
    def act(draft: Draft, scene: Scene) -> None:
        draft.tail = octets

    return act


def nlri(*prefixes: bytes) -> Act:
    def act(draft: Draft, scene: Scene) -> None:
        draft.nlri = [*draft.nlri, *prefixes]

    return act


def withdrawn(*prefixes: bytes) -> Act:
    def act(draft: Draft, scene: Scene) -> None:
        draft.withdrawn = list(prefixes)

    return act


def again(type: int) -> Act:
    def act(draft: Draft, scene: Scene) -> None:
        item = draft.find(type)
        assert item is not None
        draft.attributes.append(item)

    return act


def reach(cut: int | None = None, hop: bytes | None = None, more: bytes = b"") -> Act:
    """Change MP_REACH_NLRI: cut to so many octets, with another next hop, with octets behind the NLRI."""

    def act(draft: Draft, scene: Scene) -> None:
        draft.remove(T.MP_REACH_NLRI)
        item = scene.reach(IPV6_UNICAST, (scene.victim(IPV6_UNICAST),), hop)
        item.value = item.value[:cut] + more
        draft.attributes.append(item)

    return act


def unreach(value: bytes) -> Act:
    def act(draft: Draft, scene: Scene) -> None:
        draft.attributes.append(Item(OPTIONAL, T.MP_UNREACH_NLRI, value))

    return act


def only_attributes(draft: Draft, scene: Scene) -> None:
    draft.nlri = []
    put(WELL_KNOWN, T.ORIGIN, b"\0\0")(draft, scene)


def segment(type: int, *asns: int) -> Callable[[Scene], bytes]:
    """Return the good path with a segment behind it."""
    return lambda scene: (
        scene.as_path(NEW_MARK)
        + bytes([type, len(asns)])
        + b"".join(asn.to_bytes(scene.width, "big") for asn in asns)
    )


def raw(octets: bytes) -> Act:
    """Put octets in front of all attributes, as one that is written otherwise than usual."""

    def act(draft: Draft, scene: Scene) -> None:
        draft.tail = octets + draft.tail

    return act
