"""Any rules over any paths give an answer, never an exception: a refusal that names who refuses, or
attributes that any peer can be told; and a Router, which asks once for many, says the same as asking anew.

Input: two octets with the session (`bgp.testing.generate.context_of`), the rules (`fuzz.rules`) behind two
with their number, and the body of an UPDATE.
"""

from collections.abc import Iterator
from random import Random

from bgp.errors import Notify
from bgp.family import FAMILIES, Family
from bgp.member import PeerSettings
from bgp.policy import Accepted, Rules
from bgp.rib.asking import ask
from bgp.rib.path import Kind, Path, Refusal, Slots, Source
from bgp.router import Router
from bgp.session.config import SessionConfig
from bgp.session.negotiation import negotiate, offer
from bgp.testing import generate
from bgp.testing.generate import CONTEXT_BITS, context_of
from bgp.wire.attributes import Attributes
from bgp.wire.context import Context
from bgp.wire.encoder import Encoder
from bgp.wire.framing import frame
from bgp.wire.update import Decoder, Reach, Update, decode
from fuzz import rules as written
from fuzz.show import message_lines
from fuzz.target import Reader, Target, hold

_ADDRESS = b"\x0a\x09\x00\x01"
_FAMILIES = frozenset(FAMILIES)
_LISTENER = Context(internal=True, families=_FAMILIES, extended_next_hop=_FAMILIES, as_sets=True)


def parts(data: bytes) -> tuple[Context, Rules, bytes]:
    reader = Reader(data)
    context = context_of(reader.number(2) % (1 << CONTEXT_BITS))
    policy = written.rules(Reader(reader.take(reader.number(2))))
    return context, policy, reader.rest().ljust(4, b"\0")


def plainly(policy: Rules, path: Path, prefix: bytes) -> Attributes | None:
    """Return what the policy makes of a path, asked anew, as it traces itself; None where it refuses."""
    answer = ask(policy, path, prefix if policy.reads_prefix else None)
    trace = policy.trace(path, prefix)
    hold(trace.decided is None or trace.decided == trace.matched[-1], f"{trace}")
    if isinstance(answer, Refusal):
        hold(not trace.accepted and (trace.decided or "no term") in answer.text, f"{answer}, but {trace}")
        return None
    hold(isinstance(answer, Accepted) and trace.accepted, f"{answer}, but {trace}")
    assert isinstance(answer, Accepted)
    same = (answer.attributes.octets, answer.attributes.next_hop)
    hold(same == (trace.attributes.octets, trace.attributes.next_hop), f"{answer}, but {trace}")
    return answer.attributes


def tellable(family: Family, attributes: Attributes, prefix: bytes) -> None:
    """Raise where a peer would find fault with the attributes."""
    hop = attributes.next_hop or bytes(family.bits // 8 - 1) + b"\1"
    if len(hop) not in family.next_hop_lengths | family.extended_next_hop_lengths:
        return
    messages, unfit = Encoder(maximum=65535).announce(family, attributes.octets, hop, [prefix])
    hold(bool(messages) != bool(unfit), "neither told nor too long")
    for message in messages:
        told = decode(message[19:], _LISTENER, Router(1, 1).table)
        faults = [fault.rule.name for fault in told.faults if fault.rule.name not in _MISSED]
        hold(not faults, f"{faults} in {message.hex()}")


# What export sees to, and what is about a next hop that stood in for our own.
_MISSED = {"missing", "aigp-disabled", "next_hop-value", "as_path-confederation"}


def check(data: bytes) -> None:
    context, policy, body = parts(data)
    router = Router(64499, 0x0A000001)
    try:
        update = Decoder(context, router.table).decode(body)
    except Notify:
        return
    internal = context.internal
    ours = SessionConfig(local_as=64499, identifier=1, families=FAMILIES, first_as=False)
    theirs = SessionConfig(local_as=64499 if internal else 65001, identifier=2, families=FAMILIES)
    settings = PeerSettings(
        name="fuzz",
        client=internal,
        local_address=b"\xc0\0\2\1",
        remote_address=_ADDRESS,
        import_policy=policy,
    )
    member = router.up(settings, negotiate(ours, offer(ours), offer(theirs)))
    # The router's sessions have no path identifiers here, so what has some is told without.
    announced = [Reach(each.family, each.prefixes, None, each.attributes) for each in update.announced]
    router.update(member, Update((), announced))
    while router.work() or router.flush(0.0):
        pass
    hold(not router.admission.policy_failures, "the policy failed")
    for reach in announced:
        kind = Kind.CLIENT if internal else Kind.EXTERNAL
        asn = member.negotiated.remote_as
        source = Source("fuzz", kind, asn, (2).to_bytes(4, "big"), _ADDRESS, family=reach.family)
        held = dict(router.rib.received(member, reach.family))
        for prefix in reach.prefixes:
            plain = plainly(policy, Path(source, Slots().get("fuzz", None), reach.attributes), prefix)
            if plain is not None:
                tellable(reach.family, plain, prefix)
            path = held[prefix]
            if path.refusal is not None and path.refusal.name != "policy":
                continue  # not asked: its next hop, or a loop
            if path.received is not reach.attributes:
                continue  # a later part of the UPDATE said otherwise
            if plain is None:
                hold(path.refusal is not None, f"refused {path.attributes}, but the router takes it")
            else:
                hold(path.refusal is None, f"accepted, but the router says {path.refusal}")
                same = (path.attributes.octets, path.attributes.next_hop)
                hold(same == (plain.octets, plain.next_hop), f"{plain}, but the router has {path.attributes}")


def seed(random: Random) -> bytes:
    bits = random.getrandbits(CONTEXT_BITS) | 4
    program = bytes((random.randrange(16),)) + random.randbytes(random.choice((8, 20, 60)))
    body = generate.draft(random, context_of(bits), announcing=True).body()
    return bits.to_bytes(2, "big") + len(program).to_bytes(2, "big") + program + body[:3000]


def view(data: bytes) -> Iterator[str]:
    context, policy, body = parts(data)
    yield str(context)
    yield from (str(term) for term in policy.terms)
    yield f"default {policy.default.value}"
    yield from message_lines(frame(2, body[:65000]), context)


TARGET = Target("policy", check, seed, view, 4096)
