# %% [markdown]
# # FlashAttention: exact attention in tiles
#
# If you run the attention of GPT-2 medium with 1024 tokens on an A100, forward and backward, the ordinary algorithm
# does 66.6 billion operations in 41.7 ms. In 2022 Tri Dao and four colleagues published an algorithm that does **more
# operations, 75.2 billion, in 7.3 ms**, and that doesn't approximate anything. It just moves less data: 4.4 GB instead
# of 40.3.
#
# How can more work take a sixth of the time? In this chart, the horizontal axis shows how many operations an
# algorithm does for each byte that it moves, and the vertical axis how many it does per second. **Find the two
# measurements from figure 2 of the paper**, and use the chart to see what limits each measurement. Which is nearer to
# the limit above it?

# %% tags=["widget"]
from studium_widgets import AttentionTiling, Diagram, Roofline

Roofline.example()

# %% [markdown]
# In this lesson you will
#
# 1. **write** a softmax that never gets to see its complete row, but is exact all the same;
# 2. **build** attention from it in tiles, and let a meter find the largest tensor that you make;
# 3. **write** a backward pass that computes the probabilities again instead of keeping them;
# 4. **derive** how many numbers cross between slow and fast memory, and check this using a meter that counts them;
# 5. **merge** the results of several workers that share the keys, as servers do for long texts.
#
# **You need** causal attention, from [decoder-only](decoder-only.ipynb). **Time:** 18 minutes of reading, 115 of
# coding, 2 of running.
#
# **History.** Before FlashAttention, attention made a table of N × N scores, and many papers approximated this table,
# using ideas such as low rank, sparsity or hashing. They reduced the operations, but many were not faster in practice,
# because most of the time was spent on moving numbers. [FlashAttention](https://arxiv.org/abs/2205.14135) kept
# attention exact and moved fewer numbers, using the [online softmax](https://arxiv.org/abs/1805.02867) of 2018.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $N$, $M$, $d$ | numbers of queries and of keys, width of a head | |
# | $q, k, v, o$ | queries, keys, values and output | (N, d), (M, d), (M, d), (N, d) |
# | $s$, $P$ | here: scores $qk^\top/\sqrt d$ and their softmax | (N, M) |
# | $m$, $\ell$, $a$ | maximum, sum and accumulator of a row so far; in code `m`, `l`, `acc` | (N,), (N,), (N, d) |
# | $\mathrm{lse}$ | logarithm of the sum of a row's exponentials | (N,) |
# | $dO$, $D$ | here, as in the paper: gradient with respect to $o$; $D_i = dO_i \cdot o_i$ | (N, d), (N,) |
# | $F$ | here: size of the fast memory, in numbers | |

# %%
from studium import show_table
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from studium_topics.flash_attention import figures
from studium_topics.flash_attention.experiment import drawn, exactness, movement, streams

# %% [markdown]
# ## Where the time goes
#
# A graphics card has two kinds of memory. <dfn>HBM</dfn> is the large and slow memory of a graphics card, 40 or 80 GB
# in an A100, and contains all the tensors. <dfn>SRAM</dfn> is the small and fast memory next to a card's arithmetic
# units. An A100 has 192 kB for each of its 108 multiprocessors, and can read it about ten times faster. Whatever we
# want to compute with must be brought from HBM to SRAM, and then we have to bring the result back.
#
# The <dfn>arithmetic intensity</dfn> of a computation is the number of its operations for each byte that it moves. An
# A100 can do 312 trillion operations a second in bfloat16, and it moves 1.6 (40 GB) or 2.0 (80 GB) trillion bytes.
# Below 150 to 200 operations per byte, the arithmetic units will therefore have to wait. A <dfn>roofline</dfn> is the
# chart of this limit: it has a slope where the memory decides, and a flat roof where the arithmetic does.
#
# Standard attention runs three kernels. The first writes $S = qk^\top/\sqrt d$ to HBM. The second reads it again and
# writes $P = \mathrm{softmax}(S)$, and the third reads that to compute $o = Pv$. The softmax does just a handful of
# operations for each number that it moves.
#
# <details><summary>Which measurement is nearer to its limit?</summary>
#
# It is the standard algorithm. If we use the 2.0 TB/s of the 80 GB card in the chart, it reaches 47 % of what the slope
# allows at its 1.65 operations per byte, while FlashAttention reaches 30 % at its 17. The authors ran their benchmarks
# on a card with 40 GB (section 4.3), and with its 1.6 TB/s we get 62 % and 39 %. FlashAttention is six times faster
# because its intensity is ten times as high, not because it comes nearer to the limit. FlashAttention-2 came nearer a
# year later, using the same mathematics.
# </details>
#
# So the N × N scores cost time because we *write them to HBM and read them again*. If we could use each tile of the
# table while it is in SRAM, we would never have to store the complete table:

