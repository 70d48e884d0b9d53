# %% [markdown]
# # Encoder-only transformers (BERT)
#
# > ▢ small dogs sleep.
#
# Which word is missing, *this* or *these*? The answer is to the right of the gap: you read on, came to *dogs*, and
# looked back. A model that reads from left to right cannot look back. When it reaches ▢ it hasn't read anything yet. It
# will be right half of the time, and **no amount of training can make it better than a coin**.
#
# A model that reads both sides has the opposite problem: its input contains the answer. How can it learn to predict a
# word that it can see?
#
# <dfn>Attention</dfn> is the step in which each word takes a weighted average over the words that it looks at. In the
# widget, each row is a word that looks (the *query*), each column is a word that is looked at (the *key*), and the
# weights in a row add up to 1. We set these weights by hand. (Every BERT text begins with the special token `[CLS]`.)
# Hide the determiner, then the verb, and compare the bars with and without a causal mask, which stops words from
# looking to the right.

# %% tags=["widget"]
from studium_topics.encoder_only import figures

figures.opening()

# %% [markdown]
# In this lesson you will
#
# 1. **derive** why a word needs a query, a key and a value, and write attention with a mask;
# 2. **build** BERT's embeddings and its layer, and compare them with the library's;
# 3. **train** your own BERT, using your noise, your loss and your loop;
# 4. **compute** the best loss that any model can reach, and check whether yours gets there;
# 5. **measure** what we gain by reading both sides, and what it costs.
#
# **You need** PyTorch tensors, matrix products and gradient descent. **Time:** 20 minutes of reading, 115 of coding, 2
# of running.
#
# **History.** Until 2018, language models read from left to right
# ([GPT](https://openai.com/index/language-unsupervised/)), or two models read in opposite directions and only their
# results were joined ([ELMo](https://arxiv.org/abs/1802.05365)). Neither could use both sides of a word inside one
# layer, although we need this for tasks such as finding the answer to a question in a text.
# [BERT](https://arxiv.org/abs/1810.04805) (Devlin et al. 2018) lets all words see each other in every layer, and learns
# by filling in hidden words.

# %%
from studium import show_table
import torch

from studium_topics.encoder_only import experiment
from studium_topics.encoder_only.library import bert_model
from studium_topics.encoder_only.model import Encoder
from studium_topics.kits import grammar
from studium_widgets import AttentionHeatmap, Diagram, figure
from studium_widgets.plots import COLOURS

# %% [markdown]
# ## One bit, written three times
#
# The language in this lesson is so small that we can compute everything about it. A clause is *determiner, adjective,
# noun, verb, full stop*. For each clause, a fair coin decides between singular and plural, and then the determiner, the
# noun and the verb agree:
#
# * *this small dog sleeps .*
# * *these small dogs sleep .*
#
# So the grammatical number of a clause is **one bit**, written three times. The verb can find it on its left, in the
# noun. The determiner comes first, so it can find the bit only on its right.
#
# | symbol | meaning |
# |---|---|
# | $B, T, D$ | sentences in a batch, tokens in a sentence, width of a token's vector |
# | $H, d$ | heads, and the width of one head, $d = D/H$ |
# | $F, V$ | width inside the perceptron, words in the vocabulary |
# | $x_i$ | the vector of position $i$ |
# | $q_i, k_j, v_j$ | query of position $i$; key and value of position $j$ |
# | $s_{ij}, m_{ij}, a_{ij}$ | here: score, mask and weight with which position $i$ looks at position $j$ |
# | $w_i$ | the word at position $i$ |
#
# ## Why three projections?
#
# We want position $i$ to collect information from the positions that matter to it. The simplest attempt is to score
# each pair of words by the dot product of their vectors, $s_{ij} = x_i \cdot x_j$. This score fails in two ways.
#
# * **It is symmetric**: $s_{ij} = s_{ji}$. But *these* needs *dogs*, while *dogs* can do without *these*.
# * **Every word finds itself.** If all vectors have the same length, $x_i \cdot x_j \le x_i \cdot x_i$
#   (Cauchy–Schwarz), so the best match for a determiner is a determiner. But it is looking for a noun.
#
# So let the score be any bilinear form, $s_{ij} = x_i^\top A\, x_j$. Entry $A_{ab}$ tells us how much feature $a$ of
# the word that looks wants feature $b$ of the word that is looked at, and $A$ need not be symmetric. Now restrict $A$
# to rank $d$. We can then write it as a product $A = W_Q^\top W_K$ of two matrices of shape $d \times D$:
#
# $$ s_{ij} = x_i^\top W_Q^\top W_K\, x_j = (W_Q\, x_i) \cdot (W_K\, x_j) = q_i \cdot k_j. $$
#
# This takes $2dD$ parameters instead of $D^2$, and it gives the two factors a meaning. The <dfn>query</dfn> $q_i = W_Q
# x_i$ describes what position $i$ is looking for, and the <dfn>key</dfn> $k_j = W_K x_j$ describes how to find position
# $j$.
#
# What position $j$ hands over is a third thing. We find *dogs* because it is a noun, but what *these* wants to know is
# that it is plural. So position $j$ hands over a <dfn>value</dfn> $v_j = W_V x_j$, which is a separate projection. (In
# BERT, each of the three also has a bias.)

