"""Classes of exceptions of an answer's that would catch what a test finds wrong, where the reference's do not.

``assert False`` in a ``try:`` is caught by ``except Overdrawn:`` where an answer has made that name one of Exception.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from studium_graders.engine.remote.decode import RefusedError

if TYPE_CHECKING:
    from studium_graders.engine.remote.policy import Policy

_CATCHING = (AssertionError, Exception, BaseException)


def require_narrow(value: Any, path: str, policy: "Policy") -> None:
    """Raise RefusedError for a class, or a tuple of classes, that catches a failing assertion as none does there."""
    if any(type(cls) is type and cls in _CATCHING for cls in _classes(value)) and not policy.may_catch(path):
        raise RefusedError("a class of exceptions that catches what a test finds wrong, too")


def _classes(value: Any) -> Iterator[Any]:
    """Give what is in a tuple, and in those that it holds: ``suppress`` takes classes from there as well."""
    for item in value if type(value) is tuple else (value,):
        yield from _classes(item) if type(item) is tuple else (item,)
