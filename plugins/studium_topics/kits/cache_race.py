"""One text, written without a cache and with one, side by side in the page: which is ahead, and how much work."""

from __future__ import annotations

from typing import Self

from studium_topics.kits.writer import PageWriter


class CacheRace(PageWriter):
    """A model writes the same text in two lanes that get equal time, and counts its multiplications.

    The lane without a cache reads the whole text again for each character. Options as for `PageWriter`; `written` is
    how many characters both lanes write.
    """

    _script = "cache_race.js"
    _style = "paper.css"

    @classmethod
    def example(cls) -> Self:
        return cls.trained(length=80, written=40, seed=1)

    @classmethod
    def largest(cls) -> Self:
        return cls.trained()

    @property
    def alt(self) -> str:
        return f"Two lanes in which a model writes the same text, without a cache and with one: {self.settings}."
