"""The roll: all neighbors at once, small enough that a browser holds five thousand and searches them itself.

It is made in slices, and the octets are shared by all who ask within a few seconds: what it costs does not
depend on how many people look.
"""

import asyncio
import json
import time
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bgp.aio.peer import Peer
from bgp.explanation import policy_name
from bgp.export.group import Group
from bgp.iana import MessageType
from bgp.member import kind_of
from bgp.session.event import State
from reflector.control.lines import SLICE
from reflector.report.words import kind

if TYPE_CHECKING:
    from reflector.app import Service

# The age in seconds that a roll may have, and more where it costs much: at most this share of the time.
AGE, _SHARE = 1.5, 0.05
# So many neighbors between two looks at the clock.
_STEP = 16
# So many characters of a text are enough for a table.
_TEXT = 160

COLUMNS = (
    "name", "description", "address", "asn", "kind", "state", "running", "since", "received", "told",
    "updates_in", "updates_out", "queue", "behind", "group", "times", "error", "error_at",
)  # fmt: skip


class Roll:
    """All neighbors of a service, as octets of JSON, plain and compressed."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._lock = asyncio.Lock()
        self._made, self._rest = 0.0, AGE
        self._octets = self._compressed = b""

    async def get(self, *, compressed: bool) -> bytes:
        """Return the roll, made anew where it is too old; who comes meanwhile waits for the same one."""
        loop = asyncio.get_running_loop()
        async with self._lock:
            if not self._octets or loop.time() - self._made > self._rest:
                await self._make()
        return self._compressed if compressed else self._octets

    async def _make(self) -> None:
        loop, work = asyncio.get_running_loop(), 0.0
        peers = list(self._service.speaker.peers)
        groups = self._service.speaker.router.groups.values()
        of: dict[str, int] = {}
        for group in list(groups):
            of.update(dict.fromkeys(group.listeners, self._service.group_numbers.of(group)))
        head = {
            "time": time.time(),
            "columns": COLUMNS,
            "groups": [self._group(each) for each in list(groups)],
        }
        pieces = [_json(head)[:-1] + b',"rows":[']
        compressor = zlib.compressobj(1, wbits=31)
        packed = [compressor.compress(pieces[0])]
        at = 0
        while at < len(peers):
            began = loop.time()
            some: list[bytes] = []
            # By time, not by number: a turn may take long where the loop is busy, so there should be few.
            while at < len(peers) and (len(some) < _STEP or loop.time() < began + SLICE):
                some += [_json(self._row(peer, of)) for peer in peers[at : at + _STEP]]
                at += _STEP
            pieces.append((b"," if len(pieces) > 1 else b"") + b",".join(some))
            packed.append(compressor.compress(pieces[-1]))
            work += loop.time() - began
            await asyncio.sleep(0)
        pieces.append(b"]}")
        self._octets = b"".join(pieces)
        self._compressed = b"".join([*packed, compressor.compress(b"]}"), compressor.flush()])
        self._made, self._rest = loop.time(), max(AGE, work / _SHARE)

    def _group(self, group: Group) -> dict[str, Any]:
        terms = group.terms
        return {
            "number": self._service.group_numbers.of(group),
            "kind": kind(terms.kind),
            "members": len(group.listeners),
            "policy": None if terms.policy is None else policy_name(terms.policy),
            "add_path": bool(terms.add_path),
        }

    def _row(self, peer: Peer, groups: dict[str, int]) -> Sequence[object]:
        member, negotiated, traffic = peer.member, peer.negotiated, peer.traffic
        options, told = peer.options, self._service.counts.told(peer.name)
        if member is not None and negotiated is not None:
            what: str | None = kind(kind_of(member.settings, negotiated))
        else:
            what = "client" if options.client or options.route_server_client else None
        return (
            peer.name,
            _short(options.description),
            options.interface or str(peer.remote.address),
            options.asn if negotiated is None else negotiated.remote_as,
            what,
            peer.state.label,
            peer.is_running,
            round(peer.since, 1),
            None if member is None else sum(member.received(each) for each in member.negotiated.families),
            None if peer.state is not State.ESTABLISHED or not told else sum(told.values()),
            traffic.received[MessageType.UPDATE],
            traffic.sent[MessageType.UPDATE],
            sum(link.unsent for link in peer.connections),
            member is not None and member.behind,
            groups.get(peer.name),
            peer.times_established,
            _short(peer.last_error),
            peer.last_error_at,
        )


def _short(text: str | None) -> str | None:
    return text if not text or len(text) <= _TEXT else text[: _TEXT - 1] + "…"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=str).encode()
