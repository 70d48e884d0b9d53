"""Latent diffusion in miniature: which latents survive, and what compression buys at equal operations.

* `collapse` (collapse.py): linear VAEs of digits, trained; their active latents against an exact prediction (Lucas et
  al. 2019).
* `factors` (factors.py): diffusion on pixels and on latents of three factors, for the same number of operations, and
  on latents that are not scaled (Rombach et al. 2022, section 4.1).
"""

from __future__ import annotations

from studium import Claim, Published

from studium_topics.latent_diffusion.collapse import collapse
from studium_topics.latent_diffusion.factors import factors

__all__ = ["claims", "collapse", "factors"]

claims = (
    Claim(
        "A linear VAE has as many active latents as its spectrum predicts (largest difference, five losses)",
        "1911.02469",
        collapse,
        lambda result: result.wrong,
        at_most=0,
    ),
    Claim(
        "With a tiny KL weight on sums it is nearly PCA (squared error over that of PCA, d = 8)",
        "1911.02469",
        collapse,
        lambda result: result.over_pca("sums, d = 8"),
        at_most=1.25,
    ),
    Claim(
        "For the same operations, latents draw what was asked and pixels do not (accuracy at f = 4, minus f = 1)",
        "2112.10752",
        factors,
        lambda result: result.gap(4, 1),
        at_least=0.5,
        published=Published(
            "Rombach et al. 2022, section 4.1",
            {"pixels, f = 1": 38, "latents, f = 8": 0},
            "FID above that of f = 8 after 2 million steps, where lower is better",
            lambda result, name: result.by_factor[int(name[-1])].accuracy,
            "accuracy of the judge",
            "The paper gives each factor as many steps; we give it as many operations, which are few steps for pixels.",
            opposite=True,
        ),
    ),
    Claim(
        "So do latents of a forty-eighth of the numbers (accuracy at f = 8, minus f = 1)",
        "2112.10752",
        factors,
        lambda result: result.gap(8, 1),
        at_least=0.4,
    ),
    Claim(
        "Compression can go too far (accuracy at f = 4, minus f = 16)",
        "2112.10752",
        factors,
        lambda result: result.gap(4, 16),
        at_least=0.15,
    ),
    Claim(
        "Since the autoencoder loses it already (accuracy after the autoencoder alone, f = 16)",
        "2112.10752",
        factors,
        lambda result: result.by_factor[16].kept,
        at_most=0.85,
    ),
)
