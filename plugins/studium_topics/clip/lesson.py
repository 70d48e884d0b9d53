# %% [markdown]
# # CLIP: images and text in one space
#
# In 2009 ImageNet began to pay people for labels: 14 million pictures, each with a word out of a fixed list. For ten
# years that list was what computer vision could see. A network trained on it knew 1000 classes, and the 1001st did not
# exist for it.
#
# Meanwhile the web was full of pictures with a sentence beside them, which nobody had been paid for. In January 2021
# Alec Radford and his colleagues at OpenAI took 400 million such pairs and asked a network one question only: **which
# of these sentences belongs to which of these pictures?** No label, no list. Then they *wrote* a classifier for
# ImageNet, a sentence for each class. It was right on 76.2 % of the pictures, as often as a ResNet-50 that had been
# trained on all of ImageNet's labels, and without having seen one of them. In this lesson you will
#
# 1. write the loss, stably, and compute how low it can get: by temperature, by batch, with captions that repeat;
# 2. turn names into a classifier, and measure retrieval without being fooled by ties;
# 3. train both towers on pictures of shapes, with some pairs of colour and form **held out**, and name those;
# 4. take away what makes it work, the temperature and the large batch, one at a time;
# 5. write your own captions, watch the matrix of similarities, and find out what the model does not read;
# 6. find that pictures and texts start in two places far apart, and ask what brings them together.
#
# You need an encoder and its embedding, from the topic *encoder-only*. The paper:
# [Radford et al. 2021](https://arxiv.org/abs/2103.00020).

# %%
import math

import torch

from studium_topics.clip import shapes
from studium_topics.clip.board import CaptionBoard
from studium_topics.clip.experiment import BATCHES, BETTER, PICTURES, SCALES, floors, naming, simplex_floor
from studium_widgets import Chart, figure
from studium_widgets.plots import COLOURS, DASHES

# %% [markdown]
# ## Two towers, one space
#
# Call the network that reads a picture the image tower, and the one that reads a sentence the text tower. Each ends in
# a linear map into the *same* $d$ dimensions. Nothing connects them but the loss. What they give is compared by its
# direction alone,
#
# $$\cos(x, y) = \frac{x \cdot y}{\lVert x \rVert \, \lVert y \rVert},$$
#
# for a vector can be long for reasons that have nothing to do with what it means.
#
# A cosine lies between −1 and 1, and a softmax of such numbers is nearly flat. So they are multiplied by a scale
# before: $\ell_{ij} = s \cos(x_i, y_j)$ is the logit of picture $i$ with text $j$. The <dfn>temperature</dfn> of a
# softmax is the number $\tau$ that its inputs are divided by, here $\tau = 1/s$: the lower it is, the more of the
# probability goes to the largest. CLIP learns it. More precisely it learns $\ln s$, from $\ln(1/0.07)$ on: a step of
# the optimiser then multiplies the scale instead of adding to it, and no step makes it negative. And $s$ may not exceed
# 100, "which we found necessary to prevent training instability".

# %% exercise="clip_logits"
from studium_topics.clip.exercises import clip_logits

# %% [markdown]
# Here is what it is about. Eight pictures and eight captions. The model behind this board was made by hand: each word
# is a direction of its own, and a picture is the sum of what it shows. The rings mark what belongs together. **Write
# into the captions.** Everything is computed while you type.
#
# 1. *Change "ring" to "disc" in caption 1. Which pictures does it compete for now?*
# 2. *Set τ to 1, then to 0.01. In which of the two could you say how sure the model is?*
# 3. *Take the softmax over the pictures in place of the captions. Find a pair for which the two disagree.*
# 4. *Write "ring red small a". Write "a small blue ring, not a red disc".* What does this text tower not read?

# %% tags=["widget"]
CaptionBoard.drawn()

