"""A course folder as nbgrader sees it: its configuration, its folders and its gradebook."""

import os
import string
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jupyter_core.paths import jupyter_config_path
from nbgrader.coursedir import CourseDirectory
from studium.errors import CourseError, StudiumError
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from studium_graders.course.course_file import Course
from studium_graders.nbgrader_config import apply_course, reach_gradebook, sqlite_url

CONFIG = "nbgrader_config.py"
_PLACES = {"nbgrader_step", "student_id", "assignment_id"}


def load_config(root: Path, course: Course | None) -> Config:
    """Return nbgrader's configuration of a course: the settings of the user, the machine, course.toml and the course.

    If ``course`` is None, it is an nbgrader course without a course.toml.
    """
    config = Config()
    for folder in map(Path, reversed(jupyter_config_path())):  # the first one takes precedence
        if os.access(folder, os.R_OK | os.X_OK):
            _merge(config, folder, root)
    config.CourseDirectory.root = str(root)
    if course:
        apply_course(config, course, root)
    _merge(config, root, root)
    _anchor(config.CourseDirectory, root)
    _anchor_header_and_footer(config)
    return config


def _merge(config: Config, folder: Path, root: Path) -> None:
    """Add the settings of the nbgrader_config.py in ``folder``, if there is one."""
    if not (folder / CONFIG).is_file():
        return
    try:
        with modules_of(root):
            config.merge(PyFileConfigLoader(CONFIG, path=str(folder)).load_config())
    except (Exception, SystemExit) as error:
        if isinstance(error.__cause__, StudiumError):  # a sentence about course.toml, with which `configure` ended
            raise error.__cause__ from None
        why = f"{type(error).__name__}: {error}"
        raise CourseError(f"{folder / CONFIG} must be Python that configures nbgrader: {why}; correct it") from error


@contextmanager
def modules_of(root: Path) -> Iterator[None]:
    """Make modules in a course folder importable for a while: nbgrader's settings name plugins and preprocessors there.

    No longer than that, because processes that grade students' code inherit the import path of this one.
    """
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        with suppress(ValueError):  # the settings may have done so themselves
            sys.path.remove(str(root))


def _anchor(settings: Config, root: Path) -> None:
    """Make relative paths start at the course folder, from which nbgrader is run, wherever this program was started."""
    if isinstance(own := settings.root, str):
        settings.root = str(root / own)
    url = settings.get("db_url")
    file = url.removeprefix("sqlite:///") if isinstance(url, str) else ""
    if file not in ("", url, ":memory:") and not Path(file).is_absolute():
        settings.db_url = f"{sqlite_url(Path(settings.root))}/{file}"
    reach_gradebook(settings, Path(settings.root))


def _anchor_header_and_footer(config: Config) -> None:
    """Make sure that the notebooks nbgrader puts around each assignment are found wherever this program was started."""
    for name in ("header", "footer"):
        if path := config.IncludeHeaderFooter.get(name):
            config.IncludeHeaderFooter[name] = str(Path(config.CourseDirectory.root, str(path)))


def course_directory(config: Config, assignment: str) -> CourseDirectory:
    """Return nbgrader's view of a course. Raise CourseError if its folders could not be told apart."""
    coursedir = CourseDirectory(config=config, assignment_id=assignment)
    structure = coursedir.directory_structure
    if _fields(structure) != _PLACES:
        raise CourseError(
            "nbgrader's setting CourseDirectory.directory_structure must have {nbgrader_step}, {student_id} and "
            f"{{assignment_id}} and no others: got {structure!r}; correct it, or leave it out"
        )
    return coursedir


def _fields(structure: str) -> set[str | None]:
    """Return the names in braces, or nothing if the braces do not match."""
    try:
        return {name for _, name, _, _ in string.Formatter().parse(structure)} - {None}
    except ValueError:
        return set()


def left_out(coursedir: CourseDirectory) -> frozenset[str]:
    """Return the students that nbgrader's settings exclude, unless somebody asks for them by name."""
    return frozenset(name.strip() for name in coursedir.student_id_exclude.split(","))


def folder(coursedir: CourseDirectory, step: str, assignment: str) -> Path:
    """Return the folder of an assignment at a step without students: source or release."""
    return Path(coursedir.format_path(step, ".", assignment)).resolve()
