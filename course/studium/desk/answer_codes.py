"""A short answer as text for a link: ``studium1.`` followed by the packed slug, exercise and answer."""

import base64
import zlib

import msgspec

from studium.desk.records import Name, Slug
from studium.errors import StudiumError

_PREFIX = "studium1."
LONGEST_CODE = 2000  # characters; longer links are cut by mail programs and chats
_LARGEST = 1 << 16


class AnswerCodeError(StudiumError):
    """A code that cannot be made or read."""


class SharedAnswer(msgspec.Struct, frozen=True):
    """One answer, and the exercise it belongs to."""

    slug: Slug
    exercise: Name
    answer: str


def encode_answer(slug: str, exercise: str, answer: str) -> str:
    """Write an answer as a code; raise AnswerCodeError if it is missing or would be too long for a link."""
    if not answer.strip():
        raise AnswerCodeError(f"this notebook has no answer to {exercise}; write one first")
    packed = zlib.compress(msgspec.json.encode((slug, exercise, answer)), 9)
    code = _PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")
    if len(code) > LONGEST_CODE:
        raise AnswerCodeError(
            f"the answer to {exercise} is too long for a link ({len(code)} characters, {LONGEST_CODE} at most); "
            "send a progress file"
        )
    return code


def decode_answer(code: str) -> SharedAnswer:
    """Read a code, or a link that ends in one; raise AnswerCodeError if that is not possible."""
    _, found, rest = code.strip().rpartition(_PREFIX)
    try:
        packed = base64.b64decode(rest + "=" * (-len(rest) % 4), altchars=b"-_", validate=True)
        reader = zlib.decompressobj()
        text = reader.decompress(packed, _LARGEST)
        if not found or not reader.eof:
            raise ValueError("it was cut off")
        slug, exercise, answer = msgspec.json.decode(text, type=tuple[Slug, Name, str])
    except (ValueError, zlib.error, msgspec.MsgspecError):
        raise AnswerCodeError(
            f"a code begins with {_PREFIX} and must be complete, but this one is not; copy it again"
        ) from None
    return SharedAnswer(slug, exercise, answer)