# %% tags=["diagram"]
Diagram.from_package("studium_topics.encoder_only", "qkv.svg")

# %% [markdown]
# ## Attention, with a mask
#
# The weights should be positive and add up to 1, and a position that we must not see should get no weight. A
# <dfn>mask</dfn> is 1 where position $i$ may look at position $j$ and 0 where it may not. With a softmax over the
# allowed positions, we get
#
# $$ y_i = \sum_j a_{ij}\, v_j, \qquad
#    a_{ij} = \frac{m_{ij}\, e^{s_{ij}}}{\sum_{l} m_{il}\, e^{s_{il}}}, \qquad
#    s_{ij} = \frac{q_i \cdot k_j}{\sqrt d}. $$
#
# Why $\sqrt d$? Suppose that the components of $q_i$ and $k_j$ are independent, with mean 0 and variance 1. Each of the
# $d$ products then has mean 0 and variance 1, so their sum has variance $d$. If we divide by $\sqrt d$, the variance is
# 1 again, and the softmax starts neither flat nor saturated, whatever the width.
#
# In code, we set blocked scores to $-\infty$ before the softmax, and $e^{-\infty}$ is exactly 0 in every number format.
# All lessons do this. (Elsewhere you will also see $-10^9$, which float16 can't store, or the lowest number of the
# format.) If a position may look at no key, the softmax is 0/0, so we then set the weights of blocked keys to 0.

# %% exercise="attention"
from studium_topics.encoder_only.exercises import attention

# %% [markdown]
# Are three projections enough to do what you saw in the widget? Here they are for one head, written by hand. The vector
# of a word has five features, for determiner, adjective, noun, verb, and plural.

# %%
features = torch.tensor(
    [
        [0, 0, 0, 0, 0],  # [CLS]
        [1, 0, 0, 0, 0],  # a determiner whose number is hidden
        [0, 1, 0, 0, 0],  # small
        [0, 0, 1, 0, 1],  # dogs: a noun, plural
        [0, 0, 0, 1, 1],  # sleep: a verb, plural
        [0, 0, 0, 0, 0],  # .
    ]
).float()
w_q = 2**0.5 * torch.tensor([[3.5, 2.0, 0.0, 3.5, 0.0], [0.0, 0.0, 1.5, 0.0, 0.0]])  # seeks a noun; seeks a verb
w_k = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0]])  # is a noun; is a verb
w_v = torch.tensor([[0.0, 0.0, 0.0, 0.0, 1.0]])  # hands over: plural
query, key, value = features @ w_q.T, features @ w_k.T, features @ w_v.T
print("same scores as in the widget:", torch.allclose(query @ key.T / 2**0.5, figures.set_by_hand()))
everyone = torch.ones(6, 6, dtype=torch.bool)
for name, mask in (("both sides", everyone), ("left to right", everyone.tril())):
    plural = lesson.mine(attention)(query, key, value, mask)[1, 0]
    print(f"{name}: the hidden determiner has read “plural” with weight {plural:.2f}")

