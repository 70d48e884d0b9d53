"""Whether a test asks if two things are one object: in two processes there are copies."""

import ast
from collections.abc import Collection

_ASKING = {"id", "shares_memory", "may_share_memory"}


def asks_for_identity(tree: ast.AST, names: Collection[str]) -> bool:
    """Return whether a test compares what is known under one of ``names`` with something else by identity."""
    return any(_root(side) in names for node in ast.walk(tree) for side in _compared(node))


def _compared(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Compare(left, operators, others) if any(isinstance(one, ast.Is | ast.IsNot) for one in operators):
            sides = [left, *others]
            return [] if any(isinstance(side, ast.Constant) for side in sides) else sides
        case ast.Call(ast.Name(name) | ast.Attribute(_, name), args) if name in _ASKING:
            return args
    return []


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
