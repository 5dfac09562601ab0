"""A peer's messages on a terminal as they come, and in a capture file."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import BinaryIO

from bgp.iana import BGP_PORT
from bgp.tools.capture_file import CaptureFile
from bgp.tools.segment import Endpoint
from reflector.show.columns import Row, duration
from reflector.version import version

_STDOUT = "-"
_RECALLED = "the OPEN of the session, from memory: it was there before the capture, and tells how to read it"


def debug(rows: Iterator[Row]) -> None:
    """Print messages as they come."""
    for row in rows:
        if "debugging" in row:
            span = duration(row["seconds"])
            print(f"--- messages of {row['debugging']} for {span}; Ctrl-C ends it", flush=True)
        elif "lines" in row:
            print(f"{_clock(row['time'])} {text_of(row)}", flush=True)
        elif "ended" in row:
            print(f"{_clock(row['time'])} --- the TCP connection with {row['ended']} is over", flush=True)
        elif "over" in row:
            print(f"--- {row['over']}: {row['shown']} shown, {row['suppressed']} were too many", flush=True)
        elif "suppressed" in row:
            print(f"--- {row['suppressed']} messages were too many to be shown", flush=True)
        else:
            print(f"{row['neighbor']}: {row['done']}")


def text_of(row: Row) -> str:
    """Return the lines of a message, with where it goes."""
    way = "->" if row["direction"] == "out" else "<-"
    recalled = " (the session's, from memory)" if "recalled" in row else ""
    first, *rest = row["lines"]
    return "\n".join([f"{way} {first}{recalled}", *rest])


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds)) + f".{int(seconds * 1000) % 1000:03}"


class Capturing:
    """Writes the rows of a capture into a file, which is begun with the first of them."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._seen: Counter[str] = Counter()
        self._ports: set[int] = set()
        self._lost = 0

    def __call__(self, rows: Iterator[Row]) -> None:
        """Write until there are no more, or Ctrl-C is pressed; then say what there was."""
        with ExitStack() as stack:
            out: BinaryIO | None = None
            capture: CaptureFile | None = None
            try:
                for row in rows:
                    if out is None or capture is None:
                        out = (
                            sys.stdout.buffer
                            if self._file == _STDOUT
                            else stack.enter_context(Path(self._file).open("wb"))
                        )
                        capture = self._begin(out, row)
                    else:
                        self._write(capture, row)
                    # Whoever reads along sees it at once, and a file is good whenever we are stopped.
                    out.flush()
            except KeyboardInterrupt:
                pass
            finally:
                if out is not None and capture is not None:
                    capture.finish(time.time_ns(), self._seen.total() + self._lost, self._lost)
                    out.flush()
        self._say()

    def _begin(self, out: BinaryIO, row: Row) -> CaptureFile:
        name, span = row["capturing"], duration(row["seconds"])
        where = "standard output" if self._file == _STDOUT else self._file
        print(f"messages of {name} go to {where}, for {span} at most; Ctrl-C ends it", file=sys.stderr)
        return CaptureFile(out, name, f"Martlet {version()}")

    def _write(self, capture: CaptureFile, row: Row) -> None:
        if "connection" not in row:
            self._lost = row.get("lost", self._lost)
            return
        number = row["connection"]
        if not capture.knows(number) and "octets" in row:
            local = Endpoint(ip_address(row["local"]).packed, row["local_port"])
            remote = Endpoint(ip_address(row["remote"]).packed, row["remote_port"])
            # Whoever opened the connection has any port.
            self._ports.add(local.port if row["incoming"] else remote.port)
            capture.begin(number, local, remote)
        if "octets" not in row:
            capture.end(number, row["time"], aborted=row["aborted"])
            return
        if not row["recalled"]:
            self._seen[row["direction"]] += 1
        capture.message(
            number,
            row["time"],
            bytes.fromhex(row["octets"]),
            sent=row["direction"] == "out",
            position=row["position"],
            incoming=row["incoming"],
            comment=_RECALLED if row["recalled"] else "",
        )

    def _say(self) -> None:
        lost = f", {self._lost} more were lost: we were too slow" if self._lost else ""
        said = f"{self._seen['in']} messages in, {self._seen['out']} out{lost}"
        if others := sorted(self._ports - {BGP_PORT}):
            said += f"; to decode it, add {' '.join(f'--port {port}' for port in others)}"
        print(said, file=sys.stderr)
