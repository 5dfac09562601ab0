"""From root to a user of less power, who keeps only the capabilities that a reload still needs.

It happens before anything is opened: so from then on everything is as it will be when the configuration is
read again, and no thread is left behind as root.  What is kept can bind ports below 1024; for the FIB it can
change routes; nothing that is started from here can ever have more (no_new_privs, an empty bounding set).
"""

import contextlib
import os
import pwd
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from reflector.control.protocol import ENVIRONMENT

if TYPE_CHECKING:
    import ctypes

    from reflector.configuration.config import Configuration

# Where root's service puts its socket, and goes on to as another user.
RUNTIME_DIRECTORY = Path("/run/martlet")

# prctl(2) and capset(2), from Linux's uapi headers.
_SET_KEEPCAPS, _CAPBSET_DROP, _SET_NO_NEW_PRIVS, _CAP_AMBIENT, _CLEAR_ALL = 8, 24, 38, 47, 4
_VERSION_3 = 0x20080522
_LAST_KNOWN = 63


class Capability(IntEnum):
    """The capabilities that a service may need."""

    NET_BIND_SERVICE = 10
    NET_ADMIN = 12
    NET_RAW = 13


class PrivilegeError(Exception):
    """The user cannot be changed to; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A user with its groups."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]


def needed(configuration: "Configuration") -> frozenset[Capability]:
    """Return what a service with this configuration cannot do without.

    TCP-MD5, TCP-AO, the minimum TTL and marking packets as network control take none.
    """
    found = {Capability.NET_BIND_SERVICE}
    if configuration.fib is not None:
        found.add(Capability.NET_ADMIN)
    if any(peer.interface for peer in configuration.neighbors):
        # Unsolicited advertisements, for who waits for us on a link.
        found.add(Capability.NET_RAW)
    return frozenset(found)


def identity(name: str) -> Identity:
    """Return a user by name or number; raise PrivilegeError."""
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        if name.isdecimal() and 0 < int(name) < 1 << 32:
            return Identity(name, int(name), int(name), ())
        remedy = f"useradd --system --no-create-home {name}, or correct user in [router]"
        raise PrivilegeError(f'there is no user "{name}": {remedy}') from None
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return Identity(entry.pw_name, entry.pw_uid, entry.pw_gid, tuple(groups))


def leave_root(configuration: "Configuration", name: str) -> bool:
    """Become this user for a service with this configuration; False if we are it already.

    Raises PrivilegeError, or OSError where the system refuses.
    """
    control = configuration.control
    sockets = [path for path in (control.socket, control.birdc) if path is not None]
    if ENVIRONMENT in os.environ:
        sockets.append(Path(os.environ[ENVIRONMENT]))
    return become(name, needed(configuration), sockets if control.enabled else ())


def become(name: str, keep: Collection[Capability], sockets: Iterable[Path] = ()) -> bool:
    """Become this user for good, with these capabilities of ours; False if we are it already.

    The directories of `sockets` that are not there are made for it.  Raises PrivilegeError.
    """
    wanted = identity(name)
    if wanted.uid == os.geteuid():
        if wanted.uid == 0:
            raise PrivilegeError("user in [router] is root, who is to be left: name another, or leave it out")
        return False  # a supervisor did it, with the capabilities that it gave us
    if os.geteuid() != 0:
        raise PrivilegeError(
            f"only root can become {wanted.name}: start as root, or as {wanted.name} with the capability to"
            f" bind (systemd: User={wanted.name} and AmbientCapabilities=CAP_NET_BIND_SERVICE)"
        )
    _give_directories(wanted, sockets)
    # Imported here alone: under a supervisor that forbids memory to be written and executed it may fail.
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    permitted, _ = _capabilities()
    kept = sum(1 << each for each in keep) & permitted
    _check(libc.prctl(_SET_KEEPCAPS, 1, 0, 0, 0))
    _bound(libc, kept)
    os.setgroups(list(wanted.groups))
    os.setresgid(wanted.gid, wanted.gid, wanted.gid)
    os.setresuid(wanted.uid, wanted.uid, wanted.uid)
    low, high = kept & 0xFFFFFFFF, kept >> 32
    header = struct.pack("=Ii", _VERSION_3, 0)
    _check(libc.capset(header, struct.pack("=6I", low, low, 0, high, high, 0)))
    _check(libc.prctl(_SET_KEEPCAPS, 0, 0, 0, 0))
    libc.prctl(_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)  # older kernels have none
    _check(libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if os.getresuid() != (wanted.uid,) * 3 or _capabilities() != (kept, kept):
        raise PrivilegeError(f"the system did not let us become {wanted.name}")
    if not os.access(os.__file__, os.R_OK):
        where = os.path.dirname(os.__file__)
        raise PrivilegeError(f"{wanted.name} cannot read Python itself ({where}): use one that it can")
    return True


def _give_directories(owner: Identity, sockets: Iterable[Path]) -> None:
    """Make the directories where `owner` will put its sockets."""
    os.environ.setdefault("RUNTIME_DIRECTORY", str(RUNTIME_DIRECTORY))
    runtime = Path(os.environ["RUNTIME_DIRECTORY"].partition(":")[0])
    for directory in {runtime, *(path.parent for path in sockets)}:
        try:
            made = not directory.exists()
            directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            # What others share, such as /run itself, stays theirs.
            if made or directory == runtime:
                os.chown(directory, owner.uid, owner.gid)
        except OSError as error:
            raise PrivilegeError(f"{directory}: {error.strerror}") from None


def _bound(libc: "ctypes.CDLL", kept: int) -> None:
    """Let nobody who comes after us have more than is kept, as far as we may say so."""
    with contextlib.suppress(OSError):
        for capability in range(_LAST_KNOWN + 1):
            if not kept >> capability & 1:
                _check(libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0))


def _capabilities() -> tuple[int, int]:
    """Return what we are permitted, and what is in effect."""
    lines = Path("/proc/thread-self/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return int(found["CapPrm"], 16), int(found["CapEff"], 16)


def _check(result: int) -> None:
    if result:
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
