"""What goes over the wire is listened to: nobody may be told what he must not hear, at no time.

This reads UPDATEs by itself, with nothing of our codec, and knows the design: who may have said it at all,
and to whom.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from bgp.testing.simulate.design import Design, SessionDesign
from bgp.testing.simulate.oracle import NO_ADVERTISE, NO_EXPORT

if TYPE_CHECKING:
    from bgp.testing.simulate.sockets import VirtualSocket

_HEADER, _UPDATE = 19, 2
_AS_PATH, _LOCAL_PREF, _COMMUNITIES, _ORIGINATOR_ID, _CLUSTER_LIST, _MP_REACH = 2, 5, 8, 9, 10, 14


class Eavesdropper:
    """Hears all connections between the nodes of a design; `faults` are what should not have been told."""

    def __init__(self, design: Design) -> None:
        self._design = design
        self._sessions = {frozenset((each.one, each.other)): each for each in design.sessions}
        self._streams: dict[VirtualSocket, bytearray] = {}
        self.faults: list[str] = []
        self.updates = 0

    def __call__(self, source: "VirtualSocket", target: "VirtualSocket", data: bytes) -> None:
        """Hear octets from one end of a connection to the other."""
        stream = self._streams.setdefault(source, bytearray())
        stream += data
        while len(stream) >= _HEADER:
            length = int.from_bytes(stream[16:18], "big")
            if len(stream) < length:
                break
            if stream[18] == _UPDATE:
                self.updates += 1
                self._update(source.host.name, target.host.name, bytes(stream[_HEADER:length]))
            del stream[:length]

    def _update(self, sender: str, receiver: str, body: bytes) -> None:
        withdrawn = int.from_bytes(body[:2], "big")
        size = int.from_bytes(body[2 + withdrawn : 4 + withdrawn], "big")
        attributes = dict(_attributes(body[4 + withdrawn : 4 + withdrawn + size]))
        if _MP_REACH not in attributes and 4 + withdrawn + size == len(body):
            return  # nothing is announced
        fault = self._fault(sender, receiver, attributes)
        if fault and len(self.faults) < 10:
            self.faults.append(f"{sender} told {receiver} {fault}")

    def _fault(self, sender: str, receiver: str, attributes: dict[int, bytes]) -> str:
        me, peer = self._design.nodes[sender], self._design.nodes[receiver]
        communities = set(_numbers(attributes.get(_COMMUNITIES, b"")))
        if NO_ADVERTISE in communities:
            return "a route with NO_ADVERTISE (RFC 1997)"
        path = _ases(attributes.get(_AS_PATH, b""))
        if me.asn == peer.asn:
            return self._internal(sender, receiver, attributes, path)
        if NO_EXPORT in communities:
            return "a route with NO_EXPORT, outside of the AS (RFC 1997)"
        if attributes.keys() & {_LOCAL_PREF, _ORIGINATOR_ID, _CLUSTER_LIST}:
            return "attributes that stay within an AS (RFC 4271 5.1.5, RFC 4456 8)"
        if not path or path[0] != me.asn:
            return f"an AS_PATH that does not begin with its AS: {path} (RFC 4271 5.1.2)"
        if len(set(path)) < len(path):
            return f"a loop: AS_PATH {path} (RFC 4271 9.1.2)"
        return self._walk(path)

    def _walk(self, path: list[int]) -> str:
        nodes = self._design.nodes
        adjacent = {frozenset((nodes[each.one].asn, nodes[each.other].asn)) for each in self._design.sessions}
        for one, other in pairwise(path):
            if frozenset((one, other)) not in adjacent:
                return f"an AS_PATH that is no way through the design: {path}"
        return ""

    def _internal(self, sender: str, receiver: str, attributes: dict[int, bytes], path: list[int]) -> str:
        nodes = self._design.nodes
        me = nodes[sender]
        if _LOCAL_PREF not in attributes:
            return "a route without LOCAL_PREF, within the AS (RFC 4271 5.1.5)"
        if me.asn in path:
            return f"a loop: AS_PATH {path} (RFC 4271 9.1.2)"
        if _ORIGINATOR_ID not in attributes:
            external = {self._other(each, sender) for each in self._of(sender)}
            if path and path[0] not in {nodes[name].asn for name in external}:
                return f"a route that is not its own, and not reflected: AS_PATH {path} (RFC 4271 9.2)"
            return ""
        clusters = _numbers(attributes.get(_CLUSTER_LIST, b""))
        (originator,) = _numbers(attributes[_ORIGINATOR_ID])
        if not clusters or clusters[0] != me.cluster_id:
            return "a reflected route whose CLUSTER_LIST does not begin with its cluster (RFC 4456 8)"
        if len(set(clusters)) < len(clusters):
            return "a route that was reflected twice in one cluster (RFC 4456 8)"
        if self._is_client(sender, receiver):
            return ""
        # From a client, if the receiver is none.
        before = {node.name for node in nodes.values() if node.asn == me.asn and (
            node.cluster_id == clusters[1] if len(clusters) > 1 else node.identifier == originator
        )}  # fmt: skip
        if not any(self._is_client(sender, name) for name in before):
            return "a route of a non-client, being none of its clients itself (RFC 4456 6)"
        return ""

    def _of(self, name: str) -> list[SessionDesign]:
        return [each for each in self._design.sessions if name in (each.one, each.other)]

    @staticmethod
    def _other(session: SessionDesign, name: str) -> str:
        return session.other if session.one == name else session.one

    def _is_client(self, reflector: str, name: str) -> bool:
        session = self._sessions.get(frozenset((reflector, name)))
        return session is not None and session.client and session.one == reflector


def _attributes(block: bytes) -> Iterator[tuple[int, bytes]]:
    while block:
        extended = block[0] & 0x10
        start = 4 if extended else 3
        size = int.from_bytes(block[2:start], "big")
        yield block[1], block[start : start + size]
        block = block[start + size :]


def _numbers(value: bytes) -> list[int]:
    return [int.from_bytes(value[at : at + 4], "big") for at in range(0, len(value), 4)]


def _ases(value: bytes) -> list[int]:
    found: list[int] = []
    while value:
        end = 2 + 4 * value[1]
        found += _numbers(value[2:end])
        value = value[end:]
    return found
