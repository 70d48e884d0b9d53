"""One piece of code that learners are shown and that could be an answer."""

import msgspec

RIGHT, WRONG = "right", "wrong"


class Shown(msgspec.Struct, frozen=True):
    """Code at ``place`` that could answer an exercise; ``answer`` is that code as the exercise's function.

    ``whole`` marks a block or a function with the exercise's own parameters, which could be handed in unchanged.
    ``verdict`` is RIGHT if it earns full marks, WRONG if a test fails it, and "" if it could not be run and so is
    neither.
    """

    exercise: str
    place: str
    text: str
    answer: str
    whole: bool = False
    verdict: str = ""
