# %% [markdown]
# # Decoder-only transformers (GPT, Llama)
#
# Let's draw seven letters at random and then start the sequence again: `plumskt plumskt`. The small model in the widget
# has never seen these letters in this order, yet from the ninth letter on it predicts each of them correctly. In this
# lesson you will train models like this. With two layers they get 99 % of the repeated half right. With one layer they
# get less than 20 %, even if you give that layer as many parameters as the two layers have. **Why can two layers copy
# when one cannot?**
#
# Each row is a letter that looks, and each column is a letter that it looks at. The second *u* looks at *m*, the
# letter that followed the first *u*. Now choose layer 0, head 1, and find out where its letters look.

# %% tags=["widget"]
from studium_topics.decoder_only import figures

figures.opening()

# %% [markdown]
# In this lesson you will
#
# 1. write the parts of a Llama, assemble them, and use your code to run a checkpoint in Llama's published format;
# 2. count its parameters and estimate what it costs to train;
# 3. find the bug in a loss that looks right, and train a Llama with a loop that you can see in full;
# 4. sample text using temperature, top-k and top-p;
# 5. train models that copy from their context, find the heads responsible, and test this by silencing them.
#
# **You need** attention with a mask, and where queries, keys and values come from. Both are in
# [encoder-only](encoder-only.ipynb). **Time:** 20 minutes of reading, 110 of coding, 2 of running.
#
# **History.** Until 2017, most language models were recurrent. They read one token after the other, so training could
# not work on all positions at once, and by the end of a text the state had largely forgotten distant tokens. The
# transformer replaced recurrence by attention. GPT used only its decoder and trained it to predict the next token. In
# 2020, [GPT-3](https://arxiv.org/abs/2005.14165) could use a made-up word in a sentence after a single example, without
# any change to its weights. [Llama](https://arxiv.org/abs/2302.13971) is the same decoder with three better parts:
# RMSNorm, a gated feed-forward network and rotary positions.
#
# | symbol | meaning |
# |---|---|
# | $w_t$ | the token at position $t$, one of $V$ |
# | $B$, $T$, $D$ | texts in a batch, tokens in a text, width of the stream |
# | $x$ | the stream, one vector of width $D$ for each token |
# | $z$ | here: the normalised copy of the stream that a part reads |
# | $L$, $H$, $F$ | layers, heads, width of the feed-forward network |
# | $q_t$, $k_s$, $v_s$, $a_{ts}$ | query, key, value, and the attention weight of query $t$ on key $s$ |
# | $N$, $\tau$ | number of parameters; temperature |

# %%
from studium import show_table
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
# An encoder reads a text from both sides. A decoder predicts each token from the tokens before it. If we apply the
# definition of conditional probability $T - 1$ times, we get, for *every* distribution over texts,
#
# $$p(w_1, \dots, w_T) = \prod_{t=1}^{T} p(w_t \mid w_1, \dots, w_{t-1}).$$
#
# So we lose nothing by predicting one token at a time. We don't need labels either: a text of $T$ tokens contains $T -
# 1$ predictions together with their answers.
#
# In return, we have to follow a rule: **position $t$ must not see position $t + 1$**. A <dfn>causal mask</dfn> removes
# from each position's attention everything that comes after it. Go back to the widget above and switch the mask to
# *Bidirectional*. The last row stays as it is, but the first row can now see the letter that it should predict.
#
# The diagram shows the whole machine. The <dfn>residual stream</dfn> of a transformer is one vector for each token, and
# every layer adds to it twice.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.decoder_only", "flow.svg")

# %% [markdown]
# ## A norm that only divides
#
# Every layer adds to the stream, so its vectors grow. This is why each part first brings its input to a standard size.
# BERT's LayerNorm subtracts the mean and divides by the standard deviation. [Zhang and
# Sennrich](https://arxiv.org/abs/1910.07467) wanted to know which of the two matters, and kept only the division (their
# equation 4):
#
# $$\operatorname{RMSNorm}(x)_i = \frac{x_i}{\sqrt{\frac{1}{D}\sum_{j=1}^{D} x_j^2 + \varepsilon}} \; g_i .$$
#
# It trains just as well and is cheaper. Watch out for a trap, though: the largest number in float16 is 65504, so
# $400^2$ is infinite there. (bfloat16 has the range of float32 and would only lose digits.)

# %% exercise="rmsnorm"
from studium_topics.decoder_only.exercises import rmsnorm

