"""What the student wrote, from the canonical notebook: the only text of theirs that a test or a message is given."""

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FunctionType, MethodType
from typing import Any
from unittest import mock

from studium_graders.engine.judge.python_text import parse
from studium_graders.engine.kinds.functions import FunctionProxy
from studium_graders.engine.kinds.proxies import BoundMethod, ProxyClass
from studium_graders.engine.kinds.special_methods import special_method

_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_BLOCKS = ast.stmt | ast.excepthandler | ast.match_case
_find = inspect.findsource


class CanonicalText:
    """The cells that have run so far. What bound a name last counts, as it does in the student's process."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._lines: set[str] = set()
        self._texts: dict[str, str] = {}
        self._other_names: dict[str, str] = {}
        self._bases: dict[str, list[str]] = {}
        self._unseen: set[str] = set()
        self._all_unseen = False

    def add(self, source: str) -> None:
        """Take in a cell."""
        self._waiting.append(source)

    def source_of(self, path: str) -> str | None:
        """Return the text of a function or class by its global name, or by ``Class.method``; None where it has none."""
        self._read()
        unseen = self._all_unseen or path.partition(".")[0] in self._unseen
        return None if unseen else self._find(path, set())

    def _find(self, path: str, seen: set[str]) -> str | None:
        while path in self._other_names and path not in seen:
            seen.add(path)
            path = self._other_names[path]
        if path in self._texts or path in seen:
            return self._texts.get(path)
        owner, _, method = path.partition(".")
        inherited = (self._find(f"{base}.{method}", seen | {path}) for base in self._bases.get(owner, ()))
        return next((text for text in inherited if text is not None), None)

    def has_line(self, line: str) -> bool:
        """Return whether a line is the student's own, word for word."""
        self._read()
        return bool(line.strip()) and line.strip() in self._lines

    def _read(self) -> None:
        for source in self._waiting:
            self._lines.update(line.strip() for line in source.splitlines())
            tree = parse(source)
            for node in [] if tree is None else tree.body:
                self._bind(node, source.splitlines(keepends=True))
            if tree is not None:
                self._bind_unseen(tree)
        self._waiting.clear()

    def _bind(self, node: ast.AST, lines: list[str], owner: str = "") -> None:
        if isinstance(node, _DEFINITIONS):
            self._put(owner + node.name, _segment(lines, node))
            if isinstance(node, ast.ClassDef):
                self._bases[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]
            for inner in node.body if isinstance(node, ast.ClassDef) else []:
                self._bind(inner, lines, f"{node.name}.")
        elif isinstance(node, ast.Assign):
            self._forget(_names(node.value))
            for target in node.targets:
                for name in _names(target):
                    self._assign(owner + name, node.value, _segment(lines, node))
        elif isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            known = sys.modules.get(node.module or "")
            self._forget([*self._texts] if known is None else vars(known))
        else:
            for child in ast.iter_child_nodes(node):  # a definition under if, try or with
                if isinstance(child, _BLOCKS):
                    self._bind(child, lines, owner)
                else:
                    self._forget(owner + name for name in _names(child))

    def _assign(self, name: str, value: ast.expr, text: str) -> None:
        wrapped = _wrapped(value)
        if name != wrapped:
            self._put(name, text if isinstance(value, ast.Lambda) else None)
            if wrapped:
                self._other_names[name] = wrapped

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            self._put(name, None)

    def _bind_unseen(self, tree: ast.Module) -> None:
        """Take note of what is bound where nobody sees it: by a function, by text, or in what ``globals()`` gives."""
        asked = {id(node.comparators[0]) for node in ast.walk(tree) if isinstance(node, ast.Compare)}
        for node in ast.walk(tree):
            match node:
                case ast.Global(names):
                    self._unseen.update(names)
                case ast.Call(ast.Name("exec" | "globals")) if id(node) not in asked:
                    self._all_unseen = True

    def _put(self, name: str, text: str | None) -> None:
        self._other_names.pop(name, None)
        self._texts.pop(name, None)
        if text is not None:
            self._texts[name] = text


def _names(node: ast.AST) -> Iterator[str]:
    """Name what is bound in a part of a statement, also as ``Class.method``; who changes its code binds a function."""
    for part in ast.walk(node):
        match part:
            case ast.Name(name, ast.Store() | ast.Del()):
                yield name
            case ast.Attribute(ast.Name(name), attribute, ast.Store() | ast.Del()):
                yield name if attribute == "__code__" else f"{name}.{attribute}"
            case ast.alias(name, other):
                yield other or name


def _wrapped(value: ast.expr) -> str:
    """Name the function that is bound to another name as it is, or to any as a decorator's call makes it."""
    if isinstance(value, ast.Call) and value.args:
        value = value.args[0]
    return value.id if isinstance(value, ast.Name) else ""


def _segment(lines: list[str], node: ast.stmt) -> str:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(item.lineno for item in decorators)])
    return "".join(lines[first - 1 : node.end_lineno])


@contextmanager
def readable(text: CanonicalText) -> Iterator[None]:
    """Let ``inspect.getsource`` of a student's function or class give the canonical text."""

    def findsource(value: Any) -> tuple[list[str], int]:
        path = _path(value)
        if path is None and not _is_of_engine(value):
            return _find(value)
        source = None if path is None else text.source_of(path)
        if source is None:
            raise OSError("could not get source code")
        return source.splitlines(keepends=True), 0

    with mock.patch.object(inspect, "findsource", findsource):
        yield


def _is_of_engine(value: Any) -> bool:
    """Return whether something stands for an operator of the student's, whose text is the engine's own."""
    return isinstance(value, FunctionType | MethodType) and value.__module__ == special_method.__module__


def _path(value: Any) -> str | None:
    """Return where the judge got an object of the student's: its name, which the student does not choose."""
    match value:
        case FunctionProxy():
            return value._path.removesuffix(".__wrapped__")  # of a cached one
        case BoundMethod():
            return _path(type(value.__self__)) and f"{_path(type(value.__self__))}.{value.__name__}"
        case ProxyClass():
            handle = type.__getattribute__(value, "__dict__").get("_handle")
            return None if handle is None else str(handle.path)
    return None
