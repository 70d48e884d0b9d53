# %% [markdown]
# # SwiGLU: the gated feed-forward

# %% exercise="gated"
from studium_topics.swiglu.exercises import gated

# %% exercise="ffn_cost"
from studium_topics.swiglu.exercises import ffn_cost

# %% exercise="matched_width"
from studium_topics.swiglu.exercises import matched_width

# %% exercise="multiplier"
from studium_topics.swiglu.exercises import multiplier

# %% exercise="swiglu_backward"
from studium_topics.swiglu.exercises import swiglu_backward

# %% exercise="dead_units"
from studium_topics.swiglu.exercises import dead_units

# %% exercise="paired_interval"
from studium_topics.swiglu.exercises import paired_interval

# %% exercise="compare"
from studium_topics.swiglu.exercises import compare
