"""Which names occur in the text of cells."""

import re
from collections.abc import Iterable

_WORD = re.compile(r"\w+")


def mentioned(names: Iterable[str], sources: Iterable[str]) -> frozenset[str]:
    """Return those names that occur in the text of some cells."""
    return frozenset(names).intersection(_WORD.findall("\n".join(sources)))
