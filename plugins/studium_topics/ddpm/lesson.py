# %% [markdown]
# # Denoising diffusion (DDPM)
#
# A sampler of a diffusion model is four lines of code. The `p_sample` of a much-read [annotated
# implementation](https://nn.labml.ai/diffusion/ddpm/index.html) adds noise in every step, also after the last one,
# where the paper's algorithm 2 adds none. The images look fine all the same.
#
# **How would you notice?** In this lesson you will look at samples of the right and of the wrong sampler and not be
# able to tell them apart; a common distance between distributions will not tell them apart either. But there is an
# exact number that does, computed without training a network or drawing a single sample. You will derive it.
#
# Below, a small network, trained as you will train yours, draws six red rings in this page, out of nothing but noise.
# Press Play to see it again, ask for another shape, or take another seed. Then put in the mistake *Noise added at
# t = 0*, that of the sampler above: *where in these images can you see it, and would you see it in a photograph?*

# %% tags=["widget"]
from studium_topics.kits.film import DenoisingFilm

DenoisingFilm.trained(kind=3)

# %% [markdown]
# In this lesson you will
#
# 1. turn images into noise, in one jump to any of $T$ levels;
# 2. derive DDPM's loss from a bound on the likelihood, and train a network with it in a loop of your own;
# 3. write the sampler and watch your network turn noise into handwritten digits;
# 4. compute a sampler's exact variance, and find slips with it that no sample shows;
# 5. repeat the paper's ablation: predict the noise, or predict the clean data?
#
# **You need** the lesson on score matching (`ncsn`), and Bayes' rule for Gaussians. **Time:** about 20 minutes to read,
# 105 to write code, 10 to run it.
#
# **History.** Generative adversarial networks drew sharp images around 2018, but their training was unstable and they
# left out parts of the data. [Sohl-Dickstein et al. 2015](https://arxiv.org/abs/1503.03585) had already learned to undo
# a slow destruction of data, with poor images. [Ho, Jain and Abbeel 2020](https://arxiv.org/abs/2006.11239) let the
# network predict the noise and dropped the weights of the bound, and this simple loss replaced adversarial training.

# %%
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
# In the next figure the data are eight narrow clusters of points on a ring. On the left every point is moved a little
# at random at each step, until only a round cloud is left. On the right a sampler starts from such a cloud and walks
# back. Its network is perfect, because for a mixture of Gaussians the best prediction has a formula.
#
# Press Play or move $t$. *At which $t$ have the eight clusters merged on the left? Is it earlier or later with the
# linear schedule?*

# %% tags=["widget"]
NoiseSchedule(schedule="cosine", steps=1000, t=300, sampling_steps=100)

# %% [markdown]
# Nearly all of the shape is decided in the middle: for large $t$ both clouds are round, for small $t$ the clusters only
# become sharper. The linear schedule spends its last third on points that are noise already; the cosine schedule was
# made for that reason ([Nichol and Dhariwal 2021](https://arxiv.org/abs/2102.09672)).
#
# One network serves both directions of the figure below. Training shows it one random level at a time; sampling visits
# all levels in order.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.ddpm", "flow.svg")

