# %% [markdown]
# # Encoder-decoder transformers (T5)
#
# The small model in the widget has read *planets* and is writing it backwards. Before each letter it looks at the
# source, and then it writes the right one. But look closely: to write *e*, it does not look at *e*. **It looks at *t*,
# the letter that it has just written.** How does it know what comes next?
#
# Move *Letters written*, and follow the lines from the answer to the source. Then choose the model that copies, and the
# one that sorts. Under *Put in a mistake*, you can close the memory or replace it with the memory of another source.

# %% tags=["widget"]
from studium_topics.encoder_decoder import figures

figures.opening()

# %% [markdown]
# In this lesson you will
#
# 1. write cross-attention and the layer of T5's decoder, and use them to run weights in T5's format;
# 2. derive T5's relative positions, in buckets that get wider with the distance;
# 3. find the leak in a loss that looks right, and train an encoder-decoder with a loop that you can see in full;
# 4. decode using two caches, greedily and with a beam;
# 5. tell what a decoder looks up in its source, and test this by swapping the memory.
#
# **You need** attention and masks from [encoder-only](encoder-only.ipynb), and next-token prediction from
# [decoder-only](decoder-only.ipynb). **Time:** 20 minutes of reading, 120 of coding, 2 of running.
#
# **History.** In 2014, a recurrent network would translate a sentence by squeezing it into a single vector and writing
# the translation from that. However, long sentences did not fit. [Bahdanau et al.](https://arxiv.org/abs/1409.0473)
# therefore let the decoder look back at all vectors of the source, and this was the first attention. The
# [Transformer](https://arxiv.org/abs/1706.03762) dropped the recurrence, and [T5](https://arxiv.org/abs/1910.10683)
# trained a single encoder-decoder for all the tasks that you can write as text in, text out.
#
# | symbol | meaning |
# |---|---|
# | $x_1, \dots, x_S$; $y_1, \dots, y_T$ | tokens of the source; tokens of the answer, the last is eos |
# | $B$, $D$, $H$, $d$ | texts in a batch, width of the stream, heads, width of a head: $D = H d$ |
# | $m_s$; $k_s$, $v_s$ | the encoder's vector of source token $s$; its key and value |
# | $q_t$, $a_{ts}$ | query of the decoder at position $t$; weight with which it reads slot $s$ |
# | $b_{ts}$, $b_{s-t}$ | bias on the score of query $t$ and key $s$; a bias that depends only on their distance |
# | $V$, $K$ | number of tokens; number of buckets of one side |

# %%
from studium import show_table
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
# A translation might depend on any word of its source, including the last one. So we need two stacks of layers. The
# encoder reads the source in both directions and turns each token into a vector $m_s$. The decoder writes the answer
# from left to right, and it can look at all of these vectors in each of its layers.
# <dfn>Cross-attention</dfn> is attention whose queries come from one text and whose keys and values come from another.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.encoder_decoder", "flow.svg")

# %% [markdown]
# The source does not change while the answer grows. So we need to compute its keys and values, the <dfn>memory</dfn> of
# an encoder-decoder, just once for each source and layer: $k_s = W_K m_s$ and $v_s = W_V m_s$, cut into heads. We will
# call the key and value of a token a *slot* of the memory.

# %% exercise="remember"
from studium_topics.encoder_decoder.exercises import remember

# %% [markdown]
# ## Reading it
#
# The queries come from the decoder's own vectors: at position $t$ we have $q_t = W_Q z_t$, where $z_t$ is the
# normalised vector there. For one head,
#
# $$\operatorname{read}_t = \sum_{s=1}^{S} a_{ts} v_s, \qquad
# a_{ts} = \frac{\exp(q_t \cdot k_s + b_{ts})}{\sum_{r} \exp(q_t \cdot k_r + b_{tr})} .$$
#
# You can think of this as a differentiable dictionary: we look up $q_t$ among the keys, and get back a mixture of
# values. We then put the results of all heads side by side and multiply them by a matrix $W_O$. A bias $b_{ts}$ of
# $-\infty$ closes a slot; here it closes the slots of padding. We don't need a causal mask, because the whole source is
# there before the first token of the answer. *Self*-attention is the special case where both sides are the same text,
# so T5's code needs just one function, and so does yours.
#
# Where is the division by $\sqrt{d}$? T5 leaves it out.
#
# <details><summary>Derivation</summary>
#
# The normalised vector $z_t$ has $D$ numbers with mean square 1, and so does $m_s$. T5 draws the entries of $W_K$ with
# variance $1/D$, so each number of a key has variance $D \cdot 1/D = 1$. The entries of $W_Q$ have variance $1/(D d)$,
# so each number of a query has variance $1/d$. A score is a sum of $d$ products of independent numbers with mean 0, so
# its variance is $d \cdot 1 \cdot 1/d = 1$. The division has moved into the initial weights. From there on, training
# decides.
# </details>

