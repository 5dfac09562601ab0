"""The words of the control socket: a line of JSON asks, lines of JSON answer, and the last says how it ended.

    {"ask": "routes", "with": {"prefix": "10.0.0.0/8", "longer": true}}

is answered by `{"row": {...}}` for each row and `{"end": COUNT}`, or by `{"error": TEXT}` at any point.  Any
number of questions may follow each other on one connection; whoever closes it hears no more.
"""

import json
import os
from pathlib import Path
from typing import Any

# Names where the socket is, in place of a configuration's word on it.
ENVIRONMENT = "REFLECTOR_SOCKET"
# That of root, and of the unit that systemd starts.
SYSTEM = Path("/run/martlet/reflector.sock")


def default_path() -> Path:
    """Return where the socket is unless the configuration says: named by the environment, or this user's."""
    if ENVIRONMENT in os.environ:
        return Path(os.environ[ENVIRONMENT])
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if runtime:
        return Path(runtime) / "reflector.sock"
    if os.geteuid() == 0:
        return SYSTEM
    directory = os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/martlet-{os.geteuid()}"
    return Path(directory) / "reflector.sock"


def usual_path() -> Path:
    """Return where to ask: our own service, or where there is none the one that the system runs."""
    own = default_path()
    return SYSTEM if not own.exists() and SYSTEM.exists() else own


# `json.dumps` would make one anew for each line.
_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


def line(message: dict[str, Any]) -> bytes:
    """Return a message as it goes over the socket."""
    return _encode(message).encode() + b"\n"


def parse(octets: bytes) -> dict[str, Any]:
    """Return the message of a line; raise ValueError where it is none."""
    message = json.loads(octets)
    if not isinstance(message, dict):
        raise ValueError("a message is a JSON object")
    return message
