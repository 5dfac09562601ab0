"""The socket that answers as BIRD's does: codes, lines and commands."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service import Cluster, running

from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from reflector.birdc.commands import route_query, split
from reflector.birdc.reply import Code, Refused, Reply


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running(tmp_path) as found:
        yield found


class Asker:
    """A connection to the socket, from another thread."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("r")
        self.greeting = self._lines.readline()

    def ask(self, command: str) -> list[str]:
        """Return the lines of the reply."""
        self._socket.sendall(command.encode() + b"\n")
        lines = []
        while True:
            lines.append(self._lines.readline().rstrip("\n"))
            assert lines[-1], lines
            if re.match(r"\d{4} ", lines[-1]):
                return lines

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


async def replies(cluster: Cluster, *commands: str) -> list[list[str]]:
    def converse() -> list[list[str]]:
        asker = Asker(Path(f"{cluster.path}.birdc"))
        try:
            assert asker.greeting == "0001 BIRD 2.0.12 ready.\n"
            return [asker.ask(command) for command in commands]
        finally:
            asker.close()

    return await asyncio.to_thread(converse)


async def test_status(cluster: Cluster) -> None:
    (lines,) = await replies(cluster, "show status")
    assert re.match(r"1000-BIRD 2\.0\.12 ", lines[0])
    assert lines[1] == "1011-Router ID is 192.0.2.100"
    assert lines[2].startswith(" Current server time is 20")
    assert lines[-1] == "0013 Daemon is up and running"


async def test_protocols(cluster: Cluster) -> None:
    await cluster.service.counts.counted(60)
    short, details, one, none = await replies(
        cluster, "show protocols", "sh prot all", 'show protocols all "*.12"', "show protocols nobody"
    )
    assert short[0].startswith("2002-Name       Proto      Table      State  Since         Info")
    assert re.fullmatch(r"1002-127\.0\.0\.11 BGP        ---        up     \S+ +Established *", short[1])
    assert short[2].startswith(" 127.0.0.12 BGP") and short[3] == "0000 "
    text = "\n".join(details)
    assert "Neighbor ID:      10.0.0.1" in text and "Neighbor AS:      64512" in text
    # Of the two routes of the first one is refused; it is told the other's, and ours.
    assert re.findall(r"Routes: +(\d+) imported, (\d+) filtered, (\d+) exported, (\d+) preferred", text) == [
        ("1", "1", "2", "1"),
        ("1", "0", "2", "1"),
    ]
    assert "127.0.0.12" in "\n".join(one) and "127.0.0.11" not in "\n".join(one)
    assert none == ["9001 nobody: there is no such protocol"]


async def test_routes(cluster: Cluster) -> None:
    lookup, count, missing, filtered, told, own, empty = await replies(
        cluster,
        "show route for 10.1.2.3 all",
        "show route count",
        "show route 10.3.0.0/16",
        "show route filtered",
        "show route export 127.0.0.11",
        "show route protocol local",
        "show route table master6",
    )
    assert lookup[0] == "1007-Table master4:"
    assert re.fullmatch(
        r" 10\.1\.0\.0/16          unicast \[127\.0\.0\.11 \S+ from 127\.0\.0\.11\] \* \(100\) \[i\]",
        lookup[1],
    )
    assert lookup[2:4] == [" \tvia 10.0.0.1", "1008-\tType: BGP univ"]
    assert lookup[4:] == [
        "1012-\tBGP.origin: IGP",
        " \tBGP.as_path: ",
        " \tBGP.next_hop: 10.0.0.1",
        " \tBGP.med: 1",
        " \tBGP.local_pref: 100",
        "0000 ",
    ]
    assert count == [
        "1007-3 of 4 routes for 4 networks in table master4",
        " 0 of 0 routes for 0 networks in table master6",
        "0014 Total: 3 of 4 routes for 4 networks in 2 tables",
    ]
    assert missing == ["8001 Network not found"]
    assert "198.18.1.0/24" in filtered[1]
    prefixes = [line.split()[0] for line in told if "unicast" in line]
    assert sorted(prefixes) == ["10.2.0.0/16", "198.51.100.0/24"]
    assert "198.51.100.0/24      unicast [local " in own[1]
    assert empty == ["0000 "]


async def test_what_changes_something_can_be_refused(cluster: Cluster) -> None:
    disable, again, enable, restrict, denied = await replies(
        cluster, "disable 127.0.0.12", "disable nobody", "restart all", "restrict", "restart all"
    )
    assert disable[0] == "0009-127.0.0.12: disabled"
    assert again[0].startswith("9001 nobody")
    assert any("restarted" in line for line in enable)
    assert restrict == ["0016 Access restricted"] and denied == ["8007 Access denied"]


async def test_whatever_is_asked_is_answered(cluster: Cluster) -> None:
    commands = [
        "nonsense",
        "show",
        "show route where true",
        "show route for x.y",
        's"',
        "show route table t1",
    ]
    for lines in await replies(cluster, *commands, "show status"):
        assert re.match(r"(9001|0013) ", lines[-1])


# --- What tools read ----------------------------------------------------------------------------------------

# One line of a protocol, as exporters and the status commands of cluster networks take it apart.
LINE = re.compile(
    r"^(?:1002-)?(\S+)\s+(BGP|Kernel|Static|Device|Direct|Pipe)\s+(\S+)\s+(\S+)\s+"
    r"(\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}:\d{2})?|\d{2}:\d{2}:\d{2}(?:\.\d+)?)(?:\s+(.*?))?\s*$"
)
ROUTES = re.compile(
    r"^\s+Routes:\s+(\d+) imported, (?:(\d+) filtered, )?(\d+) exported(?:, (\d+) preferred)?$"
)
CHANNEL = re.compile(r"^\s+Channel ipv([46])$")
KEY = re.compile(r"^\s+([^:]+):\s+(.+?)\s*$")