# %% exercise="cross_attention"
from studium_topics.encoder_decoder.exercises import cross_attention

# %% [markdown]
# **Think about it.** Suppose you put the slots of the memory in a different order. What will the decoder notice?
#
# <details><summary>Answer</summary>
#
# Nothing: the sum over $s$ is the same. T5 adds no positions to its cross-attention, so it finds a slot by *what is in
# it*, never by its number. If the decoder needs the letter "left of *t*", the encoder must have written that into a
# slot.
# </details>
#
# ## How far, not where
#
# So the encoder must know what is to the left and right of each token. T5 does not add positions to the tokens either.
# Instead, each head of self-attention adds to a score a learned number $b_{s-t}$ that depends only on the *distance*. A
# <dfn>relative bias</dfn> is a number for each head and distance that is added to the attention scores.
#
# How many numbers do we need for this? A text might have thousands of tokens, but it hardly matters whether a word is
# 500 or 510 tokens away, while it does for 1 or 2. So T5 puts distances into buckets. Near distances get separate
# buckets. Those far away share buckets, and each of these ends a constant *factor* farther away than the previous
# bucket.

# %% exercise="relative_bucket"
from studium_topics.encoder_decoder.exercises import relative_bucket

# %%
bucket = lesson.mine(relative_bucket)
for name, both in (("encoder, keys before the query", True), ("decoder", False)):
    edges = [n for n in range(1, 200) if bucket(torch.tensor(-n), both) > bucket(torch.tensor(1 - n), both)]
    print(f"{name}: a new bucket begins at the distances {edges}")

# %% [markdown]
# There are three patterns of who sees whom, and we can use the bias to get all three. In the encoder, all tokens see
# each other. In the decoder, a token can see itself and what came before it. In cross-attention, it can see the whole
# source.
#
# There is just one table in each stack: the first layer's, which all the other layers use too. A cached decoder only
# needs the rows for the new queries.

# %% exercise="position_bias"
from studium_topics.encoder_decoder.exercises import position_bias

# %% [markdown]
# ## The decoder's layer
#
# A layer of the encoder has two parts, attention and a feed-forward network, as in *encoder-only*. Like Llama, T5
# normalises only the copy that a part reads (we give you `rmsnorm` and `feed_forward`). The decoder's layer has three
# parts, with cross-attention in the middle. So there are **two caches**: one for the decoder's own tokens, which grows
# by a token in each step, and the memory, which never changes.

# %% exercise="decoder_layer"
from studium_topics.encoder_decoder.exercises import decoder_layer

# %% [markdown] tags=["experiment"]
# In this lesson, the class `T5` puts your blocks together: the encoder, the layers of the decoder, and the embedding,
# which is also the head. In practice you would use `T5ForConditionalGeneration` from the transformers library. The next
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
# Who sees whom? Let's change one token at a time, and see which logits move. And do the two caches change anything?

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
# they also cost twice as much? Let's count multiplications with matrices, for a source of $S$ tokens and an answer of
# $T$. A layer of the encoder has $4D^2 + 2DF$ weights, where $F$ is the width of the feed-forward network, and we use
# them for $S$ tokens. A layer of the decoder has $8D^2 + 2DF$. We use these for $T$ tokens, except for the $2D^2$
# weights that compute the keys and values of the memory. Those we use for $S$ tokens. A decoder-only model reads source
# and answer with the same weights: $4D^2 + 2DF$, for $S + T$ tokens.

# %%
width, hidden, layers, source_length, answer_length = 512, 2048, 6, 512, 114
one_stack, memory_part = 4 * width**2 + 2 * width * hidden, 2 * width**2
parameters = layers * (2 * one_stack + 2 * memory_part) / (layers * one_stack)
work = source_length * (one_stack + memory_part) + answer_length * (one_stack + memory_part)
work /= (source_length + answer_length) * one_stack
print(f"an encoder-decoder against a decoder-only model: {parameters:.2f} × the parameters, {work:.2f} × the work")

