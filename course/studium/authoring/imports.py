"""Checks that every module imports, uses only the host's public names, and that metadata alone loads nothing heavy."""

import ast
import contextlib
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import studium
from studium.authoring.findings import Finding
from studium.authoring.subject import Subject
from studium.errors import StudiumError, TopicError
from studium.exercises.syntax import parse

PRIVATE = ("exercises", "reference")  # modules that student machines lack, or have in another form
HEAVY = ("torch", "plotly", "ipywidgets", "nbgrader", "sklearn")
_PROBE = "import sys; before = set(sys.modules); import {package}; print(*(set(sys.modules) - before))"


def modules_of(folder: Path) -> list[str]:
    """Return the names of a topic's modules except its lesson, which is not a module, and its tests."""
    names = sorted(path.stem for path in folder.glob("*.py"))
    own = [n for n in names if n not in ("__init__", "lesson", "conftest") and not n.startswith("test_")]
    return [*own, *(f"exercises.{path.stem}".removesuffix(".__init__") for path in _exercise_files(folder))]


def _exercise_files(folder: Path) -> list[Path]:
    return sorted((folder / "exercises").glob("*.py"))


def _file_of(folder: Path, name: str) -> Path:
    place = folder.joinpath(*name.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def imports(subject: Subject) -> Finding:
    """Import each module and build the lesson; import the package in a clean process and check what that loads."""
    failures = list(_failures(subject))
    problems = [*(failures or _unbuilt(subject)), *_heavy(subject), *_private(subject)]
    return Finding(problems, "all modules import, the lesson is built, and the metadata loads nothing heavy")


def _failures(subject: Subject) -> Iterator[str]:
    for name in modules_of(subject.folder):
        try:
            subject.topic.module(name)
        except TopicError as error:
            yield f"{error}; correct it"


def _unbuilt(subject: Subject) -> Iterator[str]:
    """Explain why the lesson cannot be built, which every later check would otherwise repeat."""
    try:
        subject.lesson  # noqa: B018 - it is built on first use
    except StudiumError as error:
        yield str(error)
    except Exception as error:
        yield f"the lesson must be built: {type(error).__name__}: {error}; correct what makes it"


def _heavy(subject: Subject) -> Iterator[str]:
    probe = [sys.executable, "-c", _PROBE.format(package=subject.topic.package)]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    for name in HEAVY:
        if name in loaded:
            yield (
                f"__init__.py must load only metadata: it imports {name}, and every studium command would have to "
                f"wait for that; import it in the module that needs it"
            )


def _private(subject: Subject) -> Iterator[str]:
    """Find imports that a topic may not rely on: the host's own modules, the graders, other topics, answers."""
    others = {topic.package for topic in subject.catalogue.lessons} - {subject.topic.package}
    for name in ("__init__", "lesson", *modules_of(subject.folder)):
        path = _file_of(subject.folder, name)
        tree, file = _tree(path), path.relative_to(subject.folder).as_posix()
        package = ".".join([subject.topic.package, *path.relative_to(subject.folder).parent.parts])
        for module, part in sorted(_imported(ast.walk(tree), package)):
            wanted = f"{module}.{part}".rstrip(".")
            if module.split(".")[0] == "studium" and (module != "studium" or part not in ("", *studium.__all__)):
                yield (
                    f"{file} may use only what `studium` itself exports: it imports {wanted}, which is private and "
                    f"may change; choose from: {', '.join(studium.__all__)}"
                )
            elif module.split(".")[0] == "studium_graders" or any(_inside(wanted, other) for other in others):
                yield f"{file} must work without other topics and the graders: it imports {wanted}; leave it out"
        for module, part in sorted(_imported(tree.body, package)) if name.split(".")[0] not in PRIVATE else ():
            if _inside(f"{module}.{part}", f"{subject.topic.package}.reference"):
                yield (
                    f"{file} must work on student machines, which have no reference.py: it imports that file; pass "
                    f"what it needs as an argument"
                )


def _tree(path: Path) -> ast.Module:
    """Parse a file; a missing or invalid file is treated as empty, because other checks report it."""
    with contextlib.suppress(FileNotFoundError, SyntaxError):
        return parse(path.read_text("utf-8"))
    return ast.Module([], [])


def _imported(nodes: Iterable[ast.AST], package: str) -> set[tuple[str, str]]:
    """Return (module, name) for each import, and for each name looked up in `studium`."""
    found: set[tuple[str, str]] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            found |= {(".".join([*above, *filter(None, [node.module])]), alias.name) for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "studium":
            found.add(("studium", node.attr))
    return found


def _inside(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")
