"""What two OPENs make of a session, and which OPENs are refused with which NOTIFICATION."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.errors import Notify
from bgp.family import FAMILIES, IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import AddPathMode, CapabilityCode, Role
from bgp.session.config import AsExpected, SessionConfig
from bgp.session.negotiation import COUNTERPART, Negotiated, negotiate, offer
from bgp.session.restart import RUNNING, RestartOptions, RestartState
from bgp.wire.capability import Capabilities, Capability, Fqdn, GracefulRestart, LongLivedGracefulRestart
from bgp.wire.message import Open, decode_open, encode

US = SessionConfig(local_as=65001, identifier=0x0A000001, families=FAMILIES)
THEM = SessionConfig(local_as=65002, identifier=0x0A000002, families=FAMILIES)
SEND, RECEIVE, BOTH = AddPathMode.SEND, AddPathMode.RECEIVE, AddPathMode.BOTH


def theirs(config: SessionConfig = THEM, plain: bool = False) -> Open:
    """Return the peer's OPEN as it comes from the wire."""
    return decode_open(encode(offer(config, plain))[19:])


def session(us: SessionConfig = US, them: SessionConfig | Open = THEM) -> Negotiated:
    return negotiate(us, offer(us), them if isinstance(them, Open) else theirs(them))


def refused(us: SessionConfig, them: SessionConfig | Open) -> Notify:
    with pytest.raises(Notify) as caught:
        session(us, them)
    return caught.value


def error(us: SessionConfig, them: SessionConfig | Open) -> tuple[int, int, bytes]:
    notify = refused(us, them)
    return notify.code, notify.subcode, notify.data


# --- AS numbers and identifiers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "remote_as", "good"),
    [
        (AsExpected.ANY, 65002, True),
        (AsExpected.ANY, 65001, True),
        (AsExpected.ANY, 4200000000, True),
        (AsExpected.INTERNAL, 65001, True),
        (AsExpected.INTERNAL, 65002, False),
        (AsExpected.EXTERNAL, 65002, True),
        (AsExpected.EXTERNAL, 65001, False),
        (65002, 65002, True),
        (65002, 65003, False),
        (4200000000, 4200000000, True),
        (23456, 4200000000, False),
    ],
)
def test_the_as_expected(expected: int | AsExpected, remote_as: int, good: bool) -> None:
    us, them = replace(US, peer_as=expected), replace(THEM, local_as=remote_as)
    if good:
        assert session(us, them).remote_as == remote_as
    else:
        assert error(us, them) == (2, 2, b"")
        assert refused(us, them).offset == 20


@pytest.mark.parametrize("expected", [AsExpected.ANY, AsExpected.EXTERNAL])
def test_as_trans_is_nobody(expected: AsExpected) -> None:
    us = replace(US, peer_as=expected)
    assert error(us, Open(23456, 90, 2)) == (2, 2, b"")
    assert error(us, Open(23456, 90, 2, Capabilities(four_octet_as=23456).encode())) == (2, 2, b"")


def test_an_old_speaker_that_is_known_by_as_trans() -> None:
    # RFC 6793 section 4.2.2: a peer without the capability cannot say more; configured so, it is taken.
    assert session(replace(US, peer_as=23456), Open(23456, 90, 2)).remote_as == 23456


def test_internal_external_and_confederation() -> None:
    assert session(US, replace(THEM, local_as=65001)).internal
    assert not session().internal
    member = session(replace(US, confederation=True))
    assert (member.internal, member.confederation) == (False, True)
    own = session(replace(US, confederation=True), replace(THEM, local_as=65001))
    assert (own.internal, own.confederation) == (True, False)


def test_our_identifier_at_an_internal_peer_is_refused_and_at_an_external_one_is_not() -> None:
    twin = replace(THEM, identifier=US.identifier)
    assert error(US, replace(twin, local_as=US.local_as)) == (2, 3, b"")
    assert refused(US, replace(twin, local_as=US.local_as)).offset == 24
    assert session(US, twin).remote_identifier == US.identifier


# --- Hold time -------------------------------------------------------------------------------------------


@given(st.sampled_from([0, 3, 4, 89, 90, 240, 65535]), st.sampled_from([0, 3, 5, 90, 65535]))
def test_the_smaller_hold_time_counts(ours: int, remote: int) -> None:
    both = session(replace(US, hold_time=ours), replace(THEM, hold_time=remote))
    assert both.hold_time == min(ours, remote)
    assert both.keepalive_time == pytest.approx(both.hold_time / 3)
    assert both.send_hold_time == (max(480, 2 * both.hold_time) if both.hold_time else 0)


