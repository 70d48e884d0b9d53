# %% [markdown]
# # ControlNet: conditional control
#
# You type "a large red ring", and a diffusion model draws one somewhere. But what if you want it in a particular place?
# You can't describe a place to the pixel in a caption. You can't simply retrain the model either: you don't have its
# training data, and if you fine-tune a model on a few drawings, it forgets much of what it knew.
#
# In 2023 Lvmin Zhang and his colleagues taught Stable Diffusion to follow edges, depth maps and scribbles without
# changing any of its weights. They joined a second network to the model by **layers in which every weight is zero**.
# Such a layer doesn't pass anything on. So how can the second network learn anything through it?
#
# **Draw with the pointer** (or with the arrow keys and Enter), or start from one of the drawings. The images were made
# by a control like the one you will build, and if your drawing is new, you will see the images of the stored drawing
# nearest to it. Then open *How can zeros learn?* and move *Steps taken* up from 0. Which gradients leave zero first? We
# call a gradient *awake* once it is different from 0. *Can you set the switches there so that no gradient ever wakes?*

# %% tags=["widget"]
from studium_topics.controlnet.keys import TwoKeys

TwoKeys()

# %% [markdown]
# In this lesson you will
#
# 1. **attach** a trainable copy to a locked model without changing a single bit of its first answer;
# 2. **audit** the gradients of the first steps, and explain why one pair of zeros learns and another never does;
# 3. **train** a control in your own loop, and sample images that follow what you draw;
# 4. **measure** how well they follow, and recognise designs that cannot carry a position at all.
#
# **You need** the loss and the sampler of [ddpm](ddpm.ipynb), and the idea of a label that we can leave out, from
# [cfg](cfg.ipynb). **Time:** 20 minutes of reading, 90 of coding, 3 of running.
#
# **History.** Before 2023, if you wanted spatial control, you could use a model trained for it, such as PITI ([Wang et
# al. 2022](https://arxiv.org/abs/2205.12952)), or fine-tune all the weights, which forgets and overfits on small data
# sets. [ControlNet](https://arxiv.org/abs/2302.05543) locked the model and trained a copy alongside it. Within days,
# [T2I-Adapter](https://arxiv.org/abs/2302.08453) appeared, with a smaller network that only sees the drawing.
#
# | symbol | code | meaning |
# |---|---|---|
# | $x_t$, $t$, $y$ | `x`, `t`, `y` | noisy image, its noise level, its caption's label |
# | $\bar\alpha_t$, $\epsilon$ | `abar[t]`, `eps` | share of signal, noise in $x_t$ |
# | $c$ | `hint` | the drawing: 1 where you want ink, else 0 |
# | $W$, $b$ | | weight and bias of a 1 × 1 convolution |
# | $u$, $v$ | | here: features that enter it, and that leave it |
# | $g$ | | gradient of the loss $L$ at $v$ |
# | $\lambda$ | `scale` | strength of the control |

# %%
from studium import show_table
import torch

from studium_topics.controlnet import figures
from studium_topics.controlnet.experiment import DESIGNS, SHARES, follow, wake
from studium_topics.controlnet.model import NO_KIND, PARTS, Control, Look, batches, falling, kind, schedule, trained
from studium_widgets import Diagram, ImageGrid

# %% [markdown]
# ## The base, and what you can't tell it
#
# Instead of Stable Diffusion we will use a U-Net with 195,000 parameters, which was trained on drawn shapes of 16 × 16
# pixels. It knows 60 captions, from "a small red disc" to "a large white cross". Here are eight drawings, and the
# images that belong to them. The captions tell us the size, the colour and the shape, but only the drawing shows the
# place.

# %%
examples = batches(1, 8, torch.Generator().manual_seed(3))[0]
ImageGrid(
    torch.cat([2 * examples[1].expand(-1, 3, -1, -1) - 1, examples[0]]),
    captions=["drawing"] * 8 + ["image"] * 8,
    columns=8,
    label="eight drawings, and an image for each",
)

