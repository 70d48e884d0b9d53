"""The form of a learner's settings: few, typed, each with a default."""

from typing import Annotated

import msgspec


class Settings(msgspec.Struct, frozen=True):
    """How the desk behaves.

    ``hints_after`` and ``reveal_after`` count attempts. ``limit`` is the longest time for one cell or one exercise, in
    seconds. ``memory_guard`` refuses what would be killed for want of memory. ``warm`` keeps a process for checks.
    """

    hints_after: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    reveal_after: Annotated[int, msgspec.Meta(ge=0, le=100)] = 1
    limit: Annotated[float, msgspec.Meta(ge=0.1, le=86_400)] = 60.0
    memory_guard: bool = True
    warm: bool = True
    review_minutes: Annotated[float, msgspec.Meta(ge=1, le=60)] = 3.0
