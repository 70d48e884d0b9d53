# %% [markdown]
# # Latent diffusion (Stable Diffusion)
#
# The network that does the denoising in Stable Diffusion never sees a pixel. An image of 512 × 512 pixels is 786,432
# numbers. The network, however, works on 64 × 64 × 4 = 16,384 numbers, and the decoder of an *autoencoder* turns these
# into an image. Because there are forty-eight times fewer numbers, you can run it on a laptop. **What decides which
# details we throw away, and how much compression is too much?**
#
# The simplest autoencoder is linear. Its loss has two terms: the squared error of what comes back, and a price for the
# information in the code, the KL term. The dial in the widget shows the optimum for 1797 digits of 64 pixels, so there
# is nothing to train. Lower the weight, and you will see the digits come back. Now choose 8 latents and weight 1, and
# put in the mistake, means instead of sums. In code, this is `.mean()` where we need `.sum()`. *What do you expect? It
# depends on the line in the spectrum: what determines how high it is?*

# %% tags=["widget"]
from studium_topics.latent_diffusion.dial import CompressionDial

CompressionDial.of_digits(latents=16, weight=0.5)

# %% [markdown]
# All eight latents die, and each digit becomes the mean digit. A loss like this runs without any error message, and it
# looks right when you read the code. You will derive how high the line is.
#
# In this lesson you will
#
# 1. train an autoencoder with your own loss, and predict *exactly* how many of its latents carry anything;
# 2. scale latents, attend to words, and draw "red ring" using a diffusion that works on 64 numbers;
# 3. match your functions with `diffusers`: the same weights, the same latents, the same images;
# 4. measure at equal operations what we gain from compression, and where it removes too much.
#
# **You need** DDIM, from [ddpm](ddpm.ipynb), guidance, from [cfg](cfg.ipynb), and attention, from
# [encoder-only](encoder-only.ipynb). **Time:** 20 minutes of reading, 96 of coding, 5 of running.
#
# **History.** In 2021 the best images came from diffusion on pixels. Training took hundreds of GPU days, and most of
# them went into details that we can't see. Autoencoders such as [VQGAN](https://arxiv.org/abs/2012.09841) compressed
# images for autoregressive transformers, but these needed much stronger compression than images can bear. [Rombach et
# al. 2022](https://arxiv.org/abs/2112.10752) compressed mildly and used a diffusion on the latents.

# %%
from studium import show_table
import torch

from studium_topics.kits.shapes import NAMES
from studium_topics.latent_diffusion.experiment import collapse, factors
from studium_topics.latent_diffusion.stages import (
    KL_WEIGHT, autoencoder, cosine_abar, encoded, noise_in, noised, unet,
)  # fmt: skip
from studium_topics.latent_diffusion.world import drawings, drop_captions, tokens
from studium_widgets import Diagram, ImageGrid

# %% [markdown]
# ## The whole model
#
# First we train an autoencoder, just once. Then a diffusion learns its latents:

# %% tags=["diagram"]
Diagram.from_package("studium_topics.latent_diffusion", "flow.svg")

# %% [markdown]
# ## Symbols
#
# | formula | code | meaning |
# |---|---|---|
# | $x$, $\hat x$ | `x`, `reconstruction` | image, and what the decoder makes of its code |
# | $\mu$, $\log \sigma^2$ | `mean`, `logvar` | the encoder's Gaussian for each latent: mean, log variance |
# | $z$ | `z` | latents, $c \times S/f \times S/f$ for images of side $S$ |
# | $f$ | `factor` | side of the image over side of the latents |
# | $a$, $b$ | `a`, `b` | weights of the squared error and of the KL term |
# | $\lambda_i$ | | variances of the data along its principal directions |
# | $t$, $\bar\alpha_t$ | `t`, `abar[t]` | level of noise, and the share of signal there |
# | $v$ | | velocity: what the U-Net predicts, a mixture of $\epsilon$ and $z_0$ |
# | $s$ | `s` | guidance scale; 1 is conditional |
#
# ## Stage one: a code with a price
#
# A <dfn>variational autoencoder</dfn> (VAE) has an encoder that outputs a Gaussian for each latent, and a decoder that
# takes a sample from this Gaussian. The noise in the sample limits how much information a latent can carry. We also
# want gradients to flow through the sample, so the randomness must come from outside: <dfn>reparameterisation</dfn>
# writes a sample as the mean plus the standard deviation times standard normal noise ([Kingma and Welling
# 2014](https://arxiv.org/abs/1312.6114), section 2.4).

