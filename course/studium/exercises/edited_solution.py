"""A wrong answer written as edits of the solution, turned into a function."""

import __future__

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from studium.errors import ExerciseError
from studium.exercises.definitions import definition_at
from studium.exercises.edits import BEGIN, END, Edits, edited, overlapping, places, solution_body, without_comments
from studium.exercises.syntax import parse

AnyFunction = Callable[..., Any]


@dataclass(frozen=True)
class MarkedSolution:
    """A solution with its text. ``lines`` are those of its whole file, in which it begins at ``start``."""

    solution: AnyFunction
    lines: Sequence[str]
    start: int

    @property
    def id(self) -> str:
        """The exercise's name."""
        return self.solution.__name__

    @cached_property
    def body(self) -> str:
        """The text between the markers, dedented."""
        body = solution_body(self.lines[self.start :])
        if not body:
            raise ExerciseError(
                f"a mistake of {self.id} edits its solution between ### BEGIN SOLUTION and ### END SOLUTION: these "
                f"are missing; add the two lines"
            )
        return body

    def require(self, what: str, edits: Edits) -> None:
        """Raise ExerciseError, about ``what``, unless each edit fits exactly one place and no two overlap."""
        for old, _ in edits:
            count = sum(1 for _ in places(self.body, old))
            if count == 0:
                raise ExerciseError(
                    f"{what} must edit something between the markers: {old!r} does not occur; copy it from the "
                    f"solution, with all its brackets"
                )
            if count > 1:
                raise ExerciseError(
                    f"{what} must edit a single place: {old!r} occurs in {count} places; include more of the code "
                    f"around it"
                )
        if pair := overlapping(self.body, [old for old, _ in edits]):
            raise ExerciseError(f"the edits of {what} must not overlap: {pair[0]!r} and {pair[1]!r} do; combine them")

    def with_edits(self, name: str, edits: Edits) -> AnyFunction:
        """Return the edited solution, whose source can be looked up. Calls to the exercise's name reach the right
        solution.

        Raise ExerciseError if the result is no longer Python.
        """
        file = f"<{self.solution.__module__}.{self.id}:{name}>"
        try:
            text = f"@{self.id}.mistake({name!r})\n{edited_function(self.lines, self.start, edits)}"
            code = _compiled(text, file, inspect.unwrap(self.solution).__code__.co_flags)
        except SyntaxError as error:
            raise ExerciseError(
                f"the mistake {name!r} of {self.id} must still be Python after the edit: {error.msg} in "
                f"`{(error.text or '').strip()}`; correct the edit"
            ) from error
        linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
        made: dict[str, Any] = {_KEPT: lambda function: function}
        exec(code, _names(self.solution), made)  # noqa: S102 - the author's own text
        function: AnyFunction = made[self.id]
        return function


def edited_function(lines: Sequence[str], start: int, edits: Edits) -> str:
    """Return the function at ``start`` with its solution edited, without its first decorator, docstring and comments.

    ``lines`` are those of its file; each edit fits.
    """
    own = definition_at(list(lines), start).splitlines(keepends=True)
    first, last = (next(n for n, line in enumerate(own) if line.strip() == mark) for mark in (BEGIN, END))
    indent = own[first][: own[first].index("#")]
    body = textwrap.indent(edited(solution_body(lines[start:]), edits), indent)
    return without_comments(_without_docstring("".join([*own[:first], body, *own[last + 1 :]])))


def marked_solution(solution: AnyFunction) -> MarkedSolution:
    """Return a solution with the current text of its file."""
    code = inspect.unwrap(solution).__code__
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename, inspect.unwrap(solution).__globals__)
    return MarkedSolution(solution, lines, code.co_firstlineno - 1)


_KEPT = "_as_it_is"  # the name of a decorator that takes the place of the one that registers the exercise


def _compiled(text: str, file: str, flags: int) -> Any:
    tree = parse(text, file)
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    first = function.decorator_list[0]
    function.decorator_list[0] = ast.copy_location(ast.Name(_KEPT, ast.Load()), first)
    return compile(tree, file, "exec", flags & __future__.annotations.compiler_flag, dont_inherit=True)


def _names(solution: AnyFunction) -> dict[str, Any]:
    """Return the names that a solution can use: those of its module, and those of an enclosing function."""
    function = inspect.unwrap(solution)
    around = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    names: dict[str, Any] = function.__globals__
    return names | {name: cell.cell_contents for name, cell in around.items()} if around else names


def _without_docstring(text: str) -> str:
    body = parse(text).body[0].body  # type: ignore[attr-defined]
    if not (isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and len(body) > 1):
        return text
    lines = text.splitlines(keepends=True)
    return "".join([*lines[: body[0].lineno - 1], *lines[body[0].end_lineno :]])
