"""Taking in submissions: honest damage costs nothing, tampering gains nothing, hostile files end in one sentence."""

import json
import os
import random
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import nbformat
import pytest

pytest.importorskip("nbgrader")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from studium_graders.engine.intake.submissions import read_submission
from studium_graders.engine.intake.submitted_files import SubmittedFiles, read_folder
from studium_graders.engine.intake.submitted_notebook import MOST_SOURCE, UnreadableError, read_cells
from studium_graders.engine.material.assignment import (
    CanonicalNotebook,
    CanonicalSubmission,
    Cell,
    Material,
    NotebookMaterial,
)

Notebook = dict[str, Any]


def template_cell(cell: Cell, released: str = "") -> Notebook:
    flags = {"grade": cell.graded, "solution": cell.kind == "answer" or (cell.graded and not cell.locked)}
    marks = {"schema_version": 3, "grade_id": cell.grade_id, "locked": cell.locked, "points": cell.points, **flags}
    made = {
        "cell_type": "markdown" if cell.kind == "text" else "code",
        "id": cell.id,
        "metadata": {"nbgrader": marks} if cell.grade_id else {},
        "source": released or cell.source,
    }
    return made | ({"outputs": [], "execution_count": None} if made["cell_type"] == "code" else {})


def answer(name: str) -> Cell:
    return Cell(name, "answer", f"def {name}(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()", name)


def graded_test(name: str) -> Cell:
    source = f"assert {name}(1) == 2\n### BEGIN HIDDEN TESTS\nassert {name}(3) == 4\n### END HIDDEN TESTS"
    return Cell(f"test-{name}", "test", source, f"test-{name}", 2, locked=True, graded=True, hidden=True)


