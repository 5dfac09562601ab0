"""The clusters that we serve: routes that were in one of them are refused (RFC 4456 section 8).

Our own CLUSTER_ID is always among them.  The others are those of clients in a cluster of their own, each
counted by who needs it: members, and whoever is configured and has no session.
"""

from collections import Counter
from collections.abc import Callable

from bgp.rib.admission import Admission


class Clusters:
    """Tells an admission of them; `rejudge` is called when it is told of others than before."""

    def __init__(self, own: int, admission: Admission, rejudge: Callable[[], None]) -> None:
        self._own = own
        self._admission = admission
        self._rejudge = rejudge
        self._served: Counter[int] = Counter()

    @property
    def ids(self) -> list[int]:
        """The CLUSTER_IDs, our own first."""
        return [self._own, *sorted(self._served.keys() - {self._own})]

    def serve(self, cluster_id: int) -> None:
        """Serve that cluster, too, or for one more."""
        self._served[cluster_id] += 1
        if self._served[cluster_id] == 1:
            self._tell()

    def leave(self, cluster_id: int) -> None:
        """Take back one `serve`."""
        self._served[cluster_id] -= 1
        if not self._served[cluster_id]:
            del self._served[cluster_id]
            self._tell()

    def _tell(self) -> None:
        self._admission.clusters = frozenset(each.to_bytes(4, "big") for each in self.ids[1:])
        self._rejudge()
