"""Points that rest on unverified results: how many there are, and whether they count before a person has seen them."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from studium_graders.engine.judge.verdicts import REVIEW
from studium_graders.engine.material.results import NotebookResult, SubmissionResult, TestResult
from studium_graders.results.store import ResultsStore


class Reliance(NamedTuple):
    """Of one submission, the points of unverified tests, earned and at most, and those that are for review."""

    unverified_points: float
    unverified_max: float
    review_points: float


def reliance(tests: Iterable[TestResult]) -> Reliance:
    """Add up what rests on unverified results."""
    tests = list(tests)
    unverified = [test for test in tests if test.mode == "unverified"]
    review = sum(test.max_points for test in tests if test.outcome == "review")
    return Reliance(sum(test.points for test in unverified), sum(test.max_points for test in unverified), review)


def kept_reliance(root: Path, assignment: str) -> dict[str, Reliance]:
    """Return by student what the last grading of an assignment found; none where nothing was graded."""
    store = ResultsStore(root / ".studium" / "results" / assignment)
    return {result.student: reliance(result.tests) for result, _ in store.all()}


def for_review(result: SubmissionResult) -> SubmissionResult:
    """Return a result in which the points of unverified tests wait for a person."""
    return msgspec.structs.replace(result, notebooks=[_book_for_review(book) for book in result.notebooks])


def _book_for_review(book: NotebookResult) -> NotebookResult:
    return msgspec.structs.replace(book, tests=[_test_for_review(test) for test in book.tests])


def _test_for_review(test: TestResult) -> TestResult:
    if test.mode == "verified" or not test.points:
        return test
    return msgspec.structs.replace(test, points=0.0, outcome="review", message=REVIEW)
