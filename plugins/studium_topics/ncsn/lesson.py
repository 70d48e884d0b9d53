# %% [markdown]
# # Score matching and noise-conditional score networks
#
# Suppose a density has two modes, one with 20 % of its mass and the other with 80 %. You know the gradient of its
# logarithm exactly, at every point. You spread two thousand walkers evenly over a square around both modes, and let
# them follow this gradient for a thousand small steps, with a little random noise in each, exactly as Langevin dynamics
# prescribes. A theorem tells you that in the long run, the walkers will be distributed like the density.
#
# **Half of them end in each mode.** The shape of both modes is right but their weights are wrong, although there is no
# error in the gradient, in the code or in the theorem. What went wrong, and how can *more* noise repair it?
#
# In the first panel of the widget, the walkers come down a ladder of noise levels. In the second, they follow only the
# gradient of the last level. Press Play, and read off how many end in mode 2, which has weight 0.8. Then drag "Weight
# of mode 1" from 0.2 to 0.8. *In which panel do the walkers notice?* An arrow is orange if it changes when you change
# the weights. *Where are the arrows orange at step 0, and where at the end?*

# %% tags=["widget"]
from studium_widgets import ParticleField

ParticleField.mountain_pass()

# %% [markdown]
# In this lesson you will
#
# 1. write the exact score of a mixture of Gaussians, and walkers that follow it;
# 2. see in exact numbers why the walkers cannot find the weights, and repair this with a ladder of noise levels;
# 3. derive a loss that can learn scores using only data, and write the loop that trains a network with it;
# 4. watch your own sampler turn noise into handwritten digits;
# 5. derive how large a step can be, and match your steps with the scheduler from `diffusers`.
#
# **You need** PyTorch, derivatives and Bayes' rule. This is the first lesson on diffusion. **Time:** 25 minutes of
# reading, 95 of coding, 10 of running.
#
# **History.** A model of a density must integrate to 1, and for images we can't compute that integral. This is why
# [Hyvärinen 2005](https://jmlr.org/papers/v6/hyvarinen05a.html) fitted gradients of log densities. His loss contains
# costly second derivatives, and [Vincent 2011](https://doi.org/10.1162/NECO_a_00142) showed how to replace them by
# adding noise. [Song and Ermon 2019](https://arxiv.org/abs/1907.05600) trained one network for many noise levels and
# walked down from the largest to the smallest. Their images were as good as those from the adversarial networks of the
# time.

# %%
from studium import show_table
import torch

from studium_topics.kits.diffusion import BATCH, LEARNING_RATE
from studium_topics.kits.digits import split
from studium_topics.ncsn import figures
from studium_topics.ncsn.digits import EACH, FINEST, RUNGS, SHARE, WIDEST, nearest, steps_of
from studium_topics.ncsn.exact import sight, stationary
from studium_topics.ncsn.experiment import (
    figure_3,
    heavy,
    learned,
    level_by_level,
    regression,
    scattered,
    two_modes,
)
from studium_topics.ncsn.networks import DigitScores
from studium_widgets import Chart, Diagram, ImageGrid

# %% [markdown]
# ## From noise to an image
#
# The figure shows everything you will build. In the upper half, a network learns gradients from clean images; in the
# lower half, walkers follow these gradients from noise to an image.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.ncsn", "flow.svg")

