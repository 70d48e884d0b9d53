"""How a lesson ends: what the learner can do now, predictions, mistakes overcome, and what comes next."""

import re

import msgspec

from studium.desk.description import Description
from studium.desk.journal import Journal
from studium.desk.retrospect import MistakeMet, PredictionTold, look_back
from studium.desk.syllabus import Syllabus

ABILITIES = "You can now"
_ITEM = re.compile(r"^(?:[*+-]|\d+[.)]) +(.+(?:\n(?: +\S.*))*)", re.MULTILINE)


class Ending(msgspec.Struct, frozen=True):
    """The end of one lesson. ``abilities`` are lines of Markdown; ``next`` is the slug of a lesson, or None.

    ``predictions`` are the latest of each name, ``mistakes`` those that have been overcome.
    """

    slug: str
    title: str
    abilities: list[str]
    predictions: list[PredictionTold]
    mistakes: list[MistakeMet]
    next: str | None


def ending_of(description: Description, title: str, journal: Journal, syllabus: Syllabus) -> Ending:
    """Return the end of a lesson for a learner. The next lesson is the first later one that is not finished."""
    entries = journal.store.entries(journal.workspace, description.slug)
    back = look_back(entries, {description.slug: description})
    return Ending(
        description.slug,
        title,
        abilities(description),
        list({one.name: one for one in back.predictions}.values()),
        [one for one in back.mistakes if one.sentence and one.overcome is not None],
        _next(description.slug, syllabus),
    )


def abilities(description: Description) -> list[str]:
    """Return the items of the lesson's section "You can now", one line each.

    Return None if there is no such section, or if it is the last one, because then it is right above the end anyway.
    """
    cells = [cell.source for cell in description.lesson().cells if cell.cell_type == "markdown"]
    text = "\n\n".join(cells)
    section = section_below(text, ABILITIES)
    if section is None or text.endswith(section):
        return []
    return [" ".join(item.split()) for item in _ITEM.findall(section)]


def section_below(text: str, heading: str) -> str | None:
    """Return what comes below a second-level heading, or None if the heading does not exist."""
    found = re.search(rf"^## {heading}[^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    return found[1] if found else None


def _next(slug: str, syllabus: Syllabus) -> str | None:
    topics = syllabus.topics
    place = next((number for number, topic in enumerate(topics) if topic.slug == slug), -1)
    later = [*topics[place + 1 :], *topics[: max(place, 0)]]
    return next((topic.slug for topic in later if topic.status != "done"), None)
