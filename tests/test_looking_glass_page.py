"""The looking glass in a real browser: each view in both widths and themes, clicks, hostile words, a restart.

The browser's console must stay empty, nothing may be asked of another place, nothing may be wider than the
screen, and no word of a peer may become markup.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from browser import Browser, browser
from service import ASN, Cluster, running

from bgp import PeerOptions
from reflector.app import Service

sys.path.insert(0, str(Path(__file__).parent / "interop"))
import daemons

HTTP = '\n[http]\nlisten = ["127.0.0.1:0"]\nlooking_glass = true\n'
WIDTHS = {"desktop": (1440, 900), "phone": (390, 844)}
# What a peer or an operator may be called, or say.
HOSTILE = '<img src=x onerror="document.title=1/0"><script>window.hit=1</script>'
DYNAMIC = "javascript:window.hit=2"
DOWN = 5000
CHECKS = (Path(__file__).parent / "page_checks.js").read_text()
VIEWS = {
    "#/": "sessions are down",
    "#/neighbors": "5,004 neighbors",
    "#/neighbors?state=Established": "2 of 5,004 neighbors",
    "#/neighbor/127.0.0.11": "What was agreed",
    f"#/neighbor/{quote(HOSTILE, safe='')}": "There is no session",
    "#/neighbor/nobody": "there is no neighbor",
    "#/routes": "Rows 1 to 50, and there are more",
    "#/routes?prefix=10.1.2.3": "10.1.0.0/16",
    "#/routes?community=64512:1": "198.18.1.0/24",
    "#/routes?prefix=300.1.1.1": "write such as",
    "#/explain?prefix=10.99.0.0/24&to=127.0.0.12": "lost at rung 11",
    "#/explain": "Enter a prefix",
    "#/explain?prefix=203.0.113.1": "there is no path",
    "#/picture": "AS 64512",
    "#/picture?prefix=10.1.0.0/16": "came from",
    "#/history": "Convergence and churn",
    "#/history?span=day": "a point a minute",
    "#/events?routes=1": "was added",
    "#/no-such-view": "There is nothing here",
}


def chromium() -> daemons.Program:
    program = daemons.find("chromium")
    if program is None and os.environ.get("CI"):
        pytest.fail("chromium is demanded in CI: python tests/interop/daemons.py install", pytrace=False)
    if program is None:
        pytest.skip("no chromium: as root: python tests/interop/daemons.py install")
    return program


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Browser]:
    program = chromium()
    async with browser(program.argv, {**os.environ, **program.environment}, tmp_path) as found:
        yield found


def base(cluster: Cluster) -> str:
    http = cluster.service.doors.http

    return "http://{}:{}/".format(*http.addresses[0])


async def populate(cluster: Cluster) -> None:
    """Add neighbors that will never come, and routes that are worth a look."""
    speaker = cluster.service.speaker
    for name in (HOSTILE, DYNAMIC):
        speaker.add_peer(
            PeerOptions(asn=ASN, address=f"127.8.0.{len(name)}", name=name, description=HOSTILE, passive=True)
        )
    for number in range(DOWN):
        address = f"127.7.{number // 250}.{number % 250 + 1}"
        speaker.add_peer(PeerOptions(asn=ASN, address=address, name=f"node{number}", passive=True))
        if number % 250 == 249:
            await asyncio.sleep(0)
    first, second = cluster.clients
    for number in range(60):
        first.announce(f"10.200.{number}.0/24", next_hop="10.0.0.1", communities=["64512:200"])
    second.announce("10.99.0.0/24", next_hop="10.0.0.2", local_pref=200)
    first.announce("10.99.0.0/24", next_hop="10.0.0.1", local_pref=200)
    async with asyncio.timeout(60):
        while len(await cluster.ask("routes", prefix="10.99.0.0/24")) != 2 or speaker.router.rib.routes < 66:
            await asyncio.sleep(0.05)


async def see(page: Browser, cluster: Cluster, hash: str, wanted: str) -> None:
    await page.run(f"location.hash = {hash!r}")
    await page.until(f"document.querySelector('main').innerText.includes({wanted!r})")


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    chromium()
    async with running(tmp_path, HTTP) as found:
        await populate(found)
        yield found


async def test_every_view_in_both_widths_and_themes(page: Browser, cluster: Cluster, tmp_path: Path) -> None:
    page.expected = ("400 (Bad Request)",)
    grounds = set()
    for width, size in WIDTHS.items():
        for theme in ("light", "dark"):
            await page.look(*size, theme)
            await page.call("Page.navigate", url="about:blank")
            await page.call("Page.navigate", url=base(cluster))
            await page.until("document.querySelector('.link.live') !== null")
            await page.run(CHECKS)
            for hash, wanted in VIEWS.items():
                await see(page, cluster, hash, wanted)
                wide = await page.run("[document.documentElement.scrollWidth, innerWidth]")
                assert wide[0] <= wide[1], (width, theme, hash, wide, await page.run("widest()"))
                assert await page.run("nameless()") == [], (hash, await page.run("nameless()"))
                if theme == "light" or hash == "#/":
                    assert await page.run("faint()") == [], (width, theme, hash, await page.run("faint()"))
            grounds.add((theme, await page.run("getComputedStyle(document.body).backgroundColor")))
            picture = tmp_path / f"{width}-{theme}.png"
            await page.screenshot(picture)
            assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 5000
    assert len({ground for _, ground in grounds}) == len(grounds) == 2
    assert page.faults == []
    assert {urlsplit(each).netloc for each in page.requests if not each.startswith("about:")} == {
        urlsplit(base(cluster)).netloc
    }


async def test_a_click_through(page: Browser, cluster: Cluster) -> None:
    await page.look(*WIDTHS["desktop"], "light")
    await page.call("Page.navigate", url=base(cluster) + "#/neighbors")
    # Of five thousand rows only those in view are there, and the last one can be reached.
    await page.until("document.querySelector('main').innerText.includes('5,004 neighbors')")
    assert await page.run("document.querySelectorAll('.scroll .tr').length") < 60
    await page.run("document.querySelector('.scroll').scrollTop = 1e9")
    await page.until(
        "[...document.querySelectorAll('.scroll .tr')].some(e => e.innerText.includes('node4999'))"
    )
    await page.type("main input[type=search]", "node4999")
    await page.until("document.querySelector('main .notice').innerText.startsWith('1 of 5,004')")
    assert "q=node4999" in await page.run("location.hash")
    # By the keyboard: choose the row, open it, and come back.
    await page.type("main input[type=search]", "127.0.0.1")
    await page.until("document.querySelector('main .notice').innerText.startsWith('2 of 5,004')")
    await page.run("document.querySelector('.scroll').focus()")
    await page.press("ArrowDown", 40)
    await page.until("document.querySelector('.scroll .tr.active').innerText.includes('127.0.0.12')")
    await page.press("Enter", 13, "\r")
    await page.until("document.querySelector('h1').innerText.includes('127.0.0.12')")
    await page.run("history.back()")
    await page.until("document.querySelector('main .notice')?.innerText.startsWith('2 of 5,004')")
    # A column sorts, and says so.
    await page.run("document.querySelector('[data-sort=received] button').click()")
    await page.until("document.querySelector('[data-sort=received]').ariaSort === 'descending'")
    # A route is searched for, found, and explained.
    await page.run("document.querySelector('[data-view=routes]').click()")
    await page.until("document.querySelector('input[name=prefix]') !== null")
    await page.type("input[name=prefix]", "10.99.0.7")
    await page.press("Enter", 13, "\r")
    await page.until("document.querySelectorAll('table.rows tbody tr').length === 2")
    await page.run("document.querySelector('table.rows tbody a').click()")
    await page.until("document.querySelector('.ladder td.lost') !== null")
    assert "identifier" in await page.text(".ladder tr.decides")
    assert "RFC 4271 9.1.2.2 f" in await page.text(".ladder tr.decides")
    await page.type("input[name=to]", "127.0.0.12")
    await page.press("Enter", 13, "\r")
    await page.until("document.querySelector('main').innerText.includes('Towards 127.0.0.12')")
    assert "ORIGINATOR_ID" in await page.text()
    # Pages of routes.
    await see(page, cluster, "#/routes?community=64512:200", "Rows 1 to 50, and there are more")
    await page.run(
        "[...document.querySelectorAll('.pager button')].find(e => e.innerText === 'More').click()"
    )
    await page.until("document.querySelector('.pager').innerText.includes('Rows 51 to 60, the last ones')")
    # The theme.
    before = await page.run("getComputedStyle(document.body).backgroundColor")
    for _ in range(2):
        await page.run("document.querySelector('#theme').click()")
    await page.until(f"getComputedStyle(document.body).backgroundColor !== {before!r}")
    assert page.faults == []


async def test_what_happens_is_seen_as_it_happens(page: Browser, cluster: Cluster) -> None:
    await page.look(*WIDTHS["desktop"], "dark")
    await page.call("Page.navigate", url=base(cluster) + "#/events?routes=1&within=10.0.0.0/8")
    await page.until("document.querySelector('.events .event') !== null")
    await page.until("document.querySelector('.link.live') !== null")
    # What another process may say of itself ends up here, and stays text.
    said = f"maintenance {HOSTILE}"[:100]
    text = "[...document.querySelectorAll('.events .event')].some(e => e.innerText.includes({!r}))"
    peer = cluster.clients[1].peers[0]
    peer.stop(said)
    await page.until(text.format("maintenance <img"))
    await page.until(text.format("10.2.0.0/16 withdrawn"))
    # Paused, nothing moves; then it comes.
    await page.run("[...document.querySelectorAll('button')].find(e => e.innerText === 'Pause').click()")
    peer.start()
    await page.until("document.querySelector('main .notice').innerText.startsWith('Paused: ')")
    await page.until("!document.querySelector('main .notice').innerText.startsWith('Paused: 0')")
    assert not await page.run(text.format("10.2.0.0/16 added"))
    await page.run("[...document.querySelectorAll('button')].find(e => e.innerText === 'Go on').click()")
    await page.until(text.format("10.2.0.0/16 added"))
    # And the overview knows it without being asked again.
    await see(page, cluster, "#/", "5,002 of 5,004 sessions are down")
    assert await page.run("[window.hit === undefined, document.querySelectorAll('main img').length]") == [
        True,
        0,
    ]
    assert page.faults == []


async def test_a_service_that_goes_away_and_comes_back(page: Browser, tmp_path: Path) -> None:
    chromium()
    page.expected = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE",
                     "ERR_CONNECTION_RESET", "ERR_SOCKET_NOT_CONNECTED")  # fmt: skip
    first = tmp_path / "first"
    async with running(first, HTTP) as cluster:
        port = urlsplit(base(cluster)).port
        text = HTTP.replace(":0", f":{port}")
        await page.call("Page.navigate", url=base(cluster))
        await page.until("document.querySelector('h1').innerText.includes('All 2 sessions are up')")
    await page.until("document.querySelector('#banner').innerText.includes('has not answered since')")
    assert "All 2 sessions are up" in await page.text("h1")
    async with running(tmp_path / "second", text) as cluster:
        await page.until("document.querySelector('.banner.note')?.innerText.includes('was restarted')")
        await page.until(
            "document.querySelector('#banner').hidden && document.querySelector('.link.live') !== null"
        )
        await page.until("document.querySelector('h1').innerText.includes('All 2 sessions are up')")
    assert isinstance(cluster.service, Service)
    assert page.faults == []
