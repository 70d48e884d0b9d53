"""``studium grade`` on the command line: what it prints, its JSON, its exit codes, and its questions."""

import csv
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook
from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment
from studium_graders.commands import graded_table as table
from studium_graders.commands.grade import Quiet
from studium_graders.course.course_file import read_course
from studium_graders.course.limits import Limits, LimitsChange
from studium_graders.engine.material.results import NotebookResult, SubmissionResult
from studium_graders.engine.processes.endings import TEST_WITHOUT_END
from studium_graders.engine.supervision.vacuous_answers import VacuousTest
from studium_graders.grading import early_start
from studium_graders.grading.class_result import ClassResult, SubmissionRow, submission_row
from studium_graders.grading.class_result import TestRow as Row
from studium_graders.results.mark_changes import LATE, MarkChange
from studium_graders.results.mistakes import Sentences

Studium = Callable[..., tuple[int, str, str]]
ON_TIME = "2026-03-01 20:00:00 UTC"


@pytest.fixture(scope="module")
def class_of_two(by_hand: Catalogue, make_course: Callable, submit: Callable) -> Path:
    course: Path = make_course(rest='[late]\npolicy = "per-day"\npenalty_percent = 10\n')
    build_assignment(course, "ps1", by_hand)
    right = {name: solved(exercise) for name, exercise in by_hand["counting"].exercises.items()}
    submit(course, "[bold]ada", {"counting": right}, ON_TIME)
    submit(course, "bob", {"counting": right}, "2026-03-09 20:00:00 UTC")
    return course


@pytest.fixture
def course(class_of_two: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(class_of_two, tmp_path / "course"))


@pytest.fixture
def grade(course: Path, studium: Studium) -> Studium:
    return lambda *more: studium("grade", "ps1", "--course", str(course), "--executor", "by-hand", *more)


def test_a_table_and_a_summary_are_printed(grade: Studium) -> None:
    code, out, err = grade()
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split() == ["student", "mark", "late", "verdict"]
    assert lines[1].startswith("[bold]ada ")
    assert " of 5 " in lines[1]
    assert lines[-1] == "2 submissions of ps1 graded in sandbox L2, 1 of them run, 2 recorded"  # they are equal


def line_of(student: str, table: str) -> list[str]:
    return next(words for line in table.splitlines() if (words := line.split())[:1] == [student])


def test_the_mark_in_the_table_is_that_of_feedback_with_marks_by_hand_and_the_late_penalty(
    grade: Studium, studium: Studium, course: Path
) -> None:
    grade()
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        for mark in book.find_submission_notebook("counting", "ps1", "bob").grades:
            mark.manual_score, mark.needs_manual_grade = 0.75, False
        book.db.commit()
    out = grade("--yes")[1]
    told = studium("feedback", "ps1", "--course", str(course))[1]
    assert line_of("bob", out)[1:6] == ["0.6", "of", "5", "-2.4", "graded"]
    assert line_of("bob", told)[1:5] == ["counting", "0.6", "of", "5"]
    row = next(row for row in json.loads(grade("--json")[1])["submissions"] if row["student"] == "bob")
    assert (round(row["mark"], 6), row["waiting"]) == (0.6, 0)


def test_a_mark_that_was_not_recorded_is_labelled(grade: Studium, course: Path) -> None:
    (course / "autograded").mkdir()
    (course / "autograded" / "bob").touch()
    lines = grade()[1].splitlines()
    assert [line.split()[0] for line in lines if "not recorded: " in line] == ["bob"]


def test_what_a_person_should_look_at_is_listed(grade: Studium, course: Path, submit: Callable) -> None:
    assert "look at these" not in grade()[1]
    submit(course, "eve", {"counting": {"total": "hog()"}}, ON_TIME)
    dan = submit(course, "dan", {}, ON_TIME)
    (dan / "counting.ipynb").rename(dan / "counting-final.ipynb")
    lines = grade()[1].partition("look at these:\n")[2].splitlines()
    assert lines[:2] == ["  time limit: eve", "  dan: 'counting-final.ipynb' was taken for counting.ipynb"]


