"""The student's side: does what the judge asks. It trusts the judge, and what it says itself is never trusted."""

import os
import socket
import threading
import traceback
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

import msgspec
import torch

from studium_graders.course.limits import Limits
from studium_graders.engine.kinds.contents import overwrite, walk
from studium_graders.engine.kinds.exceptions import LONGEST_LINE, parts_of
from studium_graders.engine.kinds.objects import open_classes
from studium_graders.engine.kinds.table import KINDS
from studium_graders.engine.processes.exit_codes import ENGINE_FAILED
from studium_graders.engine.student_side.cells import Cells
from studium_graders.engine.student_side.given import run_given
from studium_graders.engine.student_side.known import Known
from studium_graders.engine.student_side.printed import Printed, collected
from studium_graders.engine.student_side.surroundings import RandomState, as_in_judge
from studium_graders.engine.student_side.whole_test import run_test
from studium_graders.engine.wire.channel import Channel, ClosedError, TooLargeError
from studium_graders.engine.wire.codec import Encoder
from studium_graders.engine.wire.given import GIVEN, given_module
from studium_graders.engine.wire.messages import (
    Ask,
    Broken,
    Call,
    CallBack,
    Differentiate,
    Failed,
    Gave,
    Get,
    Output,
    Pull,
    Pulled,
    Raised,
    Ran,
    Request,
    Returned,
    Run,
    ToJudge,
    Told,
)
from studium_graders.engine.wire.sending import loads

_ANSWER = b"answer"


class LentError(Exception):
    """An exception of a test's, of a class that only the test has."""


