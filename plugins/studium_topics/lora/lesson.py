# %% [markdown]
# # LoRA: low-rank adaptation
#
# A company keeps one fine-tuned GPT-3 for each of its hundred customers. A copy of GPT-3 is 175 billion numbers: 350 GB
# at two bytes each, 35 TB for the hundred. And to train *one* of them takes more than a terabyte of GPU memory, because
# Adam keeps several more numbers for every number that it updates.
#
# In 2021 Edward Hu and his colleagues froze the 350 GB and trained **35 MB** beside it. The quality was the same. The
# hundred customers now need 350 GB once and 3.5 GB of differences.
#
# How can one ten-thousandth of the numbers be enough? And enough for what? In this lesson you will
#
# 1. write the low-rank update, and say why exactly one of its two factors must start at zero;
# 2. find out, by an experiment whose answer is known beforehand, what a rank can and cannot do;
# 3. inject your update into a language model, predict how many numbers are trained, and move the model from English
#    prose to Python code;
# 4. merge the update away, so that it costs nothing when the model is used;
# 5. work out the memory bill.
#
# You need [decoder-only transformers](https://arxiv.org/abs/2005.14165) and the idea of a singular value. The paper:
# [Hu et al. 2021, arXiv 2106.09685](https://arxiv.org/abs/2106.09685).

# %%
import copy

import torch

from studium_topics.kits import text
from studium_topics.lora import figures
from studium_topics.lora.experiment import ALL, QV, adaptation, layer_updates, planted_update
from studium_widgets import RankExplorer

# %% [markdown]
# ## How many directions has a change?
#
# Fine-tuning takes a weight matrix $W_0$ to $W_0 + \Delta W$. For a layer with 64 inputs and 64 outputs, $\Delta W$ has
# 4096 numbers. But a matrix is more than a heap of numbers: it *does* something, and it may do something simple. A
# change that only says "where the input points along $v$, push the output along $u$" is the matrix $u v^\top$. It has
# 4096 entries, and 128 numbers describe it. The <dfn>rank</dfn> of a matrix is the number of one-direction changes
# $u v^\top$ that it takes to add up to it: here 1.
#
# Every matrix is a sum of such changes, the strongest first. That is the singular value decomposition:
#
# $$\Delta W = \sum_{i=1}^{64} \sigma_i\, u_i v_i^\top, \qquad \sigma_1 \ge \sigma_2 \ge \dots \ge 0,$$
#
# with $u_i$ orthogonal to one another and of length 1, and the $v_i$ likewise. A <dfn>singular value</dfn> $\sigma_i$
# says how much of its direction there is in the matrix. If they fall off quickly, a few directions are nearly the whole
# change.
#
# Below is a $\Delta W$ that was made that way: $\sigma_i = 4 \cdot 0.7^{\,i-1}$, in random directions. Drag the cut in
# the bars, or move the rank. Watch three things: what $BA$ shows, what the residual shows, and the number "tail
# energy".
#
# *Before you move anything, guess: at which rank will you no longer see a pattern in the residual?*

# %% tags=["widget"]
generator = torch.Generator().manual_seed(0)
left, right = (torch.linalg.qr(torch.randn(64, 64, generator=generator))[0] for _ in range(2))
planted_delta = left * 4 * 0.7 ** torch.arange(64) @ right.T
RankExplorer(delta=planted_delta, rank=1, alpha=1.0)

# %% [markdown]
# What you saw has a name. **Eckart and Young (1936)**: among all matrices of rank $r$ the sum of the first $r$ terms is
# nearest to $\Delta W$, and what is missing is exactly the energy of the singular values that were cut,
#
# $$\min_{\operatorname{rank} M \le r} \lVert \Delta W - M \rVert_F^2 = \sum_{i > r} \sigma_i^2 .$$
#
# ($\lVert\cdot\rVert_F^2$ is the sum of the squares of all entries.) So a rank is a promise about an error. The
# <dfn>tail energy</dfn> is what no matrix of rank $r$ can reach: the sum of the squares of the singular values after
# the first $r$. Keep this number: your training will meet it again.
#
# ## The low-rank update
#
# LoRA does not compute $\Delta W$ and then compress it. It *trains* a matrix that cannot have more than rank $r$,
# because it is a product of two thin ones:
#
# $$h = W_0 x + \frac{\alpha}{r}\, B A x, \qquad
# A \in \mathbb{R}^{r \times \text{in}}, \quad B \in \mathbb{R}^{\text{out} \times r}.$$
#
# $W_0$ is frozen. $A$ takes the input **down** to $r$ numbers, $B$ takes those **up** to the width of the output. For
# $r = 4$ and a $12288 \times 12288$ matrix of GPT-3 that is $4 \cdot (12288 + 12288) = 98\,304$ numbers in the place of
# 151 million.
#
# And $\alpha / r$? The sum $BAx$ has $r$ terms, so a higher rank would make bigger updates. Dividing by $r$ evens that
# out: you choose $\alpha$ once, and may change $r$ without a new search for the learning rate. (That this is the right
# power of $r$ is not the last word: see the end.)
#
# In PyTorch, vectors are rows: a batch $x$ has the shape (…, in), a weight has (out, in), and a layer computes
# $xW^\top$. So the formula that you will write reads $xW_0^\top + \text{bias} + \frac{\alpha}{r}\,(xA^\top)B^\top$.

