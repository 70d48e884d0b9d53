# %% [markdown]
# # RoBERTa: a robustly optimised recipe
#
# Two students pretrain the same encoder on the same rows of text, for the same number of updates, from the same first
# weights. One ends with a training loss of 0.2 nats a token, the other with 1.5. On held-out text, the first model is a
# whole nat **worse**.
#
# Their programs differ in one line: *when* the masks are drawn. What did the first model learn?
#
# The board shows two rows of text and the words that the loss asks for. Play the epochs with static and with dynamic
# masks: which words does the loss never ask for? Then look at the held-out loss, and change the rows under *More*. (The
# losses were measured with this lesson's experiments at `laptop`, seed 0.)

# %% tags=["widget"]
from studium_topics.roberta import figures

figures.opening_board()

# %% [markdown]
# BERT (2018) hid 15 % of the tokens and learned to predict them. Its successors of 2019 changed the training task or
# the architecture and beat it, so such changes seemed necessary.
# [RoBERTa](https://arxiv.org/abs/1907.11692) (Liu et al. 2019) kept BERT's architecture and its main task, *masked
# language modelling* (MLM), and measured one choice of the recipe at a time. The result matched or beat all of them:
# BERT had been undertrained.
#
# In this lesson you will
#
# 1. **build** the input pipeline: packing full sentences, masking them anew in each epoch, numbering positions;
# 2. **train** with batches that do not fit into memory, in a pretraining loop that you write;
# 3. **derive** how much of a text static masks leave out;
# 4. **judge** an ablation: what changed, what stayed fixed, and what the budget was;
# 5. **measure** masks, input formats and batch sizes, each against the row in which only that changes.
#
# You need the topic [encoder-only](encoder-only.ipynb), or to know BERT's masked language modelling. Allow 20 minutes
# for reading, 90 for coding and 5 while models train.

# %%
import math

import torch

from studium_topics.kits import grammar
from studium_topics.roberta import setting, stories, tokens
from studium_topics.roberta.batches import accumulated, batches
from studium_topics.roberta.formats import formats
from studium_topics.roberta.masking import masking
from studium_topics.roberta.library import roberta_model
from studium_topics.roberta.model import Roberta
from studium_widgets import Diagram

# %% [markdown]
# | symbol | meaning |
# |---|---|
# | $N, B, T$ | rows in the data, rows in a batch, tokens in a row |
# | $V$ | tokens in the vocabulary |
# | $p$ | the masking rate, 0.15 |
# | $E, K$ | epochs, and static masks drawn for each row |
# | $M$ | the chosen tokens of a batch, those that the loss asks for |
# | $U, n$ | updates of a training run, and the number of an update, from 1 to $U$ |
# | $\eta, w$ | the peak learning rate, and the updates until it is reached |
#
# ## The pipeline is part of the model
#
# The model never reads a document. It reads rows that a program cut from the documents, under masks that the program
# drew. RoBERTa changes two steps of this program: how rows are made, and when masks are drawn.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.roberta", "flow.svg")

# %% [markdown]
# ### When are the masks drawn?
#
# With <dfn>static masking</dfn>, the masks are drawn once, when the data are prepared, and written to disk with them.
# BERT's code did this, but it wrote each sequence ten times with ten different masks. In 40 epochs of training, each
# mask was therefore seen four times (section 4.1). With <dfn>dynamic masking</dfn>, a new mask is drawn every time a
# row is fed to the model.
#
# Suppose that $K$ masks were drawn and that each chooses a token with probability $p$. How much of the text does the
# loss ever ask for? Derive it before you compute it: for one token, think of the masks that do *not* choose it.

# %% exercise="coverage"
from studium_topics.roberta.exercises import coverage

# %%
share = lesson.mine(coverage)
for name, copies in (("one static mask", 1), ("ten static masks", 10), ("dynamic masking", None)):
    print(f"{name:17s} {float(share(0.15, 40, copies)):7.2%} of the tokens are asked for in 40 epochs")