CELLS = (
    Cell("title", "text", "# A title"),
    Cell("setup", "given", "import math\nimport torch", "setup", locked=True),
    Cell("part-a", "text", "## Part A: add one"),
    answer("first"),
    graded_test("first"),
    Cell("part-b", "text", "## Part B: take one away"),
    Cell("helper", "given", "scale = 3\nprint(scale)"),
    answer("second"),
    graded_test("second"),
    Cell("part-c", "text", "## Part C: explain"),
    Cell("essay", "text", "YOUR ANSWER HERE", "essay", 3, graded=True),
    Cell("free", "answer", "# YOUR CODE HERE\nraise NotImplementedError()", "free", 1, graded=True),
)
VISIBLE = {cell.id: cell.source.split("\n###")[0] for cell in CELLS}
RELEASE: Notebook = {
    "cells": [template_cell(cell, VISIBLE[cell.id]) for cell in CELLS],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
BOOK = NotebookMaterial("ps", CELLS, json.dumps(RELEASE).encode())
MATERIAL = Material("ps1", (BOOK,), {"data.csv": b"1,2"})
ANSWERS = {
    "first": "def first(x):\n    return x + 1",
    "second": "def second(x):\n    return x - 1",
    "essay": "Because it is so.",
    "free": "y = [first(x) for x in range(9)]",
}


def answered() -> Notebook:
    """The release with all answers, as an honest student hands it in."""
    notebook = deepcopy(RELEASE)
    for cell in notebook["cells"]:
        cell["source"] = ANSWERS.get(cell["id"], cell["source"])
    return notebook


def at(notebook: Notebook, name: str) -> int:
    return next(index for index, cell in enumerate(notebook["cells"]) if cell["id"] == name)


def code(source: str, name: str = "mine", **metadata: Any) -> Notebook:
    return {
        "cell_type": "code",
        "id": name,
        "metadata": metadata,
        "source": source,
        "outputs": [],
        "execution_count": 1,
    }


@pytest.fixture
def hand_in(tmp_path: Path) -> Callable[..., CanonicalNotebook]:
    """hand_in(notebook or bytes, name=…) → the canonical notebook."""

    def submit(content: Notebook | bytes, name: str = "ps.ipynb") -> CanonicalNotebook:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return read_submission(MATERIAL, tmp_path, "alice").notebooks[0]

    return submit


def sources(found: CanonicalNotebook) -> dict[str, str]:
    document = json.loads(found.document)
    return {cell["id"]: cell["source"] for cell in document["cells"]}


def ran(found: CanonicalNotebook) -> list[str]:
    return [step.cell for step in found.steps]


WHOLE = ["setup", "first", "test-first", "helper", "second", "test-second", "free"]


def assert_all_answers(found: CanonicalNotebook) -> None:
    """The answers are in their cells, or run before the test that needs them, and the tests are the template's."""
    assert (found.problem, found.missing) == ("", False)
    assert [cell for cell in ran(found) if not cell.startswith("extra")] == WHOLE
    text = sources(found)
    for cell in CELLS:
        if cell.locked or cell.kind == "test":
            assert text[cell.id] == cell.source
    assert {name: text[name] for name in ANSWERS} == ANSWERS
    assert found.untouched == frozenset()


def test_an_honest_notebook_comes_through_as_it_is(hand_in: Callable[..., CanonicalNotebook]) -> None:
    found = hand_in(answered())
    assert_all_answers(found)
    assert ran(found) == WHOLE
    assert found.notes == ()
    assert [(step.kind, step.source) for step in found.steps if step.cell in ("setup", "first", "test-first")] == [
        ("given", "import math\nimport torch"),
        ("student", ANSWERS["first"]),
        ("test", ""),
    ]
    nbformat.validate(json.loads(found.document))


def test_the_release_is_untouched(hand_in: Callable[..., CanonicalNotebook]) -> None:
    assert hand_in(RELEASE).untouched == {"first", "second", "essay", "free"}


def test_a_stub_with_a_space_more_is_untouched_where_a_test_judges_and_not_where_a_person_does(
    hand_in: Callable[..., CanonicalNotebook],
) -> None:
    notebook = deepcopy(RELEASE)
    for cell in notebook["cells"]:
        cell["source"] += " \n"
    assert hand_in(notebook).untouched == {"first", "second"}


def test_an_answer_in_a_cell_of_its_own_is_no_untouched_stub(hand_in: Callable[..., CanonicalNotebook]) -> None:
    notebook = deepcopy(RELEASE)
    notebook["cells"].insert(at(notebook, "first") + 1, code(ANSWERS["first"]))
    found = hand_in(notebook)
    assert found.untouched == {"second", "essay", "free"}
    assert ran(found)[:4] == ["setup", "first", "extra-1", "test-first"]


def lost_metadata(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["metadata"] = {}


def lost_ids(notebook: Notebook) -> None:
    notebook["nbformat_minor"] = 4
    for cell in notebook["cells"]:
        del cell["id"]


def lost_both(notebook: Notebook) -> None:
    lost_metadata(notebook)
    lost_ids(notebook)


def new_ids(notebook: Notebook) -> None:
    lost_metadata(notebook)
    for index, cell in enumerate(notebook["cells"]):
        cell["id"] = f"{index:08x}"


def the_same_id_everywhere(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["id"] = "first"


def the_same_grade_id_everywhere(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["metadata"] = {"nbgrader": {"grade_id": "first", "grade": True, "points": 99}}


def swapped_grade_ids(notebook: Notebook) -> None:
    first, second = at(notebook, "first"), at(notebook, "second")
    cells = notebook["cells"]
    cells[first]["metadata"], cells[second]["metadata"] = cells[second]["metadata"], cells[first]["metadata"]


def doubled_cells(notebook: Notebook) -> None:
    notebook["cells"] = [deepcopy(cell) for cell in notebook["cells"] for _ in range(2)]


def a_stub_copied_below(notebook: Notebook) -> None:
    stub = deepcopy(RELEASE["cells"][at(RELEASE, "first")])
    notebook["cells"].insert(at(notebook, "first") + 1, stub)


def reversed_cells(notebook: Notebook) -> None:
    notebook["cells"].reverse()


def with_tests_first(notebook: Notebook) -> None:
    notebook["cells"].sort(key=lambda cell: not cell["id"].startswith("test"))


def deleted_tests(notebook: Notebook) -> None:
    notebook["cells"] = [cell for cell in notebook["cells"] if not cell["id"].startswith("test")]


def deleted_setup_and_texts(notebook: Notebook) -> None:
    keep = ("first", "second", "essay", "free")
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] in keep]


def emptied_tests(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        if cell["id"].startswith(("test", "setup")):
            cell["source"] = "pass"


def other_types(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["cell_type"] = {"code": "markdown", "markdown": "code"}[cell["cell_type"]]


def all_raw(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["cell_type"] = "raw"


def helpers_everywhere(notebook: Notebook) -> None:
    cells = notebook["cells"]
    notebook["cells"] = [new for i, cell in enumerate(cells) for new in (code(f"h{i} = {i}", f"h{i}"), cell)]


def other_points(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        marks = cell["metadata"].get("nbgrader", {})
        marks |= {"points": 1000, "locked": False, "solution": True, "checksum": "0" * 32, "schema_version": 99}


def windows_lines(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].replace("\n", "\r\n")


def sources_as_lists(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)


def huge_outputs(notebook: Notebook) -> None:
    picture = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "A" * 8_000_000}}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [picture, {"output_type": "stream", "name": "stdout", "text": ["x\n"] * 10_000}]


def outputs_that_are_no_json(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["outputs"] = [float("nan"), float("-inf"), "NaN", "\ud800", {"NaN": '"'}]


def odd_metadata(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["metadata"]["nbgrader"] = ["no", {"grade_id": []}]


def format_3(notebook: Notebook) -> None:
    cells = notebook.pop("cells")
    for cell in cells:
        if cell["cell_type"] == "code":
            cell["input"] = cell.pop("source")
            cell["language"] = "python"
    half = len(cells) // 2
    notebook |= {"worksheets": [{"cells": cells[:half]}, {"cells": cells[half:]}], "nbformat": 3, "nbformat_minor": 0}


DAMAGE = [
    lost_metadata,
    lost_ids,
    lost_both,
    new_ids,
    the_same_id_everywhere,
    the_same_grade_id_everywhere,
    swapped_grade_ids,
    doubled_cells,
    a_stub_copied_below,
    reversed_cells,
    with_tests_first,
    deleted_tests,
    deleted_setup_and_texts,
    emptied_tests,
    other_types,
    all_raw,
    helpers_everywhere,
    other_points,
    windows_lines,
    sources_as_lists,
    huge_outputs,
    outputs_that_are_no_json,
    odd_metadata,
    format_3,
]


@pytest.mark.parametrize("part", range(4))
def test_damage_costs_no_answer(part: int, hand_in: Callable[..., CanonicalNotebook]) -> None:
    for damage in DAMAGE[part::4]:
        print(damage.__name__)
        notebook = answered()
        damage(notebook)
        assert_all_answers(hand_in(notebook))


# The others leave too little to go by once the ids are lost as well.
ALONE = (huge_outputs, the_same_grade_id_everywhere, reversed_cells, other_types, all_raw, doubled_cells)
NEIGHBOURLESS = (deleted_setup_and_texts, with_tests_first)
PAIRS = [
    (first, second)
    for first in (lost_metadata, lost_both, helpers_everywhere, deleted_tests)
    for second in DAMAGE[3:]
    if second not in ALONE and (second not in NEIGHBOURLESS or first is helpers_everywhere)
]


@pytest.mark.sample(8)
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda damage: damage.__name__)
def test_damage_upon_damage_costs_no_answer(
    first: Callable[[Notebook], None], second: Callable[[Notebook], None], hand_in: Callable[..., CanonicalNotebook]
) -> None:
    notebook = answered()
    for damage in (first, second) if second is format_3 else (second, first):
        damage(notebook)
    assert_all_answers(hand_in(notebook))


def test_an_answer_that_was_split_in_the_middle_is_whole_again(hand_in: Callable[..., CanonicalNotebook]) -> None:
    notebook = answered()
    index = at(notebook, "first")
    half = deepcopy(notebook["cells"][index])
    notebook["cells"][index]["source"] = "def first(x):\n    y = x"
    half |= {"source": "    return y + 1", "id": "other"}
    notebook["cells"].insert(index + 1, half)
    text = sources(hand_in(notebook))
    assert text["first"] == "def first(x):\n    y = x\n    return y + 1"
    assert not any(name.startswith("extra") for name in text)


def test_an_answer_that_was_split_between_two_functions_runs_in_both_parts(
    hand_in: Callable[..., CanonicalNotebook],
) -> None:
    notebook = answered()
    index = at(notebook, "first")
    half = deepcopy(notebook["cells"][index]) | {"source": "def add(x):\n    return x + 1"}
    notebook["cells"][index]["source"] = "first = add"
    notebook["cells"].insert(index, half)
    found = hand_in(notebook)
    assert ran(found)[:4] == ["setup", "extra-1", "first", "test-first"]
    assert sources(found)["first"] == "first = add"


def test_extra_cells_keep_their_place_between_their_neighbours(hand_in: Callable[..., CanonicalNotebook]) -> None:
    notebook = answered()
    notebook["cells"].insert(at(notebook, "second"), code("before"))
    notebook["cells"].insert(at(notebook, "second") + 1, code("after"))
    notebook["cells"].insert(0, code("start"))
    notebook["cells"].append(code("end"))
    found = hand_in(notebook)
    text = sources(found)
    order = [text[name] for name in text]
    assert order[0] == "start"
    assert order[-1] == "end"
    where = order.index(ANSWERS["second"])
    assert (order[where - 1], order[where + 1]) == ("before", "after")


def test_a_helper_runs_before_the_answer_that_it_stood_before(hand_in: Callable[..., CanonicalNotebook]) -> None:
    notebook = answered()
    first = notebook["cells"].pop(at(notebook, "first"))
    after = at(notebook, "second") + 1
    notebook["cells"][after:after] = [code("decorate = staticmethod"), first]
    found = hand_in(notebook)
    assert ran(found).index("extra-1") < ran(found).index("first") < ran(found).index("test-first")


def test_a_given_cell_runs_as_the_student_left_it_and_a_locked_one_as_it_was(
    hand_in: Callable[..., CanonicalNotebook],
) -> None:
    notebook = answered()
    notebook["cells"][at(notebook, "helper")]["source"] = "scale = 4"
    notebook["cells"][at(notebook, "setup")]["source"] = "import antigravity"
    found = hand_in(notebook)
    assert {step.cell: step.source for step in found.steps if step.kind == "given"} == {
        "setup": "import math\nimport torch",
        "helper": "scale = 4",
    }
    assert "setup had been changed and was put back" in found.notes


def test_pictures_in_an_essay_are_kept_and_nothing_else_is(hand_in: Callable[..., CanonicalNotebook]) -> None:
    notebook = answered()
    essay = notebook["cells"][at(notebook, "essay")]
    essay["attachments"] = {"a.png": {"image/png": "AAAA", "text/html": "<script>"}, "b": {"text/html": "x"}}
    cells = json.loads(hand_in(notebook).document)["cells"]
    assert next(cell for cell in cells if cell["id"] == "essay")["attachments"] == {"a.png": {"image/png": "AAAA"}}


def test_nothing_of_the_students_metadata_reaches_the_canonical_document(
    hand_in: Callable[..., CanonicalNotebook],
) -> None:
    notebook = answered()
    notebook["metadata"] = {"kernelspec": {"name": "evil", "argv": ["rm"]}}
    notebook["cells"].append(code("x", evil=True, nbgrader={"grade_id": "new", "grade": True, "points": 7}))
    document = json.loads(hand_in(notebook).document)
    assert document["metadata"] == RELEASE["metadata"]
    assert document["cells"][-1]["metadata"] == {}


@pytest.mark.parametrize(
    "name",
    [
        "ps (1).ipynb",
        "PS.ipynb",
        "ps-Copy1.ipynb",
        "ps.ipynb.json",
        "ps1/ps.ipynb",
        "my homework.ipynb",
    ],
)
def test_a_renamed_notebook_is_found(name: str, hand_in: Callable[..., CanonicalNotebook]) -> None:
    found = hand_in(answered(), name)
    assert_all_answers(found)
    assert found.notes == (f"{name!r} was taken for ps.ipynb",)


def test_a_notebook_that_lost_its_name_and_its_metadata_is_found(hand_in: Callable[..., CanonicalNotebook]) -> None:
    notebook = answered()
    lost_both(notebook)
    assert_all_answers(hand_in(notebook, "Untitled.ipynb"))


def test_the_copy_with_answers_is_taken_where_the_original_has_none(hand_in: Callable[..., CanonicalNotebook]) -> None:
    hand_in(answered(), "ps (1).ipynb")
    assert_all_answers(hand_in(RELEASE))


def test_the_right_name_wins_over_a_copy(hand_in: Callable[..., CanonicalNotebook]) -> None:
    other = answered()
    other["cells"][at(other, "first")]["source"] = "def first(x):\n    return 0"
    hand_in(other, "ps (1).ipynb")
    assert_all_answers(hand_in(answered()))


def test_two_copies_with_other_answers_are_not_guessed_between(hand_in: Callable[..., CanonicalNotebook]) -> None:
    other = answered()
    other["cells"][at(other, "first")]["source"] = "def first(x):\n    return 0"
    hand_in(other, "ps (1).ipynb")
    found = hand_in(answered(), "ps (2).ipynb")
    assert found.missing
    assert found.problem == (
        "ps.ipynb was not handed in; 'ps (1).ipynb' and 'ps (2).ipynb' could both be it, and their answers differ"
    )


def test_another_notebook_is_not_taken_for_it(hand_in: Callable[..., CanonicalNotebook]) -> None:
    found = hand_in({"cells": [code("x = 1")], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}, "other.ipynb")
    assert (found.missing, found.problem, found.steps) == (True, "ps.ipynb was not handed in", ())


def test_a_cell_of_an_exercise_is_named_by_it_and_not_by_a_long_id(tmp_path: Path) -> None:
    cells = [msgspec.structs.replace(cell, exercise="first") for cell in (answer("first"), graded_test("first"))]
    cells.append(msgspec.structs.replace(cells[-1], id="another-test", grade_id="another-test"))
    released = {"cells": [template_cell(cell) for cell in cells], "metadata": {}, "nbformat": 4}
    material = Material("ps1", (NotebookMaterial("ps", tuple(cells), json.dumps(released).encode()),))
    lost = released["cells"][0] | {"metadata": {}, "id": "x", "source": ANSWERS["first"]}
    (tmp_path / "ps.ipynb").write_text(json.dumps(released | {"cells": [lost]}))
    (found,) = read_submission(material, tmp_path, "alice").notebooks
    assert found.notes == (
        "the answer first had lost its id and was recognised",
        "a test of first was missing and was put back",
    )


def two_notebooks() -> tuple[Material, dict[str, Notebook]]:
    """An assignment of the notebooks "one" and "two", and what an honest student hands in of each."""
    books, contents = [], {}
    for name in ("one", "two"):
        cells = (Cell("title", "text", "# Both begin so"), answer(name), graded_test(name))
        released = {"cells": [template_cell(cell) for cell in cells], "metadata": {}, "nbformat": 4}
        books.append(NotebookMaterial(name, cells, json.dumps(released).encode()))
        contents[name] = deepcopy(released)
        contents[name]["cells"][1]["source"] = f"def {name}(x):\n    return x + 1"
    return Material("ps1", tuple(books)), contents


def test_two_notebooks_that_were_swapped_by_name_are_told_apart_by_their_cells(tmp_path: Path) -> None:
    material, contents = two_notebooks()
    (tmp_path / "one.ipynb").write_text(json.dumps(contents["two"]))
    (tmp_path / "two.ipynb").write_text(json.dumps(contents["one"]))
    one, two = read_submission(material, tmp_path, "alice").notebooks
    assert (one.untouched, two.untouched) == (frozenset(), frozenset())
    assert one.notes == ("'two.ipynb' was taken for one.ipynb",)
    assert two.notes == ("'one.ipynb' was taken for two.ipynb",)


def test_a_notebook_under_anothers_name_is_named_where_that_other_one_is_nowhere(tmp_path: Path) -> None:
    material, contents = two_notebooks()
    for name in ("one", "two"):
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(contents["two"]))
    one, two = read_submission(material, tmp_path, "alice").notebooks
    assert one.problem == "one.ipynb was not handed in: the file of that name has the cells of two.ipynb"
    assert (two.missing, two.untouched, two.notes) == (False, frozenset(), ())


def test_a_folder_that_is_not_there_is_a_missing_notebook(tmp_path: Path) -> None:
    found = read_submission(MATERIAL, tmp_path / "nobody", "alice")
    assert found.notebooks[0].missing
    assert set(sources(found.notebooks[0])) == set(VISIBLE)


UNREADABLE = {
    b"": "the notebook file is empty",
    b"\0\0\0\0": "the notebook file is empty",
    b"hello": "the file is no notebook: it is not JSON, as an .ipynb file must be",
    b"PK\x03\x04": "the file is no notebook: it is not JSON, as an .ipynb file must be",
    b"[]": "the file is no notebook: it is not JSON, as an .ipynb file must be",
    b"{}": "the file is no notebook: it has no list of cells, as an .ipynb file must have",
    b'{"cells": 3}': "restore it from a copy",
    b'{"cells": [}': "the file is no notebook that can be read (JSON is malformed",
    b'{"cells": [{"cell_type": "code", "source": "x': "the notebook file ends in the middle",
    b'{"cells": [\n<<<<<<< HEAD\n{},\n=======\n>>>>>>> b\n]}': "merge conflict",
    b'{"cells": ' + b"[" * 100_000: "restore it from a copy",
    b'{"x": ' + b"[" * 100_000: "nested too deeply",
    b'{"x": ' + b'{"a":' * 100_000: "nested too deeply",
    b'{"cells": [' + b'{"cell_type":"code"},' * 3000 + b'{"cell_type":"code"}]}': "has 3001 cells",
    b'{"cells": [{"cell_type": "code", "source": "' + b"x" * (MOST_SOURCE + 1) + b'"}]}': "4 MB of text",
}


def test_a_file_that_cannot_be_read_is_one_sentence(hand_in: Callable[..., CanonicalNotebook]) -> None:
    for content, said in UNREADABLE.items():
        found = hand_in(content)
        assert said in found.problem, content[:20]
        assert "\n" not in found.problem, content[:20]
        assert found.steps == (), content[:20]


@pytest.mark.parametrize(
    "save",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode() + b"\0" * 512,
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.encode().replace(b"A title", b"A t\xfftle"),
        lambda text: text.encode().replace(b'"# A title"', b'"# A \\ud83d"'),
    ],
    ids=["bom", "utf-16", "zeros", "crlf", "latin-1", "half-emoji"],
)
def test_what_editors_and_disks_do_to_a_file_costs_nothing(
    save: Callable[[str], bytes], hand_in: Callable[..., CanonicalNotebook]
) -> None:
    assert_all_answers(hand_in(save(json.dumps(answered(), indent=1))))


def read_all(folder: Path) -> CanonicalSubmission:
    return read_submission(MATERIAL, folder, "alice")


def test_files_beside_the_notebook_are_taken_and_those_of_the_course_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(b"9,9")
    (tmp_path / "mine.py").write_bytes(b"x = 1")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.txt").write_bytes(b"more")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "old.txt").write_bytes(b"old")
    (tmp_path / "submission_secret.txt").write_bytes(b"s")
    assert read_all(tmp_path).files == {"mine.py": b"x = 1", "sub/more.txt": b"more"}
    free = Material("ps1", (BOOK,), {"data.csv": b"1,2"}, own_files=frozenset({"data.csv"}))
    assert read_submission(free, tmp_path, "alice").files["data.csv"] == b"9,9"


def test_a_file_in_the_way_of_one_of_the_assignment_is_left_out_and_noted(tmp_path: Path) -> None:
    (tmp_path / "in" / "data.csv" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "data.csv" / "deep" / "evil.txt").write_bytes(b"evil")
    (tmp_path / "in" / "ps.ipynb").mkdir()
    (tmp_path / "in" / "ps.ipynb" / "x.txt").write_bytes(b"x")
    (tmp_path / "in" / "sub").mkdir()
    (tmp_path / "in" / "sub" / "ps.ipynb").write_text(json.dumps(answered()))
    (tmp_path / "in" / "pictures").write_bytes(b"a file")
    (tmp_path / "in" / "pictures.txt").write_bytes(b"mine")
    handed_out = {"data.csv": b"1,2", "pictures/a.png": b"png"}
    for own in (frozenset(), frozenset(handed_out)):
        found = read_submission(Material("ps1", (BOOK,), handed_out, own_files=own), tmp_path / "in", "alice")
        assert_all_answers(found.notebooks[0])
        assert found.files == {"pictures.txt": b"mine"}
        assert found.notes == (
            "'pictures' was left out: the assignment has a folder of that name",
            "'data.csv/deep/evil.txt' was left out: data.csv of the assignment is a file",
            "'ps.ipynb/x.txt' was left out: ps.ipynb of the assignment is a file",
        )


def test_links_pipes_and_odd_names_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "ps.ipynb").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    (folder / "a\nb").write_text("x")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).write_text("x")
    deep = folder.joinpath(*["d"] * 12)
    deep.mkdir(parents=True)
    (deep / "far").write_text("x")
    found = read_all(folder)
    assert found.files == {}
    assert found.notebooks[0].missing
    assert len(found.notes) == 5


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "ps.ipynb").write_text(json.dumps(answered()))
    (tmp_path / "ps1").symlink_to(tmp_path / "other")
    assert read_all(tmp_path / "ps1").notebooks[0].missing


