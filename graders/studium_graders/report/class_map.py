"""A whole class at a glance: students down, tests across."""

from __future__ import annotations

from typing import Self

import numpy as np
from studium_widgets import Array, Widget
from traitlets import Enum, List, TraitError, Unicode

__all__ = ["ClassMap"]


class ClassMap(Widget):
    """The share of its points that each student earned in each test.

    earned (students, tests), from 0 to 1, NaN where there is no answer. students, tests: their names, one for each row
    and column. order: "marks" puts the best students on top and the easiest tests to the left, "given" keeps the order.
    """

    _script = "class_map.js"

    earned = Array("float32", ("students", "tests"), finite=None)
    students = List(Unicode()).tag(sync=True)
    tests = List(Unicode()).tag(sync=True)
    order = Enum(("marks", "given"), "marks").tag(sync=True)

    @classmethod
    def example(cls) -> Self:
        return cls._invented(60, 8)

    @classmethod
    def largest(cls) -> Self:
        return cls._invented(1000, 30)

    @classmethod
    def _invented(cls, students: int, tests: int) -> Self:
        rng = np.random.default_rng(0)
        chance = np.add.outer(rng.normal(size=students), rng.normal(size=tests))
        earned = (chance > rng.normal(size=chance.shape)).astype(np.float32)
        earned[::17, ::3] = np.nan
        names = [f"student {number}" for number in range(1, students + 1)]
        return cls(earned=earned, students=names, tests=[f"test {number}" for number in range(1, tests + 1)])

    @property
    def alt(self) -> str:
        mean = 0.0 if np.isnan(self.earned).all() else float(np.nanmean(self.earned))
        return f"{len(self.students)} students in {len(self.tests)} tests; they earned {mean:.0%} of the marks."

    def check(self) -> None:
        if self.earned is None or self.earned.shape != (len(self.students), len(self.tests)) or not self.earned.size:
            shape = None if self.earned is None else self.earned.shape
            raise TraitError(
                f"earned must have a row for each of {len(self.students)} students and a column for each of "
                f"{len(self.tests)} tests, got {shape}"
            )
