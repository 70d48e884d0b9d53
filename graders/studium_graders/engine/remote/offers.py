"""What student code may ask of the judge's objects: what the instructor wrote, and of libraries what only computes.

The judge has no sandbox. A library's methods can do anything with the plain values that a student chooses for them: a
database opens other files, an algebra system evaluates text.
"""

from functools import cache
from types import BuiltinMethodType, MethodType, MethodWrapperType, ModuleType
from typing import Any

from torch import nn

from studium_graders.engine.remote import library

_HARMLESS = (
    *("builtins.", "types.", "collections.", "abc.", "typing.", "enum.", "dataclasses.", "numbers.", "itertools."),
    *("fractions.", "decimal.", "datetime.", "re.", "queue.", "_queue.", "random.Random", "argparse.Namespace"),
    *("_io.StringIO", "_io.BytesIO", "numpy.polynomial."),
    *("torch.Generator", "torch.optim.", "torch.utils.data.", "torch.distributions."),
)
_BOUND = (MethodType, BuiltinMethodType, MethodWrapperType)
_CALLED_ALONE = ("unittest.mock.",)  # they can be used, and their own names would undo what a test checks with them


class KeptError(TypeError):
    """An object that a test gives away and that must not leave the judge: the test is one for a single process."""


def require_harmless(value: Any) -> None:
    """Raise KeptError for a library's object with which more can be done than to compute."""
    if not _may_be_given(value):
        owner = _owner(value)
        raise KeptError(f"a {owner.__name__} of {owner.__module__} cannot be given to code in another process")


def is_open(target: Any, name: str) -> bool:
    """Tell whether a name of an object is open: an instructor's own, one of a harmless class, or the call of either."""
    owner = _holder(type(target), name)
    if owner is None or _is_harmless(owner):
        return True
    return name.startswith("__") if _is_called_alone(owner) else name == "__call__" and issubclass(owner, nn.Module)


def is_known_there(value: Any) -> bool:
    """Tell whether an object is the same in both processes: a library's module, or a layer of torch's own."""
    return isinstance(value, ModuleType) or (
        isinstance(value, nn.Module) and library.is_library(type(value).__module__)
    )


def _may_be_given(value: Any) -> bool:
    owner = _owner(value)
    return _is_harmless(owner) or (owner is type(value) and (_is_called_alone(owner) or issubclass(owner, nn.Module)))


def _owner(value: Any) -> type:
    """Give the class that an object is of; of a bound method, the one that has it."""
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
    return not library.is_library(cls.__module__) or _named(cls).startswith(_HARMLESS)


def _is_called_alone(cls: type) -> bool:
    return _named(cls).startswith(_CALLED_ALONE)


def _named(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
