# %% [markdown]
# # SwiGLU: the gated feed-forward
#
# In February 2020 Noam Shazeer published five pages in which he changed just one line of the transformer. The
# feed-forward layer got a second projection that multiplies the first. All the gated variants that he tried had a lower
# loss than the original. His conclusion offers no explanation: "we attribute their success, as all else, to divine
# benevolence". Today most large open models, for example Llama, have such a layer.
#
# What can a product do that a sum cannot? Here you can see a hidden unit with two inputs: its gate, its value and
# their product, as images over the plane. Orange is positive and blue is negative. **Drag the ring**, and turn the two
# directions (under *More*). Then try to make the third image a saddle, which is the exact product $x_1 x_2$. This is
# easy using *Bilinear*. A single SwiGLU unit, however, stays far off. *Add the opposite unit*, and see what happens to
# the last number.

# %% tags=["widget"]
from studium_topics.swiglu.gate import GateLab

GateLab(kind="swiglu", gate_angle=0.0, value_angle=60.0)

# %% [markdown]
# In this lesson you will
#
# 1. **write** the five gated layers of the paper, and check yours against Llama's;
# 2. **derive** how a SwiGLU layer can multiply exactly, and what a ReLU layer must miss;
# 3. **derive** the two-thirds rule, which we need to compare layers of equal cost;
# 4. **compute** the gradients through a gate by hand, and find gates that are dead;
# 5. **test** whether the gate is better, using seeds and intervals, and claim it only where it is.
#
# **You need** [decoder-only](decoder-only.ipynb) and the product rule. **Time:** 18 minutes of reading, 108 of coding,
# 4 of running.
#
# **History.** Before the gate, a transformer's feed-forward layer was two matrices with a ReLU between them ([Vaswani
# et al. 2017](https://arxiv.org/abs/1706.03762)). Smooth activations such as [GELU](https://arxiv.org/abs/1606.08415)
# and [Swish](https://arxiv.org/abs/1710.05941) rounded the corner of the ReLU, but the shape of the layer stayed the
# same. [GLU Variants](https://arxiv.org/abs/2002.05202) replaced the layer itself, using the gate that [Dauphin et al.
# 2016](https://arxiv.org/abs/1612.08083) had used in convolutional language models.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $x$, $y$ | what the layer reads and writes, one row for each token | $(N, D)$ |
# | $W_g$, $W_u$ | weights of the gate and of the value (Llama: `gate_proj`, `up_proj`) | $(F, D)$ |
# | $W_d$ | weights of the way out (`down_proj`) | $(D, F)$ |
# | $\varphi$ | the activation of the gate | |
# | $\sigma$, $\Phi$ | here: logistic function; distribution function of the standard normal | |
# | $N$, $D$, $F$ | tokens, width of the model, hidden width | |
# | $F'$ | hidden width of a gated layer that costs what an ungated one of width $F$ does | |

# %%
from studium import show_table
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from studium_topics.swiglu import figures
from studium_topics.swiglu.experiment import GATES, KINDS, RATES, dead_gates, products, table
from studium_topics.swiglu.model import FeedForward
from studium_widgets import Diagram

# %% [markdown]
# ## A layer with a gate
#
# The ungated layer computes $y = \varphi(x W_u^\top)\, W_d^\top$. Each hidden unit depends on a single linear function
# of the input. In a gated layer, each unit multiplies *two* linear functions of the input:
#
# $$ y = \bigl(\varphi(x W_g^\top) \circ x W_u^\top\bigr)\, W_d^\top , $$
#
# where $\circ$ multiplies entry by entry (equations 5 and 6 of the paper). The <dfn>gate</dfn> of a hidden unit is the
# activated factor $\varphi(w_g \cdot x)$, where $w_g$ and $w_u$ are the unit's rows of $W_g$ and $W_u$, and it decides
# how much of the unit's <dfn>value</dfn> $w_u \cdot x$, the linear factor, to let through. <dfn>SwiGLU</dfn> is the
# gated layer whose activation is SiLU, $z\,\sigma(z)$, which is also called Swish. So SwiGLU is a layer with three
# matrices, not an activation function.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.swiglu", "flow.svg")

