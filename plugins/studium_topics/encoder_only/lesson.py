# %% [markdown]
# # Encoder-only transformers (BERT)
#
# > ▢ small dogs sleep.
#
# Which word is missing, *this* or *these*? You know it at once. But how? You did not know it when you read ▢. You read
# on, came to *dogs*, and looked back. A model that reads from left to right can never do that: at ▢ it has seen
# nothing, and it must guess. With a coin it is right half of the time, and **no amount of training makes it better
# than the coin**.
#
# In 2018 Jacob Devlin and his colleagues drew the consequence. If the task is to *understand* a text that is already
# there, let every word see every other word. What stands in the way is a puzzle: a model that sees both sides sees the
# answer too. How can it learn to predict a word which is part of its own input? BERT's answer is to hide some of the
# words. In this lesson you will
#
# 1. write attention with a mask, and the mask that makes padding irrelevant;
# 2. build BERT's embeddings and its layer, in the very order of the original;
# 3. write the loss of masked language modelling, and train your own BERT in seconds;
# 4. measure what two-sided reading buys, where the best possible score is known exactly, and what it costs;
# 5. make the pairs of BERT's second task;
# 6. score whole sentences with a model that has no left-to-right probability, and see why it cannot write.
#
# The paper: [Devlin et al. 2018, arXiv 1810.04805](https://arxiv.org/abs/1810.04805). You need PyTorch tensors and the
# idea of gradient descent; attention is built here from the start.

# %%
import torch

from studium_topics.encoder_only import experiment
from studium_topics.encoder_only.model import Encoder
from studium_topics.kits import grammar
from studium_widgets import AttentionHeatmap, figure
from studium_widgets.plots import COLOURS

# %% [markdown]
# ## One bit of number lives to the right
#
# Our language for today is tiny, and made so that we know everything about it. A sentence is *determiner, adjective,
# noun, verb, full stop*. For each sentence a fair coin decides between singular and plural, and determiner, noun and
# verb agree:
#
# * *this small dog sleeps .*
# * *these small dogs sleep .*
#
# So the number is **one bit**, written three times. Look at where it can be read. For the verb, the noun stands on the
# left. For the determiner, both copies of the bit stand on the right.
#
# Below is a matrix of attention that was made by hand: each row is a word that looks (the *query*), each column a word
# that it may look at (the *key*), and each row sums to 1. Choose a causal mask, which forbids every look to the right.
# Then hide the determiner, and after it the verb, and compare the bars. The rows of *these* and *sleep* both point at
# *dogs*; only one of the two survives the mask.

# %% tags=["widget"]
sentence = ["[CLS]", "these", "small", "dogs", "sleep", "."]
scores = torch.zeros(1, 1, 6, 6)
scores[0, 0, 1, 3] = scores[0, 0, 4, 3] = 3.5  # determiner and verb look at the noun
scores[0, 0, 2, 3] = 2.0  # so does the adjective, a little
scores[0, 0, 3, 4] = 1.5
words = ["this", "these", "sleep", "sleeps"]
AttentionHeatmap(
    tokens=sentence,
    scores=scores,
    masked=1,
    predictions=[
        {"position": 1, "words": words[:2], "bidirectional": [0.0, 1.0], "causal": [0.5, 0.5]},
        {"position": 4, "words": words[2:], "bidirectional": [1.0, 0.0], "causal": [1.0, 0.0]},
    ],
)

