"""A new gradebook's schema, known without alembic's own process."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from nbgrader import api
from nbgrader.dbutil import _temp_alembic_ini
from studium_graders.gradebook.newest_schema import newest_schema, schema_known


def test_it_is_what_alembic_itself_says() -> None:
    with _temp_alembic_ini("sqlite:///unused.db") as settings:
        command = [sys.executable, "-m", "alembic", "-c", settings, "heads"]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    assert said.split()[0] == newest_schema()


def test_a_new_gradebook_has_it_although_no_program_can_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with schema_known():
        api.Gradebook(f"sqlite:///{tmp_path}/gradebook.db").close()
    with closing(sqlite3.connect(tmp_path / "gradebook.db")) as database:
        assert database.execute("select version_num from alembic_version").fetchall() == [(newest_schema(),)]


def test_afterwards_nbgrader_asks_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    before = str
    monkeypatch.setattr(api, "get_alembic_version", before)
    with schema_known():
        assert api.get_alembic_version is newest_schema
    assert api.get_alembic_version is before
