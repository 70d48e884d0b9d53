"""A student's process that has said everything already, whatever it is asked."""

import socket
import struct

import msgspec
from studium_graders.engine.judge_side.student_process import StudentProcess
from studium_graders.engine.material.limits import Limits
from studium_graders.engine.wire.channel import HEADER

from .permitting import permissions

SECTIONS = ("graph", "modules", "mirrors", "classes", "state", "text", "rebound", "wanted")
STATE = [False, False, False, True]  # nothing was drawn, and gradients are recorded
QUICK = Limits(call_seconds=0.3, message_mb=8)
HANGING = 30  # seconds: who waits so long has no limit; on a busy machine what is limited takes a few


def frame(message, buffers=()):
    structure = msgspec.msgpack.encode(message)
    head = HEADER.pack(len(structure), len(buffers), sum(map(len, buffers)))
    return head + struct.pack(f"<{len(buffers)}Q", *map(len, buffers)) + structure + b"".join(buffers)


def reply(payload, *, number=1, kind=1, buffers=(), changes=(), released=(), **sections):
    told = [({"state": STATE} | sections).get(name) for name in SECTIONS]
    return frame([kind, number, list(changes), list(released), told, payload], buffers)


def request(operation, operands):
    told = [{"state": STATE}.get(name) for name in SECTIONS]
    return frame([0, 1, [], [], told, operation, operands])


class Liar:
    """A judge whose student has said everything already."""

    def __init__(self, *said, limits=QUICK, **policy):
        here, self.there = socket.socketpair()
        self.there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        self.there.setblocking(False)
        for part in said:
            self.there.send(part)
        self.student = StudentProcess(here, permissions(**policy), limits)

    def ask(self, *parts):
        try:
            return self.student.request("call", *parts, path="f()")
        finally:
            self.student.channel.close()
            self.there.close()
