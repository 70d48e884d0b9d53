"""What a test and the student's code share beside values: the environment, what is warned of and logged."""

from typing import Protocol


class Beside(Protocol):
    """Something that both sides have, brought in step by requests of its own."""

    def begin(self) -> None:
        """Prepare both sides."""

    def before(self) -> None:
        """Bring what the test has changed."""

    def after(self) -> None:
        """Bring what the student's code has changed."""

    def end(self) -> None:
        """Leave both sides."""