# %% exercise="lora_linear"
from studium_topics.lora.exercises import lora_linear

# %% [markdown]
# **Think about it.** Why $(xA^\top)B^\top$ and not $x(BA)^\top$? The result is the same.
#
# <details><summary>Answer</summary>
#
# The order of work. $BA$ is a full (out, in) matrix: making it costs $r \cdot \text{in} \cdot \text{out}$
# multiplications at every step, and autograd keeps it for the backward pass. $(xA^\top)B^\top$ costs
# $r(\text{in} + \text{out})$ for each row of $x$, and what is kept has $r$ numbers for each row. With few rows against
# a wide layer that is a great difference.
# </details>
#
# ## Where does training start?
#
# Before the first step the model should be exactly the pretrained one: $BA = 0$. There are three ways to get there.
# Which of them can learn? Write $s = \alpha / r$ and $G = \partial L / \partial h$ for the gradient of the loss at the
# layer's output, a column for one input $x$. The chain rule gives
#
# $$\frac{\partial L}{\partial B} = s\, G\,(A x)^\top, \qquad \frac{\partial L}{\partial A} = s\, B^\top G\, x^\top .$$
#
# Each gradient is multiplied by the *other* factor. With $A = B = 0$ both vanish, at this step and at every later one:
# the model cannot leave the spot. With $B = 0$ and a random $A$, the gradient of $B$ is alive; after one step $B$ is no
# longer zero, and $A$ learns as well. ($A = 0$ and a random $B$ would do too. The paper, and every checkpoint that you
# will ever download, zero $B$.)
#
# How large should $A$ be? With $x$ of size 1 in each entry, $Ax$ adds up "in" terms. A standard deviation of
# $1/\sqrt{\text{in}}$ keeps $Ax$ at size 1 for any width.

# %% exercise="init_lora"
from studium_topics.lora.exercises import init_lora

# %% [markdown]
# ## The best low rank there is
#
# To know whether training does well, we need to know the best that is possible. Eckart and Young say how to get it:
# cut the singular value decomposition after $r$ terms. Written as two factors, that is an $A$ and a $B$ as LoRA has
# them.

# %% exercise="svd_lora"
from studium_topics.lora.exercises import svd_lora

# %% [markdown] tags=["experiment"]
# ## An experiment whose answer is known
#
# Now plant a change with the spectrum $4 \cdot 0.7^{\,i-1}$, and let Adam find it: the loss is
# $\lVert (W_0 + \tfrac{\alpha}{r}BA) - (W_0 + \Delta W) \rVert_F^2$, starting from your `init_lora`, computed with your
# `lora_linear`. Nothing tells Adam about singular values.
#
# *Write down what you expect: will each rank reach its tail energy, stop above it, or go below it?*

# %% tags=["experiment"]
planted = planted_update(lesson.mine(init_lora), lesson.mine(lora_linear), profile=lesson.profile, seed=0)
print("rank   loss after training   tail energy   ratio      ratio if A stays as drawn")
for rank, loss, tail, b_only in zip(planted.ranks, planted.loss, planted.tail, planted.loss_b_only, strict=True):
    print(f"{rank:4}   {loss:19.6f}   {tail:11.6f}   {loss / tail:.6f}   {b_only / tail:8.1f}")
print(
    f"both factors zero at the start: {planted.loss_both_zero:.3f} of {planted.delta.square().sum():.3f}, never moved"
)
figures.fits(planted)

