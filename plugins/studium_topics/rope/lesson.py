# %% [markdown]
# # Rotary positional embedding
#
# In 2021 Su Jianlin and his colleagues published a paper whose first result was 27.5 BLEU for translating English to
# German. The transformer of 2017 had 27.3, and there were no error bars. Today most large language models that you can
# download use this method, such as Llama, Mistral and Qwen. A fifth of a BLEU point is not the reason. The reason is an
# argument, three lines long, about what a position should *do*.
#
# Each dial in the widget is a pair of coordinates in an attention head, with one hand for the query and one for the
# key. The score is the mean of the cosines between the hands. **First move just the query and watch it trace the curve.
# Then switch "Move both" on and move it again.** Before you do: what will the hands do, and what will happen to the
# score?

# %% tags=["widget"]
from studium_widgets import Chart, Diagram, RotaryDial

RotaryDial(dimensions=16, context=48, query_position=20, key_position=8)

# %% [markdown]
# All the hands rotate, but the angles between them stay the same, and so does the score. In this lesson you will
#
# 1. **write** this: rotate each pair of coordinates of queries and keys by an angle that grows with the position;
# 2. **show** and measure that scores depend only on the *offset*, to the last digits of a float;
# 3. **derive** how to move weights between the two layouts that people use, and decode from a cache using the right
#    positions;
# 4. **train** a model that copies, shift its text to positions that it has never seen, and watch a learned table fail
#    where rotations do not;
# 5. optionally **extend** the context to *distances* that did not occur in training. Rotations fail there too, and you
#    will repair them by slowing some pairs down.
#
# **You need** a decoder, from [decoder-only](decoder-only.ipynb). **Time:** 21 minutes of reading, 88 of coding, 3 of
# running; the optional part takes another half hour.
#
# **History.** Before RoPE, a transformer added a vector for the position to the embedding of each token. This was
# either a fixed sinusoid (2017) or a row of a learned table (GPT-2). A table ends at its last row, and the model has to
# learn that 17 − 16 and 503 − 502 are the same distance. [RoFormer](https://arxiv.org/abs/2104.09864) replaced the
# addition with rotations of queries and keys, and for them this is built in.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $q$, $k$ | a query and a key of one head | (d,) |
# | $m$, $n$ | their positions; the offset is $m - n$ | whole numbers |
# | $d$ | width of a head, $d / 2$ pairs | |
# | $\theta_i$ | frequency of pair $i$, in radians a position | (d/2,) |
# | $b$ | the base of the frequencies, 10 000 | |
# | $s$ | here: the factor by which a context is stretched | |

# %%
from studium import show_table
import torch
import torch.nn.functional as F

from studium_topics.rope import figures
from studium_topics.rope.exact import decay, exact
from studium_topics.rope.experiment import SHIFTS, by_offset, copying, longer, repeated, shifted, turning
from studium_topics.rope.model import VOCABULARY, Decoder, Sizes

# %% [markdown]
# ## What is missing from attention
#
# The score of a query with a key is a dot product. It depends on *what* the two tokens are, but not on *where* they
# are: if you permute the tokens, every pair keeps its score.
#
# A <dfn>position table</dfn> has a learned vector for each position, which we add to the embedding of the token there.
# GPT-2 has 1024 of them. This solution has two weaknesses. First, there is no row for a later position. Second, most
# relations in language, such as "the word before this one" or "the noun that this verb belongs to", depend on distances
# and not on absolute positions. The <dfn>offset</dfn> of a query and a key is how many positions the key is behind the
# query.
#
# So let's write down what we want. We change a query $q$ at position $m$ and a key $k$ at position $n$ to $f(q, m)$ and
# $f(k, n)$, and for some function $g$ we should have
#
# $$f(q, m) \cdot f(k, n) = g(q, k, m - n).$$
#
# Is there such an $f$? In two dimensions, we can think of vectors as complex numbers. Then $a \cdot b =
# \operatorname{Re}(a\, \bar b)$, and to rotate by an angle $\varphi$ we multiply by $e^{i\varphi}$. Now let's rotate
# each vector by an angle proportional to its position:
#
# $$\operatorname{Re}\big( q e^{i m \theta} \; \overline{k e^{i n \theta}} \big)
#   = \operatorname{Re}\big( q \bar k \; e^{i (m - n) \theta} \big).$$
#
# The conjugate turns the two angles into a difference, so of $m$ and $n$ only $m - n$ is left. A <dfn>rotary positional
# embedding</dfn> (RoPE) rotates each pair of coordinates of queries and keys by an angle proportional to the position,
# so that scores depend only on offsets. The model doesn't need to learn anything for this, and it also holds at
# position one million.
#
# ## Many frequencies
#
# A head has more than two coordinates: $d = 64$ or 128. We group them into $d/2$ pairs, and each pair rotates at a
# different frequency,
#
# $$\theta_i = b^{-2i/d}, \qquad i = 0, \dots, d/2 - 1,$$
#
# from 1 radian per position down to almost 0. This is the same geometric series that the sinusoids of 2017 use, with
# the same base $b = 10\,000$ (section 3.2.2 of the paper). Think of the hands of a clock. If you could see only the
# minute hand, you could not tell 1 o'clock from 2 o'clock, and if you could see only the hour hand, you could not tell
# 1:00 from 1:01. **Fast pairs tell neighbours apart, and slow pairs tell near from far.**

