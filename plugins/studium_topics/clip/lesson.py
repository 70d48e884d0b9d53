# %% [markdown]
# # CLIP: images and text in one space
#
# In January 2021 Alec Radford and his colleagues at OpenAI took 400 million images from the web, each with the sentence
# next to it, and trained a network on a single question: **which of these sentences belongs to which of these images?**
# Then they *wrote* a classifier for ImageNet, using one sentence for each class. It was right on 76.2 % of the images,
# as often as a ResNet-50 trained on ImageNet's 1.28 million labels, without seeing any of them.
#
# Here are eight images and eight captions. We made the model behind this board by hand: each word has its own
# direction, and an image is the sum of what it shows. The rings mark what belongs together. **Write into the
# captions**; we compute everything while you type.
#
# 1. *Change "ring" to "disc" in caption 1. Which images does it compete for now?*
# 2. *Set τ to 1, and then to 0.01. Can you tell from the probabilities, at either of them, how sure the model is?*
# 3. *Take the softmax over the images instead of the captions. Find a pair for which the two disagree.*
# 4. *Write "ring red small a". Write "a small blue ring, not a red disc".* What does this text tower ignore?

# %% tags=["widget"]
from studium_topics.clip.board import CaptionBoard

CaptionBoard.drawn()

# %% [markdown]
# In this lesson you will
#
# 1. **write** the loss, stably, and compute how low it can get: by temperature, by batch, with captions that repeat;
# 2. **turn** names into a classifier, and measure retrieval without being fooled by ties;
# 3. **train** both towers on images of shapes, with some pairs of colour and form *held out*, and name those;
# 4. **take away** what makes it work, the temperature and the large batch, one at a time;
# 5. **measure** that images and texts start in two regions far apart, and what brings them together.
#
# **You need** an encoder and its embedding, from [encoder-only](encoder-only.ipynb). **Time:** 20 minutes of reading,
# 82 of coding, 2 of running.
#
# **History.** Before CLIP, computer vision learned from fixed lists of labels, such as ImageNet's 1000 classes, and a
# model could not know a 1001st class. Models that predict the words of captions learned slowly. CLIP ([Radford et al.
# 2021](https://arxiv.org/abs/2103.00020)) only had to tell which caption in a batch is the right one.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $N$ | pairs in a batch | |
# | $x_i$, $y_j$ | features of image $i$ and of text $j$ | (d,) |
# | $s$, $\tau$ | here: scale and temperature, $\tau = 1 / s$ | numbers |
# | $\ell_{ij}$ | logit of image $i$ with text $j$ | (N, N) |
# | $L$ | the loss | |
# | $m$ | how often each caption occurs in a batch | |

# %%
from studium import show_table
import math

import torch

from studium_topics.clip import shapes
from studium_topics.clip.experiment import BATCHES, BETTER, PICTURES, SCALES, floors, gap, naming, simplex_floor
from studium_topics.clip.model import drawn
from studium_widgets import Chart, Diagram, ImageGrid, figure
from studium_widgets.plots import COLOURS, DASHES

# %% [markdown]
# ## Two towers, one space
#
# In CLIP, the <dfn>image tower</dfn> is the network that takes an image, and the text tower the one that takes a
# sentence. Both end in a linear map into the *same* $d$ dimensions. Only the loss connects them:

# %% tags=["diagram"]
Diagram.from_package("studium_topics.clip", "flow.svg")

# %% [markdown]
# We compare features only by their direction,
#
# $$\cos(x, y) = \frac{x \cdot y}{\lVert x \rVert \, \lVert y \rVert},$$
#
# because a vector might be long for reasons unrelated to its meaning.
#
# A cosine is between −1 and 1, and a softmax of such numbers is nearly flat. We therefore multiply the cosines by a
# scale: $\ell_{ij} = s \cos(x_i, y_j)$ is the logit of image $i$ with text $j$. The <dfn>temperature</dfn> of a softmax
# is the number $\tau$ that we divide its inputs by, here $\tau = 1/s$: the lower it is, the more of the probability
# goes to the largest input. CLIP learns the scale or, more precisely, $\ln s$, starting from $\ln(1/0.07)$. A step of
# the optimiser then multiplies the scale instead of adding to it, and can't make it negative. The scale must not exceed
# 100, "which we found necessary to prevent training instability" (section 2.5).

