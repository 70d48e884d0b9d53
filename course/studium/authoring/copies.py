"""Checks that hidden tests, other answers and the reference are independent code: a copy proves nothing."""

import ast
import inspect
from collections.abc import Iterator, Sequence

from studium.authoring.findings import Finding
from studium.authoring.renamed import holds_renamed, own_part
from studium.authoring.same_code import body, form, size
from studium.authoring.subject import Subject
from studium.exercises.definitions import definition
from studium.exercises.model import AnyFunction, Exercise

_SHORT = 20  # nodes of the syntax tree; anybody may write less of a solution, such as a softmax of a quotient
_ONE_WAY = 40  # nodes; a function of two lines may have only one natural form, also in the reference
_WHY = "[standard.md#written-anew]"


def copies(subject: Subject) -> Finding:
    """Compare tests, answers and the reference as syntax trees, ignoring the names of variables."""
    problems = [
        f"{said} {_WHY}"
        for exercise in subject.exercises
        for look in (_tests, _expected, _answers)
        for said in look(exercise)
    ]
    problems += [f"{said} {_WHY}" for said in _reference(subject)]
    return Finding(problems, "none of the hidden tests, other answers and functions of the reference is a copy")


def _tests(exercise: Exercise) -> Iterator[str]:
    known: dict[str, str] = {}
    for test in sorted(exercise.tests, key=lambda test: test.hidden):
        before = known.setdefault(body(test.function), test.name)
        if before != test.name and test.hidden:
            yield (
                f"the hidden test {test.name!r} of {exercise.id} must test more than {before!r}: both are the same "
                "code; choose other cases, or another property"
            )


def _expected(exercise: Exercise) -> Iterator[str]:
    """Report hidden tests that compute the expected value with the solution's own lines."""
    work = _work(exercise)
    if sum(1 for part in work for _ in ast.walk(part)) < _SHORT:
        return
    for test in exercise.tests:
        if test.hidden and holds_renamed(work, definition(test.function)):
            yield (
                f"the hidden test {test.name!r} of {exercise.id} must compute the expected value differently from the "
                f"solution: it has the same code, so an error in the solution would pass; `{_quoted(work)}`"
            )


def _work(exercise: Exercise) -> tuple[ast.AST, ...]:
    """Return what a solution computes: the statements before its last `return`, or the value of that return."""
    own = own_part(exercise)
    *before, last = own
    if not before or not isinstance(last, ast.Return) or last.value is None:
        return own
    return tuple(before) if sum(1 for part in before for _ in ast.walk(part)) >= _SHORT else (last.value,)


def _answers(exercise: Exercise) -> Iterator[str]:
    known = {form(exercise.solution): "the solution"}
    for number, function in enumerate(exercise.alternatives, 1):
        before = known.setdefault(form(function), name := f"also_correct {number}")
        if before != name:
            yield (
                f"{name} of {exercise.id} must be a different answer: it is the same code as {before}; solve the "
                f"exercise another way, or remove it"
            )


def _reference(subject: Subject) -> Iterator[str]:
    """Report functions of the reference that are imported from the exercises, or that are the same code."""
    module = subject.topic.module("reference") if subject.topic.has("reference") else None
    found = {exercise.id: inspect.unwrap(getattr(module, exercise.id, len)) for exercise in subject.exercises}
    taken = [exercise.id for exercise in subject.exercises if found[exercise.id] is exercise.solution]
    if taken:
        yield (
            f"reference.py must be an independent implementation: it imports {', '.join(taken)} from exercises.py, so "
            f"neither can correct the other; write them differently, with a library or from the paper's formula"
        )
    for exercise in subject.exercises:
        if exercise.id not in taken and _is_copy(found[exercise.id], exercise):
            yield (
                f"{exercise.id} of reference.py must be an independent implementation: it is the same code as the "
                f"solution, so neither can correct the other; write it differently"
            )


def _is_copy(found: AnyFunction, exercise: Exercise) -> bool:
    long = size(exercise.solution) >= _ONE_WAY
    return long and inspect.isfunction(found) and form(found) == form(exercise.solution)


def _quoted(work: Sequence[ast.AST]) -> str:
    line = ast.unparse(work[0]).splitlines()[0]
    return line if len(line) <= 60 else f"{line[:60]}…"
