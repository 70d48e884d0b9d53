# %% [markdown]
# # Multi-query and grouped-query attention
#
# In November 2019 Noam Shazeer, one of the eight authors of the transformer, published a short paper of his own: *Fast
# Transformer Decoding: One Write-Head is All You Need*. Its code differs from the usual one by a letter: keys and
# values lose the index of the head. All query heads look at the same ones. The model gets a little worse, and writes
# many times faster.
#
# PaLM took it up in 2022. Then models were asked to write all day long, for millions of people, and memory became what
# they cost. In 2023 Ainslie and others found the middle way, and how an existing model gets there for 5 % of its
# training. Today Llama, Mistral, Qwen and Gemma all do it. In this lesson you will
#
# 1. compute why decoding is slow, and why fewer heads of keys help and a faster processor does not;
# 2. write grouped-query attention that **never copies a key**, and meet the mistake that every shape test passes;
# 3. measure what it saves: exactly $G / H$ of the cache, byte by byte;
# 4. convert a multi-head checkpoint, and train it on;
# 5. measure what it costs, honestly, on a model so small that not all of the paper's findings come back.
#
# You need causal attention, and a cache that is decoded with, from the topic *kv-caching*. The papers: [multi-query
# attention](https://arxiv.org/abs/1911.02150), [grouped-query attention](https://arxiv.org/abs/2305.13245).

# %%
import torch

from studium_topics.kits import text
from studium_topics.mqa_gqa.experiment import UPTRAINED, WAYS, cost, savings
from studium_topics.mqa_gqa.probe import largest_made
from studium_topics.mqa_gqa.wiring import HeadWiring
from studium_widgets import Chart, MemoryMeter, Roofline

# %% [markdown]
# ## What a decoder waits for
#
# A decoder that writes keeps the keys and values of all tokens so far, its KV cache: without it, it would have to
# compute them again for each new token. So one step of attention is: one new query a head, multiplied with $T$ keys,
# and a weighted sum of $T$ values. Every number of the cache is fetched from memory, multiplied **once**, and thrown
# away.
#
# The <dfn>arithmetic intensity</dfn> of some work is its operations over the bytes that it moves. An A100 can do some
# 150 operations in bfloat16 in the time in which it reads a byte. Work below that waits for memory, and no faster
# arithmetic helps it.
#
# *Guess before you compute: how many operations for each byte does multi-head attention do while decoding?*

# %% tags=["experiment"]
lesson.predict("intensity of decoding", ..., "How many operations a byte does multi-head attention do while decoding?")

# %% exercise="decode_intensity"
from studium_topics.mqa_gqa.exercises import decode_intensity

# %%
intensity = lesson.mine(decode_intensity)
print("64 query heads, 8192 tokens, bfloat16")
for groups in (64, 8, 1):
    print(f"{groups:3} shared heads: {intensity(16, 8192, 64, groups, 128, 2):6.2f} operations a byte")

# %% tags=["experiment"]
lesson.found("intensity of decoding", intensity(16, 8192, 64, 64, 128, 2))

# %% [markdown]
# One. The processor could do 150, and is idle for more than 99 % of the time. And mind what is *not* in the formula:
# the batch. A layer's weights are read once for all texts of a batch, so that a larger batch makes better use of them.
# A cache belongs to one text. With long texts and large batches the cache is what is read, and nothing amortises it.
#
# Nothing, except using each key more than once. That is Shazeer's idea: **if $H / G$ query heads share a head of keys
# and values, each byte does $H / G$ times the work.** In <dfn>grouped-query attention</dfn> (GQA) $H$ query heads share
# $G$ heads of keys and values. <dfn>Multi-query attention</dfn> (MQA) is the case $G = 1$: all query heads share one
# head of keys and values. With $G = H$ nothing is shared, and that is the ordinary kind, multi-head attention (MHA).
#
# Below is the roofline of a card: what it can reach at each intensity. Raise the batch: which of the points moves, and
# why does *attention while decoding* not? Then change *Key and value heads*, and watch it climb.