# %% [markdown]
# ## Attention, with a mask
#
# Let $q_i \in \mathbb{R}^{d}$ be the query of position $i$, $k_j \in \mathbb{R}^{d}$ the key and $v_j$ the value of
# position $j$. Position $i$ collects a weighted average of the values,
#
# $$ y_i = \sum_j a_{ij}\, v_j, \qquad
#    a_{ij} = \frac{m_{ij}\, e^{s_{ij}}}{\sum_{l} m_{il}\, e^{s_{il}}}, \qquad
#    s_{ij} = \frac{q_i \cdot k_j}{\sqrt d}, $$
#
# where $m$ is the mask. A <dfn>mask</dfn> has a 1 where position $i$ may look at position $j$, and a 0 where it may
# not. Why $\sqrt d$? If the components of $q$ and $k$ are independent with mean 0 and variance 1, then $q \cdot k$ has
# variance $d$. Dividing by $\sqrt d$ brings it back to 1, so that the softmax starts neither flat nor frozen, whatever
# the width.
#
# A program does not multiply by $m$ inside the softmax. It sets blocked scores to a hugely negative number and lets
# $e^{s}$ round to zero.

# %% exercise="attention"
from studium_topics.encoder_only.exercises import attention

# %% [markdown]
# ## Sentences differ in length
#
# A batch is a rectangle, sentences are not. So short ones are filled up with `[PAD]`, and now every real word could
# look at these fillers. It would still learn to ignore them, more or less. Better is to make it *impossible*, exactly.
#
# Which side of the matrix has to be blocked? A `[PAD]` that *looks* (a row) does no harm: nobody reads its output. A
# `[PAD]` that is *looked at* (a column) would change real words. So the mask belongs to the keys.

# %% exercise="pad_mask"
from studium_topics.encoder_only.exercises import pad_mask

# %% [markdown]
# **To think about.** A sentence of nothing but `[PAD]` has a row in which everything is blocked. What would
# $e^{-\infty} / \sum e^{-\infty}$ be, and whom would it hurt?
#
# <details><summary>Answer</summary>
#
# It is 0/0, which is `nan`. The row itself is worthless anyhow. But a `nan` in one row of the batch makes the mean
# loss `nan`, and then all gradients, and then all weights. This is why your `attention` had to stay finite there.
# </details>
#
# ## From tokens to vectors
#
# Attention is a sum over a *set*: shuffle the words, and each word's result stays the same. The order must
# therefore be written into the vectors. BERT has three tables and adds one row of each: for the word, for its
# position, and for its segment. The <dfn>segment</dfn> says whether a token belongs to the first or the second of two
# sentences.
#
# $$ x_t = \mathrm{LN}\!\left( E_{w_t} + P_t + S_{g_t} \right), \qquad
#    \mathrm{LN}(z) = \gamma \odot \frac{z - \bar z}{\sqrt{\tfrac1D \sum_i (z_i - \bar z)^2 + \varepsilon}} + \beta $$
#
# Here $w_t$ is the token's id, $g_t \in \{0, 1\}$ its segment, $D$ the width, $\bar z$ the mean of the $D$ components,
# and $\gamma, \beta \in \mathbb{R}^D$ are learned. One detail has cost many a port of BERT an afternoon: its
# $\varepsilon$ is $10^{-12}$, where PyTorch's default is $10^{-5}$.

# %% exercise="bert_embed"
from studium_topics.encoder_only.exercises import bert_embed

# %% [markdown]
# ## One layer
#
# A layer has two sublayers. Attention lets the words exchange information; then a small perceptron works on each
# word by itself. Around each goes a residual connection. In <dfn>post-norm</dfn> a layer normalises after the
# addition, as BERT does, like the transformer of 2017 and unlike most of its successors:
#
# $$ x \leftarrow \mathrm{LN}\big(x + W_O\,[\text{head}_1; \dots; \text{head}_H] + b_O\big), \qquad
#    x \leftarrow \mathrm{LN}\big(x + W_2\, \mathrm{GELU}(W_1 x + b_1) + b_2\big) $$
#
# Each of the $H$ heads attends on its own $D/H$ columns, so that one may look for the noun while another looks at the
# neighbour. The activation is $\mathrm{GELU}(x) = x\,\Phi(x)$ with the normal distribution function
# $\Phi(x) = \tfrac12\big(1 + \mathrm{erf}(x/\sqrt2)\big)$: a soft gate that lets $x$ pass with the probability that a
# normal variable is smaller than $x$.

