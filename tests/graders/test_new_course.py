"""Making a course folder."""

from collections.abc import Callable
from pathlib import Path

from nbconvert import HTMLExporter
from nbformat.v4 import new_markdown_cell, new_notebook
from studium.catalogue.catalogue import Catalogue
from studium_graders.assignments.plan import plan_notebooks
from studium_graders.course.course_file import read_course
from studium_graders.course.limits import Limits
from studium_graders.nbgrader_config import grade_with_engine
from traitlets.config import Config

Studium = Callable[..., tuple[int, str, str]]


def test_a_new_course_is_valid_and_its_example_comes_from_the_catalogue(
    counting: Catalogue, tmp_path: Path, studium: Studium
) -> None:
    code, out, _ = studium("new", "course", "gen-ai", "--dir", str(tmp_path / "teaching" / "gen-ai"))
    root = tmp_path / "teaching" / "gen-ai"
    assert (code, str(root / "course.toml") in out) == (0, True)
    course = read_course(root)
    assert course.id == "gen-ai"
    assert plan_notebooks(course.assignment("ps1"), counting)
    assert sorted(path.name for path in root.iterdir()) == ["course.toml", "nbgrader_config.py"]
    assert oct(root.stat().st_mode & 0o777) == "0o700"


def test_the_commented_examples_are_valid_too(counting: Catalogue, tmp_path: Path, studium: Studium) -> None:
    studium("new", "course", "gen-ai", "--dir", str(tmp_path / "gen-ai"))
    path = tmp_path / "gen-ai" / "course.toml"
    live = path.read_text("utf-8").replace("# Single", "## Single").replace("# The", "## The").replace("\n# ", "\n")
    path.write_text(live.replace('policy = "none"', 'policy = "per-day"'), "utf-8")
    course = read_course(path.parent)
    assert [assignment.name for assignment in course.assignments] == ["ps1", "ps2"]
    assert plan_notebooks(course.assignment("ps2"), counting)[0].points == 5
    assert course.limits == Limits()


def test_an_existing_folder_is_left_alone(tmp_path: Path, studium: Studium) -> None:
    (tmp_path / "gen-ai").mkdir()
    code, _, err = studium("new", "course", "gen-ai", "--dir", str(tmp_path / "gen-ai"))
    assert (code, "exists already; choose another name or --dir" in err) == (1, True)
    assert list((tmp_path / "gen-ai").iterdir()) == []


def test_a_course_id_that_nbgrader_refuses_makes_nothing(tmp_path: Path, studium: Studium) -> None:
    for name in ("gen ai", "../gen-ai", "", "gen+ai"):
        code, _, err = studium("new", "course", name, "--dir", str(tmp_path / "course"))
        assert (code, "a course id must be letters" in err) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_pages_of_submissions_in_nbgrader_lose_their_scripts() -> None:
    config = Config()
    grade_with_engine(config)
    notebook = new_notebook(cells=[new_markdown_cell("fine <script>alert(1)</script><img src=x onerror=alert(1)>")])
    page, _ = HTMLExporter(config=config).from_notebook_node(notebook)
    bare, _ = HTMLExporter().from_notebook_node(notebook)
    assert "<script>alert(1)" in bare
    assert "<script>alert(1)" not in page
    assert "onerror" not in page.partition("fine")[2][:200]
