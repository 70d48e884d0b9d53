"""What a student's process may see of installed topics."""

import sys
from pathlib import Path

import pytest
from studium_graders.engine.material.assignment import Cell, Material, NotebookMaterial
from studium_graders.engine.supervision.topic_files import topic_files


def hidden_topics(hidden: tuple[str, ...]) -> set[str]:
    """The topics whose exercises, a file or a folder, are hidden."""
    return {Path(path).parent.name for path in hidden if Path(path).stem == "exercises"}


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
    assert (Path(secret).parent.name, Path(secret).stem) == ("lora", "exercises")
    texts = [path.read_text() for path in (Path(public), *Path(public).glob("*")) if path.is_file()]
    assert texts
    assert "### BEGIN SOLUTION" not in "".join(texts)
    assert secret not in found.hidden
    assert {"rope", "ddpm"} <= hidden_topics(found.hidden)


def test_a_course_that_names_no_topic_sees_no_exercises(tmp_path) -> None:
    plain = Material("ps1", (NotebookMaterial("book", (Cell("a", "given", "import torch"),), b"{}"),))
    found = topic_files(tmp_path, plain)
    assert not found.replaced
    assert list(tmp_path.iterdir()) == []
    assert "lora" in hidden_topics(found.hidden)


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


LIST = "from .solve import solve\n\nexercises = (solve,)\n"
SOLVE = """
from studium import exercise


@exercise(points=1, minutes=1)
def solve(x):
    ### BEGIN SOLUTION
    return x + 17
    ### END SOLUTION
"""
FOLDERS = {
    "a folder": (
        {"exercises/__init__.py": LIST, "exercises/solve.py": SOLVE, "exercises/_shared.py": "secret = 1"},
        True,
    ),
    "an unlisted file": ({"exercises/__init__.py": "exercises = ()", "exercises/solve.py": SOLVE}, True),
    "both forms": ({"exercises/__init__.py": LIST, "exercises/solve.py": SOLVE, "exercises.py": SOLVE}, False),
    "no list": ({"exercises/solve.py": SOLVE}, False),
    "a list of what is not there": ({"exercises/__init__.py": LIST}, False),
    "no markers": ({"exercises/__init__.py": LIST, "exercises/solve.py": SOLVE.replace("###", "#")}, False),
    "no Python": ({"exercises/__init__.py": "exercises = (", "exercises/solve.py": SOLVE}, False),
}


@pytest.mark.parametrize(("files", "is_public"), FOLDERS.values(), ids=FOLDERS)
def test_a_folder_of_exercises_is_replaced_as_a_whole_or_hidden(files, is_public, tmp_path, site) -> None:
    metadata = (
        "from studium import Topic, hookimpl\n\n\n@hookimpl\ndef studium_topics():\n"
        '    yield Topic("solving", "Solving", "Track", "A topic.", __name__)\n'
    )
    text = {"solving_topic/__init__.py": metadata, "solving_topic/lesson.py": ""}
    site.install("solving", {"solving": "solving_topic"}, text | {f"solving_topic/{n}": t for n, t in files.items()})
    cell = Cell("a", "given", "import solving_topic")
    found = topic_files(tmp_path, Material("ps1", (NotebookMaterial("book", (cell,), b"{}"),)))
    place = site.folder / "solving_topic"
    public = {secret: Path(public) for secret, public in found.replaced}
    assert (str(place / "exercises") in public) == is_public
    for name in ("exercises", "exercises.py"):
        assert (str(place / name) in found.hidden) == (not is_public and (place / name).exists())
    for folder in public.values():
        assert "17" not in "".join(path.read_text() for path in folder.rglob("*.py"))
        assert not (folder / "_shared.py").exists()
