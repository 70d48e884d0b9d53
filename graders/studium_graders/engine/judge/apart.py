"""A pass apart: the cells of a notebook run in the student's process, and tests of topics are judged here."""

from collections import defaultdict

from studium.exercises.explaining.evidence import Told

from studium_graders.engine.judge.canonical_text import CanonicalText
from studium_graders.engine.judge.events import Judged, Ran, Started
from studium_graders.engine.judge.exercise_tests import seeds
from studium_graders.engine.judge.judge_job import Recorded
from studium_graders.engine.judge.judging import judge
from studium_graders.engine.judge.notebook import Emit, Work
from studium_graders.engine.judge.prepare import PreparedTest
from studium_graders.engine.judge.topic_test import TopicTest
from studium_graders.engine.judge.verdicts import NOT_YET, result_of
from studium_graders.engine.judge_side.permissions import Words
from studium_graders.engine.judge_side.student import Student


def run_apart(student: Student, work: Work, emit: Emit, *, recording: bool) -> Recorded:
    """Run the tests of a pass; return what a recorded reference needs. Lets StudentGone through."""
    text, words, reasons = CanonicalText(), dict[str, Words](), dict[str, str]()
    known: defaultdict[tuple[str, str], list[Told]] = defaultdict(list)
    for step, test in work.steps(student, emit):
        if test is None:
            text.add(step.source)
            emit(Started(step.cell))
            emit(Ran(step.cell, student.run(step.source)))
        elif step.cell in work.turns.judged - frozenset(work.done):
            emit(Started(step.cell))
            if work.is_untouched(test):
                emit(Judged(result_of(work.prepared.material, test.cell, "not attempted", message=NOT_YET)))
                continue
            judgement = judge(
                _prepared(test, work, recording=recording), student, text, known[test.cell.topic, test.cell.exercise]
            )
            words[test.cell.grade_id] = judgement.words
            reasons |= {test.cell.grade_id: judgement.reason} if judgement.reason else {}
            emit(Judged(judgement.result, judgement.mistakes, judgement.unwritten))
    return Recorded(unverified=reasons, words=words)


def _prepared(test: PreparedTest, work: Work, *, recording: bool) -> TopicTest:
    cell, found = test.cell, test.exercise_test
    assert found is not None
    draws = tuple(seeds(cell.topic, found.exercise, found.test, work.seed))
    known, name = work.calibration.words, found.exercise.id
    words = None if recording else known.get(cell.grade_id, frozenset())
    return TopicTest(work.prepared.material, cell, found, name, draws, words, known=cell.grade_id in known)
