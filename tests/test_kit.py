"""The strategies reach every message, attribute, capability and rule; what they promise is what happens."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bgp.errors import RULES, Notify, Outcome
from bgp.iana import AttributeType
from bgp.session.action import Close, Delivery, Down
from bgp.session.connection import Connection
from bgp.session.event import Event, State
from bgp.session.negotiation import negotiate, offer
from bgp.testing import broken as breaking
from bgp.testing import strategies
from bgp.testing.broken import BY_OCTETS, Broken, Cause
from bgp.wire import capability, reference
from bgp.wire.attributes import ROWS, AttributeTable
from bgp.wire.capability import Capabilities
from bgp.wire.context import Context
from bgp.wire.framing import Framer
from bgp.wire.message import Keepalive, decode, encode
from bgp.wire.update import Update

ROOT = Path(__file__).resolve().parent.parent
KEEPALIVES = strategies.keepalives()
few = settings(max_examples=12, deadline=None)


# --- Nothing is left out -----------------------------------------------------------------------------------


def test_every_row_of_every_table_has_a_strategy() -> None:
    assert set(breaking.TABLE) == set(RULES)
    assert set(strategies.making.VALUES) == set(capability.TABLE)
    about = {rule.name for type in ROWS for rule in strategies.attribute_rules(type)}
    for type in ROWS:
        assert strategies.attribute_rules(type), ROWS[type].name
    others = [name for name in set(RULES) - about if "_" in name.partition("-")[0]]
    assert not others, "rules about an attribute that no row has"


@pytest.mark.parametrize("type", ROWS, ids=lambda type: ROWS[type].name)
def test_every_attribute_is_drawn_valid_and_raw(type: int) -> None:
    @few
    @given(st.data())
    def judged(data: st.DataObject) -> None:
        context = data.draw(strategies.contexts())
        whole = data.draw(strategies.attributes(type, context))
        assert whole[1] == type
        block = whole
        if type != AttributeType.AS_PATH:
            block += data.draw(strategies.attributes(AttributeType.AS_PATH, context))
        # The flags and the length are right: what a rule may mind is the place of the attribute.
        try:
            faults = reference.decode(bytes(2) + len(block).to_bytes(2, "big") + block, context).faults
            found = {fault.rule for fault in faults if fault.attribute == type}
        except Notify as notify:
            found = {notify.rule} & set(strategies.attribute_rules(type))
        about = {rule.name.rpartition("-")[2] for rule in found if rule}
        assert not about & {"flags", "length", "malformed", "value", "zero"}, whole.hex()
        raw = data.draw(strategies.raw_attributes(type))
        assert raw[1] == type

    judged()


@pytest.mark.parametrize("code", capability.TABLE, ids=lambda code: capability.name(code))
def test_every_capability_is_drawn_readable_and_not(code: int) -> None:
    @few
    @given(strategies.capabilities(code), strategies.unreadable_capabilities(code))
    def judged(good: capability.Capability, bad: capability.Capability) -> None:
        assert good.code == bad.code == code
        assert not Capabilities.parse([good]).malformed
        assert Capabilities.parse([bad]).malformed == (bad,)

    judged()


@few
@given(strategies.contexts(), st.data())
def test_valid_messages_are_valid(context: Context, data: st.DataObject) -> None:
    whole = data.draw(strategies.messages(context))
    framer = Framer(65535)
    framer.feed(whole)
    message = framer.next()
    assert message is not None and not framer.buffered
    kind, body = message
    if kind == 2:
        assert not reference.decode(body, context).faults
    else:
        assert encode(decode(kind, body)) == whole


@few
@given(
    strategies.opens() | strategies.notifications() | strategies.route_refreshes() | strategies.keepalives()
)
def test_values_are_read_back(value: Any) -> None:
    whole = encode(value)
    assert decode(whole[18], whole[19:]) == value


@few
@given(strategies.raw_messages(), strategies.raw_attributes(), strategies.raw_capabilities())
def test_raw_ones_are_anything(message: bytes, octets: bytes, one: capability.Capability) -> None:
    assert len(message) >= 19 and len(octets) >= 3
    Capabilities.parse([one])


# --- What is broken is answered as demanded ----------------------------------------------------------------


def begun(broken: Broken) -> tuple[Connection, list[Delivery]]:
    """Return a connection that has come to the state of `broken`."""
    connection = Connection(broken.ours, AttributeTable(), incoming=True, rng=lambda: 1.0)
    found = list(connection.handle(Event.TCP_CONNECTION_CONFIRMED, 0.0))
    if broken.state is not State.OPEN_SENT:
        found += connection.receive(encode(offer(broken.theirs)), 0.0)
    if broken.state is State.ESTABLISHED:
        found += connection.receive(encode(Keepalive()), 0.0)
    assert connection.state is broken.state
    connection.outgoing()
    return connection, []


def happened(broken: Broken) -> tuple[Connection, list[Delivery]]:
    """Let happen what breaks the rule; return the connection and what it delivered."""
    connection, found = begun(broken)
    match broken.cause:
        case Cause.OCTETS:
            found += connection.receive(broken.octets, 0.0)
        case Cause.SILENCE | Cause.UNREAD:
            for _ in range(1000):
                if any(isinstance(item, Down) for item in found):
                    break
                assert connection.deadline is not None
                now = connection.deadline
                if broken.cause is Cause.UNREAD:
                    found += connection.receive(encode(Keepalive()), now)
                else:
                    connection.sent(19, now)
                found += connection.tick(now)
        case Cause.COLLISION | Cause.EVENT:
            assert broken.event is not None
            found += connection.handle(broken.event, 0.0)
    return connection, found


def answered(broken: Broken) -> None:
    connection, found = happened(broken)
    assert not connection.crashes
    downs = [item for item in found if isinstance(item, Down)]
    if broken.outcome is not Outcome.SESSION_RESET:
        assert not downs
        updates = [item for item in found if isinstance(item, Update)]
        assert updates[-1].outcome == broken.outcome
        assert broken.rule.name in {fault.rule.name for fault in updates[-1].faults}
        return
    (down,) = downs
    if broken.cause is Cause.UNREAD:
        # RFC 9687: it could not be sent, and is only logged.
        assert broken.rule.source in down.text
        return
    assert down.sent is not None
    assert (down.sent.code, down.sent.subcode, down.sent.data) == broken.notification, down.text
    closes = [item for item in connection.outgoing() if isinstance(item, Close)]
    assert closes and closes[-1].final[19:] == bytes(broken.notification[:2]) + broken.notification[2]  # type: ignore[index]


@pytest.mark.parametrize("name", RULES)
def test_each_rule_is_broken_and_answered_as_demanded(name: str) -> None:
    for seed in range(15):
        broken = breaking.broken(Random(f"{name}:{seed}"), [name])
        assert broken.rule.name == name
        assert (broken.cause is Cause.OCTETS) == (name in BY_OCTETS) == bool(broken.octets)
        answered(broken)


@few
@given(strategies.broken())
def test_any_rule_is_broken_by_hypothesis_too(broken: Broken) -> None:
    answered(broken)


@pytest.mark.parametrize("type", ROWS, ids=lambda type: ROWS[type].name)
def test_attributes_are_broken_by_their_rules(type: int) -> None:
    @settings(max_examples=10, deadline=None)
    @given(strategies.broken_attributes(type))
    def judged(broken: Broken) -> None:
        assert broken.rule in strategies.attribute_rules(type)
        answered(broken)

    judged()


def test_rules_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="no rule is called nonsense"):
        strategies.broken(["nonsense", "marker"])


@few
@given(strategies.contexts())
def test_two_ends_negotiate_the_session_that_was_drawn(context: Context) -> None:
    if context.four_octet_as or context.peer_as <= 0xFFFF:
        ours, theirs = breaking.sides(context)
        assert negotiate(ours, offer(ours), offer(theirs)).context() == context


# --- As another project uses it ----------------------------------------------------------------------------

FOREIGN = '''
from hypothesis import given, settings

from bgp import AttributeTable, Decoder, Notify
from bgp.errors import RULES
from bgp.testing import strategies


def parse(body, four_octet_as):
    """A parser of somebody else's: the length of the attributes, or None for a session reset."""
    start = 4 + int.from_bytes(body[:2], "big")
    end = start + int.from_bytes(body[start - 2 : start], "big")
    return None if end > len(body) else end - start


