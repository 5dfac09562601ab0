"""What the nodes hear by way of the reflector, gathered until somebody looks.

Each node tells how its best paths changed.  What it originates itself is not news; the rest came from the
reflector, and the same news for several nodes are one `Change`.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

from bgp.family import Family
from bgp.rib.changes import Changes as TableChanges
from bgp.rib.path import Kind, Path
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes

# So many new routes at once for one node alone are its first table, and shown as one line.
FIRST_TABLE = 4


@dataclass(frozen=True, slots=True)
class Change:
    """What nodes heard of a route: "+" new, "~" other than before, "-" withdrawn; all else as text."""

    sign: str
    route: str
    nodes: tuple[str, ...]
    next_hop: str = ""
    originator_id: str = ""
    cluster_list: str = ""
    at: float = field(default_factory=time.time)


class Changes:
    """Gathers changes; `take` returns those since the last time, the oldest first."""

    def __init__(self) -> None:
        # By sign, route and octets: each speaker interns attributes for itself, octets are what is common.
        self._waiting: dict[tuple[str, str, bytes], tuple[Attributes | None, list[str]]] = {}
        self.count = 0

    def heard(self, node: str, family: Family, changes: TableChanges) -> None:
        """Note what `node` heard (`bgp.router.Router.watch`)."""
        for prefix, before, now in _each(changes):
            told_before, told_now = _from_peer(before), _from_peer(now)
            if told_now is None and (told_before is None or now is not None):
                continue  # of its own, or its own takes over
            attributes = None if told_now is None else told_now.attributes
            sign = "-" if attributes is None else "+" if told_before is None else "~"
            octets = b"" if attributes is None else attributes.next_hop + attributes.octets
            key = sign, nlri.text(family, prefix), octets
            nodes = self._waiting.setdefault(key, (attributes, []))[1]
            if node not in nodes:
                nodes.append(node)

    def take(self) -> list[Change]:
        """Return what was heard since the last time; a first table is one change."""
        changes = [_change(sign, route, *what) for (sign, route, _), what in self._waiting.items()]
        self.count += len(changes)
        self._waiting.clear()
        alone = Counter(change.nodes for change in changes if change.sign == "+" and len(change.nodes) == 1)
        joined = [nodes for nodes, count in alone.items() if count >= FIRST_TABLE]
        tables = [Change("+", f"all {alone[nodes]} routes", nodes) for nodes in joined]
        return [*(change for change in changes if change.sign != "+" or change.nodes not in joined), *tables]


def _change(sign: str, route: str, attributes: Attributes | None, nodes: list[str]) -> Change:
    if attributes is None:
        return Change(sign, route, tuple(sorted(nodes)))
    return Change(
        sign,
        route,
        tuple(sorted(nodes)),
        next_hop=str(ip_address(attributes.next_hop[:16])),
        originator_id=_dotted(attributes.originator_id or b""),
        cluster_list=_dotted(attributes.cluster_list),
    )


def _dotted(octets: bytes) -> str:
    return " ".join(str(ip_address(octets[at : at + 4])) for at in range(0, len(octets), 4))


def _each(changes: TableChanges) -> Iterator[tuple[bytes, Path | None, Path | None]]:
    for path, prefixes in changes.fresh.items():
        yield from ((prefix, None, path) for prefix in prefixes)
    for (before, now), prefixes in changes.moved.items():
        yield from ((prefix, before, now) for prefix in prefixes)


def _from_peer(path: Path | None) -> Path | None:
    return None if path is None or path.source.kind is Kind.LOCAL else path
