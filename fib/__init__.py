"""Routes into the Linux kernel: `Fib` keeps a routing table equal to what it is told."""

from fib.backend import BackendError, Failure, Owner
from fib.kernel import KernelBackend
from fib.memory import MemoryBackend
from fib.notice import (
    Conflict,
    Explanation,
    Problem,
    Progress,
    Repaired,
    RouteError,
    State,
    Withheld,
    Written,
)
from fib.plan import Plan, plan
from fib.programmer import Fib
from fib.route import (
    BLACKHOLE,
    PROHIBIT,
    UNREACHABLE,
    Entry,
    NextHop,
    Route,
    RouteType,
    Scope,
    clamped,
    via,
)

__all__ = [
    "BLACKHOLE",
    "PROHIBIT",
    "UNREACHABLE",
    "BackendError",
    "Conflict",
    "Entry",
    "Explanation",
    "Failure",
    "Fib",
    "KernelBackend",
    "MemoryBackend",
    "NextHop",
    "Owner",
    "Plan",
    "Problem",
    "Progress",
    "Repaired",
    "Route",
    "RouteError",
    "RouteType",
    "Scope",
    "State",
    "Withheld",
    "Written",
    "clamped",
    "plan",
    "via",
]