# %% exercise="reparameterise"
from studium_topics.latent_diffusion.exercises import reparameterise

# %% [markdown]
# If information had no price, training would make the encoder's noise smaller and smaller, because noise only adds
# error. We use the divergence from a standard normal as the price. For one latent, this is
#
# $$\mathrm{KL}\big(\mathcal N(\mu, \sigma^2)\,\|\,\mathcal N(0, 1)\big)
# = \mathbb E\Big[\tfrac12 z^2 - \tfrac{(z - \mu)^2}{2\sigma^2} - \tfrac12\log \sigma^2\Big]
# = \tfrac12\big(\mu^2 + \sigma^2 - 1 - \log \sigma^2\big).$$
#
# Here we take the expectation over $z \sim \mathcal N(\mu, \sigma^2)$ of the difference between the two log densities,
# and use $\mathbb E\,z^2 = \mu^2 + \sigma^2$ and $\mathbb E (z - \mu)^2 = \sigma^2$.

# %% exercise="kl"
from studium_topics.latent_diffusion.exercises import kl

# %% [markdown]
# <details><summary>Derivation: why error plus KL is a bound on the likelihood</summary>
#
# Let the decoder be Gaussian, $p(x \mid z) = \mathcal N(\hat x(z), \tau^2 I)$, and let $q(z \mid x)$ be the encoder's
# Gaussian. By Jensen's inequality
#
# $$-\log p(x) = -\log \mathbb E_{q}\frac{p(x \mid z)\,p(z)}{q(z \mid x)}
# \le \mathbb E_{q}\Big[\frac{\lVert x - \hat x(z)\rVert^2}{2\tau^2}\Big] + \mathrm{KL}(q\,\|\,p) + \text{const}.$$
#
# Both terms are *sums over one image*, because the log densities of independent numbers add up. If we multiply the
# bound by a weight $b$, we get the loss of this lesson with $a = b / (2\tau^2)$, so $\tau^2 = b / (2a)$. So when you
# choose the weights $a$ of the error and $b$ of the KL term, you make a claim about how much noise there is in a pixel.
# </details>
#
# The paper uses the KL term too, but with a weight of about $10^{-6}$ (section 3.1 and the published configurations),
# on sums. The exercise starts with the version from the dial, which uses means. Your task is to correct it.

# %% exercise="first_stage_loss"
from studium_topics.latent_diffusion.exercises import first_stage_loss

# %% [markdown] tags=["experiment"]
# ### The autoencoder, trained
#
# Our images are large shapes in six colours and five forms, with 32 × 32 pixels. A convolutional autoencoder with $f =
# 8$ turns their 3072 numbers into 4 × 4 × 4 = 64, which is forty-eight times fewer, as in Stable Diffusion. Our KL
# weight here is `KL_WEIGHT`, which is 0.01 and not $10^{-6}$. This is all of the training:

