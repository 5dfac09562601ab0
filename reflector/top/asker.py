"""Questions to a running service from within a loop: one connection, which is made again when it is gone."""

import asyncio
from pathlib import Path
from typing import Any

from reflector.control.protocol import line, parse

Row = dict[str, Any]

_LONGEST = 1 << 24


class Away(Exception):
    """The service cannot be reached, or went away; the text says why."""


class NotAnswered(Exception):
    """The service is there and cannot answer this; the text says why."""


class Asker:
    """Asks at the socket `path`, one question after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._asking = asyncio.Lock()

    async def ask(self, question: str, **given: object) -> list[Row]:
        """Return the rows of the answer; raise Away or NotAnswered."""
        async with self._asking:
            try:
                return await self._ask(question, given)
            except (OSError, EOFError, ValueError) as error:
                self.close()
                raise Away(getattr(error, "strerror", None) or str(error) or "it has gone away") from None
            except asyncio.CancelledError:
                # What is left of the answer would be taken for that of the next question.
                self.close()
                raise

    async def _ask(self, question: str, given: dict[str, object]) -> list[Row]:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(str(self.path), limit=_LONGEST)
        reader, writer = self._streams
        writer.write(line({"ask": question, "with": given}))
        await writer.drain()
        rows = []
        while octets := await reader.readline():
            answer = parse(octets)
            if "row" in answer:
                rows.append(answer["row"])
            elif "error" in answer:
                raise NotAnswered(answer["error"])
            else:
                return rows
        raise EOFError("it has gone away")

    def close(self) -> None:
        """End the connection; the next question makes another."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
