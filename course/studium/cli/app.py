"""The application: the host's own commands, one module for each, and the commands that plugins add."""

from collections.abc import Callable
from typing import Annotated

import typer

from studium import __version__
from studium.catalogue.catalogue import Catalogue
from studium.cli import (
    calibrate,
    check,
    courses,
    doctor,
    hint,
    html,
    lab,
    next,  # noqa: A004  the command's name
    progress,
    reproduce,
    reset,
    review,
    topic,
    topics,
    update,
    watch,
)

_COMMANDS: tuple[Callable[..., None], ...] = (
    topics.topics,
    lab.lab,
    check.check,
    watch.watch,
    hint.hint,
    next.next_,
    progress.progress,
    reset.reset,
    update.update,
    review.review,
    calibrate.calibrate,
    reproduce.reproduce,
    html.html,
    courses.courses,
    courses.fetch,
    courses.submit,
    courses.regrade,
    doctor.doctor,
)


def build_app(catalogue: Catalogue) -> typer.Typer:
    """Assemble the command line from the host's own commands and those of plugins."""
    app = typer.Typer(
        help="Studium: learn, teach and write topics in modern generative AI.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "obj": catalogue},
    )
    app.callback()(_options)
    for command in _COMMANDS:
        app.command(command.__name__.rstrip("_"))(command)
    new = typer.Typer(help="Create a topic or a course.", no_args_is_help=True)
    new.command("topic")(topic.new_topic)
    app.add_typer(new, name="new")
    app.add_typer(topic.app, name="topic")
    catalogue.manager.hook.studium_commands(app=app)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"studium {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None: ...
