"""The course server's database in PostgreSQL: what holds in SQLite holds there. Needs a server's programs."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("psycopg")

from studium.errors import CourseError
from studium_classroom.audit import Audit
from studium_classroom.blobs import Blobs
from studium_classroom.database import Database
from studium_classroom.members import InvitationError, Members
from studium_classroom.receipts import Seal
from studium_classroom.roles import Place, Role
from studium_classroom.submissions import Graded, Submissions, receipt_of

from tests.graders.test_postgresql import server  # noqa: F401 - a fixture


def test_members_submissions_and_marks_are_kept_in_postgresql(server, tmp_path):  # noqa: F811
    database = Database(server)
    members, audit = Members(database), Audit(database)
    secret = members.invite("c", "ada", Place(Role.STUDENT, "a"))
    token = members.join(secret).token
    with pytest.raises(InvitationError):
        members.join(secret)
    assert members.person(token).places == {"c": Place(Role.STUDENT, "a")}
    audit.note("c", "ada", "submit", "x" * 999)
    assert audit.of("c")[0].at > datetime.now(UTC) - timedelta(minutes=5)

    seal = Seal(tmp_path / "secret")
    submissions = Submissions(database, Blobs(tmp_path / "blobs"), seal)

    def take(number: int) -> int:
        return submissions.take("c", "a", "ada", b"%d" % number, datetime.now(UTC), late=False).attempt

    with ThreadPoolExecutor(4) as executor:
        assert sorted(executor.map(take, range(8))) == list(range(1, 9))
    (last,) = submissions.next_batch("c", "a", 9)
    submissions.note([last], [Graded("ada", 1.0, 2.0, pages={"book": b"page"})], datetime.now(UTC))
    database.close()

    again = Database(server)
    submissions = Submissions(again, Blobs(tmp_path / "blobs"), seal)
    rows = submissions.attempts("c")["a", "ada"]
    assert [row.state for row in rows] == ["replaced"] * 7 + ["graded"]
    assert all(seal.is_genuine(receipt_of(row)) for row in rows)
    assert submissions.page(rows[-1].id, "book") == b"page"
    again.close()


def test_a_database_that_does_not_answer_is_told_in_a_sentence():
    with pytest.raises(CourseError, match="the classroom's database cannot be reached"):
        Database("postgresql+psycopg://nobody@127.0.0.1:9/none")
    with pytest.raises(CourseError, match="a database URL such as"):
        Database("nothing")
