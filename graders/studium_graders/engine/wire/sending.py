"""Values to the student: a pickle, because the judge is trusted, from which the student learns what the call shows.

A class or function goes by name if the student can import the same object under it. Functions and iterators of a test
are lent, modules of a test's own class go as shells. Tensors and arrays go by elements: a view does not take along
what it is a view of. What else is of a test's own class is refused.
"""

import io
import pickle
import sys
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from studium_graders.engine.wire.channel import TooLargeError
from studium_graders.engine.wire.codec import RefusedError
from studium_graders.engine.wire.parametrized import class_before, empty, fill

PROTOCOL = 5
_PRIVATE = frozenset({"__main__", "exercises", "tests"})
_HOST = "studium.exercises."  # no topic's, though the class of exercises is for tests alone
_FUNCTIONS = (FunctionType, MethodType, BuiltinFunctionType)


class _Receiver:
    """Stands in a pickle for the side that reads it."""


RECEIVER = _Receiver()
RECEIVED = -1


class Lending(Protocol):
    """What sending may ask of the judge's side."""

    def lend(self, value: Any) -> int:
        """Number what a test lends."""

    def handle_of(self, value: Any) -> int | None:
        """Return the handle of a Remote, None for anything else."""

    def number_of_leaf(self, tensor: torch.Tensor) -> tuple[str, int]:
        """Number a tensor that requires a gradient: one that came as a leaf is "made", others are "entered"."""

    def number_of_argument(self, value: Any) -> int | None:
        """Return the number of an argument of an open call."""

    def refuse(self, sentence: str) -> RefusedError:
        """Return a refusal that sticks."""


class Building(Protocol):
    """What receiving asks of the student's side."""

    def build(self, how: str, *parts: Any) -> Any:
        """Return what parts describe."""


def is_private(module: str) -> bool:
    """Return whether what a module defines is a test's or a topic's own, which the student must not import."""
    if module.startswith(_HOST):
        return module == f"{_HOST}model"
    parts = module.split(".")
    return not _PRIVATE.isdisjoint(parts) or parts[-1].startswith("test_")


def by_name(value: Any) -> tuple[str, str] | None:
    """Return the module and name under which the student can import the same object, None where it cannot."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if type(name) is not str or (type(module) is str and is_private(module)):
        return None
    for found in (module,) if type(module) is str else _owners(value):
        first, *rest = name.split(".")
        held: Any = vars(sys.modules[found]).get(first) if found in sys.modules else None
        for part in rest:
            held = getattr(held, part, None)
        if held is value:
            return found, name
    return None


def _owners(value: Any) -> tuple[str, ...]:
    """Return the modules that may have a function which does not know its own, as those written in C do."""
    owner = getattr(value, "__self__", None)
    return (owner.__name__,) if isinstance(owner, ModuleType) else ("torch", "torch.nn.functional", "numpy")


def is_of_test(cls: type) -> bool:
    """Return whether a class is a test's own."""
    return by_name(cls) is None


