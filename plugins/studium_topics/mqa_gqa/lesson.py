# %% [markdown]
# # Multi-query and grouped-query attention
#
# In November 2019 Noam Shazeer, one of the eight authors of the transformer, published a short paper: *Fast Transformer
# Decoding: One Write-Head is All You Need*. In its code, keys and values lose the index of the head: all query heads
# share the same ones. The model becomes a little worse, and generates text many times faster.
#
# Why should fewer keys make generation faster, when the number of queries stays? Below, each circle is a query head and
# each square a head of keys and values; the columns say how far each head's result is from that of ordinary attention.
# **Move $G$ from 8 down to 1**: which heads are merged, and what happens to the results?

# %% tags=["widget"]
from studium_topics.mqa_gqa.wiring import HeadWiring

HeadWiring.drawn(8, 24, 8, groups=4)

# %% [markdown]
# In this lesson you will
#
# 1. **derive** why decoding is slow, and why fewer heads of keys help and a faster processor does not;
# 2. **write** grouped-query attention that never copies a key, and meet the mistake that every shape test passes;
# 3. **measure** what it saves: exactly $G / H$ of the cache, byte by byte;
# 4. **convert** a multi-head checkpoint, and train it on;
# 5. **measure** what it costs, on a model so small that not all of the paper's findings come back.
#
# You need causal attention and decoding with a cache, from [kv-caching](kv-caching.ipynb). Time: 18 minutes of reading,
# 96 of coding, 2 of running.
#
# **Before sharing**, every query head had keys and values of its own, and a decoder read all of them for each new
# token. [Multi-query attention](https://arxiv.org/abs/1911.02150) reads those of one head, at some loss of quality.
# [Grouped-query attention](https://arxiv.org/abs/2305.13245) of 2023 is between the two, and its authors showed how to
# convert an existing model with 5 % of its training; Llama, Mistral and Qwen use it today.
#
# | symbol | meaning |
# |---|---|
# | $H$, $h$ | number of query heads; one of them |
# | $G$, $g$ | number of key and value heads; one of them |
# | $d$ | numbers of a head |
# | $T$ | tokens so far, whose keys and values are kept |
# | $B$ | texts in a batch |
# | $D$ | width of the model |

# %%
import torch
import torch.nn.functional as F

from studium_topics.kits import text
from studium_topics.mqa_gqa.experiment import UPTRAINED, WAYS, cost, savings
from studium_topics.mqa_gqa.model import Sizes, grouped_lm
from studium_topics.mqa_gqa.probe import largest_made
from studium_widgets import Chart, Diagram, MemoryMeter, Roofline

# %% [markdown]
# ## What a decoder waits for
#
# While it generates text, a decoder keeps the keys and values of all tokens so far, its KV cache; otherwise it would
# have to compute them again for each new token. In one step of attention, each head multiplies one new query with $T$
# keys and makes a weighted sum of $T$ values. Every number of the cache is read from memory and multiplied only
# **once**.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.mqa_gqa", "flow.svg")

# %% [markdown]
# The <dfn>arithmetic intensity</dfn> of a computation is the number of its operations for each byte that it moves. An
# A100 with 80 GB can do some 150 operations in bfloat16 in the time in which it reads a byte. A computation of lower
# intensity waits for memory, and faster arithmetic does not help it.
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
# Multi-head attention does one operation a byte. The processor could do 150, so it is idle for more than 99 % of the
# time. The batch is *not* in the formula. A layer's weights are read once for all texts of a batch, so that a
# larger batch makes better use of them. But each text has a cache of its own, and with long texts and large batches the
# caches are most of what is read.
#
# The remedy is to use each key more than once. That is Shazeer's idea: **if $H / G$ query heads share a head of keys
# and values, each byte serves $H / G$ times as many operations.** In <dfn>grouped-query attention</dfn> (GQA) $H$ query
# heads share $G$ heads of keys and values. <dfn>Multi-query attention</dfn> (MQA) is the case $G = 1$: all query heads
# share one head of keys and values. <dfn>Multi-head attention</dfn> (MHA) is the case $G = H$, in which nothing is
# shared.
#
# Below is the roofline of a card: what it can reach at each intensity. Raise the batch: which of the points moves, and
# why does *attention while decoding* not? Then change *Key and value heads*, and watch it climb.

# %% tags=["widget"]
Roofline(model="llama-2-13b", batch=64, context=4096)

