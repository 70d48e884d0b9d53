"""Phrases that learners stumble over, listed as data in ``phrases.toml``; a person decides about each."""

import re
import tomllib
from functools import cache
from pathlib import Path

import msgspec

from studium.authoring.findings import Finding
from studium.authoring.prose import paragraphs, without_code
from studium.authoring.subject import Subject

PHRASES = Path(__file__).parent / "phrases.toml"
_SHOWN = 25  # letters of the text before and after a phrase


class Phrase(msgspec.Struct, frozen=True):
    """A pattern, and what to write in its place.

    ``example`` is a sentence that has it, ``fine`` one that looks like it and is not meant.
    """

    pattern: str
    instead: str
    example: str
    fine: str = ""

    def find(self, text: str) -> str:
        """Return the first place in a text with the words around it, or ""."""
        found = re.search(self.pattern, text)
        return text[max(0, found.start() - _SHOWN) : found.end() + _SHOWN].strip() if found else ""


@cache
def phrases() -> list[Phrase]:
    """Return the list of phrases."""
    return msgspec.convert(tomllib.loads(PHRASES.read_text("utf-8"))["phrase"], list[Phrase])


def plain_english(subject: Subject) -> Finding:
    """Look for the phrases of the list in all that learners read, outside code and formulas."""
    advice = [
        f"{where} says “{found}”: {phrase.instead} [standard.md#english]"
        for where, text in paragraphs(subject)
        for phrase in phrases()
        if (found := phrase.find(re.sub(r"\s+", " ", without_code(text))))
    ]
    return Finding([], f"none of {len(phrases())} phrases that readers stumble over", advice=advice)
