# %% [markdown]
# # Decoder-only transformers (GPT, Llama)
#
# Seven letters are drawn at random, then the sequence starts again: `plumskt plumskt`. The small model below has never
# seen these letters in this order, yet from the ninth letter on it predicts each one correctly. In this lesson you will
# train such models. With two layers they get 99 % of the repeated half right. With one layer they get less than 20 %,
# even if that layer is given as many parameters as the two layers have. **Why can two layers copy, when one cannot?**
#
# Each row below is a letter that looks, each column a letter that it looks at. The second *u* looks at *m*, the letter
# that followed the first *u*. Choose layer 0, head 1, and find out where its letters look.

# %% tags=["widget"]
from studium_topics.decoder_only import figures

figures.opening()

# %% [markdown]
# **You will be able to**
#
# 1. write the parts of a Llama, assemble them, and run any published Llama checkpoint of this form with your code;
# 2. count its parameters and estimate what its training costs;
# 3. find the bug in a loss that looks right, and train a Llama with a loop that you see whole;
# 4. sample text with temperature, top-k and top-p;
# 5. train models that copy from their context, find the heads responsible, and test that by silencing them.
#
# **You need** attention with a mask, and where queries, keys and values come from: the topic *encoder-only*.
# **Time:** 20 minutes of reading, 110 of coding, 2 of running.
#
# **How it came about.** Until 2017, language models were recurrent: they read one token after the other, so training
# could not work on all positions at once, and little of a distant token was left in the state. The transformer replaced
# recurrence by attention, and GPT kept its decoder alone and trained it to predict the next token; in 2020
# [GPT-3](https://arxiv.org/abs/2005.14165) used a made-up word in a sentence after a single example, without any change
# of its weights. [Llama](https://arxiv.org/abs/2302.13971) is this decoder with three better parts: RMSNorm, a gated
# feed-forward network and rotary positions.
#
# | symbol | meaning |
# |---|---|
# | $w_t$ | the token at position $t$, one of $V$ |
# | $B$, $T$, $D$ | texts in a batch, tokens in a text, width of the stream |
# | $x$, $z$ | the stream, one vector of width $D$ for each token; the normalised copy that a part reads |
# | $L$, $H$, $F$ | layers, heads, width of the feed-forward network |
# | $q_t$, $k_s$, $v_s$, $a_{ts}$ | query, key, value, and the attention weight of query $t$ on key $s$ |
# | $N$, $\tau$ | number of parameters; temperature |

# %%
import torch
from torch import nn

from studium_topics.decoder_only.experiment import Prose, bigram_loss, causality, induction, reading, repeated, without
from studium_topics.decoder_only.glass import GlassTransformer
from studium_topics.decoder_only.model import fresh_checkpoint
from studium_topics.decoder_only.rotary import rotate
from studium_topics.kits import text
from studium_topics.kits.writer import CharacterWriter
from studium_widgets import Diagram, TokenStrip

# %% [markdown]
# ## One direction
#
# An encoder reads a text from both sides. A decoder predicts each token from those before it. Applying the definition
# of conditional probability $T - 1$ times gives, for *every* distribution over texts,
#
# $$p(w_1, \dots, w_T) = \prod_{t=1}^{T} p(w_t \mid w_1, \dots, w_{t-1}).$$
#
# So nothing is lost by predicting one token at a time. And no labels are needed: a text of $T$ tokens holds $T - 1$
# predictions together with their answers.
#
# The price is one rule: **position $t$ must not see position $t + 1$**. A <dfn>causal mask</dfn> removes from each
# position's attention everything that comes after it. Go back to the widget above and switch the mask to
# *Bidirectional*: the last row stays as it is, whereas the first row now sees the letter that it is meant to predict.
#
# The diagram shows the whole machine. The <dfn>residual stream</dfn> of a transformer is one vector for each token, to
# which every layer adds twice.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.decoder_only", "flow.svg")

# %% [markdown]
# ## A norm that only divides
#
# Because every layer adds to the stream, its vectors grow, so each part first brings its input to a standard size.
# BERT's LayerNorm subtracts the mean and divides by the standard deviation.
# [Zhang and Sennrich](https://arxiv.org/abs/1910.07467) asked which of the two matters, and kept the division (their
# equation 4):
#
# $$\operatorname{RMSNorm}(x)_i = \frac{x_i}{\sqrt{\frac{1}{D}\sum_{j=1}^{D} x_j^2 + \varepsilon}} \; g_i .$$
#
# It trains as well and is cheaper. There is one trap: the largest number in float16 is 65504, so $400^2$ is infinite
# there. (bfloat16 has the range of float32 and would only lose digits.)