# %% [markdown] tags=["experiment"]
# Each curve comes down to its dashed line, and to no other: **gradient descent on $A$ and $B$ finds what the singular
# value decomposition finds**, to the last digits that float32 has. The problem is not convex, and still it has no bad
# minimum to get stuck in (all its other stationary points are saddles).
#
# The last column is the ablation. If $A$ stays at its random start and $B$ alone is trained, the update may use only
# the $r$ random input directions that $A$ happened to draw. At low rank the loss is then a few times, at high rank
# hundreds of times the tail energy: finding the right directions is most of the work.
#
# **Think about it.** In the widget below, set $\alpha$ to 16, eight times the rank, and play the learning steps with
# plain gradient descent, then with Adam. Which of the two cares about $\alpha$?
#
# <details><summary>Answer</summary>
#
# With plain gradient descent $\alpha$ multiplies the gradients of $A$ and $B$ *and* the update they make, so it acts
# much like a learning rate (squared). Adam divides a gradient by its own size: it moves $A$ and $B$ at the same speed
# for every $\alpha$, but each move counts $\alpha / r$ times as much in the output. So $\alpha$ is no second learning
# rate, but the two are partners, and the paper tunes one of them only: "we simply set α to the first r we try and do
# not tune it".
# </details>

# %% tags=["experiment", "widget"]
RankExplorer(delta=planted.delta, factors="learned", rank=2, alpha=2.0, steps=100)

# %% [markdown]
# ## Into a real model
#
# A transformer has many Linears. Which of them get an update is a choice: name them, and replace each by an adapter.
# An <dfn>adapter</dfn> is a module that holds the frozen layer and the two factors of its update. It is given:
#
# ```python
# class Adapter(nn.Module):
#     def __init__(self, linear, a, b, alpha, forward):
#         ...  # keeps the layer that was there; a and b become parameters
#
#     def forward(self, x):
#         weight, bias = self.linear.weight, self.linear.bias
#         return self._forward(x, weight, bias, self.a, self.b, self.alpha)
# ```
#
# `forward` is a function that you hand in: your own `lora_linear`. Three things go wrong here again and again. Names
# are compared loosely, so that `q` also hits `seq`. Something that should be frozen stays trainable (biases, norms,
# embeddings). Or the freezing comes last, and freezes the new factors too. None of them raises an error; the model just
# trains something else than you think. A count is the best alarm, if you have predicted it:
# $\sum r\,(\text{in} + \text{out})$ over the adapted layers.

# %% exercise="inject"
from studium_topics.lora.exercises import inject

# %% [markdown]
# **Predict first.** Our tiny language model has 2 layers of width 64. In each, `q`, `k`, `v` and `o` are
# $64 \times 64$, `up` is $256 \times 64$ and `down` is $64 \times 256$. How many numbers are trained with $r = 4$ on
# `q` and `v`? With $r = 1$ on all six? The formula gives both, on the back of an envelope.

# %% tags=["experiment"]
lesson.predict("numbers trained", ..., "How many numbers does r = 4 on q and v train, in 2 layers of width 64?")

# %%
from studium_topics.kits.tiny_lm import base_model

my_inject, counts = lesson.mine(inject), []
for targets, rank in ((QV, 4), (ALL, 1)):
    toy = base_model(text.character_vocabulary().size)
    whole = sum(parameter.numel() for parameter in toy.parameters())
    count = my_inject(toy, targets, rank, 2 * rank, torch.Generator().manual_seed(0))
    print(f"r = {rank} on {', '.join(sorted(targets))}: {count} of {whole} numbers, {count / whole:.1%}")
    counts.append(count)

# %% tags=["experiment"]
lesson.found("numbers trained", counts[0], within=0)

# %% [markdown] tags=["experiment"]
# ## From prose to code
#
# The base model reads characters. It is pretrained on English prose (the texts of Python's own help), then adapted to
# Python source code, which looks quite different: before adapting, it is bad at it. Full fine-tuning moves all
# 112 448 weights and shows how much can be gained in this many steps. Each LoRA run gets the same batches and the same
# number of steps, and we ask what share of the gain it **recovers**:
#
# $$\text{recovered} = \frac{L_\text{before} - L_\text{LoRA}}{L_\text{before} - L_\text{full}} .$$
#
# The paper's Table 5 asks: at an equal budget of 18 million numbers, is it better to give *few* matrices a *high* rank
# or *many* matrices a *low* one? On GPT-3 175B, WikiSQL accuracy was 70.4 % for $W_q$ alone at $r = 8$, and 73.7 % for
# all four attention matrices at $r = 2$. Our version of the question: `q` and `v` at rank 4, or all six Linears at rank
# 1?
#
# The cell takes about 20 seconds on two cores. Your `inject`, with your `init_lora` and your `lora_linear` in it, does
# the work.

