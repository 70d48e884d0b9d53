"""The public edition of a topic's exercises, whether they are one file or a folder with a file for each.

In a folder, only the files of exercises that its ``__init__.py`` lists are public; nothing else in it is handed out.
"""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

from studium.errors import ExerciseError
from studium.exercises.syntax import parse

from studium_graders.course.public_exercises import HEADER, public_source

FILE, FOLDER = "exercises.py", "exercises"
_LIST = f"{FOLDER}/__init__.py"


def exercise_sources(topic: Path) -> dict[str, str]:
    """Return the text of each file with a topic's exercises, by its path in the topic's folder."""
    paths = [*topic.glob(FILE), *sorted(topic.glob(f"{FOLDER}/*.py"))]
    return {path.relative_to(topic).as_posix(): path.read_text("utf-8") for path in paths}


def public_edition(sources: Mapping[str, str], topic: str, *, hints: bool = True) -> dict[str, str]:
    """Return the public text of each public file; ``topic`` is the topic's folder, for messages.

    Raise ExerciseError if that is not possible, so nothing secret is published by mistake.
    """
    if FILE in sources and len(sources) > 1:
        raise ExerciseError(f"{topic} must have {FILE} or the folder {FOLDER}: it has both; delete one of them")
    if FILE in sources:
        return {FILE: public_source(sources[FILE], f"{topic}/{FILE}", hints=hints)}
    if not sources:
        return {}
    names = _listed(sources.get(_LIST, ""), f"{topic}/{_LIST}")
    files = {f"{FOLDER}/{name}.py": _exercise(sources, name, topic, hints=hints) for name in names}
    return {_LIST: _list_of(names), **files}


def _listed(source: str, name: str) -> list[str]:
    """Return the names in the tuple ``exercises`` of an ``__init__.py``."""
    try:
        body = parse(source).body
    except SyntaxError as error:
        raise ExerciseError(f"{name} must be Python: {error.msg} in line {error.lineno}; correct it") from error
    values = [node.value for node in body if isinstance(node, ast.Assign) and _is_list(node)]
    names = [getattr(item, "id", "") for value in values for item in getattr(value, "elts", [""])]
    if len(values) != 1 or not all(names):
        raise ExerciseError(f"{name} needs one tuple exercises = (…) of names: write it, in the lesson's order")
    return names


def _is_list(node: ast.Assign) -> bool:
    return [getattr(target, "id", "") for target in node.targets] == ["exercises"]


def _exercise(sources: Mapping[str, str], name: str, topic: str, *, hints: bool) -> str:
    path = f"{FOLDER}/{name}.py"
    if path not in sources:
        raise ExerciseError(
            f"{topic}/{_LIST} lists {name}, which must be in {path}, but that file does not exist; move it there"
        )
    text = public_source(sources[path], f"{topic}/{path}", hints=hints, in_folder=True)
    if not re.search(rf"^def {name}\(", text, re.MULTILINE):
        raise ExerciseError(f"{topic}/{path} must define the exercise {name}, but does not; rename one of them")
    return text


def _list_of(names: list[str]) -> str:
    imports = "".join(f"from .{name} import {name}\n" for name in sorted(names))
    return f"{HEADER}\n\n{imports}\nexercises = ({''.join(f'{name}, ' for name in names).rstrip()})\n"
