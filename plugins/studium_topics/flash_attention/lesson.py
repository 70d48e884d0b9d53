# %% [markdown]
# # FlashAttention: exact attention in tiles
#
# On the attention of GPT-2 medium with 1024 tokens, forward and backward, the ordinary algorithm does 66.6 billion
# operations in 41.7 ms on an A100. In 2022 Tri Dao and four colleagues published one that does **more operations, 75.2
# billion, in 7.3 ms**, and approximates nothing. It only moves less data: 4.4 GB instead of 40.3.
#
# How can more work take a sixth of the time? In the chart below, the horizontal axis is how many operations an
# algorithm does for each byte that it moves, and the vertical axis is how many it does in a second. **Find the two
# measurements of the paper's figure 2**, and read off what limits each of them. Which is nearer to the limit above it?

# %% tags=["widget"]
from studium_widgets import AttentionTiling, Diagram, Roofline

Roofline.example()

# %% [markdown]
# In this lesson you will
#
# 1. **write** a softmax that never sees its row as a whole, and is exact all the same;
# 2. **build** attention from it in tiles, while a meter watches the largest tensor that you make;
# 3. **write** the backward pass from probabilities that were thrown away;
# 4. **derive** how many numbers cross between slow and fast memory, and have them counted;
# 5. **merge** the results of several workers that share the keys, as servers of long texts do.
#
# You need causal attention, from [decoder-only](decoder-only.ipynb). Time: 18 minutes of reading, 100 of coding, 2 of
# running.
#
# **Before FlashAttention**, attention made a table of N × N scores, and many papers approximated this table: by low
# rank, by sparsity, by hashing. They reduced the operations, but many were not faster in practice, because the time
# went into moving numbers. [FlashAttention](https://arxiv.org/abs/2205.14135) kept attention exact and moved fewer
# numbers, with the [online softmax](https://arxiv.org/abs/1805.02867) of 2018.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $N$, $M$, $d$ | numbers of queries and of keys, width of a head | |
# | $q, k, v, o$ | queries, keys, values and output | (N, d), (M, d), (M, d), (N, d) |
# | $s$, $P$ | scores $qk^\top/\sqrt d$ and their softmax | (N, M) |
# | $m$, $\ell$, $a$ | maximum, sum and accumulator of a row so far; in code `m`, `l`, `acc` | (N,), (N,), (N, d) |
# | $\mathrm{lse}$ | logarithm of the sum of a row's exponentials | (N,) |
# | $dO$, $D$ | gradient with respect to $o$; $D_i = dO_i \cdot o_i$ | (N, d), (N,) |
# | $F$ | size of the fast memory, in numbers | |

# %%
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from studium_topics.flash_attention import figures
from studium_topics.flash_attention.experiment import drawn, exactness, movement, streams

# %% [markdown]
# ## Where the time goes
#
# A graphics card has two kinds of memory. <dfn>HBM</dfn> is the large and slow memory of a graphics card, 40 or 80 GB
# in an A100, and holds all tensors. <dfn>SRAM</dfn> is the small and fast memory beside a card's arithmetic units: an
# A100 has 192 kB for each of its 108 multiprocessors, and reads it some ten times faster. Whatever is computed has to
# be brought from HBM to SRAM, and the result back.
#
# The <dfn>arithmetic intensity</dfn> of a computation is the number of its operations for each byte that it moves. An
# A100 does 312 trillion operations a second in bfloat16 and moves 1.6 (40 GB) or 2.0 (80 GB) trillion bytes, so below
# 150 to 200 operations a byte the arithmetic units wait. A <dfn>roofline</dfn> is the chart of this limit: a slope
# where the memory decides, and a flat roof where the arithmetic does.
#
# Standard attention runs three kernels: $S = qk^\top/\sqrt d$ is written to HBM, read again for $P =
# \mathrm{softmax}(S)$, which is written, and read again for $o = Pv$. The softmax does a handful of operations for
# each number that it moves.
#
# <details><summary>Which measurement is nearer to its limit?</summary>
#
# The standard algorithm. With the 2.0 TB/s of the chart's 80 GB card it reaches 47 % of what the slope allows at its
# 1.65 operations a byte, and FlashAttention 30 % at its 17. The paper's benchmarks ran on a card with 40 GB (section
# 4.3), whose 1.6 TB/s make that 62 % and 39 %. FlashAttention is six times faster because its intensity is ten times as
# high, not because it comes nearer to the limit. FlashAttention-2 came nearer a year later, with the same mathematics.
# </details>
#
# So the N × N scores cost time because they are *written to HBM and read again*. If each tile of the table could be
# used while it is in SRAM, the whole table would never have to be stored:

