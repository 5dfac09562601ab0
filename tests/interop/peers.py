"""BIRD, FRR's bgpd and GoBGP as neighbors: configured alike, started in a node, asked what they heard.

A `Kind` is a row of functions for one daemon; `Daemon` is a running one.  None of them touches a routing
table: BIRD has no kernel protocol, bgpd runs without zebra, GoBGP without its zebra client.
"""

from collections.abc import Callable
from dataclasses import dataclass

from daemons import Program, find
from netns import Node, Process, eventually
from routes import FAMILIES, Route, by_prefix, documents, from_bird, from_frr, from_gobgp


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A session as one daemon must configure it; `client`: the neighbor is its route-reflection client.

    With `add_path` it takes several paths for a prefix (RFC 7911), and tells all with `add_path_send`.
    `options`: further lines about it, as the daemon wants them; "channel ", "family " and "afi-safi." head
    those about each family (BIRD, FRR, GoBGP).
    """

    name: str
    local: str
    remote: str
    asn: int
    families: tuple[str, ...] = FAMILIES
    passive: bool = False
    client: bool = False
    add_path: bool = False
    add_path_send: bool = False
    hold_time: int = 90
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setup:
    """What a daemon shall be: its AS, its neighbors, and the routes that it originates.

    Without `graceful_restart` it forgets a lost neighbor's routes at once.  `cluster_id`: that of a
    reflector, the router id if it is empty; without `client_to_client` its clients are meshed.  `options`:
    further lines about itself, below FRR's `router bgp` and GoBGP's `[global.config]`.
    """

    asn: int
    neighbors: tuple[Neighbor, ...]
    routes: tuple[Route, ...] = ()
    graceful_restart: bool = True
    cluster_id: str = ""
    client_to_client: bool = True
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One implementation: how it is configured, started and asked."""

    name: str
    programs: tuple[str, ...]
    configure: Callable[[Node, Setup], str]
    argv: Callable[[Node], list[str]]
    originate: Callable[["Daemon"], None]
    established: Callable[["Daemon", Neighbor], bool]
    received: Callable[["Daemon", Neighbor], list[Route]]
    environment: Callable[[Node, Setup], dict[str, str]] = lambda node, setup: {}


class Daemon:
    """One daemon in one node."""

    def __init__(self, kind: Kind, node: Node, setup: Setup) -> None:
        self.kind, self.node, self.setup = kind, node, setup
        self.process: Process | None = None

    def __repr__(self) -> str:
        return f"<{self.kind.name} on {self.node.name}>"

    def start(self) -> None:
        (self.node.directory / "conf").write_text(self.kind.configure(self.node, self.setup))
        program = _program(self.kind.programs[0])
        argv = [*program.argv, *self.kind.argv(self.node)]
        environment = {**program.environment, **self.kind.environment(self.node, self.setup)}
        self.process = self.node.start(self.kind.name, argv, environment)
        self.kind.originate(self)

    def kill(self) -> None:
        """End it as a crash would; the kernel closes its connections."""
        assert self.process is not None
        self.process.kill()

    def ask(self, program: str, *arguments: str) -> str:
        """Run the daemon's own command-line client in the node and return what it printed."""
        if self.process is not None and not self.process.alive:
            raise RuntimeError(f"{self!r} has ended: {self.process.output()[-2000:]}")
        return _program(program).run(*arguments, prefix=self.node.command(), timeout=120)

    def established(self) -> bool:
        """Tell whether every configured session is up, by the daemon's own account."""
        return all(self.kind.established(self, neighbor) for neighbor in self.setup.neighbors)

    def wait_established(self, seconds: float = 60) -> None:
        eventually(self.established, f"{self!r} Established", seconds)

    def received(self, neighbor: str | None = None) -> dict[str, Route]:
        """Return the routes that it says it has from its neighbor (the only one, or by name)."""
        return by_prefix(self.paths(neighbor))

    def paths(self, neighbor: str | None = None) -> list[Route]:
        """Return the same where a prefix may have several."""
        (wanted,) = [n for n in self.setup.neighbors if neighbor is None or n.name == neighbor]
        return self.kind.received(self, wanted)


def _program(name: str) -> Program:
    program = find(name)
    assert program is not None, name
    return program


def _nothing(daemon: Daemon) -> None:
    """The configuration already holds the routes."""


# --- BIRD ---------------------------------------------------------------------------------------------

