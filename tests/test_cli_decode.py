"""`python -m bgp decode` and `encode`: the commands, every kind of input, and what they refuse."""

import gzip
import io
import json
import struct
import subprocess
import sys
from ipaddress import IPv6Address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from messages import AS_PATH, NEXT_HOP, ORIGIN, PLAIN, read, update

from bgp.__main__ import main
from bgp.family import FAMILIES
from bgp.tools import build, sources
from bgp.tools.sources import Kind, kind_of
from bgp.wire.attributes import attribute
from bgp.wire.capability import (
    Capabilities,
)
from bgp.wire.context import Context
from bgp.wire.framing import frame
from bgp.wire.message import (
    Keepalive,
    Open,
    encode,
)

BOTH = Context(families=frozenset(FAMILIES))
KEEPALIVE = encode(Keepalive())
OPEN = encode(Open(65001, 90, 1, Capabilities(families=((1, 1),), four_octet_as=65001).encode()))


# --- the command ---------------------------------------------------------------------------------------


def ipv6(text: str) -> bytes:
    return IPv6Address(text).packed


def run(
    arguments: list[str],
    given_input: bytes | str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[int, str, str]:
    data = given_input.encode() if isinstance(given_input, str) else given_input
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    status = main(arguments)
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def bgp(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs the command with octets on standard input."""
    return lambda *arguments, stdin=b"": run(list(arguments), stdin, capsys, monkeypatch)


def objects(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_one_line_of_json_for_each_line(bgp: Any) -> None:
    long = "00" * 200000
    lines = [PLAIN.hex(), "no hex", "", "fff", f"0x{KEEPALIVE.hex(':')}", long, KEEPALIVE.hex(" ").upper()]
    status, out, _ = bgp("decode", "--json", stdin=("\r\n".join(lines)).encode())
    found = objects(out)
    assert status == 0
    assert [item["type"] for item in found] == [
        "UPDATE",
        None,
        None,
        None,
        "KEEPALIVE",
        "type-0",
        "KEEPALIVE",
    ]
    assert [item["outcome"] for item in found] == ["ok", *["session-reset"] * 3, "ok", "session-reset", "ok"]
    assert found[1]["error"]["rule"] == "'n' is no hexadecimal digit"
    assert found[1]["error"]["offset"] == 0
    assert found[3]["error"]["rule"] == "an odd number of hexadecimal digits: 3"
    for item in found:
        assert (item["outcome"] == "ok") == ("error" not in item)
        if "error" in item:
            assert {"code", "subcode", "data", "rule", "offset"} <= set(item["error"])


def test_decode_encode_decode_by_the_command(bgp: Any) -> None:
    lines = "".join(f"{octets.hex()}\n" for octets in (PLAIN, OPEN, KEEPALIVE, update(), b"\0" * 30))
    _, first, _ = bgp("decode", "--json", stdin=lines.encode())
    status, octets, _ = bgp("encode", stdin=first.encode())
    _, second, _ = bgp("decode", "--json", stdin=octets.encode())
    assert (status, octets, second) == (0, lines, first)


def test_a_bad_line_of_a_file_costs_no_other(bgp: Any) -> None:
    lines = f"{KEEPALIVE.hex()}\nno hex\nfff\n{PLAIN.hex()}\n"
    _, out, _ = bgp("decode", "--json", "-", stdin=lines.encode())
    assert [item["type"] for item in objects(out)] == ["KEEPALIVE", None, None, "UPDATE"]


def test_encode_takes_the_options_of_decode(bgp: Any) -> None:
    route = update(
        ORIGIN, attribute(0x40, 2, b"\2\1\0\1"), NEXT_HOP, attribute(0x40, 5, bytes(4)), nlri=b"\0\0\0\7\0"
    )
    long = update(attribute(0xD0, 200, bytes(5000)), withdrawn=b"\0\0\0\7\0")
    lines = f"{route.hex()}\n{long.hex()}\n"
    session = ("--2-octet-as", "--add-path", "ipv4-unicast", "--extended", "--ibgp")
    _, told, _ = bgp("decode", "--json", *session, stdin=lines.encode())
    assert [item["outcome"] for item in objects(told)] == ["ok", "ok"]
    assert bgp("encode", *session, stdin=told.encode()) == (0, lines, "")


def test_co_process_answers_at_once() -> None:
    command = [sys.executable, "-m", "bgp", "decode", "--json"]
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=root
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for octets, kind in ((KEEPALIVE, "KEEPALIVE"), (PLAIN, "UPDATE"), (OPEN, "OPEN")):
            process.stdin.write(octets.hex() + "\n")
            assert json.loads(process.stdout.readline())["type"] == kind
        process.stdin.close()
        assert process.wait(30) == 0


def test_a_reader_that_leaves_early_is_no_error() -> None:
    root = Path(__file__).resolve().parent.parent
    command = f"{sys.executable} -m bgp decode --json - | head -n 1"
    data = KEEPALIVE * 50000
    done = subprocess.run(command, shell=True, input=data, capture_output=True, cwd=root, timeout=60)
    assert json.loads(done.stdout)["type"] == "KEEPALIVE"
    assert done.stderr == b""


def test_hexadecimal_on_the_command_line(bgp: Any) -> None:
    _, out, _ = bgp("decode", "--json", KEEPALIVE.hex(), PLAIN[:30].hex(), PLAIN[30:].hex())
    assert [item["type"] for item in objects(out)] == ["KEEPALIVE", "UPDATE"]
    words = KEEPALIVE.hex(" ").split()
    _, out, _ = bgp("decode", *words)
    assert out == "KEEPALIVE, 19 octets: ok (at octet 0)\n"
    _, out, _ = bgp("decode", "--json", "00" * 19)
    assert objects(out)[0]["error"]["fault"] == "marker"


def test_options_give_the_context(bgp: Any) -> None:
    local_pref = attribute(0x40, 5, b"\0\0\0\x64")
    line = update(ORIGIN, AS_PATH, NEXT_HOP, local_pref, nlri=b"\0").hex()
    assert objects(bgp("decode", "--json", line)[1])[0]["error"]["fault"] == "local_pref-external"
    assert objects(bgp("decode", "--json", "--ibgp", line)[1])[0]["outcome"] == "ok"
    sets = update(ORIGIN, attribute(0x40, 2, b"\1\1\0\0\0\1"), NEXT_HOP, nlri=b"\0").hex()
    assert objects(bgp("decode", "--json", sets)[1])[0]["error"]["fault"] == "as_path-set"
    assert objects(bgp("decode", "--json", "--as-sets", sets)[1])[0]["outcome"] == "ok"
    two = update(ORIGIN, attribute(0x40, 2, b"\2\1\0\1"), NEXT_HOP, nlri=b"\0").hex()
    assert objects(bgp("decode", "--json", two)[1])[0]["error"]["fault"] == "as_path-malformed"
    assert objects(bgp("decode", "--json", "--2-octet-as", two)[1])[0]["outcome"] == "ok"
    identified = update(withdrawn=b"\0\0\0\1\x08\x0a").hex()
    (found,) = objects(bgp("decode", "--json", "--add-path", "ipv4-unicast", identified)[1])
    assert found["withdrawn"] == {"ipv4-unicast": [{"prefix": "10.0.0.0/8", "path_id": 1}]}
    (found,) = objects(bgp("decode", "--json", "--peer-as", "65009", PLAIN.hex())[1])
    assert found["error"]["fault"] == "as_path-first"
    unreach = update(attribute(0x80, 15, b"\0\2\1\0")).hex()
    (found,) = objects(bgp("decode", "--json", "--families", "ipv4-unicast", unreach)[1])
    assert found["attributes"] == {"mp_unreach_nlri": {"family": "ipv6-unicast", "nlri": "00"}}
    hop = attribute(0x80, 14, b"\0\1\1\x10" + ipv6("2001:db8::1") + b"\0\0")
    over_ipv6 = update(hop, ORIGIN, AS_PATH).hex()
    assert objects(bgp("decode", "--json", over_ipv6)[1])[0]["error"]["fault"] == "mp-next-hop"
    (found,) = objects(bgp("decode", "--json", "--extended-next-hop", over_ipv6)[1])
    assert found["next_hop"] == {"ipv4-unicast": "2001:db8::1"}
    aigp = update(ORIGIN, AS_PATH, NEXT_HOP, attribute(0x80, 26, b"\1\0\x0b" + bytes(8)), nlri=b"\0").hex()
    assert objects(bgp("decode", "--json", aigp)[1])[0]["error"]["fault"] == "aigp-disabled"
    assert objects(bgp("decode", "--json", "--aigp", aigp)[1])[0]["outcome"] == "ok"
    extended = frame(3, bytes(5000)).hex()
    assert objects(bgp("decode", "--json", extended)[1])[0]["outcome"] == "session-reset"
    assert objects(bgp("decode", "--json", "--extended", extended)[1])[0]["outcome"] == "ok"


def test_a_wrong_option_is_refused(bgp: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        bgp("decode", "--add-path", "ipv4", "00")
    assert raised.value.code == 2
    assert "'ipv4' is none of ipv4-unicast, ipv6-unicast, all" in capsys.readouterr().err


# --- kinds of input ------------------------------------------------------------------------------------


def pcap(octets: bytes) -> bytes:
    ends = b"\xc0\0\2\1\xc0\0\2\2"
    segment = struct.pack("!HHIIBBHHH", 50000, 179, 1, 0, 0x50, 0x18, 0, 0, 0) + octets
    packet = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0) + ends + segment
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    return head + struct.pack("<IIII", 1_700_000_000, 5, len(packet), len(packet)) + packet


def mrt(type_: int, subtype: int, body: bytes) -> bytes:
    return struct.pack("!IHHI", 1_700_000_000, type_, subtype, len(body)) + body


SIDES = struct.pack("!IIHH", 65001, 65002, 0, 1) + b"\xc0\0\2\1\xc0\0\2\2"
PEERS = mrt(13, 1, bytes(6) + struct.pack("!HBI", 1, 2, 1) + b"\xc0\0\2\1" + struct.pack("!I", 65001))


@pytest.mark.parametrize(
    ("beginning", "kind"),
    [
        (pcap(KEEPALIVE), Kind.CAPTURE),
        (b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a", Kind.CAPTURE),
        (KEEPALIVE, Kind.OCTETS),
        (b"\xff" * 3, Kind.OCTETS),
        (b"", Kind.OCTETS),
        (mrt(16, 4, SIDES + KEEPALIVE), Kind.MRT),
        (PEERS, Kind.MRT),
        (KEEPALIVE.hex().encode(), Kind.HEXADECIMAL),
        (f"# two\n{KEEPALIVE.hex()}\n{KEEPALIVE.hex()}\n".encode(), Kind.HEXADECIMAL),
        (b"not at all\n", Kind.HEXADECIMAL),
        (b"ff " * 16 + b"\n00 13 04\n", Kind.DUMP),
        (f"{KEEPALIVE.hex()}\nno hex\n".encode(), Kind.HEXADECIMAL),
        (f"{KEEPALIVE.hex()}\n{bytes(19).hex()}\n".encode(), Kind.HEXADECIMAL),
    ],
)
def test_the_content_tells_the_kind(beginning: bytes, kind: Kind) -> None:
    assert kind_of(beginning) is kind


@pytest.mark.parametrize(
    ("content", "types"),
    [
        (KEEPALIVE + PLAIN, ["KEEPALIVE", "UPDATE"]),
        (f"{KEEPALIVE.hex()}\n# a comment\n\n{PLAIN.hex()}\n".encode(), ["KEEPALIVE", "UPDATE"]),
        (PLAIN[:16].hex(" ").encode() + b"\n" + PLAIN[16:].hex(" ").encode(), ["UPDATE"]),
        (pcap(KEEPALIVE + PLAIN), ["KEEPALIVE", "UPDATE"]),
        (mrt(16, 4, SIDES + KEEPALIVE) + mrt(16, 4, SIDES + PLAIN), ["KEEPALIVE", "UPDATE"]),
        (b"garbage\0" + KEEPALIVE, [None, "KEEPALIVE"]),
        (PLAIN + KEEPALIVE[:10], ["UPDATE", None]),
        (b"", []),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_files_of_every_kind(
    content: bytes, types: list[str | None], compressed: bool, bgp: Any, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(content) if compressed else content)
    status, out, _ = bgp("decode", "--json", str(path))
    assert (status, [item["type"] for item in objects(out)]) == (0, types)
    status, out, _ = bgp("decode", "--json", "-", stdin=path.read_bytes())
    assert (status, [item["type"] for item in objects(out)]) == (0, types)
    status, out, _ = bgp("decode", str(path))
    assert (status, out.count(" octets: ")) == (0, len(types))


def test_captures_tell_where_and_when(bgp: Any) -> None:
    _, out, _ = bgp("decode", "--json", "-", stdin=pcap(KEEPALIVE + PLAIN))
    _, found = objects(out)
    assert {key: found[key] for key in ("packet", "time", "from", "to", "offset")} == {
        "packet": 1,
        "time": "2023-11-14T22:13:20.000005Z",
        "from": "192.0.2.1:50000",
        "to": "192.0.2.2:179",
        "offset": 19,
    }
    assert build.message(found) == PLAIN
    _, out, _ = bgp("decode", "-", stdin=pcap(PLAIN))
    assert out.splitlines()[0] == (
        "UPDATE, 53 octets: ok (192.0.2.1:50000 > 192.0.2.2:179, 2023-11-14T22:13:20.000005Z, "
        "packet 1, at octet 0)"
    )


def test_mrt_messages_say_their_context(bgp: Any) -> None:
    two = update(ORIGIN, attribute(0x40, 2, b"\2\1\0\1"), NEXT_HOP, nlri=b"\0\0\0\7\x08\x0a")
    sides = struct.pack("!HHHH", 65001, 65001, 0, 1) + SIDES[-8:]
    _, out, _ = bgp("decode", "--json", "-", stdin=mrt(16, 8, sides + two))
    (found,) = objects(out)
    assert found["record"] == "BGP4MP/MESSAGE_ADDPATH"
    assert found["announced"] == {"ipv4-unicast": [{"prefix": "10.0.0.0/8", "path_id": 7}]}
    assert found["asn_octets"] == 2
    # The same AS on both sides: an internal session, on which LOCAL_PREF is mandatory.
    assert found["error"]["fault"] == "missing"
    assert (found["peer"], found["from"]) == ({"address": "192.0.2.1", "asn": 65001}, "192.0.2.1")
    assert build.message(found) == two


def test_mrt_tables(bgp: Any) -> None:
    full = attribute(0x80, 14, b"\0\2\1\x10" + ipv6("2001:db8::1") + b"\0")
    short = attribute(0x80, 14, b"\x10" + ipv6("2001:db8::2"))
    entries = b"".join(
        struct.pack("!HII", 0, 1_700_000_000, path_id) + struct.pack("!H", len(block)) + block
        for path_id, block in ((1, ORIGIN + AS_PATH + full), (2, ORIGIN + AS_PATH + short))
    )
    rib = mrt(13, 10, struct.pack("!I", 5) + b"\x20\x20\x01\x0d\xb8" + b"\0\2" + entries)
    change = mrt(16, 5, SIDES + b"\0\5\0\6")
    _, out, _ = bgp("decode", "--json", "-", stdin=PEERS + rib + change + mrt(16, 4, b"\0"))
    peers, table, changed, broken = objects(out)
    assert peers["peers"] == [{"address": "192.0.2.1", "asn": 65001, "identifier": "0.0.0.1"}]
    assert (table["family"], table["prefix"], table["sequence"]) == ("ipv6-unicast", "2001:db8::/32", 5)
    assert [(entry["path_id"], entry["next_hop"]) for entry in table["entries"]] == [
        (1, "2001:db8::1"),
        (2, "2001:db8::2"),
    ]
    assert table["entries"][0]["attributes"] == {"origin": "IGP", "as_path": "65001 65002"}
    assert table["entries"][0]["originated"] == "2023-11-14T22:13:20Z"
    assert (changed["old_state"], changed["new_state"]) == ("OpenConfirm", "Established")
    assert (broken["type"], broken["reason"]) == ("BROKEN", "the peer AS overruns its record")
    _, out, _ = bgp("decode", "-", stdin=PEERS + rib + change)
    assert "RIB ipv6-unicast 2001:db8::/32, 2 entries (2023-11-14T22:13:20Z" in out
    assert "        next hop 2001:db8::2\n        ORIGIN IGP\n        AS_PATH 65001 65002\n" in out
    assert "old_state OpenConfirm, new_state Established" in out


@pytest.mark.parametrize(
    ("content", "types", "complaint"),
    [
        (pcap(KEEPALIVE)[:-1], [], "the file ends within packet 1"),
        (pcap(KEEPALIVE) + b"\0" * 7, ["KEEPALIVE"], "the file ends within the header of packet 2"),
        (mrt(16, 4, SIDES + KEEPALIVE) + b"\0", ["KEEPALIVE"], "within the header of record 2"),
        (gzip.compress(KEEPALIVE * 5000)[:-30], None, "cannot be read on"),
    ],
)
def test_a_file_that_breaks_off(
    content: bytes, types: list[str] | None, complaint: str, bgp: Any, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    status, out, err = bgp("decode", "--json", str(path))
    assert status == 1
    assert types is None or [item["type"] for item in objects(out)] == types
    assert err.startswith(f"{path}: ")
    assert complaint in err


def test_a_file_that_is_not_there(bgp: Any, tmp_path: Path) -> None:
    status, _, err = bgp("decode", str(tmp_path / "none"))
    assert (status, err) == (1, f"{tmp_path / 'none'}: No such file or directory\n")
    status, _, err = bgp("encode", str(tmp_path / "none"))
    assert (status, err) == (1, f"{tmp_path / 'none'}: No such file or directory\n")


def test_hexadecimal_with_separators() -> None:
    for text in (KEEPALIVE.hex(), KEEPALIVE.hex(":"), "0x" + KEEPALIVE.hex(" "), KEEPALIVE.hex("\t").upper()):
        assert sources.from_hexadecimal(text) == KEEPALIVE


# --- what encode refuses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("{", "line 1: is no JSON"),
        ("[" * 100000, "line 1: is nested too deeply"),
        ("7", "line 1: '7' is no message; write an object"),
        ({}, "type: None is no type of message; write one of OPEN, UPDATE"),
        ({"type": "UPDATE", "anounced": {}}, "anounced: is not known here; did you mean announced?"),
        ({"type": "UPDATE", "announced": []}, "announced: '[]' is no object"),
        (
            {"type": "UPDATE", "announced": {"ipv4-unicast": ["10.0.0.0/8", "10.0.0.1/8"]}},
            "announced.ipv4-unicast[1]: 10.0.0.1/8 has host bits set; write it as in 192.0.2.0/24",
        ),
        (
            {"type": "UPDATE", "announced": {"ipv4-unicast": ["2001:db8::/32"]}},
            "announced.ipv4-unicast[0]: '2001:db8::/32' is no IPv4 prefix",
        ),
        (
            {"type": "UPDATE", "announced": {"ipv6-unicast": ["2001:db8::/32"]}},
            "next_hop.ipv6-unicast: is missing; add the next hop's address",
        ),
        (
            {"type": "UPDATE", "withdrawn": {"ipv4-unicast": [{"prefix": "0.0.0.0/0", "path_id": -1}]}},
            "withdrawn.ipv4-unicast[0].path_id: -1 is no number from 0 to 4294967295",
        ),
        (
            {
                "type": "UPDATE",
                "withdrawn": {"ipv4-unicast": ["0.0.0.0/0", {"prefix": "0.0.0.0/0", "path_id": 1}]},
            },
            "withdrawn.ipv4-unicast[1]: some have a path identifier and some do not; give all of them",
        ),
        ({"type": "UPDATE", "withdrawn": {"l2vpn": []}}, "withdrawn: 'l2vpn' is no family"),
        (
            {"type": "UPDATE", "attributes": {"origin": "igp"}},
            "attributes.origin: 'igp' does not fit; write IGP",
        ),
        (
            {"type": "UPDATE", "attributes": {"orgin": "IGP"}},
            "attributes.orgin: is not known here; did you mean origin?",
        ),
        (
            {"type": "UPDATE", "attributes": {"as_path": "65001 x"}},
            "attributes.as_path: cannot read the AS path '65001 x' from 'x' on; write it as in",
        ),
        (
            {"type": "UPDATE", "asn_octets": 2, "attributes": {"as_path": "70000"}},
            "attributes.as_path: AS 70000 does not fit two octets; write 23456 in its place",
        ),
        (
            {"type": "UPDATE", "attributes": {"communities": ["NO_EXPORT", "70000:1"]}},
            "attributes.communities[1]: '70000:1' is no community",
        ),
        (
            {"type": "UPDATE", "attributes": {"multi_exit_disc": "10"}},
            "attributes.multi_exit_disc: '10' is no number from 0 to 4294967295; write a number",
        ),
        (
            {"type": "UPDATE", "attributes": {"attribute_200": {"value": "00"}}},
            "flags.attribute_200: is missing",
        ),
        (
            {"type": "UPDATE", "attributes": {"origin": "IGP"}, "flags": {"origin": ["transitiv"]}},
            "flags.origin: 'transitiv' is no flag; list some of optional, transitive",
        ),
        ({"type": "OPEN", "my_as": 70000}, "identifier: None is no identifier; write it as in 192.0.2.1"),
        (
            {"type": "OPEN", "my_as": 70000, "hold_time": 90, "identifier": "1.1.1.1"},
            "my_as: 70000 is no number from 0 to 65535; write a number",
        ),
        (
            {"type": "OPEN", "capabilities": [{"name": "route-refresh"}, {"name": "role", "role": "boss"}]},
            "capabilities[1].role: 'boss' is no role; write one of provider",
        ),
        (
            {
                "type": "OPEN",
                "capabilities": [{"name": "add-path", "families": [{"family": "x", "mode": "send"}]}],
            },
            "capabilities[0].families[0].family: 'x' is no family",
        ),
        (
            {"type": "OPEN", "capabilities": [{"code": 65}]},
            "capabilities[0]: four-octet-as has no field; write asn",
        ),
        ({"type": "NOTIFICATION"}, "error_code: is missing; add it"),
        ({"type": "NOTIFICATION", "error_code": 6, "data": "xx"}, "data: 'xx' is not hexadecimal"),
        (
            {"type": "ROUTE-REFRESH", "family": "ipv4-unicast", "subtype": "again"},
            "subtype: 'again' is no subtype",
        ),
        (
            {"type": "ROUTE-REFRESH", "afi": 1, "safi": 1, "family": "x"},
            "family: 'x' is not AFI 1 and SAFI 1",
        ),
        ({"type": "RIB"}, "type: 'RIB' is no type of message"),
    ],
)
def test_encode_names_line_key_and_remedy(
    value: object, sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = value if isinstance(value, str) else json.dumps(value)
    status, out, complaints = run(["encode"], f"{line}\n{json.dumps(read(KEEPALIVE))}\n", capsys, monkeypatch)
    assert status == 1
    assert out == f"\n{KEEPALIVE.hex()}\n"
    assert complaints.startswith("line 1: ")
    assert sentence.removeprefix("line 1: ") in complaints
