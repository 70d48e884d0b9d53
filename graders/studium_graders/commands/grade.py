"""``studium grade``: run submissions through the engine and record the results in the gradebook."""

import gc
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from studium.catalogue.catalogue import Catalogue
from studium.cli.output import plain

from studium_graders.commands.extra import import_nbgrader, require_grade_extra, settings_errors
from studium_graders.commands.graded_table import change_lines, print_result, show_vacuous
from studium_graders.commands.stopping import stoppable
from studium_graders.grading.early_start import begin

if TYPE_CHECKING:
    from studium_graders.grading.class_result import ClassResult
    from studium_graders.grading.options import Watcher
    from studium_graders.results.history import Attempt
    from studium_graders.results.mark_changes import MarkChange


class Changes(StrEnum):
    """Which marks in the gradebook may change."""

    ALL = "all"
    GAINS = "gains"
    NONE = "none"


_LINE_SECONDS = 60.0  # seconds between two lines of a long run that no terminal shows
_SWITCH_SECONDS = 5e-4  # reading and recording must not hold up the threads that watch over the processes


def grade(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The assignment's name.")],
    course: Annotated[Path, typer.Option(help="The course folder.")] = Path(),
    student: Annotated[list[str] | None, typer.Option(help="Grade only this student; can be repeated.")] = None,
    jobs: Annotated[
        int, typer.Option(min=0, help="How many submissions to grade at once; 0 means one per processor.")
    ] = 0,
    executor: Annotated[str, typer.Option(help="Where to grade: local or dask; plugins can add more.")] = "local",
    scheduler: Annotated[str, typer.Option(help="The address of the dask scheduler.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Grade everything again, even what has not changed.")] = False,
    trust_submissions: Annotated[
        bool, typer.Option("--trust-submissions", help="Grade even if the sandbox is weaker than L2.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Grade and show what would change, but record nothing.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write a page about the marks that change: old and new, for whom, and why.")
    ] = None,
    changes: Annotated[
        Changes, typer.Option(help="Which marks in the gradebook may change: all, gains or none.")
    ] = Changes.ALL,
    only_test: Annotated[
        list[str] | None,
        typer.Option(help="Change only the marks of this test, given as NOTEBOOK/CELL; can be repeated."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before changing marks.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="List the tests that a vacuous answer passes, without grading.")
    ] = False,
    everyone: Annotated[bool, typer.Option("--all", help="List every student, even in a large class.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Grade what was handed in and record it in the gradebook. Only new and changed submissions are run."""
    require_grade_extra("nbgrader")
    if executor == "local":
        begin(course, name, force=force)
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.disable()  # what is imported stays: looking for what does not takes a seventh of the time
    import_nbgrader()
    from studium.cli.output import print_json

    from studium_graders.grading.class_run import grade_class
    from studium_graders.grading.options import GradeOptions
    from studium_graders.grading.vacuous_check import check_assignment
    from studium_graders.results.history import read_attempts
    from studium_graders.results.mark_changes import Selection

    gc.freeze()
    gc.enable()
    catalogue: Catalogue = ctx.obj
    if check:
        with stoppable(), settings_errors(course):
            tests = check_assignment(course, name, catalogue).vacuous
        print_json(tests) if as_json else show_vacuous(tests, asked=True)
        return
    selection = Selection(changes.value, frozenset(only_test or ()))
    options = GradeOptions(
        tuple(student or ()), jobs, executor, scheduler, resume, force, trust_submissions, dry_run, selection
    )
    attempts = read_attempts(course, name) if report else []
    kept = f"everything graded so far is kept: run studium grade {name} again to grade the rest"
    with stoppable(kept), settings_errors(course), _watching(ask=not (yes or as_json)) as watcher:
        result = grade_class(course, name, options, catalogue, watcher)
    if report:
        _write_report(report, result, attempts, dry_run=dry_run)
    if as_json:
        print_json(result)
    else:
        print_result(result, dry_run=dry_run, everyone=everyone)
    _tell_problems(result)


def _write_report(path: Path, result: "ClassResult", attempts: "Sequence[Attempt]", *, dry_run: bool) -> None:
    from studium.notebooks.files import write_text

    from studium_graders.course.private_files import FILE as PRIVATE
    from studium_graders.grading.regrading import regrades
    from studium_graders.report.regrade_page import regrade_page

    write_text(regrade_page(result, regrades(result, attempts), dry_run=dry_run), path, PRIVATE)
    typer.echo(f"{path} is ready", err=True)


def _tell_problems(result: "ClassResult") -> None:
    """Print problems that are not the students' fault, and exit with 1 if there are any."""
    for problem in result.problems:
        typer.echo(f"studium: {plain(problem)}", err=True)
    if result.problems:
        raise typer.Exit(1)


class Quiet:
    """Writes notes and a line each minute to a log or a pipe, where nobody can be asked. ``clock`` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._told = clock, clock()
        self._done, self._total = 0, 0

    def begin(self, total: int, sandbox: str) -> None:
        self._total, self._told = total, self._clock()

    def done(self, student: str, *, reused: bool) -> None:
        self._done += 1
        if (now := self._clock()) - self._told >= _LINE_SECONDS:
            self._told = now
            self.note(f"{self._done} of {self._total} submissions graded")

    def note(self, sentence: str) -> None:
        typer.echo(f"studium: {sentence}", err=True)

    def agree(self, changes: "Sequence[MarkChange]") -> bool:
        return True


class _Screen:
    """Shows progress on a terminal, prints notes, and asks questions."""

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
        for line in change_lines(changes, changed=False):
            self._console.print(line, soft_wrap=True)
        return typer.confirm("Change these marks in the gradebook?", err=True)


@contextmanager
def _watching(*, ask: bool) -> Iterator["Watcher"]:
    if not sys.stderr.isatty():
        yield Quiet()
        return
    screen = _Screen(ask=ask and sys.stdin.isatty())
    with screen.progress:
        yield screen
