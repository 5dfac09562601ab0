"""Explanations: what became of each path of a prefix, and by which rule; as data, and in words.

Nothing of it is stored.  A policy is asked again, for its answer depends on the path alone; what it was given
is found by putting one in its place that answers with what it is given.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from bgp.export import default
from bgp.export.gate import NOT_INSTALLED
from bgp.export.pack import Packer, Told
from bgp.export.rules import SENDER, TOO_LONG, Treatment, Withheld
from bgp.family import Family
from bgp.policy import Trace
from bgp.rib.admission import Admission
from bgp.rib.asking import ask
from bgp.rib.decision import Rung, Verdict
from bgp.rib.path import Kind, Path, Policy, Refusal
from bgp.wire import prefix as nlri
from bgp.wire import words
from bgp.wire.attributes import Attributes

_HOW = {
    "SEND": "told",
    "REFLECT": "told, reflected with ORIGINATOR_ID and CLUSTER_LIST (RFC 4456 8)",
    "RELAY": "told, relayed by the route server (RFC 7947 2.2)",
}


@dataclass(frozen=True, slots=True)
class Changed:
    """An attribute that was changed: its name, and its value in words, None where there was or is none."""

    name: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"{self.name} {self.before or 'none'} -> {self.after or 'none'}"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a policy says of a path.

    `trace`: the terms that matched, and the one that decided, if the policy has terms.  `refusal` and
    `failure` say why it does not pass: by the policy's will, or because the policy itself failed.
    """

    policy: str
    trace: Trace | None = None
    changes: tuple[Changed, ...] = ()
    refusal: str | None = None
    failure: str | None = None

    @property
    def accepted(self) -> bool:
        return self.refusal is None and self.failure is None

    def __str__(self) -> str:
        if self.failure is not None:
            return f'policy "{self.policy}" failed: {self.failure}'
        if self.trace is not None:
            said = str(self.trace)
            passed = [term for term in self.trace.matched if term != self.trace.decided]
            if passed:
                said += f", behind {', '.join(map(_quoted, passed))}"
        elif self.accepted:
            said = f'policy "{self.policy}" accepts it'
        else:
            said = f'policy "{self.policy}" refuses it'
        if self.accepted and self.changes:
            said += f": {'; '.join(map(str, self.changes))}"
        return said


