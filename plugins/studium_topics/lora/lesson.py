# %% [markdown]
# # LoRA: low-rank adaptation
#
# Suppose a company keeps a fine-tuned GPT-3 for each of its hundred customers. A copy of GPT-3 has 175 billion
# parameters. At two bytes each this makes 350 GB, or 35 TB for all the customers. In 2021 Edward Hu and his colleagues
# froze those 350 GB and trained a file of **35 MB** to go with them, and the quality stayed the same. The hundred
# customers now need 350 GB once, plus 3.5 GB of differences.
#
# How can one ten-thousandth of the parameters be enough? In the widget, the left matrix is the change in one layer's
# weight, with 64 × 64 entries. **Move the rank up from 1** and watch: the middle shows the best approximation with that
# rank, the right what is missing. Long before rank 64, nothing is left to see.

# %% tags=["widget"]
from studium_widgets import RankExplorer

RankExplorer(update="decaying", rank=1, alpha=1.0)

# %% [markdown]
# In this lesson you will
#
# 1. **write** the low-rank update and its initial values, and derive how large its random factor must be;
# 2. **compute** what a given rank can and cannot do, and watch Adam find exactly that;
# 3. **inject** the update into a language model and predict how many parameters you will train;
# 4. **fine-tune** the model from English prose to Python code, save only the adapter, merge it, and measure what the
#    model forgot;
# 5. **compare** different places to spend a fixed budget of parameters.
#
# **You need** [decoder-only](decoder-only.ipynb) and the singular value decomposition. **Time:** 25 minutes of reading,
# 108 of coding, 2 of running.
#
# **History.** Before LoRA, people fine-tuned all of a model and got a complete copy for each task. Adapters ([Houlsby
# et al. 2019](https://arxiv.org/abs/1902.00751)) and prefixes ([Li and Liang 2021](https://arxiv.org/abs/2101.00190))
# trained few parameters but made every answer slower: new layers run after the old ones, and prefixes take up context.
# LoRA ([Hu et al. 2021](https://arxiv.org/abs/2106.09685)) replaced them with an update that runs *in parallel with* a
# weight and that you can add to the weight afterwards.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $x$, $h$ | input and output of a linear layer | (in,), (out,) |
# | $W_0$ | its pretrained weight, frozen | (out, in) |
# | $\Delta W$ | a change of that weight | (out, in) |
# | $A$, $B$ | here: the two factors of a low-rank update | (r, in), (out, r) |
# | $r$, $\alpha$ | rank and, here, scale of the update | numbers |
# | $\sigma_i, u_i, v_i$ | here: singular values and vectors of $\Delta W$ | numbers, (out,), (in,) |
# | $G$ | here: gradient of the loss at $h$ | (out,) |

# %%
from studium import show_table
import torch

from studium_topics.kits import text
from studium_topics.kits.tiny_lm import base_model
from studium_topics.kits.two_styles import TwoStyles
from studium_topics.lora import experiment, figures
from studium_topics.lora.experiment import ALL, QV, adaptation, layer_updates, planted_update
from studium_widgets import Diagram

