"""A topic's exercises.py as a folder with a file for each exercise, so that tests have both forms of one topic."""

import re
from pathlib import Path

MISTAKE = """

{name}.mistake(
    "only-the-first-line",
    "The secret sentence about an edit of {name}.",
    replace="{line}",
    by="return None  # the secret edit of {name}",
)
"""


def as_folder(text: str, edits: dict[str, str] | None = None) -> dict[str, str]:
    """Give the files of the folder; ``edits`` names a line of an exercise's solution for which a mistake is added."""
    head, *parts = re.split(r"^(?=@exercise\()", text, flags=re.MULTILINE)
    named = {re.search(r"^def (\w+)", part, re.MULTILINE)[1]: part for part in parts}  # type: ignore[index]
    files = {
        f"exercises/{name}.py": f"{head}{part.rstrip()}\n"
        + (MISTAKE.format(name=name, line=edits[name]) if name in (edits or {}) else "")
        for name, part in named.items()
    }
    imports = "".join(f"from .{name} import {name}\n" for name in sorted(named))
    return {**files, "exercises/__init__.py": f"{imports}\nexercises = ({', '.join(named)},)\n"}


def put_in_folder(package: Path, edits: dict[str, str] | None = None) -> None:
    """Replace the exercises.py of a topic's package by the folder."""
    single = package / "exercises.py"
    (package / "exercises").mkdir()
    for name, text in as_folder(single.read_text("utf-8"), edits).items():
        (package / name).write_text(text, "utf-8")
    single.unlink()
