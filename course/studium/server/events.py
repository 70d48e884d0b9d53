"""Tell everyone who is listening: a queue for each open stream."""

import asyncio
from typing import Any

import msgspec

_LONGEST_QUEUE = 1000


class Events:
    """The listeners of one server. ``send`` may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._listeners: set[asyncio.Queue[str]] = set()

    def listen(self) -> "asyncio.Queue[str]":
        """Return a queue in which events arrive as text; pass it to ``leave`` at the end."""
        queue: asyncio.Queue[str] = asyncio.Queue(_LONGEST_QUEUE)
        self._listeners.add(queue)
        return queue

    def leave(self, queue: "asyncio.Queue[str]") -> None:
        """Stop listening."""
        self._listeners.discard(queue)

    def send(self, name: str, data: Any) -> None:
        """Send it to every listener."""
        text = event_text(name, data)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, text)

    def _spread(self, text: str) -> None:
        for queue in self._listeners:
            if queue.full():  # nobody is reading: only the newest counts
                queue.get_nowait()
            queue.put_nowait(text)


def event_text(name: str, data: Any) -> str:
    """Format an event for a stream of server-sent events."""
    return f"event: {name}\ndata: {msgspec.json.encode(data).decode()}\n\n"
