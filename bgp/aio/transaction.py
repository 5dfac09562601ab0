"""A transaction: changes of our own routes that are seen together or not at all."""

from types import TracebackType
from typing import Self

from bgp.aio.home import Home
from bgp.aio.originals import Collection, Originals


class Transaction:
    """What `Speaker.transaction` returns, for one `async with`.

    Within it `announce` and `withdraw`, and those of handles, check what they are given and are collected:
    in this task, and in those that it begins meanwhile.  Other tasks go on as ever.  In the end all of it
    is applied, and flushed once: no peer and no watcher is told a part of it.  `async with` ends behind
    that flush.  If an exception leaves it, nothing is applied, and handles are as they were; so it is for
    ValueError at the end, where conditions turn out to depend on their own outcome.

    However many changes there are, they are applied in slices of a turn, and sessions stay alive meanwhile.
    But nobody is told anything else until they are applied, who looks into the tables sees them come, and
    the flush itself is one step, of a few microseconds for each route.  Once it has begun it goes on, even
    if the task is canceled while it waits.  A transaction cannot hold another one.
    """

    def __init__(self, home: Home, originals: Originals) -> None:
        self._home = home
        self._originals = originals
        self._collection: Collection | None = None

    async def __aenter__(self) -> Self:
        self._home.check()
        self._collection = self._originals.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        collection, self._collection = self._collection, None
        if collection is not None:
            changes = collection.close()
            if kind is None:
                await self._originals.commit(changes)
