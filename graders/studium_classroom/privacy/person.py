"""All places of a course that hold something about people, in the order in which they are erased."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from nbgrader.api import Assignment
from nbgrader.coursedir import CourseDirectory
from sqlalchemy import select
from studium.errors import UnknownNameError, UsageError
from studium_graders.course.course_file import FILE as COURSE
from studium_graders.course.course_file import read_course
from studium_graders.course.finding import open_course
from studium_graders.gradebook.guard import gradebook_file
from studium_graders.gradebook.reading import reading_if_there
from studium_graders.results.history import FILE as HISTORY

from studium_classroom.blobs import Blobs
from studium_classroom.database import Database
from studium_classroom.privacy.course_files import CourseFiles
from studium_classroom.privacy.engine_files import HistoryRows, Results
from studium_classroom.privacy.folders import Folders
from studium_classroom.privacy.gradebook_rows import GradebookRows
from studium_classroom.privacy.place import Place
from studium_classroom.privacy.server_rows import ServerRows
from studium_classroom.settings import FILE as SERVER
from studium_classroom.settings import Settings, read_settings

SERVER_FILE = "classroom.db"
_STEPS = {
    "submitted": "what was handed in, as it was graded",
    "autograded": "the graded notebooks; they contain the code of hidden tests",
    "feedback": "the feedback pages",
}


class Holdings(msgspec.Struct, frozen=True):
    """The places of one course; ``server`` is the one in a server's database, None if there is no such database.

    ``databases`` are the SQLite files among them.
    """

    course: str
    root: Path
    assignments: tuple[str, ...]
    places: Sequence[Place]
    gradebook: GradebookRows
    server: ServerRows | None
    databases: tuple[Path, ...]

    def people(self) -> set[str]:
        """Return the people in the gradebook and on the server."""
        return self.gradebook.known() | (self.server.known() if self.server else set())


@contextmanager
def holdings(folder: Path, course: str = "") -> Iterator[Holdings]:
    """Open the places of the course in ``folder``; if that is a server's folder, of its course with this id."""
    folder = folder.resolve()
    served = any((folder / name).is_file() for name in (SERVER, COURSE))
    settings = read_settings(folder) if served else Settings((str(folder),), data=str(folder / ".studium/classroom"))
    root, name = _chosen([Path(one).resolve() for one in settings.courses], course)
    database = _database(settings)
    try:
        directory = open_course(root)
        server = ServerRows(database, Blobs(Path(settings.data, "blobs")), name) if database else None
        assignments = tuple(sorted(_assignments(root, directory)))
        gradebook = GradebookRows(directory.db_url)
        places: list[Place] = [server] if server else []
        places += [Folders(directory, step, assignments, what) for step, what in _STEPS.items()]
        places += [Results(root), HistoryRows(root), CourseFiles(root), gradebook]
        files = (gradebook_file(directory.db_url, root), root / HISTORY, Path(settings.data, SERVER_FILE))
        databases = tuple(path for path in files if path and path.is_file())
        yield Holdings(name, root, assignments, places, gradebook, server, databases)
    finally:
        if database:
            database.close()


def _chosen(roots: list[Path], course: str) -> tuple[Path, str]:
    """Return the folder and the id of the course that is meant."""
    by_id = {_id_of(root): root for root in roots}
    if course and course not in by_id:
        raise UnknownNameError("course", course, by_id)
    if not course and len(by_id) > 1:
        raise UsageError(f"the server has several courses: {', '.join(by_id)}; name one with --id")
    name = course or next(iter(by_id))
    return by_id[name], name


def _id_of(root: Path) -> str:
    return read_course(root).id if (root / COURSE).is_file() else str(open_course(root).course_id or root.name)


def _database(settings: Settings) -> Database | None:
    """Return the server's database, without creating one."""
    file = Path(settings.data, SERVER_FILE)
    if not settings.database and not file.is_file():
        return None
    return Database(settings.database or f"sqlite:///{file}")


def _assignments(root: Path, directory: CourseDirectory) -> set[str]:
    """Return the assignments in course.toml, in the gradebook and in the results store."""
    found = {one.name for one in read_course(root).assignments} if (root / COURSE).is_file() else set()
    with reading_if_there(directory.db_url, "assignment") as session:
        found |= set(session.scalars(select(Assignment.name))) if session else set()
    kept = root / ".studium" / "results"
    return found | ({path.name for path in kept.iterdir()} if kept.is_dir() else set())
