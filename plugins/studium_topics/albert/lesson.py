# %% [markdown]
# # ALBERT: one layer, many times
#
# BERT-large is a file of 1.34 GB. ALBERT-large has the same width and the same 24 layers, but its file has only **71
# MB**: 19 times fewer parameters. How many times faster does it read a sentence?
#
# Here you can see the bill for the smaller pair, BERT-base and ALBERT-base. **Drag the number of sets and watch which
# bars do not move.** Then press *Play*: a token goes through all twelve layers, no matter how few of them we store. The
# width of the tables is under *More*.

# %% tags=["widget"]
from studium_topics.albert.bill import ParameterBill

ParameterBill(model="base", embedding=128, sets=1)

# %% [markdown]
# In this lesson you will
#
# 1. **count** all the parameters of BERT and ALBERT, and get the published totals to the digit;
# 2. **derive** when two narrow tables are cheaper than a wide one;
# 3. **share** a layer, and show that its gradient is the sum over its uses;
# 4. **build** a whole ALBERT, and compare it with the library's;
# 5. **train** it on the order of sentences, and measure what BERT's second task left out.
#
# **You need** the encoder and its masks, from [encoder-only](encoder-only.ipynb). **Time:** 20 minutes of reading, 101
# of coding, 3 of running.
#
# **History.** Before ALBERT, the recipe was: a larger BERT is a better BERT. But when we train, we need to store a
# gradient and Adam's two moments for every parameter, and to send all gradients between machines. So memory and
# communication set the limit. [ALBERT](https://arxiv.org/abs/1909.11942) (Lan et al. 2019) uses each parameter many
# times instead, as the [Universal Transformer](https://arxiv.org/abs/1807.03819) (Dehghani et al. 2018) had done. It
# also replaces BERT's next sentence prediction by a question about order.
#
# | symbol | meaning |
# |---|---|
# | $V$ | words in the vocabulary |
# | $E, H$ | here, as in the paper: width of the tables, width of the layers (the $D$ of other lessons) |
# | $F$ | width inside the perceptron, here $4H$ |
# | $L, N$ | layers that are computed, sets of layer parameters that are stored |
# | $B, T$ | sentences in a batch, tokens in a sentence |
# | $x_i$ | the state after layer $i$; $x_0$ enters the first layer |
# | $w$ | the parameters of a shared layer |
#

# %%
from studium import show_table
import torch
from torch.func import functional_call

from studium_topics.albert import experiment, figures, stories
from studium_topics.albert.library import albert_model
from studium_topics.albert.model import parts
from studium_widgets import Diagram

# %% [markdown]
# ## Where 109 million parameters are

# %% tags=["diagram"]
Diagram.from_package("studium_topics.albert", "areas.svg")

# %% [markdown]
# There are two large things on the left: a table with a row of width $H$ for each of 30,522 words, and twelve layers.
# ALBERT shrinks both, in different ways. Here is the model that is left:

# %% tags=["diagram"]
Diagram.from_package("studium_topics.albert", "flow.svg")

# %% [markdown]
# ### A narrow table
#
# In BERT, the row of a word must be as wide as the layers, $E = H$, because we feed the rows to the first layer as they
# are. The authors of ALBERT (section 3.1) object that rows and layers do different work. A row represents a word
# *without* its context, while the layers build what a word means *in* its context. So $H$ should grow, but $E$ need
# not. In a <dfn>factorised embedding</dfn>, the table has width $E < H$, and a single matrix for all words brings its
# rows to width $H$: $V \times H$ becomes $V \times E$ times $E \times H$.
#
# What do we lose? The product of the two has at most rank $E$, so all words are in an $E$-dimensional subspace when
# they enter the first layer. What do we gain? The cost of the table falls from $VH$ to $VE + EH = E\,(V + H)$. However,
# if you make $E$ too large, you will not gain anything.

# %% exercise="break_even"
from studium_topics.albert.exercises import break_even

# %% [markdown]
# For $V = 30\,000$ and $H = 768$ the break-even is close to $H$: a vocabulary is so much larger than a width that we
# can almost ignore the second factor. ALBERT uses $E = 128$ in all its sizes.
#
# BERT's three tables (word, position, segment) all have width $E$ now, and so does the LayerNorm on their sum. The
# projection comes last.

# %% exercise="albert_embed"
from studium_topics.albert.exercises import albert_embed

