"""What an instructor changed in a notebook built by ``studium assign``: kept, or copied before it is replaced."""

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from nbformat import NotebookNode
from studium.errors import NotebookError
from studium.notebooks.files import read_notebook

_SEAL = "built"  # next to the topic in a notebook's metadata: the digest of its cells when they were built


def seal(notebook: NotebookNode) -> NotebookNode:
    """Write a digest of a notebook's cells into its metadata, to detect later changes, and return the notebook."""
    notebook.metadata.studium[_SEAL] = _digest(notebook)
    return notebook


def was_built(path: Path) -> bool:
    """Return whether ``studium assign`` built a notebook, which may have been changed since."""
    return bool(_own(_read(path)))


def changed_notebooks(source: Path) -> list[str]:
    """Return the names of the notebooks in a source folder that were changed since they were built.

    Outputs, and what Jupyter writes when it saves, are not changes. A notebook without a seal cannot be judged, so it
    counts as changed.
    """
    books = {path.stem: _read(path) for path in sorted(source.glob("*.ipynb"))}
    return [name for name, book in books.items() if book and _own(book) and _own(book).get(_SEAL) != _digest(book)]


def put_aside(source: Path, names: Iterable[str], folder: Path) -> list[Path]:
    """Copy notebooks of a source folder into ``folder``, without replacing older copies, and return the copies."""
    return [_copy(source / f"{name}.ipynb", folder) for name in names]


def _copy(path: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    number = 1 + len(list(folder.glob(f"{path.stem}-*.ipynb")))
    return Path(shutil.copy(path, folder / f"{path.stem}-{number}.ipynb"))


def _read(path: Path) -> NotebookNode | None:
    try:
        return read_notebook(path)
    except NotebookError:
        return None


def _own(notebook: NotebookNode | None) -> NotebookNode:
    return notebook.metadata.get("studium", {}) if notebook else {}


def _digest(notebook: NotebookNode) -> str:
    cells = [
        (cell.cell_type, cell.source, *(cell.metadata.get(key, {}) for key in ("nbgrader", "studium")))
        for cell in notebook.cells
    ]
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()
