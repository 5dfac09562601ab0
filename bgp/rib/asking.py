"""Asking a policy about a path: what it may answer, and what of its answer is not taken.

A policy is a callable of a path, or, if its `reads_prefix` is true, of a path and a prefix.  It may be a
function of the user's, so what it must not touch is looked after here, behind all of them.
"""

import logging

from bgp.iana import AttributeType
from bgp.rib.path import Accepted, Path, Policy, Refusal
from bgp.wire import aspath
from bgp.wire.attributes import Attributes

# RFC 4456 section 10 has the first two left alone between internal peers, and external ones do not get them.
# RFC 9234 section 5: "The operator MUST NOT have the ability to modify the procedures" around the third.
_PROTECTED = (
    int(AttributeType.ORIGINATOR_ID),
    int(AttributeType.CLUSTER_LIST),
    int(AttributeType.ONLY_TO_CUSTOMER),
)
_AS_PATH = int(AttributeType.AS_PATH)


_log = logging.getLogger(__name__)
_REPORTED = 1000  # so many policies that failed are remembered


class Failures:
    """Logs the first failure of each policy, with its traceback: one that fails, fails on many routes."""

    __slots__ = ("_reported",)

    def __init__(self) -> None:
        self._reported: list[Policy] = []

    def report(self, policy: Policy, text: str) -> None:
        """Log the exception that is being handled, unless `policy` has failed before."""
        if len(self._reported) < _REPORTED and not any(policy is each for each in self._reported):
            self._reported.append(policy)
            _log.exception("%s", text)


def ask(policy: Policy, path: Path, prefix: bytes | None) -> Accepted | Refusal | None:
    """Return the answer of `policy`, asked with `prefix` where that is not None.

    Raises whatever the policy raises, and ValueError for an answer that cannot be.
    """
    answer = policy(path) if prefix is None else policy(path, prefix)
    if isinstance(answer, Attributes):
        answer = Accepted(answer)
    elif answer is None or isinstance(answer, Refusal):
        return answer
    elif not isinstance(answer, Accepted):
        raise ValueError(f"a policy answers with attributes, a Refusal or None, not with {answer!r}")
    if answer.attributes is not path.attributes:
        _check(path.attributes, answer.attributes)
    return answer


def _check(before: Attributes, after: Attributes) -> None:
    if before.octets == after.octets:
        return
    for type in _PROTECTED:
        if before.get(type) != after.get(type):
            raise ValueError(f"a policy must not change {AttributeType(type).name}")
    value = after.get(_AS_PATH)
    if value is not None and b"\0\0\0\0" in value and value != before.get(_AS_PATH):
        if any(0 in segment.asns for segment in aspath.parse(value)):
            raise ValueError("a policy must not put AS 0 into an AS_PATH (RFC 7607)")