def test_too_many_and_too_large_files_are_left_out(tmp_path: Path) -> None:
    for index in range(1100):
        (tmp_path / f"f{index}").write_text("x")
    assert len(read_all(tmp_path).files) == 1000
    with (tmp_path / "a-sparse-one").open("wb") as file:
        file.truncate(10**12)
    found = read_all(tmp_path)  # it ends: a file of a terabyte is not read
    assert "'a-sparse-one' was left out: it is too large" in found.notes


def test_the_timestamp_is_kept_where_it_is_one(tmp_path: Path) -> None:
    (tmp_path / "timestamp.txt").write_text("2026-03-01 20:00:00 Europe/Berlin\n")
    assert read_all(tmp_path).timestamp == "2026-03-01 20:00:00 Europe/Berlin"
    (tmp_path / "timestamp.txt").write_text("99999999999999999999 tomorrow")
    found = read_all(tmp_path)
    assert (found.timestamp, found.notes) == ("", ("timestamp.txt holds no time",))


@pytest.mark.parametrize(
    "name", ["timestamp.txt/x.txt", "timestamp.txt/ps.ipynb", "TimeStamp.TXT", "submission_SECRET.txt"]
)
def test_a_name_that_only_the_course_writes_is_left_out_as_a_file_and_as_a_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("2001-01-01 00:00:00 UTC")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "timestamp.txt").write_text("mine")
    found = read_folder(tmp_path, 1)
    assert (found.timestamp, found.notebooks, found.files) == ("", {}, {"data/timestamp.txt": b"mine"})
    assert found.notes == [f"{name!r} was left out: only the course writes a file or a folder of that name"]


