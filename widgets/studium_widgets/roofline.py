"""The roofline: what a card can reach at each arithmetic intensity, and where a model's work lies below it."""

from __future__ import annotations

from typing import Any, Self

from traitlets import Enum, Int, List, TraitError, Unicode

from studium_widgets.arrays import Array
from studium_widgets.base import Widget
from studium_widgets.memory_meter import CARDS, DTYPES, MODELS, check_shape

__all__ = ["Roofline"]


class Roofline(Widget):
    """FLOP/s over arithmetic intensity for one card, with the points of reading a prompt, decoding and attention.

    card: one of CARDS. model: one of MODELS; batch: 1 to 1024; context: 128 to 131072 tokens; kv_heads: 0 as published,
    -1 MHA, 1 MQA or another divisor of the heads; weight_dtype, cache_dtype: "fp32", "bf16", "int8" or "int4". measured
    (kernels, 2): arithmetic intensity in FLOP per byte and FLOP/s of your own kernels, at most 20; names: one for each.
    The model's points are bounds: no work can lie above its roof. Williams, Waterman and Patterson 2009. Raises
    TraitError for an option out of range.
    """

    _script = "roofline.js"
    _style = "roofline.css"

    card = Enum(CARDS, "a100-80").tag(sync=True)
    model = Enum(tuple(MODELS), "llama-3-8b").tag(sync=True)
    batch = Int(8).tag(sync=True, between=(1, 1024))
    context = Int(2048).tag(sync=True, between=(128, 131072))
    kv_heads = Int(0).tag(sync=True, between=(-1, 128))
    weight_dtype = Enum(DTYPES, "bf16").tag(sync=True)
    cache_dtype = Enum(DTYPES, "bf16").tag(sync=True)
    measured = Array("float32", ("kernels", 2), optional=True)
    names = List(Unicode()).tag(sync=True, each_if_any="kernels")

    @classmethod
    def example(cls) -> Self:
        """Return an instance with the two kernels of Dao et al. 2022, figure 2: operations, bytes, times on an A100."""
        standard, flash = (66.6e9, 40.3e9, 41.7e-3), (75.2e9, 4.4e9, 7.3e-3)
        points = [[operations / size, operations / time] for operations, size, time in (standard, flash)]
        return cls(measured=points, names=["standard attention, measured", "FlashAttention, measured"])

    @property
    def alt(self) -> str:
        own = "" if self.measured is None else f" and {len(self.measured)} measured kernels"
        work = f"{MODELS[self.model][0]} at batch {self.batch} and context {self.context}"
        return f"Roofline of the card {self.card} with the work of {work}{own}."

    def check(self) -> None:
        check_shape(self)
        given: Any = self.measured
        count = 0 if given is None else len(given)
        if count > 20:
            raise TraitError(f"measured needs at most 20 rows, got {count}: choose the kernels that matter")
        if count and not given.min() > 0:
            raise TraitError(f"measured needs numbers above 0, got {given.min():g}: FLOP per byte, and FLOP/s")
        if len(self.names) != count:
            raise TraitError(f"names need one string for each of {count} kernels, got {len(self.names)}: count them")
