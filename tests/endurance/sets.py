"""Distinct attribute sets by the million, through a table that stays as it is: nothing of them may stay.

The cyclic collector is off meanwhile, so nothing may depend on it.
"""

import gc
from collections.abc import Iterator

from bgp.family import IPV4_UNICAST
from bgp.member import Member, PeerSettings
from bgp.policy import ACCEPT_ALL
from bgp.router import Router
from bgp.session.config import SessionConfig
from bgp.session.negotiation import negotiate, offer
from bgp.testing import census
from bgp.wire.update import Decoder

from . import wire

# How many prefixes an UPDATE has, and how many UPDATEs a turn.
_TOGETHER = 1
_TURN = 64


def _member(router: Router, name: str, identifier: int) -> Member:
    ours, theirs = (
        SessionConfig(local_as=wire.ASN, identifier=each, families=(IPV4_UNICAST,))
        for each in (1, identifier)
    )
    settings = PeerSettings(
        name=name,
        client=True,
        local_address=bytes((10, 0, 0, 1)),
        remote_address=bytes((10, 0, 0, identifier)),
        import_policy=ACCEPT_ALL,
        export_policy=ACCEPT_ALL,
    )
    return router.up(settings, negotiate(ours, offer(ours), offer(theirs)))


def churn(sets: int, routes: int, samples: int) -> Iterator[tuple[int, dict[str, int], int]]:
    """Announce `routes` routes again and again, each time with sets of their own, `sets` of them in all.

    Yield `samples` times how many were, the counts and the memory, with the same routes there each time,
    and once more without the decoder, which remembers some blocks of unusual form.
    """
    router = Router(wire.ASN, 1)
    feeder, client = _member(router, "feeder", 2), _member(router, "client", 3)
    decoder = Decoder(feeder.negotiated.context(), router.table)
    blocks = routes // _TOGETHER
    nlri = [b"".join(wire.prefix(at * _TOGETHER + each) for each in range(_TOGETHER)) for at in range(blocks)]
    every = max(sets // samples // blocks, 1) * blocks
    collecting = gc.isenabled()
    gc.disable()
    try:
        for number in range(sets):
            # A hundred next hops come and go with the numbers, and one block in seven is of unusual form.
            block = wire.attributes(0x0A090001 + number // blocks % 100, number)
            if number % 7 == 0:
                block = block[4:] + block[:4]  # ORIGIN last
            body = wire.body(block, nlri[number % blocks])
            router.update(feeder, decoder.decode(body))
            if number % _TURN == 0:
                _turn(router, feeder, client)
            if (number + 1) % every == 0:
                _turn(router, feeder, client)
                yield number + 1, census.of_router(router), census.resident()
        del decoder
        yield sets, census.of_router(router), census.resident()
    finally:
        if collecting:
            gc.enable()


def _turn(router: Router, *members: Member) -> None:
    more = True
    while more:
        more = router.work()
        more = router.flush() or more
        for member in members:
            router.pull(member, 1 << 20)
            more = member.pending or more
