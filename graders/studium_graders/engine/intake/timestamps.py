"""When something was handed in, as nbgrader's timestamp.txt says it."""

from datetime import datetime, timedelta
from functools import lru_cache

from nbgrader.utils import parse_utc

NO_TIME = "timestamp.txt holds no time"
_DAY = timedelta(days=1)
_EARLIEST, _LATEST = datetime.min + _DAY, datetime.max - _DAY


@lru_cache(maxsize=256)  # dateutil takes a millisecond, and a time is asked for when it is taken in and recorded
def read_timestamp(text: str) -> datetime | None:
    """Read a time as UTC without a zone; None where it cannot be read, or no clock elsewhere could show it."""
    try:
        when: datetime | None = parse_utc(text.strip() or None)
    except Exception:  # dateutil raises whatever its input makes it raise
        return None
    return when if when and has_local_times(when) else None


def has_local_times(when: datetime) -> bool:
    """Return whether a time can be said in every time zone: at both ends of the calendar it cannot."""
    return _EARLIEST <= when <= _LATEST
