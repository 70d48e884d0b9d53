"""``studium classroom init-hub``: what a JupyterHub needs to know of the course server."""

from pathlib import Path
from typing import Annotated

import typer

from studium_classroom.commands.opening import Folder, settings_of


def init_hub(
    course: Folder = Path(),
    service: Annotated[str, typer.Option(help="The name of the hub's service.")] = "classroom",
) -> None:
    """Print the lines for jupyterhub_config.py by which a JupyterHub runs this server and lets its users reach it.

    Groups of the hub become roles: studium:COURSE:ROLE, studium:COURSE:ROLE:SECTION, and nbgrader's formgrade-COURSE
    and nbgrader-COURSE.
    """
    settings = settings_of(course)
    from studium_classroom.hub import configuration

    typer.echo(configuration(settings, course.resolve(), service), nl=False)