# %% [markdown]
# The paper tries five activations: $\sigma$ (GLU), the identity (Bilinear), ReLU (ReGLU), GELU (GEGLU) and SiLU
# (SwiGLU). Write all five:

# %% exercise="gated"
from studium_topics.swiglu.exercises import gated

# %% [markdown]
# **In practice** people call this layer an MLP. Let's compare yours with Llama's, using random weights:

# %% tags=["experiment", "bridge"]
my_gated = lesson.mine(gated)
try:
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaMLP
except ImportError:
    print("transformers is not installed here; `pip install transformers` brings LlamaMLP.")
else:
    llama = LlamaMLP(LlamaConfig(hidden_size=48, intermediate_size=128, num_attention_heads=4))
    x = torch.randn(2, 5, 48, generator=torch.Generator().manual_seed(0))
    weights = llama.gate_proj.weight, llama.up_proj.weight, llama.down_proj.weight
    with torch.no_grad():
        for kind in ("swiglu", "glu", "geglu"):
            apart = (my_gated(x, *weights, kind) - llama(x)).abs().max()
            print(f"{type(llama).__name__} against your {kind:7} largest difference {apart:.0e}")

# %% [markdown]
# There are two traps in other libraries. `F.glu` uses only the logistic function, and takes the *second* half of its
# input as the gate. T5's `gated-gelu` uses the tanh approximation of GELU. You can use a checkpoint only with the
# formula that its weights were trained with.
#
# **Think about it.** In the widget, choose *GLU* and turn both directions to the same angle. The product is now an
# activation function that you know. Which one?
#
# <details><summary>Answer</summary>
#
# $\sigma(w \cdot x)\,(w \cdot x)$ is SiLU. So an ungated SiLU unit is just a GLU unit in which gate and value have the
# same direction: it gates itself. In a gated layer the two directions are independent. This is all that the third
# matrix adds.
# </details>
#
# ## What a ReLU layer must miss
#
# Networks often need to compute products, because one feature should count only if another is there. Let's take the
# simplest, $x_1 x_2$ for $x_1, x_2 \in [-2, 2]$, and a layer of $h$ ReLU units with biases. How small can we make its
# error?
#
# Look at the diagonal, where both inputs are $t$ and the target is $t^2$. A ReLU unit is linear on either side of one
# point of this line, so the layer is linear on at most $h + 1$ pieces. The longest piece is at least $\ell = 4/(h+1)$
# long. On this piece, a linear function $a + bt$ should follow $t^2$. At the two ends and in the middle $m$ of the
# piece, the errors $e(t) = t^2 - a - bt$ satisfy
#
# $$ e(m - \tfrac{\ell}{2}) - 2\,e(m) + e(m + \tfrac{\ell}{2}) = \tfrac{\ell^2}{2} , $$
#
# because $a$ and $b$ cancel. The left side is at most four times the largest error, so we get
#
# $$ \max |e| \;\ge\; \frac{\ell^2}{8} \;\ge\; \frac{2}{(h+1)^2} . $$
#
# Whatever the weights are and however long you train, 14 ReLU units will be wrong by at least 0.009 somewhere, and to
# halve this bound you would need 1.4 times as many units. Where a unit switches on, the layer has a crease, and it is
# linear in between, so it can only *approximate* a saddle.
#
# A bilinear unit multiplies exactly. The gate of SwiGLU is curved, and in the widget a single unit was far off.
# However, there are weights for which a SwiGLU layer multiplies without any error. Find them:

# %% exercise="multiplier"
from studium_topics.swiglu.exercises import multiplier

