"""Marking by hand. Assistants and instructors may; an assistant with a section sees only that section's answers."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from studium.classroom.messages import BoardLink

from studium_classroom.regrades import regrade_of
from studium_classroom.roles import Role
from studium_classroom.web.base import ClassroomHandler, EmptyPageHandler, allowed
from studium_classroom.web.marking_requests import ItemRequest, MarkRequest, NextRequest, OpenRequest, ReplyRequest

if TYPE_CHECKING:
    from studium_graders.marking.desk import Desk
    from studium_graders.marking.forms import Opened

    from studium_classroom.marking import AnswerPage


class MarkingPageHandler(EmptyPageHandler):
    """The page on which somebody marks."""

    @allowed(None)
    async def get(self, course: str, assignment: str) -> None:
        """Return the page, the same for every address: it contains nothing about a course."""
        await self.show("mark")


class OpenHandler(ClassroomHandler):
    """Links to marking pages."""

    @allowed(None)
    async def post(self) -> None:
        """Exchange the secret of a marking page's link for a session that marks in its course; it works once."""
        secret = self.body(BoardLink).secret
        await self.reply(lambda: self.classroom.marking_pages.open(secret), 201)


class LinkHandler(ClassroomHandler):
    """New links to marking pages."""

    @allowed(Role.TA)
    async def post(self, course: str) -> None:
        """Return the secret of a link `/mark/COURSE/ASSIGNMENT#SECRET`, which opens the page once in five minutes."""

        def link() -> BoardLink:
            self.note(course, "open a marking page")
            place = self.person.places[course]
            return BoardLink(self.classroom.marking_pages.link(course, self.person.name, place))

        await self.reply(link, 201)


class _MarkingHandler(ClassroomHandler):
    """What all of it shares: a desk, and pages with an answer."""

    def desk(self, course: str, assignment: str) -> "Desk":
        """Return the person's desk."""
        return self.classroom.marking.desk(self.course(course), self.person, assignment)

    def page(
        self, course: str, assignment: str, take: "Callable[[Desk], Opened | None]", *, names: bool
    ) -> "AnswerPage":
        """Return a page with the answer that was taken."""
        folder = self.course(course)
        return self.classroom.marking.page(folder, self.person, assignment, take, names=names)


class QuestionsHandler(_MarkingHandler):
    """The questions of an assignment."""

    @allowed(Role.TA, mark=True)
    async def get(self, course: str, assignment: str) -> None:
        """Return the questions that need a person, with the numbers of answers that wait, are marked and are held."""
        await self.reply(lambda: self.classroom.marking.questions(self.course(course), self.person, assignment))


class NextHandler(_MarkingHandler):
    """The next answer."""

    @allowed(Role.TA, mark=True)
    async def post(self, course: str, assignment: str) -> None:
        """Take the next answer to a question that nobody else holds, for 30 minutes; give back the one before."""
        asked = self.body(NextRequest)

        def take(desk: "Desk") -> "Opened | None":
            return desk.next(asked.question, asked.after, marked=asked.marked)

        await self.reply(lambda: self.page(course, assignment, take, names=asked.names))

    @allowed(Role.TA, mark=True)
    async def delete(self, course: str, assignment: str) -> None:
        """Give back the answer that you hold, so that others can take it."""
        await self.reply(lambda: self.desk(course, assignment).give_back())


class AnswerHandler(_MarkingHandler):
    """One answer."""

    @allowed(Role.TA, mark=True)
    async def post(self, course: str, assignment: str, answer: str) -> None:
        """Take a certain answer; refused with 409 while somebody else holds it."""
        asked = self.body(OpenRequest)
        await self.reply(lambda: self.page(course, assignment, lambda desk: desk.open(answer), names=asked.names))

    @allowed(Role.TA, mark=True)
    async def put(self, course: str, assignment: str, answer: str) -> None:
        """Write a mark and a comment into the gradebook; refused with 409 if the answer has changed since."""
        asked = self.body(MarkRequest)

        def write() -> dict[str, float]:
            desk = self.desk(course, assignment)
            mark = desk.save(answer, asked.items, asked.points, asked.comment, asked.stamp)
            self.note(course, "mark", f"{assignment} answer {answer}")
            return {"mark": mark}

        await self.reply(write)
        self.classroom.live.changed(course, assignment)


class RegradesHandler(_MarkingHandler):
    """The requests for a regrade."""

    @allowed(Role.TA, mark=True)
    async def get(self, course: str, assignment: str) -> None:
        """Return the requests for a regrade, those without a reply first; with `?names=1`, the students are named."""
        names = self.get_query_argument("names", "") == "1"

        def read() -> object:
            return self.classroom.marking.requests(self.course(course), self.person, assignment, names=names)

        await self.reply(read)


class RegradeHandler(_MarkingHandler):
    """One request for a regrade."""

    @allowed(Role.TA, mark=True)
    async def put(self, course: str, assignment: str, request: str) -> None:
        """Reply to a request, or change the reply; the student sees it beside the mark."""
        text = self.body(ReplyRequest).text

        def write() -> object:
            row = self.classroom.marking.reply(self.course(course), self.person, assignment, int(request), text)
            self.note(course, "reply to a request", f"{assignment} {row.user}")
            return regrade_of(row)

        await self.reply(write)
        self.classroom.live.changed(course, assignment)


class RubricHandler(_MarkingHandler):
    """New items of a rubric."""

    @allowed(Role.TA, mark=True)
    async def post(self, course: str, assignment: str) -> None:
        """Add an item to the rubric of a question."""
        asked = self.body(ItemRequest)
        await self.reply(
            lambda: self.desk(course, assignment).add(asked.question, asked.text, asked.points),
            201,
        )


class ItemHandler(_MarkingHandler):
    """One item of a rubric."""

    @allowed(Role.TA, mark=True)
    async def put(self, course: str, assignment: str, item: str) -> None:
        """Change an item, and mark again all answers that have it, also those of other sections."""
        asked = self.body(ItemRequest)

        def change() -> object:
            self.note(course, "change the rubric", f"{assignment}: {asked.text}")
            return self.desk(course, assignment).change(item, asked.text, asked.points)

        await self.reply(change)
        self.classroom.live.changed(course, assignment)

    @allowed(Role.TA, mark=True)
    async def delete(self, course: str, assignment: str, item: str) -> None:
        """Remove an item, also from answers that have it; one without any other item or points waits again."""

        def remove() -> object:
            self.note(course, "change the rubric", f"{assignment}: without {item}")
            return self.desk(course, assignment).remove(item)

        await self.reply(remove)
        self.classroom.live.changed(course, assignment)
