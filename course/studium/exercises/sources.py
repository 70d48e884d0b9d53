"""The text of exercises: stubs, solutions and self-contained test cells, cut from the author's own source."""

import ast
import builtins
import inspect
import re
import symtable
import textwrap
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache

from studium.errors import ExerciseError
from studium.exercises.definitions import definition
from studium.exercises.model import AnyFunction, Exercise, Test, is_exercise_file
from studium.exercises.starting_code import with_code
from studium.exercises.syntax import parse

_REGION = re.compile(
    r"^(?P<indent>[ \t]*)### BEGIN SOLUTION[ \t]*\n.*?^[ \t]*### END SOLUTION[ \t]*\n?", re.MULTILINE | re.DOTALL
)
_MARKER = re.compile(r"^[ \t]*### (BEGIN|END) SOLUTION[ \t]*\n?", re.MULTILINE)
# The same two lines that nbgrader's ClearSolutions leaves, so every edition has the same stub.
_STUB = "{indent}# YOUR CODE HERE\n{indent}raise NotImplementedError()\n"


def marked(exercise: Exercise) -> str:
    """Return the solution with its markers, without its decorator, which nbgrader calls the source version."""
    text = definition(exercise.solution)
    if not _REGION.search(text):
        raise ExerciseError(
            f"{exercise.id} needs its solution between ### BEGIN SOLUTION and ### END SOLUTION; add the two lines"
        )
    return text


def stub(exercise: Exercise) -> str:
    """Return what the learner starts from: the code of the mistake that is shown, or an unwritten function."""
    if exercise.public or exercise.shown is None:
        return unwritten(exercise)
    return with_code(marked(exercise), definition(exercise.shown.function))


def unwritten(exercise: Exercise) -> str:
    """Return the function without its solution, whatever the learner starts from; in the public edition its public
    part.
    """
    return definition(exercise.solution) if exercise.public else without_solution(marked(exercise))


def without_solution(text: str) -> str:
    """Return a function's text with each solution region replaced by the stub, or "" if it has no region."""
    stubbed, regions = _REGION.subn(lambda match: _STUB.format(indent=match["indent"]), text)
    return stubbed.rstrip() + "\n" if regions else ""


def answered(exercise: Exercise, body: str) -> str:
    """Return an exercise's function with ``body`` instead of its solution."""
    return _REGION.sub(lambda match: textwrap.indent(body.rstrip() + "\n", match["indent"]), marked(exercise))


def solved(exercise: Exercise) -> str:
    """Return the solution without markers."""
    return _MARKER.sub("", marked(exercise)).rstrip() + "\n"


def seed_of(topic: str, exercise: Exercise, test: Test) -> int:
    """Return the public seed of a test, the same on every machine and in every edition."""
    return zlib.crc32(f"{topic}/{exercise.id}/{test.name}".encode())


def test_cell(topic: str, exercise: Exercise, test: Test) -> str:
    """Write a test as a cell that needs only the learner's function, with random data from its public seed."""
    name = f"test_{exercise.id}"
    body = re.sub(r"^def \w+\(", f"def {name}(", definition(test.function), count=1, flags=re.MULTILINE)
    imports = imports_used(test.function, {exercise.id}, f"test {test.name!r} of {exercise.id}")
    arguments, seed = exercise.id, seed_of(topic, exercise, test)
    if test.mutates_args is not None:
        imports = sorted({*imports, "from studium import keeps_arguments"})
        arguments = f"keeps_arguments({exercise.id}{f', {test.mutates_args!r}' if test.mutates_args else ''})"
    if test.wants_rng:
        imports = sorted({*imports, "import torch"})
        arguments += f", rng=torch.Generator().manual_seed({seed})"
    seeding = [f"torch.manual_seed({seed})"] if "import torch" in imports else []  # as when an answer is judged
    return "\n".join([*imports, "", "", body.rstrip(), "", "", *seeding, f"{name}({arguments})"]).lstrip() + "\n"


def imports_used(function: AnyFunction, known: Iterable[str], what: str) -> list[str]:
    """Return the import statements that a function needs from its module, sorted.

    Raise ExerciseError for a name that is neither imported, nor built in, nor in ``known``.
    """
    available = dict(_imports_of(function))
    free = global_names(definition(function)) - set(dir(builtins)) - set(known)
    if missing := sorted(free - set(available)):
        raise ExerciseError(f"{what} uses {missing[0]!r}, which its module does not import; import it or pass it in")
    return sorted({available[name] for name in free})


def public_imports(exercise: Exercise) -> list[str]:
    """Return the imports of a public exercise's module, where the solution and what it needs are missing."""
    found = _imports_of(exercise.solution)
    return sorted({line for _, line in found if not line.startswith(("from studium ", "from __future__"))})


def is_of_exercise(node: ast.Import | ast.ImportFrom) -> bool:
    """Return whether a statement in a file of ``exercises/`` imports another of its files, which notebooks never do."""
    if isinstance(node, ast.ImportFrom) and node.level:
        return node.level == 1 or (node.module or "").split(".")[0] == "exercises"
    modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [item.name for item in node.names]
    return any("exercises" in module.split(".") for module in modules)


def _imports_of(function: AnyFunction) -> tuple[tuple[str, str], ...]:
    """Return (name, statement) for each import of a function's module, except other exercises."""
    module = inspect.getmodule(function)
    assert module is not None
    return _imports(inspect.getsource(module), is_exercise_file(module.__name__))


# Called for each test and each solution of a module, and parsing the module takes most of the time.
@lru_cache(maxsize=1024)
def _imports(source: str, of_exercise: bool) -> tuple[tuple[str, str], ...]:
    return tuple(_imported(parse(source), of_exercise))


def _imported(module: ast.Module, of_exercise: bool) -> Iterator[tuple[str, str]]:
    for node in module.body:
        if isinstance(node, ast.Import | ast.ImportFrom) and not (of_exercise and is_of_exercise(node)):
            prefix = f"from {'.' * node.level}{node.module or ''} " if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                suffix = f" as {alias.asname}" if alias.asname else ""
                yield (alias.asname or alias.name.split(".")[0]), f"{prefix}import {alias.name}{suffix}"


def global_names(source: str) -> set[str]:
    """Return the names that a piece of source takes from its module or from the builtins."""
    scopes = [symtable.symtable(source, "<exercise>", "exec")]  # the outermost one contains defaults and annotations
    names: set[str] = set()
    while scopes:
        scope = scopes.pop()
        names |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global() and symbol.is_referenced()}
        scopes += scope.get_children()
    return names
