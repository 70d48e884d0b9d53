"""Reading a notebook while Jupyter writes it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import nbformat
import pytest
from studium.errors import NotebookError
from studium.notebooks.files import read_notebook

TEXT = nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")]))


def begin_to_save(path: Path) -> Path:
    """Leave a notebook as it is in the middle of a save; give the copy that Jupyter keeps until the end of it."""
    path.write_text(TEXT[:40])
    kept = path.with_name(f".~{path.name}")
    kept.write_text(TEXT)
    return kept


def test_a_notebook_that_is_being_saved_is_read_once_it_is_whole(tmp_path):
    path = tmp_path / "lesson.ipynb"
    kept = begin_to_save(path)

    def end_of_save():
        time.sleep(0.2)
        path.write_text(TEXT)
        kept.unlink()

    saving = threading.Thread(target=end_of_save)
    saving.start()
    try:
        assert read_notebook(path).cells[0].source == "x = 1"
    finally:
        saving.join()


def test_a_save_that_never_ends_is_a_notebook_that_cannot_be_read(tmp_path):
    begin_to_save(tmp_path / "lesson.ipynb")
    with pytest.raises(NotebookError, match="restore it from a copy"):
        read_notebook(tmp_path / "lesson.ipynb")
