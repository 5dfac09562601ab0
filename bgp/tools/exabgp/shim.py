"""The sessions together: commands in, JSON out."""

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Any

from bgp.family import Family
from bgp.iana import MessageType
from bgp.session.action import Delivery, Down, Established, Opened
from bgp.session.event import State
from bgp.tools.exabgp import command as commands
from bgp.tools.exabgp import form, pipe
from bgp.tools.exabgp.command import Command, Selector
from bgp.tools.exabgp.session import Session
from bgp.tools.exabgp.settings import Settings
from bgp.wire import prefix as nlri
from bgp.wire.message import RouteRefresh
from bgp.wire.update import Update

_DONE, _ERROR = b"done\n", b"error\n"
# Commands between two looks at the sockets.
_PORTION = 100
_DRAIN = 2.0


async def serve(
    chosen: Settings, incoming: int, outgoing: int, *, acknowledge: bool = True, stay: bool = False
) -> int:
    """Do the commands that come from one file descriptor, and print to another."""
    shim = Shim(chosen, pipe.Output(outgoing, _lagged), acknowledge)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    shim.start()
    reading = asyncio.create_task(_obey(shim, incoming, ended, stay))
    try:
        await ended.wait()
    finally:
        reading.cancel()
        await shim.stop()
    return 1 if reading.done() and not reading.cancelled() and reading.exception() else 0


async def _obey(shim: "Shim", descriptor: int, ended: asyncio.Event, stay: bool) -> None:
    try:
        count = 0
        async for line in pipe.lines(descriptor):
            shim.obey(line)
            count += 1
            if count % _PORTION == 0:
                await asyncio.sleep(0)
            if shim.over:
                ended.set()
        if not stay:
            ended.set()
    except ValueError as error:
        print(f"python -m bgp exabgp: {error}", file=sys.stderr)
        ended.set()
        raise


def _lagged(lost: int) -> bytes:
    text = f"{lost} messages were lost: nobody read them; announce route-refresh asks for the routes again"
    return form.line(form.envelope("lagged") | {"lost": lost, "message": text})


