# %% [markdown]
# # LLM tasks
