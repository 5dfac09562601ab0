"""What the service answers over HTTP, and to whom: the `[http]` table, and what it must not say.

Who asks from this machine may read.  From elsewhere it takes TLS and a token, but for what is `open`:
metrics and the state of health hold no secrets, and scrapers and probes come from elsewhere.  To change
anything takes the token, wherever one is.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bgp.aio.address import parse_endpoint
from reflector.configuration.document import Place
from reflector.configuration.secrets import Secret, secret
from reflector.configuration.shapes import shape_of, shaped

if TYPE_CHECKING:
    from reflector.configuration.tables import Table

# What may be open to everybody, and the paths of it.
OPEN = {"metrics": ("/metrics",), "probes": ("/livez", "/readyz")}
# Where the looking glass is if nothing is said.
LOOKING_GLASS = "127.0.0.1:9179"
_SHORTEST = 16  # octets of a token: less can be guessed


@dataclass(frozen=True, slots=True)
class Http:
    """The `[http]` table: where we answer over HTTP, by default nowhere, and to whom."""

    listen: tuple[str, ...] = ()
    ready_after: float = 120.0
    looking_glass: bool = False
    birdwatcher: bool = False
    open: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    token: Secret | None = None
    read_token: Secret | None = None

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Where to answer: who asks for the looking glass only gets it on loopback."""
        return self.listen or ((LOOKING_GLASS,) if self.looking_glass else ())


@shaped(shape_of(secret))
def read_token(value: object, place: Place) -> Secret | None:
    """Read a token: a secret that fits into the header of a request."""
    found = secret(value, place)
    if found is None or found.fault:
        return found
    what = ""
    if len(found.octets) < _SHORTEST:
        what = f"has {len(found.octets)} octets, which can be guessed"
    elif any(not 0x21 <= octet <= 0x7E for octet in found.octets):
        what = "has other signs than letters, digits and punctuation"
    remedy = "make one with `openssl rand -hex 32`"
    if not what:
        return found
    if isinstance(value, dict):
        # What is elsewhere is no fault of the file.
        place.warn(f"{what}; so it is not used", remedy)
        return Secret(fault=what)
    place.refuse(what, remedy)
    return None


def is_loopback(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address is only this machine's."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def check_http(http: "Table") -> None:
    """Refuse an `[http]` table that shows more to others than metrics and health without TLS and a token."""
    given: dict[str, Any] = http.values
    there = http.places.keys()
    for name, other in (("certificate", "key"), ("key", "certificate")):
        if name in there and other not in there:
            http.where(name).refuse(f"is of no use without {other}", f"add {other}, a file in PEM")
    missing = [name for name in ("certificate", "key") if name not in there]
    if not {"token", "read_token"} & there:
        missing.append("token")
    if "open" in there or not missing:
        return
    for index, text in enumerate(given.get("listen", ())):
        if not is_loopback(parse_endpoint(text).address):
            what = f'"{text}" is not only for this machine, and everybody there could read all'
            remedy = f'write open = ["metrics", "probes"] to show these only, or add {_and(missing)}'
            (http.where("listen") / index).refuse(what, remedy)


def _and(words: list[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last
