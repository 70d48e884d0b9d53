"""A student's process, as the judge sees it: cells, names, calls, and what became of a test."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from studium_graders.course.limits import Limits
from studium_graders.engine.judge_side.cell_outputs import CellOutputs
from studium_graders.engine.judge_side.conversation import Conversation
from studium_graders.engine.judge_side.permissions import Watch, Words
from studium_graders.engine.judge_side.random_state import RandomState
from studium_graders.engine.judge_side.session import Session
from studium_graders.engine.judge_side.student_gone import StudentGone
from studium_graders.engine.kinds.objects import open_classes
from studium_graders.engine.kinds.process_state import dtype_name
from studium_graders.engine.material.results import CellRun
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import RefusedError
from studium_graders.engine.wire.messages import Ask, Call, Differentiate, Get, Ran, Run, Surroundings

WATCHES = "a mode of torch's sees nothing of what another process computes"


class Student:
    """A student's process. Every method raises StudentGone once the process is of no use.

    ``packages`` are those, besides torch, of whose classes both sides have instances.
    """

    def __init__(
        self, sock: socket.socket, limits: Limits, secret: bytes = b"", *, packages: tuple[str, ...] = ()
    ) -> None:
        self._random = RandomState(secret)
        self._is_open = open_classes(packages)
        self._reads: Mapping[str, Any] = {}
        self._tests = 0
        self._session = self._new_session(Watch(frozenset(), open=False), 0)
        self._conversation = Conversation(sock, limits)
        self._outputs = CellOutputs(limits.output_kb)

    # ------------------------------------------------------------------------------------------------ for the judge

    @property
    def gone(self) -> StudentGone | None:
        """Why the process is of no use any more."""
        return self._conversation.gone

    @property
    def limits(self) -> Limits:
        """The limits that hold for requests."""
        return self._conversation.limits

    def allow(self, limits: Limits) -> None:
        """Let these limits hold for the requests to come."""
        self._conversation.limits = limits

    def close(self) -> None:
        """End the conversation."""
        self._conversation.close()

    def run(self, source: str, *, given: bool = False, passing: bool = False) -> CellRun:
        """Run a cell in the student's shell; a given one defines what is in the module ``given``.

        One that is ``passing`` is a test, of which nothing is left in ``In`` and ``Out``.
        """
        try:
            ran: Ran = self._conversation.request(Run(source, given, passing, self._around()), self._session)
            run = self._outputs.read(ran)
        except (RefusedError, ProtocolError) as error:
            raise self._conversation.disturbed(error) from error
        self._random.drawn(ran.drew)
        return run

    @contextmanager
    def test(
        self, words: Words | None, *, applied: bool = False, reads: Mapping[str, Any] | None = None
    ) -> Iterator[Watch]:
        """Open a test that may receive what these words stand for; None records what it needs.

        ``applied``: changes without permission are made all the same. ``reads`` are given data that the test reads:
        they are an argument of each call.
        """
        watch = Watch(words, applied)
        self._tests += 1
        self._reads = reads or {}
        self._session = self._new_session(watch, self._session.next_lent)
        try:
            yield watch
        finally:
            self._session.arguments.end()
            watch.close()

    def get(self, name: str) -> Any:
        """Return what the student has under a name; NameError where there is nothing."""
        with self._session.freely():
            return self._conversation.request(Get(name, self._around()), self._session)

    # ------------------------------------------------------------------------------------------------ for a Remote

    def call(self, target: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call an object of the student's."""
        self._require_no_mode()
        session, reads = self._session, self._reads
        first = session.arguments.open([args, *kwargs.values(), *reads.values()])
        try:
            keep = session.arguments.keeps
            return self._asked(Call(target, args, kwargs, tuple(reads), first, keep, self._around()))
        finally:
            session.arguments.close()

    def ask(self, handle: int, what: Any, name: str = "") -> Any:
        """Ask an object of the student's for an attribute, an iterator, or the next item."""
        self._require_no_mode()
        self._session.arguments.open([])
        try:
            return self._asked(Ask(handle, what, name, self._around()), stops=what == "next")
        finally:
            self._session.arguments.close()

    # ------------------------------------------------------------------------------------------------ requests

    def _asked(self, message: Call | Ask, *, stops: bool = False) -> Any:
        try:
            value = self._conversation.request(message, self._session)
        except StopIteration as error:
            if stops:
                raise
            raise RuntimeError("your code raised StopIteration") from error
        self._session.arguments.came(value)
        return value

    def _differentiate(
        self, output: int, inputs: dict[int, torch.Tensor], gradient: torch.Tensor, create_graph: bool
    ) -> list[Any]:
        message = Differentiate(output, tuple(inputs), gradient, create_graph, self._around())
        found: list[Any] = self._conversation.request(message, self._session, leaves=dict(inputs))
        return found

    def _around(self) -> Surroundings:
        session = self._session
        released, session.graph.released = session.graph.released, []
        grads = session.graph.changed_grads()
        errors: Any = np.geterr()
        states = self._random.changed()
        return Surroundings(torch.is_grad_enabled(), dtype_name(), errors, states, grads, released)

    def _new_session(self, watch: Watch, lent: int) -> Session:
        return Session(self._tests, watch, self, self._differentiate, self._random, self._is_open, lent)

    def _require_no_mode(self) -> None:
        """Raise RefusedError where a test watches torch's operators: it would see nothing of another process."""
        if torch._C._len_torch_dispatch_stack():
            raise self._session.refuse(WATCHES)
