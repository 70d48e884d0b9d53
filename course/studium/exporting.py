"""What `studium export` tells an exporter besides where the marks are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ExportOptions:
    """How marks are to be written.

    ``into``: a file that another system exported and that is to be filled in, or None. ``columns``: the column of an
    assignment in it. ``scale``: marks become shares of that file's maximum. ``dry_run``: nothing is written.
    ``say``: takes a line for the user. ``course``: the course folder. ``feedback``: a ZIP file to write, with the
    feedback pages of those whose marks are written, or None.
    """

    into: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    scale: bool = False
    dry_run: bool = False
    say: Callable[[str], None] = print
    course: Path = Path()
    feedback: Path | None = None
