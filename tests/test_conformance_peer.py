"""The conformance peer: its table covers the rules, its judgment tells right from wrong, and we pass."""

import json
import socket
from collections import Counter
from ipaddress import ip_address

import pytest

from bgp.aio.options import PeerOptions
from bgp.errors import RULES, Notify, Outcome
from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.policy import ACCEPT_ALL
from bgp.speaker import Speaker
from bgp.testing.__main__ import main
from bgp.testing.conformance import Misfit, Options, Report, Verdict, cases, examine, select
from bgp.testing.conformance.case import Answer, Case, Demand, Match, Observed, Stage, Victim, judge, match
from bgp.testing.conformance.report import as_json
from bgp.testing.conformance.scene import Scene, context_of
from bgp.wire import reference
from bgp.wire.capability import Capabilities
from bgp.wire.message import Notification

BOTH = (IPV4_UNICAST, IPV6_UNICAST)
TARGET_AS = 65000
OURS = {IPV4_UNICAST: ip_address("192.0.2.1").packed, IPV6_UNICAST: ip_address("2001:db8::1").packed}
CLEAN = (Verdict.CONFORMS, Verdict.SKIPPED)


def scene(case: Case, local_as: int) -> Scene:
    hops = {IPV4_UNICAST: ip_address("192.0.2.9").packed, IPV6_UNICAST: ip_address("2001:db8::9").packed}
    context = context_of(
        frozenset(BOTH),
        local_as,
        TARGET_AS,
        four_octet_as=not case.two_octet_as,
        extended_messages=case.extended,
    )
    offered = Capabilities(
        route_refresh=True, enhanced_route_refresh=True, extended_message=True, four_octet_as=TARGET_AS
    )
    return Scene(TARGET_AS, local_as, 7, hops, context, 3, 0x0A000001, offered)


def applying() -> list[tuple[Case, Scene]]:
    found = []
    for case in cases(variants=1):
        for local_as in (TARGET_AS, 65001):
            setting = scene(case, local_as)
            if not case.applies(setting):
                found.append((case, setting))
    return found


# --- the table ------------------------------------------------------------------------------------------


def test_cases_have_names_of_their_own_and_name_their_rfc() -> None:
    everything = cases(variants=2)
    assert [name for name, count in Counter(case.name for case in everything).items() if count > 1] == []
    assert all(source.startswith("RFC ") for case in everything for source in case.sources)
    numbers = frozenset().union(*(case.rfcs for case in everything))
    assert {"4271", "7606", "4760", "5492", "6608", "6793", "7313", "8654", "9003", "9072", "2918"} <= numbers


def test_every_rule_about_updates_is_broken_by_some_case() -> None:
    broken: set[str] = set()
    for case, setting in applying():
        if not case.watched or case.group != "update":
            continue
        body = case.build(setting)[0][19:]
        try:
            broken |= {fault.rule.name for fault in reference.decode(body, setting.context).faults}
        except Notify as fault:
            assert fault.rule is not None
            broken.add(fault.rule.name)
    updates = {rule.name for rule in RULES.values() if rule.code == 3}
    assert updates - broken == {"aigp-flags", "aigp-malformed"}  # nobody enables it on a session


def test_every_code_and_subcode_that_a_peer_can_cause_is_demanded() -> None:
    demanded = {
        (demand.code, demand.subcode) for case, setting in applying() for demand in [case.build(setting)[1]]
    }
    caused = {(rule.code, rule.subcode) for rule in RULES.values() if rule.outcome == Outcome.SESSION_RESET}
    # A role and a required capability depend on the target's configuration, the rest cannot be brought about.
    assert caused - demanded == {(2, 7), (2, 11), (5, 0), (6, 7), (8, 0)}