# %% exercise="rmsnorm"
from studium_topics.decoder_only.exercises import rmsnorm

# %% [markdown]
# ## Causal attention
#
# The topic *encoder-only* derives queries, keys and values and the scale $\sqrt{D / H}$. A decoder changes which keys a
# query may see. For one head,
#
# $$\operatorname{out}_t = \sum_{s \le t} a_{ts} v_s, \qquad
# a_{ts} = \frac{\exp(q_t \cdot k_s / \sqrt{D / H})}{\sum_{r \le t} \exp(q_t \cdot k_r / \sqrt{D / H})} .$$
#
# Neither formula depends on the order of the past: permute the tokens before $t$, and the sum is the same. Llama
# therefore *rotates* each query and each key by angles that grow with its position, so that $q_t \cdot k_s$ depends on
# the distance $t - s$. The rotation is a function that you are given; the topic *rope* derives it.

# %% exercise="causal_attention"
from studium_topics.decoder_only.exercises import causal_attention

# %% [markdown]
# **Think about it.** A text of 1000 tokens is read in training. How many predictions does one forward pass make, and
# does the model have to read token by token?
#
# <details><summary>Answer</summary>
#
# 1000 predictions, of which 999 have an answer, all computed at once, because the mask keeps each position from seeing
# what it predicts. Only *generating* goes token by token, since there the next token does not exist yet. The topic
# *kv-caching* makes that affordable.
# </details>
#
# ## The layer
#
# A layer has two parts, each of the form "norm, compute, add to the stream". The second is a feed-forward network with
# a gate, called [SwiGLU](https://arxiv.org/abs/2002.05202). A <dfn>gate</dfn> is a projection that is sent through
# $\operatorname{silu}(u) = u \cdot \sigma(u)$ and then multiplied by a second projection, so that it decides how much
# of the second one passes.
#
# In BERT the norm is applied to the stream itself, after each sum. In Llama it is applied to a copy. After $L$ layers
# the stream is then $x_0$ plus a sum of $2L$ contributions, so its derivative with respect to $x_0$ is the identity
# plus further terms. Gradients reach the first layer without passing through every norm, which is why networks of
# eighty layers can be trained.

# %% exercise="llama_block"
from studium_topics.decoder_only.exercises import llama_block

# %% [markdown]
# ## A whole Llama
#
# You have all the parts. A <dfn>checkpoint</dfn> is a file that maps the names of a model's tensors to their values,
# and the names say where each tensor belongs. Published Llama checkpoints use these, with `n` the number of the layer:
#
# | name in the checkpoint | shape | name in `llama_block` |
# |---|---|---|
# | `model.embed_tokens.weight` | (V, D) | |
# | `model.layers.n.self_attn.q_proj.weight`, and `k_proj`, `v_proj`, `o_proj` | (D, D) | `q`, `k`, `v`, `o` |
# | `model.layers.n.mlp.gate_proj.weight`, and `up_proj` | (F, D) | `gate`, `up` |
# | `model.layers.n.mlp.down_proj.weight` | (D, F) | `down` |
# | `model.layers.n.input_layernorm.weight` | (D,) | `attention_norm` |
# | `model.layers.n.post_attention_layernorm.weight` | (D,) | `mlp_norm` |
# | `model.norm.weight` | (D,) | |
# | `lm_head.weight`, unless the embedding is the head | (V, D) | |

# %% exercise="llama"
from studium_topics.decoder_only.exercises import llama

# %% [markdown] tags=["experiment"]
# In practice this model is `LlamaForCausalLM` of the library transformers. The next cell creates one with random
# weights and gives its checkpoint to your function.

# %% tags=["experiment", "bridge"]
try:
    from transformers import LlamaConfig, LlamaForCausalLM
except ImportError:
    print("transformers is not installed here, so there is nothing to compare with; the lesson goes on without it")
