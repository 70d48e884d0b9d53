# %% [markdown]
# # Linformer: attention of low rank
#
# Two small transformers solve the same task. A text of 128 tokens gives a word to each of 32 names and then asks for
# these words, and both models always answer correctly. For the first model, all texts present the names in the same
# order; for the second, every text has an order of its own. The attention matrices of both have the same spectrum:
# cut to 32 of 128 directions, they still give perfect answers. So train both again with 32 keys in place of 128. The
# first is still right **98 % of the time, the second only 22 %**.
#
# Why? Below are the attention matrices of both on one text, and of a third model that only has to guess a text's topic.
# **Drag the cut**, and compare how much of each matrix is left. Where would you cut, and what can the spectrum not
# tell you?

# %% tags=["widget"]
from studium_topics.linformer import figures
from studium_widgets import Diagram

figures.opening()

# %% [markdown]
# In this lesson you will
#
# 1. **measure** how many directions the attention of a trained model uses;
# 2. **write** attention over projected keys and values, with the padding done right, and count what it saves;
# 3. **derive** the error of a random projection, and see why the projections have to be learned;
# 4. **train** an encoder with projected attention beside one with full attention, on three tasks;
# 5. **find** the leak that keeps projected attention out of causal models.
#
# You need attention and padding masks, from [encoder-only](encoder-only.ipynb), and the singular value decomposition.
# Time: 14 minutes of reading, 79 of coding, 2 of running.
#
# **Before Linformer**, attention compared every token with every token, so that twice the text cost four times as much.
# Sparse attention ([Child et al. 2019](https://arxiv.org/abs/1904.10509)) left out most pairs by a fixed pattern.
# Linformer ([Wang et al. 2020](https://arxiv.org/abs/2006.04768)) keeps every query and replaces the $n$ keys and
# values by $k$ mixtures of them, where $k$ stays the same however long the text is.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $n$, $d$ | tokens of a text, width of a head | numbers |
# | $k$ | how many slots keys and values are projected to | number |
# | $Q, K, V$ | queries, keys and values of a head | (n, d) |
# | $P$ | attention weights, $\mathrm{softmax}(QK^\top/\sqrt d)$ | (n, n) |
# | $E, F$ | projections of the keys and of the values | (k, n) |
# | $\sigma_i$ | singular values of $P$, falling | numbers |
# | $\lVert\cdot\rVert^2$ | sum of the squares of all entries | number |

# %%
import torch
import torch.nn.functional as F

from studium_topics.linformer.exact import errors, scaling
from studium_topics.linformer.experiment import accuracy, blocks, costs, leaks
from studium_topics.linformer.model import Reader, Sizes, attention_weights, full_attention
from studium_topics.linformer.tasks import TASKS, draw

# %% [markdown]
# The idea of Linformer is that two trained matrices, $E$ and $F$, mix the $n$ keys and values into $k$ of each before
# any query meets them:

# %% tags=["diagram"]
Diagram.from_package("studium_topics.linformer", "flow.svg")

# %% [markdown]
# ## How many directions does attention use?
#
# Every row of $P$ holds the weights with which one query mixes the values. If all queries mix them in the same way,
# all rows are equal, and $P$ has rank 1: a single mixture, computed once, serves all queries. If every query attends to
# a key of its own, $P$ is a permutation matrix, and no direction can be left out.
#
# By the theorem of Eckart and Young (1936), the best matrix $P_k$ of rank $k$ keeps the $k$ largest singular values and
# leaves the error $\lVert P - P_k\rVert^2 = \sum_{i>k}\sigma_i^2$. The <dfn>spectrum</dfn> of a matrix is the list of
# its singular values. The <dfn>kept energy</dfn> at rank $k$ is the share of a matrix's squared entries that its best
# approximation of that rank keeps, $\sum_{i \le k}\sigma_i^2 / \sum_i \sigma_i^2$.
#
# What matters for the model is $PV$. It changes by at most
# $\lVert (P - P_k)V\rVert \le \sigma_{k+1}\lVert V\rVert$, because a matrix makes no vector longer than its largest
# singular value allows.

