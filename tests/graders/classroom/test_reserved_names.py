"""Names that the server writes into a student's folder: in a hand-in they are left out, as a file and as a folder."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studium.classroom.archive import pack
from studium.classroom.client import ClassroomError
from studium_classroom.handed_in import handed_in_files
from studium_classroom.jobs.forms import HandedIn
from studium_classroom.jobs.grading import lay_out
from studium_graders.course.finding import open_course
from studium_graders.engine.intake.reserved_names import SECRET, TIMESTAMP, is_reserved

from .test_submissions import A, C

OWN = "2001-01-01 00:00:00 UTC"
NAMES = ["timestamp.txt/x.txt", "timestamp.txt/a/b.ipynb", "timestamp.txt", "TimeStamp.TXT/x", "TIMESTAMP.TXT"]
NAMES += ["submission_secret.txt", "submission_secret.txt/x.txt"]


def test_a_hand_in_with_such_a_name_is_taken_and_keeps_nobody_from_a_mark(served, course, answered):
    served.client("bob").submit(C, A, pack(answered()))
    blobs, when = served.classroom.blobs, datetime(2026, 3, 1, tzinfo=UTC)
    for name in NAMES:
        served.client("ada").submit(C, A, pack({**answered(), name: OWN.encode(), "data/timestamp.txt": b"mine"}))
        rows = served.classroom.submissions.next_batch(C, A, 32)
        handed_in = [HandedIn(row.user, when, str(blobs.path(row.sha256))) for row in rows]
        lay_out(open_course(course, A), A, handed_in, ".received-")
        assert files(course, "ada") == {"counting.ipynb", "data/timestamp.txt", "timestamp.txt"}, name
        assert files(course, "bob") == {"counting.ipynb", "timestamp.txt"}, name
        for student in ("ada", "bob"):
            found = course / "submitted" / student / A / "timestamp.txt"
            assert found.read_text() == "2026-03-01 00:00:00.000000 UTC"


def files(course: Path, student: str) -> set[str]:
    root = course / "submitted" / student / A
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_a_hand_in_whose_only_notebook_is_in_such_a_folder_is_refused(served, answered):
    (content,) = answered().values()
    with pytest.raises(ClassroomError, match=r"needs a notebook, such as counting\.ipynb: got none"):
        served.client("ada").submit(C, A, pack({"timestamp.txt/counting.ipynb": content}))
    assert served.classroom.submissions.attempts(C) == {}
    unreadable = {"timestamp.txt/x.ipynb": b"no JSON"}  # which costs no hand-in
    assert served.client("ada").submit(C, A, pack(answered() | unreadable)).attempt == 1


@given(
    st.sampled_from([TIMESTAMP, SECRET]), st.lists(st.booleans(), min_size=21, max_size=21), st.sampled_from(["", "/x"])
)
def test_no_letter_case_and_no_folder_gets_past_the_rule(name, upper, below):
    written = "".join(one.upper() if up else one for one, up in zip(name, upper, strict=False)) + name[21:] + below
    assert is_reserved(written)
    assert handed_in_files(pack({written: b"", "ps1.ipynb": b"{}", f"data/{name}": b""})).keys() == {
        "ps1.ipynb",
        f"data/{name}",
    }
