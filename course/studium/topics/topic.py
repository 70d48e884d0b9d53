"""A topic: only metadata. Everything else follows from its package by convention and is loaded on first use."""

import re
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

from studium.errors import TopicError, UnknownNameError

if TYPE_CHECKING:
    from studium.exercises.model import Exercise
    from studium.topics.claims import Claim

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ARXIV = re.compile(r"\d{4}\.\d{4,5}")


@dataclass(frozen=True)
class Paper:
    """A paper that a topic teaches: title, year and arXiv id such as "2106.09685" (empty if it has none)."""

    title: str
    year: int
    arxiv: str = ""

    def __post_init__(self) -> None:
        if self.arxiv and not _ARXIV.fullmatch(self.arxiv):
            raise TopicError(
                f"an arXiv id looks like 2106.09685: got {self.arxiv!r} for {self.title!r}; correct it, or leave it out"
            )


@dataclass(frozen=True)
class Topic:
    """One topic of a course.

    ``package`` is the import name of the topic's folder, normally ``__name__`` in its ``__init__.py``. ``minutes`` is
    the time for reading and working, ``needs`` lists the slugs of prerequisites, ``order`` sorts within a track. With
    ``cover``, a course opens with the lesson's first widget; if several topics have it, the first one's. An ``opener``
    is a lesson of a few minutes before all others, reached from the cover and not in any list of topics.
    """

    slug: str
    title: str
    track: str
    summary: str
    package: str
    papers: tuple[Paper, ...] = ()
    needs: tuple[str, ...] = ()
    minutes: int = 60
    order: int = 1000
    cover: bool = False
    opener: bool = False

    def __post_init__(self) -> None:
        if not _SLUG.fullmatch(self.slug):
            raise TopicError(f"a slug is lowercase words joined by hyphens: got {self.slug!r}")

    def module(self, name: str) -> ModuleType:
        """Import ``<package>.<name>``, or explain in one sentence why that is not possible."""
        try:
            return import_module(f"{self.package}.{name}")
        except Exception as error:
            raise TopicError(
                f"topic {self.slug} needs {self.package}.{name}, which does not import: {type(error).__name__}: {error}"
            ) from error

    def has(self, name: str) -> bool:
        """Return whether the topic has the module ``name``, without importing it."""
        return find_spec(f"{self.package}.{name}") is not None

    @cached_property
    def exercises(self) -> dict[str, "Exercise"]:
        """The exercises of ``exercises.py`` or of the folder ``exercises`` by id, in order; empty if there are none."""
        from studium.exercises.model import exercises_of  # a topic's metadata must load without torch

        return exercises_of(self.module("exercises")) if self.has("exercises") else {}

    @cached_property
    def claims(self) -> tuple["Claim", ...]:
        """The paper's claims that ``experiment.py`` measures."""
        return tuple(self.module("experiment").claims) if self.has("experiment") else ()

    def exercise(self, name: str) -> "Exercise":
        """Return the exercise called ``name``; raise UnknownNameError with the nearest name."""
        if name not in self.exercises:
            raise UnknownNameError(f"exercise of {self.slug}", name, self.exercises)
        return self.exercises[name]

    @property
    def lesson(self) -> Traversable:
        """The file ``lesson.py``: a percent notebook. Raise TopicError if it does not exist."""
        path = files(self.package) / "lesson.py"
        if not path.is_file():
            raise TopicError(f"topic {self.slug} needs a lesson.py in its package {self.package}; write one")
        return path
