"""Admission: whether a path as received may take part in the decision, and if not, by which rule.

A refused path stays in the table, so that a change of policy needs no route refresh, views can show it and
`explain` can name the rule.  To receive one replaces the peer's earlier path, as any announcement does
(RFC 4271 section 3.1): "ignoring" a looped route must not leave the one before it in use.
"""

from bgp.iana import AttributeType, SegmentType, WellKnownCommunity
from bgp.rib import roles
from bgp.rib.asking import Failures, ask
from bgp.rib.nexthop import NextHops, is_connected, is_host
from bgp.rib.path import Kind, Path, Refusal
from bgp.wire import aspath
from bgp.wire.aspath import AsPath
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.community import encode_communities

AS_LOOP = Refusal("as-loop", "RFC 4271 9.1.2", "our own AS is in the AS_PATH")
CONFEDERATION_LOOP = Refusal(
    "confederation-loop", "RFC 5065 4", "our confederation's identifier or our member AS is in the AS_PATH"
)
ORIGINATOR_LOOP = Refusal("originator-loop", "RFC 4456 8", "ORIGINATOR_ID is our own BGP Identifier")
CLUSTER_LOOP = Refusal("cluster-loop", "RFC 4456 8", "a CLUSTER_ID of ours is in the CLUSTER_LIST")
NEXT_HOP_HOST = Refusal("next-hop-host", "RFC 4271 6.3", "the next hop is not the address of a host")
NEXT_HOP_OURS = Refusal("next-hop-ours", "RFC 4271 6.3", "the next hop is our own address")
NEXT_HOP_DISTANT = Refusal(
    "next-hop-distant", "RFC 4271 6.3", "the next hop is not on the subnet shared with this external peer"
)
NEXT_HOP_UNREACHABLE = Refusal("next-hop-unreachable", "RFC 4271 9.1.2", "the next hop is not reachable")
NO_POLICY = Refusal("no-policy", "RFC 8212 3", "no import policy is configured for this external peer")
POLICY = Refusal("policy", "RFC 4271 9.1.1", "import policy refuses it")
NO_LONG_LIVED = Refusal("no-llgr", "RFC 9494 4.2", "NO_LLGR keeps it from being long-lived stale")
POLICY_FAILED = Refusal("policy-failed", "RFC 4271 9.1.1", "import policy failed on it")


# Members of an Enum are slow to look up, and a path is judged for each attribute set that arrives.
_LOCAL, _CLIENT = Kind.LOCAL, Kind.CLIENT
_MEMBERS = (SegmentType.AS_CONFED_SEQUENCE, SegmentType.AS_CONFED_SET)
_NO_LLGR = int(WellKnownCommunity.NO_LLGR)
_ORIGINATOR_ID, _CLUSTER_LIST = AttributeType.ORIGINATOR_ID, AttributeType.CLUSTER_LIST
# So many next hops that passed the checks are remembered.
_MEMORY = 4096


