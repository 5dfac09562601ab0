"""How the service ends, as each kind of peer hears it: a restart by SIGTERM, or for good."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from commands import Command

from bgp import EventKind, PeerOptions, Speaker
from bgp.session.restart import RestartOptions

CONFIGURATION = """\
[router]
asn = 64512
router_id = "192.0.2.100"
listen = ["127.0.0.1:0"]
[control]
socket = "DIRECTORY/socket"
[group.nodes]
client = true
graceful_restart = {families = true}
[[listen_range]]
prefix = "127.0.0.0/8"
group = "nodes"
"""
# What peers know of graceful restart: with RFC 8538's N bit, without, and nothing.
PEERS = {"notification": RestartOptions(), "plain": RestartOptions(notification=False), "none": None}
AGAIN, GOOD = "restarting", "moved away"
HARD = "received cease/hard-reset (RFC 8538 3): cease/administrative-shutdown: {}"
SHUTDOWN = "received cease/administrative-shutdown (RFC 4486 4): {}"


@pytest.mark.parametrize(
    ("command", "heard"),
    [
        (
            (),
            {
                "notification": f"received cease/administrative-reset (RFC 4486 4): {AGAIN}",
                "plain": None,
                "none": SHUTDOWN.format(AGAIN),
            },
        ),
        (
            ("stop", "--for-good", "--text", GOOD),
            {
                "notification": HARD.format(GOOD),
                "plain": SHUTDOWN.format(GOOD),
                "none": SHUTDOWN.format(GOOD),
            },
        ),
    ],
    ids=["SIGTERM", "for-good"],
)
async def test_what_peers_hear(
    tmp_path: Path, command: tuple[str, ...], heard: dict[str, str | None]
) -> None:
    file = tmp_path / "rr.toml"
    file.write_text(CONFIGURATION.replace("DIRECTORY", str(tmp_path)))
    run = Command("run", str(file))
    said: dict[str, asyncio.Future[str]] = {}
    loop = asyncio.get_running_loop()
    try:
        match = await asyncio.to_thread(run.until, r"listening on 127\.0\.0\.1:(\d+)")
        async with AsyncExitStack() as stack, asyncio.timeout(120):
            for number, (name, restart) in enumerate(PEERS.items(), start=1):
                speaker = await stack.enter_async_context(Speaker(asn=64512, router_id=f"10.0.0.{number}"))
                down = said[name] = loop.create_future()
                events = speaker.events()
                peer = speaker.add_peer(
                    PeerOptions(
                        asn=64512,
                        address="127.0.0.1",
                        port=int(match[1]),
                        source_address=f"127.0.0.{10 + number}",
                        graceful_restart=restart,
                        automatic_restart=False,
                    )
                )
                await peer.established()

                async def listen(events: object = events, down: "asyncio.Future[str]" = down) -> None:
                    async for event in events:  # type: ignore[attr-defined]
                        if event.kind is EventKind.DOWN:
                            down.set_result(event.text)
                            return

                task = loop.create_task(listen())
                stack.callback(task.cancel)
            if command:
                stop = Command(*command, "--socket", str(tmp_path / "socket"))
                assert await asyncio.to_thread(stop.end) == 0
            else:
                run.process.send_signal(signal.SIGTERM)
            texts = {name: await down for name, down in said.items()}
        assert await asyncio.to_thread(run.end) == 0
    finally:
        run.process.kill()
    for name, text in heard.items():
        if text is None:
            assert "received" not in texts[name] and "cease" not in texts[name], texts
        else:
            assert texts[name] == text, texts
    assert "Traceback" not in run.output
