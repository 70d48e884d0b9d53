# %% [markdown]
# # Denoising diffusion (DDPM)
#
# You can write the sampler of a diffusion model in four lines of code, and still get it wrong. The `p_sample` function
# in a widely read [annotated implementation](https://nn.labml.ai/diffusion/ddpm/index.html) adds noise in every step,
# including the last one, where the paper's algorithm 2 adds none. The images look fine anyway.
#
# **How would you notice?** In this lesson you will look at samples from the right sampler and from the wrong one, and
# you won't be able to tell them apart. A common distance between distributions will not tell them apart either. But
# there is an exact number that does, and we can compute it without training a network or drawing a single sample. You
# will derive it.
#
# In the widget, a small network, trained the way you will train yours, is drawing six red rings right here in the page,
# starting from pure noise. Press Play to watch it again, or try another shape or another seed. Then choose the mistake
# *Noise added at t = 0*, which is the one described above. *Where in these images can you see it? And would you see it
# in a photograph?*

# %% tags=["widget"]
from studium_topics.kits.film import DenoisingFilm

DenoisingFilm.trained(kind=3)

# %% [markdown]
# In this lesson you will
#
# 1. turn images into noise, jumping straight to any of $T$ levels;
# 2. derive DDPM's loss from a bound on the likelihood, and train a network with it in your own loop;
# 3. write the sampler and watch your network turn noise into handwritten digits;
# 4. compute the exact variance of a sampler, and use it to find mistakes that you can't see in samples;
# 5. repeat the paper's ablation: should we predict the noise or the clean data?
#
# **You need** the lesson on score matching, [ncsn](ncsn.ipynb), and Bayes' rule for Gaussians. **Time:** 20 minutes of
# reading, 105 of coding, 10 of running.
#
# **History.** By 2018 generative adversarial networks were drawing sharp images, but their training was unstable and
# they left out parts of the data. [Sohl-Dickstein et al. 2015](https://arxiv.org/abs/1503.03585) had already learned
# how to undo a slow destruction of the data, although their images were poor. [Ho, Jain and Abbeel
# 2020](https://arxiv.org/abs/2006.11239) made the network predict the noise and dropped the weights of the bound. This
# simple loss took the place of adversarial training.

# %%
from studium import show_table
import torch

from studium_topics.ddpm import figures
from studium_topics.ddpm.experiment import (
    few_steps,
    gaussian_variances,
    judge_digits,
    memorisation,
    swiss_roll,
    wrong_samplers,
)
from studium_topics.kits import shapes_unet
from studium_topics.kits.diffusion import BATCH, LEARNING_RATE, STEPS, digit_unet
from studium_topics.kits.digits import split
from studium_widgets import Diagram, ImageGrid, NoiseSchedule

# %% [markdown]
# ## Into the noise and back
#
# In the next figure, the data are eight narrow clusters of points arranged in a ring. On the left, we move every point
# a little at random in each step, until only a round cloud is left. On the right, a sampler starts from such a cloud
# and walks back. Its network is perfect: for a mixture of Gaussians we can write down the best prediction as a formula.
#
# Press Play or move $t$. *At which $t$ have the eight clusters merged on the left? Does this happen earlier or later
# with the linear schedule?*

# %% tags=["widget"]
NoiseSchedule(schedule="cosine", steps=1000, t=300, sampling_steps=100)

# %% [markdown]
# Nearly all of the shape is decided in the middle. For large $t$ both clouds are round, and for small $t$ the clusters
# just become sharper. The linear schedule spends its last third on points that are already noise, which is why the
# cosine schedule was invented ([Nichol and Dhariwal 2021](https://arxiv.org/abs/2102.09672)).
#
# The figure below shows how a single network serves both directions. During training, we show it a random level each
# time; during sampling, we visit all the levels in order.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.ddpm", "flow.svg")

