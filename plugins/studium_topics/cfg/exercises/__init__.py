"""The exercises of classifier-free guidance: dropped labels, the combination, one doubled call, the samplers.

Conventions: t = 0..T-1, abar_t the share of signal, x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps. The scale s is
Imagen's and diffusers' (0 unconditional, 1 conditional); the paper's own w is s - 1 (Ho and Salimans 2022, arXiv
2207.12598, equation 6). eps_u is predicted without a label, eps_c with it.
"""

from .cfg_combine import cfg_combine
from .cfg_eps import cfg_eps
from .cfg_sample import cfg_sample
from .drop_labels import drop_labels
from .final_variances import final_variances
from .interval_scales import interval_scales
from .rescale import rescale
from .sample_digits import sample_digits

exercises = (
    drop_labels,
    cfg_combine,
    cfg_eps,
    cfg_sample,
    sample_digits,
    final_variances,
    interval_scales,
    rescale,
)