# %% tags=["diagram"]
Diagram.from_package("studium_topics.flash_attention", "flow.svg")

# %% [markdown]
# The softmax seems to make this impossible. The output
#
# $$o_i = \frac{\sum_j e^{s_{ij}} v_j}{\sum_j e^{s_{ij}}}$$
#
# has a sum over the **whole row** in its denominator. And to keep $e^{s}$ from overflowing, we first subtract the
# largest score, which we also don't know until the end of the row.
#
# ## A softmax that gets its row in pieces
#
# Let's start with the sums over the keys we have seen so far, relative to the largest score so far, $m$:
#
# $$\ell = \sum_j e^{s_j - m}, \qquad a = \sum_j e^{s_j - m}\, v_j .$$
#
# Now more keys arrive. If the maximum rises to $m'$, every term in our sums is too large by the same factor, because
# $e^{s - m'} = e^{s - m} \cdot e^{m - m'}$. So we can correct the old sums using a single multiplication, and then add
# the new terms:
#
# $$m' = \max(m, \max_j s_j),$$
#
# $$\ell' = e^{m - m'} \ell + \sum_j e^{s_j - m'},$$
#
# $$a' = e^{m - m'} a + \sum_j e^{s_j - m'} v_j .$$
#
# At the end, $o = a / \ell$. An <dfn>online softmax</dfn> (Milakov and Gimelshein, 2018) gets its row piece by piece
# and rescales what it has summed whenever the maximum rises. It is not an approximation, because it just uses the
# distributive law. In the widget you can see each tile in fast memory, the three numbers for its rows, and how far each
# row is from the exact result *for the keys that it has seen*. When you have watched this, choose a mistake and see
# which rows it affects.

# %% tags=["widget"]
AttentionTiling(length=32, block_rows=8, block_columns=8, causal=True)

# %% [markdown]
# You should take care of one case: a mask might hide all the keys of a row so far. Then $m = m' = -\infty$, and
# $-\infty - (-\infty)$ is not a number.

# %% exercise="online_update"
from studium_topics.flash_attention.exercises import online_update

# %% [markdown]
# **Think about it.** Does it matter in which order the keys come?
#
# <details><summary>Answer</summary>
#
# No. You can combine $(m, \ell, a)$ for two sets of keys in either order, and you can group three sets either way. This
# operation is associative and commutative, and its neutral element is $(-\infty, 0, 0)$. We will use this in everything
# that follows: for tiles in any order, for keys shared among workers, and for texts shared among machines (ring
# attention). Only rounding differs.
# </details>
#
# ## Half of the tiles are empty
#
# Under a causal mask, query $i$ cannot see the tokens that come after it. Where the mask hides a whole tile, we don't
# have to compute anything, and in a long text this is true of almost half of the tiles. We need the mask itself only on
# the tiles that the diagonal crosses.
#
# How the mask is aligned also matters. In training there are as many queries as keys. While a model writes, however,
# there are a few *new* queries and many earlier keys, and the queries are the **last** ones in the text. With $N$
# queries and $M$ keys, query $i$ can see the keys $j \le i + M - N$. (If you use
# `scaled_dot_product_attention(is_causal=True)` instead, the first query can see only the *first* key.)

# %% exercise="causal_tiles"
from studium_topics.flash_attention.exercises import causal_tiles

