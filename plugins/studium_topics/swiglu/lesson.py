# %% [markdown]
# # SwiGLU: the gated feed-forward
#
# In February 2020 Noam Shazeer published five pages in which he changed one line of the transformer: the feed-forward
# layer got a second projection that multiplies the first. All the gated variants that he tried had a lower loss than
# the original. His conclusion offers no explanation: "we attribute their success, as all else, to divine benevolence".
# Most large open models, Llama among them, have such a layer today.
#
# What can a product do that a sum cannot? Below is one hidden unit with two inputs: its gate, its value and their
# product, as images over the plane. Orange is positive, blue negative. **Drag the ring**, and turn the two directions
# (under *More*). Then try to make the third image a saddle, which is the exact product $x_1 x_2$. With *Bilinear* it is
# easy. SwiGLU alone stays far off; *Add the opposite unit*, and see what happens to the last number.

# %% tags=["widget"]
from studium_topics.swiglu.gate import GateLab

GateLab(kind="swiglu", gate_angle=0.0, value_angle=60.0)

# %% [markdown]
# In this lesson you will
#
# 1. **write** the five gated layers of the paper, and check yours against Llama's;
# 2. **derive** how a SwiGLU layer multiplies exactly, and what a ReLU layer must miss;
# 3. **derive** the two-thirds rule, by which layers of equal cost are compared;
# 4. **compute** the gradients through a gate by hand, and find gates that are dead;
# 5. **test** with seeds and intervals whether the gate is better, and say so only where it is.
#
# You need [decoder-only](decoder-only.ipynb) and the product rule. Time: 18 minutes of reading, 108 of coding, 4 of
# running.
#
# **Before the gate**, a transformer's feed-forward layer was two matrices with a ReLU between them
# ([Vaswani et al. 2017](https://arxiv.org/abs/1706.03762)). Smooth activations such as
# [GELU](https://arxiv.org/abs/1606.08415) and [Swish](https://arxiv.org/abs/1710.05941) rounded the corner of the ReLU
# and kept the shape of the layer. [GLU Variants](https://arxiv.org/abs/2002.05202) brought in the gate that
# [Dauphin et al. 2016](https://arxiv.org/abs/1612.08083) had used in convolutional language models, and replaced the
# layer itself.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $x$, $y$ | what the layer reads and writes, one row for each token | $(N, D)$ |
# | $W_g$, $W_u$ | weights of the gate and of the value (Llama: `gate_proj`, `up_proj`) | $(F, D)$ |
# | $W_d$ | weights of the way out (`down_proj`) | $(D, F)$ |
# | $\varphi$ | the activation of the gate | |
# | $\sigma$, $\Phi$ | logistic function; distribution function of the standard normal | |
# | $N$, $D$, $F$ | tokens, width of the model, hidden width | |
# | $F'$ | hidden width of a gated layer that costs what an ungated one of width $F$ does | |

# %%
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
# The ungated layer computes $y = \varphi(x W_u^\top)\, W_d^\top$. Each of its hidden units depends on one linear
# function of the input. In a gated layer, each unit multiplies *two* linear functions of the input:
#
# $$ y = \bigl(\varphi(x W_g^\top) \circ x W_u^\top\bigr)\, W_d^\top , $$
#
# where $\circ$ multiplies entry by entry (equations 5 and 6 of the paper). The <dfn>gate</dfn> of a hidden unit is the
# activated factor $\varphi(w_g \cdot x)$, where $w_g$ and $w_u$ are the unit's rows of $W_g$ and $W_u$; it decides how
# much of the unit's <dfn>value</dfn> $w_u \cdot x$, the linear factor, goes on. <dfn>SwiGLU</dfn> is the gated layer
# whose activation is SiLU, $z\,\sigma(z)$, which is also called Swish. So SwiGLU is a layer with three matrices, not an
# activation function.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.swiglu", "flow.svg")

# %% [markdown]
# The paper tries five activations: $\sigma$ (GLU), the identity (Bilinear), ReLU (ReGLU), GELU (GEGLU) and SiLU
# (SwiGLU). Write all of them:

