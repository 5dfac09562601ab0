"""Every table and key that a configuration may hold: one row each, with its reader and what it means.

The defaults stand where the values are used: in `bgp.aio.options.PeerOptions` for what concerns a peer,
in `reflector.configuration.config` for the rest.
"""

from dataclasses import dataclass

from bgp.rib.ladder import MAXIMUM_PATHS
from reflector import forwarding
from reflector.configuration import addresses, exposure, signing, terms, values
from reflector.configuration.restarting import graceful_restart
from reflector.configuration.values import Reader, duration, list_of, number, one_of
from reflector.logs.logform import FORMATS


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a table: its name, the reader of its value, and a sentence about it."""

    name: str
    read: Reader
    text: str
    required: bool = False


SECONDS = number(0, 65535, "seconds")
WAIT = duration(0.1, 65535)
LOG_LEVELS = ("debug", "info", "warning", "error")
ACCEPT_ALL = "accept-all"

ROUTER = (
    Key("asn", terms.as_number, "our AS number", required=True),
    Key(
        "router_id",
        addresses.own_identifier,
        "our BGP Identifier, an IPv4 address of this router",
        required=True,
    ),
    Key("cluster_id", addresses.identifier, "our CLUSTER_ID (RFC 4456); by default the router_id"),
    Key("confederation", terms.confederation, "the confederation in which our asn is a member (RFC 5065)"),
    Key("listen", list_of(addresses.endpoint), "where to listen, a list of address:port"),
    Key("user", values.nul_free, "who runs the service if root starts it, by name or number"),
    Key("client_to_client", values.flag, "reflect the routes of clients to clients (RFC 4456 5)"),
    Key("max_paths", number(1, 1 << 40), "the most routes that all peers together may send"),
    Key("max_attribute_octets", number(1, 1 << 40), "the most octets of attributes of these routes"),
    Key(
        "lag_age",
        duration(0, 86400),
        "seconds that a peer may be behind with what it is told until its session ends; 0: for ever",
    ),
)

CONTROL = (
    Key("enabled", values.flag, "whether `reflector show` and the like may ask us; by default true"),
    Key("socket", values.path, "the Unix socket where they do"),
    Key("mode", values.mode, 'its permissions; by default "0660", for our user and group'),
    Key("birdc", values.path, "another Unix socket, which answers as BIRD's does; by default none"),
)

# The fields of `reflector.logs.log.Log`.
LOG = (
    Key("level", one_of(LOG_LEVELS), "the least severe lines that are logged"),
    Key("format", one_of(FORMATS), 'what a line is: "text" (the default), or "json" (an object)'),
)

# The fields of `reflector.forwarding.Forwarding`.
FIB = (
    Key("enabled", values.flag, "whether the kernel's routes follow; with this table they do by default"),
    Key("table", number(1, 0xFFFFFFFF), "the kernel's routing table, by default 254 (main)"),
    Key("protocol", forwarding.protocol, "the number that marks our routes, by default 179"),
    Key("metric", forwarding.metric, 'their metric, by default 179; or "from-local-pref"'),
    Key("netns", values.text, "the network namespace, by name or path; by default our own"),
    Key("max_paths", number(1, MAXIMUM_PATHS), "the most legs of a route, by default 16"),
    Key("weights", values.flag, "share traffic in proportion to link bandwidths (RFC 10005)"),
    Key("sources", list_of(addresses.address), "preferred source addresses, one of each family"),
    Key("mtu", number(68, 65535, "octets"), "the MTU of all routes"),
    Key("advmss", number(1, 65535, "octets"), "the MSS that TCP advertises on all routes"),
    Key("blackholes", values.flag, "discard what is sent to unused addresses of our own blocks"),
    Key("allow", addresses.prefix_list, "the prefixes that are installed; by default all"),
    Key("never", addresses.prefix_list, "the prefixes that are not touched, whatever is wanted"),
    Key("by_default", values.flag, "whether the default route may lead to a next hop"),
    Key("guard", number(1, 100, "percent"), "the share of the routes that may go within ten seconds"),
    Key("flush", values.flag, "delete our routes when we stop; by default they stay"),
    Key("audit", duration(1, 86400), "seconds between two readings of the whole table"),
    Key("ipip", forwarding.pools, "pools that are reached by IP-in-IP: always, cross-subnet or never"),
    Key("tunnel", values.text, 'the device for that, by default "tunl0"'),
    Key("tunnel_address", forwarding.tunnel_address, "the address that it has"),
    Key("tunnel_mtu", number(68, 65535, "octets"), "its MTU, and that of routes by it"),
    Key("redistribute", forwarding.redistribute, "routes of the kernel that are announced, by rules"),
)

HTTP = (
    Key("listen", list_of(addresses.endpoint), "where to answer over HTTP, a list of address:port"),
    Key("ready_after", duration(0, 86400), "seconds after which we count as ready though not converged"),
    Key("looking_glass", values.flag, "a page that shows sessions, routes and why they are as they are"),
    Key("birdwatcher", values.flag, "whether /birdwatcher/... answers as birdwatcher does, for Alice-LG"),
    Key("open", list_of(one_of(exposure.OPEN)), 'what is for everybody, from anywhere: "metrics", "probes"'),
    Key("certificate", values.path, "the file with our certificate for TLS, in PEM, and what leads to it"),
    Key("key", values.path, "the file with its private key, in PEM"),
    Key("token", exposure.read_token, "a secret; who has it may read and change all"),
    Key("read_token", exposure.read_token, "another one, for reading only"),
)

# The fields of `bgp.rib.decision.DecisionOptions`.
DECISION = (
    Key("always_compare_med", values.flag, "compare MEDs of different neighboring ASes, too"),
    Key("med_missing_as_worst", values.flag, "a route without MED counts as one with the highest"),
    Key("ignore_as_path_length", values.flag, "do not prefer shorter AS_PATHs"),
    Key("prefer_oldest", values.flag, "of equal external routes keep the oldest (RFC 5004)"),
    Key("aigp", values.flag, "heed the accumulated IGP metric (RFC 7311 4)"),
    Key("maximum_paths_external", number(1, MAXIMUM_PATHS), "so many external paths may share the traffic"),
    Key("maximum_paths_internal", number(1, MAXIMUM_PATHS), "so many internal paths may share the traffic"),
    Key("multipath_relax", values.flag, "let them share, though they came through different ASes"),
)

# What may be said of a group, and said otherwise of a neighbor or listen range in it.
SESSION = (
    Key(
        "asn",
        terms.expected_as,
        'the AS of the peers: a number, "internal", "external", "confederation" or "any"',
    ),
    Key("client", values.flag, "they are clients of our reflector (RFC 4456)"),
    Key(
        "cluster_id",
        addresses.identifier,
        "the CLUSTER_ID of these clients' cluster, if it is not that of [router] (RFC 4456 7)",
    ),
    Key("route_server_client", values.flag, "they are clients of our route server (RFC 7947)"),
    Key(
        "policy",
        one_of([ACCEPT_ALL]),
        "what passes; an external peer without a policy passes nothing (RFC 8212)",
    ),
    Key("import", values.text, "the [policy.NAME] for what comes from the peers"),
    Key("export", values.text, "the [policy.NAME] for what goes to the peers"),
    Key("guard", values.text, "the [guard.NAME] that says what the peers may announce"),
    Key("allotment", addresses.prefix_list, "prefixes that the peer may announce, in place of its guard's"),
    Key("next_hop_self", values.flag, "announce our own address as the next hop"),
    Key(
        "third_party_next_hop",
        values.flag,
        "tell external peers next hops on the subnet that we share with them (RFC 4271 5.1.3)",
    ),
    Key("next_hops", addresses.next_hops, "what our own address is by family, if not that of the session"),
    Key("allow_own_as", number(0, 255), "how often our own AS may be in a received AS_PATH"),
    Key(
        "maximum_prefixes",
        terms.by_family,
        "the most prefixes of a family; beyond, the session ends (RFC 4486)",
    ),
    Key(
        "maximum_prefixes_action",
        terms.limit_action,
        'what is done beyond: "restart" (the default), "shut" (stays down) or "warn"',
    ),
    Key("maximum_prefixes_warning", number(1, 100), "percent of the maximum at which it is logged"),
    Key("maximum_prefixes_restart", WAIT, "seconds of rest after passing the maximum"),
    Key(
        "maximum_advertised",
        terms.by_family,
        "the most prefixes of a family that they are told; beyond, the session is shut down",
    ),
    Key("default_originate", terms.families, "tell a default route of ours: true, or a list of families"),
    Key("default_originate_if", values.text, "the [condition.NAME] on which that is told"),
    Key(
        "advertisement_interval",
        duration(0, 600),
        "seconds between two announcements of a destination (RFC 4271 9.2.1.1); by default 0",
    ),
    Key("installed_only", values.flag, "tell only what the kernel has by our [fib]"),
    Key("conditional", values.tables, "what is told on a condition only: a list of {routes, if}"),
    Key("families", list_of(terms.family, least=1), "the address families offered (RFC 4760)"),
    Key("hold_time", terms.hold_time, "seconds without a message until the session ends; 0: for ever"),
    Key("minimum_hold_time", terms.hold_time, "refuse peers that offer a shorter hold time"),
    Key(
        "send_hold_time",
        SECONDS,
        "seconds that nothing can be sent until the session ends (RFC 9687); 0: for ever",
    ),
    Key("open_hold_time", WAIT, "seconds to wait for the peer's OPEN (RFC 4271 8.2.2)"),
    Key("connect_retry_time", WAIT, "seconds between attempts to connect"),
    Key("automatic_restart", values.flag, "try again by ourselves after an error"),
    Key("idle_hold_time", WAIT, "seconds of rest after an error"),
    Key("damp_peer_oscillations", values.flag, "double the rest when a session fails again"),
    Key("idle_hold_maximum", WAIT, "the longest such rest in seconds"),
    Key(
        "stable_time", duration(0, 65535), "seconds after which a session's failure counts as the first again"
    ),
    Key("delay_open", duration(0, 65535), "seconds to wait for the peer's OPEN before sending ours"),
    Key("collision_detect_established", values.flag, "let a new connection compete with an Established one"),
    Key("notification_without_open", values.flag, "report errors also before an OPEN was sent"),
    Key("replace_established", values.flag, "a peer that dials again replaces its Established session"),
    Key("password", terms.password, "the TCP-MD5 password (RFC 2385); some in a range may be without"),
    Key("tcp_ao", signing.tcp_ao, "the TCP-AO key (RFC 5925): {key, send_id, receive_id}"),
    Key("ttl", number(1, 255), "the TTL of packets sent"),
    Key("multihop", number(1, 255), "external peers may be this many hops away"),
    Key("minimum_ttl", number(1, 255), "drop packets that arrive with a lower TTL (RFC 5082)"),
    Key("local_as", terms.as_number, "another AS number that we show to these peers (RFC 7705 3)"),
    Key("local_as_no_prepend", values.flag, "do not prepend it to what comes from them"),
    Key("local_as_replace_as", values.flag, "tell them that AS in place of our own, not before it"),
    Key("four_octet_as", values.flag, "offer four-octet AS numbers (RFC 6793)"),
    Key("route_refresh", values.flag, "offer route refresh (RFC 2918)"),
    Key("enhanced_route_refresh", values.flag, "offer enhanced route refresh (RFC 7313)"),
    Key("extended_messages", values.flag, "offer messages of up to 65535 octets (RFC 8654)"),
    Key("extended_next_hop", terms.extended_next_hop, "offer IPv6 next hops for IPv4 prefixes (RFC 8950)"),
    Key(
        "add_path",
        terms.add_path,
        'several paths for a prefix (RFC 7911): "receive", "send", "both" or "off"',
    ),
    Key(
        "add_path_select",
        terms.add_path_select,
        'the paths that add_path sends: "all", "equal" (all as good as the best), or how many of the best',
    ),
    Key(
        "graceful_restart",
        graceful_restart,
        "keep routes while one of both sides restarts (RFC 4724, 8538, 9494): true, false or a table",
    ),
    Key("role", terms.role, "our role towards external peers (RFC 9234)"),
    Key("strict_role", values.flag, "refuse peers that tell no role"),
    Key("fqdn", terms.fqdn, "a host name to tell the peers"),
    Key("required", list_of(terms.capability), "refuse peers without these capabilities (RFC 5492 3)"),
    Key("as_sets", values.flag, "accept AS_SETs, which RFC 9774 deprecates"),
    Key("first_as", values.flag, "an external peer's AS_PATH must begin with its AS"),
    Key("aigp", values.flag, "use the accumulated IGP metric (RFC 7311)"),
)

# What is about a connection that we open; of no use to a listen range.
DIALING = (
    Key("port", number(1, 65535), "the TCP port of the peer"),
    Key("source_address", addresses.address, "our own address of the connection"),
    Key("passive", values.flag, "wait for the peer to connect"),
)

GROUP = (*SESSION, *DIALING)
NEIGHBOR = (
    Key("address", addresses.address, "the peer's IP address"),
    Key("interface", values.text, "in place of an address: whoever is the only router on that link"),
    Key("group", values.text, "the [group.NAME] with the options of this neighbor"),
    Key("name", values.text, "a name for the logs"),
    *SESSION,
    *DIALING,
)
LISTEN_RANGE = (
    Key("prefix", addresses.prefix, "whoever connects from within this prefix is a peer", required=True),
    Key("group", values.text, "the [group.NAME] with the options of these peers"),
    Key("limit", number(1, 1_000_000), "the most peers that may come from this prefix"),
    *SESSION,
)
NETWORK = (
    Key("prefix", addresses.prefix, "a prefix that we originate", required=True),
    Key("next_hop", addresses.address, "its next hop; by default our own address of each session"),
    Key("origin", terms.origin, "the ORIGIN of the route"),
    Key("med", number(0, 0xFFFFFFFF), "its MULTI_EXIT_DISC"),
    Key("local_pref", number(0, 0xFFFFFFFF), "its LOCAL_PREF"),
    Key("communities", list_of(terms.community), "its communities (RFC 1997)"),
    Key("large_communities", list_of(terms.large_community), "its large communities (RFC 8092)"),
    Key("extended_communities", list_of(terms.extended_community), "its extended communities (RFC 4360)"),
    Key("if", values.text, "the [condition.NAME] on which it is there"),
)

AGGREGATE = (
    Key("prefix", addresses.prefix, "what we originate while there is anything more specific", required=True),
    Key("summary_only", values.flag, "tell peers of it in place of what is more specific"),
    Key("origin_as", terms.as_number, "keep what the AS_PATHs have in common, up to this AS (RFC 9774 5.2)"),
    Key("matching_med", values.flag, "only while all MEDs are equal (RFC 4271 9.2.2.2)"),
    Key("communities", values.flag, "take over all communities"),
    Key("policy", values.text, "the [policy.NAME] that may change its attributes"),
)

# The fields of `bgp.rib.guard.Guard`.
GUARD = (
    Key("prefixes", addresses.prefix_list, "whoever announces one of these first has it"),
    Key("blocks", values.tables, "so many blocks for each peer: a list of {within, length, count, borrowed}"),
    Key("shared", addresses.prefix_list, "what any number of the peers may announce at once"),
    Key(
        "next_hop", addresses.own_next_hop, 'what the next hop must be: "itself", or a list of that and more'
    ),
    Key("hold", duration(0, 86400), "seconds that a peer's prefixes are kept for it behind its session"),
)

PREFIX_LIST = (
    Key("entries", addresses.prefix_list, 'prefixes, each with "ge" and "le" if need be', required=True),
)
CONDITION = (
    Key("exists", addresses.prefix_list, "it holds while there is a route of one of these prefixes"),
    Key("missing", addresses.prefix_list, "it holds while there is none of these"),
)
POLICY = (
    Key("default", one_of(("accept", "refuse")), "what becomes of a route that no term decides about"),
    Key("term", values.tables, "the terms of the policy, in their order"),
)

TABLES: dict[str, tuple[Key, ...]] = {
    "router": ROUTER,
    "log": LOG,
    "control": CONTROL,
    "http": HTTP,
    "decision": DECISION,
    "fib": FIB,
    "group": GROUP,
    "neighbor": NEIGHBOR,
    "listen_range": LISTEN_RANGE,
    "network": NETWORK,
    "aggregate": AGGREGATE,
    "guard": GUARD,
    "communities": (),  # names of one's own (`reflector.configuration.naming`)
    "prefix_list": PREFIX_LIST,
    "policy": POLICY,
    "condition": CONDITION,
}
# How each table is headed.
HEADINGS = {
    "router": "[router]",
    "log": "[log]",
    "control": "[control]",
    "http": "[http]",
    "decision": "[decision]",
    "fib": "[fib]",
    "group": "[group.NAME]",
    "neighbor": "[[neighbor]]",
    "listen_range": "[[listen_range]]",
    "network": "[[network]]",
    "aggregate": "[[aggregate]]",
    "guard": "[guard.NAME]",
    "communities": "[communities]",
    "prefix_list": "[prefix_list.NAME]",
    "policy": "[policy.NAME]",
    "condition": "[condition.NAME]",
}

# What other programs and the RFCs call our keys.
SYNONYMS = {
    "as": "asn",
    "as_number": "asn",
    "autonomous_system": "asn",
    "peer_as": "asn",
    "remote_as": "asn",
    "id": "router_id",
    "identifier": "router_id",
    "bgp_identifier": "router_id",
    "local_address": "source_address",
    "update_source": "source_address",
    "ip": "address",
    "unnumbered": "interface",
    "dev": "interface",
    "remote_address": "address",
    "route_reflector_client": "client",
    "rr_client": "client",
    "rs_client": "route_server_client",
    "enforce_first_as": "first_as",
    "local_role": "role",
    "no_prepend": "local_as_no_prepend",
    "replace_as": "local_as_replace_as",
    "confederation_identifier": "confederation",
    "confederation_peers": "confederation",
    "afi_safi": "families",
    "address_families": "families",
    "maximum_paths": "max_paths",
    "maximum_attribute_octets": "max_attribute_octets",
    "keepalive": "hold_time",
    "keepalive_time": "hold_time",
    "timers": "hold_time",
    "retry_time": "connect_retry_time",
    "md5": "password",
    "md5_password": "password",
    "auth_password": "password",
    "ebgp_multihop": "multihop",
    "ao": "tcp_ao",
    "authentication": "tcp_ao",
    "ttl_security": "minimum_ttl",
    "max_prefixes": "maximum_prefixes",
    "maximum_prefix": "maximum_prefixes",
    "prefix_limit": "maximum_prefixes",
    "import_limit": "maximum_prefixes",
    "damping": "damp_peer_oscillations",
    "damp": "damp_peer_oscillations",
    "peer_group": "group",
    "description": "name",
    "maximum_peers": "limit",
    "max_peers": "limit",
    "log_level": "level",
    "logging": "log",
    "log_format": "format",
    "import_policy": "import",
    "export_policy": "export",
    "in": "import",
    "out": "export",
    "prefix_set": "prefix_list",
    "community": "communities",
    "community_list": "communities",
    "route_map": "policy",
    "policies": "policy",
    "terms": "term",
    "rule": "term",
    "statement": "term",
    "action": "then",
    "nexthop": "next_hop",
    "peer": "neighbor",
    "neighbour": "neighbor",
    "neighbors": "neighbor",
    "dynamic_neighbor": "listen_range",
    "bgp": "router",
    "global": "router",
    "groups": "group",
    "peer_groups": "group",
    "networks": "network",
    "kernel": "fib",
    "bestpath": "decision",
    "best_path": "decision",
    "multipath": "decision",
    "compare_med_always": "always_compare_med",
    "missing_as_worst": "med_missing_as_worst",
    "med_missing_worst": "med_missing_as_worst",
    "as_path_ignore": "ignore_as_path_length",
    "ignore_as_path": "ignore_as_path_length",
    "prefer_older": "prefer_oldest",
    "maximum_paths_ebgp": "maximum_paths_external",
    "maximum_paths_ibgp": "maximum_paths_internal",
    "as_path_multipath_relax": "multipath_relax",
    "aggregates": "aggregate",
    "default_route": "default_originate",
    "guards": "guard",
    "ownership": "guard",
    "allotments": "allotment",
    "pools": "blocks",
    "anycast": "shared",
    "mrai": "advertisement_interval",
    "out_delay": "advertisement_interval",
    "conditions": "condition",
    "advertise_map": "conditional",
    "exist_map": "exists",
    "non_exist_map": "missing",
    "not_exists": "missing",
    "aggregate_address": "aggregate",
    "summary": "summary_only",
}