# %% [markdown]
# ## Sentences differ in length
#
# A batch is a rectangle, but sentences are not, so we fill up the short ones with `[PAD]`. Real words must not read
# this filler. If a `[PAD]` *looks* (a row), it does no harm, because we never use its output. If it is *looked at* (a
# column), it changes real words. So the mask belongs to the keys.

# %% exercise="pad_mask"
from studium_topics.encoder_only.exercises import pad_mask

# %% [markdown]
# **Think about it.** If a sentence is made up entirely of `[PAD]`, every key is blocked. With scores of $-\infty$, what
# would its weights be, and what damage would they do?
#
# <details><summary>Answer</summary>
#
# The weights would be 0/0, which is `nan`. We don't use this sentence's output, but a single `nan` turns the mean loss
# of the batch into `nan`, then all gradients, then all parameters. This is why your `attention` gives such rows zeros.
# </details>
#
# ## From tokens to vectors
#
# Attention treats a sentence as a *set*: if you permute the words, they all keep their results. So we need to write the
# order into the vectors. BERT adds a row from each of three learned tables: $E$ for the word, $P$ for the position, and
# $S$ for the segment. The <dfn>segment</dfn> $g_i \in \{0, 1\}$ tells whether a token belongs to the first or the
# second of two sentences.
#
# $$ x_i = \mathrm{LN}\!\left( E_{w_i} + P_i + S_{g_i} \right), \qquad
#    \mathrm{LN}(z) = \gamma \odot \frac{z - \bar z}{\sqrt{\tfrac1D \sum_c (z_c - \bar z)^2 + \varepsilon}} + \beta $$
#
# (section 3 and figure 2 of the paper). Here $\bar z$ is the mean of the $D$ components, and $\gamma, \beta \in
# \mathbb{R}^D$ are learned. The small $\varepsilon$ prevents a division by zero; in BERT it is $10^{-12}$.

# %% exercise="bert_embed"
from studium_topics.encoder_only.exercises import bert_embed

# %% [markdown]
# ## One layer
#
# A layer has two parts. In attention the words exchange information; then a perceptron works on each word separately.
# In <dfn>multi-head attention</dfn>, $H$ heads look at the same time. Each uses $d = D/H$ different columns of query,
# key and value, so one head can look for the noun while another looks at the neighbour. $W_O$ mixes their results.
#
# Each part has a residual connection around it: we add the input of the part to its result. BERT is
# <dfn>post-norm</dfn>, meaning that it normalises after the addition, like the transformer of 2017 and unlike most
# of its successors.
#
# $$ x \leftarrow \mathrm{LN}\big(x + W_O\,[\text{head}_1; \dots; \text{head}_H] + b_O\big) $$
#
# $$ x \leftarrow \mathrm{LN}\big(x + W_2\, \mathrm{GELU}(W_1 x + b_1) + b_2\big) $$
#
# $\mathrm{GELU}(x) = x\,\Phi(x)$ with $\Phi(x) = \tfrac12\big(1 + \mathrm{erf}(x/\sqrt2)\big)$. In other words, it
# multiplies $x$ by the probability that a standard normal variable is smaller than $x$.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.encoder_only", "layer.svg")

# %% exercise="bert_layer"
from studium_topics.encoder_only.exercises import bert_layer

# %% [markdown]
# `Encoder` puts your parts together: your embeddings, a stack of your layers, and the word table once more. The table
# turns the last vectors into logits, and a softmax turns these into the probabilities of all words. You can read its 60
# lines with `Encoder??`.
#
# ### The same in the library
#
# In practice you would use `BertModel` from Hugging Face's `transformers`. The next cell gives it the weights of your
# encoder, under the names that every published BERT checkpoint uses.

# %% tags=["experiment", "bridge"]
blocks = {
    "bert_embed": lesson.mine(bert_embed),
    "bert_layer": lesson.mine(bert_layer),
    "pad_mask": lesson.mine(pad_mask),
}
mine = Encoder(experiment.SIZES, **blocks)
ids = experiment.text(8, torch.Generator().manual_seed(0))
real = ids != grammar.PAD
try:
    import transformers