# %% exercise="kept_energy"
from studium_topics.linformer.exercises import kept_energy

# %% [markdown]
# Attention need not have a low rank. The softmax of small scores is nearly uniform, and a uniform matrix has rank 1.
# The larger the scores, the sharper the rows, and the less of the matrix is in its first directions. Here the same
# queries and keys are drawn once, $n = 256$ and $d = 32$, and their scores are multiplied by ½, 1 and 2.

# %% tags=["experiment"]
generator = torch.Generator().manual_seed(0)
q, k = torch.randn(2, 256, 32, generator=generator, dtype=torch.float64)
ranks, share = (1, 8, 32, 64), lesson.mine(kept_energy)
print("scores   kept energy at rank " + "   ".join(f"{rank:5}" for rank in ranks))
for sharp in (0.5, 1.0, 2.0):
    p = attention_weights(q * sharp, k)
    print(f"× {sharp:3}                        " + "   ".join(f"{float(share(p, rank)):5.3f}" for rank in ranks))

# %% [markdown]
# **Think about it.** $QK^\top$ has rank 32 at most, because it is a product of matrices with 32 columns. Why does
# $P$ have more?
#
# <details><summary>Answer</summary>
#
# The exponential acts on each entry by itself, and so does not preserve rank: $e^{s}$ contains all powers of $s$, and
# the entrywise square of a matrix of rank $r$ can have rank $r(r+1)/2$. With large scores only the largest entry of a
# row survives, and rows that choose different keys are orthogonal.
# </details>
#
# ## Fewer keys
#
# Suppose $P$ is nearly of rank $k$: $P \approx AB$, with $A$ of shape (n, k) and $B$ of shape (k, n). Then
# $PV \approx A\,(BV)$. Read it from the right: $BV$ are $k$ mixtures of the values, and $A$ says how each query mixes
# *them*. So $k$ summaries are enough. But to find $A$ and $B$ by a decomposition, $P$ must be computed first, and this
# n × n matrix is what we want to avoid. Linformer *learns* the summaries, and lets attention find $A$:
#
# $$\mathrm{softmax}\!\left(\frac{Q\,(EK)^\top}{\sqrt d}\right) FV .$$
#
# A <dfn>slot</dfn> is one row of $EK$ or of $FV$: a mixture of the keys, or values, of all tokens, with weights that
# were learned in training and are the same for every text.
#
# With $k = n$ and $E = F = I$ this is full attention exactly. With fewer slots it does not approximate a given model:
# it is another model, and is trained with its slots.
#
# Texts of a batch have different lengths and are filled up with padding. Full attention masks the scores of padded
# keys. Here no score belongs to a single token, because a slot mixes all of them. So where must padding be removed?

# %% exercise="project"
from studium_topics.linformer.exercises import project

# %% exercise="linformer_attention"
from studium_topics.linformer.exercises import linformer_attention

# %% [markdown]
# **In practice**, $E$ and $F$ are two linear layers along the tokens, and the rest is PyTorch's
# `scaled_dot_product_attention` on what they return. With the same weights, both should agree:

# %% tags=["experiment", "bridge"]
generator = torch.Generator().manual_seed(0)
q, k, v = (torch.randn(2, 4, 128, 16, generator=generator) for _ in range(3))
to_keys, to_values = (torch.nn.Linear(128, 32, bias=False) for _ in range(2))
with torch.no_grad():
    theirs = F.scaled_dot_product_attention(q, to_keys(k.mT).mT, to_values(v.mT).mT)
    mine = lesson.mine(linformer_attention)(q, k, v, to_keys.weight, to_values.weight, None)
    whole = lesson.mine(linformer_attention)(q, k, v, torch.eye(128), torch.eye(128), None)
