"""The child process of ``lesson_run``: runs a lesson's cells and tells the notebook, then their events."""

import time
from pathlib import Path
from typing import Any

import msgspec
import nbformat
from IPython.core.displayhook import CapturingDisplayHook
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbformat.v4 import new_output

from studium.authoring.blockade import BLOCKADE
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.verdict import Verdict
from studium.experiments.measuring import peak_mb
from studium.notebooks.editions import compile_lesson, compile_solution, role
from studium.workers.job import Tell

_LARGEST = 2_000_000  # bytes of an output


class Event(msgspec.Struct, frozen=True):
    """The start or end of a cell. An end has its seconds, what went wrong, and the peak memory so far.

    ``outputs`` is what the cell showed, in the notebook's format; ``wanted`` is what it tried to reach on other
    machines.
    """

    edition: str
    cell: str
    seconds: float = 0.0
    peak_mb: float = 0.0
    problem: str = ""
    outputs: list[dict[str, Any]] = []
    wanted: list[str] = []


def waited(process: int | str = "self") -> float:
    """Return how many seconds a process was ready to run but others had the processor; 0 if the system does not count
    them.

    Subtracting them makes a lesson's time the same on a busy machine as on an idle one.
    """
    path = Path(f"/proc/{process}/schedstat")
    try:
        return int(path.read_text("utf-8").split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def run(slug: str, tell: Tell) -> None:
    """Run both editions of the lesson. Each cell has two events, one at its start and one at its end."""
    catalogue = load_catalogue()
    topic = catalogue[slug]
    notebook = compile_lesson(topic, catalogue.manager)
    shell = InteractiveShell.instance(history_load_length=0)
    with BLOCKADE:
        tell(nbformat.writes(notebook))
        _run_cells("lesson", notebook.cells, shell, tell)
        shell.reset()
        solved = compile_solution(topic, catalogue.manager)
        _run_cells("solution", [cell for cell in solved.cells if role(cell) != "experiment"], shell, tell)


def _run_cells(edition: str, cells: list[Any], shell: InteractiveShell, tell: Tell) -> None:
    for cell in cells:
        if cell.cell_type == "code":
            tell(Event(edition, cell.id))
            tell(_run_cell(edition, cell, shell))


def _run_cell(edition: str, cell: Any, shell: InteractiveShell) -> Event:
    start = time.perf_counter() - waited()
    with capture_output() as captured:
        shell.display_trap.hook = result = _Result(shell, captured._outputs)
        outcome = shell.run_cell(cell.source, store_history=False)
    seconds = time.perf_counter() - waited() - start
    error, wanted = outcome.error_before_exec or outcome.error_in_exec, BLOCKADE.take()
    problem = f"{type(error).__name__}: {error}" if error else _wrong(edition, result.value)
    memory = round(peak_mb(children=True), 1)
    outputs = _outputs(captured) if edition == "lesson" else []
    return Event(edition, cell.id, round(seconds, 3), memory, "" if wanted else problem, outputs, wanted)


class _Result(CapturingDisplayHook):  # type: ignore[misc]
    """Captures the value of a cell's last line as an output, and keeps it."""

    value: object = None

    def __call__(self, result: object = None) -> None:
        self.value = result
        super().__call__(result)


def _outputs(captured: Any) -> list[dict[str, Any]]:
    said = [new_output("stream", name="stdout", text=captured.stdout)] if captured.stdout else []
    shown = [new_output("display_data", data=output.data) for output in captured.outputs]
    return [output for output in (*said, *shown) if len(msgspec.json.encode(output)) < _LARGEST]


def _wrong(edition: str, value: object) -> str:
    """Report a check in the solved lesson that is not right."""
    if edition != "solution" or not isinstance(value, Verdict) or value.result.outcome == "right":
        return ""
    return f"there the solution of {value.result.id} is {value.result.outcome}"