# %% [markdown]
# ## How many directions does a change have?
#
# Fine-tuning takes us from $W_0$ to $W_0 + \Delta W$. Think of a very simple change: "if the input points along $v$,
# push the output along $u$". As a matrix, this is $u v^\top$. It has 4096 entries, but 128 numbers describe it. The
# <dfn>rank</dfn> of a matrix is the smallest number of such one-direction changes $u v^\top$ that add up to it. We can
# write any matrix as a sum of them, starting with the strongest:
#
# $$\Delta W = \sum_{i} \sigma_i\, u_i v_i^\top, \qquad \sigma_1 \ge \sigma_2 \ge \dots \ge 0,$$
#
# where the $u_i$ are orthogonal and have length 1, and so do the $v_i$. A <dfn>singular value</dfn> $\sigma_i$ of a
# matrix is the strength of its $i$-th direction in this sum. Eckart and Young (1936) showed that no matrix $M$ of rank
# $r$ is closer to $\Delta W$ than the first $r$ terms. The smallest error is therefore
#
# $$\min_{\operatorname{rank} M \le r} \lVert \Delta W - M \rVert^2 = \sum_{i > r} \sigma_i^2 ,$$
#
# where $\lVert\cdot\rVert^2$ is the sum of the squares of all entries, the *energy* of a matrix. The <dfn>tail
# energy</dfn> at rank $r$ is the sum of the squared singular values after the first $r$, and it is the least error that
# a matrix of rank $r$ can leave. You will see this number again when you train.
#
# <details><summary>Derivation</summary>
#
# Weyl's inequality tells us that $\sigma_{i+j-1}(X + Y) \le \sigma_i(X) + \sigma_j(Y)$. Let's take $X = \Delta W - M$,
# $Y = M$ and $j = r + 1$. A matrix of rank $r$ has $\sigma_{r+1}(M) = 0$, so $\sigma_{i+r}(\Delta W) \le
# \sigma_i(\Delta W - M)$. Now square this and add it up over $i$. On the left we get the tail energy and on the right
# $\lVert \Delta W - M\rVert^2$, because the squares of all entries of a matrix add up to the squares of its singular
# values. The first $r$ terms of the sum reach equality.
# </details>
#
# The singular values in the widget are $\sigma_i = 4 \cdot 0.7^{\,i-1}$.

# %% tags=["experiment"]
lesson.predict("rank for one percent", ..., "From which rank on is less than 1 % of the widget's energy left?")

# %% tags=["experiment"]
energy = (4 * 0.7 ** torch.arange(64)) ** 2
left_over = torch.tensor([energy[rank:].sum() / energy.sum() for rank in range(64)])
lesson.found("rank for one percent", int((left_over < 0.01).nonzero()[0]), within=0)

# %% [markdown]
# ## The low-rank update
#
# LoRA doesn't compute a $\Delta W$ and then compress it. It *trains* a product of two thin matrices, whose rank cannot
# exceed $r$:
#
# $$h = W_0 x + \frac{\alpha}{r}\, B A x .$$

# %% tags=["diagram"]
Diagram.from_package("studium_topics.lora", "flow.svg")

# %% [markdown]
# $A$ takes the input **down** to $r$ numbers, and $B$ takes them back **up** to the width of the output. For $r = 4$
# and a $12288 \times 12288$ matrix of GPT-3, this makes $4 \cdot (12288 + 12288) = 98\,304$ parameters instead of 151
# million.
#
# Here is such an update at work. On the left, a small decoder trained only on tales is writing one. The model on the
# right is the same, but each of its twelve matrices has an update of rank 8, trained on recipes. That adds 23,552
# numbers to its 181,000. The slider multiplies the update. **Move it down to 0**: where do the recipes turn into tales?

# %% tags=["widget"]
TwoStyles.adapted(seed=4)

# %% [markdown]
# Thanks to the factor $\alpha / r$, the first steps have the same length at every rank, so you can use a learning rate
# you found for one rank at another.
#
# <details><summary>Derivation</summary>
#
# Training starts at $B = 0$. The entry of $B$ in row $o$ and column $i$ has the gradient $\tfrac{\alpha}{r} G_o
# (Ax)_i$, as you will see in the next section. Adam's first step moves each entry by the learning rate $\eta$, against
# the sign of its gradient. Output number $o$ then changes by $\frac{\alpha}{r} \sum_{i=1}^{r} -\eta
# \operatorname{sign}(G_o (Ax)_i)\,(Ax)_i = -\alpha\,\eta \operatorname{sign}(G_o) \cdot \frac{1}{r} \sum_{i=1}^{r}
# |(Ax)_i|$. This is $\alpha\eta$ times a mean, which does not depend on $r$. (For many steps and large ranks, people
# have argued for another power of $r$: see rsLoRA under Further reading.)
# </details>
#
# In PyTorch, vectors are rows: a batch $x$ is (…, in), a weight is (out, in), and a layer computes $xW^\top$.

# %% exercise="lora_linear"
from studium_topics.lora.exercises import lora_linear

