"""The reports of guards: what they keep from use, by neighbor, and who has what."""

from collections import Counter
from collections.abc import AsyncGenerator
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from bgp.aio.peer import Peer
from bgp.family import FAMILIES, Family, family_of
from bgp.member import Member
from bgp.rib.claims import Claim
from bgp.rib.guarding import kept_from_use
from bgp.rib.lookup import within
from bgp.wire import prefix as nlri
from reflector.report.row import Row
from reflector.report.slices import in_slices

if TYPE_CHECKING:
    from reflector.app import Service

LIMIT = 1000


async def guards(
    service: "Service", *, peer: Peer | None = None, all: bool = False
) -> AsyncGenerator[Row, None]:
    """Yield a row for each neighbor of which something is kept from use, or was, or for all guarded ones."""
    peers = list(service.speaker.peers) if peer is None else [peer]
    async for some in in_slices(peers):
        for each in some:
            member = each.member
            if member is None or member.settings.guard is None:
                continue
            row = {"peer": each.name, **of_member(member)}
            if all or peer is not None or row["kept_from_use"] or row["hits"]:
                yield row


def of_member(member: Member) -> Row:
    """Return what there is to say of a guarded neighbor with a session."""
    guard, wards = member.settings.guard, member.wards
    now: Counter[str] = Counter()
    for family in member.negotiated.families:
        now += kept_from_use(member.sources(family))
    hits: Counter[str] = Counter()
    for ward in wards:
        hits.update(ward.hits)
    return {
        "guard": None if guard is None else guard.name,
        "claims": sum(ward.held for ward in wards),
        "kept_from_use": dict(now),
        "hits": dict(hits),
    }


async def claims(
    service: "Service",
    *,
    prefix: IPv4Network | IPv6Network | None = None,
    peer: Peer | None = None,
    family: Family | None = None,
    disputed: bool = False,
    limit: int = LIMIT,
) -> AsyncGenerator[Row, None]:
    """Yield a row for each thing that one neighbor has for itself: who has it, and who announces it, too."""
    left = limit
    families: tuple[Family, ...] = FAMILIES if family is None else (family,)
    if prefix is not None:
        families = tuple(each for each in families if each is family_of(prefix))
    for each in families:
        ledger = service.speaker.router.guarding.ledgers[each]
        known = ledger.disputed if disputed else ledger.claims
        wanted = within(nlri.parse(prefix)[1]) if prefix is not None else None
        async for some in in_slices(list(known.values())):
            for claim in some:
                if wanted is not None and not wanted([claim.unit]):
                    continue
                if peer is not None and peer.name not in _parties(claim):
                    continue
                yield _claim(each, claim)
                left -= 1
                if not left:
                    return


def _parties(claim: Claim) -> list[str]:
    found = [ward.name for ward in claim.parties]
    return found if claim.holder is None else [claim.holder.name, *found]


def _claim(family: Family, claim: Claim) -> Row:
    holder, quota = claim.holder, claim.quota
    return {
        "prefix": nlri.text(family, claim.unit),
        "family": family.name,
        "owner": None if holder is None else holder.name,
        "guard": None if holder is None or holder.guard is None else holder.guard.name,
        "of": None if quota is None else str(quota.blocks),
        "announced": holder in claim.parties,
        "others": [ward.name for ward in claim.parties if ward is not holder],
    }