else:
    shape = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 3, "intermediate_size": 40}
    library = LlamaForCausalLM(LlamaConfig(**shape, num_attention_heads=4, num_key_value_heads=4, rms_norm_eps=1e-5))
    ids = torch.arange(18).view(2, 9)
    with torch.no_grad():
        theirs, mine = library(ids).logits, lesson.mine(llama)(library.state_dict(), ids, 4, rotate, 1e-5)
    print(f"transformers.LlamaForCausalLM, same weights: logits differ by at most {(theirs - mine).abs().max():.1e}")

# %% [markdown] tags=["experiment"]
# Does your Llama keep the rule? Change one token at every place of a text, and see which logits move.

# %% tags=["experiment"]
kept = causality(lesson.mine(llama), profile=lesson.profile, seed=0)
print(f"largest change of a logit to the left of the changed token: {kept.left:.1e}")
print(f"smallest change at the token itself:                        {kept.right:.2f}")

# %% [markdown]
# ## How many parameters?
#
# "7B" is a rounded number. The table above lets you compute it exactly, without downloading anything.

# %% exercise="llama_parameters"
from studium_topics.decoder_only.exercises import llama_parameters

# %%
count = lesson.mine(llama_parameters)
known = {
    "Llama 2 7B": (32000, 4096, 32, 11008, 4096, False),
    "Llama 3 8B": (128256, 4096, 32, 14336, 1024, False),
    "Llama 3 70B": (128256, 8192, 80, 28672, 1024, False),
}
for name, (vocabulary, width, layers, hidden, kv_width, tied) in known.items():
    parameters = count(vocabulary, width, layers, hidden, kv_width, tied)
    feed_forward = 3 * width * hidden * layers / parameters
    tables = 2 * vocabulary * width / parameters
    print(f"{name:12} {parameters:>15,} parameters: {feed_forward:.0%} feed-forward, {tables:.0%} embedding and head")
days = 6 * count(*known["Llama 2 7B"]) * 2e12 / (64 * 0.4 * 989e12) / 86400
print(f"Training Llama 2 7B on 2 trillion tokens: {days:.0f} days on 64 H100 SXM at 40 % of 989 TFLOP/s in bfloat16")

# %% [markdown]
# The last line uses a rule of thumb: training takes about **$6N$ operations for each token**.
#
# <details><summary>Derivation</summary>
#
# A matrix $W$ with $n$ entries turns one token's $y$ into $Wy$ with $n$ multiplications and $n$ additions: $2n$
# operations. The backward pass needs two products of the same size, one for the gradient of $y$ ($W^\top \bar y$) and
# one for that of $W$ ($\bar y\, y^\top$): $4n$ more. Summed over all matrices this is $6N$
# ([Kaplan et al. 2020](https://arxiv.org/abs/2001.08361), section 2.1). Attention also multiplies queries with keys
# and weights with values, which takes at most $12 L D T$ operations more for each token of a text of $T$ tokens
# ([PaLM](https://arxiv.org/abs/2204.02311), appendix B). With the common $N \approx 12 L D^2$ that is a share
# $T / 6D$ of $6N$, so it is small as long as $T$ is small compared with $6D$.
# </details>
#
# ## What the model is trained for
#
# Maximising the probability of a text means minimising $-\log p$ of its tokens. By the product above this is a sum, and
# its mean is the loss: $\frac{1}{T-1}\sum_{t<T} -\log p(w_{t+1} \mid w_1, \dots, w_t)$. At position $t$ the model has
# read $w_1, \dots, w_t$ and predicts $w_{t+1}$, so logits and targets are **shifted by one**. Without the shift the
# loss falls to zero within minutes, because the model is asked to repeat what it has just read. If the data loader
# shifts *and* the loss shifts, the model learns to predict the token two places ahead.

# %% exercise="lm_loss"
from studium_topics.decoder_only.exercises import lm_loss

# %% [markdown]
# **Think about it.** What is the loss of an untrained model with 32 tokens, about? And which loss would mean that a
# model has understood everything?
#
# <details><summary>Answer</summary>
#
# About $\ln 32 \approx 3.47$ nats, because it gives each token a probability near 1/32. (Check this on every new model:
# a first loss far from $\ln V$ is a bug.) There is no loss that means that everything is understood: the lowest
# possible loss is the entropy of text itself, which is above 0 and unknown. A <dfn>perplexity</dfn> is the exponential
# of the loss: a model with perplexity 7 is as unsure as if it chose among 7 equally likely tokens. A perplexity of 1
# would mean that all texts are known beforehand.
# </details>

