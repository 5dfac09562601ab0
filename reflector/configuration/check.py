"""What only several keys of a configuration together can get wrong.

And what is allowed, but surely not meant: that is a warning.
"""

from typing import Any

from bgp.family import FAMILIES, IPV4_UNICAST
from bgp.iana import AddPathMode
from bgp.session.config import AsExpected, LimitAction
from reflector.configuration import schema
from reflector.configuration.document import Problem
from reflector.configuration.tables import Table

# PeerOptions' defaults, for what is compared with them.
HOLD_TIME, IDLE_HOLD_TIME, IDLE_HOLD_MAXIMUM = 90, 1.0, 120.0
_KNOWN = {row.name for rows in (schema.NEIGHBOR, schema.LISTEN_RANGE) for row in rows}
# Keys with a value for each family.
BY_FAMILY = (
    "add_path",
    "add_path_select",
    "default_originate",
    "maximum_advertised",
    "maximum_prefixes",
    "next_hops",
)
# Keys that name a policy.
DIRECTIONS = ("import", "export")


def refuse_repeated(tables: list[Table], *names: str) -> None:
    """Refuse each table that agrees in `names` with an earlier one."""
    seen: dict[tuple[Any, ...], Table] = {}
    for table in tables:
        identity = tuple(table.values.get(name) for name in names)
        if identity[0] is None:
            continue
        first = seen.setdefault(identity, table)
        if first is not table:
            what = f"{identity[0]} is already in line {first.where(names[0]).line}"
            table.where(names[0]).refuse(what, "keep one of the two")


def relation(peer: Table, router: Table) -> AsExpected:
    """Return what `peer` surely is to us, ANY if it may be several things."""
    expected, own = peer.values.get("asn"), router.values.get("asn")
    confederation = router.values.get("confederation")
    if expected is None:
        return AsExpected.INTERNAL if peer.values.get("client") else AsExpected.ANY
    if isinstance(expected, AsExpected):
        return expected
    if own is None:
        return AsExpected.ANY
    if expected == (own if confederation else peer.values.get("local_as", own)):
        return AsExpected.INTERNAL
    if confederation is not None and expected in confederation.members:
        return AsExpected.CONFEDERATION
    return AsExpected.EXTERNAL


def check_fib(fib: Table, router: Table) -> None:
    """Refuse what contradicts itself in the `[fib]` table, and warn of what cannot work as root's user."""
    if "netns" in fib.values and "user" in router.values:
        what = "takes root, whom user in [router] leaves"
        fib.where("netns").warn(what, "start with `ip netns exec NAME reflector run`, or leave out user")
    for name in ("tunnel", "tunnel_address", "tunnel_mtu"):
        if name in fib.values and not fib.values.get("ipip"):
            fib.where(name).refuse("is about a tunnel that nothing goes by", "add ipip, with pools")
    versions = [each.version for each in fib.values.get("sources", ())]
    if len(set(versions)) < len(versions):
        fib.where("sources").refuse("has two of a family", "keep one of each")


def check_peer(peer: Table, router: Table) -> None:
    """Refuse what contradicts itself among the keys of a neighbor or listen range, its group's included."""
    _check_as(peer, router)
    _check_kind(peer, router)
    _check_times(peer)
    _check_limits(peer)
    _check_families(peer)
    given, where = peer.values, peer.where
    if "multihop" in given and "ttl" in peer.places:
        where("multihop").refuse("contradicts ttl", "keep one of the two")
    if peer.place.path[0] == "neighbor" and not {"address", "interface"} & peer.places.keys():
        peer.place.refuse("has no address", "add address: the peer's IP address, or interface: its link")
    if given.get("password") is not None and given.get("tcp_ao") is not None:
        where("tcp_ao").refuse("excludes password, which signs by TCP-MD5", "keep one of the two")
    if given.get("installed_only") and given.get("advertisement_interval"):
        where("installed_only").refuse("excludes advertisement_interval", "keep one of the two")
    for name in ("address", "source_address", "password", "tcp_ao"):
        if "interface" in given and name in given:
            what = "excludes interface, where any link-local address is the peer's"
            where(name).refuse(what, f"remove {name} or interface")
    source, address = given.get("source_address"), given.get("address")
    if source is not None and address is not None and source.version != address.version:
        what = f"is an IPv{source.version} address, but the peer's is an IPv{address.version} one"
        where("source_address").refuse(what, f"write an IPv{address.version} address")