def test_a_submission_without_a_time_is_said_to_be_never_late_where_late_work_loses_points(
    grade: Studium, course: Path, submit: Callable
) -> None:
    submit(course, "dan", {})
    (course / "submitted" / "bob" / "ps1" / "timestamp.txt").write_text("yesterday evening")
    out = grade()[1]
    assert "  no timestamp.txt, so it never counts as late: dan\n" in out
    assert "  timestamp.txt holds no time, so it never counts as late: bob\n" in out
    settings = course / "course.toml"
    settings.write_text(settings.read_text("utf-8").replace('"per-day"', '"none"'), "utf-8")
    assert "never late" not in grade("--yes")[1]


def test_what_happened_to_every_notebook_is_told(by_hand: Catalogue) -> None:
    gone = "a.ipynb was not handed in"
    for details, told in {
        (gone, "b.ipynb was not handed in"): "no notebook was handed in",
        (gone, ""): gone,
        (gone, "the notebook file is empty"): f"{gone}; the notebook file is empty",
        (gone,): gone,
    }.items():
        books = [NotebookResult(str(number), "missing", [], detail=detail) for number, detail in enumerate(details)]
        assert submission_row(SubmissionResult("ada", "L2", 0.0, books), (), Sentences(by_hand)).detail == told
    row = SubmissionRow("ada", 0.0, 5.0, "time limit", 2.07, [], detail="stopped after 2 s: is there an endless loop?")
    assert table.ending(row) == "stopped after 2 s: is there an endless loop? (2.07 s)"


def test_of_a_large_class_ordinary_students_are_listed_where_that_is_asked_for(
    grade: Studium, course: Path, submit: Callable
) -> None:
    for number in range(45):
        submit(course, f"s{number:02}", {}, ON_TIME)
    submit(course, "eve", {"counting": {"total": "hog()"}}, ON_TIME)
    out = grade()[1]
    assert ("s07" in out, out.splitlines()[1].startswith("eve ")) == (False, True)
    assert "47 more submissions graded without trouble (--all lists them)\n" in out
    assert "s07" in grade("--all")[1]


def test_a_due_date_that_was_changed_in_course_toml_counts_at_once(grade: Studium, course: Path) -> None:
    rows = json.loads(grade("--json")[1])["submissions"]
    assert [row["late_penalty"] > 0 for row in rows] == [False, True]
    text = (course / "course.toml").read_text("utf-8")
    (course / "course.toml").write_text(text.replace("2026-03-01T23:59:00", "2026-03-10T23:59:00"), "utf-8")
    assert "counting/late penalty\n  bob: " in grade("--yes")[1]
    assert [row["late_penalty"] for row in json.loads(grade("--json")[1])["submissions"]] == [0, 0]


def test_what_is_said_of_a_student_cannot_steer_the_terminal(grade: Studium, course: Path) -> None:
    (course / "submitted" / "\x1b[31meve").mkdir()
    (course / "submitted" / "\x1b[31meve" / "ps1").symlink_to("elsewhere")
    code, _, err = grade()
    assert (code, err.startswith("studium: \\x1b[31meve was not graded")) == (1, True)


def test_a_terminal_shows_how_many_are_done_and_a_pipe_does_not(
    grade: Studium, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert grade()[2] == ""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    code, _, err = grade("--force")
    assert code == 0
    assert "grading" in err
    assert "2/2" in err


def test_a_long_run_that_no_terminal_shows_writes_a_line_each_minute(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 0.0, 30.0, 61.0, 90.0, 122.0])
    watcher = Quiet(lambda: next(times))
    watcher.begin(300, "L2")
    for number in range(4):
        watcher.done(f"s{number}", reused=False)
    assert capsys.readouterr().err.splitlines() == [
        "studium: 2 of 300 submissions graded",
        "studium: 4 of 300 submissions graded",
    ]


