"""Roles, and how the groups of a JupyterHub express them."""

import re
from collections.abc import Iterable, Mapping
from enum import IntEnum

import msgspec
from studium.classroom.messages import Role as RoleName
from studium.errors import UsageError

_OURS = re.compile(r"studium:(?P<course>[^:]+):(?P<role>student|ta|instructor|owner)(?::(?P<section>[^:]+))?")
_NBGRADER = re.compile(r"(?P<kind>formgrade|nbgrader)-(?P<course>.+)")


class Role(IntEnum):
    """What somebody may do in a course: each role may do everything that the ones before it may."""

    STUDENT = 1
    TA = 2
    INSTRUCTOR = 3
    OWNER = 4

    @property
    def label(self) -> RoleName:
        """The name in files and messages."""
        labels: dict[int, RoleName] = {1: "student", 2: "ta", 3: "instructor", 4: "owner"}
        return labels[self]

    @classmethod
    def named(cls, name: str) -> "Role":
        """Return the role with a name. Raise UsageError for an unknown one."""
        try:
            return cls[name.upper()]
        except KeyError:
            raise UsageError(
                f"a role must be student, ta, instructor or owner: got {name[:60]!a}; correct it"
            ) from None


class Place(msgspec.Struct, frozen=True, order=True):
    """Somebody's role in one course; a ``section`` of "" means the whole course."""

    role: Role
    section: str = ""

    def sees(self, section: str) -> bool:
        """Return whether a member of staff is responsible for students of ``section``."""
        return self.role > Role.TA or not self.section or self.section == section


class Person(msgspec.Struct, frozen=True):
    """An identified user, with their place in each of their courses."""

    name: str
    places: Mapping[str, Place]


def places_of(groups: Iterable[str]) -> dict[str, Place]:
    """Return the places that groups express: ``studium:COURSE:ROLE[:SECTION]``, ``formgrade-COURSE``,
    ``nbgrader-COURSE``.

    If there are several roles in a course, the highest counts; of the same role in a section and in the whole course,
    the latter.
    """
    found: dict[str, Place] = {}
    for group in groups:
        if match := _OURS.fullmatch(group):
            place = Place(Role.named(match["role"]), match["section"] or "")
        elif match := _NBGRADER.fullmatch(group):
            place = Place(Role.INSTRUCTOR if match["kind"] == "formgrade" else Role.STUDENT)
        else:
            continue
        found[match["course"]] = higher(place, found.get(match["course"]))
    return found


def higher(one: Place, other: Place | None) -> Place:
    """Return the place with more rights."""
    if other is None or one.role > other.role:
        return one
    return one if one.role == other.role and not one.section else other
