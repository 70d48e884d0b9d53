"""Find out what is held about a person, and erase it."""

import difflib
import sqlite3
from collections.abc import Mapping
from contextlib import ExitStack, closing

import msgspec
from studium.errors import CourseError, UsageError
from studium_graders.gradebook.errors import WAIT_SECONDS
from studium_graders.grading.lock import only_grader

from studium_classroom.privacy.person import Holdings


class Held(msgspec.Struct, frozen=True):
    """What one place holds about a person: how many things of each kind."""

    place: str
    counts: Mapping[str, int]


def held_about(held: Holdings, person: str) -> list[Held]:
    """Return the places that hold something about a person. Raise UsageError if none does."""
    places = held.places if person else []  # the log has lines of nobody
    found = [Held(place.name, counts) for place in places if (counts := place.holds(person))]
    if not found:
        near = difflib.get_close_matches(person, held.people(), n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"nothing is held about {person!r} in {held.course}, the course in {held.root}{meant}")
    return found


def erase_person(held: Holdings, person: str) -> None:
    """Erase a person, place by place. Raise CourseError while an assignment is being graded.

    If this is interrupted, another call finishes it.
    """
    with ExitStack() as stack:
        for assignment in held.assignments:
            stack.enter_context(only_grader(held.root / ".studium" / "locks", assignment))
        for place in held.places:
            place.erase(person)
    rewrite(held)


def rewrite(held: Holdings) -> None:
    """Rewrite the SQLite files, which otherwise keep what was deleted until something else needs the room.

    This needs no person's id, so it can be done again if it was interrupted. Raise CourseError if it fails.
    """
    for file in held.databases:
        try:
            with closing(sqlite3.connect(file, timeout=WAIT_SECONDS, isolation_level=None)) as database:
                database.execute("vacuum")
                database.execute("pragma wal_checkpoint(truncate)")
        except sqlite3.Error as error:
            raise CourseError(
                f"{file} must be rewritten, because it still has what was erased: {error}; stop what uses it, and run "
                "the same command again"
            ) from error
