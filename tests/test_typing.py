"""Who checks types strictly sees no Any in the public names."""

import subprocess
import sys
from pathlib import Path

import pytest

import bgp

ROOT = Path(__file__).parent.parent
PROGRAM = '''
import asyncio
from ipaddress import IPv4Network, IPv6Network, ip_network

from bgp import (
    ACCEPT_ALL, IPV4_UNICAST, Announcement, NotAdvertised, Peer, PeerDown,
    PeerEvent, PeerOptions, RouteAttributes, Speaker, exists,
)
from fib import BLACKHOLE, Fib, KernelFib, Problem, Route, via


async def check() -> bool:
    return True


def heard(event: PeerEvent) -> None:
    print(event.kind, event.text)


async def written(fib: Fib | KernelFib) -> list[Problem]:
    """Whatever is a prefix may be the key, of one type or of several."""
    texts: dict[str, Route] = {"192.0.2.0/24": BLACKHOLE}
    networks: dict[IPv4Network, Route] = {IPv4Network("192.0.2.0/24"): via("203.0.113.1")}
    several: dict[str | IPv6Network, Route | None] = {"192.0.2.0/24": None}
    pairs: list[tuple[str, Route]] = [("192.0.2.0/24", BLACKHOLE)]
    return [
        *await fib.apply(texts),
        *await fib.apply(networks),
        *await fib.apply(several),
        *await fib.apply(pairs),
        *await fib.apply([(IPv4Network("192.0.2.0/24"), None), ("2001:db8::/32", BLACKHOLE)]),
        *await fib.apply({"192.0.2.0/24": BLACKHOLE, "2001:db8::/32": None}),
    ]


async def main() -> None:
    async with Speaker(asn=64512, router_id="192.0.2.1", listen=["127.0.0.1:0"], on_event=heard) as speaker:
        peer: Peer = speaker.add_peer(PeerOptions(asn=64512, address="192.0.2.2", export_policy=ACCEPT_ALL))
        await peer.established()
        negotiated = peer.negotiated
        if negotiated is not None:
            print(negotiated.hold_time, peer.state.label, peer.traffic.octets_sent)
        attributes: RouteAttributes = {"med": 5, "communities": ["65000:1", (65000, 2), 7]}
        wanted = exists("192.0.2.0/24")
        route: Announcement = speaker.announce("203.0.113.0/24", condition=wanted, **attributes)
        try:
            await route.advertised_to(peer)
        except NotAdvertised as refused:
            print(refused.reason.name, refused.reason.section, refused.reason.text)
        except PeerDown as down:
            print(down)
        route.replace(as_path=[65001, 65002], large_communities=["1:2:3"], next_hop="192.0.2.1")
        print(route.attributes.med, route.attributes.communities, route.active)
        async with speaker.transaction():
            async with speaker.announce(ip_network("198.51.100.0/24"), origin="egp") as other:
                print(str(other))
            speaker.blackhole("203.0.113.7/32")
        checked: Announcement = speaker.announce(Announcement("203.0.113.9/32", check=check, rise=2, med=1))
        async with checked:
            announcement: Announcement = await checked.up()
            announcement.withdraw()
        for prefix, path in speaker.best(IPV4_UNICAST).items():
            print(prefix, path.attributes.as_path, path.attributes.next_hop)
        for told in speaker.explain_to(peer, "203.0.113.0/24"):
            print(told.reason)
        effect = speaker.change_peer(peer, PeerOptions(asn=64512, address="192.0.2.2", hold_time=30))
        print(effect.name)
        with speaker.events() as events:
            async for event in events:
                print(event.peer, event.state)


asyncio.run(main())
'''  # fmt: skip
WRONG = """
from bgp import Speaker
from fib import BLACKHOLE, Fib

speaker = Speaker(asn=64512, router_id="192.0.2.1")
speaker.announce("203.0.113.0/24", med="5")
speaker.announce("203.0.113.0/24", colour=5)


async def written(fib: Fib) -> None:
    await fib.apply({5: BLACKHOLE})
"""


def judged(program: str, folder: Path) -> tuple[int, str]:
    """Return what mypy says of a program, with no Any allowed in any expression of it."""
    path = folder / "program.py"
    path.write_text(program)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--disallow-any-expr", "--no-incremental"),
            *("--config-file", "/dev/null", "--follow-imports", "silent", str(path)),
        ],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=ROOT,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_a_program_without_any(tmp_path: Path) -> None:
    status, said = judged(PROGRAM, tmp_path)
    assert status == 0, said
    status, said = judged(WRONG, tmp_path)
    assert status == 1 and "med" in said and "colour" in said and "PrefixKey" in said, said


def test_every_example_is_typed() -> None:
    examples = sorted(map(str, (ROOT / "examples").glob("*.py")))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases", *examples],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_says_that_it_has_types() -> None:
    assert (Path(bgp.__file__).parent / "py.typed").exists()
