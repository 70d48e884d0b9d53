"""What a worker is to do, and the events that it tells meanwhile: MessagePack after four bytes with its length."""

import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import msgspec

T = TypeVar("T")
Tell = Callable[[object], object]
_HEAD = 4
_POLL = 0.02


@dataclass(frozen=True)
class Job:
    """``work`` is called with a function that appends an event to the file ``events``, in ``folder`` if one is given.

    It travels by pickle, so ``work`` is a function of a module, or a ``partial`` of one.
    """

    work: Callable[[Tell], object]
    events: Path = Path(os.devnull)
    folder: Path | None = None

    def run(self) -> None:
        """Do the work in this process."""
        if self.folder:
            os.chdir(self.folder)
            sys.path[0] = str(self.folder)  # as in a process started there
        with self.events.open("ab", buffering=0) as file:
            self.work(lambda event: file.write(framed(event)))


class Worker(ABC):
    """A process that does a job. As a context, it ends at the end of the block."""

    @abstractmethod
    def poll(self) -> int | None:
        """Return the exit code, or None while it is running."""

    @abstractmethod
    def kill(self) -> None:
        """End the process and what it has started, and wait until it has ended."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


def framed(event: object) -> bytes:
    """Return an event as it is written."""
    data = msgspec.msgpack.encode(event)
    return len(data).to_bytes(_HEAD, "big") + data


def follow(worker: Worker, events: Path, decoder: msgspec.msgpack.Decoder[T]) -> Iterator[T | None]:
    """Yield each event as it comes, and None now and then so a limit can be checked, until the worker has ended.

    Decoders are created when modules are imported: if two threads build one for the same type, the process crashes.
    """
    events.touch()
    with events.open("rb") as file:
        rest = b""
        while True:
            over = worker.poll() is not None
            found, rest = _split(rest + file.read())
            yield from map(decoder.decode, found)
            if over:
                return
            yield None
            if not found:
                time.sleep(_POLL)


def _split(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole events in some data, and the rest."""
    found, start = [], 0
    while len(data) >= start + _HEAD:
        end = start + _HEAD + int.from_bytes(data[start : start + _HEAD], "big")
        if end > len(data):
            break
        found.append(data[start + _HEAD : end])
        start = end
    return found, data[start:]
