# %% [markdown]
# # Decoder-only transformers (GPT, Llama)
#
# In 2020 GPT-3 was told what a "gigamuru" is, a word that does not exist, and asked to use it in a sentence. It did,
# after one example of the game. No weight had changed. Whatever it had "learned" stood in its context, and it **carried
# the pattern on**.
#
# The machine behind this is simple enough to write in an afternoon: read tokens from left to right, and predict the
# next one. Llama is that machine with better parts. In this lesson you will
#
# 1. write the parts of a Llama: its norm, its causal attention, its layer, its loss;
# 2. put them together, and hold the result against the published sizes, to the last parameter;
# 3. train a model that learns to copy from its context, and find out why **one layer cannot do it and two can**;
# 4. find the heads that do it, silence them, and see the ability vanish;
# 5. train a small Llama on prose, and sample from it with temperature, top-k and top-p.
#
# You need attention with a mask, from the topic *encoder-only*. The papers:
# [LLaMA](https://arxiv.org/abs/2302.13971), [GPT-3](https://arxiv.org/abs/2005.14165) and
# [induction heads](https://arxiv.org/abs/2209.11895).

# %%
import torch

from studium_topics.decoder_only import figures
from studium_topics.decoder_only.experiment import causality, induction, prose, repeated, without
from studium_topics.decoder_only.glass import GlassTransformer
from studium_topics.kits import text
from studium_widgets import AttentionHeatmap

# %% [markdown]
# ## One direction
#
# An encoder reads a sentence from both sides and fills in gaps. A decoder does one thing: from the tokens so far it
# gives a probability for each token that may come next,
#
# $$p(x_1, \dots, x_T) = \prod_{t=1}^{T} p(x_t \mid x_1, \dots, x_{t-1}).$$
#
# Nothing is left out by this: *every* distribution over texts can be written so. And it needs no labels, for every text
# is its own answer key: at each of its T positions there is one prediction to make and one token to check it with.
#
# The price is a rule that must never be broken: **position $t$ may not see position $t + 1$**. A <dfn>causal mask</dfn>
# hides from each position all that comes after it. In a picture of who looks at whom, everything above the diagonal is
# dark. Switch the mask below between both directions and causal, and watch what the last row loses (nothing) and the
# first row (all but itself).

# %% tags=["widget"]
words = ["the", "cat", "sat", "on", "the", "mat"]
drawn = torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(4))
AttentionHeatmap(tokens=words, scores=drawn, mask="causal")

# %% [markdown]
# ## A norm that only divides
#
# The <dfn>residual stream</dfn> of a transformer is one vector for each token, to which layer after layer adds
# something. What is added grows with what is read, so each part first brings its input to a standard size. BERT's
# LayerNorm subtracts the mean and divides by the standard deviation. Zhang and Sennrich asked in 2019 which half
# matters, and left the first one out:
#
# $$\operatorname{RMSNorm}(x)_i = \frac{x_i}{\sqrt{\frac{1}{D}\sum_j x_j^2 + \varepsilon}} \; g_i .$$
#
# As good, and cheaper; Llama uses nothing else. One trap: in half precision, $400^2$ is already infinite.

# %% exercise="rmsnorm"
from studium_topics.decoder_only.exercises import rmsnorm

# %% [markdown]
# ## Causal attention
#
# Every token asks a question (its query), offers a label (its key) and something to take away (its value). All heads do
# this side by side, each in its own block of coordinates. For one head:
#
# $$\operatorname{out}_t = \sum_{s \le t} a_{ts} v_s, \qquad
# a_{t \cdot} = \operatorname{softmax}_{s \le t} \frac{q_t \cdot k_s}{\sqrt{D / H}} .$$
#
# There is no order in this: shuffle the past, and the sum is the same. So queries and keys are told where they stand.
# Llama *rotates* them, by angles that grow with the position, so that $q_t \cdot k_s$ feels the distance $t - s$. Here
# the rotation is a function that you are given and call; the topic *rope* takes it apart.

# %% exercise="causal_attention"
from studium_topics.decoder_only.exercises import causal_attention

# %% [markdown]
# **Think about it.** A text of 1000 tokens is read in training. How many predictions does one forward pass make, and
# does the model have to read token by token?
#
# <details><summary>Answer</summary>
#
# A thousand (the last one has no answer to check), and no: all positions are computed at once, because the mask keeps
# each from seeing what it should predict. Only *generating* goes token by token, since there the next token does not
# exist yet. That is why training is so much cheaper a token than chatting, and why the topic *kv-caching* exists.
# </details>
#
# ## The layer
#
# Two parts, each of the form "norm, compute, add to the stream". The second one is a feed-forward network with a
# gate. A <dfn>gate</dfn> is one projection, sent through $\operatorname{silu}(z) = z \cdot \sigma(z)$, that decides how
# much of another gets through.
#
# Mind what is added to what. In BERT the norm stood *on* the stream, after each sum. Llama's stream is never normalised
# itself: there is a straight way from the embedding to the output, and gradients take it. That is what lets one stack
# eighty layers.

