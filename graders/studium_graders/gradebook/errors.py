"""Turn database errors into one sentence for the instructor."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from studium.errors import CourseError

WAIT_SECONDS = 20  # seconds to wait for another program that is writing to the same SQLite file
_SENTENCES = (
    ("locked", "the gradebook {name} is locked by another program; close it, or wait, and run the command again"),
    ("not a database", "the gradebook {name} is damaged; restore a copy, then run the command again"),
    ("malformed", "the gradebook {name} is damaged; restore a copy, then run the command again"),
    ("readonly", "the gradebook {name} is read-only; allow writing to it and its folder, then run again"),
    ("unable to open", "the gradebook {name} cannot be opened; check its folder and its permissions, then run again"),
    ("is full", "the disk is full, so the gradebook {name} could not be written; free some space and run again"),
    ("disk i/o error", "the disk of the gradebook {name} fails or is full; free some space and run again"),
    ("no such table", "the gradebook {name} is from another version of nbgrader; run: nbgrader db upgrade"),
    ("no such column", "the gradebook {name} is from another version of nbgrader; run: nbgrader db upgrade"),
    ("could not connect", "the gradebook's server {name} does not answer; start it, then run the command again"),
    ("connection", "the connection to the gradebook's server {name} failed; check the server and run again"),
)


class GradebookError(CourseError):
    """The gradebook could not be read or written. ``passing`` means that waiting may help."""

    def __init__(self, sentence: str, passing: bool) -> None:
        super().__init__(sentence)
        self.passing = passing


@contextmanager
def gradebook_errors(url: str) -> Iterator[None]:
    """Turn what the database at ``url`` raises, through SQLAlchemy or not, into GradebookError."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        reason = str(error.orig if isinstance(error, DBAPIError) else error)
        raise GradebookError(_sentence(url, reason), "locked" in reason.lower()) from error


def patient(url: str) -> str:
    """Let SQLite wait for another program before it gives up."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite" and "timeout" not in address.query:
        address = address.update_query_dict({"timeout": str(WAIT_SECONDS)})
    return address.render_as_string(hide_password=False)


def _sentence(url: str, reason: str) -> str:
    address = make_url(url)
    name = address.database if address.get_backend_name() == "sqlite" else f"{address.host}/{address.database}"
    for words, sentence in _SENTENCES:
        if words in reason.lower():
            return sentence.format(name=name)
    return f"the gradebook {name} could not be used: {' '.join(reason.split())[:300]}; fix that and run again"
