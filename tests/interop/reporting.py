"""`reflector run` that also tells what it has told and heard: `reporting.py CONFIG.toml SOCKET`.

The service is the real one.  Beside it a Unix socket takes a line, which may be a command (see `obey`), and
gives one JSON document:
{peer: {"state": ..., "advertised": [route, ...], "received": [route, ...]}} by the peer's address, each
route in the form of `routes.Route`.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from ipaddress import IPv4Address, ip_address

from routes import ORIGINS, Route, as_path, extended, numbers

from bgp.aio.peer import Peer
from bgp.family import Family
from bgp.wire import aspath, prefix
from bgp.wire.attributes import Attributes
from reflector import app
from reflector.configuration.config import load
from reflector.running import process


def route(family: Family, octets: bytes, attributes: Attributes) -> Route:
    """Return a route of the speaker's in the form that all share."""
    hop = attributes.next_hop
    parts = [hop[:16], hop[16:]] if len(hop) == 32 else [hop]
    aggregator = attributes.aggregator
    clusters = attributes.cluster_list
    return Route(
        prefix=prefix.text(family, octets),
        next_hop=tuple(str(ip_address(part)) for part in parts),
        origin=ORIGINS[attributes.origin],
        as_path=as_path(aspath.text(attributes.as_path)),
        med=attributes.med,
        local_pref=attributes.local_pref,
        atomic_aggregate=attributes.atomic_aggregate,
        aggregator=f"{aggregator[0]} {aggregator[1]}" if aggregator else None,
        communities=numbers(f"{value >> 16}:{value & 0xFFFF}" for value in attributes.communities),
        extended_communities=tuple(sorted(extended(value) for value in attributes.extended_communities)),
        large_communities=numbers(":".join(map(str, value)) for value in attributes.large_communities),
        only_to_customer=attributes.only_to_customer,
        originator_id=str(IPv4Address(attributes.originator_id)) if attributes.originator_id else None,
        cluster_list=tuple(str(IPv4Address(clusters[at : at + 4])) for at in range(0, len(clusters), 4)),
    )


def report(service: app.Service) -> dict[str, dict[str, object]]:
    return {str(peer.remote.address): _peer(service, peer) for peer in service.speaker.peers}


def _peer(service: app.Service, peer: Peer) -> dict[str, object]:
    member, router = peer.member, service.speaker.router
    advertised, received = [], []
    if member is not None:
        for family in member.negotiated.families:
            advertised += [
                asdict(route(family, told.prefix, told.attributes))
                for told in router.rib.advertised(member, family)
            ]
            received += [
                asdict(route(family, octets, path.attributes))
                for octets, path in router.rib.received(member, family)
            ]
    return {
        "negotiated": _negotiated(peer),
        "received_messages": peer.traffic.received,
        "sent_messages": peer.traffic.sent,
        "state": peer.state.label,
        "last_error": peer.last_error,
        "advertised": advertised,
        "received": received,
    }


def _negotiated(peer: Peer) -> dict[str, object]:
    session = peer.negotiated
    if session is None:
        return {}
    return {
        "four_octet_as": session.four_octet_as,
        "maximum_send": session.maximum_send,
        "maximum_receive": session.maximum_receive,
        "add_path_receive": sorted(str(family) for family in session.add_path_receive),
        "add_path_send": sorted(str(family) for family in session.add_path_send),
        "extended_next_hop": sorted(str(family) for family in session.extended_next_hop),
        "route_refresh": session.route_refresh,
        "enhanced_route_refresh": session.enhanced_route_refresh,
        "remote_role": None if session.remote_role is None else session.remote_role.name,
    }


def obey(service: app.Service, command: str) -> None:
    """Do as told: "refresh ADDRESS", "reset ADDRESS TEXT", "stop ADDRESS TEXT"."""
    what, address, text = [*command.split(" ", 2), "", ""][:3]
    for peer in service.speaker.peers:
        if str(peer.remote.address) == address:
            match what:
                case "refresh":
                    assert peer.request_refresh()
                case "reset":
                    peer.reset(text)
                case "stop":
                    peer.stop(text)


def main() -> int:
    configuration, path = sys.argv[1:]
    start = app.Service.start
    servers: list[asyncio.Server] = []  # what nobody holds is closed when garbage is collected

    async def start_and_report(service: app.Service) -> None:
        await start(service)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                obey(service, (await reader.readline()).decode().strip())
                writer.write(json.dumps(report(service)).encode())
            finally:
                writer.close()

        servers.append(await asyncio.start_unix_server(answer, path))

    app.Service.start = start_and_report  # type: ignore[method-assign]
    return process.run(load(configuration), configuration)


if __name__ == "__main__":
    sys.exit(main())
