"""Cases against a target: sessions are opened, malformations sent, and the answers judged.

The witness is a session of its own that lasts through all cases: it hears what the target makes of the
routes of the testers, and that it goes on shows that others take no harm.  Each tester has an address of
its own and tries one case at a time; with several addresses as many cases are under way at once.  Where the
witness falls, what was under way then is tried again, one by one.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from bgp.family import IPV4_UNICAST, Family
from bgp.iana import CeaseSubcode, ErrorCode, OpenSubcode
from bgp.testing.conformance.case import (
    Answer,
    Case,
    Demand,
    Match,
    Observed,
    Result,
    Stage,
    Verdict,
    Victim,
    judge,
    match,
)
from bgp.testing.conformance.scene import HOLD_TIME, MOST_CASES, NEW_MARK, OLD_MARK, Scene, context_of
from bgp.testing.conformance.talker import Ends, Porch, Pulse, Talker
from bgp.wire.capability import Capabilities
from bgp.wire.message import Keepalive, Notification, Open, encode

_KEEPALIVE = encode(Keepalive())
_CEASE = encode(Notification(ErrorCode.CEASE, CeaseSubcode.ADMINISTRATIVE_SHUTDOWN))
_RETRY = 0.3


class Misfit(Exception):
    """The target cannot be tried as it is configured, or cannot be reached; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a target is reached, and what it takes us for.

    `locals` are our addresses, one for each tester; `witness` is that of the witness.  `next_hop_ipv4` and
    `next_hop_ipv6` stand for our address where that is not of the family, or of the loopback network.
    `patience` is for how long the target may take to answer or to pass a route on, `settle` for how long to
    what it says of a route after that, `reconnect` for how long it may refuse a new session.  `passive`: it
    dials, to `listen_port` of each address.
    """

    target: str
    asn: int
    local_as: int
    witness_as: int
    locals: tuple[str, ...]
    witness: str
    port: int = 179
    password: str = ""
    families: tuple[Family, ...] = (IPV4_UNICAST,)
    next_hop_ipv4: str = ""
    next_hop_ipv6: str = ""
    passive: bool = False
    listen_port: int = 179
    patience: float = 5.0
    settle: float = 1.0
    reconnect: float = 90.0


@dataclass(slots=True)
class Report:
    """What was found of a target."""

    options: Options
    opening: Open | None = None
    results: list[Result] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, verdict: Verdict) -> int:
        return sum(result.verdict is verdict for result in self.results)


async def examine(
    options: Options, cases: Sequence[Case], progress: Callable[[Result], None] = lambda result: None
) -> Report:
    """Try all cases; raise Misfit where the target is not as the options say."""
    return await _Examination(options, progress).run(cases)


class _Examination:
    def __init__(self, options: Options, progress: Callable[[Result], None]) -> None:
        self.options = options
        self.progress = progress
        self.pulse = Pulse()
        self.report = Report(options)
        self.offered = Capabilities()
        self.target_identifier = 0
        self.falls = 0  # of the witness
        self._witness: Talker | None = None
        self._reviving = asyncio.Lock()

    async def run(self, cases: Sequence[Case]) -> Report:
        start = time.monotonic()
        if len(cases) > MOST_CASES - 2:
            raise Misfit(f"{len(cases)} cases at once are more than there are prefixes: choose with --rules")
        testers = [_Tester(self, address) for address in self.options.locals]
        try:
            await self._prepare(testers[0])
            waiting = list(enumerate(cases))[::-1]
            found: dict[int, Result] = {}
            again: list[tuple[int, Case]] = []

            async def work(tester: _Tester, alone: bool) -> None:
                while waiting:
                    number, case = waiting.pop()
                    falls = self.falls
                    result = await tester.do(case, number)
                    if falls != self.falls and not alone:
                        again.append((number, case))
                        continue
                    found[number] = result
                    self.progress(result)

            async with asyncio.TaskGroup() as group:
                for tester in testers:
                    group.create_task(work(tester, len(testers) == 1))
            waiting.extend(again)
            await work(testers[0], True)
            self.report.results = [found[number] for number in sorted(found)]
        except* Misfit as misfits:
            raise misfits.exceptions[0] from None
        finally:
            for tester in testers:
                await tester.leave()
            if self._witness is not None:
                await self._witness.hang_up(_CEASE)
        self.report.seconds = time.monotonic() - start
        return self.report

    # --- the witness ------------------------------------------------------------------------------------

    def scene(self, asn: int, local: str, number: int, case: Case | None = None) -> Scene:
        options = self.options
        hops: dict[Family, bytes] = {}
        own = ip_address(local)
        for family in options.families:
            named = options.next_hop_ipv4 if family is IPV4_UNICAST else options.next_hop_ipv6
            if named or own.version == (4 if family is IPV4_UNICAST else 6):
                hops[family] = ip_address(named or local).packed
        context = context_of(
            frozenset(hops),
            asn,
            options.asn,
            four_octet_as=not (case and case.two_octet_as) and self.offered.four_octet_as is not None,
            extended_messages=bool(case and case.extended) and self.offered.extended_message,
        )
        return Scene(
            target_as=options.asn,
            local_as=asn,
            identifier=int(own) % (1 << 32) or 1,
            next_hops=hops,
            context=context,
            number=number,
            target_identifier=self.target_identifier,
            offered=self.offered,
            hold_time=HOLD_TIME if case is None or case.hold_time is None else case.hold_time,
        )

    async def _prepare(self, tester: "_Tester") -> None:
        """See that both sessions come up and that routes go from one to the other."""
        options = self.options
        self.offered = Capabilities(four_octet_as=options.asn)  # until its OPEN says it
        talker = await tester.session(None, MOST_CASES - 2, strict=True)
        assert talker.opening is not None
        self.report.opening = talker.opening
        if talker.opening.asn != options.asn:
            raise Misfit(f"the target is AS {talker.opening.asn}, not {options.asn}: see --asn")
        self.offered = Capabilities.parse(talker.opening.capabilities)
        self.target_identifier = talker.opening.identifier
        witness = await self.witness(strict=True)
        scene = self.scene(options.local_as, tester.local, MOST_CASES - 2)
        for family in scene.next_hops:
            victim = scene.victim(family)
            talker.say(scene.announce(victim, OLD_MARK, family))
            seen = await self.pulse.until(
                lambda f=family, v=victim: talker.over or witness.heard(f, v) is not None,  # type: ignore[misc]
                options.patience * 3,
            )
            if talker.over:
                raise Misfit(f"the target ends the session on a good announcement: {_why(talker)}")
            if not seen:
                raise Misfit(_UNSEEN.format(family=family, tester=tester.local, witness=options.witness))
            talker.say(scene.withdraw(victim, family))

    async def witness(self, strict: bool = False) -> Talker:
        """Return the session of the witness, opened again where it has fallen."""
        async with self._reviving:
            if self._witness is None or self._witness.over:
                options = self.options
                scene = self.scene(options.witness_as, options.witness, MOST_CASES - 1)
                # A long message that it could not take would be a withdrawal for it (RFC 8654 section 4).
                longest = replace(scene.context, extended_messages=self.offered.extended_message)
                scene = replace(scene, context=longest)
                self._witness = await establish(self, options.witness, scene, strict=strict)
                # For those who ask the target for its routes.
                self._witness.say(
                    *(scene.announce(scene.victim(family), NEW_MARK, family) for family in scene.next_hops)
                )
            return self._witness


_UNSEEN = (
    "the session at {witness} hears nothing of an {family} route that the target has from {tester}: both "
    "must be external, in two ASes, with policies that accept and pass on everything, or internal and "
    "clients of a reflector; the next hop must be reachable; and routes not held back for long (--patience)"
)


def _why(talker: Talker) -> str:
    if talker.notification is not None:
        return str(talker.notification)
    return talker.nonsense or "it closes the connection without a word"


async def dial(examination: _Examination, local: str, seconds: float, porch: Porch | None = None) -> Talker:
    """Return a connection on which the target's OPEN has come; raise Misfit with the last reason why not."""
    options = examination.options
    ends = Ends(local, options.target, options.port, options.password)
    deadline = time.monotonic() + seconds
    while True:
        try:
            if porch is not None:
                talker = await porch.next(seconds)
            else:
                talker = await Talker.dial(ends, examination.pulse, min(seconds, 10.0))
        except (OSError, TimeoutError) as error:
            if isinstance(error, TimeoutError):
                reason = "nobody answers" if porch is None else "the target does not dial"
            else:
                reason = (error.strerror or str(error)).lower()
            reason += f" (from {local} to {options.target} port {options.port})"
        else:
            await examination.pulse.until(lambda t=talker: t.opening or t.over, 10.0)  # type: ignore[misc]
            if talker.opening is not None and not talker.closed:
                return talker
            reason = f"no OPEN comes: {_why(talker)}" if talker.over else "no OPEN comes within 10 s"
            reason += f"; does the target know a neighbor {local}?"
            await talker.hang_up()
        if time.monotonic() > deadline:
            raise Misfit(f"no session with the target: {reason}")
        await asyncio.sleep(_RETRY)


