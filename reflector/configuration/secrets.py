"""Secrets: in the configuration itself, in a file of their own, or in the environment.

    password = "plain"
    password = {file = "/run/secrets/bgp"}
    password = {env = "BGP_PASSWORD"}

Each time the configuration is read the secret is read again.  One that cannot be read is no fault of the
configuration, for whoever checks that need not have the secrets; but what it protects is then kept down and
never goes without it, and there is a warning with the reason.  What a secret says is never shown.
"""

import os
import stat
from dataclasses import dataclass, field

from reflector.configuration.document import Place
from reflector.configuration.shapes import TEXT, either, shaped, table
from reflector.configuration.values import kind, nul_free, path, text

LONGEST = 4096  # octets of any secret
_EXAMPLE = 'write text, {file = "/run/secrets/name"} or {env = "NAME"}'


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret as read: its octets, or the `fault` for which there are none."""

    octets: bytes = field(default=b"", repr=False)
    fault: str = ""

    @property
    def value(self) -> str | bytes:
        """The secret as text, or as octets where it is none."""
        try:
            return self.octets.decode()
        except UnicodeDecodeError:
            return self.octets


@shaped(either(TEXT, *(table({name: TEXT}, (name,)) for name in ("file", "env"))))
def secret(value: object, place: Place, longest: int = LONGEST) -> Secret | None:
    """Read a secret of at most `longest` octets, wherever it is."""
    if not isinstance(value, dict):
        if not isinstance(value, str):
            place.refuse(f"must be text or a table, not {kind(value)}", _EXAMPLE)
            return None
        plain = text(value, place)
        if plain is None:
            return None
        if len(plain.encode()) > longest:
            place.refuse(f"has {len(plain.encode())} octets", f"use at most {longest} octets")
            return None
        return Secret(plain.encode())
    for name in value.keys() - {"file", "env"}:
        (place / name).refuse("there is no such key", _EXAMPLE)
    given = [name for name in ("file", "env") if name in value]
    if len(given) != 1:
        what = "says both file and env" if given else "does not say where the secret is"
        place.refuse(what, _EXAMPLE)
        return None
    if given[0] == "file":
        file = path(value["file"], place / "file")
        return None if file is None else _checked(*_from_file(str(file), place / "file"), longest, place)
    name = nul_free(value["env"], place / "env")
    return None if name is None else _checked(*_from_environment(name), longest, place)


def _checked(found: bytes | None, where: str, fault: str, longest: int, place: Place) -> Secret:
    octets = b"" if found is None else found.removesuffix(b"\n").removesuffix(b"\r")
    if found is not None:
        if not octets:
            fault = f"{where} is empty"
        elif len(octets) > longest:
            fault = f"{where} has more than {longest} octets"
        elif b"\n" in octets or b"\0" in octets:
            fault = f"{where} has more than one line"
    if fault:
        # The environment of a process stays what it was at its start.
        again = "reload" if where.startswith('"') else "start that anew"
        place.warn(
            f"{fault}; what it protects is kept down", f"provide it where the service runs, and {again}"
        )
        return Secret(fault=fault)
    return Secret(octets)


def _from_file(file: str, place: Place) -> tuple[bytes | None, str, str]:
    where = f'"{file}"'
    try:
        # Nothing that could keep us waiting, such as a pipe that nobody writes to.
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        return None, where, f"{where} cannot be read: {getattr(error, 'strerror', None) or error}"
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None, where, f"{where} is no regular file"
        if status.st_mode & (stat.S_IROTH | stat.S_IWOTH):
            verb = "read" if status.st_mode & stat.S_IROTH else "change"
            place.warn(f"everybody may {verb} {where}", "take that from others: chmod o= FILE")
        # One octet more than there may be, besides the end of the line.
        return os.read(descriptor, LONGEST + 3), where, ""
    except OSError as error:
        return None, where, f"{where} cannot be read: {error.strerror or error}"
    finally:
        os.close(descriptor)


def _from_environment(name: str) -> tuple[bytes | None, str, str]:
    where = f"the environment's {name}"
    found = os.environb.get(name.encode())
    return found, where, "" if found is not None else f"{where} is not set"