# %% [markdown]
# ## Symbols
#
# | formula | code | meaning |
# |---|---|---|
# | $x_0$ | `x0`, `images` | clean datum |
# | $\sigma$; $\sigma_1 > \dots > \sigma_L$ | `sigma`; `sigmas` | standard deviation of the noise; the ladder |
# | $z$ | `z`, `noise` | standard normal noise |
# | $x = x_0 + \sigma z$ | `x` | noisy datum, or a walker |
# | $p_\sigma$ | | density of noisy data |
# | $s_\theta(x, \sigma)$ | `score(x, sigma)`, `model` | a network's score of $p_\sigma$ |
# | $a$, $a_i$ | `step` | size of a Langevin step, at level $i$ |
# | $w_k$, $\mu_k$, $v_k$ | `weights`, `means`, `variances` | here: weight, mean, variance of a mixture's component |
#
# ## The score
#
# The <dfn>score</dfn> of a density $p$ is the gradient of its logarithm with respect to $x$, $\nabla_x \log p(x)$. It
# points to where the density grows. But why do we take the logarithm? Say $p = \tilde p/Z$, and we don't know the
# constant $Z$. Then $\log p = \log\tilde p - \log Z$, and the gradient does not contain $Z$. **A score needs no
# normalisation**, so we can use any function from vectors to vectors to model a score.
#
# For a mixture $p(x) = \sum_k w_k\,\mathcal N(x; \mu_k, v_k I)$ we can write the score as a formula. The gradient of a
# Gaussian is $\nabla\mathcal N(x; \mu_k, v_k I) = \mathcal N(x; \mu_k, v_k I)\,(\mu_k - x)/v_k$, and therefore
#
# $$\nabla \log p(x) = \frac{\nabla p(x)}{p(x)} = \sum_k p(k \mid x)\,\frac{\mu_k - x}{v_k},\qquad
# p(k \mid x) = \frac{w_k\,\mathcal N(x; \mu_k, v_k I)}{\sum_j w_j\,\mathcal N(x; \mu_j, v_j I)} .$$
#
# You can read this as follows: each component pulls $x$ towards its mean, with a weight equal to the probability that
# $x$ came from it.
#
# Now let's add noise. The density $p_\sigma$ of $x = x_0 + \sigma z$ with $z \sim \mathcal N(0, I)$ is called the
# <dfn>smoothed density</dfn>: it averages Gaussians of width $\sigma$ around all data points. A sum of independent
# Gaussians is Gaussian, and their variances add up. So we can use the same formula and change only $v_k$, and you have
# the exact score at *every* noise level.

# %% exercise="gmm_score"
from studium_topics.ncsn.exercises import gmm_score

# %% [markdown]
# ## Langevin dynamics
#
# How do we get samples from a score? We can't use gradient ascent, because it would end on the maxima. With
# <dfn>Langevin dynamics</dfn> we follow the score but also add fresh noise in every step (the paper's equation 4),
#
# $$x \leftarrow x + \frac{a}{2}\,\nabla\log p(x) + \sqrt{a}\;z, \qquad z \sim \mathcal N(0, I).$$
#
# If $a$ is small and you take many steps, then under mild conditions the walkers will be distributed like $p$, wherever
# they start. The drift and the noise have to match. Some texts write $a$ with $\sqrt{2a}$, which is the same thing with
# another name for the step. But if you mix the two conventions, you will sample from something else. Further below, you
# will derive this for Gaussians.

# %% exercise="langevin"
from studium_topics.ncsn.exercises import langevin

# %% [markdown] tags=["experiment"]
# Now let's repeat the puzzle from the start of the lesson, which is figure 3 of the paper. The weights are 0.2 and 0.8,
# and the modes at $(-5, -5)$ and $(5, 5)$ are Gaussians of variance 1. As in the paper, we start 1280 walkers anywhere
# in the square from −8 to 8 and let them take 1000 steps with $a = 0.1$, using your score and your `langevin`.

# %% tags=["experiment"]
score = two_modes(lesson.mine(gmm_score))
generator = torch.Generator().manual_seed(1)
start = scattered(1280, generator)
noise = torch.randn(1000, 1280, 2, dtype=torch.float64, generator=generator)
walked = lesson.mine(langevin)(lambda x: score(x, torch.ones(len(x), dtype=torch.float64)), start, 0.1, noise)
figures.clouds({"start": start, "1000 exact steps": walked})

# %% [markdown] tags=["experiment"]
# Each mode has the right shape, but nearly every walker is in the mode on the side where it started.
#
# ## Why the walkers cannot know
#
# Near the light mode, the other term of the mixture is smaller by a factor of about $e^{-100}$, and
# $\nabla\log(w_1\,\mathcal N_1)$ does not contain $w_1$. The score there is therefore **the same for all weights**. It
# depends on them only in a narrow strip between the modes, and there are hardly ever any walkers in that strip.
#
# To measure this, we will swap the two weights and compute how much of the score changes under $p_\sigma$ (root mean
# square), at $\sigma = 1$ and at higher noise. The last column is the barrier. A <dfn>barrier</dfn> between two modes
# is how far the log density falls on the way from one to the other. *At which noise level does the score depend most on
# the weights?*

# %% tags=["experiment"]
lesson.predict("most telling level", ..., "At which σ, from 1 to 20, does the score depend most on the weights?")

