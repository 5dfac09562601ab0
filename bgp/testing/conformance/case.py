"""A case: one malformation, what the RFCs demand of who receives it, and how an answer is judged by that."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from bgp.family import IPV4_UNICAST, Family
from bgp.testing.conformance.scene import Scene
from bgp.wire.message import Notification


class Stage(IntEnum):
    """In which state the target is when the malformed message comes."""

    OPEN_SENT = 4
    OPEN_CONFIRM = 5
    ESTABLISHED = 6


class Answer(Enum):
    """What a target can do."""

    RESET = "NOTIFICATION"
    WITHDRAW = "treat-as-withdraw"
    ACCEPT = "accepted"
    DISCARD = "attribute-discard"
    IGNORE = "ignored"
    OPENED = "session comes up"
    CLOSED = "connection closed without a NOTIFICATION"
    RESENT = "routes sent again"
    SURVIVE = "no harm to others"
    SILENCE = "no answer"


class Victim(Enum):
    """What became of the route that the malformed message was about, as the witness hears it."""

    UNSEEN = "unseen"
    OLD = "as before"
    GONE = "withdrawn"
    NEW = "as in the message"


@dataclass(frozen=True, slots=True)
class Demand:
    """What a target must do: the NOTIFICATION's code, subcode and data (None: any); or the attributes.

    `absent` are types that must not be passed on with the route, `present` values that must be.
    """

    answer: Answer
    code: int = 0
    subcode: int | None = 0
    data: bytes | None = None
    absent: tuple[int, ...] = ()
    present: tuple[tuple[int, bytes], ...] = ()

    def __str__(self) -> str:
        if self.answer is Answer.RESET:
            return f"NOTIFICATION {self.code}/{'*' if self.subcode is None else self.subcode}"
        return str(self.answer.value)


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen of the target."""

    notification: Notification | None = None
    closed: bool = False
    opened: bool = False
    victim: Victim = Victim.UNSEEN
    canary: bool = False  # the route announced after the malformed message reached the witness
    attributes: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    resent: bool = False
    seconds: float = 0.0
    unharmed: bool = True  # the witness's session went on
    trouble: str = ""  # why nothing could be seen

    def describe(self, about: tuple[int, ...] = ()) -> str:
        """Say it in short; `about` are the attributes that the case is about."""
        if self.trouble:
            return self.trouble
        if self.notification is not None:
            return f"NOTIFICATION {self.notification.code}/{self.notification.subcode}"
        if self.closed:
            return Answer.CLOSED.value
        if self.resent:
            return Answer.RESENT.value
        match self.victim:
            case Victim.GONE:
                return Answer.WITHDRAW.value
            case Victim.NEW if about and not set(about) & self.attributes.keys():
                return Answer.DISCARD.value
            case Victim.NEW:
                return Answer.ACCEPT.value
            case Victim.OLD:
                return Answer.IGNORE.value
        return Answer.OPENED.value if self.opened else Answer.SILENCE.value


class Match(IntEnum):
    """How well an answer fits a demand."""

    NO = 0
    DATA = 1  # all but the data of the NOTIFICATION
    FULL = 2


def match(demand: Demand, seen: Observed) -> Match:
    """Compare an answer with a demand."""
    gone = seen.closed or seen.notification is not None
    match demand.answer:
        case Answer.RESET:
            notification = seen.notification
            if notification is None or notification.code != demand.code:
                return Match.NO
            if demand.subcode not in (None, notification.subcode):
                return Match.NO
            right = demand.data is None or notification.data == demand.data
            return Match.FULL if right else Match.DATA
        case Answer.CLOSED:
            return Match.FULL if seen.closed and seen.notification is None else Match.NO
        case Answer.SURVIVE:
            return Match.FULL
        case Answer.OPENED:
            return Match.FULL if seen.opened and not gone else Match.NO
        case Answer.SILENCE:
            return Match.FULL if not gone else Match.NO
        case Answer.RESENT:
            return Match.FULL if seen.resent and not gone else Match.NO
    if gone or not seen.canary:
        return Match.NO
    match demand.answer:
        case Answer.WITHDRAW:
            return Match.FULL if seen.victim is Victim.GONE else Match.NO
        case Answer.IGNORE:
            return Match.FULL if seen.victim is Victim.OLD else Match.NO
    if seen.victim is not Victim.NEW or set(demand.absent) & seen.attributes.keys():
        return Match.NO
    kept = all(seen.attributes.get(type, (0, None))[1] == value for type, value in demand.present)
    return Match.FULL if kept else Match.NO