_BIRD_CHANNEL = {"ipv4-unicast": "ipv4", "ipv6-unicast": "ipv6"}


def _bird_configuration(node: Node, setup: Setup) -> str:
    lines = [
        "log stderr all;",
        f"router id {node.router_id};",
        "protocol device { scan time 3600; }",
        "protocol direct { ipv4; ipv6; }",
    ]
    for family, channel in _BIRD_CHANNEL.items():
        lines += [f"protocol static originated_{channel} {{", f"  {channel};"]
        for route in setup.routes:
            if route.family == family:
                lines.append(f"  route {route.prefix} blackhole {{ {_bird_attributes(route)} }};")
        lines.append("}")
    for neighbor in setup.neighbors:
        lines += [
            f"protocol bgp to_{neighbor.name} {{",
            f"  local {neighbor.local} as {setup.asn};",
            f"  neighbor {neighbor.remote} as {neighbor.asn};",
            f"  hold time {neighbor.hold_time};",
            "  connect delay time 1; connect retry time 1; error wait time 1, 2; error forget time 1;",
        ]
        if neighbor.passive:
            lines.append("  passive on;")
        if not setup.graceful_restart:
            lines.append("  graceful restart off;")
        if neighbor.client:
            lines.append("  rr client;")
        if neighbor.client or (setup.cluster_id and neighbor.asn == setup.asn):
            # By default it is the router id, also where routes of non-clients are looked at for loops.
            lines.append(f"  rr cluster id {setup.cluster_id or node.router_id};")
        lines += [f"  {option};" for option in neighbor.options if not option.startswith("channel ")]
        for family in neighbor.families:
            wanted = "source ~ [RTS_BGP, RTS_STATIC]"
            if neighbor.client and not setup.client_to_client:
                # BIRD has no switch for it.
                wanted += "".join(f' && proto != "to_{each.name}"' for each in setup.neighbors if each.client)
            channel = f"  {_BIRD_CHANNEL[family]} {{ import all; export where {wanted};"
            if neighbor.asn != setup.asn:
                channel += " next hop self;"
            if neighbor.add_path or neighbor.add_path_send:
                ways = {(True, False): "rx", (False, True): "tx", (True, True): "on"}
                channel += f" add paths {ways[neighbor.add_path, neighbor.add_path_send]};"
            channel += "".join(
                f" {option.removeprefix('channel ')};" for option in neighbor.options if "channel " in option
            )
            lines.append(channel + " };")
        lines.append("}")
    return "\n".join(lines) + "\n"


def _bird_attributes(route: Route) -> str:
    words = [f"bgp_next_hop = {route.next_hop[0]};", f"bgp_origin = ORIGIN_{route.origin.upper()};"]
    words += [f"bgp_path.prepend({asn});" for asn in reversed(route.as_path.split())]
    if route.med is not None:
        words.append(f"bgp_med = {route.med};")
    if route.local_pref is not None:
        words.append(f"bgp_local_pref = {route.local_pref};")
    for name, communities in (
        ("bgp_community", route.communities),
        ("bgp_ext_community", route.extended_communities),
        ("bgp_large_community", route.large_communities),
    ):
        words += [f"{name}.add(({community.replace(':', ',')}));" for community in communities]
    return " ".join(words)


def _birdc(daemon: Daemon, *command: str) -> str:
    return daemon.ask("birdc", "-s", str(daemon.node.directory / "ctl"), *command)


def _bird_up(daemon: Daemon, neighbor: Neighbor) -> bool:
    try:
        return "Established" in _birdc(daemon, "show", "protocols", f"to_{neighbor.name}")
    except RuntimeError:
        if daemon.process is not None and daemon.process.alive:
            return False  # its control socket is not there yet
        raise


def _bird_received(daemon: Daemon, neighbor: Neighbor) -> list[Route]:
    shown = _birdc(daemon, "show", "route", "all", "protocol", f"to_{neighbor.name}")
    return list(from_bird(shown.splitlines()))


# --- FRR ----------------------------------------------------------------------------------------------


