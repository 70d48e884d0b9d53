"""What the student's process answers when it has run a cell: nothing but plain data gets through."""

from typing import Any

import msgspec

from studium_graders.engine.kinds.cell_outputs import MOST_OF_CELL, MOST_OF_ERROR, MOST_OUTPUTS, size_of
from studium_graders.engine.material.results import CellRun
from studium_graders.engine.wire.channel import ProtocolError

MOST_SHOWN = 64 << 20  # characters of output that are kept of a notebook


class CellReplies:
    """Reads the answers of one notebook's cells, and keeps their outputs as long as there is room for them."""

    def __init__(self, output_kb: int) -> None:
        self._most = MOST_OF_CELL * (output_kb << 10) + MOST_OUTPUTS * 100
        self._room = MOST_SHOWN

    def read(self, reply: Any) -> CellRun:
        """Return how a cell ran. Raise ProtocolError where the answer is none."""
        try:
            outputs, error = reply
            if (size := size_of(outputs, self._most)) > self._most:
                raise ProtocolError("more output than a cell can have")
            packed = msgspec.msgpack.encode([self._bounded(outputs, size), error[:MOST_OF_ERROR]])
            return CellRun(*msgspec.msgpack.decode(packed, type=tuple[list[dict[str, Any]], str]))
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError, OverflowError) as error:
            raise ProtocolError("no outputs of a cell") from error

    def _bounded(self, outputs: list[Any], size: int) -> list[Any]:
        self._room -= size
        if self._room >= 0:
            return outputs
        text = f"… the output was dropped: {MOST_SHOWN >> 20} MB are kept of a notebook\n"
        return [{"output_type": "stream", "name": "stdout", "text": text}]
