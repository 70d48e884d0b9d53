"""A judge that needs no training: the one drawn shape that explains an image best."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from studium_topics.kits.shapes import COLOURS, FORMS, SIZES, Shape, draw


@dataclass(frozen=True)
class Seen:
    """What was seen in N images: indices colour, form, size (N,), and how much of each image one shape explains, (N,).

    share: the share of an image's variance that the best shape on an even ground explains, about 0.97 for drawn images.
    """

    colour: Tensor
    form: Tensor
    size: Tensor
    share: Tensor

    def accuracy(self, kinds: Tensor) -> float:
        """Return the share of images with colour, form and size of kinds (N, 3)."""
        return float((torch.stack([self.colour, self.form, self.size], 1) == kinds).all(1).double().mean())


class Judge:
    """Compare images (N, 3, side, side) in [-1, 1] with every form and size at every pixel."""

    def __init__(self, side: int) -> None:
        shapes = [
            Shape(0, form, size, x, y, radius)
            for form, (size, radius) in product(range(len(FORMS)), enumerate(SIZES.values()))
            for x, y in product(
                torch.linspace(radius, 1 - radius, round((1 - 2 * radius) * side) + 1).tolist(), repeat=2
            )
        ]
        self.form, self.size = torch.tensor([[shape.form, shape.size] for shape in shapes]).T
        cover = draw([(shape,) for shape in shapes], side, torch.Generator(), noise=0.0).cover.flatten(1)  # (M, side²)
        self.mean, centred = cover.mean(1), cover - cover.mean(1, keepdim=True)
        self.norm = centred.norm(dim=1)
        self.templates = centred / self.norm.unsqueeze(1)
        self.ink = torch.tensor(list(COLOURS.values()))

    def __call__(self, images: Tensor) -> Seen:
        """Return what is seen in the images."""
        pixels = (images.detach().cpu().flatten(2) + 1) / 2  # (N, 3, side²)
        mean = pixels.mean(2)
        centred = pixels - mean.unsqueeze(2)
        along = centred @ self.templates.T  # (N, 3, M): each channel along each template
        explained, best = along.square().sum(1).max(1)
        slope = along.gather(2, best[:, None, None].expand(-1, 3, 1)).squeeze(2) / self.norm[best, None]
        colour = mean + slope * (1 - self.mean[best, None])  # of the ink, (N, 3)
        share = explained / centred.square().sum((1, 2)).clamp(min=1e-9)
        return Seen(torch.cdist(colour, self.ink).argmin(1), self.form[best], self.size[best], share)
