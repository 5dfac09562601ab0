"""What is known of the next hops of routes: whether they are reachable, at which cost, and which are our own.

It changes what routes are worth long after they came, so the routes by those next hops, and no others, are
decided anew.
"""

from collections.abc import Collection, Mapping

from bgp.family import Family
from bgp.rib.admission import Admission
from bgp.rib.jobs import Jobs, Rejudge, Sweep
from bgp.rib.nexthop import NextHops, Resolver
from bgp.rib.table import Table


class Reachability:
    """The next hops of a router's tables; jobs decide anew what changes."""

    def __init__(
        self, next_hops: NextHops, admission: Admission, tables: Mapping[Family, Table], jobs: Jobs
    ) -> None:
        self._next_hops = next_hops
        self._admission = admission
        self._tables = tables
        self._jobs = jobs
        self._rejudging: dict[Family, Rejudge] = {}  # the last job of its kind

    def sweep(self) -> None:
        """Have next hops that no route has any more forgotten, where there are many."""
        if self._next_hops.crowded:
            self._jobs.add(Sweep(self._tables.values(), self._next_hops))

    def add_own(self, address: bytes) -> None:
        """Note that `address` is one of ours in a session."""
        if self._next_hops.add_own(address):
            self._rejudge([address])

    def remove_own(self, address: bytes) -> None:
        """Note that a session in which `address` was ours is gone."""
        if self._next_hops.remove_own(address):
            self._rejudge([address])

    def learn(self, costs: Mapping[bytes, int | None]) -> None:
        """Learn the interior costs to next hops, None for what is not reachable; `work` applies that.

        They are named as `bgp.rib.nexthop.scoped` does it: link-local ones with `%` and the interface behind.
        The routes by those of which it is news are decided anew, and no others.
        """
        changed = self._next_hops.learn(costs)
        if changed:
            self._rejudge(changed)

    def resolve(self, resolver: Resolver | None) -> None:
        """Ask `resolver` from now on for each next hop that comes up; with None all are reachable at cost 0.

        Routes that are there already are decided anew, as `work` comes to them.
        """
        self._next_hops.resolver = resolver
        self._rejudge(None)

    def known(self) -> Mapping[bytes, int | None]:
        """Return the costs to the next hops of which one is known, None where they are not reachable."""
        return dict(self._next_hops.costs)

    def rejudge(self) -> None:
        """Have all routes judged anew: something else that admission looks at has changed."""
        self._rejudge(None)

    def _rejudge(self, keys: Collection[bytes] | None) -> None:
        self._admission.forget()
        for family, table in self._tables.items():
            if table.routes:
                job = self._rejudging.get(family)
                if job is not None and not job.begun:
                    job.add(keys)
                else:
                    job = self._rejudging[family] = Rejudge(table, keys)
                    self._jobs.add(job)
