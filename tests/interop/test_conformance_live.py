"""The conformance peer against our reflector and a daemon, on a LAN: much of one, less of the other."""

from pathlib import Path
from typing import Any

import conformance
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
