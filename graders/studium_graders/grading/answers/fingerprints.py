"""Fingerprints of code that stay the same when names, comments, layout and the order of statements change.

Each statement is read as a sequence of the kinds of its nodes, in which all names that the code itself defines are
treated as one. Hashes of five nodes in a row are winnowed (Schleimer, Wilkerson and Aiken, SIGMOD 2003) within their
statement: of four consecutive ones, the smallest is kept. Two answers that share eight nodes of a statement therefore
share a fingerprint.
"""

import ast
import re
import warnings
import zlib
from collections.abc import Iterator
from functools import lru_cache

from studium.exercises.syntax import parse

_GRAM, _WINDOW = 5, 4  # nodes in a hash, and hashes of which one is kept
_TOKEN = re.compile(r"[^\W\d]\w*|\d+(?:\.\d+)?|\S")
MOST_READ = 1 << 16  # characters of a cell, since the tree of a megabyte needs half a gigabyte
_DEEPEST = 100  # nodes within one another, since what walks a tree calls itself


@lru_cache(maxsize=65_536)
def fingerprints(source: str) -> frozenset[int]:
    """Return the fingerprints of a piece of Python; for other text, those of its lines of tokens."""
    tree = parsed(source)
    sequences = _broken(source) if tree is None else _statements(tree)
    return frozenset(mark for sequence in sequences for mark in _winnowed(sequence))


def parsed(source: str) -> ast.Module | None:
    """Return the syntax tree of a student's cell, None if it is not Python, or longer or deeper than people write."""
    if len(source) > MOST_READ:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about strings with odd escapes
            tree = parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return None if _is_deep(tree) else tree


def _is_deep(tree: ast.Module) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return bool(level)


def _winnowed(sequence: list[str]) -> Iterator[int]:
    grams = [
        zlib.crc32("\0".join(sequence[start : start + _GRAM]).encode("utf-8", "replace"))
        for start in range(max(1, len(sequence) - _GRAM + 1))
    ]
    for start in range(max(1, len(grams) - _WINDOW + 1)):
        yield min(grams[start : start + _WINDOW])


def _statements(tree: ast.Module) -> Iterator[list[str]]:
    own = own_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not _is_remark(node):
            yield list(_kinds(node, own))


def _is_remark(node: ast.stmt) -> bool:
    """Return whether a statement is a bare constant, such as a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def own_names(tree: ast.Module) -> set[str]:
    """Return the names that the code defines itself, which are the author's to choose."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return names | {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def _kinds(node: ast.AST, own: set[str]) -> Iterator[str]:
    """Return the kinds of a node and of what is below it, without the statements inside."""
    yield _label(node, own)
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.stmt | ast.expr_context):
            yield from _kinds(child, own)


def _label(node: ast.AST, own: set[str]) -> str:
    kind = type(node).__name__
    match node:
        case ast.Name(id=name):
            return "own" if name in own else name
        case ast.Attribute(attr=name):
            return f".{name}"
        case ast.Constant(value=value):
            return repr(value)
        case ast.keyword(arg=name):
            return f"{name}="
        case ast.ExceptHandler():
            return kind
    return kind


def _broken(source: str) -> Iterator[list[str]]:
    for line in source[:MOST_READ].splitlines():
        if tokens := _TOKEN.findall(line.partition("#")[0]):
            yield tokens
