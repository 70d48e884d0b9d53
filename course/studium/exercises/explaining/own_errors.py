"""Errors that an answer raises by itself, in the terms of its own arguments: which shapes do not fit, and in what."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from studium.exercises.explaining.evidence import Case, Evidence
from studium.exercises.explaining.finding import Finding

_MISFIT = re.compile(r"must match the size of tensor|could not be broadcast together|shapes cannot be multiplied")


def own_error(evidence: Evidence, line: str) -> Finding | None:
    """Say what the answer raises in every wrong call, where the solution raises nothing; ``line`` is where."""
    wrong = evidence.wrong
    kinds = {case.call.observed.raised for case in wrong}
    if not wrong or len(kinds) != 1 or None in kinds or any(case.right.raised for case in wrong):
        return None
    raised = kinds.pop()
    assert raised is not None
    seen = [case for case in wrong if not case.hidden]
    where = f" in the line `{line}`" if line else ""
    if seen and (fit := _misfit(evidence, seen[0])):
        return Finding(f"Your function raises {raised.__name__}{where}: {fit}.", "error", values=True)
    said = seen[0].call.observed.said.splitlines()[0] if seen and seen[0].call.observed.said else ""
    if said:
        return Finding(f"Your function raises {raised.__name__}{where}: {said.rstrip('.')}.", "error", values=True)
    return Finding(f"Your function raises {raised.__name__}{where}.", "error")


def _misfit(evidence: Evidence, case: Case) -> str:
    """Return which two arguments do not broadcast, and the axis that one of them needs."""
    if not _MISFIT.search(case.call.observed.said):
        return ""
    shapes = {name: _shape(value) for name, value in evidence.named(case.call).items()}
    known = [(name, shape) for name, shape in shapes.items() if shape]
    for place, (name, shape) in enumerate(known):
        for other, wide in known[place + 1 :]:
            if text := _advice(name, shape, other, wide) or _advice(other, wide, name, shape):
                return text
    return ""


def _advice(name: str, shape: tuple[int, ...], other: str, wide: tuple[int, ...]) -> str:
    missing = len(wide) - len(shape)
    if missing < 1 or _broadcasts(shape, wide) or wide[: len(shape)] != shape:
        return ""
    axes = {1: "an axis of size 1", 2: "two axes of size 1"}.get(missing, f"{missing} axes of size 1")
    return f"`{name}` has shape {shape} and `{other}` {wide}; give `{name}` {axes} at the end"


def _broadcasts(*shapes: Iterable[int]) -> bool:
    try:
        np.broadcast_shapes(*map(tuple, shapes))
    except ValueError:
        return False
    return True


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", ()))