# %% [markdown]
# Each token goes through only one stack. So an encoder-decoder with $2P$ parameters costs about as much as a language
# model with $P$, and this is how the T5 paper compares architectures (section 3.2).
#
# ## Training with the answer at hand
#
# The model gives a probability to a whole answer, by the definition of conditional probability:
#
# $$p(y \mid x) = \prod_{t=1}^{T} p(y_t \mid x, y_1, \dots, y_{t-1}) .$$
#
# In maximum likelihood, we minimise $-\log p(y \mid x)$ of the true answers, and this product turns it into a sum over
# positions. In each term, the condition is the *true* tokens before $t$, which we know before training starts. So we
# can compute all terms in one pass, and the model does not need to make guesses of its own. <dfn>Teacher forcing</dfn>
# feeds a decoder the true answer, shifted by one position, so that it predicts each token from the true tokens before
# it.
#
# In a decoder-only model we shift the logits against the text. Here we shift the decoder's *input*: we put a start
# token in front, and the decoder never reads the last token. T5 uses the padding token as the start. The exercise has a
# version that people have written many times, because it looks right, and its loss is excellent.

# %% exercise="teacher_forced_loss"
from studium_topics.encoder_decoder.exercises import teacher_forced_loss

# %% [markdown] tags=["experiment"]
# ## Train it
#
# We want a model that writes 4 to 9 different letters out of 20 backwards. We draw the letters at random, so the answer
# can only come from the source. Here is a whole training run with one layer on each side, about ten seconds long. Again
# we use no weight decay.

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
# Now we want the model to write an answer that does not exist yet. In each step we give the decoder its newest token,
# and everything else comes from the two caches. The simplest way to choose a token is to take the likeliest. When we
# call `step` below, it has already read the source and holds its memory.

# %% exercise="greedy"
from studium_topics.encoder_decoder.exercises import greedy

# %% tags=["experiment"]
letters = ["", "|", *LETTERS, "~"]
source, _ = experiment.held_out("reverse", 0, lesson.profile.device)
answers = experiment.answered(model, source[:4], lesson.mine(greedy))
for row, answer in zip(source.tolist(), answers.tolist(), strict=False):
    print("".join(letters[token] for token in row), "→", "".join(letters[token] for token in answer))

# %% [markdown] tags=["experiment"]
# Now let's try the loss with the leak. Both models start from the same weights and see the same batches; they differ
# only in the loss.

# %% tags=["experiment"]
lesson.predict("leak", ..., "What percentage of the answers will the model with the leaky loss get right?")

# %% tags=["experiment"]
parts = (*vars(blocks).values(), loss_of, lesson.mine(greedy))
leak = experiment.leak(*parts, profile=lesson.profile, seed=0)
print(f"shifted: loss {leak.losses[0]:.3f} in the end, {leak.shifted.accuracy:6.1%} of the answers right")
print(f"leaky:   loss {leak.losses[1]:.3f} in the end, {leak.leaky.accuracy:6.1%}")
figures.leaking(leak)

# %% tags=["experiment"]
lesson.found("leak", 100 * leak.leaky.accuracy)

# %% [markdown] tags=["experiment"]
# The leaky loss ends *lower*, and its model gets no answer right. (Laptop profile, seed 2: loss 0.010 with the shift
# and 0.003 with the leak, 99 and 0 % of the answers right.) From the second position on, the model reads the very label
# that we ask it for, and repeats it. When it decodes, the label is not there, so it repeats its own guesses. You will
# not see this in any curve of a training loss. Decode a few answers early, and be suspicious if a loss falls faster
# than the task allows.
#
# ## What is in the memory?
#
# Before attention, a decoder got a single vector of the source. In the next cell we train six models: three tasks, each
# with all of the memory and with only its last slot, which belongs to eos. Everything else is the same: the initial
# weights, the batches, the number of parameters, and an encoder that reads the whole source. It takes about a minute.

# %% tags=["experiment"]
lesson.predict("one slot", ..., "What percentage of answers will be right if the sorting decoder sees only one slot?")

# %% tags=["experiment"]
found = experiment.alignment(*parts, profile=lesson.profile, seed=0)
rows = []
for task in experiment.TASKS:
    answers = (found.full[task].accuracy, found.one[task].accuracy)
    rows.append((task, *(f"{share:.1%}" for share in (*answers, *found.looks[task]))))
