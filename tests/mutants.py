"""The fast path with one thing made wrong: what the agreement run must notice.

`fast_path` loads the modules of the fast path anew from changed sources, beside the real ones, and
returns what opens sessions on them.  `MUTANTS` are the changes, a text each.
"""

import ast
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import bgp.wire
from bgp.testing.agreement import Decode
from bgp.wire.context import Context


def source(module: str) -> str:
    """Return the source of one module of `bgp.wire`."""
    return Path(next(iter(bgp.wire.__path__)), f"{module}.py").read_text(encoding="utf-8")


def _needed(module: str, found: list[str]) -> list[str]:
    """Return `module` and the modules of `bgp.wire` that it imports, those imported first."""
    if module in found or module == "context":  # a Context is what is handed in, so there is one class of it
        return found
    for node in ast.walk(ast.parse(source(module))):
        if isinstance(node, ast.ImportFrom) and node.module == "bgp.wire":
            for alias in node.names:
                _needed(alias.name, found)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bgp.wire."):
            _needed((node.module or "").removeprefix("bgp.wire."), found)
    if module not in found:
        found.append(module)
    return found


MODULES = _needed("update", [])


@contextmanager
def _aside() -> Iterator[None]:
    """Take the real modules out of the interpreter's sight, and put them back."""
    real = {name: importlib.import_module(f"bgp.wire.{name}") for name in MODULES}
    try:
        yield
    finally:
        for name, module in real.items():
            sys.modules[f"bgp.wire.{name}"] = module
            setattr(bgp.wire, name, module)


def fast_path(sources: Mapping[str, str]) -> Callable[[], Callable[[Context], Decode]]:
    """Return `bgp.testing.agreement.router` of a fast path in which `sources` replace modules."""
    loaded: dict[str, Any] = {}
    with _aside():
        for name in MODULES:
            module = ModuleType(f"bgp.wire.{name}")
            sys.modules[module.__name__] = module
            setattr(bgp.wire, name, module)
            exec(compile(sources.get(name, source(name)), f"<{name}>", "exec"), module.__dict__)
            loaded[name] = module

    def router() -> Callable[[Context], Decode]:
        table = loaded["attributes"].AttributeTable()
        return lambda context: loaded["update"].Decoder(context, table).decode

    return router


@dataclass(frozen=True, slots=True)
class Mutant:
    """A text that stands once in the fast path, and what to put for it."""

    name: str
    text: str
    instead: str

    def router(self) -> Callable[[], Callable[[Context], Decode]]:
        sources = {module: source(module) for module in MODULES}
        counts = {module: text.count(self.text) for module, text in sources.items() if self.text in text}
        if sum(counts.values()) != 1:
            raise LookupError(f"{self.name}: {self.text!r} stands in {counts}")
        (module,) = counts
        return fast_path({module: sources[module].replace(self.text, self.instead)})


