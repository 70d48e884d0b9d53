"""One end of the conversation, the same on both sides: requests that may be nested, objects known by number."""

import itertools
import sys
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import torch
from torch import nn

from studium_graders.engine.limits import Limits
from studium_graders.engine.remote import arrays, errors
from studium_graders.engine.remote.decode import Decoder, RefusedError
from studium_graders.engine.remote.encode import Encoder
from studium_graders.engine.remote.gradients import Graph, graph_node
from studium_graders.engine.remote.hooks import Hooks
from studium_graders.engine.remote.mirrors import Mirrors
from studium_graders.engine.remote.sections import Sections
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.tensor_nodes import contents, plain_node
from studium_graders.engine.remote.wire import Channel, ClosedError, LateError, ProtocolError
from studium_graders.engine.remote.writeback import Frame

REQUEST, REPLY, ERROR = 0, 1, 2
MOST_ENTERED = 10_000
DEEPEST = 500  # requests within requests
_FRAMES = 20  # of Python's, more than one request within another takes


@contextmanager
def _room_for_frames() -> Iterator[None]:
    """Let what a request takes on the stack not count: code may recurse through both sides as deep as on one."""
    sys.setrecursionlimit(sys.getrecursionlimit() + _FRAMES)
    try:
        yield
    finally:
        with suppress(RecursionError):  # the code has set a limit of its own
            sys.setrecursionlimit(sys.getrecursionlimit() - _FRAMES)


def _gives_a_part(op: Any, parts: Sequence[Any]) -> bool:
    """Tell whether the answer to a request may be a part of an object: an attribute, an item."""
    return bool(op == "getattr" or (op == "special" and parts[1] == "__getitem__"))


