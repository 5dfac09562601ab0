"""The update group: peers on equal terms, told the same octets.

A flush hands over what changed; `tell` makes messages of it, once, and puts them into the train, from which
every member takes them at its own pace.  A member that joins, asks for a refresh or fell behind gets what it
lacks from the tables, in slices, each made when there is room to send it.  Such a slice tells the state of
the last flush.  So it is made only for a member that has taken all of the train, and only while the tables
have no changes that are not flushed; then whatever comes behind it in the train is news.
"""

from collections.abc import Container, Iterator, Mapping

from bgp.export.digest import Alone, Digest
from bgp.export.dump import Dump, Images
from bgp.export.gate import Gate, Shut
from bgp.export.listener import Listener, Taker
from bgp.export.log import ChangeLog, Route
from bgp.export.pace import Pace
from bgp.export.pack import Packer
from bgp.export.portion import Portions
from bgp.export.rerun import Rerun
from bgp.export.terms import Terms
from bgp.export.train import Place, Record, Train
from bgp.family import Family
from bgp.rib.asking import Failures
from bgp.rib.changes import Changes
from bgp.rib.path import Path, Slot
from bgp.rib.selection import Selection
from bgp.rib.table import Table

# The train is trimmed when it holds so much; less is not worth a look at all members.
_TRIM_OCTETS = 1 << 17
# How many places of a table's order one pull goes through, and how many steps of a re-run.
_DUMP_POSITIONS = 4096
_RERUN_STEPS = 4


