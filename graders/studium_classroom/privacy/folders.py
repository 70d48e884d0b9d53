"""A person's folders at one of nbgrader's steps: submitted, autograded, feedback."""

import glob
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from nbgrader.coursedir import CourseDirectory

from studium_classroom.privacy.place import Item, counted


class Folders:
    """The folders of one step, whatever nbgrader's directory structure is. Links are not followed."""

    def __init__(self, directory: CourseDirectory, step: str, assignments: Collection[str], what: str) -> None:
        self.name, self._what = step, what
        self._root, self._structure = Path(directory.root), str(directory.directory_structure)
        self._step, self._assignments = getattr(directory, f"{step}_directory"), assignments

    def holds(self, person: str) -> Mapping[str, int]:
        """Return the numbers of folders and files."""
        places = self._places(person)
        return counted(folder=len(places), file=sum(1 for place in places for _ in _files(place)))

    def items(self, person: str) -> Iterator[Item]:
        """Return the files, and a text in place of each link."""
        for place in self._places(person):
            for path in _files(place):
                where = self._path(path)
                if path.is_symlink():
                    yield Item(f"{where}.link", f"a link in {self.name}, as text", os.fsencode(path.readlink()))
                else:
                    yield Item(where, self._what, path)

    def erase(self, person: str) -> None:
        """Remove the folders."""
        for place in self._places(person):
            if place.is_symlink() or not place.is_dir():
                place.unlink()
            else:
                shutil.rmtree(place)

    def _path(self, path: Path) -> str:
        """Return the path of a file in an export: below the course's folder, or below / for a folder elsewhere."""
        return path.relative_to(self._root if path.is_relative_to(self._root) else path.anchor).as_posix()

    def _places(self, person: str) -> list[Path]:
        """Return the highest folders that belong to a person alone; the name must be the same to the letter."""
        if person in ("", ".", "..") or any(bad in person for bad in "/\\\0"):
            return []
        found = {
            Path(above, name)
            for pattern, name in self._patterns(person)
            for above in glob.glob(pattern)  # noqa: PTH207 - the pattern may be absolute
            if name in _names(above)
        }
        return sorted(found)

    def _patterns(self, person: str) -> Iterator[tuple[str, str]]:
        """Return the pattern of the folder above, and the name in it, for each place where a person can have one.

        That is the person's folder with all assignments below a step, and otherwise the folder of each assignment.
        """
        step, parts = glob.escape(self._step), self._structure.split("/")
        own = parts.index("{student_id}") if "{student_id}" in parts else 0
        if any("{nbgrader_step}" in part for part in parts[:own]):
            above = [part.format(nbgrader_step=step, assignment_id="*") for part in parts[:own]]
            yield str(Path(glob.escape(str(self._root)), *above)), person
            return
        for assignment in self._assignments:
            path = self._structure.format(nbgrader_step=self._step, student_id=person, assignment_id=assignment)
            whole = self._root / path
            yield glob.escape(str(whole.parent)), whole.name


def _names(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []  # noqa: PTH112, PTH208 - names, not paths


def _files(place: Path) -> Iterator[Path]:
    """Return the files and links at or below a place."""
    if place.is_symlink() or place.is_file():
        yield place
    for where, folders, names in os.walk(place if not place.is_symlink() else ""):
        folders.sort()
        for path in (Path(where, name) for name in sorted([*names, *folders])):
            if path.is_symlink() or path.is_file():
                yield path
