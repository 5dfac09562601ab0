"""One who believes what a router says: octets in, and what a peer that was told all this now holds."""

from bgp.errors import Notify
from bgp.family import Family
from bgp.iana import EXTENDED_MESSAGE_LENGTH, HEADER_LENGTH, MessageType
from bgp.session.negotiation import Negotiated
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.context import Context
from bgp.wire.framing import Framer
from bgp.wire.update import Decoder


class Listener:
    """The other side of the session that a router negotiated: its Adj-RIB-In, and what else came.

    `held`: (family, prefix, path identifier or 0) -> attributes.  `end_of_rib`: the families whose End-of-RIB
    came, in their order.  `refreshes`: the bodies of ROUTE-REFRESH messages.  The counters are of UPDATEs,
    of announced and of withdrawn routes.  Attributes are interned in `table`.
    """

    def __init__(self, negotiated: Negotiated, table: AttributeTable | None = None) -> None:
        self._maximum = negotiated.maximum_send
        self._framer = Framer(EXTENDED_MESSAGE_LENGTH)
        # A reader of what the router sends: its receiving side is the router's sending one.
        context = Context(
            internal=negotiated.internal,
            confederation=negotiated.confederation,
            four_octet_as=negotiated.four_octet_as,
            families=frozenset(negotiated.families),
            add_path=negotiated.add_path_send,
            extended_next_hop=negotiated.extended_next_hop,
            extended_messages=True,
            as_sets=True,
        )
        self._decode = Decoder(context, AttributeTable() if table is None else table).decode
        self.held: dict[tuple[Family, bytes, int], Attributes] = {}
        self.end_of_rib: list[Family] = []
        self.refreshes: list[bytes] = []
        self.messages = 0
        self.announced = 0
        self.withdrawn = 0

    def hear(self, octets: bytes) -> None:
        """Believe whole messages; raise AssertionError for any that such a peer could find fault with."""
        self._framer.feed(octets)
        while (message := self._framer.next()) is not None:
            type_, body = message
            assert len(body) + HEADER_LENGTH <= self._maximum, f"{len(body)} octets are too many"
            if type_ == MessageType.ROUTE_REFRESH:
                self.refreshes.append(body)
                continue
            assert type_ == MessageType.UPDATE, f"a message of type {type_}"
            self._update(body)
        assert self._framer.buffered == 0, "what is pulled are whole messages"

    def _update(self, body: bytes) -> None:
        self.messages += 1
        try:
            update = self._decode(body)
        except Notify as notify:
            raise AssertionError(f"{notify}: {body.hex()}") from notify
        assert not update.faults, f"{', '.join(map(str, update.faults))}: {body.hex()}"
        for unreach in update.withdrawn:
            self.withdrawn += len(unreach.prefixes)
            ids = unreach.path_ids or [0] * len(unreach.prefixes)
            for one, path_id in zip(unreach.prefixes, ids, strict=True):
                self.held.pop((unreach.family, one, path_id), None)
        for reach in update.announced:
            self.announced += len(reach.prefixes)
            ids = reach.path_ids or [0] * len(reach.prefixes)
            for one, path_id in zip(reach.prefixes, ids, strict=True):
                self.held[reach.family, one, path_id] = reach.attributes
        if update.end_of_rib is not None:
            self.end_of_rib.append(update.end_of_rib)
