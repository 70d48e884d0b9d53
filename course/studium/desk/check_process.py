"""The process that checks answers: it runs a notebook's cells, then its exercises, and records each step.

It is either started for one request, which comes as JSON on standard input, or forked from a warm process
(``desk.zygote``); both behave the same. Events go as JSON lines to the file named in the request.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from studium.catalogue.catalogue import load_catalogue
from studium.desk.places import VARIABLE
from studium.exercises.checking import ExerciseResult, TestRun, examine, failed, first_difference
from studium.exercises.comparison import saved_difference
from studium.exercises.model import Exercise
from studium.notebooks.needed_cells import CodeCell
from studium.topics.topic import Topic


class Request(msgspec.Struct):
    """What to do: run the cells, check the exercises, write events to the file.

    With ``differences``, arrays that differ in a wrong answer are shown too. ``scratch`` is a folder that may be
    written to. ``memory_mb`` is how much more memory the process may take; 0 means no limit.
    """

    topic: str
    cells: list[CodeCell]
    exercises: list[str]
    scratch: str
    memory_mb: float = 0.0
    differences: bool = False

    @property
    def events(self) -> Path:
        """The file for events."""
        return Path(self.scratch) / "events"


class Event(msgspec.Struct):
    """What comes next (the number of a cell, or an exercise), an exercise's result, or why it ended early.

    ``difference`` shows the arrays that differ, by MIME type, if requested.
    """

    cell: int | None = None
    exercise: str = ""
    result: ExerciseResult | None = None
    ending: str = ""
    difference: dict[str, Any] = {}


def prepare() -> InteractiveShell:
    """Return a quiet shell that writes no history."""
    config = Config()
    config.HistoryManager.enabled = False  # it would use a thread and a file
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.xmode = "Plain"
    shell = InteractiveShell.instance(config=config, history_length=0)
    shell.compile.flags = (
        0  # compiled like a file: IPython's own call reports many errors as "incomplete input" and nothing more
    )
    return shell


def prepare_topic(topic: Topic) -> dict[str, Exercise]:
    """Import what the exercises need, usually torch, and return them."""
    exercises = topic.exercises
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)  # the learner's kernel may be training
    return exercises


def run(request: Request, shell: InteractiveShell, topic: Topic) -> None:
    """Carry out one request."""
    os.environ[VARIABLE] = request.scratch  # a check within a check must not count as an attempt
    exercises = prepare_topic(topic)  # before the first time limit starts
    _limit_memory(request.memory_mb)
    with request.events.open("ab", buffering=0) as file:

        def tell(event: Event) -> None:
            file.write(msgspec.json.encode(event) + b"\n")

        errors: dict[str, str] = {}
        for number, cell in enumerate(request.cells):
            tell(Event(cell=number))
            if error := _run_cell(shell, cell):
                errors[cell.exercise] = error
        for name in request.exercises:
            tell(Event(exercise=name))
            result, runs = _check(topic, exercises[name], shell.user_ns, errors)
            shown = first_difference(runs) if request.differences else None
            tell(Event(exercise=name, result=result, difference=saved_difference(shown) if shown else {}))


def _limit_memory(more_mb: float) -> None:
    """Limit how much more memory this process may take, so an allocation fails instead of the whole machine."""
    if not more_mb or not sys.platform.startswith("linux"):  # other systems do not enforce the limit
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[5])  # data and stack, as RLIMIT_DATA counts them
    most = pages * resource.getpagesize() + int(more_mb * 2**20)
    with contextlib.suppress(ValueError, OSError):  # a lower limit is already set
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _run_cell(shell: InteractiveShell, cell: CodeCell) -> str:
    """Run one cell; return a sentence about why it failed, or ""."""
    outcome = shell.run_cell(cell.source, store_history=False)
    error = outcome.error_before_exec or outcome.error_in_exec
    if error is None:
        return ""
    return f"the cell does not run: {type(error).__name__}: {_told(error)}"


def _told(error: BaseException) -> str:
    """Return an error's message, with the line number of a syntax error."""
    if not isinstance(error, SyntaxError):
        return str(error)
    return f"{error.msg} (line {error.lineno} of the cell)" if error.lineno else error.msg


def _check(
    topic: Topic, exercise: Exercise, names: dict[str, Any], errors: dict[str, str]
) -> tuple[ExerciseResult, list[TestRun]]:
    if exercise.id not in names and exercise.id in errors:
        return failed(exercise, errors[exercise.id]), []
    return examine(topic.slug, exercise, names.get(exercise.id), beside=topic.exercises)


if __name__ == "__main__":
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    run(given, prepare(), load_catalogue()[given.topic])
