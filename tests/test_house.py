"""How the code is kept: sizes, direction of imports, docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "qernel"

LONGEST_MODULE, LONGEST_FUNCTION = 300, 60

UNFINISHED: set[str] = set()
"""Modules that do not keep the rules yet."""

UPWARDS = {
    ("qernel.hartree_fock.figure", "plots"),  # solutions draw themselves
    ("qernel.measure.branches", "plots"),  # so does what is measured
    ("qernel.measure.scan", "plots"),
    ("qernel.measure.scan", "transition"),
    ("qernel.measure.projections", "plots"),
    ("qernel.measure.map", "plots"),
    ("qernel.measure.map", "transition"),
    ("qernel.transition.analysis", "plots"),  # and what is found in it
    ("qernel.transition.boundary", "plots"),
    ("qernel.transition.phases", "plots"),
}
"""The modules that import a package further down in the table of docs/architecture.md."""


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax trees of all modules by name."""
    trees = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        trees[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text("utf-8"))
    return trees


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Everything below a node that runs at some time, in functions too: not what is for type checkers alone."""
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from executed(child)


@cache
def imports(name: str) -> set[str]:
    """The modules of Qernel that a module imports, at its top or in a function."""
    found = set()
    for node in executed(modules()[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level and node.module, f"{name}: imports are written with the full name of the module"
            whole = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {inner if inner in modules() else node.module for inner in whole}
    return {other for other in found if other in modules()}


def package(name: str) -> str:
    """What a module belongs to: the first name below ``qernel``."""
    return name.split(".")[1] if "." in name else ""


def table() -> list[str]:
    """The packages in the order of the table in docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = re.findall(r"^\|.*\|(.*)\|$", text, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`(\w+)(?:/|\.py)`", row)]


def test_modules_and_functions_are_short() -> None:
    long = []
    for name in modules().keys() - UNFINISHED:
        tree = modules()[name]
        path = SOURCE.parent.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        lines = len(path.read_text("utf-8").splitlines())
        long += [f"{name}: {lines} lines"] * (lines > LONGEST_MODULE)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                long += [f"{name}: {node.name}: {lines} lines"] * (lines > LONGEST_FUNCTION)
    assert not long, f"modules have at most {LONGEST_MODULE} lines, functions {LONGEST_FUNCTION}: {'; '.join(long)}"


def test_imports_go_round_in_no_circle() -> None:
    try:
        TopologicalSorter({name: imports(name) - {name} for name in modules()}).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


def test_data_flow_down_the_table_of_the_architecture() -> None:
    order = table()
    assert len(order) == len(set(order)), "each package stands in the table once"
    missing = {package(name) for name in modules()} - {"", "__main__", "version", *order}
    assert not missing, f"docs/architecture.md has no row for {sorted(missing)}"
    upwards = {
        (name, package(other))
        for name in modules().keys() - UNFINISHED
        for other in imports(name)
        if package(name) in order
        and package(other) in order
        and order.index(package(other)) > order.index(package(name))
    }
    assert upwards == UPWARDS


def test_every_module_says_what_it_is() -> None:
    silent = [name for name, tree in modules().items() if not ast.get_docstring(tree)]
    assert not silent