# %% exercise="clip_logits"
from studium_topics.clip.exercises import clip_logits

# %% [markdown]
# Let's go back to the board at the top. The softmax over a row answers "which of these captions suits this image?", and
# over a column, "which of these images suits this caption?". The logits are the same, but the answers are not. Both
# also depend on what *else* is on the board: 0.9 means "rather than the other seven". If all captions are wrong, a row
# still adds up to 1.
#
# This tower ignores the order of the words, because it takes the mean of their vectors. A <dfn>bag of words</dfn> is a
# text without the order of its words. CLIP's real text tower is a transformer and could know better, but mostly it does
# not ([Yuksekgonul et al. 2022](https://arxiv.org/abs/2210.01936)). When it must choose between "the horse is eating
# the grass" and "the grass is eating the horse", it is little better than chance. Its batches hardly ever contained the
# same words in another order, so there was no reward for learning the order.
#
# ## The loss
#
# A batch is $N$ pairs. Each row of logits, and likewise each column, is then a classification with $N$ classes, and the
# right answer is on the diagonal. <dfn>InfoNCE</dfn> ([van den Oord et al. 2018](https://arxiv.org/abs/1807.03748)) is
# the loss of finding what belongs to $x$ among $N$ candidates: the cross-entropy of a softmax over similarities, with
# the rest of the batch as wrong answers. CLIP takes the mean of both directions:
#
# $$L = \frac{1}{2N} \sum_i \Big( -\ln \frac{e^{\ell_{ii}}}{\sum_j e^{\ell_{ij}}}
# - \ln \frac{e^{\ell_{ii}}}{\sum_j e^{\ell_{ji}}} \Big).$$
#
# One warning: $e^{100}$ does not fit into a float32. If you just compute $e^{\ell}$, your loss will be infinite or nan
# once the scale has grown.

# %% exercise="clip_loss"
from studium_topics.clip.exercises import clip_loss

# %% [markdown]
# A model that knows nothing has loss $\ln N$. A loss of 0.9 is therefore poor at $N = 8$, where $\ln N = 2.1$, but
# remarkable at CLIP's $N = 32\,768$, where it is 10.4. **Compare a loss with $\ln N$, never with the loss at another
# batch size.**

# %% [markdown]
# **In practice** you would use `CLIPModel` from `transformers`. Here is a tiny one with random weights, whose logits
# and loss should equal yours:

# %% tags=["experiment", "bridge"]
try:
    from transformers import CLIPConfig, CLIPModel
except ImportError:
    print("transformers is not installed here; its class is transformers.CLIPModel.")
else:
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision, words = {"image_size": 16, "patch_size": 8} | tower, {"vocab_size": 99, "eos_token_id": 98} | tower
    theirs = CLIPModel(CLIPConfig(text_config=words, vision_config=vision, projection_dim=16)).eval()
    generator = torch.Generator().manual_seed(0)
    pixels, ids = torch.randn(6, 3, 16, 16, generator=generator), torch.randint(98, (6, 5), generator=generator)
    with torch.no_grad():
        out = theirs(input_ids=ids, pixel_values=pixels, return_loss=True)
        logits = lesson.mine(clip_logits)(out.image_embeds, out.text_embeds, theirs.logit_scale)
        apart = (logits - out.logits_per_image).abs().max(), (lesson.mine(clip_loss)(logits) - out.loss).abs()
    print(f"transformers.CLIPModel: logits differ by {apart[0]:.1e}, losses by {apart[1]:.1e}")

