"""The layers of ARCHITECTURE.md, read from the imports: they go down only, and siblings never meet.

The order is a table of components.  A module belongs to the component with the longest matching name;
it may import its own component and those of lower rank.  Nothing is executed: `ast` reads the sources.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("bgp", "fib", "reflector")

# component -> layer.  Two components of one layer are siblings.
LAYERS = {
    "bgp.iana": 0,
    "bgp.errors": 0,
    "bgp.family": 0,
    "bgp.wire": 1,
    "bgp.session": 2,
    "bgp.rib": 2,
    "bgp.policy": 3,
    "bgp.export": 3,
    "bgp.capacity": 4,
    "bgp.convergence": 4,
    "bgp.explanation": 4,
    "bgp.grouping": 4,
    "bgp.member": 4,
    "bgp.preview": 4,
    "bgp.publication": 4,
    "bgp.retention": 4,
    "bgp.router": 4,
    "bgp.views": 4,
    "fib.backend": 4,
    "fib.filters": 4,
    "fib.choice": 4,
    "fib.ipip": 4,
    "fib.ledger": 4,
    "fib.memory": 4,
    "fib.notice": 4,
    "fib.plan": 4,
    "fib.resolve": 4,
    "fib.route": 4,
    "bgp.aio": 5,
    "fib.kernel": 5,
    "fib.mirror": 5,
    "bgp": 6,
    "bgp.__main__": 6,
    "bgp.speaker": 6,
    "bgp.tools": 6,
    "fib.caretaker": 6,
    "fib.programmer": 6,
    "fib": 7,
    "fib.feed": 7,
    "fib.follow": 7,
    "fib.redistribute": 7,
    "reflector": 8,
}
# Within these sets the members of one layer are one component: the rank alone does not part them.
TOGETHER = (
    {"bgp.iana", "bgp.errors", "bgp.family"},
    {
        *(
            "fib.backend",
            "fib.filters",
            "fib.choice",
            "fib.ipip",
            "fib.ledger",
            "fib.memory",
            "fib.notice",
            "fib.plan",
        ),
        *("fib.resolve", "fib.route"),
    },
    {"fib.caretaker", "fib.programmer"},
    {
        *("bgp.capacity", "bgp.convergence", "bgp.explanation", "bgp.grouping", "bgp.member", "bgp.preview"),
        *("bgp.publication", "bgp.retention", "bgp.router", "bgp.views"),
    },
    {"bgp", "bgp.__main__", "bgp.speaker", "bgp.tools"},
    {"fib", "fib.feed", "fib.follow", "fib.redistribute"},
)
# Beside the layers: may import anything, and nothing in the packages may import it.
BESIDE = "bgp.testing"

# The outside world: I/O, concurrency, clocks and randomness begin at this layer.
SHELL = 5
WORLD = {
    *("asyncio", "concurrent", "multiprocessing", "queue", "sched", "select", "selectors", "signal"),
    *("socket", "socketserver", "ssl", "subprocess", "threading", "os", "shutil", "tempfile"),
    *("time", "datetime", "random", "secrets", "uuid"),
}
# module -> the components that alone may import it.
CONFINED = {"construct": ("bgp.wire.grammar",), "pyroute2": ("fib.kernel",)}

# What judges the fast path must not share code with it: each group is closed against the other.
FAST_PATH = ("attributes", "aspath", "community", "prefix", "update")
REFERENCE = ("grammar", "reference")


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, in the source line that names it."""

    module: str
    line: int
    runtime: bool  # False under `if TYPE_CHECKING:`


def component_of(module: str) -> str:
    """Return the component that `module` belongs to; raise KeyError if the table has none."""
    if module == BESIDE or module.startswith(BESIDE + "."):
        return BESIDE
    name = module
    while name not in LAYERS or (name in PACKAGES and module != name):
        name, dot, _ = name.rpartition(".")
        if not dot:
            # A package itself stands for its `__init__` alone, but the reflector is one component.
            if module.partition(".")[0] == "reflector":
                return "reflector"
            raise KeyError(module)
    return name


