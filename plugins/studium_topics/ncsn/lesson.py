# %% [markdown]
# # Score matching and noise-conditional score networks
#
# Two heaps of points lie on a plain, far apart. One holds a fifth of all points, the other four fifths. For every
# place you are told in which direction the density grows, and how fast: exactly, without any error. Now drop two
# thousand walkers on the plain. Each follows the arrow under its feet and stumbles a little at every step. A theorem
# says that in the long run the walkers are spread like the points.
#
# After a thousand steps each heap has found its shape, and **the numbers at the two heaps are wrong**, far beyond
# chance. Nothing is amiss with the arrows, nothing with the code, and nothing with the theorem. In this lesson you
# will
#
# 1. write the exact score of a mixture, and walkers that follow it;
# 2. see why they miss the weights: from where they stand, the weights *cannot be seen*;
# 3. mend it with noise: a ladder of levels, from one where all is one hill down to the data;
# 4. learn the scores from data alone, by guessing which noise was added;
# 5. turn scores into clean data and into noise, and back.
#
# It is the first lesson on diffusion; nothing is needed but PyTorch and derivatives. The papers:
# [Song and Ermon 2019](https://arxiv.org/abs/1907.05600) (NCSN),
# [Song and Ermon 2020](https://arxiv.org/abs/2006.09011) (how to choose its many numbers) and
# [Song et al. 2021](https://arxiv.org/abs/2011.13456) (where it led). Denoising score matching is from Vincent 2011,
# "A Connection Between Score Matching and Denoising Autoencoders".

# %%
import torch

from studium_topics.ncsn import figures
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
from studium_widgets import Chart, ParticleField

# %% [markdown]
# ## The mountain pass
#
# Here they are: first, walkers that come down a ladder of noise levels; beside them, walkers that follow the arrows
# of the last level alone. The scores are exact in both.
#
# *Press Play. Then read off how many have ended in mode 2, whose weight is 0.8. Now drag "Weight of mode 1" from 0.2
# to 0.8. Which of the two clouds follows? Arrows are orange where a change of the weights would change them: where
# are those at the end of the walk? And where at its beginning, with step 0?*

# %% tags=["widget"]
ParticleField.mountain_pass()

# %% [markdown]
# ## The score
#
# The <dfn>score</dfn> of a density $p$ is the gradient of its logarithm with respect to $x$,
# $s(x) = \nabla_x \log p(x)$. It points to where the density grows. Why the logarithm? A model that gives densities
# has to see to it that they integrate to 1, and that integral is out of reach for pictures. If
# $p(x) = \tilde p(x)/Z$, then $\log p = \log\tilde p - \log Z$, and the gradient does not know $Z$. **A score has no
# constant to normalise.** Any function from vectors to vectors may try to be one.
#
# For a mixture of Gaussians it has a formula. With $p(x) = \sum_k w_k\,\mathcal N(x; \mu_k, v_k I)$,
#
# $$\nabla \log p(x) = \frac{\nabla p(x)}{p(x)} = \sum_k p(k \mid x)\,\frac{\mu_k - x}{v_k},$$
#
# $$p(k \mid x) = \frac{w_k\,\mathcal N(x; \mu_k, v_k I)}{\sum_j w_j\,\mathcal N(x; \mu_j, v_j I)} .$$
#
# Each component pulls towards its mean, and counts as much as it is likely to be the one that $x$ came from.
#
# Now add noise. $x = x_0 + \sigma z$ with $z \sim \mathcal N(0, I)$ has a density of its own, $p_\sigma$: the old
# one, smeared. To <dfn>smooth</dfn> a density is to add Gaussian noise to its samples; the smoothed density
# $p_\sigma$ is the average of Gaussians of width $\sigma$ around all data points. A Gaussian that is smeared is a
# wider Gaussian: variances add up. So the formula stays, and only $v_k$ changes. You need nothing else for an exact
# score at *any* noise level.

# %% exercise="gmm_score"
from studium_topics.ncsn.exercises import gmm_score

