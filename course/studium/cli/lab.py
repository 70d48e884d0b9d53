"""``studium lab``: open the learner's workspace in JupyterLab."""

import os
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from studium.catalogue.catalogue import NO_TOPICS, Catalogue
from studium.desk.places import workspace_here

# It starts sooner with `import studium` first: see studium.exercises.late_grammar.
_LAB = "import studium; from studium.cli.lab_process import main; main()"


def lab(
    ctx: typer.Context,
    course: Annotated[
        Path,
        typer.Option(
            help="Your workspace, created if missing; by default the current folder if it is one, otherwise "
            "studium-workspace.",
            default_factory=workspace_here,
            show_default=False,
        ),
    ],
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address instead of opening a browser.")
    ] = False,
    no_start: Annotated[
        bool, typer.Option("--no-start", help="Build the lessons without starting JupyterLab.")
    ] = False,
    port: Annotated[
        int, typer.Option(help="The port to listen on; if it is taken, the next free one.", min=1, max=65535)
    ] = 8888,
) -> None:
    """Build the lessons missing from your workspace and open JupyterLab on it. Your answers are kept."""
    from studium.desk.workspace import START, build_workspace

    catalogue: Catalogue = ctx.obj
    workspace = build_workspace(catalogue, course)
    typer.echo(f"{len(workspace.made)} new lessons in {course}, {len(workspace.kept)} kept as they were")
    if not catalogue.lessons:
        typer.echo(f"topics: {NO_TOPICS}", err=True)
    broken = (f"{problem.entry_point} of {problem.distribution}: {problem.error}" for problem in catalogue.problems)
    for sentence in (*workspace.problems, *broken):
        typer.echo(f"problem: {sentence}", err=True)
    if no_start:
        return
    with as_file(files("studium") / "lab_settings") as settings:
        _become(_command(course, START, settings, no_browser, port), _environment(settings))


def _become(command: list[str], environment: dict[str, str]) -> NoReturn:
    """Run the command in the place of this process, so that a signal to it reaches the server and its kernels."""
    if os.name == "nt":  # where a process cannot become another one
        raise typer.Exit(subprocess.call(command, env=environment))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, environment)  # noqa: S606  (this Python, with arguments of our own)


def _command(course: Path, start: str, settings: Path, no_browser: bool, port: int) -> list[str]:
    return [
        *(sys.executable, "-c", _LAB, f"--port={port}"),
        f"--ServerApp.root_dir={course.resolve()}",  # by its bare name, "workspace" is a command of Lab
        f"--LabApp.default_url=/lab/tree/{start}",
        f"--LabApp.app_settings_dir={settings}",
        f"--JupyterNotebookApp.app_settings_dir={settings}",
        *("--log-level=ERROR", "--LabApp.log_level=ERROR"),
        *(["--no-browser"] if no_browser else []),
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    ]


def _environment(settings: Path) -> dict[str, str]:
    """Return an environment without the instructor's tools, which `jupyter lab` enables in Lab and in Notebook."""
    paths = filter(None, (str(settings), os.environ.get("JUPYTER_CONFIG_PATH")))
    return os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(paths)}
