"""The engine inside nbgrader: ``nbgrader autograde`` and formgrader's button grade with tests beyond students' reach.

``nbgrader_config.grade_with_engine(c)`` replaces nbgrader's ``Execute`` with ``SplitExecute``. It writes outputs from
which nbgrader's own SaveAutoGrades computes exactly the engine's points, and ``SaveGrades`` takes back those that wait
for a person; everything after it is nbgrader's.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import nbformat
from nbformat import NotebookNode
from nbgrader.converters.base import NbGraderException
from nbgrader.preprocessors import Execute, SaveAutoGrades
from studium.catalogue.catalogue import load_catalogue
from studium.errors import StudiumError
from traitlets import Bool

from studium_graders.course.course_file import FILE, read_course, says_hidden
from studium_graders.course.limits import MOST_SECONDS, Limits
from studium_graders.engine.intake.canonical import canonical_notebook, template_cells
from studium_graders.engine.intake.submissions import files_beside
from studium_graders.engine.intake.submitted_files import read_folder
from studium_graders.engine.intake.submitted_notebook import SubmittedCell
from studium_graders.engine.material.assignment import CanonicalSubmission, Material
from studium_graders.engine.material.results import SubmissionResult
from studium_graders.engine.material.template import material_of
from studium_graders.grading import work
from studium_graders.results.autograded import autograded_files
from studium_graders.results.exercise_files import packages_of
from studium_graders.results.mistakes import Sentences
from studium_graders.results.store import exercise_hashes
from studium_graders.results.unverified import for_review

_WAITING = "studium_waiting"  # where the resources name the tests that a person decides


class SplitExecute(Execute):  # type: ignore[misc]
    """Runs a notebook in the engine. The settings of ``Execute`` apply here too: ``timeout`` and ``enabled``."""

    trust_submissions = Bool(
        False, help="Grade even if the sandbox is too weak to keep a submission away from other people's files."
    ).tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        """Return the notebook in its canonical form, with outputs worth what the engine gave."""
        try:
            with installed_path():
                return self._graded(nb, resources), resources
        except StudiumError as error:
            self.log.error("studium: %s", error)
            raise NbGraderException(str(error)) from error

    def _graded(self, nb: NotebookNode, resources: dict[str, Any]) -> NotebookNode:
        names = resources["nbgrader"]
        material, packed, how = self._material(names["assignment"])
        submission = _submission(nb, names["notebook"], names["student"], material, Path(resources["metadata"]["path"]))
        result = msgspec.msgpack.decode(
            work.grade(how, packed, msgspec.msgpack.encode(submission)), type=SubmissionResult
        )
        for book in result.notebooks:
            if book.verdict == "engine error":
                raise StudiumError(f"{names['student']} could not be graded: {book.detail}; try it again and report it")
            for note in filter(None, (book.detail, *book.repairs, *book.notes)):
                self.log.warning("%s of %s: %s", book.name, names["student"], note)
        if self._reviews():
            result = for_review(result)
        resources[_WAITING] = [test.grade_id for test in result.tests if test.outcome == "review"]
        sentences = Sentences(load_catalogue(), hidden=says_hidden(Path(self.parent.parent.coursedir.root)))
        files = autograded_files(submission, result, material, sentences)
        document = files[f"{names['notebook']}.ipynb"]
        made = nbformat.reads(document.decode(), as_version=4)
        made.metadata = nb.metadata
        return made

    def _material(self, assignment: str) -> tuple[Material, bytes, work.Work]:
        """Return the calibrated material, also packed, and how to grade it."""
        converter = self.parent.parent
        root = Path(converter.coursedir.root)
        config = converter.config.copy()
        config.CourseDirectory.db_url = converter.coursedir.db_url
        limits, gpu = self._limits(root, assignment)
        material = material_of(config, root, assignment, limits)
        how = work.Work(
            material.digest, self._level(), 1, self.trust_submissions, gpu, (str(root),), _exercises(material)
        )
        if how not in _CALIBRATED:
            _CALIBRATED.clear()
            _CALIBRATED[how] = work.calibrate(how, msgspec.msgpack.encode(material))
        packed = _CALIBRATED[how]
        return msgspec.msgpack.decode(packed, type=Material), packed, how

    def _level(self) -> str:
        level, weakness = _probed()
        if weakness and not self.trust_submissions:
            raise StudiumError(
                f"grading needs a sandbox of level L2, but this machine has {level}: {weakness}; fix that, or write "
                f"into nbgrader_config.py: c.SplitExecute.trust_submissions = True"
            )
        return level

    def _limits(self, root: Path, assignment: str) -> tuple[Limits, bool]:
        """Return the limits of course.toml, with the time for a cell that nbgrader's settings give; and the GPU."""
        limits, gpu = Limits(), False
        if (root / FILE).is_file():
            course = read_course(root)
            limits, gpu = course.limits_of(assignment), course.needs_gpu(assignment)
        if any("timeout" in self.config[name] for name in ("Execute", "SplitExecute", "ExecutePreprocessor")):
            seconds = self.timeout if self.timeout and self.timeout > 0 else limits.submission_seconds
            limits = msgspec.structs.replace(limits, call_seconds=min(float(seconds), MOST_SECONDS))
        return limits, gpu

    def _reviews(self) -> bool:
        """Return whether points of unverified tests wait for a person in this course."""
        root = Path(self.parent.parent.coursedir.root)
        return (root / FILE).is_file() and read_course(root).grading.unverified == "review"


