"""The way of a route through the reflector: whose paths there are, and which groups are told what.

Members of an update group are told alike, but for what is their own.  So one is asked in place of all, and
a prefix's way is known after as many questions as there are groups, and senders of paths.
"""

import asyncio
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Any

from bgp.aio.peer import Peer
from bgp.explanation import Account
from bgp.export.group import Group
from reflector.report.row import Unanswerable
from reflector.report.words import kind

if TYPE_CHECKING:
    from reflector.app import Service

# Of so many senders it is asked what they themselves are told.
_SENDERS = 64


async def flow(service: "Service", prefix: IPv4Network | IPv6Network) -> dict[str, Any]:
    """Return the paths of a prefix, what each group is told of it, and what their senders are."""
    speaker = service.speaker
    route = speaker.rib.exact(prefix) or speaker.rib.longest_match(prefix)
    if route is None:
        raise Unanswerable(f"there is no path to {prefix}")
    network, family = route.network, route.family
    peers = {peer.name: peer for peer in speaker.peers}
    # The best path's is the first.
    senders = list(dict.fromkeys(path.source.peer for path in route.paths if path.source.peer in peers))
    groups, own = [], {}
    for group in list(speaker.router.groups.values()):
        if family not in group.terms.families:
            continue
        found = _one_of(group, peers, senders)
        if found is not None:
            groups.append(_group(service.group_numbers.of(group), group, found.explain(network)))
            await asyncio.sleep(0)
    for name in senders[:_SENDERS]:
        peer = peers[name]
        if peer.member is not None and family in peer.member.negotiated.families:
            own[name] = _tellings(peer.explain(network))
            await asyncio.sleep(0)
    return {
        "prefix": route.prefix,
        "family": family.name,
        "paths": [
            {
                "peer": path.source.peer,
                "kind": kind(path.source.kind),
                "best": path is route.best,
                "usable": path.usable,
                "path_id": path.path_id,
            }
            for path in route.paths
        ],
        "groups": groups,
        "senders": own,
    }


def _one_of(group: Group, peers: Mapping[str, Peer], senders: list[str]) -> Peer | None:
    """Return a member that sent none of the paths, or else not the best one: None where all have gone."""
    fallback = None
    for name in group.listeners:
        peer = peers.get(name)
        if peer is None or peer.member is None:
            continue
        if name not in senders:
            return peer
        if fallback is None or fallback.name == senders[0]:
            fallback = peer
    return fallback


def _group(number: int, group: Group, account: Account) -> dict[str, Any]:
    return {
        "group": number,
        "kind": kind(group.terms.kind),
        "members": len(group.listeners),
        "paths": _tellings(account),
    }


def _tellings(account: Account) -> list[dict[str, Any]]:
    return [
        {
            "peer": one.path.source.peer,
            "told": one.told,
            "text": str(one),
            "rule": None if one.reason is None else one.reason.name,
            "section": None if one.reason is None else one.reason.section,
        }
        for one in account
    ]
