"""The exercises of DDPM: schedule, noising, loss, posterior, sampler, the training loop, and the test bench.

The lesson numbers noise levels k = 1..T and calls the clean datum x_0. Tables in code start at row 0, so that t = k - 1
everywhere here: betas[t] and abar[t] are beta and alphabar of level t + 1 in Ho et al. 2020, arXiv 2006.11239; t = 0
is the cleanest noisy level, as in diffusers. Before row 0 all is signal. `xt` is a batch at the level of row t.
"""

from .clipped_step import clipped_step
from .ddim_step import ddim_step
from .ddim_steps import ddim_steps
from .ddpm_loss import ddpm_loss
from .few_calls import few_calls
from .final_variance import final_variance
from .make_betas import make_betas
from .p_step import p_step
from .posterior import posterior
from .q_sample import q_sample
from .sample import sample
from .train import train

exercises = (
    make_betas,
    q_sample,
    ddpm_loss,
    posterior,
    p_step,
    train,
    sample,
    final_variance,
    clipped_step,
    ddim_steps,
    ddim_step,
    few_calls,
)