# %% tags=["experiment"]
looked = sight(lesson.mine(gmm_score), profile=lesson.profile)
show_table(
    ["noise level σ", "change of the score", "barrier, nats"],
    [(f"{sigma}", f"{change:.2g}", f"{looked.height[sigma]:.2f}") for sigma, change in looked.change.items()],
)
lesson.found("most telling level", max(looked.change, key=looked.change.get), within=0.35)

# %% tags=["experiment"]
figures.seen(looked)

# %% [markdown] tags=["experiment"]
# At $\sigma = 1$ about a hundred-thousandth of the score depends on the weights, but at $\sigma = 6$ nearly all of it
# does. Also, at $\sigma = 1$ the walkers have to cross a barrier of 24 nats. The time they need for this grows like
# $e^{24} > 10^{10}$, in units of the relaxation time within a mode, while our 1000 steps of 0.1 are just 50 such units.
# The theorem is right, but we can't wait for the long run. At high noise there is no barrier.
#
# ## A ladder of noise levels
#
# So let's start at a noise level high enough that $p_\sigma$ has a single mode, which the walkers can reach from
# anywhere. Then we lower the noise little by little. At each level, the walkers start with almost the right
# distribution, because the previous level was almost the same. By the time the barrier rises, they are already on its
# two sides in the right proportion. In <dfn>annealed Langevin dynamics</dfn>, we run some Langevin steps at each level
# of a ladder $\sigma_1 > \dots > \sigma_L$, and start each level from where the previous level ended. There are three
# things we need to choose.
#
# **The first level** should be about the largest distance between two data points ([Song and Ermon
# 2020](https://arxiv.org/abs/2006.09011), technique 1). This is 14 for our two modes and 50 for CIFAR-10.
#
# **The levels between.** When walkers arrive from level $i$, they must fit into level $i+1$. What counts is how much
# the noise changes relative to its size, so we use the same ratio between all neighbours.

# %% exercise="sigma_ladder"
from studium_topics.ncsn.exercises import sigma_ladder

# %% [markdown]
# **The steps.** A density of width $\sigma$ has scores of size $1/\sigma$. In one step, the drift is then about
# $a/(2\sigma)$ and the noise $\sqrt a$. We want their ratio $\sqrt a/(2\sigma)$ to be the same at all levels, and we
# get this if we make $a_i$ proportional to $\sigma_i^2$.

# %% exercise="annealed_langevin"
from studium_topics.ncsn.exercises import annealed_langevin

# %% [markdown] tags=["experiment"]
# Here is all of figure 3, using the settings from the authors' script. There are ten levels from 20 down to 1, with 100
# steps at each, so again 1000 steps in all, and $a = 0.1$ at the last level. The data are now two *points*, and noise
# of $\sigma = 1$ turns them into the two Gaussians you had before.

# %% tags=["experiment"]
crossed = figure_3(
    *(lesson.mine(f) for f in (gmm_score, langevin, sigma_ladder, annealed_langevin)), profile=lesson.profile, seed=0
)
figures.clouds({name: crossed.samples[name] for name in ("exact", "Langevin", "annealed")})

