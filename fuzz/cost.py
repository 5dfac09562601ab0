"""What the worst input costs: seconds of processor time per megabyte, by a search, beside a usual one.

An input of the longest kind is filled with one small unit over and over (`fuzz.fillings`).  Units are drawn,
the dearest are changed further.  How the cost grows is told as well: the time for all of it by that for a
quarter, where four is linear and sixteen a square.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from bgp.family import FAMILIES, IPV4_UNICAST
from bgp.iana import EXTENDED_MESSAGE_LENGTH, AddPathMode, AttributeType, Origin
from bgp.member import Member, PeerSettings
from bgp.policy import ACCEPT, ACCEPT_ALL, NEXT, Policy, Rules, Term, change, match
from bgp.router import Router
from bgp.session.config import SessionConfig
from bgp.session.connection import Connection
from bgp.session.event import Event
from bgp.session.negotiation import negotiate, offer
from bgp.testing.generate import octets
from bgp.tools.exabgp import command
from bgp.wire.attributes import AttributeTable
from bgp.wire.encoder import Encoder
from bgp.wire.message import Keepalive, encode
from bgp.wire.update import Update
from fuzz import corpus, fillings
from fuzz.fillings import Shape
from fuzz.mutate import mutated
from reflector.configuration.config import loads
from reflector.configuration.document import ConfigurationError

_US = SessionConfig(local_as=64500, identifier=1, families=FAMILIES)
_PEER = SessionConfig(local_as=65001, identifier=2, families=FAMILIES)
_REPEATS = 3
_BEST = 12  # of the drawn ones are changed further
_ROUNDS = 8
# What takes an input whole, and is done with it when it returns.
Consumer = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that costs: a fresh consumer, shapes, inputs of a shape and a size, and usual ones."""

    make: Callable[[], Consumer]
    shape: Callable[[Random], Shape]
    written: Callable[[Shape, int], bytes]
    usual: Callable[[Random], bytes]


# --- Messages ---------------------------------------------------------------------------------------------


def _waiting(table: AttributeTable | None = None) -> Connection:
    """Return a connection that waits for the peer's OPEN."""
    table = AttributeTable() if table is None else table
    connection = Connection(_US, table, incoming=True, rng=lambda: 1.0)
    connection.handle(Event.TCP_CONNECTION_CONFIRMED, 0.0)
    connection.outgoing()
    return connection


def _established(table: AttributeTable | None = None) -> Connection:
    connection = _waiting(table)
    connection.receive(encode(offer(_PEER)), 0.0)
    connection.receive(encode(Keepalive()), 0.0)
    connection.outgoing()
    return connection


def _updates(connection: Connection, message: bytes) -> list[Update]:
    """Return what a connection delivers of a stream of messages."""
    found = list(connection.receive(message, 0.0))
    while connection.more:
        found += connection.receive(b"", 0.0)
    return [item for item in found if isinstance(item, Update)]


def _receiver(make: Callable[[], Connection]) -> Callable[[], Consumer]:
    def consumer() -> Consumer:
        connection = make()
        return lambda message: _updates(connection, message)

    return consumer


# --- A router: all that becomes of an UPDATE until the last peer has been told ----------------------------


def _peers(router: Router, policy: Policy) -> tuple[Member, list[Member]]:
    """Return the external peer that speaks, and those who hear: of each kind that is told in its own way."""

    def up(name: str, asn: int, identifier: int, **options: object) -> Member:
        both: dict[str, object] = {"families": FAMILIES, **options}
        ours = SessionConfig(local_as=_US.local_as, identifier=1, **both)  # type: ignore[arg-type]
        theirs = SessionConfig(local_as=asn, identifier=identifier, **both)  # type: ignore[arg-type]
        settings = PeerSettings(
            name=name,
            client=asn == _US.local_as,
            local_address=b"\xc0\0\2\1",
            remote_address=bytes((10, 0, 0, identifier)),
            import_policy=policy,
            export_policy=policy,
        )
        return router.up(settings, negotiate(ours, offer(ours), offer(theirs)))

    hearers = [
        up("client", _US.local_as, 3),
        up("external", 65003, 4),
        up("add-path", _US.local_as, 5, add_path=dict.fromkeys(FAMILIES, AddPathMode.BOTH)),
        up("old", 65004, 6, four_octet_as=False),
    ]
    return up("speaker", _PEER.local_as, 2), hearers


def _reflector(policy: Policy) -> Callable[[], Consumer]:
    def consumer() -> Consumer:
        router = Router(_US.local_as, 1)
        connection = _established(router.table)
        speaker, hearers = _peers(router, policy)
        _told(router, hearers)

        def consume(message: bytes) -> None:
            for update in _updates(connection, message):
                router.update(speaker, update)
            _told(router, hearers)

        return consume

    return consumer


def _told(router: Router, hearers: list[Member]) -> None:
    more = True
    while more:
        more = router.work()
        more = router.flush(0.0) or more
        for member in hearers:
            while member.pending and router.pull(member, 65536):
                more = True


# Each matcher and change that looks at long attributes.
_LONG = Rules(
    "long",
    [
        Term("pattern", match.as_path("^1 .* (2|3)+ 4{3,9} .*$") | match.as_path("(1|2)* 7$"), then=NEXT),
        Term("path", match.as_path_contains(7) | match.as_path_last(3) | match.as_path_first(1), then=NEXT),
        Term("communities", match.community("65535:666", "1:2-3", "no-export"), then=NEXT),
        Term("large", match.large_community("1:*:2", "*:*:65535"), then=NEXT),
        Term("extended", match.extended_community("rt:65535:*", "0x4004*"), then=NEXT),
        Term("sets", ~match.origin(Origin.EGP), (change.prepend(64500, 64500),), NEXT),
        Term("added", match.ANY, (change.add_communities("1:1"), change.remove_communities("9:*")), NEXT),
        Term("more", match.ANY, (change.add_large_communities("1:1:1"), change.med(5)), NEXT),
        Term("all", ~match.has(AttributeType.AS4_PATH), then=ACCEPT),
    ],
    ACCEPT,
)