# %% tags=["diagram"]
Diagram.from_package("studium_topics.rope", "flow.svg")

# %% exercise="inv_freq"
from studium_topics.rope.exercises import inv_freq

# %% [markdown]
# ## Write it
#
# If we rotate a pair $(x, y)$ by $\varphi$, we get $(x \cos\varphi - y \sin\varphi,\; y \cos\varphi + x \sin\varphi)$.
# But which coordinates are a pair? The paper takes neighbours, (0, 1), (2, 3), …, and so does Meta's Llama. Most
# libraries use **halves**, $(i, i + d/2)$, because two slices are quicker than a shuffle. And in which direction should
# we rotate? [nanochat](https://github.com/karpathy/nanochat) rotates backwards. **You can train a model equally well
# with any of these conventions**, because learned weights make the queries and keys, and they adapt to whatever the
# pairs are.
#
# We will therefore judge your function by its scores, and you can choose. But use the same convention throughout. If
# you combine halves with the angles for neighbours, you make the classic mistake, and you won't get an error.

# %% exercise="apply_rope"
from studium_topics.rope.exercises import apply_rope

# %% [markdown]
# **Think about it.** We rotate queries and keys. Why don't we rotate the values too?
#
# <details><summary>Answer</summary>
#
# A rotation works because we multiply two rotated vectors in a dot product, and this is where the positions become a
# difference. Values are just added up. If we rotated them, the sum would carry absolute positions into the model. We
# don't rotate embeddings either, because the norm and the projection between them and the scores mix coordinates from
# different pairs.
# </details>
#
# **In practice** you would use `apply_rotary_pos_emb` from `transformers`. On the same queries and keys, your scores
# should equal the library's scores once its layout and direction match yours:

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
# One row is 0 except for rounding, and it tells you which of the four conventions you chose.
#
# **Break it.** Here are the same dials with four common mistakes. Choose one of them under "Put in a mistake" and leave
# the offset as it is. Below the dials you can read whether the score still depends only on the offset. Which mistake
# leaves this *property* intact, but is wrong all the same?

# %% tags=["widget"]
generator = torch.Generator().manual_seed(7)
query, key = torch.randn(2, 16, generator=generator)
RotaryDial(dimensions=16, context=48, query=query, key=key, query_position=30, key_position=26, mistake="mixed")

# %% [markdown]
# <details><summary>Answer</summary>
#
# It is the exponent $i/d$ instead of $2i/d$. Scores still depend only on offsets, but all pairs are faster, and the
# slowest is 56 times as fast as it should be. The head can no longer tell long distances apart.
# </details>
#
# ## The score without a rotation
#
# If only the offset counts, we can compute a score directly from $q$, $k$ and the offset, using the formula. This is a
# good way to test an implementation, and also to see how a head scores each distance.

# %% exercise="relative_score"
from studium_topics.rope.exercises import relative_score

# %% [markdown] tags=["experiment"]
# The authors prove a **bound** on this score, and the bound falls with the offset. People often quote this as "the
# attention between two tokens decays with their distance". Let's look at both of them for $d = 128$: the bound, and the
# score of the simplest pair of vectors, all ones.

