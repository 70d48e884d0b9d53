"""Every installed topic as an assignment in stock nbgrader: one batch for each topic, one kernel for each answer."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook  # nbgrader is an extra
from studium.catalogue.catalogue import Catalogue, load_catalogue
from studium.exercises.definitions import definition
from studium.exercises.model import AnyFunction, Exercise
from studium.exercises.sources import global_names, imports_used, solved
from studium.topics.topic import Topic
from studium_graders.assignments.building import build_assignment
from studium_graders.assignments.grade_ids import test_ids as ids_of_tests

pytestmark = [pytest.mark.nbgrader, pytest.mark.heavy]
SLUGS = [topic.slug for topic in load_catalogue().topics if topic.has("exercises")]


@dataclass(frozen=True)
class Graded:
    """A topic after its batch: the score of each student by grade id."""

    topic: Topic
    scores: dict[str, dict[str, float]]

    def points(self, student: str, exercise: Exercise, *, hidden: bool = False) -> float:
        ids = ids_of_tests(self.topic, exercise)
        tests = (test for test in exercise.tests if test.hidden or not hidden)
        return sum(self.scores[student][ids[test.name]] for test in tests)


def as_answer(topic: Topic, exercise: Exercise, function: AnyFunction) -> str:
    """Write a function of a topic's exercises as a student would: under the exercise's name, with its imports.

    What several misconceptions share stays in the function's module, and is imported from there.
    """
    own = inspect.unwrap(function).__globals__
    shared = sorted(name for name in global_names(definition(function)) if name in own and name.startswith("_"))
    imports = imports_used(function, {*topic.exercises, *shared}, f"an answer to {exercise.id}")
    imports += [f"from {function.__module__} import {name}" for name in shared]
    return "\n".join([*imports, "", "", definition(function).replace("def _(", f"def {exercise.id}(", 1)])


def answers(topic: Topic) -> Iterator[tuple[str, dict[str, str]]]:
    """Give students with their answers: wrong-k has misconception k wherever there is one, and solutions elsewhere."""
    right = {exercise.id: solved(exercise) for exercise in topic.exercises.values()}
    yield "blank", {}
    yield "right", right
    for kind in ("misconceptions", "alternatives"):
        found = {exercise.id: getattr(exercise, kind) for exercise in topic.exercises.values()}
        for index in range(max(map(len, found.values()), default=0)):
            chosen = {name: items[index] for name, items in found.items() if index < len(items)}
            own = {
                name: as_answer(topic, topic.exercise(name), getattr(item, "function", item))
                for name, item in chosen.items()
            }
            yield f"{kind}-{index}", right | own


@pytest.fixture(scope="module", params=[*SLUGS, "counting"])
def graded(
    request: pytest.FixtureRequest, counting: Catalogue, make_course: Callable, nbgrader: Callable, submit: Callable
) -> Graded:
    topic = load_catalogue()[request.param]
    course: Path = make_course(f'[[assignments]]\nname = "ps1"\ntopics = ["{topic.slug}"]')
    build_assignment(course, "ps1", counting)
    students = dict(answers(topic))
    for student, answer in students.items():
        submit(course, student, {topic.slug: answer})
    nbgrader(course, "autograde", "ps1", "--Execute.timeout=120")
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        scores = {
            student: {
                grade.name: grade.score for grade in gradebook.find_submission("ps1", student).notebooks[0].grades
            }
            for student in students
        }
    return Graded(topic, scores)


def test_the_solution_and_every_other_correct_answer_earn_full_marks(graded: Graded) -> None:
    for student in graded.scores:
        if student == "right" or student.startswith("alternatives"):
            lost = [item.id for item in graded.topic.exercises.values() if graded.points(student, item) != item.points]
            assert (student, lost) == (student, [])


def test_the_untouched_stub_earns_nothing(graded: Graded) -> None:
    assert {name: score for name, score in graded.scores["blank"].items() if score} == {}


def test_every_misconception_loses_a_hidden_test(graded: Graded) -> None:
    for exercise in graded.topic.exercises.values():
        worth = sum(test.points for test in exercise.tests if test.hidden)
        for index, misconception in enumerate(exercise.misconceptions):
            kept = graded.points(f"misconceptions-{index}", exercise, hidden=True)
            assert kept < worth, misconception.message
