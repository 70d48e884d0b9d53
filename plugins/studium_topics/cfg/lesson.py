# %% [markdown]
# # Classifier-free guidance
#
# Nearly every image generator has a slider called "guidance scale". If you turn it down, the image has little to do
# with your words; if you turn it up, the colours begin to glow. Here, a small network draws what you ask for. *Move
# the scale to 1 and then to 6, with the same seed. What happens to the colours, to the background, and to the variety
# of the six images?*

# %% tags=["widget"]
from studium_topics.kits.film import DenoisingFilm
from studium_topics.kits.shapes_unet import KINDS

DenoisingFilm.trained(kind=KINDS.index("a large blue ring"), scale=2.0, sampling_steps=25, step=25)

# %% [markdown]
# At 6, every ring is whole and the blue glows, but the backgrounds, all different before, have turned dark or blue too.
# We can write the formula behind the slider in one line, and its derivation tells us what it samples: the data, tilted
# towards the label by a power of a classifier.
#
# **That is not what it samples.** You don't even get the same thing with DDPM as with DDIM. Why, then, do people use
# it? In this lesson you will
#
# 1. train *one* network to predict the noise both with a label and without, in a loop that you can see in full;
# 2. write the guided sampler, and watch it draw the digits you ask for;
# 3. derive, on paper, what guidance does to a Gaussian, and check your sampler against this to three digits;
# 4. measure what you gain and lose with the slider, using a trained network and a perfect one.
#
# **You need** the samplers DDPM and DDIM, from [ddpm](ddpm.ipynb), and the idea of guidance, from
# [classifier-guidance](classifier-guidance.ipynb). **Time:** 20 minutes of reading, 80 of coding, 5 of running.
#
# **History.** [Dhariwal and Nichol 2021](https://arxiv.org/abs/2105.05233) pulled samples towards a class using the
# gradient of a classifier, which they had to train on noisy images just for this purpose. [Ho and Salimans
# 2022](https://arxiv.org/abs/2207.12598) got the same trade of variety for fidelity without a classifier, from the
# difference of two predictions. [Bradley and Nakkiran 2024](https://arxiv.org/abs/2408.09000) showed what that
# difference does not do.

# %%
from studium import show_table
import torch

from studium_topics.cfg import figures
from studium_topics.cfg.experiment import PAPER, digits, implied, repairs, three_answers, three_variances
from studium_topics.cfg.gaussian import GuidedGaussian
from studium_topics.cfg.network import NULL
from studium_topics.cfg.sampling import cosine_abar
from studium_topics.kits.diffusion import BATCH, LEARNING_RATE, STEPS, digit_unet
from studium_topics.kits.digits import split
from studium_widgets import Chart, Diagram, ImageGrid, ParticleField

# %% [markdown]
# ## Three answers to one question
#
# Here the data are eight clusters of points on a ring, in four classes of two neighbours. We want points of class 0,
# *more typical of it than the data are*: the shading is the density that the formula promises at the scale $s$. You can
# see the samples from DDPM on the left and from DDIM on the right. The predictions are exact here, so we can't blame a
# network.
#
# *At $s = 1$ both clouds cover the shading. Before you move the scale: which cloud will be farther from it at $s = 6$?
# Will it be too wide, too narrow, or somewhere else?*

# %% tags=["widget"]
ParticleField.three_answers(scale=1.0, steps=200)

# %% [markdown]
# Watch "Distance to exact". The clouds don't just contract. DDIM's cloud leaves the clusters and moves *outwards*, to
# where there are no data at all, and later you will compute by how much. First, let's see how guidance is built.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.cfg", "flow.svg")

