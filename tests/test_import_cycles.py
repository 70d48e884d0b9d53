"""No module of the repository imports, by whatever way round, a module that imports it."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ("course", "graders", "plugins", "widgets")


def modules_of(folders: list[Path]) -> dict[str, str]:
    """Return the text of each module below some folders, by its dotted name; a package goes by its own name."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text("utf-8")
    return found


def needs_of(texts: dict[str, str]) -> dict[str, set[str]]:
    """Return what each module imports of the others, in functions and for type checks, too.

    A name that a package has from one of its modules is imported from there; what a package passes on, it does not
    need itself.
    """
    trees = {name: ast.parse(text) for name, text in texts.items()}
    packages = {name for name in texts if any(other.startswith(f"{name}.") for other in texts)}
    imports = {
        name: list(_imports(tree, name if name in packages else name.rpartition(".")[0]))
        for name, tree in trees.items()
    }
    passed_on = {
        (package, known): (module, name)
        for package in packages
        for module, name, known in imports[package]
        if name == known and name and f"{module}.{name}" not in texts
    }
    needs: dict[str, set[str]] = {}
    for owner, found in imports.items():
        needs[owner] = set()
        for module, name, known in found:
            if passed_on.get((owner, known)) == (module, name):
                continue
            while (module, name) in passed_on:
                module, name = passed_on[module, name]
            needs[owner] |= {f"{module}.{name}" if f"{module}.{name}" in texts else module} & texts.keys() - {owner}
    return needs


def _imports(tree: ast.Module, package: str) -> list[tuple[str, str, str]]:
    """Return (module, name, name here) of each import; the names are "" if the module itself is imported."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, "", "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            found += [(module, alias.name, alias.asname or "") for alias in node.names]
    return found


def in_a_circle(needs: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the modules that reach themselves, each with what it imports of those."""
    left = {name: set(needed) for name, needed in needs.items()}
    while free := {name for name, needed in left.items() if not needed & left.keys()}:
        left = {name: needed for name, needed in left.items() if name not in free}
    while unused := left.keys() - set().union(*left.values()):
        left = {name: needed for name, needed in left.items() if name not in unused}
    return {name: needed & left.keys() for name, needed in left.items()}


def test_no_module_imports_one_that_imports_it():
    texts = modules_of([ROOT / folder for folder in SOURCES])
    assert len(texts) > 500
    assert in_a_circle(needs_of(texts)) == {}


def test_a_circle_is_seen():
    for texts in [
        {"a": "import b", "b": "import a"},
        {"a": "def f():\n    import b", "b": "from a import f"},
        {"a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import b", "b": "import c", "c": "import a"},
        {"p": "", "p.a": "from . import b", "p.b": "from .a import x"},
        {"p": "from p.a import x as x", "p.a": "import p.b", "p.b": "from p import x"},
    ]:
        assert in_a_circle(needs_of(texts)) != {}


def test_what_a_package_passes_on_it_does_not_need():
    texts = {"p": "from p.a import x as x\nmark = 1", "p.a": "from p import mark"}
    assert in_a_circle(needs_of(texts)) == {}
