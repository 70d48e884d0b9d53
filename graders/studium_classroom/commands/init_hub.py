"""``studium classroom init-hub``: print what a JupyterHub needs to know about the course server."""

from pathlib import Path
from typing import Annotated

import typer

from studium_classroom.commands.opening import Folder, settings_of


def init_hub(
    course: Folder = Path(),
    service: Annotated[str, typer.Option(help="The name of the hub's service.")] = "classroom",
) -> None:
    """Print the lines for jupyterhub_config.py that make a JupyterHub run this server and open it to the hub's users.

    Groups of the hub become roles: studium:COURSE:ROLE, studium:COURSE:ROLE:SECTION, and nbgrader's formgrade-COURSE
    and nbgrader-COURSE.
    """
    settings = settings_of(course)
    from studium_classroom.hub import configuration

    typer.echo(configuration(settings, course.resolve(), service), nl=False)
