"""Policy: what becomes of a path's attributes on the way in and on the way out.

A policy is any callable from Path to Attributes, or to None or a Refusal where it refuses the path.  It must
depend on the path alone (RFC 4271 section 9.1: preference "must not" depend on other routes), because its
answer is kept for as long as the path lives.  One whose `reads_prefix` is true takes a prefix as well, and is
asked for each.

`Rules` makes a policy of terms, from the matchers of `bgp.policy.match` and the changes of
`bgp.policy.change`; `function` makes one of a function:

    from bgp.policy import ACCEPT, REFUSE, Rules, Term, change, match

    edge = Rules("edge", [
        Term("no-bogons", match.prefix_in(["0.0.0.0/0", "10.0.0.0/8 le 32"]), then=REFUSE),
        Term("customers", match.community("65000:100-199"), (change.local_pref(200),), ACCEPT),
        Term("rest", ~match.as_path("64500") & match.as_path_length((1, 20)), then=ACCEPT),
    ])
"""

from bgp.policy.function import Function, function
from bgp.policy.rules import ACCEPT, NEXT, REFUSE, Rules, Term, Then, Trace
from bgp.rib.path import Accepted, Answer, Path, Policy, Refusal
from bgp.wire.attributes import Attributes

__all__ = [
    "ACCEPT",
    "ACCEPT_ALL",
    "NEXT",
    "REFUSE",
    "Accepted",
    "Answer",
    "Function",
    "Policy",
    "Refusal",
    "Rules",
    "Term",
    "Then",
    "Trace",
    "accept_all",
    "function",
]


def accept_all(path: Path) -> Attributes | None:
    """Pass every path with its attributes unchanged."""
    return path.attributes


ACCEPT_ALL: Policy = accept_all
