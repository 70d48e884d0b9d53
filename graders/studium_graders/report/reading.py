"""Read a class's answers and results from a course folder. Nothing is run, and nothing is written."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError, StudiumError
from studium.exercises.definitions import definition
from studium.exercises.sources import solved

from studium_graders.assignments.submissions import Submitted, find_submissions
from studium_graders.class_list.absences import absent_of
from studium_graders.course.course_file import FILE, read_course
from studium_graders.course.finding import open_course
from studium_graders.course.limits import Limits
from studium_graders.course.sharing import sharing_of
from studium_graders.engine.intake.submissions import read_submission
from studium_graders.engine.material.assignment import CanonicalSubmission, Cell, Material, NotebookMaterial
from studium_graders.engine.material.results import NotebookResult, SubmissionResult
from studium_graders.engine.material.template import material_of
from studium_graders.grading.answers.same_answers import released_text, same_answers, written
from studium_graders.report.class_data import Answer, ClassData, Exercise, Item
from studium_graders.results.store import ResultsStore, newest

_NO_ANSWERS = ("missing", "unreadable", "engine error")


def read_class(root: Path, assignment: str, catalogue: Catalogue) -> ClassData:
    """Return what a class handed in for an assignment, with the results of the last grading.

    Raise CourseError if nothing has been graded yet, and StudiumError if the course cannot be used.
    """
    coursedir = open_course(root, assignment)
    root = Path(coursedir.root)
    material = material_of(coursedir.config, root, assignment, Limits())
    submissions = [one for one in find_submissions(coursedir, assignment) if not one.problem]
    store = ResultsStore(root / ".studium" / "results" / assignment, sharing_of(coursedir))
    results = {result.student: (result, written) for result, written in store.all()}
    graded = [one for one in submissions if one.student in results]
    current = [one for one in graded if newest(one.folder) <= results[one.student][1]]
    if not current:
        raise CourseError(f"{assignment} has no results yet; run: studium grade {assignment}")
    exercises = tuple(exercises_of(material, catalogue))
    handed_in = {one.student: read_submission(material, one.folder, one.student) for one in current}
    answers = {
        student: answers_of(exercises, submission, results[student][0], material)
        for student, submission in handed_in.items()
    }
    same = same_answers(
        {student: written(material, one) for student, one in handed_in.items()}, released_text(material)
    )
    course = read_course(root) if (root / FILE).is_file() else None
    title = (course.title or course.id) if course else coursedir.course_id
    notes = tuple(_notes(submissions, graded, current))
    return ClassData(assignment, exercises, answers, title, notes, same, absent_of(coursedir, assignment))


def _notes(
    submissions: Sequence[Submitted], graded: Sequence[Submitted], current: Sequence[Submitted]
) -> Iterator[str]:
    for count, what in (
        (len(submissions) - len(graded), "not graded yet"),
        (len(graded) - len(current), "changed since the last grading"),
    ):
        if count:
            yield f"{count} of {len(submissions)} submissions are not in this report: {what}"


def exercises_of(material: Material, catalogue: Catalogue) -> Iterator[Exercise]:
    """Return the exercises of an assignment. A test belongs to the exercise it names, or to the answer above it."""
    for book in material.notebooks:
        topic, named = _named(book)
        given = tuple(cell.source for cell in book.cells if cell.kind in ("given", "answer"))
        tests = _tests(book, named)
        for cell in book.cells:
            if cell.kind == "answer" and (items := tests.get(cell.id)):
                name = named.get(cell.id, cell.grade_id or cell.id)
                right = tuple(filter(None, (cell.reference, *_registered(catalogue, topic, name))))
                yield Exercise(book.name, name, tuple(items), topic if cell.id in named else "", given, right)


def answers_of(
    exercises: Sequence[Exercise], submission: CanonicalSubmission, result: SubmissionResult, material: Material
) -> tuple[Answer | None, ...]:
    """Return one student's answers to the exercises of ``material``."""
    books = {book.name: book for book in result.notebooks}
    sources = {book.name: _sources(book.document) for book in submission.notebooks}
    cells = {book.name: _answer_cells(book) for book in material.notebooks}
    return tuple(
        _answer(
            one, books.get(one.notebook), sources.get(one.notebook, {}).get(cells[one.notebook].get(one.id, ""), "")
        )
        for one in exercises
    )


def _answer(exercise: Exercise, book: NotebookResult | None, source: str) -> Answer | None:
    if book is None or book.verdict in _NO_ANSWERS:
        return None
    own = {item.grade_id for item in exercise.items}
    tests = {test.grade_id: test for test in book.tests if test.grade_id in own}
    return Answer(source, tests) if tests.keys() == own else None


def _named(book: NotebookMaterial) -> tuple[str, dict[str, str]]:
    """Return the topic of a notebook and the exercises of its answer cells, from Studium's metadata."""
    template = json.loads(book.template)
    own = {cell["id"]: cell["metadata"].get("studium", {}) for cell in template["cells"]}
    named = {name: str(marks["exercise"]) for name, marks in own.items() if marks.get("role") == "exercise"}
    return str(template["metadata"].get("studium", {}).get("topic", "")), named


def _answer_cells(book: NotebookMaterial) -> dict[str, str]:
    _, named = _named(book)
    return {named.get(cell.id, cell.grade_id or cell.id): cell.id for cell in book.cells if cell.kind == "answer"}


def _tests(book: NotebookMaterial, named: Mapping[str, str]) -> dict[str, list[Item]]:
    """Return the graded tests of each answer cell."""
    places = {exercise: cell for cell, exercise in named.items()}
    above, found = "", dict[str, list[Item]]()
    for cell in book.cells:
        if cell.kind == "answer":
            above = cell.id
        elif cell.kind == "test" and cell.points and (home := places.get(cell.exercise, above)):
            found.setdefault(home, []).append(_item(cell))
    return found


def _item(cell: Cell) -> Item:
    return Item(cell.grade_id, cell.test or cell.grade_id, cell.points, cell.hidden)


def _registered(catalogue: Catalogue, topic: str, name: str) -> list[str]:
    """Return the right answers that a topic registers for an exercise; none if the topic is not installed."""
    with suppress(StudiumError, OSError):
        exercise = catalogue[topic].exercise(name)
        if not exercise.public:
            return [solved(exercise), *map(definition, exercise.alternatives)]
    return []


def _sources(document: bytes) -> dict[str, str]:
    cells: list[dict[str, Any]] = msgspec.json.decode(document)["cells"] if document else []
    return {str(cell["id"]): str(cell["source"]) for cell in cells}
