"""Working through one submitted notebook: its cells run with the student, and tests of topics are judged here."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from studium_graders.engine.apart.judge.judging import Judgement, judge
from studium_graders.engine.apart.judge.topic_test import TopicTest
from studium_graders.engine.apart.judge_side.permissions import Words
from studium_graders.engine.apart.judge_side.student import Student
from studium_graders.engine.judge.canonical_text import CanonicalText
from studium_graders.engine.judge.events import Event, Judged, Ran, Started
from studium_graders.engine.judge.exercise_tests import seeds
from studium_graders.engine.judge.prepare import Prepared, PreparedTest
from studium_graders.engine.judge.verdicts import NOT_YET, result_of
from studium_graders.engine.material.assignment import CanonicalNotebook, Step

Emit = Callable[[Event], None]


@dataclass
class Needs:
    """What the reference needs, by grade id: words, and reasons why a test cannot run apart."""

    words: dict[str, Words] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass
class TopicPass:
    """One student's process, and the tests of topics that are judged against it.

    ``seed`` is the secret from which random test data follow. ``words`` are what tests may receive, by grade id; None
    records what the reference needs.
    """

    student: Student
    prepared: Prepared
    notebook: CanonicalNotebook
    emit: Emit
    seed: bytes
    words: Mapping[str, Words] | None
    needs: Needs = field(default_factory=Needs)
    text: CanonicalText = field(default_factory=CanonicalText)

    def run(self, skip: Collection[str] = (), late: Collection[str] = ()) -> Needs:
        """Run the steps in order, but for those of ``skip``. Lets StudentGone through.

        ``late`` are tests that were stopped for their time: others of the same answers have less of it.
        """
        usual = self.student.limits
        slow = frozenset[str]().union(*(self.prepared.tests[test].answers for test in late))
        for step in self.notebook.steps:
            if step.cell in skip:
                continue
            if step.kind != "test":
                self._cell(step)
            elif (test := self.prepared.tests[step.cell]).exercise_test is not None:
                self.student.allow(usual.after_a_stop() if test.answers & slow else usual)
                self._test(test)
                self.student.allow(usual)
        return self.needs

    def _cell(self, step: Step) -> None:
        self.text.add(step.source)
        self.emit(Started(step.cell))
        self.emit(Ran(step.cell, self.student.run(step.source)))

    def _test(self, test: PreparedTest) -> None:
        self.emit(Started(test.cell.id))
        if test.answers and test.answers <= self.notebook.untouched:
            not_yet = result_of(self.prepared.material, test.cell, "not attempted", message=NOT_YET)
            self.emit(Judged(not_yet))
            return
        judgement = judge(self._prepared(test), self.student, self.text)
        self._note(test.cell.grade_id, judgement)
        self.emit(Judged(judgement.result, mistakes=judgement.mistakes))

    def _prepared(self, test: PreparedTest) -> TopicTest:
        found = test.exercise_test
        assert found is not None
        draws = tuple(seeds(test.cell.topic, found.exercise, found.test, self.seed))
        words = None if self.words is None else self.words.get(test.cell.grade_id, frozenset())
        return TopicTest(self.prepared.material, test.cell, found, found.exercise.id, draws, words)

    def _note(self, grade_id: str, judgement: Judgement) -> None:
        self.needs.words[grade_id] = judgement.words
        if judgement.reason:
            self.needs.reasons[grade_id] = judgement.reason
