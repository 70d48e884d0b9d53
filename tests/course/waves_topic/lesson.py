# %% [markdown]
# # Waves on the water
#
# The sea is never still. Its surface obeys
#
# $$\begin{aligned} \partial_t \eta &= -\nabla \cdot (h\, \mathbf{u}) \\ &= \mathcal{L}(\hat\eta) + \widetilde{w}
# \end{aligned}$$
#
# with $\eta \in \mathbb{R}$ and $\boxed{c = \sqrt{gh}}$, but 5 $ are no formula and neither are 7 $.

# %% tags=["setup-of-the-author"]
import base64
import sys

import plotly.graph_objects as go
from IPython.display import HTML, Image, Markdown

from studium_widgets import NoiseSchedule, figure

# %% [markdown]
# ## What a page can show
#
# A table, a [lesson](tides.ipynb#low-water), ![a lighthouse](https://example.org/lighthouse.png) and a matrix
# $\begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix}$.
#
# | depth | speed |
# |------:|:------|
# | 10 m  | 9.9   |
#
# <details><summary>Answer</summary>
#
# With $\tfrac12$ the **phosphorescence** of plankton.
# </details>

# %% tags=["widget"]
NoiseSchedule()

# %%
figure(go.Scatter(y=[1, 3, 2], name="surface <i>"), x="time", y="its<br>height")

# %%
print("\x1b[32mplain\x1b[0m text <b>not bold</b>")
print("a warning", file=sys.stderr)

# %%
pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
Image(data=base64.b64decode(pixel))

# %%
HTML("<table><tr><td>a table of its own</td></tr></table>")

# %%
Markdown("some *Markdown* with $x^2$")

# %% exercise="height"
from waves_topic.exercises import height

# %% [markdown]
# Text below the exercise.
#
# ## What a page can show
#
# Once more under the same name.

# %%
figure(
    *(go.Scatter(y=[1, 3, 2], name=f"the height of the water at noon in harbour {name}") for name in "ab"),
    x="day",
    title="The water of two harbours,<br>whose names are longer than a narrow page is wide",
)

# %% tags=["experiment"]
lesson.mine(height)(2.0, -1.0)

# %% tags=["experiment"]
lesson.predict("noon", ..., "How many *metres* high is the water at noon?")

# %% tags=["experiment"]
lesson.found("noon", 5 / 2)