# %% [markdown]
# **Think about it.** `project(word(ids))` and `(word.weight @ project.weight.T)[ids]` agree, up to the bias. Why does
# the order still matter?
#
# <details><summary>Answer</summary>
#
# The second way makes the whole $V \times H$ table in every step, and its gradient is just as large. You need both in
# addition to the $BT$ rows of width $H$ that either way makes.
# </details>
#
# ### One layer
#
# <dfn>Cross-layer sharing</dfn> means that several layers of a stack use the same parameters. ALBERT shares everything,
# attention, perceptron and LayerNorms, over all layers. How much does this save? A Linear from $n$ to $m$ has $nm + m$
# parameters, and a LayerNorm of $H$ has $2H$. So one layer has
#
# $$ \underbrace{4\,(H^2 + H)}_{\text{query, key, value, output}} + \underbrace{(HF + F) + (FH + H)}_{\text{up, down}}
#    + \underbrace{2 \cdot 2H}_{\text{two LayerNorms}} \;=\; 12H^2 + 13H \quad\text{for } F = 4H. $$
#
# For $H = 768$ this makes 7,087,872 parameters, and BERT-base stores them twelve times. We can also choose something
# between these extremes: the authors divide the $L$ layers into $N$ <dfn>groups</dfn> of $L/N$ neighbours, and the
# layers of a group share a set.

# %% exercise="parameter_bill"
from studium_topics.albert.exercises import parameter_bill

# %% [markdown]
# Now let's count the published models. In the paper's tables 1 and 2 you can find rounded totals: 108M, 334M, 12M, 18M,
# 60M and 235M.

# %%
bill = lesson.mine(parameter_bill)
totals, rows = {}, []
for name, sizes in {
    "BERT-base": (30522, None, 768, 3072, 12, 512, 12),
    "BERT-large": (30522, None, 1024, 4096, 24, 512, 24),
    "ALBERT-base": (30000, 128, 768, 3072, 12, 512, 1),
    "ALBERT-large": (30000, 128, 1024, 4096, 24, 512, 1),
    "ALBERT-xlarge": (30000, 128, 2048, 8192, 24, 512, 1),
    "ALBERT-xxlarge": (30000, 128, 4096, 16384, 12, 512, 1),
}.items():
    totals[name] = sum(bill(*sizes).values())
    rows.append((name, totals[name], f"{4 * totals[name] / 1e6:.1f} MB"))
show_table(["model", "parameters", "in float32"], rows)
print(f"large against large: {totals['BERT-large'] / totals['ALBERT-large']:.2f} times fewer")

# %% [markdown]
# These are the encoders as the library builds them, to the digit. For xxlarge the paper has 235M, which is 12 million
# more; we don't know what else it counts. This model also shows us how sharing was meant to be used: ALBERT-xxlarge is
# four times as wide as BERT-large but stores a third less, because width costs $H^2$ just *once*. The authors did not
# want a smaller BERT, but a wider one that fits into memory.
#
# ## The same layer again
#
# Now you can compute with it.

# %% exercise="shared_stack"
from studium_topics.albert.exercises import shared_stack

# %% [markdown]
# ### Parameters are not operations
#
# Let's take three small stacks: a single layer, four layers that are the same layer, and four separate layers. PyTorch
# can count the floating-point operations of a forward pass.

# %% tags=["experiment"]
lesson.predict("operations", ..., "How many times as many operations does the unshared stack of four compute?")

# %% tags=["experiment"]
costs = experiment.costs(lesson.mine(shared_stack))
show_table(
    ["stack", "parameters", "operations"],
    [(name, stored, f"{operations / 1e6:.1f} million") for name, (stored, operations) in costs.items()],
)
shared, own = costs["four layers, shared"], costs["four layers of their own"]
lesson.found("operations", own[1] / shared[1], within=0)

# %% [markdown] tags=["experiment"]
# **Sharing divides the parameters by four and leaves the operations as they are.** We have to compute each of the four
# layers, whether or not its parameters are shared. What you do save is everything that happens once per parameter:
# storing it, its gradient and Adam's two moments, sending the gradient between machines, and the optimiser's step. In
# table 2 of the paper, ALBERT-large trains 1.7 times as fast as BERT-large on the same cluster. ALBERT-xxlarge, which
# has fewer parameters than BERT-large, runs at 0.3 times its speed.

# %% [markdown]
# ### A gradient of many uses
#
# How do we train a layer that we use $L$ times? Suppose that each use gets a separate copy, $w_1, \dots, w_L$, and let
# $f(w_1, \dots, w_L)$ be the loss. When we share, we set all copies to $w$. By the chain rule
#
# $$ \frac{d}{dw} f(w, \dots, w) = \sum_{i=1}^{L} \frac{\partial f}{\partial w_i}(w, \dots, w) : $$
#
# the gradient of a shared layer is the **sum over its uses**. Autograd computes this sum for us and shows only the
# total. Your task is to take it apart.

