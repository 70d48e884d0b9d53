"""The code of a mistake as the learner's starting cell, and whether an answer is still that code."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import lru_cache
from types import CodeType
from typing import Any

from studium.errors import ExerciseError
from studium.exercises.edits import without_comments
from studium.exercises.syntax import parse


def with_code(text: str, mistake: str) -> str:
    """Return the function ``text`` with its statements replaced by those of the function ``mistake``.

    Its head and docstring stay; comments of the mistake, which may give it away, are left out. Raise ExerciseError if
    the two take different arguments.
    """
    mistake = without_comments(mistake)
    function, wrong = _function(text), _function(mistake)
    if _names(function.args) != _names(wrong.args):
        raise ExerciseError(
            f"the mistake that {function.name} shows must take its arguments, ({ast.unparse(function.args)}): got "
            f"({ast.unparse(wrong.args)}); rename them"
        )
    lines = text.splitlines(keepends=True)
    indent = " " * function.body[0].col_offset
    return "".join(lines[: _end_of_head(lines, function)]) + textwrap.indent(_statements(mistake, wrong), indent)


def is_same_code(function: Callable[..., Any], text: str) -> bool:
    """Return whether a function is the one in ``text``, docstring included, whatever its line numbers."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return isinstance(code, CodeType) and _facts(code) == _facts_of(text)


@lru_cache(maxsize=256)  # called for each check of an answer
def _facts_of(text: str) -> Any:
    module = compile(text, "<start>", "exec", dont_inherit=True)
    codes = [value for value in module.co_consts if isinstance(value, CodeType)]
    return _facts(codes[-1])


def _facts(code: CodeType) -> Any:
    """Return what a function does, as values that are equal wherever it was compiled."""
    constants = [_facts(value) if isinstance(value, CodeType) else (type(value), value) for value in code.co_consts]
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    return code.co_code, constants, names, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount


def _function(text: str) -> ast.FunctionDef:
    node = parse(text).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


def _names(arguments: ast.arguments) -> list[str]:
    return [node.arg for node in ast.walk(arguments) if isinstance(node, ast.arg)]


def _end_of_head(lines: list[str], function: ast.FunctionDef) -> int:
    """Return how many lines of a function come before its statements: its head and docstring."""
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        return first.end_lineno or first.lineno
    end = first.lineno - 1
    while lines[end - 1].lstrip().startswith("#") or not lines[end - 1].strip():
        end -= 1
    return end


def _statements(text: str, function: ast.FunctionDef) -> str:
    """Return a function's statements, dedented, without its docstring."""
    body = function.body[1 if ast.get_docstring(function) is not None else 0 :]
    first = min([body[0].lineno, *(item.lineno for item in getattr(body[0], "decorator_list", ()))])
    column = body[0].col_offset
    lines = text.splitlines()[first - 1 : function.end_lineno]
    return textwrap.dedent("\n".join([" " * column + lines[0][column:], *lines[1:]])).rstrip() + "\n"