# %% exercise="bert_layer"
from studium_topics.encoder_only.exercises import bert_layer

# %% [markdown]
# You have all the parts. `Encoder` puts them together: your embeddings, a stack of your layers, and the word table
# once more to turn the last vectors into scores for words. It is 60 lines, and worth a look: `Encoder??`
#
# Let us first test the promise of `pad_mask`. We replace the vector of `[PAD]` by noise and watch the real words. In a
# computer "has no influence" can be taken at its word: the largest change should be 0, not $10^{-3}$.

# %% tags=["experiment"]
blocks = {
    "bert_embed": lesson.mine(bert_embed),
    "bert_layer": lesson.mine(bert_layer),
    "pad_mask": lesson.mine(pad_mask),
}
moved = experiment.padding(**blocks, profile=lesson.profile)
print(f"largest change of a real word's logits with your mask:    {moved.masked:.2g}")
print(f"largest change of a real word's logits without any mask:  {moved.unmasked:.2g}")

# %% [markdown]
# ## Hide a word, ask for it
#
# Now the puzzle of the beginning. If every word sees every word, then predicting a word from its context is trivial:
# it is right there in the input, and after two layers it has leaked everywhere. BERT breaks the circle by force.
# <dfn>Masked language modelling</dfn> (MLM) replaces 15 % of the words, chosen at random, and asks for the originals.
# The loss looks at the chosen positions $M$ only:
#
# $$ L = -\frac{1}{|M|} \sum_{t \in M} \log p(w_t \mid \text{the corrupted sentence}) $$
#
# What replaces a chosen word? Always `[MASK]` would do for training. But later, at work, there is no `[MASK]` in the
# text, and a model which has learnt "only `[MASK]` needs thought" would be lazy about all other words. So BERT
# replaces 80 % of the chosen words by `[MASK]`, 10 % by a random word, and leaves 10 % as they are, but asks for
# them all the same. Run the next cell a few times with other seeds, and look for all three kinds.

# %%
clean = experiment.text(4, torch.Generator().manual_seed(1))
noisy, labels = experiment.corrupt(clean, torch.Generator().manual_seed(14))
for row, wanted in zip(noisy, labels.tolist(), strict=True):
    pairs = zip(grammar.decode(row).split(), wanted, strict=True)
    print(" ".join(word if label < 0 else f"«{word} ← {grammar.WORDS[label]}»" for word, label in pairs))

# %% [markdown]
# By convention a label is the word's id where the word was chosen, and -100 where the position does not count.

# %% exercise="mlm_loss"
from studium_topics.encoder_only.exercises import mlm_loss

# %% [markdown]
# **To think about.** Of 512 positions, a left-to-right model gets a loss at nearly all. How many does BERT get?
# What do you expect this to do to the speed of learning?
#
# <details><summary>Answer</summary>
#
# About 15 % of 512, so 77. Each step carries a smaller lesson, so more steps should be needed. We are going to measure
# how many more. And why not mask 50 %? Then more is asked, but less is left to answer it from.
# </details>
#
# ## Both sides against one
#
# The paper's most telling experiment is in its table 5. Same model, same data, same number of steps; only the mask and
# with it the task differ: both sides with MLM, or left to right with the next word (*LTR*). We do the same. Both
# models are made of **your** functions, begin with the same weights, and see the same sentences. The left-to-right
# model has just one thing more, a triangular mask on top of yours.
#
# And we know the ceilings beforehand, since we made the language:
#
# | | determiner (bit on the right) | verb (bit on the left) |
# |---|---|---|
# | both sides | 1 | 1 |
# | left to right | **1/2, whatever the model** | 1 |
#
# Both will know the verb in the end. But a step of MLM asks for 15 % of the words only, one from the left for nearly
# all. How many times more steps will it take?