def imports(source: str, module: str, package: bool, modules: Mapping[str, object]) -> Iterator[Import]:
    """Yield what `source` of `module` imports, as full module names, wherever the statement stands."""
    base = module if package else module.rpartition(".")[0]

    def visit(node: ast.AST, runtime: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, runtime)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                parents = base.split(".")
                parents = parents[: len(parents) - node.level + 1]
                origin = ".".join([*parents, *([origin] if origin else [])])
            for alias in node.names:
                name = f"{origin}.{alias.name}"
                yield Import(name if name in modules else origin, node.lineno, runtime)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.body:
                yield from visit(child, False)
            for child in node.orelse:
                yield from visit(child, runtime)
        else:
            for child in ast.iter_child_nodes(node):
                yield from visit(child, runtime)

    yield from visit(ast.parse(source), True)


def faults(modules: Mapping[str, tuple[str, bool]]) -> list[str]:
    """Return each broken rule as a sentence; `modules` maps names to (source, is a package)."""
    found = []
    for module, (source, package) in sorted(modules.items()):
        try:
            component = component_of(module)
        except KeyError:
            found.append(f"{module}: belongs to no layer")
            continue
        for used in imports(source, module, package, modules):
            where = f"{module}:{used.line} imports {used.module}"
            top = used.module.partition(".")[0]
            for name, homes in CONFINED.items():
                if top == name and component != BESIDE and not within(module, homes):
                    found.append(f"{where}: only {', '.join(homes)} may")
            if component == BESIDE:
                continue
            layer = LAYERS[component]
            if top in WORLD and layer < SHELL:
                found.append(f"{where}: layer {layer} knows no I/O, clock or randomness")
            if top not in PACKAGES:
                continue
            try:
                target = component_of(used.module)
            except KeyError:
                found.append(f"{where}: which belongs to no layer")
                continue
            if target == BESIDE:
                found.append(f"{where}: nothing but tests and users may")
            elif LAYERS[target] > layer:
                found.append(f"{where}: upward, from layer {layer} to {LAYERS[target]}")
            elif LAYERS[target] == layer and target != component and not together(target, component):
                found.append(f"{where}: sideways, within layer {layer}")
    return found


def within(module: str, homes: tuple[str, ...]) -> bool:
    return any(module == home or module.startswith(home + ".") for home in homes)


def together(one: str, other: str) -> bool:
    return any(one in group and other in group for group in TOGETHER)


def reachable(module: str, modules: Mapping[str, tuple[str, bool]]) -> set[str]:
    """Return the project's modules that `module` needs, itself included, however indirectly."""
    seen: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name in seen or name not in modules:
            continue
        seen.add(name)
        source, package = modules[name]
        todo += [used.module for used in imports(source, name, package, modules)]
    return seen


def cycles(modules: Mapping[str, tuple[str, bool]]) -> list[list[str]]:
    """Return the groups of modules that import each other in a circle while they load."""
    edges = {
        module: {
            used.module
            for used in imports(source, module, package, modules)
            if used.runtime and used.module in modules and used.module != module
        }
        for module, (source, package) in modules.items()
    }
    order: list[str] = []
    seen: set[str] = set()

    def walk(name: str, graph: Mapping[str, set[str]], out: list[str]) -> None:
        if name in seen:
            return
        seen.add(name)
        for other in sorted(graph[name]):
            walk(other, graph, out)
        out.append(name)

    for name in sorted(edges):
        walk(name, edges, order)
    backward: dict[str, set[str]] = {name: set() for name in edges}
    for name, others in edges.items():
        for other in others:
            backward[other].add(name)
    seen.clear()
    groups = []
    for name in reversed(order):
        group: list[str] = []
        walk(name, backward, group)
        if len(group) > 1:
            groups.append(sorted(group))
    return groups


def project() -> dict[str, tuple[str, bool]]:
    """Return the source of every module of the packages."""
    modules = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            modules[name] = (path.read_text(encoding="utf-8"), is_package)
    return modules


def test_imports_go_down_only() -> None:
    assert faults(project()) == []


