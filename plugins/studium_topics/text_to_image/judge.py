"""A judge of drawn images: a small CLIP that also lists the shapes it sees. It is trained on real images only.

Its features carry the Fréchet distance, precision and recall; its text side carries the CLIP score; its list of shapes
finds leaked colours and wrong counts. A measure is never better than such a judge, so `checked` says how good it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studium_topics.kits import packing, shapes
from studium_topics.kits.training import train
from studium_topics.text_to_image.model import NOISE, SIDE, WORDS, tokens

WIDTH, MOST = 64, 4  # features; shapes in an image
SCALE = 16.0  # of the cosines, in training


class Judge(nn.Module):
    """Images (N, 3, 16, 16) to features (N, 64); captions to vectors beside them; shapes by name and by number."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Sequential(
            nn.Conv2d(3, 24, 3, padding=1), nn.ReLU(),
            nn.Conv2d(24, 48, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(48, 48, 3, padding=1), nn.ReLU(),
            nn.Conv2d(48, 48, 3, stride=2, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.image = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, WIDTH))
        self.text = nn.EmbeddingBag(len(WORDS), WIDTH, mode="sum", padding_idx=0)
        self.names, self.count = nn.Conv2d(48, len(shapes.NAMES), 1), nn.Linear(3 * SIDE**2, MOST)

    def forward(self, images: Tensor) -> Tensor:
        return self.image(self.map(images))

    def kinds(self, images: Tensor) -> Tensor:
        """Return rows of `shapes.kinds()` (N, 3): colour, form and size of the one shape in each image."""
        kinds = shapes.kinds()
        return kinds[(F.normalize(self(images), dim=1) @ _unit_texts(self).T).argmax(1)]

    def listed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return which of NAMES each image shows, (N, 30) in [0, 1], and how many shapes, (N,) from 1 to 4."""
        seen = self.map(images)
        return self.names(seen).amax((2, 3)).sigmoid(), self.count(seen.flatten(1)).argmax(1) + 1


def captions_of_kinds() -> list[str]:
    """Return "a small red disc" and the like, one for each row of `shapes.kinds()`."""
    sizes = list(shapes.SIZES)
    return [f"a {sizes[s]} {shapes.NAMES[c * len(shapes.FORMS) + f]}" for c, f, s in shapes.kinds().tolist()]


def _unit_texts(judge: Judge) -> Tensor:
    return F.normalize(judge.text(tokens(captions_of_kinds())), dim=1)


def public() -> Judge:
    """Return the judge that everybody uses, as FID has one Inception network for all; `trained` made it, seed 0."""
    judge = Judge().eval()
    kept = packing.read(__package__, "judge.npz")
    packing.unpack(judge, kept["weights"], kept["scales"])
    return judge


def trained(seed: int, steps: int = 1200) -> Judge:
    """Return a judge after `steps` batches of 48 images of one shape and 48 of one to four small ones."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        judge = Judge()

    def loss(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(shapes.kinds()), (48,), generator=generator)
        scenes, (names, count) = _scenes(rows, generator)
        seen = judge.map(shapes.draw(scenes, SIDE, generator, NOISE).images)
        cosines = F.normalize(judge.image(seen[:48]), dim=1) @ _unit_texts(judge).T
        listing = F.binary_cross_entropy_with_logits(judge.names(seen).amax((2, 3)), names)
        counting = F.cross_entropy(judge.count(seen.flatten(1)), count)
        return F.cross_entropy(SCALE * cosines, rows) + 8 * listing + counting

    train(judge, loss, steps, 4e-3, schedule="onecycle", seed=seed, description="judge")
    return judge.eval()


def _scenes(rows: Tensor, generator: torch.Generator) -> tuple[list[shapes.Scene], tuple[Tensor, Tensor]]:
    """Return scenes of one shape for `rows`, as many of one to four, and the names and the count of each."""
    names = torch.randint(len(shapes.NAMES), (len(rows), MOST), generator=generator).tolist()
    many = torch.randint(1, MOST + 1, (len(rows),), generator=generator).tolist()
    crowds = [[shapes.NAMES[i] for i in row[:count]] for row, count in zip(names, many, strict=True)]
    scenes = shapes.alone(shapes.kinds()[rows], generator) + shapes.in_quadrants(crowds, generator)
    listed = torch.zeros(len(scenes), len(shapes.NAMES))
    for row, scene in enumerate(scenes):
        listed[row, [shapes.NAMES.index(shape.name) for shape in scene]] = 1
    return scenes, (listed, torch.tensor([len(scene) - 1 for scene in scenes]))


@dataclass(frozen=True)
class Checked:
    """How good the judge is on new real images, shares from 0 to 1.

    kind: colour, form and size of a single shape are right. both: of pairs, exactly the two names are listed. count:
    the number of shapes is right.
    """

    kind: float
    both: float
    count: float


@torch.no_grad()
def checked(judge: Judge, seed: int, images: int = 960) -> Checked:
    """Return how good the judge is on new images."""
    generator = torch.Generator().manual_seed(50_000 + seed)
    rows = torch.randint(len(shapes.kinds()), (images,), generator=generator)
    scenes, (names, count) = _scenes(rows, generator)
    drawn = shapes.draw(scenes, SIDE, generator, NOISE).images
    listed, counted = judge.listed(drawn)
    pairs = count == 1
    return Checked(
        float((judge.kinds(drawn[:images]) == shapes.kinds()[rows]).all(1).double().mean()),
        float(((listed > 0.5) == (names > 0.5))[pairs].all(1).double().mean()),
        float((counted == count + 1).double().mean()),
    )