# %% [markdown]
# ## Symbols and rows
#
# We number the levels of noise as in the paper: $x_0$ is always the clean datum, and $x_1, \dots, x_T$ get noisier and
# noisier. Tables in code start at row 0, however, so **the row is $t = k - 1$**: level 1 is in row 0, and level $T$ is
# in row $T - 1$. Code, messages and widgets use rows $t$, as `diffusers` does, while our formulas use levels $k$.
#
# | formula | code | meaning |
# |---|---|---|
# | $x_0$ | `x0` | clean datum |
# | $x_k$, $k = 1, \dots, T$ | `xt`, `t = k - 1` | datum with the noise of $k$ steps |
# | $\beta_k$, $\alpha_k = 1 - \beta_k$ | `betas[t]`, `1 - betas[t]` | variance added by step $k$, share that it keeps |
# | $\bar\alpha_k = \alpha_1\cdots\alpha_k$, $\bar\alpha_0 = 1$ | `abar[t]`, 1 before row 0 | share still signal |
# | $\epsilon$, $\epsilon_\theta$ | `eps`, `model(x, t)` | all the noise in $x_k$, and the network's guess |
# | $\hat x_0$ | `x0hat` | clean datum according to that guess |
# | $\tilde\mu_k$, $\tilde\beta_k$ | `posterior` | mean and variance of $x_{k-1}$ given $x_k$ and $x_0$ |
# | $\sigma_k^2$ | `var` | here: variance of the sampler's noise |
# | $z$ | `z` | standard normal noise |
#
# ## The forward process
#
# The <dfn>forward process</dfn> turns data into noise in $T$ steps. Each step shrinks the data a little and then adds a
# little noise:
#
# $$q(x_k \mid x_{k-1}) = \mathcal N\!\left(\sqrt{1-\beta_k}\;x_{k-1},\ \beta_k I\right), \qquad k = 1, \dots, T.$$
#
# Why do we shrink the data? If they have variance 1, they will keep it: $(1-\beta_k) + \beta_k = 1$. We can also
# combine two steps into one larger step, because a sum of Gaussians is Gaussian:
#
# $$x_2 = \sqrt{\alpha_2}\left(\sqrt{\alpha_1}\,x_0 + \sqrt{\beta_1}\,\epsilon_1\right) + \sqrt{\beta_2}\,\epsilon_2,$$
#
# where the two noise terms together have variance $\alpha_2\beta_1 + \beta_2 = 1 - \alpha_1\alpha_2$. By induction,
#
# $$\boxed{\;x_k = \sqrt{\bar\alpha_k}\,x_0 + \sqrt{1-\bar\alpha_k}\;\epsilon,\qquad \epsilon \sim \mathcal N(0, I)\;}$$
#
# A <dfn>noise schedule</dfn> tells us how much noise to add in each step, as a list with a $\beta$ for every step. In
# the paper, $\beta$ rises linearly from 0.0001 to 0.02 over 1000 steps. If we use fewer steps, each of them has to do
# more, and this is what the factor $1000/T$ is for. We also clip $\beta$, because a step cannot destroy more than all
# of its input. The cosine schedule instead prescribes the signal $\bar\alpha_k$, as a squared cosine $f$. You can then
# get $\beta_k$ from two neighbours, using $\bar\alpha_k = \bar\alpha_{k-1}(1-\beta_k)$.

# %% exercise="make_betas"
from studium_topics.ddpm.exercises import make_betas

# %% [markdown]
# Why do we need float64 here? $\bar\alpha$ is a product of many numbers close to 1, and samplers divide by
# $1-\bar\alpha$. At the cleanest levels, this is a difference between two nearly equal numbers.
#
# To train a network, we need $x_k$ at a random level for every example in a batch, and each example has its own level.
# Watch the shape: `abar[t]` has a number for each *row of the batch*.

# %% exercise="q_sample"
from studium_topics.ddpm.exercises import q_sample

# %% [markdown] tags=["experiment"]
# Here are eight digits of 8 × 8 pixels at seven levels, using the two functions you just wrote and the same fixed
# $\epsilon$. *At which step do you stop recognising them?*

# %% tags=["experiment"]
betas = lesson.mine(make_betas)("linear", 100)
abar = (1 - betas).cumprod(dim=0)
clean = split()[0].images
eps = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
rows = (0, 10, 20, 35, 50, 70, 99)
noisy = torch.stack([lesson.mine(q_sample)(clean[:8], torch.full((8,), t), eps, abar) for t in rows])
ImageGrid(noisy, steps=[f"t = {t}" for t in rows], label="eight digits, noised by q_sample")

# %% [markdown]
# ## One step back, if we knew the clean image
#
# To go back, we need to draw a plausible $x_{k-1}$ for a given $x_k$. Let's suppose for a moment that we knew $x_0$
# too. The <dfn>posterior</dfn> is the distribution of $x_{k-1}$ when we know both $x_k$ and the clean $x_0$. We then
# have two sources of information about $x_{k-1}$, and both are Gaussian in it:
#
# * **from $x_0$**: the forward process puts $x_{k-1}$ around $\sqrt{\bar\alpha_{k-1}}\,x_0$, with precision (the
#   inverse of the variance) $1/(1-\bar\alpha_{k-1})$;
# * **from $x_k$**: since $x_k = \sqrt{\alpha_k}\,x_{k-1} + \text{noise of variance } \beta_k$, it puts $x_{k-1}$ around
#   $x_k/\sqrt{\alpha_k}$, with precision $\alpha_k/\beta_k$.
#
# Bayes' rule multiplies the two densities. The precisions therefore add up, and the mean is the average of the two,
# weighted by their precisions:
#
# $$\frac{1}{\tilde\beta_k} = \frac{1}{1-\bar\alpha_{k-1}} + \frac{\alpha_k}{\beta_k}
# \ \Longrightarrow\ \tilde\beta_k = \frac{1-\bar\alpha_{k-1}}{1-\bar\alpha_k}\,\beta_k , \qquad
# \tilde\mu_k = \tilde\beta_k\left(\frac{\sqrt{\bar\alpha_{k-1}}\,x_0}{1-\bar\alpha_{k-1}}
# + \frac{\alpha_k}{\beta_k}\frac{x_k}{\sqrt{\alpha_k}}\right)
# = \frac{\sqrt{\bar\alpha_{k-1}}\,\beta_k\,x_0 + \sqrt{\alpha_k}\,(1-\bar\alpha_{k-1})\,x_k}{1-\bar\alpha_k} .$$
#
# At level 1 the first source is certain ($1-\bar\alpha_0 = 0$), so the mean is $x_0$ and there is no variance left.