def _check_as(peer: Table, router: Table) -> None:
    """What our OPEN shows to a peer depends on whether it is in our confederation (RFC 5065 4)."""
    confederate = "confederation" in router.places
    match peer.values.get("asn"):
        case AsExpected.CONFEDERATION if not confederate:
            what, remedy = "we are in no confederation", "add confederation to [router]"
            peer.where("asn").refuse(what, remedy)
        case AsExpected.ANY if confederate:
            what = '"any" does not say whether the peer is in our confederation'
            peer.where("asn").refuse(what, 'write a number, "internal", "external" or "confederation"')


def _check_kind(peer: Table, router: Table) -> None:
    given, where, related = peer.values, peer.where, relation(peer, router)
    inside = related in (AsExpected.INTERNAL, AsExpected.CONFEDERATION)
    # A key that is not known may be one of the two misspelt, and has been reported.
    misspelt = peer.places.keys() - _KNOWN
    if "asn" not in peer.places and not given.get("client", "client" in peer.places) and not misspelt:
        remedy = 'add asn: a number, "internal", "external" or "any"'
        if "client" not in peer.places:
            remedy = f"add client = true, or {remedy.removeprefix('add ')}"
        peer.place.refuse("nothing says which AS the peer has", remedy)
    if given.get("client") and related in (AsExpected.EXTERNAL, AsExpected.CONFEDERATION):
        what = "only internal peers can be clients of a reflector (RFC 4456 2)"
        where("client").refuse(what, 'remove client, or write asn = "internal"')
    if "cluster_id" in given and not given.get("client", "client" in peer.places):
        what = "is for clients of our reflector, and this peer is none (RFC 4456 2)"
        where("cluster_id").refuse(what, "add client = true, or remove cluster_id")
    if given.get("route_server_client") and inside:
        what = "only external peers can be clients of a route server (RFC 7947 1)"
        where("route_server_client").refuse(what, "remove route_server_client")
    if given.get("third_party_next_hop") and (inside or "multihop" in given):
        what = "is for external peers on a subnet that we share"
        where("third_party_next_hop").refuse(what, "remove third_party_next_hop")
    if "role" in given and inside:
        where("role").refuse("roles are for external peers (RFC 9234 4)", "remove role")
    if given.get("strict_role") and "role" not in peer.places:
        where("strict_role").refuse("needs a role of our own", "add role")
    for name in ("local_as_no_prepend", "local_as_replace_as"):
        if given.get(name) and "local_as" not in peer.places:
            where(name).refuse("says what becomes of local_as, of which there is none", "add local_as")
    if "local_as" in given and "confederation" in router.values and inside:
        if given["local_as"] != router.values.get("asn"):
            where("local_as").refuse("is for peers outside our confederation", "remove local_as")
    if "multihop" in given and inside:
        what = "is for external peers; internal ones may be any distance away"
        where("multihop").refuse(what, "remove multihop")


def _check_times(peer: Table) -> None:
    given, where = peer.values, peer.where
    hold_time = given.get("hold_time", HOLD_TIME)
    if hold_time < given.get("minimum_hold_time", 0):
        what = f"is longer than our own hold_time of {hold_time} seconds"
        where("minimum_hold_time").refuse(what, "write a lower one, or raise hold_time")
    if 0 < given.get("send_hold_time", 0) <= hold_time:
        what = f"must be longer than the hold_time of {hold_time} seconds (RFC 9687 4.4)"
        where("send_hold_time").refuse(what, "raise it, or leave it out")
    rest, longest = (
        given.get("idle_hold_time", IDLE_HOLD_TIME),
        given.get("idle_hold_maximum", IDLE_HOLD_MAXIMUM),
    )
    if longest < rest:
        key = "idle_hold_maximum" if "idle_hold_maximum" in given else "idle_hold_time"
        what = f"an idle_hold_time of {rest:g} seconds exceeds the idle_hold_maximum of {longest:g}"
        where(key).refuse(what, "lower the one or raise the other")


