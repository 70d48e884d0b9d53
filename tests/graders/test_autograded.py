"""The folder of a graded submission holds what belongs there and nothing else, whatever was there before."""

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from studium.catalogue.catalogue import load_catalogue
from studium_graders.engine.material.assignment import (
    CanonicalNotebook,
    CanonicalSubmission,
    Cell,
    Material,
    NotebookMaterial,
)
from studium_graders.engine.material.results import CellRun, NotebookResult, Outcome, SubmissionResult
from studium_graders.engine.material.results import TestResult as Result
from studium_graders.results.autograded import autograded_files, seen_notebooks, write_folder
from studium_graders.results.mistakes import Sentences


def held(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


PLACES: list[tuple[dict[str, bytes], dict[str, bytes]]] = [
    ({"a": b"1"}, {"a/b": b"2"}),
    ({"a/b": b"1"}, {"a": b"2"}),
    ({"a": b"1", "b/c/d": b"1"}, {"a/b/c": b"2", "b/c": b"2"}),
    ({"old": b"1", "deep/er/old": b"1", "same": b"1"}, {"same": b"1"}),
]


def test_files_and_folders_may_take_each_others_places(tmp_path: Path) -> None:
    for number, both in enumerate(PLACES):
        folder = tmp_path / str(number)
        for files in both:
            write_folder(folder, files, 0o644)
            assert held(folder) == files
        assert all(any(path.iterdir()) for path in folder.rglob("*") if path.is_dir())


def test_links_and_pipes_in_the_folder_give_way_and_are_not_followed(tmp_path: Path) -> None:
    folder, outside = tmp_path / "ps1", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "a").write_bytes(b"1")
    (folder / "sub").symlink_to(outside)
    (folder / "stale").symlink_to(outside)
    (folder / "a").symlink_to(outside / "a")
    os.mkfifo(folder / "pipe")
    wanted = {"sub/a": b"2", "a": b"1", "pipe": b""}
    write_folder(folder, wanted, 0o644)
    assert held(folder) == wanted
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert held(outside) == {"a": b"1"}


def graded_cell(test: Result, runs: dict[str, CellRun] | None = None, *, sentences: bool = True) -> dict:
    """The cell of a test as it is written into the autograded notebook."""
    cell = {"cell_type": "code", "id": "c", "metadata": {"nbgrader": {"grade_id": "t"}}, "source": ""}
    book = CanonicalNotebook("p", (), json.dumps({"cells": [cell]}).encode(), frozenset())
    result = NotebookResult("p", "graded", [test], runs or {})
    submission, graded = CanonicalSubmission("ann", (book,)), SubmissionResult("ann", "L0", 1, [result])
    said = Sentences(load_catalogue(), hidden=sentences)
    (written,) = json.loads(autograded_files(submission, graded, Material("ps1", ()), said)["p.ipynb"])["cells"]
    return dict(written)


def test_a_picture_that_a_visible_test_made_stands_below_it() -> None:
    picture = {"output_type": "display_data", "data": {"image/png": "aGk="}, "metadata": {}}
    for outcome, hidden, kinds in KINDS:
        written = graded_cell(Result("p", "t", 0, 1, outcome, grade_id="t", hidden=hidden), {"c": CellRun([picture])})
        assert [output["output_type"] for output in written["outputs"]] == kinds


KINDS: list[tuple[Outcome, bool, list[str]]] = [
    ("passed", False, ["display_data"]),
    ("failed", False, ["display_data", "error"]),
    ("failed", True, ["error"]),
]


def test_what_is_true_of_an_answer_without_a_name_stands_below_the_test() -> None:
    said = "Yours is the negative of the right result."
    test = Result("p", "t", 0, 1, "failed", grade_id="t", hidden=True, said=said)
    for allowed in (True, False):
        assert (said in json.dumps(graded_cell(test, sentences=allowed))) is allowed


def notebook_that_shows(**shown: object) -> dict[str, bytes]:
    rules = {"id": "rules", "cell_type": "markdown", "metadata": {}, "source": shown.get("rules", "Due on Monday.")}
    answer = {"id": "answer", "cell_type": "code", "metadata": {}, "source": shown.get("source", "model")}
    printed = {"output_type": "stream", "name": "stdout", "text": shown.get("text", "<Model at 0x7f01> 1")}
    return {"p.ipynb": json.dumps({"cells": [rules, answer | {"outputs": [printed]}]}).encode()}


NOTHING_NEW = ({}, {"rules": "Due on Friday."}, {"text": "<Model at 0x7fffaa> 1"})
NEW = ({"text": "<Model at 0x7f01> 2"}, {"text": "0x7f02"}, {"source": "other"})


def test_addresses_and_texts_that_nobody_marks_are_nothing_new_to_a_person_who_has_marked_the_rest(
    tmp_path: Path,
) -> None:
    cells = (Cell("rules", "text", "Due on Friday."), Cell("answer", "answer", ""))
    material = Material("ps1", (NotebookMaterial("p", cells, b""),))
    write_folder(tmp_path, notebook_that_shows(), 0o644)
    for change in (*NOTHING_NEW, *NEW):
        seen = seen_notebooks(tmp_path, notebook_that_shows(**change), material)
        assert seen == ({"p"} if change in NOTHING_NEW else set()), change


def test_what_cannot_be_compared_is_new(tmp_path: Path) -> None:
    material = Material("ps1", (NotebookMaterial("p", (), b""),))
    assert not seen_notebooks(tmp_path, notebook_that_shows(), material)
    for there in (b"no notebook", b"[]", b"{}", b'{"cells": [{"cell_type": "code"}]}'):
        (tmp_path / "p.ipynb").write_bytes(there)
        assert not seen_notebooks(tmp_path, notebook_that_shows(), material)


def test_a_change_in_one_notebook_leaves_another_as_it_was_seen(tmp_path: Path) -> None:
    material = Material("ps1", tuple(NotebookMaterial(name, (), b"") for name in ("p", "q")))
    files = {f"{name}.ipynb": notebook_that_shows()["p.ipynb"] for name in ("p", "q")}
    write_folder(tmp_path, files, 0o644)
    assert seen_notebooks(tmp_path, files | notebook_that_shows(source="other"), material) == {"q"}