# %% exercise="llama_block"
from studium_topics.decoder_only.exercises import llama_block

# %% [markdown] tags=["experiment"]
# Does it keep the rule? Change one token at every place of a text, and see which logits move.

# %% tags=["experiment"]
kept = causality(
    lesson.mine(rmsnorm), lesson.mine(causal_attention), lesson.mine(llama_block), profile=lesson.profile, seed=0
)
print(f"largest change of a logit to the left of the changed token: {kept.left:.1e}")
print(f"smallest change at the token itself:                        {kept.right:.2f}")

# %% [markdown]
# ## What it costs to be wrong
#
# At position $t$ the model has read $x_1 \dots x_t$ and speaks about $x_{t+1}$. So logits and targets are **shifted by
# one**. It is the classic mistake of this field: forget the shift, and the loss falls to zero within minutes, because
# the model is asked to repeat what it has just read. Shift in the data loader *and* in the loss, and it learns to
# predict every other token.

# %% exercise="lm_loss"
from studium_topics.decoder_only.exercises import lm_loss

# %% [markdown]
# **Think about it.** An untrained model with 32 tokens has a loss of about what? And which loss means that it has
# understood everything?
#
# <details><summary>Answer</summary>
#
# $\ln 32 \approx 3.47$ nats: it gives every token the probability 1/32. (Check this on every new model: a loss at the
# start that is far away from $\ln V$ is a bug.) And there is no loss that means everything: text has surprise of its
# own. A perplexity of 1 would mean that all texts are known beforehand.
# </details>
#
# ## How many numbers?
#
# "7B" is a rounded number. You know all parts now, so you can say it exactly.

# %% exercise="llama_parameters"
from studium_topics.decoder_only.exercises import llama_parameters

# %%
count = lesson.mine(llama_parameters)
known = {
    "Llama 2 7B": (32000, 4096, 32, 11008, 4096, False),
    "Llama 3 8B": (128256, 4096, 32, 14336, 1024, False),
    "Llama 3 70B": (128256, 8192, 80, 28672, 1024, False),
}
for name, sizes in known.items():
    vocabulary, width, layers, hidden, kv_width, _ = sizes
    feed_forward, tables = 3 * width * hidden * layers, 2 * vocabulary * width
    shares = (
        f"{feed_forward / count(*sizes):.0%} in feed-forward networks, {tables / count(*sizes):.0%} in the two tables"
    )
    print(f"{name:12} {count(*sizes):>15,} parameters, {shares}")

# %% [markdown]
# A rule of thumb follows from this number alone: a forward pass multiplies each parameter once with each token, two
# operations, and the backward pass costs twice as much. So training takes about **6 N operations a token**. For 7
# billion parameters and 2 trillion tokens that is $8 \cdot 10^{22}$: some five weeks on 64 H100s at 40 % of what they
# can do, and the reason why we train something smaller now.

# %% [markdown] tags=["experiment"]
# ## Can it copy?
#
# Take away everything that a language model could know by heart: tokens are random, out of 32. Only, after 8 to 24 of
# them, **the sequence starts again**. Where, is drawn anew for each text.

# %% tags=["experiment"]
for row in repeated(3, torch.Generator().manual_seed(1)):
    print(" ".join(f"{token:2}" for token in row.tolist()[:34]), "…")

# %% [markdown] tags=["experiment"]
# In the second half everything can be known: find where the current token stood before, and say what came after it. An
# <dfn>induction head</dfn> is a head of attention that looks at what followed the current token last time. The name is
# from Anthropic's interpretability team, which argued that such heads are the source of much of what is called
# in-context learning.
#
# The models below have attention and nothing else: no feed-forward network, your `rmsnorm` and your `causal_attention`
# and your `lm_loss`. One has one layer, one has two.
#
# *Predict first: chance is 1 in 32, or 3 %. What will one layer reach? What will two?* The cell that finds out takes
# about half a minute on two cores.

# %% tags=["experiment"]
lesson.predict("one layer", ..., "Which percentage of the second half does a model with one layer get right?")

# %% [markdown]
# To see what a head does, a number helps: how much does it look at what *followed* the current token last time?

# %% exercise="induction_score"
from studium_topics.decoder_only.exercises import induction_score

