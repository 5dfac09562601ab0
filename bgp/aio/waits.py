"""Who waits until a peer was told of a route: looked at behind each turn, and only while somebody waits.

A wait has two stages.  First the member must pull what there is to tell (`bgp.export.errand`).  Then all
that the stream holds for the kernel at that moment must be taken: the UPDATE is part of it.  So nobody is
told too early, and too late only by what went into the socket together with the UPDATE.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bgp.aio.turn import Turns
from bgp.export.errand import Errand
from bgp.export.rules import WITHDRAWN, Withheld
from bgp.family import Family
from bgp.member import Member
from bgp.router import Router

if TYPE_CHECKING:
    from bgp.aio.link import Link
    from bgp.aio.peer import Peer

# So many are looked at in one turn, of each member.
_LOOKS = 256


class NotAdvertised(Exception):
    """A peer is not told of a route: `reason` has a name, the RFC and section, and a sentence."""

    def __init__(self, peer: str, reason: Withheld) -> None:
        super().__init__(f"not advertised to {peer}: {reason}")
        self.peer = peer
        self.reason = reason


class PeerDown(ConnectionError):
    """There is no session with the peer, or it ended while something was waited for."""


@dataclass(frozen=True, eq=False, slots=True)
class Telling:
    """A route of our own of which a peer is to be told.

    `active`: whether there still is such a route.  `coming`: whether news of it are still on their way to the
    router.
    """

    family: Family
    prefix: bytes
    active: Callable[[], bool]
    coming: Callable[[], bool]


@dataclass(eq=False, slots=True)
class _Wait:
    telling: Telling
    errand: Errand
    future: asyncio.Future[None]
    mark: int = 0


class _Line:
    """Those who wait for one session: for it to pull, in the order in which they came, and for the kernel."""

    __slots__ = ("link", "peer", "pulling", "sending")

    def __init__(self, peer: "Peer", link: "Link") -> None:
        self.peer = peer
        self.link = link
        self.pulling: deque[_Wait] = deque()
        self.sending: deque[_Wait] = deque()


class Waits:
    """All who wait, by the session."""

    def __init__(self, router: Router, turns: Turns) -> None:
        self._router = router
        self._turns = turns
        self._lines: dict[Member, _Line] = {}

    def __len__(self) -> int:
        return sum(len(line.pulling) + len(line.sending) for line in self._lines.values())

    async def told(self, peer: "Peer", telling: Telling) -> None:
        """Wait until `peer` was told; raise NotAdvertised or PeerDown where that will not be."""
        link = peer.session
        member = None if link is None else link.member
        if link is None or member is None:
            raise PeerDown(f"{peer.name}: the session is not Established")
        reason = None if telling.coming() else self._reason(member, telling)
        if reason is not None:
            raise NotAdvertised(peer.name, reason)
        line = self._lines.get(member)
        if line is None:
            line = self._lines[member] = _Line(peer, link)
        errand = self._router.rib.errand(member, telling.family, telling.prefix)
        wait = _Wait(telling, errand, asyncio.get_running_loop().create_future())
        line.pulling.append(wait)
        self._turns.look = self._look
        self._turns.schedule()
        try:
            await wait.future
        finally:
            if wait.future.cancelled():
                self._turns.schedule()  # it is struck there

    def close(self) -> None:
        """Let everybody know that there is nothing to wait for any more."""
        for line in self._lines.values():
            self._fail(line)
        self._lines.clear()
        self._turns.look = None

    def _look(self) -> bool:
        """Look at all lines; return whether there is more to look at soon."""
        more = False
        for member, line in list(self._lines.items()):
            if line.link.member is not member:
                self._fail(line)
            else:
                more = self._pulled(member, line) or more
                self._sent(line)
            if not line.pulling and not line.sending:
                del self._lines[member]
        if not self._lines:
            self._turns.look = None
        return more

    def _pulled(self, member: Member, line: _Line) -> bool:
        pulling, moved = line.pulling, 0
        for _ in range(min(len(pulling), _LOOKS)):
            wait = pulling.popleft()
            if wait.future.done():
                moved += 1
            elif wait.telling.coming() or not self._router.rib.done(member, wait.errand):
                pulling.append(wait)
            else:
                moved += 1
                reason = self._reason(member, wait.telling)
                if reason is not None:
                    wait.future.set_exception(NotAdvertised(line.peer.name, reason))
                elif (mark := line.link.mark) is not None:
                    wait.mark = mark
                    line.sending.append(wait)
                else:
                    moved -= 1
                    pulling.append(wait)  # the socket has failed, and the session is about to end
        return bool(pulling) and moved == _LOOKS

    def _sent(self, line: _Line) -> None:
        sending = line.sending
        while sending and line.link.has_passed(sending[0].mark):
            wait = sending.popleft()
            if not wait.future.done():
                wait.future.set_result(None)

    def _reason(self, member: Member, telling: Telling) -> Withheld | None:
        if not telling.active():
            return WITHDRAWN
        return self._router.rib.withheld(member, telling.family, telling.prefix)

    def _fail(self, line: _Line) -> None:
        text = f"{line.peer.name}: the session ended: {line.peer.last_error or 'it was stopped'}"
        for wait in (*line.pulling, *line.sending):
            if not wait.future.done():
                wait.future.set_exception(PeerDown(text))
        line.pulling.clear()
        line.sending.clear()
