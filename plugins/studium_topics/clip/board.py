"""A board of images and captions: write your own captions, and see which image each of them finds."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from studium_widgets import Array, Widget
from torch import Tensor
from traitlets import Enum, Float, List, TraitError, Unicode

from studium_topics.clip import shapes
from studium_topics.clip.model import WORDS, Clip

MOST_PICTURES, LONGEST = 12, 80
WAYS = ("captions", "images", "cosine")
CHOSEN = ("small red ring", "large red ring", "small red disc", "small blue ring", "large green square",
          "small yellow cross", "large purple triangle", "large white disc")  # fmt: skip
STRENGTH = {"size": 0.7, "colour": 1.0, "form": 1.0}  # of what the model made by hand says


class CaptionBoard(Widget):
    """Images and captions that belong together, row by row, the captions to be written; and who finds whom.

    pictures (N, side, side, 3): pixels from 0 to 255; features (N, width): what the image tower makes of them. The text
    tower runs in the browser: vocabulary, V words; embedding (V, inner); up (hidden, inner) and bias (hidden,); down
    (width, hidden). captions, truth: N sentences that are compared, and what to come back to. temperature: τ, from
    0.01 to 1. shown: the softmax over "captions" (a row sums to 1), over "images" (a column does), or the "cosine".
    closed: how much of the gap between the means of images and captions is closed, from 0 to 1.
    Raises TraitError where they do not fit together.
    """

    _script = "board.js"
    _style = "board.css"

    pictures = Array("uint8", ("pictures", "side", "side", 3))
    features = Array("float32", ("pictures", "width"))
    vocabulary = List(Unicode()).tag(sync=True, each="words")
    embedding = Array("float32", ("words", "inner"))
    up = Array("float32", ("hidden", "inner"))
    bias = Array("float32", ("hidden",))
    down = Array("float32", ("width", "hidden"))
    captions = List(Unicode()).tag(sync=True, each="pictures")
    truth = List(Unicode()).tag(sync=True, each="pictures")
    temperature = Float(0.07).tag(sync=True, between=(0.01, 1))
    shown = Enum(WAYS, "captions").tag(sync=True)
    closed = Float(0.0).tag(sync=True, between=(0, 1))

    @classmethod
    def of(cls, model: Clip, kinds: Tensor, seed: int = 0, **options: Any) -> Self:
        """Take the towers of a trained model, and new images of kinds (N,); options as above."""
        pictures = shapes.render(kinds, torch.Generator().manual_seed(seed))
        with torch.no_grad():
            features = model.image(pictures.to(model.log_scale.device))
        tower = {"embedding": model.text.embedding, "up": model.text.up.weight, "bias": model.text.up.bias}
        state = {name: _numbers(part) for name, part in (tower | {"down": model.text.down.weight}).items()}
        state |= {
            "temperature": max(0.01, min(1.0, float((-model.log_scale.detach()).exp()))),
            "features": _numbers(features),
        }
        return cls(**_pictured(pictures, kinds) | state | options)

    @classmethod
    def drawn(cls, blind: str = "", **options: Any) -> Self:
        """A model made by hand: each word has a direction of its own, and so has the ground that all images share.

        blind: "size", "colour" or "form", which the features of the images say nothing of; "" for none.
        """
        random = np.random.default_rng(1)
        axes = np.linalg.qr(random.normal(size=(24, len(WORDS) + 1)))[0].T  # a direction a word, and the images' own
        kinds = torch.tensor([_kind(name) for name in CHOSEN])
        weights = {word: STRENGTH[what] for what, words in _words().items() for word in words}
        seen = {word: 0.0 if what == blind else weights[word] for what, words in _words().items() for word in words}
        features = [0.9 * axes[-1] + 0.07 * random.normal(size=24) for _ in CHOSEN]
        for feature, name in zip(features, CHOSEN, strict=True):
            feature += sum(seen[word] * axes[WORDS.index(word)] for word in name.split())
        state = {
            "features": features,
            "embedding": np.diag([weights.get(word, 0.3) for word in WORDS]),
            "up": np.eye(len(WORDS)),
            "bias": np.zeros(len(WORDS)),
            "down": axes[:-1].T,
        }
        return cls(**_pictured(shapes.render(kinds, torch.Generator().manual_seed(4)), kinds) | state | options)

    @classmethod
    def example(cls) -> Self:
        return cls.drawn()

    @classmethod
    def largest(cls) -> Self:
        from studium_topics.clip.model import drawn

        return cls.of(drawn(0), shapes.KINDS[:MOST_PICTURES])

    @property
    def alt(self) -> str:
        what = {"captions": "softmax over captions", "images": "softmax over images", "cosine": "cosines"}
        count, kept = len(self.truth), sum(map(str.__eq__, self.captions, self.truth))
        return (
            f"{count} images against {count} captions, {kept} of them as they were, {what[self.shown]} at "
            f"temperature {self.temperature:.3g}, with {self.closed:.0%} of the gap closed."
        )

    def check(self) -> None:
        count = len(self.pictures)
        if not 2 <= count <= MOST_PICTURES:
            raise TraitError(f"the board has room for 2 to {MOST_PICTURES} images, got {count}")
        for name in ("captions", "truth"):
            if len(getattr(self, name)) != count:
                given = len(getattr(self, name))
                raise TraitError(f"{name} need one sentence for each of {count} images, got {given}")
        if long := next((text for text in self.captions if len(text) > LONGEST), ""):
            raise TraitError(f"captions need at most {LONGEST} characters, got {len(long)}: say it in fewer words")
        words, inner = self.embedding.shape
        width, hidden = self.down.shape
        shapes_of = {"features": (count, width), "up": (hidden, inner), "bias": (hidden,)}
        for name, shape in shapes_of.items():
            if getattr(self, name).shape != shape:
                raise TraitError(f"{name} needs shape {shape}, got {getattr(self, name).shape}")
        if len(self.vocabulary) != words:
            given = len(self.vocabulary)
            raise TraitError(f"vocabulary needs one word for each row of embedding, {words}, got {given}")


def _pictured(pictures: Tensor, kinds: Tensor) -> dict[str, Any]:
    said = shapes.captions(kinds)
    pixels = (255 * pictures).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return {"pictures": pixels, "vocabulary": list(WORDS), "captions": said, "truth": list(said)}


def _kind(name: str) -> int:
    return shapes.captions(shapes.KINDS).index(f"a {name}")


def _words() -> dict[str, tuple[str, ...]]:
    return {"size": tuple(shapes.SIZES), "colour": tuple(shapes.COLOURS), "form": shapes.FORMS}


def _numbers(tensor: Tensor) -> np.ndarray[Any, Any]:
    return tensor.detach().float().cpu().numpy()
