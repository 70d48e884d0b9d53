"""``studium new course``: create a course folder, ready for ``studium assign`` and for nbgrader."""

from pathlib import Path
from typing import Annotated

import typer
from studium.catalogue.catalogue import Catalogue


def new_course(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The course id, such as gen-ai.")],
    folder: Annotated[Path | None, typer.Option("--dir", help="The folder to create; by default ./NAME.")] = None,
) -> None:
    """Create a course folder with course.toml and nbgrader_config.py. Never overwrites an existing one."""
    from studium_graders.course.new_course import make_course

    catalogue: Catalogue = ctx.obj
    root = make_course(name, folder or Path(name), catalogue)
    typer.echo(f"{root} is ready: edit {root / 'course.toml'}, then run: studium assign ps1 --course {root}")