# %% [markdown]
# ## Causal attention
#
# The topic *encoder-only* derives queries, keys and values and the scale $\sqrt{D / H}$. In a decoder, we only change
# which keys a query can see. For one head,
#
# $$\operatorname{out}_t = \sum_{s \le t} a_{ts} v_s, \qquad
# a_{ts} = \frac{\exp(q_t \cdot k_s / \sqrt{D / H})}{\sum_{r \le t} \exp(q_t \cdot k_r / \sqrt{D / H})} .$$
#
# Neither formula depends on the order of the past: if you permute the tokens before $t$, you get the same sum. Llama
# therefore *rotates* each query and each key by angles that grow with its position. This makes $q_t \cdot k_s$ depend
# on the distance $t - s$. We give you a function for the rotation, and the topic *rope* derives it.

# %% exercise="causal_attention"
from studium_topics.decoder_only.exercises import causal_attention

# %% [markdown]
# **Think about it.** During training, a model reads a text of 1000 tokens. How many predictions does it make in one
# forward pass, and does it have to go through the text token by token?
#
# <details><summary>Answer</summary>
#
# It makes 1000 predictions, and 999 of these have an answer. It computes them all at once, because the mask stops each
# position from seeing what it should predict. Only *generating* goes token by token, because then the next token does
# not exist yet. The topic *kv-caching* makes this affordable.
# </details>
#
# ## The layer
#
# A layer has two parts, and both follow the pattern "norm, compute, add to the stream". The second part is a
# feed-forward network with a gate, called [SwiGLU](https://arxiv.org/abs/2002.05202). A <dfn>gate</dfn> is a projection
# that we send through $\operatorname{silu}(u) = u \cdot \sigma(u)$ and then multiply by a second projection. In this
# way it decides how much of the second one gets through.
#
# In BERT, we apply the norm to the stream itself, after each sum. In Llama, we apply it to a copy. After $L$ layers,
# the stream is then $x_0$ plus a sum of $2L$ contributions, so its derivative with respect to $x_0$ is the identity
# plus further terms. Gradients can reach the first layer without passing through all the norms, so we can train
# networks of eighty layers.

# %% exercise="llama_block"
from studium_topics.decoder_only.exercises import llama_block

# %% [markdown]
# ## A whole Llama
#
# Now you have all the parts. A <dfn>checkpoint</dfn> is a file that maps the names of a model's tensors to their
# values, and the names tell us where each tensor belongs. Published Llama checkpoints use the names below, where `n` is
# the number of the layer. (In some models, such as Llama 3, `k_proj` and `v_proj` are smaller: see the topic
# *mqa-gqa*.)
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
# In practice you would use `LlamaForCausalLM` from the transformers library. The next cell creates one with random
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
# Does your Llama follow the rule? Let's change one token at every place of a text, and see which logits move.

# %% tags=["experiment"]
kept = causality(lesson.mine(llama), profile=lesson.profile, seed=0)
print(f"largest change of a logit to the left of the changed token: {kept.left:.1e}")
print(f"smallest change at the token itself:                        {kept.right:.2f}")

# %% [markdown]
# ## How many parameters?
#
# "7B" is a rounded number. With the table above you can compute the exact one, without downloading anything.

# %% exercise="llama_parameters"
from studium_topics.decoder_only.exercises import llama_parameters

# %%
count = lesson.mine(llama_parameters)
known = {
    "Llama 2 7B": (32000, 4096, 32, 11008, 4096, False),
    "Llama 3 8B": (128256, 4096, 32, 14336, 1024, False),
    "Llama 3 70B": (128256, 8192, 80, 28672, 1024, False),
}
rows = []
for name, (vocabulary, width, layers, hidden, kv_width, tied) in known.items():
    parameters = count(vocabulary, width, layers, hidden, kv_width, tied)
    feed_forward = 3 * width * hidden * layers / parameters
    tables = 2 * vocabulary * width / parameters
    rows.append((name, parameters, f"{feed_forward:.0%}", f"{tables:.0%}"))
show_table(["", "parameters", "feed-forward", "embedding and head"], rows)
days = 6 * count(*known["Llama 2 7B"]) * 2e12 / (64 * 0.4 * 989e12) / 86400
print(f"Training Llama 2 7B on 2 trillion tokens: {days:.0f} days on 64 H100 SXM at 40 % of 989 TFLOP/s in bfloat16")

