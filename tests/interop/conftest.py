"""Interop tests name the programs they need; elsewhere than in CI they are skipped without them."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import daemons
import netns
import pytest

pytest.register_assert_rewrite("ring")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("interop"):
        reason = daemons.why_not(*marker.args)
        if reason and os.environ.get("CI"):
            pytest.fail(f"real daemons are demanded in CI: {reason}", pytrace=False)
        elif reason:
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the processes on the LAN printed."""
    report = yield
    network = getattr(item, "funcargs", {}).get("lan")
    if network is not None:
        network.passed = report.passed
    if report.failed and network is not None:
        for name, output in network.outputs().items():
            report.sections.append((name, output[-4000:]))
    return report


@pytest.fixture
def lan(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[netns.Network]:
    """Give a network with the nodes that `@pytest.mark.parametrize("lan", [...], indirect=True)` names."""
    names = getattr(request, "param", ("reflector", "bird", "frr", "gobgp"))
    with netns.Network(names, tmp_path) as network:
        yield network
        if network.passed:
            for node in network.nodes.values():
                for judge in node.judges:
                    judge()