def test_json_has_every_test_of_every_student(grade: Studium) -> None:
    code, out, _ = grade("--json")
    said = json.loads(out)
    assert (code, said["assignment"], said["sandbox"]) == (0, "ps1", "L2")
    first = said["submissions"][0]
    assert {"student", "score", "max_score", "verdict", "seconds", "tests", "late_penalty", "notes"} <= first.keys()
    assert (first["student"], first["max_score"], first["verdict"]) == ("[bold]ada", 5, "graded")
    assert [test["exercise"] for test in first["tests"]] == ["total", "total", "distance", "distance"]
    assert {"exercise", "name", "points", "max_points", "outcome", "message", "mode"} <= first["tests"][0].keys()
    assert sum(test["points"] for test in first["tests"]) == first["score"]


def test_json_names_a_mistake_by_its_id_and_its_sentence(grade: Studium, course: Path, submit: Callable) -> None:
    for number in range(8):  # of which the grader by hand fails some
        submit(course, f"s{number}", {"counting": {"total": f"def total(values):\n    return {number}"}})
    rows = json.loads(grade("--json")[1])["submissions"]
    failed = {test["exercise"]: test for row in rows for test in row["tests"] if test["outcome"] == "failed"}
    assert failed["total"]["mistake_id"] == "counting.total:added-the-sizes"
    assert failed["total"]["mistake"] == "You added the sizes of the numbers, whatever their signs."
    assert (failed["distance"]["mistake_id"], failed["distance"]["mistake"]) == ("", "")


def test_a_dry_run_says_that_nothing_was_recorded(grade: Studium, course: Path) -> None:
    code, out, _ = grade("--dry-run")
    assert (code, out.splitlines()[-1].endswith("dry run: nothing was recorded")) == (0, True)
    assert not (course / "autograded").exists()


def test_one_student_and_unknown_names(grade: Studium, studium: Studium, course: Path, tmp_path: Path) -> None:
    code, out, _ = grade("--student", "bob", "--json")
    assert (code, [row["student"] for row in json.loads(out)["submissions"]]) == (0, ["bob"])
    assert grade("--student", "bob")[1].splitlines()[-1].startswith("1 submission of ps1 graded")
    code, _, err = grade("--student", "bod")
    assert (code, "unknown student of ps1 'bod'; did you mean 'bob'?" in err) == (2, True)
    code, _, err = studium("grade", "ps2", "--course", str(course))
    assert (code, err) == (2, "studium: unknown assignment 'ps2'; did you mean 'ps1'?\n")
    code, _, err = studium("grade", "ps1", "--course", str(tmp_path))
    assert (code, err.count("\n"), "name the course with --course" in err) == (1, 1, True)


def test_what_cannot_be_the_name_of_an_assignment_is_a_usage_error(studium: Studium, course: Path) -> None:
    before = set(course.rglob("*"))
    for name in ("", ".", "..", "/", "ps1/", "../ps1"):
        code, _, err = studium("grade", name, "--course", str(course))
        assert (code, err.startswith(f"studium: unknown assignment {name!r}; "), err.count("\n")) == (2, True, 1)
    assert set(course.rglob("*")) == before


def test_marks_that_were_not_recorded_are_said_to_be_what_would_change(
    grade: Studium, course: Path, submit: Callable
) -> None:
    grade()
    shutil.rmtree(course / "submitted" / "bob")
    submit(course, "bob", {"counting": {}}, "2026-03-09 20:00:00 UTC")
    assert re.search("marks would change:\ncounting.*\n  bob: ", grade("--dry-run")[1])
    assert re.search("marks changed:\ncounting.*\n  bob: ", grade()[1])