async def establish(
    examination: _Examination, local: str, scene: Scene, *, strict: bool = False, porch: Porch | None = None
) -> Talker:
    """Return a session that is up; `strict`: an OPEN that is refused is not tried again."""
    options = examination.options
    deadline = time.monotonic() + options.reconnect
    while True:
        talker = await dial(examination, local, 15.0 if strict else options.reconnect, porch)
        talker.say(scene.open())
        await examination.pulse.until(lambda t=talker: t.keepalives or t.over, 10.0)  # type: ignore[misc]
        if talker.keepalives and not talker.over:
            talker.say(_KEEPALIVE)
            return talker
        notification = talker.notification
        await talker.hang_up()
        if strict and notification is not None and notification.code == ErrorCode.OPEN_MESSAGE_ERROR:
            raise Misfit(_refused(notification, scene, local))
        if time.monotonic() > deadline:
            raise Misfit(f"the session from {local} does not come up: {_why(talker)}")
        await asyncio.sleep(_RETRY)


def _refused(notification: Notification, scene: Scene, local: str) -> str:
    told = f"the target refuses the OPEN from {local}: {notification}"
    if notification.subcode == OpenSubcode.BAD_PEER_AS:
        return f"{told}; it expects another AS there than {scene.local_as}: see --local-as and --witness-as"
    return told


