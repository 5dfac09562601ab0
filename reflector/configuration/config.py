"""The configuration as the service uses it, validated whole before anything is applied.

`load` reads every table by the rows of `reflector.configuration.schema`, lays each neighbor's and listen
range's own keys over its group's, and then looks at what only several keys together can get wrong.  Whatever
is wrong is found in one pass and raised together.  What is allowed but surely not meant is a warning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any

from bgp.aio.options import PeerOptions
from bgp.family import FAMILIES
from bgp.iana import Origin
from bgp.policy import Policy
from bgp.policy.condition import Condition
from bgp.rib.aggregate import Aggregate
from bgp.rib.bounds import MAX_ATTRIBUTE_OCTETS, MAX_PATHS
from bgp.rib.decision import DecisionOptions
from bgp.rib.guard import Guard
from bgp.router import LAG_AGE
from bgp.session.config import AsExpected, Confederation
from reflector.changes.overlay import Overlay, merged
from reflector.configuration import schema
from reflector.configuration.addresses import Address, Network
from reflector.configuration.check import (
    BY_FAMILY,
    DIRECTIONS,
    check_fib,
    check_listening,
    check_network,
    check_peer,
    refuse_repeated,
    warnings,
)
from reflector.configuration.conditions import find_condition, read_conditions, refuse_circles, resolve
from reflector.configuration.document import ConfigurationError, Document, Problem, parse, read
from reflector.configuration.exposure import Http, check_http
from reflector.configuration.guards import find_guard, read_guards
from reflector.configuration.naming import read_communities
from reflector.configuration.policies import find_policy, read_policies
from reflector.configuration.secrets import Secret
from reflector.configuration.signing import Signing
from reflector.configuration.tables import (
    Table,
    over_group,
    read_fib,
    read_groups,
    read_list,
    read_optional,
    read_router,
    refuse_unknown_tables,
)
from reflector.forwarding import Forwarding
from reflector.logs.log import Log

LISTEN = ("0.0.0.0:179", "[::]:179")
RANGE_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Router:
    """The `[router]` table: who we are and where we listen."""

    asn: int
    router_id: int
    cluster_id: int
    listen: tuple[str, ...] = LISTEN
    confederation: Confederation | None = None
    client_to_client: bool = True
    max_paths: int = MAX_PATHS
    max_attribute_octets: int = MAX_ATTRIBUTE_OCTETS
    lag_age: float = LAG_AGE
    user: str | None = None


@dataclass(frozen=True, slots=True)
class ListenRange:
    """A `[[listen_range]]`: whoever connects from `prefix` is a peer with these options."""

    prefix: Network
    options: PeerOptions
    limit: int = RANGE_LIMIT


@dataclass(frozen=True, slots=True)
class Originated:
    """A `[[network]]`: a route of our own."""

    prefix: Network
    next_hop: Address | None = None
    origin: Origin = Origin.IGP
    med: int | None = None
    local_pref: int | None = None
    communities: tuple[int, ...] = ()
    large_communities: tuple[tuple[int, int, int], ...] = ()
    extended_communities: tuple[str, ...] = ()
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Aggregated:
    """An `[[aggregate]]`: a route of our own for as long as there are more specific ones."""

    prefix: Network
    aggregate: Aggregate


@dataclass(frozen=True, slots=True)
class Control:
    """The `[control]` table: the Unix socket for commands, None for the usual one, and its permissions.

    `birdc` is another socket, which answers as BIRD's does.
    """

    enabled: bool = True
    socket: FilePath | None = None
    mode: int = 0o660
    birdc: FilePath | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that a configuration file says, groups already laid under their members."""

    router: Router
    neighbors: tuple[PeerOptions, ...] = ()
    listen_ranges: tuple[ListenRange, ...] = ()
    networks: tuple[Originated, ...] = ()
    decision: DecisionOptions = field(default_factory=DecisionOptions)
    aggregates: tuple[Aggregated, ...] = ()
    control: Control = field(default_factory=Control)
    http: Http = field(default_factory=Http)
    log: Log = field(default_factory=Log)
    fib: Forwarding | None = None
    warnings: tuple[Problem, ...] = field(default=(), compare=False)
    communities: Mapping[str, str] = field(default_factory=dict, compare=False)  # names by what they are for
    # The tables as the file has them, without what lies over it.
    data: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)

    @property
    def restarts(self) -> bool:
        """Whether some peer is asked to keep our routes while we restart."""
        peers = (*self.neighbors, *(each.options for each in self.listen_ranges))
        asked = [peer.graceful_restart for peer in peers if peer.graceful_restart is not None]
        return any(each.families or each.long_lived for each in asked)

    @property
    def summary(self) -> str:
        """How much of everything there is."""
        counts = {
            "neighbor": len(self.neighbors),
            "listen range": len(self.listen_ranges),
            "network": len(self.networks),
        }
        if self.aggregates:
            counts["aggregate"] = len(self.aggregates)
        return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())


def load(file: str) -> Configuration:
    """Read and validate the configuration in `file`; raise ConfigurationError with all that is wrong."""
    return configured(read(file))


def loads(content: str | bytes, file: str = "configuration") -> Configuration:
    """Validate a configuration held as text or octets; raise ConfigurationError with all that is wrong."""
    return configured(parse(content, file))


