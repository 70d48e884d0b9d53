"""``studium roster``: show the class list, or bring it up to date from an LMS, a hub or a CSV file."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from studium_graders.commands.extra import require_grade_extra, settings_errors

from studium_classroom.commands.class_list_lines import show_list, show_problems, show_update

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbgrader.coursedir import CourseDirectory
    from studium_graders.class_list.students import ListedStudent
    from studium_graders.lms.class_rows import FoundStudents


def roster(
    from_canvas: Annotated[Path | None, typer.Option(help="The CSV file that Canvas's gradebook exports.")] = None,
    from_moodle: Annotated[
        Path | None, typer.Option(help="A CSV file of Moodle's: participants, grades or a grading worksheet.")
    ] = None,
    from_csv: Annotated[
        Path | None,
        typer.Option(help="A CSV file with the column id, and optionally first_name, last_name, email and section."),
    ] = None,
    from_hub: Annotated[bool, typer.Option("--from-hub", help="Take the groups of a JupyterHub.")] = False,
    hub_url: Annotated[str, typer.Option(help="The address of the hub's API; by default JUPYTERHUB_API_URL.")] = "",
    id_column: Annotated[
        str, typer.Option(help="The column with the students' ids, if not the one Studium would choose.")
    ] = "",
    course: Annotated[Path, typer.Option(help="The course folder.")] = Path(),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would change, without writing anything.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before writing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show the class list, or replace it by the students of a file or of a hub's groups.

    The list is nbgrader's gradebook, with sections next to it, and the course server uses it, too. What is added,
    changed and gone is shown before anything is written. Students who are not in the file are marked as gone; their
    work and marks stay. If a row cannot be used, nothing is written. Empty cells change nothing.
    """
    require_grade_extra("nbgrader")
    files = {"canvas": from_canvas, "moodle": from_moodle, "csv": from_csv}
    given = [(system, path) for system, path in files.items() if path]
    if len(given) + from_hub > 1:
        raise typer.BadParameter("name one source: --from-canvas, --from-moodle, --from-csv or --from-hub")
    if as_json and (given or from_hub) and not (dry_run or yes):
        raise typer.BadParameter("nobody can be asked with --json: add --dry-run to look, or --yes to write")
    from studium_graders.class_list.students import read_class
    from studium_graders.course.finding import open_course

    with settings_errors(course):
        directory = open_course(course)
        there = read_class(directory)
    if not (given or from_hub):
        show_list(there, as_json=as_json)
        return
    found = _from_hub(directory, hub_url) if from_hub else _from_file(*given[0], there, id_column)
    if found.problems:
        show_problems(found.problems)
        raise typer.Exit(1)
    _update(directory, there, found, dry_run=dry_run, yes=yes, as_json=as_json)


def _from_file(system: str, path: Path, there: "Mapping[str, ListedStudent]", id_column: str) -> "FoundStudents":
    from studium_graders.lms.class_rows import students_of_file

    return students_of_file(path, system, there, id_column)


def _from_hub(directory: "CourseDirectory", url: str) -> "FoundStudents":
    from studium_classroom.hub_students import students_of_hub

    return students_of_hub(directory.course_id, url)


def _update(
    directory: "CourseDirectory",
    there: "Mapping[str, ListedStudent]",
    found: "FoundStudents",
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Show what changes, ask, and write it."""
    from studium_graders.class_list.updating import update_of, write_update

    update = update_of(there, found.students, date.today())
    show_update(update, found.left_out, as_json=as_json)
    if update.is_empty or dry_run:
        return
    if not (yes or typer.confirm("Write this into the class list?", err=True)):
        typer.echo("nothing was written")
        return
    with settings_errors(Path(directory.root)):
        write_update(directory, update)
    if not as_json:
        typer.echo("the class list is up to date")
