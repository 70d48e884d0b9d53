"""What the course server refuses somebody, though it is well formed."""

from studium.errors import StudiumError


class RefusedError(StudiumError):
    """Something that this person may not do now."""


class TooManyError(RefusedError):
    """More of something than is allowed in an hour, or one beside another."""
