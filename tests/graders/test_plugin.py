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
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.strip() == "[]"


def test_each_command_explains_itself(studium: Studium) -> None:
    for command in (("assign",), ("feedback",), ("export",), ("student-wheel",), ("new", "course")):
        code, out, _ = studium(*command, "--help")
        assert (code, "Usage" in out) == (0, True)


def test_without_the_extra_a_command_says_what_to_install(studium: Studium, monkeypatch: pytest.MonkeyPatch) -> None:
    for command, needs in {"assign": "nbgrader", "feedback": "nh3", "student-wheel": "wheel"}.items():
        without = lambda name, lacks=needs: None if name == lacks else find_spec(name)  # noqa: E731
        monkeypatch.setattr(studium_graders.commands.extra, "find_spec", without)
        code, _, err = studium(command, "ps1")
        assert code == 1
        assert f"this command needs {needs}, which is not installed; run: pip install 'studium[grade]'" in err


def test_an_unknown_assignment_is_a_usage_error(counting: Catalogue, make_course: Callable, studium: Studium) -> None:
    code, _, err = studium("assign", "ps9", "--course", str(make_course()))
    assert (code, "unknown assignment 'ps9'; did you mean 'ps1'?" in err) == (2, True)
