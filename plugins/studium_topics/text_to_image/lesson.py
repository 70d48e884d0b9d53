# %% [markdown]
# # Text-to-image models, by year
#
# Below is a model that draws what you type. It was trained on one processor core in a few minutes, it has 199,000
# parameters, and it runs in this page. By the end of this lesson you will have built every step of it.
#
# 1. *Type "a large yellow triangle". Which seed do you like best? What do the seeds decide that the sentence leaves
#    open?*
# 2. *Set the guidance to 0, 1 and 8, then the steps to 2. What breaks first?*
# 3. *Now break it with words: "a ring, not red". Then "a red ring and a blue disc". Which images are right?*

# %% tags=["widget"]
from studium_topics.text_to_image.bench import PromptBench

PromptBench.opening()

# %% [markdown]
# **It draws a red ring because you said "not red".** Large models do this, too, and no measure on their leaderboards
# would have told you. In this lesson you will
#
# 1. **place** a text-to-image model by its family, and say what that family changed;
# 2. **train** a rectified flow on captioned images, and **build** the pipeline from prompt to image grid;
# 3. **derive** that DDIM takes the same steps at other times, and compare both at equal steps;
# 4. **write** the measures that rank image models, and find out when two of their figures cannot be compared;
# 5. **measure** three failures of composition, and fix one without training.
#
# You need [clip](clip.ipynb) for the text side and [cfg](cfg.ipynb) for guidance and DDIM. Time: 20 minutes of reading,
# 105 of coding, 4 of running.
#
# **History.** The first networks that drew a sentence were adversarial ones
# ([Reed et al. 2016](https://arxiv.org/abs/1605.05396)): a generator and a discriminator that both read it. They drew
# birds and flowers, and failed on scenes. [DALL-E](https://arxiv.org/abs/2102.12092) wrote an image as 1024 tokens in
# 2021, and within a year guided diffusion ([GLIDE](https://arxiv.org/abs/2112.10741)) and diffusion on an
# autoencoder's latents ([LDM](https://arxiv.org/abs/2112.10752)) had replaced both.

# %% tags=["diagram"]
from studium_widgets import Diagram

Diagram.from_package("studium_topics.text_to_image", "timeline.svg")

# %% [markdown]
# Each family changed one thing. What it costs to draw one image is the number of passes through the network:
#
# | family | passes | what changed | what reads the text |
# |---|---|---|---|
# | GAN | 1 | a critic takes the place of a likelihood | recurrent network; later BERT, CLIP |
# | autoregressive | 1024 (DALL-E) | image and text are one sequence of tokens | the same transformer |
# | masked tokens | tens | many tokens are decoded at once | T5-XXL (Muse) |
# | diffusion in pixels | 2 for each step | guidance trades variety for fidelity | own; CLIP; T5-XXL (Imagen) |
# | latent diffusion | 2 for each step, on a small code | an autoencoder takes over fine detail | CLIP ViT-L/14 (SD 1) |
# | transformer and flow | 2 for each step, fewer steps | straight paths, no U-Net | two CLIPs and T5-XXL (SD 3) |
#
# And here is how papers report progress: FID (smaller is better) over time. *Hide "trained on COCO", then hide
# "zero-shot". Does the falling line survive?*

# %% tags=["widget"]
from studium_topics.text_to_image import timeline

timeline.scatter()

# %% [markdown]
# The line joins two kinds of models: those that were trained on COCO, where FID is measured, and those that never saw
# it. The GAN LAFITE (8.12) beats DALL-E 2 (10.39), because it trained on the test's own distribution. And the order of
# the points is a choice, too: GLIDE and LDM are preprints of December 2021 that appeared at conferences in 2022.
#
# ## One pipeline

# %% tags=["diagram"]
Diagram.from_package("studium_topics.text_to_image", "flow.svg")

# %% [markdown]
# Our world is the drawn shapes of [clip](clip.ipynb): 16 × 16 pixels, six colours, five forms, two sizes; 40 % of the
# images show two small shapes. Captions sometimes leave out a word, as people do. The autoencoder is linear: it keeps
# the five principal components of each patch of 2 × 2 pixels, so that 768 numbers become 320.

# %%
import itertools
import math

import torch

from studium_topics.kits import shapes
from studium_topics.text_to_image import figures
from studium_topics.text_to_image.experiment import (
    BATCH,
    LEARNING_RATE,
    NETWORKS,
    SPACINGS,
    STEPS,
    bias,
    prepared,
    straight,
    studio,
    time_of,
    times,
)
from studium_topics.text_to_image.model import Captioned, noise_of, painter, tokens
from studium_widgets import ImageGrid

real = Captioned.drawn(20, seed=3)
ImageGrid(real.images, captions=real.captions, columns=5, label="images of the training set, and their captions")

