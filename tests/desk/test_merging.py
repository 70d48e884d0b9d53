"""An improved lesson is merged in, and no answer, note or edit of the learner's is ever lost."""

from __future__ import annotations

import copy

import nbformat
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from studium.desk.base import base_digest, base_of, cells_of, with_base
from studium.desk.merging import merge_lessons, recognise
from studium.desk.text_merge import merge_text

STUB = 'def merge(w):\n    """Fold."""\n    # YOUR CODE HERE\n    raise NotImplementedError()'
ANSWER = 'def merge(w):\n    """Fold."""\n    return w'
BETTER = 'def merge(w):\n    """Fold w into itself."""\n    # YOUR CODE HERE\n    raise NotImplementedError()'


def lesson(**texts):
    """A lesson of prose a, b, c and the exercise merge; a text of None leaves a cell out."""
    cells = [
        new_markdown_cell(texts.get("a") or "# Title", id="t-a", metadata={"studium": {"role": "prose"}}),
        new_code_cell(texts.get("b") or "import math", id="t-b", metadata={"studium": {"role": "code"}}),
        new_code_cell(
            texts.get("merge") or STUB, id="t-merge", metadata={"studium": {"role": "exercise", "exercise": "merge"}}
        ),
        new_markdown_cell(texts.get("c") or "The end.", id="t-c", metadata={"studium": {"role": "prose"}}),
    ]
    gone = {f"t-{name}" for name, text in texts.items() if text is None}
    return new_notebook(cells=[cell for cell in cells if cell.id not in gone], metadata={"studium": {"topic": "t"}})


def merged(mine, theirs, base=None):
    return merge_lessons(cells_of(base or lesson()), copy.deepcopy(mine), theirs)


def texts(merge):
    return {cell.id: cell.source for cell in merge.cells}


def only_change(merge):
    (change,) = merge.changes
    return change


def test_nothing_changes_where_the_lesson_has_not():
    mine = lesson(merge=ANSWER, a="# My title")
    result = merged(mine, lesson())
    assert result.changes == []
    assert texts(result) == {cell.id: cell.source for cell in mine.cells}


def test_a_better_text_is_taken_and_the_answer_stays():
    result = merged(lesson(merge=ANSWER), lesson(a="# Better"))
    assert (only_change(result).change, texts(result)["t-a"]) == ("changed", "# Better")
    assert texts(result)["t-merge"] == ANSWER


def test_a_better_prompt_and_an_answer_below_it_are_both_kept():
    result = merged(lesson(merge=ANSWER), lesson(merge=BETTER))
    assert only_change(result).change == "merged"
    assert texts(result)["t-merge"] == 'def merge(w):\n    """Fold w into itself."""\n    return w'


def test_an_answer_that_clashes_stays_and_the_new_text_follows():
    mine = ANSWER.replace("Fold.", "Mine.")
    result = merged(lesson(merge=mine), lesson(merge=BETTER))
    assert only_change(result).change == "kept"
    assert texts(result)["t-merge"] == mine
    assert BETTER in texts(result)["t-merge-new"]
    assert [cell.id for cell in result.cells].index("t-merge-new") == 3


def test_wrong_code_to_start_with_takes_the_place_of_a_stub_and_never_of_an_answer():
    base = lesson(merge=STUB.replace('Fold."""', 'Find the bug:\n\n    return 2 * w\n\n    Fold."""'))
    theirs = lesson(merge=ANSWER.replace("return w", "return 2 * w"))
    assert texts(merged(base, theirs, base))["t-merge"] == theirs.cells[2].source
    for body in ("return w", "return 2 * w  # mine", "w = w + 1\n    # YOUR CODE HERE\n    return w"):
        answer = base.cells[2].source.replace("# YOUR CODE HERE\n    raise NotImplementedError()", body)
        result = texts(merged(lesson(merge=answer), theirs, base))
        assert result["t-merge"] == answer
        assert "return 2 * w" in result["t-merge-new"]


