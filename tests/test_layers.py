"""Who may import whom (DESIGN): topics use the host's public names, the host knows nobody, widgets know nobody."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import studium

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "course/studium": {"studium"},
    "widgets/studium_widgets": {"studium_widgets"},
    "graders/studium_graders": {"studium", "studium_graders"},
    "plugins/studium_topics": {"studium", "studium_topics", "studium_widgets"},
}
OURS = {"studium", "studium_graders", "studium_topics", "studium_widgets"}
FILES = sorted(path for folder in MAY_IMPORT for path in (ROOT / folder).rglob("*.py"))


def imports_of(text: str) -> list[tuple[str, str]]:
    """(module, name) of each import of ours; name is "" for a plain import."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, alias.name) for alias in node.names]
    return [(module, name) for module, name in found if module.split(".")[0] in OURS]


def offences(path: Path, text: str) -> list[str]:
    """What a file imports that its layer must not."""
    folder = next(folder for folder in MAY_IMPORT if path.is_relative_to(ROOT / folder))
    bad = [module for module, _ in imports_of(text) if module.split(".")[0] not in MAY_IMPORT[folder]]
    if folder == "plugins/studium_topics":
        bad += _private(path, text)
    return bad


def _private(path: Path, text: str) -> list[str]:
    topic = path.relative_to(ROOT / "plugins/studium_topics").parts[0]
    is_test = path.name.startswith("test_")
    bad = []
    for module, name in imports_of(text):
        package, *rest = module.split(".")
        if package == "studium" and not is_test and (rest or name not in studium.__all__):
            bad.append(f"{module}.{name}")
        if package == "studium_topics" and (rest or [name])[0] not in (topic, "kits"):
            bad.append(f"{module}.{name}")
    return bad


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_its_layer_may(path):
    assert offences(path, path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("course/studium/x.py", "import studium_graders"),
        ("course/studium/x.py", "from studium_topics.lora import y"),
        ("widgets/studium_widgets/x.py", "from studium import Topic"),
        ("plugins/studium_topics/lora/x.py", "from studium_topics.ddpm import x"),
        ("plugins/studium_topics/lora/x.py", "from studium.catalogue import load_catalogue"),
        ("plugins/studium_topics/lora/x.py", "def f():\n    import studium_graders"),
    ],
)
def test_an_import_across_layers_is_seen(path, text):
    assert offences(ROOT / path, text)
