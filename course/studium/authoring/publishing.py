"""What must hold before a topic is published: its wheel works where nothing else of it is, and a class can use it.

Both checks run commands in processes of their own, as an author and an instructor would.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from nbformat import NotebookNode

from studium.authoring.findings import Finding
from studium.authoring.project import project_folder
from studium.authoring.subject import Subject
from studium.editions import exercise_of, role
from studium.errors import TopicError
from studium.notebooks import read_notebook, write_notebook
from studium.sources import solved

_LIMIT = 1800  # seconds of one command
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
            [f"a wheel is built from the folder of a distribution: {subject.folder} is in none; name that folder"],
            "",
        )
    with tempfile.TemporaryDirectory(prefix="studium-") as scratch:
        place = Path(scratch)
        _run([sys.executable, "-m", "pip", "wheel", *_OFFLINE, "--wheel-dir", scratch, str(folder)], place)
        built = next(place.glob("*.whl"))
        python = _environment(place / "environment")
        _run([str(python), "-m", "pip", "install", *_OFFLINE[:2], "--no-index", str(built)], place)
        checks = ("--only", "imports", "--only", "solutions", "--only", "cell ids")
        _run([str(python), "-m", "studium", "topic", "check", subject.topic.slug, *checks], place)
        where = _run([str(python), "-c", f"import {subject.topic.package} as p; print(p.__file__)"], place).strip()
        if not Path(where).is_relative_to(place):
            return Finding(
                [f"{built.name} must hold the package {subject.topic.package}; name it in the wheel's packages"], ""
            )
    return Finding([], f"{built.name} works in a fresh environment")


_OFFLINE = ("--quiet", "--no-deps", "--no-build-isolation")


def _environment(folder: Path) -> Path:
    """Make a fresh environment that also finds what is installed here, after its own; return its interpreter."""
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    asked = _run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip()
    here = [path for path in sys.path if path and Path(path).is_dir()]
    Path(asked, "here.pth").write_text("\n".join(here) + "\n", "utf-8")
    return python


def assignment(subject: Subject) -> Finding:
    """Build an assignment of the whole topic, and grade a right and an untouched submission."""
    if not subject.topic.exercises:
        return Finding([], "there are no exercises to assign")
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
        told = json.loads(_studium(["grade", "ps1", "--course", scratch, "--json"], course))
        problems = list(_misjudged(told["submissions"]))
    return Finding(problems, "an assignment is built; a right submission earns all points and an untouched one none")


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
                "yourself with `studium assign` and `studium grade` to see which test says so"
            )


def _studium(words: list[str], folder: Path) -> str:
    return _run([sys.executable, "-m", "studium", *words], folder)


def _run(command: Sequence[str], folder: Path) -> str:
    """Run a command and return what it prints. Raise TopicError with its last line where it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_LIMIT)
    if done.returncode:
        lines = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
        words = " ".join(word for word in command[1:5] if not word.startswith(str(folder)))
        raise TopicError(f"`{words}` must work: {' '.join(lines[-3:])[:500]}; correct what it says")
    return done.stdout