# %% [markdown]
# ## Who shares with whom
#
# Query head $h$ uses key and value head
#
# $$g(h) = \left\lfloor \frac{h}{H / G} \right\rfloor ,$$
#
# so that *neighbours* share. Everything else stays:
# $\operatorname{out}_h = \operatorname{softmax}(q_h K_{g(h)}^\top / \sqrt{d}) \, V_{g(h)}$.
#
# The simplest code copies each shared head, and continues as before. PyTorch has two functions for that, `repeat` and
# `repeat_interleave`, and one of them is the classic mistake of this field.

# %% exercise="repeat_kv"
from studium_topics.mqa_gqa.exercises import repeat_kv

# %% [markdown]
# Why does that mistake survive? Look at the wiring once more. Put the mistake in, and move $G$ from one end to the
# other. **At which values of $G$ would a test have noticed?**

# %% tags=["widget"]
HeadWiring.drawn(8, 24, 8, groups=4)

# %% [markdown]
# At $G = 1$ and at $G = H$ both orders are the same, and these are the two cases that people test: "it equals MHA where
# it should, and MQA works". In between all shapes are right, nothing crashes, and half of the heads or more read
# another group's keys. A model that is *trained* with the wrong order is not even worse, because its weights fit that
# order.
#
# **Think about it.** If it can be trained, in what sense is it wrong?
#
# <details><summary>Answer</summary>
#
# The order is a convention between weights and code. A checkpoint that was trained with neighbours gives nonsense in
# code that says $h \bmod G$, and the other way round. Since checkpoints are shared, most code keeps to the same
# convention. Weights of the other kind can be reordered: that is a later exercise.
# </details>
#
# ## Without a copy
#
# Repeated keys are as large as those of multi-head attention. A decoder that repeats the cache in every step saves
# memory *between* the steps and none within, and reads as much as before.
#
# So do not give each query head a copy of the keys. Collect the queries instead: the $H / G$ queries of a group are the
# rows of one matrix, and its product with the group's keys is **one** matrix product. This is also why the intensity
# rises: the product of a vector with a matrix becomes a product of two matrices.
#
# There is a trap on the way: a product that broadcasts the keys over the queries of a group gives the right result. But
# before it multiplies, `@` *expands* the batch axes and makes them contiguous, and that is the copy. The hidden test
# watches every tensor that is made.

# %% exercise="gqa"
from studium_topics.mqa_gqa.exercises import gqa

# %% [markdown]
# **In practice** this is `F.scaled_dot_product_attention` with `enable_gqa=True`, in the usual order of heads. Here is
# how far each way is from it, and how large its largest tensor is:

# %% tags=["experiment", "bridge"]
attend, copy = lesson.mine(gqa), lesson.mine(repeat_kv)
generator = torch.Generator().manual_seed(0)
q = torch.randn(4, 32, 1, 64, generator=generator)
k, v = (torch.randn(4, 8, 512, 64, generator=generator) for _ in range(2))


def repeated(q, k, v):
    return F.scaled_dot_product_attention(q, copy(k, 4), copy(v, 4))


def broadcast(q, k, v):
    weights = (q.unflatten(1, (8, 4)) @ k[:, :, None].mT / 8).softmax(-1)
    return (weights @ v[:, :, None]).flatten(1, 2)


def fused(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)


ways = {"repeat_kv": repeated, "broadcasting @": broadcast, "your gqa": lambda *qkv: attend(*qkv, True), "SDPA": fused}
print(f"keys of the cache: {k.nbytes:,} bytes; repeated for each query head: {4 * k.nbytes:,}")
for name, way in ways.items():
    error = (way(q, k, v) - fused(q, k, v)).abs().max()
    print(f"{name:15} largest tensor {largest_made(way, q, k, v):>9,} bytes, differs by {error:.0e}")

# %% [markdown]
# Two warnings about the last line, PyTorch's own function. With `is_causal=True` its mask starts at the upper left, so
# that a single new query would see the *first* key alone. And not all of its implementations share the keys: the plain
# one copies them inside, and FlashAttention's does not.
#
# **Think about it.** Does GQA save arithmetic, as it saves memory?
#
# <details><summary>Answer</summary>
#
# Hardly. Every query head still multiplies with $T$ keys and $T$ values. Only the projections $W_K$ and $W_V$ get
# smaller, by $2 D^2 (1 - G/H)$ weights of a layer's $12 D^2$ or so. That is why reading a prompt, which is limited by
# arithmetic, gets only a little faster, whereas decoding, which is limited by memory, gets much faster.
# </details>
#
# ## Weights of the other order
#
# You are given a checkpoint that was trained by code with $h \bmod G$, and it is too expensive to train again. But
# heads are independent of each other, and $W_O$ sums their results. So their order can be changed, if it is changed
# everywhere. Derive where each head has to go.

