"""Frames of the channel with any structure in them: a pickle in one direction, msgpack in the other."""

import struct
from collections.abc import Sequence
from itertools import accumulate

from studium_graders.engine.wire.channel import CHUNK, HEADER, Buffer, Channel, ProtocolError, TooLargeError


class Frames(Channel):
    """One end of the connection. A frame is a structure and the buffers that belong to it."""

    def send_frame(self, structure: Buffer, buffers: Sequence[Buffer], deadline: float | None = None) -> None:
        """Send one frame. Raise TooLargeError before anything was sent, ClosedError or LateError."""
        lengths = [len(buffer) for buffer in buffers]
        total = sum(lengths)
        self._check(len(structure), len(buffers), total, TooLargeError)
        head = HEADER.pack(len(structure), len(buffers), total)
        parts = [head, struct.pack(f"<{len(lengths)}Q", *lengths), structure, *buffers]
        for part in [b"".join(parts)] if len(structure) + total <= CHUNK else parts:
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
