"""Dotted names in code, with what imports made of them."""

import ast
from collections.abc import Iterable, Mapping


def imported_names(trees: Iterable[ast.Module]) -> dict[str, str]:
    """Return what each imported name stands for: ``{"np": "numpy", "patch": "unittest.mock.patch"}``."""
    names: dict[str, str] = {}
    for node in (inner for tree in trees for inner in ast.walk(tree)):
        if isinstance(node, ast.Import):
            names |= {
                a.asname or a.name.partition(".")[0]: a.name if a.asname else a.name.partition(".")[0]
                for a in node.names
            }
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return names


def path_of(node: ast.AST, imports: Mapping[str, str]) -> str:
    """Return the dotted name of an expression, with imported names spelt out; "" where it has none."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([imports.get(node.id, node.id), *reversed(parts)])


def root_of(node: ast.AST) -> str:
    """Return the name at the bottom of a dotted expression, or ""."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def is_within(path: str, places: Iterable[str]) -> bool:
    """Return whether a dotted name is one of ``places`` or below one."""
    return any(path == place or path.startswith(f"{place}.") for place in places)
