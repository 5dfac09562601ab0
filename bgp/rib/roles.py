"""Roles: what RFC 9234 section 5 does about route leaks, on the way in and on the way out.

Who gets a route from a provider, a peer or a route server may pass it on to customers only, and the attribute
Only to Customer (OTC) says so.  `PROCEDURES` goes by our own role on the session, which needs no consent of
the peer's, and nothing of it can be configured: "The operator MUST NOT have the ability to modify" it.
"""

from enum import Enum
from typing import NamedTuple

from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.iana import AttributeType, Role
from bgp.rib.path import Refusal
from bgp.wire.attributes import OPTIONAL_TRANSITIVE, Attributes, AttributeTable, attribute, walk

# "... applicable only for the address families" of these two, and of no others.
FAMILIES = frozenset({IPV4_UNICAST, IPV6_UNICAST})


class Step(Enum):
    """What becomes of a route."""

    PASS = "pass"
    MARK = "mark"  # it gets an OTC: of the remote AS on the way in, of the local AS on the way out
    STOP = "stop"  # a leak, or what would be one
    OTHERS = "others"  # a leak if its OTC is of another AS than the peer's


class Procedure(NamedTuple):
    """The steps for a route with OTC and for one without, on receipt and on advertisement."""

    received_with: Step
    received_without: Step
    sent_with: Step
    sent_without: Step


_PASS, _MARK, _STOP, _OTHERS = Step.PASS, Step.MARK, Step.STOP, Step.OTHERS
# fmt: off
PROCEDURES = {
    our: Procedure(*steps)
    for our, _, steps in (
        #                                                       received           sent
        # our role                 the peer's                   with OTC, without  with OTC, without
        (Role.PROVIDER,            Role.CUSTOMER,             (_STOP,     _PASS,   _PASS,    _MARK)),
        (Role.ROUTE_SERVER,        Role.ROUTE_SERVER_CLIENT,  (_STOP,     _PASS,   _PASS,    _MARK)),
        (Role.PEER,                Role.PEER,                 (_OTHERS,   _MARK,   _STOP,    _MARK)),
        (Role.CUSTOMER,            Role.PROVIDER,             (_PASS,     _MARK,   _STOP,    _PASS)),
        (Role.ROUTE_SERVER_CLIENT, Role.ROUTE_SERVER,         (_PASS,     _MARK,   _STOP,    _PASS)),
    )
}
# fmt: on

LEAK = Refusal("route-leak", "RFC 9234 5", "it is only for customers, and comes from a customer or RS-client")
LEAK_OF_PEER = Refusal("route-leak", "RFC 9234 5", "it is only for customers of another AS than this peer's")

_OTC = int(AttributeType.ONLY_TO_CUSTOMER)
# What an OTC attribute looks like behind its flags: type and length.  Few others hold that by chance.
_START = bytes((_OTC, 4))


def only_to_customer(attributes: Attributes) -> int | None:
    """Return the AS in the OTC of `attributes`, at next to no cost for those that have none."""
    return attributes.only_to_customer if _START in attributes.octets else None


def received(
    attributes: Attributes, role: Role, remote_as: int, table: AttributeTable
) -> Attributes | Refusal:
    """Return how a route is taken in from the AS `remote_as` where we have `role`, or the leak that it is."""
    marked = only_to_customer(attributes)
    procedure = PROCEDURES[role]
    step = procedure.received_without if marked is None else procedure.received_with
    if step is _STOP:
        return LEAK
    if step is _OTHERS and marked != remote_as:
        return LEAK_OF_PEER
    return table.derive(attributes, {_OTC: _octets(remote_as)}) if step is _MARK else attributes


def marked(octets: bytes, local_as: int) -> bytes:
    """Return attributes with an OTC of ours where they have none."""
    if _START in octets and any(type_ == _OTC for _, type_, _ in walk(octets)):
        return octets
    items = [*walk(octets), (OPTIONAL_TRANSITIVE, _OTC, _octets(local_as))]
    return b"".join([attribute(*item) for item in sorted(items, key=lambda item: item[1])])


def _octets(asn: int) -> bytes:
    return asn.to_bytes(4, "big")
