"""When something was handed in, as nbgrader's timestamp.txt says it."""

from datetime import datetime
from functools import lru_cache

from nbgrader.utils import parse_utc


@lru_cache(maxsize=256)  # dateutil takes a millisecond, and a time is asked for when it is taken in and recorded
def read_timestamp(text: str) -> datetime | None:
    """Read a time as UTC without a zone; None where it cannot be read."""
    try:
        when: datetime | None = parse_utc(text.strip() or None)
    except Exception:  # dateutil raises whatever its input makes it raise
        return None
    return when
