"""The service as a process: its signals, its supervisor, and the status with which it ends.

SIGTERM is a restart towards our neighbors, SIGINT is not; a second one of either ends us at once, whatever
we wait for.  SIGHUP reloads, also where it comes before we serve: then as soon as we do.  SIGUSR1 has a line
logged that says how it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
from collections.abc import Callable
from types import FrameType

from bgp.aio.lag import LoopLag
from bgp.speaker import Speaker
from reflector.app import Service
from reflector.configuration.config import Configuration
from reflector.configuration.document import ConfigurationError
from reflector.control.lines import ControlError
from reflector.forwarding import is_forwarding_error
from reflector.logs.log import said, set_up
from reflector.running.collector import Collector
from reflector.running.hangup import Hangup
from reflector.running.room import raise_open_files, shortages
from reflector.running.supervisor import Patience, Pulse, Supervisor

logger = logging.getLogger(__name__)

# The exit status where this machine does not let us run, or our end took too long.
FAILED = 1
# So many seconds at most may an orderly end take.
STOP_WITHIN = 60.0

_ENDING = (signal.SIGTERM, signal.SIGINT)


def run(configuration: Configuration, file: str, hangup: Hangup | None = None) -> int:
    """Serve until a signal or a command ends it; return the exit status."""
    set_up(configuration.log)
    raise_open_files(configuration)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(Process(configuration, file, hangup).serve())


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop if it is installed, None for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


class Process:
    """A service with what a process has around it, on the running loop."""

    def __init__(self, configuration: Configuration, file: str, hangup: Hangup | None = None) -> None:
        self._configuration = configuration
        self._file = file
        self._early = hangup
        self._supervisor = Supervisor()

    async def serve(self) -> int:
        """Serve until the end is asked for; return the exit status."""
        self._loop = loop = asyncio.get_running_loop()
        self._hangup = asyncio.Event()
        self._service = service = Service(self._configuration, file=self._file, control=True)
        for number in _ENDING:
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGHUP, self._hangup.set)
        if self._early is not None and self._early.came:
            self._hangup.set()
        loop.add_signal_handler(signal.SIGUSR1, _log_state, service.speaker, LoopLag())
        if not await self._start():
            return FAILED
        collector = Collector()
        pulse = Pulse(self._supervisor, loop, self._status, self._ailment)
        reloader = loop.create_task(self._reload_on_hangup())
        restart, text = await service.ended()
        pulse.stop()
        reloader.cancel()
        status = await self._stop(text or ("restarting" if restart else "shutting down"), restart)
        collector.stop()
        logger.info("stopped", extra=said("stopped"))
        return status

    def _end(self, number: signal.Signals) -> None:
        logger.info("%s: stopping", number.name, extra=said("stopping", reason=number.name))
        for each in _ENDING:
            # From here on no turn of the loop is needed to be heard.
            self._loop.remove_signal_handler(each)
            signal.signal(each, _end_at_once)
        self._service.end(restart=number is signal.SIGTERM)

    # --- The beginning ------------------------------------------------------------------------------------

    async def _start(self) -> bool:
        """Start the service unless its end is asked for before; return whether that went well."""
        service = self._service
        self._supervisor.status("starting")
        # First, for it may be why we cannot start.
        for shortage in shortages(self._configuration):
            logger.warning("%s", shortage)
        patience = Patience(self._supervisor, self._loop)
        starting = self._loop.create_task(service.start())
        ending = self._loop.create_task(service.ended())
        try:
            await asyncio.wait((starting, ending), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await starting
                return True  # and end in order
            await starting
        except OSError as error:
            text = error.strerror if isinstance(error, ControlError) else _cannot_start(error)
        except Exception as error:
            if not is_forwarding_error(error):
                raise
            text = f"[fib]: {error}"
        else:
            _log_start(service)
            # Not only when all routes are there: who waits for us to be started does not wait for our peers.
            self._supervisor.ready()
            return True
        finally:
            patience.stop()
            ending.cancel()
        logger.error("%s", text)
        self._supervisor.status(str(text))
        await self._stop("cannot start", restart=False)
        return False

    # --- Meanwhile ----------------------------------------------------------------------------------------

    async def _reload_on_hangup(self) -> None:
        while True:
            await self._hangup.wait()
            self._hangup.clear()  # those that came together ask for the same
            self._supervisor.reloading()
            try:
                await _reload(self._service)
            except Exception:
                logger.exception("internal error in a reload")
            self._supervisor.ready()

    def _status(self) -> str:
        speaker, router = self._service.speaker, self._service.speaker.router
        text = (
            f"{len(router.members)} of {len(speaker.peers)} neighbors Established, {router.rib.routes} routes"
        )
        return text if speaker.is_converged else f"{text}, waiting for first routes"

    def _ailment(self) -> str | None:
        """Return what a restart would cure."""
        deaf = [str(each.endpoint) for each in self._service.speaker.listeners if not each.is_open]
        return f"nobody can connect to {', '.join(deaf)}" if deaf else None

    # --- The end ------------------------------------------------------------------------------------------

    async def _stop(self, communication: str, restart: bool) -> int:
        """End the service in order, but in bounded time; return the exit status."""
        self._supervisor.stopping()
        self._supervisor.status(communication)
        patience = Patience(self._supervisor, self._loop)
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await self._service.stop(communication, restart=restart)
        except TimeoutError:
            logger.error("not all was done within %g s; it is cut off", STOP_WITHIN)
            return FAILED
        finally:
            patience.stop()
        return 0


def _end_at_once(number: int, frame: FrameType | None) -> None:
    logger.warning("%s again: ending at once", signal.Signals(number).name)
    logging.shutdown()
    os._exit(128 + number)


async def _reload(service: Service) -> None:
    """Do what SIGHUP asks for, and log how that went."""
    try:
        found, failed = await service.reload()
    except ConfigurationError as error:
        for problem in error.problems:
            logger.error("%s", problem)
        count = len(error.problems)
        text = "SIGHUP: %d error%s, nothing was changed"
        logger.error(text, count, "" if count == 1 else "s", extra=said("reload", errors=count))
        return
    if found.restart:
        for reason in found.reasons:
            logger.error("%s", reason)
        logger.error("SIGHUP: nothing was changed", extra=said("reload", restart=len(found.restart)))
    elif not found:
        logger.info("SIGHUP: nothing has changed", extra=said("reload", changes=0))
    else:
        changes = said("reload", changes=len(found.steps), failed=len(failed))
        logger.info("SIGHUP: %d changes, %d failed", len(found.steps), len(failed), extra=changes)


def _log_state(speaker: Speaker, lag: LoopLag) -> None:
    """Say how it is; the loop's lag is that since the last time."""
    router = speaker.router
    logger.info(
        "sessions %d, peers %d, routes %d, attribute octets %d, "
        "loop lag p99 %.1f ms, maximum %.1f ms, internal errors %d",
        len(router.members),
        len(speaker.peers),
        router.rib.routes,
        router.rib.attribute_octets,
        lag.percentile(0.99) * 1000,
        lag.maximum * 1000,
        speaker.internal_errors,
        extra=said("state-of-service", sessions=len(router.members), routes=router.rib.routes),
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
        extra=said("started", asn=configuration.router.asn, listening=addresses),
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
