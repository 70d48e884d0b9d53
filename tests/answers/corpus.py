"""Answers of people who had read nothing but the statements, as data: right ones, and wrong ones with what is wrong.

What wrong answers were told was read and judged, in `judged.toml`.

Each topic has a file SLUG.toml. `[EXERCISE.NAME]` is an answer, `code` its text. With `label`, a sentence about what is
wrong, it is wrong. `wrong` lists slips, each with its label and the pairs of old and new text that turn `code` into it.
"""

from __future__ import annotations

import linecache
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studium.exercises.model import Exercise
from studium.topics.topic import Topic

FOLDER = Path(__file__).parent
_IMPORTS = """
import copy, itertools, math
import torch
import torch.nn.functional as F
from torch import nn
"""


@dataclass(frozen=True)
class Answer:
    """One answer to one exercise. ``label`` says what is wrong with it; a right one has none."""

    topic: str
    exercise: str
    name: str
    code: str
    label: str = ""

    @property
    def id(self) -> str:
        """Its place in the corpus, such as "rope.inv_freq.own.1"."""
        return f"{self.topic}.{self.exercise}.{self.name}"

    def function(self, topic: Topic) -> Callable[..., Any]:
        """Return the answer as a function that sees what a learner's cell sees: imports, and the earlier exercises."""
        exercise: Exercise = topic.exercises[self.exercise]
        names: dict[str, Any] = {}
        exec(_IMPORTS, names)
        names |= exercise.solution.__globals__ | {"__name__": "answer"}
        where = f"<{self.id}>"
        linecache.cache[where] = len(self.code), None, self.code.splitlines(keepends=True), where
        exec(compile(self.code, where, "exec", dont_inherit=True), names)
        made: Callable[..., Any] = names[self.exercise]
        return made


def answers(slug: str) -> Iterator[Answer]:
    """Yield the answers to a topic, each before its slips."""
    for exercise, variants in tomllib.loads((FOLDER / f"{slug}.toml").read_text()).items():
        for name, given in variants.items():
            yield Answer(slug, exercise, name, given["code"], given.get("label", ""))
            for number, (label, *edits) in enumerate(given.get("wrong", []), 1):
                yield Answer(slug, exercise, f"{name}.{number}", _edited(given["code"], edits), label)


@dataclass(frozen=True)
class Judgement:
    """What an answer was told when somebody judged it: "named …", a sentence, or "" for just what the test requires.

    ``verdict``: "true" if it names the cause, "half" if it points near it, "useless" or "false".
    """

    told: str
    verdict: str

    @property
    def is_name(self) -> bool:
        """Whether it is the name of a registered mistake."""
        return self.told.startswith("named ")


def judgements() -> dict[str, Judgement]:
    """Return the judgement of each wrong answer, by its id."""
    by_verdict = tomllib.loads((FOLDER / "judged.toml").read_text())
    return {name: Judgement(told, verdict) for verdict, known in by_verdict.items() for name, told in known.items()}


def slugs() -> list[str]:
    """Return the topics that have answers."""
    return sorted(path.stem for path in FOLDER.glob("*.toml") if path.stem != "judged")


def _edited(code: str, edits: list[str]) -> str:
    for old, new in zip(edits[::2], edits[1::2], strict=True):
        if code.count(old) != 1:
            raise ValueError(f"a slip must replace a text that occurs once: {old!r} occurs {code.count(old)} times")
        code = code.replace(old, new)
    return code