# %% [markdown]
# **Think about it.** Why do we compute $(xA^\top)B^\top$ and not $x(BA)^\top$? The result would be the same.
#
# <details><summary>Answer</summary>
#
# $BA$ is a full (out, in) matrix. Making it takes $r \cdot \text{in} \cdot \text{out}$ multiplications in every step,
# and autograd stores it for the backward pass. $(xA^\top)B^\top$ needs $r(\text{in} + \text{out})$ multiplications per
# row of $x$ and stores $r$ numbers per row. If there are few rows and the layer is wide, this is a large difference.
# </details>
#
# ## Where does training start?
#
# Before the first step, we want exactly the pretrained model, so $BA = 0$. Which of the two factors should be zero? A
# small change in the factors changes the loss by $G^\top\, dh = \tfrac{\alpha}{r}\, G^\top (dB\,A x + B\,dA\,x)$, so
# the gradients are
#
# $$\frac{\partial L}{\partial B} = \frac{\alpha}{r}\, G\,(A x)^\top, \qquad
# \frac{\partial L}{\partial A} = \frac{\alpha}{r}\, B^\top G\, x^\top .$$
#
# Each gradient contains the *other* factor. If both factors are zero, both gradients vanish for good. If only $B$ is
# zero, it has a gradient; after one step it is no longer zero, and $A$ starts to learn too. The random $A$ should make
# $Ax$ about as large as $x$, whatever the width is.

# %% exercise="init_lora"
from studium_topics.lora.exercises import init_lora

# %% [markdown]
# ## The best that is possible
#
# To judge training, we need to know the best possible adapter of a given rank. Eckart and Young tell us its product,
# which you will split into an $A$ and a $B$.

# %% exercise="svd_lora"
from studium_topics.lora.exercises import svd_lora

# %% [markdown] tags=["experiment"]
# ## An experiment whose answer we know
#
# We will plant a change with the spectrum $4 \cdot 0.7^{\,i-1}$ in random directions and let Adam look for it. Our
# inputs are the 64 unit vectors, so the loss is $\lVert \tfrac{\alpha}{r}BA - \Delta W \rVert^2$. Adam doesn't know
# anything about singular values. This is the whole training loop:

# %% tags=["experiment"]
generator = torch.Generator().manual_seed(0)
left, right = (torch.linalg.qr(torch.randn(64, 64, generator=generator))[0] for _ in range(2))
planted_delta = left * 4 * 0.7 ** torch.arange(64) @ right.T
frozen = torch.randn(64, 64, generator=generator) / 8

a, b = (factor.requires_grad_() for factor in lesson.mine(init_lora)(64, 64, 4, generator))
forward, x = lesson.mine(lora_linear), torch.eye(64)
optimizer = torch.optim.Adam([a, b], lr=2e-2)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 800)
for step in range(801):
    loss = (forward(x, frozen, None, a, b, 4.0) - x @ (frozen + planted_delta).T).square().sum()
    if step % 100 == 0:
        print(f"step {step:3}   loss {loss.item():.6f}")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
print(f"tail energy    {energy[4:].sum():.6f}")

# %% [markdown] tags=["experiment"]
# The loss ends up at the tail energy. Next you will repeat this at several ranks, with two ablations. In the first,
# both factors are zero at the start. In the second, **we only train $B$** and leave $A$ as we drew it. *At which loss
# will the second ablation end?* Before you look, compute it.

# %% exercise="b_only_floor"
from studium_topics.lora.exercises import b_only_floor

# %% tags=["experiment"]
planted = planted_update(lesson.mine(init_lora), lesson.mine(lora_linear), profile=lesson.profile, seed=0)
floor = lesson.mine(b_only_floor)
show_table(
    ["rank", "tail energy", "loss, A and B", "your floor for B alone", "loss, B alone"],
    [
        (
            rank,
            f"{planted.tail[i]:.6f}",
            f"{planted.loss[i]:.6f}",
            f"{float(floor(planted.delta, planted.drawn[i])):.4f}",
            f"{planted.loss_b_only[i]:.4f}",
        )  # fmt: skip
        for i, rank in enumerate(planted.ranks)
    ],
)
print(f"both zero at the start: {planted.loss_both_zero:.3f} of {planted.delta.square().sum():.3f}, never moved")
figures.fits(planted)

