"""Make release/ with nbgrader's own GenerateAssignment, in this process, and report its errors in one sentence."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import IncludeHeaderFooter
from studium.errors import CourseError
from traitlets.config import Config

from studium_graders.course.folder import modules_of

_OF_SETTINGS = (ImportError, LookupError, TypeError, ValueError, AttributeError)  # names, hooks and values in them


def generate_release(coursedir: CourseDirectory, config: Config, due: datetime | None) -> None:
    """Run GenerateAssignment on ``coursedir`` and record the due date (UTC, naive) in the gradebook."""
    errors: list[str] = []
    try:
        with modules_of(Path(coursedir.root)):
            converter = GenerateAssignment(coursedir=coursedir, config=config)
            converter.force = True
            with _errors_of(converter.log, errors):
                converter.start()
    except (NbGraderException, *_OF_SETTINGS) as error:
        said = str(error) if isinstance(error, NbGraderException) else f"{type(error).__name__}: {error}"
        raise CourseError(
            f"nbgrader could not generate {coursedir.assignment_id}: {_reason(errors) or said}; "
            "nothing was changed, so correct it and run the command again"
        ) from error
    with Gradebook(coursedir.db_url, coursedir.course_id or "default_course") as gradebook:
        gradebook.update_or_create_assignment(coursedir.assignment_id, duedate=due)


def with_header_and_footer(notebook: NotebookNode, config: Config) -> NotebookNode:
    """Return a notebook between the cells that nbgrader's settings put around it. Raise CourseError or OSError."""
    try:
        return IncludeHeaderFooter(config=config)(notebook, {})[0]
    except _OF_SETTINGS as error:
        names = " and ".join(filter(None, map(config.IncludeHeaderFooter.get, ("header", "footer"))))
        raise CourseError(f"{names} must be a valid notebook: {error}; correct it") from error


@contextmanager
def _errors_of(log: logging.Logger, errors: list[str]) -> Iterator[None]:
    """Collect what is logged as an error: nbgrader logs the reason and then raises something else."""
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: errors.append(record.getMessage())  # type: ignore[method-assign]
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _reason(errors: list[str]) -> str:
    """Return the last line of the first traceback, which gives the reason."""
    tracebacks = [text for text in errors if "Traceback" in text]
    return tracebacks[0].strip().splitlines()[-1] if tracebacks else ""
