"""Where a lesson's cells are in ``lesson.py``, for messages that an editor can follow."""

import re

from studium.notebooks.editions import exercise_of, read_lesson
from studium.topics.topic import Topic

_MARK = re.compile(r"^# %%(?!%)", re.MULTILINE)


def places_of_cells(topic: Topic) -> dict[str, str]:
    """Map the id of each cell, and the name of each exercise placed there, to a place such as "lesson.py:143".

    The result is empty if text before the first mark makes it unclear which cell is which.
    """
    text = topic.lesson.read_text("utf-8")
    marks = [text.count("\n", 0, found.start()) + 1 for found in _MARK.finditer(text)]
    cells = read_lesson(topic).cells
    if len(cells) != len(marks):
        return {}
    return {exercise_of(cell) or str(cell.id): f"lesson.py:{line}" for cell, line in zip(cells, marks, strict=True)}
