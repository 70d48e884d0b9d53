"""What the student's side says with each message besides its value, and hears with the judge's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from studium_graders.engine.kinds.process_state import STATES
from studium_graders.engine.student_side.printed import Printed
from studium_graders.engine.wire.codec import Decoder, Encoder
from studium_graders.engine.wire.messages import Node
from studium_graders.engine.wire.section import PlainSection


class StudentState(PlainSection):
    """Takes over random state and modes that the judge sends; tells which generators were drawn from."""

    def __init__(self) -> None:
        self._before = [state.read() for state in STATES]
        self._in_cell = False
        self._floating: Any = None  # what a request has replaced

    def read(self, node: Node, decoder: Decoder) -> None:
        """Set what the judge sent; while a cell runs, its own modes hold."""
        *sent, dtype, grad, floating = node
        for index, state in enumerate(sent):
            if state is not None:
                STATES[index].set(state)
                self._before[index] = STATES[index].read()
        if dtype is not None:
            torch.set_default_dtype(getattr(torch, dtype))
        if grad is not None and not self._in_cell:
            torch.set_grad_enabled(grad)
        if floating is not None and not self._in_cell:
            self._floating = self._floating or np.geterr()
            np.seterr(**floating)

    def write(self, encoder: Encoder) -> Node:
        """Return which generators were drawn from since the last time, and the grad mode."""
        now = [state.read() for state in STATES]
        drawn = [one != other for one, other in zip(now, self._before, strict=True)]
        self._before = now
        return [*drawn, torch.is_grad_enabled()]

    @contextmanager
    def of_request(self, *, stays: bool) -> Iterator[None]:
        """Let modes hold for a request; what a cell sets ``stays``."""
        grad, before = torch.is_grad_enabled(), (self._floating, self._in_cell)
        self._floating, self._in_cell = None, stays
        yield
        if not stays:
            torch.set_grad_enabled(grad)
        if self._floating is not None:
            np.seterr(**self._floating)
        self._floating, self._in_cell = before


class Print(PlainSection):
    """Tells what was printed."""

    def __init__(self, printed: Printed) -> None:
        self._printed = printed

    def write(self, encoder: Encoder) -> Node:
        """Return what was printed since the last message."""
        return [[name, text.encode("utf-8", "replace").decode()] for name, text in self._printed.take()] or None


class Rebound(PlainSection):
    """Tells under which of the names that the judge has asked for something else is now."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._known: dict[str, Any] = {}

    def noted(self, name: str, value: Any) -> Any:
        """Remember what the judge has got under a name, if it can be called, and return it."""
        if callable(value):
            self._known[name] = value
        return value

    def write(self, encoder: Encoder) -> Node:
        """Return the names under which the judge must ask again."""
        names = [name for name, value in self._known.items() if self._namespace.get(name) is not value]
        for name in names:
            del self._known[name]
        return names or None


class Wanted(PlainSection):
    """Hears whether objects are wanted: as the answer, as its items, and for functions that a test passes."""

    def __init__(self) -> None:
        self._now: list[bool | None] = [None] * 3

    def read(self, node: Node, decoder: Decoder) -> None:
        """Remember it while the request is answered."""
        self._now = node

    def at(self, place: int) -> bool | None:
        """Return whether an object is wanted in one of the three places, None where that is not known."""
        return self._now[place]

    @contextmanager
    def of_request(self) -> Iterator[None]:
        """Let what is wanted hold for a request."""
        before = self._now
        yield
        self._now = before
