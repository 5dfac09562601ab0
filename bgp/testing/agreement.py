"""The fast path and the reference must agree on every UPDATE: outcome, faults, octets, values, routes.

`agree` compares them on one message; hypothesis, the fuzzers and this module's own runs all end in it.
A run draws from `bgp.testing.mixture` and counts what it has met in a `Histogram`, which says whether
the run was worth anything.  From the command line:

    python -m bgp.testing.agreement --examples 1000000 --seed 7 --jobs 2
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from random import Random

from bgp.errors import RULES, Fault, Notify, Outcome
from bgp.iana import AttributeType, ErrorCode, SegmentType
from bgp.testing import mixture
from bgp.wire import reference, update
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.context import Context
from bgp.wire.reference import Segments, Verdict

Judgment = Verdict | Notify
Decode = Callable[[bytes], update.Update]
Meaning = dict[str, object]  # an outcome as values that can be compared, by name


class Disagreement(AssertionError):
    """The fast path and the reference do not say the same of a message."""

    def __init__(self, context: Context, data: bytes, differences: list[str]) -> None:
        super().__init__(context, data, differences)  # all of them, so that it passes between processes
        self.context = context
        self.data = data
        self.differences = differences

    def __str__(self) -> str:
        return "\n".join([str(self.context), self.data.hex(), *self.differences])


def agree(data: bytes, context: Context, *decoders: Decode) -> Judgment:
    """Check that the fast path says of an UPDATE's body what the reference says, and return that.

    `decoders` are tried one after the other; by default a fresh one.  Framing refuses what is shorter
    than four octets (RFC 4271 section 6.1), so it is filled up here.  Raises Disagreement, also where a
    decoder raises anything but Notify.
    """
    data = data.ljust(4, b"\0")
    judgment = judge(data, context)
    for decode in decoders or (router()(context),):
        compare(judgment, data, context, decode)
    return judgment


def judge(data: bytes, context: Context) -> Judgment:
    """Return what the reference says of an UPDATE's body: a verdict, or the end of the session."""
    try:
        return reference.decode(data, context)
    except Notify as notify:
        return notify


def compare(judgment: Judgment, data: bytes, context: Context, decode: Decode) -> None:
    """Raise Disagreement if `decode` does not say of `data` what the reference has judged."""
    wanted, found = _meaning(judgment), _fast_meaning(decode, data)
    if found != wanted:
        names = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
        raise Disagreement(
            context,
            data,
            [f"{name}: reference {wanted.get(name)!r}, fast path {found.get(name)!r}" for name in names],
        )


def router() -> Callable[[Context], Decode]:
    """Return what opens sessions of one router: they share a table of attributes, each has its decoder."""
    table = AttributeTable()
    return lambda context: update.Decoder(context, table).decode


def _meaning(judgment: Judgment) -> Meaning:
    if isinstance(judgment, Notify):
        return _notification(judgment)
    return {
        "outcome": judgment.outcome,
        "faults": _faults(judgment.faults),
        "withdrawn": [(part.family, part.routes) for part in judgment.withdrawn],
        "announced": [(part.family, part.routes) for part in judgment.announced],
        "next hops": [part.next_hop for part in judgment.announced],
        "attributes": [part.octets for part in judgment.announced],
        "values": [_values(part.values) for part in judgment.announced],
        "end of rib": judgment.end_of_rib,
        "ignored": judgment.ignored,
    }


def _fast_meaning(decode: Decode, data: bytes) -> Meaning:
    try:
        found = decode(data)
        return {
            "outcome": found.outcome,
            "faults": [
                (fault.rule.name, fault.offset, fault.data, fault.attribute) for fault in found.faults
            ],
            "withdrawn": [(part.family, _routes(part)) for part in found.withdrawn],
            "announced": [(part.family, _routes(part)) for part in found.announced],
            "next hops": [part.attributes.next_hop for part in found.announced],
            "attributes": [part.attributes.octets for part in found.announced],
            "values": [_fast_values(part.attributes) for part in found.announced],
            "end of rib": found.end_of_rib,
            "ignored": found.ignored,
        }
    except Notify as notify:
        return _notification(notify)
    except Exception as error:
        # Whatever octets a peer sends: never another exception, nor later from the values.
        return {"exception": repr(error)}