# %% exercise="gated"
from studium_topics.swiglu.exercises import gated

# %% [markdown]
# **In practice** this layer is called an MLP. Here is Llama's, with random weights, beside yours:

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
# Other libraries have two traps. `F.glu` has the logistic function alone, and takes the *second* half of its input for
# the gate. T5's `gated-gelu` uses the tanh approximation of GELU. A checkpoint works only with the formula that its
# weights were trained with.
#
# **Think about it.** In the widget, choose *GLU* and turn both directions to the same angle. Which activation function
# that you know is the product?
#
# <details><summary>Answer</summary>
#
# $\sigma(w \cdot x)\,(w \cdot x)$ is SiLU. An ungated SiLU unit is a GLU unit whose gate and value have the same
# direction: it gates itself. In a gated layer the two directions are independent, and that is all that the third matrix
# adds.
# </details>
#
# ## What a ReLU layer must miss
#
# Many things that a network computes are products: one feature counts only if another one is there. Take the simplest,
# $x_1 x_2$ for $x_1, x_2 \in [-2, 2]$, and a layer of $h$ ReLU units with biases. How small can its error be?
#
# Look at the diagonal, where both inputs are $t$ and the target is $t^2$. A ReLU unit is linear on either side of one
# point of this line, so the layer is linear on at most $h + 1$ pieces. The longest piece has at least the length
# $\ell = 4/(h+1)$. On it a linear function $a + bt$ should follow $t^2$. At the ends and in the middle $m$ of the piece
# the errors $e(t) = t^2 - a - bt$ satisfy
#
# $$ e(m - \tfrac{\ell}{2}) - 2\,e(m) + e(m + \tfrac{\ell}{2}) = \tfrac{\ell^2}{2} , $$
#
# because $a$ and $b$ cancel. The left side is at most four times the largest error, so that
#
# $$ \max |e| \;\ge\; \frac{\ell^2}{8} \;\ge\; \frac{2}{(h+1)^2} . $$
#
# Whatever the weights are and however long you train, 14 ReLU units are wrong by at least 0.009 somewhere, and to halve
# this bound takes 1.4 times as many units. The layer has a crease where a unit switches on, and is linear between its
# creases, so it can only *approximate* a saddle.
#
# A bilinear unit multiplies exactly. SwiGLU's gate is curved, and in the widget one unit was far off. Yet there are
# weights with which a SwiGLU layer multiplies without any error. Find them:

# %% exercise="multiplier"
from studium_topics.swiglu.exercises import multiplier

# %% [markdown]
# **Think about it.** Which other kinds multiply exactly with your weights? And which one cannot?
#
# <details><summary>Answer</summary>
#
# What you need is $\varphi(z) - \varphi(-z) = z$. It holds for $\varphi(z) = z\,s(z)$ wherever $s(z) + s(-z) = 1$: SiLU
# with $s = \sigma$, GELU with $s = \Phi$, ReLU with $s$ the step. For GLU the difference is
# $\sigma(z) - \sigma(-z) = \tanh(z/2)$, which is about $z/2$ for small $z$ and levels off. For the identity it is $2z$.
# </details>
#
# That such weights exist does not say that training finds them. Here is the whole training loop, with your layer: eight
# units, three inputs $(x_1, x_2, 1)$, so that the 1 makes the biases, and $8 \cdot 7 = 56$ parameters.

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
# Now all kinds, each with 56 parameters: 14 units without a gate, 8 with one. *By which factor is the squared error of
# the ReLU layer larger than that of SwiGLU?*

# %% tags=["experiment"]
lesson.predict("crease against saddle", ..., "By which factor is ReLU's squared error larger than SwiGLU's?")

# %% tags=["experiment"]
fitted = products(my_gated, lesson.mine(multiplier), profile=lesson.profile, seed=0)
print(f"your multiplier, never trained: largest error {fitted.exact:.0e} of the largest product")
print("kind       mean squared error   largest error")
for kind, error in fitted.mse.items():
    print(f"{kind:8}   {error:18.1e}   {fitted.largest[kind]:13.3f}")
