"""Messages between processes that trust each other: a length, then MessagePack, on a socket of the machine's own.

Nothing here is ever shared with a student's code; what is, speaks ``remote``'s wire.
"""

import socket
import struct
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_LENGTH = struct.Struct("!Q")
_FRAME_LIMIT = 1 << 31


class LinkClosedError(Exception):
    """The process at the other end is gone."""


def send(link: socket.socket, message: Any) -> None:
    """Send a struct; raise LinkClosedError where nobody is there to read it."""
    send_bytes(link, msgspec.msgpack.encode(message))


def send_bytes(link: socket.socket, content: bytes) -> None:
    """Send bytes as one message."""
    try:
        link.sendall(_LENGTH.pack(len(content)) + content)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise LinkClosedError from error


def receive(link: socket.socket, kind: type[T]) -> T:
    """Wait for a message and decode it as ``kind``; raise LinkClosedError at the end."""
    return msgspec.msgpack.decode(receive_bytes(link), type=kind)


def receive_bytes(link: socket.socket) -> bytes:
    """Wait for a message; raise LinkClosedError at the end."""
    (length,) = _LENGTH.unpack(_exactly(link, _LENGTH.size))
    if length > _FRAME_LIMIT:
        raise LinkClosedError(f"a message must have less than {_FRAME_LIMIT} bytes: it has {length}")
    return bytes(_exactly(link, length))


def _exactly(link: socket.socket, size: int) -> bytearray:
    content = bytearray(size)
    view = memoryview(content)
    while view:
        try:
            count = link.recv_into(view)
        except ConnectionResetError as error:
            raise LinkClosedError from error
        if count == 0:
            raise LinkClosedError
        view = view[count:]
    return content
