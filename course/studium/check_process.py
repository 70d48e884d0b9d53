"""The child of ``clean_check``: runs a notebook's cells, then checks its exercises, and writes down each step.

One request comes as JSON on standard input; events go as JSON lines to the file that it names.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec
from IPython.core.interactiveshell import InteractiveShell

from studium.catalogue import load_catalogue
from studium.checking import ExerciseResult, check, failed
from studium.exercises import Exercise


class CodeCell(msgspec.Struct, frozen=True):
    """A cell to run: its source, and the exercise that is answered in it ("" for none)."""

    source: str
    exercise: str = ""


class Request(msgspec.Struct):
    """What to do: run the cells, check the exercises, write events to the file."""

    topic: str
    cells: list[CodeCell]
    exercises: list[str]
    events: str


class Event(msgspec.Struct):
    """What comes next (the number of a cell, or an exercise), or an exercise's result, or how it ended early."""

    cell: int | None = None
    exercise: str = ""
    result: ExerciseResult | None = None
    ending: str = ""


def run(request: Request) -> None:
    """Carry out one request."""
    topic = load_catalogue()[request.topic]
    exercises = topic.exercises  # imports what they need, torch as a rule, before the first time limit begins
    with Path(request.events).open("ab", buffering=0) as file:

        def tell(event: Event) -> None:
            file.write(msgspec.json.encode(event) + b"\n")

        shell = InteractiveShell.instance(history_load_length=0)
        errors: dict[str, str] = {}
        for number, cell in enumerate(request.cells):
            tell(Event(cell=number))
            if error := _run_cell(shell, cell):
                errors[cell.exercise] = error
        for name in request.exercises:
            tell(Event(exercise=name))
            tell(Event(exercise=name, result=_check(topic.slug, exercises[name], shell.user_ns, errors)))


def _run_cell(shell: InteractiveShell, cell: CodeCell) -> str:
    """Run one cell; give the sentence that says why it failed, or ""."""
    outcome = shell.run_cell(cell.source, store_history=False)
    error = outcome.error_before_exec or outcome.error_in_exec
    if error is None:
        return ""
    where = f" (line {error.lineno} of the cell)" if isinstance(error, SyntaxError) and error.lineno else ""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"the cell does not run: {type(error).__name__}: {message}{where}"


def _check(topic: str, exercise: Exercise, names: dict[str, Any], errors: dict[str, str]) -> ExerciseResult:
    if exercise.id not in names and exercise.id in errors:
        return failed(exercise, errors[exercise.id])
    return check(topic, exercise, names.get(exercise.id))


if __name__ == "__main__":
    run(msgspec.json.decode(sys.stdin.buffer.read(), type=Request))