print(f"14 ReLU units cannot have a largest error below {fitted.floor:.3f}")
lesson.found("crease against saddle", fitted.advantage, within=0.5)
figures.diagonal(fitted)

# %% [markdown] tags=["experiment"]
# Over five seeds (laptop) the squared error of the ReLU layer was 14, 36, 22, 21 and 222 times as large as that of
# SwiGLU. Bilinear finds the exact product. ReGLU, GEGLU and SwiGLU do not, although your weights show that they could:
# Adam spreads the product over eight units and stops near it. Which of the three is nearest changes from seed to seed.
#
# Note that we chose a target that suits a gate. For $|x_1|$, which is the sum of two ReLU units, a ReLU layer would
# win. Whether gates help with *language* has to be tested on language; that comes at the end.
#
# ## What a gate costs: the two-thirds rule
#
# A third matrix makes the layer larger. If it is then better, is it the gate or the size? A fair comparison gives both
# the same budget. Count first: parameters, and operations of the matrix products, with a multiplication and an addition
# as two.

# %% exercise="ffn_cost"
from studium_topics.swiglu.exercises import ffn_cost

# %% [markdown]
# Set the two costs equal, and solve for the width of the gated layer. (A common choice for the ungated width is
# $F = 4D$. For it the answer is the "8/3" that you may have seen in code.)

# %% exercise="matched_width"
from studium_topics.swiglu.exercises import matched_width

# %% [markdown]
# Does this make *parameters* equal, or *operations*? Check it with PyTorch's own counter. And count a third cost: the
# numbers that autograd keeps for the backward pass.

# %%
width_of, cost_of = lesson.mine(matched_width), lesson.mine(ffn_cost)


def kept_numbers(layer, x):
    """Return how many numbers autograd keeps in one forward pass, weights and input aside."""
    own = {part.data_ptr() for part in (*layer.parameters(), x)}
    kept = {}

    def pack(tensor):
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = layer(x)
    return sum(count for pointer, count in kept.items() if pointer not in own), out


print("kind      F      parameters   operations of 100 tokens   counted by PyTorch   kept a token")
for kind, hidden in (("relu", 768), ("silu", 768), ("swiglu", width_of(768)), ("swiglu", 768)):
    layer = FeedForward(kind, 192, hidden, 192, gated=lesson.mine(gated), generator=torch.Generator().manual_seed(0))
    x = torch.ones(100, 192)
    with FlopCounterMode(display=False) as counter:
        kept, _ = kept_numbers(layer, x)
    parameters, operations = cost_of(100, 192, hidden, layer.w_gate is not None)
    shown = f"{parameters:10,}   {operations:24,}   {counter.get_total_flops():18,}   {kept / 100:12,.0f}"
    print(f"{kind:7} {hidden:4}   {shown}")
for name, hidden, multiple in (("Llama 7B", 4 * 4096, 256), ("Llama 13B", 4 * 5120, 256), ("Llama 65B", 4 * 8192, 256)):
    print(f"{name}: an ungated width of {hidden} becomes {width_of(hidden, multiple)}")

# %% [markdown]
# Each parameter of these layers is multiplied once with each token, so that **equal parameters are equal operations**:
# two thirds satisfies both at once. The last row of the first table is a careless comparison: at the same hidden width,
# the gated layer is half as large again. Memory while training is *not* equal. Without further measures, a SiLU layer
# keeps the array before and the array after its activation, $2F$ numbers for a token. SwiGLU keeps gate, activated
# gate, value and product, which is $4F' = \tfrac{8}{3} F$. A fused kernel that recomputes the activated gate in the
# backward pass keeps $3F' = 2F$. (ReLU needs only $F$, because its output shows where it was open.)
#
# ## Through the gate, backwards
#
# Training sees a layer through its gradients. The product rule gives each factor's gradient the *other* factor:
# with $g = x W_g^\top$, $u = x W_u^\top$ and $\delta$ the gradient of the hidden product,
#
# $$ \frac{\partial L}{\partial u} = \delta \circ \varphi(g), \qquad
# \frac{\partial L}{\partial g} = \delta \circ u \circ \varphi'(g) . $$
#
# SiLU is itself a product; its derivative, and the way from $g$ and $u$ back to the weights and to $x$, are yours to
# find:

