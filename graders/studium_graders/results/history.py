"""The history of submissions: every graded attempt and its result each time, in a file next to the gradebook.

The file is SQLite. Its layout changes only through the scripts below, which run in order; `PRAGMA user_version` counts
how many of them the file has had.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from studium.errors import CourseError

from studium_graders.course.private_files import private_file
from studium_graders.engine.material.assignment import Material
from studium_graders.engine.material.results import SubmissionResult, TestResult
from studium_graders.gradebook.errors import WAIT_SECONDS

FILE = "history.db"
MIGRATIONS = (
    """
    create table if not exists submission (
        id integer primary key,
        assignment text not null,
        student text not null,
        attempt integer not null,
        received text,
        sha256 text not null,
        unique (assignment, student, attempt)
    );
    create table if not exists result (
        id integer primary key,
        submission integer not null references submission (id),
        recorded text not null,
        score real not null,
        max_score real not null,
        verdict text not null,
        tests_digest text not null,
        limits_digest text not null,
        software_digest text not null,
        sandbox text not null,
        tests text not null
    );
    create index if not exists result_of_submission on result (submission);
    """,
)


class Basis(msgspec.Struct, frozen=True):
    """What determines marks besides the submission: digests of the assignment, its limits and the software."""

    tests: str = ""
    limits: str = ""
    software: str = ""
    sandbox: str = ""


class HistoryResult(msgspec.Struct, frozen=True):
    """What an attempt got when it was recorded (in UTC), and on what basis."""

    recorded: datetime
    score: float
    max_score: float
    verdict: str
    basis: Basis
    tests: tuple[TestResult, ...]


class Attempt(msgspec.Struct, frozen=True):
    """One submission. ``received`` is in UTC, None if no time is known. ``results`` come oldest first."""

    assignment: str
    student: str
    attempt: int
    received: datetime | None
    sha256: str
    results: tuple[HistoryResult, ...] = ()


class Recorded(msgspec.Struct, frozen=True):
    """A result as stored in the history. ``sha256`` identifies the code and files that were graded."""

    sha256: str
    received: datetime | None
    result: SubmissionResult


def basis_of(material: Material, software: str, sandbox: str) -> Basis:
    """Return what a material's results are based on; its calibration and limits do not belong to the tests."""
    bare = msgspec.structs.replace(material, calibration={}, limits=Material("", ()).limits)
    limits = msgspec.structs.replace(Material("", ()), limits=material.limits)
    return Basis(bare.digest, limits.digest, software, sandbox)


class History:
    """An open history. Raise CourseError if its file cannot be used."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self._path, self._database = path, database
        with self._usable():
            self._migrate()

    def record(self, assignment: str, basis: Basis, results: Iterable[Recorded]) -> None:
        """Add results: all of them, or none. A result already there with the same basis is not added again.

        A submission is a new attempt if its content or its time differs from the student's last one.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._usable(), self._database:
            for one in results:
                self._add(assignment, basis, one, now)

    def attempts(self, assignment: str = "", student: str = "") -> list[Attempt]:
        """Return the attempts at one assignment or all, by one student or everybody, in order."""
        query = (
            "select id, assignment, student, attempt, received, sha256 from submission"
            " where ? in ('', assignment) and ? in ('', student) order by assignment, student, attempt"
        )
        with self._usable():
            rows = self._database.execute(query, (assignment, student)).fetchall()
            return [
                Attempt(name, who, number, _time(received), digest, tuple(self._results(key)))
                for key, name, who, number, received, digest in rows
            ]

    def forget(self, student: str) -> None:
        """Remove a student's attempts with their results, all or none."""
        with self._usable(), self._database:
            own = "select id from submission where student = ?"
            self._database.execute(f"delete from result where submission in ({own})", (student,))  # noqa: S608
            self._database.execute("delete from submission where student = ?", (student,))

    def _add(self, assignment: str, basis: Basis, one: Recorded, now: str) -> None:
        submission = self._submission(assignment, one)
        result = one.result
        same = self._database.execute(
            "select tests_digest, limits_digest, software_digest, sandbox from result where submission = ?"
            " order by id desc limit 1",
            (submission,),
        ).fetchone()
        if same == msgspec.structs.astuple(basis):
            return
        tests = msgspec.json.encode(result.tests).decode()
        values = (submission, now, result.score, result.max_score, result.verdict)
        self._database.execute(
            "insert into result (submission, recorded, score, max_score, verdict, tests_digest, limits_digest,"
            " software_digest, sandbox, tests) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, *msgspec.structs.astuple(basis), tests),
        )

    def _submission(self, assignment: str, one: Recorded) -> int:
        received = one.received and _utc(one.received).isoformat(timespec="seconds")
        last = self._database.execute(
            "select id, attempt, received, sha256 from submission where assignment = ? and student = ?"
            " order by attempt desc limit 1",
            (assignment, one.result.student),
        ).fetchone()
        if last and last[2:] == (received, one.sha256):
            return int(last[0])
        made = self._database.execute(
            "insert into submission (assignment, student, attempt, received, sha256) values (?, ?, ?, ?, ?)",
            (assignment, one.result.student, last[1] + 1 if last else 1, received, one.sha256),
        )
        return int(made.lastrowid or 0)

    def _results(self, submission: int) -> Iterator[HistoryResult]:
        query = (
            "select recorded, score, max_score, verdict, tests_digest, limits_digest, software_digest, sandbox, tests"
            " from result where submission = ? order by id"
        )
        for recorded, score, most, verdict, *digests, tests in self._database.execute(query, (submission,)):
            found = msgspec.json.decode(tests, type=tuple[TestResult, ...])
            yield HistoryResult(datetime.fromisoformat(recorded), score, most, verdict, Basis(*digests), found)

    def _migrate(self) -> None:
        (version,) = self._database.execute("pragma user_version").fetchone()
        if version > len(MIGRATIONS):
            raise CourseError(
                f"{self._path} must come from this version of Studium or an older one: it has layout {version}, but "
                f"only {len(MIGRATIONS)} is known; install the newer version"
            )
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            self._database.executescript(f"begin immediate; {script} pragma user_version = {number}; commit;")

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise CourseError(
                f"the history {self._path} must be a writable SQLite file: {error}; allow that, or move the file "
                f"elsewhere: a new, empty one is then created"
            ) from error


@contextmanager
def open_history(root: Path) -> Iterator[History]:
    """Return the history of the course in ``root``, created if missing."""
    path = root / FILE
    if not path.exists():
        private_file(path)
    with closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as database:
        yield History(path, database)


def read_attempts(root: Path, assignment: str = "", student: str = "") -> list[Attempt]:
    """Return the attempts in a course's history, none if it has no history yet, without creating a file."""
    if not (root / FILE).is_file():
        return []
    with open_history(root) as history:
        return history.attempts(assignment, student)


def _utc(when: datetime) -> datetime:
    """Return a time in UTC; a time without a zone is in UTC already, as nbgrader stores it."""
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
