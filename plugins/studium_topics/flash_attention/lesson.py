# %% [markdown]
# # FlashAttention: exact attention in tiles
#
# In 2022 everybody knew what was wrong with attention: for N tokens it makes a table of N × N scores. A whole industry
# of approximations had grown around that square: low rank, sparse, hashed. They counted operations, and they were
# rarely faster.
#
# Then Tri Dao and four colleagues counted something else. On their example, the attention of GPT-2 medium at 1024
# tokens, forward and backward, the ordinary algorithm took 66.6 billion operations and 41.7 ms on an A100. Theirs took
# **75.2 billion operations, more, and 7.3 ms**. It approximated nothing. It only moved less: 4.4 GB instead of 40.3.
# In this lesson you will
#
# 1. write a softmax that never sees its row as a whole, and is exact all the same;
# 2. build attention from it in tiles, and be held to it by a meter that sees the largest tensor you make;
# 3. write the backward pass from probabilities that were thrown away;
# 4. predict, to the last number, what crosses between slow and fast memory, and have it counted;
# 5. let several workers share the keys, as servers of long texts do.
#
# You need causal attention, from the topic *decoder-only*. The papers:
# [FlashAttention](https://arxiv.org/abs/2205.14135), [FlashAttention-2](https://arxiv.org/abs/2307.08691), [online
# softmax](https://arxiv.org/abs/1805.02867), and [Rabe and Staats](https://arxiv.org/abs/2112.05682), who saved the
# memory, though not the time, half a year earlier.

# %%
from studium_topics.flash_attention import figures
from studium_topics.flash_attention.experiment import exactness, movement, streams
from studium_widgets import AttentionTiling, Roofline

# %% [markdown]
# ## Where the time goes
#
# A graphics card has two kinds of memory. The large one, **HBM**, holds everything: 40 or 80 GB. The small one,
# **SRAM**, lies beside the arithmetic units: an A100 has 192 kB for each of its 108 multiprocessors, and reads it some
# ten times faster. Whatever is computed has to be brought from the large one to the small one, and back.
#
# **Arithmetic intensity** is the number of operations for each byte that moves. An A100 can do 312 trillion operations
# a second (bf16) and move about 2 trillion bytes: with fewer than some 150 operations a byte, the arithmetic units
# wait. The picture of this is a **roofline**: a slope where the memory decides, a flat roof where the arithmetic does.
#
# Standard attention runs three kernels: $S = QK^\top/\sqrt d$ is written to HBM, read again for $P =
# \mathrm{softmax}(S)$, which is written, and read again for $O = PV$. The softmax does a handful of operations for
# each number it moves. Below are the two measurements of the paper's figure 2. Find them; which of the two is nearer
# to *its* roof?

# %% tags=["widget"]
Roofline.example()

# %% [markdown]
# <details><summary>Answer</summary>
#
# The standard algorithm! It reaches 47 % of what the slope allows at its 1.65 operations a byte; FlashAttention 30 % at
# its 17. It is six times faster because it stands ten times further to the right, not because it makes more of its
# place. There was room left, and FlashAttention-2 took it a year later, with the same mathematics.
# </details>
#
# So the square is not the crime. *Writing it down* is. If a tile of scores could be used up while it is in SRAM, nobody
# would ever need the rest. One thing stands in the way:
#
# $$o_i = \frac{\sum_j e^{s_{ij}} v_j}{\sum_j e^{s_{ij}}}$$
#
# has a sum over the **whole row** below the line. And to keep $e^{s}$ from overflowing, one subtracts the largest
# score, which again is known only at the end of the row.
#
# ## A softmax that is fed piece by piece
#
# Start with the sums over the keys seen so far, relative to the largest score so far, $m$:
#
# $$\ell = \sum_j e^{s_j - m}, \qquad a = \sum_j e^{s_j - m}\, v_j .$$
#
# Now come more keys. If the maximum rises to $m'$, every term that was summed is too large by the same factor, for
# $e^{s - m'} = e^{s - m} \cdot e^{m - m'}$. So one multiplication mends the past, and new terms can be added:
#
# $$m' = \max(m, \max_j s_j),$$
#
# $$\ell' = e^{m - m'} \ell + \sum_j e^{s_j - m'},$$
#
# $$a' = e^{m - m'} a + \sum_j e^{s_j - m'} v_j .$$
#
# At the end $o = a / \ell$. This is the **online softmax** of Milakov and Gimelshein (2018), and it is not an
# approximation: it is the distributive law. Watch it: each tile on the chip, the three numbers of its rows, and how far
# each row is from the exact result *for the keys that it has seen*. Then choose a mistake, and see which rows it hits.