# %% exercise="gradient_by_use"
from studium_topics.albert.exercises import gradient_by_use

# %% tags=["experiment"]
made = parts(experiment.encoder_sizes(), seed=0)
group = made["groups"][0]
start = torch.randn(8, 11, 64, generator=torch.Generator().manual_seed(0))
real = torch.ones(8, 11, dtype=torch.bool)
target = torch.randn(8, 11, 64, generator=torch.Generator().manual_seed(1))


def layer(x, weight):
    """Return x after the layer, with another first matrix in its perceptron."""
    return functional_call(group, {"linear1.weight": weight}, (x, real))


uses = lesson.mine(gradient_by_use)(layer, start, group.linear1.weight, 12, lambda x: (x - target).square().mean())
whole = lesson.mine(shared_stack)(start, real, [group], 12)[-1]
(total,) = torch.autograd.grad((whole - target).square().mean(), [group.linear1.weight])
print(f"the twelve uses add up to autograd's gradient, up to {(uses.sum(0) - total).abs().max():.0e}")
figures.shares(uses)

# %% [markdown] tags=["experiment"]
# Each bar shows the gradient of one use: its length, and its angle to the sum. You can see that the uses pull in
# different directions. If a layer had separate parameters, it would follow just its own gradient. The shared layer
# follows the sum, so it needs to find parameters that are good at all depths at once. As soon as we have a complete
# model, we can measure whether it does.
#
# ## A whole ALBERT

# %% exercise="albert"
from studium_topics.albert.exercises import albert

# %% [markdown]
# ### The same in the library
#
# In practice you would use `AlbertModel` from Hugging Face's `transformers`. The next cell gives it the weights of your
# parts, under the names that published checkpoints use. Here we use two groups for six layers.

# %% tags=["experiment", "bridge"]
sizes = experiment.encoder_sizes(groups=2)
mine = parts(sizes, seed=1)
ids = torch.randint(3, sizes.vocabulary, (4, 11), generator=torch.Generator().manual_seed(2))
ids[1, 7:] = stories.PAD
segments = (torch.arange(11) > 5).long().expand(4, 11)
try:
    import transformers
except ImportError:
    print("transformers is not installed, so there is nothing to compare with: pip install transformers")
else:
    library = albert_model(mine, 6, stories.PAD)
    with torch.no_grad():
        theirs = library(ids, attention_mask=(ids != stories.PAD).long(), token_type_ids=segments)
        states, pooled = lesson.mine(albert)(ids, segments, mine, 6, stories.PAD)
    real_words = ids != stories.PAD
    print(f"transformers {transformers.__version__}, {type(library).__name__}, largest differences:")
    print(f"    states {(states - theirs.last_hidden_state)[real_words].abs().max():.1e}")
    print(f"    pooled {(pooled - theirs.pooler_output).abs().max():.1e}")
    print(f"its layers: {library.config.num_hidden_layers}, its groups: {library.config.num_hidden_groups}")

# %% [markdown]
# Watch out for a trap: `AlbertConfig()` without arguments is ALBERT-xxlarge, with $H = 4096$.
#
# ## What sharing costs
#
# We now train three small language models of characters, with your stack inside: one layer, four layers that are the
# same, and four separate layers. They see the same text in the same order, for the same number of steps. (We use a
# causal mask instead of masked words. In this way every position has a label, and we can train a model of this size
# within seconds.)
#
# Three more separate layers lower the loss by some amount. If all four layers are the same, what share of this gain
# will be left?

# %% tags=["experiment"]
lesson.predict("recovered", ..., "What share of the gain of depth (0 to 1) does the shared stack keep?")

# %% tags=["experiment"]
result = experiment.sharing(lesson.mine(shared_stack), profile=lesson.profile)
show_table(
    ["stack", "parameters", "nats per character"],
    [(run.name, run.parameters, f"{run.loss:.3f}") for run in (result.one, result.shared, result.own)],
)
print(f"share of the gain that the shared stack keeps: {result.recovered:.2f}")
lesson.found("recovered", result.recovered, within=0.25)

