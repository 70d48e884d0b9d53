# %% [markdown]
# # Mixture of experts: the efficient feed-forward
#
# Mixtral 8x7B contains **46.7 billion** parameters, but it uses just **12.9 billion** of these to process a token. You
# need to store as much as for a large model, but you compute only as much as for a small one. In each layer, a *router*
# looks at the token and chooses two out of eight feed-forward networks, the *experts*. The other six have nothing to do
# for this token.
#
# A choice has no gradient. If you change a parameter a little, the choice either stays the same or jumps. So how can
# gradient descent teach a router to choose? And if it can, why did the first sparse routers, without further measures,
# send almost every token to the same few experts?
#
# Here, 128 tokens flow to eight experts, and each token goes to two of them. An expert has a limited number of places,
# and tokens shown in orange are dropped. **Raise the bias for expert 0** and watch what happens to its tokens. Then
# take some **balancing steps**.

# %% tags=["widget"]
from studium_widgets import ExpertRouter

ExpertRouter.drawn(top_k=2, capacity=1.25, favour=1.5)

# %% [markdown]
# In this lesson you will
#
# 1. **write** a router and a sparse mixture, and check them against Mixtral's own block;
# 2. **derive** which gradient reaches a router, and find a layer whose router never learns;
# 3. **balance** a router using a loss, and see why the value of this loss proves little;
# 4. **build** a complete layer with limited room, watch its router collapse, and repair it;
# 5. **measure** a mixture against a dense layer of equal cost and a dense layer of equal size.
#
# **You need** the gated layer of [swiglu](swiglu.ipynb) and matrix products. **Time:** 20 minutes of reading, 115 of
# coding, 2 of running.
#
# **History.** Before sparse mixtures, every expert processed every input and a gate weighed the results ([Jacobs et al.
# 1991](https://doi.org/10.1162/neco.1991.3.1.79)), so more experts meant more cost. Shazeer and his colleagues
# ([2017](https://arxiv.org/abs/1701.06538)) kept only the best few experts for each token, and found that the router
# soon chose the same few for all tokens. GShard ([2020](https://arxiv.org/abs/2006.16668)) and Switch
# ([2021](https://arxiv.org/abs/2101.03961)) used this idea for a layer in the transformer, with a capacity and a
# balancing loss. Mixtral ([2024](https://arxiv.org/abs/2401.04088)) came with open weights.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $x_n$, $y_n$ | input and output of the layer for token $n$ of $N$ | (D,) |
# | $E$, $k$ | number of experts, and how many of them a token uses | numbers |
# | $D$, $I$ | width of the model, hidden width of an expert (the $F$ of other lessons) | numbers |
# | $F_e$ | here: expert $e$, a gated network | (D,) to (D,) |
# | $\ell_{ne}$, $p_{ne}$ | logit and softmax probability of expert $e$ for token $n$ | (N, E) |
# | $T_n$, $w_{ne}$ | the $k$ experts that token $n$ chose, and their weights | k numbers |
# | $f_e$, $P_e$ | choices of expert $e$ for each token, and its mean probability | (E,) |
# | $C$ | seats of an expert | a number |
# | $\alpha$ | here: weight of the balance loss | a number |

# %%
from studium import show_table
from functools import partial

import torch
import torch.nn.functional as F

from studium_topics.moe import experiment, figures
from studium_topics.moe.experiment import Task, collapse, language_models, three_layers
from studium_topics.moe.model import Mixture
from studium_widgets import Diagram

# %% [markdown]
# ## Parameters without their cost
#
# In a dense feed-forward layer, we multiply each parameter with each token once, which takes two floating-point
# operations (FLOPs). If we want twice the parameters, we have to pay twice the cost. An <dfn>expert</dfn> is a
# feed-forward network that processes only some of the tokens. The layer adds up the results of the few experts that a
# token chose:
#
# $$y_n = \sum_{e \in T_n} w_{ne}\, F_e(x_n).$$
#
# A <dfn>router</dfn> is the small matrix that gives each token a logit for each expert, $\ell_{ne} = r_e \cdot x_n$,
# using one row $r_e$ per expert. $T_n$ is the set of the $k$ largest.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.moe", "flow.svg")

