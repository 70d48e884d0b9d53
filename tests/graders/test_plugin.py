"""The graders as a plugin: their commands, and what loading them costs."""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec

import pytest
import studium_graders.commands.extra
from studium.catalogue.catalogue import Catalogue

Studium = Callable[..., tuple[int, str, str]]


def test_loading_the_catalogue_and_the_commands_imports_neither_nbgrader_nor_torch() -> None:
    program = (
        "import sys; from studium.catalogue.catalogue import load_catalogue; from studium.cli.app import build_app;"
        "build_app(load_catalogue()); print(sorted({'nbgrader', 'torch', 'sqlalchemy', 'wheel'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [("assign",), ("feedback",), ("export",), ("student-wheel",), ("new", "course")])
def test_each_command_explains_itself(command: tuple[str, ...], studium: Studium) -> None:
    code, out, _ = studium(*command, "--help")
    assert (code, "Usage" in out) == (0, True)


@pytest.mark.parametrize(
    ("command", "needs"), [("assign", "nbgrader"), ("feedback", "nh3"), ("student-wheel", "wheel")]
)
def test_without_the_extra_a_command_says_what_to_install(
    command: str, needs: str, studium: Studium, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = {needs: None}
    monkeypatch.setattr(studium_graders.commands.extra, "find_spec", lambda name: without.get(name, find_spec(name)))
    code, _, err = studium(command, "ps1")
    assert code == 1
    assert f"this command needs {needs}, which is not installed; run: pip install 'studium[grade]'" in err


def test_an_unknown_assignment_is_a_usage_error(counting: Catalogue, make_course: Callable, studium: Studium) -> None:
    code, _, err = studium("assign", "ps9", "--course", str(make_course()))
    assert (code, "unknown assignment 'ps9'; did you mean 'ps1'?" in err) == (2, True)