class _Sender(pickle.Pickler):
    def __init__(self, file: io.BytesIO, lending: Lending, *, naming: bool) -> None:
        super().__init__(file, protocol=PROTOCOL)
        self._lending = lending
        self._naming = naming

    def persistent_id(self, obj: Any) -> Any:
        """Name the side that reads, and in an answer to a callback the arguments that it has."""
        if obj is RECEIVER:
            return RECEIVED
        return self._lending.number_of_argument(obj) if self._naming else None

    def reducer_override(self, obj: Any) -> Any:
        """Return how a value goes, NotImplemented where as pickle does it."""
        handle = self._lending.handle_of(obj)
        if handle is not None:
            return _rebuild("handle", handle)
        if isinstance(obj, torch.Tensor):
            return self._tensor(obj)
        if type(obj) is torch.Generator:
            return _rebuild("generator", obj.get_state().numpy().tobytes())
        if isinstance(obj, type) or type(obj) in _FUNCTIONS or isinstance(obj, torch.jit.ScriptFunction):
            return NotImplemented if by_name(obj) else self._lent("function", obj)
        return self._instance(obj)

    def _instance(self, obj: Any) -> Any:
        cls = type(obj)
        if isinstance(obj, Iterator):
            return self._lent("iterator", obj)
        if isinstance(obj, ModuleType):
            return _import, (obj.__name__,)
        if not is_of_test(cls) and not _has_name(obj):
            return NotImplemented
        if (before := class_before(cls)) is not None and not is_of_test(before):
            return empty, (before,), dict(vars(obj)), None, None, fill
        if isinstance(obj, nn.Module):
            return self._shell(obj)
        if callable(obj):
            return NotImplemented if by_name(obj) else self._lent("function", obj)
        if isinstance(obj, BaseException):
            return _rebuild("error", cls.__name__, str(obj))
        raise self._lending.refuse(f"a test gives the student an object of its own class {cls.__name__}")

    def _lent(self, how: str, obj: Any) -> Any:
        return _rebuild(how, self._lending.lend(obj))

    def _shell(self, module: nn.Module) -> Any:
        held = {name: vars(module)[name] for name in ("_parameters", "_buffers", "_modules", "training")}
        maker, parts = _rebuild("shell", self._lending.lend(module))
        return maker, parts, held

    def _tensor(self, obj: torch.Tensor) -> Any:
        if type(obj) not in (torch.Tensor, nn.Parameter, nn.Buffer) or obj.layout is not torch.strided:
            raise self._lending.refuse(
                f"a test gives the student a tensor of {type(obj).__name__}, which cannot be sent"
            )
        parts = (*contents(obj), type(obj) is nn.Parameter)
        if not obj.requires_grad:
            return _rebuild("data", *parts)
        how, number = self._lending.number_of_leaf(obj)
        grad = contents(obj.grad) if obj.is_leaf and obj.grad is not None else None
        return _rebuild(how, *parts, number, obj.is_leaf, grad)


def contents(tensor: torch.Tensor) -> tuple[torch.dtype, tuple[int, ...], bytes]:
    """Return dtype, shape and elements of a tensor."""
    plain = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()
    data = plain.as_strided((plain.numel(),), (1,)).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    return tensor.dtype, tuple(tensor.shape), data


def tensor_of(dtype: torch.dtype, shape: tuple[int, ...], data: bytes) -> torch.Tensor:
    """Build the tensor of ``contents``."""
    tensor = torch.empty(shape, dtype=dtype)
    if data:
        tensor.reshape(-1).view(torch.uint8).numpy()[:] = np.frombuffer(data, np.uint8)
    return tensor


def _has_name(obj: Any) -> bool:
    """Return whether an object is called and named as a function is, such as one of a cache."""
    return callable(obj) and hasattr(obj, "__wrapped__") and not isinstance(obj, nn.Module)


def _rebuild(how: str, *parts: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    return _rebuilt, (RECEIVER, how, *parts)


def _rebuilt(receiver: Building, how: str, *parts: Any) -> Any:
    return receiver.build(how, *parts)


def _import(name: str) -> ModuleType:
    __import__(name)
    return sys.modules[name]


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, building: Building) -> None:
        super().__init__(file)
        self._building = building

    def persistent_load(self, pid: int) -> Any:
        """Return what a number names."""
        return self._building if pid == RECEIVED else self._building.build("argument", pid)


def dumps(message: Any, lending: Lending, *, naming: bool = False) -> bytes:
    """Return a message as bytes; raise RefusedError for what is not sent. ``naming``: arguments go by number."""
    file = io.BytesIO()
    try:
        _Sender(file, lending, naming=naming).dump(message)
    except (RefusedError, TooLargeError):
        raise
    except RecursionError:
        raise TooLargeError("a value is nested too deeply to be sent; use fewer levels") from None
    except Exception as error:  # what a class says about being pickled is its own
        raise lending.refuse(f"a test gives the student what cannot be sent: {error}") from error
    return file.getvalue()


def loads(data: bytes | bytearray | memoryview, building: Building) -> Any:
    """Return the message of ``dumps``, in the student's process."""
    return _Unpickler(io.BytesIO(data), building).load()