# %% [markdown]
# ## Symbols and rows
#
# Levels of noise are numbered as in the paper: $x_0$ is the clean datum, always, and $x_1, \dots, x_T$ are noisier and
# noisier. Tables in code start at row 0, so **the row is $t = k - 1$**: level 1 is row 0, level $T$ is row $T - 1$.
# Code, messages and widgets speak of rows $t$, as `diffusers` does; formulas speak of levels $k$.
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
# | $\sigma_k^2$, $z$ | `var`, `z` | variance of the sampler's noise, standard normal noise |
#
# ## The forward process
#
# The <dfn>forward process</dfn> turns data into noise in $T$ steps, each of which shrinks the data a little and adds a
# little noise:
#
# $$q(x_k \mid x_{k-1}) = \mathcal N\!\left(\sqrt{1-\beta_k}\;x_{k-1},\ \beta_k I\right), \qquad k = 1, \dots, T.$$
#
# Because of the shrinking, data of variance 1 keep variance $(1-\beta_k) + \beta_k = 1$. Two steps amount to one larger
# step, because sums of Gaussians are Gaussian:
#
# $$x_2 = \sqrt{\alpha_2}\left(\sqrt{\alpha_1}\,x_0 + \sqrt{\beta_1}\,\epsilon_1\right) + \sqrt{\beta_2}\,\epsilon_2,$$
#
# where the two noises together have variance $\alpha_2\beta_1 + \beta_2 = 1 - \alpha_1\alpha_2$. By induction,
#
# $$\boxed{\;x_k = \sqrt{\bar\alpha_k}\,x_0 + \sqrt{1-\bar\alpha_k}\;\epsilon,\qquad \epsilon \sim \mathcal N(0, I)\;}$$
#
# A <dfn>noise schedule</dfn> lists how much noise each step adds: one $\beta$ for each step. The paper lets $\beta$
# rise linearly from 0.0001 to 0.02 over 1000 steps; with fewer steps each must do more, hence the factor $1000/T$, and
# no step may destroy more than all of its input, hence the clip. The cosine schedule prescribes the signal
# $\bar\alpha_k$ as a squared cosine $f$, and $\bar\alpha_k = \bar\alpha_{k-1}(1-\beta_k)$ gives $\beta_k$ from two
# neighbours.

# %% exercise="make_betas"
from studium_topics.ddpm.exercises import make_betas

# %% [markdown]
# Why float64? $\bar\alpha$ is a product of many numbers near 1, and samplers divide by $1-\bar\alpha$, which at the
# cleanest levels is a difference of two nearly equal numbers.
#
# Training needs $x_k$ at a random level for every example of a batch, each with its own. The trap is the shape:
# `abar[t]` holds one number for each *row of the batch*.

# %% exercise="q_sample"
from studium_topics.ddpm.exercises import q_sample

# %% [markdown] tags=["experiment"]
# These are eight digits of 8 × 8 pixels at seven levels, noised by your own two functions with one fixed $\epsilon$.
# *At which step do you stop recognising them?*

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
# Going back means drawing a plausible $x_{k-1}$ for a given $x_k$. Suppose somebody told us $x_0$ too. The
# <dfn>posterior</dfn> is the distribution of $x_{k-1}$ where both $x_k$ and the clean $x_0$ are known. Two sources of
# information speak about $x_{k-1}$, and both are Gaussian in it:
#
# * **from $x_0$**: the forward process puts $x_{k-1}$ around $\sqrt{\bar\alpha_{k-1}}\,x_0$, with the precision (one
#   over the variance) $1/(1-\bar\alpha_{k-1})$;
# * **from $x_k$**: since $x_k = \sqrt{\alpha_k}\,x_{k-1} + \text{noise of variance } \beta_k$, it puts $x_{k-1}$ around
#   $x_k/\sqrt{\alpha_k}$, with the precision $\alpha_k/\beta_k$.
#
# Bayes' rule multiplies the two densities, so precisions add up and the mean is the average of the two opinions,
# weighted by their precisions:
#
# $$\frac{1}{\tilde\beta_k} = \frac{1}{1-\bar\alpha_{k-1}} + \frac{\alpha_k}{\beta_k}
# \ \Longrightarrow\ \tilde\beta_k = \frac{1-\bar\alpha_{k-1}}{1-\bar\alpha_k}\,\beta_k , \qquad
# \tilde\mu_k = \tilde\beta_k\left(\frac{\sqrt{\bar\alpha_{k-1}}\,x_0}{1-\bar\alpha_{k-1}}
# + \frac{\alpha_k}{\beta_k}\frac{x_k}{\sqrt{\alpha_k}}\right)
# = \frac{\sqrt{\bar\alpha_{k-1}}\,\beta_k\,x_0 + \sqrt{\alpha_k}\,(1-\bar\alpha_{k-1})\,x_k}{1-\bar\alpha_k} .$$
#
# At level 1 the first opinion is certain ($1-\bar\alpha_0 = 0$): the mean is $x_0$ and no variance is left.

# %% exercise="posterior"
from studium_topics.ddpm.exercises import posterior

