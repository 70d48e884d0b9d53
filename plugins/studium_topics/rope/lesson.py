# %% [markdown]
# # Rotary positional embedding
#
# In 2021 Su Jianlin and his colleagues published a paper whose first result was 27.5 BLEU on English to German
# translation, where the transformer of 2017 had 27.3, without error bars. Today its method is in most large language
# models that you can download, among them Llama, Mistral and Qwen. A fifth of a BLEU point is not the reason. The
# reason is an argument, three lines long, about what a position should *do*.
#
# Each dial below is a pair of coordinates of an attention head, with one hand for the query and one for the key. The
# score is the mean of the cosines between the hands. **First move the query alone: the curve is traced. Now switch
# "Move both" on and move it again.** Before you do: what will the hands do, and what will the score do?

# %% tags=["widget"]
from studium_widgets import Chart, Diagram, RotaryDial

RotaryDial(dimensions=16, context=48, query_position=20, key_position=8)

# %% [markdown]
# All hands rotate and the angles between them stay, so the score stays. In this lesson you will
#
# 1. **write** it: rotate each pair of coordinates of queries and keys by an angle that grows with the position;
# 2. **show** and measure that scores depend on the *offset* alone, to the last digits of a float;
# 3. **derive** how weights move between the two layouts in use, and decode from a cache with the right positions;
# 4. **train** a model that copies, shift its text to positions that it has never seen, and watch a learned table fail
#    where rotations do not;
# 5. optionally **extend** the context to *distances* that training never had, where rotations fail too, and repair
#    them by slowing some pairs down.
#
# You need a decoder, from [decoder-only](decoder-only.ipynb). Time: 21 minutes of reading, 76 of coding, 3 of running;
# the optional part takes half an hour more.
#
# **Before RoPE**, a transformer added a vector for the position to each token's embedding, fixed sinusoids (2017) or a
# learned table (GPT-2). A table ends at its last row, and the model has to learn that 17 − 16 and 503 − 502 are the
# same distance. [RoFormer](https://arxiv.org/abs/2104.09864) replaced the addition by rotations of queries and keys,
# for which this is built in.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $q$, $k$ | a query and a key of one head | (d,) |
# | $m$, $n$ | their positions; the offset is $m - n$ | whole numbers |
# | $d$ | width of a head, $d / 2$ pairs | |
# | $\theta_i$ | frequency of pair $i$, in radians a position | (d/2,) |
# | $b$ | the base of the frequencies, 10 000 | |
# | $s$ | the factor by which a context is stretched | |

# %%
import torch
import torch.nn.functional as F

from studium_topics.rope import figures
from studium_topics.rope.exact import decay, exact
from studium_topics.rope.experiment import SHIFTS, by_offset, copying, longer, repeated, shifted, turning
from studium_topics.rope.model import VOCABULARY, Decoder, Sizes

# %% [markdown]
# ## What is missing from attention
#
# The score of a query with a key is a dot product. It depends on *what* the two tokens are, and not on *where* they
# are: permute the tokens, and every pair keeps its score.
#
# A <dfn>position table</dfn> has one learned vector for each position, which is added to the embedding of the token
# there. GPT-2 has 1024 of them. This has two weaknesses. There is no row for a later position. And most relations in
# language, "the word before this one", "the noun that this verb belongs to", depend on distances and not on absolute
# positions. The <dfn>offset</dfn> of a query and a key is how many positions the key is behind the query.
#
# So write down the requirement. A query $q$ at position $m$ and a key $k$ at position $n$ are changed to $f(q, m)$ and
# $f(k, n)$, such that for some function $g$
#
# $$f(q, m) \cdot f(k, n) = g(q, k, m - n).$$
#
# Is there such an $f$? In two dimensions, read vectors as complex numbers. Then $a \cdot b = \operatorname{Re}(a\,
# \bar b)$, and a rotation by an angle $\varphi$ is a multiplication by $e^{i\varphi}$. Rotate each vector by an angle
# proportional to its position:
#
# $$\operatorname{Re}\big( q e^{i m \theta} \; \overline{k e^{i n \theta}} \big)
#   = \operatorname{Re}\big( q \bar k \; e^{i (m - n) \theta} \big).$$
#
# A <dfn>rotary positional embedding</dfn> (RoPE) rotates each pair of coordinates of queries and keys by an angle
# proportional to the position, so that scores depend on offsets alone. The conjugate turns the two angles into a
# difference, so that only $m - n$ is left of $m$ and $n$. Nothing has to be learned, and it holds at position one
# million as well.
#
# ## Many frequencies
#
# A head has more than two coordinates: $d = 64$ or 128. They make $d/2$ pairs, and each pair rotates at a frequency of
# its own,
#
# $$\theta_i = b^{-2i/d}, \qquad i = 0, \dots, d/2 - 1,$$
#
# from 1 radian a position down to almost nothing: the same geometric series as in the sinusoids of 2017, with the same
# base $b = 10\,000$ (the paper's section 3.2.2). Think of the hands of a clock: the minute hand alone cannot tell 1
# o'clock from 2 o'clock, and the hour hand alone cannot tell 1:00 from 1:01. **Fast pairs tell neighbours apart, slow
# pairs tell near from far.**

