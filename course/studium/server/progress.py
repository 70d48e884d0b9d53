"""Progress files, a look back, review questions, predictions."""

from typing import Annotated, Any

import msgspec
from tornado.web import authenticated

from studium.server.base import DeskHandler, inside, notebook_path


class Import(msgspec.Struct, forbid_unknown_fields=True):
    """A progress file, and the folder whose workspace it goes into."""

    file: dict[str, Any]
    folder: str = ""


class Code(msgspec.Struct, forbid_unknown_fields=True):
    """A short answer as text; if there is a folder, it goes into the history there."""

    code: Annotated[str, msgspec.Meta(max_length=20_000)]
    folder: str | None = None


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    """What was chosen in answer to a review question."""

    card: str
    choice: int
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    folder: str = ""


class Prediction(msgspec.Struct, forbid_unknown_fields=True):
    """A guess and the result."""

    path: str
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    guess: float
    value: float
    question: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    within: Annotated[float, msgspec.Meta(ge=0)] = 0.1


class ProgressHandler(DeskHandler):
    """The progress file."""

    @authenticated
    async def get(self) -> None:
        """Send it."""
        folder = inside(self.service.root, self.get_query_argument("folder", ""))

        def work() -> Any:
            from studium.desk.progress_file import export_progress

            return msgspec.Raw(export_progress(self.service.journal(folder)))

        await self.reply(work)

    @authenticated
    async def post(self) -> None:
        """Merge one in."""
        given = self.body(Import)
        folder = inside(self.service.root, given.folder)

        def work() -> Any:
            from studium.desk.progress_file import import_progress

            journal = self.service.journal(folder)
            added = import_progress(journal, msgspec.json.encode(given.file))
            self.service.tell_progress(journal.workspace, None, None)
            return added

        await self.reply(work)


class RetrospectHandler(DeskHandler):
    """What the learner has been through."""

    @authenticated
    async def get(self) -> None:
        """Send the mistakes that were named, and the predictions whose answer was found."""
        folder = inside(self.service.root, self.get_query_argument("folder", ""))

        def work() -> Any:
            from studium.desk.retrospect import look_back

            journal = self.service.journal(folder)
            return look_back(journal.store.entries(journal.workspace), self.service.descriptions())

        await self.reply(work)


class ShareHandler(DeskHandler):
    """Short answers as text."""

    @authenticated
    async def get(self) -> None:
        """Write an answer as a code."""
        file = notebook_path(self.service.root, self.get_query_argument("path"))
        exercise = self.get_query_argument("exercise")
        await self.reply(lambda: {"code": self.service.lesson(file).share(exercise)})

    @authenticated
    async def post(self) -> None:
        """Read a code."""
        given = self.body(Code)
        folder = None if given.folder is None else inside(self.service.root, given.folder)

        def work() -> Any:
            from studium.desk.answer_codes import decode_answer

            shared = decode_answer(given.code)
            if folder is not None:
                self.service.journal(folder).keep(shared.slug, shared.exercise, "shared", shared.answer)
                self.service.tell_progress(self.service.journal(folder).workspace, None, None)
            return shared

        await self.reply(work)


class ReviewHandler(DeskHandler):
    """Questions about the learner's own mistakes."""

    @authenticated
    async def get(self) -> None:
        """Send the questions that are due."""
        folder = inside(self.service.root, self.get_query_argument("folder", ""))
        limit = self.get_query_argument("limit", "")

        def work() -> Any:
            from studium.desk.review import read_review

            count = int(limit) if limit.isdigit() else None
            return read_review(self.service.journal(folder), self.service.catalogue, count)

        await self.reply(work)

    @authenticated
    async def post(self) -> None:
        """Answer one."""
        given = self.body(Choice)
        folder = inside(self.service.root, given.folder)

        def work() -> Any:
            from studium.desk.review import answer_review

            journal = self.service.journal(folder)
            return answer_review(journal, self.service.catalogue, given.card, given.choice, given.seconds)

        await self.reply(work)


class PredictionsHandler(DeskHandler):
    """Guesses."""

    @authenticated
    async def post(self) -> None:
        """Record a guess, and the result."""
        given = self.body(Prediction)
        file = notebook_path(self.service.root, given.path)

        def work() -> dict[str, bool]:
            lesson = self.service.lesson(file)
            lesson.journal.predict(lesson.slug, given.name, given.guess, given.question)
            found = lesson.journal.found(lesson.slug, given.name, given.value, given.within)
            return {"hit": found is not None and found.hit}

        await self.reply(work)
