"""The wire of BIRD's control socket: lines with a code of four digits, the last line of a reply with a blank.

Of successive lines with one code only the first shows it; the others begin with a blank in its place.
"""

from enum import IntEnum

VERSION = "2.0.12"


class Code(IntEnum):
    """The codes that we use; 0 to 999 end a reply well, 8000 and 9000 with an error, others go on."""

    OK = 0
    WELCOME = 1
    READING = 2
    RECONFIGURED = 3
    DISABLED_ALREADY = 8
    DISABLED = 9
    ENABLED_ALREADY = 10
    ENABLED = 11
    RESTARTED = 12
    STATUS = 13
    COUNT = 14
    RELOADING = 15
    RESTRICTED = 16
    CONFIGURATION_OK = 20
    RECOVERING = 24
    VERSION = 1000
    PROTOCOL = 1002
    PROTOCOL_DETAILS = 1006
    ROUTE = 1007
    ROUTE_DETAILS = 1008
    UPTIME = 1011
    ATTRIBUTES = 1012
    MEMORY = 1018
    PROTOCOL_HEADING = 2002
    NOT_FOUND = 8001
    CONFIGURATION_ERROR = 8002
    ACCESS_DENIED = 8007
    RUNTIME_ERROR = 8000
    PARSE_ERROR = 9001


class Refused(Exception):
    """A command that ends with an error."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Reply:
    """Makes the octets of a reply, line by line."""

    def __init__(self) -> None:
        self._last: int | None = None

    def line(self, code: Code, text: str) -> bytes:
        """Return a line behind which more follow."""
        head = " " if code == self._last else f"{code:04d}-"
        self._last = code
        return f"{head}{text}\n".encode()

    @staticmethod
    def end(code: Code = Code.OK, text: str = "") -> bytes:
        """Return the last line."""
        return f"{code:04d} {text}\n".encode()
