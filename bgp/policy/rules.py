"""Rules: a policy as a list of terms, in their order.

Each term whose matchers hold does its changes.  Then the route is accepted or refused, which ends it, or the
next term has its turn and sees what was changed.  Behind the last term stands `default`.  Terms have names,
so that whoever asks why a route was refused is told the very term.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from bgp.policy.change import Change
from bgp.policy.match import ANY, Match
from bgp.policy.route import Route
from bgp.rib.path import Accepted, Path, Refusal
from bgp.wire.attributes import Attributes, AttributeTable


class Then(Enum):
    """What becomes of a route behind a term that matched it."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    NEXT = "next"


ACCEPT, REFUSE, NEXT = Then.ACCEPT, Then.REFUSE, Then.NEXT
# RFC 4271 section 9.1.1: policy may make a route "ineligible".
REFUSAL_NAME, REFUSAL_SECTION = "policy", "RFC 4271 9.1.1"


@dataclass(frozen=True, slots=True)
class Term:
    """`changes` for routes that `match`, and what is `then`."""

    name: str
    match: Match = ANY
    changes: tuple[Change, ...] = ()
    then: Then = NEXT

    def __str__(self) -> str:
        changes = "".join(f"{change}; " for change in self.changes)
        return f"{self.name}: if {self.match}: {changes}{self.then.value}"


@dataclass(frozen=True, slots=True)
class Trace:
    """How a policy came to its answer: the terms that matched, and what became of the route.

    `decided` is the term that ended it, None where that was the default.
    """

    policy: str
    matched: tuple[str, ...]
    decided: str | None
    accepted: bool
    attributes: Attributes

    def __str__(self) -> str:
        by = f'term "{self.decided}"' if self.decided is not None else "the default, for no term decided"
        return f'policy "{self.policy}" {"accepts" if self.accepted else "refuses"} it by {by}'


class Rules:
    """A policy made of terms; equal ones have the same name, terms and default.

    `reads_prefix` is true if any matcher looks at the prefix: then the policy is asked for each prefix.
    """

    __slots__ = ("_hash", "_refusals", "_table", "default", "name", "reads_prefix", "terms")

    memoized = True

    def __init__(self, name: str, terms: Iterable[Term], default: Then = REFUSE) -> None:
        self.name = name
        self.terms = tuple(terms)
        self.default = default
        if default is NEXT:
            raise ValueError("behind the last term there is no next one: the default accepts or refuses")
        names = [term.name for term in self.terms]
        if len(set(names)) < len(names):
            raise ValueError(f"the terms of policy {name!r} must have different names")
        self.reads_prefix = any(term.match.reads_prefix for term in self.terms)
        self._hash = hash((name, self.terms, default))
        self._table = AttributeTable()
        self._refusals: dict[str | None, Refusal] = {
            term.name: Refusal(
                REFUSAL_NAME, REFUSAL_SECTION, f'term "{term.name}" of policy "{name}" refuses it'
            )
            for term in self.terms
        }
        self._refusals[None] = Refusal(
            REFUSAL_NAME, REFUSAL_SECTION, f'no term of policy "{name}" accepts it'
        )

    def __call__(self, path: Path, prefix: bytes | None = None) -> Attributes | Accepted | Refusal:
        """Return the attributes of an accepted path, or why it is refused (`bgp.rib.asking`)."""
        route = Route(path, prefix, self._table)
        decided, then = self._run(route, [])
        if then is REFUSE:
            return self._refusals[decided]
        if route.chosen:
            return Accepted(route.attributes, route.chosen)
        return route.attributes

    def trace(self, path: Path, prefix: bytes | None = None) -> Trace:
        """Return which terms matched `path`, as it came to the policy, and which one decided."""
        route = Route(path, prefix, self._table)
        matched: list[str] = []
        decided, then = self._run(route, matched)
        return Trace(self.name, tuple(matched), decided, then is ACCEPT, route.attributes)

    def _run(self, route: Route, matched: list[str]) -> tuple[str | None, Then]:
        for term in self.terms:
            if term.match.test(route):
                matched.append(term.name)
                for change in term.changes:
                    change.apply(route)
                if term.then is not NEXT:
                    return term.name, term.then
        return None, self.default

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Rules) or self._hash != other._hash:
            return False
        return (self.name, self.default, self.terms) == (other.name, other.default, other.terms)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"<Rules {self.name}: {len(self.terms)} terms>"
