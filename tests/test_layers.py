"""Who may import whom (DESIGN): topics use the host's public names, the host knows nobody, widgets know nobody."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import studium

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "course/studium": {"studium"},
    "widgets/studium_widgets": {"studium_widgets"},
    "graders/studium_graders": {"studium", "studium_graders", "studium_widgets"},
    "graders/studium_classroom": {"studium", "studium_graders", "studium_classroom"},
    "plugins/studium_topics": {"studium", "studium_topics", "studium_widgets"},
}
OURS = {"studium", "studium_classroom", "studium_graders", "studium_topics", "studium_widgets"}


@cache
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


def test_the_files_of_a_layer_import_only_what_it_may():
    for folder in MAY_IMPORT:
        files = sorted((ROOT / folder).rglob("*.py"))
        assert files
        found = {str(path.relative_to(ROOT)): offences(path, path.read_text("utf-8")) for path in files}
        assert {path: bad for path, bad in found.items() if bad} == {}


def test_an_import_across_layers_is_seen():
    for path, text in [
        ("course/studium/x.py", "import studium_graders"),
        ("course/studium/classroom/x.py", "from studium_classroom.schema import Member"),
        ("graders/studium_graders/x.py", "import studium_classroom"),
        ("course/studium/x.py", "from studium_topics.lora import y"),
        ("widgets/studium_widgets/x.py", "from studium import Topic"),
        ("plugins/studium_topics/lora/x.py", "from studium_topics.ddpm import x"),
        ("plugins/studium_topics/lora/x.py", "from studium.catalogue.catalogue import load_catalogue"),
        ("plugins/studium_topics/lora/x.py", "def f():\n    import studium_graders"),
    ]:
        assert offences(ROOT / path, text)


ENGINE = ROOT / "graders/studium_graders/engine"
BELOW = {
    "material": set(),
    "intake": {"material"},
    "processes": {"material"},
    "sandbox": {"material", "processes"},
    "wire": {"material"},
    "kinds": {"material", "wire"},
    "judge_side": {"material", "wire", "kinds"},
    "student_side": {"material", "wire", "kinds", "processes", "sandbox"},
    "judge": {"material", "wire", "kinds", "judge_side", "student_side", "processes", "sandbox"},
}
"""Packages of the grading engine, and what each may import, under TYPE_CHECKING too; supervision may import all."""


def packages_imported(text: str) -> set[str]:
    """The packages of the engine that a file imports."""
    prefix = "studium_graders.engine"
    dotted = [f"{module}.{name}" if module == prefix else module for module, name in imports_of(text)]
    return {module.split(".")[2] for module in dotted if module.startswith(f"{prefix}.")}


def test_no_class_of_the_engine_has_more_than_40_methods_and_none_of_the_protocol_more_than_30():
    for path in ENGINE.rglob("*.py"):
        protocol = path.relative_to(ENGINE).parts[0] in ("wire", "kinds", "judge_side", "student_side", "judge")
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                methods = sum(isinstance(item, ast.FunctionDef) for item in node.body)
                assert methods <= (30 if protocol else 40), (path.name, node.name)


def test_a_package_of_the_engine_imports_from_those_below_it_alone():
    for package in BELOW:
        files = (ENGINE / package).rglob("*.py")
        found = {path.name: packages_imported(path.read_text("utf-8")) - BELOW[package] - {package} for path in files}
        assert {name: bad for name, bad in found.items() if bad} == {}


def test_the_engine_draws_nothing():
    texts = {path.name: path.read_text("utf-8") for path in ENGINE.rglob("*.py")}
    assert [
        name for name, text in texts.items() if any(module == "studium_widgets" for module, _ in imports_of(text))
    ] == []


def test_the_packages_of_the_engine_have_an_order():
    order = list(BELOW)
    assert all(order.index(lower) < order.index(package) for package, below in BELOW.items() for lower in below)
    assert {path.parent.name for path in ENGINE.glob("*/__init__.py")} == {*BELOW, "supervision"}
    assert [path.name for path in ENGINE.glob("*.py")] == ["__init__.py"]


ORDER = {
    "studium": (
        "errors",
        "workers",
        "exercises",
        "topics",
        "notebooks",
        "catalogue",
        "experiments",
        "desk",
        "lesson",
        "classroom",
        "server",
        "site",
        "authoring",
        "cli",
    ),
    "studium_graders": (
        "course",
        "gradebook",
        "engine",
        "results",
        "assignments",
        "class_list",
        "grading",
        "feedback",
        "marking",
        "report",
        "lms",
        "commands",
        "plugin",
    ),
}
"""Folders and modules of a package, each of which imports from those before it alone, for type checks, too."""
PLACES = {"studium_graders": {"nbgrader_config": "course", "starting_cells": "assignments"}}
"""Modules that stay where they are because courses' own files name them, and the folders that they belong to."""
ASKED_FOR = {("studium.exercises.comparison", "studium.catalogue.plugins")}  # when it is called, and not before


def against_the_order(package: str, module: str, text: str) -> list[str]:
    """What a module imports of its package that comes after its own folder."""
    ranks = {name: rank for rank, name in enumerate(ORDER[package])}
    ranks |= {name: ranks[folder] for name, folder in PLACES.get(package, {}).items()}
    own = ranks[module.split(".")[1]]
    dotted = [f"{found}.{name}" if found == package else found for found, name in imports_of(text)]
    return [
        found
        for found in dotted
        if found.startswith(f"{package}.") and ranks.get(found.split(".")[1], -1) > own
        if (module, found) not in ASKED_FOR
    ]


def modules_in_folders(package: str) -> dict[str, str]:
    """The text of each module of a package but its own ``__init__`` and ``__main__``."""
    base = next(ROOT / folder for folder in MAY_IMPORT if folder.endswith(f"/{package}"))
    files = {path.relative_to(base.parent).with_suffix(""): path for path in base.rglob("*.py")}
    dotted = {".".join(place.parts).removesuffix(".__init__"): path for place, path in files.items()}
    return {
        name: path.read_text("utf-8")
        for name, path in dotted.items()
        if name != package and not name.endswith("__main__")
    }


def test_a_folder_imports_from_those_before_it_alone():
    for package in ORDER:
        texts = modules_in_folders(package)
        assert {name.split(".")[1] for name in texts} == {*ORDER[package], *PLACES.get(package, {})}
        found = {name: against_the_order(package, name, text) for name, text in texts.items()}
        assert {name: bad for name, bad in found.items() if bad} == {}


def test_a_package_has_at_most_twelve_folders():
    for package in ORDER:
        base = next(ROOT / folder for folder in MAY_IMPORT if folder.endswith(f"/{package}"))
        folders = sorted(path.parent.name for path in base.glob("*/__init__.py"))
        assert len(folders) <= 12, folders


def test_an_import_against_the_order_is_seen():
    for module, text in [
        ("studium.exercises.x", "from studium.desk.store import Store"),
        ("studium.exercises.x", "def f():\n    from studium import desk"),
        ("studium_graders.gradebook.x", "from studium_graders.engine.judge import scoring"),
        ("studium_graders.nbgrader_config", "import studium_graders.results.store"),
    ]:
        assert against_the_order(module.split(".")[0], module, text)
