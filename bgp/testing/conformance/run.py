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
from bgp.testing.conformance.case import Case, Result, Verdict
from bgp.testing.conformance.reaching import CEASE, Misfit, Options, establish, why
from bgp.testing.conformance.scene import HOLD_TIME, MOST_CASES, NEW_MARK, OLD_MARK, Scene, context_of
from bgp.testing.conformance.talker import Ends, Porch, Pulse, Talker
from bgp.testing.conformance.tester import Tester
from bgp.wire.capability import Capabilities
from bgp.wire.message import Open


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
    return await Examination(options, progress).run(cases)


class Examination:
    """A target under examination: its witness, what it offers, and the results so far."""

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
        self._porches: dict[str, Porch] = {}

    async def run(self, cases: Sequence[Case]) -> Report:
        start = time.monotonic()
        if len(cases) > MOST_CASES - 2:
            raise Misfit(f"{len(cases)} cases at once are more than there are prefixes: choose with --rules")
        testers = [Tester(self, address) for address in self.options.locals]
        try:
            await self._prepare(testers[0])
            waiting = list(enumerate(cases))[::-1]
            found: dict[int, Result] = {}
            again: list[tuple[int, Case]] = []

            async def work(tester: Tester) -> None:
                while waiting:
                    number, case = waiting.pop()
                    falls = self.falls
                    result = await tester.do(case, number)
                    if falls != self.falls and len(testers) > 1:
                        again.append((number, case))
                        continue
                    found[number] = result
                    self.progress(result)

            async with asyncio.TaskGroup() as group:
                for tester in testers:
                    group.create_task(work(tester))
            # Another tester for each, since some targets let one rest that they have refused.
            for index, (number, case) in enumerate(again):
                found[number] = await testers[index % len(testers)].do(case, number)
                self.progress(found[number])
            self.report.results = [found[number] for number in sorted(found)]
        except* Misfit as misfits:
            raise misfits.exceptions[0] from None
        finally:
            for tester in testers:
                await tester.leave()
            if self._witness is not None:
                await self._witness.hang_up(CEASE)
            for porch in self._porches.values():
                porch.close()
        self.report.seconds = time.monotonic() - start
        return self.report

    async def porch(self, local: str) -> Porch | None:
        """Return where the target's connections to this address arrive, if it is to dial."""
        options = self.options
        if options.passive and local not in self._porches:
            ends = Ends(local, options.target, options.port, options.password)
            try:
                self._porches[local] = await Porch.open(ends, options.listen_port, self.pulse)
            except OSError as error:
                where = f"{local} port {options.listen_port}"
                raise Misfit(f"cannot listen at {where}: {error.strerror or error}") from None
        return self._porches.get(local)

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

    async def _prepare(self, tester: "Tester") -> None:
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
                raise Misfit(f"the target ends the session on a good announcement: {why(talker)}")
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
                porch = await self.porch(options.witness)
                self._witness = await establish(
                    options, self.pulse, options.witness, scene, strict=strict, porch=porch
                )
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


__all__ = ["Misfit", "Options", "Report", "examine"]
