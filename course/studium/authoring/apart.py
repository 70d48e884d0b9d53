"""Work on a topic in a process of its own, whose errors are the topic's."""

import importlib
import tempfile
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from studium.errors import TopicError
from studium.workers.job import Tell
from studium.workers.program import ONE_THREAD, DiedError, results

T = TypeVar("T")


def told_apart(module: str, arguments: tuple[object, ...], kind: type[T], what: str) -> list[T]:
    """Return what the function ``work`` of a module tells, each of ``kind``.

    Raise TopicError if it fails; ``what`` names what could not be run.
    """
    with tempfile.TemporaryDirectory(prefix="studium-") as scratch:
        work = partial(_work_of, module, arguments)
        try:
            return results(work, msgspec.msgpack.Decoder(kind), ONE_THREAD, Path(scratch))
        except DiedError as error:
            raise TopicError(f"{what} could not be run: {error}") from None


def _work_of(module: str, arguments: tuple[object, ...], tell: Tell) -> None:
    importlib.import_module(module).work(*arguments, tell)
