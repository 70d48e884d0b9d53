"""Variables of the environment that a test names, known by its text (``remote.environment``)."""

import ast
import os
from collections.abc import Iterator, Mapping

from studium_graders.engine.judge.dotted_names import imported_names, path_of
from studium_graders.engine.judge.file_use import evaluated

ENVIRON = "os.environ"
_METHODS = ("get", "pop", "setdefault")
_READERS = ("os.getenv", *(f"{ENVIRON}.{name}" for name in _METHODS))
_PATCH = "unittest.mock.patch.dict"
# What the interpreter and libraries of the judge's own process go by.
_OF_PROCESSES = (
    "CUDA", "DISPLAY", "GIT", "HOME", "IPYTHON", "JUPYTER", "LANG", "LC_", "LD_", "MKL", "MPL", "NUM", "OMP",
    "OPENBLAS", "PATH", "PIP", "PYTEST", "PYTHON", "SHELL", "SSL", "STUDIUM", "TEMP", "TMP", "TORCH", "TZ", "USER",
    "XDG",
)  # fmt: skip


def variables(tree: ast.Module, imports: Mapping[str, str]) -> frozenset[str]:
    """Name the variables that a test sets, reads or deletes."""
    inner = (variables(text, {**imports, **imported_names([text])}) for text in evaluated(tree))
    return frozenset(name for _, name in _uses(tree, imports)).union(*inner)


def uses_others(tree: ast.Module, imports: Mapping[str, str]) -> bool:
    """Tell whether a test does anything else with the environment, or names a variable of the judge's own."""
    known = list(_uses(tree, imports))
    if any(name.startswith(_OF_PROCESSES) or name in os.environ for _, name in known):
        return True
    places = {place for place, _ in known}
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name))
    return any(path_of(node, imports) in (ENVIRON, "os.getenv") and id(node) not in places for node in nodes)


def _uses(tree: ast.Module, imports: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Give the ``id()`` of what stands for the environment, and the name of each variable that is meant there."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(of, ast.Constant(str(name))) if path_of(of, imports) == ENVIRON:
                yield id(of), name
            case ast.Compare(ast.Constant(str(name)), [ast.In() | ast.NotIn()], [of]) if (
                path_of(of, imports) == ENVIRON
            ):
                yield id(of), name
            case ast.Call(func, [ast.Constant(str(name)), *_]) if path_of(func, imports) in _READERS:
                yield id(func.value if isinstance(func, ast.Attribute) and func.attr in _METHODS else func), name
            case ast.Call(func, [of, ast.Dict(keys)], []) if path_of(func, imports) == _PATCH and is_environ(
                of, imports
            ):
                for key in keys:
                    yield id(of), key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else "PATH"


def is_environ(node: ast.AST, imports: Mapping[str, str]) -> bool:
    """Tell whether an expression, or the text that names it, is the environment."""
    return path_of(node, imports) == ENVIRON or (isinstance(node, ast.Constant) and node.value == ENVIRON)