# %% [markdown] tags=["experiment"]
# Every curve comes down to its dashed line: **gradient descent on $A$ and $B$ finds what the singular value
# decomposition finds**, to the last digits of float32. Although the problem is not convex, it has no bad minimum,
# because all its other stationary points are saddles ([Baldi and Hornik
# 1989](https://doi.org/10.1016/0893-6080%2889%2990014-2)). If we freeze $A$, the loss ends up at *your* floor, which at
# rank 8 is about 280 times the tail energy (seed 0, laptop). An $A$ with random rows captures, on average, just
# $r/\text{in}$ of the energy, whatever the spectrum. Finding the right directions is most of the work.
#
# **Think about it.** In the widget below, $\alpha$ is eight times the rank. Play the learning steps with plain gradient
# descent and then with Adam. Which of the two cares about $\alpha$?
#
# <details><summary>Answer</summary>
#
# With plain gradient descent, $\alpha$ multiplies the gradients of $A$ and $B$ *and* the update that they make, so it
# acts like a learning rate, squared. Adam divides a gradient by its size. It moves $A$ and $B$ at the same speed for
# every $\alpha$, and each move counts $\alpha / r$ times in the output. The authors set $\alpha$ once and tuned only
# the learning rate.
# </details>

# %% tags=["experiment", "widget"]
RankExplorer(update="decaying", factors="learned", rank=2, alpha=16.0, steps=100)

# %% [markdown]
# ## Into a real model
#
# A transformer has many linear layers (`nn.Linear`, or "Linears" for short). You choose some and replace each with an
# adapter. An <dfn>adapter</dfn> is a small trainable part that we add to a frozen model. In LoRA, it contains the two
# factors for one layer. We give you the module:
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
# Its `forward` is your `lora_linear`. Three mistakes are common, and none raises an error: `q` also matches
# `seq`, a bias or a norm stays trainable, or you freeze last and freeze the new factors too. Your best alarm is to
# predict the number of trained parameters: $\sum r\,(\text{in} + \text{out})$ over the adapted layers.

# %% exercise="inject"
from studium_topics.lora.exercises import inject

# %% [markdown]
# **Predict first.** Our tiny language model has 2 layers of width 64. In each of them, `q`, `k`, `v` and `o` are $64
# \times 64$, `up` is $256 \times 64$ and `down` is $64 \times 256$. How many parameters will you train with $r = 4$ on
# `q` and `v`?

# %% tags=["experiment"]
lesson.predict("parameters trained", ..., "How many parameters does r = 4 on q and v train, in 2 layers of width 64?")

# %%
my_inject, counts = lesson.mine(inject), []
for targets, rank in ((QV, 4), (ALL, 1)):
    toy = base_model(text.character_vocabulary().size)
    whole = sum(parameter.numel() for parameter in toy.parameters())
    count = my_inject(toy, targets, rank, 2 * rank, torch.Generator().manual_seed(0))
    print(f"r = {rank} on {', '.join(sorted(targets))}: {count} of {whole} parameters, {count / whole:.1%}")
    counts.append(count)

# %% tags=["experiment"]
lesson.found("parameters trained", counts[0], within=0)

# %% [markdown]
# **In practice**, you would use `peft.get_peft_model`. If we give its layers your factors, the two models should agree:

# %% tags=["experiment", "bridge"]
try:
    import peft
except ImportError:
    print("peft is not installed here; `pip install peft` brings peft.LoraConfig and peft.get_peft_model.")
else:
    base, mine, copied = (base_model(text.character_vocabulary().size) for _ in range(3))
    mine_trained = my_inject(mine, QV, 4, 8.0, torch.Generator().manual_seed(0))
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=sorted(QV))
    theirs = peft.get_peft_model(copied, config)
    layers = [module for module in theirs.modules() if isinstance(module, peft.tuners.lora.Linear)]
    adapters = [module for module in mine.modules() if hasattr(module, "alpha")]
    ids = torch.arange(40)[None]
    with torch.no_grad():
        for adapter, layer in zip(adapters, layers, strict=True):
            adapter.b.normal_(generator=torch.Generator().manual_seed(1))
            layer.lora_A["default"].weight.copy_(adapter.a)
            layer.lora_B["default"].weight.copy_(adapter.b)
        print(f"trained: {mine_trained} by yours, {theirs.get_nb_trainable_parameters()[0]} by peft")
        apart, moved = ((mine(ids) - other(ids)).abs().max() for other in (theirs, base))
        print(f"largest difference of two logits: {apart:.1e} to peft, {moved:.1f} to the base; {type(layers[0])}")

