# %% [markdown]
# # Four minutes
#
# A small network in this page draws shapes out of noise. You will ask it for one, write the line of code that makes it
# listen, get that line wrong as many people have, be told what is wrong, and see what the mistake draws. You need
# neither Jupyter nor mathematics for it.

# %%
from studium_topics.four_minutes.drawing import drawings
from studium_topics.kits import shapes_unet
from studium_topics.kits.film import DenoisingFilm

# %% [markdown]
# ## 1. Ask for something
#
# The network is asked for a large red ring. Move **Guidance scale** to 0, then to 1, then to 4, and let the film play
# each time. *At which scale does the network ignore the request?*

# %% tags=["widget"]
DenoisingFilm.trained(kind=shapes_unet.KINDS.index("a large red ring"), scale=2.0, sampling_steps=25, seed=9)

# %% [markdown]
# ## 2. Write one line
#
# The network removes the noise in 25 steps. In each step it guesses the noise twice: once *told* what to draw, and once
# *untold*. Your line mixes the two guesses, and this mix is what the slider changed.
#
# Click into the cell below and replace its last two lines by this one, with the four spaces in front:
#
# ```python
#     return told + scale * (told - untold)
# ```
#
# This is the line of the [paper](https://arxiv.org/abs/2207.12598) that introduced guidance, but the paper counts its
# scale from another start. Copied into a program that counts as ours does, it is a mistake, and you are about to make
# it. To check it, click **Not begun** at the corner of the cell, or **Check my work** above the notebook.

# %% exercise="guide"
from studium_topics.four_minutes.exercises import guide

# %% [markdown]
# ## 3. See what it draws
#
# The card names your mistake. Now click **Run the experiment** in it: the same network draws with *your* line, in rows
# of scale 0, 1 and 4. The first time takes some seconds, because Python has to start. *Which row looks wrong?*

# %% tags=["experiment"]
drawings(guide)

# %% [markdown]
# At scale 0 the network should ignore the request and draw anything. Correct your line as the card says, check it
# again, and run the experiment again: the first row changes.
#
# **Is there a minute left?** Write `untold - told` in the brackets. The card will say what is wrong with that, too, and
# the last row shows what the network takes for the opposite of a large red ring.
#
# ## You can now
#
# * move a widget to ask a question, and read the answer off it;
# * write code in a cell, and have it checked;
# * read from a card which mistake you made, and what the tests saw;
# * run an experiment with your own code, and see it change.
