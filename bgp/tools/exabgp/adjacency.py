"""What one neighbor is to be told, and what of that has not gone out yet: its Adj-RIB-Out.

Routes stay over the ends of sessions, and each new one begins with all of them.  What changes faster than it
goes out is told in its latest state only.
"""

from collections import deque
from collections.abc import Callable, Iterable

from bgp.family import Family
from bgp.iana import RouteRefreshSubtype
from bgp.session.negotiation import Negotiated
from bgp.tools.exabgp.route import Key, Said, attributes
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.encoder import Encoder
from bgp.wire.message import RouteRefresh, encode

# So many routes are encoded together, between two looks at the socket.
_PORTION = 1000


class Adjacency:
    """The routes for a neighbor; `complain` is told of those that its session cannot carry."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self.routes: dict[Key, Said] = {}
        self._complain = complain
        self._table = AttributeTable()
        # What changed since it was told, each once.
        self._line: deque[Key] = deque()
        self._waiting: set[Key] = set()
        # What this session was told of, for nothing else need be withdrawn.
        self._told: set[Key] = set()
        self._made: dict[tuple[Said, Family], Attributes | None] = {}
        self._before: list[bytes] = []
        self._after: list[bytes] = []
        self._session: Negotiated | None = None
        self._encoder = Encoder()
        self._local = b""

    # --- what commands do --------------------------------------------------------------------------------
    def announce(self, keys: Iterable[Key], said: Said) -> None:
        """Tell the routes, in place of what was said of them before."""
        for key in keys:
            self.routes[key] = said
            self._change(key)

    def withdraw(self, keys: Iterable[Key]) -> None:
        """Withdraw the routes; those that there are not do not matter."""
        for key in keys:
            if self.routes.pop(key, None) is not None:
                self._change(key)

    def again(self, families: Iterable[Family], *, enhanced: bool = False) -> None:
        """Tell all routes of the families again, marked as RFC 7313 section 4 has it if `enhanced`."""
        if self._session is None:
            return
        for family in families:
            if family not in self._session.families:
                continue
            if enhanced:
                begin, end = (
                    RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH,
                    RouteRefreshSubtype.END_OF_ROUTE_REFRESH,
                )
                self._before.append(encode(RouteRefresh(family.afi, family.safi, begin)))
                self._after.append(encode(RouteRefresh(family.afi, family.safi, end)))
            for key in self.routes:
                if key.family is family:
                    self._change(key)

    def end_of_rib(self, families: Iterable[Family]) -> None:
        """Send End-of-RIB behind what is pending."""
        if self._session is not None:
            self._after += [
                self._encoder.end_of_rib(each) for each in families if each in self._session.families
            ]

    # --- what the session does ---------------------------------------------------------------------------
    def begin(self, session: Negotiated, local: bytes) -> None:
        """Begin a session, from our address `local`: everything is to be told."""
        self._session, self._local = session, local
        self._encoder = Encoder(session.four_octet_as, session.add_path_send, session.maximum_send)
        self._told, self._made = set(), {}
        self._before, self._after = [], []
        self._line, self._waiting = deque(self.routes), set(self.routes)
        self.end_of_rib(session.families)

    def end(self) -> None:
        """End the session."""
        self._session = None
        self._line, self._waiting, self._told, self._made = deque(), set(), set(), {}
        self._before, self._after = [], []

    @property
    def pending(self) -> bool:
        """Whether `pull` has something to give."""
        return bool(self._line or self._before or self._after)

    def pull(self) -> list[bytes]:
        """Return the next messages, of whole UPDATEs and what goes around them."""
        session = self._session
        if session is None:
            return []
        messages, self._before = self._before, []
        withdrawn: dict[Family, list[Key]] = {}
        announced: dict[tuple[Family, Attributes], list[Key]] = {}
        for _ in range(min(len(self._line), _PORTION)):
            key = self._line.popleft()
            self._waiting.discard(key)
            if key.family not in session.families:
                continue
            said = self.routes.get(key)
            told = None if said is None else self._attributes(key, said, session)
            if told is not None:
                announced.setdefault((key.family, told), []).append(key)
            elif key in self._told:
                withdrawn.setdefault(key.family, []).append(key)
        for family, keys in withdrawn.items():
            self._told.difference_update(keys)
            messages += self._encoder.withdraw(
                family, [key.prefix for key in keys], [key.path_id for key in keys]
            )
        for (family, told), keys in announced.items():
            self._told.update(keys)
            made, unfit = self._encoder.announce(
                family,
                told.octets,
                told.next_hop,
                [key.prefix for key in keys],
                [key.path_id for key in keys],
            )
            messages += made
            for index in unfit:
                self._told.discard(keys[index])
                self._complain(f"{keys[index]} does not fit into a message (RFC 8654 4)")
        if not self._line:
            messages += self._after
            self._after = []
        return messages

    def _change(self, key: Key) -> None:
        if self._session is not None and key not in self._waiting:
            self._waiting.add(key)
            self._line.append(key)

    def _attributes(self, key: Key, said: Said, session: Negotiated) -> Attributes | None:
        memo = said, key.family
        if memo not in self._made:
            if len(self._made) >= _PORTION:
                self._made.clear()
            try:
                self._made[memo] = attributes(said, key.family, session, self._local, self._table)
            except ValueError as error:
                self._made[memo] = None
                self._complain(f"{nlri.text(key.family, key.prefix)} is not told: {error}")
        return self._made[memo]
