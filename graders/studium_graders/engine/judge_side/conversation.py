"""Requests and what comes back: values, exceptions, and the questions of the student's process in between."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import torch

from studium_graders.course.limits import Limits
from studium_graders.engine.judge_side import lent
from studium_graders.engine.judge_side.session import EndedError, Session, given_errors
from studium_graders.engine.judge_side.student_gone import StudentGone
from studium_graders.engine.kinds.exceptions import LONGEST_LINE, built
from studium_graders.engine.kinds.table import KINDS
from studium_graders.engine.material.results import Verdict
from studium_graders.engine.wire.channel import Channel, ClosedError, LateError, ProtocolError, TooLargeError
from studium_graders.engine.wire.codec import Decoder, RefusedError
from studium_graders.engine.wire.messages import (
    Broken,
    CallBack,
    Gave,
    Pull,
    Raised,
    Ran,
    Request,
    Returned,
    Run,
    ToJudge,
)
from studium_graders.engine.wire.sending import dumps

DEEPEST = 50  # requests within callbacks within requests
_MOST_PRINTED = 2  # times what the student's side keeps of a call
_decoder: msgspec.msgpack.Decoder[ToJudge] = msgspec.msgpack.Decoder(ToJudge)


class Conversation:
    """The judge's end of the wire. What breaks it becomes StudentGone, now and ever after."""

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        self.limits = limits
        self.gone: StudentGone | None = None
        self._channel = Channel(sock, limits.message_mb)
        self._deadline = 0.0
        self._open = 0

    def close(self) -> None:
        """Close the wire."""
        self._channel.close()

    def request(self, message: Request, session: Session, leaves: dict[int, torch.Tensor] | None = None) -> Any:
        """Send a request, answer what is asked in between, and return what it gave; of a cell how it ran."""
        if self.gone is not None:
            raise self.gone
        with self._ending(), self._opened(session, {} if leaves is None else leaves):
            self._send(dumps(message, session), session)
            while True:
                reply, buffers = self._receive()
                if isinstance(reply, CallBack | Pull):
                    self._answer(reply, session, buffers)
                elif isinstance(reply, Ran) != isinstance(message, Run) and not isinstance(reply, Broken):
                    raise ProtocolError("an answer to another request")
                else:
                    return self._result(reply, session, buffers)

    @contextmanager
    def _opened(self, session: Session, leaves: dict[int, torch.Tensor]) -> Iterator[None]:
        if self._open >= DEEPEST:
            raise RecursionError("your code and the test call each other too often")
        if not self._open:
            self._deadline = time.monotonic() + self.limits.call_seconds
            session.random.begin()
            session.printed_left = _MOST_PRINTED * (self.limits.output_kb << 10)
        self._open += 1
        session.graph.open(leaves)
        try:
            yield
        finally:
            session.graph.close()
            self._open -= 1

    @contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        except LateError as error:
            seconds = f"{self.limits.call_seconds:g}"
            raise self._end("time limit", f"stopped after {seconds} s: is there an endless loop?", error) from error
        except ClosedError as error:
            sentence = "your code ended the Python process: is there an exit(), or did it crash?"
            raise self._end("ended early", sentence, error) from error
        except ProtocolError as error:
            raise self.disturbed(error) from error

    def _answer(self, question: CallBack | Pull, session: Session, buffers: list[memoryview]) -> None:
        try:
            found = self._answered(question, session, buffers)
            depends_on, known = session.pending, set(session.graph.leaves)
            self._send(dumps(found, session, naming=isinstance(found, Returned)), session, answer=True)
        except (EndedError, RefusedError, TooLargeError) as error:
            self._send(dumps(lent.failed(session, error), session), session, answer=True)
            return
        results = {number: leaf for number, leaf in session.graph.leaves.items() if number not in known}
        session.graph.hang(results, depends_on)

    def _answered(self, question: CallBack | Pull, session: Session, buffers: list[memoryview]) -> Any:
        if isinstance(question, CallBack):
            return lent.answer(session, question, buffers)
        return lent.pull(session, question, buffers)

    def _result(self, reply: ToJudge, session: Session, buffers: list[memoryview]) -> Any:
        if isinstance(reply, Ran):
            return reply
        if isinstance(reply, Broken):
            raise session.refuse(f"the judge cannot tell: {reply.sentence[:200]}")
        decoder = Decoder(KINDS, session, buffers)
        if isinstance(reply, Gave):
            session.arguments.expect(reply.told.changes)
            value = decoder.value(reply.value)
            session.hear(reply.told, decoder, for_now=False)
            return value
        if not isinstance(reply, Raised):
            raise ProtocolError("no answer")
        error = self._error(reply, session, decoder)
        session.hear(reply.told, decoder, for_now=False)
        raise error

    def _error(self, reply: Raised, session: Session, decoder: Decoder) -> BaseException:
        if reply.echo >= 0:
            if reply.echo >= len(session.failures):
                raise ProtocolError("no such exception")
            return session.failures[reply.echo]
        if (reply.module, reply.cls) == ("builtins", "StopIteration"):
            return StopIteration()
        parts = [reply.module, reply.cls, reply.name, reply.args, reply.text]
        error: BaseException = decoder.guarded(built, decoder, parts, given_errors())
        error.student_line = reply.line[:LONGEST_LINE]  # type: ignore[attr-defined]
        return error

    # ------------------------------------------------------------------------------------------------ frames

    def _send(self, data: bytes, session: Session, *, answer: bool = False) -> None:
        about = f"{session.number} {'answer' if answer else 'request'}".encode()
        self._channel.send_frame(about, [data], self._deadline)

    def _receive(self) -> tuple[ToJudge, list[memoryview]]:
        structure, buffers = self._channel.receive_frame(self._deadline)
        try:
            return _decoder.decode(structure), buffers
        except (msgspec.MsgspecError, RecursionError, ValueError, TypeError, MemoryError) as error:
            raise ProtocolError("what came is no message") from error

    def disturbed(self, cause: Exception | None = None) -> StudentGone:
        """End the conversation because what came is no answer."""
        return self._end("broken protocol", "your code disturbed the connection over which it is graded", cause)

    def _end(self, verdict: Verdict, sentence: str, cause: Exception | None) -> StudentGone:
        self.gone = self.gone or StudentGone(verdict, sentence)
        self.gone.__cause__ = cause
        self._channel.close()
        return self.gone