# %% exercise="posterior"
from studium_topics.ddpm.exercises import posterior

# %% [markdown]
# ## What should the network learn?
#
# When we sample, of course, we don't know $x_0$. DDPM uses Gaussians $p_\theta(x_{k-1}\mid x_k) = \mathcal
# N(\mu_\theta(x_k, k), \sigma_k^2 I)$ with a fixed $\sigma_k^2$, and we want to find the $\mu_\theta$ that makes the
# data most likely. The likelihood itself is an integral over all paths, which we can't compute. Instead, we maximise a
# lower bound, the <dfn>ELBO</dfn> (evidence lower bound), which splits into one term per level:
#
# $$-\log p_\theta(x_0) \le \underbrace{\mathrm{KL}\big(q(x_T|x_0)\,\Vert\,p(x_T)\big)}_{\text{no parameters}}
# + \sum_{k=2}^{T} \mathbb E_q
# \underbrace{\mathrm{KL}\big(q(x_{k-1}|x_k,x_0)\,\Vert\,p_\theta(x_{k-1}|x_k)\big)}_{L_{k-1}}
# - \mathbb E_q \log p_\theta(x_0|x_1).$$
#
# <details><summary>Derivation of the bound</summary>
#
# Jensen's inequality, applied to the expectation over $q(x_{1:T}|x_0)$ inside the logarithm, gives
#
# $$-\log p_\theta(x_0) = -\log \mathbb E_q \frac{p_\theta(x_{0:T})}{q(x_{1:T}|x_0)}
# \le \mathbb E_q\left[-\log p(x_T) - \sum_{k=1}^{T}\log\frac{p_\theta(x_{k-1}|x_k)}{q(x_k|x_{k-1})}\right].$$
#
# For $k \ge 2$, we can write the forward step backwards. It does not depend on $x_0$ once we know $x_{k-1}$, so by
# Bayes' rule given $x_0$ we have $q(x_k|x_{k-1}) = q(x_{k-1}|x_k,x_0)\,q(x_k|x_0)/q(x_{k-1}|x_0)$. In the sum over $k =
# 2, \dots, T$, the quotients $q(x_k|x_0)/q(x_{k-1}|x_0)$ cancel except for $q(x_T|x_0)/q(x_1|x_0)$, and this
# $q(x_1|x_0)$ cancels the forward step of $k = 1$. We are left with
#
# $$\mathbb E_q\left[\log\frac{q(x_T|x_0)}{p(x_T)} + \sum_{k=2}^{T}\log\frac{q(x_{k-1}|x_k,x_0)}{p_\theta(x_{k-1}|x_k)}
# - \log p_\theta(x_0|x_1)\right],$$
#
# and the expected logarithms of quotients are the divergences above (the paper's equation 5).
# </details>
#
# The posterior that you have just written is the target of every term. Both Gaussians in $L_{k-1}$ have fixed
# variances, so up to a constant, the divergence is just the distance between their means:
#
# $$L_{k-1} = \frac{1}{2\sigma_k^2}\,\mathbb E\,\big\lVert \tilde\mu_k(x_k, x_0) - \mu_\theta(x_k, k)\big\rVert^2 + C.$$
#
# Now let's substitute $x_0 = (x_k - \sqrt{1-\bar\alpha_k}\,\epsilon)/\sqrt{\bar\alpha_k}$ into $\tilde\mu_k$. The
# factor of $x_k$ becomes $(\beta_k + \alpha_k - \bar\alpha_k)/\big((1-\bar\alpha_k)\sqrt{\alpha_k}\big) =
# 1/\sqrt{\alpha_k}$, because $\beta_k + \alpha_k = 1$ and $\sqrt{\bar\alpha_{k-1}}/\sqrt{\bar\alpha_k} =
# 1/\sqrt{\alpha_k}$. You can find the factor of $\epsilon$ in the same way. This gives us a second expression for the
# mean,
#
# $$\tilde\mu_k = \frac{1}{\sqrt{\alpha_k}}\left(x_k - \frac{\beta_k}{\sqrt{1-\bar\alpha_k}}\,\epsilon\right),$$
#
# in which we know everything except $\epsilon$. If we give $\mu_\theta$ the same form, using $\epsilon_\theta(x_k, k)$
# in place of $\epsilon$, the bound becomes a weighted error of the noise:
#
# $$L_{k-1} = \frac{\beta_k^2}{2\sigma_k^2\,\alpha_k\,(1-\bar\alpha_k)}\;
# \mathbb E\,\big\lVert \epsilon - \epsilon_\theta(x_k, k)\big\rVert^2 + C .$$
#
# The weight is large at the cleanest levels, and the authors found that they got better images without it. The
# <dfn>simple loss</dfn> $L_\text{simple}$ is the mean of $\lVert\epsilon - \epsilon_\theta\rVert^2$ over levels, data
# and noise. With this loss, the network spends its effort on the middle, where the shape is decided. Note that
# $\epsilon$ is *all* the noise in $x_k$, not just the noise of the last step.

