"""``studium next``: where to go on."""

import typer

from studium.cli.desk import WORKSPACE, AsJson, Course, open_syllabus
from studium.cli.output import print_json


def next_(ctx: typer.Context, course: Course = WORKSPACE, as_json: AsJson = False) -> None:
    """Say where to go on: in the lesson that you worked on last, what is wrong, else what is untouched."""
    syllabus = open_syllabus(ctx, course)
    if as_json:
        print_json({"resume": syllabus.resume, "totals": syllabus.totals})
        return
    if syllabus.resume is None:
        typer.echo("everything is done; `studium review` keeps it fresh")
        return
    resume = syllabus.resume
    topic = next(topic for topic in syllabus.topics if topic.slug == resume.slug)
    item = next(item for item in topic.exercises if item.id == resume.exercise)
    file = course / resume.path if resume.path else f"{resume.slug}.ipynb, which `studium lab` writes"
    level = f"optional, {item.level}" if item.optional else item.level
    typer.echo(f"{item.id} in {file}: {item.status}, {level}, about {item.minutes:g} minutes")
    for line in filter(None, (item.mistake, f"{item.test}: {item.message}" if item.test else "")):
        typer.echo(f"  {line}")
    if topic.missing:
        typer.echo(f"  first finish what it builds on: {', '.join(topic.missing)}")
