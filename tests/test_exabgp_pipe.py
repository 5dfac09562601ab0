"""The pipes of the stand-in: whoever reads late, or never, locks nothing up."""

import asyncio
import os
import threading
import time

import pytest

from bgp.tools.exabgp.pipe import Output, lines

TIMEOUT = 20.0


def read_all(descriptor: int) -> bytes:
    parts = []
    while data := os.read(descriptor, 1 << 16):
        parts.append(data)
    return b"".join(parts)


@pytest.fixture
def ends() -> tuple[int, int]:
    return os.pipe()


def lagged(lost: int) -> bytes:
    return b"lost %d\n" % lost


def test_nobody_reads_until_all_is_said(ends: tuple[int, int]) -> None:
    """Many acknowledgments, and more messages than the bound: said at once, none or a told number lost."""
    output = Output(ends[1], lagged, limit=100_000)
    start = time.monotonic()
    for number in range(1000):
        output.message(b"message %06d %s\n" % (number, b"x" * 1000))
    for number in range(200_000):
        output.acknowledge(b"error\n" if number % 1000 == 999 else b"done\n")
    assert time.monotonic() - start < TIMEOUT
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(read_all(ends[0])))
    reader.start()
    output.drain(TIMEOUT)
    os.close(ends[1])
    reader.join(TIMEOUT)
    said = found[0].split(b"\n")
    answers = [line for line in said if line in (b"done", b"error")]
    assert len(answers) == 200_000
    assert [number for number, line in enumerate(answers) if line == b"error"] == list(
        range(999, 200_000, 1000)
    )
    numbers = [int(line.split()[1]) for line in said if line.startswith(b"message")]
    (lost,) = [int(line.split()[1]) for line in said if line.startswith(b"lost")]
    assert numbers == sorted(numbers)
    assert len(numbers) + lost == 1000
    assert numbers[-1] == 999
    assert lost > 700


def test_the_reader_is_gone(ends: tuple[int, int]) -> None:
    os.close(ends[0])
    output = Output(ends[1], lagged)
    output.acknowledge(b"done\n")
    output.drain(TIMEOUT)
    assert output.broken
    os.close(ends[1])


def test_nobody_ever_reads(ends: tuple[int, int]) -> None:
    """Draining ends after its time."""
    output = Output(ends[1], lagged)
    output.message(b"x" * (1 << 20))
    start = time.monotonic()
    output.drain(0.1)
    assert time.monotonic() - start < TIMEOUT
    assert not output.broken
    os.close(ends[0])


async def test_lines_come_as_they_were_written(ends: tuple[int, int]) -> None:
    given = [f"line {number} {'x' * (number % 300)}" for number in range(20_000)]
    text = "\n".join(given).encode()  # without an end of line behind the last one

    def write() -> None:
        rest = text
        while rest:
            rest = rest[os.write(ends[1], rest[:7777]) :]
        os.close(ends[1])

    writer = threading.Thread(target=write)
    writer.start()
    async with asyncio.timeout(TIMEOUT):
        assert [line async for line in lines(ends[0])] == given
    writer.join(TIMEOUT)
    os.close(ends[0])


async def test_a_line_without_end_is_refused(ends: tuple[int, int]) -> None:
    def write() -> None:
        try:
            while True:
                os.write(ends[1], bytes(65536))
        except OSError:
            os.close(ends[1])

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(ValueError, match="a line of more than 1048576 octets"):
        async with asyncio.timeout(TIMEOUT):
            async for _ in lines(ends[0]):
                pass
    os.close(ends[0])
    writer.join(TIMEOUT)