# %% exercise="swiglu_backward"
from studium_topics.swiglu.exercises import swiglu_backward

# %% [markdown]
# So a factor that is zero silences the gradient of the other one. A colleague wants a layer that adds nothing at first,
# so that a deep model starts as an easy one, and sets some of its matrices to zero. Which of these layers can learn?

# %%
backward = lesson.mine(swiglu_backward)
generator = torch.Generator().manual_seed(0)
x, dy = torch.randn(2, 30, 8, generator=generator)
drawn_weights = {"gate": (20, 8), "up": (20, 8), "down": (8, 20)}
drawn_weights = {name: torch.randn(shape, generator=generator) for name, shape in drawn_weights.items()}
print("zero at the start     size of the gradient of     gate       up     down")
for zeros in ((), ("gate",), ("up",), ("down",), ("gate", "up"), ("up", "down")):
    weights = [torch.zeros_like(w) if name in zeros else w for name, w in drawn_weights.items()]
    _, *gradients = backward(x, *weights, dy)
    print(f"{' and '.join(zeros) or 'nothing':16}" + " " * 28 + "".join(f"{g.norm():9.2f}" for g in gradients))

# %% [markdown]
# One zero matrix is harmless: its own gradient is alive, and after a step it is no longer zero. With two zero factors
# every gradient vanishes, at this step and at each later one. The loss curve of such a model shows only that it is a
# little worse: all other layers learn around the hole.
#
# ## A gate that is dead
#
# The same happens to single units during training. If the ReLU gate of a unit is closed for every input, both its
# output and its slope are zero. A hidden unit is <dfn>dead</dfn> on a set of inputs if no loss gives any of its
# weights a gradient. Not every unit that adds nothing is dead, as the table above shows. Write the test that tells
# them apart:

# %% exercise="dead_units"
from studium_topics.swiglu.exercises import dead_units

# %% [markdown] tags=["experiment"]
# Train classifiers of handwritten digits with one gated layer of 64 units, at three learning rates, and count the dead
# units with your function. Pixels are from 0 to 1, so that a gate with negative weights is closed for all images. *At
# the highest rate, which fraction of the ReGLU units is dead?*

# %% tags=["experiment"]
lesson.predict("dead gates", ..., "Which fraction of ReGLU's units is dead at the highest of the three rates?")

# %% tags=["experiment"]
gates = dead_gates(my_gated, lesson.mine(dead_units), profile=lesson.profile, seed=0)
print("rate   " + "".join(f"{kind + ': dead, right':>24}" for kind in GATES))
for rate in RATES:
    shown = [f"{gates.dead[kind, rate]:14.0%} {gates.accuracy[kind, rate]:9.1%}" for kind in GATES]
    print(f"{rate:<7}" + "".join(shown))
lesson.found("dead gates", gates.dead["reglu", RATES[-1]], within=0.1)