# %% exercise="to_grouped_order"
from studium_topics.mqa_gqa.exercises import to_grouped_order

# %% [markdown]
# ## What fits
#
# The cache takes $2 \cdot \text{layers} \cdot G \cdot d \cdot T \cdot B$ numbers. This is exact, and each factor counts
# the same: with half the shared heads, twice the batch fits.

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
# A company has a multi-head model that cost millions. Does it have to train a new one? Ainslie and others showed that
# it does not. To <dfn>pool</dfn> heads is to replace a group's key heads by their mean, and its value heads by theirs;
# queries and outputs stay. To <dfn>uptrain</dfn> is to train the changed model for a small part of the original steps,
# 5 % in the paper.

# %% exercise="pool_heads"
from studium_topics.mqa_gqa.exercises import pool_heads

# %% [markdown]
# **Think about it.** `pool_heads` takes the mean of *weights* and not of keys. Does that make a difference?
#
# <details><summary>Answer</summary>
#
# No. Values, and keys before rotary positions, are linear in the weights ($k = W x$), so the mean of weights makes the
# mean of keys. Rotary positions rotate all heads by the same angles and are linear too, so this stays true after them.
# What is *not* linear is the softmax: attention to the mean of two keys is not the mean of two attentions. That is what
# uptraining has to correct.
# </details>

# %% exercise="convert_checkpoint"
from studium_topics.mqa_gqa.exercises import convert_checkpoint

# %% [markdown]
# Now put the parts together: convert a model, train it on, and record what the conversion cost.

# %% exercise="uptrain"
from studium_topics.mqa_gqa.exercises import uptrain

# %% [markdown] tags=["experiment"]
# Train a small model with 8 shared heads, then let your `uptrain` take it to 2. This is the whole loop of the first
# part, 61 steps; yours takes half as many.

# %% tags=["experiment"]
vocabulary = text.character_vocabulary()
seen, _ = text.split(vocabulary.encode(text.prose()))
generator = torch.Generator().manual_seed(0)
texts = [text.windows(seen, 16, 65, generator) for _ in range(92)]
batches = [(ids[:, :-1], ids[:, 1:]) for ids in texts]

whole = grouped_lm(vocabulary.size, Sizes(groups=8), attend)
optimizer = torch.optim.Adam(whole.parameters(), lr=4e-3)
for step, (ids, labels) in enumerate(batches[:61]):
    loss = F.cross_entropy(whole(ids).flatten(0, 1), labels.flatten())
    if step % 15 == 0:
        print(f"8 shared heads   step {step:2}   loss {loss.item():.3f}")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def smaller():
    return grouped_lm(vocabulary.size, Sizes(groups=2), attend)


pooled, damage, losses = lesson.mine(uptrain)(whole, smaller, 8, 2, batches[61:], 4e-3)
print(f"pooled to 2      the conversion costs {damage:+.3f} nats")
for step in range(0, len(losses), 10):
    print(f"pooled to 2      step {step:2}   loss {losses[step]:.3f}")

