"""Which latents of a linear VAE survive: counted after training, and predicted from the spectrum alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from studium import Profile
from torch import Tensor, nn

from studium_topics.kits.digits import all_digits
from studium_topics.kits.training import one_thread, train

Block = Callable[..., Tensor]
PIXELS = 64
# Latents, and the weight of the KL divergence in a loss of sums. The mean of 64 squares plus the mean of d divergences
# is 1 / 64 of such a loss with the weight 64 / d.
CASES = {
    "means, d = 8": (8, PIXELS / 8),
    "means, d = 16": (16, PIXELS / 16),
    "means, d = 24": (24, PIXELS / 24),
    "sums, d = 8": (8, 1e-6),
    "sums, d = 16": (16, 1e-6),
}
USED = 0.02  # nats of divergence that a latent in use has at least, on average over the images


@dataclass(frozen=True)
class Counted:
    """A linear VAE: latents predicted and found active; its squared error per pixel, and that of PCA with d directions.

    `images` are 8 digits and below them what comes back, (16, 1, 8, 8).
    """

    predicted: int
    found: int
    error: float
    pca: float
    images: Tensor


@dataclass(frozen=True)
class Collapse:
    """Every case of CASES, and the error per pixel of answering the mean digit."""

    cases: dict[str, Counted]
    mean_digit: float

    @property
    def wrong(self) -> int:
        """Return the largest difference between predicted and found, of all cases."""
        return max(abs(case.predicted - case.found) for case in self.cases.values())

    def over_pca(self, name: str) -> float:
        """Return the error of a case over that of PCA with as many directions as there are latents."""
        return self.cases[name].error / self.cases[name].pca


class LinearVAE(nn.Module):
    """A linear encoder of means, free variances, and a linear decoder, for x (N, D) and d latents."""

    def __init__(self, size: int, latents: int) -> None:
        super().__init__()
        self.code, self.back = nn.Linear(size, latents), nn.Linear(latents, size)
        self.logvar = nn.Parameter(torch.zeros(latents))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and logarithms of variances, (N, d) each."""
        mean = self.code(x)
        return mean, self.logvar.expand_as(mean)


@one_thread()
def collapse(
    reparameterise: Block, kl: Block, first_stage_loss: Block, active_dims: Callable[..., int], *,
    profile: Profile, seed: int = 0,
) -> Collapse:  # fmt: skip
    """Train a linear VAE for each of CASES on the 1797 digits, 64 pixels each, and count its active latents.

    Measured at "laptop", seeds 0 to 2: the counts are 0, 3, 4, 8 and 16, as predicted; with tiny weights the error is
    1.09 to 1.10 (d = 8) and 1.14 to 1.15 (d = 16) times that of PCA. 8 s of CPU a seed. The border of d = 32, 1, lies
    between variances of 1.09 and 0.92, and 1200 steps are too few to count 5.
    """
    x = all_digits().images.flatten(1).to(profile.device)
    spectrum = torch.linalg.svdvals((x - x.mean(0)).double()).square() / len(x)
    cases = {}
    for name, (latents, weight) in CASES.items():
        model = _trained(reparameterise, first_stage_loss, x, latents, weight, profile, seed)
        with torch.no_grad():
            mean, logvar = model.encode(x)
            back = model.back(mean)
        each = torch.stack([kl(mean[:, [k]], logvar[:, [k]]).mean() for k in range(latents)])
        cases[name] = Counted(
            predicted=active_dims(x, latents, 1.0, weight),
            found=int((each > USED).sum()),
            error=float((back - x).square().mean()),
            pca=float(spectrum[latents:].sum()) / PIXELS,
            images=torch.cat([x[:8], back[:8]]).view(16, 1, 8, 8).cpu(),
        )
    return Collapse(cases, float(spectrum.sum()) / PIXELS)


def _trained(
    reparameterise: Block, first_stage_loss: Block, x: Tensor, latents: int, weight: float, profile: Profile, seed: int
) -> LinearVAE:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LinearVAE(x.shape[1], latents).to(x.device)

    def loss(generator: torch.Generator) -> Tensor:
        mean, logvar = model.encode(x)
        z = reparameterise(mean, logvar, torch.randn(mean.shape, generator=generator).to(x.device))
        return first_stage_loss(x, model.back(z), mean, logvar, weight)

    steps = profile.choose(smoke=60, laptop=400 if weight < 1 else 600, gpu=1200)
    train(model, loss, steps, 2e-2, seed=seed, schedule="onecycle", description=f"{latents} latents")
    return model.eval()
