"""The control socket of a running service: questions and commands, answered by reports, in lines of JSON."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from reflector.control.lines import LONGEST
from reflector.control.protocol import line, parse
from reflector.report.answering import answer, find
from reflector.report.row import Row, Unanswerable

if TYPE_CHECKING:
    from reflector.app import Service

logger = logging.getLogger(__name__)


class ControlTalk:
    """What one asker hears."""

    greeting = b""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._asked = ""
        self.endless = False

    async def answer(self, asked: bytes) -> AsyncGenerator[bytes, None]:
        """Yield the lines of an answer, the last of which says how it ended."""
        count = 0
        try:
            async with aclosing(self._rows(asked)) as rows:
                async for row in rows:
                    count += 1
                    yield line({"row": row})
        except Unanswerable as error:
            yield line({"error": str(error)})
        except Exception as error:
            # Not with what came with it, which may be secret.
            logger.exception("internal error while answering %r", self._asked)
            yield line({"error": f"internal error: {type(error).__name__}: {error}; the log has more"})
        else:
            yield line({"end": count})

    def _rows(self, asked: bytes) -> AsyncGenerator[Row, None]:
        if len(asked) > LONGEST:
            raise Unanswerable(f"a question has at most {LONGEST} octets")
        try:
            message = parse(asked)
        except ValueError as error:
            raise Unanswerable(f"not understood: {error}") from None
        given = message.get("with", {})
        if not isinstance(given, dict):
            raise Unanswerable("with: must be an object with the arguments")
        question = find(message.get("ask"))
        self._asked = question.name
        self.endless = question.endless
        return answer(self._service, question, given)