# %% [markdown]
# The last line uses a rule of thumb: training takes about **$6N$ operations for each token**.
#
# <details><summary>Derivation</summary>
#
# A matrix $W$ with $n$ entries turns the $y$ of one token into $Wy$, using $n$ multiplications and $n$ additions: $2n$
# operations. In the backward pass we need two products of the same size, one for the gradient of $y$ ($W^\top \bar y$)
# and one for the gradient of $W$ ($\bar y\, y^\top$): $4n$ more. If we add this up over all matrices, we get $6N$
# ([Kaplan et al. 2020](https://arxiv.org/abs/2001.08361), section 2.1). Attention also multiplies queries with keys and
# weights with values. In a text of $T$ tokens, this takes at most another $12 L D T$ operations for each token
# ([PaLM](https://arxiv.org/abs/2204.02311), appendix B). With the common $N \approx 12 L D^2$ this is a share $T / 6D$
# of $6N$, so it is small as long as $T$ is small compared with $6D$.
# </details>
#
# ## What the model is trained for
#
# To maximise the probability of a text, we minimise $-\log p$ of its tokens. By the product above this is a sum, and
# its mean is our loss: $\frac{1}{T-1}\sum_{t<T} -\log p(w_{t+1} \mid w_1, \dots, w_t)$. At position $t$ the model has
# read $w_1, \dots, w_t$ and predicts $w_{t+1}$, so logits and targets are **shifted by one**. Without the shift, the
# loss will fall to zero within minutes, because we are asking the model to repeat what it has just read. If the data
# loader shifts *and* the loss shifts, the model will learn to predict the token two places ahead.

# %% exercise="lm_loss"
from studium_topics.decoder_only.exercises import lm_loss

# %% [markdown]
# **Think about it.** If there are 32 tokens, what is the loss of an untrained model, about? And which loss would mean
# that a model has understood everything?
#
# <details><summary>Answer</summary>
#
# About $\ln 32 \approx 3.47$ nats, because it gives each token a probability near 1/32. (Check this for every new
# model: if the first loss is far from $\ln V$, you have a bug.) But no loss means that the model understands
# everything. The lowest possible loss is the entropy of text itself, which is above 0, and we don't know it. A
# <dfn>perplexity</dfn> is the exponential of the loss: a model with perplexity 7 is as unsure as if it had to choose
# among 7 equally likely tokens. A perplexity of 1 would mean that you know all texts beforehand.
# </details>

# %% [markdown] tags=["experiment"]
# ## Train it
#
# Here is a whole training run of your Llama on the help pages of Python, character by character. The learning rate
# rises to its peak and then falls to zero (one cycle), and we clip the gradients to length 1. We use no weight decay in
# such a short run, which takes about ten seconds.

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
# What should we compare the result with? A good baseline is a table that you can make in a second: how often does each
# character follow each other character? If a transformer does not clearly beat this table, it has not used its context.

# %% tags=["experiment"]
with torch.no_grad():
    held_out = float(loss_of(run(checkpoint, plan.held_out, plan.sizes.heads, rotate), plan.held_out))
read = Prose(held_out, bigram_loss(plan.seen, plan.held_out, plan.sizes.vocabulary))
print(f"held-out prose: table of pairs {read.bigram:.3f} nats per character, Llama {read.loss:.3f}")
print(f"perplexity of the Llama: {2.718281828**read.loss:.1f}")
figures.reading(losses, read)

# %% [markdown]
# ## Choosing the next token
#
# A model returns probabilities, and we *draw* a text from them. If we draw from all tokens, we sometimes get an absurd
# one: a thousand tokens with a probability of 0.0001 make 10 % together. If we always take the likeliest token, we end
# up in loops. There are three settings between these extremes:
#
# * the <dfn>temperature</dfn> $\tau$ divides the logits: below 1 it sharpens the distribution, and above 1 it flattens
#   it;
# * <dfn>top-k</dfn> keeps the k most probable tokens, whatever their probabilities are;
# * <dfn>top-p</dfn>, or nucleus sampling, keeps as many of the most probable tokens as we need to reach the probability
#   p: few where the model is sure, many where it is not.
#
# The decoder below has 181,000 parameters and was trained on eight thousand short tales. It runs on this page and
# writes one character at a time. **Set the temperature to 0**: it will tell its likeliest tale, and then the same tale
# again, word for word. Now raise the temperature until the words fall apart. Under the text you can see what the model
# considered for each character. It hesitates when a name or a place begins, and hardly ever inside a word.

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
# After ten seconds the model has words, line lengths and some vocabulary of Python's manual, but no idea what it is
# talking about. Near temperature 0 it runs in circles; at 1.6 the words fall apart.
#
# Below is a text that it wrote, character by character. Choose a character to see the distribution it was drawn from,
# and try the three settings. Where is the model sure, and where isn't it?

