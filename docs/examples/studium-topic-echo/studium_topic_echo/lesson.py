# %% [markdown]
# # Echo: one layer, two views
#
# Clap once in a stairwell. You hear the clap, then a softer one, then one that is softer still.
#
# A computer makes that sound with a single line: take what was heard a moment ago, weaken it, add it. But look at the
# line closely. To know what is heard *now* it needs something that it has only just computed. A minute of sound has
# 2.9 million samples, and they come one after the other, while the thousands of cores of a GPU stand idle.
#
# **Do they have to wait?** Whoever trains a model on long sequences asks the same question. In 20 minutes you will
#
# 1. write an echo that waits;
# 2. find the one list that knows everything about it;
# 3. compute the same echo without waiting, with the two functions that you wrote.
#
# You need Python's lists, nothing more.

# %%
import plotly.graph_objects as go

from studium_topic_echo.experiment import two_views
from studium_widgets import Diagram, figure

# %% [markdown]
# ## Step by step
#
# The wall throws back what it hears, and what it hears includes its own earlier echoes:
#
# $$y_n = x_n + g\, y_{n-d}.$$
#
# $x_n$ is the sound at sample $n$ and $y_n$ is what you hear. The **delay** $d \ge 1$ counts samples, the **gain** $g$
# is what the wall leaves of a sound. Before the start is silence: $y_n = 0$ for $n < 0$.

# %% tags=["diagram"]
Diagram.from_package("studium_topic_echo", "flow.svg")

# %% [markdown]
# *Before you write: on the right stands $y$, not $x$. What would you hear if it were $x$?*

# %% exercise="echo"
from studium_topic_echo.exercises import echo

# %% [markdown]
# ## All at once
#
# Now send a single click through your echo: $1, 0, 0, 0, \dots$ At $n = 0$ you hear the click. At $n = d$ you hear it
# once weakened, at $2d$ twice weakened, and so on. What an echo makes of a click is called its <dfn>response</dfn> $h$.

# %% exercise="response"
from studium_topic_echo.exercises import response

# %% [markdown] tags=["experiment"]
# Take $d = 100$ and $g = 0.7$, and guess when it is quiet again.

# %% tags=["experiment"]
lesson.predict("silence", ..., "At which sample does a click come back for the last time above 1 %?")

# %% tags=["experiment"]
heard = lesson.mine(response)(100, 0.7, 2000)
lesson.found("silence", max(n for n, strength in enumerate(heard) if strength > 0.01))

# %% [markdown]
# Why should one click matter? Because every sound is a sum of clicks: at each $m$ there is one of strength $x_m$. And
# an echo treats them all alike: it answers a click of twice the strength twice as loudly, a later click later by as
# much, and a sum of clicks with the sum of the answers. So what you hear is a sum of responses,
#
# $$y_n = \sum_{m=0}^{n} h_m\, x_{n-m}.$$
#
# This is a **convolution**. No $y$ is left on the right: nobody waits.
#
# *Guess before you go on: is it exactly the same echo, or nearly the same?*

# %% tags=["experiment"]
views = two_views(lesson.mine(echo), lesson.mine(response), profile=lesson.profile)
print(f"largest difference in {len(views.sound)} samples: {views.gap:.0e}")
figure(
    go.Scatter(y=views.stepped[:80], name="step by step"),
    go.Scatter(y=views.convolved[:80], name="all at once", mode="markers"),
    x="sample",
    y="what you hear",
)

# %% [markdown] tags=["experiment"]
# The same, up to the rounding of the last digit. In 2021 Albert Gu and his colleagues built a neural network's layer on
# this. As a recurrence it follows a stream, step after step in constant memory; as a convolution it is trained, on all
# steps at once. Its response is $h_n = C A^n B$ with matrices $A$, $B$ and $C$; yours, at $d = 1$, is $g^n$.
#
# ## What does not reproduce at this size
#
# * **Speed.** With Python's loops the convolution is the slower way: about $N^2 / 2$ products in the place of $N$. It
#   pays with an FFT, which needs $N \log N$, and with many cores.
# * **Learning.** Nothing was trained here. That such layers can learn to remember is the paper's other half.

# %% [markdown]
# ## Common misconceptions
#
# * *"The convolution is an approximation."* It is the same function, written without $y$.
# * *"So every recurrence can be unrolled like this."* Only one that is linear and always the same. An LSTM bends what
#   it remembers, and has no response.
#
# **A question to take home.** You have only what was heard, $y$, and know $d$ and $g$. How do you get rid of the echo?
#
# <details><summary>Answer</summary>
#
# Solve the first formula for the sound: $x_n = y_n - g\, y_{n-d}$. One subtraction for each sample undoes an echo that
# never ends. And it need not wait, since every $y$ is known.
# </details>
#
# ## Where to go next
#
# * [Gu et al. 2021](https://arxiv.org/abs/2110.13985): the layer with its two views.
# * [Gu, Goel and Ré 2021, S4](https://arxiv.org/abs/2111.00396): how to get the response of a big layer quickly.
# * [Gu and Dao 2023, Mamba](https://arxiv.org/abs/2312.00752): a gain that depends on the input. There is no response
#   any more, and still nobody waits.
