"""The demonstration: the cluster does what it should, and the screen fits every terminal."""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from rich.console import Console

from bgp import IPV4_UNICAST, IPV6_UNICAST
from bgp.rib.path import Kind
from reflector.demo import words
from reflector.demo.changes import Change
from reflector.demo.scenario import BLOCKS, SERVICE, Node, Scenario
from reflector.demo.screen import draw, sessions_table
from reflector.demo.view import View, look

ROOT = Path(__file__).parent.parent
TIMEOUT = 20


@asynccontextmanager
async def cluster() -> AsyncIterator[tuple[Scenario, list[str]]]:
    """A cluster that has come to rest: everybody has heard everything."""
    lines: list[str] = []
    scenario = Scenario(lines.append, random.Random(7))
    await scenario.start()
    try:
        await settled(scenario)
        yield scenario, lines
    finally:
        await scenario.stop()


async def settled(scenario: Scenario) -> None:
    """Wait until every running node knows what all others announce."""

    def complete() -> bool:
        running = [node for node in scenario.nodes if node.speaker is not None]
        blocks = {block for node in running for block in node.blocks}
        return len(scenario.established) == len(running) and all(known(node) == blocks for node in running)

    async with asyncio.timeout(TIMEOUT):
        while not complete():
            await asyncio.sleep(0.01)


def known(node: Node) -> set[str]:
    """The blocks in a node's tables."""
    assert node.speaker is not None
    return {*node.speaker.best(IPV4_UNICAST), *node.speaker.best(IPV6_UNICAST)} - {SERVICE}


async def test_every_node_hears_the_others_by_reflection() -> None:
    async with cluster() as (scenario, lines):
        assert sum("Established" in line for line in lines) == len(scenario.nodes)
        for node in scenario.nodes:
            assert node.speaker is not None
            own = {node.block(index) for index in (0, 1, BLOCKS)}
            for family in (IPV4_UNICAST, IPV6_UNICAST):
                for prefix, path in node.speaker.best(family).items():
                    if prefix in own or (prefix == SERVICE and node.serves):
                        assert path.source.kind is Kind.LOCAL
                    else:
                        assert path.attributes.cluster_list == bytes([192, 0, 2, 100])
                        assert path.attributes.originator_id is not None
        changes = scenario.changes.take()
        assert any(change.route == SERVICE and set(change.nodes) == {"node3", "node4"} for change in changes)


async def test_steps_and_restarts_leave_tables_that_agree() -> None:
    async with cluster() as (scenario, lines):
        for _ in range(60):
            scenario.step()
        await settled(scenario)
        await scenario.restart(pause=0)
        await settled(scenario)
        assert scenario.restarts == 1
        assert any(
            "received cease/hard-reset (RFC 8538 3): cease/administrative-shutdown: maintenance" in line
            for line in lines
        )
        signs = {change.sign for change in scenario.changes.take()}
        assert signs == {"+", "-", "~"}


async def test_the_first_table_of_a_node_is_one_change() -> None:
    async with cluster() as (scenario, _):
        scenario.changes.take()
        await scenario.restart(pause=0)
        await settled(scenario)
        whole = [change for change in scenario.changes.take() if change.route.startswith("all ")]
        assert len(whole) == 1
        assert words(whole[0]) == f"+ {whole[0].route}, heard by {whole[0].nodes[0]}"


async def test_the_view_explains_the_service_address() -> None:
    async with cluster() as (scenario, _):
        view = look(scenario, ())
        best, *others = view.explanation.paths
        assert best.best
        assert best.name == "node1"
        assert {path.name for path in others} == {"node2", "border"}
        assert all(
            path.verdict.rung is not None and path.verdict.rung.name == "identifier" for path in others
        )
        assert view.explanation.told == ("node2", "node3", "node4", "border")
        ((names, reason),) = view.explanation.withheld
        assert names == "node1"
        assert "RFC" in reason
        assert [session.received for session in view.sessions] == [(3, 1), (3, 1), (2, 1), (2, 1), (3, 1)]
        # node3 hears four times two blocks and the service address, and four IPv6 blocks.
        assert view.sessions[2].advertised == (9, 4)


# --- the screen -------------------------------------------------------------------------------------------


def shown(view: View, width: int, height: int) -> list[str]:
    with open(os.devnull, "w") as nowhere:
        console = Console(width=width, height=height, file=nowhere, record=True, force_terminal=True)
        console.print(draw(view, width, height), height=height)
        return console.export_text().splitlines()