# %% tags=["diagram"]
Diagram.from_package("studium_topics.flash_attention", "flow.svg")

# %% [markdown]
# The softmax seems to forbid this. The output
#
# $$o_i = \frac{\sum_j e^{s_{ij}} v_j}{\sum_j e^{s_{ij}}}$$
#
# has a sum over the **whole row** in its denominator. And to keep $e^{s}$ from overflowing, the largest score is
# subtracted first, which is also known only at the end of the row.
#
# ## A softmax that gets its row in pieces
#
# Start with the sums over the keys seen so far, relative to the largest score so far, $m$:
#
# $$\ell = \sum_j e^{s_j - m}, \qquad a = \sum_j e^{s_j - m}\, v_j .$$
#
# Now come more keys. If the maximum rises to $m'$, every term that was summed is too large by the same factor, because
# $e^{s - m'} = e^{s - m} \cdot e^{m - m'}$. So one multiplication corrects the old sums, and new terms can be added:
#
# $$m' = \max(m, \max_j s_j),$$
#
# $$\ell' = e^{m - m'} \ell + \sum_j e^{s_j - m'},$$
#
# $$a' = e^{m - m'} a + \sum_j e^{s_j - m'} v_j .$$
#
# At the end $o = a / \ell$. An <dfn>online softmax</dfn> (Milakov and Gimelshein, 2018) gets its row piece by piece and
# rescales what it has summed whenever the maximum rises. It is no approximation, because it only applies the
# distributive law. The widget shows each tile in fast memory, the three numbers of its rows, and how far each row is
# from the exact result *for the keys that it has seen*. Then choose a mistake, and see which rows it hits.

# %% tags=["widget"]
AttentionTiling(length=32, block_rows=8, block_columns=8, causal=True)

# %% [markdown]
# One case needs care: a mask may hide all of a row's keys so far. Then $m = m' = -\infty$, and $-\infty - (-\infty)$ is
# not a number.

# %% exercise="online_update"
from studium_topics.flash_attention.exercises import online_update

# %% [markdown]
# **Think about it.** Does it matter in which order the keys come?
#
# <details><summary>Answer</summary>
#
# No. $(m, \ell, a)$ of two sets of keys can be combined in either order, and three sets in either grouping: it is an
# associative and commutative operation, whose neutral element is $(-\infty, 0, 0)$. Everything that follows uses this:
# tiles in any order, keys shared among workers, texts shared among machines (ring attention). Only rounding differs.
# </details>
#
# ## Half of the tiles are empty
#
# Under a causal mask query $i$ sees nothing that comes after it. Where the mask hides a whole tile, there is nothing to
# compute: in a long text that is almost half of all tiles. The mask itself is needed only on the tiles that the
# diagonal crosses.
#
# The alignment of the mask matters. In training there are as many queries as keys. While a model writes, it has a few
# *new* queries and many earlier keys, and the queries are the **last** ones of the text: with $N$ queries and $M$ keys,
# query $i$ sees the keys $j \le i + M - N$. (`scaled_dot_product_attention(is_causal=True)` instead lets the first
# query see the *first* key alone.)

# %% exercise="causal_tiles"
from studium_topics.flash_attention.exercises import causal_tiles

# %% [markdown]
# ## Attention in tiles
#
# Take a block of queries. Let all keys and values stream past it, block by block, and update the online softmax with
# each. After the last block, divide $a$ by $\ell$, write the result, and take the next block of queries. That is the
# order of [FlashAttention-2](https://arxiv.org/abs/2307.08691); the first FlashAttention had the loops the other way
# round, and wrote its unfinished rows out once for every block of keys. (The widget above has both orders: compare what
# moves.)
#
# One more number is kept for each row, $\mathrm{lse} = m + \ln \ell = \ln \sum_j e^{s_j}$. The backward pass will
# need it.
#
# One of the tests **limits your memory**: with 6,144 tokens, your function may take 32 MB more than it has, and one
# N × N mask is 36 MB. So a solution that looks tiled but makes the whole mask does not pass.

# %% exercise="flash_forward"
from studium_topics.flash_attention.exercises import flash_forward

# %% [markdown]
# **In practice** this is `F.scaled_dot_product_attention`, which chooses one of several implementations. Ask for
# FlashAttention, of which PyTorch has a version for CPUs as well:

# %% tags=["experiment", "bridge"]
q, k, v = drawn(256, seed=0)
mine, _ = lesson.mine(flash_forward)(q, k, v, 64, 64, True)
with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
    theirs = F.scaled_dot_product_attention(q[None, None], k[None, None], v[None, None], is_causal=True)[0, 0]