def test_the_minimum_hold_time() -> None:
    us = replace(US, minimum_hold_time=20)
    assert session(us, replace(THEM, hold_time=20)).hold_time == 20
    for offered in (19, 3, 0):
        assert error(us, replace(THEM, hold_time=offered)) == (2, 6, b"")
    assert refused(us, replace(THEM, hold_time=9)).offset == 22


def test_the_send_hold_time() -> None:
    assert session(replace(US, hold_time=300), replace(THEM, hold_time=300)).send_hold_time == 600
    assert session(replace(US, send_hold_time=100)).send_hold_time == 100
    assert session(replace(US, send_hold_time=0)).send_hold_time == 0
    assert session(replace(US, send_hold_time=100), replace(THEM, hold_time=0)).send_hold_time == 0


# --- Capabilities ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "remote", "both"),
    [
        (FAMILIES, FAMILIES, FAMILIES),
        (FAMILIES, (IPV6_UNICAST,), (IPV6_UNICAST,)),
        ((IPV6_UNICAST, IPV4_UNICAST), FAMILIES, (IPV6_UNICAST, IPV4_UNICAST)),
        ((IPV4_UNICAST,), FAMILIES, (IPV4_UNICAST,)),
    ],
)
def test_families(ours: tuple[Family, ...], remote: tuple[Family, ...], both: tuple[Family, ...]) -> None:
    assert session(replace(US, families=ours), replace(THEM, families=remote)).families == both


def test_a_peer_without_capabilities_speaks_ipv4() -> None:
    old = session(US, theirs(plain=True))
    assert old.families == (IPV4_UNICAST,)
    assert not old.four_octet_as
    assert not old.route_refresh
    assert not old.enhanced_route_refresh
    assert old.maximum_send == 4096
    # What we advertised the peer may use in what it sends, whatever it can receive (RFC 8654 section 4).
    assert old.maximum_receive == 65535


def test_we_without_capabilities_speak_ipv4() -> None:
    ours = offer(US, plain=True)
    assert ours.capabilities == ()
    old = negotiate(US, ours, theirs())
    assert old.families == (IPV4_UNICAST,)
    assert not old.four_octet_as
    assert (old.maximum_receive, old.maximum_send) == (4096, 4096)


def test_no_common_family_is_refused_with_those_that_we_want() -> None:
    us = replace(US, families=(IPV6_UNICAST,))
    wanted = bytes((1, 4, 0, 2, 0, 1))
    assert error(us, replace(THEM, families=(IPV4_UNICAST,))) == (2, 7, wanted)
    assert error(us, theirs(plain=True)) == (2, 7, wanted)
    # Families that we do not know are none.
    foreign = Capabilities(families=((1, 128), (25, 70))).encode()
    assert error(us, Open(65002, 90, 2, foreign)) == (2, 7, wanted)


def test_a_required_capability() -> None:
    us = replace(US, required=(CapabilityCode.ENHANCED_ROUTE_REFRESH, CapabilityCode.FOUR_OCTET_AS))
    assert session(us).enhanced_route_refresh
    lacking = replace(THEM, enhanced_route_refresh=False)
    assert error(us, lacking) == (2, 7, bytes((70, 0)))
    assert error(us, replace(lacking, four_octet_as=False)) == (
        *(2, 7, bytes((65, 4)) + (65001).to_bytes(4, "big") + bytes((70, 0))),
    )


@given(st.integers(0, 255), st.binary(max_size=255))
def test_unknown_capabilities_never_end_a_session(code: int, value: bytes) -> None:
    known = {int(code) for code in CapabilityCode}
    if code in known:
        return
    them = replace(offer(THEM), capabilities=(*offer(THEM).capabilities, Capability(code, value)))
    assert session(US, them).capabilities.unknown == (Capability(code, value),)


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("remote", [True, False])
def test_switches(ours: bool, remote: bool) -> None:
    names = ("four_octet_as", "route_refresh", "enhanced_route_refresh", "extended_messages")
    both = session(replace(US, **dict.fromkeys(names, ours)), replace(THEM, **dict.fromkeys(names, remote)))  # type: ignore[arg-type]
    assert both.four_octet_as == (ours and remote)
    assert both.enhanced_route_refresh == (ours and remote)
    assert both.route_refresh == remote  # whether we may ask depends on the peer alone
    assert both.maximum_receive == (65535 if ours else 4096)
    assert both.maximum_send == (65535 if ours and remote else 4096)