async def test_the_screen_fits() -> None:
    async with cluster() as (scenario, _):
        latest: list[Change] = []
        for _ in range(40):
            scenario.step()
            await settled(scenario)
            latest += scenario.changes.take()
        view = look(scenario, tuple(latest))
    for width in (40, 60, 80, 109, 110, 140, 250):
        for height in (5, 12, 20, 24, 25, 40, 80):
            lines = shown(view, width, height)
            assert len(lines) == height
            assert max(map(len, lines)) <= width
    small, large = "\n".join(shown(view, 80, 24)), "\n".join(shown(view, 140, 40))
    for text in (small, large):
        assert "explain 198.51.100.53/32" in text
        assert "not told to" in text
        assert "ORIGINATOR_ID  CLUSTER_LIST" in text
        assert len(re.findall(r"node\d +127\.0\.0\.\d+ +client +Established", text)) == 4
        assert re.search(r"border +(::1|127\.0\.1\.1) +non-client +Established", text)
    # At 80 by 24 nothing of a change that all others heard is cut off.
    rows = [line for line in small.splitlines() if "all others" in line and "withdrawn" not in line]
    assert rows
    assert all(re.search(r"[+~] +\S+ +\S+ +10\.0\.0\.\d +192\.0\.2\.100 +all others", row) for row in rows)


async def test_a_node_that_is_away_says_why() -> None:
    async with cluster() as (scenario, _):
        node = scenario.nodes[0]
        speaker, node.speaker = node.speaker, None
        assert speaker is not None
        node.blocks.clear()
        await speaker.stop("maintenance")
        await settled(scenario)
        view = look(scenario, ())
        assert not view.sessions[0].up
        with open(os.devnull, "w") as nowhere:
            console = Console(width=80, file=nowhere, record=True)
            console.print(sessions_table(view.sessions))
        assert "down: maintenance" in console.export_text()


# --- the command --------------------------------------------------------------------------------------------


def demo(*arguments: str, **settings: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "reflector", "demo", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_without_a_terminal_it_prints_lines_and_ends_by_itself() -> None:
    process = demo("--seconds", "2")
    output, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, output
    for pattern in (
        r"^\d\d:\d\d:\d\d reflector 192\.0\.2\.100 listens on 127\.0\.0\.1:\d+",
        r"node1 Established, client at 127\.0\.0\.11",
        r"border Established, non-client at",
        r"\+ 10\.244\.1\.0/26 next hop 192\.0\.2\.1 ORIGINATOR_ID 10\.0\.0\.1 CLUSTER_LIST 192\.0\.2\.100",
        r"\+ 2001:db8:244:10::/64 next hop 2001:db8::1 ORIGINATOR_ID 10\.0\.0\.1",
        r"explain 198\.51\.100\.53/32: node1 .* best; .* lost at rung \d+: .*RFC 4271 9\.1\.2\.2 f",
        r"down: received cease/hard-reset \(RFC 8538 3\): cease/administrative-shutdown: the show is over",
        r"^2 s: \d+ changes reflected",
    ):
        assert re.search(pattern, output, flags=re.M), pattern
    assert "Traceback" not in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_well(number: signal.Signals) -> None:
    process = demo()
    assert process.stdout is not None
    for line in process.stdout:
        if "explain" in line:
            break
    process.send_signal(number)
    output, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, output
    assert "all sessions ended with a Cease" in output
    assert "Traceback" not in output


def test_on_a_terminal_it_draws_and_ctrl_c_ends_it_below_make(tmp_path: Path) -> None:
    """`make` sees status 0, since the terminal's SIGINT does not reach it."""
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"run:\n\t@cd {ROOT} && {sys.executable} -m reflector demo\n")
    status, output = _on_terminal(["make", "-f", str(makefile)], until=lambda text: "all others" in text)
    assert status == 0, output
    assert "explain 198.51.100.53/32" in output
    assert "all sessions ended with a Cease" in output
    assert "Error" not in output
    assert "Interrupt" not in output


def _on_terminal(command: list[str], until: Callable[[str], bool]) -> tuple[int, str]:
    """Run a command on a terminal of its own, press Ctrl-C as soon as `until` holds; return all it wrote."""
    import fcntl
    import pty
    import struct
    import termios

    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    output, pressed = b"", False
    try:
        while True:
            try:
                octets = os.read(terminal, 65536)
            except OSError:  # the last one has closed the terminal
                break
            if not octets:
                break
            output += octets
            if not pressed and until(output.decode(errors="replace")):
                pressed = True
                os.write(terminal, b"\x03")
    finally:
        os.close(terminal)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), output.decode(errors="replace")
