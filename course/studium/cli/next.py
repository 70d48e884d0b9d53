"""``studium next``: find the exercise to continue with."""

import typer

from studium.cli.desk import AsJson, Course, open_syllabus
from studium.cli.output import print_json


def next_(ctx: typer.Context, course: Course, as_json: AsJson = False) -> None:
    """Name the exercise to continue with: the first wrong one in your last lesson, or else the first untouched one."""
    syllabus = open_syllabus(ctx, course)
    if as_json:
        print_json({"resume": syllabus.resume, "totals": syllabus.totals})
        return
    if syllabus.resume is None:
        typer.echo("everything is done; `studium review` goes over earlier mistakes")
        return
    resume = syllabus.resume
    topic = next(topic for topic in syllabus.topics if topic.slug == resume.slug)
    item = next(item for item in topic.exercises if item.id == resume.exercise)
    file = course / resume.path if resume.path else f"{resume.slug}.ipynb, which `studium lab` writes"
    level = f"optional, {item.level}" if item.optional else item.level
    typer.echo(f"{item.id} in {file}: {item.status}, {level}, about {item.minutes:g} minutes")
    for line in filter(None, (item.mistake, ": ".join(filter(None, (item.test, item.message))))):
        typer.echo(f"  {line}")
    if topic.missing:
        typer.echo(f"  first finish the topics it builds on: {', '.join(topic.missing)}")