# %% [markdown]
# ## Merging and serving
#
# During training, we compute the update alongside the frozen layer. When we use the model, this would be a detour in
# every layer. But the update is linear in $x$, so a *single* matrix can do the work of both. To <dfn>merge</dfn> an
# adapter means to add its update to the frozen weight. You could never do this with adapters that run between layers,
# because they contain a nonlinearity.

# %% exercise="merge"
from studium_topics.lora.exercises import merge

# %% [markdown]
# A server stores one base and a small file for each customer, and builds a customer's model when they call:

# %% exercise="serve"
from studium_topics.lora.exercises import serve

# %% [markdown]
# ## From prose to code
#
# Now you have all the parts. We pretrained our model on English prose, the texts of Python's help system, so it is bad
# at Python source code. Let's fine-tune it, store only the adapter, and measure how much of the prose the model has
# **forgotten**.

# %% exercise="finetune"
from studium_topics.lora.exercises import finetune

# %% [markdown] tags=["experiment"]
# We will adapt all six Linears at rank 8 using your function. The adapter goes through a file, as it would on a server.

# %% tags=["experiment"]
import io

base = experiment.pretrained(lesson.profile)
batches = [(ids.cpu(), labels.cpu()) for ids, labels in experiment.code_batches(lesson.profile, seed=0)]
code, prose = (
    tuple(part.cpu() for part in experiment.held_out(corpus, lesson.profile)) for corpus in (text.code(), text.prose())
)
adapter, served, forgotten = lesson.mine(finetune)(
    base, ALL, 8, 16.0, batches, prose, 1e-2, torch.Generator().manual_seed(0)
)
files = {"adapter": io.BytesIO(), "whole model": io.BytesIO()}
torch.save(adapter, files["adapter"])
torch.save(served.state_dict(), files["whole model"])
print(", ".join(f"{name}: {file.tell() / 1000:.0f} kB" for name, file in files.items()))
files["adapter"].seek(0)
again = lesson.mine(serve)(base, torch.load(files["adapter"]), 16.0)
print(
    f"code:  {experiment.loss_on(base, code):.3f} nats a character before, {experiment.loss_on(again, code):.3f} after"
)
print(f"prose: {experiment.loss_on(base, prose):.3f} nats a character before, forgotten {forgotten:.3f}\n")
for seed in range(4):
    print("before", repr(experiment.write_line(base, "        if ", seed=seed)))
    print("after ", repr(experiment.write_line(served, "        if ", seed=seed)), "\n")

# %% [markdown] tags=["experiment"]
# Before, the model continues `if` as an English sentence; afterwards it writes `self.`, dots and underscores. Most of
# the names do not exist, because this model has just 112 448 parameters and we trained it for seconds.
#
# ## Where to spend the budget
#
# Table 5 of the paper asks which weights of GPT-3 should get a budget of 18 million parameters. Here it is, as
# validation accuracy in percent. (The standard deviation is 0.5 for WikiSQL, which asks for database queries, and 0.1
# for MultiNLI, which asks whether one sentence follows from another.)
#
# | weights | $W_q$ | $W_k$ | $W_v$ | $W_o$ | $W_q, W_k$ | $W_q, W_v$ | all four |
# |---|---|---|---|---|---|---|---|
# | rank | 8 | 8 | 8 | 8 | 4 | 4 | 2 |
# | WikiSQL | 70.4 | 70.0 | 73.0 | 73.2 | 71.4 | 73.7 | 73.7 |
# | MultiNLI | 91.0 | 90.8 | 91.0 | 91.3 | 91.3 | 91.3 | 91.7 |
#
# Is it better to *spread* a budget over many matrices? To find out, we need runs that differ in nothing else. We give
# about 2048 parameters to one matrix in each layer, to two, to four, or to all six Linears. Then we ask how much of
# full fine-tuning's gain each choice **recovers**:
#
# $$\text{recovered} = \frac{L_\text{before} - L_\text{LoRA}}{L_\text{before} - L_\text{full}} ,$$
#
# where $L$ is the loss on held-out code. All runs use the same batches and the same number of steps. The cell takes
# about half a minute at laptop size, and your `inject` does the work.

