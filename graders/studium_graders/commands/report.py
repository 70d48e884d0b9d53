"""``studium report``: show on one page what a class's answers reveal."""

from pathlib import Path
from typing import Annotated

import typer
from studium.catalogue.catalogue import Catalogue

from studium_graders.commands.extra import require_grade_extra, settings_errors
from studium_graders.commands.same_lines import show_same


def report(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The assignment's name.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    course: Annotated[Path, typer.Option(help="The course folder.")] = Path(),
    from_: Annotated[
        list[Path] | None,
        typer.Option("--from", help="The course folder of an earlier term to compare with; can be repeated."),
    ] = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Show numbers instead of ids, and answers without comments.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of writing a page.")] = False,
) -> None:
    """Write a page about an assignment: its tests, the mistakes that were made, and answers that are alike.

    The page shows which tests do not discriminate, how often each mistake was made, groups of wrong answers without a
    name as code for the topic's author, students whose answers are the same or whose comments name somebody else, and
    pairs whose answers are more alike than chance would explain. It is a single file that needs no network. It hides
    the code of hidden tests but contains students' answers: keep it to yourself.
    """
    require_grade_extra("nbgrader", "scipy")
    from studium.cli.output import plain, print_json
    from studium.notebooks.files import write_text

    from studium_graders.course.private_files import FILE as PRIVATE
    from studium_graders.report.class_data import anonymous as without_names
    from studium_graders.report.making import make_report
    from studium_graders.report.page import report_page
    from studium_graders.report.reading import read_class
    from studium_graders.results.mistakes import Sentences

    catalogue: Catalogue = ctx.obj
    with settings_errors(course):
        data = read_class(course, name, catalogue)
        earlier = [read_class(folder, name, catalogue) for folder in from_ or ()]
    if anonymous:
        data, earlier = without_names(data), [without_names(term) for term in earlier]
    made = make_report(data, Sentences(catalogue).of, earlier)
    if as_json:
        print_json(made)
        return
    write_text(report_page(made, data), out, PRIVATE)
    for note in made.notes:
        typer.echo(f"studium: {note}", err=True)
    if made.absent.count:
        typer.echo(plain(made.absent.line))
    show_same(made.same, more_in=f"{out} and --json list them")
    typer.echo(f"{out} is ready: {len(made.tests)} tests, {made.students} students, {len(made.similarity.pairs)} pairs")