# %% [markdown]
# ## What should the network learn?
#
# Nobody tells us $x_0$ when we sample. DDPM takes Gaussians $p_\theta(x_{k-1}\mid x_k) = \mathcal N(\mu_\theta(x_k, k),
# \sigma_k^2 I)$ with fixed $\sigma_k^2$ and asks which $\mu_\theta$ makes the data most likely. The likelihood itself
# is an integral over all paths, so DDPM maximises a lower bound of it, the <dfn>ELBO</dfn> (evidence lower bound),
# which splits into one term for each level:
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
# For $k \ge 2$, write the forward step backwards. It does not depend on $x_0$ once $x_{k-1}$ is known, so Bayes' rule
# given $x_0$ says $q(x_k|x_{k-1}) = q(x_{k-1}|x_k,x_0)\,q(x_k|x_0)/q(x_{k-1}|x_0)$. In the sum over $k = 2, \dots, T$
# the quotients $q(x_k|x_0)/q(x_{k-1}|x_0)$ cancel except for $q(x_T|x_0)/q(x_1|x_0)$, and this $q(x_1|x_0)$ cancels the
# forward step of $k = 1$. What remains is
#
# $$\mathbb E_q\left[\log\frac{q(x_T|x_0)}{p(x_T)} + \sum_{k=2}^{T}\log\frac{q(x_{k-1}|x_k,x_0)}{p_\theta(x_{k-1}|x_k)}
# - \log p_\theta(x_0|x_1)\right],$$
#
# and the expected logarithms of quotients are the divergences above (the paper's equation 5).
# </details>
#
# The posterior that you have just written is the target of every term. Both Gaussians in $L_{k-1}$ have fixed
# variances, so up to a constant the divergence is the distance of their means,
#
# $$L_{k-1} = \frac{1}{2\sigma_k^2}\,\mathbb E\,\big\lVert \tilde\mu_k(x_k, x_0) - \mu_\theta(x_k, k)\big\rVert^2 + C.$$
#
# Now put $x_0 = (x_k - \sqrt{1-\bar\alpha_k}\,\epsilon)/\sqrt{\bar\alpha_k}$ into $\tilde\mu_k$. The factor of $x_k$
# becomes $(\beta_k + \alpha_k - \bar\alpha_k)/\big((1-\bar\alpha_k)\sqrt{\alpha_k}\big) = 1/\sqrt{\alpha_k}$, because
# $\beta_k + \alpha_k = 1$ and $\sqrt{\bar\alpha_{k-1}}/\sqrt{\bar\alpha_k} = 1/\sqrt{\alpha_k}$; that of $\epsilon$
# follows in the same way. So the mean has a second form,
#
# $$\tilde\mu_k = \frac{1}{\sqrt{\alpha_k}}\left(x_k - \frac{\beta_k}{\sqrt{1-\bar\alpha_k}}\,\epsilon\right),$$
#
# in which everything but $\epsilon$ is known. Let $\mu_\theta$ have the same form with $\epsilon_\theta(x_k, k)$ for
# $\epsilon$, and the bound becomes a weighted error of the noise:
#
# $$L_{k-1} = \frac{\beta_k^2}{2\sigma_k^2\,\alpha_k\,(1-\bar\alpha_k)}\;
# \mathbb E\,\big\lVert \epsilon - \epsilon_\theta(x_k, k)\big\rVert^2 + C .$$
#
# The weight is large at the cleanest levels. The paper found better images without it: the
# <dfn>simple loss</dfn> $L_\text{simple}$ is the mean of $\lVert\epsilon - \epsilon_\theta\rVert^2$ over levels, data
# and noise. It spends the network's effort on the middle, where the shape is decided. Note that $\epsilon$ is *all* the
# noise in $x_k$ and not the noise of the last step.

# %% exercise="ddpm_loss"
from studium_topics.ddpm.exercises import ddpm_loss

