"""A conformance peer for any BGP speaker: it sends what is wrong and judges the answer by the RFCs.

    python -m bgp.testing peer --target 192.0.2.1 --asn 65000 --local 192.0.2.2 --witness 192.0.2.3

or, from a program, `await examine(Options(...), select(...))`.
"""

from collections.abc import Collection

from bgp.testing.conformance import published, sessions, updates
from bgp.testing.conformance.case import Case, Result, Verdict
from bgp.testing.conformance.run import Misfit, Options, Report, examine

__all__ = ["Case", "Misfit", "Options", "Report", "Result", "Verdict", "cases", "examine", "select"]


def cases(variants: int = 0) -> list[Case]:
    """Return all cases; with `variants` so many drawn ones more for each rule of `bgp.errors`."""
    return [*sessions.cases(), *updates.cases(), *published.cases(), *updates.drawn(variants)]


def select(words: Collection[str], variants: int = 0) -> list[Case]:
    """Return the cases that `words` name: RFCs ("7606"), sections ("4271-6", "7606-7.1"), groups, cases or
    identifiers such as CVE-2023-38802.

    Raises ValueError where one names nothing.
    """
    everything = cases(variants)
    if not words:
        return everything
    found: set[str] = set()
    for word in words:
        named = [case for case in everything if _named(case, word.strip().lower())]
        if not named:
            raise ValueError(f"{word!r} names no RFC, section, group or case: see --list")
        found |= {case.name for case in named}
    return [case for case in everything if case.name in found]


def _named(case: Case, word: str) -> bool:
    if word in (case.name, case.group, *map(str.lower, case.known)):
        return True
    rfc, _, section = word.removeprefix("rfc").partition("-")
    for source in case.sources:
        _, number, *rest = source.split()
        place = ".".join(rest)
        if number == rfc and (not section or place == section or place.startswith(f"{section}.")):
            return True
    return False
