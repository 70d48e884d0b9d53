"""Each package that our code imports is one that the part of Studium it belongs to asks pip for."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
EXTRAS = {  # those that install what a folder needs beyond the dependencies of everybody
    "course/studium": {"author", "grade", "topics"},
    "graders/studium_classroom": {"classroom", "grade"},
    "graders/studium_graders": {"dask", "grade"},
    "plugins/studium_topics": {"gpu", "oracles", "topics"},
    "widgets/studium_widgets": {"conformance"},
}
NOT_IMPORTED = {"notebook"}  # an application that is started


def imported(folder: Path) -> set[str]:
    """The top-level names that the files of a folder import from elsewhere; tests and templates are left out."""
    found = set()
    for path in folder.rglob("*.py"):
        if path.name.startswith(("test_", "conftest")) or "templates" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return {name for name in found if name not in sys.stdlib_module_names and not name.startswith("studium")}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extras: set[str]) -> set[str]:
    """The distributions that an installation with these extras asks for, and with the extras that those name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [Requirement(line) for extra in extras for line in project["optional-dependencies"][extra]]
    own = {extra for line in asked if line.name == "studium" for extra in line.extras}
    if own - extras:
        return declared(extras | own)
    asked += map(Requirement, project["dependencies"])
    return {normalised(line.name) for line in asked if line.name != "studium"}


def undeclared(names: set[str], asked_for: set[str]) -> set[str]:
    """The names that no distribution asked for provides."""
    providers = packages_distributions()
    return {name for name in names if not asked_for & {normalised(found) for found in providers.get(name, [])}}


def test_what_a_folder_imports_is_declared_and_every_dependency_of_everybody_is_used():
    names = {folder: imported(ROOT / folder) for folder in EXTRAS}
    for folder, extras in EXTRAS.items():
        assert names[folder]
        assert undeclared(names[folder], declared(extras)) == set()
    providers = packages_distributions()
    used = {normalised(found) for name in set().union(*names.values()) for found in providers.get(name, [])}
    assert declared({"topics"}) - used == NOT_IMPORTED


def test_a_package_that_nobody_asks_for_is_seen():
    assert undeclared({"numpy", "nbgrader", "no_such_thing"}, {"numpy"}) == {"nbgrader", "no_such_thing"}