# %% [markdown]
# **Think about it.** What does a network answer that has reached the minimum, and how is that related to the *score* of
# the last lesson?
#
# <details><summary>Answer</summary>
#
# A squared error is minimised by the conditional mean: $\epsilon^*(x, k) = \mathbb E[\epsilon \mid x_k = x]$. Many
# pairs $(x_0, \epsilon)$ lead to the same $x_k$, so the loss does not fall to 0. Given $x_0$, the score of $x_k$ is
# $-(x_k - \sqrt{\bar\alpha_k}x_0)/(1-\bar\alpha_k) = -\epsilon/\sqrt{1-\bar\alpha_k}$. Averaged over the possible
# $x_0$, the left side is the score of the noisy density:
# $\nabla \log p_k(x) = -\epsilon^*(x, k)/\sqrt{1-\bar\alpha_k}$. Predicting noise is score matching in other units.
# </details>
#
# ## The sampler
#
# The sampler draws $x_{k-1} = \mu_\theta(x_k, k) + \sigma_k z$, from $k = T$ down to 1, with no noise in the last step.
# Three roots occur, and each has its own reason: $\sqrt{\alpha_k}$ undoes *one* shrinking, $\sqrt{1-\bar\alpha_k}$ is
# the size of *all* the noise, and $\sigma_k$ is the root of a variance, for which the paper tries $\beta_k$ and
# $\tilde\beta_k$.

# %% exercise="p_step"
from studium_topics.ddpm.exercises import p_step

# %% [markdown]
# Now put the parts together: first the loop that trains, then the loop that draws.

# %% exercise="train"
from studium_topics.ddpm.exercises import train

# %% exercise="sample"
from studium_topics.ddpm.exercises import sample

# %% [markdown] tags=["experiment"]
# ## Noise becomes digits
#
# Everything in the next cell is yours but the network, a U-Net with 78,000 parameters. It sees 899 digits, 64 at a
# time, for 800 steps. *What will the loss be at the start, when the network answers 0 to everything?* Write your guess
# down, and run the cell; it takes about half a minute.

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
# Press Play. For about 75 of the 100 steps there is little to see. Then the shapes appear within some fifteen steps,
# coarse strokes first, and the last ten remove the grain. Most of these images are digits that you can read; some are
# not.
#
# Your sampler can draw with the network of the first film, too. That one takes a label, as you will see in the lesson
# on [guidance](cfg.ipynb): it was told to draw red rings, and here it is told to draw red triangles.

# %% tags=["experiment"]
shapes_model = shapes_unet.trained()
kind = torch.full((8,), shapes_unet.KINDS.index("a large red triangle"))
drawn = lesson.mine(sample)(
    lambda x, t: shapes_model(x, t, kind), (8, 3, 16, 16), shapes_unet.betas(), torch.Generator().manual_seed(0)
)
ImageGrid(drawn[shown], steps=[f"after {k} steps" for k in shown], columns=8, label="eight triangles from your sampler")

# %% [markdown] tags=["experiment"]
# ## Two judges
#
# How good are they? The <dfn>energy distance</dfn> of two distributions is
# $2\,\mathbb E\lVert a - b\rVert - \mathbb E\lVert a - a'\rVert - \mathbb E\lVert b - b'\rVert$, where $a, a'$ are
# independent draws from the one and $b, b'$ from the other; it is 0 only if the two are equal. As a rival, take a
# Gaussian with the mean and the covariance of the training digits. Both are compared with 898 digits that nothing was
# trained on. *Which of the two will be nearer?*

# %% tags=["experiment"]
judged = judge_digits(film[-1], generator)
print("                     energy distance    median distance to the nearest unseen digit")
for name in ("real", "network", "Gaussian"):
    print(f"{name:20} {judged.distance[name]:14.3f} {judged.gap[name]:22.2f}")

# %% tags=["experiment"]
ImageGrid(
    torch.cat([film[-1, :8], judged.clouds[:8]]),
    captions=["network"] * 8 + ["Gaussian"] * 8,
    columns=8,
    label="eight images of your network, eight of a Gaussian",
)

# %% [markdown] tags=["experiment"]
# At the laptop profile (seeds 0 to 2) the energy distance is .042 to .045 for the network and .028 to .035 for the
# Gaussian: **it prefers the Gaussian, although most of its images are no digits.** Mean and covariance are most of what
# it sees in 64 dimensions. Your eye disagrees, and so does the distance to the nearest real digit (2.8 against 3.6;
# real digits 2.2). Never judge by one number.
#
# ## A test bench without samples
#
# Where the data are Gaussian, a sampler can be judged exactly. Let $x_0 \sim \mathcal N(0, s^2)$, one number. Then the
# perfect network is a straight line through the origin, each step of the sampler is linear in $x$ and $z$, and the
# variance of the output follows from a short recursion. At the end it should be $s^2$.

