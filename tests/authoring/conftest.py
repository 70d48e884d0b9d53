"""A sound topic, copies of it that are damaged in one place, and what the checks say to them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib import import_module, invalidate_caches
from pathlib import Path

import msgspec
import pytest
from studium.authoring import apart
from studium.authoring.findings import Report
from studium.authoring.runner import check_topic
from studium.authoring.subject import open_subject
from studium.topics.profiles import Profile
from studium.workers.job import Job, Tell, follow
from studium.workers.warm import Warm

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
        shutil.rmtree(project, ignore_errors=True)
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


@pytest.fixture(scope="session")
def _with_torch() -> Iterator[Warm]:
    """A process that has imported torch and the checks, from which others can be forked."""
    with closing(Warm()) as warm:
        warm.call(_import_torch)
        yield warm


@pytest.fixture
def forked_checks(_with_torch: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork what checks run apart from a process that has torch, since importing it takes seconds.

    If it fails there, it is done again in a process of its own, which has the reason.
    """
    in_a_new_process = apart.results

    def results(
        work: Callable[[Tell], object], decoder: msgspec.msgpack.Decoder, variables: Mapping[str, str], folder: Path
    ) -> list[object]:
        job = Job(partial(_as_here, work, tuple(sys.path), os.environ | variables), folder / "events", folder)
        with _with_torch.launch(job) as worker:
            found = [event for event in follow(worker, job.events, decoder) if event is not None]
            failed = worker.poll()
        return in_a_new_process(work, decoder, variables, folder) if failed else found

    monkeypatch.setattr(apart, "results", results)


def _import_torch(tell: Tell) -> None:
    import_module("torch")


def _as_here(work: Callable[[Tell], object], path: tuple[str, ...], environment: Mapping[str, str], tell: Tell) -> None:
    """Do some work with the paths and the environment of the process that wants it."""
    os.environ.clear()
    os.environ.update(environment)
    sys.path[1:] = path
    invalidate_caches()
    work(tell)