# --- Texts ------------------------------------------------------------------------------------------------


def _configuration(text: bytes) -> object:
    try:
        return loads(text)
    except ConfigurationError as error:
        return str(error)


def _command(text: bytes) -> object:
    try:
        return [command.parse(line) for line in text.decode("utf-8", "replace").split("\n")]
    except ValueError as error:
        return error


# --- What is usual ----------------------------------------------------------------------------------------


def usual_opens(random: Random) -> bytes:
    return encode(offer(_PEER))


def usual_updates(random: Random) -> bytes:
    """Return UPDATEs as a full table has them: a path of five, some communities, one to a dozen prefixes."""
    table = AttributeTable()
    encoder = Encoder()
    messages = []
    for _ in range(2000):
        path = [65001, *(random.randrange(1, 400000) for _ in range(4))]
        communities = [random.getrandbits(32) for _ in range(random.choice((0, 2, 5)))]
        attributes = table.make(
            next_hop="10.0.0.1", as_path=path, communities=communities, med=random.choice((None, 0))
        )
        count = random.choice((1, 1, 2, 3, 6, 12))
        prefixes = [bytes((24,)) + octets(random, 1)[:1] + octets(random, 2) for _ in range(count)]
        prefixes = [p[:1] + bytes((p[1] % 200 + 1,)) + p[2:] for p in prefixes]
        messages += encoder.announce(IPV4_UNICAST, attributes.octets, attributes.next_hop, prefixes)[0]
    return b"".join(messages)


def usual_configuration(random: Random) -> bytes:
    """Return a configuration with many neighbors in a group, a prefix list and a policy."""
    lines = ["[router]", "asn = 64512", 'router_id = "192.0.2.1"', "[group.nodes]", "client = true"]
    for number in range(500):
        lines += ["[[neighbor]]", f'address = "10.1.{number >> 8}.{number & 255}"', 'group = "nodes"']
    entries = ", ".join(f'"10.{number}.0.0/16 le 24"' for number in range(250))
    lines += ["[prefix_list.some]", f"entries = [{entries}]", "[[policy.edge.term]]"]
    lines += ['match = {prefix = "some", community = ["65000:1", "65000:2"]}', "set = {local_pref = 200}"]
    return "\n".join([*lines, 'then = "accept"', ""]).encode()


def usual_commands(random: Random) -> bytes:
    return b"".join(
        f"announce route 10.{n >> 8}.{n & 255}.0/24 next-hop self med {n} community [ 65000:{n} ]\n".encode()
        for n in range(2000)
    )


KINDS = {
    "open": Kind(_receiver(_waiting), fillings.open_shape, fillings.open_message, usual_opens),
    "update": Kind(_receiver(_established), fillings.update_shape, fillings.update_message, usual_updates),
    "reflect": Kind(_reflector(ACCEPT_ALL), fillings.update_shape, fillings.update_message, usual_updates),
    "policy": Kind(_reflector(_LONG), fillings.update_shape, fillings.update_message, usual_updates),
    "configuration": Kind(
        lambda: _configuration, fillings.configuration_shape, fillings.configuration_text, usual_configuration
    ),
    "command": Kind(lambda: _command, fillings.command_shape, fillings.command_text, usual_commands),
}

# --- The search -------------------------------------------------------------------------------------------


def timed(kind: Kind, message: bytes, repeats: int = _REPEATS) -> float:
    """Return the seconds that an input costs, the least of some tries."""
    least = 1e9
    for _ in range(repeats):
        consume = kind.make()
        start = time.process_time()
        consume(message)
        least = min(least, time.process_time() - start)
    return least


def report(names: list[str], samples: int, seed: int) -> Iterator[str]:
    """Yield the lines of a report; the dearest input of each kind goes to a file."""
    for name in names:
        kind = KINDS[name]
        random = Random(f"{name}:{seed}")
        usual = kind.usual(random)
        yield f"{name}: usual {timed(kind, usual) / len(usual) * 1e6:.2f} s/MB"
        seconds, shape, message = _search(kind, random, samples)
        quarter = timed(kind, kind.written(shape, len(message) // 4))
        path = corpus.WORK / f"cost-{name}.hex"
        corpus.save(path, message, name, [f"{seconds * 1000:.2f} ms"])
        yield (
            f"{name}: worst {seconds / len(message) * 1e6:.2f} s/MB, {seconds * 1000:.2f} ms for "
            f"{len(message)} octets, {seconds / max(quarter, 1e-6):.1f} times a quarter of it: "
            f"field {shape.field}, unit {shape.unit[:24]!r} ({path})"
        )


def _search(kind: Kind, random: Random, samples: int) -> tuple[float, Shape, bytes]:
    found: list[tuple[float, Shape, bytes]] = []

    def add(shape: Shape) -> None:
        message = kind.written(shape, EXTENDED_MESSAGE_LENGTH)
        found.append((timed(kind, message, 1) / len(message), shape, message))

    for _ in range(samples):
        add(kind.shape(random))
    for _ in range(_ROUNDS):
        found.sort(key=lambda item: -item[0])
        del found[_BEST:]
        for _, shape, _ in found:
            unit = mutated(random, shape.unit, [], 255)
            if unit:
                add(Shape(shape.field, unit))
    dearest = max(found, key=lambda item: item[0])
    return timed(kind, dearest[2]), dearest[1], dearest[2]