def test_what_nbgrader_writes_beside_a_notebook_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "submission_secret.txt").write_text("s")
    assert read_folder(tmp_path, 1) == SubmittedFiles()


@pytest.mark.parametrize("when", ["9999-12-31 23:59:59 -1200", "0001-01-01 00:00:00 +1400"])
def test_a_time_that_clocks_elsewhere_could_not_show_is_no_time(when: str, tmp_path: Path) -> None:
    (tmp_path / "timestamp.txt").write_text(when)
    found = read_all(tmp_path)
    assert (found.timestamp, found.notes) == ("", ("timestamp.txt holds no time",))


def test_the_digest_tells_answers_apart_and_not_students(tmp_path: Path) -> None:
    digests = []
    for student, change in (("alice", "x + 1"), ("bob", "x + 1"), ("carol", "x + 2")):
        notebook = answered()
        notebook["cells"][at(notebook, "first")]["source"] = f"def first(x):\n    return {change}"
        (tmp_path / student).mkdir()
        (tmp_path / student / "ps.ipynb").write_text(json.dumps(notebook))
        digests.append(read_submission(MATERIAL, tmp_path / student, student).digest)
    assert digests[0] == digests[1] != digests[2]


@given(st.binary(max_size=300))
def test_any_bytes_give_cells_or_one_sentence(data: bytes) -> None:
    try:
        said = str(read_cells(data))
    except UnreadableError as error:
        said = str(error)
    assert "\n" not in said


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
KEYS = ["cell_type", "id", "metadata", "source", "outputs", "attachments", "level", "input", "nbgrader"]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(KEYS), ANYTHING), max_size=8),
    st.dictionaries(st.sampled_from(["cells", "worksheets", "metadata", "nbformat"]), ANYTHING, max_size=1),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_json_in_the_place_of_any_part_gives_a_canonical_notebook_or_one_sentence(
    tmp_path: Path, changes: list[tuple[int, str, Any]], top: dict[str, Any]
) -> None:
    notebook = answered()
    for index, key, value in changes:
        cell = notebook["cells"][index % len(notebook["cells"])]
        if key == "nbgrader":
            cell["metadata"] = {"nbgrader": value}
        else:
            cell[key] = value
    (tmp_path / "ps.ipynb").write_bytes(json.dumps(notebook | top).encode("utf-8", "surrogatepass"))
    assert_canonical(read_all(tmp_path).notebooks[0])