# %% [markdown]
# **Think about it.** Which other kinds could multiply exactly using your weights? And which kind can't?
#
# <details><summary>Answer</summary>
#
# You need $\varphi(z) - \varphi(-z) = z$. This is true for $\varphi(z) = z\,s(z)$ whenever $s(z) + s(-z) = 1$: for
# SiLU, where $s = \sigma$, for GELU, where $s = \Phi$, and for ReLU, where $s$ is the step. For GLU the difference is
# $\sigma(z) - \sigma(-z) = \tanh(z/2)$, which is about $z/2$ for small $z$ but then levels off. For the identity it is
# $2z$.
# </details>
#
# Such weights exist, but this doesn't tell us whether training will find them. Here is the complete training loop,
# using your layer. It has eight units and three inputs $(x_1, x_2, 1)$, where the 1 makes the biases, so there are $8
# \cdot 7 = 56$ parameters.

# %% tags=["experiment"]
layer = FeedForward("swiglu", 3, 8, 1, gated=my_gated, generator=torch.Generator().manual_seed(0))
optimizer = torch.optim.Adam(layer.parameters(), lr=2e-2)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1500)
generator = torch.Generator().manual_seed(0)
for step in range(1500):
    points = 4 * torch.rand(256, 2, generator=generator) - 2
    out = layer(F.pad(points, (0, 1), value=1.0))[:, 0]
    loss = (out - points.prod(1)).square().mean()
    if step % 250 == 0:
        print(f"step {step:4}   mean squared error {loss.item():.5f}")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
print(f"at the end   mean squared error {loss.item():.5f}")

# %% [markdown] tags=["experiment"]
# Now let's try all the kinds, each with 56 parameters: 14 units without a gate, or 8 with one. *By which factor will
# the squared error of the ReLU layer be larger than SwiGLU's?*

# %% tags=["experiment"]
lesson.predict("crease against saddle", ..., "By which factor is ReLU's squared error larger than SwiGLU's?")

# %% tags=["experiment"]
fitted = products(my_gated, lesson.mine(multiplier), profile=lesson.profile, seed=0)
print(f"your multiplier, never trained: largest error {fitted.exact:.0e} of the largest product")
show_table(
    ["kind", "mean squared error", "largest error"],
    [(kind, f"{error:.1e}", f"{fitted.largest[kind]:.3f}") for kind, error in fitted.mse.items()],
)
print(f"14 ReLU units cannot have a largest error below {fitted.floor:.3f}")
lesson.found("crease against saddle", fitted.advantage, within=0.5)
figures.diagonal(fitted)

# %% [markdown] tags=["experiment"]
# Over five seeds (laptop), the squared error of the ReLU layer was 14, 36, 22, 21 and 222 times as large as SwiGLU's.
# Bilinear finds the exact product. ReGLU, GEGLU and SwiGLU don't, even though your weights show that they could: Adam
# spreads the product over eight units and stops nearby. Which of the three gets nearest depends on the seed.
#
# Note that we chose a target that suits a gate. If we took $|x_1|$ instead, the sum of two ReLU units, a ReLU layer
# would win. To see whether gates help with *language*, we need to test them on language. We can do this at the end.
#
# ## What a gate costs: the two-thirds rule
#
# The third matrix makes the layer larger. So if it is better, is this because of the gate or the size? For a fair
# comparison we should give both the same budget. Start by counting parameters, and the operations in the matrix
# products. A multiplication and an addition count as two.

# %% exercise="ffn_cost"
from studium_topics.swiglu.exercises import ffn_cost

# %% [markdown]
# Now set the two costs equal, and solve for the width of the gated layer. (People often use $F = 4D$ for the ungated
# width. The answer is then the "8/3" that you might have seen in code.)

# %% exercise="matched_width"
from studium_topics.swiglu.exercises import matched_width

# %% [markdown]
# Does this make *parameters* equal, or *operations*? Let's check this using PyTorch's own counter, and also count a
# third cost: the numbers that autograd stores for the backward pass.