# %% exercise="ddpm_loss"
from studium_topics.ddpm.exercises import ddpm_loss

# %% [markdown]
# **Think about it.** Suppose a network has reached the minimum. What will it answer, and how does this relate to the
# *score* from the last lesson?
#
# <details><summary>Answer</summary>
#
# The conditional mean minimises a squared error, so $\epsilon^*(x, k) = \mathbb E[\epsilon \mid x_k = x]$. Many pairs
# $(x_0, \epsilon)$ lead to the same $x_k$, which is why the loss does not go down to 0. Given $x_0$, the score of $x_k$
# is $-(x_k - \sqrt{\bar\alpha_k}x_0)/(1-\bar\alpha_k) = -\epsilon/\sqrt{1-\bar\alpha_k}$. If we average this over the
# possible $x_0$, the left side becomes the score of the noisy density: $\nabla \log p_k(x) = -\epsilon^*(x,
# k)/\sqrt{1-\bar\alpha_k}$. In other words, predicting the noise is score matching in different units.
# </details>
#
# ## The sampler
#
# To sample, we draw $x_{k-1} = \mu_\theta(x_k, k) + \sigma_k z$ for $k$ from $T$ down to 1, and we add no noise in the
# last step. You will need three square roots, and each of them has a different purpose: $\sqrt{\alpha_k}$ undoes *one*
# shrinking, $\sqrt{1-\bar\alpha_k}$ is the size of *all* the noise, and $\sigma_k$ is the square root of a variance.
# For this variance, the paper tries both $\beta_k$ and $\tilde\beta_k$.

# %% exercise="p_step"
from studium_topics.ddpm.exercises import p_step

# %% [markdown]
# Later lessons also use a step without fresh noise, DDIM's. It guesses the clean image, and adds the noise that it has
# predicted again, as much as the next level has:
#
# $$x_{k-1} = \sqrt{\bar\alpha_{k-1}}\;\hat x_0 + \sqrt{1-\bar\alpha_{k-1}}\;\epsilon_\theta .$$
#
# You can also use it to jump to a much earlier level (see Further).
#
# Now let's put the parts together. First we need the loop that trains, and then the loop that draws.

# %% exercise="train"
from studium_topics.ddpm.exercises import train

# %% exercise="sample"
from studium_topics.ddpm.exercises import sample

# %% [markdown] tags=["experiment"]
# ## Noise becomes digits
#
# In the next cell, everything except the network is yours. The network is a U-Net with 78,000 parameters. We will show
# it 899 digits, 64 at a time, for 800 steps. *What will the loss be at the start, when the network answers 0 to
# everything?* Write down your guess and then run the cell, which will take about half a minute.

# %% tags=["experiment"]
lesson.predict("first loss", ..., "What is the loss of a network that answers 0?")

# %% tags=["experiment"]
model = digit_unet(levels=100, seed=0)
generator = torch.Generator().manual_seed(0)
steps = lesson.profile.choose(smoke=20, laptop=STEPS, gpu=STEPS)
losses = lesson.mine(train)(model, clean, betas, steps, BATCH, LEARNING_RATE, generator)
count = lesson.profile.choose(smoke=50, laptop=500, gpu=500)
film = lesson.mine(sample)(model, (count, 1, 8, 8), betas, generator)
late = losses[-100:]
print(f"loss of the first step {losses[0]:.3f}, mean of the last {len(late)} {sum(late) / len(late):.3f}")
lesson.found("first loss", losses[0])

# %% tags=["experiment"]
shown = [0, 20, 40, 55, 65, 75, 80, 85, 90, 95, 100]
ImageGrid(film[shown, :24], steps=[f"after {k} steps" for k in shown], columns=8, label="24 digits from your sampler")

# %% [markdown] tags=["experiment"]
# Press Play. For about 75 of the 100 steps there is little to see. The shapes then appear within about fifteen steps,
# starting with the coarse strokes, and the last ten steps remove the grain. Most of these images are digits you can
# read, but some of them aren't.
#
# You can also use your sampler to draw with the network from the first film. That network takes a label, as you will
# see in the lesson on [guidance](cfg.ipynb). Before, we told it to draw red rings, and now we are telling it to draw
# red triangles.