print(f"32 slots: largest difference to nn.Linear and F.scaled_dot_product_attention {(mine - theirs).abs().max():.1e}")
print(f"E = F = I: largest difference to full attention {(whole - full_attention(q, k, v, None)).abs().max():.1e}")

# %% [markdown]
# ## What it saves
#
# Count the multiplications, including those that make the slots.

# %% exercise="multiplications"
from studium_topics.linformer.exercises import multiplications

# %% tags=["experiment"]
lesson.predict("break-even", ..., "With 64 slots, from how many tokens on does projected attention multiply less?")

# %% tags=["experiment"]
count = lesson.mine(multiplications)
pairs = {n: count(2, n, 32, 64) for n in range(1, 1000)}
lesson.found("break-even", next(n for n, (full, short) in pairs.items() if short < full), within=0.02)
scaled = scaling(lesson.mine(linformer_attention), count, profile=lesson.profile, seed=0)
print(f"two heads of width 32, {scaled.slots} slots; CPU time on one thread\n")
print("          million multiplications     largest tensor, thousands           milliseconds")
print("tokens        full   projected            full   projected            full   projected")
for n, *rows in zip(scaled.lengths, scaled.multiplications, scaled.largest, scaled.seconds, strict=True):
    (work, short), (square, strip), (slow, quick) = rows
    counts = f"{work / 1e6:9.1f}   {short / 1e6:9.1f}       {square / 1e3:9.0f}   {strip / 1e3:9.0f}"
    print(f"{n:6}   {counts}       {1e3 * slow:9.2f}   {1e3 * quick:9.2f}")
for name, pairs in (("multiplications", scaled.multiplications), ("largest tensor", scaled.largest)):
    full, short = scaled.growth(pairs)
    print(f"{name}: proportional to the length to the power {full:.2f} in full attention, {short:.2f} with slots")
figures.growth(scaled)

# %% [markdown] tags=["experiment"]
# Time and memory are linear in the length: each doubling of the text doubles them. The paper's table 3 reports a
# smaller gain at the length of BERT: with $n = 512$ and $k = 128$, inference is 1.5 times faster, and 1.7 times larger
# batches fit. For lengths that double from 512 to 65 536, its column for the memory at $k = 128$ has factors of 1.7,
# 3.0, 6.1, 14, 28, 56, 56 and 60.
#
# The plain algorithm is not the strongest competitor, though. [FlashAttention](flash-attention.ipynb) does not store
# the n × n matrix either: its memory is linear *and* its result exact, and only its arithmetic stays quadratic. So
# Linformer saves memory against plain attention alone.
#
# The price in parameters is $E$ and $F$, $k \cdot n$ numbers each. They can be shared between heads, between keys and
# values, or between all layers. In a model of 12 layers that leaves 24, 12 or 1 matrices (section 4 of the paper).
#
# ## Any projection?
#
# The paper's proofs use no learning: by the lemma of Johnson and Lindenstrauss, a *random* projection is good enough if
# it has enough rows. Let $E$ have independent normal entries, and use $P E^\top E V$ in place of $PV$. Which variance
# must the entries have so that this is right on average?

# %% exercise="random_projection"
from studium_topics.linformer.exercises import random_projection

# %% [markdown]
# An estimate that is right on average can still be far off in each draw. For a row $p$ of $P$ and a column $v$ of $V$,
# slot $s$ contributes
# $\tfrac1k (g_s \cdot p)(g_s \cdot v)$, where $g_s$ are independent standard normal vectors. Its mean over the draws is
# $p \cdot v / k$, and $(g_s \cdot p)(g_s \cdot v)$ has the variance
# $\lVert p\rVert^2\lVert v\rVert^2 + (p \cdot v)^2$. Add up $k$ slots, and then all rows and columns:
#
# $$\mathbb E\,\lVert P E^\top E V - P V\rVert^2 = \frac{\lVert P\rVert^2\,\lVert V\rVert^2 + \lVert PV\rVert^2}{k}.$$
#
# Compare this with the theorem of Eckart and Young: the formula contains *no singular values*, so a random projection
# does not profit from a low rank. Since $\lVert PV\rVert \le \lVert P\rVert\lVert V\rVert$, its error relative to $PV$
# (root mean square) is at least $\sqrt{2/k}$ for any $P$ and $V$, and much larger where attention averages, because the
# average of many values is small.