# %% tags=["experiment"]
found = induction(
    lesson.mine(rmsnorm),
    lesson.mine(causal_attention),
    lesson.mine(lm_loss),
    lesson.mine(induction_score),
    profile=lesson.profile,
    seed=0,
)
print(f"one layer:                      {found.one.accuracy:6.1%} of the second half right")
print(f"two layers:                     {found.two.accuracy:6.1%}")
print(f"one layer, the period known:    {found.fixed.accuracy:6.1%}")
figures.learning(found)

# %% tags=["experiment"]
lesson.found("one layer", 100 * found.one.accuracy, within=0.25)

# %% [markdown] tags=["experiment"]
# **One layer does not learn it, however long it trains.** It gets some 18 %, by betting on tokens that have occurred in
# this text. Two layers copy almost perfectly, and the way there is a *phase change*: for a while nothing happens, then
# the loss falls off a cliff.
#
# Why two? To look at "what followed the last 17", a head has to find a place by what stood **before** it. But a key is
# made from the token at its own place. Somebody has to bring the previous token there first. That is the job of the
# first layer: its heads look one step back, and write "before me stood a 17" into the stream. Then a head of the second
# layer can ask for it. A composition of two steps needs two layers.
#
# The third line is the ablation that shows that it is really *finding*. If the period is always 16, one layer does as
# well: "look 15 to the left" is a matter of position, and rotated keys know positions.
#
# Here is the model itself. It runs in the picture, at every change: small, all heads of both layers with their
# induction scores; large, the one that you choose; below, what the stream would say of the next token if it were read
# out before, between and after the layers.
#
# Look at layer 0 first: the bright line beside the diagonal, "what stood before me". Then at layer 1: the line that
# starts where the text repeats itself. Change a token in the first round and watch what is copied in the second. Then
# **silence heads of layer 1**, one after the other: when does the copying stop?

# %% tags=["experiment", "widget"]
GlassTransformer.of(found.two.model)

# %% tags=["experiment"]
print("induction scores      head 0   head 1   head 2   head 3")
for layer, row in enumerate(found.two.scores.tolist()):
    print(f"two layers, layer {layer}  " + "   ".join(f"{score:6.3f}" for score in row))
print("one layer            " + "   ".join(f"{score:6.3f}" for score in found.one.scores[0].tolist()))

# %% [markdown] tags=["experiment"]
# A score is a correlation. Is it the cause? Silence heads, one after the other, without training again.

# %% tags=["experiment"]
model = found.two.model
for name, heads in (
    ("nobody", []),
    ("one head of layer 1", [(1, 0)]),
    ("two heads of layer 1", [(1, 0), (1, 1)]),
    ("three heads of layer 1", [(1, 0), (1, 1), (1, 2)]),
    ("all heads of layer 1", [(1, head) for head in range(4)]),
    ("one head of layer 0", [(0, 0)]),
    ("all heads of layer 0", [(0, head) for head in range(4)]),
):
    print(f"silent: {name:24} {without(model, heads):6.1%} right")

# %% [markdown] tags=["experiment"]
# Without its induction heads the model is worse than one layer: it is back at chance. And without layer 0 the heads of
# layer 1 are all there and find nothing, since nobody has written down what stood before.
#
# Two warnings. First, this model is so small, and its task so narrow, that *all* heads of layer 1 do the same job; in a
# big model some do, and others do other things. Second, bright squares alone explain little: a head may look somewhere
# and use nothing of it. What convinced us was the silencing.
#
# **Think about it.** A model with one layer, but with twice as many heads: would it copy?
#
# <details><summary>Answer</summary>
#
# No. Heads of one layer work side by side; none sees what another one has written. What is missing is a *second step*,
# not more of the first. (It is not a theorem about every model with one layer: with positions that contain enough
# tricks, one layer can do some copying. Here it reaches what tokens alone allow.)
# </details>
#
# ## A Llama that reads
#
# Now the whole layer, with its feed-forward network, on text: the help pages of Python, character by character. What
# should it be compared with? With a table that a program can make in a second: for each character, how often which one
# follows. If a transformer does not beat this table by far, it has not used its context.

# %% tags=["experiment"]
read = prose(
    lesson.mine(rmsnorm),
    lesson.mine(causal_attention),
    lesson.mine(llama_block),
    lesson.mine(lm_loss),
    profile=lesson.profile,
    seed=0,
)
print(f"held-out prose: the table of pairs {read.bigram:.3f} nats a character, the Llama {read.loss:.3f}")
print(f"the Llama's perplexity is {2.718281828**read.loss:.1f}: as unsure as between that many characters")
figures.reading(read)

