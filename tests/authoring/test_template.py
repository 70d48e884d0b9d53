"""A new topic is sound from the first minute, and an old one takes over what the template has learned since."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml
from studium.authoring import template
from studium.authoring.runner import OWN_CHECKS
from studium.errors import TopicError

from tests.authoring.conftest import failed

pytest.importorskip("copier")
INSTALLS = ("pip install ", "playwright install ")


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@localhost"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def committed(folder: Path) -> None:
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "as it was")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A topic as the template makes it; not to be changed."""
    new = template.NewTopic("soft-choice", "Soft choice", "My topics", tmp_path_factory.mktemp("made"), False)
    return template.make_topic(new)


@pytest.fixture
def copied(made, tmp_path):
    """A copy of it."""
    return shutil.copytree(made, tmp_path / made.name)


@pytest.fixture
def new(studium, tmp_path, monkeypatch):
    """new("soft-choice", …) → the folder of a topic made by the command."""

    def make(slug: str = "soft-choice", *options: str) -> Path:
        code, out, err = studium("new", "topic", slug, "--dir", str(tmp_path), *options)
        assert (code, err) == (0, "")
        return Path(out.split("made ")[1].split(";")[0])

    return make


def steps_of(folder: Path) -> list[str]:
    """The commands of the topic's own CI, as they stand in its file, without those that install what is here."""
    workflow = yaml.safe_load((folder / ".github" / "workflows" / "check.yml").read_text("utf-8"))
    steps = (step["run"] for step in workflow["jobs"]["check"]["steps"] if "run" in step)
    return [step for step in steps if not step.startswith(INSTALLS)]


