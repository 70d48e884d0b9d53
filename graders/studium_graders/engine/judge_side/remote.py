"""An object that stayed in the student's process: it can be called, iterated, and asked for public attributes.

Every other use is refused. A refusal is a TypeError, or ``list(remote)`` would end in it, and it sticks.
"""

import sys
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

# fmt: off
_REFUSED = (
    "bool", "eq", "ne", "lt", "le", "gt", "ge", "contains", "getitem", "setitem", "delitem", "reversed", "missing",
    "add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow", "lshift", "rshift", "and", "or",
    "xor", "radd", "rsub", "rmul", "rmatmul", "rtruediv", "rfloordiv", "rmod", "rdivmod", "rpow", "rlshift",
    "rrshift", "rand", "ror", "rxor", "neg", "pos", "abs", "invert", "int", "float", "complex", "index", "round",
    "trunc", "floor", "ceil", "bytes", "fspath", "format", "str", "dir", "enter", "exit", "aenter", "aexit", "await",
    "aiter", "anext", "instancecheck", "subclasscheck", "array", "array_ufunc", "array_function", "torch_function",
    "reduce_ex",
)
# fmt: on
_OF_WRAPPERS = frozenset({"__module__", "__name__", "__qualname__", "__doc__", "__dict__", "__annotations__"})
_OF_COPIES = frozenset({"__deepcopy__", "__copy__"})
_OBSERVERS = ("studium.exercises.observation",)  # records each call, whatever the test looks at
_BETWEEN = ("abc", "typing", "functools", "copy")


class Calling(Protocol):
    """What can be asked of the student while a test runs."""

    def call(self, target: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call an object."""

    def ask(self, handle: int, what: Any, name: str = "") -> Any:
        """Ask for an attribute, an iterator, or the next item."""


class Asking(Calling, Protocol):
    """What a Remote needs of its test."""

    @property
    def in_test(self) -> bool:
        """Whether the test runs."""

    def refuse(self, sentence: str, *, hint: bool = False) -> TypeError:
        """Return a refusal."""

    def iterated(self) -> None:
        """Hear that an iteration goes on."""


class Remote:
    """Stands in a test for an object of the student's. ``word`` decides nothing but what an error says."""

    __slots__ = ("__weakref__", "_asking", "_handle", "_word")

    def __init__(self, asking: Asking, handle: int, word: str) -> None:
        object.__setattr__(self, "_asking", asking)
        object.__setattr__(self, "_handle", handle)
        object.__setattr__(self, "_word", word)

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return type(self) if _is_observed() or not parts_of(self)[0].in_test else _refuse(self, "class")
        if name in _OF_COPIES:
            return lambda *_: self
        if name.startswith("_"):
            if name in _OF_WRAPPERS or _is_observed() or not parts_of(self)[0].in_test:
                raise AttributeError(name)
            return _refuse(self, name)
        asking, handle, _ = parts_of(self)
        if not asking.in_test:  # a generator of the test's that is collected asks for ``close``
            raise AttributeError(name)
        return asking.ask(handle, "attribute", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _refuse(self, f"{name} =")

    def __delattr__(self, name: str) -> None:
        _refuse(self, f"del {name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        asking, handle, _ = parts_of(self)
        return asking.call(handle, args, kwargs)

    def __iter__(self) -> Any:
        asking, handle, _ = parts_of(self)
        return asking.ask(handle, "iterate")

    def __next__(self) -> Any:
        asking, handle, _ = parts_of(self)
        asking.iterated()
        return asking.ask(handle, "next")

    def __len__(self) -> int:
        asking, _, word = parts_of(self)
        raise asking.refuse(_sentence(word, "len"), hint=True)

    def __repr__(self) -> str:
        asking, _, word = parts_of(self)
        return f"<{word} of the student's>" if not asking.in_test else _refuse(self, "repr")

    def __hash__(self) -> int:
        return object.__hash__(self)


def parts_of(remote: Remote) -> tuple[Asking, int, str]:
    """Return the student, the handle and the word of a Remote."""
    of = object.__getattribute__
    return of(remote, "_asking"), of(remote, "_handle"), of(remote, "_word")


def _sentence(word: str, use: str) -> str:
    return f"your code gave an object of its own ({word}), and the judge cannot look inside it ({use})"


def _refuse(remote: Remote, use: str) -> NoReturn:
    asking, _, word = parts_of(remote)
    raise asking.refuse(_sentence(word, use))


def _refusing(name: str) -> Callable[..., NoReturn]:
    def refusing(self: Any, *_: Any, **__: Any) -> NoReturn:
        _refuse(self, name)

    return refusing


for _name in _REFUSED:
    setattr(Remote, f"__{_name}__", _refusing(_name))


def _torch_function(_: Any, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> NoReturn:
    """Refuse a function of torch's that a Remote was given to."""
    remote = next(part for part in _flat([*args, *(kwargs or {}).values()]) if type(part) is Remote)
    _refuse(remote, function.__name__)


def _flat(values: Any) -> list[Any]:
    return [part for value in values for part in (_flat(value) if type(value) in (list, tuple) else [value])]


Remote.__torch_function__ = classmethod(_torch_function)  # type: ignore[attr-defined]


def _is_observed() -> bool:
    """Return whether the host's own recorder looks, and not the test."""
    frame = sys._getframe(2)
    while frame.f_globals.get("__name__") in _BETWEEN and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_globals.get("__name__") in _OBSERVERS