# %% tags=["diagram"]
Diagram.from_package("studium_topics.rope", "flow.svg")

# %% exercise="inv_freq"
from studium_topics.rope.exercises import inv_freq

# %% [markdown]
# ## Write it
#
# A pair $(x, y)$ rotated by $\varphi$ is $(x \cos\varphi - y \sin\varphi,\; y \cos\varphi + x \sin\varphi)$. Which
# coordinates are a pair? The paper takes neighbours, (0, 1), (2, 3), …, and so does Meta's Llama. Most libraries take
# **halves**, $(i, i + d/2)$, because two slices are quicker than a shuffle. And in which direction should they rotate?
# [nanochat](https://github.com/karpathy/nanochat) rotates backwards. **A model can be trained equally well with each of
# these conventions**, because queries and keys are made by learned weights, which adapt to the pairs that there are.
#
# So your function is judged by its scores, and you may choose. But use one convention throughout: to combine halves
# with the angles of neighbours is the classic mistake, and it raises no error.

# %% exercise="apply_rope"
from studium_topics.rope.exercises import apply_rope

# %% [markdown]
# **Think about it.** Queries and keys are rotated. Why not the values?
#
# <details><summary>Answer</summary>
#
# A rotation works because two rotated vectors are multiplied in a dot product, where the positions become a difference.
# Values are only added up: if they were rotated, the sum would carry absolute positions into the model. Embeddings are
# not rotated either, because the norm and the projection between them and the scores mix the coordinates of different
# pairs.
# </details>
#
# **In practice** this is `apply_rotary_pos_emb` in `transformers`. On the same queries and keys your scores should
# equal the library's, once its layout and direction are yours:

# %% tags=["experiment", "bridge"]
try:
    from transformers import LlamaConfig
    from transformers.models.llama import modeling_llama
except ImportError:
    print("transformers is not installed here; its function is models.llama.modeling_llama.apply_rotary_pos_emb.")
else:
    rotary = modeling_llama.LlamaRotaryEmbedding(LlamaConfig(hidden_size=64, num_attention_heads=4))
    q, k = torch.randn(2, 1, 4, 12, 16, generator=torch.Generator().manual_seed(0))
    positions, frequencies = torch.arange(12), lesson.mine(inv_freq)(16)
    rotated = [lesson.mine(apply_rope)(x, positions, frequencies) for x in (q, k)]
    orders = {"halves": torch.arange(16), "neighbours": torch.arange(16).view(8, 2).T.flatten()}
    for layout, order in orders.items():
        for direction, sign in (("forward", 1), ("backward", -1)):
            angles = rotary(q, sign * positions[None])
            theirs = modeling_llama.apply_rotary_pos_emb(q[..., order], k[..., order], *angles)
            apart = (rotated[0] @ rotated[1].mT - theirs[0] @ theirs[1].mT).abs().max()
            print(f"if yours are {layout:10} rotated {direction:8}: scores differ by {apart:.1e}")

# %% [markdown]
# The row that is 0 but for rounding tells which of the four conventions you chose.
#
# **Break it.** The same dials with four common mistakes: choose one under "Break it", leave the offset as it is, and
# read below the dials whether the score still depends on the offset alone. Which mistake leaves the *property* intact,
# and is wrong all the same?

