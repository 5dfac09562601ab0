"""Many clients in short: a restart that all notice at once; `make scale` is the long form."""

import asyncio
import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from endurance import flapping, million, restart
from endurance.light import Light, Numbers
from service import ROOT, running

from bgp.testing.hostile import honest, words

pytestmark = pytest.mark.xdist_group("hostile")
CLIENTS, ROUTES = 150, 2


def test_a_restart_loses_no_session_and_answers_meanwhile() -> None:
    """All are Established again and hold all routes, nobody was silent for long, and all were told why."""
    began, again = restart.trial(CLIENTS, ROUTES, 90, 240, quiet=1.5)
    for found in (began, again):
        assert found.expired == 0 and not found.wrong and not found.problems and not found.unanswered
        assert found.silence < 90 / 2
        assert found.times["neighbors"].rows == CLIENTS
        assert found.times["routes --limit 50"].rows == 50
    # Administrative Shutdown (RFC 4486, RFC 9003), said to each of them.
    assert again.ended["established: NOTIFICATION 6/2"] == CLIENTS


def test_clients_that_come_and_go_leave_the_tables_as_the_model_has_them() -> None:
    # A silence takes as long as a hold time: that is for the long form.
    course = flapping.trial(60, 6, 0.1, 20.0, 1, ends=("reset", "close", "cease"))
    assert course.ends > 10 and course.changes > 20
    assert course.routes > 100 and not course.lost


def test_every_report_is_answered_while_others_read_and_do_not_read() -> None:
    """With twenty thousand routes; that the sessions stay is looked at all along."""
    routes = 20_000
    answered, (octets, _, _, grown) = million.trial(routes, 10, 2.0, hold_time=90)
    rows = {each.what: each.rows for each in answered}
    assert rows["routes"] == rows["routes --received FEEDER"] == rows["routes --advertised CLIENT"] == routes
    assert rows["routes --limit 50"] == rows["routes --received FEEDER --limit 50"] == 50
    assert rows["routes 20.1.0.0/16 --longer"] == 4096
    assert rows["routes 10.0.0.0/8 --longer (none)"] == rows["routes --advertised FEEDER"] == 0
    assert rows["routes --community"] == 6 * 4
    assert rows["monitor"] > routes
    assert octets > 0 and grown < 64 << 20, "what waits for twenty who do not read is a quarter of a MB each"


def test_a_light_client_reads_what_comes_in_whatever_pieces() -> None:
    """What it holds is what it was told, where markers are cut, and where 0xff stands before one."""
    numbers = Numbers(300, 1)
    update = words.update(words.attributes(honest.NEXT_HOP + 255, 0), words.prefix(255, honest.BASE))
    octets = words.KEEPALIVE + update * 2 + words.update(b"", b"", words.prefix(255, honest.BASE)) + update
    for size in (1, 7, 16, 17, len(octets)):
        client = Light(0, numbers, 90)
        for at in range(0, len(octets), size):
            assert client.feed(octets[at : at + size], 0.0) == ""
        assert client.held == 1 << 255
    assert numbers.wrong, "it has no ORIGINATOR_ID"


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal's two ends: the one that a person sees, and the one that a program has."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


async def test_what_is_long_goes_through_a_pager(tmp_path: Path, terminal: tuple[int, int]) -> None:
    """On a terminal, and as far as the pager wants it; elsewhere there is none."""
    ours, theirs = terminal
    async with running(tmp_path) as cluster:

        def show(*words: str, pager: str) -> None:
            subprocess.run(
                [sys.executable, "-m", "reflector", "show", *words, "--socket", str(cluster.path)],
                cwd=ROOT,
                env={**os.environ, "PAGER": pager, "TERM": "dumb", "COLUMNS": "120"},
                stdout=theirs,
                timeout=60,
                check=True,
            )

        await asyncio.to_thread(show, "routes", pager="sed -n s/^/paged:/p")
        await asyncio.to_thread(show, "neighbors", pager="true")
        await asyncio.to_thread(show, "groups", pager="cat")
        await asyncio.to_thread(show, "groups", "--json", pager="sed -n s/^/paged:/p")
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # the end of a terminal that nobody writes to any more
            while more := os.read(ours, 65536):
                said += more
        paged, *others = [line for line in said.decode().split("\n") if "10.1.0.0/16" in line]
        assert paged.startswith("paged:") and not others
        assert b"neighbors" not in said, "nobody wanted them"
        assert said.count(b"paged:") == said.split(b"paths")[0].count(b"paged:") and b'{"group"' in said
