"""What rubric items and points come to, and how they are written into a comment."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence


def mark_of(items: Iterable[float], points: float | None, most: float) -> float | None:
    """Return the mark between 0 and ``most``; None without any item or points, since nobody has marked then."""
    found = [*items, *(() if points is None else (points,))]
    return min(most, max(0.0, math.fsum(found))) if found else None


def line_of(text: str, points: float) -> str:
    """Return a rubric item as the student reads it."""
    return f"{points:+g} {text}"


def comment_of(lines: Iterable[str], own: str) -> str | None:
    """Return the whole comment: the rubric's lines, then what the person wrote. None if there is nothing to say."""
    return "\n".join(filter(None, (*lines, _plain(own)))) or None


def own_part(comment: str | None, lines: Iterable[str]) -> str:
    """Return what a person wrote: the comment without the rubric's lines, wherever they are by now."""
    left, kept = Counter(lines), []
    for line in _plain(comment or "").split("\n"):
        if left[line]:
            left[line] -= 1
        else:
            kept.append(line)
    return _plain("\n".join(kept))


def points_beside(
    items: Sequence[float], points: float | None, mark: float | None, found: float | None
) -> float | None:
    """Return the points beside the rubric of an answer that was left with ``mark`` and has ``found`` in the gradebook.

    If somebody has changed the mark there, it counts: the points are then whatever is missing from the items' sum.
    """
    same = found == mark or (found is not None and mark is not None and math.isclose(found, mark, abs_tol=1e-9))
    if same or found is None:
        return points
    return found - math.fsum(items)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