def test_words_select_rfcs_sections_groups_and_cases() -> None:
    assert {case.group for case in select(["open", "header"])} == {"open", "header"}
    assert [case.name for case in select(["marker-established"])] == ["marker-established"]
    assert all("7606" in case.rfcs for case in select(["7606"]))
    assert all(any(s.startswith("RFC 4271 6.3") for s in case.sources) for case in select(["4271-6.3"]))
    assert {case.name for case in select(["4271-6.3"])} < {case.name for case in select(["rfc4271-6"])}
    with pytest.raises(ValueError, match="names no RFC"):
        select(["7606", "nonsense"])


# --- the judgment ---------------------------------------------------------------------------------------

RESET = Demand(Answer.RESET, 3, 5, b"\1")
SURVIVED = Observed(canary=True)


@pytest.mark.parametrize(
    ("demand", "seen", "wanted"),
    [
        (RESET, Observed(Notification(3, 5, b"\1"), True), Match.FULL),
        (RESET, Observed(Notification(3, 5, b"\2"), True), Match.DATA),
        (RESET, Observed(Notification(3, 4, b"\1"), True), Match.NO),
        (RESET, Observed(closed=True), Match.NO),
        (Demand(Answer.RESET, 3, None), Observed(Notification(3, 9), True), Match.FULL),
        (Demand(Answer.WITHDRAW), Observed(canary=True, victim=Victim.GONE), Match.FULL),
        (Demand(Answer.WITHDRAW), Observed(canary=False, victim=Victim.GONE), Match.NO),
        (Demand(Answer.WITHDRAW), Observed(canary=True, victim=Victim.OLD), Match.NO),
        (Demand(Answer.WITHDRAW), Observed(canary=True, victim=Victim.GONE, closed=True), Match.NO),
        (Demand(Answer.IGNORE), Observed(canary=True, victim=Victim.OLD), Match.FULL),
        (Demand(Answer.DISCARD, absent=(7,)), Observed(canary=True, victim=Victim.NEW), Match.FULL),
        (
            Demand(Answer.DISCARD, absent=(7,)),
            Observed(canary=True, victim=Victim.NEW, attributes={7: (0xC0, b"")}),
            Match.NO,
        ),
        (
            Demand(Answer.ACCEPT, present=((8, b"1"),)),
            Observed(canary=True, victim=Victim.NEW, attributes={8: (0xC0, b"2")}),
            Match.NO,
        ),
        (Demand(Answer.SILENCE), SURVIVED, Match.FULL),
        (Demand(Answer.SILENCE), Observed(closed=True), Match.NO),
        (Demand(Answer.OPENED), Observed(opened=True), Match.FULL),
        (Demand(Answer.OPENED), Observed(opened=True, closed=True), Match.NO),
        (Demand(Answer.CLOSED), Observed(closed=True), Match.FULL),
        (Demand(Answer.CLOSED), Observed(Notification(5, 0), True), Match.NO),
    ],
)
def test_answers_fit_demands(demand: Demand, seen: Observed, wanted: Match) -> None:
    assert match(demand, seen) is wanted


def test_harm_to_others_outweighs_the_right_answer() -> None:
    case = Case("a", "update", ("RFC 7606 2",), "", lambda scene: (b"", RESET), Stage.ESTABLISHED)
    right = Observed(Notification(3, 5, b"\1"), True)
    assert judge(case, RESET, right, b"").verdict is Verdict.CONFORMS
    harmed = Observed(Notification(3, 5, b"\1"), True, unharmed=False)
    assert judge(case, RESET, harmed, b"").verdict is Verdict.DIFFERS
    assert judge(case, RESET, Observed(trouble="no session"), b"").verdict is Verdict.UNCLEAR


# --- live -----------------------------------------------------------------------------------------------