# %% [markdown]
# How low can the loss get? The best we can do with $N$ unit vectors is to place them as far from each other as
# possible, like the corners of a simplex, where the cosine of any two is $-1/(N-1)$. This takes $N - 1$ dimensions;
# with fewer, the loss stays above. If image and caption are at the same corner, it is
#
# $$L_{\min} = \ln\!\big( 1 + (N - 1)\, e^{-s N / (N - 1)} \big).$$
#
# <details><summary>Derivation</summary>
#
# In each row the right logit is $s$ and the $N - 1$ others are $-s/(N-1)$. So the cross-entropy is $-\ln
# \frac{e^{s}}{e^{s} + (N-1) e^{-s/(N-1)}} = \ln\big(1 + (N-1) e^{-s - s/(N-1)}\big)$, and $s + s/(N-1) = sN/(N-1)$.
# Columns are the same.
#
# No unit vectors $x_i, y_j$ do better. The loss is convex in the differences $\ell_{ii} - \ell_{ij}$ and $\ell_{ii} -
# \ell_{ji}$, so by Jensen's inequality it is at least $\ln(1 + (N-1)\,e^{-\delta})$, where $\delta$ is their mean,
# $\frac{sN}{N-1} \cdot \frac1N \sum_i (x_i - \bar x) \cdot (y_i - \bar y)$. The sum is at most $N$ by Cauchy–Schwarz,
# because $\sum_i \lVert x_i - \bar x \rVert^2 = N - N \lVert \bar x \rVert^2$.
# </details>
#
# *Make a guess: if we fix the scale at 1, that is, use no temperature, how low can the loss get for $N = 48$? A model
# that knows nothing has $\ln 48 = 3.87$.*

# %% tags=["experiment"]
lesson.predict("floor without a temperature", ..., "How low can the loss get with N = 48 and a scale of 1?")

# %% [markdown]
# ## Two images, one caption
#
# Some captions occur twice. Among 32 768 images from the web, several will be "a photo of a cat", and our loss counts
# each of these captions as *wrong* for the other cats. Does this harm training? To find out, write a loss that shares
# the target among all matches.

# %% exercise="multi_positive_loss"
from studium_topics.clip.exercises import multi_positive_loss

# %% tags=["experiment"]
lowest = floors(
    lesson.mine(clip_logits), lesson.mine(clip_loss), lesson.mine(multi_positive_loss), profile=lesson.profile
)
rows = [
    (f"measured, N = {batch}", *(f"{lowest.lowest[scale, batch]:.4f}" for scale in SCALES), f"{math.log(batch):.4f}")
    for batch in BATCHES
]
formula = [f"{simplex_floor(scale, 32768):.4f}" for scale in SCALES]
rows.append(("formula, N = 32768", *formula, f"{math.log(32768):.4f}"))
show_table(["the best possible features", *(f"scale {scale:.3g}" for scale in SCALES), "ln N"], rows)
print("each caption m times in a batch of 48, scale 100:")
show_table(
    ["m", "plain loss", "shared targets", "ln m"],
    [
        (copies, f"{plain:.4f}", f"{abs(lowest.shared[copies]):.4f}", f"{math.log(copies):.4f}")
        for copies, plain in lowest.copied.items()
    ],
)
print(f"on noise the two losses differ by {lowest.noise:.0e}")
lesson.found("floor without a temperature", lowest.lowest[1.0, 48])

