"""A configuration at work: one speaker, its peers, its log, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from bgp.aio.events import PeerEvent
from bgp.family import FAMILIES
from bgp.speaker import Speaker
from reflector.changes.altering import Alteration, Altered, alter
from reflector.changes.drain import Drain
from reflector.changes.overlay import Overlay, carried
from reflector.changes.reload import Plan, Step, carry_out, plan, settled
from reflector.configuration.config import Configuration, configured
from reflector.configuration.document import ConfigurationError, Problem, read
from reflector.counts import Counts
from reflector.doors import Doors
from reflector.logs.debugging import Debugs
from reflector.logs.journal import Journal
from reflector.logs.log import SessionLog
from reflector.metrics import Errors
from reflector.originate import aggregate, originate
from reflector.report.groups import Numbers
from reflector.report.memory import resident
from reflector.version import version

if TYPE_CHECKING:
    from fib import KernelFib

logger = logging.getLogger(__name__)


T = TypeVar("T")
_Read = tuple[Configuration, Overlay, tuple[str, ...]]


class Service:
    """A route reflector as `configuration`, read from `file`, describes it, on the running loop.

    It keeps the last lines of the log in `journal`, and answers on the socket of `[control]` if `control` is
    true, as the service does and a part of another program does not.
    """

    def __init__(
        self,
        configuration: Configuration,
        on_event: Callable[[PeerEvent], None] | None = None,
        *,
        file: str = "",
        control: bool = False,
    ) -> None:
        """Make a service that does nothing yet; sessions are logged unless `on_event` hears of them."""
        router = configuration.router
        self.configuration = configuration
        self.file = file
        self.version = version()
        self.started = self.configured = time.time()
        self.journal = Journal()
        self._reloading = asyncio.Lock()
        self.overlay: Overlay = {}
        self.fib: KernelFib | None = None
        self._on_event = on_event or SessionLog()
        self.speaker = Speaker(
            asn=router.asn,
            router_id=router.router_id,
            cluster_id=router.cluster_id,
            listen=router.listen,
            on_event=self._hear,
            confederation=router.confederation,
            client_to_client=router.client_to_client,
            max_paths=router.max_paths,
            max_attribute_octets=router.max_attribute_octets,
            decision=configuration.decision,
            lag_age=router.lag_age,
            # What we reflect is forwarded by others; so peers that were asked to keep it may go on with that.
            # And so is what we forward ourselves, unless our routes left the kernel with us.
            restarted=configuration.restarts,
            preserved=() if configuration.fib is not None and configuration.fib.flush else FAMILIES,
        )
        self.drain = Drain(self.speaker)
        self._ended = asyncio.Event()
        self._end = True, ""  # whether it is to start again, and what neighbors are told
        self.errors = Errors()
        self.idle = 0  # the octets of memory that we have without any session
        self.convergence: float | None = None  # the seconds that it took
        self.doors = Doors(self) if control else None
        self.counts = Counts(self.speaker.router)
        self.debugs = Debugs(self.speaker)
        self.group_numbers = Numbers()

    async def start(self) -> None:
        """Listen, originate, and start all sessions; raise OSError if an address cannot be had."""
        logging.getLogger().addHandler(self.journal)
        self.prepare()
        if self.configuration.fib is not None:
            # Before any session: so no next hop is taken to be reachable that is not.
            self.fib = self.configuration.fib.make(self.speaker)
            await self.fib.open()
        self.idle = resident()
        await self.speaker.start()
        self.speaker.measure_lag()
        self.loop = asyncio.get_running_loop()
        self._converging = self.loop.create_task(self._converge())
        if self.doors is not None:
            await self.doors.open(self.configuration.control, self.configuration.http)

    def _hear(self, event: PeerEvent) -> None:
        self.errors.hear(event)
        self._on_event(event)

    async def _converge(self) -> None:
        with contextlib.suppress(RuntimeError):
            await self.speaker.converged()
            self.convergence = time.time() - self.started

    def prepare(self) -> None:
        """Tell the speaker all that is configured; nothing of a good configuration is refused."""
        configuration, speaker = self.configuration, self.speaker
        for network in configuration.networks:
            originate(speaker, network)
        for each in configuration.aggregates:
            aggregate(speaker, each)
        # Whoever may connect is known before anybody can.
        for listen_range in configuration.listen_ranges:
            speaker.add_listen_range(listen_range.prefix, listen_range.options, limit=listen_range.limit)
        for options in configuration.neighbors:
            speaker.add_peer(options)

    async def plan(self, *, forget: bool = False) -> Plan:
        """Return what the configuration file asks for by now; raise ConfigurationError with its faults."""
        after, _, notes = await self._read_by_now(forget)
        return replace(plan(self.configuration, after, self.doors), notes=notes)

    async def _read_by_now(self, forget: bool) -> _Read:
        """Read the file in a thread: thousands of neighbors take longer than the loop may stand still."""
        lying = {} if forget else self.overlay
        return await asyncio.to_thread(self._read, lying, self.configuration.data)

    def _read(self, lying: Overlay, before: Mapping[str, object]) -> _Read:
        """Return what the file says by now under what lies over it, that, and notes on it."""
        document = read(self.file)
        overlay, notes = carried(lying, before, document.data)
        try:
            return configured(document, overlay), overlay, tuple(notes)
        except ConfigurationError as error:
            if all(each.line for each in error.problems):
                raise
            what = "some of this was not in the file, but done at run time"
            remedy = "`reflector reload --forget` lets go of that"
            raise ConfigurationError([*error.problems, Problem(self.file, 0, "", what, remedy)]) from None

    async def reload(self, *, forget: bool = False) -> tuple[Plan, list[tuple[Step, str]]]:
        """Go over to what the configuration file says by now; return what that was, and what of it failed.

        What was changed at run time stays, unless that is to `forget`, or the file has changed the same.
        Raises ConfigurationError, with nothing changed, for a file with faults.  Where the plan has anything
        that takes a restart, nothing is done either.
        """
        return await _whole(self._reload(forget))

    async def _reload(self, forget: bool) -> tuple[Plan, list[tuple[Step, str]]]:
        async with self._reloading:
            after, overlay, notes = await self._read_by_now(forget)
            found = replace(plan(self.configuration, after, self.doors), notes=notes)
            if found.restart:
                return found, []
            for warning in after.warnings:
                if warning not in self.configuration.warnings:
                    logger.warning("%s", warning)
            failed = await carry_out(found.steps, self.speaker)
            self.drain.renew()
            self.configuration = settled(self.configuration, after, [step for step, _ in failed])
            self.overlay = overlay
            self.configured = time.time()
            return found, failed

    async def alter(self, asked: Alteration, *, save: bool, dry_run: bool) -> Altered:
        """Add, change or remove a neighbor or range; raise Refused or OSError with nothing done."""
        return await _whole(self._alter(asked, save, dry_run))

    async def _alter(self, asked: Alteration, save: bool, dry_run: bool) -> Altered:
        async with self._reloading:
            return await alter(self, asked, save=save, dry_run=dry_run)

    def end(self, *, restart: bool, text: str = "") -> None:
        """Ask for the end; whoever runs the service waits for that in `ended`."""
        self._end = restart, text
        self._ended.set()

    async def ended(self) -> tuple[bool, str]:
        """Wait until the end is asked for; return whether it starts again, and what neighbors are told."""
        await self._ended.wait()
        return self._end

    async def stop(self, communication: str, *, restart: bool = False) -> None:
        """End all sessions with a Cease that carries `communication` (RFC 9003)."""
        if self.doors is not None:
            await self.doors.close()
        self.counts.stop()
        self.debugs.stop()
        if self.fib is not None:
            await self.fib.close()
        await self.speaker.stop(communication, restart=restart)
        logging.getLogger().removeHandler(self.journal)


async def _whole(change: Coroutine[Any, Any, T]) -> T:
    """Do all of a change, though whoever asked for it may have gone away in the middle."""
    return await asyncio.shield(asyncio.get_running_loop().create_task(change))
