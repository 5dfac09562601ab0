"""The same paths, the same options: our reflector, BIRD and FRR choose the same one of each prefix.

Three feeders announce every prefix, each its own way; the three deciders reflect what they choose to an
observer, by whose account it is compared.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
from netns import Network, Node, eventually
from ours import Reflector
from peers import BIRD, FRR, Daemon, Kind, Neighbor, Setup
from routes import Route

ASN = 65000
FEEDERS = ("feeder1", "feeder2", "feeder3")
DECIDERS = ("reflector", "bird", "frr")
# option -> what it is in BIRD, below each protocol, and in FRR, in router bgp
OPTIONS = {
    "always_compare_med": ("med metric on;", "bgp always-compare-med"),
    "med_missing_as_worst": ("default bgp_med 4294967295;", "bgp bestpath med missing-as-worst"),
    "ignore_as_path_length": ("path metric off;", "bgp bestpath as-path ignore"),
}
# What the other two need for a result that does not depend on who was first (RFC 4271 9.1.2.2 c).
DETERMINISTIC = ("deterministic med on;", "bgp deterministic-med")

# By feeder: two of them are told by one neighboring AS.
NEIGHBORS = ("64501", "64502", "64501")
MEDS = (None, 0, 10, 20)
LENGTHS = (1, 2)


def routes(feeder: int) -> tuple[Route, ...]:
    """Return what a feeder announces: a prefix for each combination of MEDs and AS_PATH lengths."""
    cases = [*product(MEDS, repeat=3)]
    found = []
    for number, meds in enumerate(cases):
        for length in LENGTHS:
            # With length 2 the feeder that says so is another one from case to case.
            longer = length == 2 and number % 3 == feeder
            path = NEIGHBORS[feeder] + " 64999" * (2 if longer else 1)
            prefix = f"198.{18 + length // 2}.{number}.0/24"
            found.append(
                Route(prefix, (f"10.99.0.{200 + feeder}",), as_path=path, med=meds[feeder], local_pref=100)
            )
    return tuple(found)


def chosen(kind: Kind, options: tuple[str, ...]) -> Kind:
    """Return the daemon's row with options of the decision in its configuration."""
    column = 0 if kind is BIRD else 1
    lines = [DETERMINISTIC[column], *(OPTIONS[option][column] for option in options)]
    # A line that stands where such options may.
    mark = "  connect delay time 1;" if kind is BIRD else " no bgp default ipv4-unicast"

    def configure(node: Node, setup: Setup) -> str:
        text = kind.configure(node, setup)
        assert mark in text
        return text.replace(mark, "\n".join(f"  {line}" for line in lines) + f"\n{mark}")

    return replace(kind, configure=configure)


def build(lan: Network, options: tuple[str, ...]) -> tuple[list[Callable[[], object]], Daemon]:
    """Return what starts each program, and the observer."""

    def neighbor(here: str, there: str, client: bool = False) -> Neighbor:
        # Deciders wait to be dialed.
        passive = here in DECIDERS
        return Neighbor(there, lan[here].ipv4, lan[there].ipv4, ASN, ("ipv4-unicast",), passive, client)

    starts: list[Callable[[], object]] = []
    for name in DECIDERS:
        around = tuple(neighbor(name, other, client=True) for other in (*FEEDERS, "observer"))
        if name == "reflector":
            reflector = Reflector(lan[name], ASN, around, reporting=False)
            table = "[decision]\n" + "".join(f"{option} = true\n" for option in options)
            plain = reflector.configuration()
            reflector.configuration = lambda text=plain + table: text  # type: ignore[method-assign]
            starts.append(reflector.start)
        else:
            kind = chosen(BIRD if name == "bird" else FRR, options)
            starts.append(Daemon(kind, lan[name], Setup(ASN, around)).start)
    for number, name in enumerate(FEEDERS):
        around = tuple(neighbor(name, other) for other in DECIDERS)
        starts.append(Daemon(BIRD, lan[name], Setup(ASN, around, routes(number))).start)
    observer = Daemon(
        BIRD, lan["observer"], Setup(ASN, tuple(neighbor("observer", other) for other in DECIDERS))
    )
    return [*starts, observer.start], observer


@pytest.mark.interop("bird", "birdc", "frr", "vtysh")
@pytest.mark.parametrize("lan", [(*DECIDERS, *FEEDERS, "observer")], indirect=True)
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("always_compare_med",),
        ("med_missing_as_worst",),
        ("always_compare_med", "med_missing_as_worst"),
        ("ignore_as_path_length",),
    ],
    ids=lambda options: "+".join(options) or "none",
)
def test_all_choose_alike(lan: Network, options: tuple[str, ...]) -> None:
    starts, observer = build(lan, options)
    for start in starts:
        start()
    observer.wait_established()
    number = len(routes(0))

    def told() -> list[dict[str, str]]:
        # The next hop says whose path it is.
        return [
            {prefix: route.next_hop[0] for prefix, route in observer.received(name).items()}
            for name in DECIDERS
        ]

    eventually(lambda: all(len(each) == number for each in told()), f"{number} prefixes from each decider")
    eventually(lambda: (found := told())[0] == found[1] == found[2], "all choose alike", 15)
    ours = set(told()[0].values())
    assert ours >= {"10.99.0.200", "10.99.0.201"}, "it is not always the same feeder"
