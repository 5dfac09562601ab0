"""Designs of the usual shapes, drawn from a seed: meshes, reflectors in all arrangements, fabrics of ASes."""

from collections.abc import Callable
from itertools import combinations, pairwise
from random import Random

from bgp.iana import Role
from bgp.testing.simulate.design import Design, NodeDesign, SessionDesign

_AS = 65000
# The role of the other side (RFC 9234 section 4.2).
OPPOSITE = {Role.PROVIDER: Role.CUSTOMER, Role.CUSTOMER: Role.PROVIDER, Role.PEER: Role.PEER}


class _Draft:
    """A design in the making."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.nodes: dict[str, NodeDesign] = {}
        self.sessions: dict[frozenset[str], SessionDesign] = {}
        # Identifiers in no order: the decision compares them.
        self._identifiers = random.sample(range(0x01010101, 0x7F000000), 400)

    def node(self, name: str, asn: int = _AS, cluster: int | None = None) -> str:
        self.nodes[name] = NodeDesign(name, asn, self._identifiers[len(self.nodes)], cluster)
        return name

    def nodes_of(self, start: str, count: int, asn: int = _AS) -> list[str]:
        return [self.node(f"{start}{number}", asn) for number in range(1, count + 1)]

    def peer(self, one: str, other: str, client: bool = False, role: Role | None = None) -> None:
        passive = self.random.random() < 0.3
        self.sessions.setdefault(
            frozenset((one, other)), SessionDesign(one, other, client, role, passive=passive)
        )

    def mesh(self, names: list[str]) -> None:
        for one, other in combinations(names, 2):
            self.peer(one, other)

    def stubs(self, borders: list[str], most: int) -> None:
        """Attach other ASes, some of them twice."""
        for number in range(self.random.randint(0, most)):
            name = self.node(f"x{number + 1}", 64500 + number)
            for border in self.random.sample(borders, min(len(borders), self.random.randint(1, 2))):
                self.peer(border, name)

    def done(self, kind: str) -> Design:
        return Design(self.nodes, tuple(self.sessions.values()), {}, kind)


def _mesh(draft: _Draft) -> None:
    names = draft.nodes_of("r", draft.random.randint(3, 6))
    draft.mesh(names)
    draft.stubs(names, 3)


def _hub(draft: _Draft) -> None:
    reflectors = draft.nodes_of("rr", draft.random.randint(1, 3))
    clients = draft.nodes_of("c", draft.random.randint(3, 8))
    draft.mesh(reflectors)
    for client in clients:
        some = draft.random.sample(reflectors, draft.random.randint(1, len(reflectors)))
        for reflector in some:
            draft.peer(reflector, client, client=True)
    draft.stubs(clients, 3)


def _clusters(draft: _Draft) -> None:
    """Two reflectors for each cluster, some with the same and some with different CLUSTER_IDs."""
    random = draft.random
    reflectors: list[str] = []
    clients: list[str] = []
    for cluster in range(1, random.randint(1, 3) + 1):
        same = cluster if random.random() < 0.5 else None
        pair = [draft.node(f"rr{cluster}{letter}", cluster=same) for letter in "ab"]
        mine = [draft.node(f"c{cluster}{number}") for number in range(1, random.randint(1, 4) + 1)]
        for client in mine:
            for reflector in pair:
                draft.peer(reflector, client, client=True)
        reflectors += pair
        clients += mine
    draft.mesh(reflectors)
    draft.stubs(clients, 2)


def _hierarchy(draft: _Draft) -> None:
    random = draft.random
    top = draft.nodes_of("top", random.randint(1, 3))
    middle = draft.nodes_of("mid", random.randint(2, 3))
    leaves = draft.nodes_of("leaf", random.randint(2, 6))
    draft.mesh(top)
    for name in middle:
        for above in random.sample(top, random.randint(1, min(2, len(top)))):
            draft.peer(above, name, client=True)
    for name in leaves:
        for above in random.sample(middle, random.randint(1, 2)):
            draft.peer(above, name, client=True)
    draft.stubs(leaves, 2)


def _fabric(draft: _Draft) -> None:
    """Spines and leaves with an AS each, or the spines with one for all (RFC 7938)."""
    random = draft.random
    shared = random.random() < 0.5
    spines = [draft.node(f"spine{n}", 64600 if shared else 64600 + n) for n in range(random.randint(2, 4))]
    for number in range(random.randint(2, 6)):
        leaf = draft.node(f"leaf{number}", 64700 + number)
        for spine in spines:
            draft.peer(spine, leaf)


def _internet(draft: _Draft) -> None:
    """Providers, customers and peers with their roles (RFC 9234); some have two routers."""
    random = draft.random
    tiers = [
        [draft.node(f"t{tier}n{number}", 64000 + 10 * tier + number) for number in range(count)]
        for tier, count in enumerate((random.randint(1, 3), random.randint(1, 3), random.randint(1, 4)))
    ]
    for one, other in combinations(tiers[0], 2):
        draft.peer(one, other, role=Role.PEER)
    for above, below in pairwise(tiers):
        for name in below:
            for provider in random.sample(above, random.randint(1, min(2, len(above)))):
                draft.peer(provider, name, role=Role.PROVIDER)
    for one, other in combinations(tiers[1], 2):
        if random.random() < 0.4:
            draft.peer(one, other, role=Role.PEER)
    for name in random.sample(tiers[1], random.randint(0, 1)):
        twin = draft.node(f"{name}b", draft.nodes[name].asn)
        draft.peer(name, twin)
        draft.peer(random.choice(tiers[0]), twin, role=Role.PROVIDER)


SHAPES: dict[str, Callable[[_Draft], None]] = {
    "mesh": _mesh,
    "hub of reflectors": _hub,
    "clusters of two reflectors": _clusters,
    "hierarchy of reflectors": _hierarchy,
    "fabric of ASes": _fabric,
    "providers and customers": _internet,
}


def drawn(random: Random, kind: str | None = None) -> Design:
    """Draw a design, of any shape or of a given one."""
    kind = kind or random.choice(list(SHAPES))
    draft = _Draft(random)
    SHAPES[kind](draft)
    return draft.done(kind)