def test_marks_that_changed_are_told_apart_from_those_that_could_not_be_recorded(
    grade: Studium, course: Path, submit: Callable
) -> None:
    grade()
    for student in ("[bold]ada", "bob"):
        shutil.rmtree(course / "submitted" / student)
        submit(course, student, {"counting": {}}, "2026-03-09 20:00:00 UTC")
    shutil.rmtree(course / "autograded" / "bob")
    (course / "autograded" / "bob").touch()
    code, out, _ = grade()
    changed, would_change = out.partition("marks changed:")[2].split("marks would change:")
    assert (code, "  [bold]ada: " in changed, "  bob: " in would_change) == (1, True, True)
    assert "bob" not in changed
    assert "ada" not in would_change


def test_dask_without_a_scheduler_and_unknown_executors_say_what_to_do(studium: Studium, course: Path) -> None:
    for words, code, sentence in (
        (("--executor", "dask"), 1, "add --scheduler tcp://HOST:8786"),
        (("--executor", "slurm"), 2, "unknown executor 'slurm'"),
        (("--scheduler", "tcp://127.0.0.1:8786"), 2, "--scheduler is for a cluster; add --executor dask"),
    ):
        found, _, err = studium("grade", "ps1", "--course", str(course), *words)
        assert (found, sentence in err) == (code, True)


def refused(grade: Studium, course: Path, line: str, why: str) -> str:
    """Grade with a line in nbgrader's settings; give the one sentence that comes of it, and says ``why``."""
    file = course / "nbgrader_config.py"
    before = file.read_text()
    file.write_text(f"{before}{line}\n")
    code, out, err = grade()
    file.write_text(before)
    assert (code, out, err.count("\n"), why in err) == (1, "", 1, True), (line, err)
    return err


UNUSABLE = {
    "CourseDirectory.db_url = 7": "The 'db_url' trait of a CourseDirectory instance expected a unicode string",
    "AssignLatePenalties.plugin_class = 'no.Policy'": "'no.Policy' could not be imported; correct it",
    "Autograde.permissions = 'all'": "The 'permissions' trait of an Autograde instance expected an int",
}


def test_a_setting_of_nbgraders_that_cannot_be_used_is_one_sentence(grade: Studium, course: Path) -> None:
    for setting, why in UNUSABLE.items():
        err = refused(grade, course, f"get_config().{setting}", why)
        assert err.startswith(f"studium: {course / 'nbgrader_config.py'} must contain valid settings: ")
    refused(grade, course, "raise SystemExit(3)", "must be Python that configures nbgrader: SystemExit: 3")


TAKEN = {
    "CourseDirectory.directory_structure = '{nbgrader_step}/{assignment_id}'": "{student_id} and {assignment_id}",
    "CourseDirectory.directory_structure = '{nbgrader_step'": "got '{nbgrader_step'; correct it",
    "CourseDirectory.directory_structure = 'work'": "got 'work'; correct it, or leave it out",
    "GenerateAssignment.preprocessors = ['no.such.Kind']": "got 'no.such.Kind' (No module named 'no')",
    "Autograde.permissions = 999": "must be octal digits such as 644: got 999; correct it",
    "Autograde.exclude_overwriting = {'ps1': 5}": "must give a list of files for each assignment: got 5 for ps1",
}


def test_a_setting_that_nbgrader_takes_and_cannot_use_is_one_sentence(grade: Studium, course: Path) -> None:
    for setting, why in TAKEN.items():
        refused(grade, course, f"get_config().{setting}", why)