# %% [markdown] tags=["experiment"]
# ## Train it
#
# Here is a whole training run of your Llama on the help pages of Python, character by character. The learning rate
# rises to its peak and falls to zero (one cycle), and gradients are clipped to length 1. It takes about ten seconds.

# %% tags=["experiment"]
plan = reading(lesson.profile)
run, loss_of = lesson.mine(llama), lesson.mine(lm_loss)
checkpoint = fresh_checkpoint(plan.sizes, seed=0, device=lesson.profile.device)
optimizer = torch.optim.AdamW(checkpoint.values(), lr=plan.rate, weight_decay=0.0)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, total_steps=plan.steps)
generator, losses = torch.Generator().manual_seed(0), []
for _ in range(plan.steps):
    ids = text.windows(plan.seen, plan.batch, plan.length + 1, generator)  # (B, T)
    loss = loss_of(run(checkpoint, ids, plan.sizes.heads, rotate), ids)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(checkpoint.values(), 1.0)
    optimizer.step()
    schedule.step()
    losses.append(loss.item())

# %% [markdown] tags=["experiment"]
# What should the result be compared with? A good baseline is a table that takes a second to make: how often each
# character follows each other one. A transformer that does not clearly beat this table has made no use of its context.

# %% tags=["experiment"]
with torch.no_grad():
    held_out = float(loss_of(run(checkpoint, plan.held_out, plan.sizes.heads, rotate), plan.held_out))
read = Prose(held_out, bigram_loss(plan.seen, plan.held_out, plan.sizes.vocabulary))
print(f"held-out prose: table of pairs {read.bigram:.3f} nats a character, Llama {read.loss:.3f}")
print(f"perplexity of the Llama: {2.718281828**read.loss:.1f}")
figures.reading(losses, read)

# %% [markdown]
# ## Choosing the next token
#
# A model returns probabilities, and a text is *drawn* from them. Drawing from all tokens sometimes picks an absurd one:
# a thousand tokens of probability 0.0001 have 10 % together. Always taking the likeliest token ends in loops. Three
# settings lie between these extremes:
#
# * the <dfn>temperature</dfn> $\tau$ divides the logits: below 1 it sharpens the distribution, above 1 it flattens it;
# * <dfn>top-k</dfn> keeps the k most probable tokens, whatever their probabilities;
# * <dfn>top-p</dfn>, or nucleus sampling, keeps as many of the most probable tokens as are needed to reach the
#   probability p: few where the model is sure, many where it is not.
#
# The decoder below has 181,000 parameters and has read eight thousand short tales. It runs in this page and writes one
# character at a time. **Set the temperature to 0**: it tells its likeliest tale, and then the same tale again, word for
# word. Then raise the temperature until the words fall apart. Under the text you see what the model considered for each
# character: it hesitates where a name or a place begins, and hardly ever inside a word.

# %% tags=["widget"]
CharacterWriter.trained(seed=4)

# %% exercise="filter_logits"
from studium_topics.decoder_only.exercises import filter_logits

# %% exercise="generate"
from studium_topics.decoder_only.exercises import generate

# %% tags=["experiment"]
write = lesson.mine(generate)
prompt = plan.vocabulary.encode("The statement ")


def reader(ids: torch.Tensor) -> torch.Tensor:
    """Return the logits of the model that you have just trained."""
    return run(checkpoint, ids.to(lesson.profile.device), plan.sizes.heads, rotate).cpu()


for options in ({"temperature": 0.01}, {"temperature": 0.7}, {"top_p": 0.9}, {"temperature": 1.6}):
    written = write(reader, prompt, 120, torch.Generator().manual_seed(0), plan.length, **options)
    print(f"{options}\n    {plan.vocabulary.decode(written)!r}\n")

# %% [markdown] tags=["experiment"]
# After ten seconds the model has words, line lengths and some vocabulary of Python's manual, but no idea what it says.
# Near temperature 0 it runs in circles; at 1.6 the words fall apart.
#
# Below is a text that it has written, character by character. Choose a character to see the distribution from which it
# was drawn, and move the three settings. Where is the model sure, and where is it not?

# %% tags=["experiment", "widget"]
written = write(reader, prompt, plan.length - len(prompt), torch.Generator().manual_seed(1), plan.length, top_p=0.9)
names = [{" ": "␣", "\n": "⏎"}.get(character, character) for character in plan.vocabulary.characters]
rows = reader(written[None])[0].detach()
TokenStrip(vocabulary=names, logits=rows, text=written[1:].tolist(), top_p=0.9)

