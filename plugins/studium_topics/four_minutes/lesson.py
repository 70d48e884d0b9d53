# %% [markdown]
# # Four minutes
#
# A small network in this page can draw shapes, starting from just noise. You will ask it for a shape and then write the
# line of code that makes it listen to you. The first time, we will get this line wrong on purpose, so you can see how a
# mistake is explained and what it draws. You don't need to know Jupyter or any mathematics.

# %%
from studium_topics.four_minutes.drawing import drawings
from studium_topics.kits import shapes_unet
from studium_topics.kits.film import DenoisingFilm

# %% [markdown]
# ## 1. Ask for something
#
# Here we are asking the network for a large red ring. Move **Guidance scale** to 0, then to 1 and then to 4, and let
# the film play each time. *At which scale does the network ignore our request?*

# %% tags=["widget"]
DenoisingFilm.trained(kind=shapes_unet.KINDS.index("a large red ring"), scale=2.0, sampling_steps=25, seed=9)

# %% [markdown]
# ## 2. Write one line
#
# The network removes the noise in 25 steps. In each step it makes two guesses about the noise. For one guess we *tell*
# it what to draw and for the other we don't, so we call them *told* and *untold*. Your line will mix the two guesses,
# and this mix is what you changed using the slider.
#
# Now click into the cell below. It ends with two lines that you should replace, a comment and `raise
# NotImplementedError()`. Write this line instead, with the four spaces in front:
#
# ```python
#     return told + scale * (told - untold)
# ```
#
# This is the line from the [paper](https://arxiv.org/abs/2207.12598) that introduced guidance, but the paper starts
# counting the scale somewhere else. If you use it in a program that counts the way ours does, it becomes a mistake.
# Let's see whether we get caught: click **Check** in the corner of the cell, or **Check my work** above the
# notebook.

# %% exercise="guide"
from studium_topics.four_minutes.exercises import guide

# %% [markdown]
# ## 3. See what it draws
#
# You will get a card that names your mistake. Click **Run the experiment** on this card, and the same network will draw
# using *your* line, with a row for each of the scales 0, 1 and 4. While your line is wrong, the right half of each row
# shows what the right line makes of the same noise. The first time takes a few seconds, because Python has to start.
# *In which row do the two halves differ?*

# %% tags=["experiment"]
drawings(guide)

# %% [markdown]
# At scale 0, the network should ignore our request and could draw anything. Correct your line as the card suggests,
# check it, and run the experiment again. The first row will change, and now all images are drawn with your line.
#
# **If you have another minute**, write `untold - told` in the brackets. The card will tell you what is wrong with this
# too, and in the last row you can see what the network takes to be the opposite of a large red ring.
#
# ## You can now
#
# * move a widget to ask a question, and use it to find the answer;
# * write code in a cell and have it checked;
# * learn from a card which mistake you made, and what the tests found;
# * run an experiment with your code, and see it change.
