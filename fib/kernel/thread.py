"""A thread of its own inside the namespace: whatever may wait for the kernel's locks happens there, in order.

A write to rtnetlink returns when the kernel has done it, and before that it may wait for anybody who holds
the routing lock, so it has no place on the event loop.  A thread may live in another network namespace than
its process.  Once this one is there, sockets can be opened anew though the process dropped its privileges.
"""

import asyncio
import ctypes
import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeAlias, TypeVar

from fib.backend import BackendError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# A name as `ip netns` has it, the path of a namespace, or a descriptor that was inherited.
Namespace: TypeAlias = str | os.PathLike[str] | int

_NAMED = Path("/run/netns")
_CLONE_NEWNET = 0x40000000


class NamespaceThread:
    """Runs functions one after the other in a thread that is in `namespace` (None: where the process is)."""

    def __init__(self, namespace: Namespace | None = None) -> None:
        self._namespace = namespace
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="fib")

    async def open(self) -> None:
        """Enter the namespace; raise BackendError where that is not possible."""
        if self._namespace is not None:
            await self.run(enter, self._namespace)

    async def run(
        self, function: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """Return what `function` returns in the thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: function(*arguments, **named))

    def close(self) -> None:
        """Let what was begun come to its end, and nothing new begin."""
        self._executor.shutdown(wait=False)


def enter(namespace: Namespace) -> None:
    """Move the calling thread into `namespace`; raise BackendError with the reason where it cannot go."""
    inherited = isinstance(namespace, int)
    path = _NAMED / namespace if isinstance(namespace, str) and "/" not in namespace else namespace
    words = f"network namespace {namespace if not inherited else f'of descriptor {namespace}'}"
    try:
        descriptor = path if isinstance(path, int) else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise BackendError(f"{words}: cannot open {path}: {error.strerror}") from error
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if library.setns(descriptor, _CLONE_NEWNET):
            code = ctypes.get_errno()
            why = {
                errno.EPERM: "entering a namespace needs CAP_SYS_ADMIN: start the process inside it"
                " (ip netns exec), or open the FIB before privileges are dropped",
                errno.EINVAL: "this is no network namespace",
                errno.EBADF: "this descriptor is not open",
            }.get(code, os.strerror(code))
            raise BackendError(f"{words}: {why}")
    finally:
        if not inherited:
            os.close(descriptor)