# %% [markdown]
# <details><summary>Derivation</summary>
#
# One mask leaves a token out with probability $1 - p$. Masks are drawn independently, so $m$ of them all leave it out
# with probability $(1-p)^m$, and at least one chooses it with probability $1 - (1-p)^m$. By linearity this is also the
# expected share of all tokens. Static masking has $m = \min(E, K)$ masks that differ, dynamic masking $m = E$.
# </details>
#
# So one static mask leaves 85 % of the text as blind spots: the model never has to predict them. The other 15 % it can
# memorise without learning any language, because the same row always has the same answers.
#
# Now write the function that masks. BERT's shares stay the same: of the chosen tokens, 80 % become the mask token,
# 10 % a random token, and 10 % stay.

# %% exercise="mask_tokens"
from studium_topics.roberta.exercises import mask_tokens

# %%
noise, draws = setting.noise_of(lesson.mine(mask_tokens)), torch.Generator().manual_seed(1)
row = grammar.encode("[CLS] these small dogs sleep . this old fox runs . [SEP]")[None]
for _ in range(3):
    noisy, labels = noise(row, draws)
    pairs = zip(grammar.decode(noisy[0]).split(), labels[0].tolist(), strict=True)
    print(" ".join(word if label < 0 else f"«{word} ← {grammar.WORDS[label]}»" for word, label in pairs))

# %% [markdown]
# Each call draws anew, so dynamic masking only has to call `mask_tokens` again in every epoch. Static masking needs
# more code, and we need it for the comparison.

# %% exercise="static_masks"
from studium_topics.roberta.exercises import static_masks

# %% [markdown]
# ### How are rows made?
#
# BERT read *pairs*: two segments, of which the second was the next one in only half of the rows. A second loss,
# <dfn>next sentence prediction</dfn> (NSP), asks whether the second part of a row follows the first part in its
# document. RoBERTa compares four formats (section 4.2, and the diagram), without changing the encoder. The format of
# its final runs is <dfn>FULL-SENTENCES</dfn>: whole sentences in order, as many in a row as fit, across the borders of
# documents, with an extra separator at each border and without NSP.

# %% exercise="pack"
from studium_topics.roberta.exercises import pack

# %%
docs = stories.documents(3, torch.Generator().manual_seed(0))
rows = lesson.mine(pack)(docs, setting.LENGTH, grammar.CLS, grammar.SEP, grammar.PAD)
for one in rows:
    print(grammar.decode(one))

# %% [markdown]
# ### Positions
#
# One detail of RoBERTa's code surprises many readers: its position table has 514 rows for 512 tokens. Padding has a row
# of its own, the one with the number of its id, and real tokens are numbered from `pad + 1`. RoBERTa's padding has the
# id 1, so the first token has position 2, and row 0 is never used.

# %% exercise="position_ids"
from studium_topics.roberta.exercises import position_ids

# %% [markdown]
# ### The same in the library
#
# In practice, dynamic masking is `DataCollatorForLanguageModeling` and the model is `RobertaForMaskedLM` of Hugging
# Face's `transformers`. The next cell gives the library's model the weights of ours, which runs on your positions, and
# asks both for their loss on your noise.

# %% tags=["experiment", "bridge"]
mine = Roberta(setting.SIZES, lesson.mine(position_ids))
noisy, labels = noise(rows, draws)
try:
    import transformers
except ImportError:
    print("transformers is not installed, so there is nothing to compare with: pip install transformers")
else:
    library = roberta_model(mine)
    with torch.no_grad():
        theirs = library(noisy, attention_mask=(noisy != grammar.PAD).long(), labels=labels)
        logits = mine(noisy)
    real = noisy != grammar.PAD
    loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels)
    ln_v = math.log(setting.SIZES.vocabulary)
    difference = (theirs.logits - logits)[real].abs().max()
    print(f"transformers {transformers.__version__}, {type(library).__name__}: largest difference {difference:.1e}")
    print(f"loss of the library {theirs.loss:.6f}, of ours {loss:.6f}, and ln V is {ln_v:.2f}")

