"""How much more time a student gets in a term: "+25 %" of the time for an assignment, or "+2 days"."""

import re
from datetime import UTC, datetime, timedelta
from typing import Literal, Self, cast

import msgspec
from studium.errors import UsageError

Unit = Literal["%", "days", "hours", "minutes"]
_MOST: dict[Unit, float] = {"%": 500, "days": 366, "hours": 24 * 366, "minutes": 9999}
_AMOUNT = re.compile(r"\+?\s*(\d{1,4}(?:[.,]\d{1,2})?)\s*(%|days?|hours?|minutes?)", re.ASCII | re.IGNORECASE)
_MINUTE = timedelta(minutes=1)


class Amount(msgspec.Struct, frozen=True):
    """More time; as text it is what ``read`` takes. A day ends at the same time on the clock."""

    number: float
    unit: Unit

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the amount that a text such as "+25 %" gives. Raise UsageError for any other text."""
        found = _AMOUNT.fullmatch(text.strip())
        unit = _unit(found[2]) if found else "%"
        number = float(found[1].replace(",", ".")) if found else -1
        if not 0 <= number <= _MOST[unit]:
            raise UsageError(
                "more time needs a number and a unit, such as '+25 %', '+2 days', '+12 hours' or '+90 minutes', and at "
                f"most 500 % or 366 days: got {text[:40]!r}; correct it"
            )
        return cls(number, unit)

    def __str__(self) -> str:
        """Write the amount with its unit, such as "+1 day"."""
        unit = self.unit if self.unit == "%" or self.number != 1 else self.unit.removesuffix("s")
        return f"+{self.number:.6g} {unit}"

    def later(self, due: datetime, opens: datetime | None) -> timedelta | None:
        """Return how much later than ``due`` work is due, in time that passes, up to a whole minute.

        A percentage counts from ``opens`` and is None if that is None.
        """
        if self.unit == "%":
            return _whole_minutes(max(timedelta(), passing(opens, due)) * (self.number / 100)) if opens else None
        if self.unit == "days":
            return passing(due, due + timedelta(days=self.number))
        return timedelta(**{self.unit: self.number})


def passing(start: datetime, end: datetime) -> timedelta:
    """Return the time that passes between two times with zones; their difference ignores clocks that change."""
    return end.astimezone(UTC) - start.astimezone(UTC)


def _unit(word: str) -> Unit:
    return cast(Unit, word if word == "%" else f"{word.lower().removesuffix('s')}s")


def _whole_minutes(time: timedelta) -> timedelta:
    return -(-time // _MINUTE) * _MINUTE
