"""What whoever overhears a session knows of it: the meaning of UPDATEs follows from the two OPENs."""

from dataclasses import replace

from bgp.family import BY_CODE, DEFAULT_FAMILIES, Family
from bgp.iana import AddPathMode, Afi
from bgp.wire.capability import Capabilities
from bgp.wire.context import Context
from bgp.wire.message import Open


def learned(given: Context, sender: Open | None, receiver: Open | None) -> Context:
    """Return the context of UPDATEs from `sender` to `receiver`; None agrees with whatever the other said."""
    said = [Capabilities.parse(side.capabilities) if side else None for side in (sender, receiver)]
    sending, receiving = (one or other or Capabilities() for one, other in (said, said[::-1]))
    internal = given.internal
    if sender is not None and receiver is not None:
        internal = sender.asn == receiver.asn
    return replace(
        given,
        internal=internal,
        confederation=given.confederation and not internal,
        four_octet_as=sending.four_octet_as is not None and receiving.four_octet_as is not None,
        families=_families(sending) & _families(receiving),
        add_path=_add_path(said[0], AddPathMode.SEND) & _add_path(said[1], AddPathMode.RECEIVE),
        # RFC 8950 section 4 and RFC 8654 section 4: it is the receiver whose word counts.
        extended_next_hop=frozenset(
            BY_CODE[afi, safi]
            for afi, safi, next_hop in receiving.extended_next_hop
            if (afi, safi) in BY_CODE and next_hop == Afi.IPV6
        ),
        extended_messages=receiving.extended_message,
        # RFC 7311 section 3.3: enabled by default on internal sessions.
        aigp=given.aigp or internal,
        peer_as=sender.asn if sender is not None else given.peer_as,
    )


def _families(capabilities: Capabilities) -> frozenset[Family]:
    if not capabilities.multiprotocol:
        return frozenset(DEFAULT_FAMILIES)
    return frozenset(BY_CODE[code] for code in capabilities.families if code in BY_CODE)


def _add_path(capabilities: Capabilities | None, mode: AddPathMode) -> frozenset[Family]:
    if capabilities is None:
        return frozenset(BY_CODE.values())
    return frozenset(
        BY_CODE[afi, safi]
        for afi, safi, offered in capabilities.add_path
        if (afi, safi) in BY_CODE and offered in (mode, AddPathMode.BOTH)
    )
