"""Phrases that learners stumble over, listed in ``phrases.toml``; a person decides about each finding."""

import re
import tomllib
from functools import cache
from pathlib import Path

import msgspec

from studium.authoring.findings import Finding
from studium.authoring.prose import paragraphs, without_code
from studium.authoring.subject import Subject

PHRASES = Path(__file__).parent / "phrases.toml"
_SHOWN = 25  # letters of context before and after a phrase


class Phrase(msgspec.Struct, frozen=True):
    """A pattern, and what to write instead.

    ``example`` is a sentence that contains it, ``fine`` one that looks similar but is not meant.
    """

    pattern: str
    instead: str
    example: str
    fine: str = ""

    def find(self, text: str) -> str:
        """Return the first match in a text with the words around it, or ""."""
        found = re.search(self.pattern, text)
        return text[max(0, found.start() - _SHOWN) : found.end() + _SHOWN].strip() if found else ""


@cache
def phrases() -> list[Phrase]:
    """Return the list of phrases."""
    return msgspec.convert(tomllib.loads(PHRASES.read_text("utf-8"))["phrase"], list[Phrase])


def plain_english(subject: Subject) -> Finding:
    """Look for the listed phrases in everything that learners read, outside code and formulas."""
    advice = [
        f"{where} says “{found}”: {phrase.instead} [standard.md#english]"
        for where, text in paragraphs(subject)
        for phrase in phrases()
        if (found := phrase.find(re.sub(r"\s+", " ", without_code(text))))
    ]
    return Finding([], f"contains none of the {len(phrases())} phrases that readers stumble over", advice=advice)
