"""The judge's side: a student's process as an object with ``run``, ``get``, ``set``, ``delete`` and ``has``."""

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch import nn

from studium_graders.engine.limits import Limits
from studium_graders.engine.remote import catching, empty_containers, generators, library, single_numbers, transforms
from studium_graders.engine.remote.ambient import Ambient
from studium_graders.engine.remote.answering import NOTHING, Answering
from studium_graders.engine.remote.beside import Beside
from studium_graders.engine.remote.cell_replies import CellReplies
from studium_graders.engine.remote.changed_arguments import OpenCall
from studium_graders.engine.remote.common_data import CommonData
from studium_graders.engine.remote.decode import RefusedError
from studium_graders.engine.remote.encode import Encoder
from studium_graders.engine.remote.functions import RemoteFunction
from studium_graders.engine.remote.objects import RemoteClass, may_stay
from studium_graders.engine.remote.offers import KeptError
from studium_graders.engine.remote.policy import CALLBACK, GRADIENT, ITEM, Policy, item_of
from studium_graders.engine.remote.putting_back import Memory, memory_of
from studium_graders.engine.remote.several_names import Names
from studium_graders.engine.remote.shell import MOST_OF_ERROR, sendable
from studium_graders.engine.remote.student_gone import StudentGone
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.waiting import JudgeTasks
from studium_graders.engine.remote.wire import Channel, ClosedError, LateError, ProtocolError
from studium_graders.engine.remote.writeback import (
    CONTAINERS,
    GENERATORS,
    HOLDERS,
    Frame,
    holds_items,
    same_state,
    state_of,
)
from studium_graders.engine.results import CellRun, Verdict


