"""What holds for every kit: it ships to students, works alone, and downloads nothing."""

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(find_spec("studium_topics.kits").submodule_search_locations[0])
MODULES = sorted(FOLDER.glob("[a-z]*.py"))
ALLOWED = {"numpy", "rich", "sklearn", "tokenizers", "torch"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else node.module.partition(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_kit_imports_only_the_libraries_that_every_student_has(path):
    assert set(imported(path)) - sys.stdlib_module_names <= ALLOWED


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_public_function_and_class_of_a_kit_says_what_it_gives(path):
    definitions = (ast.FunctionDef, ast.ClassDef)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, definitions) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.stem}.{node.name}"


def test_the_kits_are_found_without_importing_torch():
    code = "import sys, studium_topics.kits; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
