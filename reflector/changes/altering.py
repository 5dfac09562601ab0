"""Neighbors and listen ranges added, changed and removed at run time, and written into the file if wanted.

What is given is read as a table of the file is, by the same readers with the same errors, and done as a
reload does it: a plan of one step.  What is not written into the file lies over it
(`reflector.changes.overlay`) until then, or until we end.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reflector.changes import editing
from reflector.changes.overlay import (
    LISTEN_RANGE,
    NEIGHBOR,
    Identity,
    Overlay,
    Raw,
    by_identity,
    identity,
    merged,
)
from reflector.changes.reload import Plan, Step, carry_out, plan
from reflector.changes.saving import Saving
from reflector.configuration import schema
from reflector.configuration.config import Configuration, configured
from reflector.configuration.document import ConfigurationError, Document, Problem, parse

if TYPE_CHECKING:
    from reflector.app import Service

# The tables that say what a neighbor or listen range may name.
_AROUND = frozenset(schema.TABLES) - {
    *("neighbor", "listen_range", "network", "aggregate", "control", "http", "log", "fib", "decision")
}


class Deed(Enum):
    """What is to be done."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


class Refused(ValueError):
    """Nothing was done; the text says why."""


@dataclass(frozen=True, slots=True)
class Alteration:
    """What is asked for: of which table, which thing, and which keys; a key with None is taken away."""

    deed: Deed
    table: str
    which: str
    values: Mapping[str, object | None]


@dataclass(frozen=True, slots=True)
class Altered:
    """What was done, or would be: the plan, what of it failed, what is to be said about it, and the file.

    `saved` is the file that has it by now, `unsaved` why it has not, though that was asked for.  `lies_over`
    is whether a restart, which goes by the file, would undo it.
    """

    plan: Plan
    failed: list[tuple[Step, str]]
    warnings: tuple[str, ...]
    saved: str = ""
    unsaved: str = ""
    lies_over: bool = False


async def alter(service: "Service", asked: Alteration, *, save: bool, dry_run: bool) -> Altered:
    """Do what is asked for; raise Refused or OSError with nothing done."""
    before = service.configuration
    key, new = _found(service, asked)
    after, warnings = (None, ()) if new is None else await asyncio.to_thread(_read, before, key, new)
    now = _in_force(before, key)
    found = _plan(before, key.table, now, after)
    text = await asyncio.to_thread(_edited, service.file, before, key, new) if save else None
    if dry_run:
        return Altered(found, [], warnings, service.file if save else "")
    saving = None if text is None else await asyncio.to_thread(Saving, service.file, text.before, text.after)
    failed = await carry_out(found.steps, service.speaker)
    if failed:
        if saving is not None:
            saving.cancel()
        return Altered(found, failed, warnings)
    service.drain.renew()
    overlay = dict(service.overlay) | {key: new}
    service.configuration = _with(before, key.table, _replaced(_things(before, key.table), now, after))
    service.overlay = _remaining(overlay, before.data)
    if saving is None or text is None:
        return Altered(found, [], warnings, lies_over=key in service.overlay)
    try:
        await asyncio.to_thread(saving.finish)
    except OSError as error:
        return Altered(found, [], warnings, unsaved=error.strerror or str(error))
    service.configuration = replace(service.configuration, data=text.data)
    service.overlay = _remaining(overlay, text.data)
    return Altered(found, [], warnings, service.file)


def _remaining(overlay: Overlay, data: Mapping[str, object]) -> Overlay:
    """Return what of an overlay is not in the file."""
    there = by_identity(data)
    return {key: raw for key, raw in overlay.items() if there.get(key) != raw}


# --- What is meant -----------------------------------------------------------------------------------------


def _found(service: "Service", asked: Alteration) -> tuple[Identity, Raw | None]:
    """Return what it is about, and what its table is to be; raise Refused."""
    document = _document(service.file, service.configuration.data)
    there = by_identity(merged(document, service.overlay).data)
    if asked.deed is Deed.ADD:
        new = _without_none({**_named(asked), **asked.values})
        key = identity(asked.table, new)
        if key in there:
            raise Refused(f"there is a {key} already; `reflector change` changes it")
        return key, new
    key = _which(there, asked, service)
    old = there[key]
    if asked.deed is Deed.REMOVE:
        return key, None
    new = _without_none({**old, **asked.values})
    if identity(asked.table, new) != key:
        raise Refused(f"{key}: that would be another one; remove it, and add that")
    return key, new


def _without_none(raw: Raw) -> Raw:
    return {name: value for name, value in raw.items() if value is not None}


def _named(asked: Alteration) -> dict[str, object]:
    if asked.table == LISTEN_RANGE:
        return {"prefix": asked.which}
    try:
        ip_address(asked.which)
    except ValueError:
        # A name of an interface has neither; whoever reads the address says what is wrong with it.
        return {"address" if "." in asked.which or ":" in asked.which else "interface": asked.which}
    return {"address": asked.which}


