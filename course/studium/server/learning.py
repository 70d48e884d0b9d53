"""What there is to learn: syllabus, lessons, search, glossary, labels, settings."""

from typing import Any

import msgspec
from tornado.web import authenticated

from studium.server.base import DeskHandler, inside, notebook_path


class SyllabusHandler(DeskHandler):
    """All topics with the learner's state."""

    @authenticated
    async def get(self) -> None:
        """Send the syllabus of a folder."""
        folder = self.get_query_argument("folder", "").strip("/")
        inside(self.service.root, folder)

        def work() -> dict[str, Any]:
            from studium.desk.review import due_cards

            syllabus = self.service.syllabus(folder)
            due = len(due_cards(self.service.journal(self.service.root / folder), self.service.catalogue))
            return {**msgspec.to_builtins(syllabus), "due": due}

        await self.reply(work)


class CoverHandler(DeskHandler):
    """What the course opens with."""

    @authenticated
    async def get(self) -> None:
        """Send the cover's widget and its lesson, or null if none of the lessons has a widget."""

        def work() -> Any:
            from studium.desk.cover import cover_of

            return {"cover": cover_of(self.service.catalogue)}

        await self.reply(work)


class ImagesHandler(DeskHandler):
    """What lessons look like."""

    @authenticated
    async def get(self) -> None:
        """Send one image for each lesson that has a diagram."""

        def work() -> Any:
            from studium.desk.lesson_images import lesson_images

            return {"images": lesson_images(self.service.descriptions())}

        await self.reply(work)


class LessonHandler(DeskHandler):
    """One lesson."""

    @authenticated
    async def get(self) -> None:
        """Send the state of the lesson in a notebook."""
        path = self.get_query_argument("path")
        file = notebook_path(self.service.root, path)

        def work() -> Any:
            topic = self.service.lesson(file).topic(path)
            self.service.warm_soon(topic.slug)
            return topic

        await self.reply(work)


class EndingHandler(DeskHandler):
    """The end of a lesson."""

    @authenticated
    async def get(self) -> None:
        """Send what the learner can do now, predictions, mistakes overcome and the next lesson."""
        path = self.get_query_argument("path")
        file = notebook_path(self.service.root, path)
        await self.reply(lambda: self.service.lesson(file).ending(self.service.syllabus(path.rpartition("/")[0])))


class NewLesson(msgspec.Struct, forbid_unknown_fields=True):
    """Which lesson to write, and where."""

    slug: str
    folder: str = ""


class LessonsHandler(DeskHandler):
    """Lessons that are not in the folder yet."""

    @authenticated
    async def post(self) -> None:
        """Write a lesson; an existing one is kept."""
        wanted = self.body(NewLesson)
        folder = inside(self.service.root, wanted.folder)

        def work() -> dict[str, str]:
            from studium.desk.describing import description_of
            from studium.desk.workspace import add_lesson

            name = add_lesson(folder, description_of(self.service.catalogue, wanted.slug))
            return {"path": "/".join(filter(None, (wanted.folder.strip("/"), name)))}

        await self.reply(work)


class SearchHandler(DeskHandler):
    """Words in the prose of lessons."""

    @authenticated
    async def get(self) -> None:
        """Send the places that contain all the words."""
        words = self.get_query_argument("q", "")[:200]

        def work() -> dict[str, Any]:
            from studium.desk.prose import search

            return {"results": search(self.service.catalogue, self.service.descriptions(), words)}

        await self.reply(work)


class GlossaryHandler(DeskHandler):
    """The words that lessons introduce, and the symbols that mean the same in all lessons."""

    @authenticated
    async def get(self) -> None:
        """Send all terms by name, and the symbols in the order of the notation."""

        def work() -> dict[str, Any]:
            from studium.desk.prose import glossary
            from studium.topics.notation import symbols

            told = [{"symbol": one.symbol, "meaning": one.meaning} for one in symbols()]
            return {"terms": glossary(self.service.descriptions()), "symbols": told}

        await self.reply(work)


class LabelsHandler(DeskHandler):
    """Time and memory, as measured here."""

    @authenticated
    async def get(self) -> None:
        """Send the labels of a topic, or all."""
        slug = self.get_query_argument("slug", None)

        def work() -> dict[str, Any]:
            from studium.desk.labels import read_labels

            return {"labels": list(read_labels(self.service.store, slug).values())}

        await self.reply(work)


class SettingsHandler(DeskHandler):
    """The desk's settings."""

    @authenticated
    async def get(self) -> None:
        """Send the settings."""
        await self.reply(self._settings)

    @authenticated
    async def put(self) -> None:
        """Change some settings."""
        changes = self.body(dict[str, Any])

        def work() -> dict[str, Any]:
            from studium.desk.settings import change_settings

            self.service.events.send("settings", change_settings(self.service.store, changes))
            return self._settings()

        await self.reply(work)

    def _settings(self) -> dict[str, Any]:
        from studium.desk.operator_defaults import read_defaults
        from studium.desk.settings import read_settings

        operator = read_defaults()
        return {
            "settings": read_settings(self.service.store),
            "defaults": operator.settings,
            "locked": operator.locked,
            "sentence": operator.sentence,
        }