# %% [markdown]
# **Think about it.** Where does the score of $\tfrac12\mathcal N(-5, 1) + \tfrac12\mathcal N(5, 1)$ vanish, and what
# would a walker without noise do there?
#
# <details><summary>Answer</summary>
#
# Near both means, on the tops, and half way between them, at the bottom of the valley. A walker without noise that is
# put exactly half way stays for ever; one that is put a little beside it climbs the nearer hill.
# </details>
#
# ## Langevin dynamics
#
# How does one get samples out of a score? Not by climbing: that ends on the tops. <dfn>Langevin dynamics</dfn>
# follows the score and adds fresh noise in every step,
#
# $$x \leftarrow x + \frac{a}{2}\,\nabla\log p(x) + \sqrt{a}\;z, \qquad z \sim \mathcal N(0, I).$$
#
# For small steps $a$, many of them, and under mild conditions the walkers are distributed like $p$, wherever they
# have started. Drift and noise have to match. Beside $a/2$ stands $\sqrt a$; you will also meet $a$ beside
# $\sqrt{2a}$, which is the same with another name for the step. Mix the two, and you sample from something else.

# %% exercise="langevin"
from studium_topics.ncsn.exercises import langevin

# %% [markdown] tags=["experiment"]
# "For small steps." What do large ones cost? On $\mathcal N(0, 1)$ the score is $-x$, and a step multiplies $x$ by
# $1 - a/2$ and adds a variance of $a$. So a variance $V$ becomes $(1 - a/2)^2\,V + a$. It stands still at
#
# $$V = \frac{a}{1 - (1 - a/2)^2} = \frac{1}{1 - a/4}.$$
#
# *Before you run the cell: with $a = 1$, what variance do your walkers settle at? And what happens beyond $a = 4$?*

# %% tags=["experiment"]
lesson.predict("variance at a = 1", ..., "Which variance does Langevin dynamics on N(0, 1) settle at with steps of 1?")

# %% tags=["experiment"]
settled = stationary(lesson.mine(langevin), profile=lesson.profile)
print("step a   variance of the walkers")
for a, variance in settled.variance.items():
    print(f"{a:6}   {variance:.4f}")
lesson.found("variance at a = 1", settled.variance[1.0], within=0.02)

# %% [markdown] tags=["experiment"]
# That is exact: no sample was drawn, your function was asked what it does to $x$ and to $z$. Steps that are too large
# make the cloud too wide, and beyond 4 it explodes. Steps that are too small are no better: the walkers do not get
# anywhere. Keep both in mind.
#
# ## Figure 3 of the paper
#
# Now the two heaps: weights 0.2 and 0.8, at $(-5, -5)$ and $(5, 5)$, each a Gaussian of variance 1. Like the paper,
# let 1280 walkers start anywhere in the square from -8 to 8. They take 1000 steps of size 0.1, with your score and
# your `langevin`.
#
# *How many will end at the large heap?*

# %% tags=["experiment"]
lesson.predict("share without annealing", ..., "Which share of the walkers ends in the mode of weight 0.8?")

# %% tags=["experiment"]
score = two_modes(lesson.mine(gmm_score))
generator = torch.Generator().manual_seed(1)
start = scattered(1280, generator)
noise = torch.randn(1000, 1280, 2, dtype=torch.float64, generator=generator)
walked = lesson.mine(langevin)(lambda x: score(x, torch.ones(len(x), dtype=torch.float64)), start, 0.1, noise)
lesson.found("share without annealing", heavy(walked))

# %% tags=["experiment"]
figures.clouds({"start": start, "after 1000 exact steps": walked})

# %% [markdown] tags=["experiment"]
# Each heap looks perfect. The proportion is that of the square: half of the walkers started on either side of the
# ridge, and there they stayed. Start all of them at the small heap, and all of them are there at the end.
#
# ## Why they cannot know
#
# At a place near the small heap, only the small heap's term of the mixture is alive; the other one is smaller by a
# factor of $e^{-100}$. The gradient of $\log(w_1 \mathcal N_1)$ does not contain $w_1$. So the arrows are **the same
# for all weights**, except on a narrow strip between the heaps, where both terms are alike; and in that strip hardly
# anybody ever stands.
#
# Measure it. Let the two weights change places, and look at how much of the score changes, as the walkers would see
# it (root mean square under $p_\sigma$). At $\sigma = 1$ and at higher noise, where the hills run into each other.