# %% [markdown] tags=["experiment"]
# In the first column, without a temperature, even *perfect* features cannot single out the right answer: the loss is
# 2.89 of 3.87, and at $N = 32\,768$ it is 9.40 of 10.40. The gradient therefore also pushes on pairs that are already
# right. At a scale of 14, the floor is 0.02 even there.
#
# If each caption occurs $m$ times, this adds $\ln m$ to the floor **with either loss**, and on random features the two
# losses are equal up to rounding.
#
# **Think about it.** Why are they equal, for any features? And when would they not be?
#
# <details><summary>Answer</summary>
#
# Copies of a caption are *the same* vector $y$, so their logits in a row are equal, and so is the mean of these logits.
# If we share the target, the rows therefore don't change. The columns of those copies contain the same numbers. The
# plain loss wants a different matching image in each column, and together these are the images that the shared target
# wants, with equal shares. So the sums and the gradients agree: copies only add a constant. The losses differ once
# copies are not equal, for example with dropout in the text tower, with another prompt for each, or with two captions
# that *mean* the same in different words. The last is the real problem, and you can't find it using an index.
# </details>

# %% [markdown]
# ## A classifier made of words
#
# If you put each name from a list of classes into a sentence and embed it, you get a vector for each class: the weights
# of a linear classifier, without any training. In <dfn>zero-shot</dfn> classification we choose among classes given
# only by their names, without a labelled image of any.
#
# Why do we use a sentence and not just the word? Because CLIP was trained on sentences. With "A photo of a {label}." it
# gained 1.3 points on ImageNet, and averaging 80 such <dfn>prompts</dfn>, sentences with a place for the name, gave
# another 3.5, together 4.8 (section 3.1.4). We average unit vectors, and make the average a unit vector again.

# %% exercise="zero_shot_weights"
from studium_topics.clip.exercises import zero_shot_weights

# %% [markdown]
# **Think about it.** Why do we average the *vectors* and not the probabilities from each prompt?
#
# <details><summary>Answer</summary>
#
# Because there is then one vector per class again. Once embedded, 80 prompts cost no more than one (section 3.1.4).
# </details>

# %% [markdown]
# ## Train it, and let it name
#
# Our images have 16 × 16 pixels and show one shape, in five forms, six colours and two sizes. The position, the
# background and the noise are new in each image, and the captions don't mention them.

# %%
kinds = shapes.SEEN[::6]
ImageGrid(
    shapes.render(kinds, torch.Generator().manual_seed(0)),
    captions=shapes.captions(kinds),
    columns=4,
    low=0,
    high=1,
    label="images and captions of training",
)

# %% [markdown]
# Now build CLIP from your functions: train both towers on such pairs, make a classifier out of names, and name new
# images.

# %% exercise="name_images"
from studium_topics.clip.exercises import name_images

# %% [markdown] tags=["experiment"]
# Your function trains for 60 steps of 48 pairs, and then names images of the six pairs of colour and form that the
# training captions left out. Here is what it calls them:

# %% tags=["experiment"]
generator, batches = torch.Generator().manual_seed(0), []
for _ in range(60):
    kinds = shapes.SEEN[torch.randperm(48, generator=generator)]
    batches.append((shapes.render(kinds, generator), shapes.captions(kinds)))
images = shapes.render(shapes.HELD_OUT, generator)
names = shapes.NAMES
probabilities, losses = lesson.mine(name_images)(drawn(0), batches, 2e-3, images, names, shapes.TEMPLATES)
print(f"loss of the first and the last batch: {losses[0]:.3f} and {losses[-1]:.3f}, of ln 48 = {math.log(48):.3f}")
best = probabilities.argmax(-1)
grid = ImageGrid(images, captions=[names[i] for i in best], columns=4, low=0, high=1, label="what the model calls them")
lesson.keepsake(
    grid, "Images that no training caption named", f"loss {losses[0]:.2f}, then {losses[-1]:.2f}", name_images
)

# %% [markdown] tags=["experiment"]
# Most colours are right, but many forms are not. In the experiment below we train for longer.
#
# ## Retrieval
#
# You can also use CLIP as a search engine: a sentence comes in, and an image goes out. <dfn>Recall at k</dfn> is the
# share of queries whose own item is among the $k$ most similar items. It is easy to compute and easy to get wrong. If a
# model collapses and gives *every* pair the same cosine, `argmax` picks the first, `topk` picks any, and with a
# careless `>` all seem to be found.