# %% [markdown]
# ## Attention in tiles
#
# Take a block of queries. Stream all the keys and values past it, block by block, and use each block to update the
# online softmax. After the last one, divide $a$ by $\ell$, write the result, and take the next block of queries. This
# is the order of [FlashAttention-2](https://arxiv.org/abs/2307.08691). In the first FlashAttention the loops were the
# other way round, so it had to write its unfinished rows out once for every block of keys. (You can choose either order
# in the widget above: compare what moves.)
#
# For each row we also keep $\mathrm{lse} = m + \ln \ell = \ln \sum_j e^{s_j}$, because we will need it in the backward
# pass.
#
# One of the tests **limits your memory**: with 6,144 tokens, your function may take 32 MB more than it has, and a
# single N × N mask is 36 MB. If your solution looks tiled but makes the complete mask, it will not pass.

# %% exercise="flash_forward"
from studium_topics.flash_attention.exercises import flash_forward

# %% [markdown]
# **In practice** you would use `F.scaled_dot_product_attention`, which chooses between several implementations. Here we
# ask for FlashAttention. PyTorch also has a version of it for CPUs:

# %% tags=["experiment", "bridge"]
q, k, v = drawn(256, seed=0)
mine, _ = lesson.mine(flash_forward)(q, k, v, 64, 64, True)
with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
    theirs = F.scaled_dot_product_attention(q[None, None], k[None, None], v[None, None], is_causal=True)[0, 0]
print(f"largest difference from torch.nn.functional.scaled_dot_product_attention: {(mine - theirs).abs().max():.1e}")

# %% [markdown]
# **Think about it.** [Rabe and Staats](https://arxiv.org/abs/2112.05682) had published attention in little memory half
# a year earlier. Why wasn't it faster?
#
# <details><summary>Answer</summary>
#
# They wrote it using the operations of a framework, just like you did. These operations read their inputs from HBM and
# write the result back, however small they are. To make it fast, you need a single kernel that makes a tile, uses it
# and throws it away, all in SRAM. The memory you need depends only on the algorithm, but the time also depends on where
# it runs.
# </details>
#
# ## Backward, without the probabilities
#
# Autograd would keep $P$, all N × N of it, for the backward pass. But we can compute $P$ again. If we have lse, then
# $p_{ij} = e^{s_{ij} - \mathrm{lse}_i}$ is normalised right away, for any single tile. This takes *more* arithmetic,
# seven matrix products instead of six, but much less memory.
#
# If $dO$ is given, $dV = P^\top dO$ and $dP = dO\,v^\top$. When we go through the softmax, we get
#
# $$dS_{ij} = P_{ij}\Bigl(dP_{ij} - \sum_k P_{ik}\, dP_{ik}\Bigr),$$
#
# and again this has a sum over the whole row. But we can compute this sum without using any tile: $\sum_k P_{ik}\,
# (dO_i \cdot v_k) = dO_i \cdot \sum_k P_{ik} v_k = dO_i \cdot o_i = D_i$. It is a single number for each row, and it
# comes from results that we keep anyway.
#
# Then $dQ = dS\,k/\sqrt d$ and $dK = dS^\top q/\sqrt d$, tile by tile.

# %% exercise="flash_backward"
from studium_topics.flash_attention.exercises import flash_backward

# %% [markdown] tags=["experiment"]
# ## Exact, and small
#
# Now let's compare your two functions with PyTorch's own attention, on causal texts of up to 4096 tokens and in double
# precision.
#
# *Predict first: at 4096 tokens, the largest tensor of the standard algorithm has 16.8 million numbers. The width of
# the head is 32, and a tile has 64 × 64 scores. How many times smaller is the largest tensor that you make?*

# %% tags=["experiment"]
lesson.predict("times smaller", ..., "How many times smaller is the largest tensor of tiled attention?")

# %% tags=["experiment"]
exact = exactness(lesson.mine(flash_forward), lesson.mine(flash_backward), profile=lesson.profile, seed=0)
rows = zip(exact.lengths, exact.forward, exact.tiled, exact.standard, strict=True)
show_table(
    ["tokens", "largest error", "largest tensor", "standard attention's"],
    [(length, f"{error:.1e}", tiled, standard) for length, error, tiled, standard in rows],
)
print(f"gradients: the largest error is {exact.gradients:.1e}")
print(f"arithmetic, forward and backward: {exact.work:.4f} times as much as in standard attention")
lesson.found("times smaller", exact.standard[-1] / exact.tiled[-1])

# %% tags=["experiment"]
figures.memory(exact)

