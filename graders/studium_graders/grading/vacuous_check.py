"""Tell an author which tests a vacuous answer passes: when an assignment is built, or first graded."""

from pathlib import Path
from typing import NamedTuple

import msgspec
from studium.catalogue.catalogue import Catalogue

from studium_graders.course.course_file import FILE, read_course
from studium_graders.course.finding import open_course
from studium_graders.course.limits import Limits
from studium_graders.course.sharing import Sharing, sharing_of
from studium_graders.engine.material.assignment import Material
from studium_graders.engine.material.results import TestResult
from studium_graders.engine.material.template import material_of
from studium_graders.engine.supervision.vacuous_answers import VacuousTest
from studium_graders.grading import work
from studium_graders.results.exercise_files import packages_of
from studium_graders.results.store import environment_hash, write_whole

_vacuous = msgspec.msgpack.Decoder(list[VacuousTest])
_results = msgspec.msgpack.Decoder(list[TestResult])


class _Checked(msgspec.Struct, frozen=True):
    """The material about which the author has been told."""

    digest: str


class Checked(NamedTuple):
    """The tests that vacuous answers pass, and what each test gives the reference solution: mode and reason, too."""

    vacuous: list[VacuousTest]
    tests: list[TestResult]


def check_assignment(root: Path, assignment: str, catalogue: Catalogue) -> Checked:
    """Look at the tests of an assignment before anybody is graded. Raise CourseError if it cannot be graded."""
    coursedir = open_course(root, assignment)
    own = Path(coursedir.root)
    limits = read_course(own).limits_of(assignment) if (own / FILE).is_file() else Limits()
    material = material_of(coursedir.config, own, assignment, limits)
    level, _ = work.probe_level()
    environment = environment_hash(packages_of(material, catalogue))
    job = work.Work(material.digest, level, 1, True, False, (str(own),), environment)  # the author's own code
    try:
        calibrated = work.calibrate(job, msgspec.msgpack.encode(material))
        vacuous = _vacuous.decode(work.vacuous_tests(job, calibrated))
        tests = _results.decode(work.modes(job, calibrated))
    finally:
        work.close_engines()
    note_checked(own, material, sharing_of(coursedir))
    return Checked(vacuous, tests)


def is_checked(root: Path, material: Material) -> bool:
    """Return whether the author has been told which tests of this material vacuous answers pass."""
    try:
        kept = msgspec.msgpack.decode(_path(root, material.assignment).read_bytes(), type=_Checked)
    except (OSError, msgspec.MsgspecError):
        return False
    return kept.digest == _digest(material)


def note_checked(root: Path, material: Material, sharing: Sharing) -> None:
    """Record that the author has been told."""
    path = _path(root, material.assignment)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.msgpack.encode(_Checked(_digest(material))))
    sharing.share(path)


def _path(root: Path, assignment: str) -> Path:
    return root / ".studium" / "vacuous" / f"{assignment}.msgpack"


def _digest(material: Material) -> str:
    return msgspec.structs.replace(material, calibration={}).digest
