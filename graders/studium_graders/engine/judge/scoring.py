"""Points of a test, by nbgrader's rule: an error is 0, a number as the last value is partial credit, else all points.

It differs from nbgrader's ``determine_grade`` on purpose in this: a warning or other text on stderr costs nothing, a
negative value or NaN is 0 and not full marks, a value above the maximum is the maximum and no crash, and a NumPy
number is a number (its text is ``np.float64(0.5)``, which nbgrader takes for full marks). And where the reference
solution's value is a number, so is a fraction, True, and the element of an array or a tensor of one, and
everything else is worth nothing: what a student's code gave and the test added up with the points is no reason for all
of them.
"""

import math
import re

from studium_graders.engine.kinds.cell_outputs import number_of
from studium_graders.engine.material.results import CellRun

_FRACTION = re.compile(r"Fraction\((-?\d{1,300}), (\d{1,300})\)")
_DECIMAL = re.compile(r"Decimal\('(\S+)'\)")
_OF_ONE = re.compile(r"(?:array|tensor)\(([^\s,()]+)(?:, \w+=.*)?\)")


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


def _within(value: float, maximum: float) -> float:
    return 0.0 if math.isnan(value) else min(max(value, 0.0), maximum)
