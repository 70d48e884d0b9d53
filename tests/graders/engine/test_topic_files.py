"""What a student's process may see of installed topics."""

import sys
from pathlib import Path

import pytest
from studium_graders.engine.material.assignment import Cell, Material, NotebookMaterial
from studium_graders.engine.supervision.topic_files import topic_files


@pytest.mark.parametrize(
    "cell",
    [
        Cell("a", "given", 'lesson = open_lesson("lora")'),
        Cell("a", "given", "import studium_topics.lora as l"),
        Cell("a", "test", "", topic="lora"),
        Cell("a", "answer", "", reference="import studium_topics.lora as l"),
    ],
    ids=["by its slug", "by its package", "by its test", "in a solution"],
)
def test_a_topic_that_the_material_names_has_its_public_edition_and_all_others_are_hidden(cell, tmp_path) -> None:
    found = topic_files(tmp_path, Material("ps1", (NotebookMaterial("book", (cell,), b"{}"),)))
    ((secret, public),) = found.replaced
    assert Path(secret).parts[-2:] == ("lora", "exercises.py")
    assert "### BEGIN SOLUTION" not in Path(public).read_text()
    assert secret not in found.hidden
    hidden = {Path(path).parent.name for path in found.hidden if path.endswith("exercises.py")}
    assert {"rope", "ddpm"} <= hidden


def test_a_course_that_names_no_topic_sees_no_exercises(tmp_path) -> None:
    plain = Material("ps1", (NotebookMaterial("book", (Cell("a", "given", "import torch"),), b"{}"),))
    found = topic_files(tmp_path, plain)
    assert not found.replaced
    assert list(tmp_path.iterdir()) == []
    assert "lora" in {Path(path).parent.name for path in found.hidden if path.endswith("exercises.py")}


def test_a_second_copy_on_pythons_path_is_hidden_whole(tmp_path, monkeypatch) -> None:
    copy = tmp_path / "site" / "studium_topics" / "lora"
    copy.mkdir(parents=True)
    for name in ("exercises.py", "reference.py", "lesson.py"):
        (copy / name).write_text("x = 1")
    monkeypatch.setattr("sys.path", [*sys.path, str(tmp_path / "site")])
    cell = Cell("a", "given", "import studium_topics.lora as l")
    found = topic_files(tmp_path, Material("ps1", (NotebookMaterial("book", (cell,), b"{}"),)))
    hidden = {Path(path).name for path in found.hidden if Path(path).parent == copy}
    assert hidden == {"exercises.py", "reference.py"}
    ((secret, _),) = found.replaced
    assert Path(secret).parent != copy
