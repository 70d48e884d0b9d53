"""Two lanes: a text written without a cache and with one, pass by pass, by a small model that runs in the browser."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from studium_widgets import Array, Widget
from traitlets import Enum, Int, List, TraitError, Unicode

from studium_topics.kits.tiny_lm import TinyLM, base_model

FAULTS = ("nothing", "positions", "top-left", "stale")
LONGEST = 64  # tokens of prompt and text together


class TwoLanes(Widget):
    """What each pass computes without a cache and with one, the tokens that come out, the work, and the memory.

    embedding, head (V, D); norm (D,); norms (2 L, D), before attention and before the feed-forward network of each
    layer; q, k, v, o (L, D, D); up (L, F, D); down (L, D, F): the weights, as `of` takes them from a `TinyLM`.
    heads: H. characters: the V characters that tokens stand for. prompt: the tokens to begin with. new: how many to
    write, at most 64 together with the prompt. written: how many of them are shown. fault: what is wrong with the
    cache, one of FAULTS. page: slots in a page of the cache. Raises TraitError where they do not fit together.
    """

    _script = "lanes.js"
    _style = "lanes.css"

    embedding = Array("float32", ("tokens", "width"))
    head = Array("float32", ("tokens", "width"))
    norm = Array("float32", ("width",))
    norms = Array("float32", ("norms", "width"))
    q = Array("float32", ("layers", "width", "width"))
    k = Array("float32", ("layers", "width", "width"))
    v = Array("float32", ("layers", "width", "width"))
    o = Array("float32", ("layers", "width", "width"))
    up = Array("float32", ("layers", "hidden", "width"))
    down = Array("float32", ("layers", "width", "hidden"))
    heads = Int(4, min=1, max=64).tag(sync=True)
    characters = Unicode().tag(sync=True)
    prompt = List(Int(min=0), minlen=1, maxlen=LONGEST).tag(sync=True)
    new = Int(24, min=1, max=LONGEST).tag(sync=True)
    written = Int(1, min=1, max=LONGEST).tag(sync=True)
    fault = Enum(FAULTS, "nothing").tag(sync=True)
    page = Int(8, min=1, max=32).tag(sync=True)

    @classmethod
    def of(cls, model: TinyLM, characters: str, prompt: str, **options: Any) -> Self:
        """Return the widget for a model whose tokens are `characters`, and a prompt of them; options as above."""
        missing = sorted(set(prompt) - set(characters))
        _require(not missing, f"the prompt needs characters that the model knows, got {missing}: leave them out")
        layers = list(model.layers)
        stacked = {name: _stack(getattr(layer.attention, name).weight for layer in layers) for name in "qkvo"}
        stacked |= {name: _stack(getattr(layer.mlp, name).weight for layer in layers) for name in ("up", "down")}
        norms = _stack(norm.weight for layer in layers for norm in (layer.attention_norm, layer.mlp_norm))
        outside = {name: _numbers(getattr(model, name).weight) for name in ("embedding", "head", "norm")}
        ids = [characters.index(character) for character in prompt]
        options = {"characters": characters, "prompt": ids, "heads": layers[0].attention.heads} | options
        return cls(norms=norms, **outside, **stacked, **options)

    @classmethod
    def example(cls) -> Self:
        characters = "abcdefghijklmnopqrstuvwxyz .,\n"
        model = base_model(len(characters), 3, width=16, layers=2, heads=2, hidden=32)
        return cls.of(model, characters, "the cat sat on t", written=24)

    @property
    def alt(self) -> str:
        wrong = "" if self.fault == "nothing" else f", with something wrong: {self.fault}"
        return (
            f"Two lanes of passes: {self.written} of {self.new} tokens written behind a prompt of {len(self.prompt)}, "
            f"without a cache and with one{wrong}; the cache has pages of {self.page} slots."
        )

    def check(self) -> None:
        tokens, width = self.embedding.shape
        layers, hidden = self.up.shape[:2]
        shapes = {"head": (tokens, width), "norm": (width,), "norms": (2 * layers, width)}
        shapes |= dict.fromkeys("qkvo", (layers, width, width)) | {"down": (layers, width, hidden)}
        for name, size in (shapes | {"up": (layers, hidden, width)}).items():
            _require(getattr(self, name).shape == size, f"{name} needs shape {size}, got {getattr(self, name).shape}")
        _require(
            width % (2 * self.heads) == 0, f"heads must be of even width, got {width} numbers for {self.heads} heads"
        )
        _require(len(self.characters) == tokens, f"{tokens} characters are needed, got {len(self.characters)}")
        _require(max(self.prompt) < tokens, f"tokens go up to {tokens - 1}, got {max(self.prompt)} in prompt")
        length = len(self.prompt) + self.new
        _require(length <= LONGEST, f"prompt and new tokens need to be {LONGEST} at most, got {length}: write fewer")
        _require(self.written <= self.new, f"written goes up to {self.new}, the tokens to write, got {self.written}")


def _require(fine: bool, sentence: str) -> None:
    if not fine:
        raise TraitError(sentence)


def _stack(tensors: Any) -> Any:
    return np.stack([_numbers(tensor) for tensor in tensors])


def _numbers(tensor: Any) -> Any:
    return tensor.detach().float().cpu().numpy()
