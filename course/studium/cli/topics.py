"""``studium topics``: what was found, from which distribution, and what is wrong with it."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from studium.catalogue import Catalogue
from studium.cli.output import print_json, print_table


def topics(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List the topics that are installed, and what is wrong with any of them.

    Exit code 1 where two distributions claim the same topic.
    """
    catalogue: Catalogue = ctx.obj
    if as_json:
        print_json(describe(catalogue))
    else:
        _print(catalogue)
    if any(problem.clash for problem in catalogue.problems):
        raise typer.Exit(1)


def describe(catalogue: Catalogue) -> dict[str, Any]:
    """Give the catalogue as plain data."""
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
    ]
    print_table(("track", "slug", "title", "time", "from"), rows, whole="slug")
    for problem in catalogue.problems:
        typer.echo(f"problem: {problem.entry_point} of {problem.distribution}: {problem.error}", err=True)
