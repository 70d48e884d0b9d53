"""What a learner has been through: the mistakes that were named, which of them are overcome, and the predictions."""

from collections.abc import Iterable, Mapping

import msgspec

from studium.desk.description import Description
from studium.desk.records import Checked, Entry, Found, Predicted


class MistakeMet(msgspec.Struct, frozen=True):
    """A mistake that was named, when first, and when the exercise was right after it, None while it is not."""

    slug: str
    exercise: str
    sentence: str
    met: int
    overcome: int | None


class PredictionTold(msgspec.Struct, frozen=True):
    """A prediction whose answer was found."""

    slug: str
    name: str
    guess: float
    value: float
    hit: bool
    time: int


class Retrospect(msgspec.Struct, frozen=True):
    """Both in the order of time. A mistake that is no longer known counts with an empty sentence."""

    mistakes: list[MistakeMet]
    predictions: list[PredictionTold]

    @property
    def overcome(self) -> int:
        """How many mistakes are overcome."""
        return sum(one.overcome is not None for one in self.mistakes)

    @property
    def hits(self) -> int:
        """How many predictions were hits."""
        return sum(one.hit for one in self.predictions)


def look_back(entries: Iterable[Entry], described: Mapping[str, Description]) -> Retrospect:
    """Derive it from a learner's entries in the order of time."""
    met: dict[tuple[str, str, str], MistakeMet] = {}
    guesses: dict[tuple[str, str], float] = {}
    told = []
    for entry in entries:
        match entry.what:
            case Checked(outcome="wrong", mistake_id=known) if known:
                sentence = _sentence(described.get(entry.lesson), entry.exercise, known)
                new = MistakeMet(entry.lesson, entry.exercise, sentence, entry.time, None)
                met.setdefault((entry.lesson, entry.exercise, known), new)
            case Checked(outcome="right"):
                for key, one in met.items():
                    if key[:2] == (entry.lesson, entry.exercise) and one.overcome is None:
                        met[key] = msgspec.structs.replace(one, overcome=entry.time)
            case Predicted(name=name, guess=guess):
                guesses[entry.lesson, name] = guess
            case Found(name=name, value=value, hit=hit) if (entry.lesson, name) in guesses:
                told.append(PredictionTold(entry.lesson, name, guesses[entry.lesson, name], value, hit, entry.time))
    return Retrospect(list(met.values()), told)


def _sentence(description: Description | None, exercise: str, known: str) -> str:
    found = (one for one in description.exercises if one.id == exercise) if description else iter(())
    text = next(found, None)
    return text.sentence_of(known) if text else ""