# %% [markdown]
# The <dfn>base</dfn> is the pretrained model that we attach a control to, and it stays locked. A <dfn>ControlNet</dfn>
# is a trainable copy of the base's encoder that also sees a hint, and whose features are added to the features of the
# base. You can see where in the figure. The grey parts never change.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.controlnet", "flow.svg")

# %% [markdown]
# ## A layer of zeros
#
# A <dfn>zero convolution</dfn> is a 1 × 1 convolution whose weight and bias start at 0. For a single pixel it computes
# $v = Wu + b$. With $g = \partial L / \partial v$, the chain rule gives us
#
# $$\frac{\partial L}{\partial W} = g\,u^\top, \qquad \frac{\partial L}{\partial b} = g, \qquad
# \frac{\partial L}{\partial u} = W^\top g .$$
#
# We sum the first two over all pixels and images. Now let's look at these three formulas when $W = 0$ and $b = 0$. The
# output is 0, so if we add it to some features, they don't change. The gradient of $W$ does not contain $W$, so it will
# be different from 0 as soon as neither $g$ nor the *input* $u$ is 0. But the gradient that we pass on to the layers
# *before* does contain $W$, so it is exactly 0. A zero convolution can learn from the first step, while the layers
# before it have to wait.

# %% exercise="zero_module"
from studium_topics.controlnet.exercises import zero_module

# %% [markdown]
# Now let's build the control itself. For one block $F$ with parameters $\Theta$, the paper writes it as (equation 2)
#
# $$y_c = F(x; \Theta) + \mathcal Z\big(F(x + \mathcal Z(c; \Theta_{z1});\ \Theta_c);\ \Theta_{z2}\big),$$
#
# where $\mathcal Z$ is a zero convolution and $\Theta_c$ begins as a copy of $\Theta$. In this formula, and only here,
# $x$ stands for the features that enter the block, $y_c$ for its output under control, and $c$ for features of the
# hint. The copy starts with good features, because it comes from a model that can draw.
#
# In this lesson, the block is the whole encoder. The modules of the base have the same names as in the figure, and you
# can list them with `print(base)`: `base.enter`, three blocks in `base.down`, `base.middle`, three in `base.up`, and
# `base.leave`. We give you a container for the four parts of a control:
#
# ```python
# class Control(nn.Module):
#     def __init__(self, copy, look, zero_in, zero_outs):
#         ...  # copy: the encoder; look: a small network that looks at the hint
# ```
#
# Be careful about the order of copying and freezing. If you copy a frozen parameter, the copy is frozen too, and you
# will not get an error when it never learns.

# %% exercise="make_control"
from studium_topics.controlnet.exercises import make_control

# %% [markdown]
# We split the U-Net's forward pass into three pieces. `told = embed(t, y)` embeds the level and the label. `encode(x,
# told, extra)` returns the skips and the middle, and adds `extra` to its first features. `decode(skips, middle, told)`
# predicts the noise. After their zero convolutions, the control's features are called residuals, and we add them
# between the last two pieces. The decoder is frozen, but gradients still have to pass *through* it to reach the
# control.

# %% exercise="controlled_eps"
from studium_topics.controlnet.exercises import controlled_eps

# %% [markdown]
# If both exercises are right, the difference from the base is exactly 0:

# %%
base, abar = trained(), schedule()
control = lesson.mine(make_control)(base, Look(base.enter.out_channels))
x, t = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.arange(4, 100, 12)
with torch.no_grad():
    answer = lesson.mine(controlled_eps)(base, control, x, t, examples[2], examples[1], 1.0)
    print("largest difference from the base:", float((answer - base(x, t, examples[2])).abs().max()))
sizes = [sum(p.numel() for p in module.parameters()) for module in (base, control)]
print(f"{sizes[0]} parameters locked, {sizes[1]} trained")

