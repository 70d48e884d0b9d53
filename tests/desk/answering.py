"""Answers to the sample's exercises, right and wrong, and how they get into a notebook."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

RIGHT = "def merge(weight, a, b, alpha):\n    return weight + alpha / len(a) * (b @ a)"
UNSCALED = "def merge(weight, a, b, alpha):\n    return weight + alpha * (b @ a)"
MISTAKE = "You scaled by alpha; LoRA scales by alpha / r."
MISTAKE_ID = "sample.merge:scaled-by-alpha"


def write_answer(path: Path, source: str, exercise: str = "merge") -> None:
    """Write an answer into the lesson's cell, as saving in Jupyter does."""
    edit(path, lambda cells: next(c for c in cells if c["id"] == f"sample-{exercise}").update(source=source))


def edit(path: Path, change: Callable[[list[Any]], Any]) -> None:
    notebook = json.loads(path.read_text("utf-8"))
    change(notebook["cells"])
    path.write_text(json.dumps(notebook), "utf-8")


def sources(path: Path) -> dict[str, str]:
    """Return the text of each cell of a notebook by id."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in cells}
