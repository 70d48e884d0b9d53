"""``studium hint``: show the next hint, or the solution."""

from typing import Annotated

import typer

from studium.cli.desk import AsJson, Exercise, Notebook, open_file
from studium.cli.output import print_json


def hint(
    ctx: typer.Context,
    notebook: Notebook,
    exercise: Exercise,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show a solution; this goes into your progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the next hint for an exercise; after the last one, show them all again."""
    lesson = open_file(ctx, notebook)
    if reveal:
        solution = lesson.reveal(exercise)
        if as_json:
            print_json({"solution": solution, "state": lesson.state(exercise)})
        else:
            typer.echo(solution.rstrip())
        return
    hints, state = lesson.hints(exercise), lesson.state(exercise)
    if as_json:
        print_json({"hints": hints, "total": state.hints, "state": state})
    for number, text in enumerate([] if as_json else hints, 1):
        typer.echo(f"Hint {number} of {state.hints}: {text}")
    if not hints and not as_json:
        typer.echo(f"{exercise} has no hints; `studium check` explains what is wrong with your answer")
