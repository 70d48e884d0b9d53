"""What a cell showed, as the student's process says: no more of it than a notebook has room for."""

import msgspec

from studium_graders.engine.kinds.cell_outputs import MOST_OF_CELL, MOST_OF_ERROR, MOST_OUTPUTS, size_of
from studium_graders.engine.material.results import CellRun
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.messages import Output, Ran, StreamOutput

MOST_SHOWN = 64 << 20  # characters of output that are kept of a notebook


class CellOutputs:
    """Reads how the cells of one notebook ran, and keeps their outputs as long as there is room for them."""

    def __init__(self, output_kb: int) -> None:
        self._most = MOST_OF_CELL * (output_kb << 10) + MOST_OUTPUTS * 100
        self._room = MOST_SHOWN

    def read(self, ran: Ran) -> CellRun:
        """Return how a cell ran. Raise ProtocolError where it has more output than a cell can have."""
        size = size_of(msgspec.to_builtins(ran.outputs), self._most)
        if size > self._most:
            raise ProtocolError("more output than a cell can have")
        self._room -= size
        outputs: list[Output] = ran.outputs
        if self._room < 0:
            text = f"… the output was dropped: {MOST_SHOWN >> 20} MB are kept of a notebook\n"
            outputs = [StreamOutput("stdout", text)]
        return CellRun(msgspec.to_builtins(outputs), ran.error[:MOST_OF_ERROR])
