"""What is given: the drawings, the networks that look at them, the container of a control, and the sampler's step."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studium_topics.kits import shapes
from studium_topics.kits.diffusion import UNet
from studium_topics.kits.shapes_unet import KINDS, NO_KIND, SIDE, betas, trained

__all__ = ["KINDS", "NO_KIND", "PARTS", "SIDE", "Batch", "Control", "HintOnly", "Look", "batches", "falling", "kind"]
__all__ += ["schedule", "step_between", "trained"]

PARTS = ("zero_outs", "copy", "zero_in", "look")  # of a control, from the base outwards
Batch = tuple[Tensor, Tensor, Tensor]  # images (B, 3, S, S) in [-1, 1], hints (B, 1, S, S) of 0 and 1, labels (B,)


class Control(nn.Module):
    """The parts that are trained beside a locked base.

    look: hint (B, 1, S, S) to features (B, C, S, S), C = base.enter.out_channels. zero_in: a 1 × 1 convolution, C to C.
    copy: the encoder, with `embed` and `encode` as a `UNet` has them. zero_outs: a 1 × 1 convolution for each of the
    skips, and one for the middle.
    """

    def __init__(self, copy: nn.Module, look: nn.Module, zero_in: nn.Module, zero_outs: nn.ModuleList) -> None:
        super().__init__()
        self.copy, self.look, self.zero_in, self.zero_outs = copy, look, zero_in, zero_outs


class Look(nn.Module):
    """A small network that looks at hints (B, 1, S, S) and returns features (B, width, S, S).

    pooled: every pixel gets the mean of its channel over the whole image, as in a network that ends in a global pool.
    """

    def __init__(self, width: int, pooled: bool = False) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.pooled = pooled

    def forward(self, hint: Tensor) -> Tensor:
        features = F.silu(self.second(F.silu(self.first(hint))))
        return features.mean((2, 3), keepdim=True).expand_as(features) if self.pooled else features


class HintOnly(nn.Module):
    """A stand-in for the copy that sees what comes from the hint, and neither image, level nor label.

    Its convolutions have no biases, so that features of 0 stay 0. Shapes are those of the base's `encode`.
    """

    def __init__(self, base: UNet) -> None:
        super().__init__()
        sizes = [base.enter.out_channels] + [part.after.num_channels for part in base.down]
        pairs = [*pairwise(sizes), (sizes[-1], sizes[-1])]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairs)

    def embed(self, t: Tensor, y: Tensor | None = None) -> None:
        """Return nothing: level and label are not looked at."""

    def encode(self, x: Tensor, told: None, extra: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return features of the skips and of the middle for extra (B, C, S, S) alone."""
        features, x = [], extra
        for depth, convolution in enumerate(self.convolutions):
            pooled = F.avg_pool2d(x, 2) if 0 < depth < len(self.convolutions) - 1 else x
            x = F.silu(convolution(pooled))
            features.append(x)
        return features[:-1], features[-1]


def schedule() -> Tensor:
    """Return abar (T,), the share of signal at each level of the base, float32."""
    return (1 - betas()).cumprod(0).float()


def falling(count: int) -> list[int]:
    """Return `count` rows of the schedule, evenly spread from the noisiest to the cleanest."""
    return torch.linspace(len(schedule()) - 1, 0, count).round().long().tolist()


def kind(caption: str) -> int:
    """Return the label of a caption such as "a large red ring"; raise ValueError for one that the base never saw."""
    if caption not in KINDS:
        raise ValueError(f'a caption such as "{KINDS[0]}" is needed, got "{caption}": name size, colour and form')
    return KINDS.index(caption)


def batches(count: int, size: int, generator: torch.Generator) -> list[Batch]:
    """Return `count` batches of `size` images of one shape each, with the pixels that it covers as the hint."""
    kinds = shapes.kinds()
    made = []
    for _ in range(count):
        labels = torch.randint(len(kinds), (size,), generator=generator)
        drawing = shapes.draw(shapes.alone(kinds[labels], generator), SIDE, generator, noise=0.0)
        made.append((drawing.images, drawing.mask[:, None].float(), labels))
    return made


def step_between(eps: Tensor, x: Tensor, t: int, before: int, abar: Tensor, z: Tensor) -> Tensor:
    """Return x (B, *) at the row `before` from x at the row t, the noise eps in it, and fresh normal noise z.

    DDPM's posterior between two rows, with the guess of the clean image kept in [-1, 1]; `before` is -1 for the clean
    image, where z has no weight (Song et al. 2021, arXiv 2010.02502, equations 12 and 16, eta = 1).
    """
    now, then = abar[t], abar[before] if before >= 0 else torch.ones_like(abar[t])
    clean = ((x - (1 - now).sqrt() * eps) / now.sqrt()).clamp(-1, 1)
    left = (x - now.sqrt() * clean) / (1 - now).sqrt()
    variance = (1 - then) / (1 - now) * (1 - now / then)
    return then.sqrt() * clean + (1 - then - variance).clamp(min=0).sqrt() * left + variance.sqrt() * z
