# %% [markdown]
# # ALBERT: one layer, many times

# %% exercise="break_even"
from studium_topics.albert.exercises import break_even

# %% exercise="albert_embed"
from studium_topics.albert.exercises import albert_embed

# %% exercise="parameter_bill"
from studium_topics.albert.exercises import parameter_bill

# %% exercise="shared_stack"
from studium_topics.albert.exercises import shared_stack

# %% exercise="gradient_by_use"
from studium_topics.albert.exercises import gradient_by_use

# %% exercise="albert"
from studium_topics.albert.exercises import albert

# %% exercise="sop_pairs"
from studium_topics.albert.exercises import sop_pairs

# %% exercise="train_order"
from studium_topics.albert.exercises import train_order