print(f"largest difference to torch.nn.functional.scaled_dot_product_attention: {(mine - theirs).abs().max():.1e}")

# %% [markdown]
# **Think about it.** [Rabe and Staats](https://arxiv.org/abs/2112.05682) had published attention in little memory half
# a year earlier. Why was it not faster?
#
# <details><summary>Answer</summary>
#
# It was written in operations of a framework, as yours is. Each of them reads its inputs from HBM and writes its result
# back, however small it is. Speed needs one kernel in which a tile is made, used and thrown away in SRAM. The memory
# depends on the algorithm alone, the time also on where it runs.
# </details>
#
# ## Backward, without the probabilities
#
# Autograd would keep $P$, all N × N of it, for the backward pass. But $P$ can be computed again: with lse,
# $p_{ij} = e^{s_{ij} - \mathrm{lse}_i}$ is normalised at once, for any tile by itself. That is *more* arithmetic, seven
# matrix products where there were six, and much less memory.
#
# With $dO$ given, $dV = P^\top dO$ and $dP = dO\,v^\top$. Through the softmax,
#
# $$dS_{ij} = P_{ij}\Bigl(dP_{ij} - \sum_k P_{ik}\, dP_{ik}\Bigr),$$
#
# which again has a sum over the whole row. This one can be computed without any tile: $\sum_k P_{ik}\, (dO_i \cdot v_k)
# = dO_i \cdot \sum_k P_{ik} v_k = dO_i \cdot o_i = D_i$, one number for each row, from results that are kept anyway.
#
# Then $dQ = dS\,k/\sqrt d$ and $dK = dS^\top q/\sqrt d$, tile by tile.

# %% exercise="flash_backward"
from studium_topics.flash_attention.exercises import flash_backward

# %% [markdown] tags=["experiment"]
# ## Exact, and small
#
# Now your two functions, on causal texts of up to 4096 tokens, in double precision, against PyTorch's own attention.
#
# *Predict first: the standard algorithm's largest tensor at 4096 tokens has 16.8 million numbers. The width of the head
# is 32, and a tile has 64 × 64 scores. How many times smaller is the largest tensor that you make?*

# %% tags=["experiment"]
lesson.predict("times smaller", ..., "How many times smaller is the largest tensor of tiled attention?")

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
# The error is rounding, at every length. The largest tensor has the size of q itself: it grows in proportion to the
# text, and the standard one as its square. And the arithmetic is 7/6 of the standard: six matrix products before, seven
# now, because $qk^\top$ is computed twice. (The paper's 75.2 against 66.6 billion operations is 13 % more.)

# %% [markdown]
# ## Many workers, one row
#
# While a model writes, there is *one* query. A head has one block of queries with one row, and most of the card's 108
# multiprocessors have nothing to do. <dfn>Flash-decoding</dfn> splits the keys of one query among workers, each of
# which attends to its part and returns $o$ and lse. By associativity that is enough to put the parts together. The same
# formula joins machines in ring attention, and the cached prefix with the new text in a server.

# %% exercise="merge_partials"
from studium_topics.flash_attention.exercises import merge_partials

# %% [markdown] tags=["experiment"]
# Here are 64 rows that get their keys in blocks, by your `online_update`; the same with an accumulator that is never
# rescaled; and seven workers that share the keys, merged by your `merge_partials`.

# %% tags=["experiment"]
joined = streams(
    lesson.mine(online_update), lesson.mine(flash_forward), lesson.mine(merge_partials), profile=lesson.profile, seed=0
)
print(f"keys in blocks:                    error {joined.blocks:.1e}")
print(f"in blocks, acc never rescaled:     error {joined.forgetful:.1e}")
print(f"seven workers, merged:             error {joined.workers:.1e}")

# %% [markdown]
# ## What moves
#
# The paper's title speaks of "IO-awareness": the algorithm is designed by how much it moves. In standard attention each
# of three kernels reads its inputs from HBM and writes its output back. In tiles, q and o move once, but **all keys and
# values move again for each block of queries**. Larger blocks mean fewer passes, and the fast memory of $F$ numbers
# limits the block, because it has to hold four of them: of q, k, v and o. How many numbers move? Derive it.

# %% exercise="hbm_floats"
from studium_topics.flash_attention.exercises import hbm_floats

