"""A topic's folder that need not be installed: this process and its children treat it as if it were."""

import importlib
import os
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from studium.catalogue.plugins import GROUP
from studium.errors import TopicError, UsageError


@dataclass(frozen=True)
class Project:
    """A distribution in source form: its name and version, the folder imports start from, and its entry points."""

    name: str
    version: str
    root: Path
    entry_points: dict[str, str]


def project_at(path: Path) -> Project:
    """Read the project in the folder ``path``, or the project of the topic whose folder it is.

    Raise UsageError if that is not a topic's folder, and TopicError if its pyproject.toml cannot be used.
    """
    if (path / "pyproject.toml").is_file():
        return _project(path, path)
    if not (path / "__init__.py").is_file():
        raise UsageError(f"a topic is a folder with an __init__.py, or with a pyproject.toml: {path} has neither")
    above = (folder for folder in path.parents if (folder / "pyproject.toml").is_file())
    for folder in above:
        project = _project(folder, path)
        if _value_of(path, project.entry_points):
            return project
    return Project(path.name, "0", path.parent, {path.name.replace("_", "-"): path.name})


def project_folder(package: Path) -> Path | None:
    """Return the folder with the distribution's pyproject.toml, at or above a package; None if there is none."""
    return next((folder for folder in (package, *package.parents) if (folder / "pyproject.toml").is_file()), None)


def _project(folder: Path, path: Path) -> Project:
    try:
        settings = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise TopicError(f"the pyproject.toml in {folder} must be valid TOML: {error}; correct it") from error
    metadata = settings.get("project", {})
    declared = metadata.get("entry-points", {}).get(GROUP, {}).items()
    entries = {str(key): str(value).partition("[")[0].strip() for key, value in declared}  # without "[extra]"
    if path == folder and not entries:
        raise TopicError(
            f"the pyproject.toml in {folder} needs an entry point in the group {GROUP!r}, which makes the topic known; "
            f"add [project.entry-points.{GROUP}]"
        )
    return Project(
        str(metadata.get("name", folder.name)), str(metadata.get("version", "0")), _root(folder, path, entries), entries
    )


def _root(folder: Path, path: Path, entries: dict[str, str]) -> Path:
    """Return the folder imports start from: the project's own, its src, or the one above a topic's package."""
    if value := _value_of(path, entries):
        return path.parents[value.count(".")]
    packages = [Path(*value.split(".")) for value in entries.values()]
    for root in (folder, folder / "src"):
        if any((root / package).is_dir() for package in packages):
            return root
    return folder


def _value_of(path: Path, entries: dict[str, str]) -> str:
    parts = path.parts
    return next((v for v in entries.values() if tuple(v.split(".")) == parts[-1 - v.count(".") :]), "")


@contextmanager
def lent(project: Project) -> Iterator[None]:
    """Make this process and its children find a project as if it were installed, before any other with its name.

    Modules of its packages that were imported before are set aside and restored afterwards, because tests of the topic
    may hold on to them.
    """
    packages = {value.split(".")[0] for value in project.entry_points.values()}
    path, variable = list(sys.path), os.environ.get("PYTHONPATH")
    with tempfile.TemporaryDirectory(prefix="studium-") as site:
        _write_metadata(project, Path(site))
        sys.path[:0] = added = [site, str(project.root)]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (*added, variable)))
        before = _forget(packages)
        try:
            yield
        finally:
            sys.path[:] = path
            os.environ.pop("PYTHONPATH")
            if variable is not None:
                os.environ["PYTHONPATH"] = variable
            _forget(packages)
            sys.modules.update(before)


def _write_metadata(project: Project, site: Path) -> None:
    info = site / f"{project.name.replace('-', '_')}-{project.version}.dist-info"
    info.mkdir()
    lines = f"Metadata-Version: 2.1\nName: {project.name}\nVersion: {project.version}\n"
    (info / "METADATA").write_text(lines, "utf-8")
    entries = "".join(f"{name} = {value}\n" for name, value in project.entry_points.items())
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entries}", "utf-8")


def _forget(packages: set[str]) -> dict[str, ModuleType]:
    """Remove the modules of these packages from those imported, and return them."""
    names = [name for name in sys.modules if name.split(".")[0] in packages]
    importlib.invalidate_caches()
    return {name: sys.modules.pop(name) for name in names}
