"""Finding a solution in code that gives its variables other names."""

import ast
import contextlib
from collections.abc import Iterator, Sequence

from studium.exercises import Exercise
from studium.sources import solved, stub

_SMALLEST = 16  # nodes of the syntax tree; less, such as a softmax of a quotient, is anybody's


def holds_renamed(wanted: Sequence[ast.AST], text: str) -> bool:
    """Return whether a text is Python that does what ``wanted`` does, step by step, whatever its names are."""
    if sum(1 for node in wanted for _ in ast.walk(node)) < _SMALLEST:
        return False
    with contextlib.suppress(SyntaxError, ValueError):
        shape = _shape(wanted)
        return any(_shape(found) == shape for found in _like(wanted, ast.parse(text)))
    return False


def own_part(exercise: Exercise) -> Sequence[ast.AST]:
    """Return the statements that are in the solution and not in the stub; of a single `return`, what it returns."""
    known = {ast.dump(node) for node in _body(stub(exercise))}
    own = [node for node in _body(solved(exercise)) if ast.dump(node) not in known]
    return [own[0].value] if len(own) == 1 and isinstance(own[0], ast.Return) and own[0].value else own


def _body(text: str) -> list[ast.stmt]:
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    return function.body


def _like(wanted: Sequence[ast.AST], tree: ast.AST) -> Iterator[Sequence[ast.AST]]:
    """Return what may be the same: expressions of its kind, or as many statements in a row."""
    for node in ast.walk(tree):
        if isinstance(wanted[0], ast.expr):
            if type(node) is type(wanted[0]):
                yield [node]
            continue
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kinds = [type(statement) for statement in wanted]
            windows = (body[start : start + len(wanted)] for start in range(len(body) - len(wanted) + 1))
            yield from (window for window in windows if [type(statement) for statement in window] == kinds)


def _shape(nodes: Sequence[ast.AST]) -> str:
    """Return what the nodes say, with each name replaced by its place in the order of names."""
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
