"""ExaBGP as a neighbor: a `Kind` like those of `peers`, which keeps an account of what it heard.

ExaBGP has no routing table; what it hears it tells a process, as JSON.  That process is `scribe.py`: it
writes each line to a file, and passes on what is appended to another as commands.
"""

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from netns import Node
from peers import Daemon, Kind, Neighbor, Setup
from routes import Route, as_path, extended, numbers

SCRIBE = Path(__file__).with_name("scribe.py")
_FAMILY = {"ipv4-unicast": "ipv4 unicast", "ipv6-unicast": "ipv6 unicast"}


def _configuration(node: Node, setup: Setup) -> str:
    heard, say = node.directory / "heard", node.directory / "say"
    heard.write_text("")
    say.write_text("")
    lines = [
        "process scribe {",
        f"  run {sys.executable} {SCRIBE} {heard} {say};",
        "  encoder json;",
        "}",
    ]
    for neighbor in setup.neighbors:
        lines += [
            f"neighbor {neighbor.remote} {{",
            f"  description {neighbor.name};",
            f"  router-id {node.router_id};",
            f"  local-address {neighbor.local};",
            f"  local-as {setup.asn};",
            f"  peer-as {neighbor.asn};",
            f"  hold-time {neighbor.hold_time};",
            "  adj-rib-out true;",  # else it has nothing to repeat where it is asked for a refresh
            f"  passive {str(neighbor.passive).lower()};",
            *(f"  {option}" for option in neighbor.options if "{" not in option),
        ]
        ways = [way for way, on in (("send", neighbor.add_path_send), ("receive", neighbor.add_path)) if on]
        capability = ["route-refresh enable;", *([f"add-path {'/'.join(ways)};"] if ways else [])]
        capability += [
            option.partition("{")[2].strip(" }")
            for option in neighbor.options
            if option.startswith("capability")
        ]
        lines.append(f"  capability {{ {' '.join(capability)} }}")
        lines += [
            f"  {option}"
            for option in neighbor.options
            if "{" in option and not option.startswith("capability")
        ]
        families = " ".join(f"{_FAMILY[family]};" for family in neighbor.families)
        lines.append(f"  family {{ {families} }}")
        if ways:
            lines.append(
                f"  add-path {{ {' '.join(_FAMILY[family] + ';' for family in neighbor.families)} }}"
            )
        lines.append("  api {")
        lines.append("    processes [ scribe ]; neighbor-changes;")
        lines.append("    receive { parsed; open; update; refresh; }")
        lines += ["  }", "  announce {"]
        for family, name in (("ipv4-unicast", "ipv4"), ("ipv6-unicast", "ipv6")):
            routes = [
                route for route in setup.routes if route.family == family and family in neighbor.families
            ]
            if routes:
                lines.append(f"    {name} {{ {' '.join(f'unicast {_route(each)};' for each in routes)} }}")
        lines += ["  }", "}"]
    return "\n".join(lines) + "\n"


def _route(route: Route) -> str:
    words = [route.prefix, "next-hop", route.next_hop[0], "origin", route.origin]
    if route.as_path:
        words += ["as-path", "[", *route.as_path.split(), "]"]
    if route.med is not None:
        words += ["med", str(route.med)]
    if route.local_pref is not None:
        words += ["local-preference", str(route.local_pref)]
    if route.atomic_aggregate:
        words.append("atomic-aggregate")
    if route.aggregator:
        words += ["aggregator", "(", route.aggregator.replace(" ", ":"), ")"]
    if route.communities:
        words += ["community", "[", *route.communities, "]"]
    if route.extended_communities:
        targets = [
            value.replace("rt:", "target:").replace("ro:", "origin:") for value in route.extended_communities
        ]
        words += ["extended-community", "[", *targets, "]"]
    if route.large_communities:
        words += ["large-community", "[", *route.large_communities, "]"]
    return " ".join(words)


def account(daemon: Daemon) -> str:
    """Return all that it said, as it did."""
    path = daemon.node.directory / "heard"
    return path.read_text(errors="replace") if path.exists() else ""


