"""What the desk knows about a topic without importing it: its exercises as text, and its compiled lesson."""

import re
from collections.abc import Iterator

import msgspec
import nbformat
from nbformat import NotebookNode
from pluggy import PluginManager

from studium.desk.first_widget import show_diagrams, show_first_widget
from studium.errors import StudiumError, UnknownNameError
from studium.exercises.definitions import definition
from studium.exercises.model import Exercise, Misconception, mistake_id
from studium.exercises.sources import solved, stub
from studium.notebooks.editions import compile_lesson, exercise_of, is_optional, role
from studium.notebooks.needed_cells import names_in
from studium.topics.topic import Topic


class WrongAnswer(msgspec.Struct, frozen=True):
    """A typical wrong answer: its id, its sentence, and its code under the exercise's own name."""

    id: str
    message: str
    code: str


class ExerciseText(msgspec.Struct, frozen=True):
    """One exercise as text. In the public edition ``solution`` is "" and there are no wrong answers.

    ``optional`` exercises come below the lesson's heading "Further". ``experiment`` is the first cell that runs an
    experiment with the learner's function, or "" for none; ``as_it_is`` means it runs even with a wrong one.
    """

    id: str
    points: float
    max_points: float
    minutes: float
    level: str
    importance: int
    kind: str
    optional: bool
    tests: list[str]
    hints: list[str]
    stub: str
    solution: str
    wrong: list[WrongAnswer]
    experiment: str = ""
    as_it_is: bool = False

    def wrong_answer(self, mistake: str) -> WrongAnswer | None:
        """Return the wrong answer that a record names, by its id or, in an old record, by its sentence."""
        return next((known for known in self.wrong if mistake in (known.id, known.message)), None)

    def sentence_of(self, mistake: str) -> str:
        """Return the sentence of a recorded mistake as the topic words it now, or "" if it is gone."""
        known = self.wrong_answer(mistake)
        return known.message if known else ""


class Section(msgspec.Struct, frozen=True):
    """A heading of the lesson and the cell it is in."""

    title: str
    cell: str


class PlacedExperiment(msgspec.Struct, frozen=True):
    """A cell of the lesson that trains or measures."""

    cell: str
    optional: bool


class Description(msgspec.Struct, frozen=True):
    """One topic. ``notebook`` is the compiled lesson as JSON; ``problem`` is why it could not be compiled, or "".

    Exercises are in the order of the lesson.
    """

    slug: str
    exercises: list[ExerciseText] = []
    sections: list[Section] = []
    experiments: list[PlacedExperiment] = []
    notebook: str = ""
    problem: str = ""

    def lesson(self) -> NotebookNode:
        """Return the compiled lesson; raise StudiumError if there is none."""
        if self.problem:
            raise StudiumError(self.problem)
        return nbformat.reads(self.notebook, as_version=4)

    def exercise(self, name: str) -> ExerciseText:
        """Return the exercise called ``name``; raise UnknownNameError with the nearest name."""
        for item in self.exercises:
            if item.id == name:
                return item
        raise UnknownNameError(f"exercise of {self.slug}", name, (item.id for item in self.exercises))


def describe(topic: Topic, manager: PluginManager) -> Description:
    """Describe a topic by importing it; a topic that cannot be used is described by its problem."""
    try:
        notebook = compile_lesson(topic, manager)
        exercises = list(_exercises(topic, notebook))
        show_first_widget(notebook)
        show_diagrams(notebook)
    except StudiumError as error:
        return Description(topic.slug, problem=str(error))
    except Exception as error:  # an error in somebody's topic must not hide the others
        return Description(topic.slug, problem=f"topic {topic.slug} cannot be built: {type(error).__name__}: {error}")
    trained = [cell for cell in notebook.cells if cell.cell_type == "code" and role(cell) == "experiment"]
    experiments = [PlacedExperiment(cell.id, is_optional(cell)) for cell in trained]
    return Description(topic.slug, exercises, list(_sections(notebook)), experiments, nbformat.writes(notebook))


def _exercises(topic: Topic, notebook: NotebookNode) -> Iterator[ExerciseText]:
    for cell in notebook.cells:
        if role(cell) == "exercise":
            exercise = topic.exercise(exercise_of(cell))
            yield _text(topic.slug, exercise, is_optional(cell), _experiment_with(exercise.id, notebook))


def _experiment_with(exercise: str, notebook: NotebookNode) -> NotebookNode | None:
    """Return the first experiment that uses an exercise's name, or None."""
    cells = (cell for cell in notebook.cells if cell.cell_type == "code" and role(cell) == "experiment")
    return next((cell for cell in cells if exercise in names_in(cell.source).reads), None)


def _text(slug: str, exercise: Exercise, optional: bool, experiment: NotebookNode | None) -> ExerciseText:
    return ExerciseText(
        exercise.id,
        exercise.points,
        exercise.max_points,
        exercise.minutes,
        exercise.level,
        exercise.importance,
        exercise.kind,
        optional,
        [test.name for test in exercise.tests],
        list(exercise.hints),
        stub(exercise),
        "" if exercise.public else solved(exercise),
        [_wrong_answer(slug, exercise.id, one) for one in exercise.misconceptions],
        str(experiment.id) if experiment else "",
        experiment is not None and "lesson.mine" not in experiment.source,
    )


def _wrong_answer(slug: str, exercise: str, one: Misconception) -> WrongAnswer:
    code = _renamed(definition(one.function), exercise)
    return WrongAnswer(mistake_id(slug, exercise, one.name), one.message, code)


def _renamed(code: str, name: str) -> str:
    return re.sub(r"^def \w+\(", f"def {name}(", code, count=1, flags=re.MULTILINE).rstrip() + "\n"


def _sections(notebook: NotebookNode) -> Iterator[Section]:
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and role(cell) != "prompt":
            yield from (Section(title, cell.id) for title in re.findall(r"^#{1,3} +(.+)$", cell.source, re.MULTILINE))
