"""What a flush of a table changed: prefixes that changed alike stand together."""

from collections.abc import Iterator

from bgp.rib.path import Path


class Changes:
    """What a flush changed: prefixes by the path that was told before and the one to tell now.

    `fresh`: prefixes that had none before, by their path.  `moved`: all others, by (before, now), where
    None stands for no path.  With ADD-PATH a prefix may stand in several of them, once for each slot.
    """

    __slots__ = ("fresh", "moved")

    def __init__(self) -> None:
        self.fresh: dict[Path, list[bytes]] = {}
        self.moved: dict[tuple[Path | None, Path | None], list[bytes]] = {}

    def __bool__(self) -> bool:
        return bool(self.fresh or self.moved)

    def run(self, before: Path | None, now: Path | None) -> list[bytes]:
        """Return the list of prefixes whose path changed from `before` to `now`."""
        if before is None and now is not None:
            return self.fresh.setdefault(now, [])
        return self.moved.setdefault((before, now), [])

    def touched(self) -> Iterator[Path]:
        """Yield each path that won or lost a prefix; some more than once."""
        yield from self.fresh
        for before, now in self.moved:
            if before is not None:
                yield before
            if now is not None:
                yield now
