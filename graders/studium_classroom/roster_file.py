"""A roster as a CSV file, with a line for each member."""

import csv
from pathlib import Path

from studium.errors import UsageError

from studium_classroom.members import require_user
from studium_classroom.roles import Place, Role


def read_roster(path: Path) -> dict[str, Place]:
    """Return the place of each member in a file. Raise UsageError, naming the line, if it cannot be used."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"a roster must be a CSV file in UTF-8: {path}: {error}; save it as one") from error
    found = {}
    for number, row in enumerate(rows, 2):
        user = (row.get("student") or row.get("user") or "").strip()
        if not user:
            raise UsageError(
                f"a roster needs a student column with a name in each line: line {number} of {path} has none"
            )
        role = Role.named((row.get("role") or "student").strip().lower())
        found[require_user(user)] = Place(role, (row.get("section") or "").strip())
    return found
