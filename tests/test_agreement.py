"""The fast path of UPDATEs agrees with the reference, and the run that shows it can tell right from wrong."""

import random
from collections.abc import Callable
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutants import MUTANTS, Mutant, fast_path

from bgp.errors import RULES, Notify, Outcome
from bgp.family import FAMILIES, IPV4_UNICAST, Family
from bgp.iana import EXTENDED_MESSAGE_LENGTH, HEADER_LENGTH, MAXIMUM_MESSAGE_LENGTH, AttributeType
from bgp.testing import agreement, breakage, generate, mixture, strategies
from bgp.testing.agreement import Decode, Disagreement, Histogram, Judgment, agree, compare
from bgp.wire import reference, update
from bgp.wire.attributes import AttributeTable
from bgp.wire.context import Context
from bgp.wire.prefix import split

EXAMPLES = 20_000
Corpus = list[tuple[Context, bytes, Judgment]]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Return messages with what the reference says of them."""
    return [
        (context, data, agreement.judge(data, context))
        for context, data in islice(agreement.messages("corpus"), EXAMPLES)
    ]


def decode_all(corpus: Corpus, router: Callable[[], Callable[[Context], Decode]]) -> None:
    """Compare each message, twice, with decoders that have seen those before it."""
    open_session = router()
    sessions: dict[Context, Decode] = {}
    for context, data, judgment in corpus:
        if context not in sessions:
            sessions[context] = open_session(context)
        for _ in range(2):
            compare(judgment, data, context, sessions[context])


def test_agreement(corpus: Corpus) -> None:
    histogram = Histogram()
    for _, data, judgment in corpus:
        histogram.add(data, judgment)
    assert histogram.examples == EXAMPLES
    assert histogram.shortfalls() == [], str(histogram)
    decode_all(corpus, agreement.router)


def test_the_fast_path_loaded_anew_agrees(corpus: Corpus) -> None:
    """The mutants are loaded in the same way, so this is not what gives them away."""
    decode_all(corpus[:3000], fast_path({}))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutants_are_killed(mutant: Mutant, corpus: Corpus) -> None:
    with pytest.raises(Disagreement):
        decode_all(corpus, mutant.router())


def test_mutants_differ() -> None:
    assert len({(mutant.text, mutant.instead) for mutant in MUTANTS}) == len(MUTANTS) >= 15


@given(strategies.examples())
@settings(max_examples=300, deadline=None)
def test_agreement_on_what_hypothesis_draws(example: tuple[Context, bytes]) -> None:
    context, body = example
    agree(body, context)


@given(strategies.exchanges())
@settings(max_examples=100, deadline=None)
def test_agreement_on_exchanges(exchange: mixture.Exchange) -> None:
    open_session = agreement.router()
    sessions: dict[Context, Decode] = {}
    for context, body in exchange:
        decode = sessions.setdefault(context, open_session(context))
        agree(body, context, decode, decode)


@given(st.integers(0, 2**generate.CONTEXT_BITS - 1), st.binary(max_size=40))
@settings(max_examples=300, deadline=None)
def test_agreement_on_any_octets(bits: int, data: bytes) -> None:
    agree(data, generate.context_of(bits))


def test_memory_and_table_give_the_same_object() -> None:
    """A block that a decoder remembers, and one that the table has met, are one Attributes."""
    table = AttributeTable()
    source = random.Random("table")
    for _ in range(300):
        context = generate.context(source)
        body = generate.update(source, context)
        decoder = update.Decoder(context, table)
        first, again = decoder.decode(body).announced, decoder.decode(body).announced
        other = update.decode(body, context, table).announced
        for one, two, three in zip(first, again, other, strict=True):
            assert one.attributes is two.attributes is three.attributes


# --- The instrument itself ------------------------------------------------------------------------------


def test_disagreement_names_what_differs() -> None:
    def wrong(body: bytes) -> update.Update:
        found = update.decode(body, Context(), AttributeTable())
        return update.Update(found.withdrawn, found.announced, None, found.outcome, found.faults)

    with pytest.raises(Disagreement) as caught:
        agree(bytes(4), Context(), wrong)
    assert caught.value.differences == ["end of rib: reference <ipv4-unicast>, fast path None"]
    assert "00000000" in str(caught.value)


def test_an_exception_is_a_disagreement() -> None:
    def broken(body: bytes) -> update.Update:
        raise IndexError("index out of range")

    with pytest.raises(Disagreement, match="IndexError"):
        agree(bytes(4), Context(), broken)


def test_a_short_body_is_filled_up() -> None:
    verdict = agree(b"", Context())
    assert isinstance(verdict, reference.Verdict)
    assert verdict.end_of_rib is IPV4_UNICAST


def test_histogram_tells_what_was_met_too_seldom() -> None:
    histogram = Histogram()
    histogram.add(bytes(4), agreement.judge(bytes(4), Context()))
    short = histogram.shortfalls()
    assert "session-reset: 0 of 1" in short
    assert "AIGP: 0 times" in short
    assert "aigp-malformed: 0 times" in short
    other = Histogram()
    other.merge(histogram)
    assert other == histogram
    assert "1 messages" in str(other)


def test_histogram_counts_attributes_of_broken_lists() -> None:
    histogram = Histogram()
    # ORIGIN twice, COMMUNITIES with an extended length, and an attribute that overruns.
    body = bytes.fromhex("0000 0012 40010100 40010100 d0080001 00 4002ff00 0a")
    histogram.add(body, agreement.judge(body, Context()))
    types = {type for type, count in histogram.attributes.items() if count}
    assert types == {AttributeType.ORIGIN, AttributeType.COMMUNITIES, AttributeType.AS_PATH}


def test_runs_repeat() -> None:
    assert agreement.run(400, seed=5) == agreement.run(400, seed=5)
    assert list(islice(agreement.messages("5"), 50)) != list(islice(agreement.messages("6"), 50))


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Too short a run is not worth much, and says so in its exit status."""
    assert agreement.main(["--examples", "200", "--seed", "3"]) == 1
    printed = capsys.readouterr().out
    assert "200 messages" in printed
    assert "met too seldom" in printed


