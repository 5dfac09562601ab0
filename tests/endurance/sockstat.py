"""What the kernel holds for the TCP sockets of a network namespace, by the socket diagnosis of Linux.

    python -m tests.endurance.sockstat PATTERN [--interval S] -- COMMAND...

samples, while the command runs, each namespace whose name in /run/netns fits the pattern, and prints the
most that each held: `rrb-dut-*` are those in which the driver of the comparison runs what it measures.
"""

import argparse
import ctypes
import fnmatch
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# linux/sock_diag.h, linux/inet_diag.h, linux/netlink.h
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST, _DUMP = 0x001, 0x300
_ERROR, _DONE = 2, 3
_SKMEMINFO = 7
_DIAG_OCTETS = 72  # struct inet_diag_msg
_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True, slots=True)
class Held:
    """The sockets of a namespace, and the octets that they have for receiving, sending and in reserve."""

    sockets: int = 0
    receiving: int = 0
    sending: int = 0
    reserve: int = 0

    @property
    def octets(self) -> int:
        return self.receiving + self.sending + self.reserve

    def __add__(self, other: "Held") -> "Held":
        return Held(
            self.sockets + other.sockets,
            self.receiving + other.receiving,
            self.sending + other.sending,
            self.reserve + other.reserve,
        )


class Namespace:
    """The TCP sockets of one network namespace: that of a process, or one with a file of its own."""

    def __init__(self, where: int | str | Path) -> None:
        """Look into the namespace of the process `where`, or into that of a file such as /run/netns/NAME."""
        path = f"/proc/{where}/ns/net" if isinstance(where, int) else str(where)
        opened: list[socket.socket] = []
        failed: list[OSError] = []

        def enter() -> None:
            try:
                with open(path) as file:
                    libc = ctypes.CDLL(None, use_errno=True)
                    if libc.setns(file.fileno(), _CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}", path)
                opened.append(socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG))
            except OSError as error:
                failed.append(error)

        # A socket stays in the namespace in which it was made; the thread that went there ends.
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        self._socket = opened[0]
        self.peak = Held()

    def held(self) -> Held:
        """Return what is held now."""
        now = self._dump(socket.AF_INET) + self._dump(socket.AF_INET6)
        if now.octets > self.peak.octets:
            self.peak = now
        return now

    def close(self) -> None:
        self._socket.close()

    def _dump(self, family: int) -> Held:
        request = struct.pack("=BBBxI48x", family, socket.IPPROTO_TCP, 1 << (_SKMEMINFO - 1), 0xFFFFFFFF)
        header = struct.pack("=IHHII", 16 + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST | _DUMP, 1, 0)
        self._socket.send(header + request)
        total = Held()
        while True:
            data = self._socket.recv(1 << 18)
            position = 0
            while position + 16 <= len(data):
                length, kind = struct.unpack_from("=IH", data, position)
                if kind == _DONE:
                    return total
                if kind == _ERROR:
                    raise OSError(-struct.unpack_from("=i", data, position + 16)[0], "sock_diag")
                total += _memory(data[position + 16 + _DIAG_OCTETS : position + length])
                position += (length + 3) & ~3


def _memory(attributes: bytes) -> Held:
    position = 0
    while position + 4 <= len(attributes):
        length, kind = struct.unpack_from("=HH", attributes, position)
        if kind == _SKMEMINFO:
            # rmem_alloc, rcvbuf, wmem_alloc, sndbuf, fwd_alloc, wmem_queued
            receiving, _, _, _, reserve, sending = struct.unpack_from("=6I", attributes, position + 4)
            return Held(1, receiving, sending, reserve)
        position += (max(length, 4) + 3) & ~3
    return Held(1)


class Watch(threading.Thread):
    """Samples the namespaces whose names fit a pattern, as they come and go; `peaks` by name."""

    def __init__(self, pattern: str, interval: float, directory: Path = Path("/run/netns")) -> None:
        super().__init__(daemon=True)
        self.peaks: dict[str, Held] = {}
        self._pattern, self._interval, self._directory = pattern, interval, directory
        self._over = threading.Event()

    def run(self) -> None:
        known: dict[str, Namespace] = {}
        while not self._over.is_set():
            names = os.listdir(self._directory) if self._directory.is_dir() else []
            for name in set(known) - set(names):
                # Else our socket would keep the namespace alive.
                known.pop(name).close()
            for name in fnmatch.filter(names, self._pattern):
                try:
                    if name not in known:
                        known[name] = Namespace(self._directory / name)
                    known[name].held()
                except OSError:
                    continue  # it is about to come, or to go
                self.peaks[name] = known[name].peak
            self._over.wait(self._interval)

    def stop(self) -> None:
        self._over.set()
        self.join()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.endurance.sockstat", description=__doc__)
    parser.add_argument("pattern", help="names in /run/netns, such as 'rrb-dut-*'")
    parser.add_argument("--interval", type=float, default=0.1, help="seconds between two samples")
    parser.add_argument("command", nargs="+", help="what to run, behind --")
    options = parser.parse_args(arguments)
    watch = Watch(options.pattern, options.interval)
    watch.start()
    began = time.monotonic()
    status = subprocess.run(options.command).returncode
    watch.stop()
    print(f"{time.monotonic() - began:.1f} s; the most that the kernel held for TCP:")
    for name, peak in watch.peaks.items():
        print(
            f"{name}: {peak.octets / 1e6:.1f} MB for {peak.sockets} sockets: "
            f"{peak.receiving / 1e6:.1f} receiving, {peak.sending / 1e6:.1f} sending, "
            f"{peak.reserve / 1e6:.1f} in reserve"
        )
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
