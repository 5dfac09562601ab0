"""The Linux kernel's routing table, through pyroute2: `KernelBackend`."""

from fib.kernel.backend import KernelBackend
from fib.kernel.thread import Namespace

__all__ = ["KernelBackend", "Namespace"]
