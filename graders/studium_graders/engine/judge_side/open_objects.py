"""What student code may ask of the judge's objects: what the instructor wrote, and of libraries what only computes.

The judge has no sandbox. A library's methods can do anything with the plain values that a student chooses for them: a
database opens other files, an algebra system evaluates text.
"""

from functools import cache, partial
from types import BuiltinMethodType, FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import Any

from torch import nn

from studium_graders.engine.judge_side.student_gone import KeptError
from studium_graders.engine.kinds import library
from studium_graders.engine.kinds.operators import BINARY

_HARMLESS = (
    *("builtins.", "types.", "collections.", "abc.", "typing.", "enum.", "dataclasses.", "numbers.", "itertools."),
    *("fractions.", "decimal.", "datetime.", "re.", "queue.", "_queue.", "random.Random", "argparse.Namespace"),
    *("_io.StringIO", "_io.BytesIO", "numpy.polynomial."),
    "studium_graders.engine.judge.running.CappedText",  # a test's sys.stdout
    *("torch.Generator", "torch.optim.", "torch.utils.data.", "torch.distributions."),
)
_ENGINE = "studium_graders."  # it is no library, and nothing of it is the instructor's
_BOUND = (MethodType, BuiltinMethodType, MethodWrapperType)
# They can be used, and their own names would undo what a test checks with them, or tell what it has bound.
_CALLED_ALONE = ("unittest.mock.", "functools.", "operator.")
_WRAPPING = (partial, type(cache(lambda: None)))  # they do what the function does

CHANGING = frozenset({"__setitem__", "__delitem__", "__iadd__", "__ior__"})
_OF_ALL = CHANGING | {
    f"__{name}__"
    for name in (*("len", "iter", "next", "getitem", "contains", "call", "eq", "ne", "lt", "le", "gt", "ge"),)
}
_WRITTEN = {f"__{kind}{name}__" for name in BINARY for kind in ("", "r")} | {
    f"__{name}__"
    for name in (
        *("hash", "bool", "int", "float", "complex", "index", "neg", "pos", "abs", "invert", "round"),
        *("str", "repr", "format", "enter", "exit", "reversed"),
    )
}
"""Open where the instructor wrote them: those of libraries can be made to compute for hours."""

CALLBACK_SPECIAL = _OF_ALL | _WRITTEN


def require_harmless(value: Any) -> None:
    """Raise KeptError for an object of a library's, or of the engine's, with which more can be done than to compute.

    A module that both sides have goes by its name, also back to where it came from.
    """
    if not (_may_be_given(value) or (isinstance(value, ModuleType) and library.is_shared_module(value))):
        owner = _owner(value)
        raise KeptError(f"an object of the class {_named(owner)} cannot be given to code in another process")


def is_open(target: Any, name: str) -> bool:
    """Return whether a name of an object is open: an instructor's own, a harmless class's, or the call of either."""
    owner = _holder(type(target), name)
    if owner is None or _is_harmless(owner):
        return True
    return name.startswith("__") if _is_called_alone(owner) else name == "__call__" and issubclass(owner, nn.Module)


def runs(cls: type, name: Any) -> bool:
    """Return whether student code may have an object of a class run a dunder method."""
    owner = _holder(cls, name) if name in CALLBACK_SPECIAL else None
    if owner is None or vars(owner)[name] is None:
        return False
    return name in _OF_ALL or not (owner is object or library.is_library(owner.__module__))


def _may_be_given(value: Any) -> bool:
    owner = _owner(value)
    if isinstance(value, _WRAPPING):
        inner = value.func if isinstance(value, partial) else value.__wrapped__
        return type(inner) is FunctionType and not library.is_library(inner.__module__)
    return _is_harmless(owner) or (owner is type(value) and (_is_called_alone(owner) or issubclass(owner, nn.Module)))


def _owner(value: Any) -> type:
    """Return the class that an object is of; of a bound method, the one that has it."""
    bound = value.__self__ if isinstance(value, _BOUND) else None
    if bound is None or isinstance(bound, ModuleType):
        return type if isinstance(value, type) else type(value)
    cls = bound if isinstance(bound, type) else type(bound)
    return _holder(cls, value.__name__) or cls


def _holder(cls: type, name: str) -> type | None:
    lineage = type.__dict__["__mro__"].__get__(cls)
    return next((base for base in lineage if name in vars(base)), None)


@cache
def _is_harmless(cls: type) -> bool:
    own = not library.is_library(cls.__module__) and not f"{cls.__module__}.".startswith(_ENGINE)
    return own or _named(cls).startswith(_HARMLESS)


def _is_called_alone(cls: type) -> bool:
    return _named(cls).startswith(_CALLED_ALONE)


def _named(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