# %% tags=["experiment"]
generator = torch.Generator().manual_seed(0)
data = drawings(lesson.profile.choose(smoke=5, laptop=100, gpu=100), torch.Generator().manual_seed(0))
first = autoencoder(factor=8, seed=0)
steps = lesson.profile.choose(smoke=5, laptop=200, gpu=200)
optimizer = torch.optim.AdamW(first.parameters(), lr=3e-3, weight_decay=0.0)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
for _ in range(steps):
    x = data.images[torch.randint(len(data.images), (64,), generator=generator)]
    mean, logvar = first.encode(x)
    z = lesson.mine(reparameterise)(mean, logvar, torch.randn(mean.shape, generator=generator))
    loss = lesson.mine(first_stage_loss)(x, first.decode(z), mean, logvar, KL_WEIGHT)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(first.parameters(), 50.0)
    optimizer.step()
    schedule.step()
print(f"squared error of the last batch: {(first.decode(mean) - x).square().mean().item():.4f} per number")

# %% tags=["experiment"]
shown = data.images[5:30:3]
with torch.no_grad():
    code = first.encode(shown)[0]
    back = first.decode(code)
channels = (code / code.abs().amax()).transpose(0, 1).reshape(-1, 1, 4, 4)
captions = ["image"] * len(shown) + ["decoded"] * len(shown)
ImageGrid(torch.cat([shown, back]), columns=len(shown), captions=captions, label="images, and each from 64 numbers")

# %% tags=["experiment"]
captions = [f"channel {channel}" for channel in range(1, 5) for _ in shown]
ImageGrid(channels, columns=len(shown), captions=captions, label="the latents of the same images, 4 × 4 numbers each")

# %% [markdown] tags=["experiment"]
# Colour and place come back, and mostly the form too; grain and sharp edges do not. The latents are still a small
# image: neighbours in the latent are neighbours in the image. This is why we can use a U-Net on them.
#
# ## Which latents survive?
#
# Let's go back to the line in the dial. In a linear VAE, the encoder's mean is a linear function of the centred image,
# and we can choose the variances $\sigma_i^2$ freely. At the optimum, we can assume that each latent codes one
# principal direction ([Lucas et al. 2019](https://arxiv.org/abs/1911.02469) prove this), so the loss splits into one
# problem per direction. For a direction with variance $\lambda$, we have a latent whose mean varies over the images
# with variance $m$, and whose noise has variance $\sigma^2$. If you use such a latent for the best linear guess of the
# direction, you are left with the error $\lambda\,\sigma^2/(m + \sigma^2)$, as in any regression.
#
# We call a latent <dfn>active</dfn> if its divergence from the standard normal is not 0.

# %% exercise="active_dims"
from studium_topics.latent_diffusion.exercises import active_dims

# %% [markdown] tags=["experiment"]
# Now let's test the prediction. We *train* linear VAEs with your loss and sampled noise, and count their active
# latents. "Sums" is your loss with the weight $10^{-6}$. "Means" is the loss where both terms are means, with the
# weight 1. For 64 pixels and $d$ latents, this is 1/64 of a loss of sums with the KL weight $64/d$. *How many of 16
# latents will survive with means?*

# %% tags=["experiment"]
lesson.predict("active of 16", ..., "With means and d = 16, how many latents are active? The dial can tell you.")

# %% tags=["experiment"]
blocks = [lesson.mine(f) for f in (reparameterise, kl, first_stage_loss, active_dims)]
counted = collapse(*blocks, profile=lesson.profile)
show_table(
    ["loss", "predicted", "found", "error per pixel", "PCA with d directions"],
    [(name, x.predicted, x.found, f"{x.error:.4f}", f"{x.pca:.4f}") for name, x in counted.cases.items()],
)
print(f"answering the mean digit: {counted.mean_digit:.4f}")
if lesson.profile.name == "smoke":
    print("(60 training steps, to see that it runs: the figures of STUDIUM_PROFILE=laptop mean something)")
lesson.found("active of 16", counted.cases["means, d = 16"].found)
pair = [counted.cases[name].images for name in ("sums, d = 8", "means, d = 8")]
captions = [name for name in ("digit", "sums", "means") for _ in range(8)]
ImageGrid(torch.cat([pair[0], pair[1][8:]]), columns=8, captions=captions, label="digits, and each from 8 latents")

