"""A topic whose exercises are a folder with a file for each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from studium.authoring.changes import exercises_in, touched_checks
from studium.authoring.imports import modules_of
from studium.authoring.secrecy import _places
from studium.authoring.subject import open_subject
from studium.authoring.watching import Watcher
from studium.errors import ExerciseError
from studium.exercises import sources
from studium.notebooks.editions import compile_lesson

from tests.authoring.conftest import PACKAGE, SMOKE, Damage, failed
from tests.authoring.damages import _TWICE
from tests.folders import put_in_folder

LINES = {"echo": "y = list(x)"}
LIST = "exercises/__init__.py"
UNLISTED = (
    "exercises/response.py must be listed: the tuple in exercises/__init__.py has no exercise from it; add it, or"
)


@pytest.fixture
def copy_folder(copy_sample):
    """copy_folder(damage) → a copy of the sample topic with its exercises in a folder, and with that damage."""

    def copy(*damages: Damage) -> Path:
        project = copy_sample()
        put_in_folder(project / PACKAGE, LINES)
        for damage in damages:
            path = project / PACKAGE / damage.file
            text = path.read_text("utf-8") if path.exists() else ""
            assert damage.old in text
            path.write_text(text.replace(damage.old, damage.new) if damage.old else text + damage.new, "utf-8")
        return project

    return copy


def said(report) -> str:
    return "\n".join(check.detail for check in report.checks if not check.passed)


def test_the_exercises_and_the_lesson_are_those_of_one_file(copy_sample, copy_folder, tmp_path):
    with open_subject(str(copy_sample()), SMOKE) as subject:
        before = (
            [exercise.tests[0].name for exercise in subject.exercises],
            compile_lesson(subject.topic, subject.catalogue.manager),
        )
    (tmp_path / "project").rename(tmp_path / "before")
    with open_subject(str(copy_folder()), SMOKE) as subject:
        after = (
            [exercise.tests[0].name for exercise in subject.exercises],
            compile_lesson(subject.topic, subject.catalogue.manager),
        )
        assert [exercise.file_name for exercise in subject.exercises] == ["exercises/echo.py", "exercises/response.py"]
    assert before == after


def test_the_tuple_gives_the_order_whatever_is_imported_first(copy_folder):
    turned = Damage("", "", LIST, "(response, echo,)", "(echo, response,)")
    with open_subject(str(copy_folder(turned)), SMOKE) as subject:
        assert list(subject.topic.exercises) == ["response", "echo"]


def test_a_folder_that_is_not_what_it_should_be_cannot_be_loaded(copy_folder, checked):
    for damage, why in [
        (Damage("", "", LIST, "exercises = [echo, response]", "exercises = (echo, response,)"), "got list; write it"),
        (Damage("", "", LIST, "", "\nexercises = (echo, response,)\n"), "got none; write it into its __init__.py"),
        (Damage("", "", LIST, "(echo, response, 3)", "(echo, response,)"), "needs exercises = (…), a tuple of its ex"),
        (Damage("", "", LIST, "(echo, response, echo)", "(echo, response,)"), "echo appears twice; remove one"),
        (Damage("", "", "exercises.py", "x = 1"), "exercises/ and exercises.py both exist; delete one"),
    ]:
        project = copy_folder(damage)
        with open_subject(str(project), SMOKE) as subject, pytest.raises(ExerciseError, match=re.escape(why)):
            subject.topic.exercises  # noqa: B018
        report = checked(project, "imports")
        assert failed(report) == ["imports"]
        assert why in said(report)


def test_names_tells_a_file_that_is_not_listed_and_an_exercise_that_is_there_twice(copy_folder, checked):
    for damage, why in [
        (Damage("", "", LIST, "(echo,)", "(echo, response,)"), UNLISTED),
        (Damage("", "", "exercises/another.py", "x = 1"), "exercises/another.py must be listed"),
        (
            Damage("", "", "exercises/response.py", _TWICE),
            "the exercise response is defined twice in exercises/response.py",
        ),
    ]:
        report = checked(copy_folder(damage), "names", known=("imports",))
        assert failed(report) == ["names"]
        assert why in said(report)


def test_names_tells_an_exercise_in_a_file_of_another_name_and_leaves_shared_files_alone(copy_folder, checked):
    project = copy_folder(Damage("", "", "exercises/_shared.py", "x = 1"))
    assert failed(checked(project, "names", known=("imports",))) == []
    folder = project / PACKAGE / "exercises"
    (folder / "echo.py").rename(folder / "click.py")
    text = (folder / "__init__.py").read_text("utf-8")
    (folder / "__init__.py").write_text(text.replace("from .echo", "from .click"), "utf-8")
    report = checked(project, "names", known=("imports",))
    assert "the exercise echo must be in exercises/echo.py: it is in exercises/click.py; move it there" in said(report)


def test_all_files_of_the_folder_are_looked_at_for_imports(copy_folder, checked):
    broken = Damage(
        "", "imports", "exercises/_shared.py", "import not_there\nfrom studium.exercises.checking import check\n"
    )
    project = copy_folder(broken)
    assert modules_of(project / PACKAGE)[-4:] == [
        "exercises",
        "exercises._shared",
        "exercises.echo",
        "exercises.response",
    ]
    assert "No module named 'not_there'" in said(checked(project, "imports"))
    assert "exercises/_shared.py may use only what `studium` itself exports" in said(checked(project, "imports"))


def test_relative_imports_between_files_of_the_folder_are_the_topics_own(copy_folder, checked):
    own = Damage("", "imports", "exercises/_shared.py", "from .echo import echo\nfrom ..experiment import claims\n")
    assert failed(checked(copy_folder(own), "imports")) == []


def test_an_edit_that_leaves_no_python_is_found_by_the_check_of_misconceptions(copy_folder, checked):
    broken = Damage(
        "", "misconceptions", "exercises/echo.py", 'by="return ("', 'by="return None  # the secret edit of echo"'
    )
    report = checked(copy_folder(broken), "misconceptions", known=("imports", "solutions"))
    assert "the mistake 'only-the-first-line' of echo must still be Python after the edit" in said(report)


def test_an_edit_that_does_not_fit_is_told_by_every_check(copy_folder, checked):
    old = Damage("", "imports", "exercises/echo.py", 'replace="y = tuple(x)"', 'replace="y = list(x)"')
    assert "'y = tuple(x)' does not occur" in said(checked(copy_folder(old), "spelling"))


def test_the_files_of_the_folder_are_not_handed_out_as_they_are(copy_folder):
    with open_subject(str(copy_folder()), SMOKE) as subject:
        assert [name for name, _ in _places(subject) if name.startswith("exercises")] == []


def test_a_mutant_that_no_test_notices_is_shown_with_the_exercises_own_file(copy_folder, checked):
    begin = "    ### BEGIN SOLUTION\n"
    useless = Damage("", "mutants", "exercises/response.py", f"{begin}    if gain < -1e9:\n        return []\n", begin)
    project = copy_folder(useless)
    lines = (project / PACKAGE / useless.file).read_text("utf-8").splitlines()
    survivors = checked(project, "mutants", known=("imports", "solutions")).mutants.survivors
    assert [survivor for survivor in survivors if survivor.file == useless.file]
    for survivor in survivors:
        assert lines[survivor.line - 1] in survivor.change


def test_a_saved_file_is_that_of_its_exercise():
    assert exercises_in(["exercises/merge.py", "lesson.py"]) == {"merge"}
    assert exercises_in(["exercises/merge.py", "exercises/_shared.py"]) == set()
    assert exercises_in(["exercises/__init__.py"]) == set()
    assert touched_checks(["exercises/merge.py"]) == touched_checks(["exercises.py"])
    assert touched_checks(["exercises/__pycache__/merge.cpython-311.pyc"]) == set()


def test_a_save_of_one_file_asks_for_one_exercise(copy_folder, monkeypatch):
    folder, asked = copy_folder() / PACKAGE, []
    monkeypatch.setattr(Watcher, "__init__", lambda self: None)
    watcher = Watcher()
    watcher.folder, watcher.results = folder, {}
    monkeypatch.setattr(watcher, "_idle", type("Idle", (), {"is_set": lambda self: True})(), raising=False)
    monkeypatch.setattr(
        watcher, "_ask", lambda only, exercises: asked.append(("mutants" in only, exercises)), raising=False
    )
    watcher.changed({folder / "exercises" / "echo.py"})
    watcher.changed({folder / "exercises" / "echo.py", folder / "lesson.py"})
    (folder / "exercises" / "response.py").unlink()
    watcher.changed({folder / "exercises" / "response.py"})
    watcher.changed({folder / "exercises" / "__init__.py"})
    assert asked == [(True, ["echo"]), (True, ["echo"]), (True, []), (True, [])]


def test_no_cell_imports_another_exercise(copy_folder):
    name = f"{PACKAGE}.exercises.echo"
    used = f"from {name} import echo\n\n\n@exercise"
    project = copy_folder(Damage("", "", "exercises/response.py", used, "\n@exercise"))
    path = project / PACKAGE / "exercises" / "response.py"
    path.write_text(
        path.read_text("utf-8").replace("assert_close(response(2", "echo\n    assert_close(response(2", 1), "utf-8"
    )
    with open_subject(str(project), SMOKE) as subject:
        response = subject.topic.exercise("response")
        with pytest.raises(ExerciseError, match="uses 'echo', which its module does not import"):
            sources.test_cell("echo", response, response.tests[0])
        assert sources.imports_used(response.solution, subject.topic.exercises, "") == []