class SaveGrades(SaveAutoGrades):  # type: ignore[misc]
    """Saves nbgrader's marks; a test that waits for a person has none, and is in the formgrader's queue."""

    def _add_score(self, cell: NotebookNode, resources: dict[str, Any]) -> None:
        super()._add_score(cell, resources)
        name = cell.metadata["nbgrader"]["grade_id"]
        if name in resources.get(_WAITING, ()):
            grade = self.gradebook.find_grade(name, self.notebook_id, self.assignment_id, self.student_id)
            grade.auto_score, grade.needs_manual_grade = None, True
            self.gradebook.db.commit()


def _exercises(material: Material) -> str:
    """Return the topics' exercises that judge this material, in their current state: formgrader may run for weeks."""
    if not any(cell.topic for book in material.notebooks for cell in book.cells):
        return ""
    return " ".join(exercise_hashes(packages_of(material, load_catalogue())).values())


@cache
def _probed() -> tuple[str, str]:
    return work.probe_level()


@contextmanager
def installed_path() -> Iterator[None]:
    """Import only what is installed: nbgrader adds the folder it was started in, which student code must not see.

    What the engine starts has the import path of the process that starts it.
    """
    before = list(sys.path)
    sys.path[:] = [entry for entry in before if entry in _installed()]
    try:
        yield
    finally:
        sys.path[:] = before


@cache
def _installed() -> frozenset[str]:
    code = "import json, sys; print(json.dumps(sys.path))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    return frozenset(json.loads(done.stdout))


_CALIBRATED: dict[work.Work, bytes] = {}  # of the one assignment that this process grades now


def _submission(nb: NotebookNode, notebook: str, student: str, material: Material, folder: Path) -> CanonicalSubmission:
    """Return the canonical submission for a notebook that nbgrader has sanitised, with the files next to it.

    nbgrader has already put back the instructor's cells, including hidden tests, so any student changes to them are
    lost.
    """
    book = next((book for book in material.notebooks if book.name == notebook), None)
    if book is None:
        raise StudiumError(f"{notebook} must be a notebook of {material.assignment}; generate the assignment again")
    items = template_cells(book, json.loads(book.template))
    released = {item.cell.grade_id: item.released for item in items if item.cell.locked and item.cell.grade_id}
    ids = [str(cell.metadata.get("nbgrader", {}).get("grade_id", "")) for cell in nb.cells]
    cells = [
        SubmittedCell(
            cell.cell_type,
            released.get(grade_id, cell.source),
            grade_id,
            str(cell.get("id", "")),
            dict(cell.get("attachments", {})),
        )
        for cell, grade_id in zip(nb.cells, ids, strict=True)
    ]
    files = files_beside(material, read_folder(folder, material.limits.disk_mb))
    return CanonicalSubmission(student, (canonical_notebook(book, cells),), files)