# %% tags=["widget"]
AttentionTiling(length=32, block_rows=8, block_columns=8, causal=True)

# %% [markdown]
# One trap: a mask may hide all of a row's keys so far. Then $m = m' = -\infty$, and $-\infty - (-\infty)$ is not a
# number.

# %% exercise="online_update"
from studium_topics.flash_attention.exercises import online_update

# %% [markdown]
# **Think about it.** Does it matter in which order the keys come?
#
# <details><summary>Answer</summary>
#
# No. $(m, \ell, a)$ of two sets of keys can be combined in either order, and three sets in either grouping: it is an
# associative and commutative operation, whose neutral element is $(-\infty, 0, 0)$. Everything that follows lives on
# this: tiles in any order, keys shared among workers, texts shared among machines (ring attention). Only rounding
# differs.
# </details>
#
# ## Half of the tiles are empty
#
# Under a causal mask query $i$ sees nothing that comes after it. Where a whole tile lies in the dark, there is nothing
# to compute: for a long text almost half of all tiles. The mask matters only on the tiles that the diagonal crosses.
#
# Mind the alignment. In training there are as many queries as keys. While a model writes, it has a few *new* queries
# and a long past, and the queries are the **last** ones of the text: with $N$ queries and $M$ keys, query $i$ sees the
# keys $j \le i + M - N$. (`scaled_dot_product_attention(is_causal=True)` aligns at the *first* one; that has cost
# people days.)

# %% exercise="causal_tiles"
from studium_topics.flash_attention.exercises import causal_tiles

# %% [markdown]
# ## Attention in tiles
#
# Take a block of queries. Let all keys and values stream past it, block by block, and feed the online softmax. When the
# last one has passed, divide, write, and take the next block of queries. That is FlashAttention-2's order; the first
# FlashAttention had the loops the other way round, and wrote its half-done rows out again and again. (The widget above
# has both orders: compare what moves.)
#
# One more number is kept for each row, $\mathrm{lse} = m + \ln \ell = \ln \sum_j e^{s_j}$. The backward pass will
# live on it.
#
# The test has a **meter**: a `TorchDispatchMode`, through which PyTorch sends every operation. It sees the largest
# tensor that is made, in whatever function. A solution that looks tiled and makes one N × N mask does not pass.

# %% exercise="flash_forward"
from studium_topics.flash_attention.exercises import flash_forward

# %% [markdown]
# **Think about it.** Rabe and Staats had an algorithm with little memory before. Why was it not faster?
#
# <details><summary>Answer</summary>
#
# It was written in operations of a framework, as yours is. Each of them reads its inputs from HBM and writes its result
# back; a *small* tensor costs the trip all the same. Speed needs one kernel in which the tile is born, used and
# forgotten in SRAM. Memory is a matter of the algorithm; time is one of where it runs.
# </details>
#
# ## Backward, without the probabilities
#
# Autograd would keep $P$, all N × N of it, for the backward pass. But $P$ can be made again: with lse,
# $p_{ij} = e^{s_{ij} - \mathrm{lse}_i}$, normalised at once, for any tile by itself. So recompute it. That is *more*
# arithmetic, seven matrix products where there were six, and much less memory.
#
# With $dO$ given, $dV = P^\top dO$ and $dP = dO\,V^\top$. Through the softmax,
#
# $$dS_{ij} = P_{ij}\Bigl(dP_{ij} - \sum_k P_{ik}\, dP_{ik}\Bigr),$$
#
# and there it is again, a sum over the whole row. This time it dissolves: $\sum_k P_{ik}\, (dO_i \cdot V_k) = dO_i
# \cdot \sum_k P_{ik} V_k = dO_i \cdot O_i$. One number a row, from what is there already. Call it $D_i$.
#
# Then $dQ = dS\,K/\sqrt d$ and $dK = dS^\top Q/\sqrt d$, tile by tile.

# %% exercise="flash_backward"
from studium_topics.flash_attention.exercises import flash_backward

