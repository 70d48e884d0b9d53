"""Mutation testing: unless at least 95 % of each solution's mutants fail a test, the tests are not good enough."""

import math
from collections.abc import Iterator

from studium.authoring.findings import Finding, Mutants, Survivor
from studium.authoring.mutant_process import Trial, changed_line, other_mutants
from studium.authoring.subject import Subject
from studium.authoring.worth import too_weak, weaker, worth_of

ENOUGH = 0.95


def mutants(subject: Subject) -> Finding:
    """Count the mutants that fail a test, show those that do not, and list hidden tests that are weaker than others.

    Those of open exercises are left out: a change that still reaches the goal is another right answer.
    """
    closed = {exercise.id for exercise in subject.exercises if not exercise.report}
    everything = [trial for trial in subject.trials if trial.change and trial.exercise in closed]
    found = [trial for trial in everything if not trial.also]
    counted = [trial for trial in found if not trial.equivalent]
    survivors = [Survivor(t.exercise, t.line, t.change, t.file) for t in counted if t.survived]
    counts = Mutants(len(counted) - len(survivors), len(counted), survivors, worth_of(subject))
    problems = [*_weak(counted), *_stray_marks(subject, everything)]
    marked = f", {len(found) - len(counted)} are marked as equivalent" if len(found) > len(counted) else ""
    summary = f"{counts.killed} of {counts.total} mutants fail a test{marked}"
    others = [trial for trial in everything if trial.also and not trial.equivalent]
    if others:
        summary += f"; {sum(not t.survived for t in others)} of {len(others)} of other correct answers"
    advice = [*_by_luck(counted), *_unnoticed(others), *too_weak(subject, counts.worth)]
    return Finding(problems, "\n".join([summary, *weaker(counts.worth)]), counts, advice=advice)


def _by_luck(counted: list[Trial]) -> Iterator[str]:
    for trial in counted:
        if trial.passes:
            after = trial.changed_line.replace("\n", " ⏎ ")
            yield (
                f"the tests of {trial.exercise} fail this change in one draw of their random data and pass it in "
                f"another, {trial.file} line {trial.line}: `{after}`; add a fixed case at that border "
                "[standard.md#borders]"
            )


def _unnoticed(others: list[Trial]) -> Iterator[str]:
    for trial in others:
        if trial.survived:
            after = trial.changed_line.replace("\n", " ⏎ ")
            yield (
                f"no test of {trial.exercise} notices this change of another correct answer, {trial.file} line "
                f"{trial.line}: `{after}`; write one, or mark it with {trial.exercise}.equivalent "
                "[standard.md#other-answers-changed]"
            )


def _weak(counted: list[Trial]) -> Iterator[str]:
    for name in dict.fromkeys(trial.exercise for trial in counted):
        trials = [trial for trial in counted if trial.exercise == name]
        killed, enough = sum(not trial.survived for trial in trials), math.ceil(ENOUGH * len(trials))
        if killed < enough:
            yield (
                f"the tests of {name} must fail {enough} of its {len(trials)} mutants: they fail {killed}; write "
                f"tests that notice the changes shown, or mark a change without effect with {name}.equivalent"
            )


def _stray_marks(subject: Subject, found: list[Trial]) -> Iterator[str]:
    for exercise in subject.exercises:
        if exercise.report:
            continue
        untried = {changed_line(mutant.change) for _, mutant in other_mutants(exercise)}
        survived = {t.changed_line: t.survived for t in found if t.exercise == exercise.id}
        for line in exercise.equivalents:
            if line not in survived and line in untried:
                continue
            if line not in survived:
                yield (
                    f"{exercise.id} marks {line!r} as equivalent, but none of the mutants has this line; remove the "
                    f"mark"
                )
            elif not survived[line]:
                yield f"{exercise.id} marks {line!r} as equivalent, but a test fails it; remove the mark"