@given(st.randoms(use_true_random=False), st.integers(1, 40))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_shuffling_copying_and_deleting_of_cells_gives_a_canonical_notebook(
    tmp_path: Path, chance: random.Random, times: int
) -> None:
    notebook = answered()
    cells = notebook["cells"]
    for _ in range(times):
        if not cells:
            break
        index = chance.randrange(len(cells))
        what = chance.choice(["copy", "delete", "move", "strip", "mix", "cut"])
        if what == "copy":
            cells.insert(chance.randrange(len(cells) + 1), deepcopy(cells[index]))
        elif what == "delete":
            del cells[index]
        elif what == "move":
            cells.insert(chance.randrange(len(cells)), cells.pop(index))
        elif what == "strip":
            cells[index]["metadata"] = {}
        elif what == "mix":
            cells[index]["metadata"] = deepcopy(chance.choice(cells)["metadata"])
        else:
            cells[index]["source"] = cells[index]["source"][: chance.randrange(40)]
    (tmp_path / "ps.ipynb").write_text(json.dumps(notebook))
    assert_canonical(read_all(tmp_path).notebooks[0])


@given(st.integers(0, 2**32), st.integers(1, 30))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_flipped_bytes_give_a_canonical_notebook_or_one_sentence(tmp_path: Path, seed: int, times: int) -> None:
    chance = random.Random(seed)
    content = bytearray(json.dumps(answered()).encode())
    for _ in range(times):
        content[chance.randrange(len(content))] = chance.randrange(256)
    (tmp_path / "ps.ipynb").write_bytes(content)
    assert_canonical(read_all(tmp_path).notebooks[0])


def assert_canonical(found: CanonicalNotebook) -> None:
    """Either one sentence, or every cell of the template once, in its order, with the template's tests and marks."""
    assert "\n" not in found.problem
    document = json.loads(found.document)
    nbformat.validate(document)
    own = [cell for cell in document["cells"] if not cell["id"].startswith("extra-")]
    assert [cell["id"] for cell in own] == [cell.id for cell in CELLS]
    assert [cell["metadata"] for cell in own] == [cell["metadata"] for cell in RELEASE["cells"]]
    for cell, part in zip(CELLS, own, strict=True):
        assert part["source"] == cell.source or not (cell.locked or cell.kind == "test")
    if not found.problem:
        tests = [step.cell for step in found.steps if step.kind == "test"]
        assert tests == ["test-first", "test-second"]
        assert not {step.source for step in found.steps if step.kind == "test"} - {""}


def test_a_notebook_of_many_cells_is_recognised(hand_in: Callable[..., CanonicalNotebook]) -> None:
    notebook = answered()
    lost_both(notebook)
    notebook["cells"][3:3] = [code(f"x{index} = {index}\n" * 20) for index in range(1900)]
    assert_all_answers(hand_in(notebook))