show_table(
    ["whole answers right", "all slots", "one slot", "looks at the next letter", "at the last one written"], rows
)
print(f"reversing with the memory of the next source: {found.swapped:.1%} are the answer to that source")
print(f"reversing with an empty memory:                {found.closed:.1%} right")

# %% tags=["experiment"]
lesson.found("one slot", 100 * found.one["sort"].accuracy, within=0.25)

# %% [markdown] tags=["experiment"]
# **With all slots, nearly every answer is right. With one slot, hardly any copy or reversal is, but most sorted answers
# are.** (Laptop profile, seeds 0 to 2: 99 to 100 % with all slots; with one slot, 91, 82 and 70 % for sorting and 3 to
# 5 % in four runs of the others.) To sort, you only need the *set* of letters, and 32 numbers have room for a set. To
# copy, you need the *order*, and 400 steps are not enough to teach the encoder to pack an order into one vector.
# Attention can leave each letter where it is and fetch it when it is needed.
#
# [Bahdanau et al.](https://arxiv.org/abs/1409.0473) found the same in 2014 (table 1). They trained models to translate
# from English to French. With sentences of up to 50 words, the model that can look at all of the source
# (*RNNsearch-50*) has 26.75 BLEU, and the model that gets a single vector (*RNNencdec-50*) has 17.82. With up to 30
# words, these numbers are 21.50 and 13.93.
#
# **The puzzle.** The decoder knows the letter that it wrote last, and it finds a slot by what is in it. So there are
# two ways to get to a neighbour, and the encoder, whose heads look one place to the left or right, prepares one of
# these. If the *key* of a slot names the letter next to it, the decoder can ask for the last letter, arrive at the next
# letter, and read that. If the *value* names the letter next to it, the decoder arrives at the last letter, but can
# read the next letter there. For this seed, the model that copies uses the first way, and the model that reverses uses
# the second. With seed 1, both use the first. The model that sorts does not need neighbours. It must find the smallest
# letter after the last one, and no single head can do this by itself.
#
# So **a weight tells you where a value was read, but not what the value contains.** An alignment is not an explanation.
# You can find the evidence in the last two lines of the table: if we give the model another memory, it answers the
# other source.
#
# If the decoder finds slots by content, then a longer source should do no harm, but a letter that occurs twice should.
# In training there were at most nine letters, all different.

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
# Twenty letters are not a problem. But when a letter occurs twice, a query for it finds two slots and reads half of
# each. The model skips what is between the two, or writes it again and again. Positions could tell them apart, but T5
# must make do with more context in each vector.
#
# Here are your three models. Try other letters, and swap or close the memory.

# %% tags=["experiment", "widget"]
SourceReader.of({task: run.model.checkpoint for task, run in found.full.items()}, LETTERS, heads=SIZES.heads)

# %% [markdown]
# ## Searching for the likeliest answer
#
# In greedy search, we take the likeliest *token* in each step. But the likeliest *answer* might begin with another
# token. Suppose there is a translation with probability 0.4, and there are six others with probability 0.1 each, which
# all begin with the same word. Greedy search takes that word, because its probability is 0.6, and ends up with an
# answer of probability 0.1.
#
# With <dfn>beam search</dfn>, we keep several unfinished answers at once, and in each step we choose the likeliest of
# all their extensions. The cache of an answer must move with it: if we keep two extensions of answer 3 and none of
# answer 1, we have to copy and drop the rows of the cache in the same way. The memory of the source is the same for all
# answers, so we neither copy nor move it.
#
# We also want to know how to compare finished answers of different lengths. We use $\log p / T^{\alpha}$. With $\alpha
# = 0$ this is just $\log p$, which falls with every token and so prefers short answers. A larger $\alpha$ favours
# longer ones.

# %% exercise="beam_search"
from studium_topics.encoder_decoder.exercises import beam_search

# %% [markdown] tags=["experiment"]
# Let's turn this situation into a task. With probability 0.4 the answer is a copy of the source; otherwise it is the
# mark `~`, one letter of the source, and the end. So the copy has log p = ln 0.4 = −0.92, and for a source of S letters
# each of the short answers has ln(0.6 / S). How often will a beam find the copy?

# %% tags=["experiment"]
lesson.predict("beam of 1", ..., "What is the mean log p of the answers of a beam of 1, in nats?")

