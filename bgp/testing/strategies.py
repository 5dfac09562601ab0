"""hypothesis strategies for sessions, routes, attributes and whole UPDATEs, for anyone's tests.

    from hypothesis import given
    from bgp.testing import strategies

    @given(strategies.examples(strategies.updates))
    def test_mine(example):
        context, body = example
        ...

A strategy of UPDATEs gives bodies, without the nineteen octets of the header, for one `Context`: the
properties of the session, without which an UPDATE has no meaning.  `examples` draws the session too.
They shrink towards the plainest session and the shortest message.

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

from bgp.family import FAMILIES, Family
from bgp.testing import breakage, generate, mixture
from bgp.wire.context import Context

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


def attribute_values(type: int) -> st.SearchStrategy[bytes]:
    """Return valid values of an attribute that stands alone: all but AS_PATH, AGGREGATOR, AS4_* and MP_*."""
    return drawn(generate.VALUES[type])


# --- Whole messages -------------------------------------------------------------------------------------


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