# %% tags=["experiment"]
adapted = adaptation(my_inject, profile=lesson.profile, seed=0)
print(
    f"before {adapted.before:.3f} nats a character on held-out code, after full fine-tuning {adapted.full.loss:.3f}\n"
)
print("Linears   rank   trained   loss    recovered")
for run in adapted.runs:
    print(f"{run.name:7}   {run.rank:4}   {run.trainable:7}   {run.loss:.3f}   {run.recovered:6.1%}")
print(f"\nall at rank 1 recovers {adapted.spread_gain:+.1%} against q, v at rank 4")
print("paper, Table 5 (GPT-3, WikiSQL): Wq r=8 70.4   Wq, Wv r=4 73.7   Wq, Wk, Wv, Wo r=2 73.7")
figures.recoveries(adapted)

# %% [markdown] tags=["experiment"]
# **Spreading wins.** Over six seeds, about two thousand numbers recover 35 to 39 % of the gain if they all go into `q`
# (rank 8), 53 to 57 % in `q` and `v` (rank 4), and 60 to 64 % in all six Linears (rank 1). That is the message of the
# paper's Table 5, with one difference: on GPT-3 two attention matrices were already as good as four. A tiny model that
# has to learn a new language needs its feed-forward layers too.
#
# **What is in the update?** Here is the change of one attention matrix, twice: from *full* fine-tuning, where nothing
# limited its rank, and from the LoRA run with rank 16.

# %% tags=["experiment", "widget"]
path = "layers.1.attention.v"
full_update = layer_updates(adapted.base, adapted.full.model)[path]
RankExplorer(delta=full_update, rank=16, alpha=16.0)

# %% tags=["experiment", "widget"]
best = adapted.run("all", 16)
lora_update = layer_updates(adapted.base, best.model)[path]
RankExplorer(delta=lora_update, rank=16, alpha=16.0)

# %% tags=["experiment"]
factors = lesson.mine(svd_lora)
for name, update in (("full fine-tuning", full_update), ("LoRA, rank 16", lora_update)):
    left_over = []
    for rank in (1, 4, 16):
        a, b = factors(update, rank)
        left_over.append(f"r = {rank}: {(update - b @ a).square().sum() / update.square().sum():6.1%}")
    print(f"{name:17} energy left over at   " + "   ".join(left_over))
overlap = (full_update * lora_update).sum() / full_update.norm() / lora_update.norm()
print(f"cosine between the two updates: {overlap:.2f}")

# %% [markdown] tags=["experiment"]
# A surprise, and a common misunderstanding put right. Full fine-tuning's own update is **not** of low rank: some 15 %
# of its energy lies beyond rank 16, and more than half beyond rank 4. Yet the LoRA run with rank 16 does almost as
# well, with an update that points elsewhere (the cosine is about 0.2). LoRA does not approximate the $\Delta W$ that
# full fine-tuning would have found; it finds *another* one, which does the job and fits through the narrow door. "The
# update has a low intrinsic rank" means: among the many updates that are good enough, some have a low rank.
#
# ## Merging
#
# While training, the update is computed beside the frozen layer. When the model is used, that is one more detour in
# every layer. But $xW_0^\top + \frac{\alpha}{r}(xA^\top)B^\top$ is linear in $x$: a *single* matrix does the same.
# To <dfn>merge</dfn> an adapter is to add its update to the frozen weight, so that one matrix does the work of both.
# Adapters that stand *between* layers, as the ones before LoRA did, have a nonlinearity inside, and stay for ever.

# %% exercise="merge"
from studium_topics.lora.exercises import merge

# %% [markdown]
# And back again, to serve the next customer with the same copy of the base:

# %% exercise="unmerge"
from studium_topics.lora.exercises import unmerge

# %% [markdown] tags=["experiment"]
# Now merge the model that you trained. We look at each adapted layer from the outside, by what it does with the unit
# vectors: that gives its update as one matrix. It has rank 16, so your `svd_lora` finds factors for it, and your
# `merge` folds them into a copy of the *plain* base, without a single adapter left in it.

