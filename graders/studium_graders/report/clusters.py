"""Wrong answers without a name, grouped by what they do and by what they look like: mistakes to be named.

What an answer does is which tests failed and with what message, ignoring numbers, because random data differ from
student to student; and what was said about it, such as how its results relate to the right ones. The distance between
two answers is the mean of the Jaccard distance of that, and the cosine distance of their own fingerprints. Groups come
from average linkage below a distance of one half.
"""

import re

import msgspec
import numpy as np
from numpy.typing import NDArray

from studium_graders.grading.answers.fingerprints import parsed
from studium_graders.grading.answers.misconception_code import misconception_code
from studium_graders.report.class_data import Answer, ClassData, Exercise
from studium_graders.report.intervals import Interval, share
from studium_graders.report.similarity import cosines, own_fingerprints

_DISTANCE = 0.5
_LONGEST = 200  # characters of a message to compare
_NUMBER = re.compile(r"[-+]?\d[\d.e+-]*|\b(?:nan|inf)\b")


class Cluster(msgspec.Struct, frozen=True):
    """Students whose unnamed wrong answers are alike, with the most central answer as a misconception to register.

    ``share`` is among those who tried. ``failed`` are the names of the tests that the central answer fails,
    ``messages`` those of the visible ones. ``said`` is what was said to be true of that answer, such as a relation.
    """

    exercise: str
    topic: str
    students: tuple[str, ...]
    share: Interval
    failed: tuple[str, ...]
    messages: tuple[str, ...]
    code: str
    said: tuple[str, ...] = ()


class Clusters(msgspec.Struct, frozen=True):
    """The clusters of an exercise, largest first. ``alone``: answers in none; ``broken``: those that are not Python."""

    exercise: str
    clusters: tuple[Cluster, ...]
    alone: int
    broken: int


def cluster_unnamed(data: ClassData, fewest: int = 2) -> list[Clusters]:
    """Return the clusters of at least ``fewest`` unnamed wrong answers, by exercise."""
    return [_clusters(data, index, max(2, fewest)) for index in range(len(data.exercises))]


def _clusters(data: ClassData, index: int, fewest: int) -> Clusters:
    exercise, answers = data.exercises[index], data.of(index)
    unnamed = {student: answer for student, answer in answers.items() if answer.is_unnamed}
    whole = {student: answer for student, answer in unnamed.items() if parsed(answer.source)}
    tried = sum(answer.outcome != "not attempted" for answer in answers.values())
    found = [_cluster(exercise, members, middle, tried) for members, middle in _grouped(exercise, whole)]
    kept = sorted((one for one in found if len(one.students) >= fewest), key=lambda one: -len(one.students))
    alone = len(whole) - sum(len(one.students) for one in kept)
    return Clusters(exercise.name, tuple(kept), alone, len(unnamed) - len(whole))


def _grouped(exercise: Exercise, answers: dict[str, Answer]) -> list[tuple[list[str], Answer]]:
    """Return groups of students, each with the answer that is nearest to all others of its group."""
    from sklearn.cluster import AgglomerativeClustering

    students = list(answers)
    if len(students) < 2:
        return []
    distances = _distances(exercise, list(answers.values()))
    method = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=_DISTANCE
    )
    labels = method.fit_predict(distances)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    middles = [group[np.argmin(distances[np.ix_(group, group)].sum(axis=1))] for group in groups]
    return [
        ([students[place] for place in group], answers[students[middle]])
        for group, middle in zip(groups, middles, strict=True)
    ]


def _distances(exercise: Exercise, answers: list[Answer]) -> NDArray[np.float64]:
    done = [_behaviour(answer) for answer in answers]
    does = np.array([[1 - len(one & other) / len(one | other) for other in done] for one in done])
    own = [own_fingerprints(exercise, answer.source) for answer in answers]
    looks = 1 - cosines([*own, frozenset()])[:-1, :-1]  # with the right answer: a mark that all share counts too
    found: NDArray[np.float64] = (does + np.where(_equal(own), 0.0, looks)) / 2
    np.fill_diagonal(found, 0.0)
    return found


def _equal(sets: list[frozenset[int]]) -> NDArray[np.bool_]:
    return np.array([[one == other for other in sets] for one in sets])


def _behaviour(answer: Answer) -> frozenset[tuple[str, str]]:
    tests = answer.tests.items()
    said = {(name, _NUMBER.sub("#", test.message[:_LONGEST])) for name, test in tests if test.message}
    true = {("", test.said) for test in answer.tests.values() if test.said}  # a relation, an edit, a condition
    return frozenset({(name, test.outcome) for name, test in tests} | said | true)


def _cluster(exercise: Exercise, students: list[str], middle: Answer, tried: int) -> Cluster:
    failed = [item for item in exercise.items if middle.tests[item.grade_id].outcome in ("failed", "partial")]
    messages = [middle.tests[item.grade_id].message for item in failed if not item.hidden]
    return Cluster(
        exercise.name,
        exercise.topic,
        tuple(students),
        share(len(students), tried),
        tuple(item.name for item in failed),
        tuple(dict.fromkeys(filter(None, messages))),
        misconception_code(exercise.id, middle.source),
        tuple(dict.fromkeys(test.said for test in middle.tests.values() if test.said)),
    )
