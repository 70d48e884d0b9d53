"""Points of a test, by nbgrader's rule: an error is 0, a number as the last value is partial credit, else all points.

It differs from nbgrader's ``determine_grade`` on purpose in this: a warning or other text on stderr costs nothing, a
negative value or NaN is 0 and not full marks, a value above the maximum is the maximum and no crash, and a NumPy
number is a number (its text is ``np.float64(0.5)``, which nbgrader takes for full marks). And where the reference
solution's value is a number, so is a fraction, True, and the element of an array, a tensor or a series of one, and
everything else is worth nothing: what a student's code gave and the test added up with the points is no reason for all
of them.
"""

import math
import re
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import torch

from studium_graders.engine.kinds.dataframe_parts import kind_of
from studium_graders.engine.material.results import CellRun

_NUMPY_NUMBER = re.compile(r"np\.(?:float|u?int)\d+\((.+)\)")
_FRACTION = re.compile(r"Fraction\((-?\d{1,300}), (\d{1,300})\)")
_DECIMAL = re.compile(r"Decimal\('(\S+)'\)")
_OF_ONE = re.compile(r"(?:array|tensor)\(([^\s,()]+)(?:, \w+=.*)?\)")


def points_for_value(value: Any, maximum: float, *, scored: bool = False) -> float:
    """Return the points of a test that ran to its end and whose last expression had this value.

    ``scored`` where the reference solution's is a number.
    """
    number = _number(value) if is_number(value) else None
    if number is None and scored and value is not None:
        return _within(_instead_of_number(value), maximum)
    return maximum if number is None else _within(number, maximum)


def _instead_of_number(value: Any) -> float:
    """Return the number that a value is which nbgrader takes for none, or an array's only element; NaN for another."""
    try:
        if isinstance(value, np.generic | np.ndarray | torch.Tensor) or kind_of(type(value)):
            value = value.item()
        return float(value) if isinstance(value, Real | Decimal) else math.nan
    except Exception:
        return math.nan


def _number(value: Any) -> float | None:
    """Return a number as a float; None for one of a class that does not tell which it is."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except Exception:
        return None


def is_number(value: Any) -> bool:
    """Return whether a value is a plain number; True and False are none, as in nbgrader."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def points_for_outputs(run: CellRun, maximum: float, *, silenced: bool = False, scored: bool = False) -> float:
    """Return the points of a test from what its cell showed; ``silenced`` where it ends with a semicolon."""
    if run.error or any(output["output_type"] == "error" for output in run.outputs):
        return 0.0
    for output in run.outputs:
        if output["output_type"] == "execute_result" and not silenced:
            return _points_for_text("".join(output["data"].get("text/plain", "")), maximum, scored=scored)
    return maximum


def _points_for_text(text: str, maximum: float, *, scored: bool) -> float:
    number = number_of(text)
    if number is None and scored:
        return _within(_shown_instead_of_number(text), maximum)
    return maximum if number is None else _within(number, maximum)


def _shown_instead_of_number(text: str) -> float:
    """Return the number in a text that nbgrader takes for none, or that of an array's only element; NaN for another."""
    if found := _OF_ONE.fullmatch(text) or _DECIMAL.fullmatch(text):
        number = number_of(found[1].strip("[]"))
        return math.nan if number is None else number
    if found := _FRACTION.fullmatch(text):
        return int(found[1]) / int(found[2])
    return {"True": 1.0, "np.True_": 1.0}.get(text, math.nan)


def number_of(text: str) -> float | None:
    """Return the number that a text is, None for another."""
    try:
        return float(_NUMPY_NUMBER.sub(r"\1", text))
    except ValueError:
        return None


def shows_number(run: CellRun) -> bool:
    """Return whether the value that a cell showed last is a number."""
    shown = [
        output["data"].get("text/plain", "") for output in run.outputs if output["output_type"] == "execute_result"
    ]
    return bool(shown) and number_of("".join(shown[0])) is not None


def _within(value: float, maximum: float) -> float:
    return 0.0 if math.isnan(value) else min(max(value, 0.0), maximum)