except ImportError:
    print("transformers is not installed, so there is nothing to compare with: pip install transformers")
else:
    library = bert_model(mine)
    with torch.no_grad():
        theirs = library(ids, attention_mask=real).last_hidden_state
        difference = (mine.states(ids)[-1] - theirs)[real].abs().max()
    print(f"transformers {transformers.__version__}, {type(library).__name__}: largest difference {difference:.1e}")
    print(
        "your query projection of the first layer is called",
        *(n for n in library.state_dict() if "0.attention.self.q" in n),
    )

# %% [markdown] tags=["experiment"]
# We can test exactly what `pad_mask` promises: replace the vector of `[PAD]` by noise, and check how far the logits of
# real words move.

# %% tags=["experiment"]
moved = experiment.padding(**blocks, profile=lesson.profile)
print(f"largest change of a real word's logits with your mask:    {moved.masked:.2g}")
print(f"largest change of a real word's logits without any mask:  {moved.unmasked:.2g}")

# %% [markdown]
# ## Hide a word, ask for it
#
# Let's return to the puzzle we started with. If words can see the whole sentence, predicting one is trivial, because it
# is part of the input. In <dfn>masked language modelling</dfn> (MLM) we choose 15 % of the words at random, hide them,
# and ask the model for the originals. The loss is the mean over the chosen positions $M$:
#
# $$ L = -\frac{1}{|M|} \sum_{i \in M} \log p(w_i \mid \text{the sentence with noise}) $$
#
# Each term is a cross-entropy, and minimising their mean is maximum likelihood for $p(w_i \mid \cdot)$, averaged over
# random choices of what to hide.
#
# What should we put in place of a chosen word? For training, we could always use `[MASK]`. But a text in use has no
# `[MASK]`, and a model that has learned "only `[MASK]` needs thought" need not represent other words well. So BERT
# replaces 80 % of the chosen words by `[MASK]` and 10 % by a random token, and leaves 10 % as they are. The model must
# predict all of them. By convention, the label of a position that was not chosen is -100.
#
# May the random token be `[PAD]`? In [BERT's
# code](https://github.com/google-research/bert/blob/master/create_pretraining_data.py) and `transformers` it may: they
# draw from the whole vocabulary. [RoBERTa's
# code](https://github.com/facebookresearch/fairseq/blob/main/fairseq/data/mask_tokens_dataset.py) leaves out special
# tokens, which a text never has in that place. With 30,000 tokens it makes no difference, so the tests accept both. Our
# lessons draw from the whole vocabulary.

# %% exercise="corrupt"
from studium_topics.encoder_only.exercises import corrupt

# %%
noise = torch.Generator().manual_seed(14)


def hide(ids):
    """Return the task of masked language modelling: your noise, for our grammar."""
    return lesson.mine(corrupt)(ids, grammar.MASK, experiment.FIRST_WORD, grammar.VOCABULARY, noise)


clean = experiment.text(4, torch.Generator().manual_seed(1))
noisy, labels = hide(clean)
for row, wanted in zip(noisy, labels.tolist(), strict=True):
    pairs = zip(grammar.decode(row).split(), wanted, strict=True)
    print(" ".join(word if label < 0 else f"«{word} ← {grammar.WORDS[label]}»" for word, label in pairs))

# %% [markdown]
# Run the cell a few times, and look for all three kinds. The next function contains two mistakes that raise no error.
# You can find one of them using a known value: a model that knows nothing gives each of the $V$ words the probability
# $1/V$, so its loss is $\ln V$.

# %% exercise="mlm_loss"
from studium_topics.encoder_only.exercises import mlm_loss

# %% [markdown]
# ## The loop
#
# Now you have a model, a task and a loss. BERT's recipe (appendix A.2, and the [released
# code](https://github.com/google-research/bert/blob/master/optimization.py) for the last two points) adds three things
# to a step of Adam.
#
# * **Warm-up**: the learning rate rises from near 0 and then falls in a straight line. Post-norm layers need this,
#   because their gradients near the output are large at the start ([Xiong et al.
#   2020](https://arxiv.org/abs/2002.04745)).
# * **Weight decay** of 0.01, only for matrices. Pulling the scale of a LayerNorm towards 0 would silence its layer.
# * **Clipping**: if the norm of all gradients together is greater than 1, we scale them down to 1.

