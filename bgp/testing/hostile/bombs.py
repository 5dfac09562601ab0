"""Peers that send too much: prefixes without end, attributes as long as can be, and ever new ones."""

import asyncio
import contextlib
import struct

from bgp.iana import ErrorCode, MessageType
from bgp.testing.hostile import words
from bgp.testing.hostile.attacker import Attacker
from bgp.testing.hostile.stage import BOUND, UNTOLD, Stage, hold, out_of_resources, refused

_TOGETHER = 800  # prefixes in an UPDATE
_NEXT_HOP = 0x0B800001
_T = words.T


async def more_than_the_maximum(stage: Stage) -> str:
    """A peer with a maximum of prefixes that announces without end is told Cease/1 at that (RFC 4486)."""
    said = 0
    async with await stage.peer("bounded") as attacker:
        said = await _announce(attacker, stage.size.prefixes)
        notification = await refused(attacker, ErrorCode.CEASE, 1)
        bound = int.from_bytes(notification.data[3:], "big")
        hold(bound == BOUND, f"the bound in the NOTIFICATION is {bound}")
    return f"ended by Cease/1 when {said} prefixes were on their way, {BOUND} allowed"


async def prefixes_without_end(stage: Stage) -> str:
    """A peer without a maximum ends by Cease/8 when there is no more room in all, and nobody else does."""
    state = stage.victim.state()
    async with await stage.peer("unused") as attacker:
        said = await _announce(attacker, stage.size.prefixes)
        await out_of_resources(attacker)
    memory = stage.victim.memory
    hold(said > stage.size.paths - state.routes - 20 * _TOGETHER, f"ended after {said} prefixes")
    limit = stage.size.clients * stage.size.routes + stage.size.storm
    await stage.until(lambda: stage.victim.state().routes <= limit, "the routes do not go", 600)
    return f"{said} prefixes on their way, {stage.size.paths} allowed; {memory >> 20} MB"


async def just_not_too_many(stage: Stage) -> str:
    """A peer that leaves no room for others and stays at that loses its own session, not theirs."""
    room = stage.size.paths - stage.victim.state().routes
    async with await stage.peer("unused") as attacker, await stage.peer() as modest:
        await _announce(attacker, room - 1)
        # The honest ones go on; so does somebody who needs more room than there is.
        await _announce(modest, 100)
        await out_of_resources(attacker)
        hold(await modest.answers(), "who needs a little more room loses the session")
    return f"ended by Cease/8 for the sake of others, with {room - 1} of {room} free places taken"


async def _announce(attacker: Attacker, count: int) -> int:
    """Announce so many prefixes, until the session ends; return how many were sent."""
    block = words.attributes(_NEXT_HOP, 0, b"", (_T.COMMUNITIES, struct.pack("!HH", *UNTOLD)))
    base = 0x14000000
    for first in range(0, count, _TOGETHER):
        last = min(first + _TOGETHER, count)
        numbers = range(base + first, base + last)
        prefixes = b"".join([b"\x20" + number.to_bytes(4, "big") for number in numbers])
        try:
            await attacker.send(words.update(block, prefixes))
        except OSError:
            return first
        await asyncio.sleep(0)
    return count


async def attribute_bombs(stage: Stage) -> str:
    """Attributes as long as messages allow go to whoever can take them, and disturb nobody else."""
    segment = bytes([2, 255]) + struct.pack("!255I", *range(1, 256))
    bombs: dict[str, tuple[int, bytes]] = {
        "16,000 communities": (_T.COMMUNITIES, bytes(range(1, 251)) * 256),
        "5300 large communities": (_T.LARGE_COMMUNITIES, bytes(range(1, 241)) * 265),
        "63 segments of 255 AS numbers": (_T.AS_PATH, segment * 63),
        "3 segments of 255 AS numbers": (_T.AS_PATH, segment * 3),
        "900 communities": (_T.COMMUNITIES, bytes(range(1, 241)) * 15),
        "15,000 cluster IDs": (_T.CLUSTER_LIST, bytes(range(1, 241)) * 250),
        "64,000 octets of an unknown attribute": (200, bytes(64_000)),
    }
    async with (
        await stage.peer(extended_messages=True) as attacker,
        await stage.peer(extended_messages=True) as reader,
    ):
        heard = asyncio.create_task(_heard(reader, len(bombs)))
        for number, bomb in enumerate(bombs.values()):
            block = words.attributes(_NEXT_HOP, number, b"", bomb)
            await attacker.send(words.update(block, words.prefix(number)))
        hold(await attacker.answers(), "a session with long attributes ends")
        await heard
    async with await stage.peer(extended_messages=True) as attacker:
        with contextlib.suppress(OSError):
            for number in range(2 * stage.size.octets // 64_000):
                untold = struct.pack("!HH", *UNTOLD) + number.to_bytes(4, "big") * 16_000
                block = words.attributes(_NEXT_HOP, number, b"", (_T.COMMUNITIES, untold))
                await attacker.send(words.update(block, words.prefix(number)))
                await asyncio.sleep(0)
        await out_of_resources(attacker)
    return f"{len(bombs)} bombs told on, and {stage.size.octets >> 20} MB of them ended by Cease/8"


async def _heard(reader: Attacker, count: int) -> None:
    """Read until so many prefixes of the bombs were announced."""
    found: set[bytes] = set()
    while len(found) < count:
        body = await reader.until(MessageType.UPDATE)
        hold(body is not None, "the session that reads long attributes ends")
        assert body is not None
        found |= {body[-5:]} if body[-5:-3] == b"\x20\x14" else set()


async def ever_new_attributes(stage: Stage) -> str:
    """A peer whose every UPDATE has attributes of its own costs no more memory than its routes."""
    routes, memory = 100, []
    said: list[bytes] = []
    async with await stage.peer() as attacker:
        for number in range(stage.size.sets):
            path = struct.pack("!BBII", 2, 2, 1 + number, 64512)
            community = struct.pack("!HHHH", *UNTOLD, number >> 16, number & 0xFFFF)
            block = words.attributes(_NEXT_HOP + number % 64, number, path, (_T.COMMUNITIES, community))
            said.append(words.update(block, words.prefix(number % routes)))
            if len(said) == routes:
                await attacker.send(*said)
                said.clear()
            if (number + 1) % (stage.size.sets // 10) == 0:
                memory.append(stage.victim.memory)
                octets = stage.victim.state().attribute_octets
                hold(octets < 1 << 20, f"{octets} octets of attributes are kept")
        hold(await attacker.answers(), "the session ends")
    grown = max(memory[5:]) - max(memory[:5])
    hold(grown < 4 << 20, f"memory grows by {grown >> 10} KB")
    return f"{stage.size.sets} attribute sets; memory of the second half {grown >> 10:+} KB"