# %% tags=["widget"]
Roofline(model="llama-2-13b", batch=64, context=4096)

# %% [markdown]
# ## Who shares with whom
#
# Query head $h$ looks at key and value head
#
# $$g(h) = \left\lfloor \frac{h}{H / G} \right\rfloor ,$$
#
# so that *neighbours* share. Everything else stays:
# $\operatorname{out}_h = \operatorname{softmax}(q_h K_{g(h)}^\top / \sqrt{d}) \, V_{g(h)}$.
#
# The simplest code copies each shared head, and goes on as before. Two functions of PyTorch offer themselves for that,
# `repeat` and `repeat_interleave`, and one of them is the classic mistake of this field.

# %% exercise="repeat_kv"
from studium_topics.mqa_gqa.exercises import repeat_kv

# %% [markdown]
# Why does that mistake live so long? Look for yourself. Each circle is a query head, each square a head of keys and
# values; the bars say how far each head's result is from that of multi-head attention. Choose *h % G (repeat)*, and
# move $G$ from one end to the other. **At which values of $G$ would a test have noticed?**

# %% tags=["widget"]
HeadWiring.drawn(8, 24, 8, groups=2)

# %% [markdown]
# At $G = 1$ and at $G = H$ both orders are the same, and these are the two cases that people test: "it equals MHA where
# it should, and MQA works". In between all shapes are right, nothing crashes, and half of the heads or more read
# somebody else's keys. And a model that is *trained* with the wrong order is not even bad, for it has never known
# another one.
#
# **Think about it.** If it can be trained, in what sense is it wrong?
#
# <details><summary>Answer</summary>
#
# The order is an agreement between weights and code. Neither is right alone. A checkpoint that was trained with
# neighbours gives nonsense in code that says $h \bmod G$, and the other way round. Since agreements are made once and
# weights travel, everybody keeps to the same one. Weights of the other kind can be moved: that is a later exercise.
# </details>
#
# ## Without a copy
#
# Repeated keys are as large as those of multi-head attention. Whoever repeats the cache in every step saves memory
# *between* the steps and none within, and reads as much as before.
#
# So do not bring the keys to the queries. Bring the queries to the keys: the $H / G$ queries of a group, laid below
# each other, are one matrix, and its product with the group's keys is **one** matrix product. That is also where the
# intensity comes from: vector times matrix becomes matrix times matrix.
#
# There is a trap on the way. `q.unflatten(1, (G, -1)) @ k[:, :, None].mT` looks as if it broadcast without copying. It
# gives the right result. But before it multiplies, `@` *expands* the batch axes and makes them contiguous, and that is
# the copy. The hidden test watches every tensor that comes into being.

# %% exercise="gqa"
from studium_topics.mqa_gqa.exercises import gqa

# %%
attend, copy = lesson.mine(gqa), lesson.mine(repeat_kv)
generator = torch.Generator().manual_seed(0)
q = torch.randn(4, 32, 1, 64, generator=generator)
k, v = (torch.randn(4, 8, 512, 64, generator=generator) for _ in range(2))


def repeated(q, k, v):
    return torch.nn.functional.scaled_dot_product_attention(q, copy(k, 4), copy(v, 4))


def broadcast(q, k, v):
    weights = (q.unflatten(1, (8, 4)) @ k[:, :, None].mT / 8).softmax(-1)
    return (weights @ v[:, :, None]).flatten(1, 2)


def fused(q, k, v):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)


ways = {"repeat_kv": repeated, "broadcasting @": broadcast, "your gqa": lambda *qkv: attend(*qkv, True), "SDPA": fused}
print(f"keys of the cache: {k.nbytes:,} bytes; repeated for each query head: {4 * k.nbytes:,}")
for name, way in ways.items():
    error = (way(q, k, v) - fused(q, k, v)).abs().max()
    print(f"{name:15} largest tensor {largest_made(way, q, k, v):>9,} bytes, differs by {error:.0e}")

