"""What a release needs: notes from the changelog, and constraints with the oldest versions that we support."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import studium
import yaml

ROOT = Path(__file__).parents[1]
CHANGELOG = (
    "# Changelog\n\n## Unreleased\n\n- new\n\n## 0.2.0 - 2027-01-31\n\n### Added\n\n- a door\n\n## 0.1.0\n\n- old"
)


@pytest.fixture(scope="module")
def notes():
    spec = importlib.util.spec_from_file_location("release_notes", ROOT / ".ci" / "release_notes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.notes


def test_the_notes_of_a_release_are_its_section_of_the_changelog(notes):
    for version, found in [("0.2.0", "### Added\n\n- a door"), ("0.1.0", "- old")]:
        assert notes(f"v{version}", CHANGELOG, version) == found


def test_a_release_that_is_not_ready_ends_with_a_sentence(notes):
    for tag, version, sentence in [
        ("v0.2.1", "0.2.0", "the tag must be v0.2.0, the version in course/studium/__init__.py: got v0.2.1; correct"),
        ("v0.3.0", "0.3.0", "CHANGELOG.md needs a section '## 0.3.0' with its date; rename 'Unreleased'"),
    ]:
        with pytest.raises(SystemExit, match=f"^{re.escape(sentence)}"):
            notes(tag, CHANGELOG, version)


def test_the_constraints_name_the_oldest_version_of_all_that_we_depend_on():
    done = subprocess.run([sys.executable, ".ci/oldest.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = set(done.stdout.splitlines())
    assert {line.replace(">=", "==") for line in project["dependencies"]} < lines
    assert all(re.fullmatch(r"[\w.-]+==[\d.]+", line) for line in lines)
    assert any(line.startswith("torch==") for line in lines)


def test_the_hosted_tests_run_on_every_python_that_the_package_names_and_with_the_oldest_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = {found[1] for line in project["classifiers"] if (found := re.fullmatch(r".* :: (3\.\d+)", line))}
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    assert named <= set(matrix["python"])
    oldest = min(matrix["python"])
    assert project["requires-python"] == f">={oldest}"
    assert matrix["include"] == [{"python": oldest, "dependencies": "oldest"}]


def test_the_version_stands_in_one_place_and_a_wheel_has_it():
    done = subprocess.run([sys.executable, "-m", "hatchling", "version"], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.decode().strip() == studium.__version__


def test_the_newest_version_in_the_changelog_is_the_packages_and_the_citations_with_its_day():
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.findall(r"^## (.+)", changelog, re.MULTILINE)[0] == "Unreleased"
    newest = re.search(r"^## ([\d.]+) — (\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE)
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert newest
    assert newest.groups() == (studium.__version__, str(cited["date-released"]))
    assert cited["version"] == studium.__version__