# %% [markdown]
# ## Batches and budgets
#
# RoBERTa's second theme is the batch. BERT-base made 1 million updates with 256 sequences each. The same number of
# sequences is 125,000 updates with 2,048, or 31,000 with 8,192. All three cost the same computation. The paper's Table
# 3 has the whole comparison (perplexity on held-out text; accuracy on development sets in percent):
#
# | batch | updates | learning rate | perplexity | MNLI-m | SST-2 |
# |---|---|---|---|---|---|
# | 256 | 1M | 1e-4 | 3.99 | 84.7 | 92.7 |
# | 2K | 125K | 7e-4 | **3.68** | **85.2** | **92.9** |
# | 8K | 31K | 1e-3 | 3.77 | 84.6 | 92.8 |
#
# Read it slowly. The learning rate was tuned for each row, so two things change from row to row. And 2K is better than
# 8K in every column: "bigger is better" is not what the table says. The paper goes on with 8K all the same, and points
# out that large batches are easier to spread over many GPUs.
#
# Before you ask whether large batches are better, count the updates that small ones make for the same number of tokens.

# %% tags=["experiment"]
lesson.predict("updates", ..., "How many times more updates has the first row of the table than the last?")

# %% tags=["experiment"]
lesson.found("updates", 1_000_000 / 31_000)
print(f"{1_000_000 / 31_000:.0f} times more updates, for {256 * 1_000_000 / (8192 * 31_000):.2f} times the sequences")

# %% [markdown]
# ### A batch that does not fit
#
# No GPU of 2019 held 8,192 sequences. With <dfn>gradient accumulation</dfn>, a batch goes through the model in parts,
# and the gradients of the parts add up to one update. The loss of the batch is the mean over its chosen tokens,
#
# $$ L = \frac{1}{|M|} \sum_{i \in M} \ell_i = \sum_{\text{parts } j} \frac{1}{|M|} \sum_{i \in M_j} \ell_i , $$
#
# where $\ell_i$ is the cross-entropy of token $i$ and $M_j$ are the chosen tokens of part $j$. The gradient of a sum is
# the sum of the gradients, so this is exact, whatever the size of the parts. It is exact only with the right weights,
# though. The next function has them wrong, and so had the `Trainer` of `transformers` until the
# [autumn of 2024](https://huggingface.co/blog/gradient_accumulation).

# %% exercise="accumulate"
from studium_topics.roberta.exercises import accumulate

# %% tags=["experiment"]
gap = accumulated(lesson.mine(mask_tokens), lesson.mine(position_ids), lesson.mine(accumulate), profile=lesson.profile)
print(f"distance from the gradient of the whole batch: yours {gap.exact:.1e}, the mean of the means {gap.means:.1e}")

# %% [markdown]
# ## The loop
#
# Everything is there now: rows, masks, a model, and gradients of a batch of any size. Write the loop. Its settings are
# the paper's (section 3.1 and table 9): Adam with $\beta_2 = 0.98$, which the authors found more stable with large
# batches, $\varepsilon = 10^{-6}$, weight decay 0.01, warm-up and linear decay, and no clipping of gradients. Adam's
# second moment is then averaged over about $1/(1-\beta_2) = 50$ updates and not over 1,000, so that Adam reacts sooner
# to a sudden large gradient. Update $n$ has the learning rate
#
# $$ \eta_n = \eta \cdot \min\left(\frac{n}{w},\; \frac{U + 1 - n}{U + 1 - w}\right) , $$
#
# which rises from $\eta / w$ to $\eta$ in the first $w$ updates and then falls in a straight line, towards 0 at the
# update after the last.

# %% exercise="pretrain"
from studium_topics.roberta.exercises import pretrain

# %% [markdown] tags=["experiment"]
# Run it once before the ablations, on packed rows with dynamic masks. Our documents repeat their words, as real
# documents do: each has two adjectives, two nouns and two verbs of its own, "this small **dog** sleeps . this old
# **dog** hides . this small **fox** sleeps .". So a model that sees other clauses can guess a hidden noun much better.

