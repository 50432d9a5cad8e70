"""Breaks the code of tokens, throttles and sessions in one place at a time, and sees whether its tests notice.

Each mutant is a fork of this process, which has imported everything and started nothing: it puts the broken code in the
place of the genuine one, and runs the tests of the area until one fails. Nothing is written to disk.
`scripts/mutants.toml` says what belongs to an area, and which mutants nobody can tell from the original.
Reasons: docs/decisions/0017-mutants.md.
"""

from __future__ import annotations

import ast
import copy
import gc
import os
import signal
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import pytest
import pytest_asyncio.plugin

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "identity"
PATIENCE_SECONDS = 120

_PAIRS = (
    *((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn)),
    *((ast.Add, ast.Sub), (ast.Mult, ast.FloorDiv), (ast.LShift, ast.RShift), (ast.And, ast.Or)),
)
_OPERATORS: dict[type[ast.AST], Any] = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}


class Mutant(NamedTuple):
    """A module with one place broken: where, and how that place reads before and after."""

    path: Path
    line: int
    change: str
    in_function: bool
    tree: ast.Module


def mutants(path: Path) -> Iterator[Mutant]:
    """Every mutant of a module, from top to bottom."""
    original = ast.parse(path.read_text())
    defined = [node for node in ast.walk(original) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    decorators = {part for node in defined for decorator in node.decorator_list for part in ast.walk(decorator)}
    bodies = [node.body for node in defined if isinstance(node, ast.FunctionDef)]
    inside = {part for body in bodies for statement in body for part in ast.walk(statement)}
    for index, node in enumerate(ast.walk(original)):
        for broken in _broken(node) if node not in decorators else ():
            tree = copy.deepcopy(original)
            target = next(found for number, found in enumerate(ast.walk(tree)) if number == index)
            before = ast.unparse(target)
            target.__class__ = broken.__class__
            target.__dict__.update(broken.__dict__)
            after = "nothing" if isinstance(broken, ast.Pass) else ast.unparse(broken)
            change = f"{before} -> {after}".replace("\n", " ")
            yield Mutant(path, getattr(node, "lineno", 0), change, node in inside, ast.fix_missing_locations(tree))


def _broken(node: ast.AST) -> Iterator[ast.AST]:
    """What could stand in the place of a node by mistake; texts are left as they are."""
    match node:
        case ast.Compare(left, [operator], right):
            yield ast.Compare(left, [_OPERATORS[type(operator)]()], right)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(_OPERATORS[type(operator)](), values)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            yield ast.BinOp(left, _OPERATORS[type(operator)](), right)
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            yield ast.Constant(value + 1)
        case ast.Call(ast.Name(name) as called, arguments, keywords) if name in _CALLS:
            yield ast.Call(ast.copy_location(ast.Name(_CALLS[name], ast.Load()), called), arguments, keywords)
        case ast.Expr(ast.Call()) | ast.Raise():
            yield ast.Pass()
        case ast.If(test, body, orelse) if not isinstance(test, (ast.Compare, ast.BoolOp, ast.UnaryOp)):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)


def survives(mutant: Mutant | None, *tests: str) -> bool:
    """Whether the tests pass with this mutant in its place, or with nothing broken."""
    if child := os.fork():
        return os.waitpid(child, 0)[1] == 0
    signal.alarm(PATIENCE_SECONDS)  # what goes on for ever has been noticed too
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    if mutant is not None:
        _put_in_place(mutant)
    os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests], plugins=[pytest_asyncio.plugin]))


def _put_in_place(mutant: Mutant) -> None:
    """In the functions that there are, if that is where it is, else by importing all of ours anew."""
    path, code = str(mutant.path), compile(mutant.tree, mutant.path, "exec")
    functions = {(part.co_qualname, part.co_firstlineno): part for part in _parts(code)}
    if mutant.in_function:
        for found in gc.get_objects():
            if isinstance(found, FunctionType) and found.__code__.co_filename == path:
                found.__code__ = functions[found.__code__.co_qualname, found.__code__.co_firstlineno]
        return
    for name in [name for name in sys.modules if name.startswith(("identity.", "tests."))]:
        del sys.modules[name]
    genuine = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        return code if self.path == path else genuine(self, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[assignment]


def _parts(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _parts(constant)


def main(only: list[str]) -> None:
    """Try every mutant of the plan, or those of the modules that are named; ends with 1 when one survives."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    plan: dict[str, Any] = tomllib.loads((ROOT / "scripts" / "mutants.toml").read_text())
    sys.path.insert(0, str(ROOT))
    for module in plan["preload"]:
        import_module(module)
    equivalent = {(entry["module"], entry["change"]) for entry in plan["equivalent"]}
    counts: dict[str, Counter[str]] = {}
    for area in plan["area"]:
        count = counts.setdefault(area["name"], Counter())
        tests = ["-k", plan["select"], *area["tests"]]
        paths = [SOURCE / module for module in area["modules"] if not only or module in only]
        if paths and not survives(None, *tests):
            sys.exit(f"The tests of {area['name']} fail with nothing broken.")
        for mutant in (mutant for path in paths for mutant in mutants(path)):
            module, fate = str(mutant.path.relative_to(SOURCE)), "equivalent"
            if (module, mutant.change) not in equivalent:
                fate = "survived" if survives(mutant, *tests) else "killed"
            count[fate] += 1
            print(f"{fate:<10} {module}:{mutant.line}  {mutant.change}", flush=True)
    for name, count in counts.items():
        print(f"{name:<10}", *(f"{count[fate]:>4} {fate}" for fate in ("killed", "survived", "equivalent")))
    if any(count["survived"] for count in counts.values()):
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
