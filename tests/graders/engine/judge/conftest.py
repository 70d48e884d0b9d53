from __future__ import annotations

import gc
import sys
import warnings

import pytest
from studium_graders.engine.student_side.warm_up import warm_up

from .processes import forked


@pytest.fixture(scope="session")
def shell():
    main = sys.modules["__main__"]
    made = warm_up()
    sys.modules["__main__"] = main
    gc.freeze()  # the students' processes are forked from this one
    return made


@pytest.fixture
def student(shell):
    """A student's process that has run nothing."""
    with forked(shell) as student:
        yield student


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Answers and tests write files."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def nobody_minds_what_is_left():
    """Let coroutines that nobody awaited and files that nobody closed go, wherever that is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()
