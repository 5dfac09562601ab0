"""A dry run of policies: what another one would make of routes, before anybody is asked to live with it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from bgp.export.pack import Packer
from bgp.export.rules import Withheld
from bgp.family import Family
from bgp.member import Member
from bgp.policy import Policy
from bgp.rib.admission import Admission
from bgp.rib.decision import Decision
from bgp.rib.path import Path, Refusal, Source, best_of
from bgp.rib.table import Table
from bgp.wire.attributes import Attributes

Trials = Mapping[Source, Source]
Judged = dict[Path, Path]
Tables = Mapping[Family, Table]
Outgoing = Callable[[Packer, Family, Path, bytes], Attributes | Withheld]


class Difference(NamedTuple):
    """What another policy would make of a route: `before` as it is, `after` as it would be."""

    family: Family
    prefix: bytes
    path: Path
    before: Attributes | Refusal | Withheld
    after: Attributes | Refusal | Withheld
    # On import: the best path of the prefix, and what would be in its place, perhaps as it is now.
    best: Path | None = None
    instead: Path | None = None

    @property
    def moves(self) -> bool:
        """Whether another path would be the best one, or the best one would be another."""
        return self.best is not self.instead


def preview_import(
    tables: Tables, admission: Admission, decision: Decision, member: Member, policy: Policy | None
) -> Iterator[Difference]:
    """Yield what another import policy would make of the routes that `member` has sent.

    A difference says what would be the best path of the prefix then; where that is one of the member's as
    the policy changes it, it is in no table.  The tables must not change meanwhile.
    """
    for family in member.negotiated.families:
        table, judged = tables[family], dict[Path, Path]()
        trials = {source: source.under(policy) for source in member.sources(family)}

        def tried(path: Path, prefix: bytes, trials: Trials = trials, judged: Judged = judged) -> Path:
            trial = trials.get(path.source)
            if trial is None:
                return path
            again = judged.get(path)
            if again is None or trial.by_prefix:
                again = judged[path] = Path(trial, path.slot, path.received, path.age)
                admission(again, prefix if trial.by_prefix else None)
            same = (again.refusal, again.attributes) == (path.refusal, path.attributes)
            return path if same and again.cost == path.cost else again

        for source in trials:
            for prefix, path in table.from_source(source):
                again = tried(path, prefix)
                before, after = path.refusal or path.attributes, again.refusal or again.attributes
                if before != after:
                    paths = table.paths(prefix)
                    then = decision.decided(tuple(tried(each, prefix) for each in paths))
                    best, instead = best_of(paths), best_of(then)
                    yield Difference(family, prefix, path, before, after, best, instead)


def preview_export(
    tables: Tables, outgoing: Outgoing, member: Member, policy: Policy | None
) -> Iterator[Difference]:
    """Yield what `member` would be told otherwise by another export policy.

    The tables must not change meanwhile.
    """
    packer = member.packer
    trial = Packer(replace(packer.terms, policy=policy))
    for family in member.negotiated.families:
        table, selection = tables[family], packer.selections.get(family)
        for prefix in table.entries:
            for path in table.selected(selection, table.paths(prefix)):
                if path.slot.peer != member.name:
                    before = outgoing(packer, family, path, prefix)
                    after = outgoing(trial, family, path, prefix)
                    if before != after:
                        yield Difference(family, prefix, path, before, after)
