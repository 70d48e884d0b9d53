"""What is kept of each lesson that was run, in the site's own folder, so it does not have to run again."""

import hashlib
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from studium.catalogue.catalogue import Catalogue
from studium.notebooks.files import read_notebook, write_notebook
from studium.topics.topic import Topic

_LIBRARIES = ("studium", "torch", "numpy", "plotly", "scikit-learn", "tokenizers")
_SHARED = (
    "studium",
    "studium_widgets",
)  # what a lesson may import besides its own package; located without importing it
_NOT_IN_A_LESSON = ("authoring", "cli", "lab_settings", "server", "site")  # folders of the host that lessons never use


class Runs:
    """The notebooks in a folder, one for each lesson, with what they were run from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, slug: str) -> NotebookNode | None:
        """Return the kept notebook of a lesson, or None."""
        path = self._path(slug)
        return read_notebook(path) if path.is_file() else None

    def keep(self, slug: str, notebook: NotebookNode, inputs: str) -> None:
        """Keep a notebook; ``inputs`` is "" if it must be run again next time."""
        notebook.metadata.studium["inputs"] = inputs
        write_notebook(notebook, self._path(slug))

    def is_fresh(self, slug: str, inputs: str) -> bool:
        """Return whether the lesson was run, without a failure, from these inputs."""
        kept = self.get(slug)
        return kept is not None and kept.metadata.studium.inputs == inputs

    def slugs(self) -> set[str]:
        """Return the slugs of all lessons that are kept."""
        return {path.stem for path in self.folder.glob("*.ipynb")}

    def _path(self, slug: str) -> Path:
        return self.folder / f"{slug}.ipynb"


def inputs_of(topic: Topic, notebook: NotebookNode, profile: str, catalogue: Catalogue) -> str:
    """Return a hash of everything that the outputs depend on.

    That is the notebook, the profile, the topic's package with the code it shares with other topics (but not those
    topics), the host, the widgets, and the versions of libraries.
    """
    digest = hashlib.sha256(f"{profile}\n{nbformat.writes(notebook)}\n{_versions()}".encode())
    root = topic.package.split(".")[0]
    others = {_package_folder(other.package) for other in catalogue.topics if other.package != topic.package}
    for name in dict.fromkeys((root, *_SHARED)):
        for path in _files(_package_folder(name), others):
            digest.update(f"{path.name}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _files(folder: Path | None, others: set[Path | None]) -> Iterator[Path]:
    if folder is None:
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path not in others and path.name not in ("__pycache__", *_NOT_IN_A_LESSON):
            yield from _files(path, others)
        elif path.is_file() and not path.name.startswith(("test_", ".")):
            yield path


def _package_folder(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin and spec.submodule_search_locations else None


def _versions() -> str:
    return " ".join([platform.python_version(), *map(_version, _LIBRARIES)])


def _version(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return name
