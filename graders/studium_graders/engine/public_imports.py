"""What the cells that students got import: a student's process may have that before it is forked."""

import ast
import contextlib
import re
from collections.abc import Iterable, Iterator
from importlib import import_module

from studium_graders.engine.material import Material
from studium_graders.engine.purity import is_secret

_COMPILING = re.compile(r"\b(functorch|torch\.(func|compile|export|fx)|import[^\n]* (func|compile|export))\b")
_COMPILER = "torch._dynamo.config"  # any part of it


def public_imports(material: Material) -> tuple[str, ...]:
    """Name what the released notebooks import, in their order; neither tests nor solutions are read.

    Except that torch's compiler is among it where a word in any cell says that it will be used: it takes a second.
    """
    cells = (cell for book in material.notebooks for cell in book.cells if cell.kind in ("given", "answer"))
    names = [name for cell in cells for name in _imported(cell.source)]
    return tuple(dict.fromkeys([*names, *compiler_of(material)]))


def compiler_of(material: Material) -> list[str]:
    """Name a part of torch's compiler where a word in a cell says that it will be used, else nothing."""
    cells = (cell for book in material.notebooks for cell in book.cells)
    return [_COMPILER] if any(_COMPILING.search(f"{cell.source}\n{cell.reference}") for cell in cells) else []


def _imported(source: str) -> Iterator[str]:
    """Name what a cell imports, "a.b" also where b is something in the module a. A cell with magics imports nothing."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def import_all(names: Iterable[str]) -> None:
    """Import what is installed and holds no secret; what cannot be imported fails where the student imports it."""
    for name in names:
        if not is_secret(name):
            with contextlib.suppress(Exception):
                _import(name)


def _import(name: str) -> None:
    try:
        import_module(name)
    except ModuleNotFoundError:
        module, _, member = name.rpartition(".")
        getattr(import_module(module), member)  # it may be imported at the moment that it is asked for
