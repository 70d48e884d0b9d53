"""`studium export --into`: a copy of the file, filled in, with whom it does not know; or only what would change."""

import pytest

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook, Student

from tests.graders.test_export import Class, empty  # noqa: F401

CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,ps1 (4711)\n    Points Possible,,,,,4.2\nA,1,,ada,L,\nB,2,,bob,L,\n"
)


@pytest.fixture
def course(tmp_path, empty):  # noqa: F811
    made = Class(tmp_path, empty)
    made.fill({"zoe": {}, "ada": {}, "eve": {}}, ("ps1",))
    with Gradebook(made.url) as book:
        book.db.add(Student(id="new"))
        book.db.commit()
    (tmp_path / "canvas.csv").write_text(CANVAS)
    return tmp_path


def export(studium, course, *more):
    return studium("export", "--course", str(course), "--format", "canvas", "--into", str(course / "canvas.csv"), *more)


def test_a_copy_is_filled_in_and_both_sides_hear_of_whom_the_other_does_not_know(course, studium):
    code, out, err = export(studium, course)
    assert code == 0
    assert err == "studium: 5 answers wait for you to mark them in ps1 and count 0 until then: ada, eve\n"
    assert (course / "canvas.csv").read_text() == CANVAS
    lines = (course / "canvas-filled.csv").read_text().splitlines()
    assert lines[2].startswith("A,1,,ada,L,")
    assert lines[2] != "A,1,,ada,L,"
    assert lines[3] == "B,2,,bob,L,"
    assert "1 marks changed" in out
    assert "students without a row in the file: eve, new, zoe" in out
    assert "rows that match no student of the course: B (row 4)" in out


def test_nobody_but_its_owner_reads_a_table_of_marks(course, studium, modes):
    export(studium, course)
    studium("export", "--course", str(course), "--out", str(course / "marks.csv"))
    assert modes(course / "canvas-filled.csv") == modes(course / "marks.csv") == {("file", "0o600")}


def test_a_dry_run_prints_old_and_new_and_writes_nothing(course, studium):
    code, out, _ = export(studium, course, "--dry-run")
    assert code == 0
    assert "ada, ps1: empty → " in out
    assert not (course / "canvas-filled.csv").exists()


def test_without_a_file_and_with_a_wrong_one_there_is_one_sentence_and_nothing_is_written(course, studium):
    code, _, err = studium("export", "--course", str(course), "--format", "moodle")
    assert (code, "name the file with --into" in err) == (1, True)
    (course / "canvas.csv").write_bytes(b"\xff\xfa")
    code, _, err = export(studium, course)
    assert (code, "must be text" in err, "Traceback" in err) == (1, True, False)
    assert not (course / "canvas-filled.csv").exists()
    code, _, err = export(studium, course, "--column", "ps1")
    assert (code, "--column is written ASSIGNMENT=COLUMN" in err) == (2, True)
