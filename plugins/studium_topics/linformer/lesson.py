# %% [markdown]
# # Linformer: attention of low rank
#
# We trained two small transformers on the same task. A text of 128 tokens gives a word to each of 32 names and then
# asks for these words, and both models always answer correctly. The first model gets texts that present the names in
# the same order; for the second, the order changes with every text. Their attention matrices have the same spectrum,
# and if you cut them to 32 of 128 directions, the answers are still perfect. So let's train both models again, with 32
# keys instead of 128. The first is still right **98 % of the time, the second only 22 %**.
#
# Why? Here you can see the attention matrices of both models on one text, and those of a third model that only needs
# to guess a text's topic. **Drag the cut** and compare how much of each matrix is left. Where would you cut, and what
# can the spectrum not tell you?

# %% tags=["widget"]
from studium_topics.linformer import figures
from studium_widgets import Diagram

figures.opening()

# %% [markdown]
# In this lesson you will
#
# 1. **measure** how many directions the attention of a trained model uses;
# 2. **write** attention over projected keys and values, with the padding done right, and count what it saves;
# 3. **derive** the error of a random projection, and see why we have to learn the projections;
# 4. **train** an encoder with projected attention alongside one with full attention, on three tasks;
# 5. **find** the leak that rules out projected attention for causal models.
#
# **You need** attention and padding masks, from [encoder-only](encoder-only.ipynb), and the singular value
# decomposition. **Time:** 14 minutes of reading, 91 of coding, 2 of running.
#
# **History.** Before Linformer, attention compared every token with every token, so a text twice as long cost four
# times as much. Sparse attention ([Child et al. 2019](https://arxiv.org/abs/1904.10509)) left out most pairs according
# to a fixed pattern. Linformer ([Wang et al. 2020](https://arxiv.org/abs/2006.04768)) uses every query but replaces the
# $n$ keys and values with $k$ mixtures of them, and $k$ stays the same however long the text is.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $n$, $d$ | tokens of a text, width of a head | numbers |
# | $k$ | how many slots keys and values are projected to | number |
# | $Q, K, V$ | here: queries, keys and values of a head | (n, d) |
# | $P$ | attention weights, $\mathrm{softmax}(QK^\top/\sqrt d)$ | (n, n) |
# | $E, F$ | here, as in the paper: projections of the keys and of the values | (k, n) |
# | $\sigma_i$ | here: singular values of $P$, falling | numbers |
# | $\lVert\cdot\rVert^2$ | sum of the squares of all entries | number |

# %%
from studium import show_table
import torch
import torch.nn.functional as F

from studium_topics.linformer.exact import errors, scaling
from studium_topics.linformer.experiment import accuracy, blocks, costs, leaks
from studium_topics.linformer.model import Reader, Sizes, attention_weights, full_attention
from studium_topics.linformer.tasks import TASKS, draw

# %% [markdown]
# The idea of Linformer is to use two trained matrices, $E$ and $F$, to mix the $n$ keys and the $n$ values into $k$ of
# each, before any query meets them:

# %% tags=["diagram"]
Diagram.from_package("studium_topics.linformer", "flow.svg")

# %% [markdown]
# ## How many directions does attention use?
#
# Every row of $P$ contains the weights that one query uses to mix the values. If all queries mix them in the same way,
# all rows are equal and $P$ has rank 1: we can compute a single mixture, once, and it will do for all the queries. If
# instead every query attends to a different key, $P$ is a permutation matrix, and you cannot leave out any direction.
#
# By the theorem of Eckart and Young (1936), the best matrix $P_k$ of rank $k$ keeps the $k$ largest singular values and
# leaves the error $\lVert P - P_k\rVert^2 = \sum_{i>k}\sigma_i^2$. The <dfn>spectrum</dfn> of a matrix is the list of
# its singular values. The <dfn>kept energy</dfn> at rank $k$ is the share of a matrix's squared entries that its best
# approximation of that rank keeps, $\sum_{i \le k}\sigma_i^2 / \sum_i \sigma_i^2$.
#
# What matters to the model is $PV$. This changes by at most $\lVert (P - P_k)V\rVert \le \sigma_{k+1}\lVert V\rVert$,
# because a matrix can make a vector longer by a factor of at most its largest singular value.

# %% exercise="kept_energy"
from studium_topics.linformer.exercises import kept_energy

