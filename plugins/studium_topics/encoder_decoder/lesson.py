# %% [markdown]
# # Encoder-decoder transformers (T5)
#
# The small model below has read *planets* and writes it backwards. Before each letter it looks at the source, and then
# it writes the right one. But look closely: to write *e*, it does not look at *e*. **It looks at *t*, the letter that
# it has just written.** How does it know what comes next?
#
# Move *Letters written*, and follow the lines from the answer to the source. Then choose the model that copies, and the
# one that sorts. Under *Put in a mistake*, close the memory, or exchange it for that of another source.

# %% tags=["widget"]
from studium_topics.encoder_decoder import figures

figures.opening()

# %% [markdown]
# **You will be able to**
#
# 1. write cross-attention and the layer of T5's decoder, and run T5's weights with your functions;
# 2. derive T5's relative positions, in buckets that grow wider with the distance;
# 3. find the leak in a loss that looks right, and train an encoder-decoder with a loop that you see whole;
# 4. decode with two caches, greedily and with a beam;
# 5. say what a decoder looks up in its source, and test that by exchanging the memory.
#
# **You need** attention and masks from *encoder-only*, and next-token prediction from *decoder-only*.
# **Time:** 20 minutes of reading, 120 of coding, 2 of running.
#
# **How it came about.** In 2014, recurrent networks translated by squeezing a sentence into one vector and writing the
# translation from it. Long sentences did not fit, so [Bahdanau et al.](https://arxiv.org/abs/1409.0473) let the decoder
# look back at all vectors of the source, which was the first attention. The
# [Transformer](https://arxiv.org/abs/1706.03762) dropped the recurrence, and [T5](https://arxiv.org/abs/1910.10683)
# trained one such encoder-decoder on every task that can be written as text in, text out.
#
# | symbol | meaning |
# |---|---|
# | $x_1, \dots, x_S$; $y_1, \dots, y_T$ | tokens of the source; tokens of the answer, the last is eos |
# | $B$, $D$, $H$, $d$ | texts in a batch, width of the stream, heads, width of a head: $D = H d$ |
# | $m_s$; $k_s$, $v_s$ | the encoder's vector of source token $s$; its key and value |
# | $q_t$, $a_{ts}$ | query of the decoder at position $t$; weight with which it reads slot $s$ |
# | $b_{ts}$, $b_{s-t}$ | bias on the score of query $t$ and key $s$; one that depends on their distance alone |
# | $V$, $K$ | number of tokens; number of buckets of one side |

# %%
import torch
from torch import nn

from studium_topics.encoder_decoder import experiment
from studium_topics.encoder_decoder.experiment import LETTERS, SIZES
from studium_topics.encoder_decoder.model import EOS, FIRST, PAD, T5, Blocks, fresh_checkpoint
from studium_topics.encoder_decoder.widget import SourceReader
from studium_widgets import Diagram

# %% [markdown]
# ## A memory that is written once
#
# A translation may depend on any word of its source, including the last one. So source and answer get a stack of layers
# each. The encoder reads the source in both directions and turns each token into a vector $m_s$. The decoder writes the
# answer from left to right, and in every layer it may read all of these vectors. <dfn>Cross-attention</dfn> is
# attention whose queries come from one text and whose keys and values come from another.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.encoder_decoder", "flow.svg")

# %% [markdown]
# The source does not change while the answer grows. So its keys and values, the <dfn>memory</dfn> of an
# encoder-decoder, are computed once for each source and layer, $k_s = W_K m_s$ and $v_s = W_V m_s$, cut into heads. One
# token's key and value are a *slot* of the memory.

# %% exercise="remember"
from studium_topics.encoder_decoder.exercises import remember

