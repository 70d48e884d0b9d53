"""What the tests of the desk share: a workspace with the sample lesson."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch  # noqa: F401  then topics are read in this process, without a child
from studium.catalogue.catalogue import load_catalogue
from studium.desk.journal import Journal
from studium.desk.lesson_file import LessonFile
from studium.desk.store import Store
from studium.desk.workspace import build_workspace


@pytest.fixture
def store(data_folder):
    with Store() as store:
        yield store


@pytest.fixture
def journal(store, tmp_path):
    return Journal(store, tmp_path)


@pytest.fixture
def workspace(sample, tmp_path) -> Path:
    """A workspace with the lesson of the sample topic."""
    folder = tmp_path / "ws"
    catalogue = load_catalogue()
    kept = [entry for entry in catalogue.entries if entry.topic.slug == "sample"]
    build_workspace(type(catalogue)(tuple(kept), (), catalogue.manager), folder)
    return folder


@pytest.fixture
def open_lesson(workspace, store) -> Callable[[], LessonFile]:
    """open_lesson() → the sample lesson as it is on the disk now."""
    return lambda: LessonFile(workspace / "sample.ipynb", load_catalogue(), store)
