"""The opener's experiment: a trained network draws with the learner's line, at three scales from the same noise."""

from __future__ import annotations

from collections.abc import Callable

import torch
from studium_widgets import ImageGrid
from torch import Tensor

from studium_topics.four_minutes import exercises
from studium_topics.kits import shapes_unet

Guide = Callable[[Tensor, Tensor, float], Tensor]

SCALES = (0.0, 1.0, 4.0)
COLUMNS, STEPS, SEED = 6, 25, 9


def drawings(guide: Guide, request: str = "a large red ring") -> ImageGrid:
    """Return what the network draws with `guide`: a row of images for each of SCALES, as a film of its steps.

    If the images are not those of the course's own line, these appear in the right half, drawn from the same noise.
    Where `guide` does not run, the course's own line draws, and the label says so. An edition without solutions has no
    such line: it shows only `guide`'s images, and if `guide` does not run, the noise that they begin as.
    """
    states, sides, label = _drawn(guide, request)
    columns = COLUMNS // len(sides)
    captions = [f"scale {scale:g}{side}" for scale in SCALES for side in sides for _ in range(columns)]
    steps = [f"step {step}" for step in range(0, STEPS + 1, 5)][: len(states)]
    return ImageGrid(torch.stack(states), captions=captions, steps=steps, columns=COLUMNS, label=label)


def _drawn(guide: Guide, request: str) -> tuple[list[Tensor], tuple[str, ...], str]:
    """Return the states of the film, what is said of the parts of each row, and the label."""
    public = exercises.guide.public
    try:
        yours = film(guide, request)
    except Exception:  # the line is the learner's, and may not be written yet
        if public:
            return [_noise().repeat(len(SCALES), 1, 1, 1)], ("",), "noise, because guide does not run yet"
        right = film(exercises.guide, request)
        return right, ("",), f"{request}, drawn with the course's own line; yours does not run yet"
    right = yours if public else film(exercises.guide, request)
    if torch.allclose(yours[-1], right[-1], atol=1e-3):
        return yours, ("",), f"{request}, drawn with your line"
    both = [_halves(mine, other) for mine, other in zip(yours, right, strict=True)]
    return both, (", yours", ", right"), f"{request}, drawn with your line and with the right one"


def _halves(mine: Tensor, other: Tensor) -> Tensor:
    """Return rows whose left half is of `mine` and whose right half is what `other` has for the same noise."""
    rows = zip(mine.split(COLUMNS), other.split(COLUMNS), strict=True)
    return torch.cat([part[: COLUMNS // 2] for row in rows for part in row])


@torch.no_grad()
def film(guide: Guide, request: str) -> list[Tensor]:
    """Return the images (rows · COLUMNS, 3, 16, 16) after 0, 5, …, STEPS steps of a sampler without noise (DDIM).

    Raises what `guide` raises; ValueError for a request that is not in `shapes_unet.KINDS`.
    """
    model, abar = shapes_unet.trained(), (1 - shapes_unet.betas()).cumprod(0).float()
    x = _noise().repeat(len(SCALES), 1, 1, 1)
    asked, none = (torch.full((len(x),), label) for label in (shapes_unet.KINDS.index(request), shapes_unet.NO_KIND))
    levels = torch.arange(shapes_unet.LEVELS - 1, -1, -shapes_unet.LEVELS // STEPS).tolist()
    states = [x]
    for step, t in enumerate(levels, 1):
        before = abar[t - shapes_unet.LEVELS // STEPS] if step < STEPS else torch.tensor(1.0)
        when = torch.full((len(x),), t)
        told, untold = model(x, when, asked), model(x, when, none)
        rows = zip(told.chunk(len(SCALES)), untold.chunk(len(SCALES)), SCALES, strict=True)
        eps = torch.cat([guide(a, b, scale) for a, b, scale in rows])
        x0 = ((x - (1 - abar[t]).sqrt() * eps) / abar[t].sqrt()).clamp(-1, 1)
        x = before.sqrt() * x0 + (1 - before).sqrt() * (x - abar[t].sqrt() * x0) / (1 - abar[t]).sqrt()
        if step % 5 == 0:
            states.append(x)
    return states


def _noise() -> Tensor:
    return torch.randn(COLUMNS, 3, shapes_unet.SIDE, shapes_unet.SIDE, generator=torch.Generator().manual_seed(SEED))
