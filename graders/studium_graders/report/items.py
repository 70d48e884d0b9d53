"""Classical item analysis: how difficult each test is, and whether it separates strong students from weak ones.

A student's *rest share* is their share of the points of all other items. Discrimination is the correlation of an item
with it (the corrected item-total correlation), with the interval from Fisher's z. Difficulty is the share with full
points, with Wilson's interval. Both are 95 % intervals.
"""

from itertools import pairwise
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr

from studium_graders.engine.material.results import WAITING
from studium_graders.report.class_data import ClassData
from studium_graders.report.intervals import Interval, share

FEWEST = 20  # fewest students with an answer; with less, nothing is called good or bad
GOOD = 0.3  # discrimination from which an item is "reasonably good" (Ebel, Measuring Educational Achievement, 1965)
_EASY, _HARD = 0.95, 0.1  # shares beyond which an item can hardly separate anybody
_OUTER = 0.27  # the share of the class in the upper and in the lower group (Kelley, J. Educ. Psychol. 30, 1939)

Verdict = Literal["good", "weak", "bad", "negative", "easy", "hard", "few"]
WORDS: dict[Verdict, str] = {
    "good": "no objection",
    "weak": "too uncertain to say",
    "bad": "does not separate strong from weak students",
    "negative": "those who failed it are better than those who passed",
    "easy": "almost everybody passes",
    "hard": "almost nobody passes",
    "few": f"fewer than {FEWEST} answers",
}


class ItemStatistics(msgspec.Struct, frozen=True):
    """One item. ``discrimination`` is None if everybody earned the same.

    ``upper_lower`` is the mean score of the best 27 % by rest share, minus that of the last 27 %. ``alpha_without`` is
    Cronbach's alpha of the other items.
    """

    count: int
    solved: Interval
    discrimination: Interval | None
    upper_lower: float
    alpha_without: float | None
    verdict: Verdict


def item_statistics(scores: NDArray[np.float64], points: NDArray[np.float64]) -> list[ItemStatistics]:
    """Return the statistics of each item. ``scores`` (students, items): shares earned, NaN if there is no answer.

    ``points`` (items,) are the items' weights. The rest share leaves one item out.
    """
    groups = np.arange(len(points))
    return [_statistics(scores, points, item, groups == item) for item in range(len(points))]


def cronbach_alpha(scores: NDArray[np.float64], points: NDArray[np.float64]) -> float | None:
    """Return Cronbach's alpha (Psychometrika 16, 1951) of weighted items over the students who have all of them.

    None for fewer than two items, or if all students have the same sum.
    """
    marks = scores[~np.isnan(scores).any(axis=1)] * points
    count = marks.shape[1]
    if count < 2 or len(marks) < 2 or not (total := marks.sum(axis=1).var(ddof=1)):
        return None
    return float(count / (count - 1) * (1 - marks.var(axis=0, ddof=1).sum() / total))


def scores_of(data: ClassData) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share earned (students, tests), NaN if there is no answer, and the tests' points (tests,).

    Tests that a person marks, or that are worth nothing, are NaN for everybody and are not counted.
    """
    columns = [(index, item) for index, exercise in enumerate(data.exercises) for item in exercise.items]
    scores = np.full((len(data.answers), len(columns)), np.nan)
    for row, answers in enumerate(data.answers.values()):
        for column, (index, item) in enumerate(columns):
            answer = answers[index]
            test = answer.tests.get(item.grade_id) if answer else None
            if test and test.outcome not in WAITING and item.points:
                scores[row, column] = test.points / item.points
    return scores, np.array([item.points for _, item in columns])


def exercise_scores(data: ClassData) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the same by exercise: the share of its points that each student earned, and its points."""
    scores, points = scores_of(data)
    ends = np.cumsum([0, *(len(exercise.items) for exercise in data.exercises)])
    spans = [slice(start, end) for start, end in pairwise(ends)]
    worth = np.array([points[span].sum() for span in spans])
    with np.errstate(invalid="ignore"):
        shares = [(scores[:, span] * points[span]).sum(axis=1) / points[span].sum() for span in spans]
    return np.column_stack(shares) if shares else np.empty((len(scores), 0)), worth


def _statistics(
    scores: NDArray[np.float64], points: NDArray[np.float64], item: int, own: NDArray[np.bool_]
) -> ItemStatistics:
    there = ~np.isnan(scores[:, item])
    earned, rest = scores[there, item], _rest_share(scores[there], points, own)
    solved = share(int((earned >= 1).sum()), len(earned))
    discrimination = _correlation(earned, rest)
    without = cronbach_alpha(scores[:, ~own], points[~own])
    verdict = _verdict(len(earned), solved, discrimination)
    return ItemStatistics(len(earned), solved, discrimination, _upper_lower(earned, rest), without, verdict)


def _rest_share(
    scores: NDArray[np.float64], points: NDArray[np.float64], own: NDArray[np.bool_]
) -> NDArray[np.float64]:
    others, weights = scores[:, ~own], points[~own]
    possible = (~np.isnan(others) * weights).sum(axis=1)
    earned = np.nansum(others * weights, axis=1)
    shares: NDArray[np.float64] = np.divide(earned, possible, out=np.zeros(len(scores)), where=possible > 0)
    return shares


def _correlation(earned: NDArray[np.float64], rest: NDArray[np.float64]) -> Interval | None:
    if len(earned) < 4 or np.ptp(earned) < 1e-9 or np.ptp(rest) < 1e-9:  # Fisher's z needs four
        return None
    found = pearsonr(earned, rest)
    interval = found.confidence_interval()
    return Interval(float(found.statistic), float(interval.low), float(interval.high))


def _upper_lower(earned: NDArray[np.float64], rest: NDArray[np.float64]) -> float:
    size = max(1, round(_OUTER * len(earned)))
    ordered = earned[np.argsort(rest, kind="stable")]
    return float(ordered[-size:].mean() - ordered[:size].mean()) if len(earned) else 0.0


def _verdict(count: int, solved: Interval, discrimination: Interval | None) -> Verdict:
    """Judge by the end of the interval that favours the item, so nothing is flagged by chance."""
    if count < FEWEST:
        return "few"
    if discrimination and discrimination.high < 0:
        return "negative"
    if solved.value > _EASY:
        return "easy"
    if solved.value < _HARD:
        return "hard"
    if discrimination and discrimination.high < GOOD:
        return "bad"
    return "good" if discrimination and discrimination.low > 0 else "weak"
