"""All that can be wrong beside UPDATEs: headers, OPENs, states, timers, refreshes, lengths, last words."""

from collections.abc import Callable, Iterator

from bgp.iana import AttributeType, MessageType
from bgp.testing.conformance.acts import internal, put, update
from bgp.testing.conformance.case import Answer, Case, Demand, Stage
from bgp.testing.conformance.scene import BOTH, NEW_MARK, Scene
from bgp.wire.capability import Capability
from bgp.wire.framing import frame
from bgp.wire.message import Keepalive, Notification, encode

_KEEPALIVE = encode(Keepalive())
_MARKER = b"\xff" * 16
_NO_SUBCODE = (Demand(Answer.RESET, 5, 0), "RFC 4271 6.6: without RFC 6608 there is no subcode")
_STATES = {
    Stage.OPEN_SENT: ("open-sent", "OpenSent", 1),
    Stage.OPEN_CONFIRM: ("open-confirm", "OpenConfirm", 2),
    Stage.ESTABLISHED: ("established", "Established", 3),
}

Make = Callable[[Scene], bytes]
Applies = Callable[[Scene], str]


def _case(
    group: str,
    name: str,
    sources: str,
    text: str,
    make: Make,
    demand: Demand,
    *,
    stage: Stage = Stage.ESTABLISHED,
    applies: Applies = lambda scene: "",
    allowed: tuple[tuple[Demand, str], ...] = (),
    hold_time: int | None = None,
    patience: float | None = None,
    extended: bool = False,
    watched: bool = False,
) -> Case:
    return Case(
        name,
        group,
        tuple(source.strip() for source in sources.split(",")),
        text,
        lambda scene: (make(scene), demand),
        stage=stage,
        applies=applies,
        allowed=allowed,
        hold_time=hold_time,
        patience=patience,
        extended=extended,
        watched=watched,
    )


def _reset(code: int, subcode: int | None, data: bytes | None = None) -> Demand:
    return Demand(Answer.RESET, code, subcode, data)


def _any(scene: Scene) -> str:
    return ""


def _short(scene: Scene) -> str:
    return "the target takes extended messages (RFC 8654)" if scene.offered.extended_message else ""


def _octets(octets: bytes) -> Make:
    return lambda scene: octets


def _header(length: int, type: int, size: int | None = None) -> bytes:
    """Return a header that claims `length`, with as much behind it as `size` says, or as it claims."""
    body = bytes(max(0, (length if size is None else size) - 19))
    return _MARKER + length.to_bytes(2, "big") + bytes([type]) + body


def headers() -> Iterator[Case]:
    """RFC 4271 section 6.1."""
    for stage, (name, state, _) in _STATES.items():
        yield _case("header", f"marker-{name}", "RFC 4271 6.1", f"a Marker that is not all ones, in {state}",
                    lambda scene: b"\xff" * 15 + b"\xfe\0\x13\4", _reset(1, 1), stage=stage)  # fmt: skip
    for stage in (Stage.OPEN_SENT, Stage.ESTABLISHED):
        name, state, _ = _STATES[stage]
        yield _case("header", f"length-18-{name}", "RFC 4271 6.1", f"a message of 18 octets, in {state}",
                    lambda scene: _header(18, 4), _reset(1, 2, b"\0\x12"), stage=stage)  # fmt: skip
        yield _case("header", f"type-0-{name}", "RFC 4271 6.1", f"a message of type 0, in {state}",
                    lambda scene: _header(19, 0), _reset(1, 3, b"\0"), stage=stage)  # fmt: skip
    wrong = (
        (0, MessageType.UPDATE), (65535, MessageType.UPDATE), (4097, MessageType.UPDATE),
        (22, MessageType.UPDATE), (18, MessageType.UPDATE), (20, MessageType.KEEPALIVE),
        (4096, MessageType.KEEPALIVE), (20, MessageType.NOTIFICATION), (28, MessageType.OPEN),
    )  # fmt: skip
    for length, kind in wrong:
        yield _case("header", f"length-{length}-{kind.name.lower()}", "RFC 4271 6.1, RFC 4271 4.1",
                    f"Length {length} of {kind.name}", _octets(_header(length, kind, min(length, 5000))),
                    _reset(1, 2, length.to_bytes(2, "big")),
                    applies=_short if length > 4096 else _any)  # fmt: skip
    for type in (7, 255):
        yield _case("header", f"type-{type}", "RFC 4271 6.1", f"a message of type {type}",
                    _octets(_header(19, type)), _reset(1, 3, bytes([type])))  # fmt: skip


