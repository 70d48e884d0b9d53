"""What nbgrader's exchange needs to release feedback: a time, a secret, and pages with the names of the notebooks."""

import secrets
from datetime import datetime
from pathlib import Path

from studium.notebooks.files import write_text

from studium_graders.engine.intake.chosen_files import choose_notebooks
from studium_graders.engine.intake.reserved_names import SECRET, TIMESTAMP
from studium_graders.engine.intake.submitted_files import read_folder
from studium_graders.engine.intake.timestamps import read_timestamp
from studium_graders.engine.material.assignment import Material

_BIGGEST = 10_000  # bytes


def copy_for_release(folders: tuple[Path, ...], target: Path) -> None:
    """Put both files, each from the first folder that has it, where nbgrader's release_feedback looks for them.

    Without one of them it would release nobody's pages. So a submission that did not come through the exchange gets a
    secret that nobody knows, and its page is released to nobody.
    """
    for name, missing in ((TIMESTAMP, "no time"), (SECRET, secrets.token_hex(32))):
        text = next(filter(None, (_read(folder / name) for folder in (*folders, target))), missing)
        if text and text != _read(target / name):
            write_text(text, target / name)


def renamed_notebooks(material: Material, submitted: Path) -> dict[str, str]:
    """Return the name under which each notebook was handed in, without ``.ipynb``: the exchange looks for that."""
    own = {f"{book.name}.ipynb" for book in material.notebooks}
    if {path.name for path in submitted.glob("*.ipynb")} <= own:
        return {}
    chosen = choose_notebooks(material, read_folder(submitted, 0).notebooks)
    return {
        name: choice.path.removesuffix(".ipynb")
        for name, choice in chosen.items()
        if choice.path not in {"", f"{name}.ipynb"} and "/" not in choice.path
    }


def read_time(folder: Path) -> datetime | None:
    """Return when a submission was handed in: UTC without a zone, None if no time can be read."""
    return read_timestamp(_read(folder / TIMESTAMP))


def _read(path: Path) -> str:
    """Return the text of a small plain file, "" for anything else, such as a link to where students may not look."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _BIGGEST:
            return ""
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