def test_no_circular_imports() -> None:
    assert cycles(project()) == []


@pytest.mark.parametrize("name", FAST_PATH)
def test_fast_path_stands_without_the_grammar(name: str) -> None:
    """The grammar is the fast path's judge, so neither may lean on the other (ARCHITECTURE.md)."""
    modules = project()
    assert f"bgp.wire.{name}" in modules
    needed = reachable(f"bgp.wire.{name}", modules)
    assert not [other for other in needed if within(other, tuple(f"bgp.wire.{part}" for part in REFERENCE))]


def test_reference_stands_without_the_fast_path() -> None:
    modules = project()
    judges = [name for name in modules if within(name, tuple(f"bgp.wire.{part}" for part in REFERENCE))]
    assert "bgp.wire.reference" in judges
    fast = {f"bgp.wire.{name}" for name in FAST_PATH}
    assert {name: shared for name in judges if (shared := reachable(name, modules) & fast)} == {}


# --- the checks themselves: each rule must be able to fail -----------------------------------------------


def broken(**sources: str) -> list[str]:
    """Return the faults of a made-up project; `__` in a name stands for a dot."""
    return faults({name.replace("__", "."): (source, False) for name, source in sources.items()})


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ({"bgp__wire__update": "from bgp.session.fsm import x", "bgp__session__fsm": ""}, "upward"),
        ({"bgp__iana": "from .wire import update", "bgp__wire__update": ""}, "upward"),
        ({"bgp__rib__table": "import bgp.session.fsm", "bgp__session__fsm": ""}, "sideways"),
        ({"bgp__policy": "def f():\n    from bgp.export import group", "bgp__export__group": ""}, "sideways"),
        ({"bgp__router": "import asyncio"}, "no I/O"),
        ({"bgp__session__timers": "from time import monotonic"}, "no I/O"),
        ({"bgp__wire__prefix": "import random"}, "no I/O"),
        ({"fib__plan": "import socket"}, "no I/O"),
        ({"bgp__wire__message": "import construct"}, "only bgp.wire.grammar"),
        ({"fib__follow": "from pyroute2 import IPRoute"}, "only fib.kernel"),
        (
            {"bgp__speaker": "from bgp.testing import strategies", "bgp__testing__strategies": ""},
            "tests and users",
        ),
        ({"bgp__aio__peer": "from bgp import Speaker"}, "upward"),
        ({"bgp__speaker": "from reflector.configuration.config import x", "reflector__config": ""}, "upward"),
        ({"bgp__stray": ""}, "no layer"),
        (
            {"bgp__wire__a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import bgp.router"},
            "upward",
        ),
    ],
)
def test_each_rule_can_fail(sources: dict[str, str], words: str) -> None:
    (fault,) = broken(**sources)
    assert words in fault


def test_downward_imports_pass() -> None:
    assert (
        broken(
            bgp__wire__update="from bgp import errors\nfrom . import prefix\nimport struct",
            bgp__wire__prefix="from bgp.family import Family",
            bgp__wire__grammar__message="import construct",
            bgp__errors="from bgp.iana import ErrorCode",
            bgp__iana="from enum import IntEnum",
            bgp__family="from bgp.iana import Afi",
            bgp__router="from bgp.rib import table\nfrom bgp.session import x",
            bgp__rib__table="from .path import Path",
            bgp__rib__path="from bgp.wire.prefix import split",
            bgp__aio__peer="import asyncio, time\nfrom bgp.session.connection import Connection",
            bgp__session__connection="",
            bgp__testing__strategies="import random\nfrom bgp.speaker import Speaker",
            fib__kernel="from pyroute2 import IPRoute",
        )
        == []
    )


def test_cycles_are_found() -> None:
    modules = {"bgp.wire.a": ("from bgp.wire import b", False), "bgp.wire.b": ("import bgp.wire.a", False)}
    assert cycles(modules) == [["bgp.wire.a", "bgp.wire.b"]]
    lazy = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import bgp.wire.a"
    assert cycles({**modules, "bgp.wire.b": (lazy, False)}) == []
