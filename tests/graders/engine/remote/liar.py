"""A student's process that has said everything already, whatever it is asked."""

import socket
import struct

import msgspec
from studium_graders.engine.limits import Limits
from studium_graders.engine.remote import Policy, Student
from studium_graders.engine.remote.wire import HEADER

SECTIONS = ("text", "ambient", "mirrors", "modules", "graph", "rebound", "wanted", "classes", "kept")
QUICK = Limits(call_seconds=0.3, message_mb=8)


def frame(message, buffers=()):
    structure = msgspec.msgpack.encode(message)
    head = HEADER.pack(len(structure), len(buffers), sum(map(len, buffers)))
    return head + struct.pack(f"<{len(buffers)}Q", *map(len, buffers)) + structure + b"".join(buffers)


def reply(payload, *, sequence=1, kind=1, buffers=(), changes=(), released=(), **sections):
    more = [sections.get(name) for name in SECTIONS]
    more[:2] = more[0] or [], more[1] or [None, True]
    return frame([kind, sequence, None, payload, list(changes), list(released), *more], buffers)


class Liar:
    """A judge whose student has said everything already."""

    def __init__(self, *said, limits=QUICK, **policy):
        here, self.there = socket.socketpair()
        self.there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        self.there.setblocking(False)
        for part in said:
            self.there.send(part)
        self.student = Student(here, Policy(**({"recording": True} | policy)), limits)

    def ask(self, *parts):
        try:
            return self.student.request("call", *parts, path="f()")
        finally:
            self.student.channel.close()
            self.there.close()
