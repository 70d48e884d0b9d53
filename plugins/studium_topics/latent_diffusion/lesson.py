# %% [markdown]
# # Latent diffusion

# %% exercise="reparameterise"
from studium_topics.latent_diffusion.exercises import reparameterise

# %% exercise="kl"
from studium_topics.latent_diffusion.exercises import kl

# %% exercise="first_stage_loss"
from studium_topics.latent_diffusion.exercises import first_stage_loss

# %% exercise="active_dims"
from studium_topics.latent_diffusion.exercises import active_dims

# %% exercise="latent_scale"
from studium_topics.latent_diffusion.exercises import latent_scale

# %% exercise="cross_attend"
from studium_topics.latent_diffusion.exercises import cross_attend

# %% exercise="draw_images"
from studium_topics.latent_diffusion.exercises import draw_images