def _which(there: Mapping[Identity, Raw], asked: Alteration, service: "Service") -> Identity:
    wanted = identity(asked.table, _named(asked)).where
    found = [
        key
        for key, raw in there.items()
        if key.table == asked.table and (key.where == wanted or raw.get("name") == asked.which)
    ]
    source = asked.values.get("source_address")
    if len(found) > 1 and source is not None:
        found = [key for key in found if key.source == str(source)]
    if len(found) == 1:
        return found[0]
    if found:
        which = "; or ".join(f"source_address={key.source or '(none)'}" for key in found)
        raise Refused(f"{len(found)} neighbors have the address {asked.which}: name one, or say {which}")
    word = asked.table.replace("_", " ")
    if asked.table == NEIGHBOR:
        for peer in service.speaker.peers:
            if peer.dynamic and asked.which in (peer.name, peer.remote.host):
                what = f"{asked.which} came by a listen range and is no neighbor of its own"
                raise Refused(f"{what}; `reflector disable` keeps it down, or change the listen range")
    listed = ", ".join(key.where for key in list(there)[:5] if key.table == asked.table)
    raise Refused(f"there is no {word} {asked.which}{f'; there are {listed}' if listed else ''}")


# --- What it means -----------------------------------------------------------------------------------------


def _document(file: str, data: Mapping[str, object]) -> Document:
    return Document(file, dict(data), {})


def _read(before: Configuration, key: Identity, raw: Raw) -> tuple[Any, tuple[str, ...]]:
    """Return what a table means among the others of the configuration, and warnings; raise Refused."""
    around = {name: each for name, each in before.data.items() if name in _AROUND}
    document = _document("", {**around, key.table: [dict(raw)]})
    try:
        found = configured(document)
    except ConfigurationError as error:
        raise Refused("\n".join(_said(each, key) for each in error.problems)) from None
    known = {(each.key, each.what) for each in before.warnings}
    warnings = [each for each in found.warnings if (each.key, each.what) not in known]
    (thing,) = _things(found, key.table)
    return thing, tuple(_said(each, key) for each in warnings)


def _said(problem: Problem, key: Identity) -> str:
    """Return what is wrong with what was given: it stands in no line."""
    place = problem.key.removeprefix(f"[[{key.table}]] 1").removeprefix(", ")
    where = f"{key}, {place}" if place != problem.key and place else place or str(key)
    return str(replace(problem, file=where, line=0, key=""))


def _in_force(before: Configuration, key: Identity) -> Any:
    """Return what is there for an identity, None if nothing is."""
    if key.table == LISTEN_RANGE:
        return next((each for each in before.listen_ranges if str(each.prefix) == key.where), None)
    for each in before.neighbors:
        if (each.address or each.interface) == key.where and (each.source_address or "") == key.source:
            return each
    return None


def _plan(before: Configuration, table: str, now: Any, after: Any) -> Plan:
    """Return the plan for one thing, whatever else there is."""
    alone = replace(before, neighbors=(), listen_ranges=())
    one, other = (_with(alone, table, () if thing is None else (thing,)) for thing in (now, after))
    return plan(one, other)


def _things(configuration: Configuration, table: str) -> tuple[Any, ...]:
    return configuration.neighbors if table == NEIGHBOR else configuration.listen_ranges


def _with(configuration: Configuration, table: str, things: tuple[Any, ...]) -> Configuration:
    if table == NEIGHBOR:
        return replace(configuration, neighbors=things)
    return replace(configuration, listen_ranges=things)


def _replaced(things: tuple[Any, ...], now: Any, after: Any) -> tuple[Any, ...]:
    if now is None:
        return things if after is None else (*things, after)
    return tuple(after if each is now else each for each in things if each is not now or after is not None)


# --- The file ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Edited:
    """The octets of a file before and after a change, and what those after it say."""

    before: bytes
    after: bytes
    data: Mapping[str, object]


def _edited(file: str, before: Configuration, key: Identity, new: Raw | None) -> _Edited:
    """Return the file as it is and as it should be; raise Refused where that cannot be written."""
    if not file:
        raise Refused("there is no file to save to")
    try:
        octets = Path(file).read_bytes()
        document = parse(octets, file)
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror or error}") from None
    except ConfigurationError as error:
        raise Refused(f"{error}\nthe file has changed, and has faults: mend them, or save later") from None
    if document.data != before.data:
        raise Refused(f"{file} has changed since it was read; `reflector reload` first, or change it by hand")
    text = octets.decode()
    try:
        after = _rewritten(text, document.data, key, new)
        wanted = merged(document, {key: new}).data
        data = parse(after, file).data
        if _full(data) != _full(wanted):
            raise editing.Uneditable("it is written in a way that cannot be changed in place")
        return _Edited(octets, after.encode(), data)
    except (editing.Uneditable, UnicodeEncodeError, ConfigurationError) as error:
        raise Refused(f"{file}: {error}; do without --save, and change the file by hand") from None


def _rewritten(text: str, data: Mapping[str, object], key: Identity, new: Raw | None) -> str:
    there = by_identity(data)
    if key not in there:
        return text if new is None else editing.add(text, key.table, new)
    number = [each for each in there if each.table == key.table].index(key)
    if new is None:
        return editing.remove(text, key.table, number)
    old = there[key]
    changed: dict[str, object | None] = {name: None for name in old if name not in new}
    changed |= {name: value for name, value in new.items() if name not in old or old[name] != value}
    return editing.change(text, key.table, number, changed)


def _full(data: Mapping[str, object]) -> dict[str, object]:
    """Return a configuration without its empty lists of tables, which are as good as none."""
    return {name: value for name, value in data.items() if value != []}
