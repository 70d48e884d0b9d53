"""The mistake that an exercise shows, read from its file's text: nothing is imported and nothing runs."""

import ast
from collections.abc import Iterator
from typing import Any

from studium.errors import ExerciseError
from studium.exercises.definitions import without_first_decorator
from studium.exercises.edited_solution import edited_function


def shown_mistake(module: ast.Module, lines: list[str], node: ast.FunctionDef, shows: ast.expr, name: str) -> str:
    """Return the function of the mistake that the exercise ``node`` shows; ``name`` is the file's, for messages.

    Raise ExerciseError if it cannot be read because something is not plain text.
    """
    wanted = _value(shows)
    for found, text in _mistakes(module, lines, node):
        if found == wanted:
            return text
    raise ExerciseError(
        f"{node.name} in {name} must show a mistake that is in the same file, with its name and its edits written as "
        f"plain text: there is none for {ast.unparse(shows)}; write it there"
    )


def _mistakes(module: ast.Module, lines: list[str], node: ast.FunctionDef) -> Iterator[tuple[object, str]]:
    """Return each mistake of an exercise that is written as plain text: its name and its function."""
    for item in module.body:
        if isinstance(item, ast.FunctionDef) and item.decorator_list:
            if (call := _call(item.decorator_list[0], node.name, "misconception")) is not None:
                yield _value(_keywords(call).get("name")), without_first_decorator(lines, item)
        elif isinstance(item, ast.Expr) and (call := _call(item.value, node.name, "mistake")) is not None:
            given = ({"name": call.args[0]} if call.args else {}) | _keywords(call)
            if edits := _edits(given):
                yield _value(given.get("name")), edited_function(lines, node.decorator_list[0].lineno - 1, edits)


def _edits(given: dict[str, ast.expr]) -> list[tuple[str, str]]:
    """Return the pairs given by the arguments of ``mistake``; none if one is not plain text."""
    pairs: Any = _value(given.get("edits")) or [(_value(given.get("replace")), _value(given.get("by")))]
    return list(pairs) if all(isinstance(text, str) for pair in pairs for text in pair) else []


def _call(value: ast.expr, exercise: str, method: str) -> ast.Call | None:
    """Return the call ``exercise.method(…)`` if a value is one."""
    is_one = isinstance(value, ast.Call) and ast.unparse(value.func) == f"{exercise}.{method}"
    return value if isinstance(value, ast.Call) and is_one else None


def _keywords(call: ast.Call) -> dict[str, ast.expr]:
    return {word.arg: word.value for word in call.keywords if word.arg}


def _value(node: ast.expr | None) -> object:
    """Return a value written as plain text; None for anything else."""
    try:
        return ast.literal_eval(node) if node is not None else None
    except ValueError:
        return None
