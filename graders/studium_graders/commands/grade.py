"""``studium grade``: what was handed in, through the engine and into the gradebook."""

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from studium.catalogue import Catalogue

from studium_graders.beginning import begin
from studium_graders.commands.extra import import_nbgrader, require_grade_extra, settings_errors
from studium_graders.commands.stopping import stoppable

if TYPE_CHECKING:
    from studium_graders.engine.supervision.vacuous_answers import VacuousTest
    from studium_graders.grade_report import ClassResult, SubmissionRow
    from studium_graders.grading import Watcher
    from studium_graders.history import Attempt
    from studium_graders.recorder import MarkChange


class Changes(StrEnum):
    """Which marks in the gradebook may become others."""

    ALL = "all"
    GAINS = "gains"
    NONE = "none"


_MOST_CHANGES = 40
_SWITCH_SECONDS = 5e-4  # whoever reads and records must not keep those waiting who watch over the processes


def grade(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The assignment's name.")],
    course: Annotated[Path, typer.Option(help="The course folder.")] = Path(),
    student: Annotated[
        list[str] | None, typer.Option(help="A student to grade, and no others; may be given again.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=0, help="How many submissions at the same time; 0 is one for each processor.")
    ] = 0,
    executor: Annotated[str, typer.Option(help="Where to grade: local or dask; plugins may bring more.")] = "local",
    scheduler: Annotated[str, typer.Option(help="The address of the dask scheduler.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Grade again what has not changed.")] = False,
    trust_submissions: Annotated[
        bool, typer.Option("--trust-submissions", help="Grade although the sandbox is weaker than L2.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Grade, and show what would change.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="A page to write about the marks that change: old and new, for whom, and why.")
    ] = None,
    changes: Annotated[
        Changes, typer.Option(help="Which marks in the gradebook may become others: all, gains or none.")
    ] = Changes.ALL,
    only_test: Annotated[
        list[str] | None,
        typer.Option(help="NOTEBOOK/CELL of a test whose marks may change, and no others; may be given again."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before marks change.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Grade nothing: list the tests that a vacuous answer passes.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Grade what was handed in and record it in the gradebook. Only what is new or has changed is run."""
    require_grade_extra("nbgrader")
    if executor == "local":
        begin(course, name, force=force)
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.disable()  # what is imported stays: looking for what does not takes a seventh of the time
    import_nbgrader()
    from studium.cli.output import print_json

    from studium_graders.grading import GradeOptions, grade_class
    from studium_graders.history import read_attempts
    from studium_graders.recorder import Selection
    from studium_graders.vacuous_check import check_assignment

    gc.freeze()
    gc.enable()
    catalogue: Catalogue = ctx.obj
    if check:
        with stoppable(), settings_errors(course):
            tests = check_assignment(course, name, catalogue)
        print_json(tests) if as_json else show_vacuous(tests, asked=True)
        return
    selection = Selection(changes.value, frozenset(only_test or ()))
    options = GradeOptions(
        tuple(student or ()), jobs, executor, scheduler, resume, force, trust_submissions, dry_run, selection
    )
    attempts = read_attempts(course, name) if report else []
    with stoppable(), settings_errors(course), _watching(ask=not (yes or as_json)) as watcher:
        result = grade_class(course, name, options, catalogue, watcher)
    if report:
        _write_report(report, result, attempts, dry_run=dry_run)
    _show(result, dry_run=dry_run, as_json=as_json)


def _write_report(path: Path, result: "ClassResult", attempts: "Sequence[Attempt]", *, dry_run: bool) -> None:
    from studium.notebooks import write_text

    from studium_graders.regrading import regrades
    from studium_graders.report.regrade_page import regrade_page

    write_text(regrade_page(result, regrades(result, attempts), dry_run=dry_run), path)
    typer.echo(f"{path} is ready", err=True)


def show_vacuous(tests: "Sequence[VacuousTest]", *, asked: bool = False) -> None:
    """Print the table of tests that vacuous answers pass; where nobody has asked, only if there are some."""
    from studium.cli.output import print_table

    if tests:
        typer.echo("tests that a vacuous answer passes, too; no marks are taken for that:")
        print_table(("test", "what passes it"), [(test.test, ", ".join(test.answers)) for test in tests])
    elif asked:
        typer.echo("no test is passed by a vacuous answer")


def _show(result: "ClassResult", *, dry_run: bool, as_json: bool) -> None:
    """Print the result; exit with 1 where something is not the students' fault."""
    from studium.cli.output import plain, print_json

    if as_json:
        print_json(result)
    else:
        _print(result, dry_run=dry_run)
    for problem in result.problems:
        typer.echo(f"studium: {plain(problem)}", err=True)
    if result.problems:
        raise typer.Exit(1)


class _Quiet:
    """Tells notes, and no more: nobody watches, and nobody can be asked."""

    def begin(self, total: int, sandbox: str) -> None:
        pass

    def done(self, student: str, *, reused: bool) -> None:
        pass

    def note(self, sentence: str) -> None:
        typer.echo(f"studium: {sentence}", err=True)

    def agree(self, changes: "Sequence[MarkChange]") -> bool:
        return True


class _Screen:
    """Shows progress on a terminal, tells notes, and asks."""

    def __init__(self, *, ask: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._ask = ask
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self.progress = Progress(
            TextColumn("grading", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self.progress.add_task("", total=None, rate="")

    def begin(self, total: int, sandbox: str) -> None:
        self.progress.update(self._task, total=total, rate=f"sandbox {sandbox}")

    def done(self, student: str, *, reused: bool) -> None:
        self.progress.advance(self._task)
        speed = self.progress.tasks[0].speed
        if speed:
            self.progress.update(self._task, rate=f"{speed:.1f}/s")

    def note(self, sentence: str) -> None:
        self._console.print(f"studium: {sentence}", soft_wrap=True)

    def agree(self, changes: "Sequence[MarkChange]") -> bool:
        if not self._ask:
            return True
        self.progress.stop()
        for line in _change_lines(changes, changed=False):
            self._console.print(line, soft_wrap=True)
        return typer.confirm("Change these marks in the gradebook?", err=True)


@contextmanager
def _watching(*, ask: bool) -> Iterator["Watcher"]:
    if not sys.stderr.isatty():
        yield _Quiet()
        return
    screen = _Screen(ask=ask and sys.stdin.isatty())
    with screen.progress:
        yield screen


def _ending(row: "SubmissionRow") -> str:
    from studium_graders.engine.intake.timestamps import NO_TIME

    time = "kept result" if row.reused else f"{row.seconds:.2f} s"
    said = [row.detail] if row.detail else []
    if NO_TIME in row.notes:
        said.append(f"{NO_TIME}, so it counts as never late")
    return f"{'; '.join(said)} ({time})" if said else time


def _change_lines(changes: "Sequence[MarkChange]", *, changed: bool) -> list[str]:
    from studium.cli.output import plain

    lines = [
        f"{plain(change.student)}  {change.notebook}/{change.cell}: {_mark(change.before)} → {_mark(change.after)}"
        for change in changes[:_MOST_CHANGES]
    ]
    more = len(changes) - _MOST_CHANGES
    return [
        f"{_counted(len(changes), 'mark')} {'changed' if changed else 'would change'}:",
        *lines,
        *([f"and {more} more"] if more > 0 else []),
    ]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _mark(points: float | None) -> str:
    return "by hand" if points is None else f"{points:g}"


def _print(result: "ClassResult", *, dry_run: bool) -> None:
    from studium.cli.output import plain, print_table

    rows = [
        (
            row.student,
            f"{row.score:g} of {row.max_score:g}",
            f"-{row.late_penalty:g}" if row.late_penalty else "",
            row.verdict,
            _ending(row),
        )
        for row in result.submissions
    ]
    print_table(("student", "points", "late", "verdict", ""), rows)
    for recorded in (True, False):
        if changes := result.changes_of(recorded=recorded):
            typer.echo("\n".join(_change_lines(changes, changed=recorded)))
    if stopped := result.stopped:
        typer.echo(f"stopped by a limit: {', '.join(f'{plain(row.student)} ({row.verdict})' for row in stopped)}")
    if shared := result.in_one_process:
        number = sum(map(len, shared.values()))
        reasons = "; ".join(f"{', '.join(names)} ({why})" for why, names in shared.items())
        typer.echo(f"{_counted(number, 'test')} ran in one process with the answer: {reasons}")
    show_vacuous(result.vacuous)
    number = sum(row.recorded for row in result.submissions)
    what = "nothing was recorded: a dry run" if dry_run else f"{number} recorded"
    typer.echo(
        f"{_counted(len(result.submissions), 'submission')} of {result.assignment} graded in sandbox {result.sandbox}, "
        f"{result.judged} of them run, {what}"
    )