@pytest.mark.parametrize("ours", [None, RECEIVE, SEND, BOTH])
@pytest.mark.parametrize("remote", [None, RECEIVE, SEND, BOTH])
def test_add_path(ours: AddPathMode | None, remote: AddPathMode | None) -> None:
    us = replace(US, add_path={IPV4_UNICAST: ours} if ours else {})
    them = replace(THEM, add_path={IPV4_UNICAST: remote, IPV6_UNICAST: BOTH} if remote else {})
    both = session(us, them)
    assert both.add_path_receive == (
        {IPV4_UNICAST} if ours in (RECEIVE, BOTH) and remote in (SEND, BOTH) else set()
    )
    assert both.add_path_send == (
        {IPV4_UNICAST} if ours in (SEND, BOTH) and remote in (RECEIVE, BOTH) else set()
    )


def test_add_path_of_a_family_that_was_not_negotiated_means_nothing() -> None:
    us = replace(US, add_path={IPV4_UNICAST: BOTH, IPV6_UNICAST: BOTH})
    them = replace(THEM, families=(IPV6_UNICAST,), add_path={IPV6_UNICAST: BOTH})
    capabilities = replace(
        Capabilities.parse(offer(them).capabilities), add_path=((1, 1, BOTH), (2, 1, BOTH))
    ).encode()
    both = session(us, replace(offer(them), capabilities=capabilities))
    assert both.add_path_receive == both.add_path_send == {IPV6_UNICAST}


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("remote", [True, False])
def test_extended_next_hop(ours: bool, remote: bool) -> None:
    us = replace(US, extended_next_hop=(IPV4_UNICAST,) if ours else ())
    them = replace(THEM, extended_next_hop=(IPV4_UNICAST,) if remote else ())
    assert session(us, them).extended_next_hop == ({IPV4_UNICAST} if ours and remote else set())


def offered(config: SessionConfig, state: RestartState = RUNNING) -> Capabilities:
    return Capabilities.parse(offer(config, state=state).capabilities)


def test_graceful_restart_is_offered_empty_and_llgr_not_at_all() -> None:
    # RFC 4724 section 4: recommended even for who cannot preserve anything; RFC 9494 section 5.
    capabilities = offered(US)
    assert capabilities.graceful_restart == GracefulRestart(notification=True, time=90)
    assert capabilities.long_lived_graceful_restart is None
    assert [item.code for item in offer(US).capabilities].count(CapabilityCode.GRACEFUL_RESTART) == 1
    assert offered(replace(US, graceful_restart=None)).graceful_restart is None
    both = session()
    assert both.graceful and both.notification_restart
    assert not (both.restarts or both.preserved or both.long_lived)


@pytest.mark.parametrize(
    ("hold_time", "time", "told"), [(90, None, 90), (0, None, 120), (9999, None, 4095), (90, 7, 7)]
)
def test_the_restart_time(hold_time: int, time: int | None, told: int) -> None:
    config = replace(US, hold_time=hold_time, graceful_restart=RestartOptions(time=time))
    found = offered(config).graceful_restart
    assert found is not None and found.time == told


def test_what_is_preserved_is_told_by_family() -> None:
    options = RestartOptions(families=(IPV4_UNICAST,), long_lived={IPV6_UNICAST: 3600}, notification=False)
    config = replace(US, graceful_restart=options)
    assert offered(config).graceful_restart == GracefulRestart(time=90, families=((1, 1, True),))
    assert offered(config).long_lived_graceful_restart == LongLivedGracefulRestart(((2, 1, True, 3600),))
    lost = RestartState(True, frozenset(FAMILIES))
    assert offered(config, lost).graceful_restart == GracefulRestart(True, time=90, families=((1, 1, False),))
    assert offered(config, lost).long_lived_graceful_restart == LongLivedGracefulRestart(
        ((2, 1, False, 3600),)
    )