# %% exercise="pretrain"
from studium_topics.encoder_only.exercises import pretrain

# %% tags=["experiment"]
batches = experiment.batches(lesson.profile, torch.Generator().manual_seed(2))
losses = lesson.mine(pretrain)(mine, batches, hide, lr=experiment.LEARNING_RATE)
chart = figure(x="training step", y="loss (nats per hidden word)", height=320)
chart.add_scatter(y=losses, name="your BERT", line={"color": COLOURS[0]})
ln_v = torch.tensor(grammar.VOCABULARY).log().item()
chart.add_hline(y=ln_v, line_dash="dot", line_color="#808891", annotation_text="ln V")
chart

# %% [markdown] tags=["experiment"]
# Now we can ask it the question from the beginning.

# %% tags=["experiment"]
for text in ("[CLS] [MASK] small dogs sleep .", "[CLS] [MASK] small dog sleeps .", "[CLS] these small [MASK] sleep ."):
    question = grammar.encode(text)
    place = int((question == grammar.MASK).nonzero())
    with torch.no_grad():
        chances, best = mine(question[None])[0, place].softmax(-1).topk(3)
    answers = ", ".join(f"{grammar.WORDS[i]} {p:.2f}" for i, p in zip(best, chances, strict=True))
    print(f"{text:33s} {answers}")

# %% [markdown]
# ## How good can it become?
#
# The model cannot be certain about the noun, because nine nouns fit. So even a perfect model has a loss above 0, and to
# judge a model we need to know this lowest possible loss. Our grammar has 1782 clauses, all equally likely, so we can
# compute it.

# %% exercise="best_loss"
from studium_topics.encoder_only.exercises import best_loss

# %%
clauses = experiment.every_clause()
floors = {}
for place, role in enumerate(grammar.ROLES):
    others = [i for i in range(grammar.CLAUSE) if i != place]
    floors[role] = [float(lesson.mine(best_loss)(clauses, place, seen)) for seen in (others, list(range(place)))]
show_table(
    ["lowest loss", "both sides", "left to right"],
    [(role, *(f"{floor:.3f}" for floor in both)) for role, both in floors.items()],
)

# %% [markdown]
# The two columns differ in just one row. The floor for the determiner is 0 from both sides, but $\ln 2 = 0.693$ from
# the left, whatever the model, its size and its training.
#
# ## Both sides against one
#
# Table 5 of the paper compares both sides with left to right (*LTR*): same model, same data, same number of steps. We
# will do the same. We make both models out of **your** functions, start them with the same weights, show them the same
# sentences, and train them with your loop. The left-to-right model has a causal mask on top of yours and predicts the
# next word.
#
# In a step of MLM we ask for 15 % of the words, and in a step from left to right for nearly all. How many times more
# steps will MLM need until it knows the verb, which both models can know?

# %% tags=["experiment"]
lesson.predict("price", ..., "How many times more steps does MLM take than left to right, until it knows the verb?")

# %% tags=["experiment"]
result = experiment.both_sides(
    **blocks, corrupt=lesson.mine(corrupt), pretrain=lesson.mine(pretrain), profile=lesson.profile
)
for name, reader in (("both sides", result.both), ("left to right", result.left)):
    print(f"{name}: right number in {reader.determiner:.3f} of the determiners, {reader.verb:.3f} of the verbs")
show_table(
    ["", "both sides: loss", "floor", "left to right: loss", "floor"],
    [
        (
            role,
            *(f"{x:.3f}" for x in (result.both.nats[role], floors[role][0], result.left.nats[role], floors[role][1])),
        )
        for role in grammar.ROLES
    ],
)

# %% tags=["experiment"]
chart = figure(x="training step", y="share with the right number", height=380)
readers = {"both sides": result.both, "left to right": result.left}
for (name, reader), colour in zip(readers.items(), COLOURS, strict=False):
    for word, curve, dash in (
        ("determiner", reader.determiners, "solid"),
        ("verb", reader.verbs, "dash"),
    ):
        line = {"color": colour, "dash": dash}
        chart.add_scatter(x=reader.steps, y=curve, name=f"{name}: {word}", line=line)
