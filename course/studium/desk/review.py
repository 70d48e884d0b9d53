"""Review: a few minutes of questions about the learner's own mistakes, spaced by FSRS.

A mistake that was named, or a prediction that missed, makes a card. Its schedule is derived from the answers to it
(``Reviewed`` entries), so it moves with them.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from fsrs import Card as Schedule
from fsrs import Rating, Scheduler

from studium.catalogue.catalogue import Catalogue
from studium.desk.describing import description_of
from studium.desk.description import Description
from studium.desk.journal import Journal
from studium.desk.records import Checked, Entry, Found, Predicted, Reviewed, now_ms
from studium.errors import StudiumError, UsageError

_QUESTIONS_A_MINUTE = 2
_MOST_CHOICES = 4
_QUICK = 8.0  # seconds; a right answer that took longer counts as hard


class Question(msgspec.Struct, frozen=True):
    """One question; ``code`` is wrong code for a mistake, "" for a prediction."""

    card: str
    slug: str
    exercise: str
    kind: str
    prompt: str
    code: str
    choices: list[str]
    due: int


class Review(msgspec.Struct, frozen=True):
    """The questions to ask now; ``due`` counts all that are due, ``next`` is when another one becomes due."""

    questions: list[Question]
    due: int
    next: int | None


class Answered(msgspec.Struct, frozen=True):
    """Whether the choice was right, which one is and why, and when the card comes up again."""

    right: bool
    answer: int
    explanation: str
    due: int


@dataclass
class Card:
    """Something that went wrong once. ``told`` is the mistake's id, or the prediction's question.

    For an entry written before mistakes had ids, ``told`` is the mistake's sentence.
    """

    id: str
    slug: str
    exercise: str
    kind: str
    told: str
    made: int
    values: tuple[float, ...] = ()  # of a prediction: guess, value
    reviews: list[tuple[int, int]] = field(default_factory=list)  # (time, rating)

    @property
    def due(self) -> int:
        """When to ask it (again), in milliseconds."""
        schedule = Schedule(card_id=1, due=_moment(self.made))
        for time, rating in self.reviews:
            schedule, _ = _scheduler.review_card(schedule, Rating(rating), _moment(time))
        return round(schedule.due.timestamp() * 1000)


class _Text(NamedTuple):
    """What a card asks. ``code`` is wrong code for a mistake, "" for a prediction; ``others`` are the wrong choices."""

    prompt: str
    code: str
    right: str
    others: list[str]
    explanation: str


_scheduler = Scheduler(enable_fuzzing=False)  # the same on every machine


def cards(entries: list[Entry]) -> dict[str, Card]:
    """Derive the cards from a learner's entries in order of time."""
    found: dict[str, Card] = {}
    guesses: dict[tuple[str, str], Predicted] = {}
    for entry in entries:
        match entry.what:
            case Checked(mistake_id=told) if told:
                _add(found, entry, "mistake", told)
            case Predicted(name=name) as guess:
                guesses[entry.lesson, name] = guess
            case Found(name=name, hit=False, value=value) if (entry.lesson, name) in guesses:
                missed = guesses[entry.lesson, name]
                _add(found, entry, "prediction", missed.question or name, (missed.guess, value))
            case Reviewed(card=name, rating=rating) if name in found:
                found[name].reviews.append((entry.time, rating))
    return found


def due_cards(journal: Journal, catalogue: Catalogue) -> list[Card]:
    """Return the cards that are due, the longest overdue first."""
    return _due(_cards_in(journal, catalogue))


def _cards_in(journal: Journal, catalogue: Catalogue) -> dict[str, Card]:
    """Return the cards of all lessons but the opener, which has its learners make a mistake on purpose."""
    opener = catalogue.opener.slug if catalogue.opener else ""
    return cards([entry for entry in journal.store.entries(journal.workspace) if entry.lesson != opener])


