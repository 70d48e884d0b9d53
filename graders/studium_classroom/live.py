"""Boards that are open: the state of a class is read once after a change, however many look at it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import msgspec

from studium_classroom.roles import Place
from studium_classroom.status import ClassState, Status

AT_MOST = 2.0  # seconds between two readings of one class
LOOK_AGAIN = 15.0  # seconds until what other programs changed is looked for, and a sign of life is sent
LASTS = 300.0  # seconds of one stream: a role that was taken away ends then at the latest

Read = Callable[[str, str], ClassState]
Show = Callable[[ClassState, Place], Status]


class _Class:
    """One assignment that somebody looks at."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.news = asyncio.Event()  # of the next change
        self.changes, self.seen = 0, 0
        self.read_at = 0.0
        self.state: ClassState | None = None
        self.shown: dict[Place, bytes] = {}


class Live:
    """The boards of one server. To be used in one event loop."""

    def __init__(self, read: Read, show: Show) -> None:
        self._read, self._show = read, show
        self._classes: defaultdict[tuple[str, str], _Class] = defaultdict(_Class)
        self._closing = asyncio.Event()

    def changed(self, course: str, assignment: str) -> None:
        """Have those who look at an assignment see what became of it."""
        if found := self._classes.get((course, assignment)):
            found.changes += 1
            found.news.set()
            found.news = asyncio.Event()

    def close(self) -> None:
        """End all streams."""
        self._closing.set()
        for found in self._classes.values():
            found.news.set()

    async def follow(self, course: str, assignment: str, place: Place) -> AsyncIterator[bytes]:
        """Yield the status as JSON, whole, now and whenever it has changed; b"" where it has not for a while."""
        found, clock = self._classes[course, assignment], asyncio.get_running_loop().time
        sent, end = b"", clock() + LASTS
        while not self._closing.is_set() and clock() < end:
            news = found.news
            text = await self._status(found, course, assignment, place)
            yield b"" if text == sent else text
            sent = text
            for event, seconds in ((self._closing, AT_MOST), (news, LOOK_AGAIN)):
                with suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), seconds)

    async def _status(self, found: _Class, course: str, assignment: str, place: Place) -> bytes:
        clock = asyncio.get_running_loop().time
        async with found.lock:
            if found.state is None or found.seen != found.changes or clock() - found.read_at > LOOK_AGAIN:
                changes = found.changes
                found.state = await asyncio.to_thread(self._read, course, assignment)
                found.seen, found.read_at = changes, clock()
                found.shown.clear()
            if place not in found.shown:
                shown = await asyncio.to_thread(self._show, found.state, place)
                found.shown[place] = msgspec.json.encode(shown)
            return found.shown[place]
