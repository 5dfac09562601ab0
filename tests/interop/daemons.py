"""The real daemons: where they are on this machine, and how to get them without installing anything.

`python tests/interop/daemons.py install` (as root) lets apt work out Debian's packages and the libraries
that the machine lacks, downloads them, and unpacks them into `.cache/daemons`.  No maintainer script
runs and no service starts.  A program found on the system is preferred to one in the cache.

To both is preferred what the environment names, with options if need be: MARTLET_BIRD=/opt/bird3/bird,
MARTLET_FRR="/opt/frr10/bgpd --v6-with-v4-nexthop", MARTLET_BIRDC, MARTLET_VTYSH, MARTLET_GOBGPD and so on.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "daemons"

# program -> (Debian package, path in it).  FRR's and OpenBGPD's daemons are both named bgpd, so the
# path says which one is meant, and PATH is not asked.
PROGRAMS = {
    "bird": ("bird2", "usr/sbin/bird"),
    "birdc": ("bird2", "usr/sbin/birdc"),
    "frr": ("frr", "usr/lib/frr/bgpd"),
    "zebra": ("frr", "usr/lib/frr/zebra"),
    "vtysh": ("frr", "usr/bin/vtysh"),
    "gobgpd": ("gobgpd", "usr/bin/gobgpd"),
    "gobgp": ("gobgpd", "usr/bin/gobgp"),
    "openbgpd": ("openbgpd", "usr/sbin/bgpd"),
    "bgpctl": ("openbgpd", "usr/sbin/bgpctl"),
    "exabgp": ("python3-exabgp", "usr/sbin/python3-exabgp"),  # exabgp is a link that its script makes
    "tshark": ("tshark", "usr/bin/tshark"),
    "dumpcap": ("wireshark-common", "usr/bin/dumpcap"),
    "promtool": ("prometheus", "usr/bin/promtool"),
    # Without what draws windows, which is most of it.
    "chromium": ("chromium-headless-shell", "usr/lib/chromium/chromium-headless-shell"),
    "ip": ("iproute2", "usr/sbin/ip"),
    "setpriv": ("util-linux", "usr/bin/setpriv"),
}
AMBIGUOUS = {"frr", "zebra", "openbgpd"}


@dataclass(frozen=True, slots=True)
class Program:
    """An executable, what its environment needs, and options that it always gets."""

    name: str
    path: Path
    environment: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    @property
    def argv(self) -> list[str]:
        return [str(self.path), *self.options]

    def run(self, *arguments: str, timeout: float = 30, prefix: Sequence[str] = ()) -> str:
        """Run it to its end and return standard output; raise with what it said if it fails."""
        done = subprocess.run(
            [*prefix, *self.argv, *arguments],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if done.returncode:
            raise RuntimeError(f"{self.name} {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout


def find(name: str, cache: Path = CACHE) -> Program | None:
    """Return the program that the environment names, or that of the system or else of the cache, or None."""
    if named := os.environ.get(f"MARTLET_{name.upper()}"):
        path, *options = shlex.split(named)
        return Program(name, Path(path), options=tuple(options)) if os.access(path, os.X_OK) else None
    package_path = PROGRAMS[name][1]
    candidates = [Path("/") / package_path]
    if name not in AMBIGUOUS and (found := shutil.which(name)):
        candidates.insert(0, Path(found))
    for path in candidates:
        if os.access(path, os.X_OK):
            return Program(name, path)
    path = cache / package_path
    return Program(name, path, _environment(cache)) if os.access(path, os.X_OK) else None


def _environment(cache: Path) -> dict[str, str]:
    """Return what lets unpacked programs find their libraries and modules."""
    libraries = sorted(
        {str(library.parent) for top in ("usr/lib", "lib") for library in (cache / top).rglob("lib*.so*")}
    )
    inherited = os.environ.get("LD_LIBRARY_PATH")
    return {
        "LD_LIBRARY_PATH": ":".join([*libraries, *([inherited] if inherited else [])]),
        "PYTHONPATH": str(cache / "usr/lib/python3/dist-packages"),
    }


def missing(cache: Path = CACHE) -> list[str]:
    """Return the programs that neither the system nor the cache has."""
    return [name for name in PROGRAMS if find(name, cache) is None]


def why_not(*names: str) -> str | None:
    """Return why tests with these programs cannot run here; None if they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    absent = [name for name in (*names, "ip", "setpriv") if find(name) is None]
    if absent:
        return f"not found: {', '.join(absent)}; as root: python tests/interop/daemons.py install"
    return None


def install(names: Sequence[str], cache: Path = CACHE, options: Sequence[str] = ()) -> None:
    """Download the packages of these programs, with their libraries, and unpack them into `cache`."""
    packages = sorted({PROGRAMS[name][0] for name in names})
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise SystemExit(f"no apt-get here: install by other means: {', '.join(packages)}")
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent) as scratch:
        archives = Path(scratch) / "archives"
        (archives / "partial").mkdir(parents=True)
        download = [
            *("apt-get", "install", "--download-only", "--yes", "--no-install-recommends", "--quiet"),
            *("-o", f"Dir::Cache::archives={archives}", "-o", "APT::Sandbox::User=root"),
            *("-o", "Debug::NoLocking=1", *options, *packages),
        ]
        if subprocess.run(download).returncode:
            # A fresh machine has no package lists, an old one has outdated ones.
            subprocess.run(["apt-get", "update", "--quiet"], check=True)
            subprocess.run(download, check=True)
        unpacked = Path(scratch) / "root"
        for archive in sorted(archives.glob("*.deb")):
            if archive.name.startswith(("libjs-", "node-")):
                continue  # pages of web consoles, big ones, which nobody opens
            subprocess.run(["dpkg-deb", "--extract", str(archive), str(unpacked)], check=True)
        # A daemon that is running from the cache keeps its inode: files are replaced, never rewritten.
        shutil.copytree(unpacked, cache, symlinks=True, dirs_exist_ok=True, copy_function=_replace)


def _replace(source: str, target: str) -> str:
    if os.path.lexists(target):
        os.unlink(target)
    return str(shutil.copy2(source, target, follow_symlinks=False))


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["install"]:
        install(missing())
    elif arguments:
        print("usage: python tests/interop/daemons.py [install]", file=sys.stderr)
        return 2
    for name in PROGRAMS:
        program = find(name)
        print(f"{name:10} {program.path if program else 'missing'}")
    return 1 if missing() else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
