# %% [markdown]
# # Rotary positional embedding
#
# In the spring of 2021 Su Jianlin, who writes a mathematics blog in Chinese, and his colleagues put a paper on arXiv.
# Its headline: on English to German, 27.5 BLEU, where the transformer of 2017 had 27.3. No test of significance. Papers
# with such a table are forgotten every day.
#
# This one is in nearly every large language model that you can download: GPT-J, Llama, Mistral, Qwen, DeepSeek.
# What people adopted was not a fifth of a BLEU point. It was an argument, three lines long, about what a position
# should *do*. In this lesson you will
#
# 1. write it: turn each pair of coordinates of a query and a key, by an angle that grows with its position;
# 2. prove, and then measure, that scores feel the **offset** alone, to the last bits of a float;
# 3. move weights between the two layouts that the world has, and decode from a cache with the right positions;
# 4. train a model that copies, move its text to places it has never seen, and watch a learned table fail where
#    rotations do not notice;
# 5. then ask for *distances* that training never had, see rotations fail too, and mend it by slowing some pairs down.
#
# You need a decoder, from the topic *decoder-only*. The papers: [RoFormer](https://arxiv.org/abs/2104.09864),
# [Train Short, Test Long](https://arxiv.org/abs/2108.12409),
# [Position Interpolation](https://arxiv.org/abs/2306.15595) and [YaRN](https://arxiv.org/abs/2309.00071).

# %%
import torch

from studium_topics.rope import figures
from studium_topics.rope.exact import decay, exact
from studium_topics.rope.experiment import SHIFTS, by_offset, copying, longer, repeated, shifted, turning
from studium_widgets import Chart, RotaryDial

# %% [markdown]
# ## What is missing from attention
#
# The score of a query with a key is a dot product. It knows *what* the two tokens are, and not *where*: deal the same
# tokens out in another order, and each pair has the score that it had.
#
# The first answer (2017) was to add a vector for the position to each token's embedding. A <dfn>position table</dfn>
# has one learned vector for each place, which is added to the embedding of the token that stands there: 1024 of them in
# GPT-2. Two things are odd about it. Row 1025 does not exist. And in nearly everything that we want from language, "the
# word before this one", "the noun that this verb belongs to", no absolute place occurs at all. The <dfn>offset</dfn> of
# a query and a key is how many places the key lies behind the query, and it is what counts. A table has to *learn* that
# 17 − 16 and 503 − 502 are the same thing, one row at a time.
#
# So write the wish down. A query $q$ at place $m$ and a key $k$ at place $n$ are changed to $f(q, m)$ and $f(k, n)$, so
# that for some function $g$
#
# $$f(q, m) \cdot f(k, n) = g(q, k, m - n).$$
#
# Is there such an $f$? In two dimensions, read vectors as complex numbers. Then $a \cdot b = \operatorname{Re}(a\,
# \bar b)$, and turning by an angle is a multiplication with $e^{i\varphi}$. Turn each by an angle that is proportional
# to its place:
#
# $$\operatorname{Re}\big( q e^{i m \theta} \; \overline{k e^{i n \theta}} \big)
#   = \operatorname{Re}\big( q \bar k \; e^{i (m - n) \theta} \big).$$
#
# That is the three lines. A <dfn>rotary positional embedding</dfn> (RoPE) turns each pair of coordinates of queries and
# keys by an angle proportional to the place, so that scores depend on offsets alone. The conjugate makes a difference
# out of two angles. $m$ and $n$ are gone, their difference is left. Nothing had to be learned, and it holds for the
# place one million as well.
#
# ## Many speeds
#
# A head has more than two coordinates: $d = 64$ or 128. They make $d/2$ pairs, and each pair turns at a speed of
# its own,
#
# $$\theta_i = \text{base}^{-2i/d}, \qquad i = 0, \dots, d/2 - 1,$$
#
# from 1 radian a place down to almost nothing: the same geometric series as in 2017, and the same base, 10 000. Think
# of clocks. With one hand you cannot tell 1 o'clock today from 1 o'clock tomorrow, so there is a slower one, and a
# calendar. **Fast pairs tell neighbours apart, slow pairs tell near from far.**

