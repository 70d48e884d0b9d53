"""What the course's own files have about a person: extensions in course.toml, more time for the term, the section."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import tomlkit
from studium.errors import CourseError
from studium_graders.class_list.students import forget, read_entries
from studium_graders.course.course_file import FILE, Course, Extension, read_course
from studium_graders.grading.late.accommodating import remove
from studium_graders.results.store import write_whole

from studium_classroom.privacy.place import Item, as_json, counted


class CourseFiles:
    """course.toml, accommodations.csv next to it, and the class list."""

    name = "course files"

    def __init__(self, root: Path) -> None:
        self._root = root

    def holds(self, person: str) -> Mapping[str, int]:
        """Return the numbers of extensions, accommodations and entries of the class list."""
        course, listed = self._course(), person in read_entries(self._root)
        extensions, more_time = len(_extensions(course, person)), person in course.accommodations
        return counted(extension=extensions, accommodation=more_time, class_list_entry=listed)

    def items(self, person: str) -> Iterator[Item]:
        """Return them as JSON."""
        course = self._course()
        if self.holds(person):
            amount = course.accommodations.get(person)
            found = {
                "extensions": _extensions(course, person),
                "accommodation": str(amount) if amount else None,
                "class_list": read_entries(self._root).get(person),
            }
            what = "extensions with their reasons, more time for the term, and the section in the class list"
            yield Item("course-files.json", what, as_json(found))

    def erase(self, person: str) -> None:
        """Remove them. In course.toml, comments below a table go with it, and the rest stays as it is."""
        course = self._course()
        if _extensions(course, person):
            self._without_extensions(person)
        if person in course.accommodations:
            remove(self._root, person)
        forget(self._root, person)

    def _course(self) -> Course:
        return read_course(self._root) if (self._root / FILE).is_file() else Course("")

    def _without_extensions(self, person: str) -> None:
        path = self._root / FILE
        before = path.read_text("utf-8-sig")
        document = tomlkit.parse(before)
        tables = document["extensions"]
        for number in reversed([number for number, one in enumerate(tables) if one["student"] == person]):
            del tables[number]
        if not len(tables):
            del document["extensions"]
        wanted = [one for one in read_course(self._root).extensions if one.student != person]
        write_whole(path, tomlkit.dumps(document).encode(), 0o666)
        if list(read_course(self._root).extensions) != wanted:
            write_whole(path, before.encode(), 0o666)
            raise CourseError(f"the extensions of {person} could not be removed from {path}; remove them by hand")


def _extensions(course: Course, person: str) -> list[Extension]:
    return [one for one in course.extensions if one.student == person]