# %% [markdown] tags=["experiment"]
# ## Exact, and small
#
# Now your two functions, on texts of up to 4096 tokens, causal, in double precision, against PyTorch's own attention.
#
# *Predict first: the standard algorithm's largest tensor at 4096 tokens has 16.8 million numbers. How many times
# smaller is the largest one that you made? Write your guess in place of the 10.*

# %% tags=["experiment"]
lesson.predict("times smaller", 10, "How many times smaller is the largest tensor of tiled attention?")

# %% tags=["experiment"]
exact = exactness(lesson.mine(flash_forward), lesson.mine(flash_backward), profile=lesson.profile, seed=0)
print("tokens    largest error   largest tensor   standard attention's")
for length, error, tiled, standard in zip(exact.lengths, exact.forward, exact.tiled, exact.standard, strict=True):
    print(f"{length:6}    {error:13.1e}   {tiled:14,}   {standard:20,}")
print(f"\ngradients: the largest error is {exact.gradients:.1e}")
print(f"arithmetic, forward and backward: {exact.work:.4f} times that of standard attention")
lesson.found("times smaller", exact.standard[-1] / exact.tiled[-1])

# %% tags=["experiment"]
figures.memory(exact)

# %% [markdown] tags=["experiment"]
# The error is rounding, at every length. The largest tensor is that of q itself: it grows as the text, and the standard
# one as its square. And the arithmetic is 7/6 of the standard: six matrix products before, seven now, since $QK^\top$
# is computed twice. (The paper's 75.2 against 66.6 is 13 % more, counted with the softmax and all else that a kernel
# does.)

# %% [markdown]
# ## Many workers, one row
#
# While a model writes, there is *one* query. A head has one block of queries with one row, and most of the card's 108
# multiprocessors have nothing to do. So split the **keys**: each worker attends to its part and gives $(o,
# \mathrm{lse})$. By associativity that is enough to put the parts together. This is **flash-decoding**, and the same
# formula joins machines in ring attention, and the cached prefix with the new text in a server.

# %% exercise="merge_partials"
from studium_topics.flash_attention.exercises import merge_partials

# %% [markdown] tags=["experiment"]
# Here are 64 rows that meet their keys in blocks, by your `online_update`; the same with an accumulator that is only
# added to, never rescaled; and seven workers who share the keys, merged by you.

# %% tags=["experiment"]
joined = streams(
    lesson.mine(online_update), lesson.mine(flash_forward), lesson.mine(merge_partials), profile=lesson.profile, seed=0
)
print(f"met in blocks:                     error {joined.blocks:.1e}")
print(f"in blocks, acc never rescaled:     error {joined.forgetful:.1e}")
print(f"seven workers, merged:             error {joined.workers:.1e}")

# %% [markdown]
# ## What moves
#
# Now the count for which the paper is named "IO-aware". Standard attention reads and writes $4N^2 + 4Nd$ numbers: S and
# P, each written and read, and q, k, v, o once. In tiles, q and o move once, but **all keys and values pass by for each
# block of queries**. Larger blocks mean fewer passes, and what limits the block is the fast memory of $M$ numbers,
# which has to hold four of them:
#
# $$\text{passes} = \Bigl\lceil \frac{N}{\lfloor M / 4d \rfloor} \Bigr\rceil
# \quad\Rightarrow\quad \text{traffic} \approx \frac{N}{M/4d} \cdot 2Nd = \frac{8 N^2 d^2}{M}.$$
#
# Still a square! But divided by $M/d^2$, which is large: 100 000 against 64². The paper also proves that no exact
# algorithm can do better than this order for all sizes of the fast memory.

# %% exercise="hbm_floats"
from studium_topics.flash_attention.exercises import hbm_floats

# %% [markdown] tags=["experiment"]
# A formula is a promise. The second meter of this topic keeps a fast memory of M numbers and counts, operation by
# operation, what your `flash_forward` reads from the slow one and writes to it. It should be what you predicted, *to
# the last number*. (If yours moves more, look at what is larger than M: perhaps you scaled all of q at once, and wrote
# it out.)

# %% tags=["experiment"]
count = lesson.mine(hbm_floats)
moved = movement(lesson.mine(flash_forward), count, profile=lesson.profile, seed=0)
print(f"{moved.length} tokens of width 32\n")
print("fast memory      counted    predicted")
for sram, counted, predicted in zip(moved.srams, moved.counted, moved.predicted, strict=True):
    print(f"{sram:11,}   {counted:10,}   {predicted:10,}")
