"""A student's process, forked over a socket pair and without a sandbox, with its judge here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from studium_graders.engine.student_side.warm_up import warm_up

from .forking import Forked


@pytest.fixture(scope="session")
def shell() -> Any:
    main = sys.modules["__main__"]
    shell = warm_up()
    sys.modules["__main__"] = main
    return shell


@pytest.fixture
def make_student(shell: Any) -> Iterator[Callable[..., Any]]:
    """make_student(source, …) → a ``Student`` whose process has run ``source``."""
    running = Forked(shell)
    yield running.student
    running.kill()
