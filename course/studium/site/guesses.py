"""A lesson's questions on its page: the reader moves a mark, and then sees what came out."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor, log10
from typing import Any

from nbformat import NotebookNode

from studium.experiments.predictions import PREDICTION
from studium.notebooks.questions import asked_in, only_asks
from studium.site.prose import show_inline


@dataclass(frozen=True)
class Guess:
    """A question, what came out, and the ends and the step of the line that the mark moves on."""

    question: str
    value: float
    low: float
    high: float
    step: float
    kind: str = "guess"


def findings(notebook: NotebookNode) -> dict[str, float]:
    """Return what came out in a notebook that was run, by the name of the prediction."""
    told = (found for cell in notebook.cells for output in cell.get("outputs", ()) if (found := _told(output)))
    return {str(found["name"]): float(found["value"]) for found in told}


def guesses(source: str, found: dict[str, float]) -> list[Guess]:
    """Return the questions of a cell that only asks; none where one of them has no answer."""
    asked = asked_in(source) if only_asks(source) else []
    if not all(question.name in found for question in asked):
        return []
    return [Guess(show_inline(one.text or one.name), found[one.name], *line_for(found[one.name])) for one in asked]


def without_answers(cell: NotebookNode, asked: set[str]) -> NotebookNode:
    """Return a cell without the outputs that tell what the page asks."""
    outputs = [one for one in cell.get("outputs", ()) if (_told(one) or {}).get("name") not in asked]
    return NotebookNode(cell, outputs=outputs)


def line_for(value: float) -> tuple[float, float, float]:
    """Return ends and step of a line for a value that do not give it away: from 0 to 1, or to a round number beyond."""
    if 0 <= value <= 1:
        return 0.0, 1.0, 0.01
    power = 10.0 ** floor(log10(2 * abs(value)))
    high = next(power * times for times in (1, 2, 5, 10) if power * times >= 2 * abs(value))
    return (-high if value < 0 else 0.0), high, 1.0 if float(value).is_integer() and 10 <= high <= 500 else high / 200


def _told(output: NotebookNode) -> dict[str, Any] | None:
    told = output.get("data", {}).get(PREDICTION)
    return dict(told) if told else None


def names_asked(notebook: NotebookNode, found: dict[str, float]) -> Iterator[str]:
    """Yield the names of the predictions that the page asks for."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and guesses(cell.source, found):
            yield from (question.name for question in asked_in(cell.source))
