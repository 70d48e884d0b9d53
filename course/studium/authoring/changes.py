"""Which checks and exercises a change to a topic's files may affect."""

import ast
from collections import defaultdict
from collections.abc import Iterable
from fnmatch import fnmatch

from studium.exercises.syntax import parse

_FORMS = ("lesson forms", "ladder")
_TEXT = ("secrecy", "spelling", "plain English", "reading time", "handouts", "lesson", "offline")
_ANSWERS = (
    "solutions",
    "robustness",
    "vacuous answers",
    "stubs",
    "misconceptions",
    "test cells",
    "tests run apart",
    "reference",
    "mutants",
    "tests can fail",
    "repeatability",
    "tolerances",
    "promises",
    "copies",
)
# The first pattern that matches a file's name decides what depends on it.
_TOUCHED: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "lesson.py",
        (*_TEXT, "imports", "papers", "links", "alternative texts", "headings", "cell ids", "notation", *_FORMS),
    ),
    ("exercises.py", ("imports", "names", "exercise parts", *_ANSWERS, *_TEXT, "own tests", *_FORMS)),
    ("reference.py", ("imports", "reference", "copies", "own tests", "claims", "control")),
    ("experiment.py", ("imports", "metadata", "secrecy", "claims", "control", "lesson", "offline")),
    (
        "__init__.py",
        (
            "imports",
            "metadata",
            "prerequisites",
            "names",
            "spelling",
            "plain English",
            "papers",
            "links",
            "reading time",
            "cell ids",
        ),
    ),
    ("test_*.py", ("own tests",)),
    ("*.js", ("widgets", "secrecy")),
    ("*.css", ("widgets",)),
    ("*.svg", ("lesson",)),
    ("*.py", ("imports", "secrecy", "own tests", "lesson", "offline", "claims", "control", "widgets")),
)


def touched_checks(files: Iterable[str]) -> set[str]:
    """Return the names of the checks that depend on these files in the topic's folder."""
    found: set[str] = set()
    for file in files:
        name = "exercises.py" if is_of_exercises(file) else file.rpartition("/")[2]
        found.update(next((checks for pattern, checks in _TOUCHED if fnmatch(name, pattern)), ()))
    return found


def is_of_exercises(file: str) -> bool:
    """Return whether a file, given by its path inside the topic's folder, contains exercises."""
    return file == "exercises.py" or fnmatch(file, "exercises/*.py")


def exercises_in(files: Iterable[str]) -> set[str]:
    """Return the exercises whose own files are among these; none if it could be any, because several share a file."""
    names = [file.removeprefix("exercises/").removesuffix(".py") for file in files if is_of_exercises(file)]
    return set() if any(name.startswith("_") or "/" in name for name in names) else set(names)


def changed_exercises(before: str, after: str) -> set[str] | None:
    """Return the exercises whose part of ``exercises.py`` changed; None if it could be any of them."""
    try:
        old, new = _parts(before), _parts(after)
    except SyntaxError:
        return None
    names = {name for name in (*old, *new) if old.get(name) != new.get(name)}
    return None if "" in names else names & set(new)


def _parts(text: str) -> dict[str, list[str]]:
    """Return the statements that make up each exercise; "" has all the rest."""
    parts: defaultdict[str, list[str]] = defaultdict(list)
    for node in parse(text).body:
        parts[_owner(node)].append(ast.get_source_segment(text, node) or "")
        if isinstance(node, ast.FunctionDef):
            parts[_owner(node)] += [ast.unparse(item) for item in node.decorator_list]
    return dict(parts)


def _owner(node: ast.stmt) -> str:
    calls = node.decorator_list if isinstance(node, ast.FunctionDef) else [getattr(node, "value", None)]
    for item in calls:
        target = item.func if isinstance(item, ast.Call) else item
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            return target.value.id
    return node.name if isinstance(node, ast.FunctionDef) and calls else ""
