"""Dates, times, exact numbers and identifiers of the standard library, from checked text and numbers."""

import datetime
import uuid
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from studium_graders.engine.kinds.plain import MOST_DIGITS, integer, text
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder, Kind, StaysError

_LONGEST = 40  # characters of a date and time
_MOST_EXPONENT = 10_000


def _of_text(tag: str, cls: type, say: Callable[[Any], str], build: Callable[[str], Any], most: int) -> Kind:
    def read(_: Decoder, parts: list[Any]) -> Any:
        (said,) = parts
        return build(text(said, most))

    return Kind(tag, (cls,), lambda _, value: [say(value)], read)


def _moment(value: Any) -> list[Any]:
    offset = value.utcoffset()
    if offset is not None and type(value.tzinfo) is not datetime.timezone:
        raise StaysError
    return [value.isoformat(), value.fold]


def _of_moment(tag: str, cls: Any) -> Kind:
    def read(_: Decoder, parts: list[Any]) -> Any:
        said, fold = parts
        return cls.fromisoformat(text(said, _LONGEST)).replace(fold=integer(fold))

    return Kind(tag, (cls,), lambda _, value: _moment(value), read)


def _decimal(said: str) -> Decimal:
    value = Decimal(said)
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and abs(exponent) > _MOST_EXPONENT:
        raise ProtocolError("a decimal number that is too large")
    return value


def _write_fraction(encoder: Encoder, value: Fraction) -> list[Any]:
    return [encoder.part(value.numerator), encoder.part(value.denominator)]


def _read_fraction(decoder: Decoder, parts: list[Any]) -> Fraction:
    above, below = [integer(decoder.part(part)) for part in parts]
    return Fraction(above, below)


def _read_difference(_: Decoder, parts: list[Any]) -> datetime.timedelta:
    days, seconds, microseconds = map(integer, parts)
    return datetime.timedelta(days, seconds, microseconds)


KINDS = (
    _of_moment("datetime", datetime.datetime),
    _of_moment("time", datetime.time),
    _of_text("date", datetime.date, datetime.date.isoformat, datetime.date.fromisoformat, _LONGEST),
    Kind(
        "timedelta",
        (datetime.timedelta,),
        lambda _, value: [value.days, value.seconds, value.microseconds],
        _read_difference,
    ),
    _of_text("decimal", Decimal, str, _decimal, MOST_DIGITS),
    Kind("fraction", (Fraction,), _write_fraction, _read_fraction),
    _of_text("uuid", uuid.UUID, str, uuid.UUID, _LONGEST),
)