# %% tags=["experiment"]
adapted = adaptation(my_inject, profile=lesson.profile, seed=0)
print(f"before {adapted.before:.3f} nats a character on held-out code, after full fine-tuning {adapted.full.loss:.3f}")
show_table(
    ["Linears", "rank", "trained", "loss", "recovered", "prose forgotten"],
    [
        (x.name, x.rank or None, x.trainable, f"{x.loss:.3f}", f"{x.recovered:.1%}", f"{x.forgotten:.3f}")
        for x in (*adapted.runs, adapted.full)
    ],
)
figures.recoveries(adapted)

# %% [markdown] tags=["experiment"]
# **Which matrix you choose matters more than how many.** Over five seeds (laptop), about the same number of parameters
# recovers 35 to 39 % of the gain in `q`, 49 to 54 % in `v`, and 57 to 59 % in `o`. This is the same order as in the
# paper's table, where $W_q$ and $W_k$ are three points behind $W_v$ and $W_o$. If we split the budget between `q` and
# `v`, it recovers 53 to 57 %, which in every seed is *less* than `o` by itself. In all four attention matrices it
# recovers 58 to 61 %, one to four points more than `o`, and in all six Linears 60 to 64 %, with an eighth more
# parameters.
#
# We should therefore be careful with "spreading wins". Compared with a poor matrix, it wins clearly; compared with the
# best one, by very little. You can think of it as insurance: a budget spread over all the matrices cannot end up in the
# wrong one, and you don't know beforehand which that is. In the paper's table, too, with its standard deviation of 0.5,
# the difference between 73.7 for two or four matrices and 73.2 for $W_o$ is not large.
#
# ## What is in the update?
#
# Here is how *full* fine-tuning, where nothing limits the rank, changes one attention matrix, and what your `svd_lora`
# leaves over from it and from the LoRA run with rank 16.

# %% tags=["experiment"]
path, best = "layers.1.attention.v", adapted.run("all", 16)
full_update, lora_update = (layer_updates(adapted.base, run.model)[path] for run in (adapted.full, best))
factors = lesson.mine(svd_lora)
rows = []
for name, update in (("full fine-tuning", full_update), ("LoRA, rank 16", lora_update)):
    left = [(update - b @ a).square().sum() for a, b in (factors(update, rank, rank) for rank in (1, 4, 16))]
    rows.append((name, *(f"{energy / update.square().sum():.1%}" for energy in left)))
show_table(["energy left over", "r = 1", "r = 4", "r = 16"], rows)
overlap = (full_update * lora_update).sum() / full_update.norm() / lora_update.norm()
print(f"cosine between the two updates: {overlap:.2f}")

# %% tags=["experiment", "widget"]
RankExplorer(delta=full_update, rank=16, alpha=16.0)

# %% [markdown] tags=["experiment"]
# The update that full fine-tuning makes does **not** have a low rank: about 15 % of its energy is beyond rank 16, and
# more than half is beyond rank 4. Even so, LoRA does almost as well at rank 16, with an update that points elsewhere
# (the cosine is about 0.2). LoRA does not approximate the $\Delta W$ of full fine-tuning; it finds *another* one that
# does the job. "The update has a low intrinsic rank" means that among the many updates that are good enough, some have
# a low rank.
#
# ## The memory bill
#
# During training, we need memory for the weights, the gradients, the state of the optimizer, and the activations for
# the backward pass. With weights and gradients in 16 bits and Adam's two moments in 32, a *trained* parameter takes
# $2 + 2 + 8 = 12$ bytes. A *frozen* parameter takes 2.

