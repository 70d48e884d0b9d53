"""Methods with two underscores of a proxy: they run on the other side, an operator only where it has permission."""

from collections.abc import Callable
from typing import Any

from studium_graders.engine.kinds.operators import ASKED, IN_PLACE
from studium_graders.engine.kinds.proxies import Handle, handle_of, path_of_result
from studium_graders.engine.wire.codec import RefusedError


def special_method(name: str) -> Callable[..., Any]:
    """Return the method of a proxy's class that forwards a dunder method."""
    if name == "__exit__":
        return _exit

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        handle = handle_of(self)
        if name in ASKED and not handle.context.side.answers(self, name, args):
            return _refused(self, handle, name, args)
        path = path_of_result(handle.path, name)
        result = handle.context.request("special", self, name, args, kwargs, path=path)
        if result is self and name in IN_PLACE:
            handle.came_from(path)
        return result

    forward.__name__ = forward.__qualname__ = name
    return forward


def _refused(value: Any, handle: Handle, name: str, args: tuple[Any, ...]) -> Any:
    """Answer for an object whose operator has no permission, as if it lacked that; whether it raises still counts."""
    if name == "__hash__":
        return object.__hash__(value)
    found = handle.context.request("special", value, name, args, {}, path=path_of_result(handle.path, name))
    if found is NotImplemented or name in ("__eq__", "__ne__"):
        return NotImplemented
    sentence = (
        f"an object of the class {type(value).__name__} stands where a plain value is needed: its {name} is not asked"
    )
    raise handle.context.side.refused(RefusedError(sentence))


def _exit(self: Any, *exc: Any) -> Any:
    """Leave a context: no answer keeps an assertion from failing where the reference does not."""
    handle = handle_of(self)
    path = path_of_result(handle.path, "__exit__")
    swallowed = handle.context.request("special", self, "__exit__", exc, {}, path=path)
    if swallowed and len(exc) > 1 and _fails_a_test(exc[1]) and not handle.context.side.answers(self, "__exit__", ()):
        raise handle.context.side.refused(RefusedError("a context manager keeps from the test that it has failed"))
    return swallowed


def _fails_a_test(error: Any) -> bool:
    return isinstance(error, AssertionError) or type(error).__module__.startswith("_pytest.")