# %% [markdown]
# Attention does not have to have a low rank. When the scores are small, their softmax is nearly uniform, and a uniform
# matrix has rank 1. The larger the scores, the sharper the rows, and the less of the matrix you will find in its first
# directions. To see this, let's draw queries and keys once, with $n = 256$ and $d = 32$, and multiply their scores by
# ½, 1 and 2.

# %% tags=["experiment"]
generator = torch.Generator().manual_seed(0)
q, k = torch.randn(2, 256, 32, generator=generator, dtype=torch.float64)
ranks, share = (1, 8, 32, 64), lesson.mine(kept_energy)
rows = []
for sharp in (0.5, 1.0, 2.0):
    p = attention_weights(q * sharp, k)
    rows.append((f"× {sharp}", *(f"{float(share(p, rank)):.3f}" for rank in ranks)))
show_table(["scores", *(f"kept energy at rank {rank}" for rank in ranks)], rows)

# %% [markdown]
# **Think about it.** $QK^\top$ is a product of matrices with 32 columns, so its rank is at most 32. Why can $P$ have a
# higher rank?
#
# <details><summary>Answer</summary>
#
# The exponential acts on each entry separately, so it does not preserve rank. We can write $e^{s}$ as a sum of all the
# powers of $s$, and the entrywise square of a matrix of rank $r$ can have rank $r(r+1)/2$. With large scores, only the
# largest entry of a row survives, and two rows that choose different keys are orthogonal.
# </details>
#
# ## Fewer keys
#
# Suppose that $P$ is nearly of rank $k$, so $P \approx AB$ with $A$ of shape (n, k) and $B$ of shape (k, n). Then
# $PV \approx A\,(BV)$. Let's read this from the right: $BV$ gives us $k$ mixtures of the values, and $A$ tells us how
# to mix *them* for each query. In other words, $k$ summaries are enough. But if we wanted to find $A$ and $B$ by a
# decomposition, we would have to compute $P$ first, and this n × n matrix is exactly what we want to avoid. Linformer
# *learns* the summaries instead, and lets attention find $A$:
#
# $$\mathrm{softmax}\!\left(\frac{Q\,(EK)^\top}{\sqrt d}\right) FV .$$
#
# A <dfn>slot</dfn> is one row of $EK$ or of $FV$: a mixture of the keys, or values, of all tokens, using weights that
# the model learns in training and that are the same for every text.
#
# With $k = n$ and $E = F = I$, we get back full attention exactly. With fewer slots, don't think of it as an
# approximation of some given model: it is a different model, which we train with its slots.
#
# The texts in a batch have different lengths, so we fill them up with padding. In full attention you would mask the
# scores of the padded keys. Here a score does not belong to a single token, because a slot mixes all of them. So where
# must you remove the padding?

# %% exercise="project"
from studium_topics.linformer.exercises import project

# %% exercise="linformer_attention"
from studium_topics.linformer.exercises import linformer_attention

# %% [markdown]
# **In practice**, you can write $E$ and $F$ using two linear layers that act along the tokens, and pass what they
# return to PyTorch's `scaled_dot_product_attention`. With the same weights, this should agree with your version:

# %% tags=["experiment", "bridge"]
generator = torch.Generator().manual_seed(0)
q, k, v = (torch.randn(2, 4, 128, 16, generator=generator) for _ in range(3))
to_keys, to_values = (torch.nn.Linear(128, 32, bias=False) for _ in range(2))
with torch.no_grad():
    theirs = F.scaled_dot_product_attention(q, to_keys(k.mT).mT, to_values(v.mT).mT)
    mine = lesson.mine(linformer_attention)(q, k, v, to_keys.weight, to_values.weight, None)
    whole = lesson.mine(linformer_attention)(q, k, v, torch.eye(128), torch.eye(128), None)
print(
    f"32 slots: largest difference from nn.Linear and F.scaled_dot_product_attention {(mine - theirs).abs().max():.1e}"
)
print(f"E = F = I: largest difference from full attention {(whole - full_attention(q, k, v, None)).abs().max():.1e}")

# %% [markdown]
# ## What it saves
#
# Count the multiplications, and remember to include the ones that make the slots.

# %% exercise="multiplications"
from studium_topics.linformer.exercises import multiplications

