"""How much of a weight update a low rank can hold, and what training a low-rank adapter reaches and costs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from traitlets import Bool, Enum, Float, Int, TraitError

from studium_widgets.arrays import Array
from studium_widgets.base import Widget

__all__ = ["RankExplorer"]

SIZE = 64  # rows and columns of a built-in update, and the most that `delta` may have
STEPS = 800  # rank_explorer_learning.js has the same number
INDEX = np.arange(SIZE)
SPECTRA = {  # rank_explorer_maths.js has the same formulas
    "decaying": 4 * 0.7**INDEX,
    "low_rank": np.where(INDEX < 4, 4 - 0.8 * INDEX, 0),
    "noisy": np.where(INDEX < 4, 4 - 0.8 * INDEX, 0.4),
    "flat": np.ones(SIZE),
}


class RankExplorer(Widget):
    """An update, its best or learned product (alpha / rank) B A, and the residual; singular values, loss, costs.

    delta: the update, (rows, columns), 2 to 64 each. Without it `update` names a built-in one of 64 × 64: "decaying"
    (singular values 4 · 0.7^i), "low_rank" (four, then zeros), "noisy" (four, then all 0.4) or "flat" (all 1). rank:
    from 1 to the smaller side. alpha: above 0; the product is scaled by alpha / rank. factors: "best" (from the SVD,
    fitted at this scale), "learned" (at training step `steps`, from 0 to 800) or "rescaled" (fitted at scale 1, then
    used at alpha / rank); moving the steps slider shows the learned ones. optimiser: "adam" (rate 0.02, half cosine) or
    "descent" (rate 0.025), both in units in which the largest singular value is 4. seed: of the first A. logarithmic:
    the charts' vertical axes. Memory: model_size "1B", "7B", "70B" or "175B"; precision "bf16" or "fp32", for weights
    and gradients; lora: train adapters only. merged: the adapter is added into the weight. Theory: Hu et al. 2021,
    arXiv:2106.09685; Eckart and Young 1936. Raises TraitError for an option out of range.
    """

    _script = "rank_explorer.js"
    _style = "rank_explorer.css"

    delta = Array("float32", ("rows", "columns"), optional=True)
    update = Enum(tuple(SPECTRA), "decaying").tag(sync=True)
    rank = Int(4).tag(sync=True, between=(1, SIZE))
    alpha = Float(8.0).tag(sync=True, between=(1e-6, 1e6))
    factors = Enum(("best", "learned", "rescaled"), "best").tag(sync=True)
    steps = Int(STEPS).tag(sync=True, between=(0, STEPS))
    optimiser = Enum(("adam", "descent"), "adam").tag(sync=True)
    seed = Int(1).tag(sync=True, between=(0, 2**31))
    logarithmic = Bool(False).tag(sync=True)
    model_size = Enum(("1B", "7B", "70B", "175B"), "175B").tag(sync=True)
    precision = Enum(("bf16", "fp32"), "bf16").tag(sync=True)
    lora = Bool(True).tag(sync=True)
    merged = Bool(False).tag(sync=True)

    @property
    def alt(self) -> str:
        rows, columns = self.sides()
        energies = self.singular_values() ** 2
        total, tail = energies.sum(), energies[self.rank :].sum()
        kept = 1 - tail / total if total else 1.0
        cut = f"A {rows} × {columns} update cut at rank {self.rank} keeps {100 * kept:.1f} % of its energy"
        if self.factors == "learned":
            return f"{cut}; after {self.steps} steps the loss is on its way to the floor {tail:.4g}, the tail energy."
        if self.factors == "rescaled":
            missed = tail + (self.alpha / self.rank - 1) ** 2 * (total - tail)
            return f"{cut}; used at scale {self.alpha / self.rank:.3g} instead of 1 it leaves {missed:.4g}."
        return f"{cut}; the squared residual {tail:.4g} is the tail energy."

    def sides(self) -> tuple[int, int]:
        """Rows and columns of the update that is shown."""
        given: Any = self.delta
        return (SIZE, SIZE) if given is None else given.shape

    def singular_values(self) -> NDArray[np.float64]:
        """Singular values of the update that is shown, falling: (min(rows, columns),)."""
        given: Any = self.delta
        if given is None:
            return SPECTRA[self.update].astype(np.float64)
        return np.linalg.svd(given.astype(np.float64), compute_uv=False)

    def check(self) -> None:
        rows, columns = self.sides()
        if not (2 <= rows <= SIZE and 2 <= columns <= SIZE):
            raise TraitError(f"delta needs 2 to {SIZE} rows and columns, got {rows} × {columns}: cut out a block of it")
        for name, low, high in (("rank", 1, min(rows, columns)), ("steps", 0, STEPS)):
            if not low <= getattr(self, name) <= high:
                raise TraitError(f"{name} needs to be from {low} to {high}, got {getattr(self, name)}: choose another")
        if not (self.alpha > 0 and np.isfinite(self.alpha)):
            raise TraitError(
                f"alpha needs to be finite and above 0, got {self.alpha:g}: alpha equal to rank scales by 1"
            )
