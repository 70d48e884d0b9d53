"""Lay out pages by filling in the templates."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from studium.site.about import About, Cards
from studium.site.cells import Exercise, LessonPage
from studium.topics.topic import Topic

# Only files next to the page, whatever a lesson may request. Files count as "self" only in some browsers.
POLICY = (
    "default-src 'none'; img-src 'self' file: data: blob:; font-src 'self' file: data:; media-src 'self' file: data:; "
    "style-src 'self' file: 'unsafe-inline'; script-src 'self' file: data: blob: 'unsafe-inline' 'unsafe-eval'; "
    "worker-src blob:; frame-src 'self' file: blob: data:; base-uri 'none'; form-action 'none'"
)

TITLE = "Modern generative AI, one paper at a time"
SUMMARY = "Read, move what can be moved, write the function that matters, and see the paper’s claim measured."


@dataclass(frozen=True)
class Lesson:
    """A lesson of the site: its topic, its content, and the profile it was run with ("" if it was not run)."""

    topic: Topic
    page: LessonPage
    profile: str

    @property
    def slug(self) -> str:
        return self.topic.slug

    @property
    def exercises(self) -> int:
        return len(self._exercises(optional=False))

    @property
    def optional(self) -> int:
        return len(self._exercises(optional=True))

    def _exercises(self, *, optional: bool) -> list[Exercise]:
        return [block for block in self.page.blocks if isinstance(block, Exercise) and block.optional == optional]


def lesson_page(
    lessons: Sequence[Lesson],
    index: int,
    policy: str = POLICY,
    services: Mapping[str, str] = MappingProxyType({}),
    cards: Cards | None = None,
) -> str:
    """Lay out the page of ``lessons[index]``, between its neighbours.

    ``services`` holds the addresses that open its notebook elsewhere, by name. Without ``cards`` it has no card image.
    """
    return _fill(
        "lesson.html",
        policy=policy,
        about=_about(lessons[index], cards),
        lesson=lessons[index],
        before=lessons[index - 1] if index else None,
        after=lessons[index + 1] if index + 1 < len(lessons) else None,
        titles={lesson.slug: lesson.page.title for lesson in lessons},
        services=services,
    )


def _about(lesson: Lesson, cards: Cards | None) -> About:
    title, text = lesson.page.title, lesson.topic.summary
    above = f"Studium · {lesson.topic.track}"
    return cards.about(f"{lesson.slug}.html", title, text, above, lesson.page.image) if cards else About(title, text)


def start_page(lessons: Sequence[Lesson], cards: Cards) -> str:
    """Lay out the start page of the course: the opener, then tracks in reading order."""
    opener = next((lesson for lesson in lessons if lesson.topic.opener), None)
    listed = [lesson for lesson in lessons if not lesson.topic.opener]
    numbered = list(enumerate(listed, 1))
    tracks = [(track, list(members)) for track, members in groupby(numbered, key=lambda pair: pair[1].topic.track)]
    return _fill(
        "start.html",
        policy=POLICY,
        about=cards.about("index.html", TITLE, SUMMARY, "Studium", ""),
        tracks=tracks,
        titles={lesson.slug: lesson.page.title for lesson in lessons},
        minutes=sum(lesson.topic.minutes for lesson in listed),
        exercises=sum(lesson.exercises for lesson in listed),
        opener=opener,
        cover=_cover(listed),
    )


def _cover(lessons: Sequence[Lesson]) -> tuple[Lesson, list[str]] | None:
    """Return the first widget, as HTML, of the lesson that a course opens with, and that lesson."""
    for lesson in sorted(lessons, key=lambda lesson: not lesson.topic.cover):
        if widget := lesson.page.first_widget:
            return lesson, widget
    return None


def search_index(lessons: Sequence[Lesson]) -> str:
    """Return the search index as a script: a page opened from disk may load a script but fetch no file."""
    passages = [
        {
            "url": f"{lesson.slug}.html" + (f"#{passage.anchor}" if passage.anchor else ""),
            "lesson": lesson.page.title,
            "heading": passage.heading,
            "text": " ".join(passage.words),
        }
        for lesson in lessons
        for passage in lesson.page.passages
    ]
    return f"window.studiumPassages = {json.dumps(passages, ensure_ascii=False, separators=(',', ':'))};\n"


def _fill(name: str, **values: Any) -> str:
    return _environment().get_template(name).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("studium.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = _duration
    environment.filters["count"] = lambda number, noun: f"{number} {noun}{'' if number == 1 else 's'}"
    return environment


def _duration(minutes: int) -> str:
    """Format a time the way people say it: "45 min", "1 h 40 min", and from ten hours on "55 h"."""
    hours, rest = divmod(minutes, 60) if minutes < 600 else (round(minutes / 60), 0)
    return " ".join(filter(None, (f"{hours} h" if hours else "", f"{rest} min" if rest else "")))