# %%
MODELS = {"1B": (16, 2048, 1e9), "7B": (32, 4096, 7e9), "70B": (80, 8192, 70e9), "GPT-3 175B": (96, 12288, 175e9)}
rows = []
for name, (layers, width, size) in MODELS.items():
    # GPT-3's attention; newer models share k and v between heads, and their v is smaller
    trained = layers * 2 * 4 * (width + width)
    full_bytes, lora_bytes = 12 * size, 2 * size + 12 * trained
    sizes = (f"{full_bytes / 1e9:,.0f} GB", f"{lora_bytes / 1e9:,.0f} GB", f"{full_bytes / lora_bytes:.1f}x")
    rows.append((name, f"{trained:,} (1 in {size / trained:,.0f})", *sizes, f"{2 * trained / 1e6:.0f} MB"))
show_table(["model", "trained with r = 4 on q, v", "full fine-tuning", "LoRA", "ratio", "the adapter alone"], rows)

# %% [markdown]
# The memory meter in the widget counts these bytes: 2.1 TB for GPT-3. Many training programs also store a 32-bit master
# copy of each trained weight, which makes 16 bytes, or 2.8 TB. The paper reports that memory fell from 1.2 TB to 350
# GB, a factor of 3, without explaining which bytes it counts. Neither bill includes the activations, which LoRA hardly
# reduces: the backward pass still has to go through all the layers to reach the adapters at the bottom. For the same
# reason, a training step gets only a little faster.
#
# **Think about it.** To save more, what would you quantise to four bits: the adapters or the frozen weights?
#
# <details><summary>Answer</summary>
#
# The frozen weights. With LoRA they are nearly the whole bill, and they don't need a fine resolution, because we never
# add a gradient step to them. This is QLoRA: a 4-bit base with 16-bit adapters.
# </details>
#
# ## Further
#
# **Two adapters at once.** Let's say you have trained one adapter for law and another for medicine, on the same base.
# You can add both updates to it, each with a weight, and a negative weight takes a skill away ([Ilharco et al.
# 2022](https://arxiv.org/abs/2212.04089)). The sum may not do both jobs, but it should at least *be* the sum. The code
# below adds up the wrong things, as peft's `add_weighted_adapter` did when [a user compared it with another
# program](https://github.com/huggingface/peft/issues/643). Since then, peft has added the exact method, while the old
# one is still available as `combination_type="linear"`.

# %% exercise="combine"
from studium_topics.lora.exercises import combine

# %% [markdown]
# **A budget of your own.** When we asked where to spend the budget, every matrix that we adapted got the same rank.
# This is simple, and rarely the best choice: one layer may change in six directions and the next in none.
# [AdaLoRA](https://arxiv.org/abs/2303.10512) gives each matrix its own rank while it trains. Let's say that you know
# the updates already and want to store them in a limited number of adapter parameters. How do you divide the budget?
# The next exercise only has a goal, so any way that reaches it is right. Afterwards, report what you tried.

# %% exercise="squeeze"
from studium_topics.lora.exercises import squeeze

# %% [markdown]
# **The bill, measured.** The table above is arithmetic. What does PyTorch really store after a step? Our models
# compute in 32 bits, so you should expect $4 + 4 + 8$ bytes for each trained parameter.

# %% exercise="train_memory"
from studium_topics.lora.exercises import train_memory

# %% tags=["experiment"]
held = lesson.mine(train_memory)
ids = torch.arange(40)[None]
for name, adapt in (("everything", False), ("r = 4 on q, v", True)):
    model = base_model(text.character_vocabulary().size)
    if adapt:
        my_inject(model, QV, 4, 8.0, torch.Generator().manual_seed(0))
    weights, gradients, state = held(model, ids)
    print(f"{name:14} trained: weights {weights:,}, gradients {gradients:,}, optimizer {state:,} bytes")

