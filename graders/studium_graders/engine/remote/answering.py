"""What a student's code may ask of the objects that a test gave to it: the judge's say, request by request."""

import types
from contextlib import AbstractContextManager
from typing import Any

import torch

from studium_graders.engine.remote import algebra, library
from studium_graders.engine.remote.asking import Asking
from studium_graders.engine.remote.encode import Encoder
from studium_graders.engine.remote.exports import FUNCTIONS
from studium_graders.engine.remote.offers import (
    CALLBACK_SPECIAL,
    CHANGING,
    KeptError,
    is_known_there,
    is_open,
    require_harmless,
    runs,
)
from studium_graders.engine.remote.opaque import Opaque, refuse
from studium_graders.engine.remote.operators import LATER, SPECIAL
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.waiting import METHODS
from studium_graders.engine.remote.wire import ProtocolError
from studium_graders.engine.remote.writeback import HOLDERS

OF_TASKS = frozenset({"outcome", "cancel"})
CALLBACK_REQUESTS = OF_TASKS | {"begin", "call", "copy", "method", "getattr", "setattr", "special", "next", "backward"}
NOTHING = [-1, False]
_RUNNING = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)


class Answering(Asking):
    """The judge's side of a conversation in which the student's may ask for little."""

    shown_special = CALLBACK_SPECIAL
    parting = False  # with a value: nothing in it may be asked for here
    grad = True  # the grad mode in which the student's code calls back

    def require_change(self, target: Any, what: str) -> None:
        """Note that the student's code changes an object of the test's own; AttributeError where it may not."""
        raise NotImplementedError

    def _defines(self, lineage: list[type], name: str) -> bool:
        return super()._defines(lineage, name) and runs(lineage[0], name)

    def following(self, target: Any) -> AbstractContextManager[None]:
        """See whether a method changes what a container of the standard library's holds."""
        raise NotImplementedError

    def perform(self, op: Any, parts: list[Any]) -> Any:
        """Do what the student's code asks of an object that a test gave to it; nothing else can be asked for."""
        if op in ("vars", "delattr"):
            raise AttributeError("the attributes of an object of the test are closed")
        if op not in CALLBACK_REQUESTS or not parts:
            raise ProtocolError("the student's side asks for what it may not have")
        if op in OF_TASKS and type(parts[0]) is not int:
            raise ProtocolError("the student's side asks for a task that is none")
        if op not in OF_TASKS | {"backward"} and not self._gave(parts[0]):
            raise ProtocolError("the student's side asks something of an object that it was not given")
        with torch.set_grad_enabled(self.grad):
            return super().perform(op, parts)

    def _gave(self, value: Any) -> bool:
        """Tell whether an object is the judge's own and was given to the student's code."""
        node = self.references.get(id(value), NOTHING)
        return node[0] == Tag.MINE or (node[0] == Tag.MODULE and node[1] is True)

    def export(self, value: Any, encoder: Encoder) -> Any:
        """Give the node of an object of the judge's; KeptError for one that must not be asked for anything."""
        if type(value) is Opaque:
            refuse(value)
        if (number := algebra.node_of(value, encoder)) is not None:
            return number
        require_harmless(value)
        if self.parting and not is_known_there(value):
            raise KeptError(f"a {type(value).__name__} is of use only where it is")
        return super().export(value, encoder)

    def do_begin(self, target: Any, *call: Any) -> int:
        """Wait for a coroutine that a test gave, or for what a method gives that is open."""
        if not (self._awaits(target, *call) if call else type(target) is types.CoroutineType):
            raise ProtocolError("the student's side waits for what cannot be awaited")
        return super().do_begin(target, *call)

    def _awaits(self, target: Any, method: Any, *_: Any) -> bool:
        """Tell whether the result of a method may be awaited."""
        if type(target) is types.AsyncGeneratorType:
            return method in METHODS
        return method in LATER and runs(type(target), method) and is_open(target, method)

    def do_call(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function, a class or an object that a test gave."""
        if not isinstance(target, (type, *FUNCTIONS)) and not is_open(target, "__call__"):
            raise AttributeError("an object of the test cannot be called")
        return super().do_call(target, args, kwargs)

    def do_method(self, target: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a public method."""
        method = self.do_getattr(target, name)
        require_harmless(method)
        if library.name_of(method):
            raise AttributeError(f"{name!r} of an object of the test cannot be called")
        with self.following(target):
            return method(*args, **kwargs)

    def do_getattr(self, target: Any, name: str) -> Any:
        """Give a public attribute of an instance."""
        self._check_attribute(target, name)
        return getattr(target, name)

    def do_setattr(self, target: Any, name: str, value: Any) -> None:
        """Set a public attribute of an instance that a test made of a class of its own."""
        self._check_attribute(target, name)
        if callable(getattr(type(target), name, None)):
            raise AttributeError(f"{name!r} of an object of the test cannot be set")
        self.require_change(target, repr(name))
        setattr(target, name, value)

    def _check_attribute(self, target: Any, name: str) -> None:
        if not self._gave(target) or type(name) is not str:
            raise ProtocolError("the student's side asks something of an object that it was not given")
        closed = isinstance(target, (type, types.ModuleType, *_RUNNING, *FUNCTIONS))
        if name.startswith("_") or closed or not is_open(target, name):
            raise AttributeError(f"{name!r} of an object of the test cannot be used")

    def do_special(self, target: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one of the few dunder methods that are open."""
        if not (runs(type(target), name) and is_open(target, name)):
            if name in SPECIAL and isinstance(target, HOLDERS):  # their base classes are known there as well
                raise TypeError(f"{name!r} of an object of the test cannot be used")
            raise ProtocolError("the student's side asks for a method that is closed")
        if name in CHANGING and not isinstance(target, HOLDERS):
            self.require_change(target, "an item")
        with self.following(target):
            return super().do_special(target, name, args, kwargs)
