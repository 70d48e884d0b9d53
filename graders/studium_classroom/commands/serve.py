"""``studium classroom serve``: run the course server."""

import os
from pathlib import Path
from typing import Annotated

import typer

from studium_classroom.commands.opening import Folder, made_of, settings_of


def serve(
    course: Folder = Path(),
    port: Annotated[
        int | None, typer.Option(help="The port to listen on instead; 0 picks a free one.", min=0, max=65535)
    ] = None,
) -> None:
    """Hand out assignments, take in submissions, check and grade them, until Ctrl-C.

    Behind a JupyterHub, which starts this command itself, the hub identifies people; without one, invitations do.
    """
    import asyncio
    from contextlib import ExitStack

    settings = settings_of(course)
    from studium_classroom.serving import serve as run

    classroom = made_of(settings)
    place = _place(settings.address, settings.port if port is None else port)
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "/")

    def ready(real: int) -> None:
        names, address = ", ".join(one.id for one in classroom.courses), f"http://{place[0]}:{real}"
        if prefix == "/":  # behind a hub, people use the hub's address
            ended.callback(settings.noted.unlink, missing_ok=True)
            settings.noted.write_text(address, "utf-8")
        typer.echo(f"serving {names} at {address}{prefix}; stop with Ctrl-C")

    with ExitStack() as ended:
        asyncio.run(run(classroom, *place, prefix, ready))


def _place(address: str, port: int) -> tuple[str, int]:
    """Return the address and port; if a hub started this command, the hub decides."""
    from urllib.parse import urlsplit

    told = urlsplit(os.environ.get("JUPYTERHUB_SERVICE_URL", ""))
    return (told.hostname, told.port) if told.hostname and told.port else (address, port)