async def tried(
    words: list[str], local_as: int, witness_as: int, testers: int = 6, patience: float = 20.0, **peer: object
) -> Report:
    """Try our own speaker on loopback."""
    external = local_as != TARGET_AS
    addresses = [f"127.0.0.{number}" for number in range(11, 11 + testers + 1)]
    async with Speaker(asn=TARGET_AS, router_id="192.0.2.1", listen=["127.0.0.1:0"]) as speaker:
        for address in addresses:
            asn = witness_as if address == addresses[0] else local_as
            options: dict[str, object] = {"client": not external, **peer}
            if external:
                policies = {"import_policy": ACCEPT_ALL, "export_policy": ACCEPT_ALL}
                options |= {**policies, "next_hops": OURS, "multihop": 2}
            options = {"asn": asn, "passive": True, "families": BOTH, **options}
            speaker.add_peer(PeerOptions(address=address, source_address="127.0.0.1", **options))  # type: ignore[arg-type]
        settings = Options(
            target="127.0.0.1",
            asn=TARGET_AS,
            local_as=local_as,
            witness_as=witness_as,
            locals=tuple(addresses[1:]),
            witness=addresses[0],
            port=speaker.listening[0][1],
            families=BOTH,
            next_hop_ipv4="192.0.2.9",
            next_hop_ipv6="2001:db8::9",
            patience=patience,
            settle=2.0,
        )
        return await examine(settings, select(words, variants=1))


@pytest.mark.parametrize(("local_as", "witness_as"), [(TARGET_AS, TARGET_AS), (65001, 65002)])
async def test_our_own_speaker_conforms(local_as: int, witness_as: int) -> None:
    report = await tried([], local_as, witness_as)
    found = [
        (result.case.name, result.demand, result.seen, result.note)
        for result in report.results
        if result.verdict not in CLEAN
    ]
    assert found == []
    assert report.count(Verdict.CONFORMS) > 200
    told = json.loads(json.dumps(as_json(report)))
    assert told["session"] == ("internal" if local_as == TARGET_AS else "external")
    assert all(result["others_unharmed"] for result in told["results"] if result["verdict"] != "skipped")


async def test_a_target_that_dials_and_signs() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.21", 0))
        port = free.getsockname()[1]
    async with Speaker(asn=TARGET_AS, router_id="192.0.2.1") as speaker:
        for address in ("127.0.0.21", "127.0.0.22"):
            speaker.add_peer(
                PeerOptions(
                    address=address,
                    port=port,
                    asn=TARGET_AS,
                    client=True,
                    password="secret",
                    source_address="127.0.0.1",
                    connect_retry_time=0.2,
                    idle_hold_time=0.1,
                )
            )
        settings = Options(
            target="127.0.0.1",
            asn=TARGET_AS,
            local_as=TARGET_AS,
            witness_as=TARGET_AS,
            locals=("127.0.0.21",),
            witness="127.0.0.22",
            password="secret",
            next_hop_ipv4="192.0.2.9",
            passive=True,
            listen_port=port,
            patience=20.0,
        )
        report = await examine(settings, select(["origin-value-3", "type-7", "identifier-zero"]))
    assert [result.verdict for result in report.results] == [Verdict.CONFORMS] * 3


async def test_an_as_that_the_target_does_not_expect_is_told() -> None:
    with pytest.raises(Misfit, match=r"expects another AS there than 65009: see --local-as"):
        await tried(["origin-value-3"], 65009, 65002, asn=65008)


async def test_a_target_that_passes_nothing_on_is_told() -> None:
    with pytest.raises(Misfit, match=r"hears nothing of an ipv4-unicast route .* clients of a reflector"):
        await tried(["origin-value-3"], TARGET_AS, TARGET_AS, patience=0.3, client=False)


def test_the_command_lists_and_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["peer", "--list", "--rules", "7606-7.1"]) == 0
    assert "origin-length-0" in capsys.readouterr().out
    assert main(["peer", "--rules", "nonsense"]) == 2
    assert "names no RFC" in capsys.readouterr().err
    assert main(["peer", "--asn", "65000"]) == 2
    assert "--target is needed" in capsys.readouterr().err
