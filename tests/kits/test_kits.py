"""What holds for every kit: it ships to students, works without any topic, and downloads nothing."""

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(find_spec("studium_topics.kits").submodule_search_locations[0])
MODULES = sorted(FOLDER.glob("[a-z]*.py"))
ALLOWED = {"numpy", "rich", "sklearn", "studium", "studium_widgets", "tokenizers", "torch", "traitlets"}
KITS = "studium_topics.kits"


def imported(source):
    """Yield the top-level package of each import, or the kits' own: all of them ship, so one may build on another."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["." * node.level + (node.module or "")]
        else:
            continue
        yield from (KITS if f"{name}.".startswith(f"{KITS}.") else name.partition(".")[0] for name in names)


def test_a_kit_imports_only_other_kits_and_the_libraries_that_every_student_has():
    for path in MODULES:
        assert set(imported(path.read_text(encoding="utf-8"))) - sys.stdlib_module_names <= ALLOWED | {KITS}


def test_a_kit_that_imports_a_topic_or_an_unknown_library_is_noticed():
    for line in [
        "import diffusers",
        "from . import film",
        "from studium_topics import kits_2",
        "import studium_topics.lora.model",
    ]:
        assert not set(imported(line)) <= ALLOWED | {KITS}


def test_every_public_function_and_class_of_a_kit_says_what_it_gives():
    for path in MODULES:
        definitions = (ast.FunctionDef, ast.ClassDef)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, definitions) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.stem}.{node.name}"


def test_the_kits_are_found_without_importing_torch():
    code = "import sys, studium_topics.kits; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
