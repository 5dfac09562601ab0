"""The value of each path attribute as JSON: one row each, both ways.

`ORIGIN` is a name; AS paths, addresses and communities are text; numbers are numbers.  What has no row, or
is not what its row expects, is `{"value": HEX}`, so any octets can be shown and written again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from bgp.iana import AttributeType, Origin
from bgp.wire import aspath, community
from bgp.wire.attributes import ROWS

_T = AttributeType


@dataclass(frozen=True, slots=True)
class Form:
    """One attribute: its JSON key, and its value from octets to JSON and back.

    Both functions take the octets of an AS number, 2 or 4, and raise ValueError for what they cannot
    express; `remedy` says what may be written.
    """

    type: int
    key: str
    read: Callable[[bytes, int], Any]
    write: Callable[[Any, int], bytes]
    remedy: str


class Unfit(ValueError):
    """A JSON value is not what its place asks for; `key` is the place, `remedy` what to write."""

    def __init__(self, key: str, text: str, remedy: str) -> None:
        super().__init__(key, text, remedy)
        self.key = key
        self.text = text
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.key}: {self.text}; {self.remedy}"

    def within(self, outer: str) -> "Unfit":
        """Return the same with its place told from further outside."""
        inner = self.key if not self.key or self.key.startswith("[") else f".{self.key}"
        return Unfit(outer + inner, self.text, self.remedy)


def key_of(type_: int) -> str:
    """Return the JSON key of an attribute: its name in lower case, or such as "attribute_200"."""
    row = ROWS.get(type_)
    return row.name.lower() if row else f"attribute_{type_}"


def type_of(key: str) -> int | None:
    """Return the attribute's type of a JSON key, None where it is none."""
    if key in _TYPES:
        return _TYPES[key]
    word, _, number = key.rpartition("_")
    if (
        word == "attribute"
        and number.isascii()
        and number.isdigit()
        and len(number) <= 3
        and int(number) <= 255
    ):
        return int(number)
    return None


_TYPES = {row.name.lower(): row.type for row in ROWS.values()}


def read(type_: int, value: bytes, width: int) -> Any:
    """Return an attribute's value as JSON; `width` is the octets of an AS number."""
    form = FORMS.get(type_)
    if form is not None:
        try:
            return form.read(value, width)
        except (ValueError, IndexError):
            pass
    return {"value": value.hex()}


def write(type_: int, value: Any, width: int) -> bytes:
    """Return the octets of an attribute's JSON value; raise Unfit where it is not one."""
    if isinstance(value, dict) and set(value) == {"value"}:
        return hexadecimal(value["value"], "value")
    form = FORMS.get(type_)
    if form is None:
        raise Unfit("", f"{value!r} cannot be written as octets", 'write {"value": HEX}')
    try:
        return form.write(value, width)
    except Unfit:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        text = str(error) if isinstance(error, ValueError) else f"{value!r} does not fit"
        raise Unfit("", text, form.remedy) from None


def hexadecimal(value: object, key: str) -> bytes:
    """Return the octets of a hexadecimal JSON string; raise Unfit naming `key` where it is none."""
    try:
        if isinstance(value, str):
            return bytes.fromhex(value)
    except ValueError:
        pass
    raise Unfit(key, f"{value!r} is not hexadecimal", "write two digits for each octet, in quotes")


