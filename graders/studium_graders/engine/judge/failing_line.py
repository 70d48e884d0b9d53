"""The line of the instructor's code at which a test failed."""

import ast
import functools
import linecache
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from studium.exercises.syntax import parse

_MESSAGE_WORDS = {"message", "msg", "err_msg"}
_NUMBER = re.compile(r"(?<![A-Za-z_\d])\d")


@dataclass(frozen=True)
class FailingLine:
    """The deepest line of test code in a traceback, and the variables there."""

    filename: str
    number: int
    variables: dict[str, Any]

    @property
    def line(self) -> str:
        """The text of the line."""
        return linecache.getline(self.filename, self.number).strip()

    @property
    def assertion(self) -> ast.Assert | None:
        """The assert statement there."""
        found: ast.Assert | None = self._around(ast.Assert)
        return found

    @property
    def safe_literal(self) -> str:
        """The author's message for this failure where it says nothing of the test's data, else ""."""
        literal = self._literal()
        tree = _tree(self.filename)
        if not literal or tree is None or _NUMBER.search(literal):
            return ""
        inside = next((node for node in tree.body if _holds(node, self.number)), tree)
        function = inside if isinstance(inside, ast.FunctionDef) else tree
        strings = {node.value for node in ast.walk(function) if isinstance(node, ast.Constant)} - _literals(function)
        return "" if any(isinstance(s, str) and len(s) > 1 and s in literal for s in strings) else literal

    def _literal(self) -> str:
        statement = self.assertion
        if statement is not None:
            return _constant(statement.msg)
        call = self._around(ast.Call)
        words = [] if call is None else [word.value for word in call.keywords if word.arg in _MESSAGE_WORDS]
        return _constant(words[0]) if words else ""

    def _around(self, kind: type[Any]) -> Any:
        tree = _tree(self.filename)
        found = (
            [node for node in ast.walk(tree) if isinstance(node, kind) and _holds(node, self.number)] if tree else []
        )
        return min(found, key=lambda node: node.end_lineno - node.lineno, default=None)


def failing_line(traceback: TracebackType | None, is_test: Callable[[str], bool]) -> FailingLine | None:
    """Find the deepest frame whose file is the instructor's."""
    found = None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if is_test(code.co_filename):
            found = FailingLine(code.co_filename, traceback.tb_lineno, _own(traceback.tb_frame.f_locals))
        traceback = traceback.tb_next
    return found


def _own(variables: Any) -> dict[str, Any]:
    """Return the values that are in the judge, without asking the student's process for any."""
    return dict(dict.items(variables)) if isinstance(variables, dict) else dict(variables)


@functools.cache
def _tree(filename: str) -> ast.Module | None:
    try:
        return parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return None


def _holds(node: Any, line: int) -> bool:
    return bool(node.lineno <= line <= (node.end_lineno or node.lineno))


def _literals(tree: ast.AST) -> set[Any]:
    """Return the literals that stand where a message stands, and docstrings."""
    messages = [node.msg for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    messages += [word.value for call in calls for word in call.keywords if word.arg in _MESSAGE_WORDS]
    return {_constant(node) for node in messages}


def _constant(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
