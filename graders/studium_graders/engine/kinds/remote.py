"""What stays in the student's process comes as a handle and a word for it, what a test lent as its number."""

from typing import Any

from studium_graders.engine.kinds.plain import integer, text
from studium_graders.engine.wire.codec import ARGUMENT, Decoder, Encoder, Kind

REMOTE, LENT = "remote", "lent"
LONGEST_WORD = 60


def _never(_: Encoder, value: Any) -> list[Any]:
    raise TypeError(f"an object of {type(value).__name__} is written by the side that keeps it")


def _read(decoder: Decoder, parts: list[Any]) -> Any:
    handle, word = parts
    return decoder.taking.remote(integer(handle), text(word, LONGEST_WORD))


def _read_lent(decoder: Decoder, parts: list[Any]) -> Any:
    (number,) = parts
    decoder.allows(ARGUMENT)
    return decoder.taking.lent(integer(number))


KINDS = (Kind(REMOTE, (), _never, _read), Kind(LENT, (), _never, _read_lent))