# %%
data = prepared(0, lesson.profile)
decoded = data.patches.decode(data.latents[:5])
print("what the decoder makes of five encoded images:")
ImageGrid(decoded, columns=5, label="images after encoder and decoder")

# %% [markdown]
# | formula | code | meaning |
# |---|---|---|
# | $x_0$, $\epsilon$ | `x0`, `noise` | clean latent (B, 5, 8, 8), standard normal noise |
# | $t \in [0, 1]$, $z_t$ | `t`, `z` | time, from image to noise; the latent there |
# | $v$ | `v` | velocity, $dz/dt$ |
# | $\bar\alpha$ | `abar` | DDPM's share of the signal in the variance |
# | $c$, $s$ | `ids`, `scale` | prompt; scale of the guidance, 1 for none |
#
# ## A straight path
#
# DDPM needs a schedule of noise and a derivation of its reverse steps. A <dfn>rectified flow</dfn> is a model of the
# velocity at which a straight line from an image to noise is travelled
# ([Liu et al. 2022](https://arxiv.org/abs/2209.03003)). Draw an image and noise, and join them by a line:
#
# $$z_t = (1 - t)\, x_0 + t\, \epsilon, \qquad \frac{dz_t}{dt} = \epsilon - x_0.$$
#
# The network sees $z_t$, $t$ and the prompt, and is trained to predict $\epsilon - x_0$ with the squared error. Many
# lines cross at one point, so the best prediction is their mean velocity,
# $v(z, t) = \mathbb E[\epsilon - x_0 \mid z_t = z]$. Following this mean from noise at $t = 1$ to $t = 0$ gives images:
#
# <details><summary>Derivation: why the mean velocity is enough</summary>
#
# Let $p_t$ be the density of $z_t$ and $f$ any smooth test function. Then
# $\frac{d}{dt}\mathbb E f(z_t) = \mathbb E\,[\nabla f(z_t) \cdot (\epsilon - x_0)]$. Given $z_t$, replace
# $\epsilon - x_0$ by its mean: this is $\mathbb E\,[\nabla f(z_t) \cdot v(z_t, t)]
# = \int \nabla f \cdot v\, p_t\, dz = -\int f\, \nabla\!\cdot(v\, p_t)\, dz$, after an integration by parts. It holds for all
# $f$, so $\partial_t p_t = -\nabla\!\cdot(v\, p_t)$, which is the equation of points that start with density $p_1$ and
# follow $dz/dt = v(z, t)$. So such points have density $p_t$ at each time, and that of the images at $t = 0$. (Theorem
# 3.3 in the paper.)
# </details>
#
# The lines are straight; the mean of them is not, because it changes along the way. That is why one step is not enough.

# %% exercise="flow_loss"
from studium_topics.text_to_image.exercises import flow_loss

# %% [markdown]
# [cfg](cfg.ipynb) combined two predictions of the noise. Velocities combine in the same way, and the empty caption can
# be replaced by words: a <dfn>negative prompt</dfn> is a caption that guidance leads away from, in the place of the
# empty one.

# %% exercise="guided_velocity"
from studium_topics.text_to_image.exercises import guided_velocity

# %% [markdown]
# Now join the parts of the diagram. An image should depend on its prompt and its seed alone, and never on what else is
# in the grid; otherwise nobody can show you the image that they saw.

# %% exercise="text_to_image"
from studium_topics.text_to_image.exercises import text_to_image

# %% [markdown] tags=["experiment"]
# Here is the whole training, with your loss. It takes about half a minute.

# %% tags=["experiment"]
model = painter(seed=0)
steps = lesson.profile.choose(smoke=10, laptop=500, gpu=3000)
optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.0)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=LEARNING_RATE, total_steps=steps)
generator, losses = torch.Generator().manual_seed(0), []
for step in range(steps):
    rows = torch.randint(len(data.ids), (BATCH,), generator=generator)
    loss = lesson.mine(flow_loss)(model, data.latents[rows], data.ids[rows], 0.1, generator)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    losses.append(loss.item())
tenth = steps // 10
print(f"loss of the first tenth {sum(losses[:tenth]) / tenth:.2f}, of the last {sum(losses[-tenth:]) / tenth:.2f}")

# %% tags=["experiment"]
prompts = ["a small red ring", "a large blue disc", "a large yellow triangle", "a small green cross"]
draw = lesson.mine(text_to_image)
sixteen = [1 - step / 16 for step in range(17)]
images = draw(model, tokens, noise_of, data.patches.decode, prompts, range(8), sixteen, 3.0)
ImageGrid(
    images.flatten(0, 1),
    captions=[f"{prompt}, seed {seed}" for prompt in prompts for seed in range(8)],
    columns=8,
    label="four prompts, eight seeds, from my own pipeline",
)

