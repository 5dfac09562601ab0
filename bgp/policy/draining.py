"""Export while a router is about to go away: what it tells is the last choice of others (RFC 8326)."""

from bgp.iana import WellKnownCommunity
from bgp.policy import change, match
from bgp.policy.rules import ACCEPT, Rules, Term
from bgp.rib.asking import ask
from bgp.rib.path import Accepted, Path, Policy, Refusal

# External peers hear of the community, internal ones of LOCAL_PREF, too (RFC 8326 sections 4.2 and 4.3).
_LAST = Rules(
    "draining",
    [
        Term(
            "draining",
            match.ANY,
            (change.add_communities(int(WellKnownCommunity.GRACEFUL_SHUTDOWN)), change.local_pref(0)),
        )
    ],
    ACCEPT,
)


class Draining:
    """The export policy `before`, None for everything, and behind it GRACEFUL_SHUTDOWN and LOCAL_PREF 0."""

    memoized = True

    def __init__(self, before: Policy | None) -> None:
        self.before = before
        self.name = "draining"
        self.reads_prefix = bool(getattr(before, "reads_prefix", False))

    def __call__(self, path: Path, prefix: bytes | None = None) -> Accepted | Refusal | None:
        """Return what `before` answers, depreferred."""
        answer: Accepted | Refusal | None = Accepted(path.attributes)
        if self.before is not None:
            answer = ask(self.before, path, prefix)
        if answer is None or isinstance(answer, Refusal):
            return answer
        given = Path(path.source, path.slot, path.received)
        given.attributes = answer.attributes
        last = ask(_LAST, given, None)
        assert isinstance(last, Accepted)
        return Accepted(last.attributes, answer.chosen | last.chosen)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Draining) and self.before == other.before

    def __hash__(self) -> int:
        return hash((Draining, self.before))
