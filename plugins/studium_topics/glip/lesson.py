# %% [markdown]
# # GLIP

# %% exercise="build_prompt"
from studium_topics.glip.exercises import build_prompt

# %% exercise="align_logits"
from studium_topics.glip.exercises import align_logits

# %% exercise="token_focal"
from studium_topics.glip.exercises import token_focal

# %% exercise="phrase_scores"
from studium_topics.glip.exercises import phrase_scores

# %% exercise="box_iou"
from studium_topics.glip.exercises import box_iou

# %% exercise="nms"
from studium_topics.glip.exercises import nms

# %% exercise="ground"
from studium_topics.glip.exercises import ground

# %% exercise="average_precision"
from studium_topics.glip.exercises import average_precision
