"""Rotary position embedding as clocks: each pair of dimensions is a dial that turns with the position."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from traitlets import Bool, Enum, Float, Int, TraitError

from studium_widgets.arrays import Array
from studium_widgets.base import Widget

__all__ = ["RotaryDial"]

FURTHEST = 8  # positions reach to this many trained contexts
METHODS = ("none", "linear", "ntk", "yarn")
MISTAKES = ("none", "key still", "sign", "mixed", "angles")


class RotaryDial(Widget):
    """Each pair of dimensions as a dial with a hand for the query and one for the key, and the score over the offset.

    dimensions: d of one head, even, 4 to 128. base: theta_i = base^(−2i/d). query_position, key_position: from 0 to 8
    contexts. context: the number of positions trained on. together: moving one position moves the other along. method:
    how a longer context is reached by `factor` (1 to 16): "none", "linear" (position interpolation), "ntk" or "yarn".
    layout: "half" pairs dimension i with i + d/2, "interleaved" 2i with 2i + 1. query, key: one head's vectors, (d,);
    ones by default. The score is q·k of the turned vectors over d. mistake: "none"; "key still" (the key is not
    turned), "sign" (the key turns the other way), "mixed" (pairs of one layout, angles of the other) or "angles"
    (exponent i/d in place of 2i/d). Theory: Su et al. 2021, arXiv:2104.09864; Chen et al. 2023, 2306.15595; Peng et al.
    2023, 2309.00071. Raises TraitError for an option out of range.
    """

    _script = "rotary_dial.js"
    _style = "rotary_dial.css"

    dimensions = Int(32).tag(sync=True, between=(4, 128))
    base = Float(10000.0).tag(sync=True, between=(10, 1e8))
    query_position = Int(40).tag(sync=True, between=(0, 8192 * FURTHEST))
    key_position = Int(10).tag(sync=True, between=(0, 8192 * FURTHEST))
    together = Bool(False).tag(sync=True)
    context = Int(128).tag(sync=True, between=(16, 8192))
    method = Enum(METHODS, "none").tag(sync=True)
    factor = Float(4.0).tag(sync=True, between=(1, 16))
    layout = Enum(("half", "interleaved"), "half").tag(sync=True)
    mistake = Enum(MISTAKES, "none").tag(sync=True)
    query = Array("float32", ("dimensions",), optional=True)
    key = Array("float32", ("dimensions",), optional=True)

    @classmethod
    def example(cls) -> Self:
        return cls(dimensions=16, context=48, query_position=20, key_position=8)

    @classmethod
    def largest(cls) -> Self:
        return cls(dimensions=128, context=2048, query_position=3000, method="yarn")

    @property
    def alt(self) -> str:
        offset = self.query_position - self.key_position
        slow = 2 * np.pi * self.base ** ((self.dimensions - 2) / self.dimensions)
        dials = f"{self.dimensions // 2} dials, one turn every 6.28 to {slow:.4g} positions"
        wrong = "" if self.mistake == "none" else f", with the mistake “{self.mistake}”"
        return f"{dials}; query at {self.query_position}, key at {self.key_position}, offset {offset}{wrong}."

    def check(self) -> None:
        furthest = FURTHEST * self.context
        limits: list[tuple[str, float, float]] = [
            ("dimensions", 4, 128),
            ("base", 10, 1e8),
            ("context", 16, 8192),
            ("factor", 1, 16),
            ("query_position", 0, furthest),
            ("key_position", 0, furthest),
        ]
        for name, low, high in limits:
            if not low <= getattr(self, name) <= high:
                raise TraitError(f"{name} needs to be from {low:g} to {high:g}, got {getattr(self, name):g}")
        if self.dimensions % 2:
            raise TraitError(f"dimensions need to be even, because they turn in pairs, got {self.dimensions}")
        for name in ("query", "key"):
            vector: NDArray[Any] | None = getattr(self, name)
            if vector is not None and len(vector) != self.dimensions:
                raise TraitError(f"{name} needs {self.dimensions} numbers, one per dimension, got {len(vector)}")