# %% exercise="inv_freq"
from studium_topics.rope.exercises import inv_freq

# %% [markdown]
# Here are the clocks of a head with 16 coordinates: each dial is a pair, with one hand for the query and one for the
# key. The score below is the mean of the cosines between the hands.
#
# *First move the query alone: the curve is traced. Now switch "Move both" on and move it again. Before you do: what
# will the hands do, and what will the score do?*

# %% tags=["widget"]
RotaryDial(dimensions=16, context=48, query_position=20, key_position=8)

# %% [markdown]
# All hands turn and the angle between them stays, so the score stays.
#
# ## Write it
#
# A pair $(a, b)$ turned by $\varphi$ is $(a \cos\varphi - b \sin\varphi,\; b \cos\varphi + a \sin\varphi)$. Which
# coordinates are a pair? The paper takes neighbours, (0, 1), (2, 3), …, and so does Meta's Llama. Most libraries take
# **halves**, $(i, i + d/2)$, because two slices are quicker than a shuffle. And which way should the hands turn?
# Karpathy's nanochat turns them backwards. **None of this matters**: queries and keys are made by weights that are
# learned, and those learn to use whichever pairs there are. All that can be seen from the outside is scores.
#
# So your function is judged by its scores, and you may choose. What does matter is to choose *once*: halves with the
# angles of neighbours is the classic mistake, and it raises no error.

# %% exercise="apply_rope"
from studium_topics.rope.exercises import apply_rope

# %% [markdown]
# **Think about it.** Queries and keys are turned. Why not the values?
#
# <details><summary>Answer</summary>
#
# The turn works because two of them meet in a dot product, where the places become a difference. A value meets nobody:
# it is added up. If it were turned, the sum would carry the absolute places into the stream. For the same reason
# nothing is turned at the embedding: between there and the scores lie a norm and a projection, which know nothing of
# pairs.
# </details>
#
# Break it. The same dials with four mistakes that tutorials really make: choose one under "Break it", leave the offset
# as it is, and read below the dials whether the score still depends on the offset alone. Which mistake leaves the
# *property* intact, and is wrong all the same?

# %% tags=["widget"]
generator = torch.Generator().manual_seed(7)
query, key = torch.randn(2, 16, generator=generator)
RotaryDial(dimensions=16, context=48, query=query, key=key, query_position=30, key_position=26, mistake="mixed")

# %% [markdown]
# (The exponent $i/d$: scores still depend on offsets only. But all pairs are faster, the slowest turns 56 times
# as fast as it should, and the long distances are gone.)
#
# ## The score without turning anything
#
# If only the offset counts, one can compute a score from $q$, $k$ and the offset, straight from the formula. That is a
# good way to test an implementation, and to look at what a head thinks of a distance.

# %% exercise="relative_score"
from studium_topics.rope.exercises import relative_score

# %% [markdown] tags=["experiment"]
# The paper proves a **bound** on this score that falls with the offset. It is often quoted as "the attention between
# two tokens decays with their distance". Here are both: the bound, and the score of the simplest pair of vectors, all
# ones, with $d = 128$.

# %% tags=["experiment"]
decayed = decay(lesson.mine(inv_freq), lesson.mine(relative_score), profile=lesson.profile)
print("offset   bound   score / score at 0")
for offset in (0, 1, 10, 50, 100, 500, 1000):
    print(f"{offset:6}   {decayed.bound[offset]:5.1f}   {decayed.score[offset]:+.3f}")
figures.decaying(decayed)