# %% [markdown] tags=["experiment"]
# Those are yours. Look along a column: the same seed gives the same ground and often the same place to all four
# prompts, because it is the same noise.
#
# ## DDIM, on the straight path
#
# DDPM mixes with other weights: $x = \sqrt{\bar\alpha}\, x_0 + \sqrt{1 - \bar\alpha}\, \epsilon$. Divided by the sum of
# the two weights, they sum to 1, and the noisy image is on the straight path. So a network that predicts noise also
# knows a velocity. Derive which.

# %% exercise="as_flow"
from studium_topics.text_to_image.exercises import as_flow

# %% [markdown]
# Now take DDIM's step from $\bar\alpha$ to $\bar\alpha'$: it predicts $\hat x_0$ and mixes it again with the same
# $\hat\epsilon$, in the new ratio. Divided by the sum of the new weights, with $t'$ the new share of the noise, it is
#
# $$(1 - t')\, \hat x_0 + t'\, \hat\epsilon
# = \underbrace{(1 - t)\, \hat x_0 + t\, \hat\epsilon}_{z} + (t' - t)\,(\hat\epsilon - \hat x_0) = z + (t' - t)\, v.$$
#
# **DDIM is Euler's method on the straight path.** The two samplers differ in nothing but the times at which they stop.
# Your function, in numbers, with predictions that are exact:

# %% tags=["experiment"]
apart = straight(lesson.mine(as_flow), profile=lesson.profile)
print(f"DDIM's samples and Euler's on the straight path differ by at most {apart:.0e}")
for spacing in SPACINGS:
    print(f"{spacing:9} times, 4 steps:", "  ".join(f"{t:.3f}" for t in times(spacing, 4, lesson.mine(as_flow))))

# %% [markdown]
# So the same loop must run Stable Diffusion. The next cell takes `StableDiffusionPipeline` of `diffusers` around tiny
# parts with random weights, draws two latents with its DDIM, and then draws them again with your two functions.

# %% tags=["experiment", "bridge"]
try:
    from studium_topics.text_to_image.library import tiny_pipeline

    pipeline = tiny_pipeline()
except ImportError:
    print("diffusers and transformers are not installed here; the class is diffusers.StableDiffusionPipeline.")
else:
    start = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ids, other = tokens(["a small red ring", "a large blue disc"]), tokens(["a red shape"] * 2)
        words, away = (pipeline.text_encoder(rows).last_hidden_state for rows in (ids, other))
        asked = {"prompt_embeds": words, "negative_prompt_embeds": away, "latents": start, "guidance_scale": 3.0}
        theirs = pipeline(**asked, num_inference_steps=5, output_type="latent").images
        convert, guide = lesson.mine(as_flow), lesson.mine(guided_velocity)
        levels = pipeline.scheduler.timesteps.tolist()
        signal = [float(pipeline.scheduler.alphas_cumprod[level]) for level in levels] + [1.0]
        x = start
        for level, (abar, cleaner) in zip(levels, itertools.pairwise(signal), strict=True):

            def velocity(z, t, rows, level=level, abar=abar):
                noisy = torch.cat([x, x])
                return convert(noisy, pipeline.unet(noisy, level, rows).sample, abar)[2]

            z, now, _ = convert(x, x, abar)
            z = z + (time_of(convert, cleaner) - now) * guide(velocity, z, now, words, away, 3.0)
            x = z / convert(torch.ones(1), torch.ones(1), cleaner)[0]  # back to DDPM's scale
    gap = float((x - theirs).abs().max() / theirs.abs().max())
    print(f"diffusers.StableDiffusionPipeline with DDIMScheduler: largest difference {gap:.0e} of the largest value")

# %% [markdown] tags=["experiment"]
# ## At equal steps
#
# Are rectified flows better with few steps because of what the network predicts, or because of where the sampler stops?
# The experiment trains two networks alike: one with your `flow_loss`, one to predict DDPM's noise. Each is drawn with
# even times ("straight") and with DDIM's, from the same noise, at the scale 3: between two neighbouring rows, one thing
# changes. A judge says how often colour, form and size are all as asked for. It is a small CLIP with lists of what it
# sees, trained on real images alone.
#
# *Guess: with 4 steps, what share of the flow's images on even times is right? By chance it is 0.02.* The cell takes
# about a minute and a half on an idle core; it also measures what the rest of the lesson needs.

# %% tags=["experiment"]
lesson.predict("right in 4 steps", ..., "What share of the flow's images is right with 4 even steps?")

# %% tags=["experiment"]
blocks = [lesson.mine(f) for f in (flow_loss, as_flow, text_to_image)]
