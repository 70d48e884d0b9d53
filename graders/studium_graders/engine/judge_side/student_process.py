"""A student's process, as the judge sees it: ``run``, ``get``, ``set``, ``delete``, ``has``, and requests."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from studium_graders.engine.judge_side.cell_replies import CellReplies
from studium_graders.engine.judge_side.permissions import Permissions
from studium_graders.engine.judge_side.random_state import JudgeState
from studium_graders.engine.judge_side.recording import Crossings
from studium_graders.engine.judge_side.sections import Printed, Rebound, Wanted
from studium_graders.engine.judge_side.side import JudgeSide
from studium_graders.engine.judge_side.student_gone import KeptError, StudentGone
from studium_graders.engine.kinds.cell_outputs import MOST_OF_ERROR, sendable
from studium_graders.engine.kinds.connecting import connect
from studium_graders.engine.kinds.functions import FunctionProxy
from studium_graders.engine.kinds.proxies import ProxyClass
from studium_graders.engine.material.limits import Limits
from studium_graders.engine.material.results import CellRun, Verdict
from studium_graders.engine.wire.channel import Channel, ClosedError, LateError, ProtocolError
from studium_graders.engine.wire.codec import RefusedError

_CONTAINERS = (list, dict, set)


class StudentProcess:
    """A student's process. Every method raises StudentGone once the process is of no use."""

    def __init__(self, sock: socket.socket, permissions: Permissions, limits: Limits, secret: bytes = b"") -> None:
        self.permissions, self.limits = permissions, limits
        self.gone: StudentGone | None = None
        self.side = self._side(secret)
        self._known: dict[str, Any] = {}  # functions and classes of the student's, until their names are rebound
        self.channel = Channel(sock, limits.message_mb)
        self.peer = connect(
            self.channel,
            limits,
            self.side,
            self.side.state,
            Printed(self.side.show_text),
            Rebound(self._known),
            Wanted(permissions, self.side.open_paths),
        )
        self.side.stand_on(self.peer)
        self._replies = CellReplies(limits.output_kb)

    def _side(self, secret: bytes) -> JudgeSide:
        crossings = Crossings() if self.permissions.recording else None
        kept, state = self.limits.output_kb, JudgeState(secret)
        return JudgeSide(self.permissions, self.request, secret, kept, state, crossings=crossings)

    # ------------------------------------------------------------------------------------------------ for tests

    def allow(self, limits: Limits) -> None:
        """Let these limits hold for the calls to come."""
        self.limits = self.peer.limits = limits

    def run(self, source: str, *, name: str = "", passing: bool = False) -> CellRun:
        """Run a cell in the student's shell; one with a name is the student's own, and goes to ``In`` and ``Out``.

        One that is ``passing`` is there as long as it runs.
        """
        plain, data = sorted(self.permissions.plain), sorted(self.permissions.data)
        try:
            return self._replies.read(self.request("run", source, bool(name), passing, plain, data))
        except StudentGone:
            raise
        except ProtocolError as error:
            raise self.disturbed(error) from error
        except Exception as error:  # raised by what runs cells, such as a MemoryError
            return CellRun(error=sendable(f"{type(error).__name__}: {error}"[:MOST_OF_ERROR]))

    def get(self, name: str) -> Any:
        """Return a global of the student's; NameError where there is none."""
        if name not in self._known:
            value = self.request("get", name, path=name)
            if not isinstance(value, FunctionProxy | ProxyClass):
                return value
            self._known[name] = value
        value = self._known[name]
        _came_from(value, name)
        return value

    def set(self, name: str, value: Any) -> None:
        """Set a global of the student's."""
        self.request("set", name, value)

    def delete(self, name: str) -> None:
        """Delete a global of the student's; NameError where there is none."""
        self.request("delete", name)

    def has(self, name: str) -> bool:
        """Return whether the student has a global of this name."""
        return self.request("has", name) is True

    @contextmanager
    def watching(self) -> Iterator[Callable[[], str]]:
        """Watch a test; what this yields returns why it needs one process; "" if it does not, or if none records."""
        crossings = self.side.crossings
        if crossings is not None:
            crossings.begin()
        yield lambda: "" if crossings is None else crossings.end()

    @property
    def refusal(self) -> TypeError | None:
        """The first refusal of the judge's own since the last ``take_refusal``."""
        return self.side.refusal

    def forget_refusal(self) -> None:
        """Begin to wait for the first refusal."""
        self.side.refusal = None

    # ------------------------------------------------------------------------------------------------ requests

    def request(self, operation: str, *operands: Any, path: str = "") -> Any:
        """Ask the student's process; what breaks the conversation becomes StudentGone, now and ever after."""
        if self.gone is not None:
            raise self.gone
        if operation == "method":
            self.permissions.called(path)
        if self.side.crossings is not None and not self.side.open_paths:
            self.side.crossings.look()
        with self._open(path):
            try:
                gave = self.peer.exchange(operation, operands, path)
            except (StopIteration, StopAsyncIteration) as error:
                if _may_stop(operation, operands):
                    raise
                raise RuntimeError(f"your code raised {type(error).__name__}") from error
            except (RefusedError, KeptError) as error:
                self.side.refused(error)
                raise
            except (LateError, ClosedError, ProtocolError) as error:
                raise self._ended(error) from error
        if isinstance(gave, _CONTAINERS):
            self.permissions.note("data", path)
        return gave

    @contextmanager
    def _open(self, path: str) -> Iterator[None]:
        self.side.open_paths.append(path)
        try:
            yield
        finally:
            self.side.open_paths.pop()
            if self.side.crossings is not None and not self.side.open_paths:
                self.side.crossings.request_ended()

    def _ended(self, error: Exception) -> StudentGone:
        if isinstance(error, LateError):
            seconds = f"{self.limits.call_seconds:g}"
            return self._end("time limit", f"stopped after {seconds} s: is there an endless loop?")
        if isinstance(error, ClosedError):
            return self._end("ended early", "your code ended the Python process: is there an exit(), or did it crash?")
        return self.disturbed(error)

    def disturbed(self, cause: Exception) -> StudentGone:
        """End the conversation because what came is no answer."""
        return self._end("broken protocol", "your code disturbed the connection over which it is graded", cause)

    def _end(self, verdict: Verdict, sentence: str, cause: Exception | None = None) -> StudentGone:
        self.gone = self.gone or StudentGone(verdict, sentence)
        self.gone.__cause__ = cause
        self.channel.close()
        return self.gone


def _came_from(value: Any, name: str) -> None:
    if isinstance(value, FunctionProxy):
        value.renamed(name)
    elif (handle := vars(value).get("_handle")) is not None:
        handle.renamed(name)


def _may_stop(operation: str, operands: tuple[Any, ...]) -> bool:
    """Return whether the answer to a request may be the end of an iteration."""
    stopping = operation in ("method", "special") and operands[1] in ("__next__", "send", "throw")
    return operation == "next" or stopping
