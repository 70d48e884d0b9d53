"""Where the cells of a lesson stand in ``lesson.py``, for messages that an editor can follow."""

import re

from studium.editions import exercise_of, read_lesson
from studium.topic import Topic

_MARK = re.compile(r"^# %%(?!%)", re.MULTILINE)


def places_of_cells(topic: Topic) -> dict[str, str]:
    """Return "lesson.py:143" by the id of each cell, and by the name of the exercise that is placed there.

    It is empty where a text before the first mark hides which cell is which.
    """
    text = topic.lesson.read_text("utf-8")
    marks = [text.count("\n", 0, found.start()) + 1 for found in _MARK.finditer(text)]
    cells = read_lesson(topic).cells
    if len(cells) != len(marks):
        return {}
    return {exercise_of(cell) or str(cell.id): f"lesson.py:{line}" for cell, line in zip(cells, marks, strict=True)}
