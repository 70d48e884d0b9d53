"""``studium calibrate``: measure the time and memory that exercises and experiments take on this machine."""

from typing import Annotated

import typer

from studium.cli.desk import AsJson, open_store
from studium.cli.output import print_json, print_table
from studium.cli.reproduce import choose_topics


def calibrate(
    ctx: typer.Context,
    slugs: Annotated[list[str] | None, typer.Argument(help="The topics; see `studium topics`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Measure all topics.")] = False,
    profile: Annotated[
        str | None, typer.Option(help="smoke, laptop or gpu; by default the largest this machine can run.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how much time and memory exercises and experiments take here; the syllabus then shows these figures.

    Each lesson is run once with its own solutions, in a separate process. After that, a check that needs more memory
    than is available is refused.
    """
    from studium.desk.calibrating import measure
    from studium.desk.labels import keep_labels, label_text
    from studium.experiments.progress import track
    from studium.topics.profiles import choose_profile

    store, labels, chosen = open_store(), [], choose_profile(profile)
    for topic in track(choose_topics(ctx.obj, slugs or [], everything), "measuring"):
        labels += (found := measure(topic, chosen))
        keep_labels(store, found)
    if as_json:
        print_json({"labels": labels})
    else:
        rows = [(one.slug, one.exercise or one.cell, label_text(one.seconds, one.mb)) for one in labels]
        print_table(("lesson", "what", "time and memory"), rows)
