"""The composition root: sockets, connections and the router become one BGP speaker on the running loop."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from types import TracebackType
from typing import TYPE_CHECKING, Self

from bgp.aio.options import PeerOptions
from bgp.family import Family

if TYPE_CHECKING:
    from bgp.aio.events import PeerEvent
    from bgp.aio.peer import Peer
    from bgp.router import Router


class ListenRange:
    """A prefix whose addresses may connect without being configured one by one."""

    prefix: IPv4Network | IPv6Network
    options: PeerOptions
    limit: int


class Announcement:
    """A route of our own, as `Speaker.announce` returned it."""

    def withdraw(self) -> None: ...


class Speaker:
    """Speak BGP on the running event loop; use as `async with Speaker(...) as speaker`."""

    router: "Router"

    def __init__(
        self,
        *,
        asn: int,
        router_id: str | int | IPv4Address,
        cluster_id: str | int | IPv4Address | None = None,
        listen: Iterable[str] = (),
        on_event: "Callable[[PeerEvent], None] | None" = None,
    ) -> None: ...

    async def start(self) -> None: ...
    async def stop(self, communication: str = "", timeout: float = 2.0) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def listening(self) -> Sequence[tuple[str, int]]: ...  # real ports where 0 was asked
    @property
    def peers(self) -> "Sequence[Peer]": ...

    def add_peer(self, options: PeerOptions) -> "Peer": ...
    async def remove_peer(self, peer: "Peer", communication: str = "") -> None: ...
    def add_listen_range(
        self, prefix: str | IPv4Network | IPv6Network, options: PeerOptions, *, limit: int = 1000
    ) -> ListenRange: ...
    async def remove_listen_range(self, listen_range: ListenRange, communication: str = "") -> None: ...

    def announce(self, prefix: str | IPv4Network | IPv6Network, **attributes: object) -> Announcement: ...
    def withdraw(self, prefix: str | IPv4Network | IPv6Network) -> None: ...
    def best(self, family: Family) -> "dict[bytes, object]": ...
    def events(self, limit: int = 1000) -> "AsyncIterator[PeerEvent]": ...
