"""Our reflector with daemons around it, each by one session: what the tests of the matrix share.

`@around("bird", ...)` says which daemons a test is about; `Ring` starts them, compares what they hold with
what we say and with RFC 4456, and has Wireshark judge all that we sent.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import pytest
from capture import Capture
from exabgp import EXABGP
from netns import Network, eventually
from openbgpd import OPENBGPD
from ours import Reflector
from peers import KINDS, Daemon, Neighbor, Setup
from routes import FAMILIES, Route
from scenario import ASN, ORIGINATED, reflected

FIVE = {**KINDS, "openbgpd": OPENBGPD, "exabgp": EXABGP}
ALL = tuple(FIVE)

Test = Callable[..., None]


def around(*names: str, more: Iterable[str] = ()) -> Callable[[Test], Test]:
    """Mark a test as one about these daemons, each in the node of its name, with `more` nodes."""
    programs = [program for name in names for program in FIVE[name].programs]

    def mark(test: Test) -> Test:
        test = pytest.mark.interop(*programs, "tshark", "dumpcap")(test)
        return pytest.mark.parametrize("lan", [("reflector", *names, *more)], indirect=True, ids=[""])(test)

    return mark


@dataclass(frozen=True, slots=True)
class Session:
    """A session of each daemon with us: over which version of IP, for which families."""

    version: int = 4
    families: tuple[str, ...] = FAMILIES


class Ring:
    """The reflector and daemons around it; a context manager that starts all and waits for the sessions.

    They are internal peers and clients of ours, unless `asns` names another AS of theirs.  `everyone` are our
    keys about all, `ours` those about each, `theirs` its lines about us, `setups` its lines about itself, and
    `neighbor` fields of its `Neighbor`.  `dials`: "us", "them" or "both".  `shown` is our AS as it must
    configure it, where that is not `asn`.  `tolerated` is what Wireshark may complain of.
    `shows` is `as_shown` or what calls it.
    """

    def __init__(
        self,
        lan: Network,
        *,
        sessions: tuple[Session, ...] = (Session(),),
        asn: int = ASN,
        asns: Mapping[str, int] | None = None,
        client: bool = True,
        dials: str = "us",
        everyone: Mapping[str, object] | None = None,
        ours: Mapping[str, Mapping[str, object]] | None = None,
        theirs: Mapping[str, tuple[str, ...]] | None = None,
        setups: Mapping[str, tuple[str, ...]] | None = None,
        routes: Mapping[str, Collection[Route]] = ORIGINATED,
        addresses: Mapping[str, str] | None = None,
        neighbor: Mapping[str, Mapping[str, Any]] | None = None,
        router: Mapping[str, object] | None = None,
        tables: Collection[Mapping[str, object]] = (),
        networks: Collection[Mapping[str, object]] = (),
        tolerated: str = "",
        shown: int | None = None,
        shows: Callable[[str, Route], Route] | None = None,
        waits: bool = True,
    ) -> None:
        self.lan, self.sessions, self.waits = lan, sessions, waits
        self.hub = lan["reflector"]
        self.capture: Capture | None = None
        self.shows = shows or as_shown
        self.tolerated = tolerated
        self._addresses = addresses or {}
        rows: list[Mapping[str, object]] = []
        self.daemons: dict[str, Daemon] = {}
        for name in (name for name in lan.nodes if name in FIVE):
            theirs_as = (asns or {}).get(name, asn)
            relation: dict[str, object] = {"client": client} if theirs_as == asn else {"policy": "accept-all"}
            neighbors = []
            for session in sessions:
                address, local = self.address(name, session), self.address("reflector", session)
                rows.append(
                    {
                        "name": f"{name}-{session.version}",
                        "address": address,
                        "asn": theirs_as,
                        "families": list(session.families),
                        "passive": dials == "them",
                        "connect_retry_time": 1,
                        "idle_hold_time": 1,
                        "damp_peer_oscillations": False,
                        **relation,
                        **(everyone or {}),
                        **(ours or {}).get(name, {}),
                    }
                )
                fields: dict[str, Any] = {
                    "name": f"reflector{session.version}",
                    "local": address,
                    "remote": local,
                    "asn": shown or asn,
                    "families": session.families,
                    "passive": dials == "us",
                    "options": (theirs or {}).get(name, ()),
                    **(neighbor or {}).get(name, {}),
                }
                neighbors.append(Neighbor(**fields))
            own = [
                route
                for route in routes.get(name, ())
                if any(route.family in session.families for session in sessions)
            ]
            setup = Setup(theirs_as, tuple(neighbors), tuple(own), options=(setups or {}).get(name, ()))
            self.daemons[name] = Daemon(FIVE[name], lan[name], setup)
        self.reflector = Reflector(
            self.hub, asn, (), extra=[*rows, *tables], router=router, networks=networks
        )

    def address(self, name: str, session: Session | None = None) -> str:
        """Return the address of the node that the session is with, with its scope."""
        return self._addresses.get(name) or self.lan[name].address((session or self.sessions[0]).version)

    def __enter__(self) -> "Ring":
        self.capture = Capture.start(self.hub)
        self.reflector.start()
        for daemon in self.daemons.values():
            daemon.start()
        if self.waits:
            self.wait_established()
        return self

    def wait_established(self, seconds: float = 30) -> None:
        """Wait until both sides say so of all sessions."""
        try:
            eventually(lambda: not self.down(), "all Established", seconds)
        except TimeoutError:
            raise TimeoutError(f"not Established: {self.down()}") from None

    def down(self) -> list[str]:
        """Return who is not Established, by whose account, and why."""
        said = [f"{name} says so" for name, daemon in self.daemons.items() if not daemon.established()]
        for name in self.daemons:
            for each in self.sessions:
                about = self.about(name, each)
                if about["state"] != "Established":
                    said.append(f"we say so of {name}: {about['last_error']}")
        return said

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self.capture is not None:
            self.capture.stop()
            ours = {self.address("reflector", session).partition("%")[0] for session in self.sessions}
            complaints = [line for each in ours for line in self.capture.complaints(each)]
            assert [line for line in complaints if not self.tolerated or self.tolerated not in line] == []

    # --- what is seen --------------------------------------------------------------------------------------
    def about(self, name: str, session: Session | None = None) -> dict[str, Any]:
        """Return what we say of the session."""
        return self.reflector.report()[self.address(name, session).partition("%")[0]]

    def state(self, name: str, session: Session | None = None) -> str:
        return str(self.about(name, session)["state"])

    def originated(self, name: str, families: tuple[str, ...] = FAMILIES) -> dict[str, Route]:
        """Return what the daemon says of its own."""
        return {route.prefix: route for route in self.daemons[name].setup.routes if route.family in families}

    def expected(self, receiver: str, families: tuple[str, ...] = FAMILIES) -> dict[str, Route]:
        """Return what a client among clients holds (RFC 4456 6)."""
        return {
            route.prefix: reflected(route, self.lan[sender].router_id, self.hub.router_id)
            for sender in self.daemons
            if sender != receiver
            for route in self.daemons[sender].setup.routes
            if route.family in families
        }

    def check_reflection(self) -> None:
        """Compare, by attributes, what each holds with what we say and with what RFC 4456 demands."""
        for name, daemon in self.daemons.items():
            for session in self.sessions:
                wanted = self.expected(name, session.families)
                peer = f"reflector{session.version}"
                eventually(
                    lambda d=daemon, w=wanted, p=peer: d.received(p).keys() == w.keys(),
                    f"{daemon!r} has {sorted(wanted)}",
                )
                address = self.address(name, session).partition("%")[0]
                sent = self.originated(name, session.families)
                # What it originates may come behind what it was told, which is nothing to a lone one.
                eventually(
                    lambda a=address, s=sent: self.reflector.received(a).keys() >= s.keys(),
                    f"we have {sorted(sent)} of {name}",
                )
                received = self.reflector.received(address)
                assert differences(received, sent) == [], f"we have of {name}"
                advertised = self.reflector.advertised(address)
                assert differences(advertised, wanted) == [], f"we told {name}"
                shown = {prefix: self.shows(name, route) for prefix, route in wanted.items()}
                assert differences(daemon.received(peer), shown) == [], f"{name} holds"

    def check_exchange(self) -> None:
        """Wait until each external peer has all others' routes, and compare what it holds with what we say.

        But for LOCAL_PREF, which is its own there.
        """
        for name, daemon in self.daemons.items():
            wanted = {prefix for other in self.daemons if other != name for prefix in self.originated(other)}
            eventually(lambda d=daemon, w=wanted: d.received().keys() == w, f"{name} has {sorted(wanted)}")
            told = self.reflector.advertised(self.address(name))
            shown = {prefix: as_shown(name, route) for prefix, route in told.items()}
            held = daemon.received()
            for prefix in held.keys() & shown.keys():
                shown[prefix] = replace(shown[prefix], local_pref=held[prefix].local_pref)
            assert differences(held, shown) == [], f"{name} holds"

    def log(self) -> str:
        """Return what the reflector has printed."""
        assert self.reflector.process is not None
        return self.reflector.process.output()

    def grown(self, name: str, before: Mapping[str, Any], key: str, kind: int) -> int:
        """Return by how much one of our counters of messages has grown."""
        return int(self.about(name)[key][kind]) - int(before[key][kind])


def differences(found: Mapping[str, Route], wanted: Mapping[str, Route]) -> list[str]:
    """Say where the two are not equal."""
    said = [f"{prefix} is missing" for prefix in wanted.keys() - found.keys()]
    said += [f"{prefix} is too much" for prefix in found.keys() - wanted.keys()]
    for prefix in found.keys() & wanted.keys():
        for name in Route.__slots__:
            there, due = getattr(found[prefix], name), getattr(wanted[prefix], name)
            if there != due:
                said.append(f"{prefix}: {name} is {there!r} and should be {due!r}")
    return said


def as_shown(name: str, route: Route) -> Route:
    """Return the route as that daemon shows it."""
    if name == "openbgpd" and route.med is None:
        return replace(route, med=0)  # it makes no difference between the two
    return route