# %% [markdown]
# **Think about it.** Why is the nucleus measured after the temperature, and not before?
#
# <details><summary>Answer</summary>
#
# Either order is possible, and they differ. Measured after it, p refers to the distribution that is really drawn from:
# at most $1 - p$ of its mass is given up. Most libraries do it this way, so a higher temperature also widens the
# nucleus.
# </details>

# %% [markdown] tags=["experiment"]
# ## Can it copy?
#
# Back to the puzzle. To see copying alone, take away everything that a model could know by heart: the tokens are
# random, out of 32, and after 8 to 24 of them **the sequence starts again**. The period is drawn anew for each text.

# %% tags=["experiment"]
for row in repeated(3, torch.Generator().manual_seed(1)):
    print(" ".join(f"{token:2}" for token in row.tolist()[:34]), "…")

# %% [markdown]
# In the second half every token can be known: find where the current token occurred before, and predict what followed
# it. An <dfn>induction head</dfn> is an attention head that looks at the token that followed the current token's last
# occurrence. [Olsson et al.](https://arxiv.org/abs/2209.11895) argue that such heads cause much of what is called
# in-context learning. To find them, measure them.

# %% exercise="induction_score"
from studium_topics.decoder_only.exercises import induction_score

# %% [markdown] tags=["experiment"]
# The next cell trains four models of your `rmsnorm` and your `causal_attention`, without feed-forward networks. Their
# loss, your `lm_loss`, counts the second half only. One model has a single layer. Each of the other three differs from
# it in one thing: the number of layers, which is two; the width, so that one layer has as many parameters as the two;
# or the period, which is always 16. A random guess is right in 1 of 32 cases, or 3 %. The cell takes about half a
# minute.

# %% tags=["experiment"]
lesson.predict("one layer", ..., "What percentage of the second half does the model with one layer predict correctly?")

# %% tags=["experiment"]
found = induction(
    lesson.mine(rmsnorm),
    lesson.mine(causal_attention),
    lesson.mine(lm_loss),
    lesson.mine(induction_score),
    profile=lesson.profile,
    seed=0,
)
print(f"two layers:                                 {found.two.accuracy:6.1%} of the second half right")
print(f"one layer:                                  {found.one.accuracy:6.1%}")
print(f"one layer, as many parameters as the two:   {found.wide.accuracy:6.1%}")
print(f"one layer, and the period is always 16:     {found.fixed.accuracy:6.1%}")
figures.learning(found)

# %% tags=["experiment"]
lesson.found("one layer", 100 * found.one.accuracy, within=0.25)

# %% [markdown] tags=["experiment"]
# **One layer does not learn it, not even a wide one.** It reaches 18 to 19 % by giving more probability to tokens that
# have occurred in this text. Two layers copy almost perfectly, and they get there in a *phase change*: for a while
# nothing happens, then the loss drops within a few dozen steps. (Laptop profile, seeds 0 to 5: two layers 99 %, one
# layer 18.1 to 18.9 %, one wide layer 18.7 to 19.3 %.)
#
# The reason is in the first widget. To find "the token after the last 17", a head has to look for a place by the token
# *before* it. But a key is computed from the stream at its own position. The previous token must be brought there
# first, and that is what layer 0 does: its heads look one step back and write "before me came a 17" into the stream.
# Then a head of layer 1 can ask for it. Two steps that depend on each other need two layers.
#
# The last row shows that the two layers really *search*. With a fixed period, one layer is enough, because "look 15
# to the left" is a matter of distance, and rotated keys know distances.
#
# Here is your model. It runs inside the widget, on a text that starts again after 20 letters. The three arrows are the
# copy: what the layer below has written, where the chosen head looks, and what it takes from there. The small matrices
# are all heads of both layers with their induction scores. Under *More*, change a letter in the first round and watch
# what is copied in the second. Then **silence heads of layer 1**, one after the other. When does the copying stop?

# %% tags=["experiment", "widget"]
GlassTransformer.of(found.two.model)

# %% tags=["experiment"]
print("induction scores      head 0   head 1   head 2   head 3")
for layer, row in enumerate(found.two.scores.tolist()):
    print(f"two layers, layer {layer}  " + "   ".join(f"{score:6.3f}" for score in row))