# %% [markdown]
# ## Learning scores from data
#
# So far, we were given the score. With real data, we only have samples. We want a network $s_\theta(x, \sigma)$ that is
# close to the score of $p_\sigma$,
#
# $$J(\theta) = \tfrac12\,\mathbb E_{x \sim p_\sigma}\left\lVert s_\theta(x, \sigma) - \nabla\log p_\sigma(x)
# \right\rVert^2,$$
#
# but we don't know the second term. Let's expand the square. The square of the unknown score does not depend on
# $\theta$, so we only need to look at the cross term. If we use $p_\sigma(x) = \int p(x_0)\,\mathcal N(x; x_0, \sigma^2
# I)\,dx_0$, and $p\,\nabla\log p = \nabla p$ twice, this is
#
# $$\mathbb E_{p_\sigma}\!\left[s_\theta \cdot \nabla\log p_\sigma\right] = \int s_\theta \cdot \nabla p_\sigma\,dx
# = \int\!\!\int p(x_0)\; s_\theta \cdot \nabla_x \mathcal N(x; x_0, \sigma^2 I)\,dx_0\,dx$$
#
# $$= \mathbb E_{x_0, x}\!\left[s_\theta(x, \sigma) \cdot \nabla_x \log \mathcal N(x; x_0, \sigma^2 I)\right].$$
#
# We can therefore replace the unknown score by the score of a *single Gaussian around the clean point*, which is $-(x -
# x_0)/\sigma^2 = -z/\sigma$. Now we complete the square with it, which again only adds a constant:
#
# $$\boxed{\;J(\theta) = \tfrac12\,\mathbb E_{x_0, z}\left\lVert s_\theta(x_0 + \sigma z, \sigma) + \frac{z}{\sigma}
# \right\rVert^2 + \text{const}\;}$$
#
# With <dfn>denoising score matching</dfn> we add noise to the data and train a network to predict that noise, divided
# by $-\sigma$; its best prediction is the score of the smoothed density. Be careful about the difference: $-z/\sigma$
# is the score *given $x_0$*, the target of a single example. Many pairs $(x_0, z)$ can lead to the same $x$, and the
# prediction that minimises a squared error is their mean,
#
# $$\nabla\log p_\sigma(x) = \mathbb E\left[-\frac z\sigma \,\middle|\, x\right].$$
#
# **The weight.** At level $\sigma$, the targets have size $1/\sigma$ and their squares $1/\sigma^2$. If we just added
# up the levels, the smallest would dominate the sum. We therefore give each level the weight $\sigma^2$. This means
# that we compare $\sigma s_\theta$ with $-z$, and these are numbers of size 1 at all levels (the paper's equations 5
# and 6).

# %% exercise="dsm_loss"
from studium_topics.ncsn.exercises import dsm_loss

# %% [markdown]
# You can also use a score to find out where the clean data are. The formula $\nabla\log p_\sigma(x) = \mathbb
# E[-z/\sigma \mid x]$ gives you the mean of the noise in $x$, and with $x = x_0 + \sigma z$ you get the mean of the
# clean data. Annealing ends at $\sigma_L > 0$. If we replace $x$ by this mean at the end, we remove the rest of the
# noise.

# %% exercise="tweedie"
from studium_topics.ncsn.exercises import tweedie

# %% [markdown]
# With <dfn>Tweedie's formula</dfn> we compute the mean of the clean data, given a noisy point, from the score there. It
# follows that networks that predict scores, noise or clean data are the same networks in different units, and we will
# use all three in the next lessons.
#
# Now let's put the loss and the levels together. If we train one network for all levels of a ladder and tell it the
# level, we have a <dfn>noise-conditional score network</dfn> (NCSN). This is the loop that trains it.

# %% exercise="train_scores"
from studium_topics.ncsn.exercises import train_scores

# %% [markdown] tags=["experiment"]
# ## Noise becomes digits
#
# You have written everything in the next cells except the network, which is a U-Net with 78,000 parameters. We train it
# on 899 digits of 8 × 8 pixels, 64 at a time, for 800 steps, at 22 levels from 10 to 0.1. *What is the first loss, when
# the network still answers 0 everywhere?* Write down your guess and run the cells. They will take about half a minute.

# %% tags=["experiment"]
lesson.predict("first loss", ..., "What is the loss of a network that answers 0 to digits of 64 pixels?")

# %% tags=["experiment"]
digits = split()[0].images
print(f"largest distance between two digits: {torch.cdist(digits.flatten(1), digits.flatten(1)).max():.1f}")
ladder, generator = lesson.mine(sigma_ladder)(WIDEST, FINEST, RUNGS).float(), torch.Generator().manual_seed(0)
model = DigitScores(ladder, seed=0)
losses = lesson.mine(train_scores)(model, digits, ladder, steps_of(lesson.profile), BATCH, LEARNING_RATE, generator)
late = losses[-100:]
print(f"loss of the first step {losses[0]:.1f}, mean of the last {len(late)} {sum(late) / len(late):.2f}")
lesson.found("first loss", losses[0])

# %% tags=["experiment"]
walk, denoise = lesson.mine(annealed_langevin), lesson.mine(tweedie)
x = WIDEST * torch.randn(24, 1, 8, 8, generator=generator)
frames = [x]
with torch.no_grad():
    for sigma in ladder:  # one level at a time, so that you can watch
        z = torch.randn(1, EACH, *x.shape, generator=generator)
        x = walk(model, x, sigma.view(1), SHARE * float(sigma) ** 2, z)
        frames.append(x)
    level = ladder[-1].expand(len(x))
    clean = denoise(x, level, model(x, level))[0]

