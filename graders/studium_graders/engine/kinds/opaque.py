"""What stands for an object of the submission where a plain value is needed."""

from typing import Any

from studium_graders.engine.kinds.functions import FunctionProxy
from studium_graders.engine.kinds.operators import SPECIAL
from studium_graders.engine.wire.codec import Context, RefusedError
from studium_graders.engine.wire.paths import ITEM

_LOCAL = frozenset({"__class__", "__copy__", "__deepcopy__", "__reduce_ex__", "__reduce__", "__weakref__"})


class Opaque:
    """An object of the submission where a plain value is needed: whatever is done with it raises TypeError.

    But for asking whether it is true, where that is so of every instance of its class, as of a match of ``re``. What it
    stands for is ``found``, which may go back to the submission.
    """

    __slots__ = ("__weakref__", "_context", "_found", "_message", "_true")

    def __init__(self, context: Context, path: str, what: str, found: Any = None, *, true: bool = False) -> None:
        sentence = f"{_said(path)} gives {what} where a plain value is needed, such as a number, a text or a list"
        object.__setattr__(self, "_context", context)
        object.__setattr__(self, "_message", sentence)
        object.__setattr__(self, "_true", true)
        object.__setattr__(self, "_found", found)  # kept as long as this is

    def __getattribute__(self, name: str) -> Any:
        if name in _LOCAL:
            return object.__getattribute__(self, name)
        return refuse(self)

    def __bool__(self) -> bool:
        return object.__getattribute__(self, "_true") or bool(refuse(self))

    def __repr__(self) -> str:
        return "<an object of the submission>"

    def __copy__(self) -> "Opaque":
        return self

    def __deepcopy__(self, _: Any) -> "Opaque":
        return self

    def __reduce_ex__(self, _: Any) -> Any:
        refuse(self)

    __str__ = __repr__

    def __format__(self, _: str) -> str:
        return repr(self)


def what_is(found: Any, name: str) -> str:
    """Say what kind of object is found, of the class ``name``."""
    if isinstance(found, FunctionProxy):
        return "a function"
    return f"the class {name}" if isinstance(found, type) else f"an object of the class {name}"


def _said(path: str) -> str:
    if path.endswith(ITEM):
        return f"an item of {_said(path.removesuffix(ITEM))}"
    return f"your {path.replace('<', '') or 'code'}"


def refuse(value: Any, *_: Any, **__: Any) -> Any:
    """Raise RefusedError for what stands in the place of a plain value."""
    context = object.__getattribute__(value, "_context")
    raise context.side.refused(RefusedError(object.__getattribute__(value, "_message")))


for _name in (SPECIAL | {"__setattr__", "__delattr__", "__array__", "__iter__", "__float__"}) - {
    "__bool__",
    "__str__",
    "__repr__",
    "__format__",
    "__dir__",
    "__missing__",
}:
    setattr(Opaque, _name, refuse)
