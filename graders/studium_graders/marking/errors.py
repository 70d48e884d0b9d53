"""What may happen to an answer while somebody marks it."""

from studium.errors import CourseError


class HeldError(CourseError):
    """Somebody else is marking an answer, or it has changed since it was opened."""
