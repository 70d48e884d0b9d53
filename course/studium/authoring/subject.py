"""The topic being checked, found by its slug or by its folder."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from studium.authoring.project import lent, project_at
from studium.catalogue.catalogue import Catalogue, load_catalogue
from studium.errors import TopicError, UsageError
from studium.exercises.model import Exercise
from studium.topics.profiles import Profile
from studium.topics.topic import Topic

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from studium.authoring.lesson_run import LessonRun
    from studium.authoring.mutant_process import Trial
    from studium.authoring.shown import Shown
    from studium.authoring.tried_versions import Tried
    from studium.experiments.measuring import ClaimResult


@dataclass
class Subject:
    """A topic, the catalogue that contains it, and the profile at which it is checked.

    ``publish`` adds the checks that must pass before publishing. ``chosen`` names the exercises to look at, or all if
    it is empty; ``attempts`` notes which other machines the checks in this process tried to reach. Whatever several
    checks need is computed once, on first use.
    """

    topic: Topic
    catalogue: Catalogue
    profile: Profile
    publish: bool = False
    chosen: tuple[str, ...] = ()
    attempts: list[str] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def folder(self) -> Path:
        """The folder of the topic's package."""
        return Path(str(files(self.topic.package)))

    @property
    def exercises(self) -> list[Exercise]:
        """The exercises to look at, in order."""
        return [exercise for name, exercise in self.topic.exercises.items() if not self.chosen or name in self.chosen]

    @cached_property
    def lesson(self) -> "NotebookNode":
        """The lesson as learners get it."""
        from studium.notebooks.editions import compile_lesson

        return compile_lesson(self.topic, self.catalogue.manager)

    @cached_property
    def _places(self) -> dict[str, str]:
        from studium.authoring.lesson_places import places_of_cells

        return places_of_cells(self.topic)

    def place(self, name: str) -> str:
        """Return where a cell, known by its id or its exercise, is: "lesson.py:143", or else "cell …"."""
        from studium.notebooks.editions import exercise_of

        exercises = {str(cell.id): exercise_of(cell) for cell in self.lesson.cells}
        return self._places.get(exercises.get(name) or name, f"cell {name}")

    @cached_property
    def lesson_run(self) -> "LessonRun":
        """What happened when the lesson was run in a clean process."""
        from studium.authoring.lesson_run import run_lesson

        with self._lock:
            return run_lesson(self.topic.slug, self.profile)

    @cached_property
    def trials(self) -> "list[Trial]":
        """What the tests reported about each misconception and each mutant."""
        from studium.authoring.apart import told_apart
        from studium.authoring.mutant_process import Trial

        slug = self.topic.slug
        whole = self.publish or self.profile.name != "smoke"  # or else a sample of other answers' mutants
        with self._lock:
            what = f"the mutants of {slug}"
            return told_apart("studium.authoring.mutant_process", (slug, self.chosen, whole), Trial, what)

    @cached_property
    def versions(self) -> "dict[str, dict[str, Tried]]":
        """What the tests of each exercise reported about versions of its solution that break a promise."""
        from studium.authoring.tried_versions import try_versions

        with self._lock:
            return {exercise.id: try_versions(self.topic, exercise) for exercise in self.exercises}

    @cached_property
    def measured(self) -> "list[ClaimResult]":
        """What the claims measure at this profile, with the reference's building blocks."""
        from studium.authoring.measured_claims import measure_claims

        with self._lock:
            return measure_claims(self.topic, self.profile, publish=self.publish)

    @cached_property
    def shown(self) -> "list[Shown]":
        """The code shown to learners that could be an answer, with what the tests reported about it."""
        from studium.authoring.apart import told_apart
        from studium.authoring.shown import Shown

        slug = self.topic.slug
        with self._lock:
            what = f"the code that the lesson of {slug} shows"
            return told_apart("studium.authoring.shown_process", (slug, self.chosen), Shown, what)


@contextmanager
def open_subject(target: str, profile: Profile, *, publish: bool = False) -> Iterator[Subject]:
    """Find the topic with the slug ``target``, or in the folder ``target``, which need not be installed.

    Raise UsageError if there is neither, and TopicError if the topic cannot be loaded.
    """
    catalogue = load_catalogue()
    if _is_slug(target, catalogue):
        yield Subject(catalogue[target], catalogue, profile, publish)
        return
    path = Path(target).resolve()
    if not path.is_dir():
        catalogue[target]  # raises, naming the nearest slug
    if topic := _topic_in(path, catalogue):
        yield Subject(topic, catalogue, profile, publish)
        return
    with lent(project_at(path)):
        catalogue = load_catalogue()
        yield Subject(_require_topic(path, catalogue), catalogue, profile, publish)


def _is_slug(target: str, catalogue: Catalogue) -> bool:
    if os.sep in target or target in (".", ".."):
        return False
    return any(topic.slug == target for topic in catalogue.lessons)


def _topic_in(path: Path, catalogue: Catalogue) -> Topic | None:
    for topic in catalogue.lessons:
        if Path(str(files(topic.package))).resolve() == path:
            return topic
    return None


def _require_topic(path: Path, catalogue: Catalogue) -> Topic:
    """Return the one topic whose package is ``path`` or is below it."""
    project = project_at(path)
    packages = set(project.entry_points.values())
    topics = [topic for topic in catalogue.lessons if topic.package in packages]
    inside = [topic for topic in topics if Path(str(files(topic.package))).resolve().is_relative_to(path)]
    if len(inside) == 1:
        return inside[0]
    if inside:
        folders = ", ".join(sorted(Path(str(files(topic.package))).name for topic in inside))
        raise UsageError(f"only one topic is checked at a time: {path} has several; name the folder of one: {folders}")
    problems = [p.error for p in catalogue.problems if p.entry_point in project.entry_points]
    why = problems[0] if problems else "its plugin returns no topic from here; look at studium_topics in __init__.py"
    raise TopicError(f"the topic in {path} could not be loaded: {why}")
