"""The exercises of text-to-image: a rectified flow, DDIM in its terms, guidance, the pipeline, and four measures.

Conventions: the straight path is z_t = (1 - t) x0 + t eps, from the image at t = 0 to the noise at t = 1, and its
velocity is v = eps - x0 (Liu et al. 2022, arXiv 2209.03003; Esser et al. 2024, arXiv 2403.03206). DDPM's noisy image is
x = sqrt(abar) x0 + sqrt(1 - abar) eps. The scale of guidance is Imagen's: 1 is none.
"""

from .as_flow import as_flow
from .clip_score import clip_score
from .fid_inf import fid_inf
from .flow_loss import flow_loss
from .frechet import frechet
from .guided_velocity import guided_velocity
from .precision_recall import precision_recall
from .text_to_image import text_to_image

exercises = (
    flow_loss,
    guided_velocity,
    text_to_image,
    as_flow,
    clip_score,
    frechet,
    fid_inf,
    precision_recall,
)
