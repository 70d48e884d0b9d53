"""The tests of an assignment by difficulty and discrimination."""

from __future__ import annotations

from typing import Self

from studium_widgets import Widget
from traitlets import Bool, Dict, Enum, List, TraitError, Unicode

__all__ = ["ItemMap"]

_FIELDS = {
    *("name", "exercise", "verdict", "words", "count", "points", "upper_lower", "alpha_without"),
    *("solved", "solved_low", "solved_high", "discrimination", "low", "high", "mistakes"),
}
_MOST = 2000


class ItemMap(Widget):
    """Items of a test, told apart by what speaks against them, with their figures and the mistakes made in them.

    tests, exercises: [{"name", "exercise", "verdict": its short name, "words": what it means, "count": answers,
    "points", "solved": share with full points, "solved_low", "solved_high", "discrimination": correlation with the
    rest or None, "low", "high", "upper_lower", "alpha_without": or None, "mistakes": [[sentence, count], ...]}], up to
    2000. level: which of the two lists is shown. hide_good: leaves out items against which nothing speaks. good: the
    discrimination at which a line is drawn. chosen: the name of the item whose figures stay, or "".
    """

    _script = "item_map.js"
    _style = "item_map.css"

    tests = List(Dict()).tag(sync=True)
    exercises = List(Dict()).tag(sync=True)
    level = Enum(("tests", "exercises"), "tests").tag(sync=True)
    hide_good = Bool(False).tag(sync=True)
    chosen = Unicode().tag(sync=True)

    @classmethod
    def example(cls) -> Self:
        return cls(tests=[*_invented(6)], exercises=[*_invented(2)])

    @classmethod
    def largest(cls) -> Self:
        return cls(tests=[*_invented(300)], exercises=[*_invented(30)])

    @property
    def alt(self) -> str:
        items = self.tests if self.level == "tests" else self.exercises
        flagged = [item["name"] for item in items if item["verdict"] not in ("good", "weak", "few")]
        if not flagged:
            return f"{len(items)} {self.level} by difficulty and discrimination; none is flagged."
        more = f" and {len(flagged) - 3} more" if len(flagged) > 3 else ""
        return f"{len(items)} {self.level} by difficulty and discrimination; look at {', '.join(flagged[:3])}{more}."

    def check(self) -> None:
        for name in ("tests", "exercises"):
            items = getattr(self, name)
            if not 1 <= len(items) <= _MOST:
                raise TraitError(f"{name} needs 1 to {_MOST} entries, got {len(items)}")
            if lacking := next((_FIELDS - set(item) for item in items if _FIELDS - set(item)), None):
                raise TraitError(f"{name} need {min(lacking)!r} each: add it")


def _invented(count: int) -> list[dict[str, object]]:
    """Return items for an example; every fifth has no discrimination, because everybody passed it."""
    verdicts = ("good", "weak", "bad", "negative", "easy")
    return [
        {
            "name": f"merge: test {number}",
            "exercise": "lora.merge",
            "verdict": verdicts[number % 5],
            "words": "an example",
            "count": 200,
            "points": 1.0,
            "solved": 0.2 + 0.11 * (number % 7),
            "solved_low": 0.15 + 0.11 * (number % 7),
            "solved_high": 0.26 + 0.11 * (number % 7),
            "discrimination": None if number % 5 == 4 else 0.7 - 0.3 * (number % 5),
            "low": None if number % 5 == 4 else 0.6 - 0.3 * (number % 5),
            "high": None if number % 5 == 4 else 0.8 - 0.3 * (number % 5),
            "upper_lower": 0.4,
            "alpha_without": 0.81,
            "mistakes": [["You scaled by alpha; LoRA scales by alpha / r.", 41], ["without a name", 12]],
        }
        for number in range(count)
    ]