chart.add_hline(y=0.5, line_dash="dot", line_color="#808891", annotation_text="a coin")
chart

# %% [markdown] tags=["experiment"]
# The left-to-right model reaches its floor everywhere, so its training went well. It guesses the determiner no better
# than a coin because the bit comes later in the sentence.
#
# Table 5 of the paper has this comparison on real tasks (development sets, per cent; F1 for SQuAD):
#
# | | MNLI | QNLI | MRPC | SST-2 | SQuAD |
# |---|---|---|---|---|---|
# | BERT (base) | 84.4 | 88.4 | 86.7 | 92.7 | 88.5 |
# | no next sentence prediction | 83.9 | 84.9 | 86.5 | 92.6 | 87.9 |
# | left to right, no next sentence prediction | 82.1 | 84.3 | 77.5 | 92.1 | 77.8 |
# | the same, with a BiLSTM on top for each task | 82.1 | 84.1 | 75.7 | 91.6 | 84.9 |
#
# Between the second row and the third, only the direction changes, and the training task with it. SST-2 falls by 0.5
# points, QNLI by 0.6, MNLI by 1.8, MRPC by 9.0 and SQuAD by 10.1. In SQuAD the model has to find the words that answer
# a question, so each word needs to know what comes after it. A BiLSTM, which reads in both directions, brings back 7.1
# of the 10.1 points there. It does not help with MRPC, where you have to tell whether two sentences are paraphrases,
# with 3,500 pairs to learn from.
#
# ### The price

# %% tags=["experiment"]
print(f"the verb stays above 98 % from step {result.left.steps_to_verb():.0f} on, left to right")
print(f"                      and from step {result.both.steps_to_verb():.0f} on, with both sides")
print(f"ratio: {result.price:.2f}    (the paper, appendix C.1: MLM converges marginally slower)")
lesson.found("price", result.price, within=0.25)

# %% [markdown] tags=["experiment"]
# At the size `smoke` neither model gets there, so the ratio means nothing. At `laptop`, seeds 0 to 5 gave 2.0 to 5.3.
# This is less than 1/0.15 = 6.7, the ratio of the numbers of loss terms, as we would expect if the terms of a sentence
# carry partly the same information.
#
# ### What does your model look at?
#
# At the beginning we set attention by hand. Here are the scores that your model learned, for the sentence with the
# determiner hidden. The widget opens at the head where `[MASK]` gives the most weight to noun and verb, which hold the
# bit. Step through the other layers and heads. Then hide another word and watch the bars: *bidirectional* is your MLM
# model, and *causal* is your left-to-right model. (The scores are still the MLM model's, with the determiner hidden.)

# %% tags=["experiment", "widget"]
both, left = result.both.model.cpu(), result.left.model.cpu()
ids = grammar.encode("[CLS] these small dogs sleep .")


@torch.no_grad()
def hidden_word(place, count=4):
    """Return what both models say about the word at `place`, for the widget's bars."""
    masked = ids.clone()
    masked[place] = grammar.MASK
    seen = both(masked[None])[0, place].softmax(-1)
    foretold = left(ids[None])[0, place - 1].softmax(-1)  # by the word before
    best = (seen + foretold).topk(count).indices
    return {
        "position": place,
        "words": [grammar.WORDS[i] for i in best],
        "bidirectional": seen[best].tolist(),
        "causal": foretold[best].tolist(),
    }


learned = both.scores(grammar.encode("[CLS] [MASK] small dogs sleep ."))
to_the_bit = learned.softmax(-1)[:, :, 1, 3:5].sum(-1)  # (layers, heads)
layer, head = divmod(int(to_the_bit.argmax()), to_the_bit.shape[1])
AttentionHeatmap(
    tokens=grammar.decode(ids).split(),
    scores=learned,
    layer=layer,
    head=head,
    view="arcs",
    masked=1,
    predictions=[hidden_word(place) for place in (1, 3, 4)],
)