class Peer(Hooks, Sections):
    """Sends requests, answers those of the other side meanwhile, and keeps what each side knows of the other.

    A subclass says what a request does (``perform``), how an object of the other side appears here (``proxy``) and what
    is checked. ``trusting`` is false in the judge.
    """

    trusting = False

    def __init__(self, channel: Channel, limits: Limits) -> None:
        self.channel = channel
        self.limits = limits
        self.deadline: float | None = None
        self.exports: dict[int, Any] = {}
        self.imports: dict[int, weakref.ref[Any]] = {}
        self.described: dict[int, list[Any]] = {}
        self.references: dict[int, list[int]] = {}  # id() of an object that both know -> its node
        self.released: set[int] = set()
        self.incoming: list[Frame] = []
        self.outgoing: list[Frame] = []
        self._fresh: list[int] = []
        self.raised: list[BaseException] = []
        self.mirrors = Mirrors(self)
        self.entries: weakref.WeakValueDictionary[int, torch.Tensor] = weakref.WeakValueDictionary()
        self._entered: dict[int, tuple[weakref.ref[torch.Tensor], Any]] = {}
        self._numbers = itertools.count(1)
        self._sequence = itertools.count(1)

    # ------------------------------------------------------------------------------------------------ requests

    def request(self, op: str, *parts: Any, path: str = "") -> Any:
        """Ask the other side to do something and give its answer; raises what it raised there."""
        if len(self.incoming) + len(self.outgoing) >= DEEPEST:
            raise RecursionError("calls between a test and the code that it tests are nested too deeply")
        if not self.outgoing:
            self.begin()
        sequence = next(self._sequence)
        encoder = self.encoder()
        with self.all_or_nothing(encoder):
            changes = self._changes(encoder)
            self.send([REQUEST, sequence, op, [encoder.encode(part) for part in parts], changes], encoder)
        self.outgoing.append(Frame(encoder.objects))
        try:
            return self._await(sequence, path, part=_gives_a_part(op, parts))
        finally:
            self.asked(sequence, self.outgoing.pop())

    def _await(self, sequence: int, path: str, *, part: bool) -> Any:
        while True:
            message, buffers = self.channel.receive(self.deadline)
            if self._kind(message) == REQUEST:
                self.answer(message, buffers)
                continue
            if message[1] != sequence:
                raise ProtocolError("an answer to another question")
            decoder = Decoder(self, buffers, path)
            value = self.decode(message, decoder)
            if message[0] == ERROR:
                raise value
            if part:
                self.heard(sequence, decoder.objects)
            return value

    def answer(self, message: list[Any], buffers: list[memoryview]) -> None:
        """Do what the other side asks for, and send the result or the exception."""
        with _room_for_frames() if self.incoming or self.outgoing else nullcontext():
            self._answer(message, buffers)

    def _answer(self, message: list[Any], buffers: list[memoryview]) -> None:
        if len(self.incoming) + len(self.outgoing) >= DEEPEST:
            raise ProtocolError("requests are nested too deeply")
        decoder = Decoder(self, buffers, self.arrival_path())
        failure: BaseException | None = None
        try:
            parts = self.decode(message, decoder)
        except RefusedError as error:
            parts, failure = [], error
        self.incoming.append(Frame(decoder.objects, kept=True))
        try:
            self._reply(message[1], message[2], parts, failure)
        finally:
            self.answered(message[1], self.incoming.pop())

    def _reply(self, sequence: Any, op: Any, parts: list[Any], failure: BaseException | None) -> None:
        result: Any = None
        try:
            if failure is not None:
                raise failure
            result = self.perform(op, parts)
            encoder = self.encoder(reply=True)
            encoder.own_state = op in ("getattr", "get", "next")
            with self.all_or_nothing(encoder):
                changes = self._changes(encoder)
                self.send([REPLY, sequence, None, encoder.encode(result), changes], encoder)
            if _gives_a_part(op, parts):
                self.told(sequence, encoder.objects)
        except self.fatal:
            raise
        except BaseException as error:
            encoder = self.encoder(reply=True)
            changes = self._changes(encoder)
            self.send([ERROR, sequence, None, errors.error_node(error, encoder, self), changes], encoder)
        finally:
            del result, parts

    def encoder(self, *, reply: bool = False) -> Encoder:
        """Begin a message."""
        self._fresh = []
        return Encoder(self, reply=reply)

    @contextmanager
    def all_or_nothing(self, encoder: Encoder) -> Iterator[None]:
        """Where a message, or a part at its end, cannot be made, forget what the other side would have learnt of it."""
        fresh, objects = len(self._fresh), len(encoder.objects)
        try:
            yield
        except (ClosedError, LateError, ProtocolError):
            raise
        except BaseException:
            for number in self._fresh[fresh:]:
                self._forget(number)
            encoder.unregister(objects)
            self.resend_changes()
            self.mirrors.resend()
            self.resend()
            raise

    def resend(self) -> None:
        """Send everything with the next message, as if it had changed."""

    fatal: tuple[type[BaseException], ...] = (ProtocolError,)

    # ------------------------------------------------------------------------------------------------ messages

    def send(self, message: list[Any], encoder: Encoder) -> None:
        """Complete a message with what both sides have, and send it."""
        more = self.complete(encoder)
        self.released.update(self.sweep())
        pending, self.released = self.released, set()  # first: collecting garbage may add to the set at any moment
        released = sorted(pending)
        for number in released:
            self.described.pop(number, None)
        message += [released, *more]
        self.channel.send(message, encoder.buffers, self.deadline)

    def _changes(self, encoder: Encoder) -> list[Any]:
        """Give what became of arguments. It is read before the value of the message, and so it is written first."""
        told = [[depth, *change] for depth, frame in enumerate(self.incoming) for change in frame.changes(encoder)]
        return [*told, *self.later_changes(encoder)]

    def decode(self, message: list[Any], decoder: Decoder) -> Any:
        """Take in what changed and give the value of a message: the parts of a request, a result, an exception."""
        try:
            kind, _, _, payload, changes, released, *more = message
            self.absorb(more, decoder)
            for number in released:
                self._forget(number)
            self._take_changes(changes, decoder)
            decoder.depth = 0
            if kind == REQUEST:
                return [decoder.decode(part) for part in payload]
            return errors.error_of(payload, decoder, self) if kind == ERROR else decoder.decode(payload)
        except (ProtocolError, RefusedError):
            raise
        except Exception as error:
            raise ProtocolError(f"a message that cannot be read: {type(error).__name__}") from error

    def _take_changes(self, changes: list[Any], decoder: Decoder) -> None:
        for place, index, content in changes:
            decoder.changing = f"#{index}"
            value = decoder.decode(content)
            if (frame := self._frame_at(place)) is not None:
                self.changed(frame, index, value)
        decoder.changing = ""

    def _frame_at(self, place: Any) -> Frame | None:
        """Give the arguments of an open request by its depth, those of an earlier one by its number below zero."""
        if type(place) is not int or place >= len(self.outgoing):
            raise ProtocolError("a change of nothing")
        return self.outgoing[place] if place >= 0 else self.earlier(-place)

    def _kind(self, message: Any) -> int:
        if type(message) is not list or len(message) < 6 or message[0] not in (REQUEST, REPLY, ERROR):
            raise ProtocolError("no message")
        return int(message[0])

    def begin(self) -> None:
        """Start the clock of a request that is not part of another."""
        if not self.awaits:
            self.raised.clear()
        self.deadline = time.monotonic() + self.limits.call_seconds

    # ------------------------------------------------------------------------------------------------ objects

    def known(self, value: Any, encoder: Encoder) -> list[Any] | None:
        """Give the node of an object that both sides know, or None."""
        reference = self.references.get(id(value))
        if reference is not None:
            if reference[0] == Tag.MIRROR:
                encoder.shown.add(id(value))
            return reference
        for depth, frame in enumerate(self.incoming):
            index = frame.index_of(value)
            if index is not None:
                return [Tag.ARGUMENT, depth, index]
        return None

    def fetched(self, name: Any, decoder: Decoder, node: Any) -> Any:
        """Give data of this side that the other one gives back."""
        raise ProtocolError("the other side has fetched nothing")

    def sweep(self) -> list[int]:
        """Let go what nobody here uses any more; give the numbers."""
        return self.mirrors.sweep()

    def enrol(self, value: Any) -> int:
        """Give an object of this side a number, under which the other side may speak of it."""
        number = next(self._numbers)
        self.exports[number] = value
        self._fresh.append(number)
        self.references[id(value)] = [Tag.MINE, number]
        return number

    def own(self, number: Any) -> Any:
        """Give the object that was exported under a number."""
        try:
            return self.exports[number]
        except (KeyError, TypeError):
            raise ProtocolError("no such object") from None

    def adopt(self, number: int, proxy: Any) -> Any:
        """Keep a proxy of the other side's object as long as somebody here uses it, then release that object."""

        def gone(reference: weakref.ref[Any]) -> None:
            if self.imports.get(number) is reference:
                del self.imports[number]
                self.references.pop(address, None)
                self.released.add(number)

        address = id(proxy)
        self.imports[number] = weakref.ref(proxy, gone)
        self.references[address] = [Tag.YOURS, number]
        self.released.discard(number)
        return proxy

    def under_another(self, proxy: Any, first: Any) -> Any:
        """Let another proxy go back as the object that the first one stands for, which the other one keeps."""
        address = id(proxy)
        self.references[address] = self.references[id(first)]
        weakref.finalize(proxy, self.references.pop, address, None)
        return proxy

    def imported(self, number: Any) -> Any:
        """Give the proxy of an object of the other side's, or None."""
        reference = self.imports.get(number)
        return None if reference is None else reference()

    def _forget(self, number: Any) -> None:
        value = self.exports.pop(number, None)
        if value is not None:
            self.references.pop(id(value), None)
            self.mirrors.forget(number)
            self.forgotten(number)

    def forgotten(self, number: int) -> None:
        """Forget what a subclass knows of an object that was let go."""

    def argument(self, depth: Any, index: Any) -> Any:
        """Give an object that this side sent with a request which is still open."""
        if type(depth) is not int or not 0 <= depth < len(self.outgoing):
            raise ProtocolError("no such request")
        return self.outgoing[depth].get(index)

    def remember(self, error: BaseException) -> int:
        """Keep an exception that the other side may hand on, and give its number."""
        self.raised.append(error)
        return len(self.raised) - 1

    def remembered(self, number: Any) -> BaseException:
        """Give an exception that went to the other side during this request."""
        if type(number) is not int or not 0 <= number < len(self.raised):
            raise ProtocolError("no such exception")
        return self.raised[number]

    def resend_changes(self) -> None:
        """Tell again what a message told of arguments that could not be sent."""
        for frame in self.incoming:
            frame.resend()

    # ------------------------------------------------------------------------------------------------ tensors

    def tensor_node(self, value: torch.Tensor, encoder: Encoder) -> Any:
        """Give the node of a tensor that the other side does not know yet."""
        if not value.requires_grad:
            stays = isinstance(value, nn.Parameter) or (encoder.own_state and encoder.at_top)
            return self.mirrors.enrol(value, encoder) if stays else plain_node(value, encoder, self.limits.message_mb)
        if value.is_leaf:
            return self.mirrors.enrol(value, encoder)
        encoder.register(value)
        if encoder.reply:
            encoder.outputs.append(value)
            return [Tag.OUTPUT, len(encoder.outputs) - 1]
        number = next(self._numbers)
        self.entries[number] = value
        return [Tag.ENTRY, number, *contents(value, encoder, self.limits.message_mb)]

    def entry(self, decoder: Decoder, node: list[Any]) -> torch.Tensor:
        """Make the leaf that stands here for a tensor with a history on the other side."""
        _, number, dtype, shape, data = node
        leaf: torch.Tensor = decoder.put(arrays.tensor_of(dtype, shape, decoder.buffer(data)).requires_grad_())
        if len(self._entered) > MOST_ENTERED:
            self._entered = {key: item for key, item in self._entered.items() if item[0]() is not None}
        self._entered[id(leaf)] = weakref.ref(leaf), number
        return leaf

    def leaf_node(self, leaf: torch.Tensor, encoder: Encoder) -> list[Any]:
        """Give the node of a tensor at which the history of an output begins."""
        reference = self.references.get(id(leaf))
        if reference is not None:
            return reference
        entered, number = self._entered.get(id(leaf), (None, 0))
        if entered is not None and entered() is leaf:
            return [Tag.ENTRY, number]
        return self.mirrors.enrol(leaf, encoder, blank=not self.trusting)

    def leaf(self, node: list[Any]) -> torch.Tensor | None:
        """Give the tensor of ``leaf_node``; None where it is not here any more."""
        if node[0] == Tag.ENTRY:
            return self.entries.get(node[1])
        return self.mirrors.find(node[1], node[2])

    def graph_node(self, encoder: Encoder) -> Any:
        """Give the node of the outputs that a message holds."""
        return graph_node(self, encoder)

    def do_backward(self, number: Any, grads: list[Any], needed: list[bool], create: bool) -> list[Any]:
        """Differentiate outputs of this side."""
        graph = self.own(number)
        if not isinstance(graph, Graph):
            raise ProtocolError("no graph")
        return graph.gradients(grads, needed, create=create is True)
