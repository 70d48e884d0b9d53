"""What a learner has been through: the mistakes that were named, which of them were overcome, and the predictions."""

from collections.abc import Iterable, Mapping

import msgspec

from studium.desk.description import Description
from studium.desk.records import Checked, Entry, Found, Predicted, Revealed


class MistakeMet(msgspec.Struct, frozen=True):
    """A named mistake: when it first occurred, and when its exercise was first right after its last occurrence, or
    None.
    """

    slug: str
    exercise: str
    sentence: str
    met: int
    overcome: int | None


class PredictionTold(msgspec.Struct, frozen=True):
    """A prediction whose answer is known. ``question`` is its name if it has none."""

    slug: str
    name: str
    question: str
    guess: float
    value: float
    hit: bool
    time: int


class Retrospect(msgspec.Struct, frozen=True):
    """Both in order of time. A mistake that is no longer known counts with an empty sentence."""

    mistakes: list[MistakeMet]
    predictions: list[PredictionTold]

    @property
    def overcome(self) -> int:
        """How many mistakes have been overcome."""
        return sum(one.overcome is not None for one in self.mistakes)

    @property
    def hits(self) -> int:
        """How many predictions were hits."""
        return sum(one.hit for one in self.predictions)


def look_back(entries: Iterable[Entry], described: Mapping[str, Description]) -> Retrospect:
    """Derive it from a learner's entries in order of time. Being right after seeing the solution overcomes nothing."""
    met: dict[tuple[str, str, str], MistakeMet] = {}
    guesses: dict[tuple[str, str], Predicted] = {}
    told: list[PredictionTold] = []
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        match entry.what:
            case Checked(outcome="wrong", mistake_id=known) if known:
                key = (entry.lesson, entry.exercise, known)
                first = met[key].met if key in met else entry.time
                sentence = _sentence(described.get(entry.lesson), entry.exercise, known)
                met[key] = MistakeMet(entry.lesson, entry.exercise, sentence, first, None)
            case Revealed():
                seen.add((entry.lesson, entry.exercise))
            case Checked(outcome="right") if (entry.lesson, entry.exercise) not in seen:
                for key, one in met.items():
                    if key[:2] == (entry.lesson, entry.exercise) and one.overcome is None:
                        met[key] = msgspec.structs.replace(one, overcome=entry.time)
            case Predicted(name=name) as predicted:
                guesses[entry.lesson, name] = predicted
            case Found(name=name, value=value, hit=hit) if (entry.lesson, name) in guesses:
                made = guesses[entry.lesson, name]
                told.append(
                    PredictionTold(entry.lesson, name, made.question or name, made.guess, value, hit, entry.time)
                )
    return Retrospect(list(met.values()), told)


def _sentence(description: Description | None, exercise: str, known: str) -> str:
    found = (one for one in description.exercises if one.id == exercise) if description else iter(())
    text = next(found, None)
    return text.sentence_of(known) if text else ""