def exported(lines: list[str]) -> dict[str, dict[str, object]]:
    """Return what an exporter makes of `show protocols all`: a protocol begins at each line like LINE."""
    found: dict[str, dict[str, object]] = {}
    current: dict[str, object] = {}
    family = ""
    for line in lines:
        text = re.sub(r"^\d{4}[- ]", " " if line.startswith("1006") else "", line)
        if not text.startswith("  ") and (match := LINE.match(text.strip())):
            name, _, _, state, since, info = match.groups()
            current = found[name] = {"state": state, "since": since, "info": info or ""}
        elif match := CHANNEL.match(text):
            family = match[1]
        elif match := ROUTES.match(text):
            current[f"routes{family}"] = tuple(int(each or 0) for each in match.groups())
        elif match := KEY.match(text):
            current.setdefault(match[1].strip(), match[2])
    return found


async def test_exporters_and_status_commands_find_what_they_look_for(tmp_path: Path) -> None:
    """Names as cluster networks give them, sessions that are up and that are not."""
    further = """
[[neighbor]]
address = "127.0.0.55"
name = "Mesh_127_0_0_55"
group = "nodes"
passive = true

[[neighbor]]
address = "127.0.0.56"
name = "Node_127_0_0_56"
asn = 64999
policy = "accept-all"
passive = true
"""
    async with running(tmp_path, further) as cluster:
        await cluster.ask("disable", peer="Node_127_0_0_56")
        await cluster.service.counts.counted(60)
        short, details, status = await replies(cluster, "show protocols", "show protocols all", "show status")
    # A status command: the heading, a line for each peer by its kind, and the end; peers by name and words.
    assert re.match(r"2002-[Nn]ame +[Pp]roto +[Tt]able +[Ss]tate +[Ss]ince +[Ii]nfo", short[0])
    assert short[-1] == "0000 "
    peers = [LINE.match(line.strip()) for line in short[1:-1]]
    assert all(peers), short
    states = {match[1]: (match[4], match[6] or "") for match in peers if match}
    assert states == {
        "127.0.0.11": ("up", "Established"),
        "127.0.0.12": ("up", "Established"),
        "Mesh_127_0_0_55": ("start", "Active"),
        "Node_127_0_0_56": ("down", ""),
    }
    assert [name for name in states if re.match(r"^(Global|Node|Mesh)_(.+)$", name)] == [
        "Mesh_127_0_0_55",
        "Node_127_0_0_56",
    ]
    # An exporter.
    found = exported(details)
    assert found.keys() == states.keys()
    first = found["127.0.0.11"]
    assert first["routes4"] == (1, 1, 2, 1)
    assert first["BGP state"] == "Established" and first["Neighbor AS"] == "64512"
    assert first["Neighbor address"] == "127.0.0.11" and first["Neighbor ID"] == "10.0.0.1"
    assert found["Mesh_127_0_0_55"]["Neighbor AS"] == "64512", "that of an internal peer"
    assert found["Node_127_0_0_56"]["Neighbor AS"] == "64999"
    assert "routes4" not in found["Mesh_127_0_0_55"]
    # A readiness probe: it is up, and whether it recovers.
    text = "\n".join(status)
    assert re.search(r"^0013 Daemon is up and running$", text, re.MULTILINE)
    recovering = re.search(r"^(0024-| )Graceful restart recovery in progress$", text, re.MULTILINE)
    assert recovering is None or recovering[1] == "0024-"
    for name in ("Router ID is", "Current server time is", "Last reboot on", "Last reconfiguration on"):
        assert re.search(rf"^(1011-| ){name} [0-9 .:-]+$", text, re.MULTILINE), text


# --- Words --------------------------------------------------------------------------------------------------


@given(st.text(st.sampled_from('show routepcalfnib "x.:/0139*'), max_size=60))
def test_any_words_are_a_query_or_refused(text: str) -> None:
    words = split(text)
    try:
        query = route_query(words)
    except Refused as refusal:
        assert refusal.code is Code.PARSE_ERROR and refusal.text
    else:
        assert sum(each is not None for each in (query.exact, query.lookup, query.within)) <= 1


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", {}),
        ("al", {"all": True}),
        ("co prim", {"count": True, "primary": True}),
        ("table master6", {"families": (IPV6_UNICAST,)}),
        ('protocol "a b"', {"protocol": "a b"}),
        ("10.0.0.0/8 all", {"families": (IPV4_UNICAST,), "all": True}),
    ],
)
def test_keywords_may_be_cut_short(text: str, wanted: dict[str, object]) -> None:
    query = route_query(split(text))
    assert {name: getattr(query, name) for name in wanted} == wanted


@pytest.mark.parametrize("text", ["p x", "for", "10.0.0.0/8 in 10.0.0.0/8", "table nope", "10.0.0.1/8"])
def test_what_is_no_query_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        route_query(split(text))


def test_of_lines_with_one_code_the_first_shows_it() -> None:
    reply = Reply()
    lines = [
        reply.line(code, "x") for code in (Code.PROTOCOL, Code.PROTOCOL, Code.PROTOCOL_DETAILS, Code.PROTOCOL)
    ]
    assert lines == [b"1002-x\n", b" x\n", b"1006-x\n", b"1002-x\n"] and reply.end() == b"0000 \n"
