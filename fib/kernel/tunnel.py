"""The device that IP-in-IP goes by: made if it is not there, and kept up, with its address and its MTU.

A device of that name that somebody else made is taken as it is, whatever its kind.  `tunl0` is the one that
the kernel has by itself once it knows of IP-in-IP, in each namespace; to ask for any loads the module.
"""

import asyncio
import errno
import logging
from ipaddress import IPv4Address, IPv4Interface

from pyroute2 import IPRoute, NetlinkError

from fib.backend import AddressChanged, BackendError, Event, LinkChanged
from fib.kernel.thread import Namespace, NamespaceThread

logger = logging.getLogger(__name__)

# So long others may go on changing the device before it is put right, and the longest time between trials.
_SETTLE, _PAUSE = 0.05, 30.0

_REMEDY = {
    errno.EOPNOTSUPP: "this kernel has no IP-in-IP: load the module ipip (CONFIG_NET_IPIP), or make a device"
    " of that name by other means",
    errno.EPERM: "that needs CAP_NET_ADMIN",
}


class Tunnel:
    """Keeps the device `name` as it should be; give `event` what happens."""

    def __init__(
        self,
        name: str,
        *,
        address: IPv4Interface | None = None,
        mtu: int | None = None,
        local: IPv4Address | None = None,
        netns: Namespace | None = None,
    ) -> None:
        self.name = name
        self._address = address
        self._mtu = mtu
        self._local = local
        self._thread = NamespaceThread(netns)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.repairs = 0

    async def open(self) -> None:
        """Have the device; raise BackendError with the reason and the remedy where that cannot be."""
        try:
            await self._thread.open()
            await self._thread.run(self._ensure)
        except BaseException:
            self._thread.close()
            raise
        self._task = asyncio.create_task(self._keep(), name="fib tunnel")

    async def close(self) -> None:
        """Look after it no more; it stays."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._thread.close()

    def event(self, event: Event) -> None:
        """Hear what happened."""
        if isinstance(event, LinkChanged) and event.link.name == self.name:
            link = event.link
            if event.gone or not link.up or (self._mtu is not None and link.mtu != self._mtu):
                self._wake.set()
        elif isinstance(event, AddressChanged) and event.gone:
            if event.address.interface == self.name and event.address.address == self._address:
                self._wake.set()

    async def _keep(self) -> None:
        pause = 1.0
        while True:
            await self._wake.wait()
            await asyncio.sleep(_SETTLE)
            self._wake.clear()
            try:
                await self._thread.run(self._ensure)
            except (BackendError, OSError) as error:
                logger.warning("%s", error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _PAUSE)
                self._wake.set()
            else:
                self.repairs += 1
                pause = 1.0

    def _ensure(self) -> None:
        """Make the device what it should be, in the thread of the namespace."""
        try:
            with IPRoute() as netlink:
                found = netlink.link_lookup(ifname=self.name)
                if not found:
                    self._make(netlink)
                    found = netlink.link_lookup(ifname=self.name)
                (index,) = found
                if self._mtu is not None:
                    netlink.link("set", index=index, mtu=self._mtu)
                netlink.link("set", index=index, state="up")
                if self._address is not None:
                    self._addressed(netlink, index, self._address)
        except NetlinkError as error:
            words = _REMEDY.get(error.code) or str(error.args[-1])
            raise BackendError(f"tunnel {self.name}: {words}") from error

    def _make(self, netlink: IPRoute) -> None:
        options = {} if self._local is None else {"ipip_local": str(self._local)}
        try:
            netlink.link("add", ifname=self.name, kind="ipip", **options)
        except NetlinkError as error:
            # The one of the kernel's own comes with the module, which the request has loaded.
            if error.code != errno.EEXIST:
                raise

    def _addressed(self, netlink: IPRoute, index: int, address: IPv4Interface) -> None:
        try:
            netlink.addr("add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen)
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise
