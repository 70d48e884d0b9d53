"""A place where a course holds something about people."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import msgspec


class Item(msgspec.Struct, frozen=True):
    """One file of an export: its path, what it is, and its content, or the file that has it."""

    path: str
    what: str
    content: bytes | Path


class Place(Protocol):
    """A place. Nothing is remembered between calls: each looks for what is there under the person's id.

    So an erasure that was interrupted is finished by another one, if what names something is removed last.
    """

    @property
    def name(self) -> str:
        """What the place is called."""

    def holds(self, person: str) -> Mapping[str, int]:
        """Return how many things of each kind are held about a person; nothing if there are none."""

    def items(self, person: str) -> Iterator[Item]:
        """Return what is held about a person as files."""

    def erase(self, person: str) -> None:
        """Remove what is held about a person, and nothing of anybody else's."""


def as_json(value: object) -> bytes:
    """Return plain data and structs as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2)


def counted(**numbers: int) -> dict[str, int]:
    """Return the numbers that are not 0, by words."""
    return {name.replace("_", " "): int(number) for name, number in numbers.items() if number}
