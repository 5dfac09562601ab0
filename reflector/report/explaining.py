"""The report that answers why: of each path of a prefix, and of what a neighbor is told of it."""

from collections.abc import AsyncGenerator
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from bgp.aio.peer import Peer
from bgp.explanation import Considered, Opinion, Telling
from bgp.family import family_of
from bgp.rib.ladder import Rung
from bgp.wire import prefix as nlri
from reflector.report.forwarding import explained as in_kernel
from reflector.report.row import Row, Unanswerable
from reflector.report.words import attributes, named, path

if TYPE_CHECKING:
    from reflector.app import Service


async def explain(
    service: "Service", *, prefix: IPv4Network | IPv6Network, to: Peer | None = None
) -> AsyncGenerator[Row, None]:
    """Yield the one row: the paths with their verdicts, `text` in words, and with `to` what it is told."""
    speaker = service.speaker
    route = speaker.rib.exact(prefix)
    if route is None:
        covering = speaker.rib.longest_match(prefix)
        near = f"; the longest match is {covering.prefix}" if covering else ""
        raise Unanswerable(f"there is no path to {prefix}{near}")
    explained = speaker.explain(prefix)
    row: Row = {
        "prefix": route.prefix,
        "family": route.family.name,
        "paths": [_considered(service, route.prefix, each) for each in explained],
        "ladder": [_rung(each) for each in speaker.router.decision.ladder],
        "text": str(explained),
    }
    names = service.configuration.communities
    found = {
        text: name
        for each in row["paths"]
        for text, name in named(each, names).get("community_names", {}).items()
    }
    if found:
        row["text"] += "\n" + ", ".join(f"{text} is {name}" for text, name in found.items())
    if service.fib is not None:
        row["fib"] = in_kernel(service, service.fib, route.family, route.octets)
    if to is not None:
        row["to"] = _account(service, to, prefix)
    yield row


def _account(service: "Service", to: Peer, prefix: IPv4Network | IPv6Network) -> Row:
    try:
        account = service.speaker.explain_to(to, prefix)
    except ValueError as error:
        # Without a session, or without this family: what is known of the paths is told all the same.
        why = f"{error}; {to.last_error}" if to.member is None and to.last_error else str(error)
        return {"peer": to.name, "told": [], "pending": False, "text": why}
    return {
        "peer": to.name,
        "told": [_telling(each) for each in account],
        "pending": account.pending,
        "text": str(account),
    }


def _considered(service: "Service", prefix: str, one: Considered) -> Row:
    family = family_of(nlri.network(*nlri.parse(prefix)))
    row = path(family, prefix, one.path, one.best)
    row["verdict"] = str(one)
    if one.rung is not None:
        row["lost"] = _rung(one.rung)
    if one.opinion is not None:
        row["import"] = _opinion(one.opinion)
    return row


def _rung(rung: Rung) -> Row:
    return {"number": rung.number, "rung": rung.name, "section": rung.section, "text": rung.text}


def _opinion(opinion: Opinion) -> Row:
    return {
        "policy": opinion.policy,
        "accepted": opinion.accepted,
        "text": str(opinion),
        "changes": [
            {"attribute": each.name, "before": each.before, "after": each.after} for each in opinion.changes
        ],
    }


def _telling(one: Telling) -> Row:
    row: Row = {"peer": one.path.source.peer, "told": one.told, "text": str(one)}
    if one.reason is not None:
        row["reason"] = {"rule": one.reason.name, "section": one.reason.section, "text": one.reason.text}
    if one.opinion is not None:
        row["export"] = _opinion(one.opinion)
    if one.attributes is not None:
        row |= {
            "path_id": one.path_id,
            "attributes": attributes(one.attributes),
            "message": one.message.hex(),
        }
    return row