def _opening(**changes: int) -> Make:
    return lambda scene: scene.open(**changes)  # type: ignore[arg-type]


def _opens(name: str, sources: str, text: str, make: Make, demand: Demand, **options: object) -> Case:
    return _case("open", name, sources, text, make, demand, stage=Stage.OPEN_SENT, **options)  # type: ignore[arg-type]


_OPENED = Demand(Answer.OPENED)


def _extended_parameters(scene: Scene, claimed: int | None = None, inner: int | None = None) -> bytes:
    """Return an OPEN in the form of RFC 9072, with lengths of its own account."""
    block = scene.capability_octets()
    parameter = b"\2" + (len(block) if inner is None else inner).to_bytes(2, "big") + block
    size = len(parameter) if claimed is None else claimed
    return scene.raw_open(b"\xff" + size.to_bytes(2, "big") + parameter, length=255)


def opens() -> Iterator[Case]:
    """RFC 4271 section 6.2 and what extends it."""
    for version in (3, 5):
        yield _opens(f"version-{version}", "RFC 4271 6.2", f"version {version}",
                     _opening(version=version), _reset(2, 1, b"\0\4"))  # fmt: skip
    yield _opens("peer-as", "RFC 4271 6.2", "another AS than is configured", _other_as, _reset(2, 2))
    yield _opens("as-zero", "RFC 7607 2, RFC 4271 6.2", "AS 0", _as_zero, _reset(2, 2))
    yield _opens("identifier-zero", "RFC 6286 2.2, RFC 4271 6.2", "BGP Identifier 0",
                 _opening(identifier=0), _reset(2, 3))  # fmt: skip
    yield _opens("identifier-ours", "RFC 6286 2.2", "the target's own BGP Identifier, from an internal peer",
                 lambda scene: scene.open(identifier=scene.target_identifier), _reset(2, 3),
                 applies=internal)  # fmt: skip
    for seconds in (1, 2):
        yield _opens(f"hold-time-{seconds}", "RFC 4271 6.2, RFC 4271 4.2", f"Hold Time {seconds}",
                     _opening(hold_time=seconds), _reset(2, 6))  # fmt: skip
    yield _opens("hold-time-0", "RFC 4271 4.2", "Hold Time 0 is good",
                 _opening(hold_time=0), _OPENED,
                 allowed=((_reset(2, 6), "RFC 4271 4.2: a Hold Time may be refused"),))  # fmt: skip
    yield _opens("parameter-unknown", "RFC 4271 6.2", "an optional parameter of type 100",
                 lambda scene: scene.raw_open(b"\x64\1\0"), _reset(2, 4))  # fmt: skip
    yield _opens("parameter-overrun", "RFC 4271 6.2", "an optional parameter longer than its field",
                 lambda scene: scene.raw_open(b"\2\x40" + scene.capability_octets()[:20]),
                 _reset(2, 0))  # fmt: skip
    yield _opens("parameters-beyond-message", "RFC 4271 6.2", "Opt Parm Len beyond the message",
                 lambda scene: scene.raw_open(b"", length=64), _reset(2, 0),
                 allowed=((_reset(1, 2, None), "RFC 4271 6.1: or a bad message length"),))  # fmt: skip
    yield _opens("parameters-too-short", "RFC 4271 6.2", "octets behind the optional parameters",
                 lambda scene: scene.raw_open(bytes(16), length=0), _reset(2, 0),
                 allowed=((_reset(1, 2, None), "RFC 4271 6.1: or a bad message length"),
                          (_OPENED, "RFC 4271 6.2 does not name it")))  # fmt: skip
    yield _opens("capability-overrun", "RFC 5492 4, RFC 4271 6.2", "a capability longer than its parameter",
                 lambda scene: scene.raw_open(b"\2\3\x41\4\0"), _reset(2, 0))  # fmt: skip
    yield _opens("capability-header", "RFC 5492 4, RFC 4271 6.2", "a capability of one octet",
                 lambda scene: scene.raw_open(b"\2\1\x41"), _reset(2, 0))  # fmt: skip
    yield _opens("capability-unknown", "RFC 5492 3", "a capability that nobody knows",
                 lambda scene: scene.open(more=(Capability(239, b"\1\2\3"),)), _OPENED)  # fmt: skip
    yield _opens("capability-repeated", "RFC 5492 4", "every capability twice",
                 lambda scene: scene.open(more=scene.capabilities().encode()), _OPENED)  # fmt: skip
    yield _opens("capabilities-in-parameters", "RFC 5492 4", "a parameter for each capability", _scattered,
                 _OPENED)  # fmt: skip
    yield _opens("extended-parameters", "RFC 9072 2", "optional parameters in the extended form",
                 _extended_parameters, _OPENED,
                 allowed=((_reset(2, None, None), "RFC 9072 is an extension of RFC 4271"),))  # fmt: skip
    yield _opens("extended-parameters-overrun", "RFC 9072 2, RFC 4271 6.2",
                 "extended optional parameters longer than the message",
                 lambda scene: _extended_parameters(scene, claimed=4000), _reset(2, 0),
                 allowed=((_reset(2, None, None), "RFC 9072 is an extension of RFC 4271"),
                          (_reset(1, 2, None), "RFC 4271 6.1: or a bad message length")))  # fmt: skip
    yield _opens("extended-parameter-overrun", "RFC 9072 2, RFC 4271 6.2",
                 "a parameter longer than the extended optional parameters",
                 lambda scene: _extended_parameters(scene, inner=4000), _reset(2, 0),
                 allowed=((_reset(2, None, None), "RFC 9072 is an extension of RFC 4271"),))  # fmt: skip
    yield _opens("roles-conflict", "RFC 9234 4.2", "two roles that differ",
                 lambda scene: scene.open(more=(Capability(9, b"\0"), Capability(9, b"\3"))), _reset(2, 11),
                 applies=_roles)  # fmt: skip


