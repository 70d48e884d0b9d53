"""Given classes whose objects are what they hold: they cross as data, and their methods run where a test calls them."""

import ast
from collections.abc import Iterable, Iterator

from studium_graders.engine.judge.names import Statement
from studium_graders.engine.kinds.given_instances import MACHINERY

_DATA = {"dataclass", "NamedTuple", "Enum", "IntEnum", "StrEnum", "TypedDict"}
_ORDERING = {"functools", "total_ordering"}


def is_data(node: ast.ClassDef) -> bool:
    """Return whether a class is one of plain data by how it is written."""
    return bool(_words([*node.decorator_list, *node.bases]) & _DATA)


def is_value(node: ast.ClassDef) -> bool:
    """Return whether a class says itself which of its objects are equal, and neither links them nor counts them."""
    named = {inner.name for inner in node.body if isinstance(inner, ast.FunctionDef)}
    named |= {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)}
    plain = not node.bases and not node.keywords and _words(node.decorator_list) <= _ORDERING
    return plain and "__eq__" in named and not named & MACHINERY and not any(_links(node))


def extended(items: Iterable[Statement]) -> frozenset[str]:
    """Name the classes that classes are made from."""
    nodes = (inner for item in items for inner in ast.walk(item.node) if isinstance(inner, ast.ClassDef))
    return frozenset(name for node in nodes for name in _words(node.bases))


def _words(parts: Iterable[ast.expr]) -> set[str]:
    return {getattr(inner, "id", getattr(inner, "attr", "")) for part in parts for inner in ast.walk(part)} - {""}


def _links(node: ast.ClassDef) -> Iterator[bool]:
    """Look for a place that waits for another object, as ``next=None`` does, and for changes of the class itself."""
    for inner in ast.walk(node):
        match inner:
            case ast.arguments(defaults=defaults, kw_defaults=more):
                yield any(isinstance(value, ast.Constant) and value.value is None for value in [*defaults, *more])
            case ast.Assign(value=ast.Constant(None)) | ast.AnnAssign(value=ast.Constant(None)):
                yield True
            case ast.Attribute(value=ast.Name(name), ctx=ast.Store()):
                yield name in (node.name, "cls")
