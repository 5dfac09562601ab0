"""Hostile peers in short: each attack on a live service, with two hundred honest clients who notice nothing.

`make hostile` is the long form, `make soak` goes on for hours.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bgp.testing.hostile import soak, trial
from bgp.testing.hostile.honest import Client, Reader, Route
from bgp.testing.hostile.stage import SHORT, Stage
from bgp.testing.hostile.swarm import swarm

pytestmark = pytest.mark.xdist_group("hostile")
SIZE = replace(SHORT, storm=100, sets=2_000, churn=10.0)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(SIZE) as stage:
        yield stage


@pytest.mark.parametrize("name", trial.ATTACKS)
def test_honest_clients_notice_nothing(stage: Stage, name: str) -> None:
    print(asyncio.run(trial.perform(stage, trial.ATTACKS[name])))


@pytest.mark.parametrize("name", trial.APART)
def test_bad_luck_is_survived(name: str) -> None:
    print(trial.perform_apart(name, SIZE))


def test_every_attack_says_what_must_hold() -> None:
    for attack in (*trial.ATTACKS.values(), *soak.ATTACKS):
        assert attack.__doc__ and attack.__doc__.partition("\n")[0].endswith("."), attack.__name__
    assert {attack.__name__ for attack in soak.ATTACKS} <= trial.ATTACKS.keys()


def test_honest_clients_see_what_is_missing_or_wrong() -> None:
    """Two of them and nobody between them: each misses what the other says."""
    with swarm(2, 3) as clients:
        found = clients.tell("check", timeout=0.1)
        assert not found["good"] and found["mismatches"] == ["client 0 is not there"]
    reader = Reader()
    one, other = Client(0, 3, reader, 30), Client(1, 3, reader, 30)
    one.announce(7, 1)
    one.established = True
    one.announce(8, -1)
    block = one.unsent
    for prefix, route in reader.read(block[19:]):
        assert route is not None
        other.held[prefix] = route
    assert other.held == {prefix: Route(8, route.next_hop, 0) for prefix, route in one.said.items()}
    assert other.held.keys() == set(one.own)
    with pytest.raises(ValueError, match="malformed UPDATE"):
        reader.read(b"\0\0\0\5\0")


def test_the_soak_ends_with_a_verdict() -> None:
    command = [sys.executable, "-m", "bgp.testing", "soak", "--minutes", "0.05", "--clients", "20"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    first, line, *_, verdict = done.stdout.splitlines()
    assert first == "20 honest clients with 5 routes each, seed 0"
    assert line.startswith("   1 min: 20 honest of ") and "0 mismatches, 0 lost" in line
    assert verdict.startswith("verdict: good: ")


def test_an_unknown_attack_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    from bgp.testing.__main__ import main

    assert main(["hostile", "tickle"]) == 2
    assert "no attack tickle: there are malformed_updates, " in capsys.readouterr().out