def test_prose_that_clashes_gives_way_and_follows_as_the_learners_own():
    result = merged(lesson(a="# Mine"), lesson(a="# Theirs"))
    assert (texts(result)["t-a"], texts(result)["t-a-yours"]) == ("# Theirs", "# Mine")


def test_a_cell_that_the_lesson_dropped_goes_unless_it_was_changed():
    assert "t-c" not in texts(merged(lesson(), lesson(c=None)))
    assert texts(merged(lesson(c="Mine."), lesson(c=None)))["t-c"] == "Mine."
    assert texts(merged(lesson(merge=ANSWER), lesson(merge=None)))["t-merge"] == ANSWER


def test_a_cell_that_the_learner_deleted_stays_away_unless_the_lesson_changed_it():
    assert "t-c" not in texts(merged(lesson(c=None), lesson()))
    assert texts(merged(lesson(c=None), lesson(c="Better.")))["t-c"] == "Better."


def test_a_new_cell_comes_to_its_place():
    theirs = lesson()
    theirs.cells.insert(1, new_markdown_cell("New.", id="t-new"))
    result = merged(lesson(merge=ANSWER), theirs)
    assert only_change(result).change == "added"
    assert [cell.id for cell in result.cells] == ["t-a", "t-new", "t-b", "t-merge", "t-c"]


def test_the_learners_own_cells_stay_behind_the_cell_they_stood_behind():
    mine = lesson()
    mine.cells.insert(2, new_code_cell("note = 1", id="own"))
    theirs = lesson()
    theirs.cells = [theirs.cells[3], *theirs.cells[:3]]
    assert [cell.id for cell in merged(mine, theirs).cells] == ["t-c", "t-a", "t-b", "own", "t-merge"]


def test_cells_that_the_learner_moved_stay_moved():
    mine = lesson()
    mine.cells = [mine.cells[3], *mine.cells[:3]]
    assert [cell.id for cell in merged(mine, lesson(a="# Better")).cells] == ["t-c", "t-a", "t-b", "t-merge"]


def test_outputs_stay_where_the_code_did_and_go_where_it_changed():
    mine = lesson()
    output = nbformat.v4.new_output("stream", text="hello")
    mine.cells[1].outputs, mine.cells[1].execution_count = [output], 3
    assert merged(mine, lesson(a="# Better")).cells[1].outputs == [output]
    changed = merged(mine, lesson(b="import cmath")).cells[1]
    assert (changed.outputs, changed.execution_count) == ([], None)


def test_a_notebook_without_a_base_keeps_answers_and_edits():
    mine = lesson(merge=ANSWER, a="# Mine")
    result = merge_lessons(None, mine, lesson(a="# Theirs"))
    assert ANSWER in texts(result)["t-merge"]
    assert "# Mine" in texts(result).values()


def test_cells_that_lost_their_ids_are_recognised():
    mine, theirs = lesson(merge=ANSWER), lesson()
    for number, cell in enumerate(mine.cells):
        cell.id, cell.metadata = f"random-{number}", {}
    recognise(mine, theirs, cells_of(lesson()))
    assert [cell.id for cell in mine.cells] == ["t-a", "t-b", "t-merge", "t-c"]


def test_the_base_travels_in_the_notebook():
    notebook = nbformat.reads(nbformat.writes(with_base(lesson())), as_version=4)
    assert base_of(notebook) == cells_of(lesson())
    assert base_digest(notebook)


def test_a_base_that_was_damaged_is_no_base():
    for packed in ["", "not base85 \x00", 3, None, [], {}, "c$@"]:
        notebook = with_base(lesson())
        notebook.metadata.studium.base = {"cells": packed}
        assert base_of(notebook) is None
        notebook.metadata.studium.base = packed
        assert base_of(notebook) is None


LINES = st.lists(st.sampled_from(["x", "y", "z", "", "  w"]), max_size=6).map("\n".join)


@given(LINES, LINES, LINES)
def test_merging_lines_takes_what_one_side_changed_and_agrees_with_itself(base, mine, theirs):
    assert merge_text(base, mine, base) == mine
    assert merge_text(base, base, theirs) == theirs
    assert merge_text(base, mine, mine) == mine
    together, mirrored = merge_text(base, mine, theirs), merge_text(base, theirs, mine)
    assert together == mirrored


