"""Measured curves, points or bars, which can ask the learner for a prediction before they show the truth."""

from __future__ import annotations

import difflib
from typing import Any, Self

import numpy as np
from traitlets import Bool, Enum, Float, List, TraitError, Unicode

from studium_widgets.arrays import Array
from studium_widgets.base import Widget

__all__ = ["Chart"]

POINTS = 2000  # of a curve
BARS = 40


class Chart(Widget):
    """Curves over a common x axis, points, or bars; with `predict`, the learner draws one of them before it is shown.

    kind: "line", "scatter" or "bars". y: (series, points), up to 8 × 2000; bars have one series of up to 40, from 0 on.
    names: one for each series. x: (points,), rising; 0, 1, 2 … if left out. labels: of the bars. x_label, y_label: with
    units. log_x, log_y: logarithmic axes. y_range: [low, high], or [] to fit what is shown. predict: the name of the
    series to be predicted first, or "". prediction: what the learner drew, a number for each point or None if nothing
    is drawn yet; revealed: the truth is shown. Both stay in the notebook. Raises TraitError if they do not fit
    together.
    """

    _script = "chart.js"

    kind = Enum(("line", "scatter", "bars"), "line").tag(sync=True)
    y = Array("float32", ("series", "points"))
    names = List(Unicode()).tag(sync=True, each="series")
    x = Array("float32", ("points",), optional=True)
    labels = List(Unicode()).tag(sync=True, each_if_any="points")
    x_label = Unicode("x").tag(sync=True)
    y_label = Unicode("y").tag(sync=True)
    log_x = Bool(False).tag(sync=True)
    log_y = Bool(False).tag(sync=True)
    y_range = List(Float()).tag(sync=True)
    predict = Unicode().tag(sync=True)
    prediction = List(Float(allow_none=True)).tag(sync=True, each_if_any="points")
    revealed = Bool(False).tag(sync=True)

    @classmethod
    def example(cls) -> Self:
        x = np.arange(0, 400, 10)
        y = [0.95 - x / 3000, np.where(x < 48, 0.87, 0.1 + 0.77 * np.exp(-(x - 48) / 20.0))]
        names = ["rotary", "learned table"]
        return cls(x=x, y=y, names=names, x_label="offset", y_label="accuracy", predict="learned table")

    @classmethod
    def largest(cls) -> Self:
        x = np.arange(POINTS)
        y = [np.exp(-x / (200 + 90 * i)) + 0.02 * np.sin(x / 9) for i in range(8)]
        return cls(x=x, y=y, names=[f"run {i}" for i in range(8)], x_label="step", y_label="loss", predict="run 7")

    @property
    def alt(self) -> str:
        y: Any = self.y
        shown = [i for i, name in enumerate(self.names) if name != self.predict or self.revealed]
        if self.kind == "bars":
            bars = ", ".join(f"{name} {value:.3g}" for name, value in zip(self.labels, y[0], strict=True))
            return f"Bars of {self.y_label}: {bars if shown else 'to be predicted first'}."
        lines = [f"{self.names[i]} goes from {y[i, 0]:.3g} to {y[i, -1]:.3g}" for i in shown]
        hidden = [] if len(shown) == len(self.names) else [f"{self.predict} must be predicted first"]
        return f"{self.y_label} over {self.x_label}: {'; '.join(lines + hidden)}."

    def check(self) -> None:
        y: Any = self.y
        if y is None or not y.size:
            raise TraitError("y needs one row of numbers for each series, got none: give [[…], …]")
        series, points = y.shape
        if series > 8 or points > POINTS:
            raise TraitError(f"y needs at most 8 series of {POINTS} points, got {series} of {points}: thin them out")
        if len(self.names) != series or len(set(self.names)) != series:
            raise TraitError(f"names need one name of its own for each of {series} series, got {self.names}")
        self._check_x(points)
        self._check_axes()
        self._check_prediction(points)
        if self.kind == "bars":
            self._check_bars()

    def _check_x(self, points: int) -> None:
        x: Any = self.x
        if x is None:
            return
        if len(x) != points:
            raise TraitError(f"x needs one number for each of {points} points, got {len(x)}")
        if (np.diff(x) <= 0).any():
            at = int(np.argmax(np.diff(x) <= 0))
            raise TraitError(f"x needs to rise, got {x[at + 1]:g} after {x[at]:g}: sort the points")

    def _check_axes(self) -> None:
        for axis, log, values in (("x", self.log_x, self.x), ("y", self.log_y, self.y)):
            if log and (values is None or values.min() <= 0):
                raise TraitError(f"log_{axis} needs {axis} above 0, got {'none' if values is None else values.min()}")
        if self.y_range and not (len(self.y_range) == 2 and self.y_range[0] < self.y_range[1]):
            raise TraitError(f"y_range needs [low, high] with low below high, got {self.y_range}: [] fits the data")

    def _check_prediction(self, points: int) -> None:
        if self.predict and self.predict not in self.names:
            near = difflib.get_close_matches(self.predict, self.names, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(self.names)}"
            raise TraitError(f"predict needs the name of a series, got {self.predict!r}: {advice}")
        if self.prediction and len(self.prediction) != points:
            raise TraitError(f"a prediction needs {points} numbers, got {len(self.prediction)}: [] starts again")

    def _check_bars(self) -> None:
        y: Any = self.y
        if y.shape[0] != 1 or y.shape[1] > BARS or len(self.labels) != y.shape[1]:
            got = f"{y.shape[0]} series, {y.shape[1]} values and {len(self.labels)} labels"
            raise TraitError(f"bars need one series of at most {BARS} values with a label each, got {got}")
        if y.min() < 0 or self.log_y:
            raise TraitError("bars need values from 0 on and no log_y, for their length is the value: use a line")
