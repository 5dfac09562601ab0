"""A host of the network in memory as the world of a speaker: where its sockets and its chance come from."""

from collections.abc import Sequence
from ipaddress import ip_network
from socket import AddressFamily, socket
from typing import cast

from bgp.aio.address import Endpoint
from bgp.aio.interfaces import InterfaceAddress
from bgp.testing.simulate.net import Host
from bgp.testing.simulate.sockets import ListeningSocket, VirtualSocket

# One subnet for all.
_SUBNETS = (ip_network("10.0.0.0/8"), ip_network("fd00::/64"))


class Machine:
    """What a speaker on `host` has of the world."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._addresses = (
            InterfaceAddress(host.address, _SUBNETS[0], 1),
            InterfaceAddress(host.address6, _SUBNETS[1], 1),
        )

    def listening(self, endpoint: Endpoint) -> socket:
        """Return a socket that may listen."""
        return cast(socket, ListeningSocket(self._host, endpoint.port))

    def dialing(self, family: AddressFamily, source: Endpoint | None) -> socket:
        """Return a socket that is not connected yet."""
        self._host.ports += 1
        sock = VirtualSocket(self._host, self._host.ports)
        self._host.sockets[sock] = None
        return cast(socket, sock)

    def addresses(self) -> Sequence[InterfaceAddress]:
        """Return both addresses, of one interface."""
        return self._addresses

    def interface(self, index: int) -> str:
        """Name the one that there is."""
        return "eth0" if index == 1 else ""

    def random(self) -> float:
        """Draw a number that is this host's own."""
        return self._host.chance.random()