# %% [markdown]
# **Be careful when you merge in half precision.** bfloat16 has about three digits, so a small update loses most of its
# digits when you add it to a large weight, and subtracting it will not bring back the old weight. Keep a copy of the
# weight, or merge in float32.
#
# ## What does not reproduce at this size
#
# * **"Rank 1 suffices" is not true here.** In the paper's Table 6, $W_q, W_v$ at $r = 1, 2, 4, 8, 64$ give 73.4, 73.3,
#   73.7, 73.8, 73.5 % on WikiSQL, which is not a trend. In our model, it helps every time we increase the rank. The
#   authors' model is very large and well trained, and their tasks are close to what it already knows.
# * **Parity with full fine-tuning.** At rank 16 we almost get there (91 to 97 % of the gain over five seeds), but rank
#   16 trains a third of the model. Our runs are short; a longer full fine-tuning would
#   gain more.
# * **"LoRA learns less and forgets less"** ([Biderman et al. 2024](https://arxiv.org/abs/2405.09673)) is not what we
#   see. At rank 16, LoRA forgets *more* prose than full fine-tuning does (0.18 to 0.20 nats per character compared with
#   0.12 to 0.13, five seeds) and learns a little less. At rank 1, it forgets 0.10 to 0.12 and learns much less.
# * We chose the learning rate once, for all ranks ($2 \cdot 10^{-2}$, compared with $2 \cdot 10^{-3}$ for full
#   fine-tuning), and used the same base for all seeds, so our spreads cannot tell you about other bases.
# * We computed 10 000x and 3x but did not measure them: a laptop cannot train GPT-3.
#
# ## Common misconceptions
#
# * *"LoRA makes the model faster."* It saves memory during training. A merged model is as fast as before, and one that
#   is not merged is a little slower.
# * *"$\alpha$ is a learning rate and has nothing to do with $r$."* It enters as $\alpha / r$. If you change $r$ and
#   leave $\alpha$ as it is, you change the scale, and that is by design.
# * *"A higher rank is always better."* It can represent more, but it also costs more and can overfit.
# * *"$\Delta W$ has a low rank because $W_0$ has."* Pretrained weights have a full spectrum. It is the *change* that we
#   can choose to be low.
# * *"Rank-$r$ updates in every layer are a rank-$r$ change of the model."* The layers are composed and nonlinear, so
#   the function as a whole changes in a way that has no rank.
#
# ## You can now
#
# * write a LoRA layer, and explain why exactly one of its factors starts at zero and how large the other should be;
# * look at a spectrum and tell which rank is enough and what error will remain;
# * put adapters into any PyTorch model, and use a count to check that you are training the right parameters;
# * fine-tune, save only the adapter, merge it, and measure what the model forgot;
# * judge a claim such as "spreading wins" by comparing two rows that differ in one thing.
#
# ## Open tasks
#
# * **Ten minutes.** Repeat `finetune` with $\alpha = 1$ and with $\alpha = 256$, and leave everything else as above.
#   You should see one run that learns a little less and forgets just over half as much, and one that ends up worse than
#   it began.
# * **An hour.** Extract a LoRA file from the fully fine-tuned model: use `layer_updates`, then `svd_lora` at ranks 1 to
#   64, then `serve`. At rank 16 you should see about 77 % of its gain, while a trained LoRA recovers over 90 %. Even
#   rank 64 will not recover everything, because the embedding, the norms and the head have changed too.
# * **A day.** Give each layer a different rank under one budget, using the spectrum of its gradient at the start. You
#   should see differences of a few points. Measure several seeds before you believe any of them.
#
# ## Further reading
#
# * [Hu et al. 2021](https://arxiv.org/abs/2106.09685), the paper. Read section 7 with the widget next to it.
# * [Aghajanyan et al. 2020](https://arxiv.org/abs/2012.13255): why fine-tuning needs few dimensions, and why larger
#   models need fewer.
# * [Kalajdzievski 2023, rsLoRA](https://arxiv.org/abs/2312.03732): why the scale should be $\alpha / \sqrt{r}$ for
#   large $r$.
# * [Liu et al. 2024, DoRA](https://arxiv.org/abs/2402.09353): treats the direction and the length of each weight column
#   separately.
# * [Dettmers et al. 2023, QLoRA](https://arxiv.org/abs/2305.14314): how to fine-tune a 65B model on one 48 GB GPU.
