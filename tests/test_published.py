"""The triggers of published vulnerabilities of BGP speakers, a test each, through Connection and Router.

The same over TCP, all of them together, is part of `test_conformance_peer`.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from test_conformance_peer import BOTH, OURS, TARGET_AS, scene

from bgp.iana import MessageType
from bgp.member import Member, PeerSettings
from bgp.policy import ACCEPT_ALL
from bgp.router import Router
from bgp.session.action import Delivery, Down, Established
from bgp.session.config import SessionConfig
from bgp.session.connection import Connection
from bgp.session.event import Event, State
from bgp.testing.conformance import published
from bgp.testing.conformance.case import Case, Observed, Stage, Verdict, Victim, judge
from bgp.testing.conformance.hearing import Routes, hear
from bgp.testing.conformance.scene import NEW_MARK, OLD_MARK, Scene
from bgp.wire.framing import Framer
from bgp.wire.message import Keepalive, Notification, encode
from bgp.wire.update import Update

KEEPALIVE = encode(Keepalive())
TESTER_AS, WITNESS_AS = 65001, 65002


class End:
    """A session of the router's, and what its peer is told on it."""

    def __init__(self, router: Router, name: str, asn: int) -> None:
        config = SessionConfig(local_as=TARGET_AS, identifier=0x0A000001, peer_as=asn, families=BOTH)
        self.router, self.name, self.internal = router, name, asn == TARGET_AS
        self.connection = Connection(config, router.table, incoming=True, rng=lambda: 1.0)
        self.member: Member | None = None
        self.sent: list[bytes] = []
        self.down: Down | None = None
        self.routes: Routes = {}
        self._take(self.connection.handle(Event.TCP_CONNECTION_CONFIRMED, 0.0))

    def feed(self, octets: bytes) -> None:
        self._take(self.connection.receive(octets, 1.0))
        while self.connection.more:
            self._take(self.connection.receive(b"", 1.0))

    def _take(self, deliveries: list[Delivery]) -> None:
        self.sent += [item for item in self.connection.outgoing() if isinstance(item, bytes)]
        for delivery in deliveries:
            match delivery:
                case Established(negotiated):
                    settings = PeerSettings(
                        name=self.name,
                        client=self.internal,
                        local_address=b"\xc0\0\2\1",
                        remote_address=b"\xc0\0\2\x09" if self.name == "tester" else b"\xc0\0\2\x0a",
                        next_hops=OURS,
                        import_policy=ACCEPT_ALL,
                        export_policy=ACCEPT_ALL,
                    )
                    self.member = self.router.up(settings, negotiated)
                case Update() if self.member is not None:
                    self.router.update(self.member, delivery)
                case Down():
                    self.down = delivery
                    if self.member is not None:
                        self.router.down(self.member)
                        self.member = None

    def listen(self) -> None:
        """Let the router do all that is to be done, and hear what it tells."""
        while self.router.work():
            pass
        self.router.flush(1.0)
        if self.member is not None:
            framer = Framer()
            framer.feed(b"".join(self.router.pull(self.member, 1 << 20)))
            while (message := framer.next()) is not None:
                if message[0] == MessageType.UPDATE:
                    hear(message[1], self.routes)


def tried(case: Case, setting: Scene) -> tuple[Observed, bytes]:
    """Let the case happen to a router with two sessions; return what was seen."""
    router = Router(TARGET_AS, 0x0A000001)
    witness = End(router, "witness", TARGET_AS if setting.internal else WITNESS_AS)
    other = scene(replace(case, two_octet_as=False), TARGET_AS if setting.internal else WITNESS_AS)
    witness.feed(other.open(identifier=8) + KEEPALIVE)
    tester = End(router, "tester", setting.local_as)
    sent, _ = case.build(setting)
    family, victim, canary = case.family, setting.victim(case.family), setting.canary(case.family)
    if case.stage is Stage.ESTABLISHED:
        tester.feed(setting.open() + KEEPALIVE)
        tester.feed(setting.announce(victim, OLD_MARK, family))
        witness.listen()
        assert (family, victim) in witness.routes, "a good announcement is passed on"
        tester.feed(sent + setting.announce(canary, NEW_MARK, family))
    else:
        tester.feed(sent)
    witness.listen()
    witness.feed(KEEPALIVE)
    assert tester.connection.crashes == witness.connection.crashes == 0
    assert witness.connection.state == State.ESTABLISHED and witness.down is None
    found = witness.routes.get((family, victim))
    old = found is not None and OLD_MARK.to_bytes(4, "big") in found[2][1]
    notification: Notification | None = tester.down.sent if tester.down else None
    return Observed(
        notification,
        tester.down is not None,
        opened=KEEPALIVE in tester.sent,
        victim=Victim.GONE if found is None else Victim.OLD if old else Victim.NEW,
        canary=(family, canary) in witness.routes,
        attributes={} if found is None or old else found,
    ), sent


def triggers() -> Iterator[object]:
    for case in published.cases():
        for kind, local_as in (("internal", TARGET_AS), ("external", TESTER_AS)):
            setting = scene(case, local_as)
            if not case.applies(setting):
                yield pytest.param(case, setting, id=f"{case.name.removeprefix('published-')}-{kind}")


@pytest.mark.parametrize(("case", "setting"), list(triggers()))
def test_what_brought_others_down_does_no_harm(case: Case, setting: Scene) -> None:
    seen, sent = tried(case, setting)
    result = judge(case, case.build(setting)[1], seen, sent)
    assert result.verdict is Verdict.CONFORMS, (case.text, result.demand, result.seen, result.note)


def test_every_trigger_says_what_it_is() -> None:
    everything = list(published.cases())
    assert all(len(case.text) > 15 for case in everything)
    assert len({identifier for case in everything for identifier in case.known}) >= 35