# %% tags=["experiment"]
decayed = decay(lesson.mine(inv_freq), lesson.mine(relative_score), profile=lesson.profile)
show_table(
    ["offset", "bound", "score / score at 0"],
    [
        (offset, f"{decayed.bound[offset]:.1f}", f"{decayed.score[offset]:+.3f}")
        for offset in (0, 1, 10, 50, 100, 500, 1000)
    ],
)
figures.decaying(decayed)

# %% [markdown] tags=["experiment"]
# The bound falls slowly, by a factor of 7 over a thousand positions. The score *oscillates*, so further away is not
# always less. And the vectors depend on learned weights. For example, a head can prefer an offset of exactly 7 by using
# a $q$ that is a $k$ rotated back by seven positions, which is a linear map. "Decays with distance" is a tendency, not
# a law.
#
# ## Two layouts, one model
#
# Meta's Llama checkpoints were trained with neighbours, but the code that most people run uses halves. We don't have to
# train anything again. The rows of $W_q$ and $W_k$ make the coordinates of queries and keys, and we can reorder rows.
# Conversion scripts have a function for this, and here you will derive which row goes where.

# %% exercise="to_half"
from studium_topics.rope.exercises import to_half

# %% [markdown]
# **Think about it.** Do we also have to reorder $W_v$ and $W_o$?
#
# <details><summary>Answer</summary>
#
# No. We don't rotate values, so their order has nothing to do with pairs. If you reordered only $W_v$, then $W_o$ would
# get its inputs in the wrong order. The output would be wrong, although all the attention weights would be right.
# </details>
#
# ## Positions in a cache
#
# When a model generates text, it computes one token at a time and keeps the keys of all earlier tokens
# ([kv-caching](kv-caching.ipynb) explains why). **It keeps them rotated.** The position of a new token must therefore
# continue where the cache ends. If it starts at 0 again, the offset to the first word will be 0.
#
# Batches make this harder. We use <dfn>padding</dfn> to fill up the shorter texts in a batch, on the left or on the
# right. The rule is that padding takes no position. But which scores does a wrong position actually change?
#
# *Let's say a batch has two rows, and one has three columns of padding on its left. You number the columns 0, 1, 2, …,
# including the padding. Which scores will change?* None of them: all the tokens in that row move by three, and the
# offsets stay the same. With a table this would be a bug, but here it is not. It becomes a bug when there is padding
# *between* two tokens.

# %% exercise="decode_positions"
from studium_topics.rope.exercises import decode_positions

# %% [markdown]
# Now put this together in a complete attention layer, as you would run it on a server: for a batch of texts with
# different lengths, and with a cache. It stores the rotated keys.

# %% exercise="attend"
from studium_topics.rope.exercises import attend

# %% [markdown] tags=["experiment"]
# We will send three texts of different lengths through your layer in one batch, and after the prompts we go token by
# token. Each row should give the same result as its text would by itself:

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
    print(f"row {row}, {int(real.sum()):2} tokens: differs from a batch of one by {apart:.1e}")

# %% [markdown]
# **A head that finds one offset.** We said above that a head can prefer an offset of exactly 7. How much of its
# attention can it really give to this offset? If the query is the key rotated back by seven positions, all pairs agree
# there, but many of them agree at 6 and at 8 almost as well. The length of the vectors is limited, so you have to
# decide which pairs should get most of it. The next exercise sets a goal and leaves the way to you. Afterwards, report
# what you tried.

# %% exercise="point_at"
from studium_topics.rope.exercises import point_at

# %% [markdown] tags=["experiment"]
# ## What is exact
#
# Now let's measure this, using your functions in a decoder with random weights. We don't train the decoder, so what
# holds here will hold for every model.

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
show_table(
    ["", "largest change of a logit or score", "for comparison"],
    [
        ("all positions shifted by 1000", f"{sure.moved:.1e}", f"{sure.moved_table:.2f} with a table"),
        ("padded, cached, token by token", f"{sure.cached:.1e}", f"{sure.restarted:.2f} starting at 0 again"),
        ("weights reordered from neighbours to halves", f"{sure.converted:.1e}", None),
        ("no positions, two earlier tokens exchanged: one layer", f"{sure.one_layer:.1e}", None),
        ("no positions, two earlier tokens exchanged: two layers", f"{sure.two_layers:.2f}", None),
    ],
)

