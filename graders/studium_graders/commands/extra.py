"""The extra ``studium[grade]``: commands that need it say so in one sentence where it is missing."""

from importlib.util import find_spec

from studium.errors import StudiumError


def require_grade_extra(*modules: str) -> None:
    """Raise StudiumError where one of ``modules`` is not installed."""
    if missing := next((name for name in modules if find_spec(name) is None), None):
        raise StudiumError(f"this command needs {missing}, which is not installed; run: pip install 'studium[grade]'")
