"""Handouts of a course with a public repository: they say where they open, and are graded as all others."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbgrader")

from studium.catalogue.catalogue import Catalogue
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment

WHEEL = "https://example.org/studium-0.1.0%2Bstudent-py3-none-any.whl"
REPOSITORY = (
    f'[repository]\nurl = "https://github.com/owner/course"\nhandouts = "homework"\nstudent_wheel = "{WHEEL}"\n'
)
Studium = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def built(counting: Catalogue, make_course: Callable[..., Path]) -> Path:
    """A course with a repository whose ps1 is built, only to be copied."""
    root = make_course(rest=REPOSITORY)
    build_assignment(root, "ps1", counting)
    return root


@pytest.fixture
def course(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "course"))


def test_a_handout_links_to_where_it_opens_and_installs_the_wheel_below_its_title(course: Path) -> None:
    cells = nbformat.read(course / "release" / "ps1" / "counting.ipynb", as_version=4).cells
    title, assignment, links, install, setup, *_ = cells
    assert title.source.startswith("# ")
    assert assignment.source.startswith("**Assignment ps1")
    assert (
        "(https://colab.research.google.com/github/owner/course/blob/main/homework/ps1/counting.ipynb)" in links.source
    )
    assert f'"{WHEEL}"' in install.source
    assert "open_lesson" in setup.source


def test_a_course_without_a_repository_hands_out_no_links(
    counting: Catalogue, make_course: Callable[..., Path]
) -> None:
    root = make_course()
    build_assignment(root, "ps1", counting)
    text = (root / "release" / "ps1" / "counting.ipynb").read_text("utf-8")
    assert not any(word in text for word in ("mybinder", "colab", "kaggle", "pip"))


def test_an_answer_in_such_a_handout_earns_its_points(
    counting: Catalogue, course: Path, submit: Callable[..., Path], studium: Studium
) -> None:
    right = {name: solved(exercise) for name, exercise in counting["counting"].exercises.items()}
    submit(course, "ada", {"counting": right}, "2026-03-01 20:00:00 UTC")
    submit(course, "bob", {"counting": {}}, "2026-03-01 20:00:00 UTC")
    code, out, err = studium("grade", "ps1", "--course", str(course), "--json")
    assert code == 0, err
    rows = {row["student"]: row["score"] for row in json.loads(out)["submissions"]}
    assert rows == {"ada": 5, "bob": 0}