# %% [markdown]
# ## Reading it
#
# A decoder's layer asks with its own vectors: the query at position $t$ is $q_t = W_Q z_t$, where $z_t$ is the vector
# there, normalised. For one head,
#
# $$\operatorname{read}_t = \sum_{s=1}^{S} a_{ts} v_s, \qquad
# a_{ts} = \frac{\exp(q_t \cdot k_s + b_{ts})}{\sum_{r} \exp(q_t \cdot k_r + b_{tr})} .$$
#
# That is a dictionary that can be differentiated: $q_t$ is looked up among the keys, and what comes back is a mixture
# of values. The heads' results, side by side, go through a matrix $W_O$. The bias $b_{ts}$ closes slots, here those of
# padding. There is no causal mask, because the whole source is
# there before the first token of the answer. *Self*-attention is the special case in which both sides are the same
# text, so T5's code, and yours, needs only one function.
#
# You may miss the division by $\sqrt{d}$. T5 has none.
#
# <details><summary>Derivation</summary>
#
# The normalised vector $z_t$ holds $D$ numbers with mean square 1, and so does $m_s$. T5 draws the entries of $W_K$
# with variance $1/D$, so each number of a key has variance $D \cdot 1/D = 1$. The entries of $W_Q$ have variance $1/(D
# d)$, so each number of a query has variance $1/d$. A score is a sum of $d$ products of independent numbers with mean
# 0, so its variance is $d \cdot 1 \cdot 1/d = 1$. The division has moved into the first weights. From there on,
# training decides.
# </details>

# %% exercise="cross_attention"
from studium_topics.encoder_decoder.exercises import cross_attention

# %% [markdown]
# **Think about it.** Put the slots of the memory into another order. What does the decoder notice?
#
# <details><summary>Answer</summary>
#
# Nothing: the sum over $s$ is the same. T5 adds no positions to its cross-attention, so a slot is found by *what is in
# it*, never by its number. If the decoder needs the letter "left of *t*", the encoder must have written that into a
# slot.
# </details>
#
# ## How far, not where
#
# So the encoder must know what is left and right of each token. T5 adds no position to the tokens either. In
# self-attention, each head adds to a score a learned number $b_{s-t}$ that depends on the *distance* alone. A
# <dfn>relative bias</dfn> is a number for each head and distance that is added to the attention scores.
#
# How many numbers does that take? A text may have thousands of tokens, and whether a word is 500 or 510 tokens away
# hardly matters, whereas 1 or 2 makes a difference. So T5 puts distances into buckets: each near distance has its own,
# and the far ones share buckets, each of which ends a constant *factor* farther away than the one before.

# %% exercise="relative_bucket"
from studium_topics.encoder_decoder.exercises import relative_bucket

# %%
bucket = lesson.mine(relative_bucket)
for name, both in (("encoder, keys before the query", True), ("decoder", False)):
    edges = [n for n in range(1, 200) if bucket(torch.tensor(-n), both) > bucket(torch.tensor(1 - n), both)]
    print(f"{name}: a new bucket begins at the distances {edges}")

# %% [markdown]
# There are three patterns of who sees whom, and the bias produces all three. In the encoder every token sees every
# token. In the decoder a token sees itself and what came before it. In cross-attention it sees the whole source.
#
# The first layer's table serves all layers of its stack, and a cached decoder needs only the rows of its new queries.

# %% exercise="position_bias"
from studium_topics.encoder_decoder.exercises import position_bias

# %% [markdown]
# ## The decoder's layer
#
# A layer of the encoder has two parts, attention and a feed-forward network, as in *encoder-only*; like Llama, T5
# normalises only the copy that a part reads (`rmsnorm` and `feed_forward` are given). The decoder's layer has three
# parts, with cross-attention in the middle. So there are **two caches**: one for its own tokens, which grows by one
# token a step, and the memory, which never changes.

# %% exercise="decoder_layer"
from studium_topics.encoder_decoder.exercises import decoder_layer

# %% [markdown] tags=["experiment"]
# The class `T5` of this lesson puts your blocks together: the encoder, the layers of the decoder, and the embedding,
# which is also the head. In practice this model is `T5ForConditionalGeneration` of the library transformers. The next
# cell creates one with random weights and runs the same weights through your functions.

# %% tags=["experiment", "bridge"]
blocks = Blocks(*(lesson.mine(part) for part in (remember, cross_attention, position_bias, decoder_layer)))
try:
    from transformers import T5Config, T5ForConditionalGeneration
except ImportError:
    print("transformers is not installed here, so there is nothing to compare with; the lesson goes on without it")