def number(value: object, octets: int) -> int:
    """Return a JSON number that fits `octets`; raise ValueError where it does not."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 8 * octets:
        raise ValueError(f"{value!r} is no number from 0 to {(1 << 8 * octets) - 1}")
    return value


def _numeric(type_: int, octets: int = 4) -> Form:
    def read(value: bytes, _: int) -> int:
        if len(value) != octets:
            raise ValueError
        return int.from_bytes(value, "big")

    def write(value: Any, _: int) -> bytes:
        return number(value, octets).to_bytes(octets, "big")

    return Form(type_, key_of(type_), read, write, "write a number, without quotes")


def _list(
    type_: int, size: int, text: Callable[[bytes], str], parse: Callable[[str], bytes], remedy: str
) -> Form:
    def read(value: bytes, _: int) -> list[str]:
        if not value or len(value) % size:
            raise ValueError
        return [text(value[at : at + size]) for at in range(0, len(value), size)]

    def write(value: Any, _: int) -> bytes:
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            raise ValueError(f"{value!r} is no list of text")
        items = []
        for index, item in enumerate(value):
            try:
                octets = parse(item)
                if len(octets) != size:
                    raise ValueError(f"{item!r} is not of {size} octets")
            except ValueError as error:
                raise Unfit(f"[{index}]", str(error), remedy) from None
            items.append(octets)
        return b"".join(items)

    return Form(type_, key_of(type_), read, write, remedy)


def _address(octets: bytes) -> str:
    if len(octets) != 4:
        raise ValueError
    return f"{octets[0]}.{octets[1]}.{octets[2]}.{octets[3]}"


def _read_origin(value: bytes, _: int) -> str:
    return Origin(int.from_bytes(value, "big") if len(value) == 1 else -1).name


def _write_origin(value: Any, _: int) -> bytes:
    return bytes((Origin[value],))


def _read_path(value: bytes, width: int) -> str:
    return aspath.text(aspath.parse(value, width))


def _write_path(value: Any, width: int) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    path = aspath.parse_text(value)
    if width == 2 and (large := [asn for part in path for asn in part.asns if asn > 0xFFFF]):
        remedy = "write 23456 in its place, and the whole path as as4_path (RFC 6793 4.2.2)"
        raise Unfit("", f"AS {large[0]} does not fit two octets", remedy)
    return aspath.encode(path, width)


def _read_aggregator(value: bytes, width: int) -> dict[str, object]:
    return {"asn": int.from_bytes(value[:width], "big"), "address": _address(value[width:])}


def _write_aggregator(value: Any, width: int) -> bytes:
    if set(value) != {"asn", "address"}:
        raise ValueError(f"{value!r} has not just asn and address")
    return number(value["asn"], width).to_bytes(width, "big") + IPv4Address(value["address"]).packed


def _read_flag(value: bytes, _: int) -> bool:
    if value:
        raise ValueError
    return True


def _write_flag(value: Any, _: int) -> bytes:
    if value is not True:
        raise ValueError(f"{value!r} is not true")
    return b""


# RFC 7311 section 3: type 1, and a Length that counts the three octets before the metric.
_AIGP_HEAD = b"\x01\x00\x0b"


def _read_aigp(value: bytes, _: int) -> int:
    if len(value) != 11 or not value.startswith(_AIGP_HEAD):
        raise ValueError
    return int.from_bytes(value[3:], "big")


def _write_aigp(value: Any, _: int) -> bytes:
    return _AIGP_HEAD + number(value, 8).to_bytes(8, "big")


def _ipv4(type_: int) -> Form:
    def write(value: Any, _: int) -> bytes:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is no address")
        return IPv4Address(value).packed

    return Form(type_, key_of(type_), lambda value, _: _address(value), write, "write it as in 192.0.2.1")


_PATH_REMEDY = "write it as in (65001 65002) 64500 {64501,64502}"
_AGGREGATOR_REMEDY = 'write {"asn": 65001, "address": "192.0.2.1"}'

FORMS: dict[int, Form] = {
    form.type: form
    for form in (
        Form(_T.ORIGIN, "origin", _read_origin, _write_origin, "write IGP, EGP or INCOMPLETE"),
        Form(_T.AS_PATH, "as_path", _read_path, _write_path, _PATH_REMEDY),
        _ipv4(_T.NEXT_HOP),
        _numeric(_T.MULTI_EXIT_DISC),
        _numeric(_T.LOCAL_PREF),
        Form(_T.ATOMIC_AGGREGATE, "atomic_aggregate", _read_flag, _write_flag, "write true, or leave it out"),
        Form(_T.AGGREGATOR, "aggregator", _read_aggregator, _write_aggregator, _AGGREGATOR_REMEDY),
        _list(
            _T.COMMUNITIES,
            4,
            lambda octets: community.community_text(int.from_bytes(octets, "big")),
            lambda text: community.parse_community(text).to_bytes(4, "big"),
            "write it as in 65001:100, or a well-known name",
        ),
        _ipv4(_T.ORIGINATOR_ID),
        _list(
            _T.CLUSTER_LIST, 4, _address, lambda text: IPv4Address(text).packed, "write it as in 192.0.2.1"
        ),
        _list(
            _T.EXTENDED_COMMUNITIES,
            8,
            community.extended_text,
            community.parse_extended,
            "write it as in rt:65001:100, or 0x and its octets",
        ),
        Form(
            _T.AS4_PATH,
            "as4_path",
            lambda value, _: _read_path(value, 4),
            lambda value, _: _write_path(value, 4),
            _PATH_REMEDY,
        ),
        Form(
            _T.AS4_AGGREGATOR,
            "as4_aggregator",
            lambda value, _: _read_aggregator(value, 4),
            lambda value, _: _write_aggregator(value, 4),
            _AGGREGATOR_REMEDY,
        ),
        _list(
            _T.IPV6_EXTENDED_COMMUNITIES,
            20,
            community.extended_text,
            community.parse_extended,
            "write it as in rt:[2001:db8::1]:100, or 0x and its octets",
        ),
        Form(_T.AIGP, "aigp", _read_aigp, _write_aigp, "write the metric as a number"),
        _list(
            _T.LARGE_COMMUNITIES,
            12,
            lambda octets: community.large_text(community.decode_large(octets)[0]),
            lambda text: community.encode_large((community.parse_large(text),)),
            "write it as in 64496:1:2",
        ),
        _numeric(_T.ONLY_TO_CUSTOMER),
    )
}