# %% [markdown]
# ## Which gradient wakes when?
#
# The chain from the hint to the loss is `look`, `zero_in`, `copy`, `zero_outs`, and then the frozen decoder. At step 0,
# only one of the four parts we train has a gradient other than 0. *Using the three formulas above, can you tell in
# which step each of the others gets its first gradient?* Count from step 0, and remember that `zero_in` is zero too.

# %% tags=["experiment"]
lesson.predict("look wakes", ..., "In which step does `look` get its first gradient, if the first step is step 0?")

# %% exercise="grad_audit"
from studium_topics.controlnet.exercises import grad_audit

# %% tags=["experiment"]
woken = wake(*(lesson.mine(f) for f in (make_control, controlled_eps, grad_audit)), profile=lesson.profile)
show_table(
    ["size of the gradient of", *PARTS],
    [
        (f"{name}, step {step}", *(f"{norms[part]:.2e}" for part in PARTS))
        for name, rows in woken.norms.items()
        for step, norms in enumerate(rows)
    ],
)
first = next((step for step, norms in enumerate(woken.norms["control"]) if norms["look"] > 0), -1)
lesson.found("look wakes", first, within=0)

# %% [markdown]
# The gradients wake one after another, starting from the base. At step 0 only `zero_outs` has a gradient. After its
# first step, its weight is no longer 0 and lets a gradient through, so `copy` and `zero_in` wake at step 1. `look` has
# to wait until the weight of `zero_in` has moved, so it wakes at step 2. This means that zeros delay learning by at
# most two steps, but they do not prevent it. The zeros in the table are exact.
#
# ### The double-zero trap
#
# The second table is for a control with one change. We replace the copy by a network that only sees *the hint*, made of
# convolutions without biases. This might look like a way to save parameters, because the network is smaller. Both zero
# convolutions are in their places, and yet only the biases of `zero_outs` ever move. Let's follow the numbers.
# `zero_in` returns 0, so the network returns 0. Then the input $u$ of `zero_outs` is 0, and so is the gradient
# $g\,u^\top$ of its weight. Because its weight stays 0, `zero_in` gets $W^\top g = 0$ and stays 0 too. Each of them is
# waiting for the other. The <dfn>double-zero trap</dfn> is a pair of zero layers with only zeros between them, whose
# weights never get a gradient. A real copy escapes, because it also sees $x_t$, so its features are never all 0.
#
# **Think about it.** You can set the widget at the top to the trap. Which *two* kinds of switch free it?
#
# <details><summary>Answer</summary>
#
# You can let either of the convolutions start away from 0, or you can let the copy see the image. If only one end has
# zeros, one of the two gradients is not a product with 0. This is also what happens with LoRA's $BA$, where $A$ starts
# with random numbers and $B$ with zeros.
# </details>
#
# ## Train it, and let it draw
#
# We use DDPM's loss: add noise to an image at a random level, and let the controlled model predict the noise. The paper
# adds one thing (section 3.3). We replace half of the captions by the empty caption, so the control has to learn from
# the drawing what the caption would have told it.

# %% exercise="train_control"
from studium_topics.controlnet.exercises import train_control

# %% [markdown]
# For sampling, we use DDPM's sampler in fewer steps. It visits some of the noise levels, which are rows of the table
# `abar`, from the noisiest to the cleanest. We give you the step from one level to the next: `step_between(eps, x, t,
# before, abar, z)` takes x from the row `t` to the row `before`, using the predicted noise `eps` and fresh noise `z`.
# The clean image is `before = -1`.

# %% exercise="controlled_sample"
from studium_topics.controlnet.exercises import controlled_sample

# %% [markdown] tags=["experiment"]
# The next cell trains and samples using your functions; only the base is given. It takes about a quarter of a minute.