# %% [markdown] tags=["experiment"]
# At every length, the error is just rounding. The largest tensor has the size of q itself, so it grows in proportion to
# the text, while the standard one grows as its square. And you do 7/6 of the standard arithmetic: there were six matrix
# products before and now there are seven, because you compute $qk^\top$ twice. (The paper's 75.2 against 66.6 billion
# operations is 13 % more.)

# %% [markdown]
# ## Many workers, one row
#
# While a model writes, there is just *one* query. A head then has a single block of queries with a single row, so most
# of the card's 108 multiprocessors don't have any work. <dfn>Flash-decoding</dfn> splits the keys of one query among
# workers, which attend to their parts and return $o$ and lse. Because the operation is associative, this is enough to
# put the parts together. You can use the same formula to join machines in ring attention, or the cached prefix and the
# new text in a server.

# %% exercise="merge_partials"
from studium_topics.flash_attention.exercises import merge_partials

# %% [markdown] tags=["experiment"]
# Here we have 64 rows that get their keys in blocks, using your `online_update`. Then we do the same with an
# accumulator that we never rescale. At the end, seven workers share the keys, and your `merge_partials` merges their
# results.

# %% tags=["experiment"]
joined = streams(
    lesson.mine(online_update), lesson.mine(flash_forward), lesson.mine(merge_partials), profile=lesson.profile, seed=0
)
show_table(
    ["keys", "error"],
    [
        ("in blocks", f"{joined.blocks:.1e}"),
        ("in blocks, acc never rescaled", f"{joined.forgetful:.1e}"),
        ("seven workers, merged", f"{joined.workers:.1e}"),
    ],
)

# %% [markdown]
# **Which tiles are worth loading?** While a model writes a long text, loading the keys and values takes most of the
# time, and most of them get hardly any attention. Suppose that for each tile we keep the smallest and the largest value
# of each coordinate of its keys. Can you tell from these which tiles matter, before you load them? The result is no
# longer exact, so we have to measure how far off it is. [Quest](https://arxiv.org/abs/2406.10774) makes decoding
# faster in this way. The next exercise sets a goal and leaves the way to you. Afterwards, report what you tried.

# %% exercise="worthwhile_tiles"
from studium_topics.flash_attention.exercises import worthwhile_tiles

# %% [markdown]
# ## What moves
#
# In their title the authors speak of "IO-awareness": they designed the algorithm by how much it moves. In standard
# attention, three kernels read their inputs from HBM and write their outputs back. In tiles, q and o move once, but
# **all keys and values move again for each block of queries**. If you use larger blocks, you need fewer passes. But the
# fast memory of $F$ numbers limits the block, because it must have room for four of them: q, k, v and o. How many
# numbers move? Derive it.

# %% exercise="hbm_floats"
from studium_topics.flash_attention.exercises import hbm_floats

# %% [markdown] tags=["experiment"]
# Standard attention moves S and P twice each, and q, k, v and o once. This makes $4N^2 + 4Nd$ numbers. In tiles the
# keys and values, which are $2Nd$ numbers, pass $\lceil N / \lfloor F / 4d \rfloor \rceil$ times, so the traffic is
# about
#
# $$\frac{N}{F/4d} \cdot 2Nd = \frac{8 N^2 d^2}{F}.$$
#
# This still grows as $N^2$, but with the factor $8d^2/F$ instead of 4. For a width of 64 and a fast memory of 100 000
# numbers, this is about 0.33. The authors also prove that no exact algorithm can improve on this order for all sizes of
# the fast memory (proposition 3 in the paper).
#
# This topic also has a meter for what moves. It simulates a fast memory of $F$ numbers and counts, operation by
# operation, what your `flash_forward` reads from the slow memory and writes to it. The count should equal your formula
# *exactly*. (If your function moves more, look for tensors that are larger than $F$. For example, you might have scaled
# all of q at once and written it out.)

# %% tags=["experiment"]
count = lesson.mine(hbm_floats)
moved = movement(lesson.mine(flash_forward), count, profile=lesson.profile, seed=0)
print(f"{moved.length} tokens of width 32")
rows = [
    (f"{sram:,}", counted, predicted)
    for sram, counted, predicted in zip(moved.srams, moved.counted, moved.predicted, strict=True)
]
show_table(["fast memory", "counted", "predicted"], [*rows, ("standard", *moved.standard)])
print(f"1024 tokens of width 64, the fast memory of an A100: {moved.paper:.1f} times fewer numbers")
figures.traffic(moved, count(4096, 64, 1)[0])

