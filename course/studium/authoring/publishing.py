"""What must hold before a topic is published: its wheel works on its own, and a class can use it.

Both checks run commands in separate processes, as an author and an instructor would.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from nbformat import NotebookNode

from studium.authoring.findings import Finding
from studium.authoring.project import project_folder
from studium.authoring.subject import Subject
from studium.errors import TopicError
from studium.exercises.sources import solved
from studium.notebooks.editions import exercise_of, role
from studium.notebooks.files import read_notebook, write_notebook

_LIMIT = 1800  # seconds for one command
_COURSE = """\
id = "check"
title = "check"
timezone = "UTC"

[[assignments]]
name = "ps1"
due = 2100-01-01T00:00:00
topics = ["{slug}"]
"""
_CONFIG = "from studium_graders.nbgrader_config import configure\n\nconfigure(get_config(), __file__)\n"


def wheel(subject: Subject) -> Finding:
    """Build the wheel, install it in a fresh environment, and check the topic there."""
    folder = project_folder(subject.folder)
    if folder is None:
        return Finding(
            [f"a wheel is built from a distribution's folder: {subject.folder} is not inside one; name that folder"],
            "",
        )
    with tempfile.TemporaryDirectory(prefix="studium-") as scratch:
        place = Path(scratch)
        _run([sys.executable, "-m", "pip", "wheel", *_OFFLINE, "--wheel-dir", scratch, str(folder)], place)
        built = next(place.glob("*.whl"))
        fresh = _environment(place / "environment", subject.topic.package)
        with zipfile.ZipFile(built) as archive:
            archive.extractall(fresh.packages)
        where = _run([fresh.python, "-c", _WHERE.format(package=subject.topic.package)], place).strip()
        if not where or not Path(where).is_relative_to(fresh.packages):
            package = subject.topic.package
            return Finding([f"{built.name} must contain {package}, but does not; add it to the wheel's packages"], "")
        checks = ("--only", "imports", "--only", "solutions", "--only", "cell ids")
        _run([fresh.python, "-m", "studium", "topic", "check", subject.topic.slug, *checks], place)
    return Finding([], f"{built.name} works in a fresh environment")


_OFFLINE = ("--quiet", "--no-deps", "--no-build-isolation")
_WHERE = "from importlib.util import find_spec as f; s = f({package!r}); print(s.origin if s and s.origin else '')"


@dataclass(frozen=True)
class Fresh:
    """A fresh environment: its interpreter, and the folder where it installs packages."""

    python: str
    packages: Path


def _environment(folder: Path, package: str) -> Fresh:
    """Create a fresh environment that also finds what is installed here, but not the sources of ``package``."""
    venv.create(folder, with_pip=False)
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    packages = Path(_run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip())
    own = package.split(".")[0]
    here = [path for path in sys.path if Path(path).is_dir() and not (Path(path) / own).is_dir()]
    (packages / "here.pth").write_text("\n".join(here) + "\n", "utf-8")
    return Fresh(python, packages)


def assignment(subject: Subject) -> Finding:
    """Build an assignment from the whole topic, and grade one right and one untouched submission."""
    if not subject.topic.exercises:
        return Finding([], "the topic has no exercises to assign")
    if find_spec("nbgrader") is None:
        return Finding(["an assignment needs nbgrader, which is not installed; pip install 'studium[grade]'"], "")
    with tempfile.TemporaryDirectory(prefix="studium-") as scratch:
        course = Path(scratch)
        (course / "course.toml").write_text(_COURSE.format(slug=subject.topic.slug), "utf-8")
        (course / "nbgrader_config.py").write_text(_CONFIG, "utf-8")
        _studium(["assign", "ps1", "--course", scratch], course)
        name = f"{subject.topic.slug}.ipynb"
        release = read_notebook(course / "release" / "ps1" / name)
        write_notebook(release, course / "submitted" / "untouched" / "ps1" / name)
        write_notebook(_solved(release, subject), course / "submitted" / "right" / "ps1" / name)
        graded = _studium(["grade", "ps1", "--course", scratch, "--json", "--trust-submissions"], course)
        told = json.loads(graded)
        problems = list(_misjudged(told["submissions"]))
    return Finding(
        problems, "an assignment was built; a right submission earns all points and an untouched one earns none"
    )


def _solved(release: NotebookNode, subject: Subject) -> NotebookNode:
    notebook = release.copy()
    notebook.cells = [cell.copy() for cell in release.cells]
    for cell in notebook.cells:
        if role(cell) == "exercise":
            cell.source = solved(subject.topic.exercise(exercise_of(cell)))
    return notebook


def _misjudged(submissions: Sequence[dict[str, object]]) -> Iterator[str]:
    for row in submissions:
        wanted = row["max_score"] if row["student"] == "right" else 0
        if row["score"] != wanted:
            yield (
                f"the {row['student']} submission must earn {wanted:g} points: it earns {row['score']:g}; grade it "
                "yourself with `studium assign` and `studium grade` to see which test disagrees"
            )


def _studium(words: list[str], folder: Path) -> str:
    return _run([sys.executable, "-m", "studium", *words], folder)


def _run(command: Sequence[str], folder: Path) -> str:
    """Run a command and return what it prints. Raise TopicError with its last lines if it fails.

    A fresh environment must not find the sources that are made available to the processes of this one.
    """
    variables = dict(os.environ)
    if command[0] != sys.executable:
        variables.pop("PYTHONPATH", None)
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=_LIMIT, env=variables
    )
    if done.returncode:
        lines = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
        words = " ".join(word for word in command[1:5] if not word.startswith(str(folder)))
        raise TopicError(f"`{words}` must work: {' '.join(lines[-3:])[:500]}; correct what it reports")
    return done.stdout