# %% [markdown] tags=["experiment"]
# The bound falls slowly, by a factor of 7 over a thousand places. The score *wiggles*: further away is not always less.
# And the vectors are yours to choose. A head that likes an offset of exactly 7 only needs a $q$ that is a $k$ turned by
# seven places, which is a linear map, and so a matter of weights. "Decays with distance" is a tendency, not a law.
#
# ## Two layouts, one model
#
# Meta's Llama checkpoints were trained with neighbours. The code that most people run uses halves. Nothing has to be
# trained again: coordinate $2i$ of a head just has to stand where coordinate $i$ is expected. The coordinates are made
# by the rows of $W_q$ and $W_k$, so reorder the rows. Every conversion script has this function.

# %% exercise="to_half"
from studium_topics.rope.exercises import to_half

# %% [markdown]
# **Think about it.** Must $W_v$ and $W_o$ be reordered too?
#
# <details><summary>Answer</summary>
#
# No. Values are not turned, so their order never met any pairs. Reorder $W_v$ alone and $W_o$ reads its inputs in the
# wrong order: the model talks nonsense, with perfect attention patterns.
# </details>
#
# ## Positions in a cache
#
# A model that writes computes one token at a time, and keeps the keys of all earlier ones (the topic *kv-caching* tells
# why). **They are kept turned.** So a new token has to go on counting where the cache ends; start at 0 again and it
# thinks that it stands on top of the first word.
#
# A batch makes it harder. <dfn>Padding</dfn> is what fills the shorter texts of a batch up, at the left or at the
# right. The rule is simple: padding takes no position. But mind what scores can feel and what they cannot.
#
# *Two rows, one with three columns of padding at its left. Number the columns 0, 1, 2, …, padding included. Which
# scores change?* None! All tokens of that row move by three, and offsets stay. With a table it would be a bug, here
# it is not. It becomes one when padding lies *between* two tokens.

# %% exercise="decode_positions"
from studium_topics.rope.exercises import decode_positions

# %% [markdown] tags=["experiment"]
# ## What is exact
#
# Enough proofs, measure. A decoder with random weights and your functions; nothing is trained, so what holds now holds
# for every model.

# %% tags=["experiment"]
sure = exact(
    lesson.mine(inv_freq),
    lesson.mine(apply_rope),
    lesson.mine(to_half),
    lesson.mine(decode_positions),
    lesson.mine(relative_score),
    profile=lesson.profile,
    seed=0,
)
print("largest change of a logit or score")
print(f"all positions moved on by 1000:             {sure.moved:.1e}     with a table instead: {sure.moved_table:.2f}")
print(f"padded, cached, token by token:             {sure.cached:.1e}     starting at 0 again:  {sure.restarted:.2f}")
print(f"weights reordered from neighbours to halves: {sure.converted:.1e}")
print(f"no positions, two earlier tokens exchanged: one layer {sure.one_layer:.1e}, two layers {sure.two_layers:.2f}")

# %% [markdown] tags=["experiment"]
# What is left in the first column is rounding: at place 1000 a float32 angle has lost three of its seven digits.
#
# The last line is about a sentence that one often reads: "without positions a transformer cannot know the order". For
# *one* causal layer it is true: the last query sees a set. From the second layer on it is false: the causal mask lets
# every token see something else, the first one itself alone, the second one two, and the next layer can read that off.
# Decoders without any positions (["NoPE"](https://arxiv.org/abs/2203.16634)) do learn to count. They are just slower.
#
# ## Moved to where nobody has been
#
# Now a trained model. The task is from *decoder-only*: 48 random tokens out of 32, which start again after 8 to 24; in
# the second half everything can be copied. Two layers of attention alone learn it. One model gets your rotations, one a
# learned table with 512 rows. **Training shows both the positions 0 to 47, and no other.**

# %% tags=["experiment"]
for row in repeated(2, torch.Generator().manual_seed(1)):
    print(" ".join(f"{token:2}" for token in row.tolist()[:36]), "…")

# %% [markdown] tags=["experiment"]
# Then the *same texts* are moved: their first token stands at 8, at 48, at 300. Every offset is what it was.
#
# Guess first. The table's model is right in some 87 % at home. And when the whole text stands at 48 to 95? Put your
# fraction in the place of the dots; chance is 0.03.