# %% tags=["experiment"]
looked = sight(lesson.mine(gmm_score), profile=lesson.profile)
print("noise level σ   change of the score   height of the pass, nats")
for sigma, change in looked.change.items():
    print(f"{sigma:13}   {change:19.2g}   {looked.height[sigma]:24.2f}")
figures.seen(looked)

# %% [markdown] tags=["experiment"]
# At $\sigma = 1$ a hundred-thousandth of the score knows of the weights. At $\sigma = 6$ nearly all of it does;
# beyond, where the two points run into one, somewhat less.
#
# The last column is the other half of the story. To get from one heap to the other a walker has to cross a pass,
# where $\log p$ is lower by so many nats. Chance does that once in about $e^{\text{height}}$ relaxation times. For a
# height of 24 that is more than $10^{10}$, and 1000 steps of 0.1 are 50. The theorem is right; it only speaks of a
# time that nobody has. At high noise there is no pass at all.
#
# ## A ladder of noise
#
# So do both. Begin at a noise level so high that all is one hill, where walkers go where the weights tell them to.
# Then lower the noise bit by bit. At each level the walkers start almost right, because the last level was almost the
# same; by the time the pass rises, they are already distributed over its two sides as they should be.
#
# <dfn>Annealed Langevin dynamics</dfn> runs some Langevin steps at each of a ladder of noise levels
# $\sigma_1 > \dots > \sigma_L$, each level from where the last one ended. Three things have to be chosen.
#
# **The first level.** High enough that the hills run together. The second paper's rule: $\sigma_1$ is about the
# largest distance between two data points. For our heaps that is 14, for pictures of CIFAR-10 it is 50. The first
# paper used 1.
#
# **The levels between.** Walkers that come from level $i$ must be at home in level $i+1$. What counts is how much the
# noise changes in *relation* to its size. So the ratio $\sigma_i/\sigma_{i+1}$ is constant.

# %% exercise="sigma_ladder"
from studium_topics.ncsn.exercises import sigma_ladder

# %% [markdown]
# **The steps.** Near its typical places, a density of width $\sigma$ has a score of size $1/\sigma$. In one step the
# drift is about $a/(2\sigma)$, the noise is $\sqrt a$, and their ratio is $\sqrt a/(2\sigma)$. With
# $a \propto \sigma^2$ it is the same at all levels:
#
# $$a_i = \epsilon \cdot \frac{\sigma_i^2}{\sigma_L^2}.$$
#
# A level of width 20 then has steps that are 20 times as long as those of width 1, and 400 times the $a$.

# %% exercise="annealed_langevin"
from studium_topics.ncsn.exercises import annealed_langevin

# %% [markdown] tags=["experiment"]
# Now all of figure 3, with the settings of the authors' script: ten levels from 20 down to 1, 100 steps at each,
# $a = 0.1$ at the last. (A thousand steps, as before.) Its data are two *points*; noise of $\sigma = 1$ makes them
# the two Gaussians of the figure.

# %% tags=["experiment"]
crossed = figure_3(
    *(lesson.mine(f) for f in (gmm_score, langevin, sigma_ladder, annealed_langevin)), profile=lesson.profile, seed=0
)
figures.clouds({name: crossed.samples[name] for name in ("exact", "Langevin", "annealed")})

# %% [markdown] tags=["experiment"]
# That is the figure of the paper, with your functions. And it no longer matters where the walkers start.
#
# Now break it, one part at a time. *Draw what you expect before you reveal: which of these parts can you do without?*
#
# * **from (-5, -5)**: all start at the small heap.
# * **20 steps a level** in the place of 100.
# * **evenly spaced**: the levels are 20, 17.9, 15.8 … 3.1, 1.
# * **same step**: $a = 0.1$ at all levels.
# * **first level at 2**: a ladder from 2 to 1.

