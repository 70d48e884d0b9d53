"""nbgrader's exchange over HTTP, for students: its list, fetch_assignment, submit and fetch_feedback use the server.

``nbgrader_config.py`` selects these classes as traits of ``ExchangeFactory``. They are a thin layer over the client
that the panel and the commands use, so a folder fetched one way can be handed in another.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from nbgrader.exchange import abc
from nbgrader.utils import ignore_patterns
from traitlets import Bool

from studium.classroom.archive import files_of
from studium.classroom.client import ClassroomError, Client
from studium.classroom.connections import connection_of
from studium.classroom.folder import fetch, hand_in
from studium.classroom.messages import AssignmentView, Attempt, Receipt
from studium.classroom.overview import overview
from studium.errors import StudiumError, UnknownNameError

_ANY = ("", "*")  # nbgrader's placeholders if no assignment or student was named


class Exchange(abc.Exchange):  # type: ignore[misc]
    """What all classes share: the course, the folder of an assignment, and refusals in one sentence."""

    path_includes_course = Bool(False, help="Whether assignments are in COURSE/ASSIGNMENT instead of ASSIGNMENT.").tag(
        config=True
    )

    def start(self) -> Any:
        """Run the command, as nbgrader expects. Raise ExchangeError if the course server refuses."""
        try:
            return super().start()
        except StudiumError as error:
            self.fail(str(error))

    def init_src(self) -> None:
        """Require a course, since its server has the files."""
        if not self.coursedir.course_id:
            self.fail("this command needs a course: name it with --course, or set c.CourseDirectory.course_id")

    def init_dest(self) -> None:
        """Do nothing: no folder is shared."""

    @contextmanager
    def connected(self) -> Iterator[Client]:
        """Return a client of the course's server."""
        with connection_of(self.coursedir.course_id).client() as client:
            yield client

    def folder(self, course: str, assignment: str) -> Path:
        """Return where an assignment is on this machine."""
        parts = (course, assignment) if self.path_includes_course else (assignment,)
        return Path(self.assignment_dir, *parts).resolve()

    def stamp(self, when: datetime) -> str:
        """Format a time from the server the way nbgrader writes it."""
        return when.astimezone(ZoneInfo(self.timezone)).strftime(self.timestamp_format)

    def view(self, client: Client) -> AssignmentView:
        """Return the requested assignment. Raise UnknownNameError if there is none with that name."""
        found = {view.name: view for view in client.assignments(self.coursedir.course_id)}
        if self.coursedir.assignment_id not in found:
            raise UnknownNameError("assignment", self.coursedir.assignment_id, found)
        return found[self.coursedir.assignment_id]


class ExchangeFetchAssignment(Exchange, abc.ExchangeFetchAssignment):  # type: ignore[misc]
    """``nbgrader fetch_assignment``."""

    def copy_files(self) -> None:
        """Write the hand-out; with --replace, write the files that are missing, never overwriting any."""
        course, name = self.coursedir.course_id, self.coursedir.assignment_id
        target = self.folder(course, name)
        if target.is_dir() and not self.replace_missing_files:
            self.fail(f"{target} already exists; add --replace to fetch the files missing from it")
        with self.connected() as client:
            done = fetch(client, course, name, target, self.view(client).digest)
        for path in done.written:
            self.log.debug("Wrote %s", path)
        self.log.info("Fetched as: %s %s", course, name)


class ExchangeSubmit(Exchange, abc.ExchangeSubmit):  # type: ignore[misc]
    """``nbgrader submit``. The receipt is kept in the folder, as with ``studium submit``."""

    def init_src(self) -> None:
        """Require the assignment's folder."""
        super().init_src()
        self.src_path = self.folder(self.coursedir.course_id, self.coursedir.assignment_id)
        self.coursedir.assignment_id = self.src_path.name
        if not self.src_path.is_dir():
            self.fail(
                f"there is no folder {self.src_path}; fetch the assignment, and run this in the folder that contains it"
            )

    def copy_files(self) -> None:
        """Hand in the folder, without the files that nbgrader's settings exclude."""
        course, name = self.coursedir.course_id, self.coursedir.assignment_id
        files = self._files()
        with self.connected() as client:
            self._require_own_name(client)
            self._compare(self.view(client), files)
            receipt = hand_in(client, course, name, self.src_path, files)
        late = ", late" if receipt.late else ""
        self.log.info("Submitted as: %s %s %s%s", course, name, self.stamp(receipt.received), late)

    def _files(self) -> dict[str, bytes]:
        chosen = self.coursedir
        ignored = ignore_patterns(chosen.ignore, chosen.include, chosen.max_file_size, self.log)
        with tempfile.TemporaryDirectory() as made:
            return files_of(Path(shutil.copytree(self.src_path, Path(made, "files"), ignore=ignored)))

    def _require_own_name(self, client: Client) -> None:
        named, own = self.coursedir.student_id, client.me().user
        if named not in (*_ANY, own):
            self.fail(
                f"the course server knows you as {own}, so you cannot hand in with --student {named}; leave it out"
            )

    def _compare(self, view: AssignmentView, files: dict[str, bytes]) -> None:
        missing = [f"{book}.ipynb" for book in view.notebooks if f"{book}.ipynb" not in files]
        if not missing:
            return
        sentence = f"the folder needs the notebooks of {view.name}: {', '.join(missing)} is not there"
        if self.strict:
            self.fail(f"{sentence}; nothing was handed in")
        self.log.warning(sentence)


