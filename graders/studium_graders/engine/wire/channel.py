"""Frames over a socket: a pickle one way, msgpack the other, raw bytes for arrays, and a cap on all that is read.

A frame is a header (length of the structure, number of buffers), the length of each buffer, the structure, the buffers.
"""

import socket
import struct
import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

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


class Channel:
    """One end of the connection. ``deadline`` (monotonic seconds, None for no end) holds for sending and receiving."""

    def __init__(self, sock: socket.socket, message_mb: int) -> None:
        self._sock = sock
        self._most = message_mb << 20
        self._pending = bytearray()
        self._timeout = 0.0
        self._structure_most = min(self._most, STRUCTURE_MB << 20)

    def send_frame(self, structure: Buffer, buffers: Sequence[Buffer], deadline: float | None = None) -> None:
        """Send one frame. Raise TooLargeError before anything was sent, ClosedError or LateError."""
        lengths = [len(buffer) for buffer in buffers]
        total = sum(lengths)
        self._check(len(structure), len(buffers), total, TooLargeError)
        head = HEADER.pack(len(structure), len(buffers), total)
        parts = [head, struct.pack(f"<{len(lengths)}Q", *lengths), structure, *buffers]
        if len(structure) + total <= CHUNK:  # whatever is sent by itself wakes the other side, for a part
            parts = [b"".join(parts)]
        for part in parts:
            self._send_all(part, deadline)

    def receive_frame(self, deadline: float | None = None) -> tuple[Buffer, list[memoryview]]:
        """Return the next frame. Raise ProtocolError, ClosedError and LateError."""
        size, count, total = HEADER.unpack(self._read(HEADER.size, deadline))
        self._check(size, count, total, ProtocolError)
        lengths = struct.unpack(f"<{count}Q", self._read(8 * count, deadline))
        if sum(lengths) != total:
            raise ProtocolError("the lengths of the buffers do not add up")
        structure, data = self._read(size, deadline), memoryview(self._read(total, deadline))
        ends = accumulate(lengths)
        return structure, [data[end - length : end] for end, length in zip(ends, lengths, strict=True)]

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