# %% tags=["experiment"]
generator = torch.Generator().manual_seed(0)
drawings = batches(lesson.profile.choose(smoke=3, laptop=200, gpu=2000), 16, generator)
losses = lesson.mine(train_control)(base, control, drawings, abar, NO_KIND, 4e-3, generator)
captions = ["a large red ring", "a small blue disc", "a large green triangle", "a large white cross"] * 2
labels = torch.tensor([kind(caption) for caption in captions])
kinds_drawn = batches(1, 400, torch.Generator().manual_seed(9))[0]
hints = torch.stack([kinds_drawn[1][kinds_drawn[2] == label][i // 4] for i, label in enumerate(labels)])
film = lesson.mine(controlled_sample)(base, control, hints, labels, [1.0] * 20, falling(20), abar, generator)
free = lesson.mine(controlled_sample)(base, control, hints, labels, [0.0] * 20, falling(20), abar, generator)
ImageGrid(
    film[::4], steps=[f"after {k} of 20 steps" for k in range(0, 21, 4)], columns=8, label="noise follows a drawing"
)

# %% tags=["experiment"]
grid = ImageGrid(
    torch.cat([2 * hints.expand(-1, 3, -1, -1) - 1, film[-1], free[-1]]),
    captions=["drawing"] * 8 + ["controlled"] * 8 + ["only the base"] * 8,
    columns=8,
    label="drawings, images of your controlled model, and images of the base",
)
measured = f"{len(losses)} steps of training, loss {losses[-1]:.3f}"
lesson.keepsake(grid, "Noise that follows a drawing", measured, train_control, controlled_sample)

# %% [markdown] tags=["experiment"]
# The base draws what the caption describes, but somewhere, while the controlled model draws it where you want it. If
# you switch the control off ($\lambda = 0$), you get the base back, bit for bit, however long you have trained, because
# none of its weights has changed.
#
# Now draw something yourself. Whenever you pause, the widget samples with *your* control in the kernel, starting from
# four different noises and using no caption. *Draw two shapes, or a letter: none of the training images had those. And
# what happens if you use a scale of 2?*

# %% tags=["experiment", "widget"]
untold = torch.full((4,), NO_KIND)


def follow_my_drawing(hint, scale):
    noise = torch.Generator().manual_seed(4)
    asked = hint.expand(4, 1, -1, -1)
    return lesson.mine(controlled_sample)(base, control, asked, untold, [scale] * 20, falling(20), abar, noise)[-1]


TwoKeys(on_draw=follow_my_drawing)

# %% [markdown]
# ## How well does it follow?
#
# The <dfn>IoU</dfn> (intersection over union) of two sets of pixels is the number of pixels in both, divided by the
# number in at least one of them. It is 1 for equal sets, and 0 for sets that do not meet. The authors measure it on
# ADE20K, where they use another network to find the regions in the images. They get .35 for ControlNet, .32 for its
# variant with a light encoder, .31 for latent diffusion, .26 for PITI, .21 for VQGAN, and .58 for real images (table
# 2). Our images are simple enough that we can find the ink by its brightness.

# %% exercise="mask_iou"
from studium_topics.controlnet.exercises import mask_iou

# %% [markdown] tags=["experiment"]
# ## Designs that cannot carry space
#
# A drawing is 256 numbers, each in its place. Many networks that look at an image end in a *global pool*, the mean of
# each channel over all pixels. For example, a classifier does this. But if a hint goes through a pool, it becomes a
# list of numbers without places. If you move the drawing by three pixels, the list is still the same (away from the
# border). Training can't bring back what the features no longer contain.
#
# In the next cell we compare five controls, trained on the same batches with the same base. The second and the third
# differ from yours in one thing, and the last two differ from each other in one thing:
#
# * **zero convolutions**: yours;
# * **drawn outputs**: `zero_outs` start with PyTorch's random initial weights;
# * **pooled hint**: `look` ends in a global pool;
# * **hint alone, both zero**: the trap;
# * **hint alone, one drawn**: the trap, but `zero_in` starts with PyTorch's random initial weights.
#
# We let all of them draw the same 60 masks from the same noise, with captions. *What IoU does the base reach without a
# control? It knows the size and the shape, but not the place.*

# %% tags=["experiment"]
lesson.predict("IoU of the base", ..., "What mean IoU does the base reach with masks that it does not see?")

# %% tags=["experiment"]
blocks = [lesson.mine(f) for f in (make_control, controlled_eps, train_control, controlled_sample, mask_iou)]
result = follow(*blocks, profile=lesson.profile, seed=0, control=control)
rows = [(name, result.designs[name]) for name in ("no control", *DESIGNS)]
show_table(
    ["", "loss at step 0", "after", "IoU", "colour right"],
    [(name, f"{x.first_loss:.4f}", f"{x.loss:.4f}", f"{x.iou:.2f}", f"{x.colour:.0%}") for name, x in rows],
)
print(f"parameters of the base that changed: {result.changed}")
lesson.found("IoU of the base", result.designs["no control"].iou)
figures.overlaps(result)

# %% [markdown] tags=["experiment"]
# With the seed of this cell and at the laptop profile, the base reaches an IoU of .30 by itself, and your control
# reaches .75. Compare each row with the row from which it differs in a single thing:
#
# * **pooled hint** ends at .31, just like the base. It had the same parameters, batches and steps, and we only took
#   away the places.
# * **hint alone, both zero** is the trap, also at .31. Compare it with the row below it: once one of the two
#   convolutions starts away from 0 (**one drawn**), the same small network follows the drawing (.58).
# * **drawn outputs** start with five times the loss of the base (.117 compared with .022). They recover in 200 steps,
#   to .74, and with a single seed we can't declare a winner. The authors use zeros because noise in the features would
#   harm a large, well-trained model at the start of training.
#
# Look at the losses too. From the base to your control, the loss falls from .0223 to .0203, by a tenth, while the IoU
# more than doubles. Most of the loss is noise that you can't explain with any drawing. This is why the loss doesn't
# tell you much about whether a control follows, and why you should look at images.
#
# ## In practice
#
# You would use the class `diffusers.ControlNetModel`, where `from_unet` does the same as your `make_control`. The next
# cell builds a tiny one with random weights, adds its residuals to the U-Net it was copied from, and lets *your*
# `grad_audit` look at it.

# %% tags=["experiment", "bridge"]
try:
    from diffusers import ControlNetModel, UNet2DConditionModel
except ImportError:
    print("diffusers is not installed here; `pip install diffusers` brings ControlNetModel.from_unet.")
else:
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(0)
        unet = UNet2DConditionModel(
            sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=8, cross_attention_dim=8,
            attention_head_dim=2, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        ).requires_grad_(False)  # fmt: skip
        theirs = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16)).requires_grad_(True)
        latent, words, hint = torch.randn(2, 4, 8, 8), torch.randn(2, 3, 8), torch.rand(2, 3, 16, 16)

    def steered(_control=None):
        residuals, deepest = theirs(latent, 10, words, controlnet_cond=hint, return_dict=False)
        return unet(
            latent, 10, words, down_block_additional_residuals=residuals, mid_block_additional_residual=deepest
        ).sample

    same = dict(unet.named_parameters())
    copied = [(p - same[name]).abs().max().item() for name, p in theirs.named_parameters() if name in same]
    print(f"{len(copied)} tensors copied, largest difference {max(copied)}")
    print(f"largest difference from the base: {(steered() - unet(latent, 10, words).sample).abs().max().item()}")
    seen = theirs.controlnet_cond_embedding
    parts = Control(
        torch.nn.ModuleList([theirs.conv_in, theirs.time_embedding, theirs.down_blocks, theirs.mid_block]),
        torch.nn.ModuleList([seen.conv_in, seen.blocks]),
        seen.conv_out,
        torch.nn.ModuleList([*theirs.controlnet_down_blocks, theirs.controlnet_mid_block]),
    )
    for step, norms in enumerate(lesson.mine(grad_audit)(parts, lambda _: steered().square().mean(), 0.5, 3)):
        print(f"step {step}: " + ", ".join(f"{part} {norms[part]:.1e}" for part in PARTS))

# %% [markdown]
# ## Further
#
# ### When is the place decided?
#
# Your sampler takes a scale for each step. In the next cell we leave the control on only for the first quarter, half or
# three quarters of the steps, and let the base do the rest.

# %% tags=["experiment"]
show_table(
    ["control on for the first", "IoU"],
    [(f"{share:.0%} of the steps", f"{result.early[share]:.2f}") for share in SHARES],
)

# %% [markdown] tags=["experiment"]
# With this seed (laptop profile) the IoU is .30, .36, .53, .68 and .75, so half of the steps give us half of the gain.
# In this model there is no single step at which the place is decided. In the steps without control, the base moves the
# shape away again.
#
# ### Control and guidance
#
# With classifier-free guidance we have two predictions in each step, and we can add the control to both or only to the
# prediction with the caption. If we add it to both and the caption is empty, the two predictions are equal, so guidance
# has no effect. If we add it only to the prediction with the caption, guidance amplifies the control. The authors do
# this in section 3.4, with a smaller scale for features of higher resolution.
#
# ## What does not reproduce at this size
#
# * **Sudden convergence.** The authors report that Stable Diffusion begins to follow its hint from one step to another,
#   at step 6133 in their figure 4, and usually before 10,000. We did not look for such a step in 200 steps of a small
#   model.
# * **Copy against scratch.** The authors also replace the copy by a light encoder, and find it weaker. We have not
#   compared the two on equal terms: *hint alone, one drawn* is smaller, and begins untrained.
# * **The figures.** For ADE20K, FID and the user study, you need natural images. (In the study, users could tell its
#   depth images from those of a depth model of Stable Diffusion in .52 ± .17 of the cases, where .5 is chance.)
#
# ## Common misconceptions
#
# * *"Zero weights get zero gradients."* They do not; zero *inputs* do. It is the layer before zero weights that gets a
#   zero gradient.
# * *"ControlNet fine-tunes the model."* Not a single weight of the base moves. If you remove the control, you get the
#   base back.
# * *"The loss shows whether it follows."* In our experiment, the loss fell by a tenth while the IoU more than doubled.
# * *"Any encoder will do for the hint."* An encoder that ends in a pool will not.
#
# ## You can now
#
# * attach a trainable copy to a frozen model so that step 0 changes nothing, and prove it bit for bit;
# * tell from a chain of layers which gradients are zero in which step;
# * recognise the double-zero trap, and free it in two ways;
# * train a control, sample with it at any scale, and use the IoU to measure how well it follows;
# * decide whether a design can carry positions at all.
#
# ## Open tasks
#
# * **Ten minutes.** Ask for "a small red disc" with a large drawn ring, and the other way round, at several scales. You
#   should see that the drawing gains influence over the caption as the scale grows.
# * **An hour.** Train with outlines instead of filled masks: keep the pixels of a mask that have a neighbour outside.
#   The IoU with the filled mask should rise more slowly, because the control has to infer the inside. We have not run
#   this.
# * **A day.** Add two controls to one base, the one for masks and another that you train for the colour of the
#   background, by adding both lists of residuals, as in section 3.4 of the paper. Check whether the base obeys both at
#   once.
#
# ## Further reading
#
# * [Zhang, Rao and Agrawala 2023](https://arxiv.org/abs/2302.05543): sections 3.1 and 3.2 are this lesson. You might
#   now want to read the ablations in section 4.
# * [The authors' tutorial](https://github.com/lllyasviel/ControlNet/blob/main/docs/train.md): filled circles, the toy
#   task we modelled ours on.
# * [Mou et al. 2023, T2I-Adapter](https://arxiv.org/abs/2302.08453): uses features of the hint only, and adds them to
#   the encoder.
