"""Reader of what is wanted of graceful restart (RFC 4724, 8538, 9494)."""

from collections.abc import Callable

from bgp.session import restart
from bgp.session.restart import LONGEST_RESTART, LONGEST_STALE, RestartOptions
from reflector.configuration import terms, values
from reflector.configuration.document import Place, nearest
from reflector.configuration.shapes import FLAG, either, shape_of, shaped, table
from reflector.configuration.values import duration, kind, number

_EXAMPLE = 'write true, false, or a table such as {families = ["ipv4-unicast"], time = 120}'
_YEAR = 366 * 86400.0


def graceful_restart(value: object, place: Place) -> RestartOptions | bool | None:
    """Read whether there is graceful restart at all, or a table with all that may be chosen about it.

    False stands for no: None would mean that the value was refused.
    """
    if isinstance(value, bool):
        return restart.DEFAULT if value else False
    if not isinstance(value, dict):
        place.refuse(f"must be true, false or a table, not {kind(value)}", _EXAMPLE)
        return None
    options: dict[str, object] = {}
    for name, given in value.items():
        read = _KEYS.get(name)
        if read is None:
            guess = nearest(name, list(_KEYS))
            (place / name).refuse("there is no such key", f'did you mean "{guess}"?' if guess else _EXAMPLE)
            return None
        found = read(given, place / name)
        if found is None:
            return None
        options[name] = found
    try:
        return RestartOptions(**options)  # type: ignore[arg-type]
    except ValueError as error:
        name, _, what = str(error).partition(": ")
        (place / name).refuse(what, "correct one of them")
        return None


_KEYS: dict[str, Callable[[object, Place], object]] = {
    "families": terms.families,
    "time": number(0, LONGEST_RESTART, "seconds"),
    "notification": values.flag,
    "stale_time": duration(1, _YEAR),
    "long_lived": terms.stale_times,
    "long_lived_minimum": number(0, LONGEST_STALE, "seconds"),
    "long_lived_maximum": number(0, LONGEST_STALE, "seconds"),
    "partial": values.flag,
}

shaped(either(FLAG, table({name: shape_of(read) for name, read in _KEYS.items()})))(graceful_restart)
