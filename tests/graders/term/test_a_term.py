"""A whole term from the instructor's pages alone: their commands in order, for a class, with what really comes out.

The pages show a class of twelve. ``STUDIUM_WRITE_PAGE=1`` writes the outputs of this run into them.
"""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook
from studium.catalogue.catalogue import load_catalogue
from studium_graders.engine.sandbox import probe
from studium_graders.engine.sandbox.levels import Level

from .page_commands import Shown, page, same, shown_commands, with_outputs
from .simulated_students import EXERCISES, Student, Term

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.xdist_group("term"),  # one term for all tests of a size
    pytest.mark.nbgrader,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(probe().level < Level.L2, reason="this machine has no L2"),
]
# What a test cannot do: building wheels, the exchange of a hub, and servers.
NOT_RUN = (
    "pip ",
    "studium student-wheel",
    "nbgrader release",
    "nbgrader collect",
    "nbgrader autograde",
    "studium html",
)
PAGES = [page(f"{name}.md") for name in ("instructor", "instructor-marking", "instructor-lms", "instructor-late")]
HOME = "/home/ada"


class TermOnThisMachine:
    """The commands of the pages, and between them what students, systems and the instructor do."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.where = folder, folder
        self.course = folder / "gen-ai"
        self.term = Term(self.course, size, load_catalogue())
        self.costs: list[tuple[float, str]] = []
        self.outputs: dict[str, str] = {}
        self.stale: list[str] = []
        self.events = {
            "studium assign ps1": self.write_course,
            "studium roster": self.write_class_list,
            "studium collect ps1": self.download_from_canvas,
            "studium collect ps2": self.download_from_moodle,
            "studium grade ps3": self.term.exchange,
            "studium assign ps2 --course gen-ai  # again": self.correct_a_test,
        }

    def run(self, shown: Shown) -> str | None:
        """Run a command as the page has it; return what it printed, None where the page shows nothing of that."""
        command = shown.command.strip()
        for begin in [begin for begin in self.events if command.startswith(begin)]:
            self.events.pop(begin)()
        if command.startswith(NOT_RUN):
            return None
        words = shlex.split(command, comments=True)
        if words[0] == "cd":
            self.where = (self.where / words[1]).resolve()
            return None
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=self.where, env=self._environment(), capture_output=True, text=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.costs.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, command))
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        self.outputs[command] = (done.stdout + done.stderr).replace(str(self.folder), HOME)
        return self.outputs[command] if shown.output else None

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        own = {"HOME": str(self.folder), "PATH": path, "COLUMNS": "100", "PYTHONWARNINGS": "ignore"}
        return os.environ | own | {"STUDIUM_DATA": str(self.folder / "data")}

    def write_course(self) -> None:
        (shown,) = re.findall(r"```toml\n(.*?)```", PAGES[0].read_text("utf-8"), re.DOTALL)
        (self.course / "course.toml").write_text(shown, "utf-8")

    def write_class_list(self) -> None:
        (self.folder / "students.csv").write_text(self.term.class_list())

    def download_from_canvas(self) -> None:
        (self.folder / "grades.csv").write_bytes(self.term.canvas_sheet(self.points("ps1")).encode())
        self.term.canvas_archive(self.folder / "submissions.zip")

    def download_from_moodle(self) -> None:
        (self.folder / "worksheet.csv").write_text(self.term.moodle_worksheet(self.points("ps2")))
        self.term.moodle_archive(self.folder / "submissions.zip")

    def correct_a_test(self) -> None:
        path = self.course / "source" / "ps2" / "ddpm.ipynb"
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            cell.source = cell.source.replace("for T in (2, 7, 20, 150,", "for T in (50, 150,")
        nbformat.write(notebook, path)

    def points(self, assignment: str) -> float:
        with Gradebook(f"sqlite:///{self.course / 'gradebook.db'}") as book:
            return float(book.find_assignment(assignment).max_score)


@pytest.fixture(scope="module", params=[12, 300])
def term(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TermOnThisMachine:
    """A term that was run to its end; its folder is open to students' processes."""
    folder = tmp_path_factory.mktemp("term")
    for place in (folder, folder.parent):
        place.chmod(0o755)
    made = TermOnThisMachine(folder, request.param)
    for one in PAGES:
        text = one.read_text("utf-8")
        real = [(shown, made.run(shown)) for shown in shown_commands(text)]
        made.stale += [shown.command for shown, out in real if out is not None and not same(shown.output, out)]
        if os.environ.get("STUDIUM_WRITE_PAGE") and request.param == 12:
            one.write_text(with_outputs(text, [out for _, out in real]), "utf-8")
    assert made.events == {}, "the pages have no longer the commands that these events precede"
    for seconds, command in made.costs:
        print(f"{seconds:7.1f} s  {command}")
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    size = sum(path.stat().st_size for path in made.course.rglob("*") if path.is_file()) / 2**20
    print(f"{sum(seconds for seconds, _ in made.costs):7.1f} s in all; {largest:.0f} MB in the largest process", end="")
    print(f"; {size:.0f} MB in the course folder")
    return made


def marks(term: TermOnThisMachine, assignment: str) -> dict[str, float]:
    with (term.course / "grades.csv").open(newline="") as file:
        return {
            row["student_id"]: float(row["score"]) for row in csv.DictReader(file) if row["assignment"] == assignment
        }


