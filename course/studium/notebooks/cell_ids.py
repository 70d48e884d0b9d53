"""Cell ids, which are derived and never random: update, reset and deep links depend on them.

Besides the ids of exercises ("lora-merge", "lora-merge-check") there are those of sections ("lora-in-merge") and of the
setup cell ("lora-import"). `in` and `import` are keywords, so an exercise can never have such a name.
"""

import hashlib
import re

_LONGEST = 64  # the longest id in nbformat 4.5


def cell_id(*parts: str) -> str:
    """Join topic, section or exercise, and role into an id: "lora-merge-check". A long id is shortened and ends in a
    hash.
    """
    text = "-".join(filter(None, map(slug_of, parts))).lower()
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def slug_of(text: str) -> str:
    """Reduce text to letters, digits, hyphens and underscores."""
    return re.sub(r"[^a-zA-Z0-9_]+", "-", text).strip("-")
