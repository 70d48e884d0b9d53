# %% [markdown]
# # Counting
#
# A long introduction, which an assignment of single exercises leaves out.

# %% [markdown]
# ## Sums

# %% exercise="total"
from classroom_topic.exercises import total

# %% [markdown] tags=["experiment"]
# What the experiment shows.

# %% tags=["experiment"]
print("experiment", total([1.0, 2.0]))

# %% [markdown]
# ## Distances

# %% exercise="distance"