# %% [markdown] tags=["experiment"]
# What is left in the first column is rounding: at position 1000, a float32 angle has lost three of its seven digits.
#
# The last line is about something that you will hear often: "without positions a transformer cannot know the order".
# For *one* causal layer this is true, because the last query sees a set. From the second layer on, it is false. Under
# the causal mask the first token can see only itself, the second token can see two, and the next layer can use this.
# Decoders without any positions do learn to count ([Haviv et al. 2022](https://arxiv.org/abs/2203.16634) call this
# NoPos, [Kazemnejad et al. 2023](https://arxiv.org/abs/2305.19466) NoPE).
#
# ## Positions that training has never shown
#
# Now we need a trained model. The task comes from *decoder-only*: each text has 48 random tokens, drawn from 32
# different ones, and it starts again after 8 to 24 tokens. This means that you can copy everything in the second half.
# Two layers that contain just attention can learn it.

# %% tags=["experiment"]
for row in repeated(2, torch.Generator().manual_seed(1)):
    print(" ".join(f"{token:2}" for token in row.tolist()[:36]), "…")

# %% [markdown] tags=["experiment"]
# Here is the complete training loop, which we run for 60 steps. The experiment below takes 400.

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
# One model gets your rotations, and the other gets a learned table with 512 rows. **In training, both see the positions
# 0 to 47, and no others.** Then we shift the *same texts*, so that their first token is at position 8, at 48 or at 300.
# All the offsets stay the same.
#
# Guess first. At the positions that it was trained on, the table model is right about 87 % of the time. How often will
# it be right if we put the same texts at positions 48 to 95? Replace the dots with your fraction. Chance is 0.03.

# %% tags=["experiment"]
lesson.predict("table moved by 48", ..., "How often is the table model right at positions 48 to 95?")

# %% tags=["experiment"]
found = shifted(lesson.mine(inv_freq), lesson.mine(apply_rope), profile=lesson.profile, seed=0)
show_table(
    ["first position", *(f"{shift}" for shift in found.shifts)],
    [("rotary positions", *(f"{value:.1%}" for value in found.by_rotary))],
)
figures.learning(found)

# %% [markdown] tags=["experiment"]
# For rotations, this is a theorem and not just a finding. (They also learn the task faster, because what they learn at
# one position holds at all of them.) Now draw what you expect from the table, and then look.

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
# The accuracy of the table falls token by token, as the text leaves the rows that training has changed. Beyond 48, each
# row is still the random vector that it was at the start.
#
# **There is a trap in measuring this.** Keep the text at position 0 and make it eight times as long: 384 tokens, with
# the same periods of 8 to 24. Does the table model still copy in the second half, from position 192 on?

# %% tags=["experiment"]
generator = torch.Generator().manual_seed(2)
texts = repeated(200, generator, 384).to(found.table.norms[0].device)
elsewhere = texts.clone()
elsewhere[:, :48] = repeated(200, generator)
show_table(
    ["384 tokens, the second half right", "as it is", "with other tokens in the first 48 positions"],
    [
        (name, *(f"{copying(model, ids):.1%}" for ids in (texts, elsewhere)))
        for name, model in (("learned table", found.table), ("rotary positions", found.rotary))
    ],
)

# %% [markdown] tags=["experiment"]
# If we use the texts as they are, the table model copies most tokens correctly, even more than the rotary model. But it
# has not learned positions beyond 47. Everything that it needs has already occurred within the first 48 positions, so
# it copies from there. If we put other tokens in those positions, it fails. **A length test that a model can pass by
# looking at the beginning tests nothing.**
#
# What about the rotary model? The first 48 tokens hardly matter to it. However, it is not as good as it was either: it
# falls from 99 % to just over half. In the optional part below, you will find out why.
#
# ## Further
#
# ### Distances that training has never shown
#
# Do rotary positions extrapolate? This can mean two things. If you mean *the same offsets at other positions*, the
# answer is yes, exactly, as you have just seen. *Other offsets* are a different matter. We will use texts of 96 and 192
# tokens which repeat after a sixth to a half of their length, like those in training. They need offsets of up to 96,
# while no offset in training was above 47.
#
# Look at the dials. Within 48 positions, the first two pairs make more than one revolution, so they have shown every
# angle between query and key. The other pairs have not finished one. **At an offset of 80, they show angles that never
# came up in training**; these are the dials with a ring. The weights were not trained for these angles.

