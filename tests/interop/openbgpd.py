"""OpenBGPD's portable bgpd as a neighbor: a `Kind` like those of `peers`, and its answers as `Route`s.

It takes the nexthops of the LAN for reachable and touches no routing table (`fib-update no`).  An AS_PATH
of an originated route cannot be configured but for its own AS, so what it originates has none.
"""

import json
from collections.abc import Iterator
from typing import Any

from netns import Node
from peers import Daemon, Kind, Neighbor, Setup
from routes import FAMILIES, Route, as_path, known_communities, numbers

_FAMILY = {"ipv4-unicast": "IPv4", "ipv6-unicast": "IPv6"}


def _configuration(node: Node, setup: Setup) -> str:
    lines = [
        f"AS {setup.asn}",
        f"router-id {node.router_id}",
        "fib-update no",
        f'socket "{node.directory / "ctl"}"',
        *setup.options,
    ]
    lines += [f"network {route.prefix} set {{ {_attributes(route)} }}" for route in setup.routes]
    for neighbor in setup.neighbors:
        lines += [
            f"neighbor {neighbor.remote} {{",
            f'  descr "{neighbor.name}"',
            f"  remote-as {neighbor.asn}",
            f"  local-address {neighbor.local}",
            f"  holdtime {neighbor.hold_time}",
        ]
        for family in FAMILIES:
            lines.append(
                f"  announce {_FAMILY[family]} {'unicast' if family in neighbor.families else 'none'}"
            )
        if neighbor.passive:
            lines.append("  passive")
        if neighbor.client:
            lines.append(f"  route-reflector {setup.cluster_id or node.router_id}")
        if neighbor.add_path:
            lines.append("  announce add-path recv yes")
        if neighbor.add_path_send:
            lines.append("  announce add-path send all")
        lines += [*(f"  {option}" for option in neighbor.options), "}"]
    return "\n".join([*lines, "allow from any", "allow to any"]) + "\n"


def _attributes(route: Route) -> str:
    words = [f"nexthop {route.next_hop[0]}", f"origin {route.origin}"]
    if route.med is not None:
        words.append(f"med {route.med}")
    if route.local_pref is not None:
        words.append(f"localpref {route.local_pref}")
    words += [f"community {value}" for value in route.communities]
    words += [f"ext-community {value.replace(':', ' ', 1)}" for value in route.extended_communities]
    words += [f"large-community {value}" for value in route.large_communities]
    return " ".join(words)


def bgpctl(daemon: Daemon, *command: str) -> str:
    """Ask the daemon; `command` in the words of bgpctl."""
    return daemon.ask("bgpctl", "-s", str(daemon.node.directory / "ctl"), *command)


def _state(daemon: Daemon, neighbor: Neighbor) -> dict[str, Any]:
    try:
        shown = bgpctl(daemon, "-j", "show", "neighbor", neighbor.remote)
    except RuntimeError:
        if daemon.process is not None and daemon.process.alive:
            return {}  # its socket is not there yet
        raise
    # Until its configuration is loaded there is no neighbor, and no list of them either.
    neighbors: list[dict[str, Any]] = json.loads(shown).get("neighbors", [])
    return neighbors[0] if neighbors else {}


def _up(daemon: Daemon, neighbor: Neighbor) -> bool:
    return _state(daemon, neighbor).get("state") == "Established"


def _received(daemon: Daemon, neighbor: Neighbor) -> list[Route]:
    shown = bgpctl(daemon, "-j", "show", "rib", "detail", "in", "neighbor", neighbor.remote)
    return list(from_openbgpd(shown))


def from_openbgpd(text: str) -> Iterator[Route]:
    """Read `bgpctl -j show rib detail in neighbor X`."""
    for path in json.loads(text).get("rib", []):
        attributes = {each["type"]: each for each in path.get("attributes", [])}
        aggregator = attributes.get("Aggregator")
        yield Route(
            prefix=path["prefix"],
            next_hop=(path["exit_nexthop"],),
            origin=path["origin"].lower(),
            as_path=as_path(path["aspath"]),
            med=path.get("metric"),
            local_pref=path.get("localpref"),
            atomic_aggregate="Atomic Aggregate" in attributes,
            aggregator=f"{aggregator['AS']} {aggregator['router_id']}" if aggregator else None,
            communities=numbers(known_communities(path.get("communities", []))),
            extended_communities=tuple(
                sorted(
                    value.replace("soo ", "ro ").replace(" ", ":", 1)
                    for value in path.get("extended_communities", [])
                )
            ),
            large_communities=numbers(path.get("large_communities", [])),
            originator_id=attributes.get("Originator Id", {}).get("originator"),
            cluster_list=tuple(attributes.get("Cluster Id List", {}).get("cluster_list", ())),
        )


OPENBGPD = Kind(
    name="openbgpd",
    programs=("openbgpd", "bgpctl"),
    configure=_configuration,
    argv=lambda node: ["-d", "-f", str(node.directory / "conf")],
    originate=lambda daemon: None,
    established=_up,
    received=_received,
)
