"""Policy: what becomes of a path's attributes on the way in and on the way out.

A policy is any callable from Path to Attributes, or to None where it refuses the path.  It must depend
on the path alone (RFC 4271 section 9.1: preference "must not" depend on other routes), because its
result is kept for as long as the path lives.
"""

from collections.abc import Callable

from bgp.rib.path import Path
from bgp.wire.attributes import Attributes

Policy = Callable[[Path], Attributes | None]


def accept_all(path: Path) -> Attributes | None:
    """Pass every path with its attributes unchanged."""
    return path.attributes


ACCEPT_ALL: Policy = accept_all
