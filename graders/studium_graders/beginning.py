"""What ``studium grade`` begins before anything else: the process that imports torch."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

_OTHER = frozenset(("-h", "--help", "--executor"))  # no grading, or grading elsewhere


def begin_early(arguments: Sequence[str]) -> None:
    """Begin to import torch before the command line is read, where it plainly says that there will be need for it."""
    match arguments:
        case ["grade", str(name), *options] if not (name.startswith("-") or _OTHER.intersection(options)):
            course = dict(pairwise(options)).get("--course", "")
            begin(Path(course), name, force="--force" in options)


def begin(course: Path, name: str, *, force: bool) -> None:
    """Begin to warm up where an assignment does not look as if it were graded already."""
    from studium_graders import warm
    from studium_graders.results_store import looks_graded

    if force or not looks_graded(course, name):
        warm.begin()  # torch is imported there while nbgrader is imported here