# %% [markdown] tags=["experiment"]
# Using one layer four times is better than using it once, although you don't store anything more: **depth is worth
# something by itself**. Four separate layers are better still, but have four times the parameters. With seeds 0 to 2 at
# `laptop`, the shared stack kept 0.54, 0.73 and 0.69 of the gain.
#
# Here is the paper's ablation (table 4, ALBERT-base with $E = 128$, its columns of parameters and averages):
#
# | shared | parameters | average |
# |---|---|---|
# | everything | 12M | 80.1 |
# | attention | 64M | 81.7 |
# | perceptron | 38M | 80.2 |
# | nothing | 89M | 81.6 |
#
# In this table, sharing the attention costs nothing, and sharing the perceptron costs most of the 1.5 points. ALBERT
# shares both and uses what it saved for width.
#
# ### Does a repeated layer come to rest?
#
# If we apply the same layer again and again, it looks like an iteration, and an iteration might converge: $x_{i+1} =
# x_i$. In figure 1 of the paper, the authors measure how much each layer of ALBERT-large changes its input. Here are
# your two stacks of four.

# %% tags=["experiment"]
figures.moves(result)

# %% [markdown] tags=["experiment"]
# At `laptop`, the shared layer turns a token by less with each use (43, 26, 18 and 15 degrees with seed 0), while the
# four separate layers continue with about 30 degrees each. So sharing makes the path smoother, but the last step does
# not vanish. The authors see the same over 24 layers: smaller steps than in BERT, and no convergence. Even when you use
# a layer for the 24th time, it still does something.
#
# ## Two sentences
#
# In BERT's second task, next sentence prediction (NSP), the model must tell whether sentence B follows A in its
# document. In a negative, B comes from *another* document. RoBERTa dropped this task without harm. The authors of
# ALBERT suspected the reason: another document has another **topic**, and it is easy to tell topics apart. How easy?
# Let's try a rule that doesn't even have parameters. We give it a right and a wrong pair of paragraphs of English
# prose, and it chooses the pair that shares more words.

# %% tags=["experiment"]
lesson.predict("overlap", ..., "How often (0 to 1) does counting shared words find the next paragraph?")

# %% tags=["experiment"]
rule = experiment.overlap_rule(profile=lesson.profile)
print(f"next paragraph, or one from another document:  {rule.next:.3f}")
print(f"right order, or swapped:                       {rule.order:.3f}")
lesson.found("overlap", rule.next)

# %% [markdown]
# In <dfn>sentence-order prediction</dfn> (SOP), we take two neighbours from one document and ask whether they are in
# order or swapped. The second line above is exactly one half, and this is necessary. If a rule looks at *which* words a
# pair has, but not at which sentence has them, it must answer the same for (A, B) and (B, A). One of these answers is
# right, and the other is wrong. So **no symmetric rule beats a coin on SOP**, however clever it is.
#
# But we have to make sure that the order does not leak in another way.

# %% exercise="sop_pairs"
from studium_topics.albert.exercises import sop_pairs

# %% [markdown]
# Now the rule of shared words chooses between your pairs: one in order, the other swapped. If it did better than a
# coin, the pairs would give the order away.

# %% tags=["experiment"]
leak = experiment.shared_words(lesson.mine(sop_pairs), profile=lesson.profile)
print(f"your pair in order, or a swapped one:  {leak.order:.3f}")

# %% [markdown]
# ### A text in which both can be learned
#
# To train on both tasks, we need stories that have a topic (an animal and its place) and an order (events of a day).
# Here are two such stories, cut into pairs:

# %%
docs = stories.stories(2, torch.Generator().manual_seed(4), sentences=3)
for ids, segments, label in lesson.mine(sop_pairs)(docs, torch.Generator().manual_seed(5), stories.CLS, stories.SEP):
    print(("in order", "swapped ")[label], " ", stories.decode(ids))
    print("segments  ", *segments)

# %% [markdown]
# Now we need the loop. ALBERT trains on masked words and on order together. You built the first of these in
# [encoder-only](encoder-only.ipynb), so here we train only on order, and the pairs are all that the encoder can learn
# from.

# %% exercise="train_order"
from studium_topics.albert.exercises import train_order

# %% [markdown] tags=["experiment"]
# ### One task, two kinds of negatives
#
# We train two encoders, both made of one layer that we use four times. Both use the same initial weights, the same
# stories and your loop. They differ in just one thing: to make a negative, we either swap the two sentences, or take
# the second from another story. Afterwards we ask them **both** questions, on new stories.

# %% tags=["experiment"]
lesson.predict("transfer", ..., "How often (0 to 1) will the encoder trained on NSP be right about order?")

# %% tags=["experiment"]
learned = experiment.orders(
    lesson.mine(albert), lesson.mine(sop_pairs), lesson.mine(train_order), profile=lesson.profile
)
show_table(
    ["trained on", "asked: next sentence", "asked: order"],
    [
        (name, *(f"{learned.accuracy[task][asked]:.3f}" for asked in ("next", "order")))
        for task, name in (("next", "next sentence"), ("order", "sentence order"))
    ],
)
lesson.found("transfer", learned.accuracy["next"]["order"])