@settings(max_examples=30, deadline=None)
@given(strategies.examples(strategies.updates))
def test_good_ones(example):
    context, body = example
    assert parse(body, context.four_octet_as) is not None


@settings(max_examples=30, deadline=None)
@given(strategies.broken(["attribute-list"]))
def test_broken_ones(broken):
    assert parse(broken.octets[19:], True) is None
    assert broken.notification[:2] == (3, 1)


@settings(max_examples=30, deadline=None)
@given(strategies.opens(), strategies.messages(), strategies.capabilities(), strategies.raw_messages())
def test_composed(opening, message, capability, raw):
    assert opening.asn and len(message) >= 19


def test_all_is_there():
    assert len(RULES) > 80
'''


def installed(directory: Path) -> Iterator[Path]:
    """Yield what an installation puts beside others: the packages, and nothing of the repository's rest."""
    for package in ("bgp", "reflector"):
        target = directory / package
        target.symlink_to(ROOT / package, target_is_directory=True)
        yield target


def test_another_project_uses_the_strategies(tmp_path: Path) -> None:
    """In a directory and a process of its own, with the packages on its path and neither fuzz nor tests."""
    packages, project = tmp_path / "site", tmp_path / "project"
    packages.mkdir()
    project.mkdir()
    assert list(installed(packages))
    (project / "test_parser.py").write_text(FOREIGN)
    (project / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '-p no:cacheprovider'\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(project)],
        cwd=project,
        env={"PYTHONPATH": str(packages), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_the_kit_asks_for_no_more_than_its_extra(tmp_path: Path) -> None:
    """What `martlet[testing]` installs is enough: hypothesis, construct, and the standard library."""
    source = (
        "import sys\n"
        "import bgp.testing.strategies, bgp.testing.agreement, bgp.testing.reference.router\n"
        "names = {name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(*sorted(name for name in names if not name.startswith('_')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=100, check=True
    )
    found = set(done.stdout.split())
    assert {"bgp", "hypothesis"} <= found
    assert not found & {"pytest", "reflector", "fuzz", "tests", "rich", "atheris"}
