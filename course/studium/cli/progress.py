"""``studium progress``: show the learner's progress, and carry it to another machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studium.cli.desk import AsJson, Course, open_file, open_journal, open_syllabus
from studium.cli.output import print_json, print_table
from studium.errors import UsageError

if TYPE_CHECKING:
    from studium.desk.syllabus import TopicState


HEADER = ("lesson", "state", "right", "seen", "wrong", "open", "optional", "left")
"""Words so short that the table fits into 80 columns; "seen" is a solution that was seen, "open" what is not begun."""


def progress(
    ctx: typer.Context,
    course: Course,
    export: Annotated[Path | None, typer.Option(help="Write your progress to this file.")] = None,
    import_: Annotated[Path | None, typer.Option("--import", help="Merge this file into your progress.")] = None,
    share: Annotated[
        str | None,
        typer.Option(
            help="Print an answer as a short text that you can send; NOTEBOOK:EXERCISE, such as lora.ipynb:merge."
        ),
    ] = None,
    read: Annotated[str | None, typer.Option(help="Show the answer inside a text that --share printed.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting; NAME=VALUE, such as limit=30.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show your progress, carry it to another machine, share an answer, or change a setting."""
    if share:
        _share(ctx, share)
    elif read:
        _read(read, as_json)
    elif change:
        _set(course, change)
    elif export or import_:
        _carry(course, export, import_)
    else:
        _show(ctx, course, as_json)


def _show(ctx: typer.Context, course: Path, as_json: bool) -> None:
    from studium.desk.describing import descriptions
    from studium.desk.operator_defaults import read_defaults
    from studium.desk.retrospect import look_back

    syllabus = open_syllabus(ctx, course)
    if as_json:
        print_json(syllabus)
        return
    rows = [_row(topic) for topic in syllabus.topics]
    print_table(HEADER, rows, whole="lesson")
    totals = syllabus.totals
    typer.echo(f"\n{totals['right']:g} of {totals['exercises']:g} exercises solved without help")
    if totals["optional"]:
        typer.echo(f"{totals['optional_right']:g} of {totals['optional']:g} optional ones")
    journal = open_journal(course)
    back = look_back(journal.store.entries(journal.workspace), descriptions(ctx.obj))
    if back.mistakes:
        typer.echo(f"{back.overcome} of {len(back.mistakes)} named mistakes overcome")
    if back.predictions:
        typer.echo(f"{back.hits} of {len(back.predictions)} predictions hit")
    if sentence := read_defaults().sentence:
        typer.echo(sentence)
    for problem in syllabus.problems:
        typer.echo(f"problem: {problem}", err=True)


def _row(topic: "TopicState") -> tuple[str, ...]:
    found = [item.status for item in topic.exercises if not item.optional]
    counts = (str(found.count(name)) for name in ("right", "revealed", "wrong", "untouched"))
    further = [item.status for item in topic.exercises if item.optional]
    optional = f"{further.count('right')} of {len(further)} right" if further else ""
    return (topic.slug, topic.status, *counts, optional, f"{topic.minutes_left:g} min")


def _carry(course: Path, export: Path | None, import_: Path | None) -> None:
    from studium.desk.progress_file import export_progress, import_progress
    from studium.notebooks.files import write_text

    journal = open_journal(course)
    if import_:
        merged = import_progress(journal, import_.read_bytes())
        typer.echo(f"{merged.added} entries added, {merged.known} were already there")
    if export:
        write_text(export_progress(journal).decode() + "\n", export)
        typer.echo(f"your progress is in {export}")


def _share(ctx: typer.Context, what: str) -> None:
    notebook, _, exercise = what.rpartition(":")
    if not notebook:
        raise UsageError(f"an answer is written NOTEBOOK:EXERCISE, such as lora.ipynb:merge: got {what}")
    typer.echo(open_file(ctx, Path(notebook)).share(exercise))


def _read(code: str, as_json: bool) -> None:
    from studium.desk.answer_codes import decode_answer

    shared = decode_answer(code)
    if as_json:
        print_json(shared)
    else:
        typer.echo(f"# {shared.slug}: {shared.exercise}\n{shared.answer}")


def _set(course: Path, changes: list[str]) -> None:
    import msgspec

    from studium.desk.settings import change_settings

    given: dict[str, Any] = {}
    for change in changes:
        name, _, text = change.partition("=")
        try:
            given[name.strip()] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            raise UsageError(f"a setting is written NAME=VALUE, such as limit=30: got {change}") from None
    print_json(change_settings(open_journal(course).store, given))