# %% exercise="recall_at_k"
from studium_topics.clip.exercises import recall_at_k

# %% [markdown]
# ## Two regions of one space
#
# Both towers end in the same space, but do they use the same part of it? The <dfn>modality gap</dfn> of a model is the
# distance between the mean unit vector of its images and the mean unit vector of its texts. In CLIP, and in every
# similar model that [Liang et al. 2022](https://arxiv.org/abs/2203.02053) examined, images lie in one narrow cone and
# texts in another, and the two do not overlap. Here are our towers before any training:

# %% tags=["experiment"]
for seed in range(3):
    print(f"seed {seed}: distance of the means {gap(drawn(seed), seed):.2f}, of 2 at most")

# %% [markdown]
# The gap is there before the first step, because a random network with ReLUs maps all its inputs into a narrow cone,
# and two networks have two cones. Would the model be better if they met? Write what moves them towards each other; you
# will measure it after training.

# %% exercise="shift_gap"
from studium_topics.clip.exercises import shift_gap

# %% [markdown] tags=["experiment"]
# ## The experiment
#
# **We hold out six of the 30 pairs of colour and form**: red disc, green ring, blue square, yellow triangle, purple
# cross, white disc. We don't train on any image or caption of these, but we show each colour with four other forms, and
# each form with four other colours or more. A classifier with a class for each pair could not name them: the class
# would have no example.
#
# A batch contains the other 48 kinds, each of them once, so the floor is almost 0. We train four models on the same
# number of images, 24 000 at laptop: one as in the paper; one with the scale fixed at 1; one with the scale fixed at
# 100, where CLIP's scale ended; and one with batches of 8 kinds, which makes six times as many steps.
#
# Names come in several ways: the bare name, "red disc"; one prompt, "a small red disc"; two prompts, small and large,
# of which your function takes the mean; or, with a classifier for each prompt, the better of the two cosines.
#
# *What share of images of held-out pairs will the first model name correctly, among all 30 names, by the better of two
# prompts? Guessing gives 0.03.* The cell takes about a minute on two idle cores.

# %% tags=["experiment"]
lesson.predict("held-out pairs", ..., "What share of images of held-out pairs does it name correctly, of 30 names?")

# %% tags=["experiment"]
found = naming(
    lesson.mine(clip_logits),
    lesson.mine(clip_loss),
    lesson.mine(zero_shot_weights),
    lesson.mine(recall_at_k),
    lesson.mine(shift_gap),
    profile=lesson.profile,
    seed=0,
)
show_table(
    ["named right, of 30 names", "seen pairs", "held-out pairs", "of these: colour", "form", "scale"],
    [
        (
            name,
            f"{run.seen[BETTER]:.2f}",
            f"{run.held_out[BETTER]:.2f}",
            f"{run.colour:.2f}",
            f"{run.form:.2f}",
            f"{run.scale:.1f}",
        )  # fmt: skip
        for name, run in found.runs.items()
    ],
)
lesson.found("held-out pairs", found.held_out, within=0.2)