# %% tags=["widget"]
generator = torch.Generator().manual_seed(7)
query, key = torch.randn(2, 16, generator=generator)
RotaryDial(dimensions=16, context=48, query=query, key=key, query_position=30, key_position=26, mistake="mixed")

# %% [markdown]
# <details><summary>Answer</summary>
#
# The exponent $i/d$ in place of $2i/d$: scores still depend on offsets only, but all pairs are faster, the slowest 56
# times as fast as it should be, and long distances can no longer be told apart.
# </details>
#
# ## The score without a rotation
#
# If only the offset counts, a score can be computed from $q$, $k$ and the offset, straight from the formula. That is a
# good way to test an implementation, and to see how a head scores each distance.

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
# The bound falls slowly, by a factor of 7 over a thousand positions. The score *oscillates*: further away is not always
# less. And the vectors depend on learned weights. A head can prefer an offset of exactly 7 with a $q$ that is a $k$
# rotated back by seven positions, which is a linear map. "Decays with distance" is a tendency, not a law.
#
# ## Two layouts, one model
#
# Meta's Llama checkpoints were trained with neighbours. The code that most people run uses halves. Nothing has to be
# trained again, because the coordinates of queries and keys are made by the rows of $W_q$ and $W_k$, and rows can be
# reordered. Conversion scripts have this function; derive which row goes where.

# %% exercise="to_half"
from studium_topics.rope.exercises import to_half

# %% [markdown]
# **Think about it.** Must $W_v$ and $W_o$ be reordered too?
#
# <details><summary>Answer</summary>
#
# No. Values are not rotated, so their order has nothing to do with pairs. If $W_v$ alone were reordered, $W_o$ would
# read its inputs in the wrong order: the output would be wrong, although all attention weights are right.
# </details>
#
# ## Positions in a cache
#
# A model that generates text computes one token at a time, and keeps the keys of all earlier ones
# ([kv-caching](kv-caching.ipynb) explains why). **They are kept rotated.** So the position of a new token has to
# continue where the cache ends. If it starts at 0 again, its offset to the first word is 0.
#
# A batch makes it harder. <dfn>Padding</dfn> is what fills up the shorter texts of a batch, at the left or at the
# right. The rule is that padding takes no position. But consider which scores a wrong position changes.
#
# *Two rows, one with three columns of padding at its left. Number the columns 0, 1, 2, …, padding included. Which
# scores change?* None: all tokens of that row move by three, and offsets stay. With a table it would be a bug, here it
# is not. It becomes one when padding is *between* two tokens.

# %% exercise="decode_positions"
from studium_topics.rope.exercises import decode_positions

# %% [markdown]
# Now put the parts together: a whole layer of attention as a server runs it, for a batch of texts of different lengths
# and with a cache. The rotated keys are what it keeps.

# %% exercise="attend"
from studium_topics.rope.exercises import attend

# %% [markdown] tags=["experiment"]
# Three texts of different lengths go through your layer in one batch, token by token after their prompts. Each row
# should come out as if its text were alone:

# %% tags=["experiment"]
generator = torch.Generator().manual_seed(3)
texts, weights = torch.randn(3, 12, 32, generator=generator), torch.randn(4, 32, 32, generator=generator) / 32**0.5
mask = torch.arange(12) >= torch.tensor([[0], [2], [5]])  # padding at the left
cache, outputs, end = None, [], 0
for new in (8, 1, 1, 1, 1):
    end += new
    out, cache = lesson.mine(attend)(texts[:, end - new : end], *weights, 4, mask[:, :end], cache)
    outputs.append(out)
together = torch.cat(outputs, 1)
for row, real in enumerate(mask):
    alone, _ = lesson.mine(attend)(texts[row : row + 1, real], *weights, 4, mask[row : row + 1, real])
    apart = (together[row, real] - alone[0]).abs().max()
    print(f"row {row}, {int(real.sum()):2} tokens: differs from the text alone by {apart:.1e}")

# %% [markdown] tags=["experiment"]
# ## What is exact
#
# Now measure it, in a decoder with random weights and your functions. Nothing is trained, so what holds here holds for
# every model.

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
print(f"all positions shifted by 1000:              {sure.moved:.1e}     with a table instead: {sure.moved_table:.2f}")
print(f"padded, cached, token by token:             {sure.cached:.1e}     starting at 0 again:  {sure.restarted:.2f}")
print(f"weights reordered from neighbours to halves: {sure.converted:.1e}")
print(f"no positions, two earlier tokens exchanged: one layer {sure.one_layer:.1e}, two layers {sure.two_layers:.2f}")

