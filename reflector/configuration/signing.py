"""Reader of the key of the TCP Authentication Option (RFC 5925)."""

from dataclasses import dataclass

from bgp.aio.signing import AoAlgorithm, AoKey
from reflector.configuration.document import Place
from reflector.configuration.secrets import Secret
from reflector.configuration.shapes import integer, shape_of, shaped, table, words
from reflector.configuration.terms import password
from reflector.configuration.values import kind, number, one_of

ALGORITHMS = {each.name.lower().replace("_", "-"): each for each in AoAlgorithm}
_EXAMPLE = 'write tcp_ao = {key = "secret", send_id = 1, receive_id = 1}'
_NUMBERS = ("send_id", "receive_id")


@dataclass(frozen=True, slots=True)
class Signing:
    """A key of TCP-AO whose secret may not have been readable."""

    secret: Secret
    send_id: int
    receive_id: int
    algorithm: AoAlgorithm

    @property
    def key(self) -> AoKey:
        """The key, where the secret could be read."""
        return AoKey(
            key=self.secret.octets,
            send_id=self.send_id,
            receive_id=self.receive_id,
            algorithm=self.algorithm,
        )


_KEYS = {"key": shape_of(password), **dict.fromkeys(_NUMBERS, integer(0, 255))}


@shaped(table({**_KEYS, "algorithm": words(ALGORITHMS)}, _KEYS))
def tcp_ao(value: object, place: Place) -> Signing | None:
    """Read a table with the key, its identifiers and maybe its algorithm."""
    if not isinstance(value, dict):
        place.refuse(f"must be a table, not {kind(value)}", _EXAMPLE)
        return None
    for name in value.keys() - {"key", "algorithm", *_NUMBERS}:
        (place / name).refuse("there is no such key", _EXAMPLE)
    for name in ("key", *_NUMBERS):
        if name not in value:
            place.refuse(f"has no {name}", _EXAMPLE)
    key = password(value["key"], place / "key") if "key" in value else None
    found = [number(0, 255)(value[name], place / name) if name in value else None for name in _NUMBERS]
    word = one_of(ALGORITHMS)(value.get("algorithm", "hmac-sha-1"), place / "algorithm")
    send, receive = found
    if key is None or send is None or receive is None or word is None:
        return None
    return Signing(key, send, receive, ALGORITHMS[word])
