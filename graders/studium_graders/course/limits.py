"""What a submission may use. The defaults fit small torch exercises; ``[limits]`` in course.toml changes them."""

from typing import Annotated, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType

MOST_SECONDS = 1e6  # that a timer of the system can count
Positive = Annotated[float, Meta(gt=0, le=MOST_SECONDS)]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of one submission. Seconds are wall clock unless the name says CPU; a MB is 2**20 bytes."""

    call_seconds: Positive = 30.0
    """The longest that one cell, or one call of a student's function, may take."""
    next_call_seconds: Positive = 10.0
    """The same in tests of an answer of which an earlier test was stopped after ``call_seconds``, and never more."""
    submission_seconds: Positive = 300.0
    """The longest that one pass over a whole submission may take: all cells and tests of its notebooks, retries too."""
    cpu_seconds: Positive = 300.0
    memory_mb: Count = 3072
    processes: Count = 64
    """Processes and threads of the student, together."""
    open_files: Count = 256
    disk_mb: Count = 256
    """What the student's folder may hold, and the greatest size of one file."""
    output_kb: Count = 256
    """Printed output that is kept of each cell; many times that ends the run."""
    message_mb: Count = 256
    """The greatest value that may cross between the two processes."""

    def after_a_stop(self) -> Self:
        """Return the limits for tests of an answer of which an earlier test was stopped for its time."""
        return msgspec.structs.replace(self, call_seconds=min(self.call_seconds, self.next_call_seconds))


class LimitsChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Limits that an assignment sets for itself; what is unset is as in the course."""

    call_seconds: Positive | UnsetType = UNSET
    next_call_seconds: Positive | UnsetType = UNSET
    submission_seconds: Positive | UnsetType = UNSET
    cpu_seconds: Positive | UnsetType = UNSET
    memory_mb: Count | UnsetType = UNSET
    processes: Count | UnsetType = UNSET
    open_files: Count | UnsetType = UNSET
    disk_mb: Count | UnsetType = UNSET
    output_kb: Count | UnsetType = UNSET
    message_mb: Count | UnsetType = UNSET

    def applied_to(self, limits: Limits) -> Limits:
        """Return ``limits`` with what is set here."""
        return msgspec.structs.replace(limits, **msgspec.to_builtins(self))
