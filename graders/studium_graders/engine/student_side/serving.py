"""The student's side: does what the judge asks, in a process that trusts nobody and is trusted by nobody."""

import collections
import enum
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch

from studium_graders.engine.kinds import given_instances, handles, proxies, records
from studium_graders.engine.kinds.connecting import connect
from studium_graders.engine.kinds.exceptions import error_node, error_of
from studium_graders.engine.kinds.operators import SPECIAL
from studium_graders.engine.material.limits import Limits
from studium_graders.engine.processes.exit_codes import ENGINE_FAILED
from studium_graders.engine.student_side.cells import Cells
from studium_graders.engine.student_side.operations import Operations
from studium_graders.engine.student_side.printed import Printed, collected
from studium_graders.engine.student_side.sections import Print, Rebound, StudentState, Wanted
from studium_graders.engine.wire.channel import Channel, ClosedError, ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder
from studium_graders.engine.wire.messages import Node, Request

_CONTAINERS = (list, dict, set, collections.deque)
_EMPTY = type("Empty", (list,), {})  # kept: else it may be collected, and emptied, while its names are read
_OF_EVERY_CLASS = vars(_EMPTY).keys() | {"__annotations__"}


class StudentSide:
    """Answers the judge's requests with the objects of the student's namespace."""

    trusting = True
    fatal = (ClosedError,)
    shown_special = SPECIAL

    def __init__(self, sock: socket.socket, cells: Cells, limits: Limits) -> None:
        self.cells = cells
        self.namespace: dict[str, Any] = cells.shell.user_ns
        self.printed = Printed(limits.output_kb << 10)
        self.echoes: list[BaseException] = []
        self._plain: frozenset[str] = frozenset()
        self._data: frozenset[str] = frozenset()
        self._turn = threading.RLock()
        self._state, self._rebound, self._wanted = StudentState(), Rebound(self.namespace), Wanted()
        channel = Channel(sock, limits.message_mb)
        self.peer = connect(channel, limits, self, self._state, Print(self.printed), self._rebound, self._wanted)
        self.operations = Operations(cells, self._rebound, self.peer)

    # ------------------------------------------------------------------------------------------------ the conversation

    def request(self, operation: str, *operands: Any, path: str = "") -> Any:
        """Ask the judge. Threads that the student's code has started take turns."""
        with self._turn:
            return self.peer.exchange(operation, operands, path)

    def serve(self) -> None:
        """Answer one request."""
        message, buffers = self.peer.channel.receive()
        if not isinstance(message, Request):
            raise ProtocolError("an answer to no question")
        self.peer.answer(message, buffers)

    @contextmanager
    def answering(self, operation: str) -> Iterator[None]:
        """Answer in the judge's grad mode and ``np.errstate``; what a cell sets stays."""
        with self._state.of_request(stays=operation == "run"), self._wanted.of_request():
            yield

    def begin(self) -> None:
        """Do nothing: the judge holds the clock."""

    def crossed(self, objects: list[Any]) -> None:
        """Do nothing: nobody watches here."""

    def arrival_path(self) -> str:
        """Return nothing: what the judge sends is not asked where it comes from."""
        return ""

    def take_change(self, value: Any, content: Any) -> None:
        """Take over what a test's object made of an argument."""
        self.peer.arguments.overwrite(value, content)

    def refused(self, error: TypeError) -> TypeError:
        """Return a refusal as it is."""
        return error

    def error_node(self, error: BaseException, encoder: Encoder) -> Node:
        """Return the node of an exception that the student's code raised."""
        return error_node(error, encoder)

    def error_of(self, node: Node, decoder: Decoder) -> BaseException:
        """Return the exception that a test's object raised."""
        return error_of(node, decoder)

    def is_own_file(self, filename: str) -> bool:
        """Return whether code of this file came from a cell."""
        return self.cells.is_cell(filename)

    # ------------------------------------------------------------------------------------------------ what is asked for

    def perform(self, operation: str, operands: list[Any]) -> Any:
        """Do what the judge asks for."""
        if operation == "run":
            return self._run(*operands)
        if operands and isinstance(operands[0], enum.EnumMeta):  # its members are more than the numbers they extend
            self.operations.called.add(operands[0])
        with collected(self.printed):
            return getattr(self.operations, f"do_{operation}")(*operands)

    def do_getattr(self, target: Any, name: str) -> Any:
        """Return an attribute of the student's."""
        return self.operations.do_getattr(target, name)

    def _run(self, source: str, kept: bool, passing: bool, plain: list[str], data: list[str]) -> list[Any]:
        """Run a cell; return its outputs and its error.

        ``plain`` names the classes that are plain data in the reference, ``data`` those that the judge has as well.
        """
        self._plain, self._data = frozenset(plain), frozenset(data)
        self.cells.kept, self.cells.passing = kept, passing
        return list(self.cells.run(source))

    # ------------------------------------------------------------------------------------------------ what goes out

    def hand_out(self, value: Any, encoder: Encoder) -> Node:
        """Return the node of an object that stays here."""
        return handles.hand_out(value, encoder)

    def keeps(self, value: Any, encoder: Encoder) -> bool:
        """Keep the instances of a class that extends one of data and has methods that a test may want.

        So it is where an object is wanted, and where a test calls the class by its name unless data are wanted.
        """
        wanted = self._wanted.at((0 if encoder.at_top else 1) if encoder.reply else 2)
        if type(value) in self.operations.called and type(value).__module__ == "__main__":
            return wanted is not False
        return wanted is True and isinstance(value, (*_CONTAINERS, tuple)) and _has_more(value)

    def defines(self, lineage: list[type], name: str) -> bool:
        """Return whether one of these classes has a dunder method."""
        return next((vars(cls)[name] for cls in lineage if name in vars(cls)), None) is not None

    def score_of(self, value: Any) -> str:
        """Return how scikit-learn's own score of an estimator is computed from what it predicts, or ""."""
        base = sys.modules.get("sklearn.base")
        if base is None or not isinstance(value, base.BaseEstimator):
            return ""
        if type(value).__name__ == "Pipeline" and getattr(value, "steps", None):
            return self.score_of(value.steps[-1][1])
        if getattr(value, "scoring", "") is None and hasattr(value, "estimator"):  # a search
            return self.score_of(value.estimator)
        names = {"classifier": base.ClassifierMixin, "regressor": base.RegressorMixin}
        own = getattr(type(value), "score", None)
        return next((name for name, mixin in names.items() if own is mixin.score), "")

    def kind_of(self, cls: type) -> str | None:
        """Return what kind of plain data the instances of a class are, or None."""
        return records.kind_of(cls, methods=cls.__name__ in self._plain, given=cls.__name__ in self._data)

    def given_base(self, cls: type) -> type | None:
        """Return the class of the judge's that a class of the student's extends: as with a list, its data are sent."""
        return next((base for base in cls.__mro__[1:] if self.kind_of(base) == given_instances.KIND), None)

    # ------------------------------------------------------------------------------------------------ what comes in

    def admits(self, path: str, kind: str, names: tuple[str, ...]) -> bool:
        """Return that everything may come here."""
        return True

    def admits_layers(self, module: torch.nn.Module) -> bool:
        """Return that a test may put layers into a module of the student's."""
        return True

    def admits_attribute(self, cls: type, name: str) -> bool:
        """Return that a test's instances may hold what they do."""
        return True

    def arrived(self, module: torch.nn.Module, decoder: Decoder) -> Any:
        """Return a module of the test's as it is."""
        return module

    def answers(self, value: Any, operator: str, args: tuple[Any, ...]) -> bool:
        """Return that a test's objects may answer operators."""
        return True

    def call_method(self, owner: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a method of a test's object."""
        return proxies.call_method(owner, name, args, kwargs)

    def given_class(self, name: str) -> Any:
        """Return what the student's namespace has under a name."""
        return self.namespace.get(name)

    def met_plain(self, name: str) -> None:
        """Do nothing: nothing is recorded here."""

    def met_record(self, path: str) -> None:
        """Do nothing: nothing is recorded here."""


def _has_more(value: Any) -> bool:
    """Return whether an instance has attributes or methods of its own beside those of the class of data."""
    own = (cls for cls in type(value).__mro__ if cls.__module__ == "__main__")
    held = type(value).__dictoffset__ and value.__dict__
    return bool(held) or any(vars(cls).keys() - _OF_EVERY_CLASS for cls in own)


def serve(sock: socket.socket, cells: Cells, limits: Limits) -> NoReturn:
    """Answer the judge until it goes; then end the process without running anything of the student's."""
    side = StudentSide(sock, cells, limits)
    try:
        while True:
            side.serve()
    except ClosedError:
        os._exit(0)
    except BaseException:
        os._exit(ENGINE_FAILED)