# %% [markdown] tags=["experiment"]
# At the laptop profile, what we predicted and what we found agree in every row. With tiny weights, the error is within
# 16 % of the error of PCA. With means the price is too high, and none of the eight latents is active. When the
# encoder's output is the standard normal, whatever the image is, we say that a VAE shows <dfn>posterior collapse</dfn>.
# Lucas et al. showed that in a linear VAE this is not a failure of the optimiser; it is the optimum of the loss.
#
# <details><summary>Derivation: the height of the line</summary>
#
# If we scale the code, the error does not change, and the divergence is smallest where $m + \sigma^2 = 1$. The loss of
# one direction is then $a\,\lambda\,\sigma^2 - \tfrac b2 \log \sigma^2$ with $0 < \sigma^2 \le 1$. Its derivative is 0
# at $\sigma^2 = b / (2 a \lambda)$. If $\lambda > b / (2a)$, this is below 1, and the latent carries a signal. If not,
# the loss falls all the way up to $\sigma^2 = 1$, where $m = 0$ and the divergence is 0. So the line is at $b / (2a)$,
# which is the noise $\tau^2$ of a pixel in the bound above: if something varies less than this noise, it is not worth a
# latent.
# </details>
#
# ## Stage two: what the diffusion needs to know
#
# With a weight of $10^{-6}$, as in Stable Diffusion, there is also hardly anything to pull the latents to variance 1.
# But a noise schedule is made for data of variance 1. At level $t$ the <dfn>signal-to-noise ratio</dfn> is the variance
# of the signal divided by the variance of the noise, $\bar\alpha_t \operatorname{Var}(z) / (1 - \bar\alpha_t)$. If the
# latents are 5 times too wide, this is 25 times as large at every level. Most levels then look clean, and there are
# only a few left to decide form and colour. Stable Diffusion multiplies by `scaling_factor` = 0.18215, so its raw
# latents have a standard deviation near 5.5. We measure this factor just once, on data.

# %% exercise="latent_scale"
from studium_topics.latent_diffusion.exercises import latent_scale

# %% [markdown]
# ## Words
#
# A caption is a row of vectors, one for each word. With <dfn>cross-attention</dfn>, each place in an image can look at
# the words: we compute the queries from the image, and the keys and values from the caption (section 3.3 of the paper),
#
# $$\operatorname{softmax}\Big(\frac{Q K^\top}{\sqrt{C / \text{heads}}}\Big) V,
# \qquad Q = W_Q\,x, \quad K = W_K\,y, \quad V = W_V\,y.$$
#
# We need the root because the inner product of two vectors of $n$ independent numbers with mean 0 and variance 1 has
# variance $n$. Captions have different lengths, so we also have to hide the padding from the image.

# %% exercise="cross_attend"
from studium_topics.latent_diffusion.exercises import cross_attend

# %% [markdown] tags=["experiment"]
# ### The diffusion, trained
#
# A U-Net with 92,000 parameters gets the captions through *your* `cross_attend`, in three places. Each caption begins
# with a start word. For guidance, we cut 10 % of the captions to just the start word, which is the empty caption. The
# network predicts $v = \sqrt{\bar\alpha_t}\,\epsilon - \sqrt{1 - \bar\alpha_t}\,z_0$ ([Salimans and Ho
# 2022](https://arxiv.org/abs/2202.00512)), as the larger Stable Diffusion 2 does. After 600 steps, the judge from the
# section "How much is too much?" recognised 100 % of the images we drew using $v$, and 51 % using $\epsilon$ (one run
# each). `noise_in` turns $v$ into $\epsilon = \sqrt{\bar\alpha_t}\,v + \sqrt{1 - \bar\alpha_t}\,z_t$. To check this,
# insert the definitions of $v$ and of $z_t = \sqrt{\bar\alpha_t}\,z_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon$, and you
# will see that $z_0$ cancels.