print("one layer            " + "   ".join(f"{score:6.3f}" for score in found.one.scores[0].tolist()))

# %% [markdown] tags=["experiment"]
# A score is a correlation. Is it also the cause? Silence heads without training again.

# %% tags=["experiment"]
for name, heads in (
    ("none", []),
    ("one head of layer 1", [(1, 0)]),
    ("two heads of layer 1", [(1, 0), (1, 1)]),
    ("three heads of layer 1", [(1, 0), (1, 1), (1, 2)]),
    ("all heads of layer 1", [(1, head) for head in range(4)]),
    ("one head of layer 0", [(0, 0)]),
    ("all heads of layer 0", [(0, head) for head in range(4)]),
):
    print(f"silent: {name:24} {without(found.two.model, heads):6.1%} right")

# %% [markdown] tags=["experiment"]
# Without layer 1 the model is back at chance. Without layer 0 the heads of layer 1 are all there and find nothing,
# because the previous tokens were never written into the stream.
#
# Two warnings. This model is so small, and its task so narrow, that *all* heads of layer 1 do the same job; in a large
# model some do, and others do other things. And a bright square alone explains little, because a head may look
# somewhere and make no use of what it sees. The silencing is the evidence.
#
# **Think about it.** Would a single layer with more heads copy?
#
# <details><summary>Answer</summary>
#
# No. The heads of one layer work side by side, and none sees what another has written. A *second step* is missing, not
# more of the first. (This is no theorem about every model of one layer: with positions that contain enough information,
# one layer can do some copying.)
# </details>
#
# ## What does not reproduce at this size
#
# * **LLaMA's headline**, that 13 billion parameters, trained longer, beat the 175 billion of GPT-3, is about trillions
#   of tokens. Nothing here says anything about it.
# * **In-context learning of tasks.** Copying is its simplest form. That the same heads explain the rest is the
#   *argument* of Olsson et al., for which they give six kinds of evidence.
# * **The phase change** is sharp here because the data hold nothing else to learn. In a real language model it is a
#   small bump in the loss, early in training.
#
# ## Common misconceptions
#
# * *"The model sees only the last token."* Each prediction sees all tokens so far, through the attention of each layer.
# * *"Attention weights are an explanation."* They say where a head looked, not what it did with what it saw.
# * *"Training reads a text token by token."* All positions are computed at once. Generating goes token by token.
# * *"Depth only means longer n-grams."* Depth is steps of computation: two steps do what no width of one step does.
# * *"GPT and Llama are different architectures."* Both are pre-norm decoders. GPT-2 has LayerNorm, GELU and a learned
#   table of positions where Llama has RMSNorm, a gate and rotary positions.
#
# ## You can now
#
# * run a published Llama checkpoint with functions that you have written yourself;
# * compute the size of a Llama to the last parameter, and the cost of its training from $6N$ operations a token;
# * recognise a loss that is shifted twice, not at all, or averaged over padding;
# * train a decoder and sample from it with temperature, top-k and top-p;
# * find an induction head by its score, and show by silencing it that it causes the copying.
#
# ## Open tasks
#
# * **Ten minutes.** Let your model write 600 characters with `top_k=1`. You should see the same few words again and
#   again. Why must every deterministic generator with a finite context end in a loop?
# * **An hour.** Tie the head: delete `lm_head.weight` from the fresh checkpoint and train again. You should see a first
#   loss above 40, where $\ln V$ is 4.7. Find out why, and which change to the fresh embedding repairs it.
# * **A day.** Train your `llama` on prose in which some windows repeat themselves, and plot the induction score of each
#   head against the training step. You should see the scores of some heads rise together within a short interval, as in
#   Olsson et al.
#
# ## Further reading
#
# * [Olsson et al. 2022](https://arxiv.org/abs/2209.11895): the six arguments for induction heads, and their limits.
# * [Touvron et al. 2023](https://arxiv.org/abs/2302.13971): LLaMA, whose section 2 you have now written.
# * [Brown et al. 2020](https://arxiv.org/abs/2005.14165): GPT-3; section 3.9.5 has the made-up words.
# * [Zhang and Sennrich 2019](https://arxiv.org/abs/1910.07467): RMSNorm, with the experiments without the mean.
# * The topics *rope* and *kv-caching* take apart the rotation and make generating fast.