@dataclass(frozen=True, slots=True)
class Considered:
    """A path of the prefix: what import policy said of it, if it was asked, and what the decision did.

    `verdict.path` has what the peer said (`received`), and what import made of it (`attributes`).
    `next_hop` says how that is reached, or why it is not; nothing where nobody knows.  `guard` says what a
    guard makes of it, if the peer has one, and who has the prefix.
    """

    verdict: Verdict
    opinion: Opinion | None
    next_hop: str = ""
    guard: str = ""

    @property
    def path(self) -> Path:
        return self.verdict.path

    @property
    def rung(self) -> Rung | None:
        """Where it lost, None for the best path."""
        return self.verdict.rung

    @property
    def refusal(self) -> Refusal | None:
        """The rule that keeps it out of the decision."""
        return self.verdict.path.refusal

    @property
    def best(self) -> bool:
        return self.verdict.best

    def __str__(self) -> str:
        return str(self.verdict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """All paths of a prefix, the best one first, then those that came furthest."""

    family: Family
    prefix: bytes
    paths: tuple[Considered, ...]

    def __iter__(self) -> Iterator[Considered]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __str__(self) -> str:
        number = len(self.paths)
        lines = [f"{nlri.text(self.family, self.prefix)}: {number} path{'' if number == 1 else 's'}"]
        for one in self.paths:
            lines += [
                f"  from {_origin(one.path)}: {one}",
                f"    received: {words.line(one.path.received)}",
            ]
            if one.path.retained:
                kind, section = (
                    ("long-lived stale", "RFC 9494 4.2")
                    if one.path.source.stale
                    else ("stale", "RFC 4724 4.2")
                )
                lines.append(f"    {kind}: kept while its peer restarts ({section})")
            if one.guard:
                lines.append(f"    {one.guard}")
            if one.opinion is not None:
                lines.append(f"    import {one.opinion}")
            if one.next_hop:
                lines.append(f"    next hop {one.next_hop}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Telling:
    """How a path goes to a member, or why it does not.

    `reason` is None where it is told; then `attributes` are those that go out, `path_id` our identifier with
    ADD-PATH, and `message` the octets of an UPDATE with this route alone.  `opinion` is that of export
    policy, if it is asked.
    """

    path: Path
    reason: Withheld | None
    treatment: Treatment | None
    opinion: Opinion | None
    attributes: Attributes | None = None
    path_id: int | None = None
    message: bytes = b""

    @property
    def told(self) -> bool:
        return self.reason is None

    def __str__(self) -> str:
        if self.reason is not None:
            return f"not told: {self.reason}"
        return _HOW[self.treatment.name] if self.treatment is not None else "told"


@dataclass(frozen=True, slots=True)
class Account:
    """What a member is told of a prefix, with a telling for each path of it.

    `pending`: there is something that the member has not taken yet, perhaps this.
    """

    member: str
    kind: Kind
    family: Family
    prefix: bytes
    tellings: tuple[Telling, ...]
    pending: bool

    def __iter__(self) -> Iterator[Telling]:
        return iter(self.tellings)

    def __len__(self) -> int:
        return len(self.tellings)

    @property
    def told(self) -> tuple[Telling, ...]:
        """Those that are told."""
        return tuple(one for one in self.tellings if one.told)

    def __str__(self) -> str:
        lines = [f"{nlri.text(self.family, self.prefix)} towards {self.member} ({_kind(self.kind)})"]
        if not self.tellings:
            lines.append("  nothing: there is no path to it")
        for one in self.tellings:
            lines.append(f"  from {_origin(one.path)}: {one}")
            if one.opinion is not None:
                lines.append(f"    export {one.opinion}")
            if one.attributes is not None:
                number = "" if one.path_id is None else f"path identifier {one.path_id}, "
                lines.append(f"    goes out: {number}{words.line(one.attributes)}")
                lines.append(f"    in an UPDATE of {len(one.message)} octets: {one.message.hex()}")
        if self.pending and self.told:
            lines.append("  the peer has not yet taken all that it is to be told")
        return "\n".join(lines)


# --- How they are found -------------------------------------------------------------------------------


class _Stand:
    """Stands in for a policy, and keeps what it was given."""

    def __init__(self, policy: Policy) -> None:
        self.reads_prefix = bool(getattr(policy, "reads_prefix", False))
        self.given: Path | None = None

    def __call__(self, path: Path, prefix: bytes | None = None) -> Attributes:
        self.given = Path(path.source, path.slot, path.received)
        self.given.attributes = path.attributes
        return path.attributes


def opinion(policy: Policy, given: Path, prefix: bytes) -> Opinion:
    """Return what `policy` says of a path that is `given` to it."""
    name = policy_name(policy)
    reads_prefix = bool(getattr(policy, "reads_prefix", False))
    try:
        answer = ask(policy, given, prefix if reads_prefix else None)
        trace = getattr(policy, "trace", None)
        traced = None if trace is None else trace(given, prefix)
    except Exception as error:
        return Opinion(name, failure=f"{type(error).__name__}: {error}")
    if answer is None or isinstance(answer, Refusal):
        return Opinion(name, traced, refusal="" if answer is None else answer.text)
    return Opinion(name, traced, changes(given.attributes, answer.attributes))


def policy_name(policy: Policy) -> str:
    """Return what a policy is called: by its own name, or as the function that it is."""
    for attribute in ("name", "__qualname__"):
        name = getattr(policy, attribute, None)
        if isinstance(name, str) and name:
            return name
    return type(policy).__qualname__


def changes(before: Attributes, after: Attributes) -> tuple[Changed, ...]:
    """Return what differs, in words."""
    old, new = words.values(before), words.values(after)
    names = dict.fromkeys((*old, *new))
    return tuple(
        Changed(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)
    )


def explanation(
    family: Family, prefix: bytes, verdicts: Sequence[Verdict], admission: Admission
) -> Explanation:
    """Explain the paths of a prefix, on which the decision gave `verdicts`."""
    return Explanation(
        family,
        prefix,
        tuple(
            Considered(
                verdict,
                _import(verdict.path, prefix, admission),
                admission.way(verdict.path),
                _guard(verdict.path, prefix),
            )
            for verdict in verdicts
        ),
    )


def _guard(path: Path, prefix: bytes) -> str:
    ward = path.source.ward
    return "" if ward is None else ward.words(path.received, prefix)


def _import(path: Path, prefix: bytes, admission: Admission) -> Opinion | None:
    policy = path.source.policy
    if policy is None:
        return None
    stand = _Stand(policy)
    trial = Path(path.source.under(stand), path.slot, path.received)
    admission(trial, prefix if trial.source.by_prefix else None)
    # The trial's source has another policy, which is nothing that one may look at.
    return None if stand.given is None else opinion(policy, stand.given, prefix)


def account(
    member: str,
    packer: Packer,
    family: Family,
    prefix: bytes,
    verdicts: Sequence[Verdict],
    selected: Sequence[Path],
    pending: bool,
    shut: Collection[Path] = (),
) -> Account:
    """Say how each path of a prefix goes to a member, whose group has that packer.

    `selected` are the paths of which one that is not the member's own may be told, and `shut` those of them
    that the gate keeps back.
    """
    tellings = [
        _telling(member, packer, family, prefix, verdict, verdict.path in selected, verdict.path in shut)
        for verdict in verdicts
    ]
    if prefix == default.PREFIX and family in packer.defaults:
        path = default.default_route(family, packer.terms.local_as)
        tellings.insert(0, _out(packer, family, prefix, path, packer.defaults[family], Treatment.SEND, None))
    return Account(member, packer.terms.kind, family, prefix, tuple(tellings), pending)


def _telling(
    member: str,
    packer: Packer,
    family: Family,
    prefix: bytes,
    verdict: Verdict,
    selected: bool,
    shut: bool,
) -> Telling:
    path, terms = verdict.path, packer.terms
    treatment = packer.treatment(path)
    how = treatment if isinstance(treatment, Treatment) else None
    if path.slot.peer == member:
        return Telling(path, SENDER, how, None)
    if path.refusal is not None:
        return Telling(path, Withheld("refused", path.refusal.section, path.refusal.text), how, None)
    if not selected:
        text = "it is not among the paths that are told"
        if verdict.rung is not None:
            text = f"another path is better: {verdict.rung.text}"
        section = "RFC 4271 9.1.3" if verdict.rung is None else verdict.rung.section
        return Telling(path, Withheld("not-selected", section, text), how, None)
    said = None
    if terms.policy is not None:
        stand = _Stand(terms.policy)
        Packer(replace(terms, policy=stand)).told(family, path, prefix)
        if stand.given is not None:
            said = opinion(terms.policy, stand.given, prefix)
    told = NOT_INSTALLED if shut else packer.told(family, path, prefix)
    if isinstance(told, Withheld):
        return Telling(path, told, how, said)
    if not packer.fitting(family, told, [prefix]):
        return Telling(path, TOO_LONG, how, said)
    return _out(packer, family, prefix, path, told, how, said)


def _out(
    packer: Packer,
    family: Family,
    prefix: bytes,
    path: Path,
    told: Told,
    how: Treatment | None,
    said: Opinion | None,
) -> Telling:
    path_id = path.slot.number if family in packer.selections else None
    identifiers = None if path_id is None else [path_id]
    (message,), _ = packer.encoder.announce(family, told.octets, told.next_hop, [prefix], identifiers)
    return Telling(path, None, how, said, Attributes(told.octets, told.next_hop), path_id, message)


def _origin(path: Path) -> str:
    source = path.source
    if source.kind is Kind.LOCAL:
        return "ourselves"
    identified = "" if path.path_id is None else f", path identifier {path.path_id}"
    return f"{source.peer} ({_kind(source.kind)}{identified})"


def _kind(kind: Kind) -> str:
    return kind.name.lower().replace("_", " ").replace("non client", "non-client")


def _quoted(name: str) -> str:
    return f'"{name}"'