# %% tags=["experiment", "widget"]
written = write(reader, prompt, plan.length - len(prompt), torch.Generator().manual_seed(1), plan.length, top_p=0.9)
names = [{" ": "␣", "\n": "⏎"}.get(character, character) for character in plan.vocabulary.characters]
rows = reader(written[None])[0].detach()
TokenStrip(vocabulary=names, logits=rows, text=written[1:].tolist(), top_p=0.9)

# %% [markdown]
# **Think about it.** Why do we measure the nucleus after the temperature, and not before?
#
# <details><summary>Answer</summary>
#
# You can use either order, and they differ. If you measure it afterwards, p refers to the distribution that you really
# draw from, and you give up at most $1 - p$ of its mass. Most libraries do it this way, so a higher temperature also
# makes the nucleus wider.
# </details>

# %% [markdown] tags=["experiment"]
# ## Can it copy?
#
# Let's get back to the puzzle. If we want to see just copying, we need to take away everything that a model could know
# by heart. Our tokens are random, out of 32, and after 8 to 24 tokens **the sequence starts again**. We draw a new
# period for each text.

# %% tags=["experiment"]
for row in repeated(3, torch.Generator().manual_seed(1)):
    print(" ".join(f"{token:2}" for token in row.tolist()[:34]), "…")

# %% [markdown]
# In the second half we can know every token: find where the current token occurred before, and predict what followed
# it. An <dfn>induction head</dfn> is an attention head that looks at the token that followed the current token's last
# occurrence. [Olsson et al.](https://arxiv.org/abs/2209.11895) argue that these heads cause much of what we call
# in-context learning. To find such heads, we measure them.

# %% exercise="induction_score"
from studium_topics.decoder_only.exercises import induction_score

# %% [markdown] tags=["experiment"]
# In the next cell we use your `rmsnorm` and your `causal_attention` to build and train four models, without
# feed-forward networks. Their loss is your `lm_loss`, but it counts only the second half. One model has a single layer.
# The other three differ from it in just one thing each: the number of layers, which is two; the width, to give one
# layer as many parameters as the two; or the period, which is always 16. A random guess is right in 1 of 32 cases,
# which is 3 %. The cell takes about half a minute.

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
show_table(
    ["", "right in the second half"],
    [
        ("two layers", f"{found.two.accuracy:.1%}"),
        ("one layer", f"{found.one.accuracy:.1%}"),
        ("one layer, as many parameters as the two", f"{found.wide.accuracy:.1%}"),
        ("one layer, and the period is always 16", f"{found.fixed.accuracy:.1%}"),
    ],
)
figures.learning(found)

# %% tags=["experiment"]
lesson.found("one layer", 100 * found.one.accuracy, within=0.25)

# %% [markdown] tags=["experiment"]
# **One layer does not learn it, not even a wide one.** It gets to 18 to 19 % by giving more probability to tokens that
# have already occurred in this text. Two layers copy almost perfectly, and they get there in a *phase change*: for a
# while nothing happens, then the loss drops within a few dozen steps. (Laptop profile, seeds 0 to 5: two layers 99 %,
# one layer 18.1 to 18.9 %, one wide layer 18.7 to 19.3 %.)
#
# You saw the reason in the first widget. To find "the token after the last 17", a head has to look for a place by the
# token *before* it. But we compute a key from the stream at its own position, so we first need to bring the previous
# token there. Layer 0 does this: its heads look one step back and write "before me came a 17" into the stream. Now a
# head of layer 1 can ask for it. Two steps that depend on each other need two layers.
#
# The last row shows that the two layers really *search*. With a fixed period, one layer is enough, because "look 15 to
# the left" is just a distance, and rotated keys can express distances.
#
# Here is your model. It runs inside the widget, on a text that starts again after 20 letters. The three arrows show the
# copy: what the layer below wrote, where the chosen head looks, and what it takes from there. The small matrices are
# the heads of both layers, with their induction scores. Under *More*, you can change a letter in the first round and
# watch what the model copies in the second. Then **silence the heads of layer 1**, one after the other. When does the
# copying stop?

# %% tags=["experiment", "widget"]
GlassTransformer.of(found.two.model)

