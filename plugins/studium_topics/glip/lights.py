"""A caption that you write, and boxes that light up: a detector whose classes are the words of the caption."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from studium_widgets import Array, Widget
from torch import Tensor
from traitlets import Float, Int, List, TraitError, Unicode

from studium_topics.glip.model import WORDS, Detector, drawn
from studium_topics.glip.scenes import CELL, CENTRES, SIDE
from studium_topics.kits.shapes import Drawing, draw, in_quadrants

LONGEST = 80
SHOWN = (
    ("red ring", "blue ring", "red disc", "green square"),
    ("yellow cross", "yellow triangle", "purple cross", "white disc"),
    ("blue square", "blue disc", "green disc"),
)


class CaptionLights(Widget):
    """Images of shapes, a caption, and the boxes that a detector finds for its phrases or for one word of it.

    pixels (images, side, side, 3): from 0 to 255; regions (images, regions, width): vectors of the square grid of
    regions, row by row; boxes (images, regions, 4): left, top, right, bottom in units of a region's side. The
    reader of captions runs in the browser: vocabulary, V words with the full stop; embedding (V, width); kernel
    (3, width, width), which takes the word before, the word and the word after to a vector. log_scale, bias: of the
    logits. caption: names with full stops between them. word: 0 for the phrases, else the number of the word that is
    shown alone. threshold: the least score of a box; overlap: what suppression allows, both from 0 to 1.
    Raises TraitError where they do not fit together.
    """

    _script = "lights.js"
    _style = "lights.css"

    pixels = Array("uint8", ("images", "side", "side", 3))
    regions = Array("float32", ("images", "regions", "width"))
    boxes = Array("float32", ("images", "regions", 4))
    vocabulary = List(Unicode()).tag(sync=True, each="words")
    embedding = Array("float32", ("words", "width"))
    kernel = Array("float32", (3, "width", "width"))
    log_scale = Float(0.0).tag(sync=True, between=(-10, 10))
    bias = Float(0.0).tag(sync=True, between=(-100, 100))
    caption = Unicode("red ring. blue ring").tag(sync=True)
    image = Int(0).tag(sync=True, between=(0, 99))
    word = Int(0).tag(sync=True, between=(0, LONGEST))
    threshold = Float(0.6).tag(sync=True, between=(0.05, 0.95))
    overlap = Float(0.5).tag(sync=True, between=(0.05, 1))

    @classmethod
    def of(cls, model: Detector, names: Sequence[Sequence[str]] = SHOWN, seed: int = 0, **options: Any) -> Self:
        """Take a trained detector, and new images with these names; options as above."""
        drawing = scenes_with(names, seed)
        with torch.no_grad():
            regions, boxes = model.look(drawing.images.to(model.bias.device))
        state = {
            "regions": regions,
            "boxes": boxes,
            "embedding": model.embedding.detach(),
            "kernel": model.mix.weight.detach().permute(2, 0, 1),
        }
        numbers = {"log_scale": float(model.log_scale.detach()), "bias": float(model.bias.detach())}
        return cls(**pictured(drawing) | {name: _numbers(part) for name, part in state.items()} | numbers | options)

    @classmethod
    def drawn(cls, **options: Any) -> Self:
        """Take a model made by hand: a word is a direction, a region the sum of the words of the shape that it shows.

        Regions at a shape's edge show three quarters of it, and each region's box is a little off.
        """
        drawing, width = scenes_with(SHOWN, 3), len(WORDS)
        random = torch.Generator().manual_seed(0)
        regions, boxes = torch.zeros(len(SHOWN), len(CENTRES), width), torch.zeros(len(SHOWN), len(CENTRES), 4)
        boxes[:] = torch.cat([CENTRES - 0.5, CENTRES + 0.5], 1)
        for image, names in enumerate(SHOWN):
            for slot, name in enumerate(names):
                box = drawing.boxes[image, slot] / CELL
                away = ((CENTRES - (box[:2] + box[2:]) / 2).abs() / (box[2:] - box[:2])).amax(1)
                direction = torch.zeros(width)
                direction[[WORDS.index(word) for word in name.split()]] = 1.0
                regions[image, away < 0.5] = direction * torch.where(away < 0.3, 1.0, 0.75)[away < 0.5, None]
                boxes[image, away < 0.5] = box + 0.15 * torch.randn(int((away < 0.5).sum()), 4, generator=random)
        kernel = torch.stack([torch.zeros(width, width), torch.eye(width), torch.zeros(width, width)])
        state = {"regions": regions, "boxes": boxes, "embedding": torch.eye(width), "kernel": kernel}
        state = {name: _numbers(part) for name, part in state.items()}
        return cls(**pictured(drawing) | state | {"log_scale": math.log(10), "bias": -5.0} | options)

    @classmethod
    def example(cls) -> Self:
        return cls.drawn()

    @classmethod
    def largest(cls) -> Self:
        return cls.of(
            drawn(0), SHOWN * 3, caption="red ring. blue disc. green square. white cross. yellow ring", threshold=0.05
        )

    @property
    def alt(self) -> str:
        count = len(self.pixels)
        shown = f"word {self.word} alone" if self.word else "its phrases"
        return (
            f"Image {self.image} of {count}, with the boxes that a detector finds for {shown} in the caption "
            f"“{self.caption}”, with scores of at least {self.threshold:.2f}."
        )

    def check(self) -> None:
        if len(self.caption) > LONGEST:
            given = len(self.caption)
            raise TraitError(f"the caption needs at most {LONGEST} characters, got {given}: ask for fewer names")
        images, regions, _ = self.regions.shape
        if self.boxes.shape[:2] != (images, regions) or len(self.pixels) != images:
            raise TraitError(f"pixels and boxes need the {images} images and {regions} regions of `regions`")
        if math.isqrt(regions) ** 2 != regions:
            raise TraitError(f"regions need to be a square grid, such as 36, got {regions}")
        if self.image >= images:
            raise TraitError(f"image needs to be below the number of images, {images}, got {self.image}")
        words = len(self.embedding)
        if len(self.vocabulary) != words:
            given = len(self.vocabulary)
            raise TraitError(f"vocabulary needs one word for each row of embedding, {words}, got {given}")


def scenes_with(names: Sequence[Sequence[str]], seed: int) -> Drawing:
    """Draw an image for each list of names, each name in a quadrant of its own."""
    generator = torch.Generator().manual_seed(seed)
    return draw(in_quadrants(names, generator), SIDE, generator)


def pictured(drawing: Drawing) -> dict[str, Any]:
    """Return the images in whole numbers, and the vocabulary."""
    pixels = ((drawing.images + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return {"pixels": pixels, "vocabulary": list(WORDS)}


def _numbers(tensor: Tensor) -> np.ndarray[Any, Any]:
    return tensor.float().cpu().numpy()