def _frr_configuration(node: Node, setup: Setup) -> str:
    lines = [
        "frr defaults traditional",
        "log stdout informational",
        f"router bgp {setup.asn}",
        f" bgp router-id {node.router_id}",
        f" bgp cluster-id {setup.cluster_id or node.router_id}",
        " no bgp default ipv4-unicast",
        " no bgp ebgp-requires-policy",
        " no bgp network import-check",
        *(f" {option}" for option in setup.options),
    ]
    if not setup.graceful_restart:
        lines.append(" bgp graceful-restart-disable")
    if not setup.client_to_client:
        lines.append(" no bgp client-to-client reflection")
    for neighbor in setup.neighbors:
        to = f" neighbor {neighbor.remote}"
        lines += [
            f"{to} remote-as {neighbor.asn}",
            f"{to} update-source {neighbor.local}",
            f"{to} advertisement-interval 0",
            f"{to} timers {neighbor.hold_time // 3} {neighbor.hold_time}",
            f"{to} timers connect 1",
            *(f"{to} {option}" for option in neighbor.options if not option.startswith("family ")),
        ]
        if neighbor.passive:
            lines.append(f"{to} passive")
    for family in FAMILIES:
        lines.append(f" address-family {family.replace('-', ' ')}")
        for neighbor in setup.neighbors:
            if family in neighbor.families:
                lines.append(f"  neighbor {neighbor.remote} activate")
                if neighbor.add_path_send:
                    lines.append(f"  neighbor {neighbor.remote} addpath-tx-all-paths")
                lines += [
                    f"  neighbor {neighbor.remote} {option.removeprefix('family ')}"
                    for option in neighbor.options
                    if option.startswith("family ")
                ]
                if neighbor.client:
                    lines.append(f"  neighbor {neighbor.remote} route-reflector-client")
        for number, route in enumerate(setup.routes):
            if route.family == family:
                lines.append(f"  network {route.prefix} route-map originated-{number}")
        lines.append(" exit-address-family")
    for number, route in enumerate(setup.routes):
        lines += [f"route-map originated-{number} permit 10", *_frr_attributes(route), "exit"]
    return "\n".join(lines) + "\n"


def _frr_attributes(route: Route) -> list[str]:
    version, scope = ("ip", "") if route.family == "ipv4-unicast" else ("ipv6", "global ")
    lines = [f" set origin {route.origin}"]
    if version == "ipv6" or ":" not in route.next_hop[0]:  # an IPv6 one of IPv4 can only be its own
        lines.append(f" set {version} next-hop {scope}{route.next_hop[0]}")
    if route.as_path:
        lines.append(f" set as-path prepend {route.as_path}")
    if route.med is not None:
        lines.append(f" set metric {route.med}")
    if route.local_pref is not None:
        lines.append(f" set local-preference {route.local_pref}")
    if route.communities:
        lines.append(f" set community {' '.join(route.communities)}")
    if route.extended_communities:
        targets = [value.removeprefix("rt:") for value in route.extended_communities]
        lines.append(f" set extcommunity rt {' '.join(targets)}")
    if route.large_communities:
        lines.append(f" set large-community {' '.join(route.large_communities)}")
    if route.atomic_aggregate:
        lines.append(" set atomic-aggregate")
    if route.aggregator:
        lines.append(f" set aggregator as {route.aggregator}")
    return lines


def _vtysh(daemon: Daemon, *commands: str) -> str:
    options = [option for command in commands for option in ("-c", command)]
    return daemon.ask("vtysh", "--vty_socket", str(daemon.node.directory), *options)


def _frr_up(daemon: Daemon, neighbor: Neighbor) -> bool:
    try:
        shown = _vtysh(daemon, f"show bgp neighbors {neighbor.remote} json")
    except RuntimeError:
        if daemon.process is not None and daemon.process.alive:
            return False
        raise
    return any(
        state.get("bgpState") == "Established"
        for document in documents(shown)
        for state in document.values()
        if isinstance(state, dict)
    )


def _frr_received(daemon: Daemon, neighbor: Neighbor) -> list[Route]:
    questions = []
    for family in neighbor.families:
        family_words = family.replace("-", " ")
        for document in documents(_vtysh(daemon, f"show bgp {family_words} json")):
            questions += [f"show bgp {family_words} {prefix} json" for prefix in document.get("routes", {})]
    if not questions:
        return []
    return list(from_frr(_vtysh(daemon, *questions), neighbor.remote))


# --- GoBGP --------------------------------------------------------------------------------------------