# %% tags=["experiment"]
searched = experiment.search(*parts[:-1], lesson.mine(beam_search), profile=lesson.profile, seed=0)
print(f"in the data: log p {searched.copy:.2f} for a copy, {searched.short:.2f} on average for the mark and a letter")
show_table(
    ["beam", "log p on average", "copies"],
    [(width, f"{logp:.2f}", f"{searched.copies[width]:.1%}") for width, logp in searched.logp.items()],
)
source, _ = experiment.held_out("copy", 0, lesson.profile.device)
for width in (1, 2):
    tokens, logp = experiment.searched(searched.model, source[0, source[0] != PAD], lesson.mine(beam_search), width)
    print(f"for example, a beam of {width}: {''.join(letters[token] for token in tokens)}, log p {logp:.2f}")

# %% tags=["experiment"]
lesson.found("beam of 1", searched.logp[1])

# %% [markdown] tags=["experiment"]
# A beam of 1 goes wrong at the first token. It takes the mark, which is likeliest, and then it must choose from six or
# seven letters, none of which is likely. A beam of 2 also stores the copy, as its second answer, and after the next
# token the copy is ahead. (Seeds 0 and 2: the mean log p is −2.2 and −2.3 with a beam of 1, −1.1 and −1.0 with wider
# ones. The model's own log p is a little off ln 0.4, because it learned the probabilities from samples.) If you make
# the beam wider than 2, it finds nothing more.
#
# Is the likeliest answer the best one? Not always. [Stahlberg and Byrne](https://arxiv.org/abs/1908.10090) searched
# exactly for the likeliest translation of a trained model. For more than half of the sentences it was *empty*. Greedy
# search and small beams make errors too, and those hide such errors of the model. This is why we need $\alpha$.
#
# ## What does not reproduce at this size
#
# * **T5's comparison of architectures.** In the GLUE column of its Table 2, trained to denoise, the encoder-decoder has
#   83.28, a decoder with a fully visible prefix 81.82, and a causal decoder 74.70. Our tasks cannot show this, because
#   a causal decoder learns to reverse letters too. The comparison needs transfer from pretraining.
# * **Learned positions.** In our tables, each head begins with one distance in view. T5's begin near zero and are
#   learned over hundreds of thousands of steps. From T5's initialisation, 400 steps at twice this learning rate taught
#   one of three of our models to reverse (seeds 0 to 2: 19, 99 and 1 % of the answers right).
# * **The curse of wide beams.** Answers of at most ten letters leave little room for it.
# * **Alignments of a translation** are soft and need many heads and layers. Here a single layer must do everything, so
#   its heads agree.
#
# ## Common misconceptions
#
# * *"An encoder-decoder costs twice as much."* It has twice the parameters, but each token goes through half of them.
# * *"The decoder gets the last state of the encoder."* It reads the vectors of all tokens, in every layer.
# * *"Cross-attention is causal."* The source is complete before the answer begins; only self-attention is causal.
# * *"The weight shows which word is translated."* It shows where a value was read, but the value may be a neighbour's.
# * *"A wider beam gives better answers."* It gives likelier ones.
#
# ## You can now
#
# * run weights in T5's format, using functions that you have written yourself;
# * tell which of the two caches grows, which is shared, and which a beam has to reorder;
# * compute the bucket of a distance, and explain why far distances share one;
# * recognise a loss whose decoder reads its own answer, even though the loss looks excellent;
# * find likelier answers than greedy search does, and choose between answers of different lengths.
#
# ## Open tasks
#
# * **Ten minutes.** Call `model.looks` on a source in which a letter occurs twice, with the right answer as input. You
#   should see two slots with about half of the weight each, right after that letter.
# * **An hour.** Let letters repeat in `pairs`, and train again. You should see fewer right answers after the same
#   number of steps. What does a query need to know now, and which part of the decoder can tell it?
# * **A day.** Train the encoder-decoder and a decoder-only model from *decoder-only* on the same pairs, at equal work
#   and at equal parameters, over several seeds. You should see that both learn to reverse. Which one gains from more
#   parameters at equal work?
#
# ## Further reading
#
# * [Raffel et al. 2019](https://arxiv.org/abs/1910.10683): T5. Section 2.1 describes what you have written; section 3.2
#   compares the three architectures.
# * [Vaswani et al. 2017](https://arxiv.org/abs/1706.03762): the Transformer was an encoder-decoder. Section 3.2.3 lists
#   the three uses of attention.
# * [Bahdanau et al. 2014](https://arxiv.org/abs/1409.0473): the first attention, with maps of its alignments.
# * [Stahlberg and Byrne 2019](https://arxiv.org/abs/1908.10090): exact search in translation, and the empty answers
#   that it finds.