def _check_limits(peer: Table) -> None:
    given, where = peer.values, peer.where
    for name in ("action", "warning", "restart"):
        if f"maximum_prefixes_{name}" in given and "maximum_prefixes" not in peer.places:
            what = "says what becomes of maximum_prefixes, of which there is none"
            where(f"maximum_prefixes_{name}").refuse(what, "add maximum_prefixes")
    action = given.get("maximum_prefixes_action", LimitAction.RESTART)
    if "maximum_prefixes_restart" in given and action is not LimitAction.RESTART:
        what = f'nothing is restarted with maximum_prefixes_action = "{action.value}"'
        where("maximum_prefixes_restart").refuse(what, "keep one of the two")


def _check_families(peer: Table) -> None:
    families = peer.values.get("families", FAMILIES)
    for name in BY_FAMILY:
        place = peer.where(name)
        for family in peer.values.get(name, {}):
            # A value alone is meant for the families there are; a table names them.
            named = (place / family.name).path in place.document.lines
            if named and family not in families:
                (place / family.name).refuse(f"{family} is not offered", f'add "{family}" to families')
    modes = peer.values.get("add_path", None if "add_path" in peer.places else {})
    select = peer.values.get("add_path_select")
    if select and modes is not None and not any(modes.get(each, 0) & AddPathMode.SEND for each in select):
        what = "selects what add_path sends, which is nothing"
        peer.where("add_path_select").refuse(what, 'write add_path = "send" or add_path = "both"')
    if peer.values.get("extended_next_hop") and IPV4_UNICAST not in families:
        what = "is about IPv4 prefixes, which are not offered"
        peer.where("extended_next_hop").refuse(what, 'add "ipv4-unicast" to families')


def check_network(network: Table) -> None:
    """Refuse a route of our own whose next hop cannot be one of its family (RFC 2545 3)."""
    prefix, next_hop = network.values.get("prefix"), network.values.get("next_hop")
    if prefix is not None and next_hop is not None and prefix.version == 6 and next_hop.version == 4:
        network.where("next_hop").refuse(
            f"{next_hop} cannot be the next hop of {prefix} (RFC 2545 3)", "write an IPv6 address"
        )


def check_listening(neighbors: list[Table], ranges: list[Table]) -> None:
    """Refuse peers that can never connect since we do not listen."""
    what, remedy = "nobody can connect, since listen in [router] is empty", "name an address there"
    for table in ranges:
        table.place.refuse(what, remedy)
    for table in neighbors:
        if table.values.get("passive"):
            table.where("passive").refuse(what, remedy)


def warnings(router: Table, neighbors: list[Table], ranges: list[Table]) -> tuple[Problem, ...]:
    """Return what is allowed but lets nothing pass, each at the line to change."""
    found: dict[Problem, None] = {}  # a set in the order of finding
    peers = [*neighbors, *ranges]
    related = [relation(peer, router) for peer in peers]
    if not peers:
        what, remedy = "nobody will connect", "add a [[neighbor]] or a [[listen_range]]"
        found[router.place.problem(what, remedy)] = None
    for peer, kind in zip(peers, related, strict=True):
        missing = [name for name in DIRECTIONS if name not in peer.values and "policy" not in peer.values]
        if kind in (AsExpected.EXTERNAL, AsExpected.ANY) and missing:
            sure = kind is AsExpected.EXTERNAL
            which = "external peers" if sure else "those of these peers that are external"
            if len(missing) == len(DIRECTIONS):
                way, remedy = "to or from", 'policy = "accept-all"'
            else:
                way = "from" if missing == ["import"] else "to"
                remedy = f'{missing[0]} = "accept-all", or the name of a policy,'
            lacking = "policy" if len(missing) == len(DIRECTIONS) else f"{missing[0]} policy"
            what = f"no route will pass {way} {which}: they have no {lacking} (RFC 8212)"
            found[peer.where("asn").problem(what, f"add {remedy} if that is not meant")] = None
    all_internal = all(kind is AsExpected.INTERNAL for kind in related)
    if len(peers) > 1 and all_internal and not any(peer.values.get("client") for peer in peers):
        what = "no route will pass: all peers are internal, and none is a client (RFC 4456 6)"
        found[peers[0].where("client").problem(what, "add client = true to their group")] = None
    return tuple(found)
