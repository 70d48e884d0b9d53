"""Open boards: the state of a class is read once after a change, however many people look at it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import msgspec

from studium_classroom.roles import Place
from studium_classroom.status import ClassState, Status

AT_MOST = 2.0  # seconds between two reads of one class
LOOK_AGAIN = 15.0  # seconds between looks for changes by other programs, and between signs of life
LASTS = 300.0  # seconds of one stream, so a role that was taken away ends by then

Read = Callable[[str, str], ClassState]
Show = Callable[[ClassState, Place], Status]


class _Class:
    """One assignment that somebody is looking at."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.news = asyncio.Event()  # set at the next change
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
        """Show an assignment's new state to everyone looking at it."""
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
        """Yield the whole status as JSON, now and whenever it has changed; b"" if it has not changed for a while."""
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