# %% exercise="final_variance"
from studium_topics.ddpm.exercises import final_variance

# %% [markdown] tags=["experiment"]
# First the right sampler, with both of the paper's choices for $\sigma_k^2$, followed from noise to data. *Which
# of them suits wide data, which narrow data? And how much of the variance of narrow data, $s^2 = 0.01$, is left with
# $\tilde\beta$ and $T = 200$?*

# %% tags=["experiment"]
lesson.predict("V / s²", ..., "What V / s² does the posterior's variance give for narrow data, s² = 0.01, at T = 200?")

# %% tags=["experiment"]
bench = gaussian_variances(lesson.mine(make_betas), lesson.mine(posterior), lesson.mine(p_step), profile=lesson.profile)
figures.variance_paths(bench)

# %% tags=["experiment"]
lesson.found("V / s²", bench.final["posterior"][2], within=0.05)

# %% [markdown] tags=["experiment"]
# For $s^2 = 1$ and $\sigma^2 = \beta$ the curve is flat at 1. This is the remark of the paper's section 3.2 as a
# number: $\beta$ is exact for data $\mathcal N(0, I)$, $\tilde\beta$ for a single point, and real data lie in between.
# With $\tilde\beta$ narrow clusters become too narrow, 0.76 of the variance at $T = 200$ and 0.93 at $T = 1000$: this
# is no bug but the price of large steps.
#
# Now the bugs. Six slips are made out of *your* step (their code is in `studium_topics/ddpm/mistakes.py`). The table
# has your exact variances, and the energy distance between 1500 samples and 1500 data points of the ring of eight
# clusters, in four repetitions with fresh noise and fresh data.

# %% tags=["experiment"]
blocks = [lesson.mine(f) for f in (make_betas, posterior, p_step, final_variance)]
verdicts = wrong_samplers(*blocks, profile=lesson.profile)
print("slip                        V / s²: s² = 1       0.25       0.01   energy distance, each repetition")
for name, verdict in verdicts.items():
    exact = "".join(f"{value:11.3g}" for value in verdict.variances)
    print(f"{name:32}{exact}   " + " ".join(f"{value:.4g}" for value in verdict.distances))
figures.eyes_on_samplers(verdicts)

# %% [markdown] tags=["experiment"]
# With noise after the last step the energy distances differ from the right sampler's by less than 5 %, while
# repetitions of one sampler differ by a factor of four, because the number of points on each cluster varies. But the
# exact $V / s^2$ of narrow data is .814 instead of .764. *One of A, B and C in the figure is from the right sampler.
# Which?*
#
# <details><summary>Answer</summary>
#
# B. A adds noise after the last step, and C reads the table one row too early.
# </details>
#
# **Think about it.** Wide data, $s^2 = 1$, hardly change with the extra noise; narrow data do. Why? Which column would
# you choose if you could test only one?
#
# <details><summary>Answer</summary>
#
# The extra variance is $\beta_1 = 0.0005$, whatever the data. Compared with $s^2 = 1$ that is half a thousandth,
# compared with 0.01 it is five hundredths. Images are like the narrow data in their fine detail, where they vary least.
# So choose the narrowest; better, test all three, because at one width two errors can cancel.
# </details>
#
# ## Clipping, and the library's step
#
# Pixels lie in $[-1, 1]$, so a guess $\hat x_0$ outside of it is wrong for certain, and many samplers clip it. It is
# easy to clip the wrong tensor.

# %% exercise="clipped_step"
from studium_topics.ddpm.exercises import clipped_step

# %% [markdown] tags=["experiment", "bridge"]
# In practice these steps are the class `DDPMScheduler` of `diffusers`: `clip_sample=False` is your `p_step`, and
# `clip_sample=True`, its default, is your `clipped_step`. The same step is taken from the same noise by both; rows $t$
# are counted in the same way.

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
# The data are now a spiral in the plane, the "swiss roll", where both judges are reliable; the network is a small MLP
# with 38,000 parameters; $T = 100$, cosine schedule. Three variants start from the same parameters, and in each only
# one thing differs from the first:
#
# * **eps**: predicts $\epsilon$, as in DDPM.
# * **x0**: the same network, asked for the clean point; $\hat\epsilon$ follows from $\hat x_0$, so the sampler is the
#   same.
# * **no time**: predicts $\epsilon$, but is not told the level.
#
# *Which will be last?*

