"""Data that the judge and the student's process both have under a name: where a test passes them, they are the same."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

from studium_graders.engine.remote.putting_back import Memory, memory_of
from studium_graders.engine.remote.writeback import holds_items, twins_of


class CommonData:
    """Such data, as they are in the judge: those of given cells for good, those of the student's during a test.

    What calls change of the judge's own objects is remembered, and put back where a right answer would not change it.
    """

    def __init__(self) -> None:
        self._given: dict[str, Any] = {}
        self._fetched: dict[str, Any] = {}
        self._before: dict[int, tuple[Any, Memory]] = {}  # what calls of this test changed, and what it was
        self._unexpected: set[int] = set()  # id() of what should not have been changed
        self._told_apart: dict[str, Any] | None = None

    def begin_test(self, *, identity: bool = False) -> None:
        """Forget what the last test got, and what its calls changed.

        ``identity``: it asks whether what it gets under two names is one object.
        """
        self.settle()
        self._fetched = {}
        self._told_apart = {} if identity else None

    def settle(self) -> None:
        """Put back what should not have been changed: it is no data for what comes now."""
        for address in self._unexpected & self._before.keys():
            self._before[address][1]()
        self._before, self._unexpected = {}, set()

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

    def maybe_one(self, value: Any) -> dict[str, Any]:
        """Give, by name, what a test of identity has got and some other data may be the very object of."""
        got = self._told_apart or {}
        return {name: other for name, other in got.items() if type(other) is type(value)} if _is_data(value) else {}

    def tell_apart(self, name: str, value: Any) -> None:
        """Take note of what a test of identity gets under a name."""
        if self._told_apart is not None and _is_data(value):
            self._told_apart[name] = value

    def put_back(self, name: str) -> Any:
        """Give what the test got under a name and a call has changed; None where there is no such thing."""
        value = self._fetched.get(name)
        return value if id(value) in self._before else None

    def name_of(self, value: Any) -> str:
        """Give the name under which both sides have an object, or ""."""
        both = chain(self._fetched.items(), self._given.items())
        return next((name for name, data in both if data is value), "")

    def changing(self, value: Any) -> None:
        """Take note of an object that the student's code is about to change."""
        if id(value) not in self._before:
            self._before[id(value)] = value, memory_of(value)

    def unexpected(self, changed: Iterable[int]) -> None:
        """Take note that objects, by ``id()``, should not have been changed."""
        self._unexpected.update(changed)

    @contextmanager
    def as_before(self) -> Iterator[None]:
        """Let what calls have changed be what it was, for a while."""
        now = [memory_of(value) for value, _ in self._before.values()]
        for _, put_back in self._before.values():
            put_back()
        try:
            yield
        finally:
            for put_back in now:
                put_back()


def _is_data(value: Any) -> bool:
    return type(value) in (int, float, complex, str, bytes, tuple, frozenset) or holds_items(type(value))