# %% tags=["experiment"]
my_merge = lesson.mine(merge)
plain = copy.deepcopy(adapted.base).cpu()
with torch.no_grad():
    for path, update in layer_updates(adapted.base, best.model).items():
        a, b = factors(update, best.rank)
        layer = plain.get_submodule(path)
        layer.weight.copy_(my_merge(layer.weight, a, b, alpha=best.rank))
    ids = text.character_vocabulary().encode("def merge(weight, a, b, alpha):\n    return ")[None]
    beside, merged = best.model.cpu()(ids), plain(ids)
print(f"largest difference of two logits: {(beside - merged).abs().max():.1e} (logits reach {beside.abs().max():.1f})")
print(f"modules: {sum(1 for _ in best.model.modules())} with adapters, {sum(1 for _ in plain.modules())} merged")

# %% [markdown] tags=["experiment"]
# The outputs agree up to rounding, and the merged model has the modules of the base, so **LoRA adds no latency**. That
# is the abstract's third promise, and it holds exactly.
#
# Merging in half precision needs care: bfloat16 keeps about three digits, so a small update added to a large weight
# loses most of its own digits, and `unmerge` does not bring back the weight that was there. Keep the frozen copy, or
# merge in float32.
#
# **Think about it.** Two adapters were trained on the same base, one for law and one for medicine. May you merge both?
#
# <details><summary>Answer</summary>
#
# You may: $W_0 + \Delta_1 + \Delta_2$ is a weight matrix, of an update with rank up to $2r$. Nothing promises that it
# does both jobs. Each update was found for a model without the other one. It often works somewhat; see "task
# arithmetic" at the end. And note what it is not: averaging $A_1$ with $A_2$ and $B_1$ with $B_2$ gives a product with
# cross terms $B_1A_2$ that mean nothing.
# </details>

# %% [markdown]
# ## The memory bill
#
# Training holds four kinds of numbers: weights, gradients, the optimizer's state, and the activations that the backward
# pass needs. With Adam in mixed precision a *trained* parameter costs $2 + 2 + 12 = 16$ bytes: the weight and its
# gradient in 16 bits, and two moments and a master copy in 32 bits. A *frozen* one costs its 2 bytes.

# %% exercise="train_memory"
from studium_topics.lora.exercises import train_memory

# %%
bill = lesson.mine(train_memory)
MODELS = {"1B": (16, 2048, 1.0e9), "7B": (32, 4096, 6.7e9), "70B": (80, 8192, 69e9), "GPT-3 175B": (96, 12288, 175e9)}
print("model         trained with r = 4 on q, v   full fine-tuning      LoRA   ratio   the adapter alone")
for name, (layers, width, size) in MODELS.items():
    # GPT-3's attention; newer models share k and v between heads, and their v is smaller
    trained = layers * 2 * 4 * (width + width)
    full, lora = bill(size, size, 2, 2, 12), bill(size + trained, trained, 2, 2, 12)
    shown = f"{trained:12,} (1 in {size / trained:,.0f})"
    sizes = f"{full / 1e9:13,.0f} GB   {lora / 1e9:4,.0f} GB   {full / lora:4.1f}x   {2 * trained / 1e6:.0f} MB"
    print(f"{name:11}   {shown:26}   {sizes}")