# %% tags=["experiment"]
blocks = [lesson.mine(f) for f in (make_betas, q_sample, ddpm_loss, sample)]
result = swiss_roll(*blocks, profile=lesson.profile, seed=0)
print("                     energy distance     distance to the nearest data point")
print(f"other fresh data            {result.floor:.4f} {result.gap:22.3f}")
for variant, run in result.runs.items():
    print(f"{variant:27} {run.distance:.4f} {run.gap:22.3f}   ({result.ratio(variant):.1f} × eps)")
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
# The authors found predicting $x_0$ "to lead to worse sample quality early in our experiments" (section 3.2). At the
# cleanest levels the input is almost the answer, so a small relative error of $\hat x_0$ is a large error of the noise,
# and it is the noise that the last steps subtract.
#
# ## Further
#
# The rest goes beyond the two ideas of this lesson, the loss and the exact test of a sampler. Its exercises are
# optional.
#
# ### The minimum of the loss is a copier
#
# Real training sets are finite. The perfect minimiser of $L_\text{simple}$ on $N$ points is
# $\mathbb E[\epsilon\mid x_k]$ for $N$ point masses, and it has a formula, so that we can sample with the perfect
# network. *Will it draw new points of the spiral?*

# %% tags=["experiment"]
memory = memorisation(lesson.mine(make_betas), lesson.mine(sample), profile=lesson.profile)
print("training points   median distance to the nearest: samples   fresh data   ratio")
for count in memory.points:
    print(f"{count:15} {memory.to_training[count]:40.4f} {memory.fresh[count]:12.4f} {memory.ratio(count):7.2f}")
figures.memory(memory)

# %% [markdown] tags=["experiment"]
# It **copies its training set**. A trained diffusion model draws new images only because its network does *not* reach
# this minimum: the network's function is too smooth to have a peak at every training point ([Gu et al.
# 2023](https://arxiv.org/abs/2310.02664) measure when that fails).

# %% [markdown]
# ### Fewer steps: DDIM
#
# <dfn>DDIM</dfn> samples with the network of a DDPM, but in fewer and larger steps, and without fresh noise if you
# like. $L_\text{simple}$ only knows the boxed formula for $x_k$ and never the single steps, so *any* process with these
# marginals may use the same network, also one that jumps from level $k$ to a much earlier $j$ (equation 12 of
# [Song, Meng and Ermon 2020](https://arxiv.org/abs/2010.02502)):
#
# $$x_j = \sqrt{\bar\alpha_j}\;\hat x_0 + \sqrt{1-\bar\alpha_j-\sigma^2}\;\epsilon_\theta + \sigma z,
# \qquad \hat x_0 = \frac{x_k - \sqrt{1-\bar\alpha_k}\,\epsilon_\theta}{\sqrt{\bar\alpha_k}}, \qquad
# \sigma^2 = \eta^2\,\frac{1-\bar\alpha_j}{1-\bar\alpha_k}\left(1-\frac{\bar\alpha_k}{\bar\alpha_j}\right).$$
#
# It guesses the clean point and noises it again, partly with the old noise and partly with new; the variances of both
# add up to $1-\bar\alpha_j$ for any $\sigma$. With $\eta = 0$ only the start is random. With $\eta = 1$ and $j = k-1$
# it is DDPM, because then $\sigma^2 = \tilde\beta_k$.

# %% exercise="ddim_steps"
from studium_topics.ddpm.exercises import ddim_steps

# %% [markdown]
# With $T = 1000$ and $n = 10$ this "leading" spacing starts at row 900, where real data still have a little signal, and
# hands the network pure noise. A user reported this as
# [issue 2585 of diffusers](https://github.com/huggingface/diffusers/issues/2585), and "trailing" spacing avoids it
# ([Lin et al. 2023](https://arxiv.org/abs/2305.08891)). In the step itself, think of the last one, which ends at clean
# data.

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
# How few steps are enough? This is the ring of eight clusters with exact $\epsilon$ and $T = 1000$. "On a cluster" is
# the share of samples within three standard deviations (truth 0.989), "spread" the width of a cluster over the true
# one.