# %% tags=["experiment"]
generator = torch.Generator().manual_seed(0)
docs = stories.documents(lesson.profile.choose(smoke=20, laptop=200, gpu=1000), generator)
rows = lesson.mine(pack)(docs, setting.LENGTH, grammar.CLS, grammar.SEP, grammar.PAD)
mine = Roberta(setting.SIZES, lesson.mine(position_ids))
losses = lesson.mine(pretrain)(
    mine,
    lambda epoch: noise(rows, draws),  # dynamic masking
    updates=lesson.profile.choose(smoke=20, laptop=200, gpu=1000),
    batch=32,
    micro=16,
    lr=setting.LEARNING_RATE,
    generator=generator,
)
print(f"{len(rows)} rows; loss {float(losses[0]):.2f} at first, {float(losses[-1]):.2f} after {len(losses)} updates")

# %% [markdown]
# ## Ablation 1: static or dynamic masks
#
# An <dfn>ablation</dfn> compares a recipe with the same recipe in which one thing is changed. The three runs below have
# the same rows, first weights, order of rows, learning rate and updates; only the number of masks differs: 1, 10 or 40
# for 40 epochs. The rows are few on purpose, so that every row comes back 40 times, as in BERT's training.

# %% tags=["experiment"]
lesson.predict("one mask", ..., "By how many nats will one static mask end above dynamic masking, on held-out rows?")

# %% tags=["experiment"]
blocks = {name: lesson.mine(block) for name, block in (("pack", pack), ("mask_tokens", mask_tokens))}
blocks |= {"position_ids": lesson.mine(position_ids), "pretrain": lesson.mine(pretrain)}
masked = masking(
    coverage=lesson.mine(coverage), static_masks=lesson.mine(static_masks), **blocks, profile=lesson.profile
)
for name, run in (("one mask", masked.once), ("ten masks", masked.copied), ("dynamic", masked.dynamic)):
    print(
        f"{name:10s} training loss {run.trained:.2f}   held-out loss {run.held_out[-1]:.2f}   asked for {run.asked:.1%}"
    )
lesson.found("one mask", masked.cost_of_one_mask, within=0.25)
figures.masks(masked)

# %% [markdown] tags=["experiment"]
# This answers the puzzle: the first model learned *which answers belong to which row*. On its training rows it has a
# loss of 0.2 nats (`laptop`, seed 0). On held-out rows it is confident and often wrong: its loss there is 2.64 nats,
# against 1.66 with dynamic masks.
#
# The paper has no run with a single mask. It compares *ten* masks with dynamic ones: 78.3 against 78.7 on SQuAD 2.0
# (F1), 84.3 against 84.0 on MNLI-m and 92.5 against 92.9 on SST-2 (Table 1, medians of five runs). Two small gains and
# a small loss: "comparable or slightly better". Our table has the same two rows, and they end 0.02 nats apart (1.68 and
# 1.66). So dynamic masking does **not** explain RoBERTa's gains. Its advantages are practical: it is simpler, it needs
# no copies on disk, and it cannot run out of masks in longer training.
#
# ## Ablation 2: sentence pairs or full sentences
#
# The paper's Table 2 compares SENTENCE-PAIR with NSP and FULL-SENTENCES without NSP, among others. From one to the
# other, *three* things change: the loss of NSP goes, the wrong second sentences go, and rows become longer. We change
# them one at a time, at equal tokens and equal updates.
#
# | row | what changed from the row above |
# |---|---|
# | sentence pairs, with NSP | |
# | the same pairs, MLM alone | the loss |
# | pairs of neighbours, MLM alone | no wrong sentences |
# | full sentences, MLM alone | the length of a row |
#
# We measure the loss of a hidden noun on held-out rows *of the same format*. How low can it be? In a pair, a model sees
# one other noun of the document. The hidden one is the same with probability 1/2, and otherwise any of 8: $\tfrac12 \ln
# 2 + \tfrac12 \ln 16 = 1.73$ nats. With seven other clauses, it almost always knows both nouns of the document, and
# only $\ln 2 = 0.69$ is left, 0.71 with the rare exceptions. The format sets a limit that no training can lower.

