"""The extra ``studium[grade]``: commands that need it say so in one sentence where it is missing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from studium.errors import CourseError, StudiumError

_UNUSED = ("isoduration", "rfc3986_validator")
_LATER = (
    "bs4",
    "nbconvert.filters.markdown_mistune",
    "nbconvert.postprocessors.serve",
    "requests",
    "setuptools.archive_util",
)


def require_grade_extra(*modules: str) -> None:
    """Raise StudiumError where one of ``modules`` is not installed."""
    if missing := next((name for name in modules if find_spec(name) is None), None):
        raise StudiumError(f"this command needs {missing}, which is not installed; run: pip install 'studium[grade]'")


@contextmanager
def settings_errors(course: Path) -> Iterator[None]:
    """Turn what traitlets and SQLAlchemy say of the settings of a course into one sentence.

    What they print themselves, or a plugin of the course does, goes to stderr: it is no part of a command's result.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except Exception as error:
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError
        from traitlets import TraitError

        if not isinstance(error, TraitError | ArgumentError | NoSuchModuleError):
            raise
        why = str(error).splitlines()[0].removesuffix(".")
        path = course / "nbgrader_config.py"
        raise CourseError(f"{path} must have settings that can be used: {why}; correct it") from error


class _Later(ModuleType):
    """In the place of a module: its functions and classes can be called, which imports it."""

    def __getattr__(self, name: str) -> Callable[..., object]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *arguments, **named: getattr(import_module(self.__name__), name)(*arguments, **named)


def import_nbgrader() -> None:
    """Import nbgrader without what takes two thirds of its import time and a command hardly ever uses.

    That is: some of jsonschema's checks of addresses and durations, what reads HTML, archives and other machines, and
    the parts of a Jupyter server.
    """
    absent: dict[str, ModuleType | None] = dict.fromkeys(_UNUSED)  # None: Python's own way to say that it is not there
    absent |= {name: _Later(name) for name in _LATER}
    for name in ("assignment_list", "course_list", "formgrader", "validate_assignment"):
        part = ModuleType(f"nbgrader.server_extensions.{name}")
        vars(part)["load_jupyter_server_extension"] = None
        absent[part.__name__] = part
    absent = {name: part for name, part in absent.items() if name not in sys.modules}
    sys.modules.update(absent)  # type: ignore[arg-type]
    try:
        for name in ("nbformat", "nbgrader", "nbgrader.converters"):
            import_module(name)
    finally:
        for name in absent:
            del sys.modules[name]