# %% tags=["experiment"]
blocks = [lesson.mine(f) for f in (make_betas, ddim_steps, ddim_step)]
fewer = few_steps(*blocks, profile=lesson.profile, seed=0)
print("steps     on a cluster: η = 0   η = 1      spread: η = 0   η = 1")
for count in (5, 10, 20, 50):
    shares, spreads = ([table[eta, count] for eta in (0.0, 1.0)] for table in (fewer.on_mode, fewer.spread))
    print(f"{count:5} {shares[0]:21.2f} {shares[1]:7.2f} {spreads[0]:18.2f} {spreads[1]:7.2f}")
print(f"the first 50 rows instead of 50 spaced ones: spread {fewer.wrong:.2f}")
figures.spread_by_steps(fewer)

# %% [markdown] tags=["experiment"]
# In the plane the advantage of $\eta = 0$ is small: at 50 steps its clusters have shrunk less, which agrees with your
# test bench, where large steps with $\tilde\beta$ lost variance. On CIFAR-10 with 10 steps the paper's table 1 has the
# <dfn>FID</dfn> (Fréchet inception distance between generated and real images, lower is better) 13.36 for
# $\eta = 0$ and 41.07 for $\eta = 1$; with 50 steps it has 4.67 and 8.01.

# %% [markdown]
# ## What does not reproduce at this size
#
# * **The FID of 3.17 on CIFAR-10.** FID needs large natural images; ours have 8 × 8 pixels, and some of them cannot be
#   read.
# * **The paper's table 2** compares predicting $\epsilon$ with predicting $\tilde\mu$ under several losses; with the
#   unweighted loss $\tilde\mu$ was "unstable to train". We compare with $x_0$, and nothing is unstable here.
# * **DDIM's large advantage at 10 steps.** In the plane with exact $\epsilon$ there is none to speak of.
#
# ## Common misconceptions
#
# * *"The network predicts the noise of the last step."* It predicts all the noise; the sampler removes one step's
#   share.
# * *"The sampler goes straight to $\hat x_0$."* $\hat x_0$ is the mean of everything possible, blurred at high noise.
# * *"If values leave $[-1, 1]$, clip $x_k$."* Most of $x_k$ is noise and is supposed to leave it. Clip $\hat x_0$.
# * *"A lower loss is a better model."* Its minimum copies the training set.
#
# ## You can now
#
# * jump from clean data to any level of noise, and say what share of the variance is signal;
# * derive the noise-prediction loss from the ELBO;
# * train a diffusion model and sample from it with loops of your own;
# * compute the exact variance of a sampler, and find slips that neither samples nor distances show;
# * match your steps with `DDPMScheduler`, clipping included.
#
# ## Open tasks
#
# * *Ten minutes.* Choose "Noise left out" under "Put in a mistake", first in the widget with the eight clusters, then
#   in the film at the top. The clusters should shrink, with V / s², under *More curves*, far below 1, and the images
#   should lose their contrast.
# * *An hour.* Weight the loss of each row as the bound does (the sampler's own variance, row 0 left out) and train the
#   digits again. The loss of the cleanest rows should fall and that of the middle rise; do the shapes get worse?
# * *A day.* Keep a moving average of the parameters (decay 0.999) and sample from it, and train with a constant rate.
#   The average should repair most of what the missing schedule costs.
#
# ## Further reading
#
# * [Improved DDPM](https://arxiv.org/abs/2102.09672): the cosine schedule, and a variance between $\beta$ and
#   $\tilde\beta$ that is learned.
# * [Score-based models through SDEs](https://arxiv.org/abs/2011.13456): the limit of infinitely many steps.
# * [Karras et al. 2022](https://arxiv.org/abs/2206.00364): every choice of this lesson taken apart and tested by
#   itself.
# * Next in this track: guidance, first with a classifier (`classifier-guidance`), then without (`cfg`).
