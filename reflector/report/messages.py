"""The reports of a peer's messages as they come and go: decoded, and as octets for a capture file."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from bgp.aio.tap import Messages, Tapped, TappedEnd
from reflector.logs.debugging import USUAL, Follower, Who, name_of, tap_of
from reflector.report.row import Row
from reflector.show.columns import duration

if TYPE_CHECKING:
    from reflector.app import Service

# The longest capture in seconds unless somebody says.
_CAPTURE = 3600.0


async def debug(
    service: "Service",
    *,
    peer: Who,
    for_: float = USUAL,
    stop: bool = False,
    keepalives: bool = False,
    detach: bool = False,
) -> AsyncGenerator[Row, None]:
    """Log a peer's messages, and yield them as they come; who goes away ends it, unless told to go on."""
    name = name_of(peer)
    if stop:
        found = service.debugs.of(name)
        if found is not None:
            found.end("somebody has stopped it")
        done = "its messages were not logged" if found is None else "its messages are not logged any more"
        yield {"neighbor": name, "done": done}
        return
    found = service.debugs.begin(peer, for_, keepalives=keepalives)
    if detach:
        found.detached = True
        yield {"neighbor": name, "done": f"its messages are logged for {duration(for_)}"}
        return
    follower = Follower()
    found.followers.add(follower)
    try:
        yield {"debugging": name, "seconds": for_}
        async for row in follower.rows():
            yield row
    finally:
        found.followers.discard(follower)
        if not found.followers and not found.detached:
            found.end("nobody follows it")


async def capture(
    service: "Service", *, peer: Who, for_: float = _CAPTURE, count: int = 0
) -> AsyncGenerator[Row, None]:
    """Yield a peer's messages as octets, with what it takes to write them into a capture file."""
    name = name_of(peer)
    captures = service.debugs.captures
    messages = Messages(tap_of(service.speaker, peer))
    timer = asyncio.get_running_loop().call_later(for_, messages.finish)
    captures[name] += 1
    lost = seen = 0
    try:
        yield {"capturing": name, "seconds": for_}
        while (tapped := await messages.next()) is not None:
            if messages.lost != lost:
                lost = messages.lost
                yield {"lost": lost}
            yield octets_row(tapped)
            if not isinstance(tapped, TappedEnd) and not tapped.recalled:
                seen += 1
                if seen == count:
                    break
        why = "that many were asked for" if seen == count and count else "the time is over"
        yield {"over": why, "lost": messages.lost}
    finally:
        timer.cancel()
        messages.close()
        captures[name] -= 1


def octets_row(tapped: Tapped) -> Row:
    """Return a message, or the end of a connection, as a program wants it; `time` is in nanoseconds."""
    conversation = tapped.conversation
    row: Row = {
        "time": int(tapped.time * 1e9),
        "connection": conversation.number,
        "peer": conversation.peer,
        "incoming": conversation.incoming,
        "local": str(conversation.local.address),
        "local_port": conversation.local.port,
        "remote": str(conversation.remote.address),
        "remote_port": conversation.remote.port,
    }
    if isinstance(tapped, TappedEnd):
        return row | {"ended": True, "aborted": tapped.aborted}
    return row | {
        "direction": "out" if tapped.sent else "in",
        "position": tapped.position,
        "recalled": tapped.recalled,
        "octets": tapped.octets.hex(),
    }
