"""Where a trial takes place: the victim's configuration, who comes from where, and what must always hold."""

import asyncio
import itertools
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Self

from bgp.iana import ErrorCode
from bgp.testing.hostile import words
from bgp.testing.hostile.attacker import Attacker
from bgp.testing.hostile.swarm import swarm
from bgp.testing.hostile.victim import Victim
from bgp.wire.message import Notification

HOLD_TIME = 30
EXTERNAL_AS = 64999
IDENTIFIER = "10.255.0.1"
# What hostile peers announce by the thousand has this community, and honest ones are not told of it.
UNTOLD = (65000, 666)

# Who comes from where.  A range is a /16, and its attackers are at addresses of their own.
RANGES = {
    "honest": 0x7F010000,
    "hostile": 0x7F020000,  # a client like the honest ones
    "external": 0x7F030000,
    "bounded": 0x7F040000,  # of whom few prefixes are taken
    "unused": 0x7F050000,  # whose routes are refused by policy, but kept
    "hasty": 0x7F060000,  # with short timers
    "crowded": 0x7F070000,  # few of whom may be there
}
BOUND = 1000  # the prefixes of a "bounded" peer
CROWD = 50  # how many "crowded" peers may be there

_CONFIGURATION = """\
[router]
asn = 65000
router_id = "10.255.0.1"
listen = ["127.0.0.1:0"]
max_paths = {paths}
max_attribute_octets = {octets}

[control]
enabled = false

[group.honest]
client = true
hold_time = 30
families = ["ipv4-unicast"]
export = "untold"

[group.hostile]
client = true
aigp = true

[group.external]
asn = "external"
policy = "accept-all"

[group.bounded]
client = true
maximum_prefixes = 1000

[group.unused]
client = true
import = "nothing"

[group.hasty]
client = true
hold_time = 5
send_hold_time = 6
open_hold_time = 5

[policy.nothing]
default = "refuse"

[policy.untold]
default = "accept"

[[policy.untold.term]]
match = {{community = ["65000:666"]}}
then = "refuse"
"""
_RANGE = """
[[listen_range]]
prefix = "{prefix}/16"
group = "{group}"
limit = {limit}
"""


class Failed(AssertionError):
    """Something did not hold."""


def hold(condition: object, words: str) -> None:
    """Raise Failed with these words unless the condition holds."""
    if not condition:
        raise Failed(words)


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is of everything: the honest ones, and what is done to them."""

    clients: int = 200
    routes: int = 5
    churn: float = 20.0  # announcements a second
    prefixes: int = 200_000  # of the peer that has no end
    storm: int = 300  # connections, refreshes and the like
    sets: int = 10_000  # attribute sets
    paths: int = 150_000  # the most that the victim takes
    octets: int = 32 << 20


SHORT = Size()
LONG = Size(prefixes=10_000_000, storm=5_000, sets=2_000_000, paths=9_000_000, octets=256 << 20, churn=50.0)


class Stage:
    """The victim and the honest clients, at work; use in a `with`."""

    def __init__(
        self, size: Size = SHORT, *, seed: int = 0, descriptors: int | None = None, log: str = ""
    ) -> None:
        self.size = size
        self.random = Random(seed)
        self._descriptors, self._log = descriptors, log
        self._stack = ExitStack()
        self._next = {name: itertools.count(1) for name in RANGES}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            text = configuration(self.size)
            victim = Victim(text, directory, descriptors=self._descriptors, log=self._log)
            self.victim = stack.enter_context(victim)
            self.swarm = stack.enter_context(swarm(self.size.clients, self.size.routes, HOLD_TIME))
            hold(self.connect(), "the honest clients do not come up")
            self.swarm.tell("churn", rate=self.size.churn)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def connect(self) -> bool:
        """Let the honest clients come, after a start of the victim; return whether all are there."""
        return bool(self.swarm.tell("connect", port=self.victim.port, timeout=60.0)["connected"])

    def source(self, group: str) -> str:
        """Return an address of this range that nobody had yet, as far as there are such."""
        number = next(self._next[group]) % 65000
        return socket.inet_ntoa((RANGES[group] + number + 1).to_bytes(4, "big"))

    async def dial(self, group: str = "hostile", source: str = "", buffer: int | None = None) -> Attacker:
        """Connect to the victim from this range."""
        return await Attacker.dial(self.victim.port, source or self.source(group), buffer)

    async def peer(self, group: str = "hostile", source: str = "", **open_: Any) -> Attacker:
        """Return a session from this range; `open_` says what is unusual in its OPEN."""
        attacker = await self.dial(group, source)
        try:
            asn = EXTERNAL_AS if group == "external" else words.ASN
            return await attacker.establish(words.an_open(attacker.number, **{"asn": asn, **open_}))
        except BaseException:
            attacker.close()
            raise

    async def until(self, condition: Callable[[], object], why: str, seconds: float = 60.0) -> None:
        """Wait until the condition holds."""
        end = asyncio.get_running_loop().time() + seconds
        while not condition():
            hold(asyncio.get_running_loop().time() < end, why)
            await asyncio.sleep(0.05)

    async def check(self, timeout: float = 90.0) -> dict[str, Any]:
        """Let the honest clients look at what they hold; raise Failed if anything is wrong."""
        found = await asyncio.to_thread(self.swarm.tell, "check", timeout=timeout)
        hold(self.victim.alive, "the service has died:\n" + "\n".join(list(self.victim.lines)[-30:]))
        hold(not found["lost"], f"honest sessions were lost: {found['lost'][:5]}")
        hold(found["good"], f"honest clients hold something else than they should: {found['mismatches']}")
        hold(found["silence"] < HOLD_TIME * 2 / 3, f"silence of {found['silence']:.1f} s towards a client")
        hold(not self.victim.problems, "\n".join(self.victim.problems[:20]))
        if not self._log:
            state = self.victim.state()
            hold(state.internal_errors == 0, f"{state.internal_errors} internal errors")
            found["lag"] = state.lag_maximum
        found["memory"] = self.victim.memory
        return found


def configuration(size: Size) -> str:
    """Return the configuration of the victim."""
    text = _CONFIGURATION.format(paths=size.paths, octets=size.octets)
    for name, base in RANGES.items():
        limit = CROWD if name == "crowded" else 10_000
        prefix = socket.inet_ntoa(base.to_bytes(4, "big"))
        group = "hostile" if name == "crowded" else name
        text += _RANGE.format(prefix=prefix, group=group, limit=limit)
    return text


async def refused(attacker: Attacker, code: int, subcode: int, data: bytes | None = None) -> Notification:
    """Hold that the session ends with this NOTIFICATION."""
    notification = await attacker.notification()
    hold(notification is not None, f"the session ends without the NOTIFICATION {code}/{subcode}")
    assert notification is not None
    said = (notification.code, notification.subcode)
    hold(said == (code, subcode), f"the session ends with {said}, not with {(code, subcode)}")
    hold(data is None or notification.data == data, f"NOTIFICATION {said} with {notification.data.hex()}")
    return notification


async def out_of_resources(attacker: Attacker) -> None:
    """Hold that the session ends with Cease/8 (RFC 4486)."""
    await refused(attacker, ErrorCode.CEASE, 8)
