"""What there is to see of the cluster at a moment, in words and numbers; screen and lines show it."""

import time
from dataclasses import dataclass

from bgp.export.rules import Withheld
from bgp.family import FAMILIES
from bgp.iana import Origin
from bgp.rib.decision import Verdict
from bgp.rib.ladder import local_pref
from bgp.session.event import State
from bgp.wire import aspath
from bgp.wire import prefix as nlri
from reflector.demo.changes import Change
from reflector.demo.scenario import SERVICE, Node, Scenario


@dataclass(frozen=True, slots=True)
class Session:
    """The reflector's session with a node; routes are counted for IPv4 and IPv6."""

    name: str
    address: str
    client: bool
    state: str
    up: bool
    seconds: float
    received: tuple[int, ...]
    advertised: tuple[int, ...]
    why: str


@dataclass(frozen=True, slots=True)
class PathView:
    """A path of the explained prefix: what speaks for it, and what the decision said."""

    name: str
    local_pref: int
    rest: str
    verdict: Verdict

    @property
    def best(self) -> bool:
        return self.verdict.best

    @property
    def attributes(self) -> str:
        return f"LOCAL_PREF {self.local_pref} {self.rest}".rstrip()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a prefix has the best path it has, and who is told, or why not."""

    prefix: str
    paths: tuple[PathView, ...]
    told: tuple[str, ...]
    withheld: tuple[tuple[str, str], ...]  # names, reason


@dataclass(frozen=True, slots=True)
class View:
    """Everything at a moment."""

    asn: int
    router_id: str
    listening: tuple[str, ...]
    seconds: float
    changes: int
    restarts: int
    sessions: tuple[Session, ...]
    latest: tuple[Change, ...]
    explanation: Explanation


def look(scenario: Scenario, latest: tuple[Change, ...]) -> View:
    """Return the view of this moment, with the latest changes given, newest last."""
    return View(
        asn=scenario.reflector.configuration.router.asn,
        router_id=scenario.router_id,
        listening=tuple(scenario.listening),
        seconds=time.monotonic() - scenario.started,
        changes=scenario.changes.count,
        restarts=scenario.restarts,
        sessions=tuple(_session(scenario, node) for node in scenario.nodes),
        latest=latest,
        explanation=explain(scenario),
    )


def _session(scenario: Scenario, node: Node) -> Session:
    peer = scenario.peer(node)
    member = None if peer is None else peer.member
    router = scenario.reflector.speaker.router
    received: tuple[int, ...] = (0, 0)
    advertised: tuple[int, ...] = (0, 0)
    if member is not None:
        received = tuple(member.received(family) for family in FAMILIES)
        advertised = tuple(sum(1 for _ in router.rib.advertised(member, family)) for family in FAMILIES)
    up = peer is not None and peer.state is State.ESTABLISHED
    return Session(
        name=node.name,
        address=node.source,
        client=node.client,
        state="down" if peer is None else peer.state.label,
        up=up,
        seconds=0.0 if peer is None else max(0.0, time.time() - peer.since),
        received=received,
        advertised=advertised,
        why="" if up else node.why_down,
    )


def explain(scenario: Scenario, prefix: str = SERVICE) -> Explanation:
    """Explain the reflector's decision for `prefix`."""
    router = scenario.reflector.speaker.router
    family, octets = nlri.parse(prefix)
    verdicts = [considered.verdict for considered in router.rib.explain(family, octets)]
    paths = tuple(_path(scenario, verdict) for verdict in verdicts)
    told: list[str] = []
    withheld: dict[str, list[str]] = {}
    best = next((verdict.path for verdict in verdicts if verdict.best), None)
    for node in scenario.nodes:
        peer = scenario.peer(node)
        if best is None or peer is None or peer.member is None:
            continue
        answer = router.rib.told(peer.member, family, best)
        if isinstance(answer, Withheld):
            withheld.setdefault(str(answer), []).append(node.name)
        else:
            told.append(node.name)
    return Explanation(
        prefix, paths, tuple(told), tuple((" ".join(names), reason) for reason, names in withheld.items())
    )


def _path(scenario: Scenario, verdict: Verdict) -> PathView:
    attributes = verdict.path.attributes
    words = []
    if attributes.as_path_length:
        words.append(f"AS_PATH {aspath.text(attributes.as_path)}")
    if attributes.origin != Origin.IGP:
        words.append(f"ORIGIN {Origin(attributes.origin).name}")
    if attributes.med:
        words.append(f"MED {attributes.med}")
    name = scenario.node_of(verdict.path.source.address)
    return PathView(name, local_pref(verdict.path), " ".join(words), verdict)


def clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
