"""The student's side: does what the judge asks, in a process that trusts nobody and is trusted by nobody."""

import collections
import datetime
import enum
import importlib
import os
import socket
import threading
import time
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import numpy as np
import torch

from studium_graders.engine.exit_codes import ENGINE_FAILED
from studium_graders.engine.limits import Limits
from studium_graders.engine.remote import (
    algebra,
    environment,
    extending,
    instances,
    notices,
    pyplot,
    records,
    transforms,
)
from studium_graders.engine.remote.ambient import StudentAmbient
from studium_graders.engine.remote.decode import Decoder
from studium_graders.engine.remote.encode import Encoder
from studium_graders.engine.remote.exports import Side
from studium_graders.engine.remote.folder import Changes, Folder
from studium_graders.engine.remote.forward_hooks import without_backward
from studium_graders.engine.remote.named import Named, plain_callables
from studium_graders.engine.remote.shell import Cells, Printed, collected
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.waiting import StudentTasks
from studium_graders.engine.remote.wire import Channel, ClosedError
from studium_graders.engine.remote.writeback import CONTAINERS, Frame, twins_of

_DATA = (
    list, tuple, dict, set, frozenset, collections.deque, str, bytes, int, float, complex, Decimal, Fraction,
    datetime.date, datetime.time, datetime.timedelta, np.ndarray,
)  # fmt: skip


_EMPTY = type("Empty", (list,), {})  # kept: else it may be collected, and emptied, while its names are read
_OF_EVERY_CLASS = vars(_EMPTY).keys() | {"__annotations__"}


