"""One end of the conversation, the same on both sides: requests that may be nested, and what a message carries."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Protocol

from studium_graders.engine.material.limits import Limits
from studium_graders.engine.wire.arguments import Arguments
from studium_graders.engine.wire.channel import Channel, ClosedError, LateError, ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder, KindTable, RefusedError
from studium_graders.engine.wire.messages import Change, Message, Node, Raised, Reply, Request
from studium_graders.engine.wire.objects import Objects

DEEPEST = 500  # requests within requests
_FRAMES = 20  # of Python's, more than one request within another takes


class Section(Protocol):
    """Something that every message carries beside its value, such as what became of the tensors that both sides have.

    Sections are written in their order, after the value, and read in the opposite order, before it.
    """

    def write(self, encoder: Encoder) -> Node:
        """Return what the other side should know, or None."""

    def read(self, node: Node, decoder: Decoder) -> None:
        """Take in what ``write`` returned, but for None."""

    def resend(self) -> None:
        """Count as unsent what a message told that could not be made."""

    def sweep(self) -> list[int]:
        """Let go what nobody here uses any more; return the numbers."""

    def forget(self, number: int) -> None:
        """Forget an object of this side that the other one has let go."""


class Side(Protocol):
    """What a peer leaves to the side that it stands on: see ``judge_side`` and ``student_side``."""

    trusting: bool
    fatal: tuple[type[BaseException], ...]

    def perform(self, operation: str, operands: list[Any]) -> Any:
        """Do what the other side asks for."""

    def answering(self, operation: str) -> AbstractContextManager[None]:
        """Answer a request inside of this."""

    def hand_out(self, value: Any, encoder: Encoder) -> Node:
        """Return the node of an object that stays here."""

    def keeps(self, value: Any, encoder: Encoder) -> bool:
        """Return whether an instance that extends plain data stays here."""

    def arrival_path(self) -> str:
        """Return where the objects in a request of the other side come from."""

    def error_node(self, error: BaseException, encoder: Encoder) -> Node:
        """Return the node of an exception that ends a request."""

    def error_of(self, node: Node, decoder: Decoder) -> BaseException:
        """Return the exception of a node."""

    def request(self, operation: str, *operands: Any, path: str = "") -> Any:
        """Ask the other side, by way of ``Peer.exchange``."""

    def begin(self) -> None:
        """Hear that a request of this side begins that is not part of another."""

    def crossed(self, objects: list[Any]) -> None:
        """Hear which objects a message held that may be changed in place."""

    def take_change(self, value: Any, content: Any) -> None:
        """Take over what the other side made of an argument."""


@contextmanager
def _room_for_frames() -> Iterator[None]:
    """Let what a request takes on the stack not count: code may recurse through both sides as deep as on one."""
    sys.setrecursionlimit(sys.getrecursionlimit() + _FRAMES)
    try:
        yield
    finally:
        with suppress(RecursionError):  # the code has set a limit of its own
            sys.setrecursionlimit(sys.getrecursionlimit() - _FRAMES)


class Peer:
    """Sends requests, and answers those of the other side meanwhile."""

    tensors: Any
    modules: Any
    classes: Any

    def __init__(self, channel: Channel, limits: Limits, side: Side, kinds: KindTable) -> None:
        self.channel, self.limits, self.side, self.kinds = channel, limits, side, kinds
        self.trusting = side.trusting
        self.objects = Objects()
        self.arguments = Arguments(self)
        self.sections: Sequence[Section] = ()
        self.deadline: float | None = None
        self._number = 0

    # ------------------------------------------------------------------------------------------------ requests

    def request(self, operation: str, *operands: Any, path: str = "") -> Any:
        """Ask the other side to do something, as the side that this peer stands on does it."""
        return self.side.request(operation, *operands, path=path)

    def exchange(self, operation: str, operands: Sequence[Any], path: str) -> Any:
        """Send a request and return its answer, which comes from ``path``; raise what it raised there."""
        if self.arguments.depth >= DEEPEST:
            raise RecursionError("calls between a test and the code that it tests are nested too deeply")
        if not self.arguments.outgoing:
            self.side.begin()
        self._number += 1
        number, encoder = self._number, self._encoder()
        with self._all_or_nothing():
            changes = self.arguments.changes(encoder)
            nodes = [encoder.encode(operand) for operand in operands]
            self._send(Request(number, changes, [], [], operation, nodes), encoder)
        self.arguments.outgoing.append(encoder.objects)
        gave: list[Any] = []
        try:
            return self._await(number, path, gave)
        finally:
            self.arguments.answered(number, gave)

    def _await(self, number: int, path: str, gave: list[Any]) -> Any:
        while True:
            message, buffers = self.channel.receive(self.deadline)
            if isinstance(message, Request):
                self.answer(message, buffers)
                continue
            if message.number != number:
                raise ProtocolError("an answer to another question")
            with _readable():
                decoder = self._taken_in(message, buffers, path)
                if isinstance(message, Reply):
                    value = decoder.decode(message.value)
                    gave += decoder.objects
                    self.side.crossed(gave)
                    return value
                error = self.side.error_of(message.error, decoder)
            raise error

    def answer(self, message: Request, buffers: list[memoryview]) -> None:
        """Do what the other side asks for, and send the result or the exception."""
        if self.arguments.depth >= DEEPEST:
            raise ProtocolError("requests are nested too deeply")
        with _room_for_frames() if self.arguments.depth else nullcontext(), self.side.answering(message.operation):
            failure: BaseException | None = None
            operands: list[Any] = []
            objects: list[Any] = []
            try:
                with _readable():
                    decoder = self._taken_in(message, buffers, self.side.arrival_path())
                    operands, objects = [decoder.decode(node) for node in message.operands], decoder.objects
            except RefusedError as error:
                failure = error
            self.arguments.enter(objects)
            try:
                self._reply(message, operands, failure)
            finally:
                self.arguments.left(message.number)

    def _reply(self, message: Request, operands: list[Any], failure: BaseException | None) -> None:
        result: Any = None
        try:
            if failure is not None:
                raise failure
            result = self.side.perform(message.operation, operands)
            encoder = self._encoder(reply=True)
            with self._all_or_nothing():
                changes = self.arguments.changes(encoder)
                self._send(Reply(message.number, changes, [], [], encoder.encode(result)), encoder)
            self.arguments.told(message.number, encoder.objects)
        except self.side.fatal:
            raise
        except BaseException as error:
            encoder = self._encoder(reply=True)
            changes = self.arguments.changes(encoder)
            self._send(Raised(message.number, changes, [], [], self.side.error_node(error, encoder)), encoder)
        finally:
            del result, operands

    # ------------------------------------------------------------------------------------------------ messages

    def _encoder(self, *, reply: bool = False) -> Encoder:
        self.objects.begin_message()
        return Encoder(self, reply=reply)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Where a message cannot be made, forget what the other side would have learnt of it."""
        try:
            yield
        except (ClosedError, LateError, ProtocolError):
            raise
        except BaseException:
            for number in self.objects.take_fresh():
                self._forget(number)
            self.arguments.resend()
            for section in self.sections:
                section.resend()
            raise

    def _send(self, message: Message, encoder: Encoder) -> None:
        """Complete a message with what both sides have, and send it."""
        message.sections = [section.write(encoder) for section in self.sections]
        for section in self.sections:
            self.objects.released.update(section.sweep())
        message.released = self.objects.take_released()
        self.channel.send(message, encoder.buffers, self.deadline)
        self.side.crossed(encoder.objects)

    def _taken_in(self, message: Message, buffers: list[memoryview], path: str) -> Decoder:
        """Take in what a message carries beside its value; return what reads the value."""
        decoder = Decoder(self, buffers, path)
        for section, node in reversed(list(zip(self.sections, message.sections, strict=True))):
            if node is not None:
                section.read(node, decoder)
        for number in message.released:
            self._forget(number)
        for change in message.changes:
            self._take(change, decoder)
        return decoder

    def _take(self, change: Change, decoder: Decoder) -> None:
        depth, index, node = change
        content, value = decoder.decode(node), self.arguments.get(depth, index)
        if value is not None:
            self.side.take_change(value, content)

    def _forget(self, number: int) -> None:
        self.objects.forget(number)
        for section in self.sections:
            section.forget(number)

    def start_clock(self) -> None:
        """Let the time of a call run from now on."""
        self.deadline = time.monotonic() + self.limits.call_seconds

    # ------------------------------------------------------------------------------------------------ for kinds

    def known(self, value: Any, encoder: Encoder) -> Node | None:
        """Return the node of an object that both sides know."""
        reference = self.objects.references.get(id(value))
        return self.arguments.node_of(value) if reference is None else reference

    def keeps(self, value: Any, encoder: Encoder) -> bool:
        """Return whether an instance that extends plain data stays on this side all the same."""
        return self.side.keeps(value, encoder)

    def hand_out(self, value: Any, encoder: Encoder) -> Node:
        """Return the node of an object that stays on this side."""
        return self.side.hand_out(value, encoder)


@contextmanager
def _readable() -> Iterator[None]:
    """Let whatever goes wrong with reading a message be the message's fault."""
    try:
        yield
    except (ProtocolError, RefusedError):
        raise
    except Exception as error:
        raise ProtocolError(f"a message that cannot be read: {type(error).__name__}") from error