# --- What is drawn --------------------------------------------------------------------------------------


@given(strategies.examples(strategies.updates) | strategies.examples(strategies.usual_updates))
@settings(max_examples=200, deadline=None)
def test_valid_updates_are_valid(example: tuple[Context, bytes]) -> None:
    context, body = example
    verdict = reference.decode(body, context)
    assert (verdict.outcome, verdict.faults, verdict.ignored) == (Outcome.OK, (), ())
    maximum = EXTENDED_MESSAGE_LENGTH if context.extended_messages else MAXIMUM_MESSAGE_LENGTH
    assert len(body) <= maximum - HEADER_LENGTH


@pytest.mark.parametrize("rule", breakage.BREAKERS)
def test_broken_updates_break_their_rule(rule: str) -> None:
    source = random.Random(rule)
    seen = 0
    while seen < 40:
        context = generate.context(source)
        if not breakage.BREAKERS[rule].applies(context):
            continue
        seen += 1
        body = breakage.update(source, context, [rule])
        try:
            verdict = reference.decode(body, context)
        except Notify as notify:
            assert notify.rule is RULES[rule]
        else:
            assert rule in [fault.rule.name for fault in verdict.faults]


def test_every_rule_can_be_broken() -> None:
    assert set(breakage.BREAKERS) == set(agreement.UPDATE_RULES)


def test_broken_updates_refuse_what_cannot_be_broken() -> None:
    with pytest.raises(ValueError, match="local_pref-external"):
        strategies.broken_updates(Context(internal=True), ["local_pref-external"])


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_parts(data: st.DataObject) -> None:
    """What the strategies of parts promise."""
    context = data.draw(strategies.contexts())
    family = data.draw(strategies.families())
    assert 0 < data.draw(strategies.asns()) < 2**32
    prefix = data.draw(strategies.prefixes(family))
    assert prefix[0] <= family.bits
    assert split(prefix, family) in ([], [prefix])  # multicast is no route
    route = data.draw(strategies.routes(family, context))
    head = 4 if family in context.add_path else 0
    assert len(route) == head + 1 + (route[head] + 7) // 8
    hop = data.draw(strategies.next_hops())
    assert hop[0] not in (0, 127, *range(224, 240))
    assert len(hop) == 4
    for type, numbers in data.draw(strategies.as_paths(context)):
        assert 1 <= len(numbers) <= 255
        assert 1 <= type <= 4
    assert len(data.draw(strategies.attribute_values(AttributeType.COMMUNITIES))) % 4 == 0
    for kind in (strategies.broken_updates, strategies.foreign_updates, strategies.mutated_updates):
        assert len(data.draw(kind(context))) >= 4
    assert len(data.draw(strategies.noise())) >= 4


def test_contexts_cover_their_bits() -> None:
    contexts = {generate.context_of(bits) for bits in range(2**generate.CONTEXT_BITS)}
    families: set[frozenset[Family]] = {context.families for context in contexts}
    assert len(families) == 3
    assert {context.add_path for context in contexts} == {
        frozenset(), frozenset({FAMILIES[0]}), frozenset({FAMILIES[1]}), frozenset(FAMILIES)
    }  # fmt: skip
    for name in (
        "internal",
        "confederation",
        "four_octet_as",
        "extended_messages",
        "as_sets",
        "aigp",
        "first_as",
    ):
        assert {getattr(context, name) for context in contexts} == {False, True}
    assert not any(context.internal and context.confederation for context in contexts)
