"""More keys than the kernel has room for: said before, with a remedy that helps."""

import re
import subprocess
import sys

import pytest
from daemons import ROOT
from netns import Network, Node, eventually

KEYS = 160


def sysctl(node: Node, setting: str) -> None:
    name, _, value = setting.partition("=")
    path = f"/proc/sys/{name.replace('.', '/')}"
    subprocess.run(node.command("sh", "-c", f"echo {value} > {path}"), check=True)


@pytest.mark.interop("ip")
@pytest.mark.parametrize("lan", [("reflector",)], indirect=True)
def test_the_room_for_keys(lan: Network) -> None:
    node = lan["reflector"]
    if subprocess.run(node.command("test", "-e", "/proc/sys/net/core/optmem_max")).returncode:
        pytest.skip("before Linux 6.9 a namespace has no net.core.optmem_max of its own")
    sysctl(node, "net.core.optmem_max=20480")
    file = node.directory / "rr.toml"
    text = '[router]\nasn = 64512\nrouter_id = "192.0.2.1"\nlisten = ["10.99.0.1:179"]\n'
    text += "[control]\nenabled = false\n[group.keyed]\nclient = true\npassive = true\n"
    for number in range(KEYS):
        address = f"10.98.{number >> 8}.{number & 255}"
        text += f'[[neighbor]]\naddress = "{address}"\ngroup = "keyed"\npassword = "p{number}"\n'
    file.write_text(text)
    environment = {"PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "reflector"]

    refused = node.start("short", [*argv, "run", str(file)], environment)
    assert refused.popen.wait(60) == 1
    assert f"WARNING {KEYS} keys of TCP-MD5 or TCP-AO take" in refused.output()
    assert "no room for another TCP-MD5 key" in refused.output()
    remedy = re.search(r"sysctl -w (net\.core\.optmem_max=\d+)", refused.output())
    assert remedy is not None
    check = node.start("check", [*argv, "check", str(file)], environment)
    assert check.popen.wait(60) == 0
    assert f"warning: this machine: {KEYS} keys" in check.output() and remedy[0] in check.output()

    sysctl(node, remedy[1])
    run = node.start("run", [*argv, "run", str(file)], environment)
    eventually(lambda: not run.alive or "listening on" in run.output(), "it listens", 60)
    assert run.alive and "keys of TCP-MD5" not in run.output(), run.output()
    run.stop(60)
    assert run.popen.returncode == 0
