"""The fuzz kit: its corpus still holds, each target takes a short run, and the tools do what they say."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from fuzz import __main__ as command
from fuzz import corpus, plain
from fuzz.examine import Examiner, Hang, fault, signature
from fuzz.minimize import minimized
from fuzz.mutate import mutated
from fuzz.target import Broken, Target, hold
from fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parent.parent
INPUTS = [path for name in TARGETS for path in corpus.files(name)]


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_corpus_holds(path: Path) -> None:
    assert corpus.target_of(path) == path.parent.name
    TARGETS[path.parent.name].check(corpus.load(path))


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run_of_each_target_finds_nothing(name: str, tmp_path: Path) -> None:
    examiner = Examiner(TARGETS[name], tmp_path)
    plain.run(examiner, seed=1, seconds=60, inputs=150, coverage=False)
    assert examiner.inputs == 150
    assert not examiner.findings, [path.read_text() for path in examiner.findings.values()]


def test_every_target_has_an_invariant_and_inputs_in_git() -> None:
    for target in TARGETS.values():
        assert target.invariant.endswith("."), target.name
        assert corpus.files(target.name), target.name
    size = sum(path.stat().st_size for path in corpus.DIRECTORY.rglob("*"))
    assert size < 200_000, "the corpus is to be small"


# --- A target with a bug -----------------------------------------------------------------------------------


def check(data: bytes) -> None:
    if data[:2] == b"\x01\x02":
        raise KeyError(data[2:])
    hold(b"\xff\xff" not in data, f"two of them: {data.hex()}")


def view(data: bytes) -> Iterator[str]:
    yield f"{len(data)} octets"


BUGGY = Target("buggy", check, lambda random: random.randbytes(4), view, 64, "It holds.")


def test_findings_are_one_for_each_place_and_the_smallest_is_kept(tmp_path: Path) -> None:
    examiner = Examiner(BUGGY, tmp_path)
    good, bad = b"\x00", b"\x01\x02abc"
    assert examiner.examine(good)
    for data in (bad, b"\x01\x02a", b"\x01\x02abcdef", b"\xff\xff\x00", b"\xff\xff"):
        assert not examiner.examine(data)
    assert {corpus.load(path) for path in examiner.findings.values()} == {b"\x01\x02a", b"\xff\xff"}
    assert examiner.inputs == 6
    text = next(iter(examiner.findings.values())).read_text()
    assert text.startswith("# target: buggy\n# KeyError")


def test_the_plain_engine_finds_them_and_repeats_itself(tmp_path: Path) -> None:
    runs = []
    for directory in (tmp_path / "1", tmp_path / "2"):
        examiner = Examiner(BUGGY, directory)
        plain.run(examiner, seed=2, seconds=60, inputs=4000)
        runs.append(sorted(corpus.load(path) for path in examiner.findings.values()))
    assert runs[0] == runs[1]
    assert len(runs[0]) >= 1


def test_minimizing_keeps_what_breaks_and_nothing_else() -> None:
    data = Random(1).randbytes(60) + b"\xff\xff" + Random(2).randbytes(60)
    name = signature(fault(BUGGY, data) or Broken())

    def breaks(data: bytes) -> bool:
        error = fault(BUGGY, data)
        return error is not None and signature(error) == name

    assert minimized(data, breaks) == b"\xff\xff"


def test_an_input_that_hangs_is_stopped_though_exceptions_are_caught() -> None:
    def endless(data: bytes) -> None:
        while True:
            try:
                while True:
                    pass
            except Exception:
                pass

    error = fault(Target("endless", endless, lambda random: b"", view), b"", 0.05)
    assert isinstance(error, Hang)


def test_mutations_keep_to_the_maximum_and_to_the_seed() -> None:
    for seed in range(200):
        found = mutated(Random(seed), b"abcdefgh", [b"12345678"], 12)
        assert len(found) <= 12
        assert found == mutated(Random(seed), b"abcdefgh", [b"12345678"], 12)


def test_lines_are_new_once() -> None:
    from bgp.wire import community

    lines = plain.Lines(ROOT / "bgp")
    with lines.watching():
        community.decode_communities(b"\0\0\0\1")
    assert lines.news()
    with lines.watching():
        community.decode_communities(b"\0\0\0\2")
    assert not lines.news()
    assert lines.count


# --- The command line --------------------------------------------------------------------------------------


def test_a_file_is_replayed_minimized_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TARGETS, "buggy", BUGGY)
    path = tmp_path / "found.hex"
    corpus.save(path, b"abc\xff\xffdef", "buggy", ["two"])
    assert command.main(["replay", str(path)]) == 1
    assert "8 octets" in capsys.readouterr().out
    assert command.main(["minimize", str(path)]) == 0
    assert corpus.load(tmp_path / "found.min.hex") == b"\xff\xff"
    assert command.main(["replay", "00 01", "--target", "buggy"]) == 0
    assert "it holds" in capsys.readouterr().out
    assert command.main(["minimize", "00", "--target", "buggy"]) == 1
    assert command.main(["list"]) == 0
    assert "It holds." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["replay", "nonsense"], "neither a file nor hexadecimal"),
        (["replay", "00"], "--target"),
        (["replay", "00", "--target", "none"], "--target"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_said(arguments: list[str], told: str) -> None:
    with pytest.raises(SystemExit, match=told):
        command.main(arguments)


def test_a_run_in_processes_reports_and_exits_well(tmp_path: Path) -> None:
    arguments = ["run", "route-refresh", "--engine", "plain", "--seconds", "1", "--seed", "3"]
    done = subprocess.run(
        [sys.executable, "-m", "fuzz", *arguments, "--directory", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seed 3" in done.stdout
    assert "0 findings" in done.stdout


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_shows_any_input(name: str) -> None:
    random = Random(name)
    for data in (b"", b"\xff" * 40, random.randbytes(60), TARGETS[name].seed(random)):
        assert all(isinstance(line, str) for line in TARGETS[name].view(data))
