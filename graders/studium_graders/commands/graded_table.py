"""What ``studium grade`` prints about a class: a table, what to look at, which marks changed, and a summary."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import typer
from studium.cli.output import plain, print_table

from studium_graders.commands.same_lines import show_same
from studium_graders.results.mark_changes import LATE

if TYPE_CHECKING:
    from studium_graders.engine.material.results import TestResult
    from studium_graders.engine.supervision.vacuous_answers import VacuousTest
    from studium_graders.grading.class_result import ClassResult, SubmissionRow
    from studium_graders.results.mark_changes import MarkChange

_MOST_ROWS = 40  # rows of a table that lists everybody
_MOST_CHANGES = 40
_MOST_NAMES = 10  # names in a line


def print_result(result: "ClassResult", *, dry_run: bool, everyone: bool = False) -> None:
    """Print a grading run. For a large class, the table lists only unusual rows unless ``everyone`` is set."""
    rows = result.submissions
    shown = rows if everyone or len(rows) <= _MOST_ROWS else [row for row in rows if row.verdict != "graded"]
    if shown:
        print_table(("student", "mark", "late", "verdict", ""), (_cells(row, dry_run=dry_run) for row in shown))
    if more := len(rows) - len(shown):
        typer.echo(f"{_counted(more, 'more submission')} graded without trouble (--all lists them)")
    for recorded in (True, False):
        if changes := result.changes_of(recorded=recorded):
            typer.echo("\n".join(change_lines(changes, changed=recorded)))
    if lines := list(_to_look_at(result)):
        typer.echo("\n".join(["look at these:", *(f"  {plain(line)}" for line in lines)]))
    if found := result.unverified:
        points = f"{sum(found.values()):g} of {_counted_points(result.max_score)}"
        typer.echo(f"{points} rest on unverified results: {', '.join(found)}")
    show_vacuous(result.vacuous)
    show_same(result.same, more_in=f"studium report {result.assignment} and --json list them")
    if line := result.absent.line:
        typer.echo(plain(line))
    number = sum(row.recorded for row in rows)
    what = "dry run: nothing was recorded" if dry_run else f"{number} recorded"
    typer.echo(
        f"{_counted(len(rows), 'submission')} of {result.assignment} graded in sandbox {result.sandbox}, "
        f"{result.judged} of them run, {what}"
    )


def _cells(row: "SubmissionRow", *, dry_run: bool) -> tuple[str, ...]:
    """Return a student's line: the mark as in feedback and export, unless it was not recorded."""
    late = f"-{row.late_penalty:g}" if row.late_penalty else ""
    mark = "none" if row.mark is None else f"{round(row.mark, 2):g} of {row.max_score:g}"
    waiting = f", {row.waiting:g} to mark" if row.waiting else ""
    recorded = "" if row.recorded or dry_run else "not recorded: "
    return (row.student, mark, late, f"{row.verdict}{waiting}", f"{recorded}{ending(row)}")


def ending(row: "SubmissionRow") -> str:
    """Return why a submission ended the way it did, and how long it took."""
    time = "result kept" if row.reused else f"{row.seconds:.2f} s"
    return f"{row.detail} ({time})" if row.detail else time


def _to_look_at(result: "ClassResult") -> Iterator[str]:
    """Return a line for each kind of thing that a person should look at, and who it concerns."""
    from studium_graders.engine.intake.timestamps import NO_TIME

    verdicts: defaultdict[str, list[str]] = defaultdict(list)
    for row in result.submissions:
        if row.verdict != "graded":
            verdicts[row.verdict].append(row.student)
    for verdict, students in verdicts.items():
        yield f"{verdict}: {_names(students)}"
    if result.waiting:
        yield f"waiting for you to mark: {_counted(sum(result.waiting.values()), 'answer')} of {_names(result.waiting)}"
    yield from _tests_without_end(result)
    if untimed := [row.student for row in result.submissions if NO_TIME in row.notes]:
        yield f"{NO_TIME}, so it never counts as late: {_names(untimed)}"
    if untimed := [row.student for row in result.submissions if row.untimed and NO_TIME not in row.notes]:
        everybody = 1 < len(untimed) == len(result.submissions)
        yield f"no timestamp.txt, so it never counts as late: {'everybody' if everybody else _names(untimed)}"
    repaired = {row.student: [note for note in row.notes if note != NO_TIME] for row in result.submissions}
    told = [f"{student}: {'; '.join(notes)}" for student, notes in repaired.items() if notes]
    yield from told[:_MOST_NAMES]
    if len(told) > _MOST_NAMES:
        yield f"notes on {len(told) - _MOST_NAMES} more students (--json lists them)"