# %%
width_of, cost_of = lesson.mine(matched_width), lesson.mine(ffn_cost)


def kept_numbers(layer, x):
    """Return how many numbers autograd stores in one forward pass, weights and input aside."""
    own = {part.data_ptr() for part in (*layer.parameters(), x)}
    kept = {}

    def pack(tensor):
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = layer(x)
    return sum(count for pointer, count in kept.items() if pointer not in own), out


rows = []
for kind, hidden in (("relu", 768), ("silu", 768), ("swiglu", width_of(768)), ("swiglu", 768)):
    layer = FeedForward(kind, 192, hidden, 192, gated=lesson.mine(gated), generator=torch.Generator().manual_seed(0))
    x = torch.ones(100, 192)
    with FlopCounterMode(display=False) as counter:
        kept, _ = kept_numbers(layer, x)
    parameters, operations = cost_of(100, 192, hidden, layer.w_gate is not None)
    rows.append((kind, hidden, parameters, operations, counter.get_total_flops(), f"{kept / 100:,.0f}"))
show_table(["kind", "F", "parameters", "operations of 100 tokens", "counted by PyTorch", "kept / token"], rows)
show_table(
    ["", "ungated width", "becomes"],
    [
        (name, hidden, width_of(hidden, 256))
        for name, hidden in (("Llama 7B", 4 * 4096), ("Llama 13B", 4 * 5120), ("Llama 65B", 4 * 8192))
    ],
)

# %% [markdown]
# Each token multiplies each parameter of these layers once, so **equal parameters are equal operations**: two thirds
# works for both. The last row of the first table is a careless comparison, because at the same hidden width the gated
# layer is half as large again. Memory during training is *not* equal. Without further measures, autograd stores the
# array before and the array after the activation of a SiLU layer, or $2F$ numbers per token. For SwiGLU it stores the
# gate, the activated gate, the value and the product, or $4F' = \tfrac{8}{3} F$. If you use a fused kernel to recompute
# the activated gate in the backward pass, you can get this down to $3F' = 2F$. (ReLU needs just $F$, because you can
# tell from its output where it was open.)
#
# ## Through the gate, backwards
#
# We train a layer through its gradients. By the product rule, the gradient of each factor contains the *other* factor.
# With $g = x W_g^\top$, $u = x W_u^\top$ and $\delta$ for the gradient of the hidden product,
#
# $$ \frac{\partial L}{\partial u} = \delta \circ \varphi(g), \qquad
# \frac{\partial L}{\partial g} = \delta \circ u \circ \varphi'(g) . $$
#
# SiLU is also a product. You will find its derivative, and the way from $g$ and $u$ back to the weights and to $x$:

# %% exercise="swiglu_backward"
from studium_topics.swiglu.exercises import swiglu_backward

# %% [markdown]
# So if one factor is zero, it silences the gradient of the other. Suppose a colleague wants a deep model to start as an
# easy one, with layers that add nothing at first. To get this, they set some of the matrices to zero. Which of these
# layers can learn?

# %%
backward = lesson.mine(swiglu_backward)
generator = torch.Generator().manual_seed(0)
x, dy = torch.randn(2, 30, 8, generator=generator)
drawn_weights = {"gate": (20, 8), "up": (20, 8), "down": (8, 20)}
drawn_weights = {name: torch.randn(shape, generator=generator) for name, shape in drawn_weights.items()}
rows = []
for zeros in ((), ("gate",), ("up",), ("down",), ("gate", "up"), ("up", "down")):
    weights = [torch.zeros_like(w) if name in zeros else w for name, w in drawn_weights.items()]
    _, *gradients = backward(x, *weights, dy)
    rows.append((" and ".join(zeros) or "nothing", *(f"{g.norm():.2f}" for g in gradients)))
show_table(["zero at the start", "size of the gradient of: gate", "up", "down"], rows)