# %% tags=["experiment"]
rows_of = formats(**blocks, profile=lesson.profile)
for run in rows_of.runs:
    print(f"{run.name:32s} {run.tokens} tokens a batch   hidden noun {run.noun:.2f} nats (lowest {run.floor:.2f})")
print(f"NSP itself: {rows_of.next_accuracy:.1%} of held-out pairs right")
figures.formats(rows_of)

# %% [markdown] tags=["experiment"]
# This is the board of the beginning, with the losses that your functions have reached.

# %% tags=["experiment", "widget"]
figures.board_of(masked, rows_of)

# %% [markdown] tags=["experiment"]
# Two of the three changes matter. Without the wrong sentences every row has context that helps, and with longer rows
# there is more of it: full sentences end below 1.73, which **no** model that reads pairs can reach. The third change,
# NSP's loss alone, moves the noun's loss by a few hundredths. Is NSP *harmful*, then, as the table is often summarised?
# In this experiment the rows that it needs are harmful, and its loss hardly is. BERT's own ablation found NSP useful;
# the RoBERTa paper suspects that it removed the loss and kept the pairs (section 4.2). Once more it matters *what* was
# held fixed.
#
# ## Ablation 3: large batches at equal tokens
#
# The same number of rows is read in batches of 8 and of 128, so the small batches make 16 times more updates. First
# only the batch changes; then the large batch gets two more learning rates, because a rate that was tuned for small
# batches is unfair to large ones.

# %% tags=["experiment"]
sizes = batches(**blocks, profile=lesson.profile)
for run in sizes.runs:
    print(
        f"batch {run.size:4d}, {run.updates:4d} updates, learning rate {run.lr:.0e}: held-out loss {run.held_out:.2f}"
    )

# %% [markdown] tags=["experiment"]
# Here small batches win, and a higher rate makes up for only a part of the difference (`laptop`, seed 0: 1.22 nats
# against 2.59 at the same rate and 1.70 at eight times the rate). This is **not** what Table 3 shows, and the two do
# not contradict each other. The mean over a batch reduces the noise of the gradient. Early in training the noise is
# small compared with the gradient, so a larger batch makes each update hardly better, and there are fewer updates.
# Beyond a critical batch size, which grows in the course of training ([McCandlish et al.
# 2018](https://arxiv.org/abs/1812.06162)), further rows are mostly wasted. A tiny model on a tiny language has a small
# critical batch size.
#
# **To think about.** A friend reports: "With batches of 8K my model became better than with 256, both trained for
# 100,000 updates." What changed besides the batch?
#
# <details><summary>Answer</summary>
#
# The data: 32 times more tokens. Read the paper's Table 4 in this way, too. Its first step, from BERT-large to RoBERTa
# on about the same books and Wikipedia, is the largest of all, and it changes masks, format and batch at once. It also
# goes from 1M updates of 256 sequences to 100K of 8K: that is 3.2 times more sequences.
# </details>

# %% [markdown]
# ## Further
#
# ### Bytes: a vocabulary without unknowns
#
# BERT's vocabulary has 30K pieces of words, and a word with a character that it does not contain becomes `[UNK]`.
# RoBERTa takes the vocabulary of GPT-2: 50K tokens of <dfn>byte-level BPE</dfn>, which begins with the 256 bytes and
# adds a token for each of many merges of two neighbours, learned from their frequency. Every text is a sequence of
# bytes, so nothing is unknown. The paper saw *slightly worse* results on some tasks than with BERT's vocabulary, and
# kept the bytes because one vocabulary then encodes every text (section 4.4).
#
# [Sennrich et al. 2015](https://arxiv.org/abs/1508.07909) learned such merges for characters: merge the most frequent
# pair, again and again. To encode a new text, replay the merges in the order in which they were learned.

