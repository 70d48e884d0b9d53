"""Images in which only what a phrase found is bright."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from studium_topics.glip.scenes import CELL, GRID, SIDE

LARGER = 4  # each pixel becomes 4 × 4, so that the edge of a box is seen


def lit_regions(image: Tensor, scores: Tensor) -> Tensor:
    """Return copies (c, 3, 96, 96) of an image (3, 24, 24), one a phrase, as bright as its scores (c, 36) say."""
    light = scores.view(-1, 1, GRID, GRID).repeat_interleave(CELL, 2).repeat_interleave(CELL, 3)
    return _lit(image, light)


def lit_boxes(image: Tensor, answers: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Return copies (c, 3, 96, 96) of an image (3, 24, 24), one a phrase, bright inside its boxes (k, 4) alone."""
    axis = (torch.arange(SIDE * LARGER) + 0.5) / LARGER
    lights = []
    for boxes, _ in answers:
        left, top, right, bottom = CELL * boxes.T[:, :, None, None]
        inside = (axis >= left) & (axis <= right) & (axis[:, None] >= top) & (axis[:, None] <= bottom)
        lights.append(inside.any(0)[None])
    return _lit(image, torch.stack(lights).float())


def _lit(image: Tensor, light: Tensor) -> Tensor:
    large = image.repeat_interleave(LARGER, 1).repeat_interleave(LARGER, 2)
    if light.shape[-1] == SIDE:
        light = light.repeat_interleave(LARGER, 2).repeat_interleave(LARGER, 3)
    return (large + 1) * (0.25 + 0.75 * light) - 1
