"""Courses on the disk, made from ``courses/``, and submissions put into them, made from cases."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from studium.catalogue.catalogue import load_catalogue
from studium_graders.assignments.building import build_assignment

from .corpus import HERE, Case

COURSES = (
    *("arrays", "networks", "scripts", "objects", "together", "values", "evaluating", "kept", "estimators", "shared"),
    *("files", "numbers", "sides", "parts", "missing", "counts", "waits", "lora"),
)
TOPICS = """
[[assignments]]
name = "lora"
exercises = ["lora.lora_linear", "lora.init_lora", "lora.inject", "lora.merge", "lora.train_memory"]
"""
PLAIN_CONFIG = """c = get_config()
c.CourseDirectory.course_id = "redteam"
c.NbGraderAPI.timezone = "Europe/Berlin"  # a clock ahead of the gradebook's
"""
MARKER = re.compile(r"^[ \t]*### (BEGIN|END) SOLUTION[ \t]*\n?", re.MULTILINE)


@dataclass
class Classroom:
    """A course with one assignment: ``exercises`` are reference solutions, ``tests`` (exercise, points) by grade id."""

    root: Path
    name: str
    exercises: dict[str, str] = field(default_factory=dict)
    tests: dict[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def max_score(self) -> float:
        """The points of all tests, without those that a person gives."""
        return sum(points for _, points in self.tests.values())

    def read(self) -> "Classroom":
        """Take the exercises and the tests from the source notebook: a test belongs to the answer above it."""
        exercise = ""
        for cell in json.loads((self.root / "source" / self.name / f"{self.name}.ipynb").read_text("utf-8"))["cells"]:
            marks, source = cell["metadata"].get("nbgrader", {}), "".join(cell["source"])
            if cell["cell_type"] != "code":
                continue
            if marks.get("solution"):
                exercise = cell["metadata"].get("studium", {}).get("exercise", marks["grade_id"])
                self.exercises[exercise] = MARKER.sub("", source)
            elif marks.get("grade"):
                self.tests[marks["grade_id"]] = (exercise, marks["points"])
        return self


def make_course(root: Path, name: str, limits: str = "") -> Classroom:
    """Make the course called ``name`` in the new folder ``root``: source, release and gradebook.

    ``limits`` are lines of the [limits] table of its course.toml; without them a plain course has none.
    """
    root.mkdir(parents=True)
    if name == "lora":
        (root / "course.toml").write_text(f'id = "redteam"\n{TOPICS}{limits}')
        (root / "nbgrader_config.py").write_text(
            "from studium_graders.nbgrader_config import configure\n\nconfigure(get_config(), __file__)\n"
        )
        build_assignment(root, name, load_catalogue())
        return Classroom(root, name).read()
    if limits:
        (root / "course.toml").write_text(f'id = "redteam"\n{limits}')
    (root / "nbgrader_config.py").write_text(PLAIN_CONFIG)
    folder = root / "source" / name
    folder.mkdir(parents=True)
    if (HERE / "courses" / name).is_dir():
        shutil.copytree(HERE / "courses" / name, folder, dirs_exist_ok=True)
    nbformat.write(source_notebook(name), folder / f"{name}.ipynb")
    run_nbgrader(root, "generate_assignment", name)
    return Classroom(root, name).read()


def source_notebook(name: str) -> nbformat.NotebookNode:
    """Read a percent file whose cells are marked given="id", answer="id", essay="id" points=…, test="id" points=…"""
    notebook = jupytext.read(HERE / "courses" / f"{name}.py", fmt="py:percent")
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    for k, cell in enumerate(notebook.cells):
        marks = dict(cell.metadata)
        kind = next((kind for kind in ("given", "answer", "essay", "test") if kind in marks), "")
        cell.id = marks.get(kind, f"text-{k}")
        if kind == "essay":
            notebook.cells[k] = cell = nbformat.v4.new_markdown_cell(cell.source, id=cell.id)
        cell.metadata = {}
        if kind and (kind != "given" or "locked" in marks):
            cell.metadata["nbgrader"] = _flags(kind, marks, cell.id)
    return notebook


def _flags(kind: str, marks: dict[str, Any], grade_id: str) -> dict[str, Any]:
    graded = kind in ("essay", "test")
    flags = {"schema_version": 3, "grade_id": grade_id, "grade": graded, "task": False}
    flags |= {"solution": kind in ("answer", "essay"), "locked": kind in ("given", "test")}
    return flags | ({"points": marks["points"]} if graded else {})


def run_nbgrader(root: Path, *arguments: str) -> None:
    """Run nbgrader's command line in a course."""
    scripts = str(Path(sys.executable).parent)
    own = {"HOME": str(root), "PATH": os.pathsep.join((scripts, os.environ["PATH"])), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=root, env=os.environ | own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def hand_in(classroom: Classroom, case: Case, places: dict[str, str]) -> Path:
    """Put a case into ``submitted/``; ``places`` are the values of @COURSE@ and the like in its texts."""
    case = filled(case, places | {"ID": case.id, "COURSE": str(classroom.root)})
    release = classroom.root / "release" / classroom.name
    folder = classroom.root / "submitted" / case.name / classroom.name
    shutil.copytree(release, folder)
    path = folder / f"{classroom.name}.ipynb"
    files, raw = dict(case.files), _written(path, classroom, case)
    if case.mutate:
        raw = _mutated(raw, case, files)
    path.unlink()
    if raw is not None:
        path.write_bytes(raw)
    _put_beside(folder, case, files)
    return folder


def filled(case: Case, places: dict[str, str]) -> Case:
    """Give the case with its places filled in."""

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            for key, place in places.items():
                value = value.replace(f"@{key}@", place)
            return value
        if isinstance(value, dict):
            return {key: fill(item) for key, item in value.items()}
        return [fill(item) for item in value] if isinstance(value, list) else value

    return Case(**{name: fill(getattr(case, name)) for name in case.__struct_fields__})


def _written(path: Path, classroom: Classroom, case: Case) -> bytes:
    notebook = nbformat.read(path, as_version=4)
    answers = {name: classroom.exercises[name] for name in case.solved(classroom.exercises)} | case.answers
    assert set(answers) <= set(classroom.exercises), f"{case.id} answers what {classroom.name} does not ask"
    for cell in notebook.cells:
        marks = cell.metadata.get("nbgrader", {})
        exercise = cell.metadata.get("studium", {}).get("exercise", marks.get("grade_id"))
        if marks.get("solution") and exercise in answers:
            cell.source = answers[exercise].strip("\n")
    code = next(k for k, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    if case.first:
        notebook.cells.insert(code + 1, nbformat.v4.new_code_cell(case.first.strip("\n"), id="first"))
    if case.last:
        notebook.cells.append(nbformat.v4.new_code_cell(case.last.strip("\n"), id="last"))
    return nbformat.writes(notebook).encode()


def _mutated(written: bytes, case: Case, files: dict[str, str]) -> bytes | None:
    notebook = json.loads(written)
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    names: dict[str, Any] = {"nb": notebook, "text": written.decode(), "files": files}
    exec(compile(case.mutate, f"{case.kind}/{case.id}", "exec"), names)
    return names["raw"] if "raw" in names else json.dumps(names["nb"]).encode()


def _put_beside(folder: Path, case: Case, files: dict[str, str]) -> None:
    for name, text in files.items():
        parent = (folder / name).parent
        if parent.is_file():
            parent.unlink()
        parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    for name, target in case.links.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)
    for name in case.pipes:
        os.mkfifo(folder / name)
    for name, size in case.sparse.items():
        with (folder / name).open("wb") as file:
            file.truncate(size)
    for k in range(case.many):
        nested = folder.joinpath(*["d"] * (k % 100))
        nested.mkdir(parents=True, exist_ok=True)
        (nested / f"f{k}").touch()
