"""The form of a learner's settings: few, typed, each with a default."""

from typing import Annotated

import msgspec


class Settings(msgspec.Struct, frozen=True):
    """The desk's settings.

    ``hints_after`` and ``reveal_after`` count attempts. ``limit`` is the time limit for one cell or exercise, in
    seconds. ``memory_guard`` refuses what would be killed for lack of memory. ``warm`` keeps a process ready for
    checks.
    """

    hints_after: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    reveal_after: Annotated[int, msgspec.Meta(ge=0, le=100)] = 1
    limit: Annotated[float, msgspec.Meta(ge=0.1, le=86_400)] = 60.0
    memory_guard: bool = True
    warm: bool = True
    review_minutes: Annotated[float, msgspec.Meta(ge=1, le=60)] = 3.0