class Verdict(Enum):
    """The result of a case."""

    CONFORMS = "conforms"
    ALLOWED = "allowed"  # not what is demanded first, but permitted by another sentence
    DATA = "data differ"  # the right code and subcode, other data
    DIFFERS = "differs"
    UNCLEAR = "unclear"  # it could not be seen
    SKIPPED = "skipped"  # not for this session


@dataclass(frozen=True, slots=True)
class Case:
    """One malformation.

    `build` returns the octets that are sent, and what is demanded; `allowed` are further answers that some
    RFC permits, each with the sentence.  `applies` returns why a session is not fit for it, or nothing.
    `message`: it is about the victim, so the witness is asked what became of that.
    """

    name: str
    group: str
    sources: tuple[str, ...]
    text: str
    build: Callable[[Scene], tuple[bytes, Demand]]
    stage: Stage = Stage.ESTABLISHED
    family: Family = IPV4_UNICAST
    watched: bool = False
    two_octet_as: bool = False
    extended: bool = False
    hold_time: int | None = None
    applies: Callable[[Scene], str] = lambda scene: ""
    allowed: tuple[tuple[Demand, str], ...] = ()
    about: tuple[int, ...] = ()
    patience: float | None = None  # for how long an answer is waited for, where that is said by the case
    known: tuple[str, ...] = ()  # identifiers of published vulnerabilities of which it is the trigger

    @property
    def rfcs(self) -> frozenset[str]:
        """Return the numbers of the RFCs that it is about."""
        return frozenset(source.split()[1] for source in self.sources)


@dataclass(frozen=True, slots=True)
class Result:
    """A case, and what came of it."""

    case: Case
    verdict: Verdict
    demand: str
    seen: str
    note: str = ""
    observed: Observed | None = None
    sent: bytes = b""
    data: bytes | None = None  # of the NOTIFICATION that was demanded


def judge(case: Case, demand: Demand, seen: Observed, sent: bytes) -> Result:
    """Return the verdict on an answer."""
    told = seen.describe(case.about)
    if seen.trouble:
        return Result(case, Verdict.UNCLEAR, str(demand), seen.trouble, observed=seen, sent=sent)
    if not seen.unharmed:
        note = "the session of the witness ended too"
        return Result(case, Verdict.DIFFERS, str(demand), told, note, seen, sent, demand.data)
    fit = match(demand, seen)
    if fit is Match.FULL:
        return Result(case, Verdict.CONFORMS, str(demand), told, "", seen, sent, demand.data)
    for other, why in case.allowed:
        if match(other, seen) is not Match.NO:
            return Result(case, Verdict.ALLOWED, str(demand), told, why, seen, sent, demand.data)
    if fit is Match.DATA and seen.notification is not None:
        note = f"data {seen.notification.data.hex() or 'empty'}, not {(demand.data or b'').hex() or 'empty'}"
        return Result(case, Verdict.DATA, str(demand), told, note, seen, sent, demand.data)
    note = ""
    if not (seen.closed or seen.notification) and case.watched and not seen.canary:
        note = "it passes on nothing any more"
    elif fit is Match.NO and told == str(demand):
        note = "not with the attributes that must remain"
    return Result(case, Verdict.DIFFERS, str(demand), told, note, seen, sent, demand.data)
