# %% [markdown]
# # Rulers

# %% exercise="marks"
from open_topic.exercises import marks
