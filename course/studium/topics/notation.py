"""The symbols of the course and what each means, listed as data in ``notation.toml``."""

import re
import tomllib
from functools import cache
from pathlib import Path

import msgspec

SYMBOLS = Path(__file__).parent / "notation.toml"


class Symbol(msgspec.Struct, frozen=True):
    """A symbol as LaTeX, what it means in all lessons, and words of which a lesson's own meaning has at least one."""

    symbol: str
    meaning: str
    words: list[str]

    def agrees(self, meaning: str) -> bool:
        """Return whether a lesson that explains the symbol in these words means the same."""
        return any(re.search(rf"\b{word}\b", meaning) for word in self.words)


@cache
def symbols() -> list[Symbol]:
    """Return the list of symbols."""
    return msgspec.convert(tomllib.loads(SYMBOLS.read_text("utf-8"))["symbol"], list[Symbol])