# %% [markdown]
# The softmax over a row asks "which of these captions suits this picture?", the one over a column "which of these
# pictures suits this caption?". The same logits, and not the same answer. And both depend on what *else* is on the
# board: a probability of 0.9 means "rather than the other seven". It is no measure of truth. If all captions are
# wrong, the row still sums to 1.
#
# The order of words went unnoticed, since this tower takes the mean of its words' vectors: it is a **bag of words** by
# construction. CLIP's own text tower is a transformer and could know better. It was found that it mostly does not
# ([Yuksekgonul et al. 2022](https://arxiv.org/abs/2210.01936)): asked whether "the horse is eating the grass" or "the
# grass is eating the horse", it is little better than a coin. Why should it learn the order? In its batch
# there was hardly ever a caption with the same words in another order.
#
# ## The loss
#
# A batch is $N$ pairs. So each row is a classification with $N$ classes, whose right answer is on the diagonal. So is
# each column. <dfn>InfoNCE</dfn> ([van den Oord et al. 2018](https://arxiv.org/abs/1807.03748)) is the loss of finding
# what belongs to $x$ among $N$ candidates: the cross-entropy of a softmax over similarities, in which the other members
# of the batch are the wrong answers. CLIP takes the mean of both directions:
#
# $$L = \frac{1}{2N} \sum_i \Big( -\ln \frac{e^{\ell_{ii}}}{\sum_j e^{\ell_{ij}}}
# - \ln \frac{e^{\ell_{ii}}}{\sum_j e^{\ell_{ji}}} \Big).$$
#
# One warning: $e^{100}$ does not fit into a float32. Write $e^{\ell}$ with your own hands, and the loss is infinite, or
# no number at all, as soon as the scale has grown.

# %% exercise="clip_loss"
from studium_topics.clip.exercises import clip_loss

# %% [markdown]
# Who knows nothing has a loss of $\ln N$. So a loss says nothing without its batch: 0.9 at $N = 8$ is poor, and at
# $N = 32\,768$, CLIP's own, it is remarkable. **Compare with $\ln N$, never across batch sizes.**
#
# How low can it get? The best that $N$ vectors can do is to stand as far from each other as possible, as corners of a
# simplex: all cosines of different ones are $-1/(N-1)$. That takes $N - 1$ dimensions; in fewer, the loss stays above.
# With picture and caption at the same corner it is
#
# $$L_{\min} = \ln\!\big( 1 + (N - 1)\, e^{-s N / (N - 1)} \big).$$
#
# *Guess: with the scale fixed at 1, that is, without a temperature, and $N = 48$, how low can the loss get? Knowing
# nothing costs $\ln 48 = 3.87$.*

# %% tags=["experiment"]
lesson.predict("floor without a temperature", ..., "How low can the loss get with N = 48 and a scale of 1?")

# %% [markdown]
# ## Two pictures, one caption
#
# Some captions come twice. Among 32 768 pictures from the web there are several of "a photo of a cat", and each of
# those captions is *wrong* for the other cats, says the diagonal. People worry that this poisons training. Write the
# loss which does it properly, with the target shared among all matches, and then see.

# %% exercise="multi_positive_loss"
from studium_topics.clip.exercises import multi_positive_loss

# %% tags=["experiment"]
lowest = floors(
    lesson.mine(clip_logits), lesson.mine(clip_loss), lesson.mine(multi_positive_loss), profile=lesson.profile
)
print(
    f"{'the best possible features':29}" + "".join(f"{f'scale {scale:.3g}':>12}" for scale in SCALES) + "        ln N"
)
for batch in BATCHES:
    row = "".join(f"{lowest.lowest[scale, batch]:12.4f}" for scale in SCALES)
    print(f"measured, N = {batch:<15}{row}{math.log(batch):12.4f}")
row = "".join(f"{simplex_floor(scale, 32768):12.4f}" for scale in SCALES)
print(f"formula,  N = {32768:<15}{row}{math.log(32768):12.4f}")
print("\neach caption m times in a batch of 48, scale 100:")
for copies, plain in lowest.copied.items():
    shared = lowest.shared[copies]
    print(f"m = {copies}: plain loss {plain:.4f}, shared targets {abs(shared):.4f}, ln m = {math.log(copies):.4f}")
print(f"on noise the two losses differ by {lowest.noise:.0e}")
lesson.found("floor without a temperature", lowest.lowest[1.0, 48])

# %% [markdown] tags=["experiment"]
# Look at the first column. Without a temperature even *perfect* features cannot say "it is this one": 2.89 of 3.87, and
# at $N = 32\,768$ hardly less than nothing at all. The loss is high and its gradient pushes on all pairs, the solved
# ones as well. At a scale of 14 the problem is gone.
#
# And the copies? They add $\ln m$ to the floor, **with either loss**, and on noise the two are equal to the last digit.
#
# **Think about it.** Why are they equal, for any features? And when would they not be?
#
# <details><summary>Answer</summary>
#
# Copies of one caption are *one* vector $y$, so their logits in a row are equal, and the mean of equal logits is each
# of them: sharing the target changes nothing in the rows. In the columns of those copies stand the same numbers, once
# for each copy. The plain loss asks each column for another one of the matching pictures, and together they ask for all
# of them, with equal shares. So the sums agree, and so do the gradients. Copies do no harm but a constant, which has no
# gradient. The losses differ once copies are not equal: with dropout in the text tower, with another prompt for each,
# or with two captions that *mean* the same in different words. The last is the true problem, and no index finds it.
# </details>

