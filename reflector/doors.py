"""The ways by which a running service is asked: its sockets and HTTP, while their configuration changes.

What is being answered is answered to its end, so whoever asks for what closes the door hears how it went.
"""

import functools
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from reflector.birdc.talk import BirdTalk
from reflector.configuration.exposure import Http
from reflector.control.lines import ControlError, LineServer
from reflector.control.protocol import default_path
from reflector.control.server import ControlTalk
from reflector.http.server import HttpServer

if TYPE_CHECKING:
    from reflector.app import Service
    from reflector.configuration.config import Control

logger = logging.getLogger(__name__)


class Doors:
    """Opens the doors of a service, changes and closes them."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._servers: dict[tuple[str, Path], LineServer] = {}
        self._closed: list[LineServer] = []  # where somebody may still be answered
        self.http = HttpServer(service)

    @property
    def askers(self) -> int:
        """How many are connected to the sockets."""
        return sum(server.askers for server in (*self._servers.values(), *self._closed))

    async def open(self, control: "Control", http: Http) -> None:
        """Answer from now on; raise OSError with the reason where what somebody named cannot be had."""
        await self.http.change(http)
        await self.change_control(control, lenient=True)

    async def change_control(self, control: "Control", *, lenient: bool = False) -> None:
        """Answer on these sockets alone; raise OSError, with nothing changed, where one cannot be had.

        If `lenient`, the usual socket need not be had: to reflect matters more than to be asked.
        """
        wanted: dict[tuple[str, Path], LineServer] = {}
        if control.enabled:
            path, control_talk = (
                control.socket or default_path(),
                functools.partial(ControlTalk, self._service),
            )
            wanted["socket", path] = LineServer(path, control.mode, control_talk, "socket in [control]")
        if control.birdc is not None:
            bird_talk = functools.partial(BirdTalk, self._service)
            wanted["birdc", control.birdc] = LineServer(
                control.birdc, control.mode, bird_talk, "birdc in [control]"
            )
        started: dict[tuple[str, Path], LineServer] = {}
        try:
            for key, server in wanted.items():
                if key in self._servers:
                    os.chmod(server.path, control.mode)
                    continue
                try:
                    await server.start()
                except ControlError as error:
                    if not lenient or server.path == control.socket or key[0] != "socket":
                        raise
                    logger.warning("nobody can ask this service: %s", error.strerror)
                else:
                    started[key] = server
        except OSError:
            for server in started.values():
                await server.stop()
            raise
        for key in self._servers.keys() - wanted.keys():
            server = self._servers.pop(key)
            server.close()
            self._closed.append(server)
        self._servers |= started

    async def close(self) -> None:
        """Answer nobody any more."""
        for server in (*self._servers.values(), *self._closed):
            await server.stop()
        self._servers.clear()
        await self.http.stop()
