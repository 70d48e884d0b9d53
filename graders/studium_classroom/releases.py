"""Marks that an instructor lets students see, in courses that show them "when released"."""

from datetime import UTC, datetime

from studium_classroom.database import Database
from studium_classroom.schema import Release


class Releases:
    """The releases of all courses of one server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, course: str, assignment: str) -> None:
        """Let students see the marks of an assignment from now on."""
        with self._database.writing() as session:
            session.merge(Release(course=course, assignment=assignment, at=datetime.now(UTC)))

    def has(self, course: str, assignment: str) -> bool:
        """Return whether students may see the marks."""
        with self._database.reading() as session:
            return session.get(Release, (course, assignment)) is not None
