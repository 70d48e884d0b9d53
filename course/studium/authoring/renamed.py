"""Find a solution in code that uses other variable names."""

import ast
import contextlib
from collections.abc import Iterator, Sequence
from functools import lru_cache

from studium.exercises.model import Exercise
from studium.exercises.sources import solved, unwritten
from studium.exercises.syntax import parse

_SMALLEST = 16  # nodes of the syntax tree; anybody may write less, such as a softmax of a quotient
_Kind = tuple[type[ast.AST], int]  # what a node is, and how many nodes it has
_Place = tuple[Sequence[ast.AST], Sequence[_Kind], int]  # nodes in a row, their kinds, and the position of one of them


def holds_renamed(wanted: tuple[ast.AST, ...], text: str) -> bool:
    """Return whether a text is Python that does what ``wanted`` does, step by step, whatever its names are."""
    kinds = _kinds_of(wanted)
    if sum(size for _, size in kinds) < _SMALLEST:
        return False
    return any(_shape(found) == _shape(wanted) for found in _like(kinds, text))


def own_part(exercise: Exercise) -> tuple[ast.AST, ...]:
    """Return the statements that the learner has to write; for a single `return`, what it returns."""
    known = {ast.dump(node) for node in _body(unwritten(exercise))}
    own = [node for node in _body(solved(exercise)) if ast.dump(node) not in known]
    return (own[0].value,) if len(own) == 1 and isinstance(own[0], ast.Return) and own[0].value else tuple(own)


def _body(text: str) -> list[ast.stmt]:
    function = parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    return function.body


def _like(kinds: Sequence[_Kind], text: str) -> Iterator[Sequence[ast.AST]]:
    """Return the candidates for a match: expressions, or statements in a row, of these kinds."""
    for row, known, start in _places(text).get(kinds[0], ()):
        if known[start : start + len(kinds)] == kinds:
            yield row[start : start + len(kinds)]


@lru_cache(maxsize=4)  # each text is searched for one solution after another
def _places(text: str) -> dict[_Kind, list[_Place]]:
    """Return where nodes of each kind are: an expression on its own, a statement in the row of its block."""
    places: dict[_Kind, list[_Place]] = {}
    with contextlib.suppress(SyntaxError, ValueError):
        tree = parse(text)
        kinds = _kinds(tree)
        for row in _rows(tree):
            known = [kinds[node] for node in row]
            for start, kind in enumerate(known):
                places.setdefault(kind, []).append((row, known, start))
    return places


def _rows(tree: ast.AST) -> Iterator[Sequence[ast.AST]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.expr):
            yield [node]
        for name in ("body", "orelse", "finalbody"):
            if isinstance(block := getattr(node, name, None), list):
                yield block


@lru_cache(maxsize=1024)
def _kinds_of(nodes: tuple[ast.AST, ...]) -> list[_Kind]:
    return [_kinds(node)[node] for node in nodes]


def _kinds(tree: ast.AST) -> dict[ast.AST, _Kind]:
    kinds: dict[ast.AST, _Kind] = {}
    for node in reversed(list(ast.walk(tree))):  # children before their parents
        kinds[node] = type(node), 1 + sum(kinds[child][1] for child in ast.iter_child_nodes(node))
    return kinds


def _shape(nodes: Sequence[ast.AST]) -> str:
    """Return what the nodes do, with each name replaced by its position in the order of names."""
    order: dict[str, str] = {}

    def told(node: ast.AST) -> str:
        if isinstance(node, ast.Name):
            return order.setdefault(node.id, f"name {len(order)}")
        parts = [type(node).__name__]
        for field, value in ast.iter_fields(node):
            items = value if isinstance(value, list) else [value]
            if field not in ("ctx", "type_comment", "kind"):
                parts.append(f"{field}({','.join(told(i) if isinstance(i, ast.AST) else repr(i) for i in items)})")
        return " ".join(parts)

    return ";".join(map(told, nodes))