# %% tags=["experiment"]
shown = [0, 5, 9, 12, 13, 14, 15, 16, 17, 18, 20, 22]
film = torch.stack([*(frames[k] / (1 + 2 * ladder[max(k - 1, 0)]) for k in shown), clean])  # noise scaled to fit
names = ["start", *(f"σ = {ladder[k - 1]:.2g}" for k in shown[1:]), "clean"]
grid = ImageGrid(film, steps=names, step=len(names) - 1, columns=8, label="24 digits from your annealed sampler")
measured = f"{len(ladder)} levels of noise, loss {sum(late) / len(late):.2f}"
lesson.keepsake(grid, "Digits from noise, down a ladder of scores", measured, train_scores, annealed_langevin)

# %% [markdown] tags=["experiment"]
# Press Play. You won't see much while the noise is as large as the contrast of the images. Coarse strokes appear below
# $\sigma \approx 0.6$, and the levels after that sharpen them. You can read many of the images as digits, but not all
# of them.
#
# If the network is so good, do we still need the ladder? Let's start the same network from the same kind of noise and
# let it walk for as many steps, but only at the last level. Then we compare distances to the nearest digit that the
# network has never seen.

# %% tags=["experiment"]
start = WIDEST * torch.randn(24, 1, 8, 8, generator=generator)
z = torch.randn(RUNGS * EACH, *start.shape, generator=generator)
with torch.no_grad():
    alone = lesson.mine(langevin)(lambda at: model(at, level), start, SHARE * FINEST**2, z)
show_table(
    ["", "median distance to the nearest unseen digit"],
    [
        (name, f"{nearest(made):.2f}")
        for name, made in {"training digits": digits, "your sampler": clean, "last level only": alone}.items()
    ],
)

# %% [markdown] tags=["experiment"]
# At the laptop profile (seeds 0 to 2, 100 samples) the distance is 2.7 to 2.8 with the ladder, and 11 to 15 if we use
# only the last level. For the training digits it is 2.2. The ladder is the only difference. At the last level, we
# trained the network on images with noise of 0.1, and from these it can't learn anything about the places where these
# walkers start.
#
# ## How large may a step be?
#
# The sampler above took steps of $a = \sigma^2/2$, which is far from "small". What do large steps cost us? If the data
# are $\mathcal N(0, v)$, the score is $-x/v$, and a step is linear in $x$ and $z$. We can then follow the variance of
# the walkers exactly, without a single sample. Where does it settle?

# %% exercise="settled_variance"
from studium_topics.ncsn.exercises import settled_variance

# %% tags=["experiment"]
lesson.predict("variance at a = 1", ..., "At what variance do walkers on N(0, 1) settle if they take steps of a = 1?")

# %% tags=["experiment"]
settled = stationary(lesson.mine(langevin), lesson.mine(settled_variance), profile=lesson.profile)
show_table(
    ["step a", "variance measured on your langevin", "derived by you"],
    [(f"{a}", f"{variance:.4f}", f"{settled.derived[a]:.4f}") for a, variance in settled.measured.items()],
)
lesson.found("variance at a = 1", settled.measured[1.0], within=0.02)

# %% [markdown] tags=["experiment"]
# Large steps make the cloud too wide, and beyond a limit its variance grows without bound. Small steps are more exact,
# but you need many of them. Between two levels of our ladder the walkers must lose a fifth of their width, and a step
# shrinks the distance from a clean point only by the factor $1 - a/(2\sigma^2)$.
#
# **Think about it.** Around one clean point, level $\sigma$ is $\mathcal N(x_0, \sigma^2 I)$. By how much are the
# walkers too wide with $a = \sigma^2/2$, and why does this hardly matter for the digits?
#
# <details><summary>Answer</summary>
#
# Only the ratio of the step to the variance counts, so you can use `settled_variance(0.5, 1)`. The variance is 8/7 of
# what it should be, so the width is 7 % too large. At the last level this is 7 % of 0.1, and then the last step removes
# the noise anyway.
# </details>
#
# ## Which parts of the ladder matter?
#
# Let's go back to the plane, where we know the truth. In each of these variants of figure 3, we change one thing. *Draw
# what you expect before you reveal.*
#
# * **from (−5, −5)**: all walkers start in the light mode.
# * **20 steps a level** instead of 100.
# * **evenly spaced**: the levels are 20, 17.9, 15.8 … 3.1, 1.
# * **same step**: $a = 0.1$ at all levels.
# * **first level at 2**: a ladder from 2 to 1.