# %% tags=["experiment"]
shapes_model = shapes_unet.trained()
kind = torch.full((8,), shapes_unet.KINDS.index("a large red triangle"))
drawn = lesson.mine(sample)(
    lambda x, t: shapes_model(x, t, kind), (8, 3, 16, 16), shapes_unet.betas(), torch.Generator().manual_seed(0)
)
ImageGrid(drawn[shown], steps=[f"after {k} steps" for k in shown], columns=8, label="eight triangles from your sampler")

# %% [markdown] tags=["experiment"]
# *Save as image* keeps your digits, with a caption.

# %% tags=["experiment"]
names, measured = [f"after {k} steps" for k in shown], f"loss {sum(late) / len(late):.3f}"
kept = ImageGrid(film[shown, :24], steps=names, step=len(shown) - 1, columns=8, label="24 digits to keep")
lesson.keepsake(kept, "Digits drawn from pure noise in 100 steps", measured, train, sample)

# %% [markdown] tags=["experiment"]
# ## Two judges
#
# How good are these images? The <dfn>energy distance</dfn> between two distributions is $2\,\mathbb E\lVert a - b\rVert
# - \mathbb E\lVert a - a'\rVert - \mathbb E\lVert b - b'\rVert$, where $a, a'$ are independent draws from the first
# distribution and $b, b'$ from the second. It is 0 only if the two are equal. As a rival to our network, we will take a
# Gaussian with the same mean and covariance as the training digits. We compare both with 898 digits that we did not use
# for training. *Which of the two will be closer?*

# %% tags=["experiment"]
judged = judge_digits(film[-1], generator)
show_table(
    ["", "energy distance", "median distance to the nearest unseen digit"],
    [(name, f"{judged.distance[name]:.3f}", f"{judged.gap[name]:.2f}") for name in ("real", "network", "Gaussian")],
)

# %% tags=["experiment"]
ImageGrid(
    torch.cat([film[-1, :8], judged.clouds[:8]]),
    captions=["network"] * 8 + ["Gaussian"] * 8,
    columns=8,
    label="eight images of your network, eight of a Gaussian",
)

# %% [markdown] tags=["experiment"]
# At the laptop profile (seeds 0 to 2), the energy distance is .042 to .045 for the network and .028 to .035 for the
# Gaussian. **It prefers the Gaussian, although most of the Gaussian's images are not digits.** In 64 dimensions, the
# mean and the covariance are most of what this distance can measure. Your eye disagrees, and so does the distance to
# the nearest real digit (2.8 for the network and 3.6 for the Gaussian, compared with 2.2 for real digits). Never rely
# on a single number.
#
# ## A test bench without samples
#
# If the data are Gaussian, we can judge a sampler exactly. Let $x_0 \sim \mathcal N(0, s^2)$ be a single number. In
# this case the perfect network is a straight line through the origin, and each step of the sampler is linear in $x$ and
# $z$. This means that you can compute the variance of the output using a short recursion. At the end, it should be
# $s^2$.

# %% exercise="final_variance"
from studium_topics.ddpm.exercises import final_variance

# %% [markdown] tags=["experiment"]
# Let's begin with the right sampler and follow it from noise to data, with both of the paper's choices for
# $\sigma_k^2$. *Which of them works better for wide data, and which for narrow data? And if the data are narrow, with
# $s^2 = 0.01$, how much of their variance will be left when we use $\tilde\beta$ and $T = 200$?*

# %% tags=["experiment"]
lesson.predict("V / s²", ..., "What V / s² does the posterior's variance give for narrow data, s² = 0.01, at T = 200?")

# %% tags=["experiment"]
bench = gaussian_variances(lesson.mine(make_betas), lesson.mine(posterior), lesson.mine(p_step), profile=lesson.profile)
figures.variance_paths(bench)

# %% tags=["experiment"]
lesson.found("V / s²", bench.final["posterior"][2], within=0.05)

# %% [markdown] tags=["experiment"]
# For $s^2 = 1$ and $\sigma^2 = \beta$, the curve is flat at 1. This puts a number on a remark in section 3.2 of the
# paper: $\beta$ is exact for data $\mathcal N(0, I)$ and $\tilde\beta$ for a single point, and real data lie in
# between. With $\tilde\beta$, narrow clusters become too narrow: they have 0.76 of their variance at $T = 200$ and 0.93
# at $T = 1000$. This is not a bug; it is what large steps cost.
#
# Now for the bugs. We will make six mistakes using *your* step (you can find the code in
# `studium_topics/ddpm/mistakes.py`). The table shows your exact variances. It also shows the energy distance between
# 1500 samples and 1500 data points from the ring of eight clusters, in four repetitions with fresh noise and fresh
# data.

