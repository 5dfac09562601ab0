"""The smallest input that still breaks at the same place, found by leaving out and by zeroing octets."""

from collections.abc import Callable, Iterator

Breaks = Callable[[bytes], bool]


def minimized(data: bytes, breaks: Breaks) -> bytes:
    """Return an input no longer than `data` for which `breaks` is true, as it must be for `data`."""
    while True:
        smaller = _plainer(_shorter(data, breaks), breaks)
        if smaller == data:
            return data
        data = smaller


def _shorter(data: bytes, breaks: Breaks) -> bytes:
    """Leave out pieces, of half the input at first, of single octets at last."""
    size = max(len(data) // 2, 1)
    while size and data:
        at = 0
        while at < len(data):
            less = data[:at] + data[at + size :]
            if breaks(less):
                data = less
            else:
                at += size
        size //= 2
    return data


def _plainer(data: bytes, breaks: Breaks) -> bytes:
    """Put zeros, else smaller numbers, in the place of octets."""
    for at, octet in enumerate(data):
        for number in _smaller(octet):
            plainer = data[:at] + bytes((number,)) + data[at + 1 :]
            if breaks(plainer):
                data = plainer
                break
    return data


def _smaller(octet: int) -> Iterator[int]:
    yield from (number for number in (0, 1, 2, octet // 2, octet - 1) if 0 <= number < octet)