# %% tags=["experiment"]
lesson.predict(
    "random error", ..., "Scores × ½, 256 tokens: how large is the error relative to PV with 128 random slots?"
)

# %% tags=["experiment"]
projected = errors(lesson.mine(random_projection), profile=lesson.profile, seed=0)
lesson.found("random error", projected.drawn[0][-1])
print("scores   slots   best of that rank   random: measured   formula")
for i, sharp in enumerate(projected.sharpness):
    for row in zip(projected.slots, projected.best[i], projected.drawn[i], projected.predicted[i], strict=True):
        print(f"× {sharp:3}     {row[0]:4}   {row[1]:17.3f}   {row[2]:16.2f}   {row[3]:7.2f}")
figures.projections(projected)

# %% [markdown] tags=["experiment"]
# The error falls as $1/\sqrt k$, as the formula says, and with 128 slots for 256 tokens it is still larger than the
# result itself. The best matrix of the same rank is wrong by 4 % where attention is soft. So the low rank is real, but
# a projection drawn at random does not use it. $E$ and $F$ have to be *learned*.
#
# ## An encoder, trained beside the full one
#
# Now build the encoder. Its layers are those of any pre-norm encoder; only the step from $q, k, v$ to their mixture is
# open, so that full and projected attention differ in nothing else.

# %% exercise="encode"
from studium_topics.linformer.exercises import encode

# %% [markdown] tags=["experiment"]
# First the easy task. Every text has one of eight topics. The word of its topic makes up 60 % of a text, the other
# seven words share the rest, and half of the tokens are gaps to be filled. The best possible reader finds the topic
# and always answers with its word, so that 60 % is the ceiling; a guess is right in 12.5 %. One model attends to 128
# keys, the other to 8 slots; texts, first weights, optimiser and steps are the same:

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
# Eight slots are as good as 128 keys. This task needs one average for all queries, which has rank 1, and a weighted sum
# over all tokens is exactly what a slot is.
#
# The other two tasks need more directions. Half of the tokens *tell*: each contains one of 32 names and its word. The
# other half *ask*: each contains a name and a gap. To answer, a query must find the tokens with its own name. Queries
# for 32 names have 32 different rows, so that $P$ has about 32 directions. The two tasks differ in one thing:
#
# * **fixed places**: name number $j$ is told at the same positions in every text;
# * **any order**: the tokens of a text are shuffled.
#
# The cell trains each task with full attention and with 8, 16 and 32 slots (about a minute). Then each matrix $P$ of
# the *full* model is replaced by its best matrix of rank $k$, and the accuracy is measured again. This is what
# the spectrum suggests; the models with slots show what a trained Linformer reaches.

# %% tags=["experiment"]
lesson.predict("any order", ..., "32 names in any order: what is the accuracy with 32 slots, from 0 to 1?")

# %% tags=["experiment"]
measured = costs(my_encode, my_projection, lesson.mine(kept_energy), profile=lesson.profile, seed=0)
for task in TASKS:
    cost = measured.tasks[task]
    print(f"{task}: accuracy of full attention {cost.full:.3f}")
    for slots in cost.slots:
        kept, cut, reached = cost.at(slots)
        shown = f"kept energy {kept:6.1%}   P cut to rank k {cut:.3f}   trained with k slots"
        print(f"   k = {slots:3}   {shown} {reached:.3f}")
    if cost.frozen is not None:
        print(f"   k = {cost.slots[-1]:3}   the same, E and F stay as they were drawn {cost.frozen:.3f}")