# %% [markdown]
# The last line is what one uses in practice: PyTorch's own attention has had `enable_gqa=True` since version 2.5, with
# the usual order of heads. Two warnings. Its `is_causal=True` means something else when there are fewer queries than
# keys: its mask starts at the upper left, so that a single new query would see the *first* key alone. And not each of
# its implementations shares: the plain one copies inside. FlashAttention's does not.
#
# **Think about it.** Does GQA save arithmetic, as it saves memory?
#
# <details><summary>Answer</summary>
#
# Hardly. Every query head still multiplies with $T$ keys and $T$ values. Only the projections $W_K$ and $W_V$ get
# smaller, by $2 D^2 (1 - G/H)$ weights of a layer's $12 D^2$ or so. That is why reading a prompt, where arithmetic is
# what one waits for, gets only a little faster, and writing much.
# </details>
#
# ## Weights of the other order
#
# You are given a checkpoint that was trained by code with $h \bmod G$. Nobody will train it again. But heads are
# independent of each other, and their results are summed by $W_O$. So their order can be changed, if one changes it
# everywhere.

# %% exercise="to_grouped_order"
from studium_topics.mqa_gqa.exercises import to_grouped_order

# %% [markdown]
# ## What fits
#
# The cache takes $2 \cdot \text{layers} \cdot G \cdot d \cdot T \cdot B$ numbers. Nothing of that is an estimate, and
# in a product each factor counts the same: half the shared heads, twice the batch.

# %% exercise="groups_that_fit"
from studium_topics.mqa_gqa.exercises import groups_that_fit

# %%
fits = lesson.mine(groups_that_fit)
print("a model of Llama 2 70B's shape: 64 query heads of 128, 80 layers; 200 GB left for the cache, bfloat16")
for batch, tokens in ((1, 4096), (16, 4096), (64, 4096), (256, 4096), (64, 32768)):
    print(f"{batch:4} texts of {tokens:5} tokens: at most {fits(64, 200 * 10**9, 80, 128, tokens, batch, 2):2} heads")

# %% [markdown]
# The meter below has published models. Take Llama 3 70B, at batch 16, and go through *Key and value heads*: how many
# cards does it need with 64, with 8, with 1? Look at *A token, at best* too: that is the time in which weights and
# cache can be read once.

# %% tags=["widget"]
MemoryMeter(model="llama-3-70b", batch=16, context=8192, kv_heads=-1)

# %% [markdown]
# ## A checkpoint changes its heads
#
# A company has a multi-head model that cost millions. Does it have to start anew? Ainslie and others: no. To
# <dfn>pool</dfn> heads is to put the mean of a group's key heads in their place, and that of its value heads; queries
# and outputs stay. To <dfn>uptrain</dfn> is to go on training the changed model for a small part of its steps, 5 % in
# the paper.

# %% exercise="pool_heads"
from studium_topics.mqa_gqa.exercises import pool_heads

# %% [markdown]
# **Think about it.** The mean of *weights*, then, not of keys. Is it the same?
#
# <details><summary>Answer</summary>
#
# For values, and for keys before they are turned by their position: yes, since $k = W x$ is linear in $W$. Rotary
# positions turn all heads by the same angles and are linear too, so it stays true behind them. What is *not* linear is
# the softmax: attention to the mean of two keys is not the mean of two attentions. That is what uptraining has to mend.
# </details>

# %% exercise="convert_checkpoint"
from studium_topics.mqa_gqa.exercises import convert_checkpoint

# %% [markdown] tags=["experiment"]
# ## What it saves: exactly
#
# A small decoder with 8 query heads, in double precision, with each possible $G$. No training is needed for any of
# this, and nothing here is approximate.