def test_only_families_of_the_session_are_preserved() -> None:
    options = RestartOptions(families=FAMILIES, long_lived=dict.fromkeys(FAMILIES, 9))
    capabilities = offered(replace(US, families=(IPV4_UNICAST,), graceful_restart=options))
    assert capabilities.graceful_restart is not None
    assert capabilities.graceful_restart.families == ((1, 1, True),)
    assert capabilities.long_lived_graceful_restart == LongLivedGracefulRestart(((1, 1, True, 9),))


def with_restart(restart: GracefulRestart | None, long_lived: LongLivedGracefulRestart | None = None) -> Open:
    capabilities = replace(offered(THEM), graceful_restart=restart, long_lived_graceful_restart=long_lived)
    return Open(65002, 90, 2, capabilities.encode())


EMPTY = GracefulRestart(time=120)
IPV4_TOO = GracefulRestart(time=120, families=((1, 1, False),))
HOUR = LongLivedGracefulRestart(((1, 1, True, 3600),))


@pytest.mark.parametrize(
    ("restart", "long_lived", "ours", "kept"),
    [
        (EMPTY, None, {}, False),
        (IPV4_TOO, None, {}, True),
        (replace(IPV4_TOO, time=0), None, {}, False),
        (GracefulRestart(time=120, families=((1, 128, True),)), None, {}, False),
        (None, None, {}, False),
        (EMPTY, HOUR, {IPV4_UNICAST: 1}, True),
        (EMPTY, HOUR, {IPV6_UNICAST: 1}, False),
        (EMPTY, HOUR, {}, False),
        # RFC 9494 section 4.5: as though it had not been received.
        (None, HOUR, {IPV4_UNICAST: 1}, False),
    ],
)
def test_routes_of_a_peer_are_kept_if_it_lists_a_family(
    restart: GracefulRestart | None,
    long_lived: LongLivedGracefulRestart | None,
    ours: dict[Family, int],
    kept: bool,
) -> None:
    us = replace(US, graceful_restart=RestartOptions(long_lived=ours))
    both = session(us, with_restart(restart, long_lived))
    assert both.graceful_restart == restart
    assert both.llgr == (long_lived if restart else None)
    assert both.restarts is kept
    # The other way round it is our routes that are kept.
    assert both.preserved is (kept and bool(ours))
    assert both.long_lived is bool(ours)
    without = session(replace(US, graceful_restart=None), with_restart(restart, long_lived))
    assert not without.restarts and not without.graceful


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("remote", [True, False])
def test_notifications_are_graceful_if_both_say_so(ours: bool, remote: bool) -> None:
    us = replace(US, graceful_restart=RestartOptions(notification=ours))
    assert session(us, with_restart(GracefulRestart(notification=remote))).notification_restart is (
        ours and remote
    )


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"time": 4096}, "time"),
        ({"time": -1}, "time"),
        ({"stale_time": 0}, "stale_time"),
        ({"stale_time": float("nan")}, "stale_time"),
        ({"long_lived": {IPV4_UNICAST: 1 << 24}}, "long_lived"),
        ({"long_lived_minimum": 9, "long_lived_maximum": 8}, "long_lived_minimum"),
        ({"long_lived_maximum": 1 << 24}, "long_lived_maximum"),
        ({"partial": True}, "partial"),
    ],
)
def test_restart_options_that_cannot_be(options: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        RestartOptions(**options)  # type: ignore[arg-type]


def test_received_stale_times_are_bounded() -> None:
    # RFC 9494 section 4.2; a zero is not raised.
    options = RestartOptions(long_lived_minimum=10, long_lived_maximum=20)
    assert [options.stale_for(told) for told in (0, 1, 15, 99)] == [0, 10, 15, 20]
    assert RestartOptions().stale_time == 180


def test_an_fqdn_is_offered() -> None:
    name = Fqdn("rr1", "example.net")
    assert session(US, replace(THEM, fqdn=name)).capabilities.fqdn == name


# --- Roles (RFC 9234) ------------------------------------------------------------------------------------


@pytest.mark.parametrize("remote", [None, *Role])
@pytest.mark.parametrize("ours", [None, *Role])
@pytest.mark.parametrize("strict", [False, True])
def test_roles(ours: Role | None, remote: Role | None, strict: bool) -> None:
    us, them = replace(US, role=ours, strict_role=strict), replace(THEM, role=remote)
    if ours is not None and (remote != COUNTERPART[ours] if remote is not None else strict):
        assert error(us, them) == (2, 11, b"")
        return
    both = session(us, them)
    assert (both.role, both.remote_role) == (ours, remote if ours is not None else None)


def test_counterparts_are_mutual() -> None:
    assert all(COUNTERPART[COUNTERPART[role]] == role for role in Role)


def test_different_roles_of_one_peer_are_refused_and_repeated_ones_are_not() -> None:
    us = replace(US, role=Role.PROVIDER)
    once = offer(replace(THEM, role=Role.CUSTOMER))
    again = replace(once, capabilities=(*once.capabilities, Capability(9, bytes((Role.CUSTOMER,)))))
    assert session(us, again).remote_role == Role.CUSTOMER
    both = replace(once, capabilities=(*once.capabilities, Capability(9, bytes((Role.PEER,)))))
    assert error(us, both) == (2, 11, b"")


def test_roles_mean_nothing_among_internal_peers() -> None:
    us = replace(US, role=Role.PROVIDER, strict_role=True)
    assert session(us, replace(THEM, local_as=US.local_as)).role is None


# --- As a whole ------------------------------------------------------------------------------------------

CONFIGS = st.builds(
    SessionConfig,
    local_as=st.sampled_from([65001, 65002, 4200000000]),
    identifier=st.sampled_from([1, 2, 0xFFFFFFFF]),
    families=st.sampled_from([FAMILIES, FAMILIES[::-1], (IPV4_UNICAST,), (IPV6_UNICAST,)]),
    hold_time=st.sampled_from([0, 3, 90]),
    four_octet_as=st.booleans(),
    route_refresh=st.booleans(),
    extended_messages=st.booleans(),
    add_path=st.just({}),
)


@given(CONFIGS, CONFIGS)
def test_both_sides_come_to_the_same(one: SessionConfig, two: SessionConfig) -> None:
    try:
        here = negotiate(one, offer(one), theirs(two))
    except Notify as notify:
        assert notify.code == 2
        return
    try:
        there = negotiate(two, offer(two), theirs(one))
    except Notify as notify:
        # The sole asymmetry: a large AS number without the capability for it is AS_TRANS to the other.
        assert (notify.code, notify.subcode) == (2, 2)
        return
    assert set(here.families) == set(there.families)
    assert here.hold_time == there.hold_time
    assert here.four_octet_as == there.four_octet_as
    assert (here.local_identifier, here.remote_identifier) == (
        there.remote_identifier,
        there.local_identifier,
    )
    assert here.maximum_send <= there.maximum_receive
    assert here.add_path_send == there.add_path_receive


def test_the_context_of_the_decoder() -> None:
    us = replace(US, add_path={IPV6_UNICAST: RECEIVE}, as_sets=True, aigp=True, first_as=False)
    them = replace(THEM, add_path={IPV6_UNICAST: BOTH})
    context = session(us, them).context()
    assert context.families == set(FAMILIES)
    assert context.add_path == {IPV6_UNICAST}
    assert (context.as_sets, context.aigp, context.first_as) == (True, True, False)
    assert (context.internal, context.peer_as, context.four_octet_as) == (False, 65002, True)
    assert context.extended_messages
    assert not session(replace(us, extended_messages=False), them).context().extended_messages


# --- The configuration -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("local_as", 0),
        ("local_as", 2**32),
        ("local_as", 23456),
        ("identifier", 0),
        ("identifier", 2**32),
        ("peer_as", 0),
        ("families", ()),
        ("families", (IPV4_UNICAST, IPV4_UNICAST)),
        ("hold_time", 1),
        ("hold_time", 2),
        ("hold_time", 65536),
        ("minimum_hold_time", 91),
        ("send_hold_time", 90),
        ("send_hold_time", -1),
        ("open_hold_time", 0),
        ("connect_retry_time", 0),
        ("idle_hold_time", 0),
        ("idle_hold_maximum", 0.5),
        ("delay_open", -1),
        ("stable_time", -1),
        ("add_path", {IPV6_UNICAST: BOTH}),
        ("extended_next_hop", (IPV6_UNICAST,)),
    ],
)
def test_a_bad_value_is_named(name: str, value: object) -> None:
    good = SessionConfig(local_as=65001, identifier=1)
    with pytest.raises(ValueError, match=rf"^{name}: must"):
        replace(good, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("hold_time", [0, 3, 65535])
def test_good_hold_times(hold_time: int) -> None:
    assert SessionConfig(local_as=1, identifier=1, hold_time=hold_time).hold_time == hold_time