# %% [markdown] tags=["experiment"]
# Standard attention moves S and P twice each, and q, k, v, o once: $4N^2 + 4Nd$ numbers. In tiles the keys and values,
# $2Nd$ numbers, pass $\lceil N / \lfloor F / 4d \rfloor \rceil$ times, so that the traffic is about
#
# $$\frac{N}{F/4d} \cdot 2Nd = \frac{8 N^2 d^2}{F}.$$
#
# This still grows as $N^2$, but with the factor $8d^2/F$ in place of 4: about 0.33 for a width of 64 and a fast memory
# of 100 000 numbers. The paper also proves that no exact algorithm can improve on this order for all sizes of the fast
# memory (its proposition 3).
#
# The second meter of this topic keeps a fast memory of $F$ numbers and counts, operation by operation, what your
# `flash_forward` reads from the slow one and writes to it. The count should equal your formula *exactly*.
# (If yours moves more, look at what is larger than $F$: perhaps you scaled all of q at once, and wrote it out.)

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
# Twice the fast memory halves the traffic, so the figure (4096 tokens of width 64) shows a straight line of slope −1.
# It meets the standard algorithm where $8N^2d^2/F = 4N^2$, at $F = 2d^2$, about 8000 numbers; with less fast memory
# than that, tiling would move *more*. At the paper's size it moves 8.5 times fewer numbers in the forward pass; the
# paper measured 9.2 times fewer bytes, forward and backward together.
#
# **Think about it.** On which machine would FlashAttention be no gain at all?
#
# <details><summary>Answer</summary>
#
# On one whose slow memory keeps up with its arithmetic, or whose cache holds the N × N table anyway. A CPU with a few
# megabytes of cache and modest arithmetic is near that for short texts: it saves memory, and hardly any time.
# </details>
#
# ## What does not reproduce at this size
#
# * **Time.** The paper's point is that fewer bytes take less time. Your tiles are operations of PyTorch on a CPU, each
#   with overhead of its own, so they are *slower* than standard attention here. What this lesson measures exactly are
#   results, operations, memory and traffic.
# * **The traffic** is that of a machine with one fast memory and no cache. A real card has caches between HBM and SRAM,
#   which help standard attention a little.
# * **Longer contexts, better models**: the paper trains on sequences of 16 384 (Path-X) and 65 536 tokens (Path-256),
#   which no laptop does.
#
# ## Common misconceptions
#
# * *"FlashAttention is an approximation."* It is the same sum in another order. Your error was rounding.
# * *"It does less arithmetic."* It does more: 7/6 of the matrix products.
# * *"It makes attention linear."* Its memory is linear. Its arithmetic stays $N^2$, and so does its traffic, divided by
#   a large constant.
# * *"A softmax needs its whole row."* It needs three numbers for what it has seen.
# * *"The backward pass needs P."* It needs lse, and computes the scores a second time.
# * *"It helps equally on every machine."* It helps where memory is slow compared with arithmetic.
#
# ## You can now
#
# * explain why an algorithm with more operations can take less time, and read it off a roofline;
# * compute a softmax from blocks of its row, exactly and without overflow;
# * write attention in tiles, forward and backward, whose memory grows in proportion to the text;
# * merge attention over parts of the keys, as flash-decoding and ring attention do;
# * predict how many numbers an algorithm moves between slow and fast memory, and check the count.
#
# ## Open tasks
#
# * **Ten minutes.** You have $o$ and lse of a long document, and a word is appended to it. What has to be computed
#   again for the old queries? Try it with `merge_partials`: without a mask one merge with the new key is enough, and
#   with a causal mask nothing changes, which is why causal models can keep a cache.
# * **An hour.** Give `flash_forward` a sliding window: query i sees only the last w keys. You should see the number of
#   tiles grow in proportion to the text, and no longer as its square.
# * **A day.** Write the forward pass as one kernel in [Triton](https://triton-lang.org), whose interpreter runs on a
#   CPU. It should agree with yours to float32 rounding, with exponentials in base 2 and separate loops for tiles with
#   and without a mask.
#
# ## Further reading
#
# * [Dao et al. 2022](https://arxiv.org/abs/2205.14135): section 3.2 has the theorem on traffic and the lower bound.
# * [Dao 2023](https://arxiv.org/abs/2307.08691): why the loops changed places, and how warps share the work.
# * [Milakov and Gimelshein 2018](https://arxiv.org/abs/1805.02867): the online softmax.
# * [Rabe and Staats 2021](https://arxiv.org/abs/2112.05682): attention in little memory, half a year earlier.
# * [kv-caching](kv-caching.ipynb) and [mqa-gqa](mqa-gqa.ipynb): the traffic while a model *writes*, where the keys are
#   what moves.
