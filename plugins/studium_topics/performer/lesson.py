# %% [markdown]
# # Performer: attention from random features

# %% exercise="linear_attention"
from studium_topics.performer.exercises import linear_attention

# %% exercise="log_features"
from studium_topics.performer.exercises import log_features

# %% exercise="variance"
from studium_topics.performer.exercises import variance

# %% exercise="orthogonal_gaussian"
from studium_topics.performer.exercises import orthogonal_gaussian

# %% exercise="stabilise"
from studium_topics.performer.exercises import stabilise

# %% exercise="causal_attention"
from studium_topics.performer.exercises import causal_attention

# %% exercise="train_performer"
from studium_topics.performer.exercises import train_performer