def run_step(command: str, folder: Path) -> str:
    """Run a step of the CI as its author would, and return what it printed."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    own |= {"PATH": os.pathsep.join([sysconfig.get_path("scripts"), own["PATH"]]), "PYTEST_ADDOPTS": "-rA"}
    words = shlex.split(command)
    done = subprocess.run(words, cwd=folder, env=own, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.heavy
@pytest.mark.browser
def test_the_ci_of_a_new_topic_is_green_at_the_first_push(copied):
    said = "".join(run_step(step, copied) for step in steps_of(copied))
    assert {"PASSED .::widgets", "PASSED .::handouts"} <= set(said.splitlines())


def test_a_new_topic_passes_its_linter_and_the_checks_that_need_no_process_of_their_own(copied, checked):
    *linter, tests = steps_of(copied)
    assert [step.split()[0] for step in (*linter, tests)] == ["ruff", "ruff", "pytest"]
    assert failed(checked(copied, *(check.name for check in OWN_CHECKS if not check.apart))) == []
    hints = 'HINTS = (\n    "Look at the last axis, "\n    "and then at the first.",\n)\n'
    for step in linter:
        run_step(step, copied)
    (copied / "studium_topic_soft_choice" / "hints.py").write_text(hints)  # a hint over two lines is fine
    run_step("ruff check .", copied)


def test_a_topic_can_join_a_distribution(new, checked, tmp_path):
    wheel = '[tool.hatch.build.targets.wheel]\npackages = ["other"]\n'
    project = '[project]\nname = "mine"\n\n[project.entry-points.studium]\na = "b"\n\n'
    (tmp_path / "pyproject.toml").write_text(project + wheel)
    (tmp_path / "__init__.py").touch()
    folder = new("soft-choice", "--here", "--title", "Soft choice", "--track", "Tracks")
    assert (folder / "lesson.py").is_file()
    assert not (folder / "pyproject.toml").exists()
    assert not (tmp_path / "README.md").exists()
    settings = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    entries = settings["project"]["entry-points"]["studium"]
    assert entries == {"soft-choice": f"{tmp_path.name}.soft_choice", "a": "b"}
    assert settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["soft_choice", "other"]
    assert yaml.safe_load((folder / template.ANSWERS).read_text())["track"] == "Tracks"


def test_a_topic_that_joins_a_distribution_gets_into_its_wheel(tmp_path):
    project = tmp_path / "pyproject.toml"
    for listed, after in [("other", ["soft_choice", "other"]), (".", ["."]), ("", None)]:
        table = f'[tool.hatch.build.targets.wheel]\npackages = ["{listed}"]\n' if listed else ""
        project.write_text(f'[project]\nname = "mine"\n\n{table}')
        template._add_to_wheel(project, tmp_path / "soft_choice")
        tool = tomllib.loads(project.read_text()).get("tool")
        assert (tool and tool["hatch"]["build"]["targets"]["wheel"]["packages"]) == after


def test_a_bad_slug_is_a_usage_error(studium, tmp_path):
    for slug, said in [
        ("Soft Choice", "lowercase words joined by hyphens"),
        ("class", "a Python keyword"),
        ("9lives", "lowercase"),
    ]:
        code, _, err = studium("new", "topic", slug, "--dir", str(tmp_path))
        assert (code, said in err, list(tmp_path.iterdir())) == (2, True, [])


def test_a_folder_that_exists_is_left_alone(studium, copied, tmp_path):
    folder = copied
    (folder / "README.md").write_text("mine")
    code, _, err = studium("new", "topic", "soft-choice", "--dir", str(tmp_path))
    assert (code, "exists already" in err, (folder / "README.md").read_text()) == (2, True, "mine")


def test_without_a_pyproject_there_is_nothing_to_join(studium, tmp_path):
    code, _, err = studium("new", "topic", "soft-choice", "--dir", str(tmp_path), "--here")
    assert (code, "no pyproject.toml" in err) == (2, True)


@pytest.fixture
def two_versions(tmp_path_factory, monkeypatch):
    """Return the newest version of the template a successor, once the function that this gives is called."""
    folder = tmp_path_factory.mktemp("template") / "templates"
    shutil.copytree(template.TEMPLATES, folder)
    monkeypatch.setattr(template, "TEMPLATES", folder)

    def release() -> None:
        after = folder / "99.0.0"
        shutil.copytree(folder / template.newest_version(), after)
        lesson = after / "topic" / "{{folder}}" / "lesson.py.jinja"
        text = lesson.read_text("utf-8")
        lesson.write_text(text.replace("## Where to go next", "## Where to go from here"), "utf-8")
        (after / "topic" / "{{folder}}" / "glossary.md.jinja").write_text("# {% raw %}Glossary{% endraw %}\n")

    return release


@pytest.mark.parametrize("inside", [False, True], ids=["its own distribution", "inside another"])
def test_an_update_brings_what_is_new_and_keeps_what_the_author_wrote(
    new, copied, two_versions, studium, tmp_path, inside
):
    if inside:
        (tmp_path / "pyproject.toml").write_text('[project]\nname = "mine"\n')
    folder = new("soft-choice", "--here") if inside else copied
    package = folder if inside else folder / "studium_topic_soft_choice"
    mine = (package / "lesson.py").read_text("utf-8").replace("What it changes", "What happens")
    (package / "lesson.py").write_text(mine, "utf-8")
    committed(tmp_path if inside else folder)
    two_versions()
    assert studium("topic", "update", str(folder))[0] == 0
    text = (package / "lesson.py").read_text("utf-8")
    assert "## Where to go from here" in text
    assert "## What happens" in text
    assert (package / "glossary.md").read_text() == "# Glossary\n"
    assert yaml.safe_load((folder / template.ANSWERS).read_text())["_commit"] == "99.0.0"


def test_an_update_leaves_a_topic_that_has_its_exercises_in_one_file_as_it_is(copied, two_versions):
    package = copied / "studium_topic_soft_choice"
    single = (package / "exercises" / "soften.py").read_text("utf-8")
    shutil.rmtree(package / "exercises")
    (package / "exercises.py").write_text(single, "utf-8")
    committed(copied)
    two_versions()
    template.update_topic(copied)
    assert (package / "glossary.md").is_file()
    assert not (package / "exercises").exists()
    assert (package / "exercises.py").read_text("utf-8") == single


def test_an_update_wants_a_topic_of_the_template_that_is_committed(copied, tmp_path):
    with pytest.raises(TopicError, match="copier-answers"):
        template.update_topic(tmp_path)
    with pytest.raises(TopicError, match="could not be updated"):
        template.update_topic(copied)
