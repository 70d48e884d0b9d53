"""What is awaited in one process and runs in the other: coroutines, tasks and asynchronous generators.

Each side has an event loop of its own, and what the other side awaits is a task of it. The judge's loop sets the pace:
while something is awaited of the student's, it has the student's loop run again and again, each time until something
has ended there, or for a moment.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec

from studium_graders.engine.remote.encode import WRITERS
from studium_graders.engine.remote.policy import item_of
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

if TYPE_CHECKING:
    from studium_graders.engine.remote.session import Student

METHODS = frozenset({"__anext__", "asend", "athrow", "aclose"})
"""Of asynchronous generators: what they give is awaited."""

_TURN = "await"  # where what comes in a turn comes from
_MOMENT = 0.005  # seconds for which the student's loop runs while nothing ends
_PAUSE = 0.001  # seconds in which the judge's loop goes on alone, where the student's waits for it


class There:
    """An object of the other side's, by its number, under which it is known as long as what stands for it is there."""

    def __init__(self, number: int) -> None:
        self.number = number


WRITERS[There] = lambda _, value: [Tag.YOURS, value.number]


async def coroutine(peer: Any, there: Any, path: str, *call: Any) -> Any:
    """Give what an awaitable of the other side gives, or the result of a method with these arguments."""
    number = peer.request("begin", there, *call, path=path)
    try:
        if number > 0:
            await peer.tasks.until_ended(number)
        return peer.request("outcome", abs(number), path=path)
    finally:
        peer.tasks.waiting.pop(number, None)


def named(made: Any, name: str) -> Any:
    """Give a coroutine the name under which its function is known."""
    made.__name__ = made.__qualname__ = name
    return made


async def async_generator(peer: Any, there: There, path: str) -> AsyncIterator[Any]:
    """Give the items of an asynchronous generator of the other side."""
    call: tuple[Any, ...] = ("__anext__",)
    begun = False
    while True:
        try:
            item = await coroutine(peer, there, item_of(path), *call)
        except StopAsyncIteration:
            for instead in () if begun else peer.no_items(path):
                yield instead
            return
        begun = True
        try:
            sent = yield item
            call = ("__anext__",) if sent is None else ("asend", sent)
        except GeneratorExit:
            if peer.imported(there.number) is not None:  # else nobody has it any more, and its own loop closes it
                await coroutine(peer, there, path, "aclose")
            raise
        except Exception as error:
            call = ("athrow", error)


async def _run(target: Any, method: str = "", *args: Any) -> Any:
    return await (getattr(type(target), method)(target, *args) if method else target)


class Tasks:
    """The tasks of this side that the other one waits for, and what waits here for those of the other."""

    def __init__(self, peer: Any) -> None:
        self.peer = peer
        self.waiting: dict[int, asyncio.Future[bool]] = {}
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self._ended: list[int] = []  # of which the other side does not know yet; below zero where it was cancelled
        self._numbers = itertools.count(1)

    def begin_in(self, loop: asyncio.AbstractEventLoop, *call: Any) -> int:
        """Begin a task for the other side and give its number."""
        number = next(self._numbers)
        task = self._tasks[number] = loop.create_task(_run(*call))
        task.add_done_callback(lambda _: self.end(number))
        return number

    def end(self, number: int) -> None:
        """Note that a task has ended; one that was cancelled has no outcome."""
        cancelled = self._tasks[number].cancelled()
        if cancelled:
            del self._tasks[number]
        self._ended.append(-number if cancelled else number)

    def outcome(self, number: int) -> Any:
        """Give the result of a task that has ended, or raise its exception."""
        task = self._tasks.pop(number, None)
        if task is None or not task.done():
            raise ProtocolError("the outcome of no task")
        return task.result()

    def cancel(self, number: int) -> None:
        """Cancel a task."""
        if number in self._tasks:
            self._tasks[number].cancel()

    async def until_ended(self, number: int) -> None:
        """Wait for a task of the other side. Whoever cancels this, cancels it; CancelledError where that was done."""
        while True:
            try:
                completed = await self._end_of(number)
                break
            except asyncio.CancelledError:
                self.peer.request("cancel", number)
        if not completed:
            raise asyncio.CancelledError

    def _end_of(self, number: int) -> "asyncio.Future[bool]":
        self.waiting[number] = future = asyncio.get_running_loop().create_future()
        return future

    def _take_ended(self) -> list[int]:
        ended, self._ended = self._ended, []
        return ended

    def _hear(self, ended: list[int]) -> None:
        for number in ended:
            future = self.waiting.get(abs(number))
            if future is not None and not future.done():
                future.set_result(number > 0)


