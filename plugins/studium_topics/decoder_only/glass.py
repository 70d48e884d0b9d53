"""A glass transformer: a small model of attention alone that runs in the browser, with every number in sight."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from studium_widgets import Array, Widget
from traitlets import Dict, Float, Int, List, TraitError

from studium_topics.decoder_only.model import Copier

LONGEST = 24  # the longest period; texts have twice as many tokens


class GlassTransformer(Widget):
    """A decoder of attention alone on a text that repeats itself: all heads at once, and what each layer would say.

    embedding, head (V, D); norm (D,); norms (L, D); q, k, v, o (L, D, D): the weights, as `of` takes them from a
    `Copier`. heads: H. fresh: the 24 tokens that texts are made from, 0 to V - 1. period: after how many of them the
    text starts again, 2 to 24. edits: {place: token}, tokens changed by hand. place: the query that is looked at.
    layer, shown: the head that is shown large. silent: heads that add nothing, as layer · H + head. temperature, top_k
    and top_p: how the next token would be drawn; top_k 0 is all.
    Source: Olsson et al. 2022, arXiv 2209.11895. Raises TraitError where they do not fit together.
    """

    _script = "glass.js"
    _style = "glass.css"

    embedding = Array("float32", ("tokens", "width"))
    head = Array("float32", ("tokens", "width"))
    norm = Array("float32", ("width",))
    norms = Array("float32", ("layers", "width"))
    q = Array("float32", ("layers", "width", "width"))
    k = Array("float32", ("layers", "width", "width"))
    v = Array("float32", ("layers", "width", "width"))
    o = Array("float32", ("layers", "width", "width"))
    heads = Int(4, min=1, max=64).tag(sync=True)
    fresh = List(Int(min=0)).tag(sync=True, between=(0, "tokens"))
    period = Int(20, min=2, max=LONGEST).tag(sync=True)
    edits = Dict(value_trait=Int(min=0)).tag(sync=True)
    place = Int(30, min=0, max=2 * LONGEST - 2).tag(sync=True)
    layer = Int(1, min=0).tag(sync=True, between=(0, "layers"))
    shown = Int(0, min=0).tag(sync=True)
    silent = List(Int(min=0)).tag(sync=True, between=(0, 4095))
    temperature = Float(1.0, min=0.05, max=5).tag(sync=True)
    top_k = Int(0, min=0).tag(sync=True)
    top_p = Float(1.0, min=0, max=1).tag(sync=True)

    @classmethod
    def of(cls, model: Copier, **options: Any) -> Self:
        """Return the widget for a trained `Copier`; options as above."""
        layers = [dict(layer.named_parameters()) for layer in model.blocks]
        stacked = {name: np.stack([_numbers(layer[name]) for layer in layers]) for name in "qkvo"}
        norms = np.stack([_numbers(layer["attention_norm"]) for layer in layers])
        tables = {name: _numbers(getattr(model, name)) for name in ("embedding", "head", "norm")}
        fresh = np.random.default_rng(0).integers(model.sizes.vocabulary, size=LONGEST).tolist()
        return cls(**{"fresh": fresh, "heads": model.sizes.heads, "norms": norms} | tables | stacked | options)

    @classmethod
    def example(cls) -> Self:
        from studium_topics.decoder_only import copier, exercises

        return cls.of(copier.trained(exercises))  # of which the parameters alone are shown

    @property
    def alt(self) -> str:
        layers = len(self.q)
        silent = f", {len(self.silent)} of them silent" if self.silent else ""
        return (
            f"A transformer of {layers} layers with {self.heads} heads each{silent}, on a text of {2 * LONGEST} tokens "
            f"that starts again after {self.period}; head {self.layer}.{self.shown} is shown at place {self.place}."
        )

    def check(self) -> None:
        tokens, width = self.embedding.shape
        layers = len(self.q)
        for name, size in {"head": (tokens, width), "norm": (width,), "norms": (layers, width)}.items():
            _require(getattr(self, name).shape == size, f"{name} needs shape {size}, got {getattr(self, name).shape}")
        for name in "kvo":
            _require(getattr(self, name).shape == self.q.shape, f"{name} needs the shape of q, {self.q.shape}")
        _require(self.q.shape[1] == width, f"q needs shape (L, {width}, {width}), got {self.q.shape}")
        _require(
            width % (2 * self.heads) == 0, f"heads must be of even width, got {width} numbers for {self.heads} heads"
        )
        _require(len(self.fresh) == LONGEST, f"fresh needs {LONGEST} tokens, got {len(self.fresh)}")
        _require(max(self.fresh) < tokens, f"tokens go up to {tokens - 1}, got {max(self.fresh)} in fresh")
        _require(self.layer < layers, f"layer goes up to {layers - 1}, got {self.layer}")
        _require(self.shown < self.heads, f"shown goes up to {self.heads - 1}, got {self.shown}")


def _require(fine: bool, sentence: str) -> None:
    if not fine:
        raise TraitError(sentence)


def _numbers(tensor: Any) -> Any:
    return tensor.detach().float().cpu().numpy()
