"""The conformance peer against our reflector and a daemon, on a LAN: much of one, less of the other."""

import json
from pathlib import Path
from typing import Any

import conformance
import conformance_page as page
import pytest


@pytest.mark.interop("bird", "birdc")
def test_malformations_against_ours_and_bird(tmp_path: Path) -> None:
    """Ours does what is demanded; BIRD survives what is sent, and other sessions with it."""
    ours = conformance.examine("martlet", "external", tmp_path, ["--rules", "header,open,fsm,7606"])
    told = [(row["case"], row["demanded"], row["seen"]) for row in ours["results"] if _bad(row)]
    assert told == [] and ours["deaths"] == 0
    theirs = conformance.examine("bird", "internal", tmp_path, ["--rules", "7606-7,8092", "--variants", "0"])
    assert theirs["deaths"] == 0
    assert all(row["others_unharmed"] for row in theirs["results"] if row["verdict"] != "skipped")
    by_name = {row["case"]: row["verdict"] for row in theirs["results"]}
    for case in ("origin-length-0", "communities-length-3", "large_communities-length-11", "as_path-overrun"):
        assert by_name[case] == "conforms", case
    assert theirs["version"]


def _bad(row: dict[str, Any]) -> bool:
    return row["verdict"] not in ("conforms", "skipped")


def test_the_page_shows_the_daemons_side_by_side(tmp_path: Path) -> None:
    def row(case: str, verdict: str, seen: str, **more: object) -> dict[str, object]:
        said = {
            "case": case,
            "text": f"text of {case}",
            "sources": ["RFC 7606 2"],
            "demanded": "treat-as-withdraw",
        }
        return {**said, "verdict": verdict, "seen": seen, **more}

    for name, rows in {
        "martlet": [row("a", "conforms", "treat-as-withdraw"), row("b", "conforms", "")],
        "bird": [row("a", "differs", "NOTIFICATION 3/1"), row("b", "skipped", "")],
        "frr": [row("a", "differs", "closed", others_unharmed=False), row("b", "conforms", "")],
    }.items():
        counts = {
            verdict: sum(each["verdict"] == verdict for each in rows) for verdict in ("conforms", "differs")
        }
        report = {"results": rows, "counts": counts, "deaths": int(name == "frr"), "version": "1.2"}
        (tmp_path / f"{name}-internal.json").write_text(json.dumps(report))
    (tmp_path / "docs").mkdir()
    (tmp_path / "fuzz").mkdir()
    readme = tmp_path / "fuzz" / "README.md"
    readme.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    page.publish(tmp_path, tmp_path)
    told = (tmp_path / "docs" / "conformance.md").read_text()
    assert "| text of a (`a`, RFC 7606 2) | treat-as-withdraw | ✓ | 3/1 | **ends other sessions** |" in told
    assert "text of b" not in told and "BIRD 1.2, FRR 1.2" in told
    summary = readme.read_text()
    assert "| FRR | internal | 1 | 0 | 0 | 1 | 0 | 0 | 1 | 1 |" in summary and "old" not in summary
    assert summary.startswith("before") and summary.endswith("after\n")


def test_what_has_no_reports_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="make conformance"):
        page.load(tmp_path)