class Admission:
    """Judges new paths for a router with this AS number, BGP Identifier and CLUSTER_ID.

    `clusters`: the CLUSTER_IDs besides that one, of clients that are in a cluster of their own.

    `confederation` is the identifier of the confederation in which `asn` is a member AS, None outside of any.
    """

    def __init__(
        self,
        asn: int,
        identifier: bytes,
        cluster_id: bytes,
        next_hops: NextHops,
        failures: Failures | None = None,
        confederation: int | None = None,
        table: AttributeTable | None = None,
    ) -> None:
        self._asn = asn
        self._asn_octets = asn.to_bytes(4, "big")
        self._confederation = confederation
        self._shown_octets = (confederation or asn).to_bytes(4, "big")
        self._table = table or AttributeTable()
        self._identifier = identifier
        self._cluster_id = cluster_id
        self.clusters: frozenset[bytes] = frozenset()  # those of clients with a cluster of their own
        self._next_hops = next_hops
        self._passed: set[bytes] = set()
        self.policy_failures = 0
        self._failures = failures or Failures()

    def __call__(self, path: Path, prefix: bytes | None = None) -> None:
        """Give `path` its verdict: `refusal`, and for a usable one `attributes` and `cost`.

        Where the policy or the guard of its source looks at that, the verdict is about the path to `prefix`.
        """
        source = path.source
        if source.kind is _LOCAL:
            return
        received = path.received
        octets = received.octets
        # Nearly no path holds these octets by chance, so nearly none is parsed; and where there is nothing
        # behind `head` there is no ORIGINATOR_ID and no CLUSTER_LIST.
        refusal: Refusal | None = None
        if (
            self._asn_octets in octets
            or self._shown_octets in octets
            or source.local_as
            or (received.head != len(octets) and (self._identifier in octets or self._cluster_id in octets))
            or self.clusters
        ):
            refusal = self._loop(path)
        if refusal is None and (received.next_hop not in self._passed or source.connected):
            refusal = self._next_hop(path)
        if refusal is None and source.ward is not None and prefix is not None:
            refusal = source.ward.verdict(received, prefix)
        if refusal is None and source.role is not None:
            checked = roles.received(path.received, source.role, source.asn, self._table)
            if isinstance(checked, Refusal):
                refusal = checked
            else:
                path.attributes = checked
        if source.prepends and refusal is None:
            # RFC 7705 section 3.3: "before installing the route".
            path.attributes = self._behind(path.attributes, source.local_as)
        if refusal is None and (source.policy is not None or source.kind < _CLIENT):
            refusal = self._policy(path, prefix if source.reads_prefix else None)
        if source.stale and _NO_LLGR in (*received.communities, *path.attributes.communities):
            # It would have gone, had it been so when the peer did not come back.
            refusal = refusal or NO_LONG_LIVED
        if source.stale and refusal is None:
            # RFC 9494 section 4.2: behind the policy, which must not take it away.
            path.attributes = self._stale(path.attributes)
        if refusal is None and self._next_hops.used:
            # Policy may have changed the next hop, so its cost comes last.
            cost = self._next_hops.cost(path.attributes.next_hop, source.interface)
            if cost is None:
                refusal = NEXT_HOP_UNREACHABLE
            else:
                path.cost = cost
        path.refusal = refusal

    def is_offer(self, path: Path) -> bool:
        """Whether a peer may come by a prefix through `path` (`bgp.rib.claims`): not by what loops.

        Other clusters than our own come and go, and what a peer has must not go with them.
        """
        loop = self._loop(path)
        if loop is CLUSTER_LOOP:
            clusters = path.received.get(_CLUSTER_LIST) or b""
            if self._cluster_id not in [clusters[at : at + 4] for at in range(0, len(clusters), 4)]:
                loop = None
        return loop is None and is_host(path.received.next_hop)

    def _stale(self, attributes: Attributes) -> Attributes:
        if attributes.stale:
            return attributes
        communities = encode_communities((*attributes.communities, WellKnownCommunity.LLGR_STALE))
        return self._table.derive(attributes, {AttributeType.COMMUNITIES: communities})

    def _behind(self, attributes: Attributes, local_as: int) -> Attributes:
        as_path = aspath.encode(aspath.prepended(attributes.as_path, local_as))
        return self._table.derive(attributes, {AttributeType.AS_PATH: as_path})

    def forget(self) -> None:
        """Look at next hops anew: our own addresses changed."""
        self._passed.clear()

    def way(self, path: Path) -> str:
        """Say how the next hop of `path` is reached, or why it is not; nothing where nobody knows."""
        if path.source.kind is _LOCAL or not path.attributes.next_hop:
            return ""
        return self._next_hops.why(path.attributes.next_hop, path.source.interface)

    def _loop(self, path: Path) -> Refusal | None:
        received = path.received
        if self._confederation is None:
            found = sum(segment.asns.count(self._asn) for segment in received.as_path)
        else:
            found = self._in_confederation(received.as_path, self._confederation)
        other = path.source.local_as
        if other:
            # As far as that peer knows, it is ours as well.
            found += sum(segment.asns.count(other) for segment in received.as_path)
        if found > path.source.allow_own_as:
            return AS_LOOP if self._confederation is None else CONFEDERATION_LOOP
        if received.get(_ORIGINATOR_ID) == self._identifier:
            return ORIGINATOR_LOOP
        clusters = received.get(_CLUSTER_LIST) or b""
        found_in = {clusters[at : at + 4] for at in range(0, len(clusters), 4)}
        if self._cluster_id in found_in or found_in & self.clusters:
            return CLUSTER_LOOP
        return None

    def _in_confederation(self, path: AsPath, identifier: int) -> int:
        """Return how often a member of a confederation is in `path` (RFC 5065 section 4).

        The member AS counts in confederation segments only: elsewhere that number, often a private one, is
        somebody else's.
        """
        found = 0
        for type_, asns in path:
            found += asns.count(identifier)
            if type_ in _MEMBERS and self._asn != identifier:
                found += asns.count(self._asn)
        return found

    def _next_hop(self, path: Path) -> Refusal | None:
        next_hop, source = path.received.next_hop, path.source
        if not is_host(next_hop):
            return NEXT_HOP_HOST
        if self._next_hops.is_own(next_hop):
            return NEXT_HOP_OURS
        if (
            source.connected
            and next_hop[:16] != source.address
            and not is_connected(next_hop, source.connected)
        ):
            return NEXT_HOP_DISTANT
        if len(self._passed) >= _MEMORY:
            self._passed.clear()
        self._passed.add(next_hop)
        return None

    def _policy(self, path: Path, prefix: bytes | None) -> Refusal | None:
        policy = path.source.policy
        if policy is None:
            # RFC 8212 section 3: "SHALL NOT be considered eligible in the Decision Process".
            return NO_POLICY
        try:
            answer = ask(policy, path, prefix)
        except Exception:
            self.policy_failures += 1
            text = f"import policy of {path.source.peer} failed; routes that it fails on are refused"
            self._failures.report(policy, text)
            return POLICY_FAILED
        if answer is None:
            return POLICY
        if isinstance(answer, Refusal):
            return answer
        path.attributes = answer.attributes
        return None