# %% [markdown]
# A single zero matrix is harmless: its gradient is alive, so after a step it is no longer zero. But if two factors are
# zero, all the gradients vanish, in this step and in all later steps. From the loss curve of such a model you can only
# tell that it is a little worse, because all the other layers learn around the hole.
#
# ## A gate that is dead
#
# The same thing can happen to single units during training. If the ReLU gate of a unit is closed for all inputs, both
# its output and its slope are zero. A hidden unit is <dfn>dead</dfn> on a set of inputs if no loss gives any of its
# weights a gradient. But a unit might add nothing and not be dead, as you can see in the table above. Write the test
# that tells these two apart:

# %% exercise="dead_units"
from studium_topics.swiglu.exercises import dead_units

# %% [markdown] tags=["experiment"]
# We want to train classifiers of handwritten digits that have one gated layer of 64 units, using three learning rates,
# and to count the dead units with your function. Pixels go from 0 to 1, so a gate with negative weights is closed for
# all images. *At the highest rate, which fraction of the ReGLU units will be dead?*

# %% tags=["experiment"]
lesson.predict("dead gates", ..., "Which fraction of ReGLU's units is dead at the highest of the three rates?")

# %% tags=["experiment"]
gates = dead_gates(my_gated, lesson.mine(dead_units), profile=lesson.profile, seed=0)
rows = []
for rate in RATES:
    pairs = ((f"{gates.dead[kind, rate]:.0%}", f"{gates.accuracy[kind, rate]:.1%}") for kind in GATES)
    rows.append((f"{rate}", *(cell for pair in pairs for cell in pair)))
show_table(["rate", *(f"{kind}: {what}" for kind in GATES for what in ("dead", "right"))], rows)
lesson.found("dead gates", gates.dead["reglu", RATES[-1]], within=0.1)

# %% [markdown] tags=["experiment"]
# Over five seeds (laptop), 14 to 36 % of the ReGLU units are dead at the usual rate of 0.01, and 84 to 88 % at 0.1.
# SwiGLU has no dead units. Now look at the column of GEGLU: at 0.1, 30 to 41 % of its units are dead, although
# $z\,\Phi(z)$ has a slope almost everywhere. Why? We compute $\Phi(z)$ as half of 1 plus an error function. In float32
# this sum is exactly 0 below about $z = -5.5$, and the slope is 0 below about $-6.2$. SiLU and its slope don't reach 0
# until you get below $z = -88$. "GELU has no dead units" is true in exact arithmetic, but not in float32.
#
# Also look at the right column of each pair, the share of unseen digits that the classifier recognises. Layers with
# dead units are *not* clearly worse, because about ten living units are enough for this task. But dead units still cost
# parameters, memory and time, and a loss curve doesn't show them.
#
# ## Is it better?
#
# Here is all of Table 1 from the paper: log-perplexity on held-out text for a T5 model, after 65 536 and after 524 288
# steps, at equal parameters and operations. When Shazeer repeated the runs of the first row, they had standard
# deviations of 0.003 to 0.010.
#
# | | ReLU | GELU | Swish | GLU | Bilinear | GEGLU | SwiGLU | ReGLU |
# |---|---|---|---|---|---|---|---|---|
# | 65 536 | 1.997 | 1.983 | 1.994 | 1.982 | 1.960 | 1.942 | 1.944 | 1.953 |
# | 524 288 | 1.677 | 1.679 | 1.683 | 1.663 | 1.648 | 1.633 | 1.636 | 1.645 |
#
# You should compare columns in which just one thing changes. ReLU and ReGLU, GELU and GEGLU, and Swish and SwiGLU
# differ in the *gate*. In the first row it lowers the loss by 0.04 to 0.05, at least four times the standard deviation
# of the runs. Among the ungated layers, the *activation* changes the loss by 0.014 at most, and in the second row the
# smooth ones end up *behind* ReLU. Bilinear has no activation at all, but it beats everything without a gate. GEGLU and
# SwiGLU are 0.002 apart in the first row, less than the spread. So the table supports the gate, but not Swish in
# particular.
#
# Can we show this in a smaller experiment? If you run the *same* layer twice with different seeds, the runs differ by
# some hundredths of a nat here, as much as the effect we are looking for. But part of what a seed does is common to all
# layers: its batches are easy for all of them, or hard for all of them. So we want to compare *pairs* of runs that use
# the same seed and batches. If $d_1, \dots, d_n$ are the differences in these pairs, with mean $\bar d$ and sample
# variance $s^2$, then $\bar d$ has the standard error $s / \sqrt n$. For normal differences, $(\bar d - \mu)\sqrt n /
# s$ follows Student's distribution with $n - 1$ degrees of freedom. A <dfn>confidence interval</dfn> of 95 % is a range
# computed from the data that contains the true mean $\mu$ in 95 % of repetitions.

