"""Started as root, the service is somebody else, who can still bind port 179, sign, and program the FIB."""

import os
import re
import stat
import sys
from pathlib import Path

import pytest
from daemons import ROOT
from netns import Network, Node, Process, eventually, ip
from unprivileged import directory, readable

from reflector.control.client import Unanswered, ask
from reflector.running.privileges import identity

__all__ = ["directory"]  # a fixture

USER = identity("nobody")
BIND, ADMIN = 1 << 10, 1 << 12

OURS = """\
[router]
asn = 64512
router_id = "192.0.2.1"
listen = ["{ipv4}:179"]
user = "nobody"

[control]
socket = "{directory}/run/socket"

[[listen_range]]
prefix = "10.99.0.0/24"
client = true
password = {{file = "{directory}/secret"}}
"""
THEIRS = """\
[router]
asn = 64512
router_id = "192.0.2.2"
listen = []

[control]
enabled = false

[[neighbor]]
address = "{remote}"
asn = "internal"
password = "deep"
connect_retry_time = 1

[[network]]
prefix = "203.0.113.0/24"
next_hop = "{local}"
"""


def start(node: Node, name: str, file: Path, text: str, before: tuple[str, ...] = ()) -> Process:
    file.write_text(text)
    argv = [*before, sys.executable, "-m", "reflector", "run", str(file)]
    return node.start(
        name, readable(argv, file.parent), {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    )


def wait_for(process: Process, pattern: str) -> None:
    def found() -> object:
        assert process.alive or re.search(pattern, process.output()), process.output()
        return re.search(pattern, process.output())

    eventually(found, f"{pattern} in the log of {process.name}", 60)


def facts(pid: int) -> list[dict[str, str]]:
    """Return what the kernel says of each thread of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        found.append({key: value.strip() for key, _, value in (line.partition(":") for line in lines)})
    return found


def is_nobody(pid: int, capabilities: int) -> None:
    threads = facts(pid)
    assert threads
    for each in threads:
        assert each["Uid"].split() == [str(USER.uid)] * 4
        assert each["Gid"].split() == [str(USER.gid)] * 4
        assert {int(group) for group in each["Groups"].split()} <= set(USER.groups)
        assert each["NoNewPrivs"] == "1"
        sets = {name: int(each[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb")}
        assert sets == {
            **dict.fromkeys(("CapPrm", "CapEff", "CapBnd"), capabilities),
            **dict.fromkeys(("CapInh", "CapAmb"), 0),
        }


def listening(socket: Path) -> list[str]:
    try:
        (row,) = ask(socket, "status", {})
    except Unanswered:
        return []
    found: list[str] = row["listening"]
    return found


@pytest.mark.interop("ip")
@pytest.mark.parametrize("lan", [("reflector", "client")], indirect=True)
@pytest.mark.parametrize("fib", [False, True], ids=["plain", "fib"])
def test_root_becomes_somebody_else(lan: Network, directory: Path, fib: bool) -> None:
    ours, theirs = lan["reflector"], lan["client"]
    file, secret, socket = directory / "rr.toml", directory / "secret", directory / "run" / "socket"
    secret.write_text("deep\n")
    secret.chmod(0o600)
    text = OURS.format(ipv4=ours.ipv4, directory=directory) + ("[fib]\nguard = 100\n" if fib else "")
    run = start(ours, "reflector", file, text)
    wait_for(run, "listening on 10.99.0.1:179")
    is_nobody(run.popen.pid, BIND | ADMIN if fib else BIND)
    # The socket's directory was made for it, by root.
    eventually(lambda: listening(socket), "it answers", 60)
    assert (socket.parent.stat().st_uid, socket.stat().st_uid) == (USER.uid, USER.uid)
    assert stat.S_IMODE(socket.stat().st_mode) == 0o660
    # What is root's alone is not read as root first.
    assert "Permission denied" in run.output()

    secret.chmod(0o640)
    os.chown(secret, 0, USER.gid)
    file.write_text(text.replace(f'"{ours.ipv4}:179"', f'"{ours.ipv4}:179", "[{ours.ipv6}]:179"'))
    changes = [row["change"] for row in ask(socket, "reload", {})]
    assert len(changes) == 2, changes
    assert set(listening(socket)) == {f"{ours.ipv4}:179", f"[{ours.ipv6}]:179"}
    client = start(
        theirs, "client", directory / "client.toml", THEIRS.format(remote=ours.ipv4, local=theirs.ipv4)
    )
    wait_for(client, f"{re.escape(ours.ipv4)}: Established")
    if fib:
        route = "203.0.113.0/24 via 10.99.0.2"
        eventually(lambda: route in ip("-n", ours.namespace, "route"), "the route is in the kernel", 60)
    is_nobody(run.popen.pid, BIND | ADMIN if fib else BIND)
    run.stop(60)
    assert run.popen.returncode == 0
    assert "Traceback" not in run.output()


@pytest.mark.interop("ip", "setpriv")
@pytest.mark.parametrize("lan", [("reflector",)], indirect=True)
def test_who_is_somebody_else_already(lan: Network, directory: Path) -> None:
    """As systemd starts us: with a user and ambient capabilities, of which nothing is dropped."""
    node = lan["reflector"]
    as_nobody = ("setpriv", f"--reuid={USER.uid}", f"--regid={USER.gid}", "--clear-groups")
    bind = ("--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service")
    (directory / "run").mkdir()
    os.chown(directory / "run", USER.uid, USER.gid)
    text = OURS.format(ipv4=node.ipv4, directory=directory)
    run = start(node, "ambient", directory / "rr.toml", text, (*as_nobody, *bind))
    wait_for(run, "listening on 10.99.0.1:179")
    assert int(facts(run.popen.pid)[0]["CapEff"], 16) == int(facts(run.popen.pid)[0]["CapAmb"], 16) == BIND
    run.stop(60)
    assert run.popen.returncode == 0
    for user, reason in (
        ("nobody", r"Permission denied; a port below 1024 needs root or CAP_NET_BIND_SERVICE"),
        ("daemon", "only root can become daemon: start as root"),
        ("nemo", 'there is no user "nemo": useradd --system'),
    ):
        argv = text.replace('"nobody"', f'"{user}"')
        refused = start(node, f"as-{user}", directory / "rr.toml", argv, as_nobody)
        assert refused.popen.wait(60) == 1
        assert re.search(reason, refused.output()), refused.output()
