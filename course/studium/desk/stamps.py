"""Stamps of installed code: they change with every file, so results kept from other code are not reused."""

import hashlib
import sys
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from types import ModuleType

from studium.catalogue.catalogue import Catalogue


def installed(catalogue: Catalogue) -> bytes:
    """Return what a compiled lesson depends on besides its topic: the host, and the plugins that change notebooks."""
    editors = {impl.plugin for impl in catalogue.manager.hook.studium_edit_notebook.get_hookimpls()}
    return b"".join(sorted(_stamp(place) for place in {place for editor in editors for place in _places(editor)}))


def digest(package: str, host: bytes) -> str:
    """Return 16 hexadecimal digits for the files of a package together with ``host``, as ``installed`` returns it."""
    with as_file(files(package)) as folder:
        return hashlib.sha256(host + _stamp(folder)).hexdigest()[:16]


def place(package: str) -> str:
    """Return 8 hexadecimal digits for a package's location: a topic in another environment is a different one."""
    with as_file(files(package)) as folder:
        return hashlib.sha256(str(folder).encode()).hexdigest()[:8]


def _places(plugin: object) -> Iterator[Path]:
    """Return the folder or file of the outermost package that a plugin (a module or any object) comes from."""
    name = plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__
    if (module := sys.modules.get(name.partition(".")[0])) and module.__file__:
        path = Path(module.__file__)
        yield path.parent if path.name == "__init__.py" else path


def _stamp(place: Path) -> bytes:
    found = sorted(place.rglob("*")) if place.is_dir() else [place]
    stats = ((path, path.stat()) for path in found if path.suffix in (".py", ".svg"))
    return "\n".join(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats).encode()