# %% [markdown] tags=["experiment"]
# What is left in the first column is rounding: at position 1000 a float32 angle has lost three of its seven digits.
#
# The last line is about a common sentence: "without positions a transformer cannot know the order". For *one* causal
# layer it is true, because the last query sees a set. From the second layer on it is false: under the causal mask the
# first token sees only itself, the second one two tokens, and the next layer can use that. Decoders without any
# positions do learn to count ([Haviv et al. 2022](https://arxiv.org/abs/2203.16634) call this NoPos, [Kazemnejad et al.
# 2023](https://arxiv.org/abs/2305.19466) NoPE).
#
# ## Positions that training has never shown
#
# Now a trained model. The task is from *decoder-only*: 48 random tokens out of 32, which start again after 8 to 24, so
# that everything in the second half can be copied. Two layers of attention alone learn it.

# %% tags=["experiment"]
for row in repeated(2, torch.Generator().manual_seed(1)):
    print(" ".join(f"{token:2}" for token in row.tolist()[:36]), "…")

# %% [markdown] tags=["experiment"]
# This is the whole training, here for 60 steps; the experiment below takes 400.

# %% tags=["experiment"]
model = Decoder(Sizes(VOCABULARY), turn=turning(lesson.mine(apply_rope), lesson.mine(inv_freq)(16)))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
generator = torch.Generator().manual_seed(0)
for step in range(61):
    ids = repeated(32, generator)
    logits = model(ids, torch.arange(48))[:, 23:-1]
    loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 24:].flatten())
    if step % 20 == 0:
        print(f"step {step:2}   loss on the second half {loss.item():.3f} nats")
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()

# %% [markdown] tags=["experiment"]
# One model gets your rotations, one a learned table with 512 rows. **Training shows both the positions 0 to 47, and no
# other.** Then the *same texts* are shifted: their first token is at position 8, at 48, at 300. Every offset stays.
#
# Guess first. At the positions it was trained on, the table model is right about 87 % of the time. What about the same
# texts at positions 48 to 95? Put your fraction in the place of the dots; chance is 0.03.

# %% tags=["experiment"]
lesson.predict("table moved by 48", ..., "How often is the table model right at positions 48 to 95?")

# %% tags=["experiment"]
found = shifted(lesson.mine(inv_freq), lesson.mine(apply_rope), profile=lesson.profile, seed=0)
print("first position       " + "  ".join(f"{shift:5}" for shift in found.shifts))
print("rotary positions     " + "  ".join(f"{value:5.1%}" for value in found.by_rotary))
figures.learning(found)

# %% [markdown] tags=["experiment"]
# For rotations that is a theorem and not a finding. (They also learn the task faster, because what is learned at one
# position holds at all of them.) Now draw what you expect of the table, then look.

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
# The table's accuracy falls token by token, as the text leaves the rows that training has changed. Beyond 48 each row
# is still the random vector that it was at the start.
#
# **A trap in measuring this.** Keep the text at position 0 and make it eight times as long, 384 tokens, with the same
# periods of 8 to 24. Does the table model still copy in the second half, from position 192 on?

# %% tags=["experiment"]
generator = torch.Generator().manual_seed(2)
texts = repeated(200, generator, 384).to(found.table.norms[0].device)
elsewhere = texts.clone()
elsewhere[:, :48] = repeated(200, generator)
print("384 tokens, the second half right     as it is   with other tokens in the first 48 positions")
for name, model in (("learned table", found.table), ("rotary positions", found.rotary)):
    print(f"{name:35} {copying(model, texts):10.1%} {copying(model, elsewhere):10.1%}")