# %% [markdown] tags=["experiment"]
# ## What it saves: exactly
#
# Here is a small decoder with 8 query heads, in double precision, with each possible $G$. None of this needs training,
# and nothing here is approximate.

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
# Now the loss of quality. Four character models of two layers learn Python's help pages, with the same steps, data and
# seed: three have eight query heads, with $G = 8$, 2 and 1. The fourth has a cache as small as that of $G = 1$, but in
# the obvious way, with **one head in all**. After that the heads of the first model are merged into two, in three ways,
# and trained on: by the mean, which is your `convert_checkpoint`; by keeping the first head of each group; and, to see
# what a bad start would give, by noise.
#
# *Predict: by how many nats a character is $G = 1$ worse than $G = 8$?* (Expect losses of about 2 nats; a table of
# pairs of characters has 2.6.) The cell takes about a minute on two cores.

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
# Over five seeds at laptop (you ran one):
#
# * **Two shared heads cost almost nothing**: .02 to .04 nats a character, for a quarter of the cache.
# * **One costs a little more, or not**: from -.02 to .11. The seeds differ by more than $G = 1$ and $G = 2$ do, so this
#   alone does not show that two are better than one.
# * **One head in all costs .13 to .24**, with a cache of the same size. Eight queries on the same keys are much better
#   than one query.
# * **Merging breaks the model**, and uptraining repairs it: 5 % of the steps remove two fifths to a half of the damage,
#   20 % two thirds to four fifths. From noise the same steps end .20 to .36 nats higher, because pooled heads keep part
#   of what they had learned.
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
# Compare the last line, a smaller model that shares nothing, with our single head. **Sharing heads costs less quality
# than a smaller model does**: that finding holds here as well.
#
# Here are the heads of the multi-head model that the experiment has just trained, at the end of a line of text. Merge
# them yourself: which heads suffer most? Does *first* or *mean* do less harm, and can you see why the paper uptrains?

# %% tags=["experiment", "widget"]
line = text.character_vocabulary().encode("The statement is executed before the loop ends, and the")
HeadWiring.of(measured.model.cpu(), line, layer=1, groups=4)

# %% [markdown]
# ## What does not reproduce at this size
#
# * **Mean before first before random.** In the paper that order holds after uptraining. Here only "before random" does.
#   In our small model the first head is better at first, perhaps because a few heads matter most and the mean of four
#   sharp patterns is none of them; we have not tested that.
# * **5 % of the steps.** Fifteen steps are too few to repair a model that was trained for 300. For a large model, 5 %
#   are thousands of steps. We show 20 % as well.
# * **MQA is worse than GQA.** Here the difference is smaller than that between seeds. The paper's other reason for
#   groups, that training with one head is unstable, does not show in two layers.
# * **Seconds.** Our KV caches are so small that they fit into the processor's own cache, so decoding here does not wait
#   for memory. The bytes are exact.
#
# ## Common misconceptions
#
# * *"GQA makes prompts much faster to read."* It saves bytes, not operations. Reading a prompt waits for arithmetic.
# * *"The query heads of a group ask the same question."* Each has its own query, and attends to other positions. They
#   share keys and values.
# * *"Sharing needs a copy."* `repeat_kv` in many code bases is a convenience; a product per group, or a fused kernel,
#   needs no copy.
# * *"MQA always hurts."* It costs something at equal size. At equal memory or time it leaves room for a larger model.
# * *"KV heads are like experts."* Nothing is routed: which query head uses which shared head is fixed, for all tokens.
#
# ## You can now
#
# * compute the arithmetic intensity of decoding, and say what would raise it;
# * write grouped-query attention without copying a key, and check that it does not;
# * find the mistake that both $G = 1$ and $G = H$ hide;
# * convert a multi-head checkpoint, and reorder one of the other convention;
# * estimate which number of shared heads fits into a given memory.
#
# ## Open tasks
#
# * **Ten minutes.** A model with $H = 32$ and $G = 8$ is split over 16 GPUs with 2 query heads each. Which cache does
#   each GPU need? You should find 16 heads in all, half of the multi-head cache and not a quarter, because each of the
#   8 heads is kept twice. That is one reason for $G = 8$: it is the number of GPUs in many machines.
# * **An hour.** Before pooling, permute the query heads (with the rows of keys and values) so that similar key heads
#   are in one group. You should see a smaller loss right after the conversion than with neighbours.
# * **A day.** Write <dfn>multi-head latent attention</dfn> (MLA), which keeps one short vector for each token, from
#   which each head makes its keys and values ([DeepSeek-V2](https://arxiv.org/abs/2405.04434), section 2.1). Compare
#   its loss with GQA's at the same cache.
#
# ## Further reading
#
# * [Shazeer 2019](https://arxiv.org/abs/1911.02150): the derivation that you did, and a comparison with fewer heads at
#   the same cache, like ours: a perplexity of 30.2 for MQA, 30.9 to 31.2 for those.
# * [Ainslie et al. 2023](https://arxiv.org/abs/2305.13245): how much uptraining is needed, and which way to merge.
# * [DeepSeek-V2](https://arxiv.org/abs/2405.04434), section 2.1: a cache that is smaller without shared heads.
# * [flash-attention](flash-attention.ipynb): never writing the scores down.
