"""Checks, and the stream of events."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, authenticated

from studium import __version__
from studium.server.base import DeskHandler, notebook_path
from studium.server.events import event_text

if TYPE_CHECKING:
    from studium.desk.store import Store

_HEARTBEAT, _LOOK = 15.0, 1.0  # seconds


class NewCheck(msgspec.Struct, forbid_unknown_fields=True):
    """What to check: a notebook on disk, or the document as it is now."""

    path: str
    exercise: str | None = None
    notebook: dict[str, Any] | None = None
    limit: Annotated[float, msgspec.Meta(ge=0.1, le=86_400)] | None = None


class ChecksHandler(DeskHandler):
    """The queue."""

    @authenticated
    async def get(self) -> None:
        """List the jobs, newest first."""
        await self.reply(lambda: {"jobs": self.service.jobs.all()})

    @authenticated
    async def post(self) -> None:
        """Add a check to the queue."""
        new = self.body(NewCheck)
        file = notebook_path(self.service.root, new.path)
        await self.reply(lambda: self.service.check(new.path, file, new.exercise, new.notebook, new.limit), 202)


class Shown(msgspec.Struct, forbid_unknown_fields=True):
    """One exercise of a notebook as shown on the screen."""

    path: str
    exercise: str
    notebook: dict[str, Any]


class DifferenceHandler(DeskHandler):
    """The values that the tests of a wrong answer compared."""

    @authenticated
    async def post(self) -> None:
        """Check it again, and send a view of the arrays that differ, by MIME type."""
        shown = self.body(Shown)
        file = notebook_path(self.service.root, shown.path)
        await self.reply(lambda: {"output": self.service.difference(file, shown.exercise, shown.notebook)})


class Cell(msgspec.Struct, forbid_unknown_fields=True):
    """One cell of a notebook as shown on the screen."""

    path: str
    cell: str
    notebook: dict[str, Any]


class NeededHandler(DeskHandler):
    """What has to run before a cell."""

    @authenticated
    async def post(self) -> None:
        """Send the ids of the cells to run, in order, with the cell itself last, and the questions they leave open."""
        wanted = self.body(Cell)
        file = notebook_path(self.service.root, wanted.path)

        def work() -> dict[str, Any]:
            from studium.notebooks.files import cells_up_to
            from studium.notebooks.questions import with_questions
            from studium.server.service import document_of

            document = document_of(wanted.notebook, file)
            cells, questions = with_questions(document, cells_up_to(document, wanted.cell))
            return {"cells": cells, "questions": questions}

        await self.reply(work)


class CheckHandler(DeskHandler):
    """One job."""

    @authenticated
    async def get(self, name: str) -> None:
        """Send the job."""
        await self._send(self.service.jobs.get(name))

    @authenticated
    async def delete(self, name: str) -> None:
        """Cancel the job."""
        await self._send(self.service.jobs.cancel(name))

    async def _send(self, job: Any) -> None:
        if job is None:
            raise HTTPError(404, "this check does not exist; the server may have been restarted")
        await self.reply(lambda: job)


class EventsHandler(DeskHandler):
    """The stream of events: job, progress, settings, hello."""

    @authenticated
    async def get(self) -> None:
        """Send events until the browser leaves."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")  # a proxy must not wait for more
        service, queue = self.service, self.service.events.listen()
        waiting = [job for job in service.jobs.all() if job.state in ("queued", "running")]
        try:
            await self._write(event_text("hello", {"version": __version__, "jobs": waiting}))
            await asyncio.gather(self._pass_on(queue), self._look(service.store))
        except StreamClosedError:
            pass
        finally:
            service.events.leave(queue)

    async def _pass_on(self, queue: "asyncio.Queue[str]") -> None:
        while True:
            try:
                text = await asyncio.wait_for(queue.get(), _HEARTBEAT)
            except TimeoutError:
                text = ": still here\n\n"
            await self._write(text)

    async def _look(self, store: "Store") -> None:
        """Announce what others have written, such as a notebook's own kernel or a command."""
        loop = asyncio.get_running_loop()
        seen = await loop.run_in_executor(None, store.version)
        while True:
            await asyncio.sleep(_LOOK)
            if (now := await loop.run_in_executor(None, store.version)) != seen:
                seen = now
                nobody = {"workspace": None, "slug": None, "exercise": None, "state": None}
                await self._write(event_text("progress", nobody))

    async def _write(self, text: str) -> None:
        self.write(text)
        await self.flush()
