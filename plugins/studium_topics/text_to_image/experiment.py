"""The whole pipeline in miniature: two networks on captioned shapes, at equal steps, measured and led astray.

Bias: what the Fréchet distance of a perfect generator is with few samples. No training, exact at every profile.

Straight: DDIM's step and Euler's step on the straight path, from the same predictions of the noise. Exact as well.

Studio: a rectified flow and a noise predictor, trained alike; each drawn with two spacings of the time at equal steps;
then guidance under three measures, and sentences that the model cannot draw.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from studium import Claim, Profile
from torch import Tensor, nn

from studium_topics.kits import shapes
from studium_topics.kits.diffusion import UNet
from studium_topics.kits.training import one_thread, train
from studium_topics.text_to_image import judge as judging
from studium_topics.text_to_image.exact import (
    ABAR,
    LEVELS,
    SPACINGS,
    STEPS,
    Block,
    bias,
    evenly,
    shrinks,
    straight,
    time_of,
    times,
)
from studium_topics.text_to_image.model import NOISE, SIDE, Captioned, Patches, noise_of, painter, tokens

BATCH, LEARNING_RATE, DROP = 64, 4e-3, 0.1
SCALES, SCALE, NETWORKS = (1.0, 2.0, 4.0, 8.0), 3.0, ("flow", "noise")


class NoisePredictor(nn.Module):
    """A network that predicts DDPM's noise, asked for velocities on the straight path: model(z, t, ids)."""

    def __init__(self, network: UNet, as_flow: Block) -> None:
        super().__init__()
        self.network, self.as_flow = network, as_flow
        self.times = torch.tensor([time_of(as_flow, abar) for abar in ABAR.tolist()])

    def forward(self, z: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        level = int((self.times - t[0]).abs().argmin())  # all rows have one time
        abar = float(ABAR[level])
        x = z / shrinks(self.as_flow, abar)
        eps = self.network(x, torch.full_like(t, level / LEVELS), ids)
        return self.as_flow(x, eps, abar)[2]


@dataclass(frozen=True)
class Data:
    """What both networks are trained on: latents (N, 5, 8, 8), ids (N, L), and the autoencoder."""

    latents: Tensor
    ids: Tensor
    patches: Patches


def prepared(seed: int, profile: Profile) -> Data:
    """Return the training set of a seed."""
    drawn = Captioned.drawn(profile.choose(smoke=400, laptop=8000, gpu=40000), 100 + seed)
    patches = Patches.fit(drawn.images)
    return Data(patches.encode(drawn.images), tokens(drawn.captions), patches)


def training_steps(profile: Profile) -> int:
    """Return how many steps both networks are trained for."""
    return profile.choose(smoke=12, laptop=700, gpu=7000)


def trained(loss: Callable[[UNet, Tensor, Tensor, torch.Generator], Tensor], data: Data, profile: Profile, seed: int,
            description: str) -> UNet:  # fmt: skip
    """Return a painter after steps of BATCH random rows of the data; loss(model, latents, ids, generator)."""
    model = painter(seed)

    def batch_loss(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(data.ids), (BATCH,), generator=generator)
        return loss(model, data.latents[rows], data.ids[rows], generator)

    train(
        model,
        batch_loss,
        training_steps(profile),
        LEARNING_RATE,
        schedule="onecycle",
        clip=1.0,
        seed=seed,
        description=description,
    )
    return model.eval()


def noise_loss(model: UNet, x0: Tensor, ids: Tensor, generator: torch.Generator) -> Tensor:
    """Return DDPM's loss, a scalar: the mean squared error of the noise at a random timestep; some captions drop."""
    level = torch.randint(LEVELS, (len(x0),), generator=generator)
    wanted = torch.normal(0.0, 1.0, x0.shape, generator=generator)
    abar = ABAR[level].float().view(-1, 1, 1, 1)
    ids = ids * (torch.rand(len(x0), 1, generator=generator) >= DROP)
    eps = model(abar.sqrt() * x0 + (1 - abar).sqrt() * wanted, level / LEVELS, ids)
    return (eps - wanted).square().mean()


@dataclass(frozen=True)
class Networks:
    """Both networks, trained alike, as velocities; their autoencoder; the judge, and how good that judge is."""

    flow: UNet
    noise: NoisePredictor
    patches: Patches
    judge: judging.Judge
    checked: judging.Checked

    def draw(self, text_to_image: Block, network: str) -> Block:
        """Return the learner's pipeline for "flow" or "noise": draw(prompts, seeds, times, scale, negative)."""
        return partial(text_to_image, getattr(self, network), tokens, noise_of, self.patches.decode)


def networks(flow_loss: Block, as_flow: Block, *, profile: Profile, seed: int = 0) -> Networks:
    """Train a rectified flow and a noise predictor alike, and fetch the judge."""
    with one_thread():
        data = prepared(seed, profile)
        flow = trained(partial(dropping, flow_loss), data, profile, seed, "rectified flow")
        return beside(flow, as_flow, data, profile, seed)


def beside(flow: UNet, as_flow: Block, data: Data, profile: Profile, seed: int = 0) -> Networks:
    """Train a noise predictor as the flow was trained, on the same data, and fetch the judge."""
    with one_thread():
        noise = NoisePredictor(trained(noise_loss, data, profile, seed, "noise predictor"), as_flow)
    judge = judging.public()
    return Networks(
        flow.eval(),
        noise,
        data.patches,
        judge,
        judging.checked(judge, seed, profile.choose(smoke=100, laptop=960, gpu=960)),
    )


def dropping(flow_loss: Block, model: UNet, x0: Tensor, ids: Tensor, generator: torch.Generator) -> Tensor:
    """Return the learner's loss, with a share DROP of the captions dropped."""
    return flow_loss(model, x0, ids, DROP, generator)


def share(found: Tensor) -> float:
    """Return the share of true values."""
    return float(found.double().mean())


def even(profile: Profile) -> list[float]:
    """Return the times of the experiments that do not vary them: 12 even steps."""
    return evenly(profile.choose(smoke=2, laptop=12, gpu=12))


@torch.no_grad()
def right(judge: judging.Judge, images: Tensor) -> Tensor:
    """Return which images (60, copies, 3, 16, 16), a row for each of `shapes.kinds()`, show what their row asks for."""
    wanted = shapes.kinds().repeat_interleave(images.shape[1], 0)
    return (judge.kinds(images.flatten(0, 1)) == wanted).all(1)


def at_equal_steps(
    text_to_image: Block, as_flow: Block, made: Networks, profile: Profile
) -> dict[tuple[str, str, int], float]:
    """Return the shares of right images, by network, spacing and number of steps, from the same noise, at SCALE."""
    seeds = range(profile.choose(smoke=1, laptop=4, gpu=20))
    found = {}
    with one_thread():
        for network, spacing in itertools.product(NETWORKS, SPACINGS):
            draw = made.draw(text_to_image, network)
            for steps in STEPS:
                images = draw(judging.captions_of_kinds(), seeds, times(spacing, steps, as_flow), SCALE)
                found[network, spacing, steps] = share(right(made.judge, images))
    return found


@dataclass(frozen=True)
class Measured:
    """What the measures say of images of single shapes.

    accuracy: the share with colour, form and size as asked for. score: the mean CLIP score. distance: the Fréchet
    distance of the judge's features to those of as many real images. precision, recall: with k = 3.
    """

    accuracy: float
    score: float
    distance: float
    precision: float
    recall: float


def guided(
    text_to_image: Block, clip_score: Block, frechet: Block, precision_recall: Block, made: Networks, profile: Profile
) -> dict[str, Measured]:
    """Measure the flow at each of SCALES, with even steps from the same noise, and as many new real images."""
    copies = profile.choose(smoke=2, laptop=6, gpu=20)
    draw, rival = made.draw(text_to_image, "flow"), real_images(copies, 0)
    measure = partial(measured, made.judge, (clip_score, frechet, precision_recall), rival)
    with one_thread():
        found = {
            f"s = {scale:g}": measure(draw(judging.captions_of_kinds(), range(copies), even(profile), scale))
            for scale in SCALES
        }
        return found | {"real": measure(real_images(copies, 1))}


def real_images(copies: int, seed: int) -> Tensor:
    """Return new images of all 60 kinds, (60, copies, 3, 16, 16)."""
    generator = torch.Generator().manual_seed(60_000 + seed)
    scenes = shapes.alone(shapes.kinds().repeat_interleave(copies, 0), generator)
    return shapes.draw(scenes, SIDE, generator, NOISE).images.unflatten(0, (-1, copies))


@torch.no_grad()
def measured(judge: judging.Judge, measures: tuple[Block, Block, Block], rival: Tensor, images: Tensor) -> Measured:
    """Measure images (60, copies, 3, 16, 16) with the learner's functions, against as many real ones."""
    clip_score, frechet, precision_recall = measures
    fake, real = (judge(part.flatten(0, 1)) for part in (images, rival))
    texts = judge.text(tokens(judging.captions_of_kinds())).repeat_interleave(images.shape[1], 0)
    moments = [(rows.double().mean(0), torch.cov(rows.double().T)) for rows in (real, fake)]
    return Measured(
        share(right(judge, images)),
        float(clip_score(fake, texts).mean()),
        float(frechet(*moments[0], *moments[1])),
        *precision_recall(real, fake, 3),
    )


SWAPS = (
    ("a red ring and a blue disc", "a blue ring and a red disc"),
    ("a green square and a white cross", "a white square and a green cross"),
    ("a yellow triangle and a purple square", "a purple triangle and a yellow square"),
)
WAYS = {  # the prompt and the negative prompt
    "the form alone": ("a {form}", ""),
    "“not” in the prompt": ("a {form}, not {colour}", ""),
    "negative prompt": ("a {form}", "a {colour} shape"),
}


@dataclass(frozen=True)
class Composition:
    """What the flow makes of sentences.

    avoided: by way, the shares of images with the colour to be avoided, and with the form that was asked for. both,
    exchanged, two: shares of images of two shapes that show exactly both; both, with their colours exchanged; and two
    shapes, whatever they are. apart: the largest difference between the images of two sentences with exchanged colours.
    """

    avoided: dict[str, tuple[float, float]]
    both: float
    exchanged: float
    two: float
    apart: float

    @property
    def avoidance(self) -> float:
        """Return by how much a negative prompt lowers the share of the colour that "not" brought in."""
        return self.avoided["“not” in the prompt"][0] - self.avoided["negative prompt"][0]


def composition(text_to_image: Block, made: Networks, profile: Profile) -> Composition:
    """Ask the flow for a form without a colour, in three ways, and for two shapes with two colours."""
    draw = made.draw(text_to_image, "flow")
    with one_thread():
        return Composition(avoided(draw, made.judge, profile), *paired(draw, made.judge, profile))


@torch.no_grad()
def avoided(draw: Block, judge: judging.Judge, profile: Profile) -> dict[str, tuple[float, float]]:
    """Return the shares of images with the colour to be avoided and with the form asked for, by way of saying so."""
    seeds = range(profile.choose(smoke=2, laptop=16, gpu=100))
    rows = [(colour, colour % len(shapes.FORMS)) for colour in range(len(shapes.COLOURS))]
    names = [{"colour": list(shapes.COLOURS)[colour], "form": shapes.FORMS[form]} for colour, form in rows]
    found = {}
    for way, (prompt, negative) in WAYS.items():
        grids = [draw([prompt.format(**name)], seeds, even(profile), SCALE, negative.format(**name)) for name in names]
        kinds = judge.kinds(torch.cat(grids).flatten(0, 1))
        wanted = torch.tensor(rows).repeat_interleave(len(seeds), 0)
        found[way] = share(kinds[:, 0] == wanted[:, 0]), share(kinds[:, 1] == wanted[:, 1])
    return found


@torch.no_grad()
def paired(draw: Block, judge: judging.Judge, profile: Profile) -> tuple[float, float, float, float]:
    """Return the shares of images of SWAPS with both shapes, with exchanged colours, with two; and how pairs differ."""
    seeds = range(profile.choose(smoke=2, laptop=32, gpu=200))
    asked, exchanged, two, apart = [], [], [], 0.0
    for pair in SWAPS:
        grids = draw(pair, seeds, even(profile), SCALE)
        apart = max(apart, float((grids[0] - grids[1]).abs().max()))
        for grid, own, other in zip(grids, pair, pair[::-1], strict=True):
            listed, count = judge.listed(grid)
            asked.append(shown(listed, own))
            exchanged.append(shown(listed, other))
            two.append(count == 2)
    return share(torch.cat(asked)), share(torch.cat(exchanged)), share(torch.cat(two)), apart


def shown(listed: Tensor, caption: str) -> Tensor:
    """Return in which images exactly the shapes of a caption, "a red ring and a blue disc", are listed (N, 30)."""
    wanted = torch.zeros(len(shapes.NAMES), dtype=torch.bool)
    wanted[[shapes.NAMES.index(part.removeprefix("a ")) for part in caption.split(" and ")]] = True
    return ((listed > 0.5) == wanted).all(1)


@dataclass(frozen=True)
class Studio:
    """All that was drawn with one pair of networks."""

    equal: dict[tuple[str, str, int], float]
    guided: dict[str, Measured]
    composition: Composition

    def ahead(self, steps: int) -> float:
        """Return how much more often the flow on even times is right than the noise predictor on DDIM's."""
        return self.equal["flow", "straight", steps] - self.equal["noise", "DDIM", steps]


def studio(
    flow_loss: Block, as_flow: Block, text_to_image: Block, clip_score: Block, frechet: Block, precision_recall: Block,
    *, profile: Profile, seed: int = 0,
) -> Studio:  # fmt: skip
    """Train both networks, and measure all that the lesson measures."""
    made = networks(flow_loss, as_flow, profile=profile, seed=seed)
    return Studio(
        at_equal_steps(text_to_image, as_flow, made, profile),
        guided(text_to_image, clip_score, frechet, precision_recall, made, profile),
        composition(text_to_image, made, profile),
    )


claims = (
    Claim(
        "DDIM takes Euler's steps on the straight path (largest difference of the samples, predictions exact)",
        "2010.02502",
        straight,
        lambda apart: apart,
        at_most=1e-9,
        holds_from="smoke",
    ),
    Claim(
        "The Fréchet distance of a perfect generator falls like 1 / N (N times it, largest share away from its mean)",
        "1911.07023",
        bias,
        lambda result: result.constancy,
        at_most=0.3,
        holds_from="smoke",
    ),
    Claim(
        "So a perfect generator with 100 samples looks worse than a poor one with 3200 (ratio of the distances)",
        "1911.07023",
        bias,
        lambda result: result.flipped,
        at_least=4.0,
        holds_from="smoke",
    ),
    Claim(
        "Extrapolation to infinitely many samples restores the order (limit of the poor one minus that of the perfect)",
        "1911.07023",
        bias,
        lambda result: result.narrow_limit - result.perfect_limit,
        at_least=0.05,
        holds_from="smoke",
    ),
    Claim(
        "A negative prompt avoids a colour that a prompt with “not”, here an unknown word, draws (share of images, "
        "difference)",
        "2210.01936",
        studio,
        lambda result: result.composition.avoidance,
        at_least=0.7,
    ),
    Claim(
        "A sentence for one shape succeeds far more often than one for two (difference of the shares of right shapes)",
        "2212.05032",
        studio,
        lambda result: result.composition.avoided["the form alone"][1] - result.composition.both,
        at_least=0.2,
    ),
    Claim(
        "Images of two shapes seldom show exactly both as asked (share; the judge finds at least 0.95 of real ones)",
        "2212.05032",
        studio,
        lambda result: result.composition.both,
        at_most=0.3,
    ),
    Claim(
        "The Fréchet distance rises with strong guidance (at the scale 8, over that at 2)",
        "2205.11487",
        studio,
        lambda result: result.guided["s = 8"].distance / result.guided["s = 2"].distance,
        at_least=1.5,
    ),
)