# %% tags=["experiment"]
abar = cosine_abar()
mean, logvar = encoded(first, data.images)
scale = lesson.mine(latent_scale)(mean, logvar)
net = unet(channels=4, attend=lesson.mine(cross_attend), seed=0)
steps = lesson.profile.choose(smoke=5, laptop=500, gpu=500)
optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=0.0)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
generator = torch.Generator().manual_seed(0)
for _ in range(steps):
    rows = torch.randint(len(mean), (64,), generator=generator)
    z, t, v = noised(scale * mean[rows], abar, generator)
    loss = (net(z, t, drop_captions(data.words[rows], 0.1, generator)) - v).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
print(f"scale {scale:.3f}, loss of the last step {loss.item():.3f}")

# %% [markdown]
# We didn't use any pixels in this training. Now write the complete sampler. It starts from noise and takes guided DDIM
# steps on the latents. As in [ddpm](ddpm.ipynb), each step uses the predicted noise to compute the clean latents, and
# then mixes them with that noise again at the next level. At the end you undo the scale, and the decoder makes the
# images.

# %% exercise="draw_images"
from studium_topics.latent_diffusion.exercises import draw_images

# %% tags=["experiment"]
asked = ["red ring", "green disc", "blue cross", "yellow square", "purple triangle", "white ring", "ring", "blue"]
start = torch.randn(len(asked), 4, 4, 4, generator=torch.Generator().manual_seed(1))
film = lesson.mine(draw_images)(noise_in(net, abar), first.decode, scale, start, tokens(asked), 2.0, abar, 25)
kept = [0, 5, 10, 14, 17, 20, 22, 25]
grid = ImageGrid(
    film[kept],
    steps=[f"after {k} of 25 steps" for k in kept],
    captions=asked,
    columns=8,
    label="what I asked for, drawn in 64 numbers and decoded",
)
measured = f"{start[0].numel()} numbers an image, 25 steps"
lesson.keepsake(grid, "Shapes as asked for, drawn in latents", measured, draw_images)

# %% [markdown] tags=["experiment"]
# Try other captions in `asked`. The last two are shorter than any full caption in the training data, and the model
# fills in what they leave open. In the first frame you can see what the decoder makes of pure noise.

# %% [markdown]
# ## The same through `diffusers`
#
# In practice you would use the classes `AutoencoderKL`, `UNet2DConditionModel` and `DDIMScheduler`. The next cell
# builds tiny ones with random weights, and compares their results with the results of your functions.

# %% tags=["experiment", "bridge"]
try:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from diffusers.utils import logging
except ImportError:
    print("diffusers is not installed, so there is no comparison here: pip install diffusers")
