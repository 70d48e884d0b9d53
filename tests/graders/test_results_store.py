"""The results store: what is kept comes back as long as it is a result of what lies there now."""

import os
import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("nbgrader")

from studium_graders.course.limits import Limits
from studium_graders.engine.material import results
from studium_graders.engine.material.assignment import (
    Calibration,
    CanonicalNotebook,
    CanonicalSubmission,
    Material,
    Step,
)
from studium_graders.results import store
from studium_graders.results.store import (
    ResultsStore,
    environment_hash,
    file_name,
    looks_graded,
    result_key,
    write_whole,
)

SUBMISSION = CanonicalSubmission("ada", (CanonicalNotebook("lora", (Step("a", "student", "x = 1"),), b"{}"),))
MATERIAL = Material("ps1", ())


def result_for(student: str) -> results.SubmissionResult:
    test = results.TestResult("merge", "scales", 2.0, 3.0, "partial", "expected α", grade_id="m-1")
    run = results.CellRun([{"output_type": "stream", "name": "stdout", "text": "hi"}])
    return results.SubmissionResult(student, "L2", 0.5, [results.NotebookResult("lora", "graded", [test], {"a": run})])


NAMES = ("ada", "Grace Hopper", "-rf", "ünïcödé 学生", "a.b.", "x" * 255, "CON", "..a")


def test_a_result_comes_back_for_a_student_of_any_name_and_for_nothing_else(tmp_path: Path) -> None:
    store = ResultsStore(tmp_path / "results")
    for student in NAMES:
        store.save("key", result_for(student))
    assert [store.load(student, "key") for student in NAMES] == list(map(result_for, NAMES))
    assert store.load("ada", "new") is None
    assert store.load("bob", "key") is None
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "results").glob("*.msgpack")} == {0}


def test_a_damaged_file_is_as_none(tmp_path: Path) -> None:
    store = ResultsStore(tmp_path)
    store.save("key", result_for("ada"))
    for damage in (b"", b"\0" * 100, b"{}", msgspec.msgpack.encode({"key": "key"})):
        (tmp_path / "ada.msgpack").write_bytes(damage)
        assert store.load("ada", "key") is None


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_file_names_are_short_plain_and_different(one: str, other: str) -> None:
    names = {file_name(student) for student in (one, other)}
    assert len(names) == len({one, other})
    assert all(len(name) <= 100 and name.isascii() and not name.startswith(".") for name in names)


def test_a_class_looks_graded_when_every_result_is_newer_than_what_it_is_a_result_of(tmp_path: Path) -> None:
    assert not looks_graded(tmp_path, "ps1")
    folders = [tmp_path / "submitted" / student / "ps1" for student in ("ada", "-rf")]
    for folder in (*folders, tmp_path / "source" / "ps1"):
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "a.csv").touch()
    assert not looks_graded(tmp_path, "ps1")
    store = ResultsStore(tmp_path / ".studium" / "results" / "ps1")
    for student in ("ada", "-rf"):
        store.save("key", result_for(student))
    later(store._path("ada"), store._path("-rf"))
    assert looks_graded(tmp_path, "ps1")
    for touched in (folders[1] / "data" / "a.csv", tmp_path / "source" / "ps1" / "data" / "a.csv"):
        later(touched, seconds=200)
        assert not looks_graded(tmp_path, "ps1")
        later(touched, seconds=-200)
    assert looks_graded(tmp_path, "ps1")


def later(*paths: Path, seconds: float = 100) -> None:
    for path in paths:
        when = path.stat().st_mtime + seconds
        os.utime(path, (when, when))


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "file", b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "file", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


