"""Frames over a socket: msgpack for structure, raw bytes for arrays, and a cap on everything that is read.

A frame is a header (length of the structure, number of buffers), the length of each buffer, the structure, the buffers.
"""

import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from studium_graders.engine.wire.messages import Message

HEADER = struct.Struct("<IIQ")
STRUCTURE_MB = 16  # a byte of msgpack can become 64 bytes of objects
MOST_BUFFERS = 100_000
CHUNK = 1 << 16

Buffer = bytes | bytearray | memoryview


class ProtocolError(Exception):
    """What came over the wire is no message."""


class ClosedError(Exception):
    """The other side is gone."""


class LateError(Exception):
    """The other side did not answer in time."""


class TooLargeError(ValueError):
    """A value does not fit into a message."""


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


class Channel:
    """One end of the connection. ``deadline`` (monotonic seconds, None for no end) holds for sending and receiving."""

    def __init__(self, sock: socket.socket, message_mb: int) -> None:
        self._sock = sock
        self._most = message_mb << 20
        self._pending = bytearray()
        self._timeout = 0.0
        self._structure_most = min(self._most, STRUCTURE_MB << 20)

    def send(self, message: Message, buffers: Sequence[Buffer], deadline: float | None = None) -> None:
        """Send one message. Raise TooLargeError before anything was sent, ClosedError or LateError."""
        try:
            structure = _encoder.encode(message)
        except RecursionError:
            raise TooLargeError("a value is nested too deeply to be sent; use fewer levels") from None
        lengths = [len(buffer) for buffer in buffers]
        total = sum(lengths)
        self._check(len(structure), len(buffers), total, TooLargeError)
        head = HEADER.pack(len(structure), len(buffers), total)
        parts = [head, struct.pack(f"<{len(lengths)}Q", *lengths), structure, *buffers]
        if len(structure) + total <= CHUNK:  # whatever is sent by itself wakes the other side, for a part
            parts = [b"".join(parts)]
        for part in parts:
            self._send_all(part, deadline)

    def receive(self, deadline: float | None = None) -> tuple[Message, list[memoryview]]:
        """Return the next message and its buffers. Raise ProtocolError, ClosedError and LateError."""
        size, count, total = HEADER.unpack(self._read(HEADER.size, deadline))
        self._check(size, count, total, ProtocolError)
        lengths = struct.unpack(f"<{count}Q", self._read(8 * count, deadline)) if count else ()
        if sum(lengths) != total:
            raise ProtocolError("the lengths of the buffers do not add up")
        structure = self._read(size, deadline)
        buffers = _slices(memoryview(self._read(total, deadline)), lengths) if count else []
        try:
            return _decoder.decode(structure), buffers
        except (
            msgspec.DecodeError,
            msgspec.ValidationError,
            RecursionError,
            ValueError,
            TypeError,
            MemoryError,
        ) as error:
            raise ProtocolError("what came is no message") from error

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def _check(self, size: int, count: int, total: int, error: type[Exception]) -> None:
        if size > self._structure_most or count > MOST_BUFFERS or total > self._most:
            raise error(f"a value of {(size + total) / 2**20:.1f} MB is too large to be sent")

    def _send_all(self, data: Buffer, deadline: float | None) -> None:
        view = memoryview(data)
        while view:
            self._wait_at_most(deadline)
            try:
                view = view[self._sock.send(view) :]
            except TimeoutError:
                raise LateError from None
            except OSError as error:
                raise ClosedError from error

    def _read(self, size: int, deadline: float | None) -> bytearray:
        pending = self._pending
        while len(pending) < size <= CHUNK:
            pending += self._recv(lambda: self._sock.recv(CHUNK), deadline)
        if len(pending) >= size:
            data = pending[:size]
            del pending[:size]
            return data
        data = bytearray(size)
        view = memoryview(data)
        view[: len(pending)] = pending
        view = view[len(pending) :]
        pending.clear()
        while view:
            view = view[self._recv(lambda rest=view: self._sock.recv_into(rest), deadline) :]  # type: ignore[misc]
        return data

    def _recv(self, receive: Callable[[], Any], deadline: float | None) -> Any:
        self._wait_at_most(deadline)
        try:
            got = receive()
        except TimeoutError:
            raise LateError from None
        except OSError as error:
            raise ClosedError from error
        if not got:
            raise ClosedError
        return got

    def _wait_at_most(self, deadline: float | None) -> None:
        """Set the socket's timeout; rarely, because that is a system call."""
        if deadline is None:
            return
        left = deadline - time.monotonic()
        if left <= 0:
            raise LateError
        if not 0.9 * self._timeout < left <= self._timeout:
            self._timeout = left
            self._sock.settimeout(left)


def _slices(view: memoryview, lengths: Sequence[int]) -> list[memoryview]:
    slices, start = [], 0
    for length in lengths:
        slices.append(view[start : start + length])
        start += length
    return slices