# %% exercise="paired_interval"
from studium_topics.swiglu.exercises import paired_interval

# %% [markdown]
# Now build the comparison itself: every kind with every seed on the same batches, in a table with intervals. Choose the
# baseline *before* you look at the losses.

# %% exercise="compare"
from studium_topics.swiglu.exercises import compare

# %% [markdown] tags=["experiment"]
# Now small decoders learn Python's help pages, character by character, using three feed-forward layers of equal size:
# ReLU, SiLU and SwiGLU. From the first to the second, we change only the activation, and from the second to the third
# we only add the gate. For a given seed, all other weights start the same. Your `gated`, `matched_width`, `compare` and
# `paired_interval` do the work with three seeds, in about a minute. *What will be the mean difference between SwiGLU
# and ReLU, in nats per character? Mind the sign.*

# %% tags=["experiment"]
lesson.predict("SwiGLU against ReLU", ..., "What is SwiGLU's mean paired difference from ReLU, in nats per character?")

# %% tags=["experiment"]
measured = table(
    my_gated,
    width_of,
    lesson.mine(compare),
    lesson.mine(paired_interval),
    profile=lesson.profile,
    seed=0,
)
rows = []
for kind in KINDS:
    mean = sum(measured.losses[kind]) / len(measured.losses[kind])
    intervals = measured.against_relu[kind], measured.against_silu[kind]
    cells = [f"{m:+.3f} ({low:+.3f}, {high:+.3f})" for m, low, high in intervals]
    rows.append((figures.NAMES[kind], measured.size[kind], f"{mean:.3f}", *cells))
show_table(["layer", "parameters", "mean loss", "against ReLU (95 % interval)", "against SiLU (95 % interval)"], rows)
lesson.found("SwiGLU against ReLU", measured.against_relu["swiglu"][0], within=0.5)
figures.differences(measured)

# %% tags=["experiment"]
ours = torch.tensor(measured.losses["swiglu"])
for kind in ("relu", "silu"):
    theirs = torch.tensor(measured.losses[kind])
    apart = ours - theirs
    seeds = 4 * (apart.std() / apart.mean()) ** 2
    print(
        f"against {figures.NAMES[kind]}: single runs spread by {theirs.std():.3f}, differences by {apart.std():.3f}; "
        f"to see a mean of {apart.mean():+.3f} takes about {max(3, seeds):.0f} seeds"
    )

