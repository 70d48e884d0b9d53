"""``studium check``: an answer's verdict, in a clean process."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studium.cli.output import print_json

if TYPE_CHECKING:
    from studium.checking import ExerciseResult
    from studium.clean_check import NotebookResult


def check(
    notebook: Annotated[Path, typer.Argument(help="The notebook with your answers.")],
    exercise: Annotated[str | None, typer.Option(help="Check this exercise alone.")] = None,
    limit: Annotated[float, typer.Option(help="Longest time for one cell or exercise, in seconds.", min=0.1)] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Check the exercises of a notebook: right, wrong (and why), or not attempted.

    Exit code 1 where an answer is wrong. Nothing is written.
    """
    from studium.verdict import Verdict

    result = _checked(notebook, exercise, limit)
    if as_json:
        print_json(result)
    else:
        for item in result.exercises:
            typer.echo(f"{Verdict(item)!r}\n")
        typer.echo(_summary(result.exercises))
    if any(item.outcome == "wrong" for item in result.exercises):
        raise typer.Exit(1)


def _checked(notebook: Path, exercise: str | None, limit: float) -> "NotebookResult":
    from rich.console import Console

    from studium.clean_check import check_notebook

    with Console(stderr=True).status("checking in a clean process …") as status:
        return check_notebook(
            notebook, exercise, limit=limit, watch=lambda name: status.update(f"checking {name} in a clean process …")
        )


def _summary(results: "list[ExerciseResult]") -> str:
    right = sum(item.outcome == "right" for item in results)
    points, most = sum(item.points for item in results), sum(item.max_points for item in results)
    return f"{right} of {len(results)} exercises right, {points:g} of {most:g} points"