def read_review(journal: Journal, catalogue: Catalogue, limit: int | None = None) -> Review:
    """Return the questions that are due, as many as fit into the minutes of a review."""
    known = _cards_in(journal, catalogue)
    most = round(journal.settings.review_minutes * _QUESTIONS_A_MINUTE) if limit is None else limit
    due = _due(known)
    questions: list[Question] = []
    for card in due:
        if len(questions) < most and (text := _text(card, catalogue)):
            questions.append(_question(card, text))
    later = [card.due for card in known.values() if card not in due]
    return Review(questions, len(due), min(later, default=None))


def answer_review(journal: Journal, catalogue: Catalogue, name: str, choice: int, seconds: float) -> Answered:
    """Take an answer, reschedule the card, and return what is right."""
    card = cards(journal.store.entries(journal.workspace)).get(name)
    text = _text(card, catalogue) if card else None
    if card is None or text is None:
        raise UsageError(f"the review question {name!r} does not exist; ask for the questions again")
    question = _question(card, text)
    if not 0 <= choice < len(question.choices):
        raise UsageError(f"a choice is a number from 0 to {len(question.choices) - 1}: got {choice}")
    answer = question.choices.index(text.right)
    hard = Rating.Hard if seconds > _QUICK * 4 else Rating.Good
    rating = Rating.Again if choice != answer else Rating.Easy if 0 < seconds < _QUICK / 2 else hard
    entry = journal.write(card.slug, card.exercise, Reviewed(card.id, int(rating), seconds))
    card.reviews.append((entry.time, int(rating)))
    return Answered(choice == answer, answer, text.explanation, card.due)


def _due(known: dict[str, Card]) -> list[Card]:
    now = now_ms()
    return sorted((card for card in known.values() if card.due <= now), key=lambda card: card.due)


def _add(found: dict[str, Card], entry: Entry, kind: str, told: str, values: tuple[float, ...] = ()) -> None:
    digest = hashlib.sha256(told.encode()).hexdigest()[:12]
    name = "/".join((entry.lesson, entry.exercise or "-", kind, digest))
    found.setdefault(name, Card(name, entry.lesson, entry.exercise, kind, told, entry.time, values))


def _question(card: Card, text: _Text) -> Question:
    choices = [text.right, *text.others]
    random.Random(f"{card.id} {len(card.reviews)}").shuffle(choices)  # the same order until it is answered
    return Question(card.id, card.slug, card.exercise, card.kind, text.prompt, text.code, choices, card.due)


def _text(card: Card, catalogue: Catalogue) -> _Text | None:
    """Return what a card asks; None if the topic or the mistake is gone, or there is nothing to choose from."""
    text = _about_prediction(card) if card.kind == "prediction" else _about_mistake(card, catalogue)
    return text if text and text.others else None


def _about_prediction(card: Card) -> _Text:
    guess, value = card.values
    right, *others = _numbers(card)
    return _Text(card.told, "", right, others, f"It was {_shown(value)}; you guessed {_shown(guess)}.")


def _about_mistake(card: Card, catalogue: Catalogue) -> _Text | None:
    try:
        description = description_of(catalogue, card.slug)
        wrong = description.exercise(card.exercise).wrong_answer(card.told)
    except StudiumError:
        return None
    if wrong is None:
        return None
    prompt = f"This answer to {card.exercise} is wrong. What is the mistake?"
    others = _other_sentences(description, card.exercise, wrong.message)
    return _Text(prompt, wrong.code, wrong.message, others, wrong.message)


def _other_sentences(description: Description, exercise: str, right: str) -> list[str]:
    """Return wrong sentences to choose from: first from the same exercise, then from the same lesson."""
    here = [item.message for item in description.exercise(exercise).wrong]
    there = [item.message for one in description.exercises if one.id != exercise for item in one.wrong]
    return [told for told in dict.fromkeys([*here, *there]) if told != right][: _MOST_CHOICES - 1]


def _numbers(card: Card) -> Iterator[str]:
    """Return the true number, the learner's guess, and others that look equally likely."""
    guess, value = card.values
    mirrored = value * value / guess if guess * value > 0 else 2 * value - guess
    yield from dict.fromkeys(_shown(number) for number in (value, guess, mirrored, value * 2))


def _shown(number: float) -> str:
    return f"{number:.4g}" if abs(number) < 10_000 else f"{number:,.0f}"


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
