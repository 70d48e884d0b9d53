"""A pytest plugin for nbgrader's own tests: each of their courses grades with Studium's engine in place of Execute."""

from pathlib import Path

import pytest

LINES = """
from studium_graders.nbgrader_config import grade_with_engine

grade_with_engine(c)
"""


@pytest.fixture(autouse=True)
def grades_with_the_engine(request: pytest.FixtureRequest) -> None:
    """Add the two lines to the configuration that nbgrader's tests write."""
    if "temp_cwd" in request.fixturenames:
        folder = Path(request.getfixturevalue("temp_cwd"))
        with (folder / "nbgrader_config.py").open("a") as file:
            file.write(LINES)