def test_a_plugin_and_a_preprocessor_beside_nbgraders_settings_are_found_from_anywhere(
    grade: Studium, studium: Studium, course: Path
) -> None:
    (course / "our_late.py").write_text(
        "from nbgrader.plugins import LateSubmissionPlugin\n\n\nclass Late(LateSubmissionPlugin):\n"
        "    def late_submission_penalty(self, student_id, score, total_seconds_late):\n        return 0.25\n"
    )
    (course / "our_cells.py").write_text(
        "from nbgrader.preprocessors import NbGraderPreprocessor\n\n\nclass Same(NbGraderPreprocessor):\n"
        "    def preprocess(self, nb, resources):\n        return nb, resources\n"
    )
    with (course / "nbgrader_config.py").open("a") as file:
        file.write("from our_late import Late\n\nget_config().AssignLatePenalties.plugin_class = 'our_late.Late'\n")
        file.write("from nbgrader.converters import GenerateAssignment\n")
        file.write("kinds = [*GenerateAssignment().preprocessors, 'our_cells.Same']\n")
        file.write("get_config().GenerateAssignment.preprocessors = kinds\n")
    assert studium("assign", "ps1", "--course", str(course), "--no-check")[0] == 0
    code, out, _ = grade()
    assert (code, "-0.25" in out, str(course) in sys.path) == (0, True, False)


def test_settings_of_the_user_hold_where_the_course_has_none(
    grade: Studium, course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "jupyter"
    own.mkdir()
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(own))
    (own / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.root = '/nowhere'\nc.CourseDirectory.course_id = 'another'\n"
        "c.CourseDirectory.student_id_exclude = 'bob'\n"
    )
    code, out, _ = grade()
    assert (code, "bob" in out, "[bold]ada" in out) == (0, False, True)
    (own / "nbgrader_config.py").write_text("(")
    code, _, err = grade()
    assert (code, err.count("\n"), f"{own / 'nbgrader_config.py'} must be Python" in err) == (1, 1, True)


def test_a_course_file_that_is_gone_is_said_in_the_words_that_name_it(grade: Studium, course: Path) -> None:
    (course / "course.toml").unlink()
    code, _, err = grade()
    assert (code, err.count("\n"), err.startswith(f"studium: a course needs the file {course / 'course.toml'}")) == (
        1,
        1,
        True,
    )


def test_what_settings_and_plugins_print_is_no_part_of_the_json(grade: Studium, studium: Studium, course: Path) -> None:
    (course / "loud.py").write_text(
        "from nbgrader.plugins import LateSubmissionPlugin\n\n\n"
        "class Loud(LateSubmissionPlugin):\n"
        "    def late_submission_penalty(self, student_id, score, total_seconds_late):\n"
        "        print('late')\n"
    )
    with (course / "nbgrader_config.py").open("a") as file:
        file.write("print('spring term')\nget_config().AssignLatePenalties.plugin_class = 'loud.Loud'\n")
    code, out, err = grade("--json")
    assert (code, json.loads(out)["assignment"], "spring term" in err, "late" in err) == (0, "ps1", True, True)
    assert studium("export", "--course", str(course))[1] == f"{course / 'grades.csv'} is ready\n"


def test_relative_paths_in_nbgraders_settings_begin_at_the_course(
    grade: Studium, course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (course / "nbgrader_config.py").open("a") as file:
        file.write("get_config().CourseDirectory.db_url = 'sqlite:///gradebook.db'\n")
        file.write("get_config().CourseDirectory.root = '.'\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert grade()[0] == 0
    assert list((tmp_path / "elsewhere").iterdir()) == []


ODD = ("what?", "a%20b", "100%25#1")
RELATIVE = "get_config().CourseDirectory.db_url = 'sqlite:///gradebook.db'\n"


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        *(pytest.param(name, "", marks=[pytest.mark.heavy] * (name != ODD[2])) for name in ODD),
        *(pytest.param(name, RELATIVE, marks=[pytest.mark.heavy] * (name != ODD[0])) for name in ODD),
    ],
)
def test_a_course_may_lie_where_the_path_means_something_in_the_address_of_a_database(
    name: str, setting: str, course: Path, studium: Studium, nbgrader: Callable[..., str]
) -> None:
    root = course.rename(course.with_name(name))
    with (root / "nbgrader_config.py").open("a") as file:
        file.write(setting)
    assert studium("grade", "ps1", "--course", str(root), "--executor", "by-hand")[0] == 0
    assert studium("export", "--course", str(root))[0] == 0
    ours = list(csv.reader((root / "grades.csv").read_text("utf-8").splitlines()))
    assert any("bob" in row for row in ours)
    if not setting and name != ODD[2]:
        nbgrader(root, "export", "--to", "stock.csv")
        stock = list(csv.reader((root / "stock.csv").read_text("utf-8").splitlines()))
        assert [row[:-2] for row in ours] == stock  # the last two: what rests on unverified results, and what waits


