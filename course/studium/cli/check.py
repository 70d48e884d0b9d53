"""``studium check``: judge each answer in a notebook, in a clean process."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studium.cli.desk import AsJson, Notebook, open_file
from studium.cli.output import print_json

if TYPE_CHECKING:
    from studium.exercises.checking import ShownResult


def check(
    ctx: typer.Context,
    notebook: Notebook,
    exercise: Annotated[str | None, typer.Option(help="Check only this exercise.")] = None,
    limit: Annotated[
        float | None, typer.Option(help="Time limit for one cell or exercise, in seconds.", min=0.1)
    ] = None,
    on_server: Annotated[
        bool, typer.Option("--on-server", help="Also let the course server check it against the hidden tests.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the exercises in a notebook: right, wrong (and why), or not attempted.

    Exits with code 1 if an answer is wrong. The notebook is not changed; the results go into your progress.
    """
    if on_server:
        _check_on_server(notebook, exercise, as_json=as_json)
        return
    results = checked(ctx, notebook, exercise, limit)
    if as_json:
        print_json({"exercises": results})
    else:
        show_verdicts(results)
        typer.echo(summary(results))
    if any(item.outcome == "wrong" for item in results):
        raise typer.Exit(1)


def _check_on_server(notebook: Path, exercise: str | None, *, as_json: bool) -> None:
    from studium.classroom.folder import check as ask
    from studium.cli.courses import show_answer

    answer = ask(notebook, exercise or "")
    print_json(answer) if as_json else show_answer(answer)
    if any(item.outcome == "wrong" for item in answer.exercises):
        raise typer.Exit(1)


def checked(ctx: typer.Context, notebook: Path, exercise: str | None, limit: float | None) -> "list[ShownResult]":
    """Return the results of checking a notebook, while a status line on stderr names the current exercise."""
    from rich.console import Console

    from studium.desk.clean_check import Terms

    lesson = open_file(ctx, notebook)
    with Console(stderr=True).status("checking in a clean process …") as status:

        def watch(name: str, deadline: float) -> None:
            status.update(f"checking {name} in a clean process …")

        return lesson.shown(lesson.check(exercise, Terms(limit or lesson.journal.settings.limit, watch=watch)))


def show_verdicts(results: "list[ShownResult]") -> None:
    """Print the verdict on each exercise."""
    from studium.exercises.verdict import Verdict

    for item in results:
        typer.echo(f"{Verdict(item)!r}\n")


def summary(results: "list[ShownResult]") -> str:
    """Return a line with the number of right answers and of points."""
    right = sum(item.outcome == "right" for item in results)
    points, most = sum(item.points for item in results), sum(item.max_points for item in results)
    return f"{right} of {len(results)} exercises right, {points:g} of {most:g} points"
