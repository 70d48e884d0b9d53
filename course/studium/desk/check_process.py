"""The process that checks answers: it runs a notebook's cells, then its exercises, and records each step.

It is either started for one request, or forked from a warm process (``desk.zygote``); both behave the same.
"""

import ast
import contextlib
import gc
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from studium.catalogue.catalogue import Catalogue, load_catalogue
from studium.desk.places import VARIABLE
from studium.exercises.checking import ExerciseResult, TestRun, examine, failed, first_difference
from studium.exercises.comparison import saved_difference
from studium.exercises.model import Exercise
from studium.exercises.syntax import parse
from studium.notebooks.needed_cells import CodeCell
from studium.topics.topic import Topic
from studium.workers.ends import limit_memory
from studium.workers.job import Tell


class Request(msgspec.Struct):
    """What to do: run the cells, check the exercises, and tell events.

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


@cache
def _catalogue() -> Catalogue:
    """The topics that were installed when this process needed them first."""
    return load_catalogue()


def warm(slug: str, tell: Tell) -> None:
    """Import what a topic's checks and its lesson import, so forks of this process need not."""
    _warm(slug)


@cache
def _warm(slug: str) -> None:
    topic = _catalogue()[slug]
    prepare()
    prepare_topic(topic)
    _import_as_lesson(topic)
    _use_torch()
    gc.collect()
    gc.freeze()


def run(request: Request, tell: Tell) -> None:
    """Carry out one request."""
    topic, shell = _catalogue()[request.topic], prepare()
    os.environ[VARIABLE] = request.scratch  # a check within a check must not count as an attempt
    exercises = prepare_topic(topic)  # before the first time limit starts
    limit_memory(request.memory_mb)
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


def _import_as_lesson(topic: Topic) -> None:
    """Import everything that a lesson imports. If a statement fails, the cell it is in will report that."""
    for node in parse(topic.lesson.read_text("utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            with contextlib.suppress(Exception):
                exec(compile(ast.Module([node], []), "<lesson>", "exec"), {})  # noqa: S102


def _use_torch() -> None:
    """Use torch once, with one thread: first uses take up to seconds, especially for optimisers."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    repr(torch.ones(2))
