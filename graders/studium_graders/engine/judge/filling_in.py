"""Texts of an answer's that a test fills in: ``text.format(person)`` reads what the text names, and shows it.

``{person.greet.__globals__}`` would be the names of the tests.
"""

import re
import string
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

FILL_IN = ("format", "format_map", "vformat")
_OPEN = frozenset({"__class__", "__doc__", "__module__", "__name__", "__qualname__"})
_FRAMES = re.compile(r"(gi|cr|ag|tb|f)_(back|builtins|code|frame|globals|locals)")  # they lead to all names as well
_ITEM = re.compile(r"\[[^\]]*\]")


def method_of(value: Any, name: str) -> Any:
    """Return a method that fills in a text; AttributeError where that reads more than what the test offers.

    ``str.format`` and a ``string.Formatter`` are told the text when they are called.
    """
    found = getattr(value, name)
    if isinstance(value, str):
        _require_open(value)
    elif isinstance(value, string.Formatter) or (isinstance(value, type) and issubclass(value, str)):
        return partial(_fill_in, found)
    return found


def _fill_in(method: Any, text: Any, *values: Any, **named: Any) -> Any:
    _require_open(text)
    return method(text, *values, **named)


def _require_open(text: Any) -> None:
    closed = next((read for read in _attributes(text) if not _is_open(read)), None) if isinstance(text, str) else None
    if closed is not None:
        raise AttributeError(f"a text that is filled in cannot read {closed!r}")


def _attributes(text: str) -> Iterator[str]:
    with suppress(ValueError):  # which filling in raises as well
        for _, field, more, _ in string.Formatter().parse(text):
            if field is not None:
                yield from _ITEM.sub("", field).split(".")[1:]
                yield from _attributes(more or "")


def _is_open(name: str) -> bool:
    return name in _OPEN or not (name.startswith("_") or _FRAMES.fullmatch(name))