# %% [markdown]
# ## Choosing the next token
#
# A model gives probabilities; to write, one has to *draw*. Drawing from all of them sometimes picks something absurd: a
# thousand tokens of probability 0.0001 together have 10 %. Always taking the best one gets stuck in loops. Three knobs
# stand between:
#
# * the <dfn>temperature</dfn> $\tau$ divides the logits: below 1 sharpens, above 1 flattens;
# * <dfn>top-k</dfn> keeps the k most probable tokens, whatever their probabilities;
# * <dfn>top-p</dfn> (the nucleus) keeps as many of the most probable as it takes to reach the probability p: few where
#   the model is sure, many where it is not.

# %% exercise="filter_logits"
from studium_topics.decoder_only.exercises import filter_logits

# %% tags=["experiment"]
choose = lesson.mine(filter_logits)
vocabulary = text.character_vocabulary()


@torch.no_grad()
def continued(prompt: str, new: int = 120, seed: int = 0, **knobs: float) -> str:
    """Let the model write on."""
    generator = torch.Generator().manual_seed(seed)
    ids = vocabulary.encode(prompt)
    for _ in range(new):
        logits = read.model(ids[None, -64:].to(read.model.norm.device))[0, -1].cpu()
        drawn = torch.multinomial(choose(logits, **knobs).softmax(-1), 1, generator=generator)
        ids = torch.cat([ids, drawn])
    return vocabulary.decode(ids).replace("\n", " ")


for knobs in ({"temperature": 0.01}, {"temperature": 0.7}, {"temperature": 1.0, "top_p": 0.9}, {"temperature": 1.6}):
    print(f"{knobs}\n    {continued('The statement ', **knobs)}\n")

# %% [markdown] tags=["experiment"]
# Two layers and half a minute: it has words, line lengths and some of the vocabulary of Python's manual, and no idea
# what it says. Near temperature 0 it runs in circles. At 1.6 the table of characters shows through.
#
# **Think about it.** Why is the nucleus measured after the temperature, and not before?
#
# <details><summary>Answer</summary>
#
# Either order is possible, and they differ. Measured after it, p is a statement about what is really drawn: "I give up
# at most $1 - p$ of the mass". Most libraries do that, and so a higher temperature also widens the nucleus.
# </details>
#
# ## On a GPU
#
# The reference solution has the same functions on CUDA: bfloat16 under autocast, PyTorch's fused attention, which there
# is FlashAttention, `torch.compile` for the layers, and `throughput` to measure tokens a second. With the profile `gpu`
# the reader has 6 layers of width 384 and reads windows of 256 characters. **It has not been measured on a GPU yet.**
#
# ## What does not reproduce at this size
#
# * **LLaMA's headline**, that 13 billion parameters trained longer beat GPT-3's 175 billion, is about trillions of
#   tokens. Nothing here says anything about it.
# * **In-context learning of tasks.** What you have seen is copying, its simplest form. That the same heads explain the
#   rest is the paper's *argument*, for which it gives six kinds of evidence, and is careful about.
# * **The phase change** is sharp here because the data hold nothing else to learn. In a real model it is a small bump
#   in the loss, early in training.
# * The loss in the copying experiment counts the second half only. If it counts the first half as well, where nothing
#   can be known, the same model needs about twice as many steps.
#
# ## Common misconceptions
#
# * *"The model sees only the last token."* Each prediction sees all tokens so far, through attention in each layer.
# * *"Attention weights are an explanation."* They say where a head looked, not what it did with it. Silence it and see.
# * *"Training goes through a text token by token."* All positions are computed at once. Generating does.
# * *"Deeper only means longer n-grams."* Depth is steps of computation: two steps do what no width of one step does.
# * *"GPT and Llama are different architectures."* Pre-norm decoders, both. Llama has RMSNorm, a gate and rotary
#   positions; GPT-2 has LayerNorm, GELU and a table of positions. Weights could be converted but for these parts.
# * *"A perplexity of 1 is the goal."* That would be a text without any news.
#
# ## Where to go next
#
# * [Olsson et al. 2022](https://arxiv.org/abs/2209.11895): the six arguments for induction heads.
# * [Touvron et al. 2023](https://arxiv.org/abs/2302.13971): LLaMA, whose section 2 you have now written.
# * [Brown et al. 2020](https://arxiv.org/abs/2005.14165): GPT-3. Read section 3.9.5, the made-up words.
# * [Zhang and Sennrich 2019](https://arxiv.org/abs/1910.07467): RMSNorm.
# * The topics *rope*, *kv-caching* and *swiglu* take the parts further.
#
# **A last question.** You have a decoder that was trained on sequences of 48 tokens. What happens at token 49?
#
# <details><summary>Answer</summary>
#
# Nothing in the code stops it: rotations exist for every position, and attention takes as many keys as there are. But
# the model has never been asked about such distances. Try it with the model that copies: `repeated` with a longer
# length. *rope* measures how it fades.
# </details>
