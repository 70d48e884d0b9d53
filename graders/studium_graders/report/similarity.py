"""Pairs of students whose answers are more alike than chance would explain. Evidence to look at, never a verdict.

For each exercise, the fingerprints of the course's own code and of the registered right answers are removed; the others
weigh more the rarer they are in the class. Let s be the cosine of two students' fingerprints, r the number of students
who are at least as close to one of the two as the other is, and n the number of all others who have something of their
own there. The exercise then adds s · log2(n / r) bits: none if an answer is common, and at most log2(n). If answers
were independent, a pair would reach b bits with a probability of about 2^-b. So a pair is named from log2(1000 · pairs)
bits on, at which one class in a thousand would name a pair by chance, and only above the 99.5th percentile of its own
class.
"""

import math
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from studium_graders.grading.answers.fingerprints import fingerprints
from studium_graders.report.class_data import Answer, ClassData, Exercise

_CHANCE = 1000  # classes, one of which names a pair by chance
_PERCENTILE = 99.5


class Shared(msgspec.Struct, frozen=True):
    """What two students share in one exercise.

    ``alike`` is the cosine of their own fingerprints, ``closer`` how many others are at least as close to one of them.
    """

    exercise: str
    alike: float
    closer: int
    bits: float
    first: str
    second: str
    both_unnamed: bool = False


class Pair(msgspec.Struct, frozen=True):
    """Two students, the evidence in bits, and the exercises it comes from, the strongest first."""

    first: str
    second: str
    bits: float
    exercises: tuple[Shared, ...]


class Similarity(msgspec.Struct, frozen=True):
    """The pairs of a class. ``reachable`` is the most a pair could have in these exercises."""

    pairs: tuple[Pair, ...]
    compared: int
    threshold: float
    reachable: float


class _Exercise(msgspec.Struct, frozen=True):
    """One exercise's cosines and bits (students, students); bits are zero on and below the diagonal."""

    exercise: Exercise
    most: float  # bits
    alike: NDArray[np.float64]
    closer: NDArray[np.int64]
    bits: NDArray[np.float64]


def similar_pairs(data: ClassData, earlier: Sequence[ClassData] = (), most: int = 50) -> Similarity:
    """Return the pairs of a class, or of it and ``earlier`` ones, that are more alike than chance would explain."""
    people = [(data, student, student) for student in data.answers]
    people += [(term, student, f"{student} ({_title(term)})") for term in earlier for student in term.answers]
    here, count = len(data.answers), len(people)
    exercises = [_compared(exercise, people) for exercise in data.exercises] if count > 2 else []
    bits: NDArray[np.float64] = sum((one.bits for one in exercises), start=np.zeros((count, count)))
    rows, columns = np.triu_indices(count, 1)
    kept = rows < here  # not two students of earlier terms
    rows, columns = rows[kept], columns[kept]
    compared = len(rows)
    chance = math.log2(_CHANCE * max(compared, 1))
    found = bits[rows, columns]
    threshold = max(chance, float(np.percentile(found, _PERCENTILE)) if compared else 0.0)
    order = [at for at in np.argsort(-found, kind="stable")[:most] if found[at] >= threshold]
    pairs = tuple(_pair(people, exercises, int(rows[at]), int(columns[at]), float(found[at])) for at in order)
    return Similarity(pairs, compared, threshold, sum(one.most for one in exercises))


def _title(data: ClassData) -> str:
    return data.title or data.assignment


def _answer(data: ClassData, student: str, exercise: Exercise) -> Answer | None:
    for other, answer in zip(data.exercises, data.answers[student], strict=True):
        if (other.topic, other.id) == (exercise.topic, exercise.id):
            return answer
    return None


def own_fingerprints(exercise: Exercise, source: str) -> frozenset[int]:
    """Return the fingerprints of an answer that are in neither the course nor a registered right answer."""
    return fingerprints(source).difference(*map(fingerprints, (*exercise.given, *exercise.right)))


def _compared(exercise: Exercise, people: Sequence[tuple[ClassData, str, str]]) -> _Exercise:
    answers = [_answer(data, student, exercise) for data, student, _ in people]
    alike = cosines([own_fingerprints(exercise, answer.source) if answer else frozenset() for answer in answers])
    closer = _closer(alike)
    others = max(int((alike.diagonal() > 0).sum()) - 1, 1)
    bits = np.triu(alike * np.maximum(np.log2(others / np.maximum(closer, 1)), 0), 1)
    return _Exercise(exercise, math.log2(others), alike, closer, bits)


def cosines(sets: Sequence[frozenset[int]]) -> NDArray[np.float64]:
    """Return the cosines of sets (sets, sets) whose members weigh log(n / number of sets that have them).

    A set without rare members has a cosine of 0 with everything, itself included.
    """
    from sklearn.preprocessing import normalize

    known = {mark: column for column, mark in enumerate(sorted(frozenset().union(*sets)))}
    cells = [(row, known[mark]) for row, marks in enumerate(sets) for mark in marks]
    if not cells:
        return np.zeros((len(sets), len(sets)))
    rows, columns = np.array(cells).T
    weights = np.log(len(sets) / np.bincount(columns))
    matrix = normalize(csr_matrix((weights[columns], (rows, columns)), shape=(len(sets), len(known))))
    found: NDArray[np.float64] = np.minimum((matrix @ matrix.T).toarray(), 1.0)
    return found


def _closer(alike: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each pair how many other students are as close to one of the two as the other is.

    The larger of the two numbers counts; the other student is one of them.
    """
    others = alike.copy()
    np.fill_diagonal(others, -1.0)
    ordered = np.sort(others, axis=1)
    count = len(alike)
    ranks = np.array([count - np.searchsorted(ordered[row], alike[row] - 1e-9) for row in range(count)])
    larger: NDArray[np.int64] = np.maximum(ranks, ranks.T)
    return larger


def _pair(
    people: Sequence[tuple[ClassData, str, str]], exercises: Sequence[_Exercise], first: int, second: int, bits: float
) -> Pair:
    shared = sorted(_shared(people, exercises, first, second), key=lambda one: -one.bits)
    return Pair(people[first][2], people[second][2], bits, tuple(shared))


def _shared(
    people: Sequence[tuple[ClassData, str, str]], exercises: Sequence[_Exercise], first: int, second: int
) -> Iterator[Shared]:
    for one in exercises:
        left, right = (_answer(*people[place][:2], one.exercise) for place in (first, second))
        if left is None or right is None or one.bits[first, second] < 1:
            continue
        yield Shared(
            one.exercise.name,
            float(one.alike[first, second]),
            int(one.closer[first, second]),
            float(one.bits[first, second]),
            left.source,
            right.source,
            left.is_unnamed and right.is_unnamed,
        )
