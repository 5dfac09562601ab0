"""The handle of a route of our own, and what its user may say of it beforehand."""

from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from bgp.aio.destination import Destination, Key, conditional, destination, fit
from bgp.aio.health import FALL, INTERVAL, RISE, TIMEOUT, Check, Health
from bgp.policy.condition import Condition
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.given import RouteAttributes

if TYPE_CHECKING:
    from bgp.aio.originals import Originals
    from bgp.aio.peer import Peer


class Announcement:
    """A route of our own: `Speaker.announce` returns one, or takes one that was made before.

    With a `check`, an asynchronous function without arguments, the route is announced while that passes.
    Once `Speaker.announce` has it, the check is awaited again and again, with `interval` seconds in between.
    It passes unless it returns False, raises, or takes longer than `timeout` seconds.  When it passed `rise`
    times in a row the route is announced, and when it failed `fall` times in a row withdrawn.  With a
    `condition` (`bgp.policy.condition`) the route is there only while that holds.  `RouteAttributes` has the
    attributes.  Raises ValueError for a bad value: that must not wait for the check to pass.

    As `async with` it is withdrawn in the end.  Who announces the same prefix again takes the route over:
    of the former handle `withdraw` does nothing then.
    """

    __slots__ = ("_attributes", "_condition", "_health", "_originals", "family", "prefix")

    def __init__(
        self,
        prefix: Destination,
        *,
        check: Check | None = None,
        rise: int = RISE,
        fall: int = FALL,
        interval: float = INTERVAL,
        timeout: float = TIMEOUT,
        condition: Condition | None = None,
        **attributes: Unpack[RouteAttributes],
    ) -> None:
        key = destination(prefix)
        made = AttributeTable().make(**attributes)
        fit(key[0], made)
        health = None
        if check is not None:
            health = Health(nlri.text(*key), check, rise, fall, interval, timeout)
        elif (rise, fall, interval, timeout) != (RISE, FALL, INTERVAL, TIMEOUT):
            raise ValueError("check: rise, fall, interval and timeout are those of a check; there is none")
        self._assume(None, key, made, conditional(condition), health)

    def _assume(
        self,
        announcements: "Originals | None",
        key: Key,
        attributes: Attributes,
        condition: Condition | None,
        health: Health | None = None,
    ) -> None:
        self.family, self.prefix = key
        self._originals = announcements
        self._attributes = attributes
        self._condition = condition
        self._health = health

    @property
    def _owner(self) -> "Originals":
        if self._originals is None:
            raise RuntimeError(f"{self} belongs to no speaker yet: give it to speaker.announce(...)")
        return self._originals

    @property
    def attributes(self) -> Attributes:
        """What is announced, or was last, or is to be."""
        route = None if self._originals is None else self._originals.route_of(self)
        return self._attributes if route is None else route.attributes

    @property
    def condition(self) -> Condition | None:
        """On which condition it is announced."""
        return self._condition

    @property
    def active(self) -> bool:
        """Whether it is announced: neither withdrawn nor taken over, and with a check, that passes."""
        return self._originals is not None and self._originals.route_of(self) is not None

    def withdraw(self) -> None:
        """Take the route back, unless it was taken over since, and check no more."""
        self._owner.withdraw(self)

    def replace(self, **attributes: Unpack[RouteAttributes]) -> None:
        """Announce the route with these attributes in place of those it has; None takes one out.

        Raises ValueError for a bad value, with the route as it was, and RuntimeError if it is not `active`.
        But while a check fails this is what will be announced.
        """
        self._owner.replace(self, attributes)

    async def advertised_to(self, peer: "Peer") -> None:
        """Wait until the UPDATE that tells `peer` of the route is with the kernel.

        Its octets were taken by the socket then, with those that were packed together with it; what the
        peer has read of them nobody can know.  Raises `NotAdvertised` with the reason, at once, if the peer
        is not told, and when that turns out later; `PeerDown` if there is no session, or it ends before.
        """
        await self._owner.advertised_to(self, peer)

    # --- the check -----------------------------------------------------------------------------------
    @property
    def healthy(self) -> bool:
        """Whether the route is announced for its check; without a check, whether it is `active`."""
        return self.active if self._health is None else self._health.passes

    @property
    def checks(self) -> int:
        """How often it was checked."""
        return 0 if self._health is None else self._health.checks

    @property
    def last_failure(self) -> str:
        """Why the check failed the last time that it did."""
        return "" if self._health is None else self._health.last_failure

    async def up(self) -> Self:
        """Wait until the route is announced for its check; return this handle."""
        await self._checked().up.wait()
        return self

    async def down(self) -> None:
        """Wait until the route is not announced, as its check fails or it was withdrawn."""
        await self._checked().down.wait()

    def _checked(self) -> Health:
        self._owner.check_home()
        if self._health is None:
            raise RuntimeError(f"{self} has no check to wait for")
        return self._health

    async def in_fib(self) -> None:
        """Wait until the forwarding plane has the route, such as the blackhole route of a block.

        Raises RuntimeError where nothing programs it by this speaker (`fib.KernelFib` does), and what that
        raises where the route will not be there: `fib.NotInstalled`, with the reason.
        """
        await self._owner.in_fib(self)

    async def __aenter__(self) -> Self:
        self._owner.check_home()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.withdraw()
        if self._health is not None:
            await self._health.ended()

    def __str__(self) -> str:
        return nlri.text(self.family, self.prefix)

    def __repr__(self) -> str:
        return f"<Announcement {self}{'' if self.active else ' (not active)'}>"