# %% tags=["experiment"]
figures.learning(learned)

# %% [markdown] tags=["experiment"]
# **Each encoder learned what its negatives required.** With NSP it finds strangers nearly always, but in most runs it
# is not much better than a coin at order (seeds 0 to 4 at `laptop`: 0.49, 0.65, 0.57, 0.60, 0.77; in the last one, NSP
# itself was learned late, and only to 0.92). It could have learned more: a stranger's event can be from any hour, so
# order would tell it something about NSP too. But the topic already answers every question. Once the answer is right
# and certain, the loss has no gradient left that could teach it anything else.
#
# With SOP, the encoder learns the order, and it gets about seven of ten NSP questions right without knowing about
# topics. This is because a stranger's event is earlier in about half of the cases. To the encoder this looks like
# "swapped", which counts as "not next".
#
# Table 5 of the paper has the same two rows (accuracy in per cent on the two tasks):
#
# | trained with | MLM | NSP | SOP |
# |---|---|---|---|
# | neither | 54.9 | 52.4 | 53.3 |
# | NSP | 54.5 | 90.5 | 52.0 |
# | SOP | 54.0 | 78.9 | 86.5 |
#
# **Think about it.** A model could also use a shortcut to solve SOP. Which one would our stories offer if the first
# sentence of each began with the word "once"?
#
# <details><summary>Answer</summary>
#
# The place of "once" gives the order away, so the model does not need to know about events. The proof above only
# excludes rules that ignore which sentence a word is in.
# </details>

# %% [markdown]
# ## What does not reproduce at this size
#
# * **The scores of the paper.** GLUE 89.4, RACE 89.4 and SQuAD 2.0 F1 92.2 (its introduction) are for ALBERT-xxlarge,
#   trained on far more text.
# * **The speed.** We count operations. The paper's 1.7 comes from many machines that exchange gradients; on a single
#   machine, there is little to save.
# * **What $E$ costs.** Our bill shows what a narrow table saves, but we do not measure what it loses.
# * **The rows of table 4.** Our stack shares all or nothing. We do not measure which part of a layer suffers most.
# * **From order to topic.** In the paper, a model trained on SOP gets 78.9 % of NSP right. Our number depends on our
#   stories: strangers bring an event from any hour, and SOP does not train a model to recognise "not the next hour".
# * **Better downstream tasks.** Table 5 reports about one point on average. We measure what the tasks teach, but not
#   what you can use it for.
#
# ## Common misconceptions
#
# * *"19 times smaller is 19 times cheaper."* Storage and the optimiser's state are. Operations are not: you counted.
# * *"ALBERT shares the perceptron."* It shares whole layers, and factorises the tables as well.
# * *"A shared layer is averaged over the layers."* There is just one layer. Its gradient is the sum over its uses.
# * *"Factorising is a compression after training."* We train both factors from the start; there never was a $V \times
#   H$ table.
# * *"SOP is NSP with harder negatives."* It asks another question, and the topic cannot answer it at all.
#
# ## You can now
#
# * count an encoder's parameters to the digit, and tell which part a change will affect;
# * derive the table width below which it pays to factorise;
# * write a stack that shares layers, and take its gradient apart by use;
# * tell what falls with the number of parameters from what stays with the number of layers;
# * build pairs whose negatives teach what you want, and check what else could answer them.
#
# ## Open tasks
#
# * **Ten minutes.** In the bill, give ALBERT-xxlarge a set for each of its 12 layers. You should see more than two
#   billion parameters: this is the model that became affordable by sharing.
# * **An hour.** Add four layers in two groups to `experiment.STACKS`. Their loss should be between the shared stack and
#   the four separate layers, for twice the parameters of the shared stack.
# * **A day.** Share only the attention, then only the perceptron, and train both with three seeds. See whether you get
#   the order of table 4 at this size, and how far apart the seeds are.
#
# ## Further reading
#
# * [Universal Transformers, 1807.03819](https://arxiv.org/abs/1807.03819): the shared layer before ALBERT, where each
#   token chooses its number of steps.
# * [RoBERTa, 1907.11692](https://arxiv.org/abs/1907.11692): drops the pair task altogether, and trains longer.
# * [Deep Equilibrium Models, 1909.01377](https://arxiv.org/abs/1909.01377): a shared layer, repeated until it comes to
#   rest.
# * [ELECTRA, 2003.10555](https://arxiv.org/abs/2003.10555): saves compute where ALBERT saves parameters.