# %% [markdown] tags=["experiment"]
# With the texts as they are, the table model copies most tokens correctly, even more than the rotary model. It has not
# learned positions beyond 47: everything that it needs has occurred within the first 48 positions, and it copies from
# there. Put other tokens into those, and it fails. **A test of length that can be passed by looking at the beginning
# tests nothing.**
#
# And the rotary model? The first 48 tokens hardly matter to it. But it is not as good as it was either: it falls from
# 99 % to little more than half. The optional part below finds out why.
#
# ## Further
#
# ### Distances that training has never shown
#
# Do rotary positions extrapolate? The word has two meanings. For *the same offsets at other positions* the answer is
# yes, and exact, as you have just seen. *Other offsets* are another matter. Texts of 96 and 192 tokens which repeat
# after a sixth to a half of their length, as those of training do, need offsets of up to 96. In training no offset was
# above 47.
#
# Look at the dials. The first two pairs make more than one revolution within 48 positions: they have shown every angle
# between query and key. The others have not finished one. **At an offset of 80 they show angles that they never showed
# in training**; the ringed dials are those. No weight was trained for these angles.

# %% tags=["widget"]
RotaryDial(dimensions=16, context=48, query_position=90, key_position=10, method="none", factor=2.0)

# %% [markdown]
# Under "Stretch the context by" are three remedies, all of which only change frequencies:
#
# * <dfn>Position interpolation</dfn> stretches a context by slowing *all* pairs down by the factor $s$, as if position
#   $m$ were $m / s$ ([Chen et al. 2023](https://arxiv.org/abs/2306.15595)). Every angle is one of training's. But
#   neighbours, 1 apart in training, are now $1/s$ apart.
# * <dfn>NTK-aware scaling</dfn> stretches a context by a larger base, such that the fastest pair stays as it is and the
#   slowest slows down by exactly $s$ (first proposed in a post on Reddit). Derive the frequencies.

# %% exercise="stretched"
from studium_topics.rope.exercises import stretched

# %% [markdown]
# With the base $b' = b\, s^{d/(d-2)}$, pair $i$ slows down by $s^{2i/(d-2)}$.
#
# * <dfn>Scaling by parts</dfn>, the heart of [YaRN](https://arxiv.org/abs/2309.00071), slows down only those pairs that
#   made few revolutions in training. A pair that made many has shown all angles: leave it. A pair that made less than
#   one must not go further than it did: interpolate it. Between, mix linearly. Llama 3.1 does this with a ramp from 1
#   to 4 revolutions, YaRN with one from 1 to 32.
# * YaRN adds a **gain**. A softmax over twice as many keys is flatter; multiplying queries and keys by $0.1 \ln s + 1$
#   sharpens it again.

# %% exercise="yarn"
from studium_topics.rope.exercises import yarn

# %% [markdown] tags=["experiment"]
# The model is the one that the experiment has trained, and **it is not trained further**. At twice its length, which
# way will be best? And will interpolation be better than doing nothing? Guess what "by parts" reaches at 96:

# %% tags=["experiment"]
lesson.predict("by parts at 96", ..., "How often is the model right at twice the length, by parts?")

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
# times nearly all of it. ([Press et al. 2021](https://arxiv.org/abs/2108.12409) found so: sinusoids fail soon beyond
# the trained length, rotations somewhat later; they proposed a bias on the scores instead.) And slowing pairs down
# *selectively* brings it back, without one step of training.
#
# But interpolation makes it **worse than doing nothing**. Why? Look at how a head of the first layer, which finds the
# token just before, scores each offset.

# %% tags=["experiment"]
trained = by_offset(found.rotary, 120, found.rotary.turn)
sharpest = int((trained[:, 1] - trained.mean(1)).argmax())
curves = {}
for way in ("as trained", "interpolated", "by parts"):
    turn = turning(lesson.mine(apply_rope), *long.ways[way])
    curves[way] = by_offset(found.rotary, 120, turn)[sharpest]
figures.offsets(curves)

# %% [markdown] tags=["experiment"]
# As trained, the head prefers offset 1, and within 48 positions no other score comes near, because training pushed
# those scores down. **Beyond an offset of 47 nothing constrained them.** At 58 the rotations happen to agree again, and
# the score is as high: in a longer text the head looks at the wrong token. (These are the numbers of seed 0 with pairs
# of halves. With other pairs the peak is elsewhere.)
#
# Interpolated by 4, the curve is the trained one, stretched four times. There is no new peak, but the one at 1 is now
# at 4 and four times as wide, so that the head can no longer point at *the* previous token. Scaling by parts keeps the
# sharp peak at 1, because fast pairs make it, and no later score reaches it.
#
# The paper on interpolation does not claim otherwise. Its claim is about **fine-tuning**: within 1000 steps Llama
# adapted to it. And Llama's heads have 64 pairs, many of which are slower than any of ours needs to be. Let us train
# our model for 40 steps on texts of 192 tokens:

# %% tags=["experiment"]
print("accuracy at 192 tokens   as it was   after 40 more steps")
for way, value in long.tuned.items():
    print(f"{way:22} {long.accuracy[way][2]:11.1%} {value:21.1%}")

# %% [markdown] tags=["experiment"]
# Fine-tuning helps every variant. Scaling by parts starts from a far better place, and reaches in 40 steps what the
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
# ## What does not reproduce at this size
#
# * **The headline**, 27.5 against 27.3 BLEU on WMT 2014, needs that data set and days of training. Without error bars
#   we would not know what to reproduce.
# * **Position interpolation** as published: 32 768 tokens with Llama 7B to 65B, after 1000 steps. Ours recovers only a
#   little in 40 steps. With 8 pairs a head, all eight are needed for something.
# * **YaRN's ramp** from 1 to 32 revolutions is made for contexts of thousands. Within 48 positions even the fastest
#   pair makes fewer than 8, so that ramp would slow everything down. The experiment uses Llama 3's, from 1 to 4.
# * **YaRN in code and on paper** differ: in the paper the ramp is linear in the number of revolutions, in its authors'
#   code, and in most libraries, in the index of the pair, with rounded ends. Your exercise follows the paper (and so
#   Llama 3); the dials follow the code.
# * **The gain** helps here at four times the length more than at twice. One toy task says little about it.
#
# ## Common misconceptions
#
# * *"RoPE is added to the embeddings."* It multiplies, in every layer, queries and keys alone.
# * *"It preserves distances and order between tokens."* It preserves the lengths of vectors, and makes scores depend on
#   offsets. What the model does with an offset, it has to learn.
# * *"It is an absolute encoding"* / *"It is a relative one."* Each vector is rotated by its absolute position; each
#   score depends on the relative one. Both sentences are half of it.
# * *"It extrapolates to any length."* To any *position*. Not to any distance.
# * *"Attention decays with distance."* A bound does, slowly. Scores oscillate, and heads choose.
# * *"A decoder without positions cannot know the order."* One layer cannot. With two, the causal mask is enough.
# * *"My code gives other vectors than the library's, so it is wrong."* Compare scores.
# * *"Half precision is enough for angles."* At position 32 767 the largest error of a cosine is about 0.0005 in
#   float32, and 2 in bfloat16, as wrong as a cosine can be. Half-precision models keep their angles in float32.
#
# ## You can now
#
# * derive why a rotation by the position makes scores depend on offsets alone;
# * write a rotary embedding in either layout, and compare two implementations by their scores;
# * reorder the weights of a checkpoint for the other layout;
# * write a layer of attention that serves a padded batch from a cache of rotated keys;
# * tell a shift of positions, which is exact, from a longer distance, which is not.
#
# ## Open tasks
#
# * **Ten minutes.** Rotate the *values* too, in the cell that trains a model, and shift the positions of a text by 100.
#   You should see logits change, which they do not without it.
# * **An hour.** An image patch has two coordinates, a row and a column. Give half of the pairs to each, and check that
#   a score depends on the row offset and the column offset alone. Vision transformers do this.
# * **A day.** Train the copying model with a base of 100 and of 1 000 000, and compare the accuracy at 96 and 192
#   tokens without any stretching. You should see the base trade neighbours against distance.
#
# ## Further reading
#
# * [Su et al. 2021](https://arxiv.org/abs/2104.09864): section 3.4.1 is the derivation, 3.4.3 the bound.
# * [Press et al. 2021](https://arxiv.org/abs/2108.12409): ALiBi, a bias that grows with the offset, and the test of
#   lengths that later papers use.
# * [Chen et al. 2023](https://arxiv.org/abs/2306.15595) and [Peng et al. 2023](https://arxiv.org/abs/2309.00071): how
#   contexts of 2000 tokens became contexts of 100 000.
# * [Kazemnejad et al. 2023](https://arxiv.org/abs/2305.19466): decoders without any positions, tested.
# * [kv-caching](kv-caching.ipynb), where rotated keys are kept.