else:
    shape = {"vocab_size": 50, "d_model": 32, "d_kv": 8, "d_ff": 40, "num_layers": 2, "num_heads": 4}
    library = T5ForConditionalGeneration(T5Config(**shape, decoder_start_token_id=0)).eval()
    source, answer = torch.arange(2, 20).view(2, 9), torch.arange(14).view(2, 7)
    with torch.no_grad():
        theirs = library(input_ids=source, decoder_input_ids=answer).logits
        ours = T5(library.state_dict(), 4, blocks)(source, answer)
    print(f"transformers.T5ForConditionalGeneration, same weights: logits differ by {(theirs - ours).abs().max():.1e}")

# %% [markdown] tags=["experiment"]
# Who sees whom? Change one token at a time, and see which logits move. And do the two caches change anything?

# %% tags=["experiment"]
seen = experiment.reach(*vars(blocks).values(), profile=lesson.profile, seed=0)
print(f"a token of the source changes:  every logit moves, by at least {seen.source:.2f}")
print(
    f"an input of the decoder changes: logits before it move by {seen.left:.1e}, later ones by {seen.right:.2f} or more"
)
print(f"one token at a time, with both caches: logits differ by {seen.cached:.1e} from those of the whole text")

# %% [markdown]
# ## Twice the parameters, the same work
#
# An encoder and a decoder of $L$ layers have more than twice the parameters of a decoder-only model of $L$ layers. Do
# they cost twice as much? Count multiplications with matrices, for a source of $S$ tokens and an answer of $T$. A layer
# of the encoder has $4D^2 + 2DF$ weights, where $F$ is the width of the feed-forward network, and works on $S$ tokens.
# A layer of the decoder has $8D^2 + 2DF$. It works on $T$ tokens, except for $2D^2$ of them, the keys and values of the
# memory, which work on $S$. A decoder-only model reads source and answer with the same weights: $4D^2 + 2DF$, on
# $S + T$ tokens.

# %%
width, hidden, layers, source_length, answer_length = 512, 2048, 6, 512, 114
one_stack, memory_part = 4 * width**2 + 2 * width * hidden, 2 * width**2
parameters = layers * (2 * one_stack + 2 * memory_part) / (layers * one_stack)
work = source_length * (one_stack + memory_part) + answer_length * (one_stack + memory_part)
work /= (source_length + answer_length) * one_stack
print(f"an encoder-decoder against a decoder-only model: {parameters:.2f} × the parameters, {work:.2f} × the work")

# %% [markdown]
# Each token goes through one stack only. So an encoder-decoder with $2P$ parameters costs about as much as a language
# model with $P$; the T5 paper compares architectures in this way (section 3.2).
#
# ## Training with the answer at hand
#
# The model gives a probability to a whole answer, by the definition of conditional probability:
#
# $$p(y \mid x) = \prod_{t=1}^{T} p(y_t \mid x, y_1, \dots, y_{t-1}) .$$
#
# Maximum likelihood minimises $-\log p(y \mid x)$ of the true answers, which by this product is a sum over positions.
# Each term has the *true* tokens before $t$ as its condition, and those are known before training starts. So all terms
# are computed in one pass, without the model's own guesses. <dfn>Teacher forcing</dfn> feeds a decoder the true answer,
# shifted by one position, so that each token is predicted from the true tokens before it.
#
# In a decoder-only model the logits are shifted against the text. Here the decoder's *input* is shifted: a start token
# comes first, and the last token is never read. T5 starts with the token for padding. The version in the exercise has
# been written many times, because it looks right, and its loss is excellent.

# %% exercise="teacher_forced_loss"
from studium_topics.encoder_decoder.exercises import teacher_forced_loss

# %% [markdown] tags=["experiment"]
# ## Train it
#
# The task: 4 to 9 different letters out of 20, backwards. Letters are drawn at random, so only the source can say what
# the answer is. Here is a whole training run of one layer on each side, about ten seconds.

# %% tags=["experiment"]
loss_of, steps = lesson.mine(teacher_forced_loss), experiment.steps_of(lesson.profile)
checkpoint = fresh_checkpoint(SIZES, seed=0, device=lesson.profile.device)
model = T5(checkpoint, SIZES.heads, blocks)
optimizer = torch.optim.AdamW(checkpoint.values(), lr=experiment.RATE, weight_decay=0.0)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, experiment.RATE, total_steps=steps)
generator, losses = torch.Generator().manual_seed(0), []
for _ in range(steps):
    source, labels = experiment.pairs("reverse", 64, generator, lesson.profile.device)
    memory, closed = model.memory(source), model.closed(source)
    loss = loss_of(lambda ids: model.decode(ids, memory, closed)[0], labels, PAD, PAD)  # noqa: B023
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(checkpoint.values(), 1.0)
    optimizer.step()
    schedule.step()
    losses.append(loss.item())
