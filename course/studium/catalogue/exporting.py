"""What `studium export` passes to an exporter besides the location of the marks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ExportOptions:
    """How to write marks.

    ``into``: a file exported by another system that is to be filled in, or None. ``columns``: the column in it for each
    assignment. ``scale``: marks become shares of that file's maximum. ``dry_run``: nothing is written. ``say``: takes a
    line for the user. ``course``: the course folder. ``feedback``: a ZIP file to write, with the feedback pages of the
    students whose marks are written, or None.
    """

    into: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    scale: bool = False
    dry_run: bool = False
    say: Callable[[str], None] = print
    course: Path = Path()
    feedback: Path | None = None