def test_a_weak_sandbox_needs_trust(grade: Studium, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studium_graders.grading.work.probe_level", lambda: ("L1", "user namespaces are off"))
    code, _, err = grade()
    assert (code, "this machine has L1: user namespaces are off" in err) == (1, True)
    code, out, _ = grade("--trust-submissions")
    assert (code, "in sandbox L1" in out) == (0, True)


def test_a_result_that_the_engine_owes_is_a_problem_and_the_others_are_recorded(
    grade: Studium, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hand_grader

    original = hand_grader.result_by_hand

    def one_fails(material, submission):
        if submission.student == "[bold]ada":  # bob's is equal, and is run after hers
            raise RuntimeError("out of luck")
        return original(material, submission)

    monkeypatch.setattr(hand_grader, "result_by_hand", one_fails)
    code, out, err = grade()
    assert (code, "1 recorded" in out) == (1, True)
    assert "[bold]ada could not be graded, and nothing was recorded: RuntimeError: out of luck" in err


def test_what_nbgrader_reads_pages_and_archives_with_is_imported_when_it_is_used(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "work.zip", "w") as archive:
        archive.writestr("ps1.ipynb", "{}")
    program = (
        "import sys; from studium_graders.commands.extra import import_nbgrader; import_nbgrader();"
        "print('nbgrader.exchange' in sys.modules);"
        "print({'bs4', 'requests', 'setuptools'} & set(sys.modules) or '-');"
        "from nbgrader.server_extensions.formgrader import load_jupyter_server_extension; print('loaded');"
        "from nbconvert import HTMLExporter; from nbformat import v4; from nbgrader.utils import unzip;"
        "book = v4.new_notebook(cells=[v4.new_markdown_cell('![a cat](cat.png)')]);"
        "print('alt=\"a cat\"' in HTMLExporter().from_notebook_node(book)[0]); unzip('work.zip', '.')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=300
    )
    assert done.stdout.split() == ["False", "-", "loaded", "True"]
    assert (tmp_path / "ps1.ipynb").exists()


def test_torch_is_imported_early_where_the_command_line_says_that_it_will_be_needed(
    course: Path, grade: Studium, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[bool] = []
    monkeypatch.setattr("studium_graders.grading.ancestor.begin", lambda: begun.append(True))

    def begins(*arguments: str) -> bool:
        begun.clear()
        early_start.begin_early(list(arguments))
        return begun == [True]

    of_course = ("grade", "ps1", "--course", str(course))
    assert begins(*of_course, "--json")
    assert not begins(*of_course, "--executor", "dask")
    assert not begins(*of_course, "--help")
    for other in (("grade", "--course", str(course), "ps1"), ("grade",), ("export", "ps1"), ()):
        assert not begins(*other)
    grade()  # what is graded already needs no torch, unless it is graded again
    assert not begins(*of_course)
    assert begins(*of_course, "--force")


def test_changes_are_listed_and_cut_where_there_are_many() -> None:
    changes = [MarkChange("ada", "lora", f"cell-{number}", 1.0, None) for number in range(60)]
    lines = table.change_lines(changes, changed=True)
    assert lines[:3] == ["60 marks changed:", "lora/cell-0", "  ada: 1 → by hand"]
    assert lines[-1] == "and 20 more"
    assert table.change_lines(changes[:1], changed=False)[0] == "1 mark would change:"


def test_many_marks_of_a_students_notebook_that_change_are_one_line() -> None:
    changes = [MarkChange("ada", "lora", f"cell-{number}", 0.0, 1.5) for number in range(12)]
    changes += [MarkChange("ada", "lora", LATE, 0.0, 2.0), MarkChange("bob", "lora", "cell-0", 1.0, 0.0)]
    assert table.change_lines(changes, changed=True) == [
        "14 marks changed:",
        "lora",
        "  ada: 0 → 18 in 12 cells",
        "lora/late penalty",
        "  ada: 0 → 2",
        "lora/cell-0",
        "  bob: 1 → 0",
    ]


def test_an_id_that_is_as_long_as_ids_may_be_stands_whole_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    longest = "x" * 64
    changes = [MarkChange(student, "flash-attention", longest, 0.0, 1.0) for student in ("ada", "bob")]
    table.show_vacuous([VacuousTest(longest, ["NaN", "the right answer in half precision"])])
    lines = [*table.change_lines(changes, changed=False), *capsys.readouterr().out.splitlines()]
    assert [line for line in lines if longest in line] == [f"flash-attention/{longest}", f"  {longest}"]
    assert max(map(len, lines)) <= 80


def test_a_test_that_was_stopped_in_its_own_code_is_named_once_with_its_students(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stopped = f"stopped after 30 s: {TEST_WITHOUT_END}"
    tests = [Row("total", "goes on", 0.0, 1.0, "failed", stopped, "", "", "verified")]
    rows = [SubmissionRow(student, 0.0, 1.0, "time limit", 35.0, tests) for student in ("ada", "bob")]
    table.print_result(ClassResult("ps1", "L2", 2, rows), dry_run=True)
    out = capsys.readouterr().out
    assert "  does this test ever finish? total/goes on was stopped for ada, bob\n" in out


def test_course_toml_sets_limits_for_the_course_and_for_an_assignment(make_course: Callable) -> None:
    assignment = '[[assignments]]\nname = "ps1"\ntopics = ["counting"]\nlimits = { call_seconds = 60 }\ngpu = true\n'
    course = read_course(make_course(assignment, "[limits]\nmemory_mb = 1000\ncall_seconds = 5\n"))
    assert course.limits_of("ps1") == Limits(call_seconds=60, memory_mb=1000)
    assert course.limits_of("other") == Limits(call_seconds=5, memory_mb=1000)
    assert (course.needs_gpu("ps1"), course.needs_gpu("other")) == (True, False)


def test_a_limit_that_does_not_exist_or_makes_no_sense_is_named(make_course: Callable, studium: Studium) -> None:
    for where, sentence in {
        "[limits]\ncall_second = 3\n": "unknown key 'call_second' in limits; did you mean 'call_seconds'",
        "[limits]\nprocesses = 0\n": "needs a whole number >= 1 for processes of limits",
        "": "unknown key 'memory' in limits of assignment 1; did you mean 'memory_mb'",
    }.items():
        own = "" if where else "limits = { memory = 3 }\n"
        course = make_course(f'[[assignments]]\nname = "ps1"\ntopics = ["counting"]\n{own}', where)
        code, _, err = studium("grade", "ps1", "--course", str(course))
        assert (code, sentence in err) == (1, True), err


def test_an_assignment_of_nbgraders_own_has_limits_without_topics(make_course: Callable, counting: Catalogue) -> None:
    root = make_course('[[assignments]]\nname = "hw1"\nlimits = { call_seconds = 60 }\n')
    assert read_course(root).limits_of("hw1") == Limits(call_seconds=60)
    with pytest.raises(CourseError, match="needs topics or exercises for the assignment 'hw1': got neither; add one"):
        build_assignment(root, "hw1", counting)


def test_an_assignment_can_change_every_limit() -> None:
    assert LimitsChange.__struct_fields__ == Limits.__struct_fields__


def test_nothing_slow_is_imported_before_torch_begins_to_be() -> None:
    slow = ("nbgrader", "nbformat", "traitlets", "sqlalchemy", "numpy", "torch")
    code = f"import studium_graders.results.store, sys; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == "[]\n"
