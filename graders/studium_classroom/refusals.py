"""Well-formed requests that the course server refuses."""

from studium.errors import StudiumError


class RefusedError(StudiumError):
    """Something that this person may not do now."""


class TooManyError(RefusedError):
    """More than is allowed in an hour, or two at the same time."""
