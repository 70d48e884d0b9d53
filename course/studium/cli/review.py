"""``studium review``: a few minutes of questions about your own mistakes."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from studium.cli.desk import AsJson, Course, open_journal
from studium.cli.output import print_json
from studium.errors import UsageError

if TYPE_CHECKING:
    from studium.desk.review import Question


def review(
    ctx: typer.Context,
    course: Course,
    answer: Annotated[
        str | None, typer.Option(help="Answer a question that --json listed; CARD=CHOICE, counted from 0.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the questions that are due, about mistakes you made and predictions that missed."""
    from studium.desk.review import answer_review, read_review

    journal = open_journal(course)
    if answer:
        card, _, choice = answer.rpartition("=")
        if not choice.isdigit():
            raise UsageError(f"an answer is written CARD=CHOICE, with a card from --json: got {answer}")
        print_json(answer_review(journal, ctx.obj, card, int(choice), 0.0))
        return
    found = read_review(journal, ctx.obj)
    if as_json:
        print_json(found)
        return
    for question in found.questions:
        start = time.monotonic()
        number = _ask(question)
        answered = answer_review(journal, ctx.obj, question.card, number, time.monotonic() - start)
        typer.echo(f"{'Right' if answered.right else 'No'}. {answered.explanation}\n")
    left = read_review(journal, ctx.obj)
    typer.echo(_ending(left.due, left.next))


def _ask(question: "Question") -> int:
    typer.echo(question.prompt)
    if question.code:
        typer.echo(f"\n{question.code.rstrip()}\n")
    for number, choice in enumerate(question.choices, 1):
        typer.echo(f"  {number}. {choice}")
    numbers = [str(number) for number in range(1, len(question.choices) + 1)]
    while (given := typer.prompt("Your choice")) not in numbers:
        typer.echo(f"type one of these numbers: {', '.join(numbers)}")
    return int(given) - 1


def _ending(waiting: int, later: int | None) -> str:
    if waiting:
        return f"{waiting} more due; run `studium review` again"
    if later is None:
        return "nothing is due; a question is added when a check names a mistake or a prediction misses"
    return f"nothing more is due until {time.strftime('%Y-%m-%d %H:%M', time.localtime(later / 1000))}"
