"""The text of a function as a learner sees it: without the decorator that registers it."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

from studium.exercises.syntax import parse


def definition(function: Callable[..., Any]) -> str:
    """Return a function's source without the decorator that registers it, dedented, with the comments at its end.

    Decorators below that one, such as ``@torch.no_grad()``, are part of the answer.
    """
    return definition_at(*inspect.findsource(inspect.unwrap(function)))


def definition_at(lines: list[str], start: int) -> str:
    """Return the same for the function that begins at the line ``start`` of a file, counted from 0."""
    text = textwrap.dedent("".join(inspect.getblock(lines[start:])))
    return without_first_decorator(lines, parse(text).body[0], start)


def without_first_decorator(lines: list[str], node: ast.stmt, start: int = 0) -> str:
    """Return the lines of a definition, parsed from ``start`` on, below its first decorator, dedented."""
    first = next(iter(getattr(node, "decorator_list", ())[1:]), node)
    end = start + (node.end_lineno or 0)
    while end < len(lines) and re.match(r"[ \t]+#", lines[end]):  # the closing marker is a comment
        end += 1
    return textwrap.dedent("".join(lines[start + first.lineno - 1 : end]))
