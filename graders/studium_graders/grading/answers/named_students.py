"""Find students' ids in comments.

An id counts as a whole word, whatever its case, and only if it can hardly be anything else. One of letters and digits,
such as ``s012``, needs three characters. A number needs six digits, because a shorter one may be a size. A word, such
as ``maria``, needs four letters, and must not occur in what was handed out or in the comments of more than two
students: a word that many write is an ordinary word.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

_LETTERS_AND_DIGITS, _LETTERS, _DIGITS = 3, 4, 6  # fewest characters
_MOST = 2  # most students in whose comments an id that is a word may occur


class NamedStudents:
    """The ids of a class; ``said`` has the comments of each student."""

    def __init__(self, said: Mapping[str, Iterable[str]], handed_out: str = "") -> None:
        self._ids = {student.lower(): student for student in said if _is_long_enough(student)}
        names = "|".join(re.escape(name) for name in sorted(self._ids, key=len, reverse=True))
        # not inside a longer id, such as ada.m or ada@example.org; a full stop may follow
        self._pattern = re.compile(rf"(?<![\w@])(?<!\w[.-])(?:{names})(?![\w@]|[.-]\w)", re.IGNORECASE)
        self._ids = self._ids if names else {}
        words = Counter(
            name for texts in said.values() for name in {one for text in texts for one in self._found(text)}
        )
        ordinary = {name for name, times in words.items() if times > _MOST} | set(self._found(handed_out))
        self._ids = {name: student for name, student in self._ids.items() if not (name.isalpha() and name in ordinary)}

    def in_text(self, author: str, text: str) -> list[str]:
        """Return the students, other than its author, whose ids occur in a comment."""
        found = (self._ids[name] for name in dict.fromkeys(self._found(text)))
        return [student for student in found if student != author]

    def _found(self, text: str) -> list[str]:
        if not self._ids:
            return []
        return [name for name in map(str.lower, self._pattern.findall(text)) if name in self._ids]


def _is_long_enough(student: str) -> bool:
    if student.isdigit():
        return len(student) >= _DIGITS
    return len(student) >= (_LETTERS if student.isalpha() else _LETTERS_AND_DIGITS)