def heard(daemon: Daemon, neighbor: Neighbor) -> list[dict[str, Any]]:
    """Return the events of a neighbor, each its line of JSON, in their order."""
    events = []
    for line in account(daemon).split("\n")[:-1]:
        # The text of a NOTIFICATION is not escaped: control characters, or worse.
        with contextlib.suppress(ValueError):
            events.append(json.loads(line, strict=False))
    return [
        each for each in events if each.get("neighbor", {}).get("address", {}).get("peer") == neighbor.remote
    ]


def say(daemon: Daemon, command: str) -> None:
    """Have it do something, in the words of its API."""
    with (daemon.node.directory / "say").open("a") as file:
        file.write(command + "\n")


def _up(daemon: Daemon, neighbor: Neighbor) -> bool:
    states = [each["neighbor"]["state"] for each in heard(daemon, neighbor) if each["type"] == "state"]
    return bool(states) and states[-1] == "up"


def _received(daemon: Daemon, neighbor: Neighbor) -> list[Route]:
    return list(from_exabgp(heard(daemon, neighbor)))


def from_exabgp(events: Iterable[dict[str, Any]]) -> Iterator[Route]:
    """Yield what remains after all updates of a neighbor's last session."""
    found: dict[tuple[str, str], Route] = {}
    for event in events:
        if event["type"] == "state" and event["neighbor"]["state"] != "up":
            found.clear()
        if event["type"] != "update" or event["neighbor"].get("direction") != "receive":
            continue
        update = event["neighbor"]["message"].get("update", {})
        for nlris in update.get("withdraw", {}).values():
            for nlri in nlris:
                found.pop((nlri["nlri"], nlri.get("path-information", "")), None)
        for by_hop in update.get("announce", {}).values():
            for hop, nlris in by_hop.items():
                for nlri in nlris:
                    if "nlri" in nlri:
                        key = nlri["nlri"], nlri.get("path-information", "")
                        found[key] = _from_attributes(nlri["nlri"], hop, update["attribute"])
    yield from found.values()


def _from_attributes(prefix: str, hop: str, values: dict[str, Any]) -> Route:
    aggregator = values.get("aggregator")
    return Route(
        prefix=prefix,
        next_hop=(hop,),
        origin=values["origin"],
        as_path=as_path(_path(values)),
        med=values.get("med"),
        local_pref=values.get("local-preference"),
        atomic_aggregate=bool(values.get("atomic-aggregate")),
        aggregator=aggregator.replace(":", " ") if aggregator else None,
        communities=numbers(f"{a}:{b}" for a, b in values.get("community", [])),
        extended_communities=tuple(
            sorted(
                extended(int(each["value"]).to_bytes(8, "big"))
                for each in values.get("extended-community", [])
            )
        ),
        large_communities=numbers(":".join(map(str, each)) for each in values.get("large-community", [])),
        originator_id=values.get("originator-id"),
        cluster_list=tuple(values.get("cluster-list", ())),
    )


def _path(values: dict[str, Any]) -> str:
    def members(key: str) -> str:
        return " ".join(map(str, values.get(key, ())))

    parts = [members("as-path")]
    if values.get("confederation-path"):
        parts.insert(0, f"({members('confederation-path')})")
    if values.get("as-set"):
        parts.append("{" + members("as-set") + "}")
    return " ".join(parts)


EXABGP = Kind(
    name="exabgp",
    programs=("exabgp",),
    configure=_configuration,
    argv=lambda node: [str(node.directory / "conf")],
    originate=lambda daemon: None,
    established=_up,
    received=_received,
    environment=lambda node, setup: {
        "exabgp.daemon.user": "root",
        "exabgp.tcp.bind": " ".join(sorted({each.local for each in setup.neighbors})),
        "exabgp.tcp.port": "179",
        "exabgp.api.ack": "false",
        "exabgp.api.cli": "false",
        "exabgp.log.level": "INFO",
        "exabgp.log.destination": "stdout",
    },
)
