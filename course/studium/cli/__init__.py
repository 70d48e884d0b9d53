"""The command line. Each command is a module of its own; plugins add theirs through ``studium_commands``.

Exit codes: 0 fine, 1 a problem (told in one sentence on stderr), 2 a usage error.
"""

import atexit
import contextlib
import os
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from studium import __version__
from studium.catalogue import Catalogue, load_catalogue
from studium.cli import (
    calibrate,
    check,
    doctor,
    hint,
    html,
    lab,
    next,  # noqa: A004  the command is called so
    progress,
    reproduce,
    reset,
    review,
    topic,
    topics,
    update,
    watch,
)
from studium.errors import StudiumError, UsageError

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
    doctor.doctor,
)


def main() -> None:
    """Run the command line and end the process at once: to take apart all that was imported takes up to 0.3 s."""
    code: int | str | None = 0
    try:
        run()
    except SystemExit as end:
        code = end.code
    if isinstance(code, str):
        print(code, file=sys.stderr)  # noqa: T201
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads it any more
            stream.flush()
    os._exit(code if isinstance(code, int) else int(bool(code)))


def run() -> None:
    """Run the command line and raise SystemExit."""
    try:
        build_app(load_catalogue())()
    except UsageError as error:
        _exit(str(error), 2)
    except StudiumError as error:
        _exit(str(error), 1)
    except OSError as error:
        _exit(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}; nothing was lost", 1)
    except KeyboardInterrupt:
        _exit("stopped", 130)


def build_app(catalogue: Catalogue) -> typer.Typer:
    """Assemble the command line: the host's own commands and those of plugins."""
    app = typer.Typer(
        help="Studium: topics of modern generative AI, to learn, to teach and to write.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "obj": catalogue},
    )
    app.callback()(_options)
    for command in _COMMANDS:
        app.command(command.__name__.rstrip("_"))(command)
    new = typer.Typer(help="Make something new.", no_args_is_help=True)
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


def _exit(sentence: str, code: int) -> NoReturn:
    print(f"studium: {sentence}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
