"""``studium courses``, ``fetch``, ``submit`` and ``regrade``: what a student does with a course server."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studium.cli.desk import AsJson
from studium.cli.output import plain, print_json, print_table
from studium.errors import UsageError

if TYPE_CHECKING:
    from studium.classroom.messages import AssignmentView, CheckAnswer

CourseId = Annotated[
    str, typer.Option("--id", help="The course id, needed if several of your courses have this assignment.")
]


def courses(
    join: Annotated[str, typer.Option(help="An invitation link; it works once.")] = "",
    as_json: AsJson = False,
) -> None:
    """List your courses and what is due: dates, attempts, marks.

    Exits with code 1 if a course server does not answer.
    """
    from studium.classroom import connections
    from studium.classroom.overview import overview

    if join:
        connections.join(join)
    found = overview()
    if as_json:
        print_json(found)
    else:
        rows = [(one.course, one.name, _when(one.due), _state(one), _mark(one)) for one in found.assignments]
        if rows:
            print_table(("course", "assignment", "due", "state", "mark"), rows)
        for one in found.assignments:
            _print_replies(one)
        if not found.courses and not found.problems:
            typer.echo("you have not joined a course yet: pass your invitation link to --join")
    for problem in found.problems:
        typer.echo(f"studium: {plain(problem)}", err=True)
    if found.problems:
        raise typer.Exit(1)


def fetch(
    name: Annotated[str, typer.Argument(help="The assignment's name.")],
    into: Annotated[
        Path | None, typer.Option(help="Where to put it; by default a folder named after the assignment.")
    ] = None,
    course_id: CourseId = "",
    as_json: AsJson = False,
) -> None:
    """Fetch an assignment into a folder. Existing files are left alone, since they may contain your answers."""
    from studium.classroom.folder import fetch as write
    from studium.classroom.overview import assignment_named

    connection, view = assignment_named(name, course_id)
    with connection.client() as client:
        done = write(client, view.course, name, into or Path(name), view.digest)
    if as_json:
        print_json(done)
        return
    kept = f", {len(done.kept)} left alone" if done.kept else ""
    typer.echo(f"{name} of {view.course} is in {done.folder}: {_files(len(done.written))} written{kept}")
    if view.due:
        typer.echo(f"due {_when(view.due)}; hand it in with: studium submit {done.folder}")


def submit(
    notebook: Annotated[Path, typer.Argument(help="The assignment's folder, or a notebook in it.")],
    as_json: AsJson = False,
) -> None:
    """Hand in an assignment's folder with all its notebooks as they were last saved, and show the receipt."""
    from studium.classroom.folder import folder_of
    from studium.classroom.folder import submit as hand_in

    receipt = hand_in(folder_of(notebook))
    if as_json:
        print_json(receipt)
        return
    late = ", late" if receipt.late else ""
    typer.echo(f"attempt {receipt.attempt} at {receipt.assignment} was received {_when(receipt.received)}{late}")
    typer.echo(f"sha256 {receipt.sha256}, {receipt.size} bytes; a copy of this receipt is in the folder")


def regrade(
    name: Annotated[str, typer.Argument(help="The assignment's name.")],
    reason: Annotated[str, typer.Argument(help="Which exercise should be marked again, and why.")],
    course_id: CourseId = "",
    as_json: AsJson = False,
) -> None:
    """Ask your instructors to mark your newest attempt again, once you have seen its mark and feedback.

    You can ask once for each attempt. studium courses shows the reply.
    """
    from studium.classroom.overview import assignment_named

    connection, view = assignment_named(name, course_id)
    if not view.attempts:
        raise UsageError(f"you have not handed in {name}, so there is nothing to mark again; hand it in first")
    attempt = view.attempts[-1].receipt.attempt
    with connection.client() as client:
        asked = client.ask_regrade(view.course, name, attempt, reason)
    if as_json:
        print_json(asked)
        return
    typer.echo(f"your instructors will see your request about attempt {attempt} at {name}")


def _print_replies(view: "AssignmentView") -> None:
    for one in view.attempts:
        if one.regrade:
            said = plain(one.regrade.reply) or "no reply to your request yet"
            typer.echo(f"{plain(view.name)}, attempt {one.receipt.attempt}: {said}")


def show_answer(answer: "CheckAnswer") -> None:
    """Print what the course server answered about a notebook."""
    for one in answer.exercises:
        hidden = f", {one.hidden_passed} of {one.hidden_total} hidden tests pass" if one.hidden_total else ""
        typer.echo(f"{plain(one.exercise)}: {one.outcome}{hidden}")
        for test in one.tests:
            if not test.passed:
                typer.echo(f"  {plain(test.name)}: {plain(test.message)}")
        if one.mistake:
            typer.echo(f"  {plain(one.mistake)}")
    if answer.problem:
        typer.echo(plain(answer.problem))
    typer.echo(f"{answer.checks_left} checks left this hour")


def _when(when: datetime | None) -> str:
    return f"{when.astimezone():%Y-%m-%d %H:%M %Z}" if when else ""


def _state(view: "AssignmentView") -> str:
    tries = f" (attempt {len(view.attempts)})" if view.attempts else ""
    return f"{view.state}{tries}" if view.open else f"{view.state}{tries}, closed"


def _mark(view: "AssignmentView") -> str:
    last = next((one for one in reversed(view.attempts) if one.score is not None), None)
    return f"{last.score:g} of {last.max_score:g}" if last else ""


def _files(number: int) -> str:
    return f"{number} {'file' if number == 1 else 'files'}"
