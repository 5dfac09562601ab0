"""Changes as netlink messages, by templates: what a route says is packed once and shared by all its prefixes.

A message is a head, which the prefix length decides, the sequence number, a body, which the route decides,
and the destination last, so that a batch is one `join`.  The sequence number is the place in the batch, and
that is what the kernel's complaints are known by.  `reference` is the readable original.

What is new is written with NLM_F_EXCL, so the kernel itself refuses where somebody else's route stands in
the same place; what is ours already is replaced whole, in one step.
"""

import struct
import sys
from collections.abc import Mapping, Sequence
from errno import ENODEV
from typing import TypeAlias

from bgp.family import IPV6_UNICAST, Family
from fib.backend import Failure, Owner
from fib.kernel.netlink import (
    AF_INET,
    AF_INET6,
    ATTRIBUTE,
    HEADER,
    LEG,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NLM_F_REQUEST,
    ROUTE,
    RT_SCOPE_NOWHERE,
    RT_TABLE_UNSPEC,
    RTA_DST,
    RTA_GATEWAY,
    RTA_METRICS,
    RTA_MULTIPATH,
    RTA_OIF,
    RTA_PREFSRC,
    RTA_PRIORITY,
    RTA_TABLE,
    RTA_VIA,
    RTAX_ADVMSS,
    RTAX_MTU,
    RTM_DELROUTE,
    RTM_NEWROUTE,
    RTNH_F_ONLINK,
    U32,
    attribute,
)
from fib.plan import Change
from fib.route import Address, NextHop, Route, effective_scope

LIMIT = 1024  # changes in a batch
# A change whose metric differs is two messages, and the last one is the request for an answer.
SEQUENCES = [U32.pack(number) for number in range(2 * LIMIT + 2)]
# More sets of next hops than this are packed anew now and then, so that the templates stay bounded.
_TEMPLATES = 8192

ADD = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL
REPLACE = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE
DELETE = NLM_F_REQUEST

# Of a prefix length: head of the message, and what of it stands between sequence and destination.
Template: TypeAlias = list[tuple[bytes, bytes, bytes] | None]


class NoInterface(Exception):
    """A next hop is on an interface that is not there."""


class Packer:
    """Packs changes of one family; `interfaces` maps names to indexes."""

    def __init__(self, family: Family, owner: Owner, interfaces: Mapping[str, int]) -> None:
        self._family = family
        self._owner = owner
        self._interfaces = interfaces
        self._bytes = family.bits // 8
        self._adds: dict[Route, Template] = {}
        self._replaces: dict[Route, Template] = {}
        self._deletes: dict[int | None, Template] = {}

    def forget(self) -> None:
        """Interfaces have changed, so what names one is packed anew."""
        self._adds.clear()
        self._replaces.clear()

    def pack(self, changes: Sequence[Change]) -> tuple[bytes, list[int], dict[int, Failure]]:
        """Return the batch, what change each of its messages is about, and the changes that cannot be packed.

        The batch asks for an answer with a sequence number of as many messages as it has.
        """
        parts: list[bytes] = []
        places: list[int] = []
        failures: dict[int, Failure] = {}
        extend = parts.extend
        mark = places.append
        number = 0
        for place, (prefix, before, after) in enumerate(changes):
            stale = before
            if after is not None:
                if before is not None and before.metric == after.metric:
                    templates, flags = self._replaces, REPLACE
                    stale = None
                else:
                    templates, flags = self._adds, ADD
                template = templates.get(after)
                if template is None:
                    if len(templates) >= _TEMPLATES:
                        templates.clear()
                    template = templates[after] = [None] * (self._family.bits + 1)
                piece = template[prefix[0]]
                if piece is None:
                    try:
                        body = self._body(after)
                    except NoInterface as error:
                        failures[place] = Failure(ENODEV, str(error))
                        continue
                    piece = template[prefix[0]] = self._piece(RTM_NEWROUTE, flags, prefix[0], body)
                extend((piece[0], SEQUENCES[number], piece[1], prefix[1:], piece[2]))
                mark(place)
                number += 1
            if stale is not None:
                template = self._deletes.get(stale.metric)
                if template is None:
                    if len(self._deletes) >= _TEMPLATES:
                        self._deletes.clear()
                    template = self._deletes[stale.metric] = [None] * (self._family.bits + 1)
                piece = template[prefix[0]]
                if piece is None:
                    body = self._removal(stale.metric)
                    piece = template[prefix[0]] = self._piece(RTM_DELROUTE, DELETE, prefix[0], body)
                extend((piece[0], SEQUENCES[number], piece[1], prefix[1:], piece[2]))
                mark(place)
                number += 1
        if number:
            # The last one is acknowledged, which says that all before it were looked at.
            head = parts[-5]
            length, kind, flags = _HEAD.unpack(head)
            parts[-5] = _HEAD.pack(length, kind, flags | NLM_F_ACK)
        return b"".join(parts), places, failures

    def _piece(self, kind: int, flags: int, length: int, body: bytes) -> tuple[bytes, bytes, bytes]:
        octets = (length + 7) >> 3
        # The second octet of an rtmsg is the length of the destination.
        middle = bytes(4) + body[:1] + bytes((length,)) + body[2:]
        middle += ATTRIBUTE.pack(4 + self._bytes, RTA_DST)
        size = 12 + len(middle) + self._bytes
        return _HEAD.pack(size, kind, flags), middle, bytes(self._bytes - octets)

    def _body(self, route: Route) -> bytes:
        return body(self._family, self._owner, route, self._interfaces)

    def _removal(self, metric: int | None) -> bytes:
        return removal(self._family, self._owner, metric)


