"""How a lesson ends: what the learner can do now, predictions, mistakes overcome, and what comes next."""

import re
from collections.abc import Iterator

import msgspec

from studium.desk.description import Description
from studium.desk.journal import Journal
from studium.desk.records import Checked, Entry, Found, Predicted
from studium.desk.standing import standing
from studium.desk.syllabus import Syllabus

ABILITIES = "You can now"
_ITEM = re.compile(r"^(?:[*+-]|\d+[.)]) +(.+(?:\n(?: +\S.*))*)", re.MULTILINE)


class Prediction(msgspec.Struct, frozen=True):
    """A question (its name where it has none), the guess, and what came out."""

    question: str
    guess: float
    value: float
    hit: bool


class Overcome(msgspec.Struct, frozen=True):
    """A mistake that was named in an exercise which is right now."""

    exercise: str
    sentence: str


class Ending(msgspec.Struct, frozen=True):
    """The end of one lesson. ``abilities`` are lines of Markdown; ``next`` is the slug of a lesson, or None."""

    slug: str
    title: str
    abilities: list[str]
    predictions: list[Prediction]
    mistakes: list[Overcome]
    next: str | None


def ending_of(description: Description, title: str, journal: Journal, syllabus: Syllabus) -> Ending:
    """Return the end of a lesson for a learner. The next lesson is the first after it that is not done."""
    entries = journal.store.entries(journal.workspace, description.slug)
    return Ending(
        description.slug,
        title,
        abilities(description),
        list(_predictions(entries)),
        list(_overcome(description, entries)),
        _next(description.slug, syllabus),
    )


def abilities(description: Description) -> list[str]:
    """Return the items of the lesson's section "You can now", each in one line; none where there is no such section."""
    cells = [cell.source for cell in description.lesson().cells if cell.cell_type == "markdown"]
    section = section_below("\n\n".join(cells), ABILITIES) or ""
    return [" ".join(item.split()) for item in _ITEM.findall(section)]


def section_below(text: str, heading: str) -> str | None:
    """Return what stands below a heading of the second level, None where there is no such heading."""
    found = re.search(rf"^## {heading}[^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    return found[1] if found else None


def _predictions(entries: list[Entry]) -> Iterator[Prediction]:
    guesses: dict[str, Predicted] = {}
    found: dict[str, Prediction] = {}
    for entry in entries:
        match entry.what:
            case Predicted(name=name) as guess:
                guesses[name] = guess
            case Found(name=name, value=value, hit=hit) if name in guesses:
                found[name] = Prediction(guesses[name].question or name, guesses[name].guess, value, hit)
    yield from found.values()


def _overcome(description: Description, entries: list[Entry]) -> Iterator[Overcome]:
    for exercise in description.exercises:
        own = [entry for entry in entries if entry.exercise == exercise.id]
        if standing(own).outcome == "right":
            named = [entry.what.mistake_id for entry in own if isinstance(entry.what, Checked)]
            for sentence in dict.fromkeys(filter(None, map(exercise.sentence_of, named))):
                yield Overcome(exercise.id, sentence)


def _next(slug: str, syllabus: Syllabus) -> str | None:
    topics = syllabus.topics
    place = next((number for number, topic in enumerate(topics) if topic.slug == slug), -1)
    later = [*topics[place + 1 :], *topics[: max(place, 0)]]
    return next((topic.slug for topic in later if topic.status != "done"), None)
