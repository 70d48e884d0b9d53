"""`make test` runs a fixed sample of what is heavy, `make test-all` all of it; both say what is left out, and late."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pathlib, pytest

def note(name):
    pathlib.Path(f"ran-{name}").touch()

@pytest.mark.sample(2)
@pytest.mark.parametrize("case", CASES)
def test_of_many(case):
    note(case)

@pytest.mark.heavy
def test_long():
    note("long")

@pytest.mark.sample(1)
@pytest.mark.parametrize("case", [pytest.param("marked", marks=pytest.mark.heavy), "plain"])
def test_with_a_marked_case(case):
    note(case)

def test_that_cannot_run():
    pytest.skip("no such device")
"""
OF_A_FILE = """
import pathlib, pytest
pytestmark = pytest.mark.sample(1, of="browser")

def test_plain():
    pathlib.Path("ran-without").touch()

@pytest.mark.browser
def test_one():
    pathlib.Path("ran-browser-one").touch()

@pytest.mark.browser
def test_two():
    pathlib.Path("ran-browser-two").touch()
"""
PLUGINS = ("-p", "xdist", "-p", "pytest_rerunfailures")
LATE = """
import pathlib, pytest

def there_before(name):
    file = pathlib.Path(name)
    return file.exists() or file.touch()

@pytest.mark.browser
def test_in_a_browser():
    assert there_before("late-browser")

def test_elsewhere():
    assert there_before("late-elsewhere")
"""
SETTINGS = """[pytest]
markers =
  heavy: as ours
  sample: as ours
  browser: as ours
  timeout: as ours
addopts = --strict-markers -raR
"""


@pytest.fixture
def run(tmp_path: Path):
    """run("abc", "-m", "not heavy") → (the cases that ran, what was said) of the tests with these cases."""
    shutil.copy(Path(__file__).parents[1] / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    folder = tmp_path / "tests" / "some"
    folder.mkdir(parents=True)
    (folder.parent / "test_file.py").write_text(OF_A_FILE)

    def run_tests(cases: str, *options: str, code: int = 0) -> tuple[set[str], str]:
        (folder / "test_it.py").write_text(TESTS.replace("CASES", repr([f"case-{letter}" for letter in cases])))
        for path in tmp_path.glob("ran-*"):
            path.unlink()
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *PLUGINS, *options]
        alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return {path.name.removeprefix("ran-") for path in tmp_path.glob("ran-*")}, done.stdout

    return run_tests


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_of_heavy_cases_a_sample_runs_and_the_others_are_counted_by_folder(run, workers):
    ran, said = run("abcdef", "-m", "not heavy", *workers)
    sample = {name for name in ran if name.startswith("case-")}
    of_the_file = {name for name in ran if name.startswith("browser-")}
    assert (len(sample), len(of_the_file), ran - sample - of_the_file) == (2, 1, {"plain", "without"})
    assert "left out: 7 heavy tests, which `make test-all` runs\n     6  tests/some\n     1  tests\n" in said
    assert "left out: 1 tests that cannot run here, each with its reason above" in said


def test_everything_runs_without_a_choice_and_what_skipped_itself_is_said(run):
    ran, said = run("abcdef")
    assert len(ran) == 12
    assert "heavy tests" not in said
    assert "left out: 1 tests that cannot run here" in said


def test_the_sample_is_the_same_at_each_run_and_a_new_case_changes_one_of_it_at_most(run):
    first, second, more = (run(cases, "-m", "not heavy")[0] for cases in ("abcdef", "fedcba", "abcdefg"))
    assert first == second
    assert len(first - more) <= 1


def test_where_nothing_is_left_out_that_is_said(run):
    assert "left out: nothing" in run("ab", "tests/some/test_it.py::test_of_many")[1]


def test_a_test_in_a_browser_that_fails_runs_once_more_and_is_named_and_no_other(run, tmp_path):
    (tmp_path / "test_late.py").write_text(LATE)
    said = run("", "-n", "2", "test_late.py", code=1)[1]
    assert "passed at the second run only: test_late.py::test_in_a_browser\n" in said
    assert "1 failed, 1 passed, 1 rerun" in said