# %% tags=["experiment"]
lesson.predict("table moved by 48", ..., "How often is the table right at 48 to 95?")

# %% tags=["experiment"]
found = shifted(lesson.mine(inv_freq), lesson.mine(apply_rope), profile=lesson.profile, seed=0)
print("first position       " + "  ".join(f"{shift:5}" for shift in found.shifts))
print("rotary positions     " + "  ".join(f"{value:5.1%}" for value in found.by_rotary))
figures.learning(found)

# %% [markdown] tags=["experiment"]
# For rotations that is a theorem and not a finding. (And they learn the task faster: what has been learned about one
# place holds at all of them.) Now draw what you expect of the table, then look.

# %% tags=["experiment", "widget"]
Chart(
    x=SHIFTS[:9],
    y=[found.by_rotary[:9], found.by_table[:9]],
    names=["rotary", "learned table"],
    x_label="where the text begins",
    y_label="accuracy",
    y_range=[0, 1],
    predict="learned table",
)

# %% tags=["experiment"]
lesson.found("table moved by 48", found.by_table[SHIFTS.index(48)])

# %% [markdown] tags=["experiment"]
# The table falls token by token, as the text leaves the rows that training has touched. Beyond 48 each row is still
# the random vector that it was at the start.
#
# **A trap in measuring this.** Keep the text at 0 and make it eight times as long, with the same periods of 8 to 24.
# Does the table's model still copy in the second half, from place 192 on?

# %% tags=["experiment"]
generator = torch.Generator().manual_seed(2)
texts = repeated(200, generator, 384).to(found.table.norms[0].device)
elsewhere = texts.clone()
elsewhere[:, :48] = repeated(200, generator)
print("384 tokens, the second half right     as it is   with other tokens in the first 48 places")
for name, model in (("learned table", found.table), ("rotary positions", found.rotary)):
    print(f"{name:35} {copying(model, texts):10.1%} {copying(model, elsewhere):10.1%}")

# %% [markdown] tags=["experiment"]
# As it is, the table copies the greater part, even more than the rotary model! It has not learned to count further.
# Everything that it needs has occurred within the first 48 places, and it copies from there: put other tokens into
# those, and it fails. **A test of length that can be passed by looking at the beginning tests nothing.**
#
# And the rotary model? What stands in the first 48 places hardly matters to it. But it is not as good as it was,
# either: from 99 % down to little more than half. That deserves a closer look.
#
# ## Distances that nobody has seen
#
# So rotary positions extrapolate? Careful: two claims hide in that word. *The same offsets at other places*: exact, you
# have just seen it. *Other offsets*: that is another matter. Texts of 96 and 192 tokens which repeat after a sixth to a
# half of their length, as those of training do, need offsets of up to 96. In training no offset was above 47.
#
# Look at the clocks. The first two pairs turn more than once within 48 places: they have shown every angle between
# query and key. The others have not finished one turn. **At an offset of 80 their hands stand as they never stood in
# training**; the ringed dials are those. What should weights do with an angle that they have never met?

# %% tags=["widget"]
RotaryDial(dimensions=16, context=48, query_position=90, key_position=10, method="none", factor=2.0)

# %% [markdown]
# Under "Stretch the context by" are three remedies, all of which only change speeds:
#
# * <dfn>Position interpolation</dfn> (2023) stretches a context by slowing *all* pairs down by the factor $s$, as if
#   position $m$ were $m / s$. Every angle is familiar again. But neighbours, 1 apart in training, are now $1/s$ apart.
# * <dfn>NTK-aware scaling</dfn> (a post on Reddit) stretches a context by another base, such that the fastest pair
#   stays as it is and the slowest slows down by exactly $s$. With $\text{base}' = \text{base} \cdot s^{d/(d-2)}$, pair
#   $i$ slows down by $s^{2i/(d-2)}$.

