"""The conditions of a configuration: `[condition.NAME]`, and what of a peer or a network depends on them."""

from collections.abc import Mapping

from bgp.policy import Policy
from bgp.policy.condition import Condition, Conditional
from bgp.rib.aggregate import Aggregate
from bgp.router import Router
from bgp.wire import prefix as nlri
from reflector.configuration.document import Document, Place, nearest
from reflector.configuration.policies import find_policy
from reflector.configuration.schema import Key
from reflector.configuration.tables import Table, read_named, read_table
from reflector.configuration.values import text

CONDITIONAL = (
    Key("routes", text, "the [policy.NAME] that accepts the routes it is about", required=True),
    Key("if", text, "the [condition.NAME] on which they are told", required=True),
)
_HEADING = "conditional = [{routes = ..., if = ...}]"


def read_conditions(document: Document) -> dict[str, Condition]:
    """Read all conditions, by name."""
    found: dict[str, Condition] = {}
    for name, table in read_named(document, "condition").items():
        given = [key for key in ("exists", "missing") if key in table.places]
        if len(given) != 1:
            what = "says both exists and missing" if given else "does not say what to look for"
            table.place.refuse(what, "write one of exists and missing, a list of prefixes")
        elif given[0] in table.values:
            prefixes = table.values[given[0]]
            if not len(prefixes):
                table.where(given[0]).refuse("must not be empty", "name at least one prefix")
            found[name] = Condition(prefixes, given[0] == "exists")
    return found


def find_condition(table: Table, key: str, conditions: Mapping[str, Condition]) -> Condition | None:
    """Return the condition that `key` of a table names, None where it is not there."""
    name = table.values.get(key)
    return None if name is None else _find(name, table.where(key), conditions)


def _find(name: str, place: Place, conditions: Mapping[str, Condition]) -> Condition | None:
    if name not in conditions:
        guess = nearest(name, list(conditions))
        remedy = f'did you mean "{guess}"?' if guess else f"add a [condition.{name}] table"
        place.refuse(f'there is no condition "{name}"', remedy)
        return None
    return conditions[name]


def refuse_circles(networks: list[Table], aggregates: list[Table]) -> None:
    """Refuse a condition of a network that depends on its own outcome; the router says which one does."""
    trial = Router(1, 1)
    for table in aggregates:
        if "prefix" in table.values:
            trial.aggregate(*nlri.parse(table.values["prefix"]), Aggregate())
    for table in networks:
        condition = table.values.get("condition")
        if condition is not None and "prefix" in table.values:
            try:
                trial.announce(*nlri.parse(table.values["prefix"]), trial.table.make(), condition)
            except ValueError as error:
                table.where("if").refuse(str(error), "let it look for other prefixes")


def resolve(peer: Table, conditions: Mapping[str, Condition], policies: Mapping[str, Policy]) -> None:
    """Put what a neighbor or listen range is told on conditions in the place of the names of these."""
    condition = find_condition(peer, "default_originate_if", conditions)
    if "default_originate_if" in peer.places and "default_originate" not in peer.places:
        peer.where("default_originate_if").refuse("needs default_originate", "add default_originate = true")
    families = peer.values.get("default_originate")
    if families is not None:
        peer.values["default_originate"] = dict.fromkeys(families, condition)
    found: list[Conditional] = []
    for index, raw in enumerate(peer.values.get("conditional", ())):
        table = read_table(raw, peer.where("conditional") / index, CONDITIONAL, _HEADING)
        routes, when = find_policy(table, "routes", policies), find_condition(table, "if", conditions)
        if routes is not None and when is not None:
            found.append(Conditional(routes, when))
    if "conditional" in peer.values:
        peer.values["conditional"] = tuple(found)
