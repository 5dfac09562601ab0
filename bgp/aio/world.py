"""What a speaker has of the world around it: sockets, the addresses of its machine, and chance.

All else that it needs the running event loop gives, time included.  So a speaker in another world and on
another loop is the very same speaker: `bgp.testing.simulate` has both.
"""

import random
import socket
from collections.abc import Sequence
from typing import Protocol

from bgp.aio.address import Endpoint
from bgp.aio.interfaces import InterfaceAddress, interface_addresses
from bgp.aio.sockopt import bound_socket, dialing_socket


class World(Protocol):
    """Where sockets come from, and what else is not of our making."""

    def listening(self, endpoint: Endpoint) -> socket.socket:
        """Return a socket that may `listen` on `endpoint`, for its own family only; raise OSError."""

    def dialing(self, family: socket.AddressFamily, source: Endpoint | None) -> socket.socket:
        """Return an unconnected socket, bound to the address of `source` if given; raise OSError."""

    def addresses(self) -> Sequence[InterfaceAddress]:
        """Return the addresses of all interfaces; none where they are not told."""

    def interface(self, index: int) -> str:
        """Return the name of an interface, empty where there is none of that index."""

    def random(self) -> float:
        """Return a number from 0.0 up to 1.0, by which timers differ (RFC 4271 section 10)."""


class Kernel:
    """This machine."""

    def listening(self, endpoint: Endpoint) -> socket.socket:
        """Return a socket of the kernel's."""
        return bound_socket(endpoint)

    def dialing(self, family: socket.AddressFamily, source: Endpoint | None) -> socket.socket:
        """Return a socket of the kernel's."""
        return dialing_socket(family, source)

    def addresses(self) -> Sequence[InterfaceAddress]:
        """Ask the kernel."""
        return interface_addresses()

    def interface(self, index: int) -> str:
        """Ask the kernel."""
        try:
            return socket.if_indextoname(index)
        except OSError:
            return ""

    def random(self) -> float:
        """Draw it."""
        return random.random()


KERNEL = Kernel()
