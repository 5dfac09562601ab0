"""An interning attack: for hours every UPDATE has attributes that nobody has seen, and nothing stays."""

import gc
import sys

from messages import update
from routers import LOCAL_AS, Peer, settle

from bgp.member import PeerSettings
from bgp.rib.path import Kind
from bgp.router import Router
from bgp.session.action import Established, Opened
from bgp.session.config import SessionConfig
from bgp.session.connection import Connection
from bgp.session.event import Event, State
from bgp.session.negotiation import offer
from bgp.wire.message import Keepalive, encode
from bgp.wire.update import Update

# Six hours of an UPDATE every two seconds; what is held is looked at each hour.
HOUR, HOURS, EVERY = 3600, 6, 2
ROUTES = 50
US = SessionConfig(local_as=LOCAL_AS, identifier=1)
THEM = SessionConfig(local_as=LOCAL_AS, identifier=2)
# Blocks of Python's allocator that caches may still take while they fill: far fewer than the sets of an hour.
SLACK = HOUR // EVERY // 2


def announcement(number: int) -> bytes:
    """Return an UPDATE whose communities are its own, for one of a few prefixes."""
    communities = number.to_bytes(4, "big") + (number * 7919 & 0xFFFFFFFF).to_bytes(4, "big")
    return update(
        b"\x40\x01\x01\x00",
        b"\x40\x02\x00",
        b"\x40\x03\x04\xc0\x00\x02\x4d",
        b"\x40\x05\x04" + (100 + number % 7).to_bytes(4, "big"),
        b"\xc0\x08\x08" + communities,
        nlri=bytes((24, 10, 0, number % ROUTES)),
    )


def established(router: Router) -> tuple[Connection, Established]:
    connection = Connection(US, router.table, incoming=True, rng=lambda: 1.0)
    connection.handle(Event.TCP_CONNECTION_CONFIRMED, 0.0)
    assert any(isinstance(each, Opened) for each in connection.receive(encode(offer(THEM)), 0.0))
    (up,) = [each for each in connection.receive(encode(Keepalive()), 0.0) if isinstance(each, Established)]
    return connection, up


def test_attributes_that_nobody_has_seen_for_hours_leave_nothing() -> None:
    """A whole connection, the router and a client that hears all of it, in virtual time."""
    router = Router(LOCAL_AS, 1)
    connection, up = established(router)
    assert connection.negotiated is not None and up is not None
    settings = PeerSettings(name="attacker", client=True, remote_address=bytes((10, 9, 0, 2)))
    member = router.up(settings, connection.negotiated)
    honest = Peer(router, "honest", Kind.CLIENT, 7)
    settle(router, honest)
    held, blocks = [], []
    for now in range(EVERY, HOURS * HOUR + 1, EVERY):
        deliveries = [
            *connection.tick(float(now)),
            *connection.receive(announcement(now // EVERY), float(now)),
        ]
        for each in deliveries:
            assert isinstance(each, Update), each
            router.update(member, each)
        # What is to be said is said: our keepalives.
        said = sum(len(each) for each in connection.outgoing() if isinstance(each, bytes))
        connection.sent(said, float(now))
        settle(router, honest, now=float(now))
        router.pull(member)
        if now % HOUR == 0:
            gc.collect()
            held.append((len(router.table), router.rib.routes, router.rib.attribute_octets))
            blocks.append(sys.getallocatedblocks())
    assert connection.state is State.ESTABLISHED
    assert len(honest.prefixes()) == ROUTES
    # One set for each route, and what the client's own table holds of what it was told last.
    assert len(set(held)) == 1 and held[0][1] == ROUTES
    assert max(blocks[1:]) - min(blocks[1:]) < SLACK, blocks
