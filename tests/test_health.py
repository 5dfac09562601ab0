"""Health-checked routes: there while their check passes, whatever the check does."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

import pytest
from rawpeer import TIMEOUT

from bgp import IPV4_UNICAST, Announcement, NotAdvertised, PeerOptions, Speaker

ASN = 65000
NET = "198.51.100.53/32"


class Service:
    """What is checked: `does` is what the check does, and `asked` how often it was."""

    def __init__(self, does: Callable[[], object]) -> None:
        self.does = does
        self.asked = 0
        self.more = asyncio.Event()

    async def check(self) -> bool | None:
        self.asked += 1
        self.more.set()
        found = self.does()
        if asyncio.iscoroutine(found):
            await found
            return True
        assert found is None or isinstance(found, bool)
        return found

    async def checks(self, number: int) -> None:
        """Wait until it was checked so many times more, and the last of them was counted."""
        async with asyncio.timeout(TIMEOUT):
            for _ in range(number + 1):
                self.more.clear()
                await self.more.wait()


def checked(speaker: Speaker, service: Service, **options: object) -> Announcement:
    given = {"rise": 2, "fall": 2, "interval": 0.001, "timeout": 0.05, **options}
    return speaker.announce(Announcement(NET, check=service.check, **given))  # type: ignore[arg-type]


def fails() -> None:
    raise OSError("nobody answers")


async def stubborn() -> None:
    """Ends when it is canceled for the second time."""
    for _ in range(2):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1000)


@pytest.mark.parametrize(
    ("does", "words"),
    [
        (lambda: False, "it says so"),
        (fails, "OSError: nobody answers"),
        (lambda: asyncio.sleep(1000), "no answer within 0.05 s"),
        (stubborn, "an earlier check still runs, though it was canceled"),
    ],
)
async def test_it_comes_and_goes_with_the_check(
    does: Callable[[], object], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
        service = Service(lambda: True)
        async with checked(speaker, service, med=7) as route:
            assert not route.healthy and speaker.best(IPV4_UNICAST) == {}
            assert await asyncio.wait_for(route.up(), TIMEOUT) is route
            assert route.healthy and route.active and route.checks == service.asked == 2
            assert speaker.best(IPV4_UNICAST)[NET].attributes.med == 7
            service.does = does
            await asyncio.wait_for(route.down(), TIMEOUT)
            assert not route.active and speaker.best(IPV4_UNICAST) == {}
            while route.last_failure != words:
                await asyncio.sleep(0.001)
            for _ in range(5):
                await asyncio.sleep(0.01)
            assert caplog.text.count("the check fails") <= 2  # once for each reason
            assert caplog.text.count("withdrawn, 2 checks failed in a row") == 1
            if does is not stubborn:
                service.does = lambda: None
                await asyncio.wait_for(route.up(), TIMEOUT)
                assert route.active
        assert not route.healthy and not route.active
        assert speaker.best(IPV4_UNICAST) == {}


async def test_rise_and_fall_count_what_comes_in_a_row() -> None:
    async with Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
        answers = iter([True, True, False, True, True, True, False, False, True, False, False, False])
        seen: list[bool] = []
        over = asyncio.Event()

        async def check() -> bool:
            seen.append(route.healthy)
            answer = next(answers, None)
            if answer is None:
                over.set()
            return bool(answer)

        route = Announcement(NET, check=check, rise=3, fall=3, interval=0.001)
        async with speaker.announce(route):
            await asyncio.wait_for(over.wait(), TIMEOUT)
        # What it is before each check.
        assert seen[:13] == [False] * 6 + [True] * 6 + [False]


async def test_the_end_withdraws_at_once_and_does_not_wait_for_ever() -> None:
    async with Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
        service = Service(lambda: True)
        route = checked(speaker, service, timeout=5)
        async with route:
            await asyncio.wait_for(route.up(), TIMEOUT)
            service.does = lambda: asyncio.sleep(1000)
            await service.checks(0)
            with pytest.raises(ValueError, match="announced already"):
                speaker.announce(route)
            start = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - start < 0.5
        assert not route.healthy and speaker.best(IPV4_UNICAST) == {}
        with pytest.raises(ZeroDivisionError):
            async with speaker.announce(route):
                raise ZeroDivisionError
        async with checked(speaker, Service(stubborn), timeout=5) as route:
            await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - start < 3


async def test_canceled_in_the_middle_it_is_withdrawn() -> None:
    async with Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
        up = asyncio.Event()

        async def serve() -> None:
            async with checked(speaker, Service(lambda: True)) as route:
                await route.up()
                up.set()
                await asyncio.sleep(1000)

        task = asyncio.create_task(serve())
        await asyncio.wait_for(up.wait(), TIMEOUT)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert speaker.best(IPV4_UNICAST) == {}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rise": 0}, "rise: must be a number of checks, 1 or more, not 0"),
        ({"fall": "2"}, "fall: must be"),
        ({"interval": 0}, "interval: must be a number of seconds above 0"),
        ({"timeout": float("inf")}, "timeout: must be"),
        ({"rise": True}, "rise: must be"),
        ({"timeout": "1"}, "timeout: must be"),
        ({"check": 5}, "check: must be an asynchronous function"),
        ({"check": None, "rise": 2}, "check: rise, fall, interval and timeout are those of a check"),
        ({"condition": 7}, "condition: 7 is no condition"),
        ({"prefix": "198.51.100.1/24"}, "prefix: "),
        ({"med": -1}, "med: must be"),
    ],
)
def test_bad_arguments_do_not_wait_for_the_check(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Announcement(**{"prefix": NET, "check": Service(lambda: True).check, **given})  # type: ignore[arg-type]


async def test_what_is_announced_may_be_made_before() -> None:
    route = Announcement(NET, med=7)
    assert not route.active and not route.healthy and route.attributes.med == 7
    for early in (route.withdraw, route.replace):
        with pytest.raises(RuntimeError, match=r"belongs to no speaker yet: give it to speaker\.announce"):
            early()
    async with Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
        with pytest.raises(ValueError, match="med: give it to the Announcement"):
            speaker.announce(route, med=5)
        assert speaker.announce(route) is route and route.active and route.healthy
        with pytest.raises(ValueError, match="announced already"):
            speaker.announce(route)
        with pytest.raises(RuntimeError, match="no check to wait for"):
            await route.up()
        await asyncio.sleep(0.01)
        assert speaker.best(IPV4_UNICAST)[NET].attributes.med == 7
        route.withdraw()
        assert not route.active
        async with speaker.transaction():
            speaker.announce(route)
            await asyncio.sleep(0.01)
            assert speaker.best(IPV4_UNICAST) == {}
        assert speaker.best(IPV4_UNICAST)[NET].attributes.med == 7


async def test_what_is_replaced_while_the_check_fails_is_announced_later() -> None:
    async with Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
        service = Service(lambda: False)
        route = checked(speaker, service, med=7)
        await service.checks(2)
        route.replace(med=9)
        assert speaker.best(IPV4_UNICAST) == {} and route.attributes.med == 9
        with pytest.raises(ValueError, match="med: must be"):
            route.replace(med=-1)
        peer = speaker.add_peer(PeerOptions(address="127.0.0.9", asn=ASN))
        with pytest.raises((NotAdvertised, ConnectionError)):
            await route.advertised_to(peer)
        service.does = lambda: True
        await asyncio.wait_for(route.up(), TIMEOUT)
        assert speaker.best(IPV4_UNICAST)[NET].attributes.med == 9
        route.replace(med=11)
        asked = service.asked
        route.withdraw()
        await asyncio.wait_for(route.down(), TIMEOUT)
        await asyncio.sleep(0.02)
        assert service.asked <= asked + 1, "it is checked no more"
        assert speaker.best(IPV4_UNICAST) == {}
    # The speaker's end is that of its checks.
    async with Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
        service = Service(lambda: True)
        route = checked(speaker, service)
        await asyncio.wait_for(route.up(), TIMEOUT)
    asked = service.asked
    await asyncio.sleep(0.02)
    assert service.asked <= asked + 1 and not route.healthy