class StudentSide(Side):
    """Answers the judge's requests with the objects of the student's namespace."""

    trusting = True
    fatal = (ClosedError,)

    def __init__(self, sock: socket.socket, cells: Cells, limits: Limits) -> None:
        super().__init__(Channel(sock, limits.message_mb), limits)
        self.cells = cells
        self.namespace: dict[str, Any] = cells.shell.user_ns
        self.ambient = StudentAmbient()
        self._called: set[type] = set()
        self._plain: frozenset[str] = frozenset()
        self._data: frozenset[str] = frozenset()
        self._known: dict[str, Any] = {}  # what can be called of that which the judge got, by name
        self._wanted: list[bool | None] = [None] * 3  # objects: as the answer, as its items, for a test's function
        self.printed = Printed(limits.output_kb << 10)
        self._turn = threading.RLock()
        self._listener: notices.Listener | None = None
        self._folder: Folder | None = None
        self._since = time.time_ns()
        self.tasks = StudentTasks(self)

    def request(self, op: str, *parts: Any, path: str = "") -> Any:
        """Ask the judge. Threads that the student's code has started take turns."""
        if transforms.holds_transformed(parts):
            return transforms.ask(lambda *plain: self.request(op, *plain, path=path), parts)
        with self._turn:
            return super().request(op, *parts, path=path)

    def begin(self) -> None:
        """The judge holds the clock."""

    def is_own_file(self, filename: str) -> bool:
        """Tell whether code of this file came from a cell."""
        return self.cells.is_cell(filename)

    def given_class(self, name: str) -> Any:
        """Give what the student's namespace has under a name."""
        return self.namespace.get(name)

    def perform(self, op: Any, parts: list[Any]) -> Any:
        """Do what the judge asks for."""
        if op == "run":
            return self.do_run(*parts)
        if parts and isinstance(parts[0], enum.EnumMeta):  # its members are more than the numbers that they extend
            self._called.add(parts[0])
        with collected(self.printed):
            return super().perform(op, parts)

    def do_run(
        self, source: str, kept: bool, passing: bool, wanted: list[str], plain: list[str], data: list[str]
    ) -> list[Any]:
        """Run a cell; give its outputs, its error, and what is new under the names that the judge wants.

        ``plain`` names the classes that are plain data in the reference, ``data`` those that the judge has as well.
        """
        self._plain, self._data = frozenset(plain), frozenset(data)
        self.cells.kept, self.cells.passing = kept, passing
        outputs, error = self.cells.run(source)
        found = plain_callables(wanted, self.namespace)
        new = Named({name: value for name, value in found.items() if self._known.get(name) is not value})
        self._known |= new
        return [outputs, error, new]

    def take_text(self) -> list[list[str]]:
        """Give what was printed since the last message."""
        return [[name, text.encode("utf-8", "replace").decode()] for name, text in self.printed.take()]

    def take_rebound(self) -> list[str] | None:
        """Give the names under which the judge must ask again."""
        names = [name for name, value in self._known.items() if self.namespace.get(name) is not value]
        for name in names:
            del self._known[name]
        return names or None

    def show_ambient(self, node: Any) -> None:
        """Set random state and modes as in the judge."""
        self.ambient.take(node)

    def take_ambient(self, *, reply: bool) -> Any:
        """Give the state of random generators that were drawn from, and the grad mode."""
        return [self.ambient.drawn(), torch.is_grad_enabled()]

    def answered(self, number: Any, frame: Frame) -> None:
        """Look after the arguments as long as the student's code keeps them."""
        if type(number) is int:
            self.kept.add(number, frame)

    def show_wanted(self, node: Any) -> None:
        """Remember it while the request is answered."""
        self._wanted = node

    def answer(self, message: list[Any], buffers: list[memoryview]) -> None:
        """Do what the judge asks for, in the judge's grad mode and ``np.errstate``; what a cell sets stays."""
        ambient, cell = message[7], message[2] == "run"
        if cell:
            ambient[3] = ambient[5] = None
        grad, floating, wanted = torch.is_grad_enabled(), np.geterr(), self._wanted
        super().answer(message, buffers)
        self._wanted = wanted
        if not cell:
            torch.set_grad_enabled(grad)
        if ambient[5] is not None:
            np.seterr(**floating)

    def do_call(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call an object of the student's."""
        if isinstance(target, type) and issubclass(target, _DATA):
            self._called.add(target)
        if isinstance(target, torch.nn.Module):
            with without_backward(target):
                return super().do_call(target, args, kwargs)
        return super().do_call(target, args, kwargs)

    def kind_of(self, cls: type) -> str | None:
        """Tell what kind of plain data the instances of a class are, or None."""
        return records.kind_of(cls, methods=cls.__name__ in self._plain, given=cls.__name__ in self._data)

    def given_base(self, cls: type) -> type | None:
        """Give the class of the judge's that a class of the student's extends: as with a list, its data are sent."""
        return next((base for base in cls.__mro__[1:] if self.kind_of(base) == instances.KIND), None)

    def known(self, value: Any, encoder: Encoder) -> list[Any] | None:
        """Give the node of what both sides know; an object that extends data gives these where they are wanted."""
        found = super().known(value, encoder)
        if found is None or found[0] != Tag.MINE or not isinstance(value, CONTAINERS):
            return found
        return None if encoder.reply and self._wanted[encoder.inside] is False else found

    def keeps(self, value: Any, encoder: Encoder) -> bool:
        """Keep the instances of a class that extends one of data and has methods that a test may want.

        So it is where an object is wanted, and where a test calls the class by its name unless data are wanted.
        """
        wanted = self._wanted[(0 if encoder.at_top else 1) if encoder.reply else 2]
        if type(value) in self._called and type(value).__module__ == "__main__":
            return wanted is not False
        return wanted is True and isinstance(value, (*CONTAINERS, tuple)) and _has_more(value)

    def export(self, value: Any, encoder: Encoder) -> Any:
        """Give the node of an object that stays here, or of a number where the judge wants data."""
        wanted = self._wanted[(0 if encoder.at_top else 1) if encoder.reply else 2]
        number = algebra.node_of(value, encoder, evaluate=True) if wanted is False else None
        return super().export(value, encoder) if number is None else number

    def do_same(self, name: str, others: list[str]) -> str:
        """Name the first of other globals that is the very object which a global is; "" where there is none."""
        value = self.namespace.get(name, others)
        return next((other for other in others if self.namespace.get(other) is value), "")

    def do_get(self, name: str) -> Any:
        """Give a global of the student's, or a builtin that the student's shell has."""
        if name not in self.namespace:
            raise NameError(f"name {name!r} is not defined")
        value = self.namespace[name]
        if callable(value):
            self._known[name] = value
        return value

    def fetched(self, name: Any, decoder: Decoder, node: Any) -> Any:
        """Give the data that the namespace has under a name where they are what arrived: a test gives them back."""
        first = len(decoder.objects)
        value, own = decoder.decode(node), self.namespace.get(name)
        twins = twins_of(value, own)
        if twins is None:
            return value
        decoder.objects[first:] = [twins.get(id(item), item) for item in decoder.objects[first:]]
        return own

    def do_share(self, kept: list[str]) -> tuple[str, Changes]:
        """Give the working folder and the files in it; ``kept`` are names of files that the judge has itself."""
        self._folder = Folder(os.getcwd(), self.limits.message_mb << 20, kept)  # noqa: PTH109
        return self._folder.root, self._folder.changes()

    def do_files(self, changes: Changes) -> Changes:
        """Change files as the judge says, and give what has changed here."""
        assert self._folder is not None
        self._folder.take(changes)
        return self._folder.changes()

    def do_extend(self, name: str, bases: tuple[type, ...], rows: list[extending.Row], options: dict[str, Any]) -> type:
        """Make a test's class that extends one of the student's."""
        return extending.build(name, bases, rows, options)

    def do_environ(self, names: list[str], told: bytes) -> bytes:
        """Set variables of the environment as a test has them, if it says how, and give what is set."""
        if told:
            environment.put(names, msgspec.msgpack.decode(told))
        return msgspec.msgpack.encode(environment.held(names))

    def do_listen(self, listening: bool) -> None:
        """Begin or end to keep what is warned of and logged."""
        if self._listener is not None:
            self._listener.close()
        self._listener = notices.Listener(self.is_own_file) if listening else None

    def do_notices(self) -> notices.Notices:
        """Give what was kept."""
        return notices.Notices() if self._listener is None else self._listener.take()

    def do_pyplot(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function of pyplot's."""
        return getattr(importlib.import_module(pyplot.PYPLOT), name)(*args, **kwargs)

    def do_turn(self, told: bytes) -> bytes:
        """Let the event loop run for a moment."""
        return StudentTasks.turn(self.tasks, told)

    def do_rewritten(self, names: list[str]) -> bool:
        """Tell whether one of these files, which were there at first, has been written since."""
        assert self._folder is not None
        with suppress(FileNotFoundError):
            return any(Path(self._folder.root, name).lstat().st_mtime_ns > self._since for name in names)
        return True

    def do_set(self, name: str, value: Any) -> None:
        """Set a global of the student's."""
        self.namespace[name] = value

    def do_delete(self, name: str) -> None:
        """Delete a global of the student's."""
        if name not in self.namespace:
            raise NameError(f"name {name!r} is not defined")
        del self.namespace[name]

    def do_has(self, name: str) -> bool:
        """Tell whether a global is there."""
        return name in self.namespace


def _has_more(value: Any) -> bool:
    """Tell whether an instance has attributes or methods of its own beside those of the class of data."""
    own = (cls for cls in type(value).__mro__ if cls.__module__ == "__main__")
    held = type(value).__dictoffset__ and value.__dict__
    return bool(held) or any(vars(cls).keys() - _OF_EVERY_CLASS for cls in own)


def serve(sock: socket.socket, cells: Cells, limits: Limits) -> NoReturn:
    """Answer the judge until it goes; then end the process without running anything of the student's."""
    side = StudentSide(sock, cells, limits)
    try:
        while True:
            side.answer(*side.channel.receive())
    except ClosedError:
        os._exit(0)
    except BaseException:
        os._exit(ENGINE_FAILED)
