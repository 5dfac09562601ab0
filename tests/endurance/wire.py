"""The octets that a peer in a trial says: as short to make as can be, since millions are made."""

import struct

_MARKER = b"\xff" * 16
KEEPALIVE = _MARKER + b"\x00\x13\x04"
END_OF_RIB = _MARKER + b"\x00\x17\x02" + bytes(4)
ASN = 65000


def open_message(identifier: int, hold_time: int = 0) -> bytes:
    """Return an OPEN with IPv4 unicast and four-octet AS numbers."""
    capabilities = bytes.fromhex("0104 0001 00 01 4104") + struct.pack("!I", ASN)
    parameters = bytes([2, len(capabilities)]) + capabilities
    body = struct.pack("!BHHIB", 4, ASN, hold_time, identifier, len(parameters)) + parameters
    return _MARKER + struct.pack("!HB", 19 + len(body), 1) + body


def attributes(next_hop: int, med: int, as_path: tuple[int, ...] = ()) -> bytes:
    """Return a block of attributes; `med` tells sets apart."""
    path = bytes([2, len(as_path)]) + struct.pack(f"!{len(as_path)}I", *as_path) if as_path else b""
    return b"".join(
        (
            bytes.fromhex("40010100 4002"),
            bytes([len(path)]),
            path,
            bytes.fromhex("400304"),
            struct.pack("!I", next_hop),
            bytes.fromhex("800404"),
            struct.pack("!I", med),
            bytes.fromhex("400504 00000064"),
        )
    )


def prefix(number: int) -> bytes:
    """Return the /28 with this number, of a million and more."""
    return b"\x1c" + (0x14000000 + (number << 4)).to_bytes(4, "big")


def body(block: bytes, prefixes: bytes) -> bytes:
    """Return the body of an UPDATE that announces `prefixes`."""
    return struct.pack("!HH", 0, len(block)) + block + prefixes


def update(block: bytes, prefixes: bytes) -> bytes:
    """Return an UPDATE that announces `prefixes`."""
    inside = body(block, prefixes)
    return _MARKER + struct.pack("!HB", 19 + len(inside), 2) + inside