# %% tags=["experiment", "widget"]
ways = {
    "annealed": "annealed",
    "from (-5, -5)": "annealed from (-5, -5)",
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
# Over five seeds (we ran them, you ran one; the truth is .80, and 2000 walkers are good for about ± .02):
#
# | | share | |
# |---|---|---|
# | annealed | .77–.81 | from the square |
# | from (-5, -5) | .77–.80 | where they start is forgotten |
# | 20 steps a level | .72–.74 | too little time at each level |
# | evenly spaced | .76–.78 | no worse, in the plane |
# | same step | .60–.63 | at $\sigma = 20$ a step of 0.1 is standing still |
# | first level at 2 | .53–.55 | at $\sigma = 2$ the pass is 4.9 nats high already |
# | no ladder | .49–.50 | |
#
# So the first level and the growing steps are what it lives on. Even spacing, a mistake that stands in tutorials,
# costs nothing here; we come back to it.
#
# Why not quite .80? Below are the walkers of another run after each level, and beside them where they would be after
# endless steps at that level. (Not .80 everywhere: at $\sigma = 20$ both points throw walkers over the middle.) Down
# to $\sigma \approx 4$ they keep up. Then the pass closes, while the last two hundredths have still to cross it.

# %% tags=["experiment"]
figures.descent(crossed)

# %% [markdown] tags=["experiment"]
# Here is your own run, ten frames to a level, beside one with a mistake. Drag the slider to see the levels go by;
# then choose "None" under "Put in a mistake", and compare the shares.

# %% tags=["experiment", "widget"]
ladder = lesson.mine(sigma_ladder)(20.0, 1.0, 10).repeat_interleave(10)
few = scattered(300, torch.Generator().manual_seed(5))
draws = torch.randn(100, 10, 300, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
wide = two_modes(lesson.mine(gmm_score), variance=1.0)  # the widget's data
frames = level_by_level(lesson.mine(annealed_langevin), wide, few, ladder, 0.1 * ladder**2, draws)
ParticleField.mountain_pass(mistake="constant-step", beside="yours", trajectory=frames.float(), particles=300)

# %% [markdown]
# ## Scores from data alone
#
# So far somebody gave us the score. Of real data we have samples, and nothing else. We want a network
# $s_\theta(x, \sigma)$ that is close to the score of $p_\sigma$,
#
# $$J(\theta) = \tfrac12\,\mathbb E_{x \sim p_\sigma}\left\lVert s_\theta(x, \sigma) - \nabla\log p_\sigma(x)
# \right\rVert^2,$$
#
# and do not know the second term. But look at what stands in the cross term. Since
# $p_\sigma(x) = \int p(x_0)\,\mathcal N(x; x_0, \sigma^2 I)\,dx_0$,
#
# $$\mathbb E_{p_\sigma}\!\left[s_\theta \cdot \nabla\log p_\sigma\right] = \int s_\theta \cdot \nabla p_\sigma\,dx$$
#
# $$= \int\!\!\int p(x_0)\; s_\theta \cdot \nabla_x \mathcal N(x; x_0, \sigma^2 I)\,dx_0\,dx$$
#
# $$= \mathbb E_{x_0, x}\!\left[s_\theta(x) \cdot \nabla_x \log \mathcal N(x; x_0, \sigma^2 I)\right].$$
#
# The unknown score may be replaced by that of a *single Gaussian around the clean point*, which is
# $-(x - x_0)/\sigma^2 = -z/\sigma$. The squares of the two differ, but no $\theta$ stands in them. So
#
# $$\boxed{\;J(\theta) = \tfrac12\,\mathbb E_{x_0, z}\left\lVert s_\theta(x_0 + \sigma z, \sigma) + \frac{z}{\sigma}
# \right\rVert^2 + \text{const}\;}$$
#
# To use <dfn>denoising score matching</dfn> is to add noise to data and to have a network guess that noise, divided
# by $-\sigma$; its best guess is the score of the smoothed density. Mind the difference: $-z/\sigma$ is the score
# *given $x_0$*. It is the target of every single example and the answer to none. Many pairs $(x_0, z)$ lead to the
# same $x$, and what a squared error teaches is their mean,
#
# $$\nabla\log p_\sigma(x) = \mathbb E\left[-\frac z\sigma \,\middle|\, x\right].$$
#
# **The weight.** At level $\sigma$ the targets have the size $1/\sigma$, their squares $1/\sigma^2$. With levels from
# 20 to 1 (or from 50 to 0.01!) the smallest would rule the sum. So each level gets the weight
# $\lambda(\sigma) = \sigma^2$, and what is compared is $\sigma s_\theta$ with $-z$: numbers of size 1, at all levels.

# %% exercise="dsm_loss"
from studium_topics.ncsn.exercises import dsm_loss

# %% [markdown] tags=["experiment"]
# Is it true? Take the mixture of figure 3, its exact smoothed score $s^*$, and some wrong answers $s$. If the box is
# right, the loss of $s$ exceeds that of $s^*$ by exactly $\tfrac12\,\mathbb E\,\sigma^2\lVert s - s^*\rVert^2$,
# though the loss has never seen $s^*$.

# %% tags=["experiment"]
compared = regression(
    lesson.mine(gmm_score), lesson.mine(sigma_ladder), lesson.mine(dsm_loss), profile=lesson.profile, seed=0
)
print("wrong answer          loses    theory")
for name, excess in compared.excess.items():
    print(f"{name:20} {excess:6.4f}    {compared.theory[name]:6.4f}")
figures.floor(compared)

# %% [markdown] tags=["experiment"]
# And the exact score itself? Its loss is far from 0, as the curve shows.
#
# **Think about it.** The dashed line is 1, the loss of a model that answers 0. Why does the exact score lose 0.5 at
# $\sigma = 1$ and only 0.04 at $\sigma = 20$? And what is the small hump near $\sigma = 5$?
#
# <details><summary>Answer</summary>
#
# It is the noise that has to be guessed. At $\sigma = 20$ nearly all of $x$ is noise, and one can read it off. At
# $\sigma = 1$ noise and data have the same width: half of what is seen is noise, and nobody can tell which half. For
# a Gaussian of variance $v$ in $D$ dimensions the floor is $\tfrac D2\,v/(v + \sigma^2)$. As $\sigma \to 0$ the loss
# of the best answer tends to $D/2$, that of a model which says nothing. **A high loss at small $\sigma$ is no sign of
# a bad network**, nor is a low one at large $\sigma$ a sign of a good one. The hump is another doubt: with noise of
# that size one cannot tell which of the two heaps a point came from.
# </details>

# %% [markdown]
# ## The way back: Tweedie
#
# If the score is the mean of $-z/\sigma$ over all that may have happened, then it tells the mean of the noise,
# $\mathbb E[z \mid x] = -\sigma\,\nabla\log p_\sigma(x)$. And since $x = x_0 + \sigma z$, what is left is the mean of
# the clean data:
#
# $$\mathbb E[x_0 \mid x] = x + \sigma^2\,\nabla\log p_\sigma(x).$$
#
# <dfn>Tweedie's formula</dfn> says that the mean of the clean data, given the noisy, is the noisy data plus $\sigma^2$
# times the score. Score, noise and clean data: whoever knows one of them knows the other two. The next lessons will
# have networks that predict noise, or data. They are the same networks in other units.

# %% exercise="tweedie"
from studium_topics.ncsn.exercises import tweedie

# %% [markdown] tags=["experiment"]
# The annealed walkers of figure 3 stand around the two points, with the noise of the last level. One step of Tweedie
# takes it away. (The second paper found that this last step, though invisible, changes the FID of pictures.)

# %% tags=["experiment"]
last = crossed.samples["annealed"]
level = torch.ones(len(last), dtype=torch.float64)
clean, guessed = lesson.mine(tweedie)(last, level, score(last, level))
away = (clean.abs() - 5).abs().amax(-1)
print(f"standard deviation around the points before: {(last.abs() - 5).std():.2f}")
print(f"distance from them after it, at most: {away.max():.1e}")

# %% [markdown] tags=["experiment"]
# Where nobody doubts which point a walker belongs to, the mean of the clean data *is* that point, to the last digit.
#
# **Think about it.** If the data were the two *Gaussians* of variance 1, and the walkers were samples of $p_\sigma$
# with $\sigma = 1$, what would their variance in a heap be before this step, and after it? What should it be?
#
# <details><summary>Answer</summary>
#
# Before: $1 + \sigma^2 = 2$. After: Tweedie gives the *mean* of $x_0$, which is $\mu + (x - \mu)/2$, and the variance
# becomes $2/4 = 0.5$. It should be 1. A mean is not a sample. With a last level of $\sigma = 0.1$ the figures are
# 1.01 and 0.99, which is why ladders end at a small $\sigma$ and the step is harmless there.
# </details>

# %% [markdown] tags=["experiment"]
# ## The whole method
#
# A <dfn>noise-conditional score network</dfn> (NCSN) is one network that gives the score at every level of a ladder,
# and is told which level is meant. Now train one, on nothing but draws from the mixture: an MLP with 34 000 weights,
# your `dsm_loss`, ten levels from 20 to 1, each row of a batch at a random one. Then sample with your
# `annealed_langevin`. (Two trainings and three samplings: some 15 seconds of an idle core.)
#
# And a second one with the same start, steps and draws, but with the weight $\lambda = 1$ at all levels. *Where will
# it be worse?* Draw its curve before you reveal it; the relative error is 1 for a network that answers 0.

# %% tags=["experiment"]
blocks = [lesson.mine(f) for f in (gmm_score, langevin, sigma_ladder, annealed_langevin, dsm_loss)]
nets = learned(*blocks, profile=lesson.profile, seed=0)

# %% tags=["experiment", "widget"]
Chart(
    x=nets.sigmas.flip(0),
    y=torch.stack([nets.errors[way].flip(0) for way in ("weighted", "unweighted")]),
    names=["λ = σ²", "λ = 1"],
    x_label="noise level σ",
    y_label="relative error of the score",
    log_x=True,
    log_y=True,
    y_range=[0.01, 1],
    predict="λ = 1",
)

# %% tags=["experiment"]
print("share in the mode of weight 0.8")
print(f"annealed, with λ = σ²:                    {nets.share('weighted'):.2f}")
print(f"annealed, with λ = 1:                     {nets.share('unweighted'):.2f}")
print(f"with λ = σ², but Langevin at σ = 1 alone: {heavy(nets.plain):.2f}")
figures.clouds({"λ = σ²": nets.samples["weighted"], "λ = 1": nets.samples["unweighted"], "no ladder": nets.plain})

# %% [markdown] tags=["experiment"]
# What to make of it, over five seeds:
#
# * **With $\lambda = \sigma^2$**, the error is at most .08 at every level. It was trained on draws alone, without one
#   exact score.
# * **With $\lambda = 1$**, the error at $\sigma = 20$ is .17 to .26, which is 7 to 12 times as large. At $\sigma = 1$
#   it is a little *smaller*: that is where the unweighted loss looks, 400 times as hard.
# * **Annealing finds the weights** with learned scores as it did with exact ones, and without a ladder they do not
#   help.
# * **Did the weight matter for the samples?** Not here. An error of a fifth at the largest levels costs nothing that
#   one could see, since all that these levels have to do is to tell which side is heavier. With a ladder from 50 to
#   0.01 the factor is not 400 but 25 million.

# %% [markdown]
# ## How many levels for a picture?
#
# Ten levels with a ratio of 1.4 do for the plane. For pictures the rule is stricter. In $D$ dimensions the length of
# the noise $\sigma z$ is $\sigma\sqrt D$, give or take $\sigma/\sqrt 2$: nearly all of a Gaussian lies in a thin
# shell. Neighbouring levels have overlapping shells only if $\sqrt D\,(\sigma_i - \sigma_{i+1})$ is not much larger
# than $\sigma_i$. So the ratio has to be about $1 + 1/\sqrt D$ or a few times that, and the number of levels grows
# like $\sqrt D$.
#
# Evenly spaced levels break the rule at the lower end: our ladder of ten would go from 3.1 to 1 in one step.
#
# **Think about it.** CIFAR-10 has $D = 3072$. The second paper goes from $\sigma_1 = 50$ to $\sigma_L = 0.01$ in 232
# levels. Which ratio is that, and how does it compare with $1/\sqrt D$?
#
# <details><summary>Answer</summary>
#
# $(50/0.01)^{1/231} = e^{8.517/231} = 1.038$, and $1/\sqrt{3072} = 0.018$: the ratio is $1 + 2.1/\sqrt D$. The first
# paper had ten levels from 1 to 0.01, a ratio of 1.67. Its pictures of 32 × 32 were good; on larger ones it failed.
# </details>
#
# ## On a GPU
#
# Walkers do not know of each other, so a GPU can move a million at once. The course's reference has a sampler for
# that (`anneal`, which draws the noise of each step on the device and can be compiled to a CUDA graph), and
# `walkers_per_second` times it for $2^{11}$ to $2^{20}$ walkers. **It has not been measured on a GPU yet.** On the
# CPU it is tested against `annealed_langevin` with the same noise. What to expect: a step of a small mixture is a
# dozen tiny kernels, so that below some number of walkers the GPU waits for their launch and a CPU is quicker. With
# the profile `gpu` the experiments above run on the GPU, with 20 000 walkers and more than six times the training.
#
# ## What does not reproduce at this size
#
# * **The headline of the paper**, an inception score of 8.87 and an FID of 25.32 on CIFAR-10. We repeat its figure 3
#   and its method, in the plane.
# * **Low-dimensional data.** One reason for noise in the paper is that pictures fill only a thin sheet of their
#   space, off which the score of the clean data does not exist. Our heaps fill the plane.
# * **Many dimensions.** With ten levels our ratio of 1.4 is harmless; the argument about shells cannot be seen in two
#   dimensions.
# * **0.80 exactly.** Annealing ends a little below (see above). With four times the steps at each level, three runs
#   gave .785, .790 and .804. Only endless steps, and small ones, would be exact.
#
# ## Common misconceptions
#
# * *"The score of the noisy density is $(x_0 - x)/\sigma^2$."* That is the score *given* $x_0$, the target of one
#   example. The score of the density is its average over all $x_0$ that fit.
# * *"Langevin dynamics is gradient ascent."* Without its noise it would be, and all walkers would stand on two spots.
# * *"Smaller steps are always better."* They are more exact at equal *time*, and need more of them to get there.
# * *"With a perfect score, sampling is a formality."* Figure 3.
# * *"$\sigma_1 = 1$ is large; the data lie in [0, 1]."* In 3072 dimensions two pictures are many units apart. What
#   counts is the distance between data points.
# * *"The walk ends at clean data."* The last level is not 0. What is sampled is $p_{\sigma_L}$, the data with a little
#   noise.
#
# **A last question.** A network was trained with denoising score matching on 1000 pictures and has reached the
# *lowest possible* loss. You sample with it, all the way down to a very small $\sigma$. What do you get?
#
# <details><summary>Answer</summary>
#
# The thousand pictures. The loss knows the data as a sum of points; its minimum is the score of *that* density,
# smoothed, and `gmm_score` with 1000 components of variance 0 is its formula. New pictures come from a network that
# misses the minimum in a helpful way. The next lesson takes this up.
# </details>
#
# ## Where to go next
#
# * The next topic, `ddpm`: the same thing with data that shrink while noise comes in, trained to name the noise, and
#   with a sampler that needs no inner loop.
# * [Song and Ermon 2020](https://arxiv.org/abs/2006.09011): rules for $\sigma_1$, $L$, the steps, and a moving
#   average.
# * [Song et al. 2021](https://arxiv.org/abs/2011.13456): infinitely many levels are a stochastic differential
#   equation; Langevin dynamics becomes its *corrector*.
# * [Song et al. 2019](https://arxiv.org/abs/1905.07088): sliced score matching, which needs no noise at all.
# * [Hyvärinen 2005](https://jmlr.org/papers/v6/hyvarinen05a.html): where score matching began.