lesson.found("any order", measured.tasks["any order"].projected[-1], within=0.3)
figures.promises(measured)

# %% [markdown] tags=["experiment"]
# With names in **fixed places**, projecting costs about what the spectrum says: at 8, 16 and 32 slots the trained
# Linformer reaches .42 to .49, .75 to .81 and .97 to .98 over five seeds (laptop), and the full model whose attention
# is cut to that rank .46 to .56, .69 to .87 and 1.00. In the row below only the training of $E$ and $F$ is left out,
# and 32 slots fall to .56 to .77: learning finds the directions.
#
# With names in **any order**, the spectrum is the same, to within 3 % of the energy at every rank, and 32 slots reach
# .21 to .23. Here is the answer to the puzzle. The singular vectors of $P$ belong to *one text*: a decomposition may
# choose other directions for the next one. $E$ and $F$ may not. They weight positions, whatever these contain, and a
# slot that always adds up positions 3, 40 and 77 cannot separate the names that happen to be there. The spectrum says
# how many directions one matrix has; a fixed projection needs the directions that *all* matrices share.
#
# **Think about it.** Would more slots help with any order? With how many is the task certainly solvable?
#
# <details><summary>Answer</summary>
#
# With 128: then $E = F = I$ is possible, and full attention solves the task. But training has to find it, and in 300
# steps from a random start 128 slots reach about 37 % (one seed). That a model can represent a solution does not mean
# that training finds it.
# </details>
#
# ## Every slot has read the whole text
#
# An encoder may look at all of a text. A decoder may not: the state of token $i$ must not depend on later tokens,
# because in training those are the answers. Full attention masks their scores. A mask over slots looks just as causal:
# let query $i$ see the slots $s \le i\,k/n$ alone. Before you trust such a mask, *measure* what it lets through.

# %% exercise="influence"
from studium_topics.linformer.exercises import influence

# %% tags=["experiment"]
found = leaks(my_encode, my_projection, lesson.mine(influence), profile=lesson.profile, seed=0)
for name in found.tables:
    print(f"{name:22} largest influence of a later token: {found.above(name):.3g}")
print(f"\nwords drawn at random: no causal model has a mean loss below {found.floor:.3f} nats")
for name, loss in found.losses.items():
    print(f"{name:22} {loss:.3f} nats")
figures.influences(found)

# %% [markdown] tags=["experiment"]
# Each column stands for a token that was changed, and each coloured cell for a row of the result that changed with it.
# No cell above the diagonal should be coloured. The mask hides *slots* from query $i$, but slot 0, which every query
# sees, contains the last token. No mask over slots can help, because the mixing comes first.
#
# In training, this leak looks like success. The words of the last experiment are drawn at random, so that no causal
# model can have a loss below $\ln 8 = 2.079$. The masked Linformer gets below it, to 1.62 to 1.91 over five seeds
# (laptop): it has learned to read the answer. **A loss below a floor that you can compute is a leak.** When the model
# generates text, there is no later token to read, and it fails.
#
# **Think about it.** Could query $i$ have slots of its own, $\sum_{j \le i} E_{sj} K_j$, a running sum over the tokens
# so far?
#
# <details><summary>Answer</summary>
#
# Yes, and that is causal. The multiplications stay linear in $n$. But now every query has $k$ slots of its own:
# $n k d$ numbers instead of $k d$, which must be kept for the backward pass or summed up in a scan, and the
# scores are no single matrix product any more. The Performer, another linear attention, takes this way. While *writing*
# it is even cheap, because a cache of $k$ slots has a constant size.
# </details>
#
# The same fixed positions limit the length. $E$ has $n$ columns: a shorter text is padded, and for a longer one there
# are no weights.
#
# ## Further
#
# **Summaries that are causal.** Cut the text into blocks of $c$ tokens. A block that has ended may be summarised,
# because all of its tokens are in the past of every later query; a query reads its own block token by token. That costs
# at most $n/c + c$ scores for each query, so at most $2 n\sqrt n$ in all for $c = \sqrt n$: more than linear, and less
# than quadratic.

