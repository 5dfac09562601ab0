"""A configuration at work: one speaker, its peers, its log, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import resource
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from bgp.aio.events import PeerEvent
from bgp.aio.lag import LoopLag
from bgp.family import FAMILIES
from bgp.speaker import Speaker
from reflector.birdc.talk import BirdTalk
from reflector.collector import Collector
from reflector.config import Configuration, load
from reflector.control.lines import ControlError, LineServer
from reflector.control.protocol import default_path
from reflector.control.server import ControlTalk
from reflector.counts import Counts
from reflector.document import ConfigurationError
from reflector.drain import Drain
from reflector.forwarding import is_forwarding_error
from reflector.http.server import HttpServer
from reflector.journal import Journal
from reflector.log import SessionLog, set_up
from reflector.metrics import Errors
from reflector.originate import aggregate, originate
from reflector.reload import Plan, Step, carry_out, plan, settled
from reflector.version import version

if TYPE_CHECKING:
    from fib import KernelFib

logger = logging.getLogger(__name__)


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
        self.convergence: float | None = None  # the seconds that it took
        self._http = HttpServer(self, configuration.http) if control and configuration.http.listen else None
        answering = configuration.control
        self.counts = Counts(self.speaker.router)
        self._servers: list[LineServer] = []
        # Who may fail to start: to reflect matters more than to be asked, unless somebody has said where.
        self._lenient: LineServer | None = None
        if control and answering.enabled:
            path, control_talk = answering.socket or default_path(), functools.partial(ControlTalk, self)
            server = LineServer(path, answering.mode, control_talk, "socket in [control]")
            self._servers.append(server)
            self._lenient = server if answering.socket is None else None
        if control and answering.birdc is not None:
            bird_talk = functools.partial(BirdTalk, self)
            self._servers.append(LineServer(answering.birdc, answering.mode, bird_talk, "birdc in [control]"))

    async def start(self) -> None:
        """Listen, originate, and start all sessions; raise OSError if an address cannot be had."""
        logging.getLogger().addHandler(self.journal)
        self.prepare()
        if self.configuration.fib is not None:
            # Before any session: so no next hop is taken to be reachable that is not.
            self.fib = self.configuration.fib.make(self.speaker)
            await self.fib.open()
        await self.speaker.start()
        self.speaker.measure_lag()
        self.loop = asyncio.get_running_loop()
        self._converging = self.loop.create_task(self._converge())
        if self._http is not None:
            await self._http.start()
        for server in self._servers:
            try:
                await server.start()
            except ControlError as error:
                if server is not self._lenient:
                    raise
                logger.warning("nobody can ask this service: %s", error.strerror)

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

    def plan(self) -> Plan:
        """Return what the configuration file asks for by now; raise ConfigurationError with its faults."""
        return plan(self.configuration, load(self.file))

    async def reload(self) -> tuple[Plan, list[tuple[Step, str]]]:
        """Go over to what the configuration file says by now; return what that was, and what of it failed.

        Raises ConfigurationError, with nothing changed, for a file with faults.  Where the plan has anything
        that takes a restart, nothing is done either.
        """
        async with self._reloading:
            after = load(self.file)
            found = plan(self.configuration, after)
            if found.restart:
                return found, []
            for warning in after.warnings:
                if warning not in self.configuration.warnings:
                    logger.warning("%s", warning)
            failed = await carry_out(found.steps, self.speaker)
            self.drain.renew()
            self.configuration = settled(self.configuration, after, [step for step, _ in failed])
            self.configured = time.time()
            return found, failed

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
        for server in self._servers:
            await server.stop()
        self.counts.stop()
        if self._http is not None:
            await self._http.stop()
        if self.fib is not None:
            await self.fib.close()
        await self.speaker.stop(communication, restart=restart)
        logging.getLogger().removeHandler(self.journal)


def run(configuration: Configuration, file: str) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status.

    SIGHUP reloads, and SIGUSR1 has a line logged that says how it is.
    """
    set_up(configuration.router.log_level)
    _raise_file_limit()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_serve(configuration, file))


async def _serve(configuration: Configuration, file: str) -> int:
    loop = asyncio.get_running_loop()
    service = Service(configuration, file=file, control=True)

    def on_signal(number: signal.Signals) -> None:
        logger.info("%s: stopping", number.name)
        service.end(restart=number is signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    reloads: set[asyncio.Task[None]] = set()

    def on_hangup() -> None:
        task = loop.create_task(_reload(service))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    loop.add_signal_handler(signal.SIGUSR1, _log_state, service.speaker, LoopLag())
    try:
        await service.start()
    except OSError as error:
        logger.error("%s", error.strerror if isinstance(error, ControlError) else _cannot_start(error))
        await service.stop("cannot start")
        return 1
    except Exception as error:
        if not is_forwarding_error(error):
            raise
        logger.error("[fib]: %s", error)
        await service.stop("cannot start")
        return 1
    _log_start(service)
    collector = Collector()
    restart, text = await service.ended()
    await service.stop(text or ("restarting" if restart else "shutting down"), restart=restart)
    collector.stop()
    logger.info("stopped")
    return 0


async def _reload(service: Service) -> None:
    """Do what SIGHUP asks for, and log how that went."""
    try:
        found, failed = await service.reload()
    except ConfigurationError as error:
        for problem in error.problems:
            logger.error("%s", problem)
        count = len(error.problems)
        logger.error("SIGHUP: %d error%s, nothing was changed", count, "" if count == 1 else "s")
        return
    if found.restart:
        for each in found.restart:
            logger.error("%s: only a restart changes this", each)
        logger.error("SIGHUP: nothing was changed")
    elif not found:
        logger.info("SIGHUP: nothing has changed")
    else:
        logger.info("SIGHUP: %d changes, %d failed", len(found.steps), len(failed))


def _log_state(speaker: Speaker, lag: LoopLag) -> None:
    """Say how it is; the loop's lag is that since the last time."""
    router = speaker.router
    logger.info(
        "sessions %d, peers %d, routes %d, attribute octets %d, "
        "loop lag p99 %.1f ms, maximum %.1f ms, internal errors %d",
        len(router.members),
        len(speaker.peers),
        router.routes,
        router.attribute_octets,
        lag.percentile(0.99) * 1000,
        lag.maximum * 1000,
        speaker.internal_errors,
    )
    lag.reset()


def _log_start(service: Service) -> None:
    configuration = service.configuration
    for warning in configuration.warnings:
        logger.warning("%s", warning)
    addresses = [str(listener.endpoint) for listener in service.speaker.listeners]
    logger.info(
        "reflecting in AS %d, listening on %s: %s",
        configuration.router.asn,
        ", ".join(addresses) or "nothing",
        configuration.summary,
    )


_REMEDIES = {
    errno.EACCES: "a port below 1024 needs root or CAP_NET_BIND_SERVICE, or choose another port",
    errno.EADDRINUSE: "another program, probably a BGP daemon, has this port: stop it, or choose another",
    errno.EADDRNOTAVAIL: "no interface has this address: correct listen, or add the address",
    errno.EAFNOSUPPORT: "this machine has no IPv6: remove the IPv6 addresses from listen",
}


def _cannot_start(error: OSError) -> str:
    """Say what failed, and what to do about it."""
    remedy = _REMEDIES.get(error.errno or 0, "correct listen in [router]")
    return f"{error.strerror or error}; {remedy}"


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop if it is installed, None for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _raise_file_limit() -> None:
    """Allow as many open files as the system lets us have: each session takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
