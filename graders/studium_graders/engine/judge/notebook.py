"""Working through one submitted notebook: the student's cells there, the tests here."""

from collections.abc import Callable, Collection, Iterator

import msgspec

from studium_graders.engine.judge.canonical_text import CanonicalText
from studium_graders.engine.judge.events import Event, Judged, Ran, Started
from studium_graders.engine.judge.judging import Needs, TestJudge
from studium_graders.engine.judge.mentioned import mentioned
from studium_graders.engine.judge.namespace import Namespace
from studium_graders.engine.judge.prepare import Prepared
from studium_graders.engine.judge.random_state import RandomState
from studium_graders.engine.judge.running import run_definitions
from studium_graders.engine.judge.verdicts import NOT_YET, result_of
from studium_graders.engine.judge_side.student_process import StudentProcess
from studium_graders.engine.material.assignment import Calibration, CanonicalNotebook, Step
from studium_graders.engine.material.limits import Limits

Emit = Callable[[Event], None]


def run_notebook(
    student: StudentProcess,
    prepared: Prepared,
    canonical: CanonicalNotebook,
    emit: Emit,
    *,
    seed: bytes,
    calibration: Calibration = Calibration(),  # noqa: B008 (frozen)
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    skip: Collection[str] = (),
    late: Collection[str] = (),
    beside: bool = False,
) -> Needs:
    """Run the steps of a notebook in order and tell ``emit`` what happens; return what a recorded reference needs.

    ``seed`` is the secret from which random test data follow. ``skip`` are ids of cells that had their
    turn in an earlier attempt, or that ended it: they are not run again, and what later tests need of a test's
    definitions is made. ``late`` are the tests among them that were stopped for their time: others of the same answers
    have less of it. ``beside``: hidden tests that meet an error may run beside the answer. Lets through StudentGone.
    """
    text = CanonicalText()
    student.permissions.named |= prepared.named
    student.permissions.data = prepared.data_classes
    namespace = Namespace(student, prepared.owned)
    student.permissions.given = namespace.of_judge
    sources = [step.source for step in canonical.steps if step.kind == "student"]
    judge = TestJudge(prepared, namespace, text, canonical.untouched, seed, calibration, limits, beside)
    run_definitions(prepared.libraries, namespace)
    for event in _by_hand(prepared, canonical, skip):
        emit(event)
    usual, slow = student.limits, frozenset[str]().union(*(prepared.tests[test].answers for test in late))
    left: dict[str, str] = {}
    for step in canonical.steps:
        if step.kind == "test":
            imports = prepared.left[step.cell].imports
            judge.brought.bring_imports(imports[name] for name in sorted(mentioned(imports, sources)))
            student.allow(usual.after_a_stop() if prepared.tests[step.cell].answers & slow else usual)
            _test(judge, step, emit, skip)
            student.allow(usual)
            left = prepared.left[step.cell].after(left)
        else:
            wanted = mentioned(left, [step.source])
            judge.brought.give({name: left.pop(name) for name in sorted(wanted)})
            _answer(judge, step, emit, skip)
    for event in _never_written(judge):
        emit(event)
    return judge.needs


def _by_hand(prepared: Prepared, canonical: CanonicalNotebook, skip: Collection[str]) -> Iterator[Event]:
    """Return a result to what a person grades: it waits, or nothing was written."""
    for cell in prepared.material.cells:
        if cell.graded and cell.kind in ("answer", "text") and cell.id not in skip:
            untouched = cell.id in canonical.untouched
            result = result_of(prepared.material, cell, "not attempted" if untouched else "manual")
            yield Judged(msgspec.structs.replace(result, message=NOT_YET if untouched else ""))


def _answer(judge: TestJudge, step: Step, emit: Emit, skip: Collection[str]) -> None:
    """Run the student's source there, and of the instructor's what tests need here, from the same random state."""
    drawing = step.cell in judge.prepared.drawing
    before = RandomState() if drawing else None
    run_definitions(judge.prepared.here.get(step.cell, ()), judge.namespace)
    judge.namespace.leave(judge.prepared.there.get(step.cell, ()))
    after = RandomState() if drawing else None
    if before is not None:
        before.restore()
    judge.text.add(step.source)
    if step.cell not in skip:
        judge.namespace.lend(judge.prepared.lent.get(step.cell, ()))
        emit(Started(step.cell))
        judge.runs[step.cell] = judge.namespace.student.run(step.source, name=step.cell)
        emit(Ran(step.cell, judge.runs[step.cell]))
    if after is not None:
        after.restore()


def _test(judge: TestJudge, step: Step, emit: Emit, skip: Collection[str]) -> None:
    test = judge.prepared.tests[step.cell]
    if step.cell in skip:
        judge.skip(test)
        return
    emit(Started(step.cell))
    for event in judge.judge(test):
        emit(event)


def _never_written(judge: TestJudge) -> Iterator[Event]:
    """Correct the results of exercises in which every test met NotImplementedError: nobody has begun them."""
    cells = [test.cell for test in judge.prepared.tests.values()]
    for (topic, exercise), results in judge.unwritten.items():
        if len(results) == sum((cell.topic, cell.exercise) == (topic, exercise) for cell in cells):
            for result in results:
                yield Judged(msgspec.structs.replace(result, outcome="not attempted", message=NOT_YET))