# %% tags=["experiment"]
blocks = [lesson.mine(f) for f in (make_betas, posterior, p_step, final_variance)]
verdicts = wrong_samplers(*blocks, profile=lesson.profile)
show_table(
    ["slip", "V / s²: s² = 1", "0.25", "0.01", "energy distance, each repetition"],
    [
        (name, *(f"{value:.3g}" for value in found.variances), " ".join(f"{value:.4g}" for value in found.distances))
        for name, found in verdicts.items()
    ],
)
figures.eyes_on_samplers(verdicts)

# %% [markdown] tags=["experiment"]
# When we add noise after the last step, the energy distances differ from those of the right sampler by less than 5 %.
# Repetitions of the same sampler, however, differ by a factor of four, because the number of points in each cluster
# varies. But the exact $V / s^2$ of narrow data is .814 instead of .764. *In the figure, one of A, B and C comes from
# the right sampler. Which one?*
#
# <details><summary>Answer</summary>
#
# B. A adds noise after the last step, and C reads the table one row too early.
# </details>
#
# **Think about it.** The extra noise hardly changes wide data, $s^2 = 1$, but it does change narrow data. Why? If you
# could test only one column, which one would you choose?
#
# <details><summary>Answer</summary>
#
# The extra variance is $\beta_1 = 0.0005$, whatever the data are. That is half a thousandth of $s^2 = 1$, but five
# hundredths of 0.01. In their fine detail, where they vary the least, images are like the narrow data, so you should
# choose the narrowest column. It is better still to test all three, because at a single width two errors can cancel
# each other.
# </details>
#
# ## Clipping, and the library's step
#
# Pixels are in $[-1, 1]$, so if a guess $\hat x_0$ is outside of this range, we know that it is wrong. Many samplers
# clip it. It is easy to clip the wrong tensor.

# %% exercise="clipped_step"
from studium_topics.ddpm.exercises import clipped_step

# %% [markdown] tags=["experiment", "bridge"]
# In practice you would use the class `DDPMScheduler` from `diffusers` for these steps. With `clip_sample=False` it is
# your `p_step`, and with `clip_sample=True`, the default, it is your `clipped_step`. Both count the rows $t$ in the
# same way. The next cell takes the same step with each, using the same noise.

# %% tags=["experiment", "bridge"]
try:
    from diffusers import DDPMScheduler
except ImportError:
    print("diffusers is not installed, so there is no comparison here: pip install diffusers")
else:
    x, guess = 2 * film[50, :24], 0.5 * film[50, :24]
    for t in (99, 50, 1, 0):
        z = torch.randn(x.shape, generator=torch.Generator().manual_seed(t))
        var = lesson.mine(posterior)(x, x, t, betas)[1]
        mine = {
            False: lesson.mine(p_step)(guess, x, t, z, betas, var),
            True: lesson.mine(clipped_step)(guess, x, t, z, betas),
        }
        gaps = []
        for clip, moved in mine.items():
            scheduler = DDPMScheduler(100, trained_betas=betas.numpy(), clip_sample=clip)
            theirs = scheduler.step(guess, t, x, generator=torch.Generator().manual_seed(t)).prev_sample
            gaps.append(float((moved - theirs).abs().max()))
        print(f"t = {t:2}: largest difference {gaps[0]:.1e} without clipping, {gaps[1]:.1e} with it")

# %% [markdown] tags=["experiment"]
# ## The paper's ablation: predict the noise, or the data?
#
# For this experiment our data are a spiral in the plane, known as the "swiss roll", because there we can trust both
# judges. The network is a small MLP with 38,000 parameters, and we use $T = 100$ and the cosine schedule. We train
# three variants from the same initial parameters, and the second and third each differ from the first in only one way:
#
# * **eps**: predicts $\epsilon$, as in DDPM.
# * **x0**: the same network, but it predicts the clean point. We compute $\hat\epsilon$ from $\hat x_0$, so the sampler
#   is the same.
# * **no time**: predicts $\epsilon$, but we don't tell it the level.
#
# *Which of them will come last?*

# %% tags=["experiment"]
blocks = [lesson.mine(f) for f in (make_betas, q_sample, ddpm_loss, sample)]
result = swiss_roll(*blocks, profile=lesson.profile, seed=0)
rows = [
    (variant, f"{run.distance:.4f}", f"{run.gap:.3f}", f"{result.ratio(variant):.1f} × eps")
    for variant, run in result.runs.items()
]
show_table(
    ["", "energy distance", "distance to the nearest data point", "compared with eps"],
    [("other fresh data", f"{result.floor:.4f}", f"{result.gap:.3f}", None), *rows],
)
if lesson.profile.name == "smoke":
    print("(60 training steps only: these numbers mean something at STUDIUM_PROFILE=laptop)")
figures.roll_samples(result)

