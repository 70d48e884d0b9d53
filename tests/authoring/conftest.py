"""A sound topic, copies of it that are damaged in one place, and what the checks say to them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from studium.authoring.findings import Report
from studium.authoring.runner import check_topic
from studium.authoring.subject import open_subject
from studium.topics.profiles import Profile

SAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "studium-topic-echo"
PACKAGE = "studium_topic_echo"
SMOKE = Profile("smoke")


@dataclass(frozen=True)
class Damage:
    """A sound topic with one thing wrong: in ``file`` stands ``new`` in the place of ``old``, or after its end."""

    name: str
    check: str
    file: str
    new: str
    old: str = ""


@pytest.fixture
def copy_sample(tmp_path: Path) -> Callable[..., Path]:
    """copy_sample(damage) → the folder of a copy of the sample topic with that damage, not installed."""

    def copy(*damages: Damage) -> Path:
        project = tmp_path / "project"
        shutil.copytree(SAMPLE, project, ignore=shutil.ignore_patterns("__pycache__"))
        for damage in damages:
            path = project / PACKAGE / damage.file
            text = path.read_text("utf-8") if path.exists() else ""
            assert text.count(damage.old) == 1 or not damage.old, damage
            path.write_text(text.replace(damage.old, damage.new) if damage.old else text + damage.new, "utf-8")
        return project

    return copy


@pytest.fixture
def checked() -> Callable[..., Report]:
    """checked(folder, "solutions", …) → the report of these checks; of all of them where none is named.

    Checks in ``known`` need not run before them.
    """

    def run(folder: Path | str, *only: str, known: tuple[str, ...] = ()) -> Report:
        with open_subject(str(folder), SMOKE) as subject:
            return check_topic(subject, only=only, known=known)

    return run


def failed(report: Report) -> list[str]:
    """The names of the checks that fail."""
    return [check.name for check in report.checks if not check.passed]