class Group:
    """Peers on equal `terms`.

    `lag_limit`: a member that has more octets of the train ahead leaves it for the change logs.
    """

    def __init__(
        self,
        terms: Terms,
        tables: Mapping[Family, Table],
        lag_limit: int,
        failures: Failures | None = None,
        gate: Gate | None = None,
        deferred: Container[Family] = (),
    ) -> None:
        self.terms = terms
        self.packer = Packer(terms, failures)
        self.train = Train()
        self.listeners: dict[str, Listener] = {}
        self._tables = {family: tables[family] for family in terms.families}
        # Families of which nothing may be told yet.
        self._deferred = deferred
        self._lag_limit = lag_limit
        self._trim_octets = min(_TRIM_OCTETS, lag_limit)
        # The members that are in the train, by name.
        self._following: dict[str, Place] = {}
        self._logs = {family: ChangeLog() for family in terms.families}
        interval = terms.advertisement_interval
        # None of them without an interval.
        self._paces = {
            family: Pace(interval, tables[family], self.packer) for family in terms.families if interval
        }
        self._portions: dict[Family, Portions] = {}
        self._images: dict[Family, Images] = {}
        for family in terms.families:
            held: Mapping[Route, Path | None] = self._paces[family].held if interval else {}
            if terms.installed_only and gate is not None:
                held = Shut(gate, tables[family], self.packer)
            self._portions[family] = Portions(tables[family], self.packer, held)
            self._images[family] = Images(tables[family], self.packer, held)
        # Whether it is known that no member has anything to pull.
        self.resting = False
        # Where in the train begins what nobody has taken.
        self._news: int | None = None
        # Those that are not finished.
        self._reruns: list[Rerun] = []

    def join(self, name: str) -> Listener:
        """Add a member; it will be told everything, and End-of-RIB behind each family."""
        listener = self.listeners[name] = Listener(name, self)
        self.resting = False
        return listener

    def leave(self, listener: Listener) -> None:
        """Take a member out."""
        self.listeners.pop(listener.name, None)
        self._following.pop(listener.name, None)
        self._leave_logs(listener.name)
        rerun = listener.rerun
        if rerun is not None:
            rerun.members.discard(listener.name)
            if not rerun.members and rerun in self._reruns:
                self._reruns.remove(rerun)

    def _leave_logs(self, name: str) -> None:
        for family, log in self._logs.items():
            log.leave(name)
            if not log.places:
                self._portions[family].forget()

    def take(self, former: Listener) -> Listener:
        """Take over a member of a group with another policy or selection; it is told what differs."""
        group, name = former.group, former.name
        listener = self.listeners[name] = Listener(name, self)
        self.resting = False
        # Dumps go on where they are: of what they have told, the re-run tells the rest.
        listener.dumps = former.dumps
        listener.sent = former.updates - sum(dump.updates for dump in former.dumps)
        listener.marked = former.marked
        listener.taker = former.taker
        if former.behind or former.place is not None:
            listener.behind = True
            for log in self._logs.values():
                log.places[name] = log.end
            for family, route in (*group.missed(former), *group.held(), *self.held()):
                self._logs[family].add(route)
            # Behind the gate it is not known what a member was told that comes from before it.
            gated = group.terms.installed_only, self.terms.installed_only
            strange = former.arriving or gated[0] is not gated[1]
            strange = strange or (gated[0] and group.terms.add_path != self.terms.add_path)
            listener.rerun = self._rerun(None if strange else group.packer)
            listener.rerun.members.add(name)
        group.leave(former)
        return listener

    def held(self) -> Iterator[tuple[Family, Route]]:
        """Yield the routes of which the members know something else than what the tables have."""
        for family, pace in self._paces.items():
            for route in pace.held:
                yield family, route

    def holds_back(self, family: Family, route: Route) -> bool:
        """Whether news of `route` wait for the advertisement interval."""
        pace = self._paces.get(family)
        return pace is not None and route in pace.held

    def is_ahead(self, listener: Listener, family: Family, route: Route) -> bool:
        """Whether a member that is behind has not been told the latest news of `route`."""
        return self._logs[family].is_ahead(listener.name, route)

    def missed(self, listener: Listener) -> Iterator[tuple[Family, Route]]:
        """Yield the routes of which a member has not taken the latest news."""
        if listener.behind:
            for family, log in self._logs.items():
                for route in log.ahead(listener.name):
                    yield family, route
        elif listener.place is not None:
            for record in self.train.records:
                if record.end > listener.place.passed:
                    for slot, prefixes in record.routes:
                        for prefix in prefixes:
                            yield record.family, (prefix, slot)

    def _rerun(self, former: Packer | None) -> Rerun:
        """Return the re-run for a member that comes from there now."""
        for rerun in self._reruns:
            if rerun.former is former and not rerun.begun:
                return rerun
        rerun = Rerun(former, self.packer, self._tables, self._logs)
        self._reruns.append(rerun)
        return rerun

    def refresh(self, listener: Listener, family: Family, enhanced: bool) -> None:
        """Tell a member the whole family again; requests that wait for their turn are one."""
        for dump in listener.dumps:
            if dump.family is family and not dump.initial and dump.end is None:
                return
        listener.dumps.append(Dump(family, enhanced=enhanced))
        self.resting = False

    def lag(self, listener: Listener, now: float) -> float:
        """Return for how long at least there is something to tell that the member has not taken.

        That is since the last time, among those at which this was asked, at which less was to be told than it
        has taken by now.
        """
        if self._in_step(listener):
            listener.since = now
            if listener.behind:
                for log in self._logs.values():
                    log.marks[listener.name] = log.end
            listener.mark, listener.taken = self.train.end, listener.updates
        return now - listener.since

    def _in_step(self, listener: Listener) -> bool:
        if listener.mark is None or not listener.pending:
            return True
        if listener.behind:
            name = listener.name
            # The mark may be reached just because all before it has changed again.
            return listener.updates > listener.taken and all(
                log.places[name] >= log.marks.get(name, 0) for log in self._logs.values()
            )
        return listener.place is not None and listener.place.passed >= listener.mark

    # --- The train -----------------------------------------------------------------------------------

    def tell(self, family: Family, changes: Changes, now: float = 0.0, whole: Changes | None = None) -> None:
        """Tell the members what a flush of the family's table changed; `whole` is that before the gate."""
        if self._paces:
            changes = self._admit(family, changes, now)
        self._tell(family, changes, whole or changes)

    def _admit(self, family: Family, changes: Changes, now: float) -> Changes:
        """Hold back what was told of a moment ago; return the rest."""
        pace, log = self._paces[family], self._logs[family]
        self._images[family].forget(changes)
        if not self._following and not log.places:
            if pace.held:
                self._images[family].clear()
            pace.clear()
            return changes
        if self._reruns:
            self._log(family, self._all_of(family, changes))
        pace.dumping = self._dumping()
        return pace.admit(changes, now)

    def former_selections(self, family: Family) -> set[Selection]:
        """Return what else is to be noted than what the group tells, for who comes from other groups."""
        own = self.packer.selections.get(family)
        befores = (rerun.before(family) for rerun in self._reruns)
        return {before for before in befores if before is not None and before != own}

    def note(self, family: Family, changes: Changes) -> None:
        """Note changes of what the group does not select, but former groups of members did."""
        self._log(family, self._all_of(family, changes))
        self._portions[family].forget()
        self.resting = False

    def _dumping(self) -> bool:
        return any(one.dumps and one.place is not None for one in self.listeners.values())

    def release(self, now: float) -> None:
        """Tell what was held back for long enough; the tables must not be dirty."""
        for family, pace in self._paces.items():
            deadline = pace.deadline
            if deadline is not None and deadline <= now:
                pace.dumping = self._dumping()
                released = pace.release(now)
                self._tell(family, released, released)

    @property
    def deadline(self) -> float | None:
        """When to call `release`, None while nothing is held back."""
        found = [pace.deadline for pace in self._paces.values() if pace.deadline is not None]
        return min(found, default=None)

    def _tell(self, family: Family, changes: Changes, whole: Changes) -> None:
        self._images[family].forget(changes)
        self._portions[family].forget()
        log = self._logs[family]
        if not self._following and not log.places:
            return
        digest = Digest(self.packer, family, changes, self._following)
        routes = digest.routes()
        if self._reruns:
            # To who comes from another group even that may be news of which this one has nothing to tell.
            self._log(family, self._all_of(family, whole))
            if whole is not changes:
                self._log(family, routes)
        elif log.places:
            self._log(family, routes)
        if not routes:
            return
        if self._following:
            self.resting = False
            if self._news is None:
                self._news = self.train.end
            self._pack(family, digest)
            self.train.records.append(Record(family, routes, self.train.end))
            if self.train.octets > self._trim_octets:
                self._trim()

    def _all_of(self, family: Family, changes: Changes) -> list[tuple[Slot | None, list[bytes]]]:
        slot = self.packer.slot
        found = [(slot(family, path), prefixes) for path, prefixes in changes.fresh.items()]
        for (before, now), prefixes in changes.moved.items():
            path = before if now is None else now
            if path is not None:
                found.append((slot(family, path), prefixes))
        return found

    def _pack(self, family: Family, digest: Digest) -> None:
        """Make messages of a digest, and put them into the train."""
        packer, train = self.packer, self.train
        runs: dict[str | None, list[bytes]] = {}
        classic = packer.encoder.classic
        for owner, blocks in digest.blocks.items():
            made = runs[owner] = []
            for block, prefixes in blocks.items():
                made += classic(block, prefixes)[0]
        for (owner, told), routes in digest.announced.items():
            messages = packer.announce(family, told, routes)
            if owner in runs:
                runs[owner] += messages
            else:
                runs[owner] = messages
        for former, routes in digest.withdrawn.items():
            runs.setdefault(former, []).extend(packer.withdraw(family, routes))
        alone = {name: self._pack_alone(family, apart) for name, apart in digest.alone.items()}
        for name, messages in runs.items():
            start = train.end
            train.append(messages)
            if name is not None:
                train.detour(self._following[name], start, alone.pop(name, []))
        for names, joined, routes in digest.joined:
            start = train.end
            if joined is None:
                train.append(packer.withdraw(family, routes))
            else:
                train.append(packer.announce(family, joined, routes))
            for name in names:
                train.detour(self._following[name], start, alone.pop(name, []))
        for name, messages in alone.items():
            train.detour(self._following[name], train.end, messages)

    def _pack_alone(self, family: Family, alone: Alone) -> list[bytes]:
        messages = self.packer.withdraw(family, alone.withdrawn)
        for told, routes in alone.announced.items():
            messages += self.packer.announce(family, told, routes)
        return messages

    def _trim(self) -> None:
        """Let go of what all members took; who is too far behind leaves the train for the logs."""
        train = self.train
        slow: dict[str, Place] = {}
        first = train.end
        for name, place in self._following.items():
            train.skip(place)
            if train.lag(place) > self._lag_limit:
                slow[name] = place
            else:
                first = min(first, place.passed)
        self._leave_train(slow)
        train.trim(first)

    def _leave_train(self, slow: Mapping[str, Place]) -> None:
        """Let members go on by the logs, which get what they did not take."""
        train = self.train
        for name, place in slow.items():
            del self._following[name]
            listener = self.listeners[name]
            listener.sent += place.messages
            listener.place, listener.behind = None, True
            for log in self._logs.values():
                log.places[name] = log.marks[name] = log.end
        if slow:
            # What the slowest of them did not take; to the others some of it is told again.
            least = min(place.passed for place in slow.values())
            for record in train.records:
                if record.end > least:
                    self._log(record.family, record.routes)
                    log = self._logs[record.family]
                    for name in slow:
                        mark = self.listeners[name].mark
                        if mark is not None and record.end <= mark:
                            log.marks[name] = log.end

    def retell(self, family: Family, changes: Changes) -> None:
        """Tell the members what a flush changed, though `tell` has failed at that: they go on by the logs.

        Whatever of it they took or did not take, they are told the state of all that is concerned.
        """
        self._leave_train(dict(self._following))
        self.train.trim(self.train.end)
        self._news, self.resting = None, False
        self._log(family, self._all_of(family, changes))
        for each, route in list(self.held()):
            self._logs[each].add(route)
        for each in self.terms.families:
            self._images[each].clear()
            self._portions[each].forget()
            if each in self._paces:
                self._paces[each].clear()

    def _log(self, family: Family, routes: list[tuple[Slot | None, list[bytes]]]) -> None:
        log = self._logs[family]
        for slot, prefixes in routes:
            log.extend([(prefix, slot) for prefix in prefixes])

    # --- What members pull ---------------------------------------------------------------------------

    def share(self, limit: int) -> tuple[bytes, list[Taker]] | None:
        """Return the latest news, about `limit` octets, and who is to take them: they have pulled them now.

        Those are the members with a taker that have nothing else ahead of the news.
        """
        first, self._news = self._news, None
        train = self.train
        if first is None or not train.base <= first < train.end:
            self.resting = self.resting or not any(one.pending for one in self.listeners.values())
            return None
        octets, after, messages = train.read(first, limit)
        places: list[Place] = []
        takers: list[Taker] = []
        resting, end = after == train.end, train.end
        for listener in self.listeners.values():
            place = listener.place
            if place is not None:
                if place.detours:
                    train.skip(place)
                if not place.detours:
                    if place.index == first and (taker := listener.taker) is not None:
                        places.append(place)
                        takers.append(taker)
                        if listener.dumps:
                            resting = False
                        continue
                    if place.index == end and not listener.dumps:
                        continue
            resting = False
        self.resting = resting
        # Nobody moves on before it is sure that all get their octets.
        for place in places:
            place.index = after
            place.messages += messages
        return (octets, takers) if takers else None

    def pull(self, listener: Listener, limit: int) -> list[bytes]:
        """Return whole messages of about `limit` octets that the member should be told next."""
        out: list[bytes] = []
        if listener.behind:
            if listener.rerun is not None:
                self._run(listener.rerun)
            limit = self._catch_up(listener, limit, out)
        place = listener.place
        if place is None:
            listener.waiting = listener.arriving
            if listener.behind or self._dirty():
                return out
            place = self._follow(listener)
            # From now on the train tells what is new, so all the first dumps end where the tables do now.
            for each in listener.dumps:
                if each.initial and each.family not in self._deferred:
                    each.end = len(self._tables[each.family].order)
        train = self.train
        limit = train.take(place, limit, out)
        if not listener.dumps or place.detours or place.index != train.end:
            listener.waiting = False
            return out
        positions = _DUMP_POSITIONS
        while limit > 0 and positions > 0:
            dump = self.next_dump(listener)
            if dump is None:
                break
            table = self._tables[dump.family]
            if table.dirty:
                break
            messages, positions = dump.run(
                listener.name,
                table,
                self.packer,
                self._images[dump.family],
                # A lone member has nobody to share with.
                keep=len(self.listeners) > 1,
                limit=limit,
                positions=positions,
            )
            if dump.finished:
                listener.dumps.remove(dump)
                listener.sent += dump.updates
                listener.marked += dump.markers
            if messages:
                octets = b"".join(messages)
                out.append(octets)
                limit -= len(octets)
        listener.waiting = positions <= 0
        return out

    def next_dump(self, listener: Listener) -> Dump | None:
        """Return the dump that comes next, None for none that may run."""
        if not self._deferred:
            return listener.dumps[0] if listener.dumps else None
        return next((dump for dump in listener.dumps if dump.family not in self._deferred), None)

    def _run(self, rerun: Rerun) -> None:
        if not rerun.finished and not self._dirty():
            rerun.run(_RERUN_STEPS)
            if rerun.finished and rerun in self._reruns:
                self._reruns.remove(rerun)

    def _follow(self, listener: Listener) -> Place:
        listener.behind, listener.mark = False, None
        listener.place = self._following[listener.name] = Place(self.train.end)
        return listener.place

    def _dirty(self) -> bool:
        return any(table.dirty and family not in self._deferred for family, table in self._tables.items())

    def _catch_up(self, listener: Listener, limit: int, out: list[bytes]) -> int:
        """Tell a member that is behind what it lacks; return what is left of `limit`."""
        name = listener.name
        for family, log in self._logs.items():
            while limit > 0 and log.places[name] < log.end and not self._tables[family].dirty:
                messages, count = self._portions[family].take(name, log)
                if count:
                    out.append(messages)
                    listener.sent += count
                    limit -= len(messages)
            log.trim()
        if self._dirty() or any(log.places[name] < log.end for log in self._logs.values()):
            return 0
        if listener.arriving:
            return 0
        listener.rerun = None
        self._leave_logs(name)
        self._follow(listener)
        return max(limit, 0)