# %% tags=["experiment", "widget"]
ways = {
    "annealed": "annealed",
    "from (−5, −5)": "annealed from (-5, -5)",
    "20 steps a level": "20 steps a level",
    "evenly spaced": "levels evenly spaced",
    "same step": "same step at all levels",
    "first level at 2": "first level at 2",
    "no ladder": "Langevin",
}
Chart(
    kind="bars",
    y=[[crossed.share(way) for way in ways.values()]],
    labels=list(ways),
    names=["share"],
    y_label="the share in the mode of weight 0.8",
    y_range=[0, 1],
    predict="share",
)

# %% [markdown] tags=["experiment"]
# Here are seeds 0 to 4 at the laptop profile (2000 walkers, good for about ±.02; the truth is .80):
#
# | | share | |
# |---|---|---|
# | annealed | .77–.81 | from the square |
# | from (−5, −5) | .77–.80 | the start is forgotten |
# | 20 steps a level | .72–.74 | too little time at each level |
# | evenly spaced | .76–.78 | no worse, in the plane |
# | same step | .60–.63 | at $\sigma = 20$ a step of 0.1 hardly moves the walkers |
# | first level at 2 | .53–.55 | at $\sigma = 2$ the barrier is 4.9 nats |
# | no ladder | .49–.50 | |
#
# The first level and the growing steps matter most. But why is the annealed share not quite .80? In the next figure we
# follow the walkers of another run, and compare them with the share at which each level would settle. (At $\sigma = 20$
# this is below .80, because noise carries points of both modes across the middle.) The walkers keep up until $\sigma
# \approx 4$. Then the barrier rises before the last few per cent have crossed.

# %% tags=["experiment"]
figures.descent(crossed)

# %% [markdown] tags=["experiment"]
# Here is your own run, with ten frames per level, next to a run that uses the same step at all levels. (In the widget,
# the data are two Gaussians of variance 1 instead of two points.) Choose "None" under "Put in a mistake", and compare
# the shares.