# %% [markdown] tags=["experiment"]
# If you double the fast memory, you halve the traffic, so we get a straight line of slope −1 in the figure (for 4096
# tokens of width 64). It meets the standard algorithm where $8N^2d^2/F = 4N^2$, which is at $F = 2d^2$, about 8000
# numbers. With less fast memory than this, tiling would move *more*. At the size in the paper, it moves 8.5 times fewer
# numbers in the forward pass. The authors measured 9.2 times fewer bytes, forward and backward together.
#
# **Think about it.** On which machine would you gain nothing from FlashAttention?
#
# <details><summary>Answer</summary>
#
# On a machine whose slow memory keeps up with its arithmetic, or whose cache has room for the N × N table anyway. For
# short texts, a CPU with a few megabytes of cache and modest arithmetic is close to this: you would save memory, but
# hardly any time.
# </details>
#
# ## What does not reproduce at this size
#
# * **Time.** The paper's point is that moving fewer bytes takes less time. Your tiles are PyTorch operations on a CPU,
#   and each of them has some overhead, so here they are *slower* than standard attention. What we can measure exactly
#   in this lesson are results, operations, memory and traffic. If you have a CUDA card, you can time Triton kernels for
#   the same algorithm using `python -m studium_topics.flash_attention.measure_gpu`.
# * **The traffic** is for a machine with one fast memory and no cache. A real card has caches between HBM and SRAM, and
#   they help standard attention a little.
# * **Longer contexts, better models**: the authors train on sequences of 16 384 (Path-X) and 65 536 tokens (Path-256),
#   which you can't do on a laptop.
#
# ## Common misconceptions
#
# * *"FlashAttention is an approximation."* It is the same sum in a different order. Your error was just rounding.
# * *"It does less arithmetic."* It does more: 7/6 of the matrix products.
# * *"It makes attention linear."* Its memory is linear. Its arithmetic still grows as $N^2$, and so does its traffic,
#   divided by a large constant.
# * *"A softmax needs its whole row."* It needs three numbers for what it has seen.
# * *"The backward pass needs P."* It needs lse, and computes the scores a second time.
# * *"It helps equally on every machine."* It helps if memory is slow compared with arithmetic.
#
# ## You can now
#
# * explain why an algorithm with more operations can take less time, using a roofline;
# * compute a softmax from blocks of its row, exactly and without overflow;
# * write tiled attention, forward and backward, with memory that grows in proportion to the text;
# * merge attention over parts of the keys, as flash-decoding and ring attention do;
# * predict how many numbers an algorithm moves between slow and fast memory, and check the count.
#
# ## Open tasks
#
# * **Ten minutes.** You have $o$ and lse for a long document, and someone appends a word. What do you have to compute
#   again for the old queries? Try it using `merge_partials`. Without a mask, you need just one merge with the new key.
#   With a causal mask nothing changes, and this is why causal models can have a cache.
# * **An hour.** Give `flash_forward` a sliding window, where query i can see only the last w keys. You should see that
#   the number of tiles now grows in proportion to the text and no longer as its square.
# * **A day.** Write the forward pass as a single kernel in [Triton](https://triton-lang.org). You can run its
#   interpreter on a CPU. Use exponentials in base 2, and separate loops for tiles with and without a mask. The kernel
#   should agree with your function to float32 rounding.
#
# ## Further reading
#
# * [Dao et al. 2022](https://arxiv.org/abs/2205.14135): section 3.2 has the theorem on traffic and the lower bound.
# * [Dao 2023](https://arxiv.org/abs/2307.08691): why the loops changed places, and how warps share the work.
# * [Milakov and Gimelshein 2018](https://arxiv.org/abs/1805.02867): the online softmax.
# * [Rabe and Staats 2021](https://arxiv.org/abs/2112.05682): attention in little memory, half a year earlier.
# * [kv-caching](kv-caching.ipynb) and [mqa-gqa](mqa-gqa.ipynb): the traffic while a model *writes*, where the keys are
#   what moves.
