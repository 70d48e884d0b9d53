"""The syllabus with a learner's state in it, as the panel shows it and the commands print it."""

import contextlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from studium.catalogue.catalogue import Catalogue
from studium.desk.base import cells_of, digest_of
from studium.desk.description import Description, ExerciseText, Section
from studium.desk.journal import Journal
from studium.desk.labels import Label, read_labels
from studium.desk.settings_form import Settings
from studium.desk.standing import Standing
from studium.exercises.checking import told
from studium.notebooks.cell_ids import cell_id
from studium.topics.topic import Topic


class ExerciseState(msgspec.Struct, frozen=True):
    """One exercise and where the learner stands with it.

    ``status`` and ``outcome`` are those of ``answer``: the text that was checked last or, after a reset, the stub; ""
    where nothing was ever checked.
    """

    id: str
    cell: str
    check_cell: str
    points: float
    minutes: float
    level: str
    importance: int
    kind: str
    optional: bool
    status: str
    outcome: str | None
    by_yourself: bool
    attempts: int
    hints: int
    hints_taken: int
    revealed: bool
    can_reveal: bool
    earned: float
    max_points: float
    mistake: str
    smallest: str
    test: str
    message: str
    checked_at: int | None
    versions: int
    answer: str
    was_right: bool
    experiment: str
    as_it_is: bool
    label: Label | None = None

    @property
    def over(self) -> bool:
        """Whether everything is done."""
        return self.status in ("right", "revealed")


class Experiment(msgspec.Struct, frozen=True):
    """A cell that trains or measures."""

    cell: str
    label: Label | None
    optional: bool


class TopicState(msgspec.Struct, frozen=True):
    """One topic and where the learner stands with it. ``path`` is None if the lesson is not in the folder."""

    slug: str
    title: str
    summary: str
    minutes: float
    minutes_left: float
    needs: tuple[str, ...]
    missing: list[str]
    papers: list[dict[str, Any]]
    path: str | None
    status: str
    update: bool
    problem: str
    exercises: list[ExerciseState]
    sections: list[Section]
    experiments: list[Experiment]


class Track(msgspec.Struct, frozen=True):
    """Topics that belong together, in reading order."""

    title: str
    topics: list[TopicState]


class Resume(msgspec.Struct, frozen=True):
    """Where to continue."""

    slug: str
    path: str | None
    exercise: str
    cell: str


class Syllabus(msgspec.Struct, frozen=True):
    """All topics of a catalogue, and one learner's state in one folder.

    The ``opener`` comes before all topics and is not counted.
    """

    folder: str
    workspace: str
    opener: TopicState | None
    tracks: list[Track]
    totals: dict[str, float]
    resume: Resume | None
    problems: list[str]

    @property
    def topics(self) -> list[TopicState]:
        """The topics in reading order."""
        return [topic for track in self.tracks for topic in track.topics]


class Desk:
    """What is known about a learner at one moment: settings, labels and standings are read once."""

    def __init__(self, journal: Journal) -> None:
        self.settings: Settings = journal.settings
        self.labels = read_labels(journal.store)
        self.standings: Mapping[str, Mapping[str, Standing]] = journal.standings()

    def exercise(self, slug: str, item: ExerciseText) -> ExerciseState:
        """Return the state of one exercise."""
        known = self.standings.get(slug, {}).get(item.id, Standing())
        last, cell = known.last, cell_id(slug, item.id)
        return ExerciseState(
            id=item.id,
            cell=cell,
            check_cell=cell_id(slug, item.id, "check"),
            points=item.points,
            minutes=item.minutes,
            level=item.level,
            importance=item.importance,
            kind=item.kind,
            optional=item.optional,
            status=known.status,
            outcome=known.outcome,
            by_yourself=known.by_yourself,
            attempts=known.attempts,
            hints=len(item.hints),
            hints_taken=known.hints_taken,
            revealed=known.revealed,
            can_reveal=bool(item.solution) and known.may_see_solution(self.settings.reveal_after),
            earned=last.points if last else 0.0,
            max_points=item.max_points,
            mistake=told(item.sentence_of(last.mistake_id), last.said or "", among=bool(last.among)) if last else "",
            smallest=(last.smallest or "") if last else "",
            test=last.test if last else "",
            message=last.message if last else "",
            checked_at=known.checked_at,
            versions=len(known.versions),
            answer=last.answer if last else item.stub if known.attempts else "",
            was_right=known.was_right,
            experiment=item.experiment,
            as_it_is=item.as_it_is,
            label=self.labels.get((slug, cell)),
        )

    def topic(self, topic: Topic, description: Description, path: str | None, update: bool) -> TopicState:
        """Return the state of one topic, without its missing prerequisites, which the syllabus determines."""
        exercises = [self.exercise(topic.slug, item) for item in description.exercises]
        core = [item for item in exercises if not item.optional]
        share = sum(item.minutes for item in core if item.over) / (sum(item.minutes for item in core) or 1.0)
        labels = {one.cell: self.labels.get((topic.slug, one.cell)) for one in description.experiments}
        experiments = [Experiment(one.cell, labels[one.cell], one.optional) for one in description.experiments]
        return TopicState(
            slug=topic.slug,
            title=topic.title,
            summary=topic.summary,
            minutes=topic.minutes,
            minutes_left=round(topic.minutes * (1 - share)),
            needs=topic.needs,
            missing=[],
            papers=[{"title": paper.title, "year": paper.year, "arxiv": paper.arxiv} for paper in topic.papers],
            path=path,
            status=_status(exercises),
            update=update,
            problem=description.problem,
            exercises=exercises,
            sections=description.sections,
            experiments=experiments,
        )