class Student(Answering):
    """A student's process, as the judge sees it. Every method raises StudentGone once the process is of no use.

    ``refusal`` is the first TypeError that was the judge's own: a test may have taken it for one of the student's code.
    """

    def __init__(self, sock: socket.socket, policy: Policy, limits: Limits, seed: bytes = b"") -> None:
        super().__init__(Channel(sock, limits.message_mb), limits, policy)
        self.gone: StudentGone | None = None
        self.refusal: TypeError | None = None
        self._replies = CellReplies(limits.output_kb)
        self._seed = seed
        self.ambient = Ambient(seed, policy)
        self._open: list[OpenCall] = []
        self._known: dict[str, Any] = {}  # functions and classes of the student's, until their names are rebound
        self._names = Names(self)
        self.common = CommonData()
        self.tasks = JudgeTasks(self)
        self._beside: tuple[Beside, ...] = ()
        self._undone: list[Memory] = []  # what the open calls changed here, and is not to be changed

    def run(self, source: str, *, name: str = "", passing: bool = False) -> CellRun:
        """Run a cell in the student's shell; one with a name is the student's own, and goes to ``In`` and ``Out``.

        One that is ``passing`` is there as long as it runs.
        """
        self.sent.clear()
        try:
            plain, data = sorted(self.policy.plain), sorted(self.policy.data)
            reply = self.request("run", source, bool(name), passing, self.policy.wanted, plain, data)
        except StudentGone:
            raise
        except Exception as error:  # raised by what runs cells, such as a MemoryError
            return CellRun(error=sendable(f"{type(error).__name__}: {error}"[:MOST_OF_ERROR]))
        try:
            run, found = self._replies.read(reply)
        except Exception as error:
            raise self.disturbed(error) from error
        for wanted in self.policy.wanted:
            self._know(wanted, found.get(wanted))
        return run

    def get(self, name: str) -> Any:
        """Give a global of the student's; NameError where there is none."""
        if name in self._known and self.gone is None:
            return self._as_named(name, self._known[name])
        if self.policy.writeback == "kept" and (again := self.common.put_back(name)) is not None:
            return again
        value = self._one_with(name, self._as_named(name, self.request("get", name, path=name)))
        self._know(name, value)
        return self.common.fetched(name, value)

    def _one_with(self, name: str, value: Any) -> Any:
        """Give data under a name as the very object that a test of identity has got under another, if they are one."""
        if others := self.common.maybe_one(value):
            same = self.request("same", name, list(others))
            value = others.get(same, value) if type(same) is str else value
        self.common.tell_apart(name, value)
        return value

    def _as_named(self, name: str, value: Any) -> Any:
        named = isinstance(value, RemoteClass) or isinstance(type(value), RemoteClass)
        return self._names.as_named(name, value) if named else value

    def _know(self, name: str, value: Any) -> None:
        if isinstance(value, RemoteFunction | RemoteClass):
            self._known[name] = value

    def known(self, value: Any, encoder: Encoder) -> list[Any] | None:
        """Give the node of an object that both sides know, or of data that both have under a name."""
        found = super().known(value, encoder)
        name = self.common.name_of(value) if found is None else ""
        if not name or self.policy.writeback == "kept":
            return found
        first = len(encoder.objects)
        node = encoder.content(value)
        plain = all(type(item) is tuple or holds_items(type(item)) for item in encoder.objects[first:])
        return [Tag.FETCHED, name, node] if plain else node

    def set(self, name: str, value: Any) -> None:
        """Set a global of the student's."""
        self.request("set", name, value)

    def give(self, name: str, value: Any) -> None:
        """Set a global of the student's for good; KeptError for what would be asked for here."""
        self.parting = True
        try:
            self.set(name, value)
        finally:
            self.parting = False

    def delete(self, name: str) -> None:
        """Delete a global of the student's; NameError where there is none."""
        self.request("delete", name)

    def has(self, name: str) -> bool:
        """Tell whether the student has a global of this name."""
        return self.request("has", name) is True

    def request(self, op: str, *parts: Any, path: str = "") -> Any:
        """Ask the student's process; where a test is about files, both sides have the same before and after it."""
        if transforms.holds_transformed(parts):
            return transforms.ask(lambda *plain: self.request(op, *plain, path=path), parts)
        if self._beside and not self._open:
            return self._watched(op, parts, path)
        return self._sharing(op, parts, path)

    def _sharing(self, op: str, parts: tuple[Any, ...], path: str) -> Any:
        if self.files is None or not self.files.active or self._open:
            return self.ask(op, *parts, path=path)
        self.files.agree()
        try:
            return self.ask(op, *parts, path=path)
        finally:
            if self.gone is None:
                self.files.agree(self.policy)

    def _watched(self, op: str, parts: tuple[Any, ...], path: str) -> Any:
        for side in self._beside:
            side.before()
        try:
            return self._sharing(op, parts, path)
        finally:
            for side in () if self.gone else self._beside:
                side.after()

    @contextmanager
    def beside(self, *sides: Beside) -> Iterator[None]:
        """Have something done before and after each request of a test."""
        for side in sides:
            side.begin()
        self._beside = sides
        try:
            yield
        finally:
            self._beside = ()
            for side in () if self.gone else sides:
                side.end()

    def ask(self, op: str, *parts: Any, path: str = "") -> Any:
        """Ask the student's process; what breaks the conversation becomes StudentGone, now and ever after."""
        if self.gone is not None:
            raise self.gone
        if op == "method":
            self.policy.called(path)
        self._open.append(call := OpenCall(op, path, parts))
        bare = empty_containers.gives_empty(parts, self.policy)
        gave: Any = True  # an exception counts as a value: a test may wait for it
        try:
            gave = super().request(op, *parts, path=path)
            if type(gave) is type or type(gave) is tuple:
                catching.require_narrow(gave, path, self.policy)
            if isinstance(gave, CONTAINERS):
                self.policy.met_data(path)
            return empty_containers.given(single_numbers.given(gave, path, parts, self.policy), path, self.policy, bare)
        except (StopIteration, StopAsyncIteration) as error:
            if call.may_stop:
                raise
            raise RuntimeError(f"your code raised {type(error).__name__}") from error
        except (RefusedError, KeptError) as error:
            if op != "setattr" or not may_stay(*parts[:2]):
                self.refused(error)
            raise
        except LateError:
            self.late()
        except ClosedError:
            self._end("ended early", "your code ended the Python process: is there an exit(), or did it crash?")
        except ProtocolError as error:
            self.disturbed(error)
        finally:
            self._open.pop()
            self._settle(call, returned=gave is not None)
        raise self.gone or AssertionError

    def _settle(self, call: OpenCall, *, returned: bool) -> None:
        """Take note of what a request has changed that a right answer would not."""
        found = self.policy.mutated(set(call.changed.values()), returned=returned)
        self.common.unexpected(address for address, entry in call.changed.items() if entry in found)
        while self._undone and not self._open:
            self._undone.pop()()

    @property
    def awaits(self) -> bool:
        """Tell whether a test awaits something of the student's."""
        return bool(self.tasks.waiting)

    def watching(self, test: str) -> AbstractContextManager[None]:
        """See what a test does, where the reference is recorded."""
        return nullcontext()

    @contextmanager
    def in_step(self, test: str) -> Iterator[None]:
        """Draw random numbers as the student's code does, where the reference does."""
        self.policy.test = test
        with self.ambient.in_step(test):
            yield
        self.policy.test = ""
        self.sent.clear()

    def refused(self, error: TypeError) -> TypeError:
        """Take note of a refusal of the judge's own, which is about to be raised."""
        self.refusal = self.refusal or type(error)(*error.args)  # without the frames that the other one keeps
        return error

    def begin(self) -> None:
        """Start the clock of a request that is not part of another."""
        super().begin()
        self.ambient.begin()

    def late(self) -> StudentGone:
        """End the conversation because it takes too long."""
        seconds = f"{self.limits.call_seconds:g}"
        return self._end("time limit", f"stopped after {seconds} s: is there an endless loop?")

    def disturbed(self, cause: Exception) -> StudentGone:
        """End the conversation because what came is no answer."""
        return self._end("broken protocol", "your code disturbed the connection over which it is graded", cause)

    def _end(self, verdict: Verdict, sentence: str, cause: Exception | None = None) -> StudentGone:
        self.gone = self.gone or StudentGone(verdict, sentence)
        self.gone.__cause__ = cause
        self.channel.close()
        return self.gone

    def require_change(self, target: Any, what: str) -> None:
        """Note that the student's code changes an object of the course's own class; AttributeError where it may not."""
        if not (library.is_of_course(type(target).__module__) and self._takes(target)):
            raise AttributeError(f"{what} of an object of the test cannot be set")
        self.common.changing(target)
        self._change(target)

    @contextmanager
    def following(self, target: Any) -> Iterator[None]:
        """See whether a method changes what a container of the standard library's holds, which then counts as well."""
        if not isinstance(target, HOLDERS):
            yield
            return
        data = target.data
        self.common.changing(data)
        before, memory = state_of(data), memory_of(data)
        try:
            yield
        finally:
            if not same_state(before, state_of(data, copy=False)):
                if not self._takes(data):
                    self._undone.append(memory)
                self._change(data)

    def kind_of_call(self) -> str:
        """Ask what is passed."""
        return single_numbers.kind_of_call(self._open[-1].parts) if self._open else ""

    def arrival_path(self) -> str:
        """Give the path of what the student's code passes to a callback."""
        return self._open[-1].path + CALLBACK if self._open else CALLBACK

    def resend(self) -> None:
        """Send everything with the next message, as if it had changed."""
        super().resend()
        self.ambient.resend()

    def take_wanted(self) -> list[bool | None]:
        """Ask the policy."""
        path = self._open[-1].path
        return [self.policy.wants_object(place) for place in (path, item_of(path), path + CALLBACK + ITEM)]

    def take_ambient(self, *, reply: bool) -> Any:
        """Give random state and modes, as far as they changed."""
        return self.ambient.node(reply=reply)

    def show_rebound(self, names: list[str]) -> None:
        """Ask again for these names when they are needed."""
        if type(names) is not list or not all(type(name) is str for name in names):
            raise ProtocolError("no names")
        for name in names:
            self._known.pop(name, None)

    def show_ambient(self, node: Any) -> None:
        """Move the generators on that the student's code drew from."""
        if type(node) is not list or len(node) != 2:
            raise ProtocolError("no ambient state")
        self.ambient.drawn(node[0], self._open[-1].path if self._open else "")
        self.grad = node[1] is True

    def changed(self, frame: Frame, index: Any, content: Any) -> None:
        """Take over what the student's code made of an argument, or keep it beside the judge's own."""
        value = frame.get(index)
        if type(value) in GENERATORS:
            self._draw(frame, index, content)
        elif not self._takes(value):
            frame.replaced[index] = content
            self._change(value)
        else:
            self._write(value, frame, index, content)

    def _write(self, value: Any, frame: Frame, index: Any, content: Any) -> None:
        self.common.changing(value)
        if frame.write(index, empty_containers.changed(content, self._changing.entry(value), self.policy)):
            self._change(value)

    def _draw(self, frame: Frame, index: int, drawn: Any) -> None:
        """Draw from the judge's generator as often as the student's code did, else move it on, once in a request."""
        if index not in frame.moved and not generators.follow(frame.objects[index], drawn):
            frame.moved.add(index)
            generators.move_on(frame.objects[index], self._seed)

    def accepts_change(self, mirror: Any) -> bool:
        """Take over changes of the student's own tensors and modules always, of the judge's as the policy says."""
        if not mirror.mine:
            return True
        value = mirror.tensor() if hasattr(mirror, "tensor") else mirror.module()
        self._change(value)
        mirror.stale = not self._takes(value)
        if not mirror.stale:
            self.common.changing(value)
        return not mirror.stale

    def accepts_gradient(self, mirror: Any) -> bool:
        """Take over what became of a gradient of the judge's own tensors where the reference changes one there."""
        if not mirror.mine:
            return True
        entry = self._changing.entry(mirror.tensor()) + GRADIENT
        self._changing.changed[id(mirror)] = entry
        mirror.stale = self.policy.writeback != "live" and not self.policy.may_change(entry)
        return not mirror.stale

    def takes_forward(self, module: nn.Module) -> bool:
        """Let an answer replace the forward pass of a test's own module where the reference rebuilds that module."""
        return self.policy.may_rebuild(self._changing.entry(module))

    def takes_layers(self, module: nn.Module) -> bool:
        """Let it have other layers where the reference rebuilds it, and where nothing is known."""
        return not self.policy.strict or self.takes_forward(module)

    def rebuilt(self, module: nn.Module) -> None:
        """Tell the policy."""
        self.policy.rebuilt(self._changing.entry(module))

    @property
    def _changing(self) -> OpenCall:
        """The call in which a change is made: not of a function that the student's code has passed to the test's."""
        return next((call for call in reversed(self._open) if CALLBACK not in call.path), self._open[-1])

    def _change(self, value: Any) -> None:
        if not self._stays_there(value):
            self._changing.changed[id(value)] = self._changing.entry(value)

    def _takes(self, value: Any) -> bool:
        """Tell whether the judge's own object takes over what became of the student's copy."""
        live = self.policy.writeback == "live" or self._stays_there(value)
        return live or self.policy.may_change(self._changing.entry(value))

    def _stays_there(self, value: Any) -> bool:
        """Tell whether a value is data of an answer's class of which the reference's objects never come here."""
        cls = type(value)
        if not self.policy.strict or cls.__name__ in self.policy.plain or cls.__name__ not in self.policy.handles:
            return False
        return self.references.get(id(cls), NOTHING)[0] == Tag.YOURS
