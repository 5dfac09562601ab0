"""A row of a report: plain data, a mapping that JSON can carry.

So the same report is a table for people, lines for programs, a page of the looking glass and a reply of the
socket that speaks as BIRD does.
"""

from typing import Any

Row = dict[str, Any]


class Unanswerable(Exception):
    """What was asked cannot be answered: the text says why, and what to ask instead."""