class Shim:
    """The sessions, what they say, and what commands do to them."""

    def __init__(self, chosen: Settings, output: pipe.Output, acknowledge: bool = True) -> None:
        self._output = output
        self._acknowledge = acknowledge
        self.over = False
        # The sessions, and how many messages were printed about each.
        self._neighbors: dict[Session, int] = {}
        self._failures: dict[Session, str] = {}
        for options in chosen.neighbors:
            session = Session(options, chosen.asn, chosen.identifier, self._tell, self._complain)
            self._neighbors[session] = 0

    def start(self) -> None:
        """Dial all neighbors."""
        for session in self._neighbors:
            session.start()

    async def stop(self) -> None:
        """End all sessions, and print what waits if somebody reads it."""
        await asyncio.gather(*(session.stop() for session in self._neighbors))
        self._output.message(form.line(form.envelope("notification") | {"notification": "shutdown"}))
        await asyncio.to_thread(self._output.drain, _DRAIN)

    # --- commands ------------------------------------------------------------------------------------------
    def obey(self, line: str) -> None:
        """Do what a line says, and answer `done` or `error`, the reason of which goes to standard error."""
        acknowledge, answer = self._acknowledge, _DONE
        try:
            command = commands.parse(line)
            if command is not None:
                text = self._do(command)
                if command.verb == "silence-ack":
                    acknowledge = False
                if text:
                    self._output.acknowledge(text.encode() + b"\n")
        except (ValueError, KeyError) as error:
            answer = _ERROR
            self._complain(f"{line.strip()[:200]}: {error}")
        if line.strip() and (acknowledge or self._acknowledge):
            self._output.acknowledge(answer)
        self.over = self.over or self._output.broken

    def _do(self, command: Command) -> str:
        chosen = self._select(command.selectors)
        match command.verb:
            case "announce" if command.said is not None:
                for session in chosen:
                    session.adjacency.announce(command.routes, command.said)
            case "withdraw":
                for session in chosen:
                    session.adjacency.withdraw(command.routes)
            case "announce route-refresh":
                self._refresh(chosen, command.families)
            case "announce eor":
                for session in chosen:
                    session.adjacency.end_of_rib(command.families)
            case "flush adj-rib out":
                for session in chosen:
                    session.adjacency.again(command.families)
            case "clear adj-rib out":
                for session in chosen:
                    session.adjacency.withdraw(list(session.adjacency.routes))
            case "teardown":
                for session in chosen:
                    session.reset(int(command.words[0]))
            case "show neighbor":
                return self._show(chosen, command.words)
            case "show adj-rib out":
                return _routes(chosen, command.words)
            case "version":
                return f"exabgp {form.VERSION}"
            case "enable-ack" | "disable-ack" | "silence-ack":
                self._acknowledge = command.verb == "enable-ack"
            case "shutdown":
                self.over = True
                return "shutdown in progress"
        for session in chosen:
            session.hurry()
        return ""

    def _refresh(self, chosen: Sequence[Session], families: Sequence[Family]) -> None:
        for session in chosen:
            if session.state == State.ESTABLISHED and not session.request_refresh(families):
                raise ValueError(f"{session.options.address} takes no ROUTE-REFRESH for that (RFC 2918)")

    def _select(self, selectors: Sequence[Selector]) -> list[Session]:
        """Return the sessions that a command is for; raise ValueError where there is none."""
        if not selectors:
            return list(self._neighbors)
        found = [
            session for session in self._neighbors if any(_fits(session, selector) for selector in selectors)
        ]
        if not found:
            known = ", ".join(session.options.address for session in self._neighbors)
            raise ValueError(f"no neighbor is like that; there are: {known}")
        return found

    def _show(self, chosen: Sequence[Session], words: Sequence[str]) -> str:
        rest = list(words)
        if rest and rest[0] not in ("summary", "extensive", "configuration", "json"):
            address = rest.pop(0)
            chosen = [session for session in chosen if session.options.address == address]
        if rest == ["json"]:
            return json.dumps([self._neighbor_form(session) for session in chosen])
        lines = ["Peer            AS        up/down state       |     #sent     #recvd"]
        now = asyncio.get_running_loop().time()
        for session in chosen:
            up = session.state == State.ESTABLISHED
            seconds = int(now - session.since)
            lasting = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}" if up else "down"
            received, sent = session.counters
            lines.append(
                f"{session.options.address:<15} {session.options.asn!s:<9} {lasting:<7} "
                f"{session.state.label.lower():<12} {sum(sent):>10} {sum(received):>10}"
            )
        return "\n".join(lines)

    def _neighbor_form(self, session: Session) -> dict[str, Any]:
        received, sent = session.counters
        up = session.state == State.ESTABLISHED
        agreed = session.negotiated
        families = () if agreed is None else agreed.families
        return {
            "state": "up" if up else "down",
            "duration": int(asyncio.get_running_loop().time() - session.since),
            "fsm": session.state.label.upper(),
            "local": {
                "address": _address(session),
                "as": session.asn,
                "id": str(IPv4Address(session.identifier)),
                "hold": session.options.hold_time,
            },
            "peer": {
                "address": session.options.address,
                "as": session.options.asn,
                "id": None if agreed is None else str(IPv4Address(agreed.remote_identifier)),
                "hold": None if agreed is None else agreed.remote_open.hold_time,
            },
            "messages": {"sent": _counted(sent), "received": _counted(received)},
            "families": [form.family_text(family) for family in families],
        }

    # --- what sessions say ----------------------------------------------------------------------------------
    def _tell(self, session: Session, delivery: Delivery) -> None:
        match delivery:
            case Update():
                if delivery.end_of_rib is not None or delivery.announced or delivery.withdrawn:
                    self._print(session, "update", {"direction": "receive", "message": form.update(delivery)})
            case Opened(negotiated):
                self._print(session, "state", {"state": "connected"})
                self._print(session, "open", {"direction": "receive", "open": form.opened(negotiated)})
            case Established():
                self._failures.pop(session, None)
                self._print(session, "state", {"state": "up"})
            case RouteRefresh():
                self._print(
                    session, "refresh", {"direction": "receive", "route-refresh": form.refresh(delivery)}
                )
            case Down():
                if delivery.received is not None:
                    said = form.notification(delivery.received)
                    self._print(session, "notification", {"direction": "receive", "notification": said})
                if delivery.state >= State.OPEN_CONFIRM:
                    self._print(session, "state", {"state": "down", "reason": delivery.text})
                elif delivery.text != self._failures.get(session):
                    # It is tried again and again, and said once.
                    self._failures[session] = delivery.text
                    self._complain(f"{session.options.address}: {delivery.text}")

    def _print(self, session: Session, type_: str, rest: dict[str, Any]) -> None:
        self._neighbors[session] += 1
        asn = session.options.asn if session.negotiated is None else session.negotiated.remote_as
        about = {
            "address": {"local": _address(session), "peer": session.options.address},
            "asn": {"local": session.asn, "peer": asn if isinstance(asn, int) else None},
            "router-id": str(IPv4Address(session.identifier)),
        }
        self._output.message(
            form.line(form.envelope(type_, self._neighbors[session]) | {"neighbor": about | rest})
        )

    def _complain(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def _address(session: Session) -> str | None:
    return None if session.local is None else str(session.local.address)


def _fits(session: Session, selector: Selector) -> bool:
    facts = {
        "local-ip": _address(session),
        "local-as": str(session.asn),
        "peer-as": str(session.options.asn),
        "router-id": str(IPv4Address(session.identifier)),
        "family-allowed": "/".join(family.name for family in session.options.families),
    }
    return selector.address in ("*", session.options.address) and all(
        value in (facts[name], "in-open") for name, value in selector.conditions
    )


def _counted(counters: Sequence[int]) -> dict[str, int]:
    named = {kind.name.lower().replace("route_refresh", "refresh"): counters[kind] for kind in MessageType}
    return named | {"total": sum(counters)}


def _routes(chosen: Sequence[Session], words: Sequence[str]) -> str:
    lines = []
    for session in chosen:
        for key, said in session.adjacency.routes.items():
            where = (
                f"neighbor {session.options.address} "
                if "extensive" in words
                else f"{session.options.address} "
            )
            prefix = f"{form.family_text(key.family)} {nlri.text(key.family, key.prefix)}"
            if "extensive" in words:
                lines.append(f"{where}{prefix} {said.words}")
            else:
                next_hop = "self" if said.next_hop is None else nlri.address_text(said.next_hop)
                lines.append(f"{where}{prefix} next-hop {next_hop}")
    return "\n".join(lines)