# %% tags=["experiment"]
lesson.predict("break-even", ..., "With 64 slots, at how many tokens does projected attention start to multiply less?")

# %% tags=["experiment"]
count = lesson.mine(multiplications)
pairs = {n: count(2, n, 32, 64) for n in range(1, 1000)}
lesson.found("break-even", next(n for n, (full, short) in pairs.items() if short < full), within=0.02)
scaled = scaling(lesson.mine(linformer_attention), count, profile=lesson.profile, seed=0)
print(f"two heads of width 32, {scaled.slots} slots; CPU time on one thread")
rows = []
for n, *pairs in zip(scaled.lengths, scaled.multiplications, scaled.largest, scaled.seconds, strict=True):
    (work, short), (square, strip), (slow, quick) = pairs
    counts = (f"{work / 1e6:.1f}", f"{short / 1e6:.1f}", f"{square / 1e3:.0f}", f"{strip / 1e3:.0f}")
    rows.append((n, *counts, f"{1e3 * slow:.2f}", f"{1e3 * quick:.2f}"))
kinds = ("million multiplications", "largest tensor, thousands", "milliseconds")
show_table(["tokens", *(f"{kind}: {side}" for kind in kinds for side in ("full", "projected"))], rows)
for name, pairs in (("multiplications", scaled.multiplications), ("largest tensor", scaled.largest)):
    full, short = scaled.growth(pairs)
    print(f"{name}: proportional to the length to the power {full:.2f} in full attention, {short:.2f} with slots")
figures.growth(scaled)

# %% [markdown] tags=["experiment"]
# Time and memory are linear in the length: if you double the text, they double too. At the length of BERT, the gain in
# the paper's Table 3 is smaller. With $n = 512$ and $k = 128$, inference is 1.5 times faster, and batches can be 1.7
# times larger. As the length doubles from 512 up to 65 536, the table's column for the memory at $k = 128$ has factors
# of 1.7, 3.0, 6.1, 14, 28, 56, 56 and 60.
#
# However, the plain algorithm is not the strongest competitor. [FlashAttention](flash-attention.ipynb) does not store
# the n × n matrix either. Its memory is linear *and* its result is exact, and only its arithmetic is still quadratic.
# So Linformer saves memory only compared with plain attention.
#
# You pay for this with additional parameters: $E$ and $F$ have $k \cdot n$ numbers each. You can share them between
# heads, between keys and values, or between all layers. For a model of 12 layers, this leaves 24, 12 or 1 matrices
# (section 4 of the paper).
#
# ## Any projection?
#
# The proofs in the paper do not use learning. By the lemma of Johnson and Lindenstrauss, a *random* projection is good
# enough if it has enough rows. Suppose that $E$ has independent normal entries and that we use $P E^\top E V$ in place
# of $PV$. Which variance do the entries need for this to be right on average?

# %% exercise="random_projection"
from studium_topics.linformer.exercises import random_projection

# %% [markdown]
# Even if an estimate is right on average, it can be far off in each draw. For a row $p$ of $P$ and a column $v$ of $V$,
# slot $s$ contributes $\tfrac1k (g_s \cdot p)(g_s \cdot v)$, where the $g_s$ are independent standard normal vectors.
# The mean of this over the draws is $p \cdot v / k$, and $(g_s \cdot p)(g_s \cdot v)$ has the variance
# $\lVert p\rVert^2\lVert v\rVert^2 + (p \cdot v)^2$. If we add up the $k$ slots, and then all rows and columns, we get
#
# $$\mathbb E\,\lVert P E^\top E V - P V\rVert^2 = \frac{\lVert P\rVert^2\,\lVert V\rVert^2 + \lVert PV\rVert^2}{k}.$$
#
# Compare this with the theorem of Eckart and Young. The formula contains *no singular values*, so a random projection
# gains nothing from a low rank. Since $\lVert PV\rVert \le \lVert P\rVert\lVert V\rVert$, its error relative to $PV$
# (root mean square) is at least $\sqrt{2/k}$ for any $P$ and $V$. Where attention averages, it is much larger, because
# the average of many values is small.

# %% tags=["experiment"]
lesson.predict(
    "random error", ..., "Scores × ½, 256 tokens: how large is the error relative to PV with 128 random slots?"
)

