"""What a process costs: CPU time and memory of it and its descendants, and the kernel's for its sockets."""

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
_SOCKET = re.compile(r"skmem:\(r(\d+),rb\d+,t\d+,tb\d+,f(\d+),w(\d+)")


def tree(root: int) -> dict[int, tuple[float, int]]:
    """Return CPU seconds and resident octets of a process and its descendants, by process id."""
    every: dict[int, tuple[int, float, int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            cpu = (int(fields[11]) + int(fields[12])) / TICK
            every[int(entry.name)] = int(fields[1]), cpu, int(fields[21]) * PAGE
    found: dict[int, tuple[float, int]] = {}
    todo = [root]
    while todo:
        pid = todo.pop()
        if pid in every and pid not in found:
            found[pid] = every[pid][1:]
            todo += [child for child, row in every.items() if row[0] == pid]
    return found


def machine_busy() -> float:
    """Return the CPU seconds that everything on this machine has used so far."""
    values = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(values) - values[3] - values[4]) / TICK


class Sampler(threading.Thread):
    """Watch a process: its CPU time, its peak memory, and that of its sockets in the kernel."""

    def __init__(self, root: int, sockets: Callable[[], list[str]]) -> None:
        """`sockets` is the command line that shows the process's sockets, for `ss -m`."""
        super().__init__(daemon=True)
        self._root, self._sockets = root, sockets
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._cpu: dict[int, float] = {}
        self._next = 0.0
        self.peak = self.resident = self.kernel_peak = 0

    def run(self) -> None:
        while not self._end.wait(0.2):
            self.sample()
            if time.monotonic() > self._next:
                self._next = time.monotonic() + 1
                self.sample_sockets()

    def stop(self) -> None:
        self._end.set()
        self.join()

    def sample(self) -> float:
        """Look once; return the CPU seconds so far."""
        found = tree(self._root)
        with self._lock:
            for pid, (cpu, _) in found.items():
                self._cpu[pid] = max(cpu, self._cpu.get(pid, 0.0))
            self.resident = sum(octets for _, octets in found.values())
            self.peak = max(self.peak, self.resident)
            return sum(self._cpu.values())

    def sample_sockets(self) -> None:
        try:
            shown = subprocess.run(self._sockets(), capture_output=True, text=True, timeout=10).stdout
        except (OSError, subprocess.TimeoutExpired):
            return
        held = sum(int(number) for row in _SOCKET.findall(shown) for number in row)
        with self._lock:
            self.kernel_peak = max(self.kernel_peak, held)

    def reset(self) -> None:
        """Let peaks begin from now."""
        with self._lock:
            self.peak, self.kernel_peak = self.resident, 0
