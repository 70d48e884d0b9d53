"""Where the learner's state is kept, and which workspace a notebook belongs to."""

import json
import os
import uuid
from pathlib import Path

import platformdirs

VARIABLE = "STUDIUM_DATA"
MARKER = ".studium.json"
_NEW = Path("studium-workspace")


def data_folder() -> Path:
    """Return the folder for the learner's state: STUDIUM_DATA, or the user's data folder."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("studium", appauthor=False))


def workspace_of(folder: Path) -> str:
    """Return the id of the workspace containing a folder: its marker's, so it can be moved, or else its path."""
    folder = folder.resolve()
    for place in (folder, *folder.parents):
        if found := _marked(place / MARKER):
            return found
    return str(folder)


def workspace_here() -> Path:
    """Return the workspace containing the current folder, or the only one in it, as a relative path.

    If there are none or several, return ``studium-workspace``.
    """
    here = Path.cwd()
    around = (place for place in (here, *here.parents) if _marked(place / MARKER))
    below = [marker.parent for marker in here.glob(f"*/{MARKER}") if _marked(marker)]
    found = next(around, None) or (below[0] if len(below) == 1 else _NEW)
    return Path(os.path.relpath(found, here))


def mark_workspace(folder: Path) -> None:
    """Give a workspace an id if it has none."""
    marker = folder / MARKER
    if not _marked(marker):
        marker.write_text(json.dumps({"workspace": uuid.uuid4().hex}) + "\n", "utf-8")


def _marked(marker: Path) -> str:
    try:
        found = json.loads(marker.read_text("utf-8"))["workspace"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) else ""