def _gobgp_configuration(node: Node, setup: Setup) -> str:
    cluster = setup.cluster_id or node.router_id
    lines = ["[global.config]", f"  as = {setup.asn}", f'  router-id = "{node.router_id}"', *setup.options]
    for neighbor in setup.neighbors:
        lines += [
            "[[neighbors]]",
            f'  config.neighbor-address = "{neighbor.remote}"',
            f"  config.peer-as = {neighbor.asn}",
            f"  transport.config.passive-mode = {str(neighbor.passive).lower()}",
            f'  transport.config.local-address = "{neighbor.local}"',
            "  timers.config.connect-retry = 1",
            "  timers.config.idle-hold-time-after-reset = 1",
            f"  timers.config.hold-time = {neighbor.hold_time}",
            f"  timers.config.keepalive-interval = {neighbor.hold_time // 3}",
            *(f"  {option}" for option in neighbor.options if not option.startswith("afi-safi.")),
        ]
        if neighbor.client:
            lines += [
                "  route-reflector.config.route-reflector-client = true",
                f'  route-reflector.config.route-reflector-cluster-id = "{cluster}"',
            ]
        for family in neighbor.families:
            lines += ["  [[neighbors.afi-safis]]", f'    config.afi-safi-name = "{family}"']
            if neighbor.add_path:
                lines.append("    add-paths.config.receive = true")
            if neighbor.add_path_send:
                lines.append("    add-paths.config.send-max = 8")
            lines += [
                f"    {option.removeprefix('afi-safi.')}"
                for option in neighbor.options
                if option.startswith("afi-safi.")
            ]
    return "\n".join(lines) + "\n"


def _gobgp_originate(daemon: Daemon) -> None:
    """GoBGP takes routes by its API only, which answers once it has read its configuration."""

    def answers() -> bool:
        try:
            daemon.ask("gobgp", "global")
        except RuntimeError:
            if daemon.process is not None and daemon.process.alive:
                return False
            raise
        return True

    eventually(answers, f"API of {daemon!r}")
    for route in daemon.setup.routes:
        words = ["global", "rib", "add", "-a", route.family.partition("-")[0], route.prefix]
        words += ["nexthop", route.next_hop[0], "origin", route.origin]
        if route.as_path:
            words += ["aspath", route.as_path]
        if route.med is not None:
            words += ["med", str(route.med)]
        if route.local_pref is not None:
            words += ["local-pref", str(route.local_pref)]
        if route.communities:
            words += ["community", ",".join(route.communities)]
        if route.large_communities:
            words += ["large-community", ",".join(route.large_communities)]
        daemon.ask("gobgp", *words)


def _gobgp_up(daemon: Daemon, neighbor: Neighbor) -> bool:
    return "BGP state = ESTABLISHED" in daemon.ask("gobgp", "neighbor", neighbor.remote)


def _gobgp_received(daemon: Daemon, neighbor: Neighbor) -> list[Route]:
    found: list[Route] = []
    if not _gobgp_up(daemon, neighbor):
        return found  # it would call the question an error
    for family in neighbor.families:
        name = family.partition("-")[0]
        shown = daemon.ask("gobgp", "neighbor", neighbor.remote, "adj-in", "-a", name, "-j")
        found += from_gobgp(shown)
    return found


BIRD = Kind(
    name="bird",
    programs=("bird", "birdc"),
    configure=_bird_configuration,
    argv=lambda node: ["-f", "-c", "conf", "-s", "ctl", "-P", "pid"],
    originate=_nothing,
    established=_bird_up,
    received=_bird_received,
)
FRR = Kind(
    name="frr",
    programs=("frr", "vtysh"),
    configure=_frr_configuration,
    # -Z without zebra, -S without another user's rights, -P 0 without a TCP port for its command line.
    argv=lambda node: [
        *("-f", str(node.directory / "conf"), "-i", str(node.directory / "pid")),
        *("--vty_socket", str(node.directory), "-Z", "-S", "-P", "0"),
    ],
    originate=_nothing,
    established=_frr_up,
    received=_frr_received,
)
GOBGP = Kind(
    name="gobgp",
    programs=("gobgpd", "gobgp"),
    configure=_gobgp_configuration,
    argv=lambda node: [
        *("-f", "conf", "-t", "toml", "-l", "info", "--pprof-disable"),
        *("--api-hosts", "127.0.0.1:50051"),
    ],
    originate=_gobgp_originate,
    established=_gobgp_up,
    received=_gobgp_received,
)
KINDS = {kind.name: kind for kind in (BIRD, FRR, GOBGP)}