# %% exercise="stretched"
from studium_topics.rope.exercises import stretched

# %% [markdown]
# * <dfn>Scaling by parts</dfn>, the heart of YaRN, slows down only those pairs that turned little in training. One that
#   made many turns has seen all angles: leave it. One that made less than one turn must not go further than it did:
#   interpolate it. Between, mix in a straight line. Llama 3.1 does this with a ramp from 1 to 4 turns, YaRN with one
#   from 1 to 32.
# * YaRN adds a **gain**. A softmax over twice as many keys is flatter; multiplying queries and keys by
#   $0.1 \ln s + 1$ sharpens it again.

# %% exercise="yarn"
from studium_topics.rope.exercises import yarn

# %% [markdown] tags=["experiment"]
# The model is the one that you have trained; **nothing is trained further**. At twice its length, which way will be
# best? And will interpolation be better than doing nothing? Guess what "by parts" reaches at 96:

# %% tags=["experiment"]
lesson.predict("by parts at 96", ..., "How often right at twice the length?")

# %% tags=["experiment"]
long = longer(
    lesson.mine(inv_freq),
    lesson.mine(apply_rope),
    lesson.mine(stretched),
    lesson.mine(yarn),
    found.rotary,
    profile=lesson.profile,
    seed=0,
)
print("length of the text   " + "  ".join(f"{length:5}" for length in long.lengths))
for way, row in long.accuracy.items():
    print(f"{way:20} " + "  ".join(f"{value:5.1%}" for value in row))
figures.lengths(long)

# %% tags=["experiment"]
lesson.found("by parts at 96", long.accuracy["by parts"][1])

# %% [markdown] tags=["experiment"]
# So **rotary positions do not extrapolate for free**: at twice the length a good part of the ability is gone, at four
# times nearly all of it. ("Train Short, Test Long" found so in 2021: sinusoids fail soon beyond the trained length,
# rotations somewhat later; it proposed a bias on the scores instead.) And slowing pairs down *selectively* brings it
# back, without one step of training.
#
# But interpolation, which the paper of 2023 is about, makes it **worse than doing nothing**. Why? Look at what a head
# of the first layer, whose job is to find the token just before, thinks of each offset.

# %% tags=["experiment"]
trained = by_offset(found.rotary, 120, found.rotary.turn)
sharpest = int((trained[:, 1] - trained.mean(1)).argmax())
curves = {}
for way in ("as trained", "interpolated", "by parts"):
    turn = turning(lesson.mine(apply_rope), *long.ways[way])
    curves[way] = by_offset(found.rotary, 120, turn)[sharpest]
figures.offsets(curves)

# %% [markdown] tags=["experiment"]
# As trained, the head likes offset 1, and within 48 places nothing comes near it: training has seen to that. **Beyond
# 48 nobody has seen to anything.** At 58 the hands happen to meet again, and the head likes that as much: in a longer
# text it looks at the wrong token. (These are the numbers of seed 0 with pairs of halves. With other pairs the peak
# stands elsewhere.)
#
# Interpolated by 4, the familiar curve is drawn out. No new peak, but the one at 1 now stands at 4 and is four times as
# wide: the head can no longer point at *the* previous token. Speeds by parts keep the sharp peak at 1, because fast
# pairs make it, and none of those that come later reaches it.
#
# The paper does not claim otherwise. Its claim is about **fine-tuning**: within 1000 steps, Llama got used to it. And
# Llama's heads have 64 pairs, many of which are slower than any of ours needs to be. Let us give ours 40 steps on texts
# of 192 tokens:

# %% tags=["experiment"]
print("accuracy at 192 tokens   as it was   after 40 more steps")
for way, value in long.tuned.items():
    print(f"{way:22} {long.accuracy[way][2]:11.1%} {value:21.1%}")