# %% [markdown]
# ## A classifier made of words
#
# Now the trick. Someone hands you a list of class names. Put each into a sentence, embed it, and you have a vector for
# each class: the weights of a linear classifier, and nobody had to train it. <dfn>Zero-shot</dfn> classification is to
# choose among classes that are given by their names only, with no labelled picture of any.
#
# Why a sentence and not the bare word? Because training had sentences. "A photo of a {label}." gave CLIP 1.3 points on
# ImageNet, and averaging 80 such <dfn>prompts</dfn>, sentences with a place for the name, another 3.5. The average is
# of unit vectors, and is made a unit vector again.

# %% exercise="zero_shot_weights"
from studium_topics.clip.exercises import zero_shot_weights

# %% [markdown]
# **Think about it.** Why average the *vectors* and not the probabilities that each prompt would give?
#
# <details><summary>Answer</summary>
#
# Because there is then one vector for each class again: 80 prompts cost no more than one, once they have been embedded.
# The authors name this as the reason.
# </details>
#
# ## Who finds whom
#
# The other use is a search engine: a sentence comes in, a picture goes out. <dfn>Recall at k</dfn> is the share of
# queries whose own item is among the $k$ most similar ones. It is easily computed, and easily cheated: if a model
# collapses and gives *every* pair the same cosine, `argmax` picks the first, `topk` picks any, and a careless `>` says
# that all are found.

# %% exercise="recall_at_k"
from studium_topics.clip.exercises import recall_at_k

# %% [markdown]
# One function more, for the end of the lesson. After training, the mean of all pictures and the mean of all texts turn
# out not to be the same point. Write what moves them towards each other.

# %% exercise="shift_gap"
from studium_topics.clip.exercises import shift_gap

# %% [markdown] tags=["experiment"]
# ## The experiment
#
# The world: one shape on a picture of 16 × 16 pixels. Five forms, six colours, two sizes. Where it stands, the colour
# of the ground, shade and noise are drawn anew for each picture, and no caption says a word about them.
#
# **Six of the 30 pairs of colour and form are held out**: red disc, green ring, blue square, yellow triangle, purple
# cross, white disc. No picture of them is ever trained on, and no caption. Each colour is seen with four other forms,
# each form with four other colours or more. A classifier with a class for each pair could not name them: the class
# would have no example.
#
# A batch is all 48 kinds that are left, each once, so that the floor is 0. Four models see the same 24 000 pictures:
# one as in the paper; one with the scale fixed at 1; one with the scale fixed at 100, where CLIP's own ended; and one
# with batches of 8 kinds, which makes six times as many steps.
#
# Names come in several ways: the bare name, "red disc"; one prompt, "a small red disc"; two prompts, small and large,
# of which your function takes the mean; or, with one classifier for each prompt, the better of the two cosines.
#
# *Predict the share of pictures of held-out pairs that the first model names right, among all 30 names, by the better
# of two prompts. Guessing gives 0.03.* The cell takes about a minute on two idle cores.

# %% tags=["experiment"]
lesson.predict("held-out pairs", ..., "Which share of pictures of held-out pairs is named right, of 30 names?")

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
print("named right, of 30 names   seen pairs   held-out pairs   of these: colour    form    scale")
for name, run in found.runs.items():
    shares = f"{run.seen[BETTER]:10.2f}{run.held_out[BETTER]:17.2f}{run.colour:19.2f}{run.form:8.2f}"
    print(f"{name:26} {shares}{run.scale:9.1f}")
lesson.found("held-out pairs", found.held_out, within=0.2)