class _Tester:
    """One of our addresses, with at most one session."""

    def __init__(self, examination: _Examination, local: str) -> None:
        self.examination = examination
        self.options = examination.options
        self.pulse = examination.pulse
        self.local = local
        self._talker: Talker | None = None
        self._profile: tuple[object, ...] = ()
        self._porch: Porch | None = None

    async def leave(self) -> None:
        talker, self._talker = self._talker, None
        if talker is not None:
            await talker.hang_up(*(() if talker.over else (_CEASE,)))
        if self._porch is not None:
            self._porch.close()
            self._porch = None

    async def porch(self) -> Porch | None:
        if self.options.passive and self._porch is None:
            ends = Ends(self.local, self.options.target, self.options.port, self.options.password)
            try:
                self._porch = await Porch.open(ends, self.options.listen_port, self.pulse)
            except OSError as error:
                where = f"{self.local} port {self.options.listen_port}"
                raise Misfit(f"cannot listen at {where}: {error.strerror or error}") from None
        return self._porch

    async def session(self, case: Case | None, number: int, strict: bool = False) -> Talker:
        """Return an Established session as the case wants it, the present one if that will do."""
        profile = (case.two_octet_as, case.extended, case.hold_time) if case else (False, False, None)
        if self._talker is not None and not self._talker.over and self._profile == profile:
            return self._talker
        await self._drop()
        scene = self.examination.scene(self.options.local_as, self.local, number, case)
        self._talker = await establish(
            self.examination, self.local, scene, strict=strict, porch=await self.porch()
        )
        self._profile = profile
        return self._talker

    async def _drop(self) -> None:
        talker, self._talker = self._talker, None
        if talker is not None:
            await talker.hang_up(*(() if talker.over else (_CEASE,)))

    async def do(self, case: Case, number: int) -> Result:
        """Try one case."""
        examination = self.examination
        scene = examination.scene(self.options.local_as, self.local, number, case)
        if why := case.applies(scene):
            return Result(case, Verdict.SKIPPED, "", why)
        sent, demand = case.build(scene)
        start = time.monotonic()
        try:
            witness = await examination.witness()
            if case.stage is Stage.ESTABLISHED:
                seen = await self._established(case, scene, demand, sent, witness)
            else:
                seen = await self._opening(case, scene, demand, sent)
        except Misfit as misfit:
            return judge(case, demand, Observed(trouble=str(misfit)), sent)
        if witness.over:
            examination.falls += 1
            seen = replace(seen, unharmed=False)
        return judge(case, demand, replace(seen, seconds=time.monotonic() - start), sent)

    async def _opening(self, case: Case, scene: Scene, demand: Demand, sent: bytes) -> Observed:
        """Send the octets before the session is up."""
        await self._drop()
        talker = await dial(self.examination, self.local, self.options.reconnect, await self.porch())
        try:
            talker.silent = True
            if case.stage is Stage.OPEN_CONFIRM:
                talker.say(scene.open())
                await self.pulse.until(lambda: talker.keepalives or talker.over, self.options.patience)
                if talker.over:
                    return Observed(trouble=f"our OPEN is refused: {_why(talker)}")
            talker.say(sent)
            wanted = demand.answer is Answer.OPENED
            await self.pulse.until(
                lambda: talker.over or (wanted and talker.keepalives), case.patience or self.options.patience
            )
            opened = case.stage is Stage.OPEN_SENT and talker.keepalives > 0
            if opened and not talker.over:
                talker.say(_KEEPALIVE)
                await self.pulse.until(lambda: talker.over, self.options.settle)
            return Observed(talker.notification, talker.over, opened)
        finally:
            await talker.hang_up(*(() if talker.over else (_CEASE,)))

    async def _established(
        self, case: Case, scene: Scene, demand: Demand, sent: bytes, witness: Talker
    ) -> Observed:
        """Send the octets on an Established session, and see what becomes of the victim."""
        talker = await self.session(case, scene.number)
        if case.hold_time is not None:
            talker.silent = True
        until, patience = self.pulse.until, case.patience or self.options.patience
        victim, canary, family = scene.victim(case.family), scene.canary(case.family), case.family
        try:
            if not case.watched:
                return await self._unwatched(scene, demand, sent, witness, patience, talker)
            talker.say(scene.announce(victim, OLD_MARK, family))
            await until(
                lambda: talker.over or witness.over or witness.heard(family, victim) is not None, patience * 2
            )
            if talker.over or witness.heard(family, victim) is None:
                why = _why(talker) if talker.over else "it is not passed on"
                return Observed(trouble=f"a good announcement before: {why}")
            talker.say(sent, scene.announce(canary, NEW_MARK, family))
            await until(
                lambda: talker.over or witness.over or witness.heard(family, canary) is not None, patience
            )

            def look() -> Observed:
                return _look(talker, witness, scene, family, sent)

            await until(
                lambda: talker.over or witness.over or match(demand, look()) is Match.FULL,
                self.options.settle,
            )
            return look()
        finally:
            if talker.over or case.hold_time is not None:
                await self._drop()
            else:
                talker.say(scene.withdraw(victim, family), scene.withdraw(canary, family))

    async def _unwatched(
        self, scene: Scene, demand: Demand, sent: bytes, witness: Talker, patience: float, talker: Talker
    ) -> Observed:
        """Send what is not about a route."""
        canary = scene.canary()
        talker.announced.clear()
        talker.say(sent)
        alive = demand.answer in (Answer.SILENCE, Answer.SURVIVE)
        if alive and IPV4_UNICAST in scene.next_hops:
            talker.say(scene.announce(canary, NEW_MARK))
        await self.pulse.until(
            lambda: (
                talker.over
                or witness.over
                or (alive and witness.heard(IPV4_UNICAST, canary) is not None)
                or (demand.answer is Answer.RESENT and talker.announced)
            ),
            patience,
        )
        heard = witness.heard(IPV4_UNICAST, canary) is not None
        return Observed(
            talker.notification,
            talker.over,
            canary=heard,
            resent=demand.answer is Answer.RESENT and bool(talker.announced),
        )


def _look(talker: Talker, witness: Talker, scene: Scene, family: Family, sent: bytes) -> Observed:
    heard = witness.heard(family, scene.victim(family))
    if heard is None:
        victim = Victim.GONE
    elif OLD_MARK.to_bytes(4, "big") in heard.get(2, (0, b""))[1]:
        victim = Victim.OLD
    else:
        victim = Victim.NEW
    return Observed(
        talker.notification,
        talker.over,
        victim=victim,
        canary=witness.heard(family, scene.canary(family)) is not None,
        attributes=heard if victim is Victim.NEW and heard is not None else {},
    )


__all__ = ["Misfit", "Options", "Report", "examine"]
