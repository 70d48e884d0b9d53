"""Hints, solutions, the history of answers, reset, update."""

from typing import Any

import msgspec
from tornado.web import authenticated

from studium.desk.records import Id
from studium.server.base import DeskHandler, notebook_path


class One(msgspec.Struct, forbid_unknown_fields=True):
    """One exercise of a notebook."""

    path: str
    exercise: str


class OneVersion(msgspec.Struct, forbid_unknown_fields=True):
    """One answer in an exercise's history."""

    path: str
    exercise: str
    version: Id


class Written(msgspec.Struct, forbid_unknown_fields=True):
    """An answer as it is in its cell."""

    path: str
    exercise: str
    answer: str


class Update(msgspec.Struct, forbid_unknown_fields=True):
    """An update that was previewed."""

    path: str
    digest: str


class Undo(msgspec.Struct, forbid_unknown_fields=True):
    """An update to undo; by default the last one."""

    path: str
    undo: Id | None = None


class HintHandler(DeskHandler):
    """Hints, one after another."""

    @authenticated
    async def post(self) -> None:
        """Take the next hint."""
        one = self.body(One)
        file = notebook_path(self.service.root, one.path)

        def work() -> dict[str, Any]:
            lesson = self.service.lesson(file)
            hints, state = lesson.hints(one.exercise), self.service.progress(lesson, one.exercise)
            return {"hints": hints, "total": state.hints, "state": state}

        await self.reply(work)


class RevealHandler(DeskHandler):
    """Solutions."""

    @authenticated
    async def post(self) -> None:
        """Show the solution, and record that it was shown."""
        one = self.body(One)
        file = notebook_path(self.service.root, one.path)

        def work() -> dict[str, Any]:
            lesson = self.service.lesson(file)
            return {"solution": lesson.reveal(one.exercise), "state": self.service.progress(lesson, one.exercise)}

        await self.reply(work)


class HistoryHandler(DeskHandler):
    """Earlier answers."""

    @authenticated
    async def get(self) -> None:
        """Send them, newest first."""
        file = notebook_path(self.service.root, self.get_query_argument("path"))
        exercise = self.get_query_argument("exercise")
        await self.reply(lambda: {"versions": self.service.lesson(file).versions(exercise)})


class ResetHandler(DeskHandler):
    """Starting over."""

    @authenticated
    async def post(self) -> None:
        """Put the stub back."""
        one = self.body(One)
        file = notebook_path(self.service.root, one.path)

        def work() -> dict[str, Any]:
            lesson = self.service.lesson(file)
            replaced = lesson.reset(one.exercise)
            return {**msgspec.to_builtins(replaced), "state": self.service.progress(lesson, one.exercise)}

        await self.reply(work)


class KeepHandler(DeskHandler):
    """An answer that another one takes the place of, on the screen."""

    @authenticated
    async def post(self) -> None:
        """Put it into the history."""
        one = self.body(Written)
        file = notebook_path(self.service.root, one.path)
        await self.reply(lambda: {"version": self.service.lesson(file).keep(one.exercise, one.answer)})


class RestoreHandler(DeskHandler):
    """Going back to an earlier answer."""

    @authenticated
    async def post(self) -> None:
        """Put it back."""
        one = self.body(OneVersion)
        file = notebook_path(self.service.root, one.path)

        def work() -> dict[str, Any]:
            lesson = self.service.lesson(file)
            replaced = lesson.restore(one.exercise, one.version)
            return {**msgspec.to_builtins(replaced), "state": self.service.progress(lesson, one.exercise)}

        await self.reply(work)


class UpdateHandler(DeskHandler):
    """An improved lesson."""

    @authenticated
    async def get(self) -> None:
        """Send what would change."""
        file = notebook_path(self.service.root, self.get_query_argument("path"))
        await self.reply(lambda: self.service.lesson(file).preview())

    @authenticated
    async def post(self) -> None:
        """Merge it in."""
        update = self.body(Update)
        file = notebook_path(self.service.root, update.path)

        def work() -> Any:
            lesson = self.service.lesson(file)
            applied = lesson.update(update.digest)
            self.service.tell_progress(lesson.journal.workspace, None, None)
            return applied

        await self.reply(work)


class UndoHandler(DeskHandler):
    """Undoing an update."""

    @authenticated
    async def post(self) -> None:
        """Restore the notebook as it was."""
        undo = self.body(Undo)
        file = notebook_path(self.service.root, undo.path)
        await self.reply(lambda: {"undo": self.service.lesson(file).undo(undo.undo)})