# %% tags=["experiment"]
exact = savings(
    lesson.mine(repeat_kv),
    lesson.mine(gqa),
    lesson.mine(convert_checkpoint),
    lesson.mine(to_grouped_order),
    profile=lesson.profile,
    seed=0,
)
print(" " * 40 + "".join(f"    G = {row.groups}" for row in exact.rows))
for what, name in (
    ("cache, share of the multi-head one", "share"),
    ("differs from attention on copies", "copied"),
    ("token by token differs from all at once", "decoded"),
    ("largest tensor of a step, of copied keys", "made"),
    ("the order of repeat: error of logits", "tiled"),
    ("… and with its query heads moved", "reordered"),
):
    print(f"{what:40}" + "".join(f"{getattr(row, name):9.3g}" for row in exact.rows))
print(f"converted to G = H, logits differ by {exact.identity:.0e}")

# %% [markdown] tags=["experiment"]
# The fifth line is the classic mistake in a whole model: 0 at both ends, and wrong by half a logit and more in between.
#
# ## What it costs: measured
#
# Now the other side of the scales. Four character models of two layers learn Python's help pages, with the same steps,
# data and seed: eight query heads with $G = 8$, 2 and 1; and one that spends the cache of $G = 1$ in the obvious way,
# on **one head in all**. After that the first one's heads are merged into two, in three ways, and trained on: by the
# mean, which is your `convert_checkpoint`; by keeping the first head of each group; and, to see what a bad start would
# give, by noise.
#
# *Predict: by how many nats a character is $G = 1$ worse than $G = 8$?* (The models will lose about 2 nats; a table of
# pairs of characters 2.6.) The cell takes about a minute on two cores.

# %% tags=["experiment"]
lesson.predict("cost of one shared head", ..., "By how many nats a character is one shared head worse than eight?")

# %% tags=["experiment"]
measured = cost(lesson.mine(gqa), lesson.mine(convert_checkpoint), profile=lesson.profile, seed=0)
base = measured.scratch[8]
print(f"8 query heads, 8 shared: {base:.3f} nats a character")
for groups in (2, 1):
    print(f"8 query heads, {groups} shared: {measured.scratch[groups]:.3f}, {measured.scratch[groups] - base:+.3f}")
print(f"1 query head with its own: {measured.lonely:.3f}, {measured.lonely - base:+.3f}")
lesson.found("cost of one shared head", measured.scratch[1] - base, within=0.5)

# %% tags=["experiment", "widget"]
Chart(
    x=[100 * fraction for fraction in UPTRAINED],
    y=[measured.converted[way] for way in WAYS] + [[measured.scratch[2]] * len(UPTRAINED)],
    names=["mean", "first head", "noise", "G = 2 from the start"],
    x_label="uptraining, % of the steps",
    y_label="loss, nats a character",
    predict="mean",
)

# %% [markdown] tags=["experiment"]
# What to make of it, over five seeds (we ran them, you ran one):
#
# * **Two shared heads cost almost nothing**: .02 to .04 nats a character, for a quarter of the cache.
# * **One costs a little more, or not**: from -.02 to .11. What differs between seeds is larger than what differs
#   between $G = 1$ and $G = 2$, so from this alone nobody could say that two are better than one.
# * **One head in all costs .13 to .24**, with a cache of the very same size. Eight queries that look at the same keys
#   are much more than one query.
# * **Merging breaks the model**, and uptraining mends it: 5 % of the steps take away two fifths to a half of the
#   damage, 20 % two thirds to four fifths. From noise the same steps end .20 to .36 nats higher: pooled heads had kept
#   what they knew.
# * **The mean or the first head?** Before uptraining and after 5 % the first head is better, in every seed. After 20 %
#   the mean is ahead in four seeds of five, by .01 to .08. The paper found the mean ahead, after 5 %, on a
#   model that is thousands of times as large. We declare no winner.
#
# The paper measured on T5-XXL, 11 billion parameters, with the mean over seven data sets, and the time in which one
# sample is generated on TPUs:
#
# | | seconds a sample | quality |
# |---|---|---|
# | MHA | 1.51 | 47.2 |
# | GQA, 8 groups | 0.28 | 47.1 |
# | MQA | 0.24 | 46.6 |
# | MHA, but T5-Large | 0.37 | 46.0 |
#
# Read the last line with the last line of ours. **To save memory by sharing is better than by being small**: that is
# the finding that carries over.
#
# Here are the heads of the multi-head model that you have just trained, at the end of a line of text. Merge them
# yourself: which heads suffer, from which others could they take their keys? Does *first* or *mean* do less harm, and
# can you see why the paper uptrains?