# %% [markdown]
# ## Symbols
#
# | formula | code | meaning |
# |---|---|---|
# | $x_t$, $t = 0, \dots, T-1$ | `x`, `t` | batch at noise level $t$; $t = 0$ is the cleanest noisy level |
# | $\bar\alpha_t$ | `abar[t]` | share of the variance that is still signal |
# | $\epsilon_c$, $\epsilon_u$ | `eps_c`, `eps_u` | noise, predicted with the label and without it |
# | $s$, $w = s - 1$ | `s`, `scale` | guidance scale in two conventions |
# | $\sigma_t = \sqrt{(1-\bar\alpha_t)/\bar\alpha_t}$ | `sigma` | noise level: size of the noise over the signal's |
# | $\tau = \sigma^2$, $V(\tau)$ | | here: its square; variance of guided samples there, the signal scaled to 1 |
#
# As in `ddpm`, $x_0$ always means the clean datum; the batch at $t = 0$ still contains a little noise.
#
# ## One network, with a label and without
#
# For guidance, we need two predictions of the noise: one that uses the class and one that doesn't. We can get both from
# the same network. In 10 % to 20 % of the training examples, we replace the label by null. A <dfn>null label</dfn> is
# an extra label that means "no label". The network then learns both tasks and shares nearly all of its parameters
# between them.

# %% exercise="drop_labels"
from studium_topics.cfg.exercises import drop_labels

# %% [markdown]
# ## The combination, and two conventions
#
# With <dfn>classifier-free guidance</dfn> we start at the prediction without a label, move to the prediction with the
# label, and then go on in the same direction:
#
# $$\hat\epsilon = \epsilon_u + s\,(\epsilon_c - \epsilon_u).$$
#
# The <dfn>guidance scale</dfn> $s$ tells us how far to go: 0 is unconditional, 1 is conditional, and above 1 the label
# counts for more than it does in the data. This is the convention in [Imagen](https://arxiv.org/abs/2205.11487), in
# `diffusers` and in Stable Diffusion. The paper, however, writes (equation 6)
#
# $$\hat\epsilon = (1 + w)\,\epsilon_c - w\,\epsilon_u,$$
#
# which is the same with $w = s - 1$, so there 0 means *no guidance*. As a result, "guidance 3" might mean one thing in
# a paper and another in a library. Mistakes are easy and hard to see. For example, the [code of
# DiT](https://github.com/facebookresearch/DiT/issues/41) guides only three of its four channels.

# %% exercise="cfg_combine"
from studium_topics.cfg.exercises import cfg_combine

# %% [markdown]
# **Think about it.** People use "negative prompts" to tell a generator what to avoid. What would you have to change in
# your function?
#
# <details><summary>Answer</summary>
#
# You can leave it as it is. Just pass the prediction for the unwanted text as `eps_u`. Guidance moves *away* from
# whatever that prediction stands for: from "any image" if you use a null label, and from "blurred" if you use that
# word.
# </details>
#
# What does the difference mean? A prediction of the noise is a score in other units, $\nabla \log p_t(x) = -\epsilon /
# \sqrt{1 - \bar\alpha_t}$, and Bayes' rule tells us that $\log p_t(c \mid x) = \log p_t(x \mid c) - \log p_t(x) +
# \text{const}$. So if we have both predictions, we also have a classifier. The <dfn>implied classifier</dfn> is the one
# whose gradient is the difference between a conditional and an unconditional score. Each unit of $s$ adds this gradient
# once. In the next cell we check this using your function and exact predictions on the ring.

# %% tags=["experiment"]
check = implied(lesson.mine(cfg_combine), profile=lesson.profile)
print(f"largest error against the perfect classifier, {len(check.exact)} points: {check.error:.0e}")

# %% [markdown]
# ## One call a step
#
# To get two predictions, we would have to run the network twice. In practice, we put both questions into a single batch
# of $2B$ rows. If a small batch does not fill your GPU, the second half is nearly free. And where $s = 1$, we don't
# need the unconditional half.

# %% exercise="cfg_eps"
from studium_topics.cfg.exercises import cfg_eps

# %% [markdown]
# The sampler around it is the loop you already know: predict the noise and take a step, from $t = T - 1$ down to 0. We
# pass the step as an argument, so the same loop can run DDPM and DDIM. The scale may also change from one $t$ to the
# next.

