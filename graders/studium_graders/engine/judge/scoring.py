"""Points of a test, by nbgrader's rule: an error is 0, a number as the last value is partial credit, else all points.

It differs from nbgrader's ``determine_grade`` on purpose in this: a warning or other text on stderr costs nothing, a
negative value or NaN is 0 and not full marks, a value above the maximum is the maximum and no crash, and a NumPy
number is a number (its text is ``np.float64(0.5)``, which nbgrader takes for full marks).
"""

import math
import re
from typing import Any

import numpy as np

from studium_graders.engine.results import CellRun

_NUMPY_NUMBER = re.compile(r"np\.(?:float|u?int)\d+\((.+)\)")


def points_for_value(value: Any, maximum: float) -> float:
    """Give the points of a test that ran to its end and whose last expression had this value."""
    number = _number(value) if is_number(value) else None
    return maximum if number is None else _within(number, maximum)


def _number(value: Any) -> float | None:
    """Give a number as a float; None for one of a class that does not tell which it is."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except Exception:
        return None


def is_number(value: Any) -> bool:
    """Tell whether a value is a plain number; True and False are none, as in nbgrader."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def points_for_outputs(run: CellRun, maximum: float, *, silenced: bool = False) -> float:
    """Give the points of a test from what its cell showed; ``silenced`` where it ends with a semicolon."""
    if run.error or any(output["output_type"] == "error" for output in run.outputs):
        return 0.0
    for output in run.outputs:
        if output["output_type"] == "execute_result" and not silenced:
            return _points_for_text("".join(output["data"].get("text/plain", "")), maximum)
    return maximum


def _points_for_text(text: str, maximum: float) -> float:
    try:
        return _within(float(_NUMPY_NUMBER.sub(r"\1", text)), maximum)
    except ValueError:
        return maximum


def _within(value: float, maximum: float) -> float:
    return 0.0 if math.isnan(value) else min(max(value, 0.0), maximum)