_HEAD = struct.Struct("=IHH")  # length, type and flags of an nlmsghdr


def body(family: Family, owner: Owner, route: Route, interfaces: Mapping[str, int]) -> bytes:
    """Return rtmsg and attributes of `route`, the destination left out."""
    ipv6 = family is IPV6_UNICAST
    scope = 0 if ipv6 else int(effective_scope(route))
    flags = 0
    rest = attribute(RTA_TABLE, U32.pack(owner.table))
    if route.metric is not None:
        rest += attribute(RTA_PRIORITY, U32.pack(route.metric))
    metrics = b""
    if route.mtu is not None:
        metrics += attribute(RTAX_MTU, U32.pack(route.mtu))
    if route.advmss is not None:
        metrics += attribute(RTAX_ADVMSS, U32.pack(route.advmss))
    if metrics:
        rest += attribute(RTA_METRICS, metrics)
    if route.source is not None:
        rest += attribute(RTA_PREFSRC, route.source.packed)
    if len(route.next_hops) == 1:
        (hop,) = route.next_hops
        flags = RTNH_F_ONLINK if hop.onlink else 0
        rest += _gateway(family, hop.via)
        if hop.interface is not None:
            rest += attribute(RTA_OIF, U32.pack(_index(hop.interface, interfaces)))
    elif route.next_hops:
        legs = b"".join([_leg(family, hop, interfaces) for hop in route.next_hops])
        rest += attribute(RTA_MULTIPATH, legs)
    return _message(family, owner, scope, int(route.type), flags) + rest


def removal(family: Family, owner: Owner, metric: int | None) -> bytes:
    """Return rtmsg and attributes that delete the owner's route and nobody else's: the protocol is named."""
    rest = attribute(RTA_TABLE, U32.pack(owner.table))
    if metric is not None:
        rest += attribute(RTA_PRIORITY, U32.pack(metric))
    return _message(family, owner, 0 if family is IPV6_UNICAST else RT_SCOPE_NOWHERE, 0, 0) + rest


def _message(family: Family, owner: Owner, scope: int, kind: int, flags: int) -> bytes:
    number = AF_INET6 if family is IPV6_UNICAST else AF_INET
    # The octet holds the lower tables; RTA_TABLE is the one that counts.
    table = owner.table if owner.table < 256 else RT_TABLE_UNSPEC
    return ROUTE.pack(number, 0, 0, 0, table, owner.protocol, scope, kind, flags)


def _leg(family: Family, hop: NextHop, interfaces: Mapping[str, int]) -> bytes:
    gateway = _gateway(family, hop.via)
    index = 0 if hop.interface is None else _index(hop.interface, interfaces)
    flags = RTNH_F_ONLINK if hop.onlink else 0
    return LEG.pack(8 + len(gateway), flags, hop.weight - 1, index) + gateway


def _gateway(family: Family, via: Address | None) -> bytes:
    if via is None:
        return b""
    if (via.version == 6) == (family is IPV6_UNICAST):
        return attribute(RTA_GATEWAY, via.packed)
    # RFC 8950: a gateway of the other family says which.
    number = AF_INET6 if via.version == 6 else AF_INET
    return attribute(RTA_VIA, number.to_bytes(2, sys.byteorder) + via.packed)


def _index(name: str, interfaces: Mapping[str, int]) -> int:
    try:
        return interfaces[name]
    except KeyError:
        raise NoInterface(f"no interface {name}") from None


def reference(
    family: Family, owner: Owner, change: Change, interfaces: Mapping[str, int], sequence: int = 0
) -> list[bytes]:
    """Return the messages of one change, the readable way; sequence numbers count from `sequence`."""
    prefix, before, after = change
    made = []
    destination = prefix[1:].ljust(family.bits // 8, b"\0")
    if after is not None:
        replaces = before is not None and before.metric == after.metric
        made.append((RTM_NEWROUTE, REPLACE if replaces else ADD, body(family, owner, after, interfaces)))
    if before is not None and (after is None or before.metric != after.metric):
        made.append((RTM_DELROUTE, DELETE, removal(family, owner, before.metric)))
    packed = []
    for number, (kind, flags, content) in enumerate(made, sequence):
        content = content[:1] + prefix[:1] + content[2:] + attribute(RTA_DST, destination)
        packed.append(HEADER.pack(16 + len(content), kind, flags, number, 0) + content)
    return packed
