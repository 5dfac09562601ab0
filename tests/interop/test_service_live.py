"""The service as an operator has it: the installed commands, with real daemons and many light clients."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from capture import Capture
from daemons import ROOT
from netns import Network, Node, Process, eventually, ip
from peers import BIRD, FRR, GOBGP, Daemon, Neighbor, Setup
from routes import Route
from scenario import ASN

HERE = Path(__file__).resolve().parent
LIGHTS = 40
ANYCAST = "203.0.113.0/24"

CONFIGURATION = """\
[router]
asn = 65000
router_id = "192.0.2.1"
listen = ["0.0.0.0:179", "[::]:179"]

[group.nodes]
client = true
password = "of-the-cluster"
add_path = "both"

[group.lights]
client = true
guard = "pods"
maximum_prefixes = 20
maximum_prefixes_action = "shut"

[guard.pods]
blocks = [{within = "10.244.0.0/16", length = 26}]
next_hop = "itself"

[[listen_range]]
prefix = "10.99.0.0/24"
group = "nodes"

[[listen_range]]
prefix = "10.98.0.0/24"
group = "lights"
"""


class Service:
    """`reflector run` in a node, and the other commands there."""

    def __init__(self, node: Node, text: str) -> None:
        self.node = node
        self.file = node.directory / "rr.toml"
        self.environment = {"REFLECTOR_SOCKET": str(node.directory / "control"), "PYTHONPATH": str(ROOT)}
        self.file.write_text(text + f'\n[control]\nsocket = "{self.environment["REFLECTOR_SOCKET"]}"\n')
        Capture.begin(node)
        self.process = self.start()

    def start(self) -> Process:
        process = self.node.start("reflector", [*self.command("run", str(self.file))], self.environment)
        eventually(lambda: not process.alive or self.run("show", "status").returncode == 0, "it answers", 60)
        assert process.alive, process.output()
        return process

    def command(self, *words: str) -> list[str]:
        return [str(Path(sys.executable).with_name("reflector")), *words]

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.node.command(*self.command(*words)),
            env={**os.environ, **self.environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def say(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def ask(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.say(*words, "--json").splitlines()]

    def sessions(self) -> dict[str, tuple[str, float | None]]:
        """Return the state of each neighbor, and since when that is so."""
        return {row["address"]: (row["state"], row.get("since")) for row in self.ask("show", "neighbors")}

    def edit(self, *changes: tuple[str, str]) -> None:
        text = self.file.read_text()
        for before, after in changes:
            assert before in text, before
            text = text.replace(before, after)
        self.file.write_text(text)


class Lights:
    """The light clients, and what they say of themselves."""

    def __init__(self, node: Node, hub: Node, count: int) -> None:
        ip("-n", hub.namespace, "address", "add", "10.98.0.254/24", "dev", "eth0")
        for number in range(1, count + 1):
            ip("-n", node.namespace, "address", "add", f"10.98.0.{number}/24", "dev", "eth0")
        self.file = node.directory / "state.json"
        argv = [sys.executable, str(HERE / "lights.py"), "10.98.0.254", str(ASN), str(count), str(self.file)]
        environment = {"PYTHONPATH": str(ROOT)}
        self.process = node.start("lights", argv, environment)

    def state(self) -> dict[str, Any]:
        assert self.process.alive, self.process.output()
        found: dict[str, Any] = json.loads(self.file.read_text()) if self.file.exists() else {"up": 0}
        return found

    def wait(self, what: str, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        eventually(lambda: condition(self.state()), f"{what}: {self.state}", 90)
        return self.state()


def node_of(lan: Network, kind: Any, name: str, routes: Sequence[Route], version: int = 4) -> Daemon:
    """Return a daemon that is a node of-the-cluster, with the password of its range."""
    hub, node = lan["reflector"], lan[name]
    families = ("ipv4-unicast", "ipv6-unicast") if version == 4 else ("ipv6-unicast",)
    options = {
        "bird": ('password "of-the-cluster"',),
        "frr": ("password of-the-cluster",),
        "gobgp": ('config.auth-password = "of-the-cluster"',),
    }[name]
    to_hub = Neighbor(
        "hub",
        node.address(version),
        hub.address(version),
        ASN,
        families,
        add_path=name == "bird",
        options=options,
    )
    return Daemon(kind, node, Setup(ASN, (to_hub,), tuple(routes)))


@pytest.mark.interop("bird", "birdc", "frr", "vtysh", "gobgpd", "gobgp")
@pytest.mark.parametrize("lan", [("reflector", "bird", "frr", "gobgp", "lights")], indirect=True)
def test_a_cluster_and_its_operator(lan: Network) -> None:
    hub = lan["reflector"]
    lights = Lights(lan["lights"], hub, LIGHTS)
    service = Service(hub, CONFIGURATION)
    bird = node_of(lan, BIRD, "bird", [Route(ANYCAST, (lan["bird"].ipv4,), local_pref=100)])
    frr = node_of(lan, FRR, "frr", [Route(ANYCAST, (lan["frr"].ipv4,), local_pref=100)])
    gobgp = node_of(lan, GOBGP, "gobgp", [Route("198.51.100.0/24", ("10.99.0.121",), local_pref=100)])
    daemons = {"bird": bird, "frr": frr, "gobgp": gobgp}
    for daemon in daemons.values():
        daemon.start()
    for daemon in daemons.values():
        daemon.wait_established()
    routes = LIGHTS + 2
    lights.wait(
        "all light clients have all routes", lambda now: now["up"] == LIGHTS and now["routes"] == routes
    )

    # What operators see.
    states = service.sessions()
    assert len(states) == LIGHTS + 3 and {state for state, _ in states.values()} == {"Established"}
    (summary,) = service.ask("show", "summary")
    assert summary["established"] == LIGHTS + 3, summary

    # Next hops are kept, and with ADD-PATH there are all paths: BIRD takes several, others one.
    eventually(lambda: len(bird.received()) == routes - 1 + 1, "BIRD has what others announce", 60)
    assert bird.received()["198.51.100.0/24"].next_hop == ("10.99.0.121",)
    eventually(lambda: len(gobgp.received()) == routes - 1, "GoBGP has what others announce", 60)
    anycast = gobgp.received()[ANYCAST]
    assert anycast.next_hop[0] in (lan["bird"].ipv4, lan["frr"].ipv4)

    # Why is this route best?
    explained = service.say("explain", ANYCAST, "--to", lan["gobgp"].ipv4)
    assert "best" in explained and "RFC 4271 9.1.2.2" in explained and "RFC 4456" in explained, explained

    # A dry run, a bad file, and a reload: whom it does not concern never notices.
    before = service.sessions()
    service.edit(("maximum_prefixes = 20", "maximum_prefixes = 30"))
    dry = service.say("reload", "--dry-run")
    assert "maximum_prefixes" in dry and "10.98.0.0/24" in dry and "10.99.0.0/24" not in dry, dry
    service.edit(("maximum_prefixes = 30", "maximum_prefixes = 0"))
    refused = service.run("reload")
    assert refused.returncode != 0 and "maximum_prefixes" in refused.stdout + refused.stderr, refused
    service.edit(("maximum_prefixes = 0", "maximum_prefixes = 30"))
    service.process.popen.send_signal(signal.SIGHUP)
    eventually(lambda: "nothing" in service.say("reload", "--dry-run"), "SIGHUP has reloaded", 60)
    assert service.sessions() == before

    # A guard: the block of another client, and a route for somebody else, are received and not used.
    thief = f"10.98.0.{LIGHTS}"
    lights.process.popen.send_signal(signal.SIGUSR2)
    eventually(lambda: len(service.ask("show", "routes", "--received", thief)) == 3, "it was received", 60)
    used = {row["prefix"]: row["usable"] for row in service.ask("show", "routes", "--received", thief)}
    assert used == {"10.244.10.0/26": True, "10.244.0.128/26": False, "0.0.0.0/0": False}
    explained = service.say("explain", "10.244.0.128/26")
    assert 'guard "pods": 10.244.0.128/26 belongs to 10.98.0.2, who came first' in explained, explained
    assert "0.0.0.0/0" not in lights.state()["told"] and service.sessions() == before

    # A limit: one client overdoes it and is shut, nobody else notices.
    lights.process.popen.send_signal(signal.SIGUSR1)
    state = lights.wait("one is shut", lambda now: now["lost by the last"] == 1)
    assert state["lost"] == 0
    eventually(
        lambda: service.sessions().get(thief, ("gone",))[0] != "Established", "its session is down", 60
    )
    expected = {each: since for each, since in before.items() if each != thief}
    assert {each: since for each, since in service.sessions().items() if each != thief} == expected

    # Drained, we are everybody's last choice; then we are not.
    told = service.say("drain")
    assert "drain" in told.lower(), told
    lights.wait("the drain is heard", lambda now: now["told"]["198.51.100.0/24"] == [0, [0xFFFF0000]])
    assert "65535:0" in bird.received()["198.51.100.0/24"].communities
    service.say("undrain")
    lights.wait("the drain is over", lambda now: now["told"]["198.51.100.0/24"] == [100, []])

    # The end for good, with a word to all.
    service.say("stop", "--for-good", "--text", "moved to rr2")
    eventually(lambda: not service.process.alive, "it has ended", 60)
    assert service.process.popen.returncode == 0, service.process.output()
    lights.wait("the word is heard", lambda now: "moved to rr2" in now["error"])
    shown = frr.ask("vtysh", "--vty_socket", str(frr.node.directory), "-c", "show bgp neighbors")
    assert "Administrative Shutdown" in shown, shown


@pytest.mark.interop("bird", "birdc", "frr", "vtysh")
@pytest.mark.parametrize("lan", [("reflector", "bird", "frr")], indirect=True)
def test_a_cluster_of_ipv6_only(lan: Network) -> None:
    """No node has an IPv4 address; one of them is restarted with SIGTERM of ours, and nothing is lost."""
    for node in lan.nodes.values():
        ip("-n", node.namespace, "address", "del", f"{node.ipv4}/24", "dev", "eth0")
    text = CONFIGURATION.replace('"0.0.0.0:179", ', "").replace("10.99.0.0/24", "fd99::/64")
    text = text.replace("10.98.0.0/24", "fd98::/64").replace(
        "[group.nodes]", '[group.nodes]\nfamilies = ["ipv6-unicast"]\ngraceful_restart = {families = true}'
    )
    service = Service(lan["reflector"], text)
    one = Route("2001:db8:1::/64", (lan["bird"].ipv6,), local_pref=100)
    other = Route("2001:db8:2::/64", (lan["frr"].ipv6,), local_pref=100)
    bird = node_of(lan, BIRD, "bird", [one], 6)
    frr = node_of(lan, FRR, "frr", [other], 6)
    bird.start()
    frr.start()
    for daemon, route in ((bird, other), (frr, one)):
        daemon.wait_established()
        eventually(
            lambda d=daemon, r=route: [each.next_hop for each in d.received().values()] == [r.next_hop],
            f"{daemon!r} has the other's route by its next hop",
            60,
        )
    (row,) = service.ask("show", "routes", "2001:db8:2::/64")
    assert row["next_hop"] == lan["frr"].ipv6, row
    assert set(service.sessions()) == {lan["bird"].ipv6, lan["frr"].ipv6}
    service.process.stop(60)
    service.process = service.start()
    for daemon in (bird, frr):
        daemon.wait_established()
    eventually(lambda: len(service.ask("show", "routes")) == 2, "both routes are there again", 60)
