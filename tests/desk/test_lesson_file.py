"""A lesson on the disk: reset, restore, update and undo keep every answer; checks are recorded."""

from __future__ import annotations

import json

import pytest
from ipykernel.ipkernel import IPythonKernel
from studium.desk.clean_check import Terms
from studium.desk.jobs import RefusedError
from studium.desk.labels import Label, keep_labels
from studium.desk.lesson_file import ChangedError
from studium.errors import NotebookError, StudiumError, UsageError

from .answering import MISTAKE, RIGHT, UNSCALED, edit, sources, write_answer


@pytest.fixture
def path(workspace):
    return workspace / "sample.ipynb"


def improve(site):
    """Publish a better edition of the sample's lesson."""
    file = site.folder / "sample_topic" / "lesson.py"
    file.write_text(file.read_text().replace("A question first.", "A better question first."))


def test_a_reset_puts_the_stub_back_and_keeps_the_answer(open_lesson, path):
    write_answer(path, RIGHT)
    replaced = open_lesson().reset("merge")
    assert "raise NotImplementedError()" in sources(path)["sample-merge"]
    assert [(v.answer, v.id, v.reason) for v in open_lesson().versions("merge")] == [(RIGHT, replaced.version, "reset")]


@pytest.mark.parametrize("change", ["reset", "restore"])
def test_a_verdict_goes_with_the_answer_that_it_was_about(open_lesson, path, change):
    write_answer(path, RIGHT)
    version = open_lesson().reset("merge").version
    said = {"output_type": "stream", "name": "stdout", "text": "Right: merge"}
    edit(path, lambda cells: next(c for c in cells if c["id"] == "sample-merge-check")["outputs"].append(said))
    open_lesson().reset("merge") if change == "reset" else open_lesson().restore("merge", version)
    (check,) = [cell for cell in json.loads(path.read_text())["cells"] if cell["id"] == "sample-merge-check"]
    assert (check["outputs"], check["execution_count"]) == ([], None)


def test_an_answer_comes_back_out_of_the_history(open_lesson, path):
    write_answer(path, RIGHT)
    version = open_lesson().reset("merge").version
    write_answer(path, UNSCALED)
    open_lesson().restore("merge", version)
    assert sources(path)["sample-merge"] == RIGHT
    assert UNSCALED in [one.answer for one in open_lesson().versions("merge")]


def test_resetting_what_is_untouched_leaves_no_version(open_lesson):
    assert open_lesson().reset("merge").version == ""
    assert open_lesson().versions("merge") == ()


def test_a_reset_makes_a_cell_that_was_deleted_again(open_lesson, path):
    edit(path, lambda cells: cells.remove(next(c for c in cells if c["id"] == "sample-merge")))
    open_lesson().reset("merge")
    ids = list(sources(path))
    assert ids[ids.index("sample-merge-prompt") + 1] == "sample-merge"


def test_a_version_or_exercise_that_is_not_there_changes_nothing(open_lesson, path):
    before = path.read_bytes()
    with pytest.raises(UsageError, match="has no version"):
        open_lesson().restore("merge", "0" * 32)
    with pytest.raises(UsageError, match="did you mean 'merge'"):
        open_lesson().reset("marge")
    assert path.read_bytes() == before


def test_a_lesson_that_is_current_has_no_update(open_lesson):
    assert not open_lesson().preview().available
    assert not open_lesson().topic("sample.ipynb").update


def test_a_preview_says_what_would_change_and_changes_nothing(open_lesson, path, sample):
    before = path.read_bytes()
    improve(sample)
    preview = open_lesson().preview()
    assert preview.available
    assert [(one.change, "better" in one.after) for one in preview.cells] == [("changed", True)]
    assert path.read_bytes() == before


def test_an_update_keeps_answers_and_can_be_undone_and_done_again(open_lesson, path, sample):
    write_answer(path, RIGHT)
    edit(path, lambda cells: cells.append({**cells[0], "id": "own", "source": "My note.", "metadata": {}}))
    before = path.read_bytes()
    improve(sample)
    open_lesson().update(open_lesson().preview().digest)
    after = sources(path)
    assert (after["sample-merge"], after["own"]) == (RIGHT, "My note.")
    assert "A better question first." in "\n".join(after.values())
    assert not open_lesson().preview().available
    redo = open_lesson().undo()
    assert path.read_bytes() == before
    open_lesson().undo(redo)
    assert sources(path) == after


def test_a_lesson_says_of_its_language_what_the_kernel_says_after_an_update_too(open_lesson, path, sample):
    language = json.loads(path.read_text())["metadata"]["language_info"]
    assert language == IPythonKernel.language_info
    improve(sample)
    open_lesson().update()
    assert json.loads(path.read_text())["metadata"]["language_info"] == language


def test_an_update_of_a_file_that_changed_since_the_preview_is_refused(open_lesson, path, sample):
    improve(sample)
    digest = open_lesson().preview().digest
    write_answer(path, RIGHT)
    with pytest.raises(ChangedError, match="look at the preview again"):
        open_lesson().update(digest)
    assert "better" not in path.read_text()


def test_a_preview_holds_while_nothing_but_what_a_kernel_writes_has_changed(open_lesson, path, sample):
    improve(sample)
    digest = open_lesson().preview().digest
    notebook = json.loads(path.read_text())
    notebook["metadata"]["language_info"] = {"name": "python", "version": "3.11"}
    path.write_text(json.dumps(notebook))
    open_lesson().update(digest)
    assert "better" in path.read_text()


def test_there_is_nothing_to_undo_at_first(open_lesson):
    with pytest.raises(UsageError, match="no update to undo"):
        open_lesson().undo()


def test_a_file_that_is_no_notebook_gets_a_sentence(open_lesson, path):
    for text in [
        *("", "{", "[]", '{"cells": 3}', "\x00" * 99),
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": [], "cells": []}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {"studium": "x"}, "cells": []}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}',
    ]:
        path.write_text(text)
        with pytest.raises(NotebookError, match="restore it from a copy"):
            open_lesson()


def test_a_solution_needs_an_attempt(open_lesson):
    with pytest.raises(StudiumError, match="try first"):
        open_lesson().reveal("merge")
    assert open_lesson().hints("merge") == ["What is the shape of B @ A?"]
    assert open_lesson().hints("twice") == []


def test_a_check_that_would_be_killed_is_refused_before_it_runs(open_lesson, store):
    keep_labels(store, [Label("sample", "sample-merge", 1.0, 5000.0, "laptop", "merge")])
    with pytest.raises(RefusedError, match=r"needs about 4.9 GB here and 2.0 GB is free"):
        open_lesson().check("merge", Terms(memory_mb=2000))


def test_only_an_answer_of_ones_own_is_shared(open_lesson, path):
    with pytest.raises(StudiumError, match="write one first"):
        open_lesson().share("merge")
    write_answer(path, UNSCALED)
    assert open_lesson().share("merge").startswith("studium1.")


def test_a_check_in_a_clean_process_is_recorded_with_its_mistake(open_lesson, path):
    write_answer(path, UNSCALED)
    (result,) = open_lesson().check("merge", Terms())
    state = open_lesson().state("merge")
    assert (result.outcome, state.status, state.mistake, state.attempts) == ("wrong", "wrong", MISTAKE, 1)
    assert (state.test, state.can_reveal) == ("scales with alpha / r", True)
