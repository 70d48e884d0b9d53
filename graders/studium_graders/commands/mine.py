"""``studium topic mine``: find unnamed mistakes in graded answers, for the topic's author."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from studium.catalogue.catalogue import Catalogue

from studium_graders.commands.extra import require_grade_extra, settings_errors

if TYPE_CHECKING:
    from studium_graders.report.mining import Mined, MinedMistake


def mine(
    ctx: typer.Context,
    slug: Annotated[str, typer.Argument(help="The topic's slug.")],
    from_: Annotated[
        list[Path], typer.Option("--from", help="A course folder with graded assignments; can be repeated.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Print wrong answers that at least three students gave and that no mistake names yet, as misconceptions to
    register.

    The output is Python for the exercise's file. It contains no student's id, no comment and no docstring.
    """
    require_grade_extra("nbgrader", "scipy")
    from studium.cli.output import print_json

    from studium_graders.report.mining import mine as look

    catalogue: Catalogue = ctx.obj
    with settings_errors(from_[0]):
        mined = look(slug, from_, catalogue)
    if as_json:
        print_json(mined)
    else:
        _print(mined)
    for note in mined.notes:
        typer.echo(f"studium: {note}", err=True)


def _print(mined: "Mined") -> None:
    from studium.cli.output import plain

    for exercise in mined.exercises:
        typer.echo(
            f"# {exercise.exercise}: {exercise.wrong} of {exercise.tried} wrong, {exercise.unnamed} of them without a "
            f"name, {len(exercise.found) or 'no'} group{'' if len(exercise.found) == 1 else 's'} of three or more\n"
        )
        for found in exercise.found:
            typer.echo(plain(f"{_head(found)}\n{found.code or '# the cell does not define the function'}\n"))


def _head(found: "MinedMistake") -> str:
    low, high = (f"{100 * end:.0f}" for end in (found.share.low, found.share.high))
    fails = "; ".join(found.failed)
    return f"# {found.count} students, {100 * found.share.value:.0f} % ({low} to {high} %); fails: {fails}"