def _notification(notify: Notify) -> Meaning:
    return {
        "code": notify.code,
        "subcode": notify.subcode,
        "data": notify.data,
        "rule": notify.rule.name if notify.rule else None,
        "offset": notify.offset,
    }


def _faults(faults: Iterable[Fault]) -> list[tuple[str, int, bytes, int | None]]:
    return [(fault.rule.name, fault.offset, fault.data, fault.attribute) for fault in faults]


def _routes(part: update.Reach | update.Unreach) -> tuple[tuple[int | None, bytes], ...]:
    path_ids = [None] * len(part.prefixes) if part.path_ids is None else part.path_ids
    return tuple(zip(path_ids, part.prefixes, strict=True))


def _values(values: reference.Values) -> Meaning:
    return {
        "origin": values.origin,
        "as_path": values.as_path,
        "as_path_length": values.as_path_length,
        "neighbor_as": _neighbor_as(values.as_path),
        "med": values.med,
        "local_pref": values.local_pref,
        "originator_id": values.originator_id,
        "cluster_list": b"".join(values.cluster_list),
        "communities": values.communities,
        "extended_communities": values.extended_communities,
        "large_communities": values.large_communities,
        "aggregator": values.aggregator,
        "atomic_aggregate": values.atomic_aggregate,
        "only_to_customer": values.only_to_customer,
    }


def _fast_values(attributes: Attributes) -> Meaning:
    aggregator = attributes.aggregator
    return {
        "origin": attributes.origin,
        "as_path": tuple((segment.type, segment.asns) for segment in attributes.as_path),
        "as_path_length": attributes.as_path_length,
        "neighbor_as": attributes.neighbor_as,
        "med": attributes.med,
        "local_pref": attributes.local_pref,
        "originator_id": attributes.originator_id,
        "cluster_list": attributes.cluster_list,
        "communities": attributes.communities,
        "extended_communities": attributes.extended_communities,
        "large_communities": attributes.large_communities,
        "aggregator": (aggregator[0], aggregator[1].packed) if aggregator else None,
        "atomic_aggregate": attributes.atomic_aggregate,
        "only_to_customer": attributes.only_to_customer,
    }


def _neighbor_as(path: Segments) -> int:
    """Return the first AS of the first segment that is no confederation's, if a sequence (RFC 5065 5.3)."""
    outside = [(type, asns) for type, asns in path if type <= SegmentType.AS_SEQUENCE]
    return outside[0][1][0] if outside and outside[0][0] == SegmentType.AS_SEQUENCE else 0


# --- What a run has met ---------------------------------------------------------------------------------

UPDATE_RULES = tuple(name for name, rule in RULES.items() if rule.code == ErrorCode.UPDATE_MESSAGE_ERROR)
LEAST_SHARE = 0.05  # of each outcome
LEAST_COUNT = 50  # of each attribute and each rule