# %% [markdown]
# There are the paper's numbers: GPT-3 with $r = 4$ on `q` and `v` trains one parameter in about ten thousand, and the
# adapter is a file of some 35 MB (38 million bytes).
#
# (The meter in the widget leaves the 32-bit master copy of the weights out, so it says 2.1 TB where we have 2.8.)
#
# But our bill says 8x less memory, and the paper reports **3x** (1.2 TB down to 350 GB). Both are right about different
# things. The paper's 1.2 TB is less than 16 bytes a parameter. And every real run has activations as well, which LoRA
# hardly reduces: the backward pass still goes through all the layers, to reach the adapters at the bottom. That is also
# why a training step becomes only a little faster: the forward pass is the same, and of the backward pass only the
# weights' gradients fall away.
#
# **Think about it.** What would you quantise to four bits to save more: the adapters or the frozen weights?
#
# <details><summary>Answer</summary>
#
# The frozen weights: after LoRA they are nearly the whole bill, and since no gradient step has to be added to them,
# they need no fine resolution. That is QLoRA: 4-bit base, 16-bit adapters. It is LoRA *plus* something, not another
# word for it.
# </details>
#
# ## On a GPU
#
# The reference solution has the same functions for CUDA: factors that follow the model's device and dtype, training
# under bfloat16 autocast, `torch.compile` where a run is long enough to pay for compiling, peak memory from
# `torch.cuda.max_memory_allocated`, and the latency of one forward pass before and after merging. With the profile
# `gpu` the experiment above uses a model of 8 layers and width 512 with windows of 256 characters. **It has not been
# measured on a GPU yet**, so there are no numbers here: run it with `STUDIUM_PROFILE=gpu` and see.
#
# ## What does not reproduce at this size
#
# * **"Rank 1 suffices" does not hold here.** In the paper's Table 6, $W_q, W_v$ at $r = 1, 2, 4, 8, 64$ give
#   73.4, 73.3, 73.7, 73.8, 73.5 % on WikiSQL: no trend at all. In our model rank 1 in `q` and `v` recovers well under
#   half of the gain, and every step up in rank helps. The paper speaks of a very large, well-trained model and a task
#   near to what it knows. Ours has 112 448 weights, was pretrained for seconds, and has to learn another language.
# * **Parity with full fine-tuning** is nearly there at rank 16 (91 to 97 % over six seeds), which is 37 thousand of 112
#   thousand numbers, a third. It is a matter of rank *relative* to what has to be learned. And all runs are short: a
#   longer full fine-tuning gains more.
# * **One learning rate for all ranks** ($2 \cdot 10^{-2}$, against $2 \cdot 10^{-3}$ for full fine-tuning) was chosen
#   once, not tuned run by run.
# * The base is pretrained once, and the seeds differ in batches and factors only. So our spread over seeds says
#   nothing about other bases.
# * **10 000x and 3x** are arithmetic here, not measurements: no laptop trains GPT-3.
#
# ## Common misconceptions
#
# * *"LoRA makes the model faster."* Training saves memory first of all. Merged, the model is exactly as fast as before;
#   not merged, it is a little slower.
# * *"$\alpha$ is a learning rate and has nothing to do with $r$."* It comes as $\alpha / r$. If you change $r$ and keep
#   $\alpha$, the scale of the update changes by design.
# * *"A higher rank is always better."* It can represent more. It also costs more, can overfit, and at a fixed
#   $\alpha/r$ may learn *slower*.
# * *"$\Delta W$ has a low rank because $W$ has."* Pretrained weights have a full spectrum. It is the *change* that can
#   be chosen low.
# * *"A model with rank-$r$ updates in every layer is a rank-$r$ change of the model."* Layers multiply and bend: the
#   function as a whole changes in a way that has no rank.
# * *"LoRA is QLoRA."* QLoRA adds a 4-bit base and the tricks to train through it.
#
# ## Where to go next
#
# * [Hu et al. 2021](https://arxiv.org/abs/2106.09685), the paper. Read section 7 with the widget beside you.
# * [Aghajanyan et al. 2020](https://arxiv.org/abs/2012.13255): why fine-tuning needs few dimensions, and fewer the
#   larger the model.
# * [Kalajdzievski 2023, rsLoRA](https://arxiv.org/abs/2312.03732): why the scale should be $\alpha / \sqrt{r}$ once $r$
#   is large.
# * [Liu et al. 2024, DoRA](https://arxiv.org/abs/2402.09353): direction and length of each weight column, separately.
# * [Dettmers et al. 2023, QLoRA](https://arxiv.org/abs/2305.14314): a 65B model fine-tuned on one 48 GB GPU.
# * [Biderman et al. 2024](https://arxiv.org/abs/2405.09673): LoRA learns less and forgets less. Measure it: what has
#   each of your adapted models forgotten of the *prose*?
# * [Ilharco et al. 2022](https://arxiv.org/abs/2212.04089): arithmetic with updates.
#
# **A last question.** You have a model that somebody fine-tuned in full, and its base. Can you ship it as a LoRA file?
#
# <details><summary>Answer</summary>
#
# Yes: subtract, and use your `svd_lora` on each difference. Tools call this *extracting* a LoRA. The tail energy says
# how much is lost in each layer. You saw above that it can be a lot: a full fine-tuning did not aim at a low rank.
# Training a LoRA from the start, with the same number of parameters, is usually better.
# </details>
