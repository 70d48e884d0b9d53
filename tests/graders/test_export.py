"""The marks as CSV: what nbgrader's own exporter gives, safe in a sheet, quick, and open for other formats."""

import csv
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from studium.errors import CourseError

pytest.importorskip("nbgrader")

from nbgrader import api
from nbgrader.api import Gradebook
from nbgrader.plugins import CsvExportPlugin
from studium_graders.gradebook.newest_schema import schema_known
from studium_graders.lms.csv_file import COLUMNS, write_csv

pytestmark = pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning")  # nbgrader's own


class Class:
    """A gradebook with assignments of two notebooks, made row by row as nbgrader would."""

    def __init__(self, root: Path, empty: Path) -> None:
        self.root = root
        shutil.copy(empty, root / "gradebook.db")
        (root / "nbgrader_config.py").write_text("c = get_config()\n")
        self.url = f"sqlite:///{root / 'gradebook.db'}"
        self.random = random.Random(0)

    def fill(self, students: dict[str, dict], assignments: tuple[str, ...] = ("ps1", "ps2"), cells: int = 3) -> None:
        with Gradebook(self.url) as book:
            book.db.add_all(api.Student(id=name, **person) for name, person in students.items())
            for name in assignments:
                self._assign(book, name, list(students), cells)
            book.db.commit()

    def _assign(self, book: Gradebook, name: str, students: list[str], cells: int) -> None:
        due = api.utils.parse_utc("2026-03-01 22:59:00") if name == "ps1" else None
        assignment = api.Assignment(name=name, duedate=due, course_id="default_course")
        book.db.add(assignment)
        books = [api.Notebook(name=f"{name}-{number}", assignment=assignment) for number in range(2)]
        tests = {
            one: [api.GradeCell(name=str(i), notebook=one, max_score=0.7, cell_type="code") for i in range(cells)]
            for one in books
        }
        book.db.add_all(books)
        for student in students[1:]:  # the first one handed in nothing
            submission = api.SubmittedAssignment(assignment=assignment, student_id=student, timestamp=due)
            for one, grades in tests.items():
                penalty = self.random.choice([None, 0.0, 0.1, 9.0])
                own = api.SubmittedNotebook(assignment=submission, notebook=one, late_submission_penalty=penalty)
                book.db.add_all(api.Grade(cell=cell, notebook=own, **self._grade()) for cell in grades)

    def _grade(self) -> dict:
        choose = self.random.choice
        return {
            "auto_score": choose([None, 0.1, 0.7, self.random.random()]),
            "manual_score": choose([None, None, 0.3]),
            "extra_credit": choose([None, None, 0.2]),
            "needs_manual_grade": choose([True, False]),
        }

    def rows(self, *assignments: str) -> list[dict[str, str]]:
        path = write_csv(self.url, self.root / "ours.csv", assignments)
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gradebook with all tables and nothing in them; only to be copied."""
    path: Path = tmp_path_factory.mktemp("empty") / "gradebook.db"
    with schema_known():
        Gradebook(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def marked(tmp_path: Path, empty: Path) -> Class:
    return Class(tmp_path, empty)


PEOPLE = {f"student{number}": {"last_name": "abc"[number % 3], "first_name": str(number)} for number in range(12)}


def test_columns_rows_and_values_are_those_of_nbgrader(marked: Class) -> None:
    marked.fill(PEOPLE)
    exporter = CsvExportPlugin(to=str(marked.root / "theirs.csv"))
    with Gradebook(marked.url) as book:
        exporter.export(book)
    theirs = (marked.root / "theirs.csv").read_text("utf-8")
    assert write_csv(marked.url, marked.root / "ours.csv").read_text("utf-8") == theirs
    assert theirs.splitlines()[0] == ",".join(COLUMNS)
    assert len(theirs.splitlines()) == 1 + 2 * len(PEOPLE)
    row = next(row for row in marked.rows("ps1") if row["student_id"] == "student0")  # who handed nothing in
    assert (row["timestamp"], row["raw_score"], row["score"]) == ("", "0.0", "0.0")
    assert float(row["max_score"]) == pytest.approx(4.2)


def test_text_that_a_sheet_would_run_gets_an_apostrophe(marked: Class) -> None:
    starts = ("=", "+", "-", "@", "\t", "\r", "\n", "＝")
    marked.fill(
        {f"{start}cmd|' /C calc'!A0": {"last_name": f"{start}1+1", "email": "a@b.c"} for start in starts}, ("ps1",)
    )
    shown = ["\n" if start == "\r" else start for start in starts]
    rows = marked.rows()
    assert sorted(row["student_id"] for row in rows) == sorted(f"'{start}cmd|' /C calc'!A0" for start in shown)
    assert sorted(row["last_name"] for row in rows) == sorted(f"'{start}1+1" for start in shown)
    assert {row["email"] for row in rows} == {"a@b.c"}


def test_a_negative_number_stays_a_number(marked: Class) -> None:
    marked.fill({"none": {}, "ada": {}}, ("ps1",), cells=1)
    with Gradebook(marked.url) as book:
        for grade in book.find_submission("ps1", "ada").notebooks[0].grades:
            grade.manual_score, grade.extra_credit = 0.0, -5.0
        book.db.commit()
    row = next(row for row in marked.rows() if row["student_id"] == "ada")
    assert float(row["raw_score"]) < 0
    assert row["score"] == "0.0"


def test_names_with_commas_quotes_and_any_letters_come_back_as_they_were(marked: Class) -> None:
    person = {"last_name": 'von "der", Ü', "first_name": "Ω"}
    marked.fill({"cy": {}, "ann": {}, "bob": {}, "zoë, 李\n“x”": person}, ("ps1",))
    *others, row = marked.rows()
    assert [one["student_id"] for one in others] == ["ann", "bob", "cy"]  # without a name by their id
    assert (row["student_id"], row["last_name"], row["first_name"]) == ("zoë, 李\n“x”", 'von "der", Ü', "Ω")


def test_an_older_file_is_replaced_at_once_and_a_device_is_written_to(marked: Class) -> None:
    marked.fill(PEOPLE)
    out = marked.root / "grades.csv"
    out.write_text("old")
    write_csv(marked.url, out)
    assert out.read_text("utf-8").startswith("assignment,")
    assert [path.name for path in marked.root.glob(".*")] == []
    device = Path("/dev/null")
    assert write_csv(marked.url, device) == device
    assert device.is_char_device()


# The command and the hook


def test_the_command_writes_into_the_course_unless_it_is_told_otherwise(marked: Class, studium: Callable) -> None:
    marked.fill(PEOPLE)
    code, out, _ = studium("export", "--course", str(marked.root))
    absent = [f"{name}: handed in nothing: 1 of 12 students (student0)" for name in ("ps1", "ps2")]
    assert (code, out.splitlines()) == (0, [*absent, f"{marked.root / 'grades.csv'} is ready"])
    elsewhere = marked.root / "only.csv"
    code, _, _ = studium("export", "--course", str(marked.root), "--assignment", "ps2", "--out", str(elsewhere))
    assert (code, {line.split(",")[0] for line in elsewhere.read_text().splitlines()}) == (0, {"assignment", "ps2"})


def test_a_file_that_cannot_be_written_is_named_with_what_to_check(marked: Class, studium: Callable) -> None:
    marked.fill(PEOPLE)
    out = marked.root / "nowhere" / "marks.csv"
    code, _, err = studium("export", "--course", str(marked.root), "--out", str(out))
    sentence = f"No such file or directory: {out}; nothing was lost; check that path, its permissions and its disk"
    assert (code, err) == (1, f"studium: {sentence}\n")


def test_unknown_formats_and_assignments_are_usage_errors(marked: Class, studium: Callable) -> None:
    marked.fill(PEOPLE)
    code, _, err = studium("export", "--course", str(marked.root), "--format", "xlsx")
    assert (code, "unknown format 'xlsx'; there is canvas, csv, moodle" in err) == (2, True)
    code, _, err = studium("export", "--course", str(marked.root), "--assignment", "ps3")
    assert (code, "unknown assignment 'ps3'; did you mean 'ps" in err) == (2, True)
    assert not (marked.root / "grades.csv").exists()


PLUGIN = """
from studium import hookimpl