def _roles(scene: Scene) -> str:
    return "" if scene.offered.roles else "the target offers no role"


def _other_as(scene: Scene) -> bytes:
    other = 64999 if scene.local_as != 64999 else 64998
    return scene.open(asn=other, more=(Capability(65, other.to_bytes(4, "big")),))


def _as_zero(scene: Scene) -> bytes:
    return scene.open(asn=0, more=(Capability(65, bytes(4)),))


def _scattered(scene: Scene) -> bytes:
    items = scene.capabilities().encode()
    return scene.raw_open(
        b"".join(bytes([2, 2 + len(i.value), i.code, len(i.value)]) + i.value for i in items)
    )


def states() -> Iterator[Case]:
    """RFC 4271 sections 6.5 and 6.6, RFC 6608."""

    def good(scene: Scene) -> bytes:
        return scene.announce(scene.victim(), NEW_MARK)

    messages: dict[MessageType, tuple[Make, tuple[Stage, ...]]] = {
        MessageType.KEEPALIVE: (lambda scene: _KEEPALIVE, (Stage.OPEN_SENT,)),
        MessageType.UPDATE: (good, (Stage.OPEN_SENT, Stage.OPEN_CONFIRM)),
        MessageType.ROUTE_REFRESH: (lambda scene: scene.refresh(), (Stage.OPEN_SENT, Stage.OPEN_CONFIRM)),
        MessageType.OPEN: (lambda scene: scene.open(), (Stage.ESTABLISHED,)),
    }
    for type, (make, stages) in messages.items():
        for stage in stages:
            name, state, subcode = _STATES[stage]
            yield _case("fsm", f"{type.name.lower().replace('_', '-')}-in-{name}", "RFC 6608 4, RFC 4271 6.6",
                        f"{type.name} in {state}", make, _reset(5, subcode, bytes([type])), stage=stage,
                        allowed=(_NO_SUBCODE,))  # fmt: skip
    yield _case("fsm", "hold-timer", "RFC 4271 6.5", "silence for longer than a hold time of 3 s",
                lambda scene: b"", _reset(4, 0), hold_time=3, patience=8.0)  # fmt: skip
    yield _case("fsm", "hold-timer-in-open-confirm", "RFC 4271 6.5",
                "no KEEPALIVE behind an OPEN with a hold time of 3 s", lambda scene: b"", _reset(4, 0),
                stage=Stage.OPEN_CONFIRM, hold_time=3, patience=8.0)  # fmt: skip


def _refresh(scene: Scene) -> str:
    return "" if scene.offered.route_refresh else "the target offers no route refresh"


def _enhanced(scene: Scene) -> str:
    return "" if scene.offered.enhanced_route_refresh else "the target offers no enhanced route refresh"


