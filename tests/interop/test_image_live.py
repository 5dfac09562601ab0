"""The Dockerfile without Docker: each of its steps is done, and what it starts is run as its user."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from daemons import ROOT
from netns import Network, eventually
from unprivileged import directory, readable

__all__ = ["directory"]  # a fixture

UID = 10179
CONFIGURATION = """\
[router]
asn = 64512
router_id = {env = "MARTLET_ROUTER_ID"}
listen = ["0.0.0.0:179"]
[http]
listen = ["127.0.0.1:9179"]
ready_after = 1
[[listen_range]]
prefix = "10.99.0.0/24"
client = true
"""


@dataclass
class Stage:
    """A stage of the image: its name, and its instructions one after the other."""

    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def only(self, instruction: str) -> str:
        (found,) = [rest for word, rest in self.steps if word == instruction]
        return found


def stages() -> list[Stage]:
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    found: list[Stage] = []
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            match = re.fullmatch(r"python:\$\{PYTHON\}-slim(?: AS (\w+))?", rest)
            assert match is not None, line
            found.append(Stage(match[1] or ""))
        elif word == "ARG":
            assert re.fullmatch(r"PYTHON=3\.1[1-9]", rest)
        elif word and word != "#":
            found[-1].steps.append((word, rest))
    return found


def context(to: Path) -> None:
    """Copy what .dockerignore leaves: all is ignored but what is named, less what never goes."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in ("", "#")]
    assert lines[0] == "*"
    never = [line.removeprefix("**/") for line in lines if line.startswith("**/")]
    for name in (line.removeprefix("!") for line in lines if line.startswith("!")):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, symlinks=True, ignore=shutil.ignore_patterns(*never))
        else:
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, to / name)


@dataclass
class Image:
    """Directories in place of an image's: where /opt/martlet and /run/martlet are, and the last stage."""

    opt: Path
    run: Path
    last: Stage

    def placed(self, text: str) -> str:
        return text.replace("/opt/martlet", str(self.opt)).replace("/run/martlet", str(self.run))

    @property
    def environment(self) -> dict[str, str]:
        words = shlex.split(self.placed(self.last.only("ENV")).replace("$PATH", "/usr/bin:/bin"))
        return dict(word.split("=", 1) for word in words)

    def command(self, instruction: str) -> list[str]:
        argv: list[str] = json.loads(self.last.only(instruction).rpartition("CMD ")[2])
        return [str(self.opt / "bin" / "reflector"), *argv[1:]] if argv[0] == "reflector" else argv


def build(directory: Path) -> Image:
    """Do what the Dockerfile says, without a network: what is installed here already is found there, too."""
    first, last = stages()
    source = directory / "src"
    source.mkdir()
    ignored = directory / "context"
    ignored.mkdir()
    context(ignored)
    image = Image(directory / "opt", directory / "run", last)
    for word, rest in first.steps:
        if word == "COPY":
            *names, to = rest.split()
            for name in names:
                found = ignored / name
                assert found.exists(), name
                if found.is_dir():
                    shutil.copytree(found, source / to, symlinks=True)
                else:
                    assert to.endswith("/")
                    (source / to).mkdir(exist_ok=True)
                    shutil.copy(found, source / to)
        elif word == "RUN":
            argv = shlex.split(image.placed(rest))
            if argv[0] == "python":
                argv[0] = sys.executable
            else:
                library = next(image.opt.glob("lib/python*/site-packages"))
                for bundled in library.glob("setuptools*"):
                    shutil.rmtree(bundled)  # what came with an older Python cannot build
                (library / "installed.pth").write_text(sysconfig.get_path("purelib"))
                (flagged,) = [each for each in argv if each.startswith(".[")]
                known = re.findall(r"^(\w+) = \[", (source / "pyproject.toml").read_text(), flags=re.M)
                assert set(flagged[2:-1].split(",")) <= set(known)
                argv += ["--no-index", "--no-deps", "--no-build-isolation", "--quiet"]
            subprocess.run(argv, cwd=source, check=True, timeout=300)
        else:
            assert (word, rest) == ("WORKDIR", "/src")
    for word, rest in last.steps:
        if word == "RUN":
            set_up(shlex.split(image.placed(rest)), directory)
        elif word == "COPY":
            assert rest == f"--from={first.name} /opt/martlet /opt/martlet"
    return image


def set_up(argv: list[str], directory: Path) -> None:
    """Make the user in files of our own, and the directory for it."""
    files = directory / "root" / "etc"
    if argv[0] == "useradd":
        files.mkdir(parents=True)
        for name in ("passwd", "group", "shadow", "gshadow", "login.defs"):
            shutil.copy(f"/etc/{name}", files / name)
        subprocess.run(["useradd", "--prefix", str(files.parent), *argv[1:]], check=True, timeout=60)
        made = [line.split(":") for line in (files / "passwd").read_text().splitlines()]
        assert [line[2] for line in made if line[0] == argv[-1]] == [str(UID)]
    else:
        assert argv[0] == "install"
        owned = [str(UID) if word == "martlet" else word for word in argv]
        subprocess.run(owned, check=True, timeout=60)


@pytest.fixture
def image(directory: Path) -> Iterator[Image]:
    yield build(directory)


@pytest.mark.interop("ip")
@pytest.mark.parametrize("lan", [("host",)], indirect=True)
def test_what_the_image_starts(lan: Network, image: Image, directory: Path) -> None:
    node = lan["host"]
    assert image.last.only("USER") == f"{UID}:{UID}"
    as_user = [
        "setpriv",
        f"--reuid={UID}",
        f"--regid={UID}",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
    ]
    # As in containers: there nobody needs a capability for a port.
    low = "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start"
    subprocess.run(node.command("sh", "-c", low), check=True)
    argv = [*image.command("ENTRYPOINT"), *image.command("CMD")]
    config = Path(argv[-1])
    assert config == Path("/etc/martlet/reflector.toml")
    argv[-1] = str(directory / "reflector.toml")
    Path(argv[-1]).write_text(CONFIGURATION)
    environment = {**image.environment, "MARTLET_ROUTER_ID": "10.99.0.1"}

    def as_in_it(name: str, command: list[str]) -> int:
        done = node.start(name, readable([*as_user, *command], directory), environment)
        return done.popen.wait(60)

    health = image.command("HEALTHCHECK")
    assert as_in_it("before", health) == 3
    run = node.start("run", readable([*as_user, *argv], directory), environment)
    eventually(lambda: not run.alive or "listening on 0.0.0.0:179" in run.output(), "it listens", 60)
    assert run.alive, run.output()
    eventually(lambda: as_in_it("health", health) == 0, "it is healthy", 60)
    assert as_in_it("summary", [health[0], "show", "summary"]) == 0
    assert as_in_it("example", [health[0], "example"]) == 0
    run.stop(60)
    assert run.popen.returncode == 0
    assert as_in_it("after", health) == 3
