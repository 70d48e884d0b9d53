"""What students get holds no solution, no hidden test and no misconception: every topic, both ways out."""

import ast
import html
import json
import os
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
from studium_graders.assignments.two_wheels import write_two_wheels
from studium_graders.course.public_edition import exercise_sources, public_edition

from tests.leaks import leaks, lesson_lines, solution_lines

SLUGS = [topic.slug for topic in load_catalogue().topics if topic.has("exercises")]
FOLDER = "lora"  # whose exercises are a folder; those of "counting" are one file
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def everything(counting: Catalogue) -> Catalogue:
    return load_catalogue()


@pytest.mark.parametrize("slug", ["counting", FOLDER])
def test_the_public_exercises_leak_nothing(slug: str, everything: Catalogue) -> None:
    """One file and a folder of exercises; the wheels below have those of every topic."""
    topic = everything[slug]
    sources = exercise_sources(Path(str(files(topic.package))))
    assert leaks("\n".join(sources.values()), topic) != []
    assert leaks("\n".join(public_edition(sources, slug).values()), topic) == []


@pytest.mark.xdist_group("student-wheel")
def test_no_lesson_shows_a_whole_solution(everything: Catalogue) -> None:
    for slug in (*SLUGS, "counting"):
        shown = lesson_lines(everything[slug])
        solutions = {name: solution_lines(exercise) for name, exercise in everything[slug].exercises.items()}
        assert [name for name, solution in solutions.items() if solution and solution <= shown] == [], slug


@pytest.mark.nbgrader
@pytest.mark.parametrize(
    "slug", ["counting", *(pytest.param(slug, marks=[pytest.mark.heavy] * (slug != FOLDER)) for slug in SLUGS)]
)
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
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Our own wheels: that of a checkout, the student wheel, and the two that a release publishes."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=300)
    whole = next(folder.glob("*.whl"))
    published, keys = write_two_wheels(whole, folder / "dist", "https://example.org/studium")
    return {
        "whole": whole,
        "student": write_student_wheel(whole, folder / "out"),
        "published": published,
        "keys": keys,
    }


def read(wheel: Path) -> dict[str, str]:
    """The files of a wheel, as text; the folders of its metadata are called as in every edition."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name.replace("+student.", ".", 1): name for name in archive.namelist()}
        return {place: archive.read(name).decode("utf-8", "ignore") for place, name in names.items()}


LEARNERS = pytest.mark.parametrize("which", ["student", "published"])


@LEARNERS
@pytest.mark.xdist_group("student-wheel")
def test_our_own_wheel_for_learners_leaks_nothing(which: str, everything: Catalogue, wheels: dict[str, Path]) -> None:
    wheel = read(wheels[which])
    assert not [name for name in wheel if name.endswith(("/reference.py", "RECORD.jws"))]
    assert not [name for name in wheel if re.match(r"studium_topics/.*/test_\w+\.py", name)]
    assert any("studium_graders" in name for name in wheel) == (which == "published")
    for topic in everything.topics:
        folder = topic.package.replace(".", "/")
        text = "\n".join(content for name, content in wheel.items() if name.startswith(f"{folder}/"))
        assert leaks(text, topic) == []


@pytest.mark.parametrize("of_topics", [True, pytest.param(False, marks=pytest.mark.heavy)], ids=["topics", "the host"])
@pytest.mark.xdist_group("student-wheel")
def test_no_file_of_the_student_wheel_gives_away_a_solution_of_any_topic(
    of_topics: bool, answers: list[Answer], wheels: dict[str, Path]
) -> None:
    assert len(answers) > 200
    wheel = read(wheels["student"])
    names = [name for name in wheel if name.startswith(("studium_topics/", "studium_widgets/")) == of_topics]
    assert len(names) > 100
    assert [leak for name in names for leak in solutions_in(answers, name, wheel[name])] == []


@pytest.mark.heavy
@pytest.mark.xdist_group("student-wheel")
def test_nor_does_a_file_that_only_the_published_wheel_has(answers: list[Answer], wheels: dict[str, Path]) -> None:
    known = read(wheels["student"])
    files = {name: text for name, text in read(wheels["published"]).items() if text != known.get(name)}
    assert {name.split("/")[0] for name in files} > {"studium_graders", "studium_classroom"}
    told = [leak for name, text in files.items() for leak in solutions_in(answers, name, text)]
    assert told == []


@pytest.mark.xdist_group("student-wheel")
def test_what_is_published_is_what_students_get_with_the_tools_of_instructors(wheels: dict[str, Path]) -> None:
    student, published = read(wheels["student"]), read(wheels["published"])
    own = {name for name, text in published.items() if text != student.get(name)}
    rest = {name for name in own if name.split("/")[0] not in ("studium_graders", "studium_classroom")}
    assert {name for name in rest if ".dist-info/" not in name} == {"studium_topics/__init__.py"}


@pytest.mark.xdist_group("student-wheel")
def test_a_release_has_all_files_of_a_checkouts_wheel_but_the_tests_of_topics(wheels: dict[str, Path]) -> None:
    whole, published, keys = (set(read(wheels[which])) for which in ("whole", "published", "keys"))
    secret = {name.replace("studium_topics/", "studium_keys/", 1) for name in whole - published}
    assert {name for name in secret - keys if not re.search(r"/test_\w+\.py$", name)} == set()
    assert "studium_keys/text_to_image/test_bench.js" in keys
    assert all(name.startswith("studium_keys") for name in keys)
    assert {name.split("/")[0] for name in published} == {name.split("/")[0] for name in whole}


@pytest.mark.xdist_group("student-wheel")
def test_the_metadata_of_a_release_names_the_repository_and_its_links_lead_there(wheels: dict[str, Path]) -> None:
    (metadata,) = (text for name, text in read(wheels["published"]).items() if name.endswith("dist-info/METADATA"))
    assert "Project-URL: Source, https://example.org/studium\n" in metadata
    assert "](https://example.org/studium/blob/v" in metadata
    assert not re.search(r'(\]\(|src="|srcset=")(?!https?://)', metadata)


EDITION = """
import studium_topics.lora.exercises as exercises
from studium import open_lesson
lesson = open_lesson("lora")
def merge(weight, a, b, alpha):
    return weight + alpha * b @ a
print(exercises.__file__)
print(repr(lesson.check(merge)))
print(repr(lesson.reveal("merge")))
"""


@pytest.mark.parametrize("installed", [("published",), ("published", "keys")], ids=" and ".join)
@pytest.mark.xdist_group("student-wheel")
def test_solutions_and_names_of_mistakes_come_with_the_keys(
    installed: tuple[str, ...], wheels: dict[str, Path], tmp_path: Path
) -> None:
    for which in installed:
        with zipfile.ZipFile(wheels[which]) as archive:
            archive.extractall(tmp_path)
    own = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", EDITION], env=own, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert ("You added alpha times B A" in done.stdout) == ("keys" in installed)
    assert ("This edition has no solution for merge" in done.stdout) == ("keys" not in installed)
    folder = "studium_keys" if "keys" in installed else "studium_topics"
    assert done.stdout.startswith(str(tmp_path / folder / "lora"))


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


@pytest.mark.parametrize(("slug", "name"), [("lora", "merge"), ("decoder-only", "llama_block")])
def test_a_solution_is_found_in_any_kind_of_file(
    slug: str, name: str, everything: Catalogue, answers: list[Answer]
) -> None:
    exercise = everything[slug].exercise(name)
    own = [one for one in answers if one.exercise is exercise]
    for place, disguise in DISGUISES.items():
        (said,) = solutions_in(own, place, disguise(solved(exercise)))
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
