"""Tables for people: in terminals of any width all is there, and no word is broken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflector.show.columns import NEIGHBORS, ROUTES, Column, Row
from reflector.show.tables import lines

NEIGHBOR = {
    "name": "node-1.rack7.zone-b.example.net",
    "address": "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1",
    "asn": 4200000000,
    "kind": "client",
    "state": "Established",
    "running": True,
    "behind": False,
    "age": 90000.0,
    "received": {"ipv4-unicast": 1000000, "ipv6-unicast": 200000},
    "messages_in": 123456,
    "messages_out": 654321,
    "last_error": "",
}
ROUTE = {
    "prefix": "2001:db8:aaaa:bbbb:cccc:dddd:eeee:0/112",
    "best": False,
    "usable": False,
    "peer": "node-1.rack7.zone-b.example.net",
    "next_hop": "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1",
    "local_pref": 100,
    "multi_exit_disc": 10,
    "as_path": "4200000001 4200000002 4200000003",
    "communities": ["64512:1", "64512:2"],
    "large_communities": ["4200000000:1:2"],
    "refused": {"text": 'term "tests" of policy "from-nodes" refuses it'},
}


@pytest.mark.parametrize("width", [80, 100, 132, 200, 400])
@pytest.mark.parametrize(("columns", "row"), [(NEIGHBORS, NEIGHBOR), (ROUTES, ROUTE)])
def test_all_is_there_at_any_width(columns: tuple[Column, ...], row: Row, width: int) -> None:
    heading, *rest = [line for line, _ in lines(columns, [row, row], width)]
    text = "\n".join(rest)
    for column in columns:
        assert column.text(row) in text, f"{column.heading} is whole"
        assert column.heading in heading or column.heading in text or not column.text(row)
    # What stands in the table, and is not below, has room.
    assert len(heading) <= width and all(len(line) <= width for line in rest if not line.startswith("    "))
    if width >= 400:
        assert len(rest) == 2


def test_what_matters_most_stays_in_the_line() -> None:
    (heading, _), (first, _), (below, _) = lines(NEIGHBORS, [NEIGHBOR], 80)
    assert heading.split() == ["neighbor", "kind", "state", "for", "received"]
    assert first.split()[:3] == [NEIGHBOR["name"], "client", "Established"]
    assert below.startswith("    address 2001:db8") and "AS 4200000000" in below


CELLS = st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=30)


@given(st.lists(st.lists(CELLS, min_size=4, max_size=4), min_size=1), st.integers(1, 120))
def test_any_cells_find_their_place(cells: list[list[str]], width: int) -> None:
    columns = [
        Column(f"c{number}", lambda row, number=number: row["cells"][number], spared=number)  # type: ignore[misc]
        for number in range(4)
    ]
    rows = [{"cells": each} for each in cells]
    text = "\n".join(line for line, _ in lines(columns, rows, width))
    assert all(cell in text for each in cells for cell in each)
    piped = [line for line, _ in lines(columns, rows, None)]
    assert len(piped) == len(rows) + 1 and piped[0].split() == ["c0", "c1", "c2", "c3"]