# %% exercise="cfg_sample"
from studium_topics.cfg.exercises import cfg_sample

# %% [markdown] tags=["experiment"]
# ## Digits on demand
#
# Here is a complete training run, with 899 handwritten digits of 8 × 8 pixels, a U-Net with 79,000 parameters, and
# *your* `drop_labels`. Compared with `ddpm`, only the label is new, and 15 % of the time we replace it by null.

# %% tags=["experiment"]
abar, seen = cosine_abar(100), split()[0]
model = digit_unet(levels=100, classes=NULL + 1, seed=0)  # classes 0 to 9, and 10 for "no label"
steps = lesson.profile.choose(smoke=20, laptop=STEPS, gpu=STEPS)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=LEARNING_RATE, total_steps=steps)
generator = torch.Generator().manual_seed(0)
for _ in range(steps):
    rows = torch.randint(len(seen), (BATCH,), generator=generator)
    x0, y = seen.images[rows], lesson.mine(drop_labels)(seen.labels[rows], 0.15, NULL, generator)
    t = torch.randint(len(abar), (BATCH,), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    level = abar[t].view(-1, 1, 1, 1).float()
    loss = (model(level.sqrt() * x0 + (1 - level).sqrt() * eps, t, y) - eps).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
print(f"loss of the last step: {loss.item():.3f}")

# %% [markdown]
# Now build a sampler of digits. The step is DDPM's with a clamp. A guess $\hat x_0$ outside of $[-1, 1]$ cannot be an
# image, and with guidance you will often get such guesses. Given $\hat x_0$ and $x_t$, the posterior of $x_{t-1}$ is
# the Gaussian from the lesson on DDPM, and its variance is 0 at $t = 0$.

# %% exercise="sample_digits"
from studium_topics.cfg.exercises import sample_digits

# %% [markdown] tags=["experiment"]
# In each row below, we ask for the digits 0 to 9 at one scale, starting from the same noise. *What will you see in the
# row $s = 0$? And in the row $s = 8$?*

# %% tags=["experiment"]
wanted, rows = torch.arange(10), (0.0, 1.0, 2.0, 4.0, 8.0)
drawn = [
    lesson.mine(sample_digits)(model, wanted, NULL, [s] * len(abar), abar, torch.Generator().manual_seed(1))
    for s in rows
]
grid = ImageGrid(
    torch.cat([film[-1] for film in drawn]),
    captions=[f"s = {s:g}" if digit == 0 else str(digit) for s in rows for digit in range(10)],
    columns=10,
    label="the digits 0 to 9 at five guidance scales, from my sampler",
)
lesson.keepsake(grid, "The digits 0 to 9, as asked for", f"s from 0 to 8, {len(abar)} steps", sample_digits)

# %% tags=["experiment"]
shown = [0, 20, 40, 55, 65, 75, 80, 85, 90, 95, 100]
ImageGrid(
    drawn[2][shown],
    steps=[f"after {k} steps" for k in shown],
    captions=[str(digit) for digit in range(10)],
    columns=10,
    label="ten digits, denoised with s = 2",
)

# %% [markdown] tags=["experiment"]
# In the row $s = 0$ the sampler ignores the label, so each noise becomes whatever digit it suggests. At $s = 1$ we get
# the digits we wanted, but the 5 could be a 9. From $s = 2$ on, you can read all ten. At $s = 8$ nearly every pixel is
# black or white, and the 1 has become a block. In colour images, you would see the same effect as saturation. In the
# film, you can recognise the strokes after about 55 of the 100 steps; the other steps just remove the grain.
#
# In practice you would use the class `ClassifierFreeGuidance` from `diffusers` (its pipelines, such as
# `StableDiffusionPipeline`, contain the same line) with a step of `DDPMScheduler`. The next cell draws your row $s = 2$
# again with both, using the same network and the same noise.

# %% tags=["experiment", "bridge"]
try:
    from diffusers import DDPMScheduler
    from diffusers.guiders import ClassifierFreeGuidance
    from diffusers.utils import logging
except ImportError:
    print("diffusers is not installed, so there is no comparison here: pip install diffusers")
else:
    logging.set_verbosity_error()
    guider = ClassifierFreeGuidance(guidance_scale=2.0)
    scheduler = DDPMScheduler(100, beta_schedule="squaredcos_cap_v2", clip_sample=True)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(10, 1, 8, 8, generator=generator)
    for t in scheduler.timesteps.tolist():
        times = torch.full((10,), t)
        with torch.no_grad():
            pair = {"pred_cond": model(x, times, wanted), "pred_uncond": model(x, times, torch.full((10,), NULL))}
        x = scheduler.step(guider.forward(**pair).pred, t, x, generator=generator).prev_sample
    print(f"ClassifierFreeGuidance and DDPMScheduler: largest difference {float((x - drawn[2][-1]).abs().max()):.0e}")

# %% [markdown]
# ## What it samples, without a sample
#
# Let's come back to the claim from the start. Suppose that all the data are $\mathcal N(0, a)$ and the data with our
# label are $\mathcal N(0, b)$, for example with $a = 2$ and $b = 1$. What *should* we get from guidance? We add $s - 1$
# times the gradient of $\log p(c \mid x)$ to the conditional score. The <dfn>tilted density</dfn> is the conditional
# density times a power of the classifier. At the clean end, where there is no noise, the guided score is the score of
# this density:
#
# $$p_s(x) \;\propto\; p(x \mid c)\; p(c \mid x)^{s - 1} \;\propto\; p(x \mid c)^s\; p(x)^{1 - s}.$$
#
# This is a Gaussian with precision $s/b + (1 - s)/a$. For 2 and 1, its variance is $2/(s+1)$.
#
# What *do* we get? Let's scale $x_t$ to make its signal whole, $x = x_t / \sqrt{\bar\alpha_t} = x_0 + \sigma_t\,
# \epsilon$, and measure the noise as $\tau = \sigma^2$. Noise adds its variance. At level $\tau$ the two densities are
# therefore $\mathcal N(0, a + \tau)$ and $\mathcal N(0, b + \tau)$, and the guided score is linear:
#
# $$s\,\nabla\log p_\tau(x \mid c) + (1 - s)\,\nabla\log p_\tau(x) = -g(\tau)\,x,
# \qquad g(\tau) = \frac{s}{b + \tau} + \frac{1 - s}{a + \tau}.$$
#
# If we take many steps, DDPM follows the reverse stochastic equation and DDIM the probability flow ([Song et al.
# 2021](https://arxiv.org/abs/2011.13456)). Let $\tau$ fall by $d\tau$. DDPM moves $x$ along the score, by $d\tau$ times
# the score, and adds noise of variance $d\tau$. DDIM moves it half as far and adds no noise. If we multiply $x$ by a
# factor $1 - g\,d\tau$, we multiply its variance by $1 - 2g\,d\tau$, so
#
# $$\text{DDPM:}\quad \frac{dV}{d\tau} = 2\,g(\tau)\,V - 1, \qquad\qquad
# \text{DDIM:}\quad \frac{dV}{d\tau} = g(\tau)\,V,$$
#
# which you will now solve from large $\tau$, where nearly everything is noise, down to $\tau = 0$.

# %% exercise="final_variances"
from studium_topics.cfg.exercises import final_variances

# %% [markdown] tags=["experiment"]
# Do your sampler and your solution agree? Here both predictions are multiples of $x$, so we can follow the variance of
# `cfg_sample` from $x = 1$ over 1000 steps without drawing. *At $s = 5$ the tilted density has variance 0.333. What
# will you get with DDIM?*

# %% tags=["experiment"]
lesson.predict("variance of DDIM at s = 5", ..., "The tilted density has 0.333. What variance does DDIM give at s = 5?")

# %% tags=["experiment"]
exact = three_variances(lesson.mine(cfg_sample), lesson.mine(final_variances), profile=lesson.profile)
rows = [("tilted density", exact.theory["tilted"])]
for solver, variances in exact.found.items():
    rows += [(f"{solver}, your sampler", variances), (f"{solver}, your solution", exact.theory[solver])]
show_table(
    ["variance", *(f"s = {s:g}" for s in exact.scales)],
    [(name, *(f"{value:.4f}" for value in values)) for name, values in rows],
)
lesson.found("variance of DDIM at s = 5", exact.found["DDIM"][-1])
figures.variances(exact)

# %% [markdown] tags=["experiment"]
# At $s = 1$ the three answers agree; otherwise they differ, and we only wanted the first. At $s = 5$, DDIM's samples
# have a fifth of the variance they should have, and DDPM's two thirds. The reason is the order of two operations. At
# each level, the sampler follows the score of $p_\tau(x \mid c)^s\,p_\tau(x)^{1-s}$: **we first add noise, and then
# tilt the result**. To arrive at $p_s$, the sampler would need the score of $p_s$ after adding noise: tilt first, then
# add noise. The two agree only at $\tau = 0$, and by then we have finished sampling. DDPM repairs part of the error,
# because fresh noise lets the points forget where they came from. DDIM carries all of it to the end.
#
# The widget does the same calculation for any pair of Gaussians. Give the label a mean of 1, and you will see that
# guidance now *moves* the samples too. *Which of the three goes farthest out? Then set "Guided up to σ" to 1. What
# happens to DDIM?*

# %% tags=["widget"]
GuidedGaussian(mean=0.0, scale=5.0)

# %% [markdown] tags=["experiment"]
# With a mean of 1 and $s = 5$, the tilted density has mean 1.67, while DDPM ends at 1.94 and DDIM at 2.33. If we use
# guidance only at low noise, up to 1, DDIM is nearly right (variance 0.31, mean 1.51). When there is little noise, the
# order of the two operations hardly matters.
#
# The ring behaves the same way. Your sampler draws 2000 points of class 0 in 200 steps, which we compare with draws
# from the exact tilted density. The <dfn>energy distance</dfn> tells us how far apart two clouds of points are. Two
# draws from the same density have about 0.001 here.

# %% tags=["experiment"]
rings = three_answers(lesson.mine(cfg_sample), profile=lesson.profile, seed=0)
rows = [
    (f"{solver}, energy distance", *(f"{rings.distance[solver, s]:.4f}" for s in rings.scales))
    for solver in ("DDPM", "DDIM")
]
clouds = {solver: [rings.clouds[solver, s] for s in rings.scales] for solver in ("DDPM", "DDIM")}
for name, row in {**clouds, "exact": rings.tilted.values()}.items():
    rows.append((f"{name}, mean radius", *(f"{rings.radius(cloud):.2f}" for cloud in row)))
show_table(["", *(f"s = {s:g}" for s in rings.scales)], rows)
figures.answers(rings, 5.0)

# %% [markdown] tags=["experiment"]
# DDIM ends on a small spot at radius 2.12, while exact draws stay at 1.48. (Laptop profile, seeds 0 to 4: the energy
# distance at $s = 5$ is .058 to .067 with DDPM and .64 to .67 with DDIM.) For images, moving "outwards" means more
# contrast and more saturation than any real image has.
#
# ## So why do people use it?
#
# The authors measured this on ImageNet at 64 × 64, for 14 values of $w$. FID is a distance to real images, so a small
# value is good. IS goes up when a classifier is sure, so a large value is good. About the range between the best FID
# and the best IS, they write: "... a clear trade-off between these two metrics of perceptual quality, with FID
# monotonically decreasing and IS monotonically increasing with $w$". Draw the FID you expect for $w$ from 0 to 1.

# %% tags=["widget"]
Chart(
    x=[row[0] for row in PAPER[:11]],
    y=[[row[1] for row in PAPER[:11]]],
    names=["FID"],
    x_label="w",
    y_label="FID",
    y_range=[0, 15],
    predict="FID",
)

# %%
show_table(
    ["w", "FID, p_uncond = 0.1", "IS", "FID, p_uncond = 0.5", "IS"],
    [
        (f"{w:.1f}", f"{fid:.2f}", f"{score:.1f}", f"{other:.2f}", f"{another:.1f}")
        for w, fid, score, other, another in PAPER
    ],
)

# %% [markdown]
# **Think about it.** (a) Does FID go down when $w$ goes up? (b) The authors write that dropping half of the labels
# "consistently performs worse". But at $w = 1$ this has an FID of 9.13, while dropping 0.1 of them has 12.6. Who is
# right?
#
# <details><summary>Answer</summary>
#
# (a) It goes down once, from 1.80 to 1.55, and from then on it goes up, to 26. "Decreasing" can only mean that the
# *quality* behind FID decreases. (b) The authors compare at equal IS and not at equal $w$. This is fair, because $w$
# means something else in each network. You can find an IS of 131.1 in both columns: with an FID of 7.19 for 0.1, and of
# 9.13 for 0.5.
# </details>
#
# So a *little* guidance brings us closer to real images, although guidance samples the wrong density. Here is a
# hypothesis. A trained network is imperfect and spreads its samples over places without data, and contracting them
# brings them back. If this is the reason, then **a perfect network must gain nothing from guidance**, and we can test
# that.

# %% [markdown] tags=["experiment"]
# ## A perfect and an imperfect network, side by side
#
# Both networks know the same 899 digits. The *trained* one is a residual MLP with 330,000 parameters, trained for 3000
# steps using your `drop_labels`, and small enough to sample thousands of times. The *perfect* one is the exact minimum
# of the same loss, which we can write as a formula for a finite set. Your `sample_digits` draws 500 digits at each
# scale, fifty from each class, from the same noise. Only the network changes. There are three judges:
#
# * **accuracy**: how often does a classifier recognise the digit we asked for? We trained it on the *other* 898 digits.
# * **diversity**: the mean distance between two digits of the same class.
# * **distance**: the energy distance to those 898 digits, which we use instead of FID.
#
# *Make a guess: at which scale is the trained network's distance smallest?* The cell takes about a minute.

# %% tags=["experiment"]
lesson.predict("best scale", ..., "At which of the scales 0, 0.5, 1, 1.5, 2, 3, 5, 8 are digits nearest to real ones?")

# %% tags=["experiment"]
result = digits(lesson.mine(drop_labels), lesson.mine(sample_digits), profile=lesson.profile, seed=0)


def measures(found):
    """Return what the table shows of a run, or three empty cells."""
    return (f"{found.accuracy:.1%}", f"{found.diversity:.2f}", f"{found.distance:.3f}") if found else (None,) * 3


rows = [(f"s = {s:g}", *measures(found), *measures(result.perfect.get(s))) for s, found in result.by_scale.items()]
names = ["accuracy", "diversity", "distance"]
show_table(
    ["", *(f"trained: {name}" for name in names), *(f"perfect: {name}" for name in names)],
    [*rows, ("their digits", *measures(result.real), *measures(None))],
)
if lesson.profile.name == "smoke":
    print("(60 training steps, to see that it runs: these figures mean nothing, those of STUDIUM_PROFILE=laptop do)")
lesson.found("best scale", result.best)
figures.trade(result)

# %% [markdown] tags=["experiment"]
# Here are the results at the laptop profile, with seeds 0 to 4 for the trained network and 0 to 2 for the perfect one:
#
# | $s$ | accuracy | diversity | distance, trained | distance, perfect | the paper's FID, IS |
# |---|---|---|---|---|---|
# | 0 | .09 – .11 | 4.85 – 4.93 | .091 – .108 | | |
# | 1 | .978 – .990 | 3.49 – 3.66 | .043 – .051 | .017 – .021 | 1.80, 53.7 |
# | 1.5 | .994 – 1 | 3.38 – 3.48 | **.036 – .040** | .018 – .023 | 5.74, 119 |
# | 2 | .996 – 1 | 3.34 – 3.41 | .039 – .043 | .019 – .025 | 12.6, 170 |
# | 3 | .996 – 1 | 3.39 – 3.47 | .057 – .064 | .023 – .031 | 21.0, 226 |
# | 8 | .992 – 1 | 3.57 – 3.89 | .181 – .240 | .041 – .048 | |
#
# The trained network is closest to real digits at $s = 1.5$, and the perfect one when there is no guidance. Guidance
# samples the wrong density, and yet it can make the samples of an imperfect network better. How much guidance you
# should use depends on how imperfect the network is. The U-Net from your loop was closest without guidance in the one
# run we judged (.029 at $s = 1$, .035 at 1.5), although its accuracy went up from 96.0 % to 99.8 %.
#
# The accuracy can't tell you where to stop. The classifier recognises nearly all digits from 1.5 on, so if you tune a
# scale by its opinion, you will never have a reason to lower it.
#
# **Think about it.** The trained network's diversity falls until about 2, but then it *rises* again. Do we really get
# more variety at 8?
#
# <details><summary>Answer</summary>
#
# Look at the grid under "Further". The digits are ragged and speckled, and no pen could make them. The mean distance
# goes up if each image is spoilt in a different way, so diversity is useful only together with the distance to real
# data.
# </details>

# %% [markdown]
# ## Further
#
# This part goes beyond the two main ideas of this lesson, the sampler and what it samples. Its exercises are optional.
#
# ### Guide where it helps
#
# [Kynkäänniemi et al. 2024](https://arxiv.org/abs/2404.07724) found that guidance does harm at high noise, and that we
# hardly need it at low noise. A <dfn>guidance interval</dfn> is the range of noise levels in which we use the scale
# $s$; everywhere else the network is just conditional. The <dfn>noise level</dfn> $\sigma_t$ is the size of the noise
# divided by the size of the signal, so it means the same for every schedule and every number of steps.

# %% exercise="interval_scales"
from studium_topics.cfg.exercises import interval_scales

# %% [markdown]
# ### Make large predictions smaller
#
# [Lin et al. 2023](https://arxiv.org/abs/2305.08891) bring each example's guided prediction back to the width of the
# conditional one (section 3.4, equations 15 and 16), and mix by $\varphi = 0.7$, because with 1 the images look dull.

# %% exercise="rescale"
from studium_topics.cfg.exercises import rescale

# %% [markdown] tags=["experiment"]
# Here is the trained network at $s = 8$: as it is, rescaled by your function, and guided only at noise levels from 0.3
# to 1.

# %% tags=["experiment"]
blocks = [lesson.mine(f) for f in (drop_labels, cfg_eps, sample_digits, interval_scales, rescale)]
repaired = repairs(*blocks, profile=lesson.profile, seed=0, model=result.model)
show_table(["s = 8", *names], [(name, *measures(found)) for name, found in repaired.measured.items()])
ImageGrid(
    torch.cat([x[:10] for x in repaired.samples.values()]),
    captions=[name if digit == 0 else str(digit) for name in repaired.samples for digit in range(10)],
    columns=10,
    label="digits of the trained network at s = 8: as they are, rescaled, guided in an interval",
)

# %% [markdown] tags=["experiment"]
# The interval repairs more than half of the damage. Over seeds 0 to 4 it leaves .29 to .39 of the distance, with the
# same accuracy. Rescaling has no effect here (.96 to 1.00 of the distance is left). The sampler clamps each guess of
# $x_0$, so the size of the prediction hardly matters. You would use rescaling for latents and colours, which nothing
# clamps.
#
# On the ring, let's guide only some of the steps, using $s = 3$ and DDPM:

# %% tags=["experiment"]
show_table(["guided in", "probability of the class"], [(part, f"{value:.3f}") for part, value in rings.within.items()])

# %% [markdown]
# For these clusters the noisiest steps hardly do anything. With that much noise all classes look alike, so there is
# hardly a difference to stretch. Try *Guided from* and *until* in the widget, and then *Put in a mistake*: mixing up
# the two conventions, or a plus instead of a minus. **Which of the mistakes would you notice just by looking?**

# %% tags=["widget"]
ParticleField.three_answers(scale=5.0, steps=200, guide_from=0.7, beside="ancestral", sampler="ddim")

# %% [markdown] tags=["experiment"]
# ### Is the difference the gradient of a classifier?
#
# If the predictions are perfect, the difference is the gradient of a classifier. Is this also true of a trained
# network? A gradient has a symmetric Jacobian $J$, so at noisy digits we measure $\lVert J - J^\top \rVert / \lVert J +
# J^\top \rVert$, which should be 0 for a gradient.

# %% tags=["experiment"]
show_table(
    ["noise level", "asymmetry"], [(f"{sigma:.2f}", f"{ratio:.2f}") for sigma, ratio in result.asymmetry.items()]
)

# %% [markdown] tags=["experiment"]
# It is .28 to .40 over seeds 0 to 4 and all levels. So what guides the digits is *not* the gradient of any classifier,
# not even a bad one, as the authors point out in section 3.2.

# %% [markdown]
# ## What does not reproduce at this size
#
# * **FID and IS.** For these, you need natural images and a network trained on them. We use the energy distance and a
#   judge's accuracy instead.
# * **The best scale.** In the paper it is $w = 0.1$, $s = 1.1$, for a network that is good without guidance. Our MLP is
#   worse, and its best scale is larger.
# * **The share of dropped labels.** We have only tried 15 %.
# * **Saturated colours.** Digits are grey, and the sampler keeps $\hat x_0$ in $[-1, 1]$, so they cannot glow.
#
# ## Common misconceptions
#
# * *"Guidance samples $p(x \mid c)\,p(c \mid x)^{s-1}$."* It doesn't, neither with DDPM nor with DDIM. You have the
#   numbers.
# * *"Scale 1 is a little guidance."* In this convention it is no guidance. In the paper's, 1 means $s = 2$.
# * *"More guidance is better quality."* It is more certainty. The distance to real data is smallest with very little
#   guidance.
# * *"Scales can be compared between samplers."* At $s = 5$ DDPM left three and a half times as much variance as DDIM.
#
# ## You can now
#
# * train one network for both predictions, dropping labels without touching the data set;
# * convert between the scales $s$ and $w$, and combine two predictions in one call;
# * draw digits of the class you want with a guided sampler you wrote, and match it with `diffusers`;
# * derive the variances that you get from guided DDPM and DDIM, and explain why neither is the variance of the tilted
#   density;
# * use an experiment to explain why guidance helps trained networks anyway.
#
# ## Open tasks
#
# * *Ten minutes.* Draw the digits 0 to 9 with a "negative prompt": pass a model that takes null as class 8, with $s =
#   3$. You should see a thinner 1, wider strokes, and the same 8 as without guidance, because both of its predictions
#   are equal.
# * *An hour.* Train the U-Net for 100, 400 and 1600 steps, and judge each at $s = 1$, 1.25, 1.5 and 2 using
#   `energy_distance`. If the hypothesis of this lesson is right, the best scale will fall as the network gets better.
# * *A day.* Autoguidance: move away from a *worse network* instead of an unlabelled one ([Karras et al.
#   2024](https://arxiv.org/abs/2406.02507)). You can leave `cfg_combine` as it is. The authors report more variety at
#   the same quality; check whether diversity and distance agree.
#
# ## Further reading
#
# * [Ho and Salimans 2022](https://arxiv.org/abs/2207.12598): read section 3.2 and table 1 with your own figures in
#   mind.
# * [Bradley and Nakkiran 2024](https://arxiv.org/abs/2408.09000): how to see guided DDPM as a step of conditional DDIM
#   followed by a step of Langevin dynamics on a tilted density.
# * [Imagen](https://arxiv.org/abs/2205.11487): dynamic thresholding, another repair for large scales.
# * [Kynkäänniemi et al. 2024](https://arxiv.org/abs/2404.07724): the interval, measured on ImageNet.
