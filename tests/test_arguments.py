"""What users give to a speaker and its parts is refused at once where it cannot be, by its name.

The table of bad arguments names every parameter of every public method; one that is new fails until it stands
there, or among those with which nothing can be wrong.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from rawpeer import TIMEOUT, has_routes
from test_home import INTERNAL, all_of, check

from bgp import IPV4_UNICAST, Announcement, PeerOptions, Speaker
from bgp.iana import MessageType


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"asn": 0}, "asn: must be an AS number, 1 to 4294967295, not 0"),
        ({"asn": 1 << 32}, "asn: "),
        ({"asn": "65000"}, "asn: .*not '65000'"),
        ({"router_id": "0.0.0.0"}, r"router_id: must not be 0.0.0.0 \(RFC 6286 2.1\)"),
        ({"router_id": "router"}, "router_id: "),
        ({"cluster_id": -1}, "cluster_id: "),
        ({"stop_timeout": -1}, "stop_timeout: must be a number of 0 or more, not -1"),
        ({"lag_age": -1.5}, "lag_age: "),
        ({"max_paths": -1}, "max_paths: "),
        ({"listen": "0.0.0.0:179"}, "listen: must be a list of addresses, such as"),
        ({"listen": ["nowhere"]}, "nowhere"),
    ],
)
def test_speakers(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Speaker(**{"asn": 65000, "router_id": "10.0.0.1", **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"asn": 0}, "asn: must be"),
        ({"local_as": 0}, "local_as: must be"),
        ({"allow_own_as": -1}, "allow_own_as: must be a number of 0 or more"),
        ({"advertisement_interval": -1}, "advertisement_interval: must be"),
        ({"export_policy": "all"}, "export_policy: 'all' is no policy"),
        ({"import_policy": 5}, "import_policy: 5 is no policy"),
        ({"maximum_prefixes": 5}, "maximum_prefixes: must be a mapping by family"),
        ({"maximum_prefixes": {"ipv4": 5}}, "maximum_prefixes: 'ipv4' is no family"),
        ({"maximum_prefixes": {IPV4_UNICAST: -1}}, "maximum_prefixes: must be a number for ipv4-unicast"),
        ({"next_hops": {IPV4_UNICAST: "192.0.2.1"}}, "next_hops: must be the octets of an address"),
        ({"default_originate": {IPV4_UNICAST: True}}, "default_originate: must be a condition or None"),
        ({"conditional": (5,)}, "conditional: must be a tuple of Conditional"),
    ],
)
def test_peers(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PeerOptions(**{"asn": 65000, "address": "192.0.2.1", **given})  # type: ignore[arg-type]


def test_listen_ranges() -> None:
    speaker = Speaker(asn=65000, router_id="10.0.0.1")
    with pytest.raises(ValueError, match="limit: must be a whole number of 1 or more, not 0"):
        speaker.add_listen_range("10.0.0.0/8", PeerOptions(asn=65000), limit=0)


NET = "198.51.100.0/24"
HOST_BITS, NO_PEER, NO_FAMILY = "198.51.100.1/24", "127.0.0.8", "ipv4-unicast"
ATTRIBUTES = {"med": "5"}
WATCHED = {
    "paths": "some", "family": NO_FAMILY, "prefix": HOST_BITS, "within": 5, "peer": 5, "community": "1:2:3:4",
}  # fmt: skip
# One bad value of every parameter.
BAD: dict[str, dict[str, object]] = {
    "Speaker.__init__": {
        "asn": 0, "router_id": "router", "cluster_id": -1, "confederation": 64512, "listen": ["nowhere"],
        "on_event": 5, "max_paths": "many", "max_attribute_octets": -1, "lag_age": -1, "decision": "best",
        "stop_timeout": -1, "convergence_timeout": float("nan"), "preserved": ["ipv4"],
    },
    "Speaker.start": {},
    "Speaker.stop": {"communication": 5, "timeout": -1},
    "Speaker.listen": {"addresses": [179]},
    "Speaker.reflect_clients": {},
    "Speaker.set_limits": {"max_paths": -1, "max_attribute_octets": "many", "lag_age": -1},
    "Speaker.converged": {},
    "Speaker.events": {"limit": 0},
    "Speaker.watch": {**WATCHED, "since": -1, "limit": 2.5, "callback": 5},
    "Speaker.snapshot": WATCHED,
    "Speaker.best": {"family": NO_FAMILY},
    "Speaker.multipath": {"prefix": HOST_BITS},
    "Speaker.received": {"peer": NO_PEER, "family": NO_FAMILY},
    "Speaker.advertised": {"peer": NO_PEER, "family": NO_FAMILY},
    "Speaker.walk": {"walk": [5]},
    "Speaker.explain": {"prefix": b"\x18\xc6\x33\x64"},
    "Speaker.explain_to": {"peer": NO_PEER, "prefix": "here"},
    "Speaker.measure_lag": {"interval": 0},
    "Speaker.next_hop": {"address": "router", "cost": -1},
    "Speaker.next_hops": {"costs": {"192.0.2.1": 5}},
    "Speaker.resolve_next_hops": {"resolver": print},
    "Speaker.forwarding": {"forwarding": 5},
    "Speaker.installed": {"family": NO_FAMILY, "prefixes": {NET: True}},
    "Speaker.add_peer": {"options": {"asn": 65000}},
    "Speaker.change_peer": {"peer": NO_PEER, "options": {"asn": 65000}},
    "Speaker.remove_peer": {"peer": NO_PEER, "communication": 5},
    "Speaker.add_listen_range": {"prefix": HOST_BITS, "options": 5, "limit": 1.5},
    "Speaker.change_listen_range": {"listen_range": "192.0.2.0/24", "options": 5, "limit": 0},
    "Speaker.remove_listen_range": {"listen_range": "192.0.2.0/24", "communication": 5},
    "Speaker.set_password": {"who": NO_PEER, "password": 5},
    "Speaker.announce": {"prefix": HOST_BITS, "condition": NET, "attributes": ATTRIBUTES},
    "Speaker.blackhole": {"prefix": "224.0.0.1", "attributes": ATTRIBUTES},
    "Speaker.withdraw": {"prefix": 5},
    "Speaker.transaction": {},
    "Speaker.tap": {"address": "here", "callback": 5},
    "Speaker.aggregate": {"prefix": HOST_BITS, "origin_as": 0, "policy": "all"},
    "Speaker.remove_aggregate": {"prefix": HOST_BITS},
    "Peer.explain": {"prefix": HOST_BITS},
    "Peer.established": {},
    "Peer.start": {},
    "Peer.stop": {"communication": b"bye", "subcode": 256},
    "Peer.reset": {"communication": 5, "subcode": -1},
    "Peer.request_refresh": {"families": NO_FAMILY},
    "Peer.tap": {"callback": 5},
    "Peer.messages": {"limit": 0},
    "Tap.close": {},
    "Messages.close": {},
    "Messages.finish": {},
    "Messages.next": {},
    "Peer.set_policies": {"import_policy": "all", "export_policy": 5},
    "Announcement.__init__": {
        "prefix": HOST_BITS, "check": 5, "rise": 0, "fall": 1.5, "interval": 0, "timeout": -1,
        "condition": NET, "attributes": ATTRIBUTES,
    },
    "Announcement.withdraw": {},
    "Announcement.replace": {"attributes": ATTRIBUTES},
    "Announcement.advertised_to": {"peer": NO_PEER},
    "Announcement.in_fib": {},
    "Announcement.up": {},
    "Announcement.down": {},
    "Watch.call": {"callback": 5},
    "Watch.close": {},
    "Rib.exact": {"prefix": HOST_BITS},
    "Rib.longest_match": {"destination": "here"},
    "Rib.covering": {"destination": "192.0.2.256"},
    "Rib.covered": {"prefix": HOST_BITS},
    "Rib.routes": {"family": NO_FAMILY},
    "Rib.received": {"peer": NO_PEER, "family": NO_FAMILY},
    "Rib.advertised": {"peer": NO_PEER, "family": NO_FAMILY},
}  # fmt: skip
# What only simulations and recorders give, and whatever is either true or not.
UNCHECKED = {"Speaker.__init__": {"world", "connections"}}


def signatures() -> Iterator[tuple[str, inspect.Signature]]:
    """Yield what users may call or set, by name."""
    for kind, internal in INTERNAL.items():
        for name, value in vars(kind).items():
            made = name == "__init__" and kind in (Speaker, Announcement)
            if isinstance(value, property):
                value = value.fset
            if not inspect.isfunction(value) or name in internal or (name.startswith("_") and not made):
                continue
            if (
                kind.__name__ != "Watcher"
            ):  # as there is only `Speaker.events` to make one, and to give it things
                yield f"{kind.__name__}.{name}", inspect.signature(value)


def test_each_parameter_stands_in_the_table() -> None:
    wanted = {
        method: {
            name
            for name, parameter in signature.parameters.items()
            if name != "self" and parameter.annotation is not bool and name not in UNCHECKED.get(method, ())
        }
        for method, signature in signatures()
    }
    assert {method: set(given) for method, given in BAD.items()} == wanted


async def call(target: Any, method: str, good: dict[str, object], name: str, value: object) -> None:
    """Call a method of `target` with one bad value and what else it needs, to its end."""
    kind, _, attribute = method.rpartition(".")
    if attribute == "__init__":
        function = {"Speaker": Speaker, "Announcement": Announcement}[kind]
    elif isinstance(getattr(type(target), attribute), property):
        setattr(target, attribute, value)
        return
    else:
        function = getattr(target, attribute)
    parameters = inspect.signature(function).parameters
    given = {
        each: good[each]
        for each, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }
    positional: tuple[object, ...] = ()
    match parameters[name].kind:
        case inspect.Parameter.VAR_KEYWORD:
            assert isinstance(value, dict)
            given |= value
        case inspect.Parameter.VAR_POSITIONAL:
            positional = (value,)
        case _:
            given[name] = value
    if method == "Announcement.__init__" and name not in ("prefix", "attributes"):
        given.setdefault("check", check)
    found = function(*positional, **given)
    if inspect.iscoroutine(found):
        await found
    elif isinstance(found, AsyncIterator):
        await all_of(found)
    elif isinstance(found, Iterator):
        list(found)


async def test_bad_arguments_are_refused_by_name_before_anything_is_sent() -> None:
    first = Speaker(asn=65000, router_id="10.0.0.1", listen=["127.0.0.1:0"])
    second = Speaker(asn=65000, router_id="10.0.0.2")
    async with first, second, asyncio.timeout(TIMEOUT):
        some = first.add_listen_range("127.0.0.0/8", PeerOptions(asn=65000))
        host, port = first.listening[0]
        there = second.add_peer(PeerOptions(asn=65000, address=host, port=port))
        await there.established()
        handle = first.announce(NET, next_hop="192.0.2.1")
        await has_routes(second, IPV4_UNICAST, NET)
        (peer,) = first.peers
        targets = {
            "Speaker": first,
            "Peer": peer,
            "Announcement": handle,
            "Watch": first.watch(),
            "Rib": first.rib,
        }
        good: dict[str, object] = {
            "asn": 65000, "router_id": 1, "addresses": [], "peer": peer, "family": IPV4_UNICAST, "walk": None,
            "prefix": "192.0.2.0/24", "address": "192.0.2.1", "cost": 5, "costs": {}, "resolver": None,
            "prefixes": {}, "options": PeerOptions(asn=65000), "listen_range": some, "who": peer,
            "password": None, "import_policy": None, "export_policy": None, "callback": print,
            "destination": NET,
        }  # fmt: skip
        sent, wrong = peer.traffic.sent[MessageType.UPDATE], []
        for method, values in BAD.items():
            for name, value in values.items():
                words = next(iter(ATTRIBUTES)) if name == "attributes" else name
                try:
                    await call(targets[method.partition(".")[0]], method, good, name, value)
                except ValueError as error:
                    if not str(error).startswith(f"{words}: "):
                        wrong.append(f"{method}({name}): {error}")
                except Exception as error:
                    wrong.append(f"{method}({name}): {error!r}")
                else:
                    wrong.append(f"{method}({name}): taken")
        assert wrong == []
        # Nothing of it has left a trace.
        assert (
            first.peers == (peer,)
            and first.listen_ranges == (some,)
            and list(first.best(IPV4_UNICAST)) == [NET]
        )
        assert handle.active and handle.attributes.med is None and peer.times_established == 1
        handle.replace(next_hop="192.0.2.2")
        await handle.advertised_to(peer)
        assert peer.traffic.sent[MessageType.UPDATE] == sent + 1