# %% tags=["experiment"]
lesson.predict("price", ..., "How many times more steps does MLM take than left to right, until it knows the verb?")

# %% tags=["experiment"]
result = experiment.both_sides(**blocks, mlm_loss=lesson.mine(mlm_loss), profile=lesson.profile)
for name, reader in (("both sides", result.both), ("left to right", result.left)):
    print(f"{name:18s} determiner {reader.determiner:.3f}   verb {reader.verb:.3f}")

# %% tags=["experiment"]
chart = figure(x="training step", y="accuracy of the number", height=380)
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
# The left-to-right model soon learns that a determiner comes first, so it rises to the line of the coin, and there it
# stays until the end. It is not a bad learner, since its verb is perfect. The bit is simply not on its side. Table
# 5 of the paper shows the same on real tasks, in per cent (development sets):
#
# | | MNLI | QNLI | MRPC | SST-2 | SQuAD (F1) |
# |---|---|---|---|---|---|
# | BERT (base) | 84.4 | 88.4 | 86.7 | 92.7 | 88.5 |
# | without next sentence prediction | 83.9 | 84.9 | 86.5 | 92.6 | 87.9 |
# | left to right, without it | 82.1 | 84.3 | 77.5 | 92.1 | **77.8** |
#
# SST-2 asks for the mood of a whole sentence: a reader from the left has seen all of it at the last word, and loses
# little. SQuAD asks for the words that answer a question: there each single word must know what comes after it, and
# the loss is more than ten points. The pattern is ours: what matters is on which side the information stands.
#
# ### The price
#
# Both models know the verb in the end. When?

# %% tags=["experiment"]
print(f"the verb stays above 98 % from step {result.left.steps_to_verb():.0f} on, left to right")
print(f"                      and from step {result.both.steps_to_verb():.0f} on, with both sides")
print(f"ratio: {result.price:.2f}    (the paper, appendix C.1: MLM converges marginally slower)")
lesson.found("price", result.price, within=0.25)

# %% [markdown] tags=["experiment"]
# At the smallest size (`smoke`) neither model gets there, and the ratio means nothing. At the size `laptop` we found
# between 1.7 and 2.0. That is far less than 1/0.15 = 6.7, the ratio of the numbers of loss terms: the lessons of one
# sentence repeat each other.
#
# ### What does your model look at?
#
# Below are the scores of the model that you trained, as it reads the sentence with the determiner hidden. The picture
# opens at the head in which `[MASK]` gives most weight to noun and verb, where the bit stands. Step through the other
# layers and heads, as arcs or in the matrix. Then hide another word and watch the bars: under *bidirectional* they are
# the MLM model's, under *causal* the left-to-right model's. (The scores are always those of the MLM model with the
# determiner hidden; the causal switch shows what a mask would leave of them.)

# %% tags=["experiment", "widget"]
both, left = result.both.model.cpu(), result.left.model.cpu()
ids = grammar.encode("[CLS] these small dogs sleep .")


@torch.no_grad()
def hidden_word(place, count=4):
    """What both models say about the word at `place`, for the widget's bars."""
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


scores = both.scores(grammar.encode("[CLS] [MASK] small dogs sleep ."))
to_the_bit = scores.softmax(-1)[:, :, 1, 3:5].sum(-1)  # (layers, heads)
layer, head = divmod(int(to_the_bit.argmax()), to_the_bit.shape[1])
AttentionHeatmap(
    tokens=grammar.decode(ids).split(),
    scores=scores,
    layer=layer,
    head=head,
    view="arcs",
    masked=1,
    predictions=[hidden_word(place) for place in (1, 3, 4)],
)