@hookimpl
def studium_export_formats():
    return ["sis"]


@hookimpl
def studium_export(format, gradebook, path):
    if format == "sis":
        path.write_text(gradebook)
        return path
"""


def test_a_plugin_brings_a_format_of_its_own(marked: Class, studium: Callable, site) -> None:
    marked.fill(PEOPLE)
    site.install("sis-export", {"sis": "sis_export"}, {"sis_export.py": PLUGIN})
    code, out, _ = studium("export", "--course", str(marked.root), "--format", "sis")
    assert (code, out.strip()) == (0, f"{marked.root / 'grades.sis'} is ready")
    assert (marked.root / "grades.sis").read_text().startswith("sqlite:///")
    code, _, err = studium("export", "--course", str(marked.root), "--format", "xlsx")
    assert (code, "canvas, csv, moodle, sis" in err) == (2, True)


def test_a_course_without_marks_is_told_so_and_gets_no_gradebook(marked: Class) -> None:
    (marked.root / "gradebook.db").unlink()
    with pytest.raises(CourseError, match=r"no marks exist yet: .*; build and grade an assignment first"):
        write_csv(marked.url, marked.root / "grades.csv")
    assert not (marked.root / "gradebook.db").exists()


def test_a_gradebook_without_marks_leaves_the_older_file_as_it_is(marked: Class) -> None:
    (marked.root / "grades.csv").write_text("last week's")
    for assignments, lack in (((), "has no assignments"), (("ps1",), "has no students")):
        marked.fill({}, assignments)
        with pytest.raises(CourseError, match=f"no marks exist yet: .*gradebook.db {lack}"):
            write_csv(marked.url, marked.root / "grades.csv")
    assert (marked.root / "grades.csv").read_text() == "last week's"


def test_a_damaged_gradebook_is_told_in_one_sentence(marked: Class) -> None:
    (marked.root / "gradebook.db").write_text("no database" * 1000)
    with pytest.raises(CourseError, match=r"gradebook\.db is damaged"):
        write_csv(marked.url, marked.root / "grades.csv")
    with pytest.raises(CourseError, match="a gradebook needs a database URL"):
        write_csv("no url", marked.root / "grades.csv")
