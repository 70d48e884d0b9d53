"""A student's process that has said everything already, whatever it is asked."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from studium_graders.course.limits import Limits
from studium_graders.engine.judge_side.student import Student
from studium_graders.engine.wire.channel import HEADER

QUICK = Limits(call_seconds=5, message_mb=8)
GAVE, RAISED, PULL, CALL_BACK, BROKEN = 1, 2, 3, 4, 5


def frame(message: Any, buffers: Sequence[bytes] = ()) -> bytes:
    structure = message if isinstance(message, bytes) else msgspec.msgpack.encode(message)
    head = HEADER.pack(len(structure), len(buffers), sum(map(len, buffers)))
    return head + struct.pack(f"<{len(buffers)}Q", *map(len, buffers)) + structure + b"".join(buffers)


def told(walked: int = 0, changes: Sequence[Any] = (), printed: Sequence[Any] = ()) -> list[Any]:
    return [walked, list(changes), list(printed), [False, False, False]]


def gave(node: Any, buffers: Sequence[bytes] = (), **more: Any) -> bytes:
    return frame([GAVE, node, told(**more)], buffers)


def raised(module: Any, cls: Any, name: str = "E", args: Sequence[Any] = (), text: str = "", echo: int = -1) -> bytes:
    return frame([RAISED, module, cls, name, list(args), text, "", echo, told()])


@contextmanager
def liar(*said: bytes, limits: Limits = QUICK) -> Any:
    """A judge whose student has said this."""
    here, there = socket.socketpair()
    there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 23)
    there.setblocking(False)
    for part in said:
        there.send(part)
    there.shutdown(socket.SHUT_WR)
    student = Student(here, limits, b"secret")
    try:
        yield student
    finally:
        student.close()
        there.close()
