"""Submissions: receipts, attempts, deadlines, and what a student may see of them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import msgspec
import pytest
from sqlalchemy import text
from studium.classroom.archive import pack
from studium.classroom.client import ClassroomError
from studium.errors import CourseError
from studium_classroom.classroom import Classroom
from studium_classroom.database import Database
from studium_classroom.submissions import FAILED, MOST_TRIES, Graded
from studium_graders.grading.late.extensions import extend

C, A = "course101", "ps1"


def marked(served, student, score, **more):
    """Write down a mark of the newest submission, as the grading line does."""
    batch = [row for row in served.classroom.submissions.next_batch(C, A, 99) if row.user == student]
    served.classroom.submissions.note(batch, [Graded(student, score, 5.0, **more)], datetime.now(UTC))


def change_course(served, old, new):
    path = served.classroom.courses[C].root / "course.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_receipt_says_what_the_server_has_and_the_same_archive_again_gives_the_same_one(served, archive):
    ada, sent = served.client("ada"), archive()
    first = ada.submit(C, A, sent)
    assert (first.student, first.size, first.late, first.sha256) == ("ada", len(sent), False, sha256(sent).hexdigest())
    assert abs(first.received - datetime.now(UTC)) < timedelta(minutes=5)
    assert served.classroom.blobs.get(first.sha256) == sent
    assert ada.submit(C, A, archive()) == first
    second = ada.submit(C, A, archive(total="def total(values): return 1"))
    third = ada.submit(C, A, archive())
    assert [first.attempt, second.attempt, third.attempt] == [1, 2, 3]
    assert served.client("bob").submit(C, A, archive()).attempt == 1


def test_a_notebook_that_cannot_be_read_is_refused_and_the_attempt_before_still_counts(served, archive):
    ada = served.client("ada")
    ada.submit(C, A, archive())
    marked(served, "ada", 5.0)
    for content in (b"junk", b"", b"[]", b'{"cells": ['):
        with pytest.raises(
            ClassroomError, match=r"counting\.ipynb was not handed in, and what you handed in before still"
        ):
            ada.submit(C, A, pack({"counting.ipynb": content}))
    with pytest.raises(ClassroomError, match=r"needs a notebook, such as counting.ipynb: got none"):
        ada.submit(C, A, pack({"notes.txt": b"x"}))
    [row] = served.classroom.submissions.attempts(C, ["ada"])[A, "ada"]
    assert (row.attempt, row.score) == (1, 5.0)


def test_many_at_once_get_numbers_without_gap_and_each_its_own_receipt(served, archive):
    sources = [archive(total=f"# {number}") for number in range(12)]
    with ThreadPoolExecutor(6) as executor:
        receipts = list(executor.map(lambda sent: served.client("ada").submit(C, A, sent), sources))
    assert sorted(receipt.attempt for receipt in receipts) == list(range(1, 13))
    assert len({receipt.signature for receipt in receipts}) == 12


def test_an_older_attempt_that_was_not_graded_yet_is_replaced_by_the_newer_one(served, archive):
    ada = served.client("ada")
    ada.submit(C, A, archive())
    ada.submit(C, A, archive(total="# two"))
    assert [row.attempt for row in served.classroom.submissions.next_batch(C, A, 9)] == [2]
    view = next(view for view in ada.assignments(C) if view.name == A)
    assert [(one.state, one.receipt.attempt) for one in view.attempts] == [("replaced", 1), ("waiting", 2)]


def test_what_is_late_is_taken_and_said_to_be_late_and_what_is_closed_is_not_taken(served, archive):
    change_course(served, "due = 2099-03-01T23:59:00", "due = 2026-01-02T00:00:00\ncloses = 2099-01-05T00:00:00")
    assert served.client("ada").submit(C, A, archive()).late
    change_course(served, "2099-01-05", "2026-01-05")
    with pytest.raises(ClassroomError, match=r"ps1 has been closed since 2026-01-05 00:00 CET; ask your instructor"):
        served.client("bob").submit(C, A, archive())


def test_an_extension_moves_both_dates_for_one_student(served, archive):
    change_course(served, "due = 2099-03-01T23:59:00", "due = 2026-01-02T00:00:00\ncloses = 2026-01-05T00:00:00")
    extend(served.classroom.courses[C].root, "ada", A, datetime(2099, 1, 1), "ill")
    assert not served.client("ada").submit(C, A, archive()).late
    view = next(view for view in served.client("ada").assignments(C) if view.name == A)
    assert (view.extended, view.open, view.due.year) == (True, True, 2099)
    with pytest.raises(ClassroomError, match="closed"):
        served.client("bob").submit(C, A, archive())


def test_a_student_sees_the_mark_and_the_page_of_each_attempt(served, archive):
    ada = served.client("ada")
    ada.submit(C, A, archive())
    marked(served, "ada", 3.0, penalty=0.5, pages={"counting": b"<h1>three</h1>"})
    ada.submit(C, A, archive(total="# two"))
    marked(served, "ada", 5.0, pages={"counting": b"<h1>five</h1>"})
    view = next(view for view in ada.assignments(C) if view.name == A)
    assert [(one.state, one.score, one.penalty, one.feedback) for one in view.attempts] == [
        ("graded", 3.0, 0.5, ["counting"]),
        ("graded", 5.0, 0.0, ["counting"]),
    ]
    assert ada.feedback(C, A, 1, "counting") == b"<h1>three</h1>"
    assert ada.feedback(C, A, 2, "counting") == b"<h1>five</h1>"


@pytest.mark.parametrize("when", ["when due", "when released"])
def test_marks_wait_where_the_course_says_so(served, archive, when):
    change_course(
        served, '[[assignments]]\nname = "ps1"', f'[classroom]\nmarks = "{when}"\n\n[[assignments]]\nname = "ps1"'
    )
    ada = served.client("ada")
    ada.submit(C, A, archive())
    marked(served, "ada", 3.0, sentence="secret", pages={"counting": b"x"})
    (hidden,) = ada.assignments(C)[0].attempts
    assert (hidden.state, hidden.score, hidden.max_score, hidden.sentence, hidden.feedback) == (
        "handed in",
        None,
        None,
        "",
        [],
    )
    with pytest.raises(ClassroomError, match="you cannot see feedback on attempt 1 of ps1 yet"):
        ada.feedback(C, A, 1, "counting")
    if when == "when due":
        change_course(served, "due = 2099-03-01T23:59:00", "due = 2026-01-02T00:00:00")
    else:
        assert served.ask("grace", "POST", f"courses/{C}/assignments/{A}/release").status_code == 200
    assert ada.assignments(C)[0].attempts[0].score == 3.0


def test_one_that_cannot_be_graded_is_tried_again_alone_and_then_given_up(served, archive):
    for name in ("ada", "bob"):
        served.client(name).submit(C, A, archive(total=f"# {name}"))
    submissions = served.classroom.submissions
    for turn in range(MOST_TRIES):
        batch = submissions.next_batch(C, A, 99)
        assert [row.user for row in batch] == (["ada", "bob"] if turn == 0 else ["ada"])
        done = [Graded("bob", 5.0, 5.0)] if turn == 0 else []
        submissions.note(batch, [*done, Graded("ada", problem="the engine was gone")], datetime.now(UTC))
    (row,) = submissions.attempts(C, ["ada"])[A, "ada"]
    assert (row.state, row.sentence) == (FAILED, "the engine was gone")
    assert submissions.waiting() == []
    assert served.ask("grace", "POST", f"courses/{C}/assignments/{A}/grade").json() == {"waiting": 2}
    assert submissions.waiting() == [(C, A)]


def test_a_receipt_is_genuine_only_as_it_was_given(served, archive):
    receipt = served.client("ada").submit(C, A, archive())
    path = f"courses/{C}/receipts"

    def said(user, changed):
        return served.ask(user, "POST", path, content=msgspec.json.encode(changed)).status_code

    assert said("ada", receipt) == said("grace", receipt) == 200
    for change in ({"attempt": 2}, {"student": "bob"}, {"late": True}, {"sha256": "0" * 64}, {"signature": "é"}):
        assert said("ada", msgspec.structs.replace(receipt, **change)) == 403
    assert said("bob", receipt) == 403
    assert said("bob", msgspec.structs.replace(receipt, student="bob")) == 403


def test_what_was_taken_is_there_after_the_server_is_started_again(served, archive, course, tmp_path):
    receipt = served.client("ada").submit(C, A, archive())
    again = Classroom([course], tmp_path / "data")
    assert again.submissions.waiting() == [(C, A)]
    assert again.seal.is_genuine(receipt)
    assert again.submissions.archive(again.submissions.attempts(C)[A, "ada"][0]) == archive()
    again.database.close()


def test_tables_of_another_version_are_refused_in_a_sentence(tmp_path):
    url = f"sqlite:///{tmp_path / 'x.db'}"
    database = Database(url)
    with database.writing() as session:
        session.execute(text("update setting set value = '99'"))
    database.close()
    with pytest.raises(CourseError, match="tables of version 99, but version 1 is needed"):
        Database(url)
