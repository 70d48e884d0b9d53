"""The extra ``studium[grade]``: without it, the commands that need it explain so in one sentence."""

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
    """Raise StudiumError if one of ``modules`` is not installed."""
    if missing := next((name for name in modules if find_spec(name) is None), None):
        raise StudiumError(f"this command needs {missing}, which is not installed; run: pip install 'studium[grade]'")


@contextmanager
def settings_errors(course: Path) -> Iterator[None]:
    """Turn what traitlets and SQLAlchemy report about a course's settings into one sentence.

    Before that, tell if the course has been kept for too long.
    Anything they print, or a plugin of the course prints, goes to stderr, since it does not belong to a command's
    result.
    """
    try:
        with redirect_stdout(sys.stderr):
            tell_if_kept_too_long(course)
            yield
    except Exception as error:
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError
        from traitlets import TraitError

        if not isinstance(error, TraitError | ArgumentError | NoSuchModuleError):
            raise
        why = str(error).splitlines()[0].removesuffix(".")
        path = course / "nbgrader_config.py"
        raise CourseError(f"{path} must contain valid settings: {why}; correct it") from error


def tell_if_kept_too_long(course: Path) -> None:
    """Print one line if the course's keep_until has passed."""
    from studium_graders.course.retention import kept_too_long

    for sentence in kept_too_long(course):
        print(f"studium: {sentence}", file=sys.stderr)  # noqa: T201


class _Later(ModuleType):
    """A placeholder for a module: its functions and classes can be called, and the call imports it."""

    def __getattr__(self, name: str) -> Callable[..., object]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *arguments, **named: getattr(import_module(self.__name__), name)(*arguments, **named)


def import_nbgrader() -> None:
    """Import nbgrader without the parts that take two thirds of its import time and are hardly ever needed by a
    command.

    Those are some of jsonschema's checks of addresses and durations, the readers for HTML, archives and other machines,
    and parts of a Jupyter server.
    """
    absent: dict[str, ModuleType | None] = dict.fromkeys(
        _UNUSED
    )  # None is Python's own way of saying that a module is missing
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