else:
    logging.set_verbosity_error()
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2, latent_channels=4,
        up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=4,
    ).eval()  # fmt: skip
    theirs = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16), layers_per_block=1,
        cross_attention_dim=12, attention_head_dim=4, norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    ).eval()  # fmt: skip
    betas = 1 - abar / torch.cat([torch.ones(1).double(), abar[:-1]])
    scheduler = DDIMScheduler(100, trained_betas=betas.numpy(), clip_sample=False, timestep_spacing="trailing")
    scheduler.set_timesteps(10)
    words, table, begin = tokens(["red ring", "blue", "white cross"]), torch.randn(13, 12), torch.randn(3, 4, 8, 8)
    empty = torch.where(torch.arange(3) == 0, words, 0)

    def denoiser(z, t, words):
        return theirs(z, t, table[words]).sample

    with torch.no_grad():
        code = vae.encode(torch.rand(3, 3, 16, 16) * 2 - 1).latent_dist
        eps = torch.randn(code.mean.shape, generator=torch.Generator().manual_seed(0))
        drawn = code.sample(torch.Generator().manual_seed(0))
        ours = lesson.mine(reparameterise)(code.mean, code.logvar, eps)
        apart = float((lesson.mine(kl)(code.mean, code.logvar) / code.kl() - 1).abs().max())
        print(f"AutoencoderKL, a draw: {float((ours - drawn).abs().max()):.0e}, its KL: {apart:.0e}")
        part = theirs.down_blocks[0].attentions[0].transformer_blocks[0].attn2
        weights = [layer.weight for layer in (part.to_q, part.to_k, part.to_v, part.to_out[0])]
        h, context = torch.randn(3, 8, 4, 5), torch.randn(3, 6, 12)
        read = lesson.mine(cross_attend)(h, context, *weights, part.heads, torch.ones(3, 6, dtype=torch.bool))
        gap = read.flatten(2).mT + part.to_out[0].bias - part(h.flatten(2).mT, context)
        print(f"UNet2DConditionModel, its attn2: {float(gap.abs().max()):.0e}")
        z = begin
        for t in scheduler.timesteps:
            c, u = (denoiser(z, t, told) for told in (words, empty))
            z = scheduler.step(u + 2 * (c - u), t, z).prev_sample
        expected = vae.decode(z / 0.18215).sample
        mine = lesson.mine(draw_images)(denoiser, lambda z: vae.decode(z).sample, 0.18215, begin, words, 2.0, abar, 10)
    print(f"the whole pipeline, images: {float((mine[-1] - expected).abs().max()):.0e}")

# %% [markdown] tags=["experiment"]
# ## How much is too much?
#
# A U-Net does the same work at each place, so with a factor $f$ a step becomes $f^2$ times cheaper. The authors trained
# models at factors from 1 (pixels) to 32 for the same number of steps. Factors 1 and 2 learned slowly, 32 stopped
# improving early, and 4 to 16 did best. After two million steps, the FID of pixels was 38 worse than the FID of $f = 8$
# (section 4.1).
#
# Here we give the diffusion the same number of *operations* at every factor, 60 GFLOP at laptop. We use one
# architecture of U-Net, let PyTorch count its training step, and take as many steps as the budget allows, with batches
# of 8, 16, 64 and 128 images for factors 1, 4, 8 and 16. This budget does not include the autoencoder. We have to train
# it only once, but this costs 440 to 500 GFLOP, seven to eight times as much. A judge finds the shape that explains an
# image best, and uses it to name the colour and the form. It names all real drawings correctly. *Which factor wins?*

# %% tags=["experiment"]
lesson.predict("best factor", ..., "Factor 1 is pixels. Which of 1, 4, 8 and 16 does the judge name best?")

# %% tags=["experiment"]
blocks = [lesson.mine(f) for f in (reparameterise, first_stage_loss, latent_scale, cross_attend, draw_images)]
result = factors(*blocks, profile=lesson.profile)
rows = []
for factor, found in result.by_factor.items():
    cost = (found.numbers, found.steps, f"{found.flops / 1e9:.0f}")
    back = (f"{found.kept:.1%}", f"{found.psnr:.1f}")
    rows.append((f"f = {factor}", *cost, *back, f"{found.accuracy:.1%}", f"{found.share:.2f}"))
show_table(
    ["factor", "numbers", "steps", "GFLOP", "back: judged", "PSNR", "drawn: judged", "explained by one shape"], rows
)
print(f"real drawings: {result.real:.2f} of an image is explained by one shape")
if lesson.profile.name == "smoke":
    print("(a few training steps, to see that it runs: the figures of STUDIUM_PROFILE=laptop mean something)")
lesson.found("best factor", result.best)
ImageGrid(
    torch.cat([found.images[4:30:3][:8] for found in result.by_factor.values()]),
    captions=[f"f = {factor}" if i == 0 else NAMES[4 + 3 * i] for factor in result.by_factor for i in range(8)],
    columns=8,
    label="the same eight captions from pixels, and from latents with f = 4, 8 and 16",
)

