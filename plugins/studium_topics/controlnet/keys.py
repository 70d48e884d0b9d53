"""Two keys: a drawing that a model follows, and the gradients of a control's first steps."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from studium_widgets import Array, Widget
from torch import Tensor
from traitlets import Bool, Float, Int, List, TraitError, Unicode

from studium_topics.controlnet.model import SIDE

SCALES = (0.0, 0.5, 1.0, 1.5, 2.0)
FOLLOWED = 4  # images of each drawing


class TwoKeys(Widget):
    """A mask to draw and what a controlled model makes of it, above a control of three weights and its gradients.

    drawing: side² characters, 1 where there is ink, row by row. scale: of the control, one of SCALES. names, drawings:
    stored drawings; films (drawings, scales, images, side, side, 3): what the model made of each at each scale, as
    bytes. on_draw: (hint (1, side, side), scale) → images (n, 3, side, side) in [-1, 1], called in the kernel when the
    learner draws; without it, the stored images of the nearest drawing are shown. request, answered: the drawing and
    scale last asked for, and those of `images`; problem: why there are none.
    taken: steps of the small control; zero_in, zero_out: whether that weight starts at 0; sees_image: whether its copy
    gets the image; pooled: whether it gets the mean of the hint. Raises TraitError where they do not fit together.
    """

    _script = "keys.js"
    _style = "keys.css"

    side = Int(SIDE, min=4, max=32).tag(sync=True)
    drawing = Unicode("").tag(sync=True)
    scale = Float(1.0).tag(sync=True, between=(0, 2))
    names = List(Unicode(), minlen=1).tag(sync=True, each="stored")
    drawings = List(Unicode(), minlen=1).tag(sync=True, each="stored")
    films = Array("uint8", ("stored", len(SCALES), "images", "side", "side", 3))
    asks = Bool(False).tag(sync=True)
    request = Unicode().tag(sync=True)
    answered = Unicode().tag(sync=True)
    problem = Unicode().tag(sync=True)
    images = Array("uint8", ("images", "side", "side", 3), optional=True)
    taken = Int(0, min=0, max=30).tag(sync=True)
    zero_in = Bool(True).tag(sync=True)
    zero_out = Bool(True).tag(sync=True)
    sees_image = Bool(True).tag(sync=True)
    pooled = Bool(False).tag(sync=True)

    def __init__(self, *, on_draw: Callable[[Tensor, float], Tensor] | None = None, **state: Any) -> None:
        given = _opening() | {"asks": on_draw is not None} | state
        super().__init__(**({"drawing": given["drawings"][0]} | given))
        self._on_draw = on_draw
        self.observe(self._answer, names="request")

    @property
    def alt(self) -> str:
        ink = self.drawing.count("1")
        return (
            f"A drawing with {ink} of {self.side**2} pixels inked and what a controlled model makes of it at scale "
            f"{self.scale:g}; below, the gradients of a control of three weights after {self.taken} steps."
        )

    def check(self) -> None:
        for name in (self.drawing, *self.drawings):
            if len(name) != self.side**2 or set(name) - {"0", "1"}:
                raise TraitError(f"a drawing needs {self.side**2} characters 0 or 1, got {len(name)}: draw row by row")
        if self.films.shape[3] != self.side:
            raise TraitError(f"films need images of side {self.side}, got {self.films.shape[3]}")

    def _answer(self, _change: Any) -> None:
        """Shows what the model makes of the drawing, or says in one sentence why it made nothing."""
        if self._on_draw is None or not self.request:
            return
        scale, _, drawing = self.request.partition(" ")
        try:
            images = pictured(self._on_draw(hint_of(drawing), float(scale)))
            found: dict[str, Any] = {"images": images, "problem": ""}
        except Exception as error:  # whatever the learner's model raises
            found = {"problem": f"{type(error).__name__}: {error}"}
        with self.hold_sync(), self.hold_trait_notifications():
            for name, value in found.items():
                setattr(self, name, value)
            self.answered = self.request


def hint_of(drawing: str) -> Tensor:
    """Return a drawing, side² characters 0 or 1, as a hint (1, side, side) float32."""
    side = round(len(drawing) ** 0.5)
    return torch.tensor([float(character) for character in drawing]).view(1, side, side)


def drawing_of(hint: Tensor) -> str:
    """Return a hint (1, side, side) as a drawing, side² characters 0 or 1."""
    return "".join("1" if value > 0.5 else "0" for value in hint.flatten().tolist())


def pictured(images: Tensor) -> np.ndarray[Any, Any]:
    """Return images (n, 3, side, side) in [-1, 1] as bytes (n, side, side, 3); what lies outside is clipped."""
    clipped = images.detach().float().cpu().clamp(-1, 1)
    return ((clipped + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _opening() -> dict[str, Any]:
    kept = json.loads(files(__package__).joinpath("opening.json").read_text(encoding="utf-8"))
    flat = np.frombuffer(zlib.decompress(base64.b64decode(kept["films"])), np.uint8)
    films = flat.reshape(len(kept["drawings"]), len(SCALES), FOLLOWED, SIDE, SIDE, 3)
    return {"names": kept["names"], "drawings": kept["drawings"], "films": films}
