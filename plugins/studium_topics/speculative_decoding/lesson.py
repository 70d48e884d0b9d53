# %% [markdown]
# # Speculative decoding

# %% exercise="acceptance"
from studium_topics.speculative_decoding.exercises import acceptance

# %% exercise="residual"
from studium_topics.speculative_decoding.exercises import residual

# %% exercise="verify"
from studium_topics.speculative_decoding.exercises import verify

# %% exercise="propose"
from studium_topics.speculative_decoding.exercises import propose

# %% exercise="speculate"
from studium_topics.speculative_decoding.exercises import speculate

# %% exercise="expected_tokens"
from studium_topics.speculative_decoding.exercises import expected_tokens

# %% exercise="best_gamma"
from studium_topics.speculative_decoding.exercises import best_gamma

# %% exercise="verify_among"
from studium_topics.speculative_decoding.exercises import verify_among