# %% tags=["experiment"]
curves = figure(x="Images seen", y="Loss, of ln N", height=360)
for (name, run), colour, dash in zip(found.runs.items(), COLOURS, DASHES, strict=False):
    means = torch.tensor(run.losses).unflatten(0, (20, -1)).mean(1)
    seen = [(part + 1) * PICTURES[lesson.profile.name] // 20 for part in range(20)]
    curves.add_scatter(x=seen, y=means.tolist(), name=name, mode="lines", line={"color": colour, "dash": dash})
curves

# %% [markdown] tags=["experiment"]
# Here are six runs at laptop: five seeds, and one seed again with its sums in another order, which just by itself moves
# a number by some points. (You ran one.)
#
# * **The model can name pairs that it never saw in training**: 80 to 88 % of the images, where guessing gives 3 % and a
#   classifier with a class for each pair 0. The words make this possible: it learned *red* from rings and *disc* from
#   blue discs. So be careful about what zero-shot means. The *pair* is new, but its parts are not. A colour that no
#   caption mentioned has no word vector.
# * **Colour comes first, form late.** Whatever goes wrong, the colour is right, in 97 % of the images or more, with
#   every model. The mean of the pixels gives it away, and a model that tells colours apart has already removed much of
#   its loss. A <dfn>shortcut</dfn> is a feature that lowers the loss a long way without being what we wanted.
# * **Scale 1**: 16 to 41 % of held-out pairs. Look at its loss: .77 of $\ln N$ is 2.97, and the floor you computed is
#   2.89. It has learned nearly all that its loss rewards. (The learned scale grew from 14.3 to about 20.)
# * **Scale 100 from the start**: 53 to 71 %. Nearly all the gradient goes to the most similar wrong answer from the
#   first step on, when similarities don't mean anything yet.
# * **Batches of 8**: 55 to 73 %, with six times the steps. Their loss is near 0, because the task was easy: among 48
#   captions, seven others have the same colour, but among eight only one on average, so the model seldom needs the
#   form. **The other captions in the batch are the questions**, and in CLIP's batch there are 32 768.
#
# ## Ask it yourself
#
# This is the model from the first run, with new images. The first five pairs on this board were held out. Its text
# tower runs in the page. **Write captions**, and find out:
#
# 1. *With whole captions, hardly any image is confused, held out or not. Leave out the size: "a red disc". Now leave
#    out all but the form: "disc". What can it still find?*
# 2. *Give image A the caption "a small red ring" too. How do A and F share the two?*
# 3. *Can we tell it what not to look for? "a red shape but not a ring".*

# %% tags=["experiment", "widget"]
kinds = torch.cat([shapes.HELD_OUT[[0, 3, 4, 7, 9]], shapes.SEEN[[0, 5, 40]]])
CaptionBoard.of(found.runs["CLIP"].model, kinds, seed=7)

# %% [markdown] tags=["experiment"]
# ## Further
#
# ### Prompts that agree and prompts that do not
#
# *Before you run this: we average "a small {}" and "a large {}" into one vector. Is this better than just "{}"? Is it
# as good as using both and taking the better answer?*

# %% tags=["experiment"]
run = found.runs["CLIP"]
show_table(
    ["", "seen pairs", "held-out pairs"],
    [(way, f"{run.seen[way]:.2f}", f"{run.held_out[way]:.2f}") for way in run.held_out],
)
print("recall at 1 among all 60 kinds with their whole captions: ", end="")
print(f"{found.retrieval[0]:.2f} of the images, {found.retrieval[1]:.2f} of the texts")

# %% [markdown] tags=["experiment"]
# Averaging helps on pairs from the training data: 2 to 14 points more than the bare name, as in the paper, because the
# model has never seen a bare name. For held-out pairs the gain is not reliable: −3 to 12 points.
#
# And the better of two is far better than their mean: 80 to 88 % compared with 59 to 78 % of held-out pairs. You should
# use averages for **paraphrases**. "A photo of a dog" and "an image of a dog" mean the same, and their mean expresses
# it with less noise. *Small* and *large* contradict each other, so their mean points to something that no image shows.
#
# ### What training does to the gap
#
# Here is the gap again, now for the trained models:

# %% tags=["experiment"]
show_table(
    ["distance of the means", "before training", "after"],
    [(name, f"{run.gaps[0]:.2f}", f"{run.gaps[1]:.3f}") for name, run in found.runs.items()],
)

# %% tags=["experiment", "widget"]
Chart(
    x=list(found.shifted),
    y=[[loss for loss, _ in found.shifted.values()]],
    names=["loss"],
    x_label="share of the gap that is closed",
    y_label="loss with one image of each kind",
)

# %% [markdown] tags=["experiment"]
# Here, training closes the gap: to .12 or .13 for our CLIP, and to almost nothing for scale 1. In the real CLIP, a
# distance of about 0.8 is left. The temperature is part of the reason, as Liang et al. also write: at scale 100 about
# .2 is left, at scale 1 a tenth of that. At a low temperature, the loss is low once the right pair is a little ahead;
# the two don't need to be *close*. If all cosines were .3 lower, the probabilities would be the same.
#
# Would it help to close the rest? Hardly: in the chart, the loss moves by some hundredths, and recall by one image or
# none. The gap describes the space; it does not spoil comparisons. It does matter if you mix images and texts in *one*
# index, because texts will then find texts first.
#
# ## What does not reproduce at this size
#
# * **76.2 % on ImageNet.** We have 30 classes, and training showed every word of their names. We reproduce that a model
#   can name *pairs* that were in none of the training images.
# * **Efficiency.** In the paper's second figure, predicting which caption is right is four times as efficient as
#   predicting the bag of its words. We have not tried this, and would not expect it with 14 words.
# * **A scale that grows to 100.** Ours ends near 20, perhaps because 24 000 images are few.
# * **A modality gap that stays.** Ours almost closes, as you saw. We do not know which of the differences (depth, noisy
#   pairs, temperature at the end) is the main reason.
# * **Prompt ensembles on held-out pairs.** We only see the gain on pairs from the training data.
#
# ## Common misconceptions
#
# * *"The cosine is a confidence."* It is not a probability: right pairs in CLIP have cosines near .3. And the softmax
#   is a probability only among the given candidates, even if all of them are wrong.
# * *"A lower loss is a better model."* Batches of 8 ended with about the loss of batches of 48, but could name less.
#   Compare with $\ln N$, and then use a test.
# * *"The temperature is a detail."* At 1 it costs half of the accuracy or more, at 0.01 an eighth to a third.
# * *"Duplicates poison the gradient."* Exact duplicates add a constant.
# * *"Zero-shot means it can name anything."* It can name what words and images had in common in training.
# * *"It understands the sentence."* It knows which words are in it. Ours could not do more. CLIP could, but mostly does
#   not.
#
# ## You can now
#
# * write a contrastive loss that stays finite, and compute its lowest value;
# * explain how the temperature and the size of the batch affect what the model learns;
# * make a classifier out of class names, and average prompts where this helps;
# * measure retrieval so that a collapsed model finds nothing;
# * tell a new combination of known parts, which CLIP can name, from a new part, which it cannot.
#
# ## Open tasks
#
# * **Ten minutes.** Suppose a model sees only colour and size. How low can its loss get on a batch of all 48 kinds? You
#   should find $\ln 4 = 1.39$ of $\ln 48 = 3.87$, because groups of four kinds look alike. A falling loss doesn't prove
#   much. `CaptionBoard.drawn(blind="form")` shows such a model.
# * **An hour.** Hold out a whole colour instead of six pairs, and name its images. The accuracy should be at chance.
# * **A day.** Replace the softmax by the sigmoid loss of SigLIP, which judges each pair by itself, and compare batches
#   of 8 and 48. You should see whether the small batch still costs accuracy on held-out pairs.
#
# ## Further reading
#
# * [Radford et al. 2021](https://arxiv.org/abs/2103.00020): figure 3 is your loss, in the style of NumPy. Read section
#   6 on limitations too.
# * [Zhai et al. 2023](https://arxiv.org/abs/2303.15343), SigLIP: uses a sigmoid for each pair, so it needs no softmax
#   over the batch.
# * [Liang et al. 2022](https://arxiv.org/abs/2203.02053): the gap, from random weights to CLIP.
# * [Yuksekgonul et al. 2022](https://arxiv.org/abs/2210.01936): how to teach a model the order of words, using captions
#   with exchanged words as extra wrong answers in the batch.