# %% [markdown] tags=["experiment"]
# Over five seeds (laptop), 14 to 36 % of the ReGLU units are dead at the usual rate of 0.01, and 84 to 88 % at 0.1. No
# SwiGLU unit is. Look at the column of GEGLU: at 0.1, 30 to 41 % of its units are dead, although $z\,\Phi(z)$ has a
# slope almost everywhere. Why? $\Phi(z)$ is computed as half of 1 plus an error function. In float32 this sum is
# exactly 0 below about $z = -5.5$, and the slope is 0 below about $-6.2$. SiLU and its slope reach 0 only below $z =
# -88$. "GELU has no dead units" is true in exact arithmetic, but not in float32.
#
# Now look at the right column of each pair, the share of unseen digits that are recognised. Layers with dead units are
# *not* clearly worse, because about ten living units are enough for this task. Dead units still cost parameters, memory
# and time, and a loss curve does not show them.
#
# ## Is it better?
#
# Here is the paper's Table 1, all of it: log-perplexity on held-out text of a T5 model, after 65 536 and after 524 288
# steps, at equal parameters and operations. Repeated runs of the first row had standard deviations of 0.003 to 0.010.
#
# | | ReLU | GELU | Swish | GLU | Bilinear | GEGLU | SwiGLU | ReGLU |
# |---|---|---|---|---|---|---|---|---|
# | 65 536 | 1.997 | 1.983 | 1.994 | 1.982 | 1.960 | 1.942 | 1.944 | 1.953 |
# | 524 288 | 1.677 | 1.679 | 1.683 | 1.663 | 1.648 | 1.633 | 1.636 | 1.645 |
#
# Compare columns in which one thing changes. ReLU and ReGLU, GELU and GEGLU, Swish and SwiGLU differ in the *gate*: it
# lowers the loss by 0.04 to 0.05 in the first row, at least four times the standard deviation of the runs. Among the
# ungated layers the *activation* changes the loss by 0.014 at most, and in the second row the smooth ones end *behind*
# ReLU. Bilinear has no activation at all and beats everything without a gate. GEGLU and SwiGLU are 0.002 apart in the
# first row, less than the spread. So the table supports the gate, and not Swish in particular.
#
# Can a smaller experiment show that? Two runs of the *same* layer with different seeds differ by some hundredths of a
# nat here, as much as the effect that we are looking for. But part of the effect of a seed is common to all layers: its
# batches are easy or hard for all of them. So compare *pairs* of runs with the same seed and batches. If $d_1, \dots,
# d_n$ are their differences, with mean $\bar d$ and sample variance $s^2$, then $\bar d$ has the standard error $s /
# \sqrt n$, and for normal differences $(\bar d - \mu)\sqrt n / s$ follows Student's distribution with $n - 1$ degrees
# of freedom. A <dfn>confidence interval</dfn> of 95 % is a range computed from the data that contains the true mean
# $\mu$ in 95 % of repetitions.

# %% exercise="paired_interval"
from studium_topics.swiglu.exercises import paired_interval

# %% [markdown]
# Now build the comparison itself: every kind with every seed, the same batches, one table with intervals. Choose the
# baseline *before* you look at the losses.

# %% exercise="compare"
from studium_topics.swiglu.exercises import compare

# %% [markdown] tags=["experiment"]
# Small decoders read Python's help pages, character by character, with three feed-forward layers of equal size: ReLU,
# SiLU, and SwiGLU. From the first to the second only the activation changes, from the second to the third only the
# gate comes in. All other weights of a seed start the same. Your `gated`, `matched_width`, `compare` and
# `paired_interval` do the work with three seeds, in about a minute. *What will SwiGLU's mean difference
# from ReLU be, in nats a character? Mind the sign.*

# %% tags=["experiment"]
lesson.predict("SwiGLU against ReLU", ..., "What is SwiGLU's mean paired difference from ReLU, in nats a character?")