# %% tags=["experiment", "widget"]
line = text.character_vocabulary().encode("The statement is executed before the loop ends, and the")
HeadWiring.of(measured.model.cpu(), line, layer=1, groups=4)

# %% [markdown]
# ## On a GPU
#
# `reference.decode_seconds` times the attention of one decoding step in bfloat16, with FlashAttention, which reads each
# shared head once: 32 query heads, 8192 tokens, batch 16 unless you say otherwise. If the cache is what is waited for,
# multi-head attention over $G$ groups should take $H / G$ times as long. **It has not been measured on a GPU yet**; on
# a CPU the number says little, since a core computes too slowly to wait for memory. With the profile `gpu` the
# experiment trains longer, on windows of 256 characters.
#
# ## What does not reproduce at this size
#
# * **Mean before first before random.** In the paper that order holds after uptraining. Here only "before random" does.
#   Our toy prefers the first head at first. Perhaps because a few heads do most of the work in it, and the mean of four
#   sharp heads is blunt; we have not tested that.
# * **5 % of the steps.** Fifteen steps of a model that was trained for 300 are too few to mend it; a large model's 5 %
#   are thousands. We show 20 % as well.
# * **MQA is worse than GQA.** By less than what differs between seeds here. The paper's other reason for groups, that
#   training with one head is unstable, does not show in two layers.
# * **Seconds.** All of these KV caches fit into the processor's own cache. What is exact is the bytes.
#
# ## Common misconceptions
#
# * *"GQA makes prompts much faster to read."* It saves bytes, not operations. Reading a prompt waits for arithmetic.
# * *"The query heads of a group ask the same question."* Each has its own query, and attends to other places. They
#   share what is looked *at*.
# * *"To share one has to copy."* `repeat_kv` in many codebases is convenience; a product per group, or a fused kernel,
#   needs no copy.
# * *"MQA always hurts."* It costs something at equal size. At equal memory or time one can afford a larger model.
# * *"KV heads are like experts."* Nothing is routed: which query head looks where is fixed, for all tokens.
#
# ## Where to go next
#
# * [Shazeer 2019](https://arxiv.org/abs/1911.02150): the calculation that you did, by its inventor, and a comparison
#   with fewer heads at the same cache, like ours: a perplexity of 30.2 for MQA, 30.9 to 31.2 for those.
# * [Ainslie et al. 2023](https://arxiv.org/abs/2305.13245): how much uptraining is needed, and which way to merge.
# * [DeepSeek-V2](https://arxiv.org/abs/2405.04434), section 2.1: <dfn>multi-head latent attention</dfn> (MLA) does not
#   share heads. It keeps one short vector a token, from which each head makes its own keys and values when it needs
#   them; the multiplication can be folded into the query. Sharing is the special case in which that map copies.
# * The topic *flash-attention* is about the other half: never writing the scores down.
#
# **A last question.** A model with $H = 32$ and $G = 8$ is split over 16 GPUs, each with 2 query heads. Which cache
# does each GPU need, and what is saved in all?
#
# <details><summary>Answer</summary>
#
# Two query heads share one head with two others, which live on the next GPU. So each of the 16 needs one head, and each
# of the 8 heads is kept twice: 16 heads in all instead of 32, half and not a quarter. That is why $G = 8$ is so common:
# it is the number of GPUs in a machine.
# </details>