# %% [markdown] tags=["experiment"]
# Fine-tuning helps everyone. It starts from a far better place with speeds by parts, and reaches in 40 steps what the
# others do not.
#
# **Think about it.** Llama 3 was trained with a base of 500 000 in place of 10 000. What is that good for?
#
# <details><summary>Answer</summary>
#
# All pairs but the first are slower, so within a long context fewer of them pass angles that a short one never shows,
# and the slow ones can tell far from further. It is the NTK idea, applied before training. The price: fewer pairs are
# left that tell neighbours apart, and a head has only so many.
# </details>
#
# ## On a GPU
#
# A turn does six operations for two numbers that it reads and two that it writes: on a GPU it is bound by memory, and
# what counts is how often `x` travels. Written as above, PyTorch makes half a dozen passes; fused by `torch.compile`
# into one kernel it makes one, and should be several times as fast. The reference solution has `fused`, `bandwidth` to
# measure it, and a cache of cosines and sines for all layers. **It has not been measured on a GPU yet.**
#
# One thing can be measured anywhere: what happens if angles are computed in bfloat16. At place 32 767 the largest error
# of a cosine is about 0.0005 in float32, and 2 in bfloat16, which is all that a cosine can be wrong by. Half-precision
# models keep their angles in float32 for that reason.
#
# ## What does not reproduce at this size
#
# * **The headline**, 27.5 against 27.3 BLEU on WMT 2014, needs that data set and days of training. Without error bars
#   we would not know what to reproduce.
# * **Position interpolation** as published: 32 768 tokens with Llama 7B to 65B, after 1000 steps. Ours recovers only a
#   little in 40 steps. With 8 pairs a head, all eight are needed for something.
# * **YaRN's ramp** from 1 to 32 turns is made for contexts of thousands. Within 48 places even the fastest pair makes
#   fewer than 8, so that ramp would slow everything down. The experiment uses Llama 3's, from 1 to 4.
# * **YaRN in code and on paper** differ: in the paper the ramp is straight in the number of turns, in its authors'
#   code, and in most libraries, in the index of the pair, with rounded ends. Your exercise follows the paper (and so
#   Llama 3); the dials follow the code; the reference has both.
# * **The gain** helps here at four times the length more than at twice. On one toy task that says little.
#
# ## Common misconceptions
#
# * *"RoPE is added to the embeddings."* It multiplies, in every layer, queries and keys alone.
# * *"It preserves distances and order between tokens."* It preserves the lengths of vectors, and makes scores depend on
#   offsets. What the model does with an offset, it has to learn.
# * *"It is an absolute encoding"* / *"It is a relative one."* Each vector is turned by its absolute place; each score
#   knows the relative one. Both sentences are half of it.
# * *"It extrapolates to any length."* To any *place*. Not to any distance.
# * *"Attention decays with distance."* A bound does, slowly. Scores wiggle, and heads choose.
# * *"A decoder without positions is order-blind."* One layer is. The causal mask tells the rest.
# * *"My code gives other vectors than the library's, so it is wrong."* Compare scores.
#
# ## Where to go next
#
# * [Su et al. 2021](https://arxiv.org/abs/2104.09864): section 3.2 is the derivation, 3.4.3 the bound.
# * [Press et al. 2021](https://arxiv.org/abs/2108.12409): ALiBi, a bias that grows with the offset, and the test of
#   lengths that all later papers use.
# * [Chen et al. 2023](https://arxiv.org/abs/2306.15595) and [Peng et al. 2023](https://arxiv.org/abs/2309.00071): how
#   contexts of 2000 became contexts of 100 000.
# * [Kazemnejad et al. 2023](https://arxiv.org/abs/2305.19466): decoders without any positions, tested.
# * The topic *kv-caching*, where turned keys are kept.
#
# **A last question.** A picture has two coordinates, a row and a column. How would you turn a patch?
#
# <details><summary>Answer</summary>
#
# Give half of the pairs to the row and half to the column. A score then depends on the row offset and the column
# offset, and on nothing else. Vision transformers and models that read video (with a third part for time) do exactly
# this.
# </details>
