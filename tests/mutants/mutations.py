"""One-line mutants of a source text: what a slip of the pen could make of it and still be Python."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

_COMPARISONS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
    "is not": "is", "is": "is not", "not in": "in", "in": "not in",
}  # fmt: skip
_OPERATORS = {"+": "-", "-": "+", "*": "+", "//": "*", "/": "*", "%": "+"}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_OPERATOR = re.compile(r"//|[-+*/%]")
#: Names that hold no decision.
_BOOKKEEPING = {"__slots__", "__all__"}


class Mutant(NamedTuple):
    """A text with one line changed."""

    #: From 1.
    line: int
    before: str
    after: str
    source: str
    #: The line is executed when its module is imported, not when a function is called.
    at_import: bool


def mutable_lines(source: str) -> list[int]:
    """The lines that have a mutant."""
    return sorted({line for line, *_ in _edits(ast.parse(source), source.splitlines(keepends=True))})


def mutants(source: str, only: int | None = None) -> list[Mutant]:
    """All mutants of a source text, or those of one line."""
    lines = source.splitlines(keepends=True)
    tree = ast.parse(source)
    in_functions = _lines_in_functions(tree)
    found = []
    for line, start, end, text in sorted(set(_edits(tree, lines))):
        if only is not None and line != only:
            continue
        before = lines[line - 1]
        data = before.encode()
        after = (data[:start] + text.encode() + data[end:]).decode()
        mutated = "".join([*lines[: line - 1], after, *lines[line:]])
        found.append(Mutant(line, before.strip(), after.strip(), mutated, line not in in_functions))
    return found


def _lines_in_functions(tree: ast.Module) -> set[int]:
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for line in range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)
    }


#: (line, first byte, byte after the last, what stands there instead).
_Edit = tuple[int, int, int, str]


def _edits(tree: ast.Module, lines: list[str]) -> Iterator[_Edit]:
    for node in _deciding_nodes(tree):
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            for left, right in itertools.pairwise(operands):
                yield from _between(left, right, lines, _COMPARISONS, re.compile(r"is not|not in|is|in|[<>=!]=|[<>]"))
        elif isinstance(node, ast.BoolOp):
            for left, right in itertools.pairwise(node.values):
                yield from _between(left, right, lines, {"and": "or", "or": "and"}, re.compile(r"\band\b|\bor\b"))
        elif isinstance(node, ast.BinOp):
            yield from _between(node.left, node.right, lines, _OPERATORS, _OPERATOR)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield node.lineno, node.col_offset, node.col_offset + len("not "), ""
        elif isinstance(node, ast.Constant):
            yield from _constant(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLS:
            yield node.lineno, node.func.col_offset, _end(node.func), _CALLS[node.func.id]
        elif isinstance(node, (ast.If, ast.While)) and node.test.lineno == node.test.end_lineno:
            whole = lines[node.test.lineno - 1].encode()[node.test.col_offset : _end(node.test)].decode()
            yield node.test.lineno, node.test.col_offset, _end(node.test), f"not ({whole})"
        elif isinstance(node, ast.stmt) and _may_be_left_out(node):
            yield node.lineno, node.col_offset, _end(node), "pass"
        elif isinstance(node, (ast.Continue, ast.Break)):
            yield node.lineno, node.col_offset, _end(node), "break" if isinstance(node, ast.Continue) else "continue"


def _deciding_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but annotations, texts, assertions, and what holds no decision."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, (ast.JoinedStr, ast.Assert, ast.Import, ast.ImportFrom, ast.Raise)):
            continue
        if isinstance(child, ast.Assign) and {ast.unparse(target) for target in child.targets} & _BOOKKEEPING:
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.AnnAssign):
            if child.value is not None:
                yield child.value
                yield from _deciding_nodes(child.value)
            continue
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            # Without its decorators, annotations and what it returns.
            for default in filter(None, [*child.args.defaults, *child.args.kw_defaults]):
                yield default
                yield from _deciding_nodes(default)
            yield from _deciding_nodes(ast.Module(child.body, []))
            continue
        if isinstance(child, ast.ClassDef):
            # Without its bases, keywords (frozen, kw_only, tag) and decorators.
            yield from _deciding_nodes(ast.Module(child.body, []))
            continue
        yield child
        yield from _deciding_nodes(child)


def _between(
    left: ast.expr, right: ast.expr, lines: list[str], words: dict[str, str], pattern: re.Pattern[str]
) -> Iterator[_Edit]:
    """The operator between two operands, where all stands on one line."""
    if left.end_lineno != right.lineno:
        return
    gap = lines[right.lineno - 1].encode()[_end(left) : right.col_offset].decode()
    found = pattern.search(gap)
    if found and found[0] in words:
        start = _end(left) + found.start()
        yield right.lineno, start, start + len(found[0]), words[found[0]]


def _constant(node: ast.Constant) -> Iterator[_Edit]:
    if isinstance(node.value, bool):
        yield node.lineno, node.col_offset, _end(node), repr(not node.value)
    elif isinstance(node.value, (int, float)):
        yield node.lineno, node.col_offset, _end(node), repr(node.value + 1)


def _may_be_left_out(node: ast.stmt) -> bool:
    """A statement on one line that does something: a call, or a value given to something that outlives it."""
    if node.lineno != node.end_lineno:
        return False
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call)
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    return any(isinstance(target, (ast.Attribute, ast.Subscript)) for target in targets)


def _end(node: ast.expr | ast.stmt) -> int:
    assert node.end_col_offset is not None
    return node.end_col_offset
