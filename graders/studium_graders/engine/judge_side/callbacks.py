"""What a student's code may ask of the objects that a test gave to it: the judge's say, request by request."""

import copy
import types
from typing import Any

import torch

from studium_graders.engine.judge_side.open_objects import CHANGING, is_open, require_harmless, runs
from studium_graders.engine.kinds import library
from studium_graders.engine.kinds.gradients import differentiate
from studium_graders.engine.kinds.handles import FUNCTIONS
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.peer import Peer

_OPERATIONS = frozenset({"call", "copy", "shallow_copy", "method", "getattr", "setattr", "special", "next", "backward"})


class Callbacks:
    """Does what the student's code asks of objects that a test gave to it; nothing else can be asked for."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.grad = True  # the grad mode in which the student's code calls back

    def perform(self, operation: str, operands: list[Any]) -> Any:
        """Do what is asked for. Raise AttributeError for what is closed, ProtocolError for what no request can be."""
        if operation in ("vars", "delattr"):
            raise AttributeError("the attributes of an object of the test are closed")
        if operation not in _OPERATIONS or not operands:
            raise ProtocolError("the student's side asks for what it may not have")
        if operation != "backward" and not self._was_given(operands[0]):
            raise ProtocolError("the student's side asks something of an object that it was not given")
        with torch.set_grad_enabled(self.grad):
            return getattr(self, f"_{operation}")(*operands)

    def _was_given(self, value: Any) -> bool:
        return self._peer.objects.is_own(value) or bool(self._peer.modules.was_given(value))

    def _backward(self, number: Any, grads: list[Any], needed: list[bool], create: bool) -> list[Any]:
        return differentiate(self._peer, number, grads, needed, create)

    def _copy(self, target: Any) -> Any:
        return copy.deepcopy(target)

    def _shallow_copy(self, target: Any) -> Any:
        return copy.copy(target)

    def _next(self, target: Any) -> Any:
        return next(target)

    def _call(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not isinstance(target, (type, *FUNCTIONS)) and not is_open(target, "__call__"):
            raise AttributeError("an object of the test cannot be called")
        return target(*args, **kwargs)

    def _method(self, target: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        method = self.attribute(target, name)
        require_harmless(method)
        if library.name_of(method):
            raise AttributeError(f"{name!r} of an object of the test cannot be called")
        return method(*args, **kwargs)

    def _getattr(self, target: Any, name: str) -> Any:
        return self.attribute(target, name)

    def attribute(self, target: Any, name: str) -> Any:
        """Return a public attribute of an instance."""
        self._require_open(target, name)
        return getattr(target, name)

    def _setattr(self, target: Any, name: str, value: Any) -> None:
        self._require_open(target, name)
        if callable(getattr(type(target), name, None)):
            raise AttributeError(f"{name!r} of an object of the test cannot be set")
        self._require_of_course(target, repr(name))
        setattr(target, name, value)

    def _require_of_course(self, target: Any, what: str) -> None:
        if not library.is_of_course(type(target).__module__):
            raise AttributeError(f"{what} of an object of the test cannot be set")

    def _require_open(self, target: Any, name: str) -> None:
        if not self._was_given(target) or type(name) is not str:
            raise ProtocolError("the student's side asks something of an object that it was not given")
        closed = isinstance(target, (type, types.ModuleType, types.GeneratorType, *FUNCTIONS))
        if name.startswith("_") or closed or not is_open(target, name):
            raise AttributeError(f"{name!r} of an object of the test cannot be used")

    def _special(self, target: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not (runs(type(target), name) and is_open(target, name)):
            raise ProtocolError("the student's side asks for a method that is closed")
        if name in CHANGING and not library.is_library(type(target).__module__):
            self._require_of_course(target, "an item")
        return getattr(type(target), name)(target, *args, **kwargs)