# %% [markdown]
# Mixtral has 32 layers of width 4096, and each layer has eight experts of hidden width 14 336. All tokens use the rest
# of the model (attention, norms, embedding). Let's count the parameters, including all the matrices of an expert:

# %%
one_expert = 3 * 4096 * 14336  # gate, up and down
attention = 2 * 4096 * 32 * 128 + 2 * 4096 * 8 * 128  # queries and output, keys and values
everywhere = 32 * (attention + 8 * 4096 + 2 * 4096) + 4096 + 2 * 32000 * 4096  # the router and the norms, too
for experts in (8, 2):
    print(f"{experts} experts in each layer: {everywhere + 32 * experts * one_expert:,} parameters")

# %% [markdown]
# Which weights $w_{ne}$ should we use in the sum? Mixtral takes the softmax over *all* experts, keeps the $k$ largest
# probabilities and divides them by their sum:
#
# $$w_{ne} = \frac{p_{ne}}{\sum_{j \in T_n} p_{nj}}, \qquad p_{ne} = \frac{e^{\ell_{ne}}}{\sum_j e^{\ell_{nj}}} .$$

# %% exercise="route"
from studium_topics.moe.exercises import route

# %% [markdown]
# After the choice, each expert has a separate batch, which contains the rows that chose it. In Mixtral, an expert is a
# gated network $F_e(x) = W^\text{down}_e(\operatorname{SiLU}(W^\text{gate}_e x) \odot W^\text{up}_e x)$ with
# $\operatorname{SiLU}(z) = z\,\sigma(z)$. We store the first two matrices as a single one, `gate_up`, with the gate on
# top.

# %% exercise="mixture"
from studium_topics.moe.exercises import mixture

# %% [markdown]
# **In practice** you would use `MixtralSparseMoeBlock` from transformers. Let's give it your weights. (The block
# creates its tensors empty: until you fill them, they contain whatever was in memory.)

# %% tags=["experiment", "bridge"]
try:
    from transformers import MixtralConfig
    from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock
except ImportError:
    print("transformers is not installed here; `pip install transformers` brings MixtralSparseMoeBlock.")