# %% tags=["widget"]
RotaryDial(dimensions=16, context=48, query_position=90, key_position=10, method="none", factor=2.0)

# %% [markdown]
# Under "Stretch the context by" you can find three remedies, and all of them change only frequencies:
#
# * <dfn>Position interpolation</dfn> stretches a context by slowing *all* pairs down by the factor $s$, as if position
#   $m$ were $m / s$ ([Chen et al. 2023](https://arxiv.org/abs/2306.15595)). Every angle is now one that training has
#   shown. But neighbours, which were 1 apart in training, are now $1/s$ apart.
# * <dfn>NTK-aware scaling</dfn> stretches a context using a larger base, such that the fastest pair stays as it is and
#   the slowest slows down by exactly $s$ (this was first proposed in a post on Reddit). Derive the frequencies.

# %% exercise="stretched"
from studium_topics.rope.exercises import stretched

# %% [markdown]
# If we use the base $b' = b\, s^{d/(d-2)}$, pair $i$ slows down by $s^{2i/(d-2)}$.
#
# * <dfn>Scaling by parts</dfn>, which is the heart of [YaRN](https://arxiv.org/abs/2309.00071), slows down only those
#   pairs that made few revolutions in training. If a pair made many, it has shown all angles and we leave it. If it
#   made less than one, it must not go further than it did, so we interpolate it. Between these two we mix linearly.
#   Llama 3.1 does this using a ramp from 1 to 4 revolutions, and YaRN uses one from 1 to 32.
# * YaRN also adds a **gain**. A softmax over twice as many keys is flatter, and if we multiply queries and keys by $0.1
#   \ln s + 1$, it gets sharper again.

# %% exercise="yarn"
from studium_topics.rope.exercises import yarn

# %% [markdown] tags=["experiment"]
# We take the model that the experiment has trained, and **we don't train it any further**. Which way will be best at
# twice its length? And will interpolation be better than doing nothing? Guess what "by parts" will reach at 96:

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
show_table(
    ["length of the text", *(f"{length}" for length in long.lengths)],
    [(way, *(f"{value:.1%}" for value in row)) for way, row in long.accuracy.items()],
)
figures.lengths(long)

# %% tags=["experiment"]
lesson.found("by parts at 96", long.accuracy["by parts"][1])

# %% [markdown] tags=["experiment"]
# So **rotary positions do not extrapolate for free**: at twice the length they lose a good part of the ability, and at
# four times nearly all of it. ([Press et al. 2021](https://arxiv.org/abs/2108.12409) found this too: sinusoids fail
# soon beyond the trained length and rotations somewhat later. Their proposal was to add a bias to the scores instead.)
# But if we slow pairs down *selectively*, we get it back without a single step of training.
#
# Interpolation, however, is **worse than doing nothing**. Why? Let's look at a head in the first layer which finds the
# previous token, and at how it scores each offset.

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
# those scores down. **Beyond an offset of 47, training put no constraint on them.** At 58 the rotations happen to agree
# again, and the score is just as high: in a longer text, the head will look at the wrong token. (These numbers are for
# seed 0 with pairs of halves. If you use other pairs, the peak will be elsewhere.)
#
# If we interpolate by 4, we get the trained curve, stretched four times. There is no new peak, but the one at 1 is now
# at 4 and four times as wide, so the head can no longer point at *the* previous token. With scaling by parts the sharp
# peak stays at 1, because fast pairs make it, and no later score reaches it.
#
# The authors of position interpolation never claimed otherwise. Their claim is about **fine-tuning**: Llama adapted
# within 1000 steps. And the heads of Llama have 64 pairs, many of which are slower than any of ours needs to be. Let's
# train our model for 40 steps on texts of 192 tokens:

# %% tags=["experiment"]
show_table(
    ["accuracy at 192 tokens", "as it was", "after 40 more steps"],
    [(way, f"{long.accuracy[way][2]:.1%}", f"{value:.1%}") for way, value in long.tuned.items()],
)