# %% tags=["experiment"]
projected = errors(lesson.mine(random_projection), profile=lesson.profile, seed=0)
lesson.found("random error", projected.drawn[0][-1])
rows = []
for i, sharp in enumerate(projected.sharpness):
    found = zip(projected.best[i], projected.drawn[i], projected.predicted[i], strict=True)
    for slots, values in zip(projected.slots, found, strict=True):
        rows.append((f"× {sharp}", slots, *(f"{value:.3f}" for value in values)))
show_table(["scores", "slots", "best of that rank", "random: measured", "formula"], rows)
figures.projections(projected)

# %% [markdown] tags=["experiment"]
# The error falls as $1/\sqrt k$, just as the formula predicts. With 128 slots for 256 tokens, it is still larger than
# the result itself, while the best matrix of the same rank is off by only 4 % where attention is soft. So the low rank
# is real, but a projection that we draw at random cannot use it. We have to *learn* $E$ and $F$.
#
# ## An encoder, trained alongside the full one
#
# Now you can build the encoder. Its layers are the same as in any pre-norm encoder. We leave open only the step that
# takes $q, k, v$ to their mixture, so full and projected attention will differ in nothing else.

# %% exercise="encode"
from studium_topics.linformer.exercises import encode

# %% [markdown] tags=["experiment"]
# Let's start with the easy task. Each text has one of eight topics. The word for its topic makes up 60 % of a text, the
# other seven words share the rest, and half of the tokens are gaps that the model has to fill. The best possible reader
# finds the topic and always answers with its word, so 60 % is the ceiling; a guess is right in 12.5 % of cases. One
# model attends to 128 keys and the other to 8 slots. Both use the same texts, first weights, optimiser and number of
# steps:

# %% tags=["experiment"]
length, steps = lesson.profile.choose(smoke=(32, 10), laptop=(128, 150), gpu=(128, 150))
my_encode, my_projection = lesson.mine(encode), lesson.mine(random_projection)
sizes = {"full": Sizes(length), "8 slots": Sizes(length, 8)}
readers = {name: Reader(each, my_encode, my_projection) for name, each in sizes.items()}
for name, reader in readers.items():
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(reader.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        texts = draw("topic", 16, length, generator)
        loss = F.cross_entropy(reader(texts).flatten(0, 1), texts.answers.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(f"{name:8} step {step:3}   loss {loss.item():.3f}")
    right = accuracy(reader, draw("topic", 64, length, torch.Generator().manual_seed(1)))
    print(f"{name:8} fills {right:.1%} of the gaps of unseen texts; the ceiling is 60 %\n")

# %% [markdown] tags=["experiment"]
# Eight slots do as well as 128 keys. For this task, one average is enough for all queries. Such an attention matrix has
# rank 1, and a weighted sum over all tokens is exactly what a slot can compute.
#
# The other two tasks need more directions. Half of the tokens *tell*: each contains one of 32 names and its word. The
# other half *ask*: each contains a name and a gap. To answer, a query must find the tokens with its name. Queries for
# 32 names have 32 different rows, so $P$ has about 32 directions. The two tasks differ in just one thing:
#
# * **fixed places**: name number $j$ is told at the same positions in every text;
# * **any order**: we shuffle the tokens of a text.
#
# The cell below trains a model for each task with full attention and with 8, 16 and 32 slots (this takes about a
# minute). Then it replaces each matrix $P$ of the *full* model with its best matrix of rank $k$ and measures the
# accuracy again. This is what the spectrum suggests, and the models with slots show what a trained Linformer can reach.

# %% tags=["experiment"]
lesson.predict("any order", ..., "32 names in any order: what is the accuracy with 32 slots, from 0 to 1?")

# %% tags=["experiment"]
measured = costs(my_encode, my_projection, lesson.mine(kept_energy), profile=lesson.profile, seed=0)
rows = []
for task in TASKS:
    cost = measured.tasks[task]
    rows.append((task, "full attention", None, None, f"{cost.full:.3f}"))
    for slots in cost.slots:
        kept, cut, reached = cost.at(slots)
        rows.append((task, slots, f"{kept:.1%}", f"{cut:.3f}", f"{reached:.3f}"))
    if cost.frozen is not None:
        rows.append((task, f"{cost.slots[-1]}, E and F not trained", None, None, f"{cost.frozen:.3f}"))
show_table(["task", "k", "kept energy", "right with P cut to rank k", "right, trained with k slots"], rows)
lesson.found("any order", measured.tasks["any order"].projected[-1], within=0.3)
figures.promises(measured)

# %% [markdown] tags=["experiment"]
# With names in **fixed places**, a projection costs about as much as the spectrum suggests. At 8, 16 and 32 slots, the
# trained Linformer reaches .42 to .49, .75 to .81 and .97 to .98 over five seeds (laptop). If we cut the attention of
# the full model to that rank, it reaches .46 to .56, .69 to .87 and 1.00. In the row below, the only thing we leave out
# is the training of $E$ and $F$, and the accuracy of 32 slots falls to .56 to .77. It is learning that finds the
# directions.
#
# With names in **any order**, the spectrum is the same, to within 3 % of the energy at every rank, but 32 slots reach
# .21 to .23. This is the answer to our puzzle. The singular vectors of $P$ belong to *one text*, and a decomposition
# may choose other directions for the next text. $E$ and $F$ can't do that. They weight positions, whatever is at these
# positions, and if a slot always adds up positions 3, 40 and 77, for example, it cannot separate the names that happen
# to be there. The spectrum tells you how many directions one matrix has. A fixed projection needs the directions that
# *all* the matrices share.
#
# **Think about it.** Would more slots help when the names come in any order? How many would certainly be enough to
# solve the task?
#
# <details><summary>Answer</summary>
#
# With 128 slots, $E = F = I$ is possible, which gives full attention, and full attention solves the task. But training
# also needs to find this solution, and in 300 steps from a random start, 128 slots reach about 37 % (one seed). If a
# model can represent a solution, this does not mean that training will find it.
# </details>
#
# **What do the matrices share?** When the places are fixed, a good $E$ exists, and training finds it. Could you find it
# without training, from the attention matrices of a few texts? The theorem of Eckart and Young gives you the best
# directions for one matrix, but you need directions for texts that you have not seen, and a single text may ask for
# only a few of the names. The next exercise sets a goal and leaves the way to you. Afterwards, report what you tried.

# %% exercise="shared_directions"
from studium_topics.linformer.exercises import shared_directions

# %% [markdown]
# ## Every slot has read the whole text
#
# An encoder may look at all of a text. A decoder may not: the state of token $i$ must not depend on later tokens,
# because during training they are the answers. Full attention masks their scores. You might think that we could do the
# same with a mask over slots, and let query $i$ see only the slots $s \le i\,k/n$. This looks just as causal. But
# before you trust such a mask, *measure* what it lets through.

# %% exercise="influence"
from studium_topics.linformer.exercises import influence

# %% tags=["experiment"]
found = leaks(my_encode, my_projection, lesson.mine(influence), profile=lesson.profile, seed=0)
print(f"words drawn at random: the mean loss of a causal model cannot be below {found.floor:.3f} nats")
show_table(
    ["", "largest influence of a later token", "loss, nats"],
    [
        (name, f"{found.above(name):.3g}", f"{found.losses[name]:.3f}" if name in found.losses else None)
        for name in found.tables
    ],
)
figures.influences(found)

# %% [markdown] tags=["experiment"]
# Each column stands for a token that we changed, and the coloured cells show which rows of the result changed with it.
# There should be no coloured cells above the diagonal. The mask hides *slots* from query $i$, but slot 0, which every
# query can see, contains the last token. A mask over slots cannot help, because the mixing comes first.
#
# In training, this leak looks like success. The words in our last experiment are drawn at random, so the loss of a
# causal model cannot be below $\ln 8 = 2.079$. But the masked Linformer gets down to 1.62 to 1.91 over five seeds
# (laptop), because it has learned to read the answer. **A loss below a floor that you can compute is a leak.** When the
# model generates text, there is no later token to read, and it fails.
#
# **Think about it.** Could we give each query $i$ a separate set of slots, $\sum_{j \le i} E_{sj} K_j$, as a running
# sum over the tokens so far?
#
# <details><summary>Answer</summary>
#
# Yes, and this is causal. The number of multiplications is still linear in $n$. But now every query has $k$ different
# slots. That makes $n k d$ numbers instead of $k d$, which we must either store for the backward pass or sum up in a
# scan, and we can no longer compute the scores using a single matrix product. This is how the Performer, another linear
# attention, does it. While you *write* text, it is even cheap, because a cache of $k$ slots has a constant size.
# </details>
#
# The fixed positions also limit the length. $E$ has $n$ columns, so you will need to pad a shorter text, and for a
# longer text there are no weights.
#
# ## Further
#
# **Summaries that are causal.** Let's cut the text into blocks of $c$ tokens. Once a block has ended, we may summarise
# it, because all its tokens are in the past of every later query. Within its block, a query reads the tokens one by
# one. A query then needs at most $n/c + c$ scores, which for $c = \sqrt n$ makes at most $2 n\sqrt n$ in all: more than
# linear, but less than quadratic.

# %% exercise="causal_summaries"
from studium_topics.linformer.exercises import causal_summaries

# %% tags=["experiment"]
ended = blocks(
    my_encode, my_projection, lesson.mine(influence), lesson.mine(causal_summaries), profile=lesson.profile, seed=0
)
show_table(
    ["", "largest influence of a later token", "loss, nats"],
    [(name, f"{ended.above(name):.3g}", f"{loss:.3f}") for name, loss in ended.losses.items()],
)
figures.influences(ended)

# %% [markdown]
# ## What does not reproduce at this size
#
# * **Parity with a pretrained model.** The authors pretrain Linformer and report that it performs on par with standard
#   transformers on downstream tasks. We made our tasks so that we would know the number of directions, and they are
#   extremes: natural text lies between "one average" and "look up an exact name".
# * **The spectrum of a large model.** Figure 1 of the paper shows the spectra of a pretrained RoBERTa. Ours come from
#   models with one layer and two heads that we trained for seconds.
# * **The theorems.** They require a number of slots that grows as $\log n$, or as $d \log d$ whatever the length. We
#   did not test which constants they need at our lengths; we measured an exact formula for the error instead.
# * **Very long texts.** Our lengths stop at 2048 tokens on one CPU thread, and we compare only with plain attention
#   there.
#
# ## Common misconceptions
#
# * *"Attention is of low rank."* Soft attention is. The sharper it gets, the more directions it needs.
# * *"A low rank means that k slots are enough."* Only if all texts share the directions, because $E$ is the same for
#   every text.
# * *"Random projections suffice; Johnson and Lindenstrauss proved it."* Their error is at least $\sqrt{2/k}$, whatever
#   the rank, and in our experiment it is larger than the result.
# * *"Padding is masked in the scores."* A slot does not belong to a token, so you need to remove the padding before you
#   project.
# * *"A mask over slots makes it causal."* Each slot has read all the tokens, so the mask comes too late.
# * *"Linear is faster."* Above $n = 2k$ it multiplies less than full attention. Whether it is faster depends on what
#   you compare it with: fused exact attention has linear memory too.
#
# ## You can now
#
# * look at a spectrum and tell how many directions an attention matrix needs, and explain what it cannot tell you;
# * write projected attention with correct padding, and count its multiplications and memory;
# * derive the error of a random projection, and explain why it ignores a low rank;
# * train a Linformer alongside a full encoder so that they differ only in their attention;
# * find a leak from the future by measuring influence, or by looking for a loss below a floor.
#
# ## Open tasks
#
# * **Ten minutes.** Train the `"fixed places"` reader with 4 slots and with 64. You should see about 20 % and about
#   100 %.
# * **An hour.** Let keys and values share one projection by passing `encode` layers in which "f" is "e". For `"fixed
#   places"` you should see slightly less than with two projections, about .94 to .97 at 32 slots, with half the
#   parameters for them.
# * **A day.** Let the projection depend on the content: compute the weights of a slot by attention from $k$ learned
#   queries to the tokens, as in [Set Transformer](https://arxiv.org/abs/1810.00825). You should see whether this finds
#   names in any order again, and how many slots it needs.
#
# ## Further reading
#
# * [Wang et al. 2020](https://arxiv.org/abs/2006.04768), the paper: see figure 1 for the spectra and section 4 for the
#   sharing.
# * [Child et al. 2019](https://arxiv.org/abs/1904.10509): sparse patterns, the other way to get fewer pairs.
# * [Lee et al. 2018](https://arxiv.org/abs/1810.00825): here the slots are queries, so they depend on the content.
# * [flash-attention](flash-attention.ipynb): the fair opponent, exact and linear in memory.