# %% [markdown]
# **To think about.** Attention weights are seductive: an arc from *these* to *dogs* looks like a reason. What would
# you have to do before you may say "the model knows the number *because* of this arc"?
#
# <details><summary>Answer</summary>
#
# Intervene: cut the arc and see whether the answer changes. The bit may as well arrive by another head, by the
# verb, or through the full stop that has already collected it in the first layer.
# </details>
#
# ## Two sentences at once
#
# Many tasks are about *pairs* of sentences: does the second answer the first, contradict it, follow from it? For these
# BERT was trained with a second loss beside MLM. The input is `[CLS] A [SEP] B [SEP]`. Half of the time B is the
# sentence that follows A in its document, half of the time it is any sentence of another document. In <dfn>next
# sentence prediction</dfn> (NSP) a classifier on the vector of `[CLS]` says whether the second sentence follows the
# first. Mind the convention of BERT's code: label 0 is *IsNext*.

# %% exercise="nsp_pairs"
from studium_topics.encoder_only.exercises import nsp_pairs

# %%
documents = [
    ["this small dog sleeps .", "this young cat waits .", "this old bear eats ."],
    ["these clever robots sing .", "these lazy foxes hide ."],
]
documents = [[grammar.encode(one).tolist() for one in document] for document in documents]
generator = torch.Generator().manual_seed(3)
pairs = lesson.mine(nsp_pairs)(documents, generator, grammar.CLS, grammar.SEP)
for pair, segments, label in pairs:
    print(("IsNext ", "NotNext")[label], "", grammar.decode(torch.tensor(pair)))
    print("segments", *segments, "\n")

# %% [markdown]
# **To think about.** In these documents one can often tell *NotNext* without any sense of what follows from what. How?
# And would that be different with real documents?
#
# <details><summary>Answer</summary>
#
# The first document is all singular and the second all plural: a change of number gives the pair away. In real text
# the
# *topic* does the same. A sentence about football after one about tax law is not the next one. So NSP mostly teaches
# topics, which MLM teaches anyhow. RoBERTa ([1907.11692](https://arxiv.org/abs/1907.11692)) left it out and lost
# nothing; ALBERT ([1909.11942](https://arxiv.org/abs/1909.11942)) replaced it by the order of two neighbours, where
# the topic does not help.
# </details>
#
# ## How likely is a sentence?
#
# A left-to-right model gives every sentence a probability, by the chain rule:
# $\log p(w) = \sum_t \log p(w_t \mid w_{<t})$. BERT has no such factorisation. What it has is
# $p(w_t \mid w_{\setminus t})$, each word given *all* others. The <dfn>pseudo-log-likelihood</dfn> of a sentence adds
# up the log-probabilities of its words, each given all others
# ([Salazar et al. 2019](https://arxiv.org/abs/1910.14659)):
#
# $$ \mathrm{PLL}(w) = \sum_t \log p(w_t \mid w_{\setminus t}). $$
#
# It is not the logarithm of a probability: over all sentences, its exponential does not sum to 1. But it compares
# sentences well. One forward pass per word is the price.

# %% exercise="pseudo_ll"
from studium_topics.encoder_only.exercises import pseudo_ll

# %% [markdown] tags=["experiment"]
# A <dfn>minimal pair</dfn> is two sentences that differ in one word, of which one is right. Does your model prefer the
# right one?

# %% tags=["experiment"]
score = lesson.mine(pseudo_ll)
model = result.both.model
for sentence in ("these small dogs sleep .", "this small dogs sleep .", "these small dogs sleeps ."):
    ids_of = grammar.encode(f"[CLS] {sentence}").to(model.bias.device)
    with torch.no_grad():
        value = float(score(model, ids_of, grammar.MASK, {grammar.CLS, grammar.SEP}))
    print(f"{value:8.2f}  {sentence}")
print(f"right in {experiment.minimal_pairs(model, score):.0%} of 40 pairs that differ in the determiner")

# %% [markdown] tags=["experiment"]
# ## Can it write?
#
# Hide determiner, noun and verb *together*, and let BERT fill all three. For each, the model gives an honest
# distribution: half singular, half plural, since nobody told. Now draw all three from this one prediction, as if three
# people filled in the blanks without speaking to each other. Three fair coins agree with probability 1/4. Then do it
# one after the other, so that each draw sees those before.

