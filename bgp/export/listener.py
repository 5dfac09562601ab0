"""A member of an update group: its place in what the group tells, and what it must be told besides."""

from typing import TYPE_CHECKING, Protocol

from bgp.export.dump import Dump
from bgp.export.rerun import Rerun
from bgp.export.train import Place

if TYPE_CHECKING:
    from bgp.export.group import Group


class Taker(Protocol):
    """Who takes octets for a member without being asked."""

    def take(self, octets: bytes, now: float) -> None:
        """Take whole messages, behind all that was pulled; `now` is a time of the shell's own."""

    def fail(self) -> None:
        """End the session, for `take` has failed."""


class Listener:
    """A member of a group.

    `place` is where it is in the train: None before its first pull, and while it is `behind` and the logs
    have its positions.  `sent` counts the UPDATEs that it pulled outside of its place in the train and of its
    dumps, `marked` what stood around route refreshes that are over, and `waiting` says that its last pull was
    not the last of what can be made at once.  `rerun`: what it must see the end of before it is in the train.
    `taker`: who takes octets at once that are due (`Group.share`);
    None for nobody.  `mark`: where the train ended at the time `since`, None where that says nothing; and
    `taken` UPDATEs had been pulled by then.
    """

    __slots__ = (
        "behind",
        "dumps",
        "group",
        "mark",
        "marked",
        "name",
        "place",
        "rerun",
        "sent",
        "since",
        "taken",
        "taker",
        "waiting",
    )

    def __init__(self, name: str, group: "Group") -> None:
        self.name = name
        self.group = group
        self.place: Place | None = None
        self.rerun: Rerun | None = None
        self.behind = False
        self.sent = 0
        self.marked = 0
        self.mark: int | None = None
        self.since = 0.0
        self.taken = 0
        self.taker: Taker | None = None
        self.waiting = False
        self.dumps = [Dump(family, initial=True) for family in group.terms.families]

    @property
    def pending(self) -> bool:
        """Whether there is something to pull, or will be once the tables are flushed."""
        place = self.place
        if place is None or place.detours or place.index < self.group.train.end:
            return True
        return bool(self.dumps) and self.group.next_dump(self) is not None

    @property
    def arriving(self) -> bool:
        """Whether the member has not seen the end of a re-run yet."""
        return self.rerun is not None and not self.rerun.finished

    @property
    def updates(self) -> int:
        """How many UPDATEs the member pulled."""
        taken = 0 if self.place is None else self.place.messages
        return self.sent + taken + sum(dump.updates for dump in self.dumps)

    @property
    def markers(self) -> int:
        """How many of BoRR and EoRR the member pulled (RFC 7313)."""
        return self.marked + sum(dump.markers for dump in self.dumps)
