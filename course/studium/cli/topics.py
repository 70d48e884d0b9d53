"""``studium topics``: list the installed topics and any problems with them, or the exercises of one topic."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studium.catalogue.catalogue import NO_TOPICS, Catalogue
from studium.cli.output import print_json, print_table
from studium.exercises.model import IMPORTANCE, in_points
from studium.topics.topic import Topic

if TYPE_CHECKING:
    from studium.desk.description import Description, ExerciseText


def topics(
    ctx: typer.Context,
    slug: Annotated[str | None, typer.Argument(help="List the exercises of this topic.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List the installed topics and any problems with them, or the exercises of one topic.

    Exits with code 1 if two distributions claim the same topic.
    """
    catalogue: Catalogue = ctx.obj
    if slug:
        _show_exercises(catalogue, slug, as_json)
        return
    if as_json:
        print_json(describe(catalogue))
    else:
        _print(catalogue)
    if any(problem.clash for problem in catalogue.problems):
        raise typer.Exit(1)


def describe(catalogue: Catalogue) -> dict[str, Any]:
    """Return the catalogue as plain data."""
    return {
        "topics": [
            {
                "slug": entry.topic.slug,
                "title": entry.topic.title,
                "track": entry.topic.track,
                "distribution": entry.distribution,
                "version": entry.version,
                "needs": list(entry.topic.needs),
                "papers": [asdict(paper) for paper in entry.topic.papers],
            }
            for entry in catalogue.entries
            if not entry.topic.opener
        ],
        "problems": [
            {"entry_point": problem.entry_point, "distribution": problem.distribution, "error": problem.error}
            for problem in catalogue.problems
        ],
    }


def _print(catalogue: Catalogue) -> None:
    rows = [
        (e.topic.track, e.topic.slug, e.topic.title, f"{e.topic.minutes} min", f"{e.distribution} {e.version}")
        for e in catalogue.entries
        if not e.topic.opener
    ]
    print_table(("track", "slug", "title", "time", "from"), rows, whole="slug")
    if not catalogue.topics:
        typer.echo(f"topics: {NO_TOPICS}", err=True)
    for problem in catalogue.problems:
        typer.echo(f"problem: {problem.entry_point} of {problem.distribution}: {problem.error}", err=True)


def _show_exercises(catalogue: Catalogue, slug: str, as_json: bool) -> None:
    from studium.desk.describing import description_of

    topic, described = catalogue[slug], description_of(catalogue, slug)
    if as_json:
        print_json(_exercises(topic, described))
        return
    rows = [_row(item) for item in described.exercises]
    print_table(("exercise", "level", "kind", "importance", "points", "time", ""), rows, whole="exercise")
    core = [item for item in described.exercises if not item.optional]
    typer.echo(f"\n{topic.title}: {in_points(sum(item.points for item in core))}, {topic.minutes} min with the reading")


def _exercises(topic: Topic, described: "Description") -> dict[str, Any]:
    names = ("id", "level", "kind", "importance", "points", "minutes", "optional")
    found = [{name: getattr(item, name) for name in names} for item in described.exercises]
    return {"slug": topic.slug, "title": topic.title, "minutes": topic.minutes, "exercises": found}


def _row(item: "ExerciseText") -> tuple[str, ...]:
    time, optional = f"{item.minutes:g} min", "optional" if item.optional else ""
    return (item.id, item.level, item.kind, IMPORTANCE[item.importance], f"{item.points:g}", time, optional)
