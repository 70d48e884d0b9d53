"""A model and the same model with a share of a low-rank adapter, writing side by side in the page."""

from __future__ import annotations

from typing import Any, Self

from studium_widgets import Array
from traitlets import Float, Int, List, Unicode

from studium_topics.kits import packing, tales_lm
from studium_topics.kits.writer import PageWriter, require


class TwoStyles(PageWriter):
    """What the base model writes, next to what it writes with a share of a low-rank adapter and the same draws.

    adapter_tensors, adapter_weights, adapter_scales: the factors, packed as the base is.
    "layers_0_attention_q.a.weight" is A (r, in) of the layer layers.0.attention.q, and "….b.weight" is B (out, r).
    rank: r. alpha: the update is alpha / r · B A. share: how much of it is added to the weights, from 0 to 1. Other
    options as for `PageWriter`. Raises TraitError if they do not fit together.
    """

    _script = "two_styles.js"
    _style = "paper.css"

    adapter_tensors = List(Unicode()).tag(sync=True)
    adapter_weights = Array("uint8", ("adapter_weights",))
    adapter_scales = Array("float32", ("adapter_rows",))
    rank = Int(4, min=1, max=64).tag(sync=True)
    alpha = Float(8.0).tag(sync=True, between=(0, 1000))
    share = Float(1.0).tag(sync=True, between=(0, 1))

    @classmethod
    def adapted(cls, **options: Any) -> Self:
        """Return the widget with the model and the adapter that come with this package: tales, and recipes."""
        adapter = tales_lm.adapter()
        weights, scales = packing.packed(adapter)
        state = {"adapter_tensors": packing.layout(adapter), "adapter_weights": weights, "adapter_scales": scales}
        return cls.trained(**state | {"rank": tales_lm.RANK, "alpha": tales_lm.ALPHA} | options)

    @classmethod
    def example(cls) -> Self:
        return cls.adapted(length=60, seed=1)

    @classmethod
    def largest(cls) -> Self:
        return cls.adapted()

    @property
    def alt(self) -> str:
        return (
            f"What a model writes, and what it writes with {self.share:g} of an adapter of rank {self.rank}: "
            f"{self.settings}."
        )

    def check(self) -> None:
        super().check()
        weights, rows = packing.sizes(self.adapter_tensors)
        got = (self.adapter_weights.size, self.adapter_scales.size)
        require(got == (weights, rows), f"the adapter needs {weights} weights and {rows} scales, got {got}")