class Server:
    """Answers the judge's requests with what is in the student's namespace."""

    def __init__(self, sock: socket.socket, cells: Cells, limits: Limits, packages: tuple[str, ...]) -> None:
        self._channel = Channel(sock, limits.message_mb)
        self._cells = cells
        self._namespace: dict[str, Any] = cells.shell.user_ns
        self._printed = Printed(limits.output_kb << 10)
        self._random = RandomState()
        self._turn = threading.RLock()
        self._is_open = open_classes(packages)
        self._known = self._new_known(-1)

    def serve(self) -> None:
        """Answer one request."""
        about, buffers = self._channel.receive_frame()
        self._handle(bytes(about).split(), buffers)

    # ------------------------------------------------------------------------------------------------ requests

    def _handle(self, about: Sequence[bytes], buffers: list[memoryview]) -> None:
        test = int(about[0])
        if test != self._known.number:
            self._known = self._new_known(test)
        self._known.graph.inputs.append([])
        try:
            self._answer(loads(buffers[0], self._known))
        except ClosedError:
            raise
        except Exception as error:  # what was sent cannot be built here
            self._send(Broken(f"{type(error).__name__}: {error}"[:500].encode("utf-8", "replace").decode()), [])
        finally:
            self._known.graph.inputs.pop()

    def _answer(self, message: Request) -> None:
        self._random.take(message.around.states)
        self._known.graph.take(message.around.leaf_grads, message.around.released)
        if isinstance(message, Run):
            self._send(self._run(message), [])
            return
        if isinstance(message, Call):
            reads = [self._namespace.get(name) for name in message.reads]
            self._known.open(message.first, [message.args, *message.kwargs.values(), *reads], keep=message.keep)
        elif isinstance(message, Ask):
            self._known.open(0, [], keep=False)
        try:
            self._reply(message)
        finally:
            if isinstance(message, Call | Ask):
                self._known.close()

    def _reply(self, message: Any) -> None:
        encoder = Encoder(KINDS, self._known)
        self._known.looked = ""
        reply: ToJudge
        try:
            with as_in_judge(message.around), collected(self._printed):
                value = self._perform(message)
            reply = Gave(encoder.part(value), self._told(encoder))
            self._send(reply, encoder.buffers)
        except ClosedError:
            raise
        except BaseException as error:  # the student's code may raise anything
            if self._known.looked:
                self._send(Broken(self._known.looked[:200].encode("utf-8", "replace").decode()), [])
                return
            encoder = Encoder(KINDS, self._known)
            self._send(self._raised(error, encoder), encoder.buffers)

    def _raised(self, error: BaseException, encoder: Encoder) -> Raised:
        echo = vars(error).get("_studium_echo", -1)
        module, name, own, args, text = parts_of(encoder, error, self._given_errors())
        if isinstance(error, StopIteration):
            name = "StopIteration"
        return Raised(module, name, own, args, text, self._line(error), echo, self._told(encoder))

    def _line(self, error: BaseException) -> str:
        """Return the last line of a cell that an exception went through."""
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.line or "" for frame in frames if self._cells.is_cell(frame.filename)]
        return lines[-1][:LONGEST_LINE].encode("utf-8", "replace").decode() if lines else ""

    def _given_errors(self) -> list[tuple[str, str]]:
        held = [value for value in vars(given_module()).values() if isinstance(value, type)]
        return [(GIVEN, cls.__qualname__) for cls in held if cls.__module__ == GIVEN and issubclass(cls, Exception)]

    def _run(self, message: Run) -> Ran:
        run = partial(run_given, self._cells) if message.given else self._cells.run
        run = partial(run_test, self._cells) if message.passing else run
        outputs: list[dict[str, Any]] = []
        try:
            outputs, error = run(message.source)
        except Exception as failed:  # raised by what runs cells, such as a MemoryError
            error = f"{type(failed).__name__}: {failed}"[:500].encode("utf-8", "replace").decode()
        return Ran(msgspec.convert(outputs, list[Output]), error, self._random.drew())

    def _perform(self, message: Any) -> Any:
        if isinstance(message, Get):
            return self._named(message.name)
        if isinstance(message, Call):
            return self._known.object(message.target)(*message.args, **message.kwargs)
        if isinstance(message, Differentiate):
            graph, create = self._known.graph, message.create_graph
            return graph.differentiate(message.output, message.inputs, message.gradient, create_graph=create)
        target = self._known.object(message.handle)
        if message.what == "attribute":
            return getattr(target, message.name)
        return iter(target) if message.what == "iterate" else next(target)

    def _named(self, name: str) -> Any:
        if name not in self._namespace:
            raise NameError(f"name {name!r} is not defined")
        return self._namespace[name]

    def _told(self, encoder: Encoder, *, everything: bool = True) -> Told:
        changed = self._known.changed(everything=everything)
        changes = [(number, encoder.change(value)) for number, value in changed.items()]
        printed: Any = [(name, text.encode("utf-8", "replace").decode()) for name, text in self._printed.take()]
        return Told(self._known.walked(), changes, printed, self._random.drew())

    # ------------------------------------------------------------------------------------------------ questions

    def _new_known(self, number: int) -> Known:
        return Known(number, self._is_open, self._call_back, self._pull)

    def _call_back(self, number: int, args: tuple[Any, ...] | None, kwargs: dict[str, Any]) -> Any:
        """Call what the judge lent. Threads that the student's code has started take turns."""
        with self._turn:
            known, encoder = self._known, Encoder(KINDS, self._known)
            node = None if args is None else encoder.part((args, kwargs))
            own = walk([args, *kwargs.values()], known.is_open_class, known.has_stayed)
            inputs = encoder.graph | known.graph.open_leaves()
            told = self._told(encoder, everything=False)
            question = CallBack(number, node, [*inputs], len(own), torch.is_grad_enabled(), told)
            answer = self._asked(question, encoder, [*inputs.values()])
            for index, content in answer.own.items():
                overwrite(own[index], content, known.is_open_class)
            known.take(answer.changes)
            self._random.take(answer.states)
            return answer.value

    def _pull(self, result: int, gradient: torch.Tensor, inputs: Sequence[torch.Tensor], create: bool) -> list[Any]:
        with self._turn:
            encoder = Encoder(KINDS, self._known)
            question = Pull(result, encoder.part(gradient), create)
            found: Pulled = self._asked(question, encoder, [*inputs, *encoder.graph.values()])
            return found.gradients

    def _asked(self, question: CallBack | Pull, encoder: Encoder, inputs: list[torch.Tensor]) -> Any:
        self._send(question, encoder.buffers)
        while True:
            about, buffers = self._channel.receive_frame()
            words = bytes(about).split()
            if words[1] != _ANSWER:
                self._handle(words, buffers)
                continue
            answer: Returned | Failed | Pulled = self._known.read(buffers[0], inputs)
            if isinstance(answer, Failed):
                raise _lent_error(answer)
            return answer

    def _send(self, message: ToJudge, buffers: Sequence[Any]) -> None:
        try:
            structure = msgspec.msgpack.encode(message)
        except RecursionError:
            raise TooLargeError("a value is nested too deeply to be sent; use fewer levels") from None
        self._channel.send_frame(structure, buffers)


def _lent_error(failed: Failed) -> BaseException:
    found = vars(__import__("builtins")).get(failed.name)
    base = found if isinstance(found, type) and issubclass(found, Exception) else LentError
    try:
        error = base(failed.text)
    except TypeError:
        error = LentError(failed.text)
    error._studium_echo = failed.number  # type: ignore[attr-defined]
    return error


def serve(sock: socket.socket, cells: Cells, limits: Limits, *, packages: tuple[str, ...] = ()) -> NoReturn:
    """Answer the judge until it goes; then end the process without running anything of the student's."""
    server = Server(sock, cells, limits, packages)
    try:
        while True:
            server.serve()
    except ClosedError:
        os._exit(0)
    except BaseException:
        os._exit(ENGINE_FAILED)
