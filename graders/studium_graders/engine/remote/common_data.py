"""Data that the judge and the student's process both have under a name: where a test passes them, they are the same."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

from studium_graders.engine.remote.writeback import holds_items, overwrite, twins_of


class CommonData:
    """Such data, as they are in the judge: those of given cells for good, those of the student's during a test."""

    def __init__(self) -> None:
        self._given: dict[str, Any] = {}
        self._fetched: dict[str, Any] = {}
        self._before: dict[int, tuple[Any, Any]] = {}  # what calls of this test changed, and what it held

    def begin_test(self) -> None:
        """Forget what the last test got, and what its calls changed."""
        self._fetched, self._before = {}, {}

    def share(self, name: str, value: Any) -> None:
        """Let data of the judge's stand for the student's own under a name, as long as these are equal."""
        if holds_items(type(value)):
            self._given[name] = value

    def fetched(self, name: str, value: Any) -> Any:
        """Give what the test has got under a name: the object that it got before, where its data are the same."""
        if name in self._fetched and twins_of(value, self._fetched[name]) is not None:
            return self._fetched[name]
        if holds_items(type(value)):
            self._fetched[name] = value
        return value

    def put_back(self, name: str) -> Any:
        """Give what the test got under a name and a call has changed; None where there is no such thing."""
        value = self._fetched.get(name)
        return value if id(value) in self._before else None

    def name_of(self, value: Any) -> str:
        """Give the name under which both sides have an object, or ""."""
        both = chain(self._fetched.items(), self._given.items())
        return next((name for name, data in both if data is value), "")

    def changed(self, value: Any, before: Any) -> None:
        """Take note that a call has changed an object, and of what it held."""
        self._before.setdefault(id(value), (value, before))

    @contextmanager
    def as_before(self) -> Iterator[None]:
        """Let data of the judge's that calls have changed be what they were, for a while."""
        now = [(value, copy.copy(value)) for value, _ in self._before.values()]
        for value, content in self._before.values():
            overwrite(value, content)
        try:
            yield
        finally:
            for value, content in now:
                overwrite(value, content)
