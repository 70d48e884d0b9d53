# %% [markdown]
# # Span corruption (T5)
#
# Text.

# %% exercise="random_lengths"
from studium_topics.span_corruption.exercises import random_lengths

# %% exercise="span_mask"
from studium_topics.span_corruption.exercises import span_mask

# %% exercise="corrupt"
from studium_topics.span_corruption.exercises import corrupt

# %% exercise="restore"
from studium_topics.span_corruption.exercises import restore

# %% exercise="expected_target"
from studium_topics.span_corruption.exercises import expected_target

# %% exercise="raw_length"
from studium_topics.span_corruption.exercises import raw_length

# %% exercise="shift_right"
from studium_topics.span_corruption.exercises import shift_right

# %% exercise="collate"
from studium_topics.span_corruption.exercises import collate
