"""The report of a grading run: a row for each submission, the marks that changed, and what went wrong."""

import msgspec

from studium_graders.class_list.absent import Absent
from studium_graders.engine.intake.chosen_files import NOT_THERE
from studium_graders.engine.material.results import SubmissionResult, TestResult, Verdict
from studium_graders.engine.supervision.vacuous_answers import VacuousTest
from studium_graders.grading.answers.same_answers import SameAnswers
from studium_graders.results.history import Basis
from studium_graders.results.mark_changes import MarkChange, Plan
from studium_graders.results.mistakes import Sentences
from studium_graders.results.unverified import reliance


class TestRow(msgspec.Struct, frozen=True):
    """One test of one submission. ``mistake`` is the sentence of the misconception with the id ``mistake_id``."""

    exercise: str
    name: str
    points: float
    max_points: float
    outcome: str
    message: str
    mistake: str
    mistake_id: str
    mode: str
    reason: str = ""  # why it is unverified
    notebook: str = ""
    grade_id: str = ""


class SubmissionRow(msgspec.Struct, frozen=True):
    """One submission. ``score`` is what the engine gave, before late penalty and marks by hand.

    ``mark`` is what counts, in the gradebook and in feedback: with marks by hand, after the late penalty; None if the
    submission could not be graded. ``waiting`` are the points that wait for a person, and count as 0 until then.
    ``untimed`` means that late work loses points but the time of this submission is unknown. ``unverified_points`` of
    the ``score`` rest on unverified results, of ``unverified_max`` that could; ``review_points`` belong to tests that
    could not be decided. ``reused`` means that an earlier run had the result already; ``recorded`` that it is in the
    gradebook now.
    """

    student: str
    score: float
    max_score: float
    verdict: Verdict
    seconds: float
    tests: list[TestRow]
    late_penalty: float = 0.0
    mark: float | None = None
    waiting: float = 0.0
    untimed: bool = False
    detail: str = ""
    notes: list[str] = []
    reused: bool = False
    recorded: bool = False
    sha256: str = ""  # digest of the code and files that were graded
    unverified_points: float = 0.0
    unverified_max: float = 0.0
    review_points: float = 0.0


class ClassResult(msgspec.Struct):
    """A grading run. ``problems`` are sentences about what is not the students' fault.

    ``judged`` is how many submissions were run; identical ones are run once. ``vacuous`` are the tests that vacuous
    answers pass, if their author has not been told yet. ``waiting`` counts, by student of this run, the answers that a
    person has to mark. ``same`` are groups of identical answers among the submissions of this run. ``absent`` are the
    students of the class who handed in nothing, if the run was not limited to some students.
    """

    assignment: str
    sandbox: str
    judged: int = 0
    submissions: list[SubmissionRow] = []
    changes: list[MarkChange] = []
    problems: list[str] = []
    vacuous: list[VacuousTest] = []
    basis: Basis = Basis()
    waiting: dict[str, int] = {}
    same: SameAnswers = SameAnswers()
    absent: Absent = Absent()

    def changes_of(self, *, recorded: bool) -> list[MarkChange]:
        """Return the marks that changed, or that would have: somebody declined, or they could not be recorded."""
        students = {row.student for row in self.submissions if row.recorded}
        return [change for change in self.changes if (change.student in students) == recorded]

    @property
    def unverified(self) -> dict[str, float]:
        """The tests whose results are unverified, with the points that each is worth."""
        tests = [test for row in self.submissions for test in row.tests if test.mode == "unverified"]
        return {f"{test.exercise}/{test.name}": test.max_points for test in tests if test.max_points}

    @property
    def max_score(self) -> float:
        """The points that could be had."""
        return max((row.max_score for row in self.submissions), default=0.0)


def submission_row(
    result: SubmissionResult,
    notes: tuple[str, ...],
    sentences: Sentences,
    *,
    plan: Plan | None = None,
    reused: bool = False,
    recorded: bool = False,
    sha256: str = "",
) -> SubmissionRow:
    """Return the row for a result; ``plan`` is what recording it writes, None if it cannot be recorded."""
    return SubmissionRow(
        result.student,
        result.score,
        result.max_score,
        result.verdict,
        round(result.seconds, 3),
        [_test_row(test, sentences) for test in result.tests],
        plan.penalty if plan else 0.0,
        plan.mark if plan else None,
        plan.waiting if plan else 0.0,
        bool(plan and plan.untimed),
        _detail(result),
        [*notes, *(note for book in result.notebooks for note in (*book.repairs, *book.notes))],
        reused,
        recorded,
        sha256,
        *reliance(result.tests),
    )


def _detail(result: SubmissionResult) -> str:
    """Return why the notebooks ended as they did, without repeats."""
    details = list(dict.fromkeys(book.detail for book in result.notebooks if book.detail))
    if 1 < len(details) == len(result.notebooks) and all(detail.endswith(NOT_THERE) for detail in details):
        return "no notebook was handed in"
    return "; ".join(details)


def _test_row(test: TestResult, sentences: Sentences) -> TestRow:
    name = test.name or test.grade_id
    return TestRow(
        test.exercise or test.notebook,
        name,
        test.points,
        test.max_points,
        test.outcome,
        test.message,
        sentences.about(test),
        test.mistake_id,
        test.mode,
        test.reason,
        test.notebook,
        test.grade_id,
    )