def test_the_key_changes_with_everything_that_decides_about_marks() -> None:
    other_answer = CanonicalSubmission("ada", (CanonicalNotebook("lora", (Step("a", "student", "x = 2"),), b"{}"),))
    keys = [
        result_key(SUBMISSION, MATERIAL, "env", "L2"),
        result_key(msgspec.structs.replace(SUBMISSION, files={"data.csv": b"1"}), MATERIAL, "env", "L2"),
        result_key(other_answer, MATERIAL, "env", "L2"),
        result_key(SUBMISSION, Material("ps1", (), secret=b"s"), "env", "L2"),
        result_key(SUBMISSION, Material("ps1", (), limits=Limits(call_seconds=1)), "env", "L2"),
        result_key(SUBMISSION, Material("ps1", (), calibration={"lora": Calibration(frozenset("a"))}), "env", "L2"),
        result_key(SUBMISSION, MATERIAL, "other", "L2"),
        result_key(SUBMISSION, MATERIAL, "env", "L1"),
    ]
    assert len(set(keys)) == len(keys)


def test_the_key_changes_neither_with_the_student_nor_with_the_time_nor_with_the_prose() -> None:
    prose = msgspec.structs.replace(SUBMISSION.notebooks[0], document=b'{"cells": []}')
    for same in ({"timestamp": "2026-03-01 20:00:00 UTC"}, {"student": "bob"}, {"notebooks": (prose,)}):
        other = msgspec.structs.replace(SUBMISSION, **same)
        assert result_key(other, MATERIAL, "env", "L2") == result_key(SUBMISSION, MATERIAL, "env", "L2")


def test_another_engine_of_the_same_version_is_another_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Path(shutil.copytree(store._ENGINE, tmp_path / "engine"))
    monkeypatch.setattr(store, "_ENGINE", engine)
    before = environment_hash()
    (engine / "judge" / "scoring.py").write_text("changed = True")
    assert environment_hash() != before


def test_another_version_of_a_library_of_tests_is_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before, real = environment_hash(), store.version
    for library in ("torch", "pandas", "scipy", "scikit-learn", "matplotlib"):
        monkeypatch.setattr(store, "version", lambda name, own=library: "99.9" if name == own else real(name))
        assert environment_hash() != before, library


def test_other_exercises_are_another_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_topic_here"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    hashes = [environment_hash(), environment_hash(["some_topic_here"])]
    for source in ("a = 1", "a = 2"):
        (package / "exercises.py").write_text(source)
        hashes.append(environment_hash(["some_topic_here"]))
    assert len(set(hashes)) == 4


def test_what_exercises_import_of_their_own_package_is_a_part_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = tmp_path / "some_topics"
    files = {
        "__init__.py": "",
        "tides/__init__.py": "",
        "tides/lesson.py": "a = 1",
        "tides/exercises.py": "from ..kits import waves\nfrom .moon import phase\nimport json\n",
        "tides/moon.py": "def phase():\n    import some_topics.kits.far as far\n",
        "kits/__init__.py": "",
        "kits/waves.py": "height = 1",
        "kits/far.py": "from ..... import nothing",
        "kits/other.py": "a = 1",
    }
    for name, source in files.items():
        (topics / name).parent.mkdir(parents=True, exist_ok=True)
        (topics / name).write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = environment_hash(["some_topics.tides"])
    for name, decides in {
        "kits/waves.py": True,
        "tides/moon.py": True,
        "kits/far.py": True,
        "kits/other.py": False,
    }.items():
        (topics / name).write_text(f"{files[name]}\nchanged = True\n")
        assert (environment_hash(["some_topics.tides"]) != before) == decides, name
        (topics / name).write_text(files[name])


def test_each_file_of_a_folder_of_exercises_is_a_part_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "some_folder_topic" / "exercises"
    folder.mkdir(parents=True)
    files = {
        "__init__.py": "from .merge import merge\n\nexercises = (merge,)\n",
        "merge.py": "from some_folder_topic.exercises._shared import half\n\nmerge = half\n",
        "_shared.py": "half = 0.5\n",
    }
    (folder.parent / "__init__.py").touch()
    for name, source in files.items():
        (folder / name).write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = environment_hash(["some_folder_topic"])
    for name, source in files.items():
        (folder / name).write_text(f"{source}changed = True\n")
        assert environment_hash(["some_folder_topic"]) != before, name
        (folder / name).write_text(source)