def refreshes() -> Iterator[Case]:
    """RFC 2918 and RFC 7313."""
    yield _case("refresh", "request", "RFC 2918 4", "a request: the routes are sent again",
                lambda scene: scene.refresh(), Demand(Answer.RESENT), applies=_refresh)  # fmt: skip
    yield _case("refresh", "unknown-family", "RFC 2918 4", "a request for a family that was not negotiated",
                _octets(frame(5, bytes.fromhex("4004 00 47"))), Demand(Answer.SILENCE),
                applies=_refresh)  # fmt: skip
    yield _case("refresh", "unknown-subtype", "RFC 7313 5", "a ROUTE-REFRESH of subtype 9 is ignored",
                lambda scene: scene.refresh(9), Demand(Answer.SILENCE), applies=_enhanced)  # fmt: skip
    for name, subtype in (("borr", 1), ("eorr", 2)):
        body = b"\0\1" + bytes([subtype]) + b"\1\0"
        yield _case("refresh", f"{name}-length", "RFC 7313 5", f"{name.upper()} of five octets",
                    _octets(frame(5, body)), _reset(7, 1, frame(5, body)), applies=_enhanced,
                    allowed=((_reset(1, 2, None), "RFC 4271 6.1: or a bad message length"),))  # fmt: skip
    yield _case("refresh", "sweep", "RFC 7313 4.1", "routes that are not sent again between BoRR and EoRR",
                lambda scene: scene.refresh(1) + scene.announce(scene.canary(), NEW_MARK) + scene.refresh(2),
                Demand(Answer.WITHDRAW), applies=_enhanced, watched=True)  # fmt: skip


def long_messages() -> Iterator[Case]:
    """RFC 8654."""

    def offers(scene: Scene) -> str:
        return "" if scene.offered.extended_message else "the target offers no extended messages"

    many = b"".join(b"\xfd\xe7" + number.to_bytes(2, "big") for number in range(1500))
    yield update("extended-update", "RFC 8654 4", "an UPDATE of 6000 octets",
                 put(BOTH, AttributeType.COMMUNITIES, many), extended=True, applies=offers)  # fmt: skip
    yield _case("extended", "extended-open", "RFC 8654 4", "an OPEN of 4097 octets",
                lambda scene: scene.raw_open(b"\xff" + (4065).to_bytes(2, "big") + bytes(4065), 255),
                _reset(1, 2, (4097).to_bytes(2, "big")), stage=Stage.OPEN_SENT,
                allowed=((_reset(1, 2, None), ""), (_reset(2, None, None), "")))  # fmt: skip
    yield _case("extended", "extended-keepalive", "RFC 8654 4", "a KEEPALIVE of 5000 octets",
                lambda scene: _header(5000, MessageType.KEEPALIVE), _reset(1, 2, (5000).to_bytes(2, "big")),
                extended=True, applies=offers)  # fmt: skip


def last_words() -> Iterator[Case]:
    """RFC 4271 section 6.4, RFC 4486, RFC 9003: whatever a NOTIFICATION says, nobody answers it."""
    closes = Demand(Answer.CLOSED)
    words = {
        "shutdown": ("RFC 9003 2", "a shutdown with a text", 6, 2, b"\x10conformance test"),
        "shutdown-255": ("RFC 9003 2", "a shutdown with a text of 255 octets", 6, 2, b"\xff" + b"x" * 255),
        "shutdown-empty": ("RFC 9003 2", "a shutdown with a text of no octets", 6, 2, b"\0"),
        "shutdown-overrun": ("RFC 9003 4", "a text longer than the message", 6, 2, b"\xf0short"),
        "shutdown-not-utf-8": ("RFC 9003 4", "a text that is not UTF-8", 6, 4, b"\4\xc3\x28\xff\xfe"),
        "maximum-prefixes-short": ("RFC 4486 4", "a limit of which octets are missing", 6, 1, b"\0\1"),
        "unknown-code": ("RFC 4271 6.4", "a NOTIFICATION of code 99", 99, 99, bytes(40)),
        "unknown-subcode": ("RFC 4271 6.4", "a Cease of subcode 200", 6, 200, bytes(4000)),
    }
    for name, (source, text, code, subcode, data) in words.items():
        yield _case("notification", name, f"{source}, RFC 4271 6.4", text,
                    _octets(encode(Notification(code, subcode, data))), closes)  # fmt: skip


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from headers()
    yield from opens()
    yield from states()
    yield from refreshes()
    yield from long_messages()
    yield from last_words()
