"""One of our addresses: it has a session with the target, tries a case at a time, and says what was seen."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from bgp.family import IPV4_UNICAST, Family
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
from bgp.testing.conformance.reaching import CEASE, Misfit, dial, establish, why
from bgp.testing.conformance.scene import NEW_MARK, OLD_MARK, Scene
from bgp.testing.conformance.talker import Talker
from bgp.wire.message import Keepalive, encode

if TYPE_CHECKING:
    from bgp.testing.conformance.run import Examination

_KEEPALIVE = encode(Keepalive())


class Tester:
    """One of our addresses, with at most one session."""

    def __init__(self, examination: "Examination", local: str) -> None:
        self.examination = examination
        self.options = examination.options
        self.pulse = examination.pulse
        self.local = local
        self._talker: Talker | None = None
        self._profile: tuple[object, ...] = ()

    async def leave(self) -> None:
        talker, self._talker = self._talker, None
        if talker is not None:
            await talker.hang_up(*(() if talker.over else (CEASE,)))

    async def session(self, case: Case | None, number: int, strict: bool = False) -> Talker:
        """Return an Established session as the case wants it, the present one if that will do."""
        profile = (case.two_octet_as, case.extended, case.hold_time) if case else (False, False, None)
        if self._talker is not None and not self._talker.over and self._profile == profile:
            return self._talker
        await self._drop()
        scene = self.examination.scene(self.options.local_as, self.local, number, case)
        self._talker = await establish(
            self.options,
            self.pulse,
            self.local,
            scene,
            strict=strict,
            porch=await self.examination.porch(self.local),
        )
        self._profile = profile
        return self._talker

    async def _drop(self) -> None:
        talker, self._talker = self._talker, None
        if talker is not None:
            await talker.hang_up(*(() if talker.over else (CEASE,)))

    async def do(self, case: Case, number: int) -> Result:
        """Try one case."""
        examination = self.examination
        scene = examination.scene(self.options.local_as, self.local, number, case)
        if unfit := case.applies(scene):
            return Result(case, Verdict.SKIPPED, "", unfit)
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

    async def _dialed(self) -> Talker:
        porch = await self.examination.porch(self.local)
        return await dial(self.options, self.pulse, self.local, self.options.reconnect, porch)

    async def _opening(self, case: Case, scene: Scene, demand: Demand, sent: bytes) -> Observed:
        """Send the octets before the session is up."""
        await self._drop()
        talker = await self._dialed()
        try:
            talker.silent = True
            if case.stage is Stage.OPEN_CONFIRM:
                talker.say(scene.open())
                await self.pulse.until(lambda: talker.keepalives or talker.over, self.options.patience)
                if talker.over:
                    return Observed(trouble=f"our OPEN is refused: {why(talker)}")
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
            await talker.hang_up(*(() if talker.over else (CEASE,)))

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
                cause = why(talker) if talker.over else "it is not passed on"
                return Observed(trouble=f"a good announcement before: {cause}")
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
