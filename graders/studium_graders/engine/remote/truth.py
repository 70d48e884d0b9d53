"""The truth of pandas' arrays: none where they have several elements, as with NumPy's. To Python each of them is true.

So it would be that ``assert f(x) == 5`` holds for any array of pandas', for the comparison gives another one.
"""

from typing import Any

from studium_graders.engine.remote.frame_parts import pandas


def require_elements() -> None:
    """Let the truth of an array of pandas' in this process be that of its only element."""
    pandas().api.extensions.ExtensionArray.__bool__ = _truth


def _truth(array: Any) -> bool:
    if len(array) > 1:
        raise ValueError(f"the truth value of a {type(array).__name__} is ambiguous: use .any() or .all()")
    return bool(len(array) and array[0])
