"""An errand: to see that one member has taken what there is to tell of one route.

It is asked again from time to time, whenever the member may have taken something, and remembers no more
than where in the train the news end that were there when it was asked first.  Routes that nobody asks for
cost nothing.
"""

from bgp.export.group import Group
from bgp.export.listener import Listener
from bgp.export.log import Route
from bgp.family import Family


class Errand:
    """Says of `route` whether a member has taken its latest news of the time when that was asked first."""

    __slots__ = ("_end", "_family", "_group", "_route")

    def __init__(self, family: Family, route: Route) -> None:
        self._family = family
        self._route = route
        self._group: Group | None = None
        self._end = 0

    def done(self, listener: Listener) -> bool:
        """Whether `listener` has taken them; to be asked behind a flush, while the tables are not dirty."""
        group, family = listener.group, self._family
        if group.holds_back(family, self._route):
            # What comes then is in the train later than all that is there now.
            self._group = None
            return False
        if group is not self._group:
            self._group, self._end = group, group.train.end
        if any(dump.initial and dump.family is family for dump in listener.dumps):
            return False
        if listener.behind:
            return not listener.arriving and not group.is_ahead(listener, family, self._route)
        return listener.place is not None and listener.place.passed >= self._end