MUTANTS = (
    # Length fields and routes.
    Mutant("attribute list may pass the message by one", "if end > size:", "if end > size + 1:"),
    Mutant(
        "offset of the second length field",
        "offset=HEADER_LENGTH + start - 2)",
        "offset=HEADER_LENGTH + start)",
    ),
    Mutant("withdrawn routes begin elsewhere", "body[2 : start - 2]", "body[2 : start - 1]"),
    Mutant("offset of bad withdrawn routes", "field, HEADER_LENGTH + 2)", "field, HEADER_LENGTH)"),
    Mutant("a prefix of 33 bits", "block[start] > family.bits", "block[start] > family.bits + 1"),
    Mutant(
        "a prefix cut off",
        "if after > end:\n            raise PrefixError",
        "if after > end + 1:\n            raise PrefixError",
    ),
    Mutant("host bits stay", "(0xFF00 >> rest) & 0xFF", "0xFF"),
    Mutant("multicast is a route", "Afi.IPV4: (4, 0xE0, 0xEF)", "Afi.IPV4: (4, 0xE0, 0xEE)"),
    Mutant("path identifiers are dropped", "return prefixes, path_ids", "return prefixes, None"),
    # The walk.
    Mutant(
        "an attribute may overrun by one",
        "if after > end:\n                return self._overrun",
        "if after > end + 1:\n                return self._overrun",
    ),
    Mutant(
        "two octets left are no attribute and no fault",
        "            if end - position < 3:\n                return self._overrun(base + position)\n",
        "            if end - position < 3:\n                return None\n",
    ),
    Mutant("one octet of an extended length", "size << 8 | block", "block"),
    Mutant(
        "Partial is part of the category",
        "flags & 0xC0 != row.flags",
        "flags & 0xE0 != row.flags",
    ),
    Mutant("flags are not checked", "        return FLAGS_RULE[type_]", "        return None"),
    Mutant(
        "repetitions pass",
        "self.seen >> type_ & 1:\n                rule",
        "False:\n                rule",
    ),
    Mutant(
        "a second MP_REACH is discarded",
        "return errors.MP_REPEATED if type_ in (MP_REACH, MP_UNREACH) else",
        "return errors.MP_REPEATED if type_ == MP_UNREACH else",
    ),
    Mutant("unknown well-known attributes pass", "if not flags & OPTIONAL:", "if False:"),
    Mutant(
        "unknown attributes without Partial",
        "OPTIONAL_TRANSITIVE | PARTIAL,",
        "OPTIONAL_TRANSITIVE,",
    ),
    Mutant("Partial is lost on the way", "partial = flags & PARTIAL if", "partial = 0 if"),
    Mutant(
        "unused flag bits pass on",
        "attribute(row_flags | partial,",
        "attribute(flags | partial,",
    ),
    Mutant("unknown non-transitive attributes pass on", "if flags & TRANSITIVE:", "if True:"),
    Mutant("attributes stay in the order received", "if not self._sorted:", "if False:"),
    Mutant("duplicate large communities stay", "value = distinct(value, 12)", "pass"),
    Mutant("the data of a fault is the value", "data = raw if", "data = raw[3:] if"),
    # What needs the whole list.
    Mutant(
        "NEXT_HOP is judged beside MP_REACH",
        "if not classic_field and self.seen",
        "if False and self.seen",
    ),
    Mutant("LOCAL_PREF may be missing", "wanted.append(_LOCAL_PREF)", "pass"),
    Mutant("NEXT_HOP may be missing", "wanted.append(_NEXT_HOP)", "pass"),
    Mutant("attributes behind an overrun are missing", "and not self._overran:", "and True:"),
    Mutant("AS_TRANS is no longer special", '"big") != AS_TRANS', '"big") == AS_TRANS'),
    Mutant("no reset where nothing can be withdrawn", "if end == size and found", "if False and found"),
    Mutant("an overrun has nothing to withdraw", "(self._overran or bool", "(bool"),
    Mutant(
        "the last fault escalates",
        "fault = next(fault for fault in faults if",
        "fault = next(fault for fault in faults[::-1] if",
    ),
    Mutant(
        "treat-as-withdraw forgets MP_REACH",
        "if found.reach is not None:\n                    withdrawn",
        "if False:\n                    withdrawn",
    ),
    Mutant(
        "End-of-RIB with other attributes",
        "alone = self.seen == 1 << MP_UNREACH and",
        "alone =",
    ),
    # One attribute.
    Mutant("ORIGIN 3", "value[0] > 2 else", "value[0] > 3 else"),
    Mutant(
        "AS_SET passes",
        "return errors.AS_PATH_SET\n    if context.confederation",
        "pass\n    if context.confederation",
    ),
    Mutant("AS 0 passes", "return errors.AS_PATH_ZERO", "pass"),
    Mutant("a segment without ASes", "if not count:", "if False:"),
    Mutant(
        "confederation segments from outside",
        "elif not context.internal and (3",
        "elif False and (3",
    ),
    Mutant(
        "the first AS of two-octet sessions",
        "if not self._checks.first_as_fits(path):",
        "if False:",
    ),
    Mutant(
        "AS4_PATH with confederation segments is dropped",
        "if rule is errors.AS4_PATH_CONFEDERATION:",
        "if False:",
    ),
    Mutant(
        "LOCAL_PREF from outside",
        "rules[AttributeType.LOCAL_PREF] = errors.LOCAL_PREF_EXTERNAL",
        "pass",
    ),
    Mutant(
        "CLUSTER_LIST from a member AS",
        "        if not context.internal:\n            rules",
        "        if not context.internal and not context.confederation:\n            rules",
    ),
    Mutant("AIGP without being enabled", "if not context.aigp:", "if False:"),
    Mutant("AIGP with the highest metric", "if size != 11 or (first", "if size != 11 or (False"),
    Mutant("a list may be empty", "(not size or size % row.unit)", "(size % row.unit)"),
    Mutant(
        "AGGREGATOR of the other width",
        "if len(value) != width + 4:",
        "if len(value) not in (6, 8):",
    ),
    Mutant("merging one AS too many", "segment.asns[:missing]", "segment.asns[: missing + 1]"),
    Mutant(
        "a set is cut in merging",
        "elif segment.type == _SET:\n            taken",
        "elif False:\n            taken",
    ),
    # MP_REACH and MP_UNREACH.
    Mutant("the reserved octet is a route", "value[5 + octets :]", "value[4 + octets :]"),
    Mutant("any next hop length", "raise Notify.of(errors.MP_NEXT_HOP, raw, offset)", "pass"),
    Mutant("MP_REACH of four octets", "size < 5 or size", "size"),
    Mutant(
        "a family that was not negotiated",
        "    octets = value[3]",
        "    octets = value[3] % 32",
    ),
    # The subcode and the memory of blocks.
    Mutant(
        "the subcode of another rule",
        "Notify.of(errors.NETWORK_FIELD,",
        "Notify.of(errors.ATTRIBUTE_LIST,",
    ),
    Mutant("blocks with faults are remembered", "faultless = not found.faults", "faultless = True"),
    Mutant("the memory overlooks flags", " and body[4] & 0xC0 == OPTIONAL:", ":"),
    Mutant("the memory overlooks what comes first", "body[5] == MP_REACH and", ""),
    # The shorter way for the usual.
    Mutant(
        "AS 0 where all else is usual",
        "if body.find(_AS_ZERO, start + _AS_PATH_VALUE, path) >= 0:",
        "if False:",
    ),
    Mutant(
        "AS 0 where all else is usual, behind MP_REACH_NLRI",
        "0 if block.find(_AS_ZERO, _AS_PATH_VALUE, match.end(1)) >= 0 else match.end(2)",
        "match.end(2)",
    ),
    Mutant("prefixes that do not match are skipped", "if sum(map(len, found)) == size - end:", "if True:"),
    Mutant("AGGREGATOR's AS 0 where all else is usual", r"(?!\x00{4})", ""),
    Mutant("ORIGIN 3 where all else is usual", r"[\x00-\x02]", r"[\x00-\x03]"),
    Mutant("loopback where all else is usual", r"[^\x00\x7f\xe0", r"[^\x00\xe0"),
    Mutant("an empty list where all else is usual", "range(4, 256, 4)", "range(0, 256, 4)"),
    Mutant("NEXT_HOP stays among the attributes", "body[start:path] + body[after:end]", "body[start:end]"),
    Mutant(
        "two-octet AS numbers are usual",
        "if context.four_octet_as and not context.conf",
        "if not context.conf",
    ),
)
