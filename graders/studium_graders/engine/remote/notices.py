"""What an answer warns of and logs while a test listens: told after each call, and said once more in the judge."""

import logging
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

from studium_graders.engine.remote.decode import READERS, Decoder
from studium_graders.engine.remote.encode import WRITERS, Encoder
from studium_graders.engine.remote.errors import LONGEST, error_node, error_of
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

if TYPE_CHECKING:
    from studium_graders.engine.remote.peer import Peer

_MOST = 1000
_USUAL = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


class Notices(list[Any]):
    """Warnings, each with whether a cell is to blame and the line there, and records of loggers."""


@dataclass
class Record:
    """What a logger was told; ``enabled`` where it lets that through by what the answer itself has set."""

    logger: str
    level: int
    message: str
    enabled: bool


class Listener:
    """Keeps in the student's process what is warned of and logged."""

    def __init__(self, is_own_file: Callable[[str], bool]) -> None:
        self._is_own_file = is_own_file
        self._stack = ExitStack()
        self._logged: list[Any] = []
        self._warned: list[warnings.WarningMessage] = self._stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always")
        enabled, handle = logging.Logger.isEnabledFor, logging.Logger.handle

        def keep(logger: logging.Logger, record: logging.LogRecord) -> None:
            lets_through = enabled(logger, record.levelno)
            self._logged.append(Record(record.name, record.levelno, record.getMessage(), lets_through))
            if lets_through:
                handle(logger, record)

        for name, changed in (("isEnabledFor", lambda *_: True), ("handle", keep)):
            self._stack.enter_context(mock.patch.object(logging.Logger, name, changed))

    def close(self) -> None:
        """Listen no longer."""
        self._stack.close()

    def take(self) -> Notices:
        """Give what came since the last time."""
        warned = ((item.message, self._is_own_file(item.filename), item.lineno) for item in self._warned)
        found = Notices([*warned, *self._logged][:_MOST])
        self._warned.clear()
        self._logged.clear()
        return found


@dataclass
class Speaker:
    """Says in the judge what an answer has warned of and logged; each warning as often as Python shows it there."""

    ask: Callable[..., Any]
    _shown: dict[Any, Any] = field(default_factory=dict)

    def begin(self) -> None:
        """Have the student's process listen."""
        self.ask("listen", True)

    def before(self) -> None:
        """Do nothing: a test warns of what it wants."""

    def after(self) -> None:
        """Say what came of a call."""
        if isinstance(told := self.ask("notices"), Notices):
            self._say(told)

    def end(self) -> None:
        """Have it listen no longer."""
        self.ask("listen", False)

    def _say(self, notices: Notices) -> None:
        """Warn and log; a warning that the test has made an error is raised."""
        for item in notices:
            if isinstance(item, Record):
                _log(item)
        for error, own, line in (item for item in notices if not isinstance(item, Record)):
            module = "__main__" if own else "library"
            warnings.warn_explicit(error, type(error), "<your code>", line, module, self._shown)


def as_in_a_notebook() -> None:
    """Show the warnings that a new notebook shows."""
    warnings.resetwarnings()
    for kind in _USUAL:
        warnings.simplefilter("ignore", kind)
    warnings.filterwarnings("default", category=DeprecationWarning, module="__main__")


def _log(record: Record) -> None:
    logger = logging.getLogger(record.logger)
    usual = logger.getEffectiveLevel() == logging.WARNING  # else the test has said what it wants
    enabled = record.enabled if usual else logger.isEnabledFor(record.level)
    if enabled and logger.hasHandlers():
        logger.handle(logger.makeRecord(record.logger, record.level, "<your code>", 1, record.message, (), None))


def _write(encoder: Encoder, notices: Notices) -> Any:
    return [Tag.NOTICES, *(_row(item, encoder, encoder.peer) for item in notices)]


def _row(item: Any, encoder: Encoder, peer: "Peer") -> list[Any]:
    if isinstance(item, Record):
        return [encoder.text(item.logger[:LONGEST]), item.level, encoder.text(item.message[:LONGEST]), item.enabled]
    error, own, line = item
    return [error_node(error, encoder, peer, value=True), own, line]


def _read(decoder: Decoder, node: list[Any]) -> Notices:
    with decoder.inside():
        found = [_notice(row, decoder) for row in node[1 : _MOST + 1]]
    return Notices(found)


def _notice(row: list[Any], decoder: Decoder) -> Any:
    if len(row) == 4:
        record = Record(decoder.decode(row[0]), row[1], decoder.decode(row[2]), row[3] is True)
        if not (type(record.logger) is type(record.message) is str and type(record.level) is int):
            raise ProtocolError("no record of a logger")
        return record
    error, own, line = error_of(row[0], decoder, decoder.peer), row[1], row[2]
    if not isinstance(error, Warning) or type(line) is not int:
        raise ProtocolError("no warning")
    return error, own is True, line


WRITERS[Notices] = _write
READERS[Tag.NOTICES] = _read
