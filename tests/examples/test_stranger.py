"""A stranger's topic, installed with pip, is treated as ours are."""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from studium.notebooks.editions import exercise_of, role

from .conftest import SAMPLE, Environment, copy_sample

pytestmark = pytest.mark.xdist_group("stranger")

MakeEnvironment = Callable[..., Environment]
BOTH = "studium-topic-echo and studium-topic-twin"

BUILD = """
import sys
from pathlib import Path
from studium.catalogue.catalogue import load_catalogue
from studium.desk.workspace import build_workspace
build_workspace(load_catalogue(), Path(sys.argv[1]))
"""
RUN = """
import sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=120).execute()
nbformat.write(notebook, sys.argv[2])
"""
RIGHT = {
    "echo": """
def echo(x, delay, gain):
    heard = []
    for n, sample in enumerate(x):
        heard.append(sample if n < delay else sample + gain * heard[n - delay])
    return heard
""",
    "response": """
def response(delay, gain, length):
    return echo([1.0] + [0.0] * (length - 1), delay, gain)
""",
}
ECHOED_ONCE = """
def echo(x, delay, gain):
    late = [0.0] * delay + list(x)
    return [now + gain * before for now, before in zip(x, late)]
"""


@pytest.fixture(scope="session")
def lesson(stranger: Environment, all_described: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lesson in the workspace that ``studium lab`` would open."""
    folder = tmp_path_factory.mktemp("workspace")
    stranger.run("-c", BUILD, folder)
    return folder / "echo.ipynb"


def answered(lesson: Path, folder: Path, answers: dict[str, str]) -> Path:
    """Write the lesson with some answers into ``folder``."""
    notebook = nbformat.read(lesson, as_version=4)
    for cell in notebook.cells:
        if role(cell) == "exercise" and exercise_of(cell) in answers:
            cell.source = answers[exercise_of(cell)]
    nbformat.write(notebook, folder / "answered.ipynb")
    return folder / "answered.ipynb"


def test_it_is_listed_and_its_claim_measured_as_ours_are(stranger: Environment) -> None:
    code, out, _ = stranger.studium("topics", "--json")
    listed = {topic["slug"]: topic for topic in json.loads(out)["topics"]}
    assert (code, listed["echo"]["distribution"], listed["echo"]["version"]) == (0, "studium-topic-echo", "0.1.0")
    assert listed["lora"]["distribution"] == "studium"
    assert listed["echo"].keys() == listed["lora"].keys()
    code, out, _ = stranger.studium("reproduce", "echo", "--profile", "smoke", "--seeds", "2", "--json")
    (claim,) = json.loads(out)["claims"]
    assert (code, claim["topic"], claim["paper"], claim["holds"]) == (0, "echo", "2110.13985", True)
    assert len(claim["by_seed"]) == 2


def test_its_lesson_stands_in_the_workspace_and_on_the_start_page_beside_ours(lesson: Path) -> None:
    assert {"echo.ipynb", "lora.ipynb"} <= {path.name for path in lesson.parent.iterdir()}
    assert "[Echo: one layer, two views](echo.ipynb)" in (lesson.parent / "START.md").read_text("utf-8")


@pytest.mark.heavy
def test_its_lesson_runs_from_top_to_bottom_before_anything_is_solved(
    stranger: Environment, lesson: Path, tmp_path: Path
) -> None:
    stranger.run("-c", RUN, lesson, tmp_path / "run.ipynb")
    cells = [cell for cell in nbformat.read(tmp_path / "run.ipynb", as_version=4).cells if cell.cell_type == "code"]
    printed = "".join(output.get("text", "") for output in cells[-1].outputs)
    assert "echo is not attempted yet, so the course's own version runs instead." in printed
    assert "largest difference in 200 samples: " in printed
    assert all(cell.execution_count for cell in cells)


@pytest.mark.parametrize(
    ("answers", "code", "outcomes", "mistake"),
    [
        ({"echo": ECHOED_ONCE}, 1, ["wrong", "not attempted"], "You echoed `x`; the wall throws back all that it"),
        pytest.param(RIGHT, 0, ["right", "right"], "", marks=pytest.mark.heavy),
    ],
    ids=["one wrong and one untouched", "both right"],
)
def test_an_answer_is_checked_and_its_mistake_is_named(
    stranger: Environment,
    lesson: Path,
    tmp_path: Path,
    answers: dict[str, str],
    code: int,
    outcomes: list[str],
    mistake: str,
) -> None:
    got, out, _ = stranger.studium("check", answered(lesson, tmp_path, answers), "--json")
    results = json.loads(out)["exercises"]
    assert (got, [result["outcome"] for result in results]) == (code, outcomes)
    assert results[0]["mistake"].startswith(mistake)
    assert bool(results[0]["mistake"]) == bool(mistake)


@pytest.mark.heavy
@pytest.mark.nbgrader
def test_it_is_assigned_without_its_solutions_and_hidden_tests(stranger: Environment, tmp_path: Path) -> None:
    pytest.importorskip("nbgrader")
    course = tmp_path / "sound"
    assert stranger.studium("new", "course", "sound", "--dir", course)[0] == 0
    settings = course / "course.toml"
    text, changed = re.subn(r"(?m)^topics = .*$", 'topics = ["echo"]', settings.read_text("utf-8"))
    assert changed == 1
    settings.write_text(text, "utf-8")
    code, out, err = stranger.studium("assign", "ps1", "--course", course, "--json")
    assert code == 0, err
    assert json.loads(out)["notebooks"] == [{"notebook": "echo", "exercises": ["echo", "response"], "points": 7}]
    assert_nothing_leaks((course / "release" / "ps1" / "echo.ipynb").read_text("utf-8"))


@pytest.mark.heavy
def test_its_wheel_for_students_has_no_answers(stranger: Environment, tmp_path: Path) -> None:
    pytest.importorskip("wheel")
    project = copy_sample(tmp_path)
    stranger.run("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, project)
    (built,) = tmp_path.glob("*.whl")
    assert stranger.studium("student-wheel", built, "--out", tmp_path / "dist")[0] == 0
    (public,) = (tmp_path / "dist").glob("studium_topic_echo-0.1.0+student-*.whl")
    with zipfile.ZipFile(public) as files:
        assert "studium_topic_echo/reference.py" not in files.namelist()
        assert_nothing_leaks(files.read("studium_topic_echo/exercises.py").decode())


def assert_nothing_leaks(text: str) -> None:
    """A visible test and the stubs are there; the solution, the hidden tests and the misconceptions are not."""
    assert "throws back what it threw back before" in text
    assert text.count("raise NotImplementedError()") == 2
    for secret in ("y[n] += gain", "x must stay as it was", "You echoed", "randn", "BEGIN"):
        assert secret not in text, secret


@pytest.mark.heavy
def test_a_topic_that_fails_on_import_is_reported_and_hurts_nobody(
    make_environment: MakeEnvironment, tmp_path: Path
) -> None:
    broken = copy_sample(tmp_path, "broken")
    plugin = broken / "studium_topic_broken" / "__init__.py"
    plugin.write_text(plugin.read_text("utf-8").replace("from studium import", "from nowhere import"), "utf-8")
    environment = make_environment(broken, copy_sample(tmp_path))
    code, out, _ = environment.studium("topics", "--json")
    told = json.loads(out)
    (problem,) = [problem for problem in told["problems"] if problem["entry_point"] == "broken"]
    assert problem["distribution"] == "studium-topic-broken"
    assert "ModuleNotFoundError: No module named 'nowhere'" in problem["error"]
    assert (code, {"echo", "lora"} <= {topic["slug"] for topic in told["topics"]}) == (0, True)
    assert environment.studium("reproduce", "echo", "--profile", "smoke", "--seeds", "1")[0] == 0


@pytest.mark.heavy
def test_two_distributions_with_one_slug_are_an_error_that_names_both(
    make_environment: MakeEnvironment, tmp_path: Path
) -> None:
    environment = make_environment(copy_sample(tmp_path), copy_sample(tmp_path, "twin"))
    code, out, _ = environment.studium("topics", "--json")
    told = json.loads(out)
    problems = {item["distribution"]: item["error"] for item in told["problems"] if "'echo'" in item["error"]}
    assert (code, set(problems)) == (1, {"studium-topic-echo", "studium-topic-twin"})
    assert all(f"{BOTH} both have it" in error for error in problems.values())
    assert {"echo", "lora"} & {topic["slug"] for topic in told["topics"]} == {"lora"}
    code, _, err = environment.studium("reproduce", "echo")
    assert (code, f"{BOTH} both have it" in err) == (1, True)


def test_every_command_in_its_readme_exists(studium: Callable[..., tuple[int, str, str]]) -> None:
    commands = set(re.findall(r"(?m)^\$ studium (\S+)", (SAMPLE / "README.md").read_text("utf-8")))
    helped = studium("--help")[1]
    assert len(commands) >= 5
    assert [command for command in commands if not re.search(rf"\b{command}\b", helped)] == []