class ExchangeFetchFeedback(Exchange, abc.ExchangeFetchFeedback):  # type: ignore[misc]
    """``nbgrader fetch_feedback``."""

    def copy_files(self) -> None:
        """Write the feedback pages of all attempts that have some."""
        course, name = self.coursedir.course_id, self.coursedir.assignment_id
        found = 0
        with self.connected() as client:
            for attempt in self.view(client).attempts:
                target = _feedback_folder(self.folder(course, name), self.stamp(attempt.receipt.received))
                for notebook in attempt.feedback:
                    page = client.feedback(course, name, attempt.receipt.attempt, notebook)
                    target.mkdir(parents=True, exist_ok=True)
                    _page(target, notebook).write_bytes(page)
                    self.log.info("Fetched feedback: %s", _page(target, notebook))
                    found += 1
        if not found:
            self.log.warning("There is no feedback on %s yet", name)


class ExchangeList(Exchange, abc.ExchangeList):  # type: ignore[misc]
    """``nbgrader list`` and JupyterLab's Assignment List: what is handed out, and what you have handed in."""

    def init_src(self) -> None:
        """Refuse what only works with a folder."""
        if self.remove:
            self.fail("assignments cannot be removed from the course server: to close one, set closes in course.toml")
        if self.inbound:
            self.fail("only staff can list what others have handed in; add --cached to list your own")

    def copy_files(self) -> None:
        """Do nothing: listing copies no files."""

    def list_files(self) -> list[dict[str, Any]]:
        """Return what nbgrader's own list returns, for all courses unless one is named."""
        views = self.views()
        if not self.cached:
            self.log.info("Released assignments:")
            return [self._released(view) for view in views]
        self.log.info("Submitted assignments:")
        return self.grouped([self._submitted(view, one) for view in views for one in view.attempts])

    def views(self) -> list[AssignmentView]:
        """Return the requested assignments, from all courses unless one is named."""
        found = overview()
        for problem in found.problems:
            self.log.warning(problem)
        if found.problems and not found.courses:
            self.fail(found.problems[0])
        course, name = self.coursedir.course_id, self.coursedir.assignment_id
        seen = [view for view in found.assignments if course in ("", "*", view.course)]
        return [view for view in seen if name in (*_ANY, view.name)]

    def _released(self, view: AssignmentView) -> dict[str, Any]:
        folder = self.folder(view.course, view.name)
        there = folder.is_dir()
        self.log.info("%s %s%s", view.course, view.name, " (already downloaded)" if there else "")
        books = sorted(folder.glob("*.ipynb")) if there else [Path(f"{name}.ipynb") for name in view.notebooks]
        return {
            "course_id": view.course,
            "assignment_id": view.name,
            "status": "fetched" if there else "released",
            "path": str(folder) if there else "",
            "notebooks": [{"notebook_id": book.stem, "path": str(book)} for book in books],
        }

    def _submitted(self, view: AssignmentView, attempt: Attempt) -> dict[str, Any]:
        folder = _feedback_folder(self.folder(view.course, view.name), self.stamp(attempt.receipt.received))
        books = [self._feedback(view, attempt, folder, name) for name in attempt.feedback or view.notebooks]
        info = self.submission(attempt.receipt, books)
        if info["has_local_feedback"]:
            info["local_feedback_path"] = str(folder)
        return info

    def _feedback(self, view: AssignmentView, attempt: Attempt, folder: Path, notebook: str) -> dict[str, Any]:
        """Return what nbgrader's list has about a notebook's feedback: on the server, here, and whether they match."""
        page, there = _page(folder, notebook), notebook in attempt.feedback
        here = page.is_file()
        updated = False
        if here and there:
            with connection_of(view.course).client() as client:
                number = attempt.receipt.attempt
                updated = client.feedback(view.course, view.name, number, notebook) != page.read_bytes()
        return {
            "notebook_id": notebook,
            "path": "",
            "has_local_feedback": here,
            "has_exchange_feedback": there,
            "feedback_updated": updated,
            "local_feedback_path": str(page) if here else None,
        }

    def submission(self, receipt: Receipt, books: list[dict[str, Any]]) -> dict[str, Any]:
        """Return one submission in the form of nbgrader's list, and log its line."""
        here, there = (
            bool(books) and all(book[f"has_{place}_feedback"] for book in books) for place in ("local", "exchange")
        )
        updated = any(book["feedback_updated"] for book in books)
        what = "already fetched" if here and not updated else "ready to be fetched" if there else ""
        note = "" if not books else f" (feedback {what})" if what else " (no feedback available)"
        stamp = self.stamp(receipt.received)
        self.log.info("%s %s %s %s%s", receipt.course, receipt.student, receipt.assignment, stamp, note)
        return {
            "course_id": receipt.course,
            "student_id": receipt.student,
            "assignment_id": receipt.assignment,
            "timestamp": stamp,
            "status": "submitted",
            "path": "",
            "notebooks": books,
            "has_local_feedback": here,
            "has_exchange_feedback": there,
            "feedback_updated": updated,
            "local_feedback_path": None,
        }

    @staticmethod
    def grouped(submissions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Group submissions by student and assignment."""
        names = ("course_id", "student_id", "assignment_id", "status")

        def key(info: dict[str, Any]) -> tuple[str, ...]:
            return tuple(info[name] for name in names)

        groups = groupby(sorted(submissions, key=lambda info: (key(info), info["timestamp"])), key)
        return [dict(zip(names, found, strict=True)) | {"submissions": list(group)} for found, group in groups]


def _feedback_folder(folder: Path, stamp: str) -> Path:
    return folder / "feedback" / stamp.replace(":", ".")  # Windows allows no colon in names


def _page(folder: Path, notebook: str) -> Path:
    if Path(notebook).name != notebook:
        raise ClassroomError(f"a page of feedback is named after a notebook: the server sent {notebook[:60]!a}")
    return folder / f"{notebook}.html"
