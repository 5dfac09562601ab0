"""Limits of the machine against a configuration: what is named, and that the remedy is one."""

import re
import resource
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bgp.aio.interfaces import InterfaceAddress
from reflector.configuration.config import Configuration, loads
from reflector.running.room import System, open_files, raise_open_files, shortages, this_system

PLENTY = {
    "net.core.optmem_max": 131072,
    "net.core.somaxconn": 4096,
    "net.ipv4.tcp_max_syn_backlog": 2048,
    "net.ipv4.tcp_syncookies": 1,
    **{f"net.ipv{version}.neigh.default.gc_thresh{which}": 4096 for version in (4, 6) for which in (1, 2, 3)},
}
ON_LINK = InterfaceAddress(ip_address("10.0.0.1"), ip_network("10.0.0.0/20"), 2)


def configuration(neighbors: int = 0, limit: int = 100, prefix: str = "10.0.0.0/16") -> Configuration:
    text = '[router]\nasn = 64512\nrouter_id = "192.0.2.1"\n'
    text += f'[[listen_range]]\nprefix = "{prefix}"\nclient = true\nlimit = {limit}\n'
    for number in range(neighbors):
        address = f"192.168.{number >> 8}.{number & 255}"
        text += f'[[neighbor]]\naddress = "{address}"\nclient = true\npassword = "p{number}"\n'
    return loads(text)


def system(root: Path, files: int = 20000, **sysctls: int) -> System:
    for name, value in {**PLENTY, **{key.replace("__", "."): each for key, each in sysctls.items()}}.items():
        path = root / name.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return System(root, files, (ON_LINK,))


def test_there_is_room(tmp_path: Path) -> None:
    assert shortages(configuration(963), system(tmp_path)) == []
    assert shortages(configuration(964), System(tmp_path / "nowhere", 20000)) == []


@pytest.mark.parametrize(
    ("wanted", "files", "sysctls", "said"),
    [
        (
            {"limit": 5000},
            4096,
            {"net__core__somaxconn": 8192, "net__ipv4__neigh__default__gc_thresh3": 9999},
            "5000 sessions may take 5128 open files, and 4096 are allowed; LimitNOFILE=5128 in the systemd"
            " unit, `ulimit -n 5128` in the shell, or `docker run --ulimit nofile=5128`",
        ),
        (
            {"neighbors": 964},
            20000,
            {},
            "964 keys of TCP-MD5 or TCP-AO take 131104 octets of a listening socket, and net.core.optmem_max"
            " allows 131072; sysctl -w net.core.optmem_max=135168, or give a listen range one password in"
            " place of many",
        ),
        (
            {"limit": 1000},
            20000,
            {"net__core__somaxconn": 128},
            "1000 may connect at once, and net.core.somaxconn has 128 wait: the others come later;"
            " sysctl -w net.core.somaxconn=1000",
        ),
        (
            {"limit": 3000},
            20000,
            {"net__ipv4__tcp_syncookies": 0},
            "3000 may connect at once, and net.ipv4.tcp_max_syn_backlog has 2048 wait without SYN cookies;"
            " sysctl -w net.ipv4.tcp_max_syn_backlog=3000, or sysctl -w net.ipv4.tcp_syncookies=1",
        ),
        (
            {"limit": 2000},
            20000,
            {"net__ipv4__neigh__default__gc_thresh3": 1024},
            "2000 peers may be on our IPv4 links, and net.ipv4.neigh.default.gc_thresh3 keeps 1024 link"
            " addresses; sysctl -w net.ipv4.neigh.default.gc_thresh1=2500"
            " net.ipv4.neigh.default.gc_thresh2=3000 net.ipv4.neigh.default.gc_thresh3=4000",
        ),
    ],
)
def test_what_is_said(
    tmp_path: Path, wanted: dict[str, int], files: int, sysctls: dict[str, int], said: str
) -> None:
    found = shortages(configuration(**wanted), system(tmp_path, files, **sysctls))
    assert list(map(str, found)) == [said]


def test_a_range_has_no_more_than_there_are_on_the_link(tmp_path: Path) -> None:
    few = {"net__ipv4__neigh__default__gc_thresh3": 300, "net__core__somaxconn": 65535}
    wide = configuration(limit=5000, prefix="10.0.15.0/24")
    assert shortages(wide, system(tmp_path, **few)) == []
    (found,) = shortages(configuration(limit=5000, prefix="10.0.14.0/23"), system(tmp_path, **few))
    assert found.what.startswith("512 peers")


@settings(max_examples=25, deadline=None)
@given(
    neighbors=st.integers(0, 300),
    limit=st.integers(1, 100000),
    files=st.integers(10, 5000),
    small=st.dictionaries(st.sampled_from(sorted(PLENTY)), st.integers(0, 30000), min_size=1),
)
def test_the_remedies_help(
    tmp_path_factory: pytest.TempPathFactory, neighbors: int, limit: int, files: int, small: dict[str, int]
) -> None:
    root = tmp_path_factory.mktemp("sysctl")
    found = configuration(neighbors, limit)
    given = {name.replace(".", "__"): value for name, value in small.items()}
    before = system(root, files, **given)
    for shortage in shortages(found, before):
        for name, value in re.findall(r"(net\.[a-z0-9_.]+)=(\d+)", shortage.remedy.partition(", or")[0]):
            given[name.replace(".", "__")] = int(value)
        for value in re.findall(r"LimitNOFILE=(\d+)", shortage.remedy):
            files = int(value)
    assert shortages(found, system(root, files, **given)) == []


def test_here() -> None:
    here = this_system()
    assert here.open_files > 0
    assert here.sysctl("net.core.no_such_thing") is None
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        raise_open_files(configuration(limit=20))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft == hard
        if hard != resource.RLIM_INFINITY:
            assert hard >= min(before[1], open_files(configuration(limit=20)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[0], resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
