"""nbgrader's exchange over HTTP, for staff: list --inbound, collect, release_assignment and release_feedback.

The staff's ``nbgrader_config.py`` selects these classes, and those of ``studium.classroom.exchange`` for the rest.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

from nbgrader.exchange import abc
from studium.classroom.archive import files_of, pack
from studium.classroom.exchange import Exchange
from studium.classroom.exchange import ExchangeList as OwnList
from studium.classroom.messages import Receipt

from studium_classroom.jobs.forms import HandedIn
from studium_classroom.jobs.grading import lay_out
from studium_classroom.staff_client import StaffClient, staff_client


class StaffExchange(Exchange):
    """What these classes share: a client with a staff member's token."""

    @contextmanager
    def connected(self) -> Iterator[StaffClient]:
        """Return a client of the course's server."""
        with staff_client(self.coursedir.course_id) as client:
            yield client


class ExchangeList(OwnList, StaffExchange):
    """``nbgrader list``, with --inbound for what students have handed in."""

    def init_src(self) -> None:
        """Require a course, to list what students have handed in."""
        if self.inbound and not self.remove:
            StaffExchange.init_src(self)
        else:
            super().init_src()

    def list_files(self) -> list[dict[str, Any]]:
        """Return what nbgrader's own list returns."""
        if not self.inbound:
            return super().list_files()
        self.log.info("Submitted assignments:")
        names = [view.name for view in self.views()]
        with self.connected() as client:
            receipts = [one for name in names for one in client.received(self.coursedir.course_id, name)]
        return self.grouped([self.submission(one, books=[]) for one in _of(receipts, self.coursedir.student_id)])


class ExchangeCollect(StaffExchange, abc.ExchangeCollect):  # type: ignore[misc]
    """``nbgrader collect``: the newest submission of each student, or with --before-duedate the newest in time."""

    def copy_files(self) -> None:
        """Put submissions into the folder for them, with the server's time in ``timestamp.txt``."""
        course, name = self.coursedir.course_id, self.coursedir.assignment_id
        with self.connected() as client:
            receipts = _of(client.received(course, name), self.coursedir.student_id)
            wanted = [receipt for receipt in self._chosen(receipts) if self._is_wanted(receipt)]
            with tempfile.TemporaryDirectory() as made:
                handed_in = [_kept(client, receipt, Path(made, str(n))) for n, receipt in enumerate(wanted)]
                lay_out(self.coursedir, name, handed_in, ".collected-")
        for receipt in wanted:
            self.log.info("Collecting submission: %s %s", receipt.student, name)
        if not receipts:
            self.log.warning("No submissions of '%s' for course '%s' to collect", name, course)

    def _chosen(self, receipts: Iterable[Receipt]) -> Iterable[Receipt]:
        newest: dict[str, Receipt] = {}
        for receipt in sorted(receipts, key=lambda one: one.attempt):
            last = newest.get(receipt.student)
            if not (self.before_duedate and last and receipt.late and not last.late):
                newest[receipt.student] = receipt
        return newest.values()

    def _is_wanted(self, receipt: Receipt) -> bool:
        """Return whether to collect a submission: there is none yet, or with --update only an older one."""
        folders = self.coursedir
        target = folders.format_path(folders.submitted_directory, receipt.student, receipt.assignment)
        if not Path(target).is_dir():
            return True
        there, when = folders.get_existing_timestamp(target), receipt.received.astimezone(UTC).replace(tzinfo=None)
        if self.before_duedate:
            return bool(there != when)
        if self.update and (there is None or when > there):
            return True
        self.log.info("%s %s was already collected; --update takes a newer one", receipt.student, receipt.assignment)
        return False


class ExchangeReleaseAssignment(StaffExchange, abc.ExchangeReleaseAssignment):  # type: ignore[misc]
    """``nbgrader release_assignment``: sends ``source/``, from which the server makes what students get."""

    def copy_files(self) -> None:
        """Send the source; with --force it replaces an existing one."""
        course, name, folders = self.coursedir.course_id, self.coursedir.assignment_id, self.coursedir
        source = Path(folders.format_path(folders.source_directory, ".", name))
        if not source.is_dir():
            self.fail(
                f"the folder {source} does not exist; name an assignment in the folder {folders.source_directory}"
            )
        with self.connected() as client:
            if not self.force and name in {view.name for view in client.assignments(course)}:
                self.fail(f"{name} of {course} is already released; add --force to release it again")
            opened = client.put_source(course, name, pack(files_of(source)))
        self.log.info("Released as: %s %s, open from %s on", course, name, self.stamp(opened.opens))


class ExchangeReleaseFeedback(StaffExchange, abc.ExchangeReleaseFeedback):  # type: ignore[misc]
    """``nbgrader release_feedback``: lets students see what the server has graded."""

    def copy_files(self) -> None:
        """Let students see marks and feedback."""
        with self.connected() as client:
            client.release(self.coursedir.course_id, self.coursedir.assignment_id)
        self.log.info("Feedback released: %s %s", self.coursedir.course_id, self.coursedir.assignment_id)


def _of(receipts: Iterable[Receipt], student: str) -> list[Receipt]:
    return [receipt for receipt in receipts if student in ("", "*", receipt.student)]


def _kept(client: StaffClient, receipt: Receipt, file: Path) -> HandedIn:
    file.write_bytes(client.archive(receipt))
    return HandedIn(receipt.student, receipt.received, str(file))