# %% exercise="bpe"
from studium_topics.roberta.exercises import bpe

# %% tags=["experiment"]
found = tokens.byte_pairs(lesson.mine(bpe), profile=lesson.profile)
print(f"your ids are those of the library for {found.same:.1%} of {found.pieces} held-out pieces of text")
print(f"unknown words with the {found.size} most frequent words: {found.unknown:.1%} of held-out prose")
print(f"texts that the bytes cannot spell: {found.lost} of {found.pieces}")
for text in ("the model", "naïve café", "東京 🙂"):
    print(f"{text!r:14} {found.show(text, lesson.mine(bpe))}")

# %% [markdown]
# ## What does not reproduce at this size
#
# * **The scores.** GLUE 88.5, SQuAD and RACE come from RoBERTa-large, 160 GB of text and 500,000 updates of 8K
#   sequences. The gains from more data and longer training in Table 4 are not measured here.
# * **Large batches.** In Table 3 the medium batch wins at equal tokens; here the smallest does.
# * **The size of the masking effect.** One static mask is a row that the paper does not have, and our rows are few on
#   purpose. The paper's own pair of rows, ten masks and dynamic ones, differs by a few tenths of a point there, and by
#   too little here to call one of them better.
# * **The harm of NSP.** Our stories decide in advance that context matters; in the paper, the differences in Table 2
#   are a point or two. What we can show is which of three changes is responsible in this language.
# * **DOC-SENTENCES.** The paper finds it slightly better than FULL-SENTENCES. We do not measure it.
#
# ## Common misconceptions
#
# * *"RoBERTa is a new architecture."* You loaded the same encoder; only the segments are gone. The recipe changed.
# * *"Dynamic masking made the difference."* Against ten static masks, the gain is about as large as the noise.
# * *"NSP hurts."* In most comparisons the format changes with the loss. Look for the row in which only the loss does.
# * *"Bigger batches are better."* Table 3 has its best row in the middle, and each row has its own learning rate.
# * *"15 % is a law."* It is a choice that RoBERTa did not vary
#   ([Wettig et al. 2022](https://arxiv.org/abs/2202.08005) did, and found 40 % better for large models).
#
# ## You can now
#
# * pack documents into full sentences, and say what the other formats of the paper do;
# * draw masks dynamically, and compute what static masks leave out;
# * accumulate the gradient of a large batch exactly;
# * write a pretraining loop with RoBERTa's settings, and load its weights into the library's class;
# * take an ablation apart: what changed, what stayed fixed, at which budget.
#
# ## Open tasks
#
# * **Ten minutes.** Call `masking` with `copies=3`. The held-out loss should lie between those of one
#   and of ten masks, and the share of tokens that are asked for should be 39 %.
# * **An hour.** Add DOC-SENTENCES as a fifth row of `formats`: `pack` each document by itself. You should see more
#   padding, fewer real tokens in a batch of 16 rows, and a noun's loss close to that of full sentences.
# * **A day.** Plot the held-out loss over the batch size, from 4 to 256, at equal tokens and with the rate tuned for
#   each size. You should see a flat part, where the best rate grows with the batch, and then a rise: the critical batch
#   size. Then train four times longer and see whether the flat part becomes wider.
#
# ## Further reading
#
# * [RoBERTa, 1907.11692](https://arxiv.org/abs/1907.11692): short, and a model of how to change one thing at a time.
# * [An Empirical Model of Large-Batch Training, 1812.06162](https://arxiv.org/abs/1812.06162): why the best batch
#   grows.
# * [Should You Mask 15 %?, 2202.08005](https://arxiv.org/abs/2202.08005): the ablation that RoBERTa left out.
# * [How to Train BERT with an Academic Budget, 2104.07705](https://arxiv.org/abs/2104.07705): the same questions, for
#   one day on eight GPUs.
