"""What happens to a service without anybody's ill will: it stands still, disk or descriptors run out."""

import asyncio
import contextlib

from bgp.testing.hostile import words
from bgp.testing.hostile.attacker import Attacker
from bgp.testing.hostile.stage import Stage, hold

_STANDSTILL = 3.0
_CROWD = 200  # connections to a service that can have far fewer files


async def standstill(stage: Stage) -> str:
    """A service that had no processor for a while goes on, with all its sessions."""
    stage.victim.pause()
    await asyncio.sleep(_STANDSTILL)
    stage.victim.resume()
    return f"{_STANDSTILL:.0f} s without a processor"


async def no_descriptors(stage: Stage) -> str:
    """Without file descriptors connections are closed, the loop does not spin, and later all is well again.

    For a victim with few descriptors.
    """
    held: list[Attacker] = []
    try:
        for _ in range(_CROWD):
            attacker = await stage.dial()
            held.append(attacker)
        await asyncio.sleep(1)
        before = stage.victim.processor
        await asyncio.sleep(2)
        spent = stage.victim.processor - before
        hold(spent < 1.5, f"{spent:.1f} s of processor time in 2 s without descriptors")
        hold(stage.victim.said("out of file descriptors"), "nobody is told")
        await stage.check()
    finally:
        for attacker in held:
            attacker.reset()
    for _ in range(100):
        with contextlib.suppress(OSError, ConnectionError):
            async with await stage.peer():
                return f"{_CROWD} connections; {spent:.2f} s of processor time in 2 s; then a session is up"
        await asyncio.sleep(0.1)
    hold(False, "no session comes up when there are descriptors again")
    return ""


async def disk_full(stage: Stage) -> str:
    """Where the log cannot be written, nothing else suffers.  For a victim that logs to a full disk."""
    for at in range(20):
        async with await stage.dial() as attacker:
            await attacker.send(words.an_open(attacker.number), words.KEEPALIVE if at % 2 else bytes(19))
            if at % 2 == 0:
                await attacker.notification()
    return "20 sessions come and go without a log"
