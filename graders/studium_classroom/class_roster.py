"""Everybody in a course: the members of this server, and the students of the class list whether they came or not."""

from contextlib import suppress

import msgspec
from studium.errors import CourseError
from studium_graders.class_list.students import Entry

from studium_classroom.courses import CourseFolder
from studium_classroom.members import Members, RosterEntry
from studium_classroom.roles import Place, Role

_STUDENT = Role.STUDENT.label


def roster_of(course: CourseFolder, members: Members) -> list[RosterEntry]:
    """Return everybody in a course by name. The class list decides about the sections of students, and who is gone."""
    listed = course.class_list
    known = {one.user: _as_listed(one, listed.get(one.user)) for one in members.roster(course.id)}
    rest = {
        user: RosterEntry(user, _STUDENT, entry.section, None, False, entry.gone is not None)
        for user, entry in listed.items()
        if user not in known
    }
    return [one for _, one in sorted((known | rest).items())]


def place_in(course: CourseFolder, user: str) -> Place | None:
    """Return the place that the class list gives somebody; none if the list cannot be read."""
    with suppress(CourseError):
        entry = course.class_list.get(user)
        return Place(Role.STUDENT, entry.section) if entry and entry.gone is None else None
    return None


def _as_listed(member: RosterEntry, entry: Entry | None) -> RosterEntry:
    if entry is None or member.role != _STUDENT:
        return member
    return msgspec.structs.replace(member, section=entry.section or member.section, gone=entry.gone is not None)