# %% tags=["experiment"]
rows = [(f"two layers, layer {layer}", row) for layer, row in enumerate(found.two.scores.tolist())]
rows.append(("one layer", found.one.scores[0].tolist()))
show_table(
    ["induction scores", *(f"head {head}" for head in range(4))],
    [(name, *(f"{score:.3f}" for score in row)) for name, row in rows],
)

# %% [markdown] tags=["experiment"]
# A score is a correlation. Is it also the cause? To find out, we silence heads and don't train again.

# %% tags=["experiment"]
silenced = {
    "none": [],
    "one head of layer 1": [(1, 0)],
    "two heads of layer 1": [(1, 0), (1, 1)],
    "three heads of layer 1": [(1, 0), (1, 1), (1, 2)],
    "all heads of layer 1": [(1, head) for head in range(4)],
    "one head of layer 0": [(0, 0)],
    "all heads of layer 0": [(0, head) for head in range(4)],
}
show_table(["silent", "right"], [(name, f"{without(found.two.model, heads):.1%}") for name, heads in silenced.items()])

# %% [markdown] tags=["experiment"]
# Without layer 1 the model is back at chance. Without layer 0 the heads of layer 1 are all there, but they don't find
# anything, because the previous tokens were never written into the stream.
#
# Two warnings, however. This model is so small, and its task so narrow, that *all* heads of layer 1 do the same job. In
# a large model some heads do it, while others do other things. And a bright square by itself does not explain much,
# because a head might look somewhere and make no use of what is there. The evidence comes from silencing.
#
# **Think about it.** Would a single layer with more heads copy?
#
# <details><summary>Answer</summary>
#
# No. The heads of a layer work side by side and cannot see what the others have written. We need a *second step*, not
# more of the first. (This is not a theorem about every model with one layer: if the positions contain enough
# information, one layer can do some copying.)
# </details>
#
# ## What does not reproduce at this size
#
# * **LLaMA's headline**, that 13 billion parameters, trained longer, beat the 175 billion of GPT-3, is about trillions
#   of tokens. Our models cannot tell us anything about it.
# * **In-context learning of tasks.** Copying is its simplest form. That the same heads explain the rest is the
#   *argument* of Olsson et al., and they give six kinds of evidence for it.
# * **The phase change** is sharp here because there is nothing else to learn in our data. In a real language model it
#   is a small bump in the loss, early in training.
#
# ## Common misconceptions
#
# * *"The model sees only the last token."* Each prediction uses all tokens so far, through the attention of each layer.
# * *"Attention weights are an explanation."* They tell you where a head looked, but not how it used what was there.
# * *"Training reads a text token by token."* We compute all positions at once. Only generating goes token by token.
# * *"Depth only means longer n-grams."* Depth means steps of computation. In our experiment, a wider layer did not make
#   up for the second step.
# * *"GPT and Llama are different architectures."* Both are pre-norm decoders. GPT-2 uses LayerNorm, GELU and a learned
#   table of positions where Llama uses RMSNorm, a gate and rotary positions.
#
# ## You can now
#
# * run a checkpoint in Llama's published format, using functions that you have written yourself;
# * compute the size of a Llama to the last parameter, and the cost of training it from $6N$ operations per token;
# * recognise a loss that is shifted twice, not at all, or averaged over padding;
# * train a decoder and sample from it using temperature, top-k and top-p;
# * find an induction head by its score, and silence it to show that it causes the copying.
#
# ## Open tasks
#
# * **Ten minutes.** Let your model write 600 characters with `top_k=1`. You should see the same few words again and
#   again. Why must every deterministic generator with a finite context end in a loop?
# * **An hour.** Tie the head: delete `lm_head.weight` from the fresh checkpoint and train again. You should see a first
#   loss above 40, where $\ln V$ is 4.7. Find out why, and how to change the fresh embedding to repair it.
# * **A day.** Train your `llama` on prose in which some windows repeat themselves, and plot the induction score of each
#   head against the training step. You should see the scores of some heads rise together within a short interval, as in
#   Olsson et al.
#
# ## Further reading
#
# * [Olsson et al. 2022](https://arxiv.org/abs/2209.11895): the six arguments for induction heads, and their limits.
# * [Touvron et al. 2023](https://arxiv.org/abs/2302.13971): LLaMA. You have now written its section 2.
# * [Brown et al. 2020](https://arxiv.org/abs/2005.14165): GPT-3; you will find the made-up words in section 3.9.5.
# * [Zhang and Sennrich 2019](https://arxiv.org/abs/1910.07467): RMSNorm, with the experiments without the mean.
# * The topics *rope* and *kv-caching* take apart the rotation and make generating fast.
