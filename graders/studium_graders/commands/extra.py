"""The extra ``studium[grade]``: commands that need it say so in one sentence where it is missing."""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from studium.errors import StudiumError


def require_grade_extra(*modules: str) -> None:
    """Raise StudiumError where one of ``modules`` is not installed."""
    if missing := next((name for name in modules if find_spec(name) is None), None):
        raise StudiumError(f"this command needs {missing}, which is not installed; run: pip install 'studium[grade]'")


def import_nbgrader() -> None:
    """Import nbgrader without what takes half of its import time and is of no use to a command.

    That is: jsonschema's checks of international web addresses, and nbgrader's parts of a Jupyter server.
    """
    absent: dict[str, ModuleType | None] = {"rfc3987_syntax": None}  # Python's own way to say that it is not there
    for name in ("assignment_list", "course_list", "formgrader", "validate_assignment"):
        part = ModuleType(f"nbgrader.server_extensions.{name}")
        vars(part)["load_jupyter_server_extension"] = None
        absent[part.__name__] = part
    absent = {name: part for name, part in absent.items() if name not in sys.modules}
    sys.modules.update(absent)  # type: ignore[arg-type]
    try:
        import_module("nbformat")
        import_module("nbgrader")
    finally:
        for name in absent:
            del sys.modules[name]