print(f"   standard   {moved.standard[0]:10,}   {moved.standard[1]:10,}")
print(f"\n1024 tokens of width 64, the fast memory of an A100: {moved.paper:.1f} times fewer numbers")
figures.traffic(moved, count(4096, 64, 1)[0])

# %% [markdown] tags=["experiment"]
# Twice the fast memory, half the traffic: a straight line of slope −1. It crosses the standard algorithm at about 8000
# numbers; with less fast memory than that, tiling would move *more*. At the paper's size it is 8.5 times less forward;
# the paper measured 9.2 times, forward and backward together, in bytes.
#
# **Think about it.** On which machine would FlashAttention be no gain at all?
#
# <details><summary>Answer</summary>
#
# On one whose slow memory is as fast as its arithmetic is hungry, or whose cache holds the N × N table anyway. A CPU
# with a few megabytes of cache and modest arithmetic is near that for short texts: there the gain is in memory, and in
# time it is small. The same algorithm, another balance.
# </details>
#
# ## On a GPU
#
# The reference has the kernels in [Triton](https://triton-lang.org), forward and backward (`triton_kernels.py` in this
# topic's folder). It is the algorithm that you wrote, with four things that matter there:
#
# * exponentials in **base 2**: the card has an instruction for $2^x$, so the factor $\log_2 e$ goes into the scale;
# * **two loops**: tiles that no mask touches need no comparison, and they are most of them;
# * **float32 accumulators** for bf16 inputs; the products themselves run on tensor cores;
# * **block sizes that are measured**, not chosen, at the first call of each shape.
#
# Triton has an interpreter for CPUs, in which the kernels are tested against float64 without a card. **Their speed has
# not been measured on a GPU yet.** They are written to reach at least 0.6 of PyTorch's own FlashAttention (causal,
# bf16, heads of 64 and 128); whoever has a card finds out with
#
# ```text
# python -m studium_topics.flash_attention.measure_gpu
# ```
#
# ## What does not reproduce at this size
#
# * **Time.** The paper's point is that fewer bytes are less time. Your tiles are operations of PyTorch, each with
#   overhead of its own, on a CPU: they are *slower* than standard attention here. What is exact, and what this lesson
#   measures, are numbers, operations, memory and traffic.
# * **The traffic** is that of a model with one fast memory and no cache. A real card has caches between, which help
#   standard attention a little.
# * **Longer contexts, better models**: the paper trains on texts of 16 000 and 64 000 tokens (Path-X), which no laptop
#   does.
#
# ## Common misconceptions
#
# * *"FlashAttention is an approximation."* It is the same sum in another order. Your error was rounding.
# * *"It does less arithmetic."* It does more, 7/6 of the matrix products.
# * *"It makes attention linear."* Memory, yes. Arithmetic stays $N^2$, and so does the traffic, over a large constant.
# * *"A softmax needs its whole row."* It needs three numbers of what it has seen.
# * *"The backward pass needs P."* It needs lse, and a second multiplication.
# * *"It is as much of a gain everywhere."* It is a gain where memory is slow beside arithmetic.
#
# ## Where to go next
#
# * [Dao et al. 2022](https://arxiv.org/abs/2205.14135): section 3.2 has the traffic theorem, and its lower bound.
# * [Dao 2023](https://arxiv.org/abs/2307.08691): why the loops were turned round, and how work is shared among warps.
# * [Milakov and Gimelshein 2018](https://arxiv.org/abs/1805.02867): four pages, the online softmax.
# * [Rabe and Staats 2021](https://arxiv.org/abs/2112.05682): the memory, a few months earlier.
# * The topics *kv-caching* and *mqa-gqa* are about the traffic of *writing* a text, where the keys are what moves.
#
# **A last question.** You have $(o, \mathrm{lse})$ of a long document, and a user appends a word to it. What has to be
# computed again for the old queries, without a mask? And with a causal one?
#
# <details><summary>Answer</summary>
#
# Without a mask every old query also sees the new key: one `online_update` with a single column each, or one
# `merge_partials`; nothing else. With a causal mask: nothing at all. That is why causal models can keep a cache.
# </details>