# %% exercise="causal_summaries"
from studium_topics.linformer.exercises import causal_summaries

# %% tags=["experiment"]
ended = blocks(
    my_encode, my_projection, lesson.mine(influence), lesson.mine(causal_summaries), profile=lesson.profile, seed=0
)
for name, loss in ended.losses.items():
    print(f"{name}: largest influence of a later token {ended.above(name):.3g}, loss {loss:.3f} nats")
figures.influences(ended)

# %% [markdown]
# ## What does not reproduce at this size
#
# * **Parity with a pretrained model.** The paper pretrains Linformer, and reports that it performs on par with
#   standard transformers on downstream tasks. Our tasks are made so that the number of directions is known, and they
#   are extremes: natural text is between "one average" and "look up an exact name".
# * **The spectrum of a large model.** The paper's figure 1 shows the spectra of a pretrained RoBERTa. Ours are of
#   models with one layer and two heads, trained for seconds.
# * **The theorems.** They ask for a number of slots that grows as $\log n$, or as $d \log d$ whatever the length. We
#   did not test which constants they need at our lengths, and measured an exact formula for the error instead.
# * **Very long texts.** Our lengths end at 2048 tokens on one CPU thread, and the opponent there is plain attention.
#
# ## Common misconceptions
#
# * *"Attention is of low rank."* Soft attention is. The sharper it is, the more directions it needs.
# * *"A low rank means that k slots are enough."* Only if all texts share the directions, because $E$ is the same for
#   every text.
# * *"Random projections suffice; Johnson and Lindenstrauss proved it."* Their error is at least $\sqrt{2/k}$, whatever
#   the rank, and larger than the result in our experiment.
# * *"Padding is masked in the scores."* A slot belongs to no token. Padding is removed before the projection.
# * *"A mask over slots makes it causal."* Each slot has read all tokens. The mask comes too late.
# * *"Linear is faster."* Above $n = 2k$ it multiplies less than full attention. Whether it is faster depends on the
#   opponent: fused exact attention has linear memory too.
#
# ## You can now
#
# * read off a spectrum how many directions an attention matrix needs, and say what it cannot tell;
# * write projected attention with correct padding, and count its multiplications and memory;
# * derive the error of a random projection, and explain why it ignores a low rank;
# * train a Linformer beside a full encoder so that only the attention differs;
# * find a leak from the future by measuring influence, or by a loss below a floor.
#
# ## Open tasks
#
# * **Ten minutes.** Train the `"fixed places"` reader with 4 slots and with 64. You should see about 20 % and about
#   100 %.
# * **An hour.** Let keys and values share one projection: pass `encode` layers in which "f" is "e". In `"fixed places"`
#   you should see slightly less than with two, about .94 to .97 at 32 slots, with half of the projections' parameters.
# * **A day.** Let the projection depend on the content: compute the weights of a slot by attention from $k$ learned
#   queries to the tokens, as in [Set Transformer](https://arxiv.org/abs/1810.00825). You should see whether names in
#   any order are found again, and at how many slots.
#
# ## Further reading
#
# * [Wang et al. 2020](https://arxiv.org/abs/2006.04768), the paper: figure 1 has the spectra, section 4 the sharing.
# * [Child et al. 2019](https://arxiv.org/abs/1904.10509): sparse patterns, the other way to fewer pairs.
# * [Lee et al. 2018](https://arxiv.org/abs/1810.00825): slots that are queries, and so depend on the content.
# * [flash-attention](flash-attention.ipynb): the fair opponent, exact and linear in memory.
