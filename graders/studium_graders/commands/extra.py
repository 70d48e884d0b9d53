"""The extra ``studium[grade]``: commands that need it say so in one sentence where it is missing."""

import sys
from importlib import import_module
from importlib.util import find_spec

from studium.errors import StudiumError


def require_grade_extra(*modules: str) -> None:
    """Raise StudiumError where one of ``modules`` is not installed."""
    if missing := next((name for name in modules if find_spec(name) is None), None):
        raise StudiumError(f"this command needs {missing}, which is not installed; run: pip install 'studium[grade]'")


def import_notebook_formats() -> None:
    """Import nbformat, which nbgrader needs, without the checks of international web addresses that jsonschema offers.

    They are optional, no notebook needs them, and building their grammar takes half of nbgrader's import time.
    """
    slow = "rfc3987_syntax"
    if slow in sys.modules:
        return
    sys.modules[slow] = None  # type: ignore[assignment]  # Python's own way to say that a module is not there
    try:
        import_module("nbformat")
    finally:
        del sys.modules[slow]
