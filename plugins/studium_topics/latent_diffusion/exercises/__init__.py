"""The exercises of latent diffusion: the autoencoder's loss, its active dimensions, latent scale, attention, sampler.

Conventions: t = 0..T-1, abar_t the share of signal, z_t = sqrt(abar_t) z0 + sqrt(1 - abar_t) eps. Latents z are what
the autoencoder gives; the diffusion works on scale * z. Rombach et al. 2022, arXiv 2112.10752.
"""

from .active_dims import active_dims
from .cross_attend import cross_attend
from .draw_images import draw_images
from .first_stage_loss import first_stage_loss
from .kl import kl
from .latent_scale import latent_scale
from .reparameterise import reparameterise

exercises = (
    reparameterise,
    kl,
    first_stage_loss,
    active_dims,
    latent_scale,
    cross_attend,
    draw_images,
)
