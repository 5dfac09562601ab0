"""Routes into the Linux kernel: `KernelFib` follows a speaker, `Fib` whoever brings routes."""

from fib.backend import BackendError, Failure, Owner
from fib.choice import Encapsulation
from fib.follow import KernelFib, NotInstalled
from fib.ipip import IpInIp, Mode
from fib.kernel import KernelBackend
from fib.memory import MemoryBackend
from fib.notice import (
    Conflict,
    Explanation,
    Notice,
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
from fib.redistribute import Redistribute
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
    "Encapsulation",
    "Entry",
    "Explanation",
    "Failure",
    "Fib",
    "IpInIp",
    "KernelBackend",
    "KernelFib",
    "MemoryBackend",
    "Mode",
    "NextHop",
    "NotInstalled",
    "Notice",
    "Owner",
    "Plan",
    "Problem",
    "Progress",
    "Redistribute",
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
