"""One form for a route, whoever shows it: what BIRD, FRR and GoBGP print becomes a `Route`."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

FAMILIES = ("ipv4-unicast", "ipv6-unicast")
ORIGINS = ("igp", "egp", "incomplete")


@dataclass(frozen=True, slots=True)
class Route:
    """A prefix and every path attribute of issue to a reflector, as text and numbers.

    The `next_hop` of IPv6 may have a second, link-local address.  AS_PATH is written "(1) 2 {3 4}", sets
    ascending; communities ascending too, since daemons sort them.
    """

    prefix: str
    next_hop: tuple[str, ...]
    origin: str = "igp"
    as_path: str = ""
    med: int | None = None
    local_pref: int | None = None
    atomic_aggregate: bool = False
    aggregator: str | None = None
    communities: tuple[str, ...] = ()
    extended_communities: tuple[str, ...] = ()
    large_communities: tuple[str, ...] = ()
    originator_id: str | None = None
    cluster_list: tuple[str, ...] = ()
    only_to_customer: int | None = None

    @property
    def family(self) -> str:
        return FAMILIES[ip_network(self.prefix).version == 6]


def by_prefix(routes: Iterable[Route]) -> dict[str, Route]:
    """Return the routes by prefix; a prefix that comes twice is an error."""
    found: dict[str, Route] = {}
    for route in routes:
        assert route.prefix not in found, f"{route.prefix} twice"
        found[route.prefix] = route
    return found


def numbers(values: Iterable[str]) -> tuple[str, ...]:
    """Sort texts of numbers such as 65001:2 by their numbers."""
    return tuple(sorted(values, key=lambda text: [int(part) for part in re.findall(r"\d+", text)]))


def as_path(text: str) -> str:
    """Write an AS_PATH of any daemon as "(1) 2 {3 4}"."""
    tokens = re.findall(r"\{[^}]*\}|\([^)]*\)|\d+", text)
    parts = []
    for token in tokens:
        members = re.findall(r"\d+", token)
        parts.append("{" + " ".join(sorted(members, key=int)) + "}" if token[0] == "{" else token)
    return " ".join(parts)


# --- BIRD ---------------------------------------------------------------------------------------------


def from_bird(lines: Iterable[str]) -> Iterator[Route]:
    """Read `show route all`; routes that did not come by BGP are left out."""
    prefix, values, last = "", {}, ""
    for line in lines:
        if heading := re.match(r"[0-9a-fA-F:.]+/\d+(?=\s)", line):
            if values:
                yield _bird_route(prefix, values)
            prefix, values, last = heading[0], {}, ""
        elif re.match(r" +\w+ \[", line):
            # Another path for the same prefix.
            if values:
                yield _bird_route(prefix, values)
            values, last = {}, ""
        elif found := re.match(r"\t(?:BGP\.|bgp_)(\w+): ?(.*)", line):
            last = {"path": "as_path"}.get(found[1], found[1])  # BGP.as_path of BIRD 2 is bgp_path of BIRD 3
            values[last] = found[2].strip()
        elif line.startswith("\t\t") and last:
            values[last] += " " + line.strip()
    if values:
        yield _bird_route(prefix, values)


def _bird_route(prefix: str, values: dict[str, str]) -> Route:
    aggregator = values.get("aggregator")
    if aggregator:
        address, asn = aggregator.split()
        aggregator = f"{asn.removeprefix('AS')} {address}"
    targets = []
    for kind, first, second in re.findall(r"\((\w+), (\w[\w.]*), (\w+)\)", values.get("ext_community", "")):
        if kind == "generic":
            octets = bytes.fromhex(f"{int(first, 16):08x}{int(second, 16):08x}")
            targets.append(extended(octets))
        else:
            targets.append(f"{kind}:{first}:{second}")
    return Route(
        prefix=prefix,
        next_hop=_addresses(values.get("next_hop", "").split()),
        origin=values.get("origin", "").lower(),
        as_path=as_path(values.get("as_path", "")),
        med=_number(values.get("med")),
        local_pref=_number(values.get("local_pref")),
        only_to_customer=_number(values.get("otc")),
        atomic_aggregate="atomic_aggr" in values,
        aggregator=aggregator,
        communities=numbers(
            f"{a}:{b}" for a, b in re.findall(r"\((\d+),(\d+)\)", values.get("community", ""))
        ),
        extended_communities=tuple(sorted(targets)),
        large_communities=numbers(
            ":".join(found)
            for found in re.findall(r"\((\d+), (\d+), (\d+)\)", values.get("large_community", ""))
        ),
        originator_id=values.get("originator_id"),
        cluster_list=tuple(values.get("cluster_list", "").split()),
    )


# --- FRR ----------------------------------------------------------------------------------------------


def from_frr(text: str, neighbor: str) -> Iterator[Route]:
    """Read the answers to `show bgp FAMILY unicast PREFIX json`, one after another; paths of `neighbor`."""
    for document in documents(text):
        for path in document.get("paths", []):
            if ip_address(path["peer"]["peerId"]) == ip_address(neighbor):
                yield _frr_route(document["prefix"], path)


def documents(text: str) -> Iterator[dict[str, Any]]:
    """Yield JSON documents that follow each other."""
    decoder, position = json.JSONDecoder(), 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        document, position = decoder.raw_decode(text, position)
        yield document


def _frr_route(prefix: str, path: dict[str, Any]) -> Route:
    aggregator = f"{path['aggregatorAs']} {path['aggregatorId']}" if "aggregatorAs" in path else None
    targets = path.get("extendedCommunity", {}).get("string", "").split()
    return Route(
        prefix=prefix,
        next_hop=_addresses(hop["ip"] for hop in path["nexthops"]),
        origin=path["origin"].lower(),
        as_path=as_path(path["aspath"].get("string", "")),
        med=path.get("metric"),
        local_pref=path.get("locPrf"),
        only_to_customer=path.get("otc"),
        atomic_aggregate="atomicAggregate" in path,
        aggregator=aggregator,
        communities=numbers(known_communities(path.get("community", {}).get("list", []))),
        extended_communities=tuple(
            sorted(value.replace("RT:", "rt:").replace("SoO:", "ro:") for value in targets)
        ),
        large_communities=numbers(path.get("largeCommunity", {}).get("list", [])),
        originator_id=path.get("originatorId"),
        cluster_list=tuple(path.get("clusterList", {}).get("list", [])),
    )


def known_communities(names: Iterable[str]) -> list[str]:
    """Return communities as numbers, also those for which FRR and OpenBGPD have names."""
    known = {
        "noExport": "65535:65281",
        "noAdvertise": "65535:65282",
        "localAs": "65535:65283",
        "no-peer": "65535:65284",
        "noPeer": "65535:65284",
        "blackhole": "65535:666",
        "gracefulShutdown": "65535:0",
        "NO_EXPORT": "65535:65281",
        "NO_ADVERTISE": "65535:65282",
        "NO_EXPORT_SUBCONFED": "65535:65283",
        "NO_PEER": "65535:65284",
        "GRACEFUL_SHUTDOWN": "65535:0",
        "BLACKHOLE": "65535:666",
    }
    return [known.get(name, name) for name in names]


# --- GoBGP --------------------------------------------------------------------------------------------


def from_gobgp(text: str) -> Iterator[Route]:
    """Read `gobgp neighbor X adj-in -j`."""
    for prefix, paths in (json.loads(text) or {}).items():
        for path in paths:
            yield _gobgp_route(prefix, {attribute["type"]: attribute for attribute in path["attrs"]})


def _gobgp_route(prefix: str, attributes: dict[int, dict[str, Any]]) -> Route:
    def value(kind: int, key: str = "value") -> Any:
        return attributes.get(kind, {}).get(key)

    segments = []
    for segment in value(2, "as_paths") or []:
        members = " ".join(str(asn) for asn in segment["asns"])
        segments.append({1: "{%s}", 2: "%s", 3: "(%s)"}[segment["segment_type"]] % members)
    hop = attributes.get(14) or attributes.get(3) or {}
    hops = [hop["nexthop"]] if hop.get("nexthop") else []
    aggregator = attributes.get(7)
    return Route(
        prefix=prefix,
        next_hop=_addresses(hops),
        origin=ORIGINS[value(1)],
        as_path=as_path(" ".join(segments)),
        med=value(4, "metric"),
        local_pref=value(5),
        atomic_aggregate=6 in attributes,
        aggregator=f"{aggregator['as']} {aggregator['address']}" if aggregator else None,
        communities=numbers(f"{n >> 16}:{n & 0xFFFF}" for n in value(8, "communities") or []),
        extended_communities=tuple(
            sorted(
                f"{({2: 'rt', 3: 'ro'})[item['subtype']]}:{_gobgp_value(item)}" for item in value(16) or []
            )
        ),
        large_communities=numbers(
            f"{item['ASN']}:{item['LocalData1']}:{item['LocalData2']}" for item in value(32) or []
        ),
        originator_id=value(9),
        cluster_list=tuple(value(10) or ()),
    )


_TARGET = {2: "rt", 3: "ro"}


def _gobgp_value(item: dict[str, Any]) -> str:
    """Return the value of an extended community; GoBGP writes four-octet AS numbers as 64086.59905."""
    text = str(item["value"])
    if item["type"] == 2 and (found := re.fullmatch(r"(\d+)\.(\d+):(\d+)", text)):
        return f"{(int(found[1]) << 16) + int(found[2])}:{found[3]}"
    return text


# --- their parts ---------------------------------------------------------------------------------------


def _addresses(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(ip_address(text)) for text in texts)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def extended(octets: bytes) -> str:
    """Write a route target or route origin as text (RFC 4360 sections 4 and 5)."""
    kind = {2: "rt", 3: "ro"}.get(octets[1])
    if kind is None or octets[0] not in (0, 1, 2):
        return octets.hex()
    if octets[0] == 0:
        return f"{kind}:{int.from_bytes(octets[2:4], 'big')}:{int.from_bytes(octets[4:8], 'big')}"
    head = octets[2:6]
    first = str(IPv4Address(head)) if octets[0] == 1 else str(int.from_bytes(head, "big"))
    return f"{kind}:{first}:{int.from_bytes(octets[6:8], 'big')}"