# %% tags=["experiment", "widget"]
rungs = lesson.mine(sigma_ladder)(20.0, 1.0, 10).repeat_interleave(10)
few = scattered(300, torch.Generator().manual_seed(5))
draws = torch.randn(100, 10, 300, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
wide = two_modes(lesson.mine(gmm_score), variance=1.0)  # the widget's data
path = level_by_level(lesson.mine(annealed_langevin), wide, few, rungs, 0.1 * rungs**2, draws)
ParticleField.mountain_pass(mistake="constant-step", beside="yours", trajectory=path.float(), particles=300)

# %% [markdown] tags=["experiment", "bridge"]
# ## The same steps in diffusers
#
# In practice you would use the class `ScoreSdeVeScheduler` from `diffusers` (`Ve` stands for "variance exploding":
# nothing is shrunk). Its `step_correct` is your Langevin step, but it chooses $a$ from the lengths of the score and the
# noise. Its `step_pred` goes down one level, with twice the drift of Langevin dynamics ([Song et al.
# 2021](https://arxiv.org/abs/2011.13456)). Here we call both, using the scores of your digit network and the same noise
# as yours.

# %% tags=["experiment", "bridge"]
try:
    from diffusers import ScoreSdeVeScheduler
except ImportError:
    print("diffusers is not installed, so there is no comparison here: pip install diffusers")
else:
    scheduler = ScoreSdeVeScheduler(num_train_timesteps=RUNGS, snr=0.2, sigma_min=FINEST, sigma_max=WIDEST)
    scheduler.set_timesteps(RUNGS)
    levels, move = scheduler.discrete_sigmas.flip(0), lesson.mine(langevin)
    print(f"ladder: largest relative difference {(ladder / levels - 1).abs().max():.1e}")
    for k in (7, 14, 21):  # the batch after level k of the film, and its score there
        x = frames[k]
        with torch.no_grad():
            s = model(x, ladder[k - 1].expand(len(x)))
        z = torch.randn(x.shape, generator=torch.Generator().manual_seed(k))
        lengths = [value.flatten(1).norm(dim=1).mean() for value in (z, s)]
        a = 4 * (0.2 * lengths[0] / lengths[1]) ** 2
        theirs = scheduler.step_correct(s, x, generator=torch.Generator().manual_seed(k)).prev_sample
        gaps = [move(lambda at, s=s: s, x, a, z[None]) - theirs]
        a = levels[k - 1] ** 2 - levels[k] ** 2
        t = scheduler.timesteps[k - 1]
        theirs = scheduler.step_pred(s, t, x, generator=torch.Generator().manual_seed(k)).prev_sample
        gaps.append(move(lambda at, s=s: 2 * s, x, a, z[None]) - theirs)
        largest = " and ".join(f"{float(gap.abs().max()):.1e}" for gap in gaps)
        print(f"σ = {levels[k - 1]:4.2f}: largest difference of step_correct and step_pred {largest}")

# %% [markdown]
# ## Further
#
# In the rest of the lesson, we test the loss itself and find out how the method grows with the size of the images.
#
# ### Does the loss find the score of the smoothed density?

# %% [markdown] tags=["experiment"]
# Let's take the mixture of figure 3, its exact smoothed score $s^*$, and some wrong answers $s$. If the formula in the
# box is right, the loss of $s$ should exceed the loss of $s^*$ by exactly $\tfrac12\,\mathbb E\,\sigma^2\lVert s -
# s^*\rVert^2$, although we never use $s^*$ to compute the loss.

# %% tags=["experiment"]
compared = regression(
    lesson.mine(gmm_score), lesson.mine(sigma_ladder), lesson.mine(dsm_loss), profile=lesson.profile, seed=0
)
show_table(
    ["wrong answer", "excess", "theory"],
    [(name, f"{excess:.4f}", f"{compared.theory[name]:.4f}") for name, excess in compared.excess.items()],
)
figures.floor(compared)

# %% [markdown] tags=["experiment"]
# **Think about it.** The curve is the loss of the exact score, and the line at 1 is the loss of a model that answers 0.
# Why is the best possible loss 0.5 at $\sigma = 1$, but only 0.04 at $\sigma = 20$? Why is there a hump near $\sigma =
# 5$?
#
# <details><summary>Answer</summary>
#
# The model has to guess the noise. At $\sigma = 20$ nearly all of $x$ is noise, so we can read it off. At $\sigma = 1$
# the noise and the data have the same width, and we can't tell them apart. For a Gaussian of variance $v$ in $D$
# dimensions, the floor is $\tfrac D2\,v/(v + \sigma^2)$. As $\sigma \to 0$ it tends to $D/2$, the loss of a model that
# answers 0. **A high loss at small $\sigma$ does not mean that the network is bad.** At the hump there is a second
# doubt: which mode did the point come from?
# </details>
#
# ### Does the weight matter?
#
# We train two networks (MLPs with 34,000 parameters), which start from the same parameters and get the same draws from
# the mixture. The first uses the weight $\sigma^2$, and the second uses weight 1 at all levels. *At which level will
# the second be worse?* Draw its curve before you reveal it. A network that answers 0 has a relative error of 1.

# %% tags=["experiment"]
blocks = [lesson.mine(f) for f in (gmm_score, langevin, sigma_ladder, annealed_langevin, dsm_loss)]
nets = learned(*blocks, profile=lesson.profile, seed=0)

# %% tags=["experiment", "widget"]
Chart(
    x=nets.sigmas.flip(0),
    y=torch.stack([nets.errors[way].flip(0) for way in ("weighted", "unweighted")]),
    names=["weight σ²", "weight 1"],
    x_label="noise level σ",
    y_label="relative error of the score",
    log_x=True,
    log_y=True,
    y_range=[0.01, 1],
    predict="weight 1",
)

# %% tags=["experiment"]
show_table(
    ["", "share in the mode of weight 0.8"],
    [
        ("annealed, with the weight σ²", f"{nets.share('weighted'):.2f}"),
        ("annealed, with the weight 1", f"{nets.share('unweighted'):.2f}"),
        ("with the weight σ², but only Langevin at σ = 1", f"{heavy(nets.plain):.2f}"),
    ],
)
figures.clouds({"weight σ²": nets.samples["weighted"], "weight 1": nets.samples["unweighted"], "no ladder": nets.plain})

# %% [markdown] tags=["experiment"]
# Over seeds 0 to 4 at the laptop profile, the error with the weight $\sigma^2$ is at most .08 at every level. With
# weight 1, it is .17 to .26 at $\sigma = 20$, which is 7 to 12 times as large. At $\sigma = 1$, to which this loss
# gives 400 times as much weight, it is a little smaller. The samples are not worse for it, because at the largest
# levels the network only has to find out which side is heavier. If your ladder goes from 50 to 0.01, the factor is not
# 400 but 25 million.

# %% [markdown]
# ### How many levels for larger images?
#
# In $D$ dimensions the length of the noise $\sigma z$ is $\sigma\sqrt D$, give or take $\sigma/\sqrt 2$, so nearly all
# of a Gaussian lies in a thin shell. The shells of two neighbouring levels overlap only if $\sqrt D\,(\sigma_i -
# \sigma_{i+1})$ is not much larger than $\sigma_i$. We therefore need a ratio near $1 + c/\sqrt D$, with $c$ about 2,
# and the number of levels grows like $\sqrt D$. If you space the levels evenly, you break this rule at the lower end.
#
# **Think about it.** For CIFAR-10, with $D = 3072$, the second paper uses 232 levels from 50 to 0.01. What is $c$
# there, and what is it for our digits?
#
# <details><summary>Answer</summary>
#
# $(50/0.01)^{1/231} = 1.038 = 1 + 2.1/\sqrt{3072}$, so $c = 2.1$. For the digits, $(10/0.1)^{1/21} = 1.245 = 1 +
# 2.0/\sqrt{64}$. The first paper used ten levels from 1 to 0.01. This is a ratio of 1.67, or $c = 37$.
# </details>

# %% [markdown]
# ## What does not reproduce at this size
#
# * **An inception score of 8.87 and an FID of 25.32 on CIFAR-10.** We repeat the method on 8 × 8 digits, some of which
#   you can't read, and figure 3 in the plane.
# * **Data on a thin sheet.** One of the paper's reasons for adding noise is that images fill only a low-dimensional
#   part of their space, where the score of the clean data is undefined. Our two modes fill the plane.
# * **0.80 exactly.** Annealing ends a little below. When we took four times as many steps at each level, three runs
#   gave .785, .790 and .804.
#
# ## Common misconceptions
#
# * *"The score of the noisy density is $(x_0 - x)/\sigma^2$."* This is the score *given* $x_0$. To get the score of the
#   density, take its mean over all $x_0$ that fit.
# * *"Langevin dynamics is gradient ascent."* Without the noise, all walkers would end on the two maxima.
# * *"Smaller steps are always better."* They are more exact, but you need more steps to get anywhere.
# * *"With a perfect score, sampling is a formality."* Figure 3 shows the opposite.
# * *"A lower loss is a better model."* The minimum on 1000 images is the score of 1000 smoothed points, which you can
#   compute with `gmm_score`. If you sample with it, you get the training images back. We will come back to this in the
#   next lesson.
#
# ## You can now
#
# * compute the exact score of a smoothed mixture, and explain why it hides the weights of distant modes;
# * sample with annealed Langevin dynamics, and choose its levels and steps;
# * derive denoising score matching, and tell what its minimum is;
# * train a score network and draw digits using loops you wrote;
# * predict what a step size costs, and match your steps with `ScoreSdeVeScheduler`.
#
# ## Open tasks
#
# * *Ten minutes.* Start the digits' ladder at $\sigma = 1$, as the first paper did, from noise of that width. You
#   should still see digits. Check how much the 24 digits differ from one another.
# * *An hour.* Train the digits with weight 1 instead of $\sigma^2$. The smallest levels will then dominate the loss.
#   Which frames of the film change first?
# * *A day.* Keep a moving average of the parameters (Song and Ermon 2020, technique 5) and train without the one-cycle
#   schedule. The average should repair most of the damage that a constant rate does.
#
# ## Further reading
#
# * [Song and Ermon 2020](https://arxiv.org/abs/2006.09011): how to choose the first level, the ratio, the steps and the
#   average.
# * [Song et al. 2021](https://arxiv.org/abs/2011.13456): if you use infinitely many levels, you get a stochastic
#   differential equation, and Langevin dynamics becomes its *corrector*.
# * [Song et al. 2019](https://arxiv.org/abs/1905.07088): sliced score matching, which needs no noise.
# * Next in this track comes `ddpm`, where the data shrink while noise comes in, so we don't need an inner loop.