def read_syllabus(
    catalogue: Catalogue, described: Mapping[str, Description], journal: Journal, root: Path, folder: str
) -> Syllabus:
    """Return the syllabus of the lessons in ``root / folder``; paths are relative to ``root``."""
    desk = Desk(journal)

    def state_of(topic: Topic) -> TopicState:
        name = "/".join(filter(None, (folder, f"{topic.slug}.ipynb")))
        there, update = _on_disk(root / name, described[topic.slug])
        return desk.topic(topic, described[topic.slug], name if there else None, update)

    opener = state_of(catalogue.opener) if catalogue.opener else None
    topics = [state_of(topic) for topic in catalogue.topics]
    done = {topic.slug for topic in topics if topic.status == "done"}
    topics = [
        msgspec.structs.replace(topic, missing=[slug for slug in topic.needs if slug not in done]) for topic in topics
    ]
    by_track = zip(topics, (topic.track for topic in catalogue.topics), strict=True)
    tracks = [
        Track(title, [one for one, _ in group])
        for title, group in itertools.groupby(by_track, key=lambda pair: pair[1])
    ]
    broken = [f"{problem.entry_point} of {problem.distribution}: {problem.error}" for problem in catalogue.problems]
    problems = [*filter(None, (topic.problem for topic in topics)), *broken, *filter(None, (journal.store.notice,))]
    return Syllabus(folder, journal.workspace, opener, tracks, _totals(topics), resume(topics), problems)


def resume(topics: list[TopicState]) -> Resume | None:
    """Return where to continue: in the lesson last worked on, the first wrong exercise, or else the first untouched
    one.

    Optional exercises come once everything else is done.
    """
    places = {"begun": 0, "new": 1, "done": 2}
    latest = {topic.slug: max((item.checked_at or 0 for item in topic.exercises), default=0) for topic in topics}
    ordered = sorted(topics, key=lambda topic: (places[topic.status], -latest[topic.slug]))
    for optional in (False, True):
        for topic, status in itertools.product(ordered, ("wrong", "untouched")):
            for item in topic.exercises:
                if item.status == status and item.optional == optional:
                    return Resume(topic.slug, topic.path, item.id, item.cell)
    return None


def _status(exercises: list[ExerciseState]) -> str:
    core = [item for item in exercises if not item.optional]
    if core and all(item.over for item in core):
        return "done"
    begun = any(item.status != "untouched" or item.attempts or item.hints_taken for item in exercises)
    return "begun" if begun else "new"


def _totals(topics: list[TopicState]) -> dict[str, float]:
    everything = [item for topic in topics for item in topic.exercises]
    found = [item.status for item in everything if not item.optional]
    further = [item.status for item in everything if item.optional]
    counts: dict[str, float] = {name: found.count(name) for name in ("right", "revealed", "wrong", "untouched")}
    optional = {"optional": len(further), "optional_right": further.count("right")}
    left = sum(topic.minutes_left for topic in topics)
    return {"exercises": len(found), **counts, **optional, "minutes_left": left}


def _on_disk(path: Path, description: Description) -> tuple[bool, bool]:
    """Return whether a lesson exists, and whether the installed one is newer."""
    if not path.is_file():
        return False, False
    if description.problem:
        return True, False
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return True, digest_of(cells_of(description.lesson())) not in path.read_text("utf-8")
    return True, False