# %% tags=["experiment"]
curves = figure(x="Pictures seen", y="Loss, of ln N", height=360)
for (name, run), colour, dash in zip(found.runs.items(), COLOURS, DASHES, strict=False):
    means = torch.tensor(run.losses).unflatten(0, (20, -1)).mean(1)
    seen = [(part + 1) * PICTURES[lesson.profile.name] // 20 for part in range(20)]
    curves.add_scatter(x=seen, y=means.tolist(), name=name, mode="lines", line={"color": colour, "dash": dash})
curves

# %% [markdown] tags=["experiment"]
# What to make of it, over six runs: five seeds, and one of them again with its sums in another order, which alone moves
# a figure by some points. (We ran them, you ran one.)
#
# * **Pairs that nobody ever showed are named**: 80 to 88 % of the pictures, where guessing gives .03 and a classifier
#   with a class for each pair 0. The words carry it: *red* was learned from rings and *disc* from blue ones. So mind
#   what zero-shot means. The *pair* is new, its parts are not. A colour that no caption mentioned has no word vector.
# * **Colour comes first, form late.** Whatever goes wrong, the colour is right: in 97 % of the pictures or more, with
#   every model. The mean of the pixels gives it away, and a model that tells colours apart has got rid of much of its
#   loss. A <dfn>shortcut</dfn> is a feature that goes a long way in training without being what was meant. Models take
#   what is cheap.
# * **Scale 1**: 16 to 41 % of held-out pairs. Look at its loss: .77 of $\ln N$ is 2.97, and the floor that you computed
#   is 2.89. It has learned nearly all that its loss can pay for. The scale of the first model went from 14.3 to about
#   20.
# * **Scale 100 from the start**: 53 to 71 %. The opposite: nearly all gradient goes to the one most similar wrong
#   answer, right from the first step, when similarities mean nothing yet.
# * **Batches of 8**: 55 to 73 %, with six times the steps. Their loss is near 0. The task was easy: among 48 captions
#   seven others have the same colour, among eight only one on average, so form is seldom asked for. **The other
#   captions of the batch are the questions**, and CLIP's batch asks 32 768.
#
# ## Ask it yourself
#
# This is the model that you have just trained, with new pictures. The first five pairs of this board were held out.
# Its text tower runs in the page. **Write captions**, and find out:
#
# 1. *With whole captions hardly a picture is confused, held out or not. Leave out the size: "a red disc". Now leave out
#    all but the form: "disc". What is still found?*
# 2. *Give picture A the caption "a small red ring" too. How do A and F share the two?*
# 3. *Can it be told what not to look for? "a red shape but not a ring".*

# %% tags=["experiment", "widget"]
kinds = torch.cat([shapes.HELD_OUT[[0, 3, 4, 7, 9]], shapes.SEEN[[0, 5, 40]]])
CaptionBoard.of(found.runs["CLIP"].model, kinds, seed=7)

# %% [markdown] tags=["experiment"]
# ## Prompts that agree and prompts that do not
#
# *Before you run this: "a small {}" and "a large {}" are averaged into one vector. Is that better than "{}" alone? Is
# it as good as asking with both, and taking the better answer?*

# %% tags=["experiment"]
run = found.runs["CLIP"]
for way in run.held_out:
    print(f"{way:14} seen pairs {run.seen[way]:.2f}   held-out pairs {run.held_out[way]:.2f}")
print("\nrecall at 1 among all 60 kinds with their whole captions: ", end="")
print(f"{found.retrieval[0]:.2f} of the pictures, {found.retrieval[1]:.2f} of the texts")

# %% [markdown] tags=["experiment"]
# Averaging helps on pairs that were trained on: 2 to 14 points above the bare name, as the paper says, and for its
# reason, since the model has never seen a bare name. For held-out pairs it gains nothing to rely on: −3 to 12 points.
#
# And the better of two is far better than their mean, 80 to 88 % against 59 to 78 % of held-out pairs. Averages are for
# **paraphrases**. "A photo of a dog" and "a picture of a dog" say the same, and their mean says it with less noise.
# *Small* and *large* contradict each other. Their mean points to something that no picture is.
#
# ## The gap
#
# Both towers end in the same space. Do they fill it alike? The <dfn>modality gap</dfn> of a model is the distance
# between the mean of its pictures' vectors and that of its texts'. In CLIP, and in every model like it that Liang and
# others looked at, pictures lie in one narrow cone, texts in another, and the two do not overlap
# ([Mind the Gap](https://arxiv.org/abs/2203.02053)).

# %% tags=["experiment"]
for name, run in found.runs.items():
    print(f"{name:18} distance of the means: {run.gaps[0]:.2f} before training, {run.gaps[1]:.3f} after")

# %% tags=["experiment", "widget"]
Chart(
    x=list(found.shifted),
    y=[[loss for loss, _ in found.shifted.values()]],
    names=["loss"],
    x_label="share of the gap that is closed",
    y_label="loss with one picture of each kind",
)

# %% [markdown] tags=["experiment"]
# The gap is there **before** the first step: 1.1 to 1.4, of 2 at most. Nobody made it. A random network with ReLUs maps
# whatever it is given into a narrow cone, and two random networks into two. So far as in the paper.
#
# But then training closes it, here: to .12 or .13 for our CLIP, and to nothing for scale 1. In the real CLIP a distance
# of about 0.8 is left. The temperature has a part in it, as Liang and others say too: at scale 100 about .2 is left, at
# scale 1 a tenth of that. A softmax at a low temperature is content as soon as the right pair is a little ahead; it
# does not ask that the two be *close*. Cosines that are all .3 lower change no probability.
#
# Does closing the rest help? The chart says: hardly. The loss moves by some hundredths, and recall by one picture or
# none. The gap is a fact about the space and no defect of its comparisons. Where it does matter: when vectors of
# pictures and texts are mixed in *one* index, texts find texts first.
#
# ## On a GPU
#
# The logits of a batch are $N^2$ numbers: 4 GB for $N = 32\,768$ in float32, and several copies in the backward pass.
# `reference.chunked_clip_loss` makes a block of rows, keeps their losses, throws the logits away and makes them again
# for the gradient; it gives the same loss and gradients, in memory that grows with $N$ times the rows. CLIP itself gave
# each GPU the rows of its own pictures only. `reference.loss_cost` measures pairs a second and the peak of memory for
# both. **It has not been measured on a GPU yet.** With the profile `gpu` the experiment sees ten times the pictures.
#
# ## What does not reproduce at this size
#
# * **76.2 % on ImageNet.** Our classes are 30, made of 13 words that were all trained on. What is repeated is that
#   *pairs* can be named which no picture had.
# * **Efficiency.** The paper's second figure: to predict which caption is right learns four times faster than to
#   predict the bag of its words. With 14 words that describe a picture completely, we would not expect that here; we
#   have not tried.
# * **A scale that grows to 100.** Ours ends near 20: 24 000 pictures are few.
# * **A modality gap that stays.** Ours closes almost; see above. We do not know which of the differences (depth, noisy
#   pairs, temperature at the end) is the main reason.
# * **Prompt ensembles on held-out pairs.** The gain shows on seen pairs only.
#
# ## Common misconceptions
#
# * *"The cosine is a confidence."* It is no probability of anything: right pairs of CLIP have cosines near .3. And the
#   softmax is a probability among the candidates on the table, right or wrong.
# * *"A lower loss is a better model."* Batches of 8 ended with about the loss of batches of 48, and named less. Compare
#   with $\ln N$, and then with a test.
# * *"The temperature is a detail."* At 1 it costs half of the accuracy or more, at 0.01 an eighth to a third.
# * *"Duplicates poison the gradient."* Exact ones add a constant.
# * *"Zero-shot means it can name anything."* It can name what words and pictures of training had in common.
# * *"It understands the sentence."* It knows which words are in it. Ours could not do otherwise; CLIP could, and mostly
#   does not.
#
# ## Where to go next
#
# * [Radford et al. 2021](https://arxiv.org/abs/2103.00020): figure 3 is your loss, in the style of NumPy. Read section
#   6 on limitations too.
# * [Zhai et al. 2023](https://arxiv.org/abs/2303.15343), SigLIP: each pair is judged by itself, by a sigmoid. There is
#   no softmax over the batch, so that the batch may be small, or huge.
# * [Liang et al. 2022](https://arxiv.org/abs/2203.02053): the gap, from random weights to CLIP.
# * [Yuksekgonul et al. 2022](https://arxiv.org/abs/2210.01936): captions with their words exchanged, as extra wrong
#   answers in the batch. Now order is asked for, and is learned.
#
# **A last question.** On the first board, the pictures could be made blind to form, and captions would still name it.
# How low could the loss of a batch of all 48 kinds get, for a model that sees colour and size and nothing else?
#
# <details><summary>Answer</summary>
#
# Colour and size leave groups of four kinds that look alike. The best is to give each of them a quarter:
# $\ln 4 = 1.39$, of $\ln 48 = 3.87$. Nearly two thirds of the loss are gone, and not one form is known. That is why a
# falling loss proves little, and held-out pairs are counted. Try it: `CaptionBoard.drawn(blind="form")`.
# </details>
