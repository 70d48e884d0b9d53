"""What the tests of the class list share: a course that is empty, and the command."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")


@pytest.fixture
def course(tmp_path: Path) -> Path:
    root = tmp_path / "course"
    root.mkdir()
    (root / "nbgrader_config.py").write_text("c = get_config()\n")
    return root


@pytest.fixture
def roster(course: Path, studium: Callable, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """roster("canvas", text or bytes, "--yes") → code, output and errors; roster() lists."""

    def run(system: str = "", content: str | bytes = "", *more: str) -> tuple[int, str, str]:
        file = tmp_path / "list.csv"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        source = [f"--from-{system}", str(file)] if system else []
        return studium("roster", "--course", str(course), *source, *more)

    return run


@pytest.fixture
def in_gradebook(course: Path) -> Callable[[], list[tuple]]:
    """in_gradebook() → id, first name, last name, address and the LMS's number of each student."""

    def rows() -> list[tuple]:
        with closing(sqlite3.connect(course / "gradebook.db")) as database:
            query = "select id, first_name, last_name, email, lms_user_id from student order by id"
            return list(database.execute(query))

    return rows