# %% [markdown] tags=["experiment"]
# Fine-tuning helps every variant. Scaling by parts starts from a far better place, and in 40 steps it gets further than
# any of the others.
#
# **Think about it.** Llama 3 was trained with a base of 500 000 instead of 10 000. What might this be good for?
#
# <details><summary>Answer</summary>
#
# All pairs except the first are slower. Within a long context, fewer of them will pass angles that a short context
# never shows, and the slow ones can tell far from further. This is the NTK idea, applied before training. It has a
# price: fewer pairs are left to tell neighbours apart, and a head has only so many.
# </details>
#
# ## What does not reproduce at this size
#
# * **The headline**, 27.5 against 27.3 BLEU on WMT 2014. You would need that data set and days of training, and because
#   there are no error bars, we would not know what to reproduce.
# * **Position interpolation** as published: 32 768 tokens with Llama 7B to 65B, after 1000 steps. Our model recovers
#   only a little in 40 steps. It has 8 pairs per head, and it needs all eight for something.
# * **YaRN's ramp** from 1 to 32 revolutions is made for contexts of thousands of tokens. Within 48 positions even the
#   fastest pair makes fewer than 8 revolutions, so this ramp would slow everything down. We use the ramp of Llama 3
#   instead, from 1 to 4.
# * **YaRN in code and on paper** differ. In the paper, the ramp is linear in the number of revolutions. In the authors'
#   code, and in most libraries, it is linear in the index of the pair, with rounded ends. Your exercise follows the
#   paper (and so Llama 3); the dials follow the code.
# * **The gain** helps more here at four times the length than at twice. One toy task can't tell us much about it.
#
# ## Common misconceptions
#
# * *"RoPE is added to the embeddings."* It multiplies, it does so in every layer, and it changes only queries and keys.
# * *"It preserves distances and order between tokens."* It preserves the lengths of vectors, and makes scores depend on
#   offsets. The model has to learn what to do with an offset.
# * *"It is an absolute encoding"* / *"It is a relative one."* Each is half the truth: we rotate each vector by its
#   absolute position, but each score depends on the relative one.
# * *"It extrapolates to any length."* It extrapolates to any *position*, but not to any distance.
# * *"Attention decays with distance."* A bound does, slowly. Scores oscillate, and heads choose.
# * *"A decoder without positions cannot know the order."* One layer can't. If you have two, the causal mask is enough.
# * *"My code gives other vectors than the library's, so it is wrong."* Compare scores.
# * *"Half precision is enough for angles."* At position 32 767, the largest error of a cosine is about 0.0005 in
#   float32. In bfloat16 it is 2, which is as wrong as a cosine can be. Half-precision models keep their angles in
#   float32.
#
# ## You can now
#
# * derive why scores depend only on offsets when we rotate by the position;
# * write a rotary embedding in either layout, and compare two implementations using their scores;
# * reorder the weights of a checkpoint for the other layout;
# * write an attention layer that serves a padded batch from a cache of rotated keys;
# * tell a shift of positions, which is exact, from a longer distance, which is not.
#
# ## Open tasks
#
# * **Ten minutes.** In the cell that trains a model, rotate the *values* too, and shift the positions of a text by 100.
#   You should see that the logits change, which they don't if you leave the values alone.
# * **An hour.** An image patch has two coordinates, a row and a column. Give half of the pairs to each, and check that
#   a score depends only on the row offset and the column offset. Vision transformers do this.
# * **A day.** Train the copying model with a base of 100 and of 1 000 000, and compare the accuracy at 96 and 192
#   tokens without any stretching. You should see how the base trades neighbours against distance.
#
# ## Further reading
#
# * [Su et al. 2021](https://arxiv.org/abs/2104.09864): section 3.4.1 has the derivation, 3.4.3 the bound.
# * [Press et al. 2021](https://arxiv.org/abs/2108.12409): ALiBi, a bias that grows with the offset, and the length test
#   that later papers use.
# * [Chen et al. 2023](https://arxiv.org/abs/2306.15595) and [Peng et al. 2023](https://arxiv.org/abs/2309.00071): how
#   contexts of 2000 tokens became contexts of 100 000.
# * [Kazemnejad et al. 2023](https://arxiv.org/abs/2305.19466): decoders without any positions, tested.
# * [kv-caching](kv-caching.ipynb), where we store rotated keys.