# %% [markdown] tags=["experiment"]
# | variant | energy distance, seeds 0 to 5, laptop | over that of eps | to the nearest point (fresh data .013) |
# |---|---|---|---|
# | eps | .0011 – .0040 | 1 | .015 – .016 |
# | x0 | .006 – .010 | 2.6 – 7.2 | .038 – .051 |
# | no time | .044 – .054 | 14 – 43 | .15 – .16 |
#
# The authors found that predicting $x_0$ led to "worse sample quality early in our experiments" (section 3.2). Here is
# one reason. At the cleanest levels, the input is almost the answer, so even a small relative error in $\hat x_0$ is a
# large error in the noise. And the noise is what we subtract in the last steps.
#
# ## Further
#
# The rest of this lesson goes beyond its two main ideas, the loss and the exact test of a sampler. The exercises are
# optional.
#
# ### The minimum of the loss is a copier
#
# Real training sets are finite. If the data are $N$ points, the network that minimises $L_\text{simple}$ perfectly is
# $\mathbb E[\epsilon\mid x_k]$ for $N$ point masses. We have a formula for this, so we can sample with the perfect
# network. *Will it draw new points on the spiral?*

# %% tags=["experiment"]
memory = memorisation(lesson.mine(make_betas), lesson.mine(sample), profile=lesson.profile)
show_table(
    ["training points", "median distance to the nearest: samples", "fresh data", "ratio"],
    [
        (count, f"{memory.to_training[count]:.4f}", f"{memory.fresh[count]:.4f}", f"{memory.ratio(count):.2f}")
        for count in memory.points
    ],
)
figures.memory(memory)

# %% [markdown] tags=["experiment"]
# It **copies its training set**. A trained diffusion model can draw new images only because its network does *not*
# reach this minimum. The function it has learned is too smooth to have a peak at every training point ([Gu et al.
# 2023](https://arxiv.org/abs/2310.02664) measure when this fails).

# %% [markdown]
# ### Fewer steps: DDIM
#
# With <dfn>DDIM</dfn> you can sample from the network of a DDPM in fewer and larger steps and, if you like, without
# fresh noise. $L_\text{simple}$ uses only the boxed formula for $x_k$ and never the single steps. Therefore *any*
# process with the same marginals can use the same network, including one that jumps from level $k$ to a much earlier
# level $j$ (equation 12 of [Song, Meng and Ermon 2020](https://arxiv.org/abs/2010.02502)):
#
# $$x_j = \sqrt{\bar\alpha_j}\;\hat x_0 + \sqrt{1-\bar\alpha_j-\sigma^2}\;\epsilon_\theta + \sigma z,
# \qquad \hat x_0 = \frac{x_k - \sqrt{1-\bar\alpha_k}\,\epsilon_\theta}{\sqrt{\bar\alpha_k}}, \qquad
# \sigma^2 = \eta^2\,\frac{1-\bar\alpha_j}{1-\bar\alpha_k}\left(1-\frac{\bar\alpha_k}{\bar\alpha_j}\right).$$
#
# We guess the clean point and then add noise to it again, partly the old noise and partly new. The two variances add up
# to $1-\bar\alpha_j$ for any $\sigma$. With $\eta = 0$, only the start is random. With $\eta = 1$ and $j = k-1$ we get
# DDPM back, because then $\sigma^2 = \tilde\beta_k$.

# %% exercise="ddim_steps"
from studium_topics.ddpm.exercises import ddim_steps

# %% [markdown]
# With $T = 1000$ and $n = 10$, this "leading" spacing starts at row 900, where real data would still have a little
# signal. But we hand the network pure noise. A user reported this as [issue 2585 of
# diffusers](https://github.com/huggingface/diffusers/issues/2585), and you can avoid it by using "trailing" spacing
# ([Lin et al. 2023](https://arxiv.org/abs/2305.08891)). When you write the step itself, think about the last one, which
# ends at clean data. (Your `posterior` computes the table of $\bar\alpha$ anew in each of the $T$ steps. This costs
# $T^2$ multiplications, which is little compared with the network. `ddim_step` takes the table as an argument, as
# libraries do, so we compute it only once.)

# %% exercise="ddim_step"
from studium_topics.ddpm.exercises import ddim_step

# %% tags=["experiment", "bridge"]
try:
    from diffusers import DDIMScheduler
except ImportError:
    print("diffusers is not installed, so there is no comparison here: pip install diffusers")
else:
    scheduler = DDIMScheduler(100, trained_betas=betas.numpy(), clip_sample=False)
    scheduler.set_timesteps(20)
    rows = lesson.mine(ddim_steps)(100, 20)
    print("the same rows:", [int(t) for t in rows] == scheduler.timesteps.tolist())
    x, guess, z = film[50, :24], 0.5 * film[50, :24], torch.zeros_like(film[50, :24])
    for t, before in ((rows[0], rows[1]), (rows[-2], rows[-1]), (rows[-1], -1)):
        gap = lesson.mine(ddim_step)(guess, x, t, before, abar, 0.0, z) - scheduler.step(guess, t, x).prev_sample
        print(f"DDIMScheduler, from row {t} to {before}: largest difference {float(gap.abs().max()):.1e}")

