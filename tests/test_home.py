"""Whatever a user may call belongs to the loop of its speaker, and says so in another thread.

The tables name every public method; one that is new fails until it stands in one of them.
"""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine

from rawpeer import TIMEOUT

from bgp import IPV4_UNICAST, Announcement, Peer, PeerOptions, Speaker
from bgp.aio.events import Watcher
from bgp.aio.lookup import Rib
from bgp.aio.tap import Messages, Tap
from bgp.aio.transaction import Transaction
from bgp.aio.watch import Watch

NET = "198.51.100.0/24"
OTHER = PeerOptions(asn=65000, address="127.0.0.9")

# What the speaker, its parts and the service call among themselves.
INTERNAL = {
    Speaker: {"peer_established", "peer_idle"},
    Peer: {
        *("refuse", "remove", "drop", "accept", "prepare", "settings", "set_password", "change", "alarm"),
        *("link_opened", "link_established", "link_malformed", "link_ended", "link_changed", "notice"),
        "link_attached",
    },
    Announcement: set(),
    Transaction: set(),
    Watch: {"finish"},
    Watcher: {"put", "finish"},
    Tap: {"tell", "join", "leave"},
    Messages: set(),
    Rib: set(),
}


async def check() -> bool:
    return True


async def all_of(some: AsyncIterator[object]) -> None:
    async for _ in some:
        pass


def calls(speaker: Speaker) -> dict[str, Callable[[], object]]:
    """Return what calls each method, coroutines as such."""
    peer = speaker.peers[0]
    plain = speaker.announce("203.0.113.0/24")
    checked = speaker.announce(Announcement("203.0.113.9", check=check, interval=60))
    some, family = speaker.listen_ranges[0], IPV4_UNICAST
    tap, messages = peer.tap(print), peer.messages()
    watch, watcher, transaction = speaker.watch(), speaker.events(), speaker.transaction()
    return {
        "Speaker.start": speaker.start,
        "Speaker.stop": speaker.stop,
        "Speaker.__aenter__": speaker.__aenter__,
        "Speaker.listen": lambda: speaker.listen([]),
        "Speaker.set_limits": lambda: speaker.set_limits(max_paths=5),
        "Speaker.reflect_clients": lambda: speaker.reflect_clients(False),
        "Speaker.tap": lambda: speaker.tap("127.0.0.8", print),
        "Speaker.converged": speaker.converged,
        "Speaker.events": speaker.events,
        "Speaker.watch": speaker.watch,
        "Speaker.snapshot": speaker.snapshot,
        "Speaker.best": lambda: speaker.best(family),
        "Speaker.multipath": lambda: speaker.multipath(NET),
        "Speaker.received": lambda: speaker.received(peer, family),
        "Speaker.advertised": lambda: speaker.advertised(peer, family),
        "Speaker.walk": lambda: all_of(speaker.walk(speaker.router.rib.walk_best(family))),
        "Speaker.explain": lambda: speaker.explain(NET),
        "Speaker.explain_to": lambda: speaker.explain_to(peer, NET),
        "Speaker.measure_lag": speaker.measure_lag,
        "Speaker.next_hop": lambda: speaker.next_hop("192.0.2.1", 5),
        "Speaker.next_hops": lambda: speaker.next_hops({}),
        "Speaker.resolve_next_hops": lambda: speaker.resolve_next_hops(None),
        "Speaker.installed": lambda: speaker.installed(family, {}),
        "Speaker.add_peer": lambda: speaker.add_peer(OTHER),
        "Speaker.change_peer": lambda: speaker.change_peer(peer, OTHER),
        "Speaker.remove_peer": lambda: speaker.remove_peer(peer),
        "Speaker.add_listen_range": lambda: speaker.add_listen_range("10.0.0.0/8", PeerOptions(asn=1)),
        "Speaker.change_listen_range": lambda: speaker.change_listen_range(some, PeerOptions(asn=1)),
        "Speaker.remove_listen_range": lambda: speaker.remove_listen_range(some),
        "Speaker.set_password": lambda: speaker.set_password(peer, "secret"),
        "Speaker.announce": lambda: speaker.announce(NET),
        "Speaker.blackhole": lambda: speaker.blackhole(NET),
        "Speaker.withdraw": lambda: speaker.withdraw("203.0.113.0/24"),
        "Speaker.transaction": lambda: speaker.transaction().__aenter__(),
        "Speaker.aggregate": lambda: speaker.aggregate(NET),
        "Speaker.remove_aggregate": lambda: speaker.remove_aggregate(NET),
        "Peer.explain": lambda: peer.explain(NET),
        "Peer.established": peer.established,
        "Peer.start": peer.start,
        "Peer.stop": peer.stop,
        "Peer.reset": peer.reset,
        "Peer.request_refresh": peer.request_refresh,
        "Peer.tap": lambda: peer.tap(print),
        "Peer.messages": peer.messages,
        "Tap.close": tap.close,
        "Messages.close": messages.close,
        "Messages.finish": messages.finish,
        "Messages.next": messages.next,
        "Messages.__anext__": messages.__anext__,
        "Peer.set_policies": lambda: peer.set_policies(None, None),
        "Announcement.withdraw": plain.withdraw,
        "Announcement.replace": lambda: plain.replace(med=1),
        "Announcement.advertised_to": lambda: plain.advertised_to(peer),
        "Announcement.in_fib": plain.in_fib,
        "Announcement.up": checked.up,
        "Announcement.down": checked.down,
        "Announcement.__aenter__": plain.__aenter__,
        "Transaction.__aenter__": transaction.__aenter__,
        "Watch.call": lambda: watch.call(print),
        "Watch.close": watch.close,
        "Watch.__anext__": watch.__anext__,
        "Watcher.close": watcher.close,
        "Watcher.__anext__": watcher.__anext__,
        "Rib.exact": lambda: speaker.rib.exact(NET),
        "Rib.longest_match": lambda: speaker.rib.longest_match(NET),
        "Rib.covering": lambda: next(speaker.rib.covering(NET), None),
        "Rib.covered": lambda: all_of(speaker.rib.covered(NET)),
        "Rib.routes": lambda: all_of(speaker.rib.routes(family)),
        "Rib.received": lambda: all_of(speaker.rib.received(peer, family)),
        "Rib.advertised": lambda: all_of(speaker.rib.advertised(peer, family)),
    }