def test_the_pages_show_what_their_commands_print(term: TermOnThisMachine) -> None:
    if len(term.term.students) != 12:
        pytest.skip("the pages show a class of twelve")
    assert not term.stale, "stale outputs in docs/instructor*.md; run this file with STUDIUM_WRITE_PAGE=1"


def test_right_answers_earn_all_points_and_mistakes_fewer(term: TermOnThisMachine) -> None:
    strict = set(term.term.not_clipped)
    for name in EXERCISES:
        most, found = term.points(name), marks(term, name)
        for one in term.term.students:
            if name == "ps2" and one.id in strict:
                assert 0 < found[one.id] < most
            elif one.is_missing(name) or one.is_unreadable(name):
                assert found[one.id] == 0
            elif one.kind in (2, 3, 7, 9, 11):
                assert found[one.id] < most, one
            elif not (name == "ps3" and one.kind == 4):
                assert found[one.id] == most, one


def test_the_regrade_changes_one_mark_of_each_student_of_whom_the_test_asked_too_much(term: TermOnThisMachine) -> None:
    number = len(term.term.not_clipped)
    assert number == (12 if len(term.term.students) == 300 else 3)
    shown = {command: out for command, out in term.outputs.items() if command.startswith("studium grade ps2")}
    (before,) = (out for command, out in shown.items() if "--dry-run" in command)
    (after,) = (out for command, out in shown.items() if "--changes gains" in command)
    for out, what in ((before, "would change"), (after, "changed")):
        cell, *lines = out.partition(f"{number} marks {what}:\n")[2].splitlines()[: number + 1]
        assert cell.startswith("ddpm/ddpm-make_betas-")
        assert [line.partition(":")[0].strip() for line in lines] == sorted(term.term.not_clipped)
        assert all(line.endswith(": 0 → 1") for line in lines)
    diff = (term.folder / "diff.html").read_text("utf-8")
    assert "the assignment was rebuilt" in diff
    assert all(student in diff for student in term.term.not_clipped)


def test_the_history_has_both_results_of_a_regrade(term: TermOnThisMachine) -> None:
    student = term.term.not_clipped[0]
    command = [sys.executable, "-m", "studium", "history", "ps2", "--course", "gen-ai", "--student", student, "--json"]
    told = subprocess.run(command, cwd=term.folder, env=term._environment(), capture_output=True, text=True, check=True)
    (attempt,) = json.loads(told.stdout)
    first, last = (result["score"] for result in attempt["results"])
    assert last == first + 1


def test_canvas_gets_its_own_file_back_with_nothing_but_marks_changed(term: TermOnThisMachine) -> None:
    before, after = ((term.folder / name).read_bytes().split(b"\r\n") for name in ("grades.csv", "grades-filled.csv"))
    assert len(before) == len(after)
    found = marks(term, "ps1")
    for one, old, new in zip(term.term.students, before[2:], after[2:], strict=False):
        mark = b"" if one.is_missing("ps1") else f"{round(found[one.id], 5):.10g}".encode()
        assert new == old[: -len(b",")] + mark + b","
    assert (before[:2], before[-2:]) == (after[:2], after[-2:])


def test_moodle_gets_marks_and_pages_of_the_same_students(term: TermOnThisMachine) -> None:
    with (term.folder / "worksheet-filled.csv").open(newline="") as file:
        rows = {row["Identifier"].split()[1]: row for row in csv.DictReader(file)}
    found = marks(term, "ps2")
    assert {key: float(row["Grade"]) for key, row in rows.items()} == {
        str(one.key): found[one.id] for one in term.term.students
    }
    with zipfile.ZipFile(term.folder / "feedback.zip") as archive:
        assert {name.split("_")[1] for name in archive.namelist()} == rows.keys()
        student: Student = term.term.students[3]
        name = f"{student.name}_{student.key}_assignfeedback_file_ddpm.html"
        assert "You did not clip" in archive.read(name).decode()


def test_late_days_are_spent_first_and_an_extension_takes_the_penalty_back(term: TermOnThisMachine) -> None:
    most, found = term.points("ps3"), marks(term, "ps3")
    late = [one for one in term.term.students if one.kind == 4]
    extended, others = late[0], late[1:]
    assert found[extended.id] == most
    assert [round(found[one.id], 6) for one in others] == [round(0.7 * most, 6)] * len(others)
    assert all(found[one.id] == most for one in term.term.students if one.kind == 8)


def test_a_syntax_error_is_told_with_its_line(term: TermOnThisMachine) -> None:
    student = term.term.students[7].id
    page = (term.course / "feedback" / student / "ps3" / "kv-caching.html").read_text("utf-8")
    assert "its cell is not Python (line 1: " in page


def test_each_assignment_has_its_report_and_no_page_has_a_hidden_test(term: TermOnThisMachine) -> None:
    for name in EXERCISES:
        text = (term.folder / f"report-{name}.html").read_text("utf-8")
        number = sum(not one.is_missing(name) for one in term.term.students)
        (said,) = (out for command, out in term.outputs.items() if command.startswith(f"studium report {name}"))
        assert f", {number} students, " in said
        assert "BEGIN HIDDEN TESTS" not in text
