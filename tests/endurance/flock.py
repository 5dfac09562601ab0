"""Clients that come and go in a process of their own: python -m endurance.flock FLAPPING STEADY SEED

Orders and answers are lines of JSON.  `dial` to a port, `flap` so many times a second, `settle`: do nothing
more, and let a share of those that flap be gone; `check` what the steady ones hold, `said` all that is said.
"""

import asyncio
import gc
import json
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bgp.testing import census
from bgp.testing.hostile.orders import Orders

from .crowd import environment, raise_limit
from .flapper import ENDS, SILENT, Client, held, model

# Seconds: the hold times of those that flap and of those that do not, and a turn.
_FLAPPING, _STEADY, _TURN = 15, 30, 0.05
# Of a steady client's acts all are changes, of the others' these.
_CHANGES = 0.5
_AT_ONCE = 64  # connections


def flock(flapping: int, steady: int, seed: int) -> Orders:
    """Return the process of so many clients; use it in a `with`."""
    numbers = (str(flapping), str(steady), str(seed))
    return Orders([sys.executable, "-m", "endurance.flock", *numbers], environment())


class _Flock:
    def __init__(self, flapping: int, steady: int, seed: int) -> None:
        self._random = random.Random(seed)
        self._counts = Counter[str]()
        self._clients = [
            Client(
                number,
                number < steady,
                _STEADY if number < steady else _FLAPPING,
                self._counts,
                random.Random(self._random.random()),
            )
            for number in range(flapping + steady)
        ]
        self._steady, self._flapping = self._clients[:steady], self._clients[steady:]
        self._port = 0
        self._rate = 0.0
        self._ends: Sequence[str] = ENDS
        self._due = 0.0
        self._waking: dict[Client, float] = {}  # the silent ones, and when they look again
        self._wanted = set(self._clients)
        self._dialing = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Do as told until there are no more orders."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        turns = loop.create_task(self._turns())
        while line := await reader.readline():
            if turns.done():
                turns.result()
            print(json.dumps(self._do(json.loads(line))), flush=True)

    def _do(self, order: Mapping[str, Any]) -> dict[str, object]:
        match order["do"]:
            case "dial":
                self._port = order["port"]
            case "flap":
                self._rate, self._due = order["rate"], asyncio.get_running_loop().time()
                self._ends = order["ends"]
            case "settle":
                self._rate = 0.0
                gone = self._random.sample(self._flapping, int(len(self._flapping) * order["gone"]))
                self._wanted = set(self._clients).difference(gone)
                for client in gone:
                    if client.established:
                        client.leave(self._random.choice([how for how in ENDS if how != SILENT]))
            case "check":
                return {"wrong": self._wrong()}
            case "said":
                return {"said": self._said()}
        counts = dict(self._counts)
        self._counts.clear()
        return {
            "wanted": len(self._wanted),
            "established": sum(client.established for client in self._clients),
            "settled": all(
                client.there == client.established == (client in self._wanted) for client in self._clients
            ),
            "lost": [line for client in self._clients for line in client.lost],
            "counts": counts,
            "memory": census.resident(),
        }

    # --- what goes on ------------------------------------------------------------------------------------
    async def _turns(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TURN)
            now = loop.time()
            for client in [client for client, at in self._waking.items() if at <= now]:
                del self._waking[client]
                client.wake()
            for client in self._wanted:
                if self._port and not client.there and self._dialing < _AT_ONCE:
                    self._dial(client)
            # What could not be done in time is not made good: then the machine has more to do already.
            self._due = max(self._due, now - 1.0)
            while self._rate and self._due <= now:
                self._due += 1 / self._rate
                self._act(now)

    def _dial(self, client: Client) -> None:
        self._dialing += 1
        task = asyncio.get_running_loop().create_task(client.dial(self._port))
        self._tasks.add(task)
        task.add_done_callback(self._dialed)

    def _dialed(self, task: asyncio.Task[None]) -> None:
        self._dialing -= 1
        self._tasks.discard(task)

    def _act(self, now: float) -> None:
        client = self._random.choice(self._clients)
        if not client.established:
            return
        if client.steady or self._random.random() < _CHANGES:
            client.say()
            return
        how = self._random.choice(self._ends)
        client.leave(how)
        if how == SILENT:
            # Its session is over when the service's hold timer says so, and it has to wait longer than that.
            self._waking[client] = now + 2 * client.hold_time

    # --- what should be ----------------------------------------------------------------------------------
    def _wrong(self) -> list[str]:
        expected = model(self._clients)
        found = []
        for client in self._steady:
            if client.listener is None:
                found.append(f"client {client.number} is not there")
                continue
            should, does = expected(client), held(client)
            differing = [
                where for where in should.keys() | does.keys() if should.get(where) != does.get(where)
            ]
            if differing:
                where = differing[0]
                found.append(
                    f"client {client.number}: {len(differing)} of {len(should)} differ, such as {where}: "
                    f"{does.get(where)} in place of {should.get(where)}"
                )
        return found

    def _said(self) -> list[list[object]]:
        return [
            [
                *(
                    key.family.name,
                    key.prefix.hex(),
                    client.address,
                    key.path_id if client.add_path else None,
                ),
                *(said.next_hop.hex(), said.med, said.local_pref),
            ]
            for client in self._clients
            for key, said in client.said.items()
        ]


def main(arguments: Sequence[str]) -> int:
    flapping, steady, seed = map(int, arguments)
    raise_limit()
    gc.freeze()
    asyncio.run(_Flock(flapping, steady, seed).run())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