def configured(document: Document, overlay: Overlay = MappingProxyType({})) -> Configuration:
    """Validate a document with an overlay over it; raise ConfigurationError with all that is wrong."""
    found = _configuration(merged(document, overlay))
    return replace(found, data=document.data)


def _configuration(document: Document) -> Configuration:
    refuse_unknown_tables(document)
    read_communities(document)
    router, groups = read_router(document), read_groups(document)
    neighbors = [over_group(table, groups) for table in read_list(document, "neighbor")]
    ranges = [over_group(table, groups) for table in read_list(document, "listen_range")]
    return _checked(
        document,
        router,
        [table for table in neighbors if table is not None],
        [table for table in ranges if table is not None],
        read_list(document, "network"),
        read_list(document, "aggregate"),
        read_policies(document),
        read_conditions(document),
        read_guards(document),
        read_optional(document, "decision"),
        read_optional(document, "control"),
        read_optional(document, "http"),
        read_optional(document, "log"),
        read_fib(document),
    )


def _checked(
    document: Document,
    router: Table,
    neighbors: list[Table],
    ranges: list[Table],
    networks: list[Table],
    aggregates: list[Table],
    policies: dict[str, Policy],
    conditions: dict[str, Condition],
    guards: dict[str, Guard],
    decision: Table,
    control: Table,
    http: Table,
    log: Table,
    fib: Table | None,
) -> Configuration:
    refuse_repeated(neighbors, "address", "source_address")
    refuse_repeated(neighbors, "interface")
    refuse_repeated(ranges, "prefix")
    refuse_repeated(networks, "prefix")
    refuse_repeated(aggregates, "prefix")
    for each in aggregates:
        each.values["policy"] = find_policy(each, "policy", policies)
    for peer in (*neighbors, *ranges):
        check_peer(peer, router)
        for direction in DIRECTIONS:
            # In place of its name, from here on.
            peer.values[f"{direction}_policy"] = find_policy(peer, direction, policies)
        resolve(peer, conditions, policies)
        # In place of its name, from here on.
        peer.values["guard"] = find_guard(peer, guards)
    for network in networks:
        check_network(network)
        network.values["condition"] = find_condition(network, "if", conditions)
    refuse_circles(networks, aggregates)
    check_http(http)
    if fib is not None:
        check_fib(fib, router)
    if router.values.get("listen") == ():
        check_listening(neighbors, ranges)
    if document.problems:
        raise ConfigurationError(document.problems)
    return Configuration(
        Router(**{"cluster_id": router.values["router_id"], **router.values}),
        tuple(_options(peer.values) for peer in neighbors),
        tuple(_listen_range(peer.values) for peer in ranges),
        tuple(_originated(table.values) for table in networks),
        DecisionOptions(**decision.values),
        tuple(_aggregated(table.values) for table in aggregates),
        Control(**control.values),
        Http(**http.values),
        Log(**log.values),
        None if fib is None or fib.values.get("enabled") is False else Forwarding(**fib.values),
        (*dict.fromkeys(document.warnings), *warnings(router, neighbors, ranges)),
        {text: name for name, (_, text) in document.communities.items()},
    )


def _originated(values: dict[str, Any]) -> Originated:
    return Originated(**{name: value for name, value in values.items() if name != "if"})


def _aggregated(values: dict[str, Any]) -> Aggregated:
    how = {name: value for name, value in values.items() if name != "prefix"}
    return Aggregated(values["prefix"], Aggregate(**how))


def _options(values: dict[str, Any]) -> PeerOptions:
    """Return what the library must know of a peer."""
    given: dict[str, Any] = {"asn": AsExpected.INTERNAL, "families": FAMILIES}
    given |= {name: value for name, value in values.items() if name not in _NOT_OPTIONS}
    for name in ("address", "source_address"):
        if name in given:
            given[name] = str(given[name])
    for name in BY_FAMILY:
        if name in given:
            # A value for all families is one for those that are offered.
            given[name] = {
                family: each for family, each in given[name].items() if family in given["families"]
            }
    if given.get("graceful_restart") is False:
        given["graceful_restart"] = None
    return PeerOptions(**given | _signed(given))


def _signed(given: dict[str, Any]) -> dict[str, Any]:
    """Return the keys to sign with, or what blocks a peer whose secret could not be read."""
    password: Secret | None = given.get("password")
    signing: Signing | None = given.get("tcp_ao")
    if password is not None:
        if password.fault:
            return {"password": None, "blocked": f"password: {password.fault}"}
        return {"password": password.value}
    if signing is not None:
        if signing.secret.fault:
            return {"tcp_ao": None, "blocked": f"tcp_ao: {signing.secret.fault}"}
        return {"tcp_ao": signing.key}
    return {}


_NOT_OPTIONS = frozenset(
    {"allotment", "group", "policy", *DIRECTIONS, "default_originate_if", "prefix", "limit"}
)
# What a group may say of its neighbors that means nothing to peers who always connect to us.
_DIALING = frozenset(row.name for row in schema.DIALING)


def _listen_range(values: dict[str, Any]) -> ListenRange:
    options = _options({name: value for name, value in values.items() if name not in _DIALING})
    return ListenRange(values["prefix"], options, values.get("limit", RANGE_LIMIT))
