"""Replace old folders with new ones: all of them, or none."""

from collections.abc import Iterable
from pathlib import Path


def swap_folders(pairs: Iterable[tuple[Path, Path]], scratch: Path) -> None:
    """Move each new folder to its target; whatever was there goes to ``scratch``. An error undoes every move.

    All paths must be on one file system, where a move needs no space.
    """
    undo: list[tuple[Path, Path]] = []
    try:
        for number, (new, target) in enumerate(pairs):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                old = scratch / f"old-{number}"
                target.rename(old)
                undo.append((old, target))
            new.rename(target)
            undo.append((target, new))
    except BaseException:
        for moved, back in reversed(undo):
            moved.rename(back)
        raise
