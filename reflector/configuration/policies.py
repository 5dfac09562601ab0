"""The policies of a configuration: `[prefix_list.NAME]`, `[policy.NAME]` and its `[[policy.NAME.term]]`s."""

from collections.abc import Mapping

from bgp.policy import ACCEPT, ACCEPT_ALL, NEXT, REFUSE, Policy, Rules, Term, known
from bgp.policy.change import Change
from bgp.policy.match import ANY, Match
from bgp.policy.prefixes import PrefixList
from reflector.changes.changing import read_changes
from reflector.configuration.addresses import address, prefix_entry
from reflector.configuration.document import Document, Place, nearest
from reflector.configuration.matching import one_or_list, read_match
from reflector.configuration.schema import ACCEPT_ALL as ACCEPT_ALL_NAME
from reflector.configuration.schema import Key
from reflector.configuration.shapes import shaped
from reflector.configuration.tables import Table, read_named, read_table
from reflector.configuration.values import one_of, text

_THEN = {"accept": ACCEPT, "refuse": REFUSE, "next": NEXT}
_KNOWN = {
    "graceful-shutdown": known.graceful_shutdown,
    "shutting-down": known.shutting_down,
    "no-peer": known.no_peer,
}
_BLACKHOLE = "blackhole"
_HEADING = "[[policy.NAME.term]]"


@shaped({"type": "object"})
def _table(value: object, place: Place) -> object:
    return value


TERM = (
    Key("name", text, "the name of the term, for explanations"),
    Key("match", _table, "which routes it is about; without it, all"),
    Key("set", _table, "what it changes"),
    Key("then", one_of(_THEN), 'what becomes of the route: "accept", "refuse" or the "next" term'),
    Key("known", one_of((*_KNOWN, _BLACKHOLE)), "a ready-made term for a well-known community"),
    Key("allowed", one_or_list(prefix_entry), "prefixes that may be blackholes (RFC 7999)"),
    Key("discard", address, "the next hop of blackholes"),
)


def read_policies(document: Document) -> dict[str, Policy]:
    """Read all policies, by name; those of which something was refused may be incomplete."""
    lists = {
        name: table.values["entries"]
        for name, table in read_named(document, "prefix_list").items()
        if "entries" in table.values
    }
    found: dict[str, Policy] = {}
    for name, table in read_named(document, "policy").items():
        if name == ACCEPT_ALL_NAME:
            table.place.refuse(f'"{name}" is a policy already', "choose another name")
        terms: list[Term] = []
        places: dict[str, Place] = {}
        for index, raw in enumerate(table.values.get("term", ())):
            place = table.place / "term" / index
            for term in _terms(raw, place, index, lists):
                if term.name in places:
                    what = f'"{term.name}" is already the name of the term in line {places[term.name].line}'
                    place.refuse(what, "give them different names")
                else:
                    places[term.name] = place
                    terms.append(term)
        default = _THEN[table.values.get("default", "refuse")]
        if "term" not in table.places and "default" not in table.places:
            table.place.refuse("has no terms, so it refuses everything", f"add {_HEADING}, or a default")
        found[name] = Rules(name, terms, default)
    return found


def _terms(raw: object, place: Place, index: int, lists: Mapping[str, PrefixList]) -> tuple[Term, ...]:
    table = read_table(raw, place, TERM, _HEADING)
    given = table.values
    if "known" in given:
        return _ready_made(table)
    for name in ("allowed", "discard"):
        if name in given:
            table.where(name).refuse("is for blackholes only", f'remove it, or write known = "{_BLACKHOLE}"')
    match: Match | None = ANY
    if "match" in given:
        match = read_match(given["match"], table.where("match"), lists)
    changes: tuple[Change, ...] = ()
    if "set" in given:
        changes = read_changes(given["set"], table.where("set"))
    then = _THEN[given.get("then", "next")]
    if "set" not in table.places and "then" not in table.places:
        place.refuse("does nothing", 'add set, or then = "accept" or "refuse"')
    return (Term(given.get("name", str(index + 1)), match or ANY, changes, then),)


def _ready_made(table: Table) -> tuple[Term, ...]:
    given = table.values
    for name in ("name", "match", "set", "then"):
        if name in table.places:
            table.where(name).refuse("is part of what is ready-made", "remove it, or remove known")
    if given["known"] == _BLACKHOLE:
        if "allowed" not in table.places:
            table.place.refuse("nothing says which prefixes may be blackholes", "add allowed (RFC 7999 3.3)")
        return known.blackhole(given.get("allowed", ()), given.get("discard"))
    for name in ("allowed", "discard"):
        if name in given:
            table.where(name).refuse("is for blackholes only", f'remove it, or write known = "{_BLACKHOLE}"')
    return (_KNOWN[given["known"]](),)


def find_policy(peer: Table, direction: str, policies: Mapping[str, Policy]) -> Policy | None:
    """Return the policy of a neighbor or listen range for `direction`, "import" or "export"."""
    name = peer.values.get(direction, peer.values.get("policy"))
    if name is None or name == ACCEPT_ALL_NAME:
        return None if name is None else ACCEPT_ALL
    if name not in policies:
        guess = nearest(name, [*policies, ACCEPT_ALL_NAME])
        remedy = f'did you mean "{guess}"?' if guess else f"add a [policy.{name}] table"
        peer.where(direction).refuse(f'there is no policy "{name}"', remedy)
        return None
    return policies[name]