# %% tags=["experiment"]
measured = table(
    my_gated,
    width_of,
    lesson.mine(compare),
    lesson.mine(paired_interval),
    profile=lesson.profile,
    seed=0,
)
print("layer      parameters   mean loss   against ReLU (95 % interval)   against SiLU (95 % interval)")
for kind in KINDS:
    mean = sum(measured.losses[kind]) / len(measured.losses[kind])
    intervals = measured.against_relu[kind], measured.against_silu[kind]
    cells = [f"{m:+.3f} ({low:+.3f}, {high:+.3f})" for m, low, high in intervals]
    print(f"{figures.NAMES[kind]:9}   {measured.size[kind]:9,}   {mean:9.3f}   {cells[0]:>28}   {cells[1]:>28}")
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
# Read the table by what changes.
#
# * **The gate**, SwiGLU against SiLU: in all six pairs that we looked at (laptop), the
#   gate won, by 0.06 to 0.10 nats. Three seeds are enough to see that.
# * **The activation**, SiLU against ReLU: in all six pairs SiLU ended *behind*, by 0.02 to 0.06
#   nats, although it is smooth. In the second row of the paper's table, the ungated layers have the same order.
# * **Both at once**, SwiGLU against ReLU: SwiGLU was ahead in all six pairs, by 0.004 to 0.060,
#   but from three seeds you will often get an interval that contains 0. Then no winner is declared, whatever you
#   expected. Nor do our six pairs decide it: this setting was chosen among about seven after looking at results, and in
#   others SwiGLU was level with ReLU or behind (see below).
#
# Pairing helps less here than one might hope: in four of the pairs, SwiGLU's differences from ReLU spread by 0.021, and
# those of unrelated runs would spread by 0.025. The layers start from other weights, so that their runs soon diverge.
# More seeds help, and the last cell estimates how many.
#
# That the gate makes the difference is the paper's finding in miniature. With a single run of each layer, the seed
# would have decided what you see.
#
# ## What does not reproduce at this size
#
# * **The lead over ReLU depends on the setting.** With 120 steps in place of 300, SwiGLU ended 0.029 *behind* ReLU
#   (95 % interval -0.010 to +0.068, five seeds), with width 32 by 0.021, and with 400 or 600 steps the sign varied. The
#   product of two small random numbers is smaller still, so a gated layer may start more slowly; we have not tested
#   that.
# * **The size of the gap.** The paper's 0.04 to 0.05 are nats for a token of a large T5, ours are nats for a character
#   of a model with two layers. Only signs can be compared.
# * **The order of the gated kinds.** The paper's GEGLU and SwiGLU are 0.002 apart. To see that here would take hundreds
#   of seeds.
# * **One learning rate for all kinds**, chosen once. A kind that prefers another one is at a disadvantage here.
# * **Time.** On our processors the layers take about equally long. What the extra elementwise work costs on a GPU
#   depends on whether it is fused, and was not measured here.
#
# ## Common misconceptions
#
# * *"SwiGLU is an activation function."* It is a layer with three matrices; its activation is SiLU.
# * *"It is better because it is smooth."* Bilinear has no activation and beats every ungated row of the paper's table;
#   SiLU is smooth and does not.
# * *"It is better because it has more parameters."* Both the paper's layers and ours have equal parameters. Code that
#   keeps the width $4D$ when it adds the gate makes this mistake.
# * *"`F.glu` is SwiGLU."* It is the kind with the logistic function, and its second half is the gate.
# * *"A gate is a number between 0 and 1."* That is true of GLU. SiLU's gate grows without bound and is slightly
#   negative below zero, so it scales as much as it gates.
#
# ## You can now
#
# * write a gated feed-forward layer of five kinds, and load Llama's weights into it;
# * construct a SwiGLU layer that multiplies exactly, and bound what a ReLU layer can do;
# * choose the hidden width at which two layers cost the same, and say which costs are equal then;
# * derive the gradients through a gate, and find units that are dead;
# * decide with paired seeds and an interval whether one layer is better than another.
#
# ## Open tasks
#
# * **Ten minutes.** Call `products` with a `multiplier` whose gate weights are all 1 % too large. You should see the
#   exact error rise to 1 %, and nothing else change.
# * **An hour.** Give SwiGLU the full width $4D$ in `table`, half as many parameters again. You should see a lower loss,
#   and be able to say why it proves nothing about the gate.
# * **A day.** Repeat `table` at three times as many steps, with each kind at its own best learning rate. You should see
#   the order of kinds settle or change; report the interval, whichever it is.
#
# ## Further reading
#
# * [Shazeer 2020](https://arxiv.org/abs/2002.05202): five pages, and the sentence about divine benevolence.
# * [Dauphin et al. 2016](https://arxiv.org/abs/1612.08083): where the gate came from, with an argument about gradients.
# * [Ramachandran et al. 2017](https://arxiv.org/abs/1710.05941): how Swish was found by a search.
# * [Touvron et al. 2023](https://arxiv.org/abs/2302.13971), section 2.2: SwiGLU with two thirds of 4D, in one sentence.