print(f"loss: {losses[0]:.2f} at first, {losses[-1]:.4f} at last")

# %% [markdown]
# ## Decoding with two caches
#
# Now the answer does not exist yet. At each step the decoder reads its newest token, and everything else comes from the
# two caches. The simplest rule takes the likeliest token. `step` below has read the source once and holds its memory.

# %% exercise="greedy"
from studium_topics.encoder_decoder.exercises import greedy

# %% tags=["experiment"]
letters = ["", "|", *LETTERS, "~"]
source, _ = experiment.held_out("reverse", 0, lesson.profile.device)
answers = experiment.answered(model, source[:4], lesson.mine(greedy))
for row, answer in zip(source.tolist(), answers.tolist(), strict=False):
    print("".join(letters[token] for token in row), "→", "".join(letters[token] for token in answer))

# %% [markdown] tags=["experiment"]
# Now the loss with the leak. Both models start from the same weights and see the same batches; only the loss differs.

# %% tags=["experiment"]
lesson.predict("leak", ..., "What percentage of the answers does the model get right whose loss leaked the labels?")

# %% tags=["experiment"]
parts = (*vars(blocks).values(), loss_of, lesson.mine(greedy))
leak = experiment.leak(*parts, profile=lesson.profile, seed=0)
print(f"shifted: loss {leak.losses[0]:.3f} in the end, {leak.shifted.accuracy:6.1%} of the answers right")
print(f"leaky:   loss {leak.losses[1]:.3f} in the end, {leak.leaky.accuracy:6.1%}")
figures.leaking(leak)

# %% tags=["experiment"]
lesson.found("leak", 100 * leak.leaky.accuracy)

# %% [markdown] tags=["experiment"]
# The loss that leaks ends *lower*, and its model gets no answer right. (Laptop profile, seed 2: loss 0.010 with the
# shift and 0.003 with the leak, 99 and 0 % of the answers right.) From the second position on, it reads the label
# that it is asked for and repeats it. When it decodes, that label is not there, so it repeats its own guesses. No
# curve of a training loss shows this. Decode a few answers early, and be suspicious of a loss that falls faster than
# the task allows.
#
# ## What is in the memory?
#
# Before attention, a decoder had one vector of the source. The next cell trains six models: three tasks, each with all
# of the memory and with its last slot alone, the one of eos. Everything else is the same: the start, the batches, the
# number of parameters, and an encoder that reads the whole source. It takes about a minute.

# %% tags=["experiment"]
lesson.predict("one slot", ..., "What percentage of the answers is right if the decoder that sorts sees one slot?")

# %% tags=["experiment"]
found = experiment.alignment(*parts, profile=lesson.profile, seed=0)
print("whole answers right     all slots   one slot   looks at the next letter   at the last one written")
for task in experiment.TASKS:
    after, before = found.looks[task]
    full, one = found.full[task].accuracy, found.one[task].accuracy
    print(f"{task:22} {full:10.1%} {one:10.1%} {after:18.1%} {before:25.1%}")
print(f"reversing with the memory of the next source: {found.swapped:.1%} are the answer to that source")
print(f"reversing with an empty memory:                {found.closed:.1%} right")

# %% tags=["experiment"]
lesson.found("one slot", 100 * found.one["sort"].accuracy, within=0.25)

