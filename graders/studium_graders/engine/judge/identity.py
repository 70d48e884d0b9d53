"""Whether a test asks if two things are one object."""

import ast
from collections.abc import Collection

from studium_graders.engine.judge.python_text import parse

_ASKING = {"id", "shares_memory", "may_share_memory"}


def asks_for_identity(source: str, names: Collection[str]) -> bool:
    """Tell whether a test compares what has one of ``names`` with something else by identity."""
    tree = parse(source)
    nodes = [] if tree is None else [node for node in ast.walk(tree) if _asks(node)]
    return any(inner.id in names for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name))


def _asks(node: ast.AST) -> bool:
    match node:
        case ast.Compare(left, operators, others):
            sides = not any(isinstance(side, ast.Constant) for side in (left, *others))
            return sides and any(isinstance(operator, ast.Is | ast.IsNot) for operator in operators)
        case ast.Call(ast.Name(name) | ast.Attribute(_, name)):
            return name in _ASKING
    return False
