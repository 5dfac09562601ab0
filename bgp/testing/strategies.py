"""hypothesis strategies for every message, attribute and capability, for anyone's tests.

    from hypothesis import given
    from bgp.testing import strategies

    @given(strategies.examples(strategies.updates))
    def test_mine(example):
        context, body = example
        ...

There are valid ones, nearly valid ones, and raw ones.  All are ordinary strategies, to be mapped, filtered
and put together, and shrink towards the plainest session and the shortest message.

**Whole messages**, with their header: `messages(context)` are valid ones of every type; `broken()` gives
`Broken` values, each with one rule of `bgp.errors.RULES` that is broken and the outcome that is demanded;
`raw_messages()` look like messages at most.

**Values**: `opens()`, `notifications()`, `keepalives()`, `route_refreshes()` and `capabilities()`, as `bgp`
itself decodes them; `unreadable_capabilities()` have values that mean nothing, and so must be ignored.

**Attributes**: `attributes(type, context)` are whole and valid, `broken_attributes(type)` break a rule,
`raw_attributes(type)` have any flags and any value; `attribute_values(type, context)` are values alone.

**UPDATEs** come as bodies, without the nineteen octets of the header, for one `Context`: the properties of
the session, without which an UPDATE has no meaning.  `examples` draws the session too.

    updates(context)            valid: nothing to report, whatever it holds
    usual_updates(context)      valid, and of the shape that nearly all have
    broken_updates(context)     valid but for one to three rules of `bgp.errors.RULES`, or those named
    foreign_updates(context)    with routes of families that the session may not have negotiated
    mutated_updates(context)    valid but for a few octets changed, lost, repeated or added
    noise()                     anything of at least four octets
"""

from collections.abc import Callable, Collection
from random import Random
from typing import TypeVar

from hypothesis import strategies as st

from bgp.errors import RULES, Rule
from bgp.family import FAMILIES, Family
from bgp.iana import AttributeType
from bgp.testing import breakage, generate, mixture
from bgp.testing import broken as breaking
from bgp.testing import messages as making
from bgp.testing.breakage.place import valid_value
from bgp.testing.broken import Broken
from bgp.testing.draft import Item
from bgp.wire.attributes import ROWS
from bgp.wire.capability import Capability
from bgp.wire.context import Context
from bgp.wire.message import Keepalive, Notification, Open, RouteRefresh

Value = TypeVar("Value")
Body = st.SearchStrategy[bytes]


def drawn(generator: Callable[[Random], Value]) -> st.SearchStrategy[Value]:
    """Return what `generator` makes of a source of randomness, as a strategy that shrinks."""
    return st.randoms(use_true_random=False).map(generator)


# --- Parts ----------------------------------------------------------------------------------------------


def contexts() -> st.SearchStrategy[Context]:
    """Return sessions: every kind of peer, AS width, families, ADD-PATH, and option of a decoder."""
    return st.integers(0, 2**generate.CONTEXT_BITS - 1).map(generate.context_of)


def families() -> st.SearchStrategy[Family]:
    return st.sampled_from(FAMILIES)


def asns() -> st.SearchStrategy[int]:
    """Return AS numbers that may stand in a path: of two octets, of four, AS_TRANS; never 0."""
    return drawn(generate.asn)


def prefixes(family: Family) -> st.SearchStrategy[bytes]:
    """Return prefixes as their wire octets, host bits cleared, lengths 0 to the family's most."""
    return drawn(lambda random: generate.prefix(random, family))


def routes(family: Family, context: Context) -> st.SearchStrategy[bytes]:
    """Return one route as a peer writes it: path identifier if negotiated, host bits set or not."""
    return drawn(lambda random: generate.route(random, family, context))


def as_paths(context: Context) -> st.SearchStrategy[generate.Path]:
    """Return AS paths as (segment type, AS numbers) that a peer of this session may send."""
    return drawn(lambda random: generate.path(random, context))


def next_hops() -> st.SearchStrategy[bytes]:
    """Return IPv4 next hops, the address of a host each (RFC 4271 section 6.3)."""
    return drawn(generate.next_hop)


def attribute_values(type: int, context: Context | None = None) -> st.SearchStrategy[bytes]:
    """Return valid values of any attribute that Martlet knows, as a peer of this session writes them."""
    session = Context() if context is None else context
    return drawn(lambda random: valid_value(random, session, type))


def attributes(type: int, context: Context | None = None) -> st.SearchStrategy[bytes]:
    """Return whole valid attributes, now and then with flags that a receiver must not mind."""
    return attribute_values(type, context).flatmap(
        lambda value: drawn(lambda random: generate.item(random, type, value).octets())
    )


def attribute_rules(type: int) -> list[Rule]:
    """Return the rules that are about this attribute alone."""
    name = AttributeType(type).name.lower()
    start = "mp-" if name.startswith("mp_") else f"{name}-"
    return [rule for key, rule in RULES.items() if key.startswith(start)]


def broken_attributes(type: int) -> st.SearchStrategy[Broken]:
    """Return UPDATEs, whole, in which this attribute and nothing else breaks a rule."""
    return broken([rule.name for rule in attribute_rules(type)])