# %% [markdown] tags=["experiment"]
# **With all slots nearly every answer is right. With one slot, hardly any copy or reversal is, but most sorted
# answers are.** (Laptop profile, seeds 0 to 2: 99 to 100 % with all slots; with one slot, 91, 82 and 70 % for
# sorting and 3 to 5 % in four runs of the others.) A sorted answer needs only the *set* of letters, and 32 numbers
# have room for a set. Copying needs the *order*, and 400 steps do not teach the encoder to pack an order into one
# vector. Attention leaves each letter where it is, and fetches it when it is needed.
#
# In 2014 this was the finding of [Bahdanau et al.](https://arxiv.org/abs/1409.0473), table 1. Trained to translate
# sentences of up to 50 words from English to French, the model that reads all of the source (*RNNsearch-50*) has 26.75
# BLEU, and the one that gets a single vector (*RNNencdec-50*) 17.82; with up to 30 words 21.50 and 13.93.
#
# **The puzzle.** The decoder knows the letter that it wrote last, and a slot is found by what is in it. So there are
# two ways to get at a neighbour, and the encoder prepares one of them, because its heads look one place to the left or
# right. Either the *key* of a slot names the letter beside it: then the decoder asks for the last letter, arrives at
# the next one, and reads that. Or the *value* names the letter beside it: then it arrives at the last letter, and
# reads the next one there. For this seed, the model that copies does the first and the model that reverses does the
# second; with seed 1 both do the first. The model that sorts needs no neighbours: it has to find the smallest letter
# after the last one, and no single head does that alone.
#
# So **a weight says where a value was read, not what the value says.** An alignment is not an explanation. The last two
# lines of the table are the evidence: with another memory, the model answers the other source.
#
# If slots are found by content, then a longer source should do no harm, but a letter that occurs twice should. Training
# had at most nine letters, all different.

# %% tags=["experiment"]
draw = torch.Generator().manual_seed(1)
many = (FIRST + torch.rand(200, 20, generator=draw).argsort(1)).to(lesson.profile.device)
twice = many[:, :8].clone()
twice[:, 5] = twice[:, 2]
for name, text in (("20 different letters", many), ("8 letters, the third again as the sixth", twice)):
    end = torch.full_like(text[:, :1], EOS)
    answers = experiment.answered(model, torch.cat([text, end], 1), lesson.mine(greedy), 21)
    backwards = torch.cat([text.flip(1), end], 1)
    accuracy = experiment.right(answers[:, : backwards.shape[1]], backwards)
    print(f"{name}: {accuracy:.1%} right; {''.join(letters[token] for token in answers[0].tolist())}")

# %% [markdown] tags=["experiment"]
# Twenty letters are no problem. But once a letter occurs twice, the query that asks for it finds two slots and reads
# half of each. The model skips what is between them, or writes it again and again. A position would tell them apart;
# T5 must make do with more context in each vector.
#
# Here are your three models. Give them other letters, and exchange or close the memory.

# %% tags=["experiment", "widget"]
SourceReader.of({task: run.model.checkpoint for task, run in found.full.items()}, LETTERS, heads=SIZES.heads)

# %% [markdown]
# ## Searching for the likeliest answer
#
# Greedy search takes the likeliest *token* at each step. The likeliest *answer* may begin with another one. Suppose a
# sentence has one translation of probability 0.4, and six others of probability 0.1 each that all begin with the same
# word. Greedy search takes that word, because its probability is 0.6, and ends at an answer of probability 0.1.
#
# <dfn>Beam search</dfn> keeps several unfinished answers at once, and at each step the likeliest of all their
# extensions. An answer's cache must move with it: when two extensions of answer 3 are kept and none of answer 1, the
# rows of the cache are copied and dropped in the same way. The memory of the source is the same for all answers, so it
# is neither copied nor moved.
#
# Finished answers of different lengths are compared by $\log p / T^{\alpha}$. With $\alpha = 0$ that is $\log p$, which
# falls with every token and so prefers short answers; a larger $\alpha$ favours longer ones.

# %% exercise="beam_search"
from studium_topics.encoder_decoder.exercises import beam_search

# %% [markdown] tags=["experiment"]
# Here is that situation as a task. With probability 0.4 the answer is a copy of the source; otherwise it is the mark
# `~`, one letter of the source, and the end. So the copy has log p = ln 0.4 = −0.92, and each of the short answers to a
# source of S letters has ln(0.6 / S). How often does a beam find the copy?

# %% tags=["experiment"]
lesson.predict("beam of 1", ..., "What is the mean log p of the answers of a beam of 1, in nats?")

# %% tags=["experiment"]
searched = experiment.search(*parts[:-1], lesson.mine(beam_search), profile=lesson.profile, seed=0)
print(f"in the data: log p {searched.copy:.2f} for a copy, {searched.short:.2f} on average for the mark and a letter")
for width, logp in searched.logp.items():
    print(f"a beam of {width}: log p {logp:6.2f} on average, {searched.copies[width]:6.1%} copies")