# %% tags=["experiment"]
for at_once, name in ((True, "all three at once"), (False, "one after the other")):
    agree, example = experiment.fill(result.both.model, at_once=at_once)
    print(f"{name:20s} agree in {agree:.1%}    for example: {example}")

# %% [markdown] tags=["experiment"]
# The first figure was between 0.24 and 0.62 for six seeds: three blanks in a row are rare in training, so some models
# lean towards one number there, and loaded coins agree more often. The second was always near 0.97.
#
# So MLM predicts each hidden word **by itself**: each marginal may be right, the joint distribution is not modelled.
# Filling in one word at a time repairs it here, at the cost of a pass per word, and with a context of fixed length
# in which the blanks must have been placed beforehand. This is why GPT writes and BERT reads.

# %% [markdown]
# ## What does not reproduce at this size
#
# * **The scores of the paper.** GLUE 80.5, MultiNLI 86.7 and SQuAD 93.2 come from BERT-large with 340 million weights,
#   3.3 billion words, and fine-tuning on each task. Our model has about a tenth of a million, and there is nothing to
#   fine-tune for. What carries over is the *comparison*.
# * **The size of the effect.** On our determiner the gap is all or nothing, because we built a language in which
#   the bit is nowhere else. In English the left context helps too, and the gap is between half a point (SST-2) and
#   eleven (SQuAD).
# * **The price.** Our ratio of near 2 belongs to one word class of a tiny grammar.
# * **80/10/10.** The random 10 % matter for fine-tuning on text without `[MASK]`. We use the rule and do not
#   measure it.
# * **Next sentence prediction.** Our documents have no discourse to predict. You built the data, not the benefit.
#
# ## Common misconceptions
#
# * *"BERT reads once from the left and once from the right."* That was ELMo, which glues two one-sided readers
#   together. In BERT every layer sees both sides at once.
# * *"`[CLS]` is the meaning of the sentence."* It is trained for NSP only. Without fine-tuning, the mean of the words'
#   vectors is often the better sentence vector.
# * *"`[MASK]` appears in use."* Only if you ask for a hidden word. In fine-tuning and in retrieval the text is
#   complete, and that mismatch is the reason for 80/10/10.
# * *"MLM models whole sentences."* You saw three coins: hidden words are predicted independently of each other.
# * *"Padding is harmless, the model learns to ignore it."* Without the mask the noise moved every real word.
#
# ## Where to go next
#
# * [RoBERTa, 1907.11692](https://arxiv.org/abs/1907.11692): the same model, trained better. New masks each time, no
#   NSP, larger batches, more text. The topic `roberta` of this course.
# * [ALBERT, 1909.11942](https://arxiv.org/abs/1909.11942): one layer's weights used by all layers. The topic `albert`.
# * [GPT, the topic `decoder-only`](https://arxiv.org/abs/2005.14165): the other mask, and what it is good for.
# * [T5, 1910.10683](https://arxiv.org/abs/1910.10683): hide whole spans, and let a decoder write them.
# * [ModernBERT, 2412.13663](https://arxiv.org/abs/2412.13663): six years later. Rotary positions, gated activations,
#   pre-norm, no padding at all (sentences are laid end to end), 8192 tokens: still an encoder, because search and
#   classification still want both sides.
#
# **A last question.** BERT hides 15 % of the words at random. In our language, which words are worth hiding, and which
# teach nothing?
#
# <details><summary>Answer</summary>
#
# The full stop teaches nothing after the first few steps, since its place gives it away. An adjective teaches only
# that it is one of eleven. Determiner, noun and verb carry the bit; of noun and verb only the number can be known,
# and a determiner can be known for certain. Choosing what to hide (whole words, spans, words that share
# information) became a line of research of its own.
# </details>