# %% [markdown]
# **Think about it.** An arc from *these* to *dogs* looks like a reason. What would you have to do before you can claim
# "the model knows the number *because* of this arc"?
#
# <details><summary>Answer</summary>
#
# Intervene: cut the arc and check whether the answer changes. The bit could also arrive through another head, or from
# the verb.
# </details>

# %% [markdown] tags=["experiment"]
# ### Can it write?
#
# Let's hide determiner, noun and verb *together*. For each, a good model answers: half singular, half plural. Now draw
# all three words from this one prediction. The draws are independent, and three fair coins agree with probability 1/4.
# Then draw the words one after the other, so that each can see the ones before it.

# %% tags=["experiment"]
filled = {
    name: experiment.fill(result.both.model, at_once=at_once)
    for at_once, name in ((True, "all three at once"), (False, "one after the other"))
}
show_table(
    ["", "agree in", "for example"], [(name, f"{agree:.1%}", example) for name, (agree, example) in filled.items()]
)

# %% [markdown] tags=["experiment"]
# At `laptop`, seeds 0 to 5, the first share was between 0.24 and 0.48. It is higher than 1/4 if the model prefers one
# number, because biased coins agree more often than fair ones. It might do so because three hidden words in one clause
# are rare in training. The second share was always close to 0.97.
#
# MLM predicts each hidden word **by itself**: every marginal may be right, but it does not model the joint
# distribution. Here we can repair this by filling in word by word, using a pass for each word, but we need to fix the
# length of the context beforehand. So GPT writes, and BERT reads.

# %% [markdown]
# ## Further
#
# ### Two sentences at once
#
# Many tasks are about *pairs* of sentences: does the second answer the first, or follow from it? For these, BERT has a
# second loss (appendix A.1). The input is `[CLS] A [SEP] B [SEP]`. In <dfn>next sentence prediction</dfn> (NSP), a
# classifier on the vector of `[CLS]` decides whether sentence B followed sentence A in its document.

# %% exercise="nsp_pairs"
from studium_topics.encoder_only.exercises import nsp_pairs

# %%
documents = [
    ["this small dog sleeps .", "this young cat waits .", "this old bear eats ."],
    ["these clever robots sing .", "these lazy foxes hide ."],
]
documents = [[grammar.encode(one).tolist() for one in document] for document in documents]
pairs = lesson.mine(nsp_pairs)(documents, torch.Generator().manual_seed(3), grammar.CLS, grammar.SEP)
for pair, segments, label in pairs:
    print(("IsNext ", "NotNext")[label], "", grammar.decode(torch.tensor(pair)))
    print("segments", *segments, "\n")

# %% [markdown]
# **Think about it.** In these documents you can often recognise *NotNext* without knowing what follows from what. How?
# And would this be different with real documents?
#
# <details><summary>Answer</summary>
#
# One document is all singular and the other is all plural, so a change of number gives the pair away. In real text, the
# *topic* does the same: a sentence about football after one about tax law is not the next sentence. RoBERTa
# ([1907.11692](https://arxiv.org/abs/1907.11692)) left NSP out without harm. ALBERT
# ([1909.11942](https://arxiv.org/abs/1909.11942)) has to tell the order of two neighbours instead, where the topic does
# not help.
# </details>
#
# ### How likely is a sentence?
#
# A left-to-right model gives every sentence a probability by the chain rule, $\log p(w) = \sum_i \log p(w_i \mid
# w_{<i})$. There is no such product for BERT. The <dfn>pseudo-log-likelihood</dfn> of a sentence adds up the
# log-probabilities of its words, each given all the others ([Salazar et al. 2019](https://arxiv.org/abs/1910.14659),
# equation 1):
#
# $$ \mathrm{PLL}(w) = \sum_i \log p(w_i \mid w_{\setminus i}). $$
#
# It is not the logarithm of a probability. Add up your floors: from left to right you get $\ln 1782 = 7.49$, the
# entropy of a clause, but from both sides only 6.79, because we never pay for the bit of number. Still, PLL is good for
# comparing sentences, and costs a forward pass for each word.

# %% exercise="pseudo_ll"
from studium_topics.encoder_only.exercises import pseudo_ll

