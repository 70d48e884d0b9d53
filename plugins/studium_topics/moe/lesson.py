# %% [markdown]
# # Mixture of experts
#
# Placeholder.
#
# %% exercise="route"
from studium_topics.moe.exercises import route

# %% exercise="dense_twins"
from studium_topics.moe.exercises import dense_twins

# %% exercise="mixture"
from studium_topics.moe.exercises import mixture

# %% exercise="seats"
from studium_topics.moe.exercises import seats

# %% exercise="router_losses"
from studium_topics.moe.exercises import router_losses

# %% exercise="switch_layer"
from studium_topics.moe.exercises import switch_layer

# %% exercise="moe_layer"
from studium_topics.moe.exercises import moe_layer
