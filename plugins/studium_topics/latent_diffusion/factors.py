"""How much to compress: diffusion on pixels and on latents of three factors, for the same number of operations."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from studium import Profile
from torch import Tensor

from studium_topics.kits.training import one_thread
from studium_topics.latent_diffusion import stages
from studium_topics.latent_diffusion.judge import Judge
from studium_topics.latent_diffusion.stages import LEVELS, Block, cosine_abar
from studium_topics.latent_diffusion.world import SIDE, Drawings, drawings

FACTORS = {1: 8, 4: 16, 8: 64, 16: 128}  # the factor and the batch; 1 is pixels
GUIDANCE = 2.0


@dataclass(frozen=True)
class Drawn:
    """What a factor gave: numbers in a latent, training steps, their operations, and how its images were judged.

    kept: accuracy of the judge on images that only went through the autoencoder; psnr of these, in decibels.
    accuracy and share: of drawn images; share is what one shape explains of an image. images (n, 3, 32, 32).
    """

    numbers: int
    steps: int
    flops: float
    kept: float
    psnr: float
    accuracy: float
    share: float
    images: Tensor = field(repr=False)


@dataclass(frozen=True)
class Factors:
    """The result of each factor; `real` is the share that one shape explains of a real drawing."""

    by_factor: dict[int, Drawn]
    real: float

    @property
    def best(self) -> int:
        """Return the factor whose images the judge names best."""
        return max(self.by_factor, key=lambda factor: self.by_factor[factor].accuracy)

    def gap(self, one: int, other: int) -> float:
        """Return the accuracy of one factor minus that of another."""
        return self.by_factor[one].accuracy - self.by_factor[other].accuracy


@dataclass(frozen=True)
class _Study:
    """The learner's functions, the data and the judge of one run."""

    reparameterise: Block
    first_stage_loss: Block
    latent_scale: Block
    cross_attend: Block
    draw_images: Block
    profile: Profile
    seed: int
    seen: Drawings
    unseen: Drawings
    judge: Judge
    abar: Tensor

    def compressed(self, factor: int) -> tuple[Block, Tensor, float, Tensor]:
        """Return a decoder, latents of the training images, their scale, and unseen images that went through."""
        device = self.profile.device
        images = self.seen.images.to(device)
        if factor == 1:
            return (lambda z: z), images, float(1 / images.std()), self.unseen.images
        model = stages.autoencoder(factor, self.seed).to(device)
        steps = self.profile.choose(smoke=20, laptop=160, gpu=600)
        stages.first_stage(model, images, self.reparameterise, self.first_stage_loss, steps, self.seed)
        mean, logvar = stages.encoded(model, images)
        with torch.no_grad():
            back = model.decode(model.encode(self.unseen.images.to(device))[0]).cpu()
        return model.decode, mean, float(self.latent_scale(mean, logvar)), back

    def drawn(self, factor: int, decode: Block, latents: Tensor, scale: float, back: Tensor) -> Drawn:
        """Train on scaled latents for the budget, and draw and judge images."""
        batch = FACTORS[factor]
        net = stages.unet(latents.shape[1], self.cross_attend, self.seed).to(latents.device)
        flops = stages.step_flops(net, latents, self.seen.words.to(latents.device), batch)
        steps = max(2, round(self.profile.choose(smoke=1e9, laptop=60e9, gpu=700e9) / flops))
        stages.second_stage(net, scale * latents, self.seen.words, self.abar, steps, batch, self.seed)
        words, kinds = stages.captioned(self.unseen, self.profile.choose(smoke=30, laptop=60, gpu=120))
        start = torch.randn(len(words), *latents.shape[1:], generator=torch.Generator().manual_seed(self.seed))
        denoiser = stages.noise_in(net.eval(), self.abar)
        count = self.profile.choose(smoke=4, laptop=25, gpu=25)
        given = (start.to(latents.device), words.to(latents.device), GUIDANCE, self.abar, count)
        images = self.draw_images(denoiser, decode, scale, *given)[-1].cpu().clamp(-1, 1)
        seen = self.judge(images)
        error = float((back - self.unseen.images).square().mean())
        return Drawn(
            numbers=latents[0].numel(),
            steps=steps,
            flops=float(steps * flops),
            kept=self.judge(back).accuracy(self.unseen.kinds),
            psnr=10 * math.log10(4 / error) if error else math.inf,
            accuracy=seen.accuracy(kinds),
            share=float(seen.share.mean()),
            images=images[:30],
        )


@one_thread()
def factors(
    reparameterise: Block, first_stage_loss: Block, latent_scale: Block, cross_attend: Block, draw_images: Block, *,
    profile: Profile, seed: int = 0,
) -> Factors:  # fmt: skip
    """Train an autoencoder for each factor, and a U-Net of one shape on what it gives, all for the same operations.

    Measured at "laptop", seeds 0 to 2, for the factors 1, 4, 8 and 16: after the autoencoder alone the judge names 1,
    1, .917 to .975 and .600 to .642; of drawn images .133 to .167, .983 to 1, .900 to .950 and .567 to .617, and one
    shape explains .175 to .232, .744 to .752, .824 to .840 and .880 to .882. 67 s of CPU a seed.
    """
    blocks = (reparameterise, first_stage_loss, latent_scale, cross_attend, draw_images)
    generator = torch.Generator().manual_seed(seed)
    seen, unseen = drawings(profile.choose(smoke=5, laptop=100, gpu=400), generator), drawings(4, generator)
    study = _Study(*blocks, profile, seed, seen, unseen, Judge(SIDE), cosine_abar(LEVELS).to(profile.device))
    found = {}
    for factor in FACTORS:
        decode, latents, scale, back = study.compressed(factor)
        found[factor] = study.drawn(factor, decode, latents, scale, back)
    return Factors(found, float(study.judge(unseen.images).share.mean()))