source, _ = experiment.held_out("copy", 0, lesson.profile.device)
for width in (1, 2):
    tokens, logp = experiment.searched(searched.model, source[0, source[0] != PAD], lesson.mine(beam_search), width)
    print(f"for example, a beam of {width}: {''.join(letters[token] for token in tokens)}, log p {logp:.2f}")

# %% tags=["experiment"]
lesson.found("beam of 1", searched.logp[1])

# %% [markdown] tags=["experiment"]
# A beam of 1 goes wrong at the first token: it takes the mark, the likeliest one, and then has six or seven letters to
# choose from, none of them likely. A beam of 2 keeps the copy as its second answer, and after the next token it
# is ahead. (Seeds 0 and 2: the mean log p is −2.2 and −2.3 with a beam of 1, −1.1 and −1.0 with wider ones. The
# model's own log p is a little off ln 0.4, because it has learned the probabilities from samples.) A beam wider than
# 2 finds nothing more.
#
# Is the likeliest answer the best one? Not always. [Stahlberg and Byrne](https://arxiv.org/abs/1908.10090) searched
# exactly for the likeliest translation of a trained model, and for more than half of the sentences it was *empty*.
# The errors of greedy search and small beams hide such errors of the model. That is why $\alpha$ exists.
#
# ## What does not reproduce at this size
#
# * **T5's comparison of architectures.** In the GLUE column of its Table 2, trained to denoise, the encoder-decoder has
#   83.28, a decoder with a fully visible prefix 81.82, and a causal decoder 74.70. Our tasks say nothing about this: a
#   causal decoder learns to reverse letters, too. The comparison needs transfer from pretraining.
# * **Learned positions.** Our tables begin with one distance in view of each head; T5's begin near zero and are learned
#   over hundreds of thousands of steps. From T5's initialisation, 400 steps at twice this learning rate taught one of
#   three of our models to reverse (seeds 0 to 2: 19, 99 and 1 % of the answers right).
# * **The curse of wide beams.** Answers of at most ten letters leave little room for it.
# * **Alignments of a translation** are soft and need many heads and layers. Here one layer must do everything, so its
#   heads agree.
#
# ## Common misconceptions
#
# * *"An encoder-decoder costs twice as much."* It has twice the parameters, and each token goes through half of them.
# * *"The decoder gets the last state of the encoder."* It reads the vectors of all tokens, in every layer.
# * *"Cross-attention is causal."* The source is complete before the answer begins; only self-attention is causal.
# * *"The weight shows which word is translated."* It shows where a value was read; the value may be a neighbour's.
# * *"A wider beam gives better answers."* It gives likelier ones.
#
# ## You can now
#
# * run the weights of a published T5 with functions that you have written yourself;
# * say which of the two caches grows, which is shared, and which a beam has to reorder;
# * compute the bucket of a distance, and explain why far distances share one;
# * recognise a loss whose decoder reads its own answer, although the loss looks excellent;
# * find likelier answers than greedy search does, and choose between answers of different lengths.
#
# ## Open tasks
#
# * **Ten minutes.** Call `model.looks` on a source in which a letter occurs twice, with the right answer as input. You
#   should see two slots with about half of the weight each, right after that letter.
# * **An hour.** Let letters repeat in `pairs`, and train again. You should see fewer right answers after the same
#   number of steps. What must a query know now, and which part of the decoder can tell it?
# * **A day.** Train the encoder-decoder and a decoder-only model of *decoder-only* on the same pairs, at equal work and
#   at equal parameters, over several seeds. You should see that both learn to reverse. Which one gains from more
#   parameters at equal work?
#
# ## Further reading
#
# * [Raffel et al. 2019](https://arxiv.org/abs/1910.10683): T5. Section 2.1 describes what you have written; section 3.2
#   compares the three architectures.
# * [Vaswani et al. 2017](https://arxiv.org/abs/1706.03762): the Transformer was an encoder-decoder; section 3.2.3 lists
#   the three uses of attention.
# * [Bahdanau et al. 2014](https://arxiv.org/abs/1409.0473): the first attention, with maps of its alignments.
# * [Stahlberg and Byrne 2019](https://arxiv.org/abs/1908.10090): exact search in translation, and the empty answers
#   that it finds.