def public() -> set[str]:
    """Return the names of all public methods."""
    return {
        f"{kind.__name__}.{name}"
        for kind, internal in INTERNAL.items()
        for name, value in vars(kind).items()
        if inspect.isfunction(value) and name not in internal
        if not name.startswith("_") or name in ("__aenter__", "__anext__")
    }


async def run(coroutine: Coroutine[object, object, object]) -> None:
    await asyncio.wait_for(coroutine, TIMEOUT)


async def test_every_method_is_refused_in_another_thread() -> None:
    async with Speaker(asn=65000, router_id="10.0.0.1") as speaker:
        speaker.add_peer(PeerOptions(asn=65000, address="127.0.0.8", passive=True))
        speaker.add_listen_range("192.0.2.0/24", PeerOptions(asn=65000))
        wanted = calls(speaker)
        assert wanted.keys() == public()
        said: dict[str, object] = {}

        def elsewhere() -> None:
            for name, call in wanted.items():
                try:
                    found = call()
                    said[name] = asyncio.run(run(found)) if inspect.iscoroutine(found) else "nothing"
                except Exception as error:
                    said[name] = error

        thread = threading.Thread(target=elsewhere)
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.01)
        wrong = {
            name: answer
            for name, answer in said.items()
            if not isinstance(answer, RuntimeError) or "call_soon_threadsafe" not in str(answer)
        }
        assert wrong == {}
        assert said.keys() == wanted.keys()
        assert [peer.name for peer in speaker.peers] == ["127.0.0.8"]


async def test_what_the_refusal_advises_works() -> None:
    async with Speaker(asn=65000, router_id="10.0.0.1") as speaker:
        handle = speaker.announce(NET)
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def elsewhere() -> None:
            loop.call_soon_threadsafe(handle.withdraw)
            loop.call_soon_threadsafe(done.set)

        threading.Thread(target=elsewhere).start()
        await asyncio.wait_for(done.wait(), TIMEOUT)
        assert not handle.active