@given(st.lists(st.text("abc ", min_size=1, max_size=5), min_size=5, max_size=12, unique=True), st.data())
def test_changes_that_lie_apart_are_both_in_the_merged_text(lines, data):
    first = data.draw(st.integers(0, len(lines) - 4))
    second = data.draw(st.integers(first + 2, len(lines) - 1))
    mine, theirs, both = list(lines), list(lines), list(lines)
    mine[first] = both[first] = "MINE"
    theirs[second] = both[second] = "THEIRS"
    assert merge_text("\n".join(lines), "\n".join(mine), "\n".join(theirs)) == "\n".join(both)


SOURCES = st.sampled_from(
    ["", "one", "two\nlines", "# three\n\nx = 1", STUB, ANSWER, "a\nb\nc\nd", "a\nB\nc\nd", "a\nb\nc\nD"]
)
IDS = ["t-a", "t-b", "t-merge", "t-c", "t-d", "t-e"]


@st.composite
def notebooks(draw, own=False):
    """A lesson with some of the cells, in some order, and with the learner's own."""
    ids = draw(st.lists(st.sampled_from(IDS), unique=True, max_size=6))
    cells = []
    for name in ids:
        part = {"role": "exercise", "exercise": "merge"} if name == "t-merge" else {"role": "prose"}
        make = new_code_cell if name in ("t-merge", "t-b") else new_markdown_cell
        cells.append(make(draw(SOURCES), id=name, metadata={"studium": part}))
    for number in range(draw(st.integers(0, 3)) if own else 0):
        at = draw(st.integers(0, len(cells)))
        cells.insert(at, new_code_cell(draw(SOURCES), id=f"own-{number}"))
    return new_notebook(cells=cells)


@settings(max_examples=40, deadline=None)
@given(notebooks(), notebooks(own=True), notebooks())
def test_no_line_that_the_learner_wrote_is_ever_lost(base, mine, theirs):
    old = {cell.id: cell.source for cell in base.cells}
    result = merge_lessons(cells_of(base), copy.deepcopy(mine), theirs)
    text = "\n".join(cell.source for cell in result.cells).split("\n")
    for cell in mine.cells:
        written = set(cell.source.split("\n")) - set(old.get(cell.id, "").split("\n"))
        assert written <= set(text)


@settings(max_examples=40, deadline=None)
@given(notebooks(), notebooks(own=True), notebooks())
def test_an_answer_stays_whole_or_takes_in_a_better_prompt(base, mine, theirs):
    answers = [cell.source for cell in mine.cells if cell.id == "t-merge"][:1]
    unchanged = [cell.source for cell in base.cells if cell.id == "t-merge"] == answers
    result = merge_lessons(cells_of(base), copy.deepcopy(mine), theirs)
    there = [cell.source for cell in result.cells]
    merged_in = any(change.change == "merged" and change.exercise == "merge" for change in result.changes)
    assert unchanged or merged_in or all(answer in there for answer in answers)


@settings(max_examples=40, deadline=None)
@given(notebooks(), notebooks(own=True), notebooks())
def test_every_cell_keeps_an_id_of_its_own_and_the_notebook_stays_valid(base, mine, theirs):
    result = merge_lessons(cells_of(base), copy.deepcopy(mine), theirs)
    ids = [cell.id for cell in result.cells]
    assert len(set(ids)) == len(ids)
    nbformat.validate(new_notebook(cells=result.cells))


@settings(max_examples=40, deadline=None)
@given(notebooks(), notebooks(own=True), notebooks())
def test_merging_twice_is_merging_once(base, mine, theirs):
    first = merge_lessons(cells_of(base), copy.deepcopy(mine), theirs)
    again = merge_lessons(cells_of(theirs), new_notebook(cells=copy.deepcopy(first.cells)), copy.deepcopy(theirs))
    assert again.changes == []
    assert [cell.source for cell in again.cells] == [cell.source for cell in first.cells]
