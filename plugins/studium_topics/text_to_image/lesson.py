# %% [markdown]
# # Text-to-image models, by year

# %% exercise="flow_loss"
from studium_topics.text_to_image.exercises import flow_loss

# %% exercise="guided_velocity"
from studium_topics.text_to_image.exercises import guided_velocity

# %% exercise="text_to_image"
from studium_topics.text_to_image.exercises import text_to_image

# %% exercise="as_flow"
from studium_topics.text_to_image.exercises import as_flow

# %% exercise="clip_score"
from studium_topics.text_to_image.exercises import clip_score

# %% exercise="frechet"
from studium_topics.text_to_image.exercises import frechet

# %% exercise="fid_inf"
from studium_topics.text_to_image.exercises import fid_inf

# %% exercise="precision_recall"
from studium_topics.text_to_image.exercises import precision_recall
