"""What ``studium grade`` starts before anything else: the process that imports torch."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

_OTHER = frozenset(("-h", "--help", "--executor"))  # no grading, or grading elsewhere


def begin_early(arguments: Sequence[str]) -> None:
    """Start importing torch before the command line is parsed, if it clearly will be needed."""
    match arguments:
        case ["grade", str(name), *options] if not (name.startswith("-") or _OTHER.intersection(options)):
            course = dict(pairwise(options)).get("--course", "")
            begin(Path(course), name, force="--force" in options)


def begin(course: Path, name: str, *, force: bool) -> None:
    """Start warming up if an assignment does not look as if it has been graded."""
    from studium_graders.grading import ancestor
    from studium_graders.results.store import looks_graded

    if force or not looks_graded(course, name):
        ancestor.begin()  # torch is imported there while nbgrader is imported here