else:
    sizes = {"hidden_size": 24, "intermediate_size": 40, "num_local_experts": 6, "num_experts_per_tok": 2}
    config = MixtralConfig(**sizes, experts_implementation="eager")
    block = MixtralSparseMoeBlock(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(std=0.3, generator=generator)
        x = torch.randn(2, 9, 24, generator=generator)
        weights, chosen = lesson.mine(route)(x.flatten(0, 1) @ block.gate.weight.T, 2)
        mine = lesson.mine(mixture)(
            x.flatten(0, 1), chosen, weights, block.experts.gate_up_proj, block.experts.down_proj
        )
        apart = (mine.view_as(x) - block(x)).abs().max()
    print(f"largest difference from {type(block).__name__}: {apart:.1e} of {mine.abs().max():.1f}")

# %% [markdown]
# ## How a choice learns
#
# The choice $T_n$ passes no gradient, but the weights do. Let $G = \partial L / \partial y$ be the gradient of the loss
# at the output for one token (we drop the index $n$). The weights are a softmax over the chosen logits, because the sum
# over all experts cancels. We therefore have $\partial w_j / \partial \ell_e = w_e(\delta_{je} - w_j)$, where
# $\delta_{je}$ is 1 for $j = e$ and 0 otherwise. Then
#
# $$\frac{\partial L}{\partial \ell_e} = \sum_{j \in T} \frac{\partial w_j}{\partial \ell_e}\; G \cdot F_j
# = w_e\; G \cdot (F_e - y) \qquad \text{for } e \in T, \text{ and } 0 \text{ otherwise.}$$
#
# Descent raises the logit of an expert if, to first order, its result is better than the mixture $y$, and lowers the
# logit if it is worse. So the router can compare only the experts that it tried. Two things follow from this.
#
# * **If an expert was not chosen, it gets no gradient**, neither for its logit nor for its weights. It can't get
#   better, so it is unlikely to be chosen later. Meanwhile, the experts that are chosen learn and increase their lead.
# * **If $k = 1$, there is nothing to compare.** The only weight is 1, $y$ is $F_e$, and the gradient is exactly zero.
#   Switch uses $k = 1$, but instead of dividing, it multiplies the result by the probability $p_e$ (equation 2), which
#   has a derivative with respect to every logit.
#
# ## Balance
#
# A <dfn>balance loss</dfn> is a number that grows when a router uses its experts unevenly, and that we add to the loss
# with a small weight $\alpha$. We can count how uneven the load is, $f_e = \frac1N \sum_n [e \in T_n]$, but a count has
# no gradient. GShard and Switch (equations 4 to 6 in the Switch paper) have a trick: multiply the count by something
# that does have a gradient, the mean probability $P_e = \frac1N \sum_n p_{ne}$:
#
# $$L_\text{balance} = E \sum_e f_e P_e, \qquad
# \frac{\partial L_\text{balance}}{\partial \ell_{ne}} = \frac{E}{N}\, p_{ne}\Big(f_e - \sum_j p_{nj} f_j\Big).$$
#
# To get the second formula, we treat $f$ as constant and use the derivative of the softmax, $\partial p_{nj} / \partial
# \ell_{ne} = p_{ne}(\delta_{je} - p_{nj})$. Descent lowers the logits of experts whose load is above the token's own
# average $\sum_j p_{nj} f_j$, and raises the others. This reaches *every* expert, including the unused ones.
#
# ST-MoE ([Zoph et al. 2022](https://arxiv.org/abs/2202.08906)) adds a second loss. The <dfn>z-loss</dfn> of a router is
# the mean square of $\log \sum_e e^{\ell_{ne}}$, and we use it to keep the logits small. If all logits grow together, a
# softmax does not change, but rounding does:

# %%
spread = torch.randn(1000, 8, generator=torch.Generator().manual_seed(0))
for size in (1, 10, 100):
    exact, rounded = ((size + spread).softmax(-1), (size + spread).bfloat16().float().softmax(-1))
    print(f"logits around {size:3}: bfloat16 changes a probability by up to {(exact - rounded).abs().max():.1%}")

# %% exercise="router_losses"
from studium_topics.moe.exercises import router_losses

# %% [markdown]
# **Predict first.** A new router contains only zeros. All probabilities are 1/8, and `topk` breaks the ties, so all
# tokens might go to the same two of eight experts. This is the worst load that we could have. What will the balance
# loss be?

# %% tags=["experiment"]
lesson.predict(
    "loss of the worst load", ..., "What is the balance loss if all 8 logits are 0 and all tokens choose the same 2?"
)

# %% tags=["experiment"]
worst, _ = lesson.mine(router_losses)(torch.zeros(1000, 8), torch.tensor([[0, 1]]).expand(1000, 2))
lesson.found("loss of the worst load", float(worst), within=0)

# %% [markdown]
# If all probabilities are equal, $E \sum_e f_e P_e = \sum_e f_e = k$, whatever the load is. If the load is even, we
# also get $k$, whatever the probabilities are. So a balanced router has the value $k$, but this value **proves
# nothing**. (It is not even a minimum: the loss can be a little lower.) Look at the load itself.
#
# Now let's look for a failure that raises no error. The layer below is a Switch layer, with $k = 1$ and with experts
# that have two matrices and a ReLU. It runs, and its loss falls because the experts learn. But however many steps you
# take, its router will be what it was at the start.

# %% exercise="switch_layer"
from studium_topics.moe.exercises import switch_layer

# %% [markdown]
# ## Limited room
#
# On a GPU, we compute all experts in one batched product, and for this each expert needs a buffer of the same length.
# The <dfn>capacity</dfn> $C$ of an expert is the number of seats in its buffer. If all loads were even, each expert
# would get $Nk/E$ choices. With a capacity *factor* of 1.25, we give it a quarter more room. If a choice finds no seat,
# it is <dfn>dropped</dfn>: it contributes nothing, and in a transformer the residual connection carries the token on.
# As in GShard, we give seats to first choices before second choices.

# %% exercise="seats"
from studium_topics.moe.exercises import seats

# %% [markdown]
# **Predict first.** All tokens choose the same two of eight experts, and the capacity factor is 1.25. What share of the
# choices will be dropped?

# %% tags=["experiment"]
lesson.predict("dropped by a collapsed router", ..., "What share of the choices is dropped (from 0 to 1)?")

# %% tags=["experiment"]
everyone = torch.tensor([[0, 1]]).expand(800, 2)
taken = lesson.mine(seats)(everyone, 8, int(1.25 * 800 * 2 / 8))
lesson.found("dropped by a collapsed router", float((taken < 0).double().mean()), within=0.02)

# %% [markdown]
# Now you can put the layer together. This is all of it: route, seat, dispatch, compute, combine, and the two losses.

# %% exercise="moe_layer"
from studium_topics.moe.exercises import moe_layer

# %% [markdown] tags=["experiment"]
# ## A router collapses
#
# In our task there are eight clusters of points $x$. The answer is a linear map of $x$, with a different map for each
# cluster, so a layer of specialists would be ideal. But we spoil the start by giving two experts a head start of 10
# logits. In the widget you can see the logits that *your* router has for points that it never trains on, coloured by
# cluster (six of the eight).

# %% tags=["experiment", "widget"]
task, generator = Task.drawn(seed=0), torch.Generator().manual_seed(0)
points, _, cluster = task.batch(256, generator)
shown = cluster < 6
layer = Mixture(partial(lesson.mine(moe_layer), k=2, factor=1.25), 17, 16, 8, generator)
with torch.no_grad():
    layer.router[:2, -1] += 10.0  # the last input is always 1
view = ExpertRouter(logits=points[shown] @ layer.router.detach().T, clusters=cluster[shown].tolist(), top_k=2)
view

# %% [markdown] tags=["experiment"]
# Train, and scroll back to the widget while the cell runs. Then run both cells again using `alpha = 0.1`.

# %% tags=["experiment"]
alpha = 0.0
optimizer = torch.optim.Adam(layer.parameters(), lr=1e-2)
for step in range(301):
    x, answers, _ = task.batch(256, generator)
    error = (layer(x)[..., :16] - answers).square().mean()
    loss = error + alpha * layer.balance
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        view.logits = points[shown] @ layer.router.detach().T
    if step % 100 == 0:
        even, busiest = experiment.evenness(layer.logits, 2)
        print(
            f"step {step:3}: error {error:.2f}, dropped {layer.dropped:.0%}, evenness {even:.2f}, busiest {busiest:.0%}"
        )

# %% [markdown] tags=["experiment"]
# *Evenness* is the entropy of the load divided by the entropy of an even load. It is 1 if the router uses all experts
# equally, and $\log 2 / \log 8 = 0.33$ if it uses only two. Here is the full run. In three of the rows, only $\alpha$
# is different. The first row has seats for every choice, so we can separate the two harms of a collapse: dropped
# tokens, and experts that never learn.

# %% tags=["experiment"]
fallen = collapse(lesson.mine(moe_layer), profile=lesson.profile, seed=0)
show_table(
    ["", "error", "evenness", "busiest", "dropped", "balance loss"],
    [
        (x.name, f"{x.error:.3f}", f"{x.evenness:.2f}", f"{x.busiest:.0%}", f"{x.dropped:.0%}", f"{x.balance:.2f}")
        for x in fallen.runs
    ],
)
figures.evenness(fallen)

# %% [markdown] tags=["experiment"]
# If $\alpha = 0$, the six unused experts never come back, because without tokens they don't get any gradients. Over
# five seeds (laptop), the collapsed router has an error of 0.58 to 0.75 and drops 69 % of the choices. If there are
# seats for every choice, the error is 0.24 to 0.29, which is what two experts can do. With *fewer* seats, $\alpha =
# 0.1$ gets down to 0.08 to 0.15, because eight experts learn. Switch uses $\alpha = 0.01$, which is too weak here to
# make up for a head start of 10 logits in 600 steps. It is on its way, with an evenness of 0.62 to 0.87. These are the
# logits of your balanced router:

# %% tags=["experiment", "widget"]
shown = (fallen.balanced.clusters < 6).nonzero()[:200, 0]
ExpertRouter(
    logits=fallen.balanced.logits[shown], clusters=fallen.balanced.clusters[shown].tolist(), top_k=2, capacity=1.25
)

# %% [markdown] tags=["experiment"]
# Follow one colour, and you will see that the points of a cluster share their experts, although we never gave the
# clusters to the router.
#
# ## What does sparsity buy?
#
# To claim that "a mixture beats a dense layer", we need two rows: a dense layer that **costs** as much per token, and a
# dense layer that **holds** as many parameters. How wide should they be?

# %% exercise="dense_twins"
from studium_topics.moe.exercises import dense_twins

# %% [markdown] tags=["experiment"]
# All layers get the same points, steps and learning rate. The mixture is your `mixture`, without a capacity, so a token
# costs exactly two experts and the router. We let PyTorch count the FLOPs during the forward pass. In the last row we
# leave the router as we drew it, and everything else stays the same. *Which rows will the mixture beat?*

# %% tags=["experiment"]
compared = three_layers(
    *(lesson.mine(function) for function in (route, mixture, router_losses, dense_twins)),
    profile=lesson.profile,
    seed=0,
)
show_table(
    ["", "parameters", "FLOPs / token", "error"],
    [(run.name, run.parameters, f"{run.flops:,.0f}", f"{run.error:.3f}") for run in compared.runs],
)
figures.costs(compared)

# %% [markdown] tags=["experiment"]
# Over five seeds (laptop), the mixture has 33 to 48 % of the error of the dense layer of **equal cost**. The dense
# layer of **equal size** costs almost four times as much, but its error is still higher for each seed, by 3 % (seed 4)
# to 53 % (seed 2). If we leave the router as we drew it, the mixture is hardly better than the dense layer of equal
# cost. So the additional experts help little by themselves, and it is the *learned* choice that makes the difference.
# However, we made this task for specialists, so you can't expect the same result for other data.
#
# For text, you can find a comparison at equal FLOPs per token in table 1 of [Switch
# Transformers](https://arxiv.org/abs/2101.03961). After 100,000 steps, T5-Base has a negative log-perplexity of -1.731.
# Switch-Base, with 128 experts, one per token, and a capacity factor of 1.0, has -1.561 (higher is better). T5-Large
# uses 3.5 times the FLOPs and has -1.550.
#
# ## In a language model
#
# Text is not made for specialists. Here we train three small language models on English prose, the texts of Python's
# help system, character by character. They have the same attention, batches and steps, and only their feed-forward
# layers are different. The first uses your `moe_layer`.

# %% tags=["experiment"]
models = language_models(lesson.mine(moe_layer), lesson.mine(dense_twins), profile=lesson.profile, seed=0)
show_table(
    ["", "parameters", "nats per character on held-out text"],
    [
        (model.name, model.parameters, f"{model.loss:.3f}")
        for model in (models.mixture, models.equal_cost, models.equal_size)
    ],
)
print("the characters that each expert gets more often than others do (first choices in the first layer)")
for expert, characters in enumerate(experiment.favourites(models.mixture.model, lesson.profile)):
    print(f"expert {expert}: {characters}")

# %% [markdown] tags=["experiment"]
# Over four seeds (laptop), the loss of the mixture minus the loss of the model of equal cost is −0.083, −0.007, 0.018
# and −0.013 nats per character. **We declare no winner.** The model of equal size is the best for each seed, by 0.03 to
# 0.12. The run is short, and each expert has learned from just a quarter of the tokens.
#
# The routers are balanced (evenness about 0.99). In the first layer, each expert has its own characters, because a
# router there has little to look at besides the character. These groups are not topics, and you could not have
# predicted them.
#
# ## Further
#
# **Seats look ahead.** A decoder must not use later tokens. But we seat first choices before second choices, so the
# first choice of a *later* token can take the seat of an earlier token's second choice. Let's change just the last
# token, and count the earlier tokens whose output changes:

# %% tags=["experiment"]
generator = torch.Generator().manual_seed(0)
tensors = [torch.randn(*shape, generator=generator) for shape in ((1, 64, 16), (8, 16), (8, 32, 16), (8, 16, 16))]
changed = tensors[0].clone()
changed[0, -1] = -changed[0, -1]
for factor in (1.0, 4.0):
    before, after = (lesson.mine(moe_layer)(x, *tensors[1:], 2, factor)[0] for x in (tensors[0], changed))
    count = int(((before - after)[0, :-1].abs().amax(-1) > 1e-4).sum())
    print(f"capacity factor {factor}: {count} of 63 earlier tokens changed")

# %% [markdown]
# In training, this leaks a little information about the future. When you use the model, it makes an answer depend on
# the other sentences in the batch. If a mixture drops nothing, like your `mixture`, it has neither problem.
#
# **Balance without a loss.** The gradient of the balance loss competes with the gradient of the task. DeepSeek-V3
# mainly uses another method. It adds a bias to each expert's score *for the choice only*, not for the weights. After
# each step it moves this bias up or down by a small fixed amount, depending on whether the expert had too few or too
# many tokens ([Wang et al. 2024](https://arxiv.org/abs/2408.15664)).
#
# ## What does not reproduce at this size
#
# * **Speed.** Switch trains up to seven times faster than T5 (abstract). We save FLOPs, but less time. On one CPU
#   thread, the mixture in the language model takes half the time of the dense layer of equal size, forward and
#   backward, but almost three times as long as the layer of equal cost, because copying rows to seats and back is not
#   free.
# * **A collapse by itself.** Without the head start, our router also balances itself with $\alpha = 0$ (evenness 0.97,
#   seed 0). We planted the collapse that Shazeer et al. 2017 report from their large models.
# * **Instability.** People use the z-loss for bfloat16 and for large models. Our logits stay small and are in float32,
#   so we show only the rounding.
# * **A gain on text.** The papers get their gains at equal cost from long runs on a lot of text. Our mixture wins
#   clearly on clusters, where the gain is built into the task. In 300 steps of prose it doesn't.
# * **Communication.** Everything here runs in one place. If you put experts on several machines, they have to exchange
#   tokens over a network, and this cost is missing.
#
# ## Common misconceptions
#
# * *"A mixture saves memory."* It saves FLOPs. All experts must be in memory, because any token might need any expert.
# * *"A balance loss at its balanced value means balance."* With equal probabilities it is exactly $k$ at any load, as
#   you saw.
# * *"The router learns end to end, through the choice."* It learns through the weights of what it chose. The choice
#   itself passes no gradient.
# * *"Top-2 is an average of two models."* The weights depend on the token, and the experts were trained to be added.
# * *"Experts are specialists for topics."* Mixtral's authors looked for topics in section 5 of their paper. What they
#   found instead were patterns in syntax, such as indentation in code.
#
# ## You can now
#
# * write a router and a sparse layer that agrees with the library's, and tell what it costs and how much it holds;
# * derive the gradient of a router, and use it to tell which layers cannot learn to choose;
# * balance a router using a loss, and judge the balance by the load and not by the loss;
# * give experts limited room, and predict how many choices a collapsed router will drop;
# * compare a mixture with the dense layers of equal cost and of equal size.
#
# ## Open tasks
#
# * **Ten minutes.** Train the loop above with a capacity factor of 4 and $\alpha = 0$. You should see no drops, about
#   half the error of the collapsed run with a factor of 1.25, and six experts that still don't get any tokens.
# * **An hour.** Replace the balance loss with the bias from *Further*. After each step of the loop, move the last
#   column of the router by 0.05, up for experts with fewer tokens than the mean and down for the others, with $\alpha =
#   0$. You should see an evenness above 0.9 after a hundred steps and near 1 after two hundred, and no more drops from
#   then on.
# * **A day.** Keep the active and the total parameters of the language model, and split each expert into four of a
#   quarter of the width, with $k = 8$ of 32, as [DeepSeekMoE](https://arxiv.org/abs/2401.06066) does. You should see
#   whether the loss changes by more than it does from seed to seed. To answer this, you will need at least five seeds
#   of each.
#
# ## Further reading
#
# * [Fedus et al. 2021, Switch Transformers](https://arxiv.org/abs/2101.03961): section 2 is this lesson in six pages,
#   and figure 3 shows capacity and drops.
# * [Jiang et al. 2024, Mixtral of Experts](https://arxiv.org/abs/2401.04088): section 5 looks at which tokens the
#   experts get.
# * [Zoph et al. 2022, ST-MoE](https://arxiv.org/abs/2202.08906): which tricks make training stable, and at what price.
# * [Zhou et al. 2022, Expert Choice](https://arxiv.org/abs/2202.09368): what if the experts choose the tokens? Then the
#   load is even by construction, but the future also leaks by construction.
# * [Dai et al. 2024, DeepSeekMoE](https://arxiv.org/abs/2401.06066): many small experts, and some that all tokens use.