# %% [markdown] tags=["experiment"]
# Let's go through what changes in the table.
#
# * **The gate**, SwiGLU against SiLU: the gate won in all six pairs that we looked at (laptop), by 0.06 to 0.10 nats.
#   Three seeds are enough to see this.
# * **The activation**, SiLU against ReLU: SiLU ended up *behind* in all six pairs, by 0.02 to 0.06 nats, although it is
#   smooth. The ungated layers have the same order in the second row of the paper's table.
# * **Both at once**, SwiGLU against ReLU: SwiGLU was ahead in all six pairs, by 0.004 to 0.060. However, with three
#   seeds you will often get an interval that contains 0. In that case we declare no winner, whatever we expected. Our
#   six pairs can't decide it either, because we chose this setting among about seven after looking at results, and in
#   others SwiGLU was level with ReLU or behind (see below).
#
# Pairing helps less here than we might have hoped. In four of the pairs, the differences between SwiGLU and ReLU spread
# by 0.021, and if the runs were unrelated they would spread by 0.025. The layers start from different weights, so their
# runs soon diverge. It would help to use more seeds, and the last cell estimates how many.
#
# This is the paper's finding in miniature: the gate makes the difference. If we had used a single run for each layer,
# the seed would have decided what you see.
#
# ## What does not reproduce at this size
#
# * **The lead over ReLU depends on the setting.** With 120 steps instead of 300, SwiGLU ended up 0.029 *behind* ReLU
#   (95 % interval -0.010 to +0.068, five seeds). With width 32 it was behind by 0.021, and with 400 or 600 steps the
#   sign varied. The product of two small random numbers is even smaller, so a gated layer might start more slowly; we
#   have not tested this.
# * **The size of the gap.** The paper's 0.04 to 0.05 are nats per token for a large T5, while ours are nats per
#   character for a model with two layers. You can compare only the signs.
# * **The order of the gated kinds.** In the paper, GEGLU and SwiGLU are 0.002 apart. To see this here, we would need
#   hundreds of seeds.
# * **One learning rate for all kinds**, which we chose once. If a kind prefers a different rate, it is at a
#   disadvantage here.
# * **Time.** On our processors, the layers take about equally long. On a GPU, the cost of the extra elementwise work
#   depends on whether it is fused. We did not measure this here.
#
# ## Common misconceptions
#
# * *"SwiGLU is an activation function."* It is a layer with three matrices; its activation is SiLU.
# * *"It is better because it is smooth."* Bilinear has no activation, but it beats every ungated row of the paper's
#   table. SiLU is smooth, but it doesn't.
# * *"It is better because it has more parameters."* The paper's layers have equal parameters, and so do ours. If your
#   code adds the gate and leaves the width at $4D$, it makes this mistake.
# * *"`F.glu` is SwiGLU."* It is the kind with the logistic function, and its second half is the gate.
# * *"A gate is a number between 0 and 1."* This is true of GLU. SiLU's gate grows without bound and is slightly
#   negative below zero, so it scales as much as it gates.
#
# ## You can now
#
# * write a gated feed-forward layer of five kinds, and load Llama's weights into it;
# * construct a SwiGLU layer that multiplies exactly, and bound what a ReLU layer can do;
# * choose the hidden width at which two layers cost the same, and tell which costs are equal then;
# * derive the gradients through a gate, and find dead units;
# * decide whether one layer is better than another, using paired seeds and an interval.
#
# ## Open tasks
#
# * **Ten minutes.** Call `products` with a `multiplier` whose gate weights are all 1 % too large. You should see the
#   exact error rise to 1 %, while everything else stays the same.
# * **An hour.** In `table`, give SwiGLU the full width $4D$, which is half as many parameters again. You should see a
#   lower loss, and be able to explain why it proves nothing about the gate.
# * **A day.** Repeat `table` at three times as many steps, and use the best learning rate for each kind. You should see
#   the order of the kinds settle or change. Report the interval in either case.
#
# ## Further reading
#
# * [Shazeer 2020](https://arxiv.org/abs/2002.05202): five pages, including the sentence about divine benevolence.
# * [Dauphin et al. 2016](https://arxiv.org/abs/1612.08083): where the gate came from, with an argument about gradients.
# * [Ramachandran et al. 2017](https://arxiv.org/abs/1710.05941): how Swish was found by a search.
# * [Touvron et al. 2023](https://arxiv.org/abs/2302.13971), section 2.2: SwiGLU with two thirds of 4D, in one sentence.
