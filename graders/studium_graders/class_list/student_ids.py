"""Ids that a student can have: folders are named after them, and people of a hub or an LMS choose some of them."""

import re

RULE = "only letters, digits and . _ @ + - and must begin with a letter or digit"
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}")


def is_usable(student: str) -> bool:
    """Return whether a student can have this id."""
    return bool(_ID.fullmatch(student)) and not student.endswith(".")
