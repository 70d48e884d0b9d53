# %% [markdown]
# # Denoising diffusion

# %% exercise="make_betas"
from studium_topics.ddpm.exercises import make_betas

# %% exercise="q_sample"
from studium_topics.ddpm.exercises import q_sample

# %% exercise="ddpm_loss"
from studium_topics.ddpm.exercises import ddpm_loss

# %% exercise="posterior"
from studium_topics.ddpm.exercises import posterior

# %% exercise="p_step"
from studium_topics.ddpm.exercises import p_step

# %% exercise="ddim_steps"
from studium_topics.ddpm.exercises import ddim_steps

# %% exercise="ddim_step"
from studium_topics.ddpm.exercises import ddim_step
