"""``studium student export`` and ``erase``: everything a course holds about one person."""

import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from studium.errors import CourseError, UsageError
from studium_graders.commands.extra import require_grade_extra, settings_errors
from studium_graders.commands.stopping import stoppable

from studium_classroom.commands.opening import CourseId, Folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from studium_classroom.privacy.erasing import Held
    from studium_classroom.privacy.person import Holdings

Person = Annotated[str, typer.Argument(help="The person's id in the gradebook and on the course server.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def export(
    student: Person,
    into: Annotated[Path | None, typer.Option(help="The file to write; by default STUDENT.zip.")] = None,
    course: Folder = Path(),
    course_id: CourseId = "",
    as_json: AsJson = False,
) -> None:
    """Write everything that a course holds about a person into one ZIP archive.

    It contains marks and comments, submissions, graded notebooks, feedback, results, and what the course server has:
    membership, receipts, checks and lines of its log. Its manifest.json describes each file. Graded notebooks contain
    the code of hidden tests: look through the archive before you pass it on.
    """
    require_grade_extra("nbgrader", "tomlkit")
    from studium.cli.output import print_json
    from studium_graders.results.store import file_name

    from studium_classroom.privacy.erasing import held_about
    from studium_classroom.privacy.exporting import export_person
    from studium_classroom.privacy.person import holdings

    target = into or Path(f"{file_name(student)}.zip")
    with settings_errors(course), holdings(course, course_id) as held:
        _tell_without_server(held)
        held_about(held, student)
        manifest = export_person(held, student, target)
    if as_json:
        print_json(manifest)
    else:
        typer.echo(f"{target} has {len(manifest.files)} files about {student}; manifest.json says what each of them is")


def erase(
    student: Person,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before erasing.")] = False,
    course: Folder = Path(),
    course_id: CourseId = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for programs; without --yes, only what would be erased.")
    ] = False,
) -> None:
    """Erase everything that a course holds about a person, after showing what that is.

    In the course server's log, a made-up name takes the place of the person's. If the command is interrupted, run it
    again. Archives, backups and exports that were made before are not changed.
    """
    require_grade_extra("nbgrader", "tomlkit")
    from studium.cli.output import print_json

    from studium_classroom.privacy.erasing import erase_person
    from studium_classroom.privacy.person import holdings

    with ExitStack() as stack:
        with settings_errors(course):
            held = stack.enter_context(holdings(course, course_id))
            found = _found(held, student)
        if not as_json:
            _show(found)
        agreed = yes or (not as_json and _agreed(student, held))
        if agreed:
            with stoppable("run the same command again to erase the rest"):
                erase_person(held, student)
    if as_json:
        print_json({"student": student, "course": held.course, "held": found, "erased": agreed})
    elif agreed:
        typer.echo(f"{student} is erased from {held.course}; archives, backups and exports made before are unchanged")
    else:
        typer.echo("nothing was erased")


def _found(held: "Holdings", student: str) -> "Sequence[Held]":
    """Return what is held; if that is nothing, complete an erasure that may have been interrupted."""
    from studium_classroom.privacy.erasing import held_about, rewrite

    _tell_without_server(held)
    try:
        return held_about(held, student)
    except UsageError:
        with suppress(CourseError):
            rewrite(held)
        raise


def _show(found: "Sequence[Held]") -> None:
    from studium.cli.output import print_table

    rows = [(one.place, ", ".join(f"{name}: {number}" for name, number in one.counts.items())) for one in found]
    print_table(("place", "what it holds"), rows)


def _agreed(student: str, held: "Holdings") -> bool:
    if not sys.stdin.isatty():
        raise UsageError(f"erasing {student!r} from {held.course} needs --yes where nobody can be asked; add it")
    return typer.confirm(f"Erase all of this about {student} from {held.course}? It cannot be undone.", err=True)


def _tell_without_server(held: "Holdings") -> None:
    if held.server is None:
        typer.echo(
            f"studium: no course server keeps data in {held.root}; if one keeps them elsewhere, name the folder of its "
            "classroom.toml with --course",
            err=True,
        )
