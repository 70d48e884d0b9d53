"""Variables of the environment that a test names: the same in the test as in the student's process."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from studium_graders.engine.remote.wire import ProtocolError

Held = dict[str, str]
_LONGEST = 1 << 15


class Environment:
    """Gives a test the values that the student's process has, and that process those that the test gives them.

    What this process had before comes back at the end.
    """

    def __init__(self, ask: Callable[..., Any], names: Iterable[str], may_change: Callable[[str], bool]) -> None:
        self._ask = ask
        self._may_change = may_change
        self._names = sorted(names)
        self._before = held(self._names)
        self._agreed: Held = {}

    def begin(self) -> None:
        """Take what is there."""
        self._take(lambda _: True)

    def before(self) -> None:
        """Give what the test has changed."""
        if (here := held(self._names)) != self._agreed:
            self._ask("environ", self._names, msgspec.msgpack.encode(here))
            self._agreed = here

    def after(self) -> None:
        """Take what a call has changed, where the reference's does so too: a test compares with what it has set."""
        self._take(self._may_change)

    def end(self) -> None:
        """Put back what was here."""
        put(self._names, self._before)

    def _take(self, may_change: Callable[[str], bool]) -> None:
        try:
            found = msgspec.msgpack.decode(self._ask("environ", self._names, b""), type=Held)
        except (msgspec.MsgspecError, TypeError) as error:
            raise ProtocolError("no variables") from error
        changed = (name for name in self._names if found.get(name) != self._agreed.get(name))
        put(filter(may_change, changed), {name: value.replace("\0", "")[:_LONGEST] for name, value in found.items()})
        self._agreed = held(self._names)


def held(names: Iterable[str]) -> Held:
    """Give the variables among these that are set."""
    return {name: os.environ[name] for name in names if name in os.environ}


def put(names: Iterable[str], values: Held) -> None:
    """Set variables to these values, and none of the others among the names."""
    for name in names:
        if name in values:
            os.environ[name] = values[name]
        else:
            os.environ.pop(name, None)
