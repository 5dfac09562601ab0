"""What peers are not told though all else would let it pass: something else is told instead, or not yet.

What is more specific than a summary-only aggregate is hidden behind that.  Such an aggregate is active
wherever there is a route to hide: a best route that is more specific makes it so.  Hence what is hidden
depends on the prefix alone, and not on whether the aggregate happens to be active.  A default route is hidden
behind the one that we originate, and what is told on a condition is hidden while that does not hold.
"""

from bgp.export import default
from bgp.export.rules import Withheld
from bgp.export.terms import Terms
from bgp.family import Family
from bgp.rib.aggregate import is_aggregate
from bgp.rib.asking import Failures, ask
from bgp.rib.covering import Covering
from bgp.rib.path import Path, Policy, Refusal

SUMMARY_ONLY = Withheld(
    "summary-only", "RFC 4271 9.2.2.2", "it is more specific than an aggregate that is told instead"
)
DEFAULT = Withheld("default-originate", "RFC 4271 9.4", "a default route of our own is told instead")
CONDITION = Withheld("condition", "RFC 4271 9.1.3", "the condition on which it is told does not hold")


class Hiding:
    """What is hidden on the terms of one group; `by_prefix`: that depends on prefixes."""

    __slots__ = ("_covering", "_defaults", "_failures", "_of_paths", "_of_prefixes", "by_prefix")

    def __init__(self, terms: Terms, failures: Failures) -> None:
        summaries: dict[Family, dict[bytes, bool]] = {}
        for family, prefix in terms.hidden:
            summaries.setdefault(family, {})[prefix] = True
        self._covering = {family: Covering(prefixes) for family, prefixes in summaries.items()}
        self._defaults = terms.defaults
        self._of_prefixes = tuple(one for one in terms.withheld if getattr(one, "reads_prefix", False))
        self._of_paths = tuple(one for one in terms.withheld if not getattr(one, "reads_prefix", False))
        self._failures = failures
        self.by_prefix = bool(summaries or terms.defaults or self._of_prefixes)

    def path(self, path: Path) -> Withheld | None:
        """Return why `path` is not told for any prefix."""
        for policy in self._of_paths:
            if self._accepts(policy, path, None):
                return CONDITION
        return None

    def prefix(self, family: Family, path: Path, prefix: bytes) -> Withheld | None:
        """Return why `path`, told for others, is not for `prefix`."""
        if prefix == default.PREFIX and family in self._defaults:
            return DEFAULT
        covers = self._covering.get(family)
        # An aggregate within another one was asked for, and so it is told.
        if covers is not None and covers(prefix) and not is_aggregate(path):
            return SUMMARY_ONLY
        for policy in self._of_prefixes:
            if self._accepts(policy, path, prefix):
                return CONDITION
        return None

    def _accepts(self, policy: Policy, path: Path, prefix: bytes | None) -> bool:
        try:
            answer = ask(policy, path, prefix)
        except Exception:
            # What it fails on may be what should be held back.
            self._failures.report(policy, "a policy of a condition failed; what it fails on is held back")
            return True
        return answer is not None and not isinstance(answer, Refusal)
