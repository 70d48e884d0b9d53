"""Cell ids that are derived, never random: update, reset and deep links depend on them.

Next to the ids of exercises ("lora-merge", "lora-merge-check") stand those of sections ("lora-in-merge") and of the
setup cell ("lora-import"): `in` and `import` are keywords, so that no exercise can have such a name.
"""

import hashlib
import re

_LONGEST = 64  # of an id in nbformat 4.5


def cell_id(*parts: str) -> str:
    """Join topic, section or exercise, and role to an id: "lora-merge-check". A long one ends in a hash of itself."""
    text = "-".join(filter(None, map(slug_of, parts))).lower()
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def slug_of(text: str) -> str:
    """Reduce text to letters, digits, hyphens and underscores."""
    return re.sub(r"[^a-zA-Z0-9_]+", "-", text).strip("-")
