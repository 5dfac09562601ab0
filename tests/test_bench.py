"""The benchmarks measure what they say, and find fault with wrong routes; of times nothing is asserted."""

import json
import random
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from bench import candidates, ends, load, micro, report, results, tables, watched
from bench.__main__ import main
from bench.api import run as api_run
from hypothesis import given
from hypothesis import strategies as st

HOPS = {tables.IPV4: bytes((10, 9, 0, 9)), tables.IPV6: bytes(15) + b"\1"}


@pytest.fixture(scope="module")
def mrt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a small MRT table with both families, where the first of two paths counts."""
    path = tmp_path_factory.mktemp("mrt") / "table.mrt"
    records = []
    for number, prefix in enumerate((b"\x18\x14\0\1", b"\x18\x14\0\2", b"\x20\x20\1\x0d\xb8")):
        block = tables.made(6, seed=1 + number // 2)[0]
        entry = tables.encoded(block.attributes)
        other = tables.encoded(tables.made(6, seed=9)[0].attributes)
        entries = b"".join(struct.pack("!HIH", 0, 0, len(each)) + each for each in (entry, other))
        body = struct.pack("!I", number) + prefix + struct.pack("!H", 2) + entries
        records.append(struct.pack("!IHHI", 0, 13, 4 if number == 2 else 2, len(body)) + body)
    path.write_bytes(b"".join(records))
    return path


@pytest.mark.slow
def test_the_smallest_run_has_every_result(tmp_path: Path, mrt: Path) -> None:
    arguments = ["run", "--size", "smallest", "--ours", "--table", str(mrt), "--out", str(tmp_path)]
    assert main(arguments) == 0
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    runs = {(line["scenario"], line["candidate"]): line for line in lines if line["kind"] == "run"}
    plain = {"S1-300", "S6-300", "S2-200-R3", "S3p-5", "S4-5", "S5-5", "real-F3-R2"}
    ours, loop = candidates.OURS, report.WATCHED
    assert runs.keys() == {*((name, ours) for name in plain), ("S1-300", loop), ("S6-300", loop)}
    for line in runs.values():
        assert line["ok"], line
        checks = line["checks"]
        assert set(checks.values()) == {0}, (line["scenario"], checks)
        assert line["updates"] > 0 and line["octets"] > 0 and line["peak_mb"] > 0
    assert runs["S1-300", ours]["routes"] == 300
    assert runs["S3p-5", ours]["routes"] == 40
    assert runs["real-F3-R2", ours]["routes"] == 3
    assert runs["S4-5", ours]["latency_ms"].keys() == {"p50", "p99", "p99.9", "max"}
    assert runs["S1-300", loop]["loop"]["callbacks"] > 0
    sets = {line["set"] for line in lines if line["kind"] == "micro"}
    assert sets == {one.title for one in micro.sets(100)}
    written = (tmp_path / "results.md").read_text()
    assert all(name in written for name in (*plain, *sets, "CPython", "## The event loop"))

    before = (tmp_path / "results.jsonl").read_text()
    assert main(arguments) == 0
    assert (tmp_path / "results.jsonl").read_text() == before, "what was run is not run again"


@pytest.mark.interop("bird")
def test_a_daemon_in_namespaces() -> None:
    (bird,) = candidates.found(["bird"])
    found = ends.run(bird, ends.cluster(4, 1, 4), namespaces=True)
    assert [line["scenario"] for line in found] == ["S3p-4", "S4-4", "S5-4"]
    assert all(line["ok"] for line in found), found
    assert "BIRD" in bird.version


def test_a_candidate_that_does_not_start_is_a_result() -> None:
    broken = candidates.Candidate("broken", lambda place: ["false"], lambda place: "", "0")
    (first, second) = ends.run(broken, ends.one(10), namespaces=False)
    assert (first["scenario"], second["scenario"]) == ("S1-10", "S6-10")
    assert not first["ok"] and "before it listened" in str(first["reason"])


def test_how_fast_the_api_is(tmp_path: Path) -> None:
    ours = replace(api_run.ours(), cases=("together", "watch"))
    found = api_run.run(100, 1, [ours])
    assert found.keys() == {(api_run.OURS, "together"), (api_run.OURS, "watch")}
    assert all(each > 0 for rates in found.values() for each in rates)
    broken = replace(ours, argv=lambda case, port, routes, file: ["sh", "-c", "echo it cannot; exit 1"])
    with pytest.raises(api_run.Failed, match="it cannot"):
        api_run.measure(broken, "watch", 1)
    others = {("exabgp", "together"): [500.0], ("os-ken", "one by one"): [250.0], ("exabgp", "watch"): [1.0]}
    page = api_run.markdown(
        {(api_run.OURS, case): [1000.0, 3000.0, 1000.0] for case in ("one by one", "together", "watch")}
        | others,
        100,
        3,
        ["exabgp 1.2"],
    )
    assert "500 | 2.0 times that |" in page and page.count("250 | 4.0 times that |") == 2
    assert "Beside exabgp 1.2" in page


# --- What is fed and what is checked --------------------------------------------------------------------


def test_a_made_table_is_the_same_each_time() -> None:
    blocks = tables.made(1000)
    assert blocks == tables.made(1000)
    prefixes = [prefix for block in blocks for prefix in block.prefixes]
    assert len(set(prefixes)) == len(prefixes) == 1000


def test_what_is_written_can_be_read(tmp_path: Path, mrt: Path) -> None:
    blocks = [*tables.made(200), *tables.node(3)[1:]]
    path = tmp_path / "table.bgp"
    path.write_bytes(b"".join(tables.updates(blocks, HOPS)) + tables.END_OF_RIB)

    def routes(some: list[tables.Block]) -> dict[tuple[int, bytes], tables.Attributes]:
        return {(block.afi, prefix): block.attributes for block in some for prefix in block.prefixes}

    assert routes(tables.read(path)) == routes(blocks)
    assert [(block.afi, len(block.prefixes)) for block in tables.read(mrt)] == [(1, 2), (2, 1)]
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(SystemExit, match="holds no routes"):
        tables.read(tmp_path / "empty")


@given(st.lists(st.binary(max_size=40) | st.just(b"\xff" * 20), max_size=8), st.data())
def test_messages_are_split_wherever_they_are_cut(bodies: list[bytes], data: st.DataObject) -> None:
    # No UPDATE holds a marker's octets followed by a small one within, but many end in 0xff.
    bodies = [body.rstrip(b"\0").replace(b"\xff" * 16, b"\xff" * 15) + b"\x18\xff\xff\xff" for body in bodies]
    stream = b"".join(tables.message(tables.UPDATE, body) for body in bodies)
    found, rest = [], b""
    while stream:
        size = data.draw(st.integers(1, 60))
        pieces, rest = load.split(rest + stream[:size])
        found += [piece[3:] for piece in pieces]
        stream = stream[size:]
    assert (found, rest) == (bodies, b"")


def checked(*streams: bytes) -> dict[str, int]:
    """Return what the load generator says of a receiver that got these messages."""
    messages = load.Messages()
    expectation = load.Expectation(messages)
    expectation.announce(tables.made(50), HOPS)
    pieces, _ = load.split(b"".join(streams))
    log = [messages[piece] for piece in pieces]
    difference = sum(messages.difference[number] for number in log)
    return {**expectation.replay(log, ()), "difference": difference}


def test_the_check_finds_what_is_wrong() -> None:
    blocks = tables.made(50)
    right = list(tables.updates(blocks, HOPS))
    assert checked(*right) == {
        "missing": 0,
        "extra": 0,
        "wrong_attributes": 0,
        "not_reflected": len(right),
        "own_echoed": 0,
        "difference": 50,
    }
    gone = blocks[0].prefixes
    assert checked(*right, tables.withdrawal(gone))["missing"] == len(gone)
    assert checked(*right, tables.withdrawal(gone))["difference"] == 50 - len(gone)
    assert checked(*right, tables.withdrawal(gone), right[0])["missing"] == 0
    twisted = tables.Block(tables.IPV4, blocks[1].attributes, gone)
    assert checked(*right, *tables.updates([twisted], HOPS))["wrong_attributes"] == len(gone)
    more = tables.Block(tables.IPV4, blocks[1].attributes, [b"\x08\x0a"])
    assert checked(*right, *tables.updates([more], HOPS))["extra"] == 1
    other = {**HOPS, tables.IPV4: bytes(4)}
    assert checked(*right, *tables.updates(blocks[:1], other))["wrong_attributes"] == len(gone)


def test_each_block_has_one_winner_among_feeders() -> None:
    for number, block in enumerate(tables.made(60)):
        paths = [
            tables.preferred_by(feeder, 3, number, block).attributes[tables.AS_PATH][1] for feeder in range(3)
        ]
        lengths = [path[1] for path in paths]
        assert lengths.count(min(lengths)) == 1
        assert lengths.index(min(lengths)) == tables.winner(3, number, block)


# --- What is told of it ---------------------------------------------------------------------------------


@given(st.lists(st.floats(0.0001, 0.2), min_size=1, max_size=30), st.floats(0.0, 2.0), st.floats(0.5, 0.999))
def test_the_lag_is_that_of_a_random_moment(lengths: list[float], idle: float, share: float) -> None:
    total = sum(lengths) + idle
    found = watched.late(sorted(lengths), total, share)
    later = sum(max(0.0, length - found) for length in lengths) / total
    assert later <= 1 - share + 1e-9
    if found > 1e-9:
        assert later == pytest.approx(1 - share)


def test_growth_is_fitted() -> None:
    points = [(float(size), 0.003 * size**1.25) for size in (125, 250, 500, 1000)]
    assert report.exponent(points) == pytest.approx(1.25)


def made_lines() -> list[results.Line]:
    rng = random.Random(1)
    lines: list[results.Line] = []
    for candidate, factor in ((candidates.OURS, 1.0), ("bird", 2.0), ("frr", 3.0)):
        for scenario, routes in (("S1-10k", 10_000), ("S1-20k", 20_000), ("S1-40k", 40_000)):
            line: results.Line = {
                "kind": "run",
                "candidate": candidate,
                "version": candidate,
                "version_key": candidate,
                "scenario": scenario,
                "phase": "load",
                "ok": True,
                "routes": routes,
                "receivers": 1,
                "seconds": factor * routes * 1e-5,
                "updates": 10,
                "octets": 1000,
                "cpu": 0.1,
                "peak_mb": rng.randint(10, 90),
                "kernel_mb": 0.5,
                "company": 0.0,
                "checks": {"extra": 0},
            }
            lines.append(line)
    lines.append({**lines[-1], "scenario": "S2-1k-R5", "ok": False, "reason": "it ended with status 1"})
    return lines


def test_the_table_has_ratios_failures_and_exponents() -> None:
    text = report.markdown(results.machine(), made_lines(), [])
    assert "| S1-20k | **0.200 (0.500x)**" in text
    assert "frr failed in S2-1k-R5: it ended with status 1" in text
    assert "S1, routes: 10,000: 0.100, 20,000: 0.200, 40,000: 0.400; exponent 1.00" in text


def test_the_same_results_give_the_same_picture(tmp_path: Path) -> None:
    from bench import picture

    cells = report.Cells(made_lines())
    drawn = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths = [*picture.ends(cells, tmp_path / name, "versions"), *picture.growth(cells, tmp_path / name)]
        assert [path.suffix for path in paths] == [".svg", ".png", ".svg", ".png"]
        drawn.append(paths[0].read_text())
    assert drawn[0] == drawn[1]
    assert ">S1-40k</text>" in drawn[0], "text stays text"
    assert len(drawn[0]) < 100_000
