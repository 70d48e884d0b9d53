# %% [markdown]
# # Tides
#
# ## Low water
#
# The moon pulls, and so does the *éclat* of the sun.

# %%
print(6 * 2)
