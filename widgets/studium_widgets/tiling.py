"""FlashAttention tile by tile: exact running sums, and the traffic between slow and fast memory."""

from __future__ import annotations

import math
from typing import Any, Self

from traitlets import Bool, Enum, Int, TraitError, default, observe

from studium_widgets.arrays import Array
from studium_widgets.base import Widget

__all__ = ["AttentionTiling"]

MISTAKES = ("none", "no-rescale", "block-maximum", "inverse")


class AttentionTiling(Widget):
    """Attention computed in tiles with a running maximum, sum and accumulator for each row, step by step.

    length N, 4 to 64, and width d, 2 to 64: random queries, keys and values from seed; or q, k, v (N, d), all three,
    your own. block_rows, block_columns: queries and keys in a tile, 1 to 64. order: "rows", where a block of queries
    meets all keys (Dao 2023), or "columns", where a block of keys meets all queries (Dao et al. 2022). causal: a query
    sees no later keys, and tiles in which nothing is visible are skipped. step: tiles done, from 0. mistake: one of
    MISTAKES. Traffic is counted in numbers, not in bytes. Raises TraitError if options do not fit together.
    """

    _script = "tiling.js"
    _style = "tiling.css"

    length = Int().tag(sync=True, between=(4, 64))
    width = Int().tag(sync=True, between=(2, 64))
    q = Array("float32", ("length", "width"), optional=True)
    k = Array("float32", ("length", "width"), optional=True)
    v = Array("float32", ("length", "width"), optional=True)
    block_rows = Int(8).tag(sync=True, between=(1, 64))
    block_columns = Int(8).tag(sync=True, between=(1, 64))
    order = Enum(("rows", "columns"), "rows").tag(sync=True)
    causal = Bool(False).tag(sync=True)
    step = Int().tag(sync=True, between=(0, 4096))
    mistake = Enum(MISTAKES, "none").tag(sync=True)
    seed = Int(0).tag(sync=True, between=(0, 2**31))

    @classmethod
    def largest(cls) -> Self:
        return cls(length=64, width=64, block_rows=4, block_columns=4)

    @property
    def alt(self) -> str:
        mask = "causal " if self.causal else ""
        wrong = "" if self.mistake == "none" else f", with the mistake {self.mistake}"
        blocks = f"tiles of {self.block_rows} × {self.block_columns}"
        place = f"{self.step} of {self.tiles()} tiles are done{wrong}"
        return f"Tiled {mask}attention of {self.length} tokens in {blocks}, by {self.order}: {place}."

    def tiles(self) -> int:
        """Return how many tiles have a score that is used."""
        height, across = max(1, self.block_rows), max(1, self.block_columns)  # 0 is refused by check
        rows, columns = math.ceil(self.length / height), math.ceil(self.length / across)
        if not self.causal:
            return int(rows * columns)
        lasts = (min(self.length, (i + 1) * height) for i in range(rows))
        return sum(math.ceil(last / across) for last in lasts)

    def check(self) -> None:
        self._check_arrays()
        for name, low in (("length", 4), ("width", 2), ("block_rows", 1), ("block_columns", 1)):
            if not low <= getattr(self, name) <= 64:
                raise TraitError(f"{name} needs to be from {low} to 64, got {getattr(self, name)}: choose another")
        if not 0 <= self.step <= self.tiles():
            raise TraitError(f"step needs to be from 0 to {self.tiles()}, got {self.step}: it counts tiles")

    @default("length")  # type: ignore[untyped-decorator]
    def _rows_given(self) -> int:
        return 32 if self.q is None else len(self.q)

    @default("width")  # type: ignore[untyped-decorator]
    def _columns_given(self) -> int:
        given: Any = self.q
        return 8 if given is None else int(given.shape[1])

    @default("step")  # type: ignore[untyped-decorator]
    def _underway(self) -> int:
        return self.tiles() * 2 // 5

    @observe("length", "block_rows", "block_columns", "causal")  # type: ignore[untyped-decorator]
    def _keep_step_inside(self, _change: Any) -> None:
        under_construction = not self._alt  # then a step that does not fit is the author's mistake
        if not under_construction:
            self.step = min(self.step, self.tiles())

    def _check_arrays(self) -> None:
        given = {name: getattr(self, name) for name in ("q", "k", "v") if getattr(self, name) is not None}
        if given and len(given) < 3:
            raise TraitError(f"q, k and v are needed together, got {' and '.join(given)}: pass all three or none")
        for name, array in given.items():
            if array.shape != (self.length, self.width):
                wanted = f"{name} needs the shape of q, ({self.length}, {self.width})"
                raise TraitError(f"{wanted}, got {array.shape}: length and width follow q")
