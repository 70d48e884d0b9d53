"""Which files of this machine a student's process needs, and which of them it must not see."""

import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/nix/store")
_SETTINGS = """
ld.so.cache ld.so.conf ld.so.conf.d localtime timezone alternatives fonts mime.types locale.alias protocols services
"""


def readable_roots(more: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the files and folders that Python, its libraries and their shared libraries are in, outermost alone.

    ``more`` are others that are wanted.
    """
    wanted = (
        *_SYSTEM,
        *(f"/etc/{name}" for name in _SETTINGS.split()),
        *_interpreter(),
        *_library_folders(),
        *_editable(),
        *_loaded(),
        *more,
    )
    present = sorted({os.path.abspath(path) for path in wanted if path and _is_there(path)}, key=len)  # noqa: PTH100
    kept: list[str] = []
    for path in present:
        if path != "/" and not any(path == outer or path.startswith(f"{outer}/") for outer in kept):
            kept.append(path)
    return tuple(kept)


def _is_there(path: str) -> bool:
    """The links of a system's root folder, such as /bin to usr/bin, are made again; they need no leave."""
    return os.path.exists(path) and not (path in _SYSTEM and os.path.islink(path))  # noqa: PTH110, PTH114


def _interpreter() -> Iterator[str]:
    """The folders of the environment and of the Python that it was made from. Of a system's Python, /usr."""
    yield from (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)
    yield from (path for path in sysconfig.get_paths().values() if "include" not in path)
    yield from (str(Path(os.path.realpath(sys.executable)).parent), *site.getsitepackages())


def _library_folders() -> Iterator[str]:
    """The import path, without the folder that the program was started in or from."""
    started = {"", os.getcwd(), os.path.dirname(os.path.abspath(sys.argv[0] or "."))}  # noqa: PTH100, PTH109, PTH120
    yield from (path for path in sys.path if path not in started)


def _editable() -> Iterator[str]:
    """What setuptools' editable installations map elsewhere."""
    for name, module in list(sys.modules.items()):
        if name.startswith("__editable__"):
            yield from map(str, getattr(module, "MAPPING", {}).values())


def _loaded() -> Iterator[str]:
    """The folders of shared libraries that are loaded: those of environment modules, of CUDA, of a conda."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:  # noqa: PTH123
            files = {line.split(maxsplit=5)[5].strip() for line in maps if "/" in line}
    except OSError:
        return
    yield from {os.path.dirname(path) for path in files if ".so" in os.path.basename(path)}  # noqa: PTH119, PTH120


def hidden_paths(topics: Iterable[Path]) -> tuple[str, ...]:
    """Return what must not be seen of the folders of topics."""
    return tuple(str(path) for folder in topics for path in _private(folder))


def _private(folder: Path) -> Iterator[Path]:
    for name in ("exercises.py", "exercises", "reference.py", "conftest.py", "__pycache__"):
        if (folder / name).exists():
            yield folder / name
    yield from folder.glob("test_*.py")
