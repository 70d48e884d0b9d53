"""Read a gradebook without changing it: nbgrader's own class would add a course, tables and files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.orm import Session
from studium.errors import CourseError

from studium_graders.gradebook.errors import gradebook_errors


@contextmanager
def reading_gradebook(url: str) -> Iterator[Session]:
    """Return a session on the gradebook at ``url``.

    Raise CourseError if there is none, if it has no assignments, or if it cannot be read.
    """
    with reading_if_there(url, "grade") as session:
        lack = "is not a gradebook" if session is None else "" if _has_assignment(session) else "has no assignments"
        if session is None or lack:
            name = make_url(url).database
            raise CourseError(f"no marks exist yet: {name} {lack}; build and grade an assignment first")
        yield session


@contextmanager
def reading_if_there(url: str, table: str) -> Iterator[Session | None]:
    """Return a session on the gradebook at ``url``, or None if there is no file yet or no ``table`` in it.

    Raise CourseError if it cannot be read.
    """
    try:
        address = make_url(url)
        engine = create_engine(address)
    except ImportError as error:
        raise CourseError(
            f"the gradebook at {address.render_as_string()} needs {error.name}, which is not installed; install it, "
            "or for PostgreSQL run pip install 'studium[postgres]' and let the address begin with postgresql+psycopg"
        ) from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise CourseError(f"a gradebook needs a database URL such as sqlite:///gradebook.db: {error}") from error
    try:
        with gradebook_errors(url):
            if _is_missing_file(address.get_backend_name(), address.database) or not inspect(engine).has_table(table):
                yield None
                return
            with Session(engine) as session:
                yield session
    finally:
        engine.dispose()


def _has_assignment(session: Session) -> bool:
    return session.execute(text("select id from assignment")).first() is not None


def _is_missing_file(backend: str, database: str | None) -> bool:
    return backend == "sqlite" and bool(database) and not Path(database or "").is_file()
