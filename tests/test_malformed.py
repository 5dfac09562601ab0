"""Malformed UPDATEs in the log, as RFC 7606 section 6 wants: reason, routes, and the whole message."""

import asyncio
import logging

import pytest
from judging import AS_PATH, INTERNAL, LOCAL_PREF, MANDATORY, NEXT_HOP, ORIGIN, PREFIX, update
from rawpeer import TIMEOUT, RawPeer, has_routes

from bgp import IPV4_UNICAST, PeerOptions, Speaker
from bgp.aio.malformed import INTERVAL, Malformed
from bgp.iana import MessageType
from bgp.wire.attributes import AttributeTable, attribute
from bgp.wire.framing import frame
from bgp.wire.update import decode

ASN = 65000
BAD_ORIGIN = update(attribute(0x40, 1, b"\x07") + AS_PATH + NEXT_HOP + LOCAL_PREF, PREFIX)
BAD_AGGREGATOR = update(MANDATORY + LOCAL_PREF + attribute(0xC0, 7, b"?"), PREFIX)
OVERRUN = update(MANDATORY + LOCAL_PREF, PREFIX[:-1])
GOOD = update(ORIGIN + AS_PATH + NEXT_HOP + LOCAL_PREF, PREFIX)


@pytest.mark.parametrize(
    ("body", "level", "words"),
    [
        (
            BAD_ORIGIN,
            logging.WARNING,
            "treat-as-withdraw: ORIGIN must be 0, 1 or 2 (RFC 7606 7.1) at octet 23",
        ),
        (BAD_AGGREGATOR, logging.INFO, "attribute-discard: the length of AGGREGATOR"),
    ],
)
def test_a_softened_update_is_logged_whole(
    body: bytes, level: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    Malformed("peer").softened(decode(body, INTERNAL, AttributeTable()), 0.0)
    (record,) = caplog.records
    text = record.getMessage()
    assert record.levelno == level and text.startswith("peer: malformed UPDATE, ") and words in text
    assert "198.51.100.0/24" in text and frame(MessageType.UPDATE, body).hex() in text


def test_one_line_a_minute_tells_how_many_were_silent(caplog: pytest.LogCaptureFixture) -> None:
    malformed = Malformed("peer")
    bad = decode(BAD_ORIGIN, INTERNAL, AttributeTable())
    for now in range(1000):
        malformed.softened(bad, now / 1000)
    assert len(caplog.records) == 1 and malformed.total == 1000
    malformed.refused("the reason", b"\xff", INTERVAL)
    assert "session-reset: the reason" in caplog.text and "(and 999 before it)" in caplog.text
    malformed.softened(bad, 2 * INTERVAL)
    assert "before it" not in caplog.records[-1].getMessage()


def test_a_good_update_keeps_no_octets() -> None:
    assert decode(GOOD, INTERNAL, AttributeTable()).body == b""
    assert decode(BAD_ORIGIN, INTERNAL, AttributeTable()).body == BAD_ORIGIN


async def test_a_session_reports_them_and_the_old_route_goes(caplog: pytest.LogCaptureFixture) -> None:
    """RFC 7606 6: treat-as-withdraw is not dropping the UPDATE."""
    speaker = Speaker(asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"])
    async with speaker:
        peer = speaker.add_peer(PeerOptions(address="127.0.0.2", asn=ASN, passive=True, name="bad"))
        async with await RawPeer.dial(speaker) as raw:
            await raw.establish()
            await asyncio.wait_for(peer.established(), TIMEOUT)
            await raw.send(frame(MessageType.UPDATE, GOOD))
            await has_routes(speaker, IPV4_UNICAST, "198.51.100.0/24")
            await raw.send(frame(MessageType.UPDATE, BAD_ORIGIN))
            await has_routes(speaker, IPV4_UNICAST)
            assert "bad: malformed UPDATE, treat-as-withdraw" in caplog.text


async def test_an_update_that_ends_the_session_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    async with Speaker(asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as speaker:
        speaker.add_peer(PeerOptions(address="127.0.0.2", asn=ASN, passive=True, name="bad"))
        async with await RawPeer.dial(speaker) as raw:
            await raw.establish()
            await raw.send(frame(MessageType.UPDATE, OVERRUN))
            notification = await raw.notification()
            assert (notification.code, notification.subcode) == (3, 10)
        assert "bad: malformed UPDATE, session-reset: " in caplog.text
        assert "a prefix is longer than its family allows" in caplog.text
        assert frame(MessageType.UPDATE, OVERRUN).hex() in caplog.text
