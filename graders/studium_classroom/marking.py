"""Marking by hand on the server: whose answers and requests somebody may see, and what is sent of them."""

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from studium_graders.marking.forms import AnswerName, Counts, Opened, Shown

from studium_classroom.class_roster import roster_of
from studium_classroom.courses import CourseFolder, utc_now
from studium_classroom.members import Members
from studium_classroom.regrades import Regrades
from studium_classroom.roles import Person
from studium_classroom.schema import RegradeRow

if TYPE_CHECKING:
    from studium_graders.marking.desk import Desk
    from studium_graders.marking.showing import Showing
    from studium_graders.results.mistakes import Sentences

_Stamp = tuple[tuple[str, int, int], ...]


class Questions(msgspec.Struct, frozen=True):
    """What there is to mark by hand in an assignment, as one person sees it."""

    course: str
    title: str
    assignment: str
    person: str
    questions: list[Counts]


class AnswerPage(msgspec.Struct, frozen=True):
    """An answer that somebody has taken, and what to show of it. Both are None if no answer is left to take."""

    opened: Opened | None = None
    shown: Shown | None = None


class AskedRegrade(msgspec.Struct, frozen=True):
    """A student's request to mark an attempt again, the reply, and the answers that are in the gradebook now.

    ``student`` is "" if names are hidden; ``replied`` is None until there is a reply.
    """

    id: int
    student: str
    attempt: int
    text: str
    asked: datetime
    reply: str
    replied: datetime | None
    answers: list[AnswerName]


class Marking:
    """The marking by hand of one server. Its methods may be called from any thread."""

    def __init__(self, members: Members, regrades: Regrades, sentences: "Callable[[], Sentences]") -> None:
        self._members, self._regrades, self._sentences = members, regrades, sentences
        self._lock = threading.Lock()
        self._kept: dict[tuple[Path, str], tuple[_Stamp, Showing]] = {}

    def questions(self, course: CourseFolder, person: Person, name: str) -> Questions:
        """Return the questions with an answer that waits for a person or was marked by one."""
        title = course.course.title or course.id
        return Questions(course.id, title, name, person.name, self.desk(course, person, name).questions())

    def desk(self, course: CourseFolder, person: Person, name: str) -> "Desk":
        """Return somebody's desk, with the students they are responsible for."""
        from studium_graders.marking.desk import (
            Desk,
        )  # here: a server on which nobody marks needs no gradebook's tables

        showing = self._showing(course, person, name)
        url = showing.directory.db_url
        return Desk(url, name, showing.outline, person.name, self._sees(course, person), showing.content)

    def requests(self, course: CourseFolder, person: Person, name: str, *, names: bool) -> list[AskedRegrade]:
        """Return the requests for a regrade that somebody may see; without ``names``, nobody is named."""
        sees = self._sees(course, person)
        rows = [row for row in self._regrades.of_assignment(course.id, name) if sees(row.user)]
        answers = self.desk(course, person, name).answers_of({row.user for row in rows}) if rows else {}
        return [_asked(row, answers[row.user], names=names) for row in rows]

    def reply(self, course: CourseFolder, person: Person, name: str, request: int, text: str) -> RegradeRow:
        """Reply to a request, or change the reply."""
        return self._regrades.reply(course.id, name, request, text, utc_now(), self._sees(course, person))

    def _sees(self, course: CourseFolder, person: Person) -> Callable[[str], bool]:
        place = person.places[course.id]
        sections = {one.user: one.section for one in roster_of(course, self._members)}
        return lambda student: place.sees(sections.get(student, ""))

    def page(
        self, course: CourseFolder, person: Person, name: str, take: "Callable[[Desk], Opened | None]", *, names: bool
    ) -> AnswerPage:
        """Take an answer and return what to show of it. Without ``names``, the student stays unknown."""
        opened = take(self.desk(course, person, name))
        if opened is None:
            return AnswerPage()
        shown = self._showing(course, person, name).show(opened.student, opened.question)
        return AnswerPage(opened if names else msgspec.structs.replace(opened, student=""), shown)

    def _showing(self, course: CourseFolder, person: Person, name: str) -> "Showing":
        """Return the answers of an assignment; it is read again after it was built anew."""
        from studium_graders.marking.showing import Showing

        course.assignment(name, person.places[course.id].role, utc_now())
        stamp = course.stamp(name)
        with self._lock:
            kept = self._kept.get((course.root, name))
            if kept is None or kept[0] != stamp:
                kept = stamp, Showing(course.root, name, self._sentences())
                self._kept[course.root, name] = kept
            return kept[1]


def _asked(row: RegradeRow, answers: list[AnswerName], *, names: bool) -> AskedRegrade:
    student = row.user if names else ""
    return AskedRegrade(row.id, student, row.attempt, row.text, row.asked, row.reply, row.replied, answers)
