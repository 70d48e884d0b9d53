"""What the cells that students got import: a student's process may have that before it is forked."""

import ast
import contextlib
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.resources import files
from importlib.util import resolve_name
from pathlib import Path

from studium.exercises.syntax import parse

from studium_graders.engine.material.assignment import Material
from studium_graders.engine.processes.purity import is_secret, topic_packages

_COMPILING = re.compile(
    r"\b(functorch|torch\.(func|compile|export|fx)|import[^\n]* (func|compile|export)|triton|cpp_extension)\b"
)
_MAGIC = re.compile(r"^([ \t]*)[%!].*", re.MULTILINE)  # a line that is for IPython


def public_imports(material: Material) -> tuple[str, ...]:
    """Name what the released notebooks import, and topics' modules for them; neither tests nor solutions are read."""
    cells = (cell for book in material.notebooks for cell in book.cells if cell.kind in ("given", "answer"))
    names = list(dict.fromkeys(name for cell in cells for name in imported(cell.source)))
    for name in names:  # it grows meanwhile
        names += [other for other in _needed_in_topic(name) if other not in names]
    return tuple(names)


def starts_compilers(material: Material) -> bool:
    """Return whether a word in a cell says that a C compiler and the like will be started."""
    cells = (cell for book in material.notebooks for cell in book.judged().cells)
    return any(_COMPILING.search(f"{cell.source}\n{cell.reference}") for cell in cells)


def imported(source: str, package: str = "") -> Iterator[str]:
    """Name what code of ``package`` imports, "a.b" also where b is something in the module a; of no Python, nothing."""
    for node in ast.walk(_tree(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (package or not node.level):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _tree(source: str) -> ast.Module:
    """Return the tree of a cell without its lines for IPython; an empty one of what is no Python all the same."""
    for text in (source, _MAGIC.sub(r"\1pass", source)):
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):
            return parse(text)
    return ast.Module([], [])


def _needed_in_topic(name: str) -> Iterator[str]:
    """Name what a topic's module imports, if it is one and no ``exercises.py``: it is read and not run."""
    topic = next((package for package in topic_packages() if f"{name}.".startswith(f"{package}.")), "")
    inside = name[len(topic) + 1 :].split(".")
    if not topic or inside[0] == "exercises":
        return
    place = Path(str(files(topic)), *inside)
    file, package = (
        (place / "__init__.py", name) if place.is_dir() else (place.with_suffix(".py"), name.rpartition(".")[0])
    )
    with contextlib.suppress(OSError, ImportError):
        yield from imported(file.read_text("utf-8"), package)


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