# %% [markdown] tags=["experiment"]
# In three runs (laptop profile, seeds 0 to 2) the judge correctly named 13 to 17 % of the images drawn in pixels, 98 to
# 100 % for $f = 4$, 90 to 95 % for $f = 8$ and 57 to 62 % for $f = 16$. There are two effects, and they pull in
# opposite directions:
#
# * Without compression, a step costs so much that the budget ends after 48 steps of 8 images, while $f = 16$ gets 537
#   steps of 128. The pixel model is undertrained, and from this experiment we can't tell what it might reach with a
#   larger budget.
# * With $f = 16$ the autoencoder is the limit: the judge correctly names drawn images nearly as often as real images
#   that only went through the autoencoder (60 to 64 %). The diffusion cannot restore what the first stage has thrown
#   away.
#
# The column "explained by one shape" measures how clean the images are. It rises with $f$, because with strong
# compression the decoder draws clean shapes, even when they are the wrong shapes.
#
# ## What does not reproduce at this size
#
# * **FID and its gap of 38.** For this, you need natural images. We use a judge that knows all shapes instead, but it
#   cannot judge textures, where strong compression hurts most.
# * **The place of the sweet spot.** It depends on the size and the content of the images. For example, a shape survives
#   $f = 8$ at 32 pixels, but a face would not.
# * **x of a missing scale.** With the cosine schedule and $v$, latents 5.5 wide drew as well as scaled latents in the
#   one run we judged (96.7 % compared with 97.5 % named). Schedules that end with some signal left are less forgiving.
# * **Sharpness.** The authors train their autoencoder with a perceptual loss and a discriminator (section 3.1). With
#   squared errors you get blurred edges, and you can see this here too.
# * **The text encoder.** The authors train a transformer on captions, and Stable Diffusion uses CLIP's. For two words,
#   we only need a table of vectors.
#
# ## Common misconceptions
#
# * *"The KL term makes latents standard normal."* Not at $10^{-6}$. In Stable Diffusion the latents have a standard
#   deviation near 5.5, which is why we need to scale them.
# * *"More latents, better images."* A direction below the line gets no latent, however many there are.
# * *"The text enters as one vector."* Each place looks at the words separately.
# * *"Stable Diffusion is a VAE."* The VAE only translates between images and latents. The diffusion decides what to
#   draw.
# * *"Latent diffusion is always faster."* You also need time to train the autoencoder and to decode, and this pays off
#   only over many steps.
#
# ## You can now
#
# * write reparameterisation, KL divergence and the loss of an autoencoder with the right sums;
# * use a spectrum to predict how many latents survive a given KL weight;
# * measure the scale of latents, and explain what goes wrong without it;
# * write cross-attention from an image to the words of a caption, and match it with `diffusers`;
# * draw captioned images with a diffusion on latents, and weigh compression against quality.
#
# ## Open tasks
#
# * *Ten minutes.* Decode `start` after multiplying it by 0.5, 1 and 2. You should see blobs that gain contrast, because
#   the decoder is smooth and turns any latents into some image.
# * *An hour.* Train the autoencoder with KL weights 1e-6, 0.01 and 10, and count the channels whose mean divergence
#   exceeds 0.02. You should see that fewer latents are in use as the weight rises, and that the reconstructions lose
#   their edges.
# * *A day.* Replace squared errors by absolute errors plus a small discriminator on 8 × 8 patches, as in the paper. You
#   should see sharper edges at a lower PSNR.
#
# ## Further reading
#
# * [Rombach et al. 2022](https://arxiv.org/abs/2112.10752): section 4.1 and figure 6, the factors.
# * [Lucas et al. 2019](https://arxiv.org/abs/1911.02469): posterior collapse of linear VAEs, with proofs.
# * [Kingma and Welling 2014](https://arxiv.org/abs/1312.6114): the variational autoencoder.
# * [Lin et al. 2023](https://arxiv.org/abs/2305.08891): why a sampler has to begin at the last level.
