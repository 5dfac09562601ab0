"""Metrics, alerts and the dashboard: they fit each other, and Prometheus's own tool finds nothing wrong.

With `promtool` (Debian's package prometheus, which `make daemons` unpacks) it judges the exposition and the
rules, and runs the rules on series that must, or must not, raise each alarm.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from service import ROOT, Cluster, running
from test_fib_mirror import world

from fib import KernelFib
from reflector.forwarding import Forwarding
from reflector.metrics import FAMILIES, Errors, exposition

sys.path.insert(0, str(ROOT / "tests" / "interop"))
import daemons

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "martlet.json"

# Series that are not always there, with their labels: who is kept down is a neighbor or a listen range.
SOMETIMES: dict[str, set[str]] = {
    "martlet_kept_down": {"peer", "listen_range"},
    "martlet_convergence_seconds": set(),
    # Where there are guards, and somebody whom they stop.
    "martlet_guard_hits_total": {"guard", "rule"},
    "martlet_peer_guard_hits_total": {"peer", "rule"},
    "martlet_peer_guard_refused": {"peer", "rule"},
    "martlet_guard_claims": {"family"},
    "martlet_guard_disputed": {"family"},
}
# What Prometheus adds to each series.
ADDED = {"instance", "job"}


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    monkeypatch.setattr(Forwarding, "make", lambda self, speaker: KernelFib(speaker, backend=world()))
    async with running(tmp_path, "\n[fib]\n") as found:
        await found.service.counts.counted(60)
        yield found


async def scrape(cluster: Cluster) -> str:
    return b"".join([piece async for piece in exposition(cluster.service)]).decode()


async def test_the_exposition_keeps_to_the_conventions(cluster: Cluster) -> None:
    """Names, units, HELP and types as Prometheus wants them; and what counts, only grows."""
    before = await scrape(cluster)
    cluster.clients[0].announce("10.8.0.0/16", next_hop="10.0.0.1")
    await cluster.ask("reset", peer="127.0.0.12")
    ended = 'martlet_notifications_total{way="sent",code="6",subcode="4"}'
    assert f"{ended} 0\n" in before, "an increase from nothing is none to Prometheus"
    async with asyncio.timeout(60):
        while f"{ended} 1\n" not in (after := await scrape(cluster)):
            await asyncio.sleep(0.05)
    seen: dict[str, dict[str, float]] = {}
    for text in (before, after):
        for family in text_string_to_metric_families(text):
            name = family.name + ("_total" if family.type == "counter" else "")
            assert re.fullmatch(r"(martlet|process)(_[a-z]+)+", name), name
            assert family.documentation.endswith("."), name
            assert family.type in ("counter", "gauge", "histogram"), name
            assert not re.search(r"_(gauge|counter|ms|kb|mb|octets|milliseconds|minutes|percent)(_|$)", name)
            timed = re.search(r"_(time|age|lag)(_|$)", name) is not None
            assert not timed or "_seconds" in name, name
            values = {
                f"{sample.name} {sorted(sample.labels.items())}": sample.value for sample in family.samples
            }
            assert len(values) == len(family.samples), f"{name} has the same series twice"
            if family.type in ("counter", "histogram"):
                for key, value in values.items():
                    assert value >= seen.get(name, {}).get(key, 0), (name, key)
                seen[name] = values


async def test_labels_are_bounded(cluster: Cluster) -> None:
    """What a neighbor may choose makes no new series, but for its name."""
    text = await scrape(cluster)
    labels = {name for family in text_string_to_metric_families(text) for name in _labels(family)}
    assert not labels & {"prefix", "next_hop", "as_path", "community", "address", "error", "text"}
    errors = Errors()
    known = len(errors.counts)
    for code in range(256):
        for subcode in range(256):
            errors._note("received", _notification(code, subcode))
    assert len(errors.counts) == known + 1 and sum(errors.counts.values()) == 65536


def _labels(family: Any) -> set[str]:
    return {label for sample in family.samples for label in sample.labels}


def _notification(code: int, subcode: int) -> Any:
    from bgp.wire.notification import Notification

    return Notification(code, subcode, b"")


# --- What the rules and the dashboard ask for ---------------------------------------------------------------


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Yield where a PromQL expression is, and itself."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    dashboard = json.loads(DASHBOARD.read_text())
    for each in dashboard["annotations"]["list"]:
        yield each["name"], each["expr"]
    for each in dashboard["templating"]["list"]:
        if each["type"] == "query":
            # label_values(SELECTOR, LABEL)
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", each["definition"]).groups()  # type: ignore[union-attr]
            yield each["name"], f"sum by ({label}) ({selector})"


async def test_what_is_asked_for_is_there(cluster: Cluster) -> None:
    """Every metric and every label of rules and dashboard is one of ours, values of labels included."""
    there: dict[str, set[str]] = {"up": set(), **SOMETIMES}
    values: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(await scrape(cluster)):
        for sample in family.samples:
            there.setdefault(sample.name, set()).update(sample.labels)
            for label, value in sample.labels.items():
                values.setdefault(label, set()).add(value)
    asked = set()
    for where, expression in expressions():
        names = set(re.findall(r"\b(?:martlet|process)_\w+|\bup\b", expression))
        assert names, where
        assert names <= there.keys(), (where, names - there.keys())
        asked |= names
        for name, selector in re.findall(r"\b((?:martlet|process)_\w+|up)\{([^}]*)\}", expression):
            for label, value in re.findall(r'(\w+)\s*(?:=~|!=|=|!~)\s*"([^"]*)"', selector):
                assert label in there[name] | ADDED, (where, name, label)
                if not value.startswith("$") and label not in ADDED:
                    assert set(value.split("|")) <= values[label], (where, value)
        joined = set().union(*(there[name] for name in names)) | ADDED
        for kept in re.findall(r"\b(?:by|on|without)\s*\(([^)]*)\)", expression):
            assert {label.strip() for label in kept.split(",")} <= joined, (where, kept)
    # The dashboard leaves little out that is told.
    ours = {family.name for family in FAMILIES if family.name.startswith("martlet")}
    asked.add("martlet_loop_lag_seconds")
    assert len(ours - asked) < 12, ours - asked


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    """Its documented model: rows, panels that lie beside each other, and the data source as a variable."""
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["id"] is None and dashboard["uid"] and dashboard["schemaVersion"] >= 36
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    source = variables["datasource"]
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    titles = [panel["title"] for panel in panels() if panel["type"] == "row"]
    assert titles == ["Overview", "Sessions", "Churn", "Groups", "Guards", "Process", "FIB"]
    numbers = [panel["id"] for panel in panels()]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] >= 0 and place["x"] + place["w"] <= 24 and place["h"] > 0
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies on another one"
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["type"] in ("stat", "timeseries", "table"), panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        references = [target["refId"] for target in panel["targets"]]
        assert references and len(set(references)) == len(references)
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
        used = set(re.findall(r"\$(\w+)", json.dumps(panel)))
        assert used <= {*variables, "__rate_interval"}, panel["title"]


def test_each_alarm_says_what_to_do() -> None:
    commands = re.compile(r"`reflector ([a-z]+)(?: ([a-z]+))?")
    from reflector.report.catalog import QUESTIONS

    for rule in rules():
        assert re.fullmatch(r"Martlet[A-Z][A-Za-z]+", rule["alert"])
        assert rule["labels"]["severity"] in ("warning", "critical")
        for name in ("summary", "description", "runbook"):
            assert len(rule["annotations"][name]) > 20, (rule["alert"], name)
        for command, report in commands.findall(rule["annotations"]["runbook"]):
            wanted = report if command == "show" else command
            assert wanted in {*QUESTIONS, "summary"}, (rule["alert"], command, report)


# --- promtool ---------------------------------------------------------------------------------------------

needs_promtool = pytest.mark.skipif(
    daemons.find("promtool") is None and not os.environ.get("CI"),
    reason="no promtool: as root, python tests/interop/daemons.py install",
)
# For each alarm: series that raise it, series that do not, and the minute at which it is looked at.  The
# values are promtool's: first, step and count; or a value many times.
LAG = 'martlet_loop_lag_seconds_bucket{instance="a",le="%s"}'
CASES: dict[str, tuple[dict[str, str], dict[str, str], int]] = {
    "MartletDown": ({'up{job="martlet"}': "0x10"}, {'up{job="martlet"}': "1x10", 'up{job="x"}': "0x10"}, 5),
    "MartletNotConverged": ({"martlet_converged": "0x20"}, {"martlet_converged": "0x5 1x15"}, 15),
    "MartletSessionsLost": (
        {'martlet_sessions{instance="a",state="Established"}': "100x30 70x20"},
        {'martlet_sessions{instance="a",state="Established"}': "100x30 95x20"},
        40,
    ),
    "MartletSessionDown": (
        {'martlet_peer_up{peer="n"}': "0x60"},
        {'martlet_peer_up{peer="n"}': "0x20 1x40"},
        45,
    ),
    "MartletSessionFlaps": (
        {'martlet_peer_established_total{peer="n"}': "1+1x40"},
        {'martlet_peer_established_total{peer="n"}': "1x20 2x20"},
        35,
    ),
    "MartletKeptDown": ({'martlet_kept_down{peer="n"}': "1x10"}, {}, 5),
    "MartletRoutesLost": (
        {'martlet_prefixes{instance="a",family="ipv4-unicast"}': "1000x30 600x30"},
        {'martlet_prefixes{instance="a",family="ipv4-unicast"}': "1000x30 800x30"},
        45,
    ),
    "MartletGroupLags": (
        {'martlet_group_lag_seconds{group="1"}': "60x20"},
        {'martlet_group_lag_seconds{group="1"}': "5x20"},
        10,
    ),
    "MartletSlowNeighbor": (
        {'martlet_peer_behind{peer="n"}': "1x20"},
        {'martlet_peer_behind{peer="n"}': "0x20"},
        15,
    ),
    "MartletLoopLate": (
        {LAG % "0.1": "0+50x20", LAG % "0.5": "0+100x20", LAG % "+Inf": "0+100x20"},
        {LAG % "0.1": "0+100x20", LAG % "0.5": "0+100x20", LAG % "+Inf": "0+100x20"},
        15,
    ),
    "MartletErrors": (
        {'martlet_notifications_total{way="sent",code="3",subcode="1"}': "0x5 1x5"},
        {'martlet_notifications_total{way="sent",code="6",subcode="4"}': "0x5 1x5"},
        8,
    ),
    "MartletBug": (
        {"martlet_internal_errors_total": "0x5 1x5"},
        {"martlet_internal_errors_total": "1x10"},
        8,
    ),
    "MartletStrangers": (
        {"martlet_connections_refused_total": "0+120x40"},
        {"martlet_connections_refused_total": "0+10x40"},
        30,
    ),
    "MartletFilesShort": (
        {'process_open_fds{job="martlet"}': "950x20", 'process_max_fds{job="martlet"}': "1000x20"},
        {'process_open_fds{job="martlet"}': "95x20", 'process_max_fds{job="martlet"}': "1000x20"},
        10,
    ),
    "MartletGuardHit": (
        {'martlet_peer_guard_refused{peer="n",rule="owned"}': "2x10"},
        {'martlet_peer_guard_refused{peer="n",rule="owned"}': "0x10"},
        8,
    ),
    "MartletPrefixDisputed": ({"martlet_guard_disputed": "1x10"}, {"martlet_guard_disputed": "0x10"}, 8),
    "MartletKernelRefuses": ({"martlet_fib_refused": "3x20"}, {"martlet_fib_refused": "0x20"}, 10),
    "MartletKernelBehind": ({"martlet_fib_pending": "9x20"}, {"martlet_fib_pending": "9x5 0x15"}, 15),
    "MartletDeletionsWithheld": ({"martlet_fib_withheld": "9x20"}, {"martlet_fib_withheld": "0x20"}, 5),
}


def promtool(*arguments: str, given: str = "") -> str:
    program = daemons.find("promtool")
    assert program is not None, "promtool is demanded in CI"
    done = subprocess.run(
        [*program.argv, *arguments],
        env={**os.environ, **program.environment},
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@needs_promtool
async def test_promtool_finds_nothing_wrong_with_the_exposition(cluster: Cluster) -> None:
    text = await scrape(cluster)
    assert (await asyncio.to_thread(promtool, "check", "metrics", given=text)).strip() == ""


@needs_promtool
def test_promtool_takes_the_rules_and_each_alarm_is_raised_when_it_should_be(tmp_path: Path) -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", str(ALERTS))
    assert {rule["alert"] for rule in rules()} == CASES.keys()
    tests = [
        {
            "interval": "1m",
            "name": f"{alert}, {'raised' if wanted else 'quiet'}",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})',
                    "eval_time": f"{minute}m",
                    "exp_samples": [{"labels": "{}", "value": 1}] if wanted else [],
                }
            ],
        }
        for alert, (loud, quiet, minute) in CASES.items()
        for wanted, series in ((True, loud), (False, quiet))
    ]
    # What is JSON is YAML, too.
    file = tmp_path / "alerts_test.yml"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
    assert "SUCCESS" in promtool("test", "rules", str(file))
