# %% [markdown]
# # Encoder-decoder transformers (T5)

# %% exercise="remember"
from studium_topics.encoder_decoder.exercises import remember

# %% exercise="cross_attention"
from studium_topics.encoder_decoder.exercises import cross_attention

# %% exercise="relative_bucket"
from studium_topics.encoder_decoder.exercises import relative_bucket

# %% exercise="position_bias"
from studium_topics.encoder_decoder.exercises import position_bias

# %% exercise="decoder_layer"
from studium_topics.encoder_decoder.exercises import decoder_layer

# %% exercise="teacher_forced_loss"
from studium_topics.encoder_decoder.exercises import teacher_forced_loss

# %% exercise="greedy"
from studium_topics.encoder_decoder.exercises import greedy

# %% exercise="beam_search"
from studium_topics.encoder_decoder.exercises import beam_search