# %% [markdown] tags=["experiment"]
# A <dfn>minimal pair</dfn> is two sentences that differ in one word, where only one of the sentences is right.

# %% tags=["experiment"]
score = lesson.mine(pseudo_ll)
model = result.both.model
for text in ("these small dogs sleep .", "this small dogs sleep .", "these small dogs sleeps ."):
    ids_of = grammar.encode(f"[CLS] {text}").to(model.bias.device)
    with torch.no_grad():
        value = float(score(model, ids_of, grammar.MASK, {grammar.CLS, grammar.SEP}))
    print(f"{value:8.2f}  {text}")
print(f"right in {experiment.minimal_pairs(model, score):.0%} of 40 pairs that differ in the determiner")

# %% [markdown]
# ## What does not reproduce at this size
#
# * **The scores of the paper.** GLUE 80.5, MultiNLI 86.7 and SQuAD 93.2 come from BERT-large with 340 million
#   parameters (for SQuAD, an ensemble of them), 3.3 billion words of text, and fine-tuning on each task. Our model has
#   about 100,000 parameters, and we do not fine-tune it.
# * **The size of the effect.** For our determiner it is all or nothing, because the bit is nowhere else. In English the
#   left context helps too, and in table 5 the direction costs between 0.5 points (SST-2) and 10.1 (SQuAD).
# * **The price.** Our ratio is for one kind of word in a tiny grammar, and for one learning rate.
# * **Warm-up.** Two layers train as well without it (final loss 1.30 either way, one seed at `laptop`).
# * **80/10/10.** The random 10 % matter for text without `[MASK]`. We use this rule but do not measure its effect.
# * **Next sentence prediction.** Our documents have no discourse to predict. You built the data, not the benefit.
#
# ## Common misconceptions
#
# * *"BERT reads once from the left and once from the right."* That was ELMo. In BERT every layer sees both sides.
# * *"`[CLS]` is the meaning of the sentence."* It is trained only for NSP. Without fine-tuning, the mean of the words'
#   vectors is better for comparing sentences ([Reimers and Gurevych 2019](https://arxiv.org/abs/1908.10084), table 1).
# * *"A model in use reads `[MASK]`."* Only if you ask it for a hidden word; hence 80/10/10.
# * *"MLM models whole sentences."* You saw three coins: it predicts hidden words independently.
# * *"Padding is harmless, the model learns to ignore it."* Without the mask, noise in the padding moved real words.
#
# ## You can now
#
# * explain why attention has three projections, and write it with a mask;
# * build a post-norm layer and find its weights in a published checkpoint;
# * pretrain a masked language model: noise, loss, warm-up, decay and clipping;
# * compute the lowest possible loss of a prediction, and use it to judge a model;
# * tell when a model needs to read both sides, and why such a model does not write.
#
# ## Open tasks
#
# * **Ten minutes.** Train your BERT with `lr` ten times larger. The loss should stay far above its 1.3 at `laptop`.
# * **An hour.** Change the share of chosen words from 15 % to 5 % and to 50 %, for the same number of steps. With 5 %,
#   the model should learn the determiner later, if at all. With 50 % we saw no harm. Why not, if half of the words are
#   gone? ([Wettig et al. 2022](https://arxiv.org/abs/2202.08005) found 40 % better than 15 % for large models.)
# * **A day.** Train with 100 % `[MASK]` and with 80/10/10. Then give both models clean sentences, and use a linear
#   classifier to read each word off its last vector. See whether the random words make a difference at this size.
#
# ## Further reading
#
# * [RoBERTa, 1907.11692](https://arxiv.org/abs/1907.11692): the same model, trained better.
# * [T5, 1910.10683](https://arxiv.org/abs/1910.10683): hide whole spans, and let a decoder write them.
# * [ModernBERT, 2412.13663](https://arxiv.org/abs/2412.13663): still an encoder six years later, using rotary
#   positions, pre-norm and 8192 tokens, because search and classification need both sides.
# * [GPT-3, 2005.14165](https://arxiv.org/abs/2005.14165): the other mask, and what it is good for. You will build it in
#   the topic [decoder-only](decoder-only.ipynb).
