"""What all handlers share: who may ask, how a body is parsed, where a path leads, how an error is reported."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError

from studium.errors import StudiumError

if TYPE_CHECKING:
    from studium.server.service import Service

LARGEST_BODY = 32 << 20
T = TypeVar("T")


class DeskHandler(APIHandler):  # type: ignore[misc]  # jupyter_server has no types for mypy here
    """A handler of the desk. ``service`` is shared by all of them."""

    def initialize(self, find_service: "Callable[[], Service]") -> None:
        """Store a function that returns the shared service, which is created on first use."""
        self._find_service = find_service

    @property
    def service(self) -> "Service":
        """The service that all handlers of a server share."""
        return self._find_service()

    async def prepare(self) -> None:
        """Refuse a body that is too large."""
        await super().prepare()
        if len(self.request.body) > LARGEST_BODY:
            raise HTTPError(413, f"a body may have at most {LARGEST_BODY >> 20} MB; send less")

    def body(self, form: type[T]) -> T:
        """Return the body as ``form``; raise 400 with a sentence if it is something else."""
        try:
            return msgspec.json.decode(self.request.body or b"{}", type=form)
        except (msgspec.DecodeError, RecursionError) as error:
            raise HTTPError(400, f"the body is not what this address expects: {error}".replace("%", "%%")) from None

    async def reply(self, work: Callable[[], Any], status: int = 200) -> None:
        """Do work in a thread and send the result; a StudiumError becomes its sentence."""
        try:
            value = await asyncio.get_running_loop().run_in_executor(None, work)
        except StudiumError as error:
            raise HTTPError(_status(error), str(error).replace("%", "%%")) from error
        self.set_status(status)
        self.finish(msgspec.json.encode(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Send the sentence of an error; an unexpected error gets no details."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        message = error.log_message or error.reason if isinstance(error, HTTPError) else None
        if message is None:
            message = f"the request failed ({status_code}); nothing was changed, and the log has the details"
        self.finish(json.dumps({"message": message.replace("%%", "%")}))


def _status(error: StudiumError) -> int:
    from studium.desk.lesson_file import ChangedError
    from studium.errors import UsageError

    if isinstance(error, ChangedError):
        return 409
    return 404 if isinstance(error, UsageError) else 400


def notebook_path(root: Path, path: str) -> Path:
    """Return the notebook at a contents path; raise 400 if it is not a notebook, is outside the root, or is hidden."""
    if not path.endswith(".ipynb"):
        raise HTTPError(400, "the path must name a notebook, a file ending in .ipynb")
    return inside(root, path)


def inside(root: Path, path: str) -> Path:
    """Return the file or folder at a contents path; raise 400 if it is outside the root or hidden."""
    parts = [part for part in path.split("/") if part]
    if any(part.startswith(".") or "\\" in part or ":" in part or "\0" in part for part in parts):
        raise HTTPError(400, "the path must stay inside the server's folder and name nothing hidden")
    found = root.joinpath(*parts).resolve()
    if not found.is_relative_to(root):
        raise HTTPError(400, "the path must stay inside the server's folder: this one leads out of it")
    return found