def raw_attributes(type: int | None = None) -> st.SearchStrategy[bytes]:
    """Return attributes, of a type or of any, of any flags and any value; lengths fit."""
    types = st.just(type) if type is not None else st.integers(0, 255) | st.sampled_from(sorted(ROWS))
    values = st.binary(max_size=40) | st.binary(min_size=250, max_size=300)
    return st.builds(lambda *parts: Item(*parts).octets(), st.integers(0, 255), types, values)


# --- Capabilities, and messages but UPDATEs ---------------------------------------------------------------


def capabilities(code: int | None = None) -> st.SearchStrategy[Capability]:
    """Return valid capabilities: of this code, or of all, some of them unknown."""
    return drawn(lambda random: making.capability(random, code))


def unreadable_capabilities(code: int | None = None) -> st.SearchStrategy[Capability]:
    """Return capabilities of known codes whose values mean nothing; a receiver goes on without them."""
    return drawn(lambda random: making.unreadable(random, code))


def raw_capabilities() -> st.SearchStrategy[Capability]:
    """Return capabilities of any code and any value."""
    return st.builds(Capability, st.integers(0, 255), st.binary(max_size=40))


def opens() -> st.SearchStrategy[Open]:
    """Return valid OPENs of anybody, with any capabilities."""
    return drawn(making.opening)


def notifications() -> st.SearchStrategy[Notification]:
    """Return NOTIFICATIONs of all codes, known or not; such as have data of a form have it."""
    return drawn(making.notification)


def keepalives() -> st.SearchStrategy[Keepalive]:
    return st.just(Keepalive())


def route_refreshes(enhanced: bool = True) -> st.SearchStrategy[RouteRefresh]:
    """Return ROUTE-REFRESHes, with marks of RFC 7313 where that is `enhanced`, of any family."""
    return drawn(lambda random: making.route_refresh(random, enhanced))


# --- Whole messages -------------------------------------------------------------------------------------


def messages(context: Context | None = None) -> Body:
    """Return whole valid messages of every type, their UPDATEs those of a session."""
    session = Context() if context is None else context
    return drawn(lambda random: making.message(random, session))


def broken(rules: Collection[str] = ()) -> st.SearchStrategy[Broken]:
    """Return what breaks one of `rules`, by default of all: how, and what is demanded then.

    `bgp.testing.broken.BY_OCTETS` are the rules that a peer breaks by what it sends; the others are about
    silence, collisions and events.  Raises ValueError for a name that is none.
    """
    unknown = sorted(set(rules) - set(breaking.TABLE))
    if unknown:
        raise ValueError(f"no rule is called {', '.join(unknown)}")
    return drawn(lambda random: breaking.broken(random, rules))


def raw_messages() -> Body:
    """Return what begins like a message, mostly: any type, any length, any body."""
    return drawn(making.raw)


# --- UPDATEs --------------------------------------------------------------------------------------------


def updates(context: Context) -> Body:
    """Return valid UPDATEs of this session, within its maximum: announcements, withdrawals, End-of-RIB."""
    return drawn(lambda random: generate.update(random, context))


def usual_updates(context: Context) -> Body:
    """Return UPDATEs as routers mostly send them: ascending types, one AS_SEQUENCE, no needless bit."""
    return drawn(lambda random: generate.fitting(random, context, mixture.usual))


def broken_updates(context: Context, rules: Collection[str] = ()) -> Body:
    """Return UPDATEs that announce routes and break `rules`, or one to three that this session can see.

    Raises ValueError for a rule that no UPDATE of this session can break.
    """
    impossible = sorted(set(rules) - set(breakage.breakable(context)))
    if impossible:
        raise ValueError(f"no UPDATE of this session breaks {', '.join(impossible)}")
    return drawn(lambda random: breakage.update(random, context, rules))


def foreign_updates(context: Context) -> Body:
    """Return UPDATEs with routes of families that this session may not have negotiated."""
    return drawn(lambda random: mixture.foreign(random, context))


def mutated_updates(context: Context) -> Body:
    """Return valid UPDATEs with a few octets changed, lost, repeated or added."""
    return drawn(lambda random: mixture.mutated(random, generate.update(random, context)))


def noise() -> Body:
    """Return at least four octets of anything, often with length fields that fit."""
    return st.binary(min_size=4, max_size=64) | drawn(mixture.raw)


def examples(of: Callable[[Context], Body] | None = None) -> st.SearchStrategy[tuple[Context, bytes]]:
    """Return (session, body): of one of the strategies above, by default of all of them."""
    every = [updates, usual_updates, broken_updates, foreign_updates, mutated_updates, lambda _: noise()]
    kinds = [of] if of else every
    return contexts().flatmap(
        lambda context: st.tuples(st.just(context), st.one_of([kind(context) for kind in kinds]))
    )


def exchanges() -> st.SearchStrategy[mixture.Exchange]:
    """Return messages in their order, with what a decoder with a memory could confuse them with."""
    return drawn(mixture.exchange)
