"""The contents of an assignment: a notebook for each topic, with the exercises at the points they are worth."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError, UnknownNameError
from studium.exercises.model import Exercise
from studium.topics.topic import Topic

from studium_graders.course.course_file import Assignment


@dataclass(frozen=True)
class NotebookPlan:
    """One notebook: its topic, its exercises by id, and whether it is the whole lesson or only these exercises."""

    topic: Topic
    exercises: Mapping[str, Exercise]
    whole: bool
    experiments: bool

    @property
    def points(self) -> float:
        """What all exercises are worth together, with the reports of open ones."""
        return sum(exercise.points + exercise.report for exercise in self.exercises.values())


def plan_notebooks(assignment: Assignment, catalogue: Catalogue) -> list[NotebookPlan]:
    """Look up the topics and exercises of an assignment; topics in its order, then those of single exercises.

    Raise UnknownNameError for a name that the catalogue lacks, CourseError for anything that cannot be graded.
    """
    wanted: dict[str, list[str]] = {slug: [] for slug in assignment.topics}
    for name in assignment.exercises:
        slug, _, exercise = name.partition(".")
        wanted.setdefault(slug, []).append(exercise)
    plans = [_plan(catalogue[slug], names, assignment) for slug, names in wanted.items()]
    known = [f"{plan.topic.slug}.{name}" for plan in plans for name in plan.exercises]
    if unknown := next((name for name in assignment.points if name not in known), None):
        raise UnknownNameError(f"exercise in points of {assignment.name}", unknown, known)
    return plans


def _plan(topic: Topic, names: list[str], assignment: Assignment) -> NotebookPlan:
    for name in names:
        topic.exercise(name)
    chosen = [exercise for exercise in topic.exercises.values() if not names or exercise.id in names]
    if not chosen:
        raise CourseError(f"an assignment needs exercises: {topic.slug} has none; leave it out of {assignment.name}")
    if public := next((exercise for exercise in chosen if exercise.public), None):
        raise CourseError(
            f"an assignment needs the instructor's edition of {topic.slug}: {public.id} is the public one; "
            "pip install studium-keys, or for another author's topic the wheel that is not +student"
        )
    worth = (assignment.points.get(f"{topic.slug}.{exercise.id}", exercise.points) for exercise in chosen)
    exercises = {item.id: worth_points(item, points) for item, points in zip(chosen, worth, strict=True)}
    return NotebookPlan(topic, exercises, whole=not names, experiments=assignment.experiments)


def worth_points(exercise: Exercise, points: float) -> Exercise:
    """Return the exercise with a new worth: each test keeps its share, in hundredths that add up to ``points``."""
    if points == exercise.points:
        return exercise
    shares = _hundredths([test.points / exercise.points for test in exercise.tests], points)
    tests = [replace(test, points=share) for test, share in zip(exercise.tests, shares, strict=True)]
    return replace(exercise, points=points, tests=tests)


def _hundredths(shares: Iterable[float], points: float) -> list[float]:
    rounded, total, given = [], 0.0, 0.0
    for share in shares:  # rounding the running sum keeps the total exact
        total += share * points
        rounded.append(round(round(total, 2) - given, 2))
        given = round(total, 2)
    return rounded
