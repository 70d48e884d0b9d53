"""What the outputs of a test cell reveal if there is no result from the engine, since nbgrader keeps nothing else."""

import builtins
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from studium_graders.engine.material.assignment import Cell
from studium_graders.feedback.outputs import plain, show_text, traceback_of

_FAILING_LINE = re.compile(r"^-+>\s*\d+ (.*)$", re.MULTILINE)
_OF_THE_ENGINE = (
    "TestFailed",
    "NotAttempted",
    "WaitsForMarking",
)  # as SplitExecute leaves them, for display
_LONGEST = 600  # characters of a message
_UNTOLD = "the test stopped at an error"


class Told(msgspec.Struct, frozen=True):
    """Why a test cell failed: a sentence, and the traceback as HTML if the student may see it."""

    message: str = ""
    trace: str = ""
    stub: bool = False  # the error is the one that an untouched answer raises
    by_engine: bool = False


def told_by(outputs: list[Mapping[str, Any]], cell: Cell, released: str) -> Told:
    """Interpret the outputs of a test as nbgrader's scoring does: the first error or printed warning counts."""
    for output in outputs:
        if output.get("output_type") == "error":
            return _told_by_error(output, cell, released)
        if output.get("output_type") == "stream" and output.get("name") == "stderr":
            sentence = "something was printed to standard error, which counts as a failure"
            return Told(sentence if cell.hidden else f"{sentence}: {_short(_text(output.get('text')))}")
    return Told()


def _told_by_error(output: Mapping[str, Any], cell: Cell, released: str) -> Told:
    name, value = str(output.get("ename", "")), _short(str(output.get("evalue", "")))
    if name in _OF_THE_ENGINE and output.get("traceback") == [f"{name}: {output.get('evalue')}"]:
        return Told(value, stub=name == "NotAttempted", by_engine=True)
    trace = traceback_of(output)
    stub = name == "NotImplementedError"
    sentence = f"{name}: {value}" if value else name
    if line := _visible_line(trace, cell, released):
        sentence = f"`{line}` failed with {sentence}"
    if line or not cell.hidden:
        return Told(sentence, "" if cell.hidden else show_text(trace), stub)
    kind = name if isinstance(getattr(builtins, name, None), type) else ""
    return Told(f"a hidden test stopped with {kind}" if kind else f"in a hidden test, {_UNTOLD}", stub=stub)


def _visible_line(trace: str, cell: Cell, released: str) -> str:
    """Return the line at which the cell failed if students have that line, else ""."""
    found = _FAILING_LINE.search(trace)
    line = found[1].strip() if found else ""
    visible = {item.strip() for item in released.splitlines()}
    hidden = [item.strip() for item in cell.source.splitlines()]
    return line if line in visible and hidden.count(line) == 1 else ""


def _short(text: str) -> str:
    text = " ".join(plain(text).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _text(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value or "")