def _tests_without_end(result: "ClassResult") -> Iterator[str]:
    """Return a line for each test that was stopped inside its own code: the endless loop may be in the test."""
    from studium_graders.engine.processes.endings import TEST_WITHOUT_END

    stopped: defaultdict[str, list[str]] = defaultdict(list)
    for row in result.submissions:
        for test in row.tests:
            if TEST_WITHOUT_END in test.message:
                stopped[f"{test.exercise}/{test.name}"].append(row.student)
    for name, students in stopped.items():
        yield f"does this test ever finish? {name} was stopped for {_names(students)}"


def _names(students: "Sequence[str] | dict[str, int]") -> str:
    names = list(students)
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def change_lines(changes: "Sequence[MarkChange]", *, changed: bool) -> list[str]:
    """Return the marks that changed, or would change, grouped under their cells, and how many more there are.

    Several changed marks in one student's notebook become one line with their sums; ``--json`` and ``--report`` list
    each.
    """
    books: defaultdict[tuple[str, str, bool], list[MarkChange]] = defaultdict(list)
    for change in changes:
        books[change.student, change.notebook, change.cell == LATE or None in (change.before, change.after)].append(
            change
        )
    lines = [line for (*_, alone), book in books.items() for line in _lines_of(book, alone=alone)]
    more = len(lines) - _MOST_CHANGES
    return [
        f"{_counted(len(changes), 'mark')} {'changed' if changed else 'would change'}:",
        *_grouped(lines[:_MOST_CHANGES]),
        *([f"and {more} more"] if more > 0 else []),
    ]


def _lines_of(changes: "Sequence[MarkChange]", *, alone: bool) -> list[tuple[str, str]]:
    """Return the notebook or cell, and what happened to the mark there."""
    if alone or len(changes) == 1:
        return [(f"{one.notebook}/{one.cell}", _line(one, one.before, one.after)) for one in changes]
    before, after = (sum(getattr(one, when) for one in changes) for when in ("before", "after"))
    return [(changes[0].notebook, f"{_line(changes[0], before, after)} in {len(changes)} cells")]


def _line(change: "MarkChange", before: float | None, after: float | None) -> str:
    return f"{plain(change.student)}: {_mark(before)} → {_mark(after)}"


def _grouped(lines: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Return each heading once, with its texts below it: a cell's id is long and gets a line to itself."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for head, text in lines:
        groups[head].append(f"  {text}")
    for head, texts in groups.items():
        yield from (head, *texts)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _counted_points(points: float) -> str:
    return f"{points:g} point{'' if points == 1 else 's'}"


def _mark(points: float | None) -> str:
    return "by hand" if points is None else f"{round(points, 2):g}"


def show_modes(tests: "Sequence[TestResult]") -> None:
    """Print how each test will be judged: verified ones apart from the answers, others with the reason why not."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for test in tests:
        names[test.reason].append(f"{test.exercise}/{test.name}")
    if verified := names.pop("", []):
        typer.echo(f"{_counted(len(verified), 'test')} verified, apart from the answers: {', '.join(verified)}")
    if names:
        typer.echo(f"{_counted(sum(map(len, names.values())), 'test')} unverified, together with the answers:")
        typer.echo("\n".join(_grouped((why, name) for why, own in names.items() for name in own)))


def show_vacuous(tests: "Sequence[VacuousTest]", *, asked: bool = False) -> None:
    """Print the tests, with the vacuous answers that pass them below; unless asked for, only if there are any."""
    if tests:
        typer.echo("tests that a vacuous answer also passes; this costs no marks:")
        typer.echo("\n".join(_grouped((", ".join(test.answers), test.test) for test in tests)))
    elif asked:
        typer.echo("a vacuous answer passes none of the tests")
