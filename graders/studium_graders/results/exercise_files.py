"""The files that decide what a topic's tests check: its exercises.py, and what that imports from its package."""

from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from studium.catalogue.catalogue import Catalogue

from studium_graders.engine.material.assignment import Material
from studium_graders.engine.processes.public_imports import imported


def packages_of(material: Material, catalogue: Catalogue) -> list[str]:
    """Return the packages whose exercises judge this material."""
    topics = {cell.topic for book in material.notebooks for cell in book.cells if cell.topic}
    return [topic.package for topic in catalogue.topics if topic.slug in topics]


def exercise_files(package: str) -> list[Path]:
    """Return the exercises.py of a topic's package and all modules that it needs, without running them.

    Modules of other distributions are left out.
    """
    top = package.partition(".")[0]
    spec = find_spec(top)
    places = list(map(Path, (spec.submodule_search_locations or ()) if spec else ()))
    names, found = [f"{package}.exercises"], list[Path]()
    for name in names:  # it grows during the loop
        if file := _file_of(name.split(".")[1:], places):
            found.append(file)
            needed = _imported_by(file, name)
            names += sorted({other for other in needed if f"{other}.".startswith(f"{top}.")} - set(names))
    return found


def _file_of(parts: list[str], places: list[Path]) -> Path | None:
    """Return the file of a module or package below one of ``places``, or None."""
    folders = [place.joinpath(*parts) for place in places]
    files = (file for folder in folders for file in (folder / "__init__.py", folder.with_suffix(".py")))
    return next((file for file in files if file.is_file()), None)


def _imported_by(file: Path, name: str) -> Iterator[str]:
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    with suppress(ImportError):  # more dots than packages
        yield from imported(file.read_text("utf-8", "replace"), package)