@dataclass(slots=True)
class Histogram:
    """Counts of outcomes, of attribute types met in the messages, and of the rules broken."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    attributes: Counter[int] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)

    @property
    def examples(self) -> int:
        return self.outcomes.total()

    def add(self, data: bytes, judgment: Judgment) -> None:
        if isinstance(judgment, Notify):
            self.outcomes[Outcome.SESSION_RESET] += 1
            self.rules[judgment.rule.name if judgment.rule else "?"] += 1
        else:
            self.outcomes[judgment.outcome] += 1
            self.rules.update({fault.rule.name for fault in judgment.faults})
        self.attributes.update(set(_types(data)))

    def merge(self, other: "Histogram") -> None:
        self.outcomes.update(other.outcomes)
        self.attributes.update(other.attributes)
        self.rules.update(other.rules)

    def shortfalls(self) -> list[str]:
        """Return what was met too seldom for the run to be worth much, a sentence each."""
        return [
            *(
                f"{outcome.label}: {self.outcomes[outcome]} of {self.examples}"
                for outcome in Outcome
                if self.outcomes[outcome] < LEAST_SHARE * self.examples
            ),
            *(
                f"{type.name}: {self.attributes[type]} times"
                for type in AttributeType
                if self.attributes[type] < LEAST_COUNT
            ),
            *(f"{name}: {self.rules[name]} times" for name in UPDATE_RULES if self.rules[name] < LEAST_COUNT),
        ]

    def __str__(self) -> str:
        lines = [f"{self.examples} messages"]
        for outcome in Outcome:
            share = self.outcomes[outcome] / max(self.examples, 1)
            lines.append(f"  {outcome.label:32}{self.outcomes[outcome]:10}  {share:6.1%}")
        lines.append("attributes")
        lines += [f"  {type.name:32}{self.attributes[type]:10}" for type in AttributeType]
        unknown = sum(count for type, count in self.attributes.items() if type not in list(AttributeType))
        lines += [f"  {'others':32}{unknown:10}", "rules"]
        lines += [f"  {name:32}{self.rules[name]:10}" for name in UPDATE_RULES]
        return "\n".join(lines)


def _types(data: bytes) -> Iterator[int]:
    """Yield the types of the attributes in a body, as far as they can be told apart."""
    position = 4 + int.from_bytes(data[:2], "big")
    end = min(len(data), position + int.from_bytes(data[position - 2 : position], "big"))
    while position + 3 <= end:
        yield data[position + 1]
        start = position + (4 if data[position] & 0x10 else 3)
        position = start + int.from_bytes(data[position + 2 : start], "big")


# --- Runs -----------------------------------------------------------------------------------------------

CHUNK = 5000  # messages drawn from one seed: a run is the same however many processes share it
_SESSIONS = 256  # decoders kept, each with the memory of what it has decoded


def run(examples: int, seed: int) -> Histogram:
    """Try `examples` messages drawn from `seed`; raise Disagreement at the first one that differs.

    Each message is decoded twice by a decoder that has seen others, so that its memory is tried as well.
    """
    histogram = Histogram()
    for chunk in range((examples + CHUNK - 1) // CHUNK):
        histogram.merge(_run_chunk(min(CHUNK, examples - chunk * CHUNK), seed, chunk))
    return histogram


def _run_chunk(examples: int, seed: int, chunk: int) -> Histogram:
    open_session = router()
    sessions: dict[Context, Decode] = {}
    histogram = Histogram()
    for context, data in islice(messages(f"{seed}:{chunk}"), examples):
        if context not in sessions:
            if len(sessions) >= _SESSIONS:
                sessions.clear()
            sessions[context] = open_session(context)
        decode = sessions[context]
        histogram.add(data, agree(data, context, decode, decode))
    return histogram


def messages(seed: str) -> Iterator[tuple[Context, bytes]]:
    """Yield sessions and messages without end, the same for the same seed."""
    random = Random(seed)
    while True:
        yield from mixture.exchange(random)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return 0 where both agreed on a mixture that was worth it."""
    parser = argparse.ArgumentParser(prog="python -m bgp.testing.agreement", description=__doc__)
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args(arguments)
    start = time.monotonic()
    chunks = range((options.examples + CHUNK - 1) // CHUNK)
    sizes = [min(CHUNK, options.examples - chunk * CHUNK) for chunk in chunks]
    histogram = Histogram()
    with ProcessPoolExecutor(options.jobs) as pool:
        pending = [
            pool.submit(_run_chunk, size, options.seed, chunk)
            for size, chunk in zip(sizes, chunks, strict=True)
        ]
        try:
            for done in pending:
                histogram.merge(done.result())
        except Disagreement as disagreement:
            pool.shutdown(cancel_futures=True)
            print(disagreement, file=sys.stderr)
            return 1
    print(histogram)
    print(f"seed {options.seed}, {time.monotonic() - start:.0f} s")
    shortfalls = histogram.shortfalls()
    print("\n".join(["met too seldom:", *shortfalls]) if shortfalls else "fast path and reference agree")
    return 1 if shortfalls else 0


if __name__ == "__main__":
    sys.exit(main())
