"""What students get holds no solution, no hidden test and no misconception: every topic, both ways out."""

import ast
import html
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

pytest.importorskip("nbgrader")

from studium.authoring.secrecy import Answer, answers_of, solutions_in
from studium.catalogue.catalogue import Catalogue, load_catalogue
from studium.exercises.sources import solved
from studium_graders.assignments import handouts
from studium_graders.assignments.building import build_assignment
from studium_graders.assignments.student_wheel import write_student_wheel
from studium_graders.course.public_edition import exercise_sources, public_edition

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


@pytest.fixture(scope="module")
def answers(everything: Catalogue) -> list[Answer]:
    """What must be kept of every exercise of every topic."""
    return [answer for topic in everything.topics for answer in answers_of(topic)]


@pytest.fixture(scope="module")
def student_wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of our own student wheel, as text."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    wheel = write_student_wheel(next(folder.glob("*.whl")), folder / "out")
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name).decode("utf-8", "ignore") for name in archive.namelist()}


@pytest.mark.xdist_group("student-wheel")
def test_our_own_student_wheel_leaks_nothing(everything: Catalogue, student_wheel: dict[str, str]) -> None:
    assert not [
        name for name in student_wheel if "studium_graders" in name or name.endswith(("/reference.py", "RECORD.jws"))
    ]
    for topic in everything.topics:
        folder = topic.package.replace(".", "/")
        text = "\n".join(content for name, content in student_wheel.items() if name.startswith(f"{folder}/"))
        assert leaks(text, topic) == []


@pytest.mark.xdist_group("student-wheel")
def test_no_file_of_the_student_wheel_gives_away_a_solution_of_any_topic(
    answers: list[Answer], student_wheel: dict[str, str]
) -> None:
    assert len(answers) > 200
    told = [leak for name, text in student_wheel.items() for leak in solutions_in(answers, name, text)]
    assert told == []


def _notebook(code: str) -> str:
    return json.dumps({"cells": [{"cell_type": "code", "source": code.splitlines(keepends=True)}]})


def _renamed(code: str) -> str:
    tree = ast.parse(code)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    for node in names:
        node.id += "_2" if node.id in own else ""
    return ast.unparse(tree)


DISGUISES: dict[str, Callable[[str], str]] = {
    "module.py": lambda code: code,
    "docstring.py": lambda code: f'"""An example.\n\n{code}\n"""\n',
    "comment.py": lambda code: "\n".join(f"# {line}" for line in code.splitlines()),
    "string.py": lambda code: f"EXAMPLE = {code!r}\n",
    "reformatted.py": lambda code: ast.unparse(ast.parse(code)).replace("(", "(\n    ").replace(")", ",\n)"),
    "renamed.py": _renamed,
    "page.html": lambda code: f"<pre>{html.escape(code)}</pre>",
    "figure.svg": lambda code: f"<svg><title>{html.escape(code)}</title></svg>",
    "view.js": lambda code: f"const example = {json.dumps(code)};",
    "cards.json": lambda code: json.dumps({"answer": code}),
    "lesson.ipynb": _notebook,
    "studium-1.0.dist-info/METADATA": lambda code: f"Name: studium\n\n```python\n{code}```\n",
}


@pytest.mark.parametrize(("slug", "name"), [("lora", "merge"), ("ddpm", "ddim_step"), ("decoder-only", "llama_block")])
@pytest.mark.parametrize("place", DISGUISES)
def test_a_solution_is_found_in_any_kind_of_file(
    place: str, slug: str, name: str, everything: Catalogue, answers: list[Answer]
) -> None:
    exercise = everything[slug].exercise(name)
    (said,) = solutions_in(
        [one for one in answers if one.exercise is exercise], place, DISGUISES[place](solved(exercise))
    )
    assert said.startswith(f"{place} must not give away ")
    assert f"of {name}: it contains " in said


def test_a_line_that_many_solutions_have_and_a_short_solution_give_nothing_away(answers: list[Answer]) -> None:
    usual = "losses.append(loss.item())\nmodel = copy.deepcopy(base)\nparameters = list(model.parameters())\n"
    assert list(solutions_in(answers, "training.py", usual)) == []
    (merge,) = [one for one in answers if one.exercise.id == "merge"]
    nothing = {what: dict[str, str]() for what in merge.lines}
    short = replace(merge, bare="returnx@w.T", whole=re.compile("x@w"), lines=nothing, steps=())
    assert list(solutions_in([short], "layers.py", "return x @ w.T")) == []


def test_two_cells_of_a_release_with_one_id_are_told(counting: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [nbformat.v4.new_code_cell("1", id="twice")] * 2
    monkeypatch.setattr(handouts, "release_notebook", lambda topic: SimpleNamespace(cells=cells))
    (said,) = handouts.leaks(counting["counting"])
    assert "'twice' appears 2 times; rename a test" in said
