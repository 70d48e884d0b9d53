"""What students get holds no solution, no hidden test and no misconception: every topic, both ways out."""

import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

pytest.importorskip("nbgrader")

from studium.catalogue import Catalogue, load_catalogue
from studium_graders import handouts
from studium_graders.assigning import build_assignment
from studium_graders.public_edition import exercise_sources, public_edition
from studium_graders.student_wheel import write_student_wheel

from tests.leaks import leaks, lesson_lines, solution_lines

SLUGS = [topic.slug for topic in load_catalogue().topics if topic.has("exercises")]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def everything(counting: Catalogue) -> Catalogue:
    return load_catalogue()


@pytest.mark.parametrize("slug", [*SLUGS, "counting"])
def test_the_public_exercises_leak_nothing(slug: str, everything: Catalogue) -> None:
    topic = everything[slug]
    sources = exercise_sources(Path(str(files(topic.package))))
    assert leaks("\n".join(sources.values()), topic) != []
    assert leaks("\n".join(public_edition(sources, slug).values()), topic) == []


@pytest.mark.parametrize("slug", [*SLUGS, "counting"])
def test_no_lesson_shows_a_whole_solution(slug: str, everything: Catalogue) -> None:
    shown = lesson_lines(everything[slug])
    solutions = {name: solution_lines(exercise) for name, exercise in everything[slug].exercises.items()}
    assert [name for name, solution in solutions.items() if solution and solution <= shown] == []


@pytest.mark.nbgrader
@pytest.mark.sample(2)
@pytest.mark.parametrize("slug", [*SLUGS, "counting"])
def test_a_release_notebook_leaks_nothing(slug: str, everything: Catalogue, make_course) -> None:  # type: ignore[no-untyped-def]
    course = make_course(f'[[assignments]]\nname = "ps1"\nexperiments = true\ntopics = ["{slug}"]')
    build_assignment(course, "ps1", everything)
    source, release = (
        "\n".join(cell.source for cell in nbformat.read(course / step / "ps1" / f"{slug}.ipynb", 4).cells)
        for step in ("source", "release")
    )
    assert leaks(source, everything[slug]) != []
    assert leaks(release, everything[slug]) == []


def test_our_own_student_wheel_leaks_nothing(everything: Catalogue, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    wheel = write_student_wheel(next(tmp_path.glob("*.whl")), tmp_path / "out")
    with zipfile.ZipFile(wheel) as archive:
        texts = {name: archive.read(name).decode("utf-8", "ignore") for name in archive.namelist()}
    assert not [name for name in texts if "studium_graders" in name or name.endswith(("/reference.py", "RECORD.jws"))]
    for topic in everything.topics:
        folder = topic.package.replace(".", "/")
        text = "\n".join(content for name, content in texts.items() if name.startswith(f"{folder}/"))
        assert leaks(text, topic) == []


def test_two_cells_of_a_release_with_one_id_are_told(counting: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [nbformat.v4.new_code_cell("1", id="twice")] * 2
    monkeypatch.setattr(handouts, "release_notebook", lambda topic: SimpleNamespace(cells=cells))
    (said,) = handouts.leaks(counting["counting"])
    assert "'twice' comes 2 times; rename a test" in said