# %% [markdown] tags=["experiment"]
# How few steps are enough? Let's try this on the ring of eight clusters, with the exact $\epsilon$ and $T = 1000$. "On
# a cluster" is the share of samples within three standard deviations (it should be 0.989), and "spread" is the width of
# a cluster divided by its true width.

# %% tags=["experiment"]
blocks = [lesson.mine(f) for f in (make_betas, ddim_steps, ddim_step)]
fewer = few_steps(*blocks, profile=lesson.profile, seed=0)
shares, spreads = fewer.on_mode, fewer.spread
show_table(
    ["steps", "on a cluster: η = 0", "η = 1", "spread: η = 0", "η = 1"],
    [
        (count, *(f"{table[eta, count]:.2f}" for table in (shares, spreads) for eta in (0.0, 1.0)))
        for count in (5, 10, 20, 50)
    ],
)
print(f"the first 50 rows instead of 50 spaced ones: spread {fewer.wrong:.2f}")
figures.spread_by_steps(fewer)

# %% [markdown] tags=["experiment"]
# In the plane, $\eta = 0$ has only a small advantage. At 50 steps its clusters have shrunk less, which agrees with your
# test bench, where we lost variance when we took large steps with $\tilde\beta$. On CIFAR-10 with 10 steps, table 1 of
# the paper has an <dfn>FID</dfn> (Fréchet inception distance between generated and real images, lower is better) of
# 13.36 for $\eta = 0$ and 41.07 for $\eta = 1$. With 50 steps, it is 4.67 and 8.01.

# %% [markdown]
# **How far can you go?** You can now spend 15 calls of the network in many ways: choose the rows, the noise in each
# step, or a better guess from two calls instead of one. Most of the samplers that came after DDIM do one of these
# things. The next exercise only sets a goal. Any sampler that reaches it is right, and in your report you can say which
# of your ideas made a difference.

# %% exercise="few_calls"
from studium_topics.ddpm.exercises import few_calls

# %% [markdown]
# ## What does not reproduce at this size
#
# * **The FID of 3.17 on CIFAR-10.** FID needs large natural images. Ours have 8 × 8 pixels, and you can't read all of
#   them.
# * **The paper's table 2** compares predicting $\epsilon$ with predicting $\tilde\mu$ under several losses. With the
#   unweighted loss, $\tilde\mu$ was "unstable to train". We compare with $x_0$ instead, and our training runs are all
#   stable.
# * **DDIM's large advantage at 10 steps.** In the plane, with the exact $\epsilon$, there is hardly any.
#
# ## Common misconceptions
#
# * *"The network predicts the noise of the last step."* It predicts all the noise, and the sampler then removes one
#   step's share.
# * *"The sampler goes straight to $\hat x_0$."* $\hat x_0$ is the mean of everything that is possible, so at high noise
#   it is blurred.
# * *"If values leave $[-1, 1]$, clip $x_k$."* Most of $x_k$ is noise, which should leave that range. Clip $\hat x_0$.
# * *"A lower loss is a better model."* The minimum of the loss copies the training set.
#
# ## You can now
#
# * jump from clean data to any level of noise, and tell how much of the variance is signal;
# * derive the noise-prediction loss from the ELBO;
# * train a diffusion model and sample from it using loops you wrote;
# * compute the exact variance of a sampler, and find mistakes that show up neither in samples nor in distances;
# * match your steps with `DDPMScheduler`, including the clipping.
#
# ## Open tasks
#
# * *Ten minutes.* Choose "Noise left out" under "Put in a mistake", first in the widget with the eight clusters, and
#   then in the film at the top. The clusters should shrink, with V / s², under *More curves*, far below 1, and the
#   images should lose their contrast.
# * *An hour.* Weight the loss of each row the way the bound does (use the sampler's variance and leave out row 0), and
#   train the digits again. The loss should go down in the cleanest rows and up in the middle. Do the shapes get worse?
# * *A day.* Keep a moving average of the parameters (decay 0.999) and sample from it, and train with a constant
#   learning rate. The average should repair most of the damage that you do by leaving out the schedule.
#
# ## Further reading
#
# * [Improved DDPM](https://arxiv.org/abs/2102.09672): the cosine schedule, and how to learn a variance between $\beta$
#   and $\tilde\beta$.
# * [Score-based models through SDEs](https://arxiv.org/abs/2011.13456): what happens if you take infinitely many steps.
# * [Karras et al. 2022](https://arxiv.org/abs/2206.00364): takes apart every choice in this lesson and tests each of
#   them separately.
# * Next in this track comes guidance, first with a classifier (`classifier-guidance`) and then without (`cfg`).