class StudentTasks(Tasks):
    """The student's loop is that of its cells, and runs while the judge lets it."""

    def __init__(self, peer: Any) -> None:
        super().__init__(peer)
        self._stirred: asyncio.Future[None] | None = None

    def begin(self, *call: Any) -> int:
        """Begin a task of the student's loop."""
        return self.begin_in(_loop_of_cells(), *call)

    def end(self, number: int) -> None:
        """Let the turn end."""
        super().end(number)
        self._stir()

    def _end_of(self, number: int) -> "asyncio.Future[bool]":
        self._stir()
        return super()._end_of(number)

    def _stir(self) -> None:
        if self._stirred is not None and not self._stirred.done():
            self._stirred.set_result(None)

    def turn(self, told: bytes) -> bytes:
        """Let the loop run; give what has ended, and whether anything has not."""
        ended, awaited = msgspec.msgpack.decode(told)
        self._hear(ended)
        loop = _loop_of_cells()
        loop.run_until_complete(self._pass(_MOMENT if awaited and not self.waiting else 0))
        return msgspec.msgpack.encode((self._take_ended(), bool(asyncio.all_tasks(loop))))

    async def _pass(self, seconds: float) -> None:
        self._stirred = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._stirred], timeout=seconds)


def _loop_of_cells() -> asyncio.AbstractEventLoop:
    from IPython.core.async_helpers import get_asyncio_loop

    loop: asyncio.AbstractEventLoop = get_asyncio_loop()
    return loop


class JudgeTasks(Tasks):
    """The loop that runs a test lets the student's run while anything is awaited there."""

    peer: "Student"

    def __init__(self, peer: "Student") -> None:
        super().__init__(peer)
        self._next: asyncio.AbstractEventLoop | None = None  # that has a turn before it
        self._turning: asyncio.AbstractEventLoop | None = None
        self._deadlines: dict[int, float] = {}

    def begin(self, *call: Any) -> int:
        """Begin a task of the loop that runs, or run it to its end where a plain call of the student's waits for it."""
        if self._turning is not None:
            return self.begin_in(self._turning, *call)
        loop = asyncio.new_event_loop()
        try:
            number = self.begin_in(loop, *call)
            task = self._tasks[number]
            loop.run_until_complete(asyncio.wait([task], timeout=self.peer.limits.call_seconds))
            if not task.done():
                raise self.peer.late()
            self._ended.clear()
        finally:
            loop.close()
        return -number

    def _end_of(self, number: int) -> "asyncio.Future[bool]":
        self._deadlines.setdefault(number, time.monotonic() + self.peer.limits.call_seconds)
        self._let_turn(asyncio.get_running_loop(), 0)
        return super()._end_of(number)

    def _let_turn(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        if self._next is not loop:
            self._next = loop
            loop.call_later(seconds, self._turn, loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._next, self._turning = None, loop
        try:
            busy = self._ask_for_turn()
        except BaseException as error:
            for future in self.waiting.values():
                if not future.done():
                    future.set_exception(error)
        else:
            if self.waiting:
                self._let_turn(loop, _PAUSE if self._tasks else 0)
            elif busy:
                self._let_turn(loop, _MOMENT)
        finally:
            self._turning = None

    def _ask_for_turn(self) -> bool:
        """Let the student's loop run; tell whether it has more to do."""
        told = self.peer.request("turn", msgspec.msgpack.encode((self._take_ended(), bool(self.waiting))), path=_TURN)
        try:
            ended, busy = msgspec.msgpack.decode(told, type=tuple[list[int], bool])
        except (msgspec.MsgspecError, TypeError) as error:
            raise self.peer.disturbed(error) from error
        self._hear(ended)
        self._deadlines = {number: end for number, end in self._deadlines.items() if number in self.waiting}
        if any(end < time.monotonic() for end in self._deadlines.values()):
            raise self.peer.late()
        return busy
