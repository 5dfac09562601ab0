"""What the kernel tells of interfaces and addresses: index and name, up and carrier, subnets."""

from ipaddress import ip_interface

from fib.backend import Link, LinkAddress
from fib.kernel.netlink import (
    ADDRESS,
    IFA_ADDRESS,
    IFA_LOCAL,
    IFF_LOWER_UP,
    IFF_UP,
    IFLA_IFNAME,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    IFLA_MTU,
    LINK,
    U32,
    attributes,
)


class Interfaces:
    """The interfaces of a namespace, by index and by name."""

    def __init__(self) -> None:
        self.links: dict[int, Link] = {}
        self.indexes: dict[str, int] = {}

    def name(self, index: int) -> str:
        """Return the name of `index`; one that nobody has told of is called by its number."""
        link = self.links.get(index)
        return link.name if link is not None else f"if{index}"

    def put(self, link: Link) -> bool:
        """Note `link`; return whether names and indexes go together differently from before."""
        old = self.links.get(link.index)
        self.links[link.index] = link
        if old is not None and old.name == link.name:
            return False
        if old is not None and self.indexes.get(old.name) == link.index:
            del self.indexes[old.name]
        self.indexes[link.name] = link.index
        return True

    def remove(self, link: Link) -> None:
        self.links.pop(link.index, None)
        if self.indexes.get(link.name) == link.index:
            del self.indexes[link.name]

    def replace(self, links: list[Link]) -> None:
        """Begin anew with `links`."""
        # Others hold these very dictionaries.
        self.links.clear()
        self.indexes.clear()
        self.links.update((link.index, link) for link in links)
        self.indexes.update((link.name, link.index) for link in links)

    def address(self, data: bytes, start: int, end: int) -> LinkAddress | None:
        """Return what an RTM_NEWADDR or RTM_DELADDR says."""
        _, length, _, _, index = ADDRESS.unpack_from(data, start + 16)
        found = dict(attributes(data, start + 24, end))
        # On a point-to-point link IFA_ADDRESS is the other end, and IFA_LOCAL our own.
        octets = found.get(IFA_LOCAL, found.get(IFA_ADDRESS))
        if octets is None:
            return None
        return LinkAddress(self.name(index), ip_interface((octets, length)))


def link(data: bytes, start: int, end: int) -> Link:
    """Return what an RTM_NEWLINK or RTM_DELLINK says."""
    _, _, index, flags, _ = LINK.unpack_from(data, start + 16)
    name, mtu, kind = f"if{index}", 0, ""
    for number, value in attributes(data, start + 32, end):
        if number == IFLA_IFNAME:
            name = value.rstrip(b"\0").decode(errors="replace")
        elif number == IFLA_MTU:
            mtu = U32.unpack(value)[0]
        elif number == IFLA_LINKINFO:
            for inner, said in attributes(value, 0, len(value)):
                if inner == IFLA_INFO_KIND:
                    kind = said.rstrip(b"\0").decode(errors="replace")
    return Link(name, index, bool(flags & IFF_UP), bool(flags & IFF_LOWER_UP), mtu, kind)
