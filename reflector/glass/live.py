"""What happens to sessions, kept for who looks at the page, in bounded memory.

One ring of the latest events serves all who listen: each has a place in it, and who is too slow is told how
many events went by.  Nothing is kept for a listener.
"""

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any

from bgp.aio.events import EventKind, PeerEvent
from bgp.session.event import State
from reflector.glass.history import History

if TYPE_CHECKING:
    from reflector.app import Service

# So many events are kept, and of a text so many characters: who speaks to us may write long ones.
EVENTS, TEXT = 500, 300


class Live:
    """Listens to the sessions of a service, takes samples, and tells whoever asks."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self.history = History(service)
        self._events: deque[tuple[int, bytes]] = deque(maxlen=EVENTS)
        self.number = 0
        self.samples = 0
        self._news = asyncio.Event()
        self._failures: dict[str, str] = {}  # by neighbor: how its last attempt failed
        self.closed = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(each) for each in (self._hear(), self._sample())]

    async def stop(self) -> None:
        """Listen no more, and let everybody go."""
        self.closed = True
        self._tell()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def wait(self, event: int, sample: int, timeout: float) -> None:
        """Wait until there is more than what is known, or until `timeout` is over."""
        if self.number > event or self.samples > sample or self.closed:
            return
        try:
            await asyncio.wait_for(self._news.wait(), timeout)
        except TimeoutError:
            return

    def since(self, number: int, most: int) -> tuple[list[bytes], int]:
        """Return the events behind `number`, at most so many of the last ones, and how many are left out."""
        found = [octets for each, octets in self._events if each > number][-most:]
        return found, self.number - number - len(found)

    async def _hear(self) -> None:
        with self._service.speaker.events() as events:
            async for event in events:
                self._note(event)

    async def _sample(self) -> None:
        taken = asyncio.Event()
        running = asyncio.get_running_loop().create_task(self.history.run(taken))
        try:
            while True:
                await taken.wait()
                taken.clear()
                self.samples += 1
                self._tell()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def _note(self, event: PeerEvent) -> None:
        row = self.row(event)
        if row is None:
            return
        self.number += 1
        octets = json.dumps(row | {"number": self.number}, separators=(",", ":")).encode()
        self._events.append((self.number, octets))
        self._tell()

    def row(self, event: PeerEvent) -> dict[str, Any] | None:
        """Return what is told of an event; None where an attempt failed as the last one did, and so on."""
        peer, state = event.peer, event.state
        if peer is not None:
            match event.kind:
                case EventKind.STATE if State.ESTABLISHED not in (state, event.previous):
                    return None
                case EventKind.STATE:
                    self._failures.pop(peer.name, None)
                    self.history.ups += state is State.ESTABLISHED
                    self.history.downs += state is not State.ESTABLISHED
                case EventKind.DOWN if state is None or state < State.OPEN_SENT:
                    known, self._failures[peer.name] = self._failures.get(peer.name), event.text
                    if known == event.text:
                        return None
                case EventKind.REMOVED:
                    self._failures.pop(peer.name, None)
        text = event.text if len(event.text) <= TEXT else event.text[: TEXT - 1] + "…"
        return {
            "time": event.time,
            "peer": None if peer is None else peer.name,
            "what": event.kind.value,
            "state": None if state is None else state.label,
            "family": None if event.family is None else event.family.name,
            "text": text,
        }

    def _tell(self) -> None:
        """Wake everybody who waits."""
        news, self._news = self._news, asyncio.Event()
        news.set()
