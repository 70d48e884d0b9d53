# %% [markdown]
# # Performer: attention from random features
#
# Attention over n tokens computes n × n weights exp(q · k). Suppose that each weight were the dot product of a short
# list of numbers made from q and another one made from k. Then the n × n table would never be needed, and the time
# would grow as n. There are such lists, if the numbers may be random: two formulas give products that are **right on
# average, for every q and k**.
#
# Later you will train a small decoder with each of them. With one it learns. With the other, on the same random
# vectors, it ends far behind a decoder whose attention is a plain average of everything before. How can two estimates
# that are both right on average differ so much? **Switch the features, then move the size of q and k.**

# %% tags=["widget"]
from studium_topics.performer.spotlight import RandomSpotlight

RandomSpotlight.example()

# %% [markdown]
# In this lesson you will
#
# 1. **write** attention without its square, by multiplying in another order;
# 2. **derive** positive random features, and show that they are unbiased;
# 3. **derive** the variance of both kinds of features, and measure it;
# 4. **draw** orthogonal random vectors that are still normal, each by itself;
# 5. **build** causal attention in chunks, exact and in linear memory, and **train** a decoder with it.
#
# You need causal attention from [decoder-only](decoder-only.ipynb); the meter of the largest tensor is that of
# [flash-attention](flash-attention.ipynb). Time: 17 minutes of reading, 116 of coding, 3 of running.
#
# **Before the Performer**, models for long texts restricted attention to windows, sparse patterns, hash buckets or a
# low rank. [Katharopoulos et al.](https://arxiv.org/abs/2006.16236) made it linear by replacing the softmax with
# another function of q and k. The [Performer](https://arxiv.org/abs/2009.14794) keeps the softmax as the goal and
# estimates it, without assuming that attention is sparse or of low rank.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $n$, $d$, $m$ | tokens, width of a head, random vectors | |
# | $q, k, v$ | queries, keys and values; q and k are already divided by $d^{1/4}$ | (n, d) |
# | $w$ | a random vector of independent standard normal numbers | (d,) |
# | $\varphi(x)$ | the features of a vector | (m,) |
# | $S_i$, $z_i$ | sums over the keys up to token i, in causal attention | (m, d), (m,) |

# %%
import torch
import torch.nn.functional as F
from studium_widgets import Diagram

from studium_topics.performer import experiment, figures

# %% [markdown]
# ## Two thin products
#
# Attention divides $q$ and $k$ by $\sqrt d$ together. We give each of them half of that factor, $d^{-1/4}$, so that the
# weight of a pair is $e^{q \cdot k}$. Row i of the output is
#
# $$o_i = \frac{\sum_j e^{q_i \cdot k_j}\, v_j}{\sum_j e^{q_i \cdot k_j}} .$$
#
# If $e^{q \cdot k} = \varphi(q) \cdot \varphi(k)$ for some list of features $\varphi$, then $\varphi(q_i)$ does not
# depend on j, and both sums can be made before any query is looked at:
#
# $$o_i = \frac{\varphi(q_i) \cdot \bigl(\sum_j \varphi(k_j)\, v_j^\top\bigr)}{\varphi(q_i) \cdot \sum_j
# \varphi(k_j)} .$$
#
# <dfn>Linear attention</dfn> is attention whose weights are products of features, so that keys and values can be
# multiplied first. Its time and memory grow as n and not as n².

# %% tags=["diagram"]
Diagram.from_package("studium_topics.performer", "flow.svg")

# %% [markdown]
# Begin with this order of multiplication; where the features come from does not matter yet.

# %% exercise="linear_attention"
from studium_topics.performer.exercises import linear_attention

# %% [markdown]
# ## Features that are right on average
#
# No finite list of features gives $e^{q \cdot k}$ for all q and k. But an average over random vectors does. Take w
# normal and any fixed vector u. Completing the square in the exponent,
#
# $$\mathbb E\, e^{w \cdot u} = \int \frac{e^{-|w|^2/2}}{(2\pi)^{d/2}}\, e^{w \cdot u}\, dw = e^{|u|^2/2} \int
# \frac{e^{-|w - u|^2/2}}{(2\pi)^{d/2}}\, dw = e^{|u|^2/2},$$
#
# because the last integral is that of a normal density around u, which is 1. Now set $u = q + k$. The left side is then
# a product of one factor that depends on q alone and another one that depends on k alone:
#
# $$\mathbb E\, \bigl[e^{w \cdot q}\, e^{w \cdot k}\bigr] = e^{|q + k|^2/2} = e^{|q|^2/2}\; e^{q \cdot k}\;
# e^{|k|^2/2} .$$
#
# That is $e^{q \cdot k}$ times two factors, one that depends on q alone and one that depends on k alone. Correct the
# features for them, and average over m vectors. An estimate is <dfn>unbiased</dfn> if its mean over all random draws is
# the exact value. The <dfn>positive random features</dfn> of a vector are exponentials, so no weight can be negative.
#
# The exercise asks for logarithms, because the features themselves can be too small for float32, as we shall see.

# %% exercise="log_features"
from studium_topics.performer.exercises import log_features

# %% [markdown]
# ## The other formula
#
# An older way uses cosines. The mean of $\cos(w \cdot u)$ is the real part of the formula above for the imaginary
# vector $iu$, that is $e^{-|u|^2/2}$. With $u = q - k$,
#
# $$e^{q \cdot k} = e^{|q|^2/2}\; e^{-|q - k|^2/2}\; e^{|k|^2/2} = e^{|q|^2/2}\; \mathbb E \cos(w \cdot (q - k))\;
# e^{|k|^2/2},$$
#
# and since $\cos(a - b) = \cos a \cos b + \sin a \sin b$, this is a product of features, too. <dfn>Sine-cosine
# features</dfn> are the cosines and sines of $w \cdot x$, times $e^{|x|^2/2} / \sqrt m$
# ([Rahimi and Recht 2007](https://papers.nips.cc/paper/3182-random-features-for-large-scale-kernel-machines)). Both
# kinds are unbiased. How far is one draw from the mean?

# %% exercise="variance"
from studium_topics.performer.exercises import variance

# %% [markdown] tags=["experiment"]
# Divided by the square of the value that is estimated, your two results depend on one length each (the paper's lemma
# 2):
#
# $$\frac{\text{variance}}{e^{2 q \cdot k}}: \qquad \frac{e^{|q + k|^2} - 1}{m} \;\text{ for positive features,} \qquad
# \frac{\cosh|q - k|^2 - 1}{m} \;\text{ for sine-cosine features.}$$
#
# So the two kinds fail in opposite places. Where k is close to q, $|q - k|$ is small and sine-cosine features are good.
# Where k is close to $-q$, $|q + k|$ is small and positive features are good; for $k = -q$ they have no error at all.
#
# **Think about it.** Most keys get little weight from a query. Which features are good for *those*, and what happens to
# the sum of a row with the others?
#
# <details><summary>Answer</summary>
#
# Positive ones: a small weight belongs to a key that points away from the query. Sine-cosine features estimate each of
# the many small weights with a large error, often a negative number. Their sum is the denominator. If it comes near to
# 0, the whole row is multiplied by a huge number, and if it is negative, the row changes its sign. Features that are
# positive cannot do that: a row of their estimate is always a weighted mean of values. This is the answer to the
# question at the top.
# </details>

# %% [markdown]
# ## Orthogonal vectors
#
# Independent vectors cover the directions unevenly: two of them may point almost the same way. Vectors that are
# orthogonal in groups of d cover them more evenly. If **each vector by itself is still normal**, the estimate stays
# unbiased. That takes care in two places: the lengths, and the signs that a QR decomposition chooses.

# %% exercise="orthogonal_gaussian"
from studium_topics.performer.exercises import orthogonal_gaussian

# %% [markdown] tags=["experiment"]
# ## Measured
#
# *Predict first: the root mean square error with 16 vectors, divided by that with 256.*

# %% tags=["experiment"]
lesson.predict("sixteen times the vectors", ..., "How many times smaller is the error with 256 vectors than with 16?")

# %% tags=["experiment"]
my_logs, my_orthogonal = lesson.mine(log_features), lesson.mine(orthogonal_gaussian)
found = experiment.estimates(my_logs, lesson.mine(variance), my_orthogonal, profile=lesson.profile, seed=0)
for kind in experiment.KINDS:
    print(f"{kind:12} measured variance over yours {found.ratios[kind]:.2f}; exponent of m {found.slope(kind):+.2f}")
    print(f"{'':12} relative error for k = -q: {found.opposite[kind]:.1e}")
lesson.found("sixteen times the vectors", found.errors["positive"][0] / found.errors["positive"][-1], within=0.25)
figures.errors(found)

# %% tags=["experiment"]
print(f"mean square error, orthogonal over independent vectors: {found.orthogonal:.2f}")
print(f"mean error of yours, in standard errors (1 if unbiased): {found.bias:.2f}")
print(f"mean error with the signs that QR returns: {found.unsigned:.1f} standard errors")

# %% [markdown] tags=["experiment"]
# The variances are those that you derived, and the error falls as $m^{-1/2}$. For these pairs, of length about 1, the
# *sine-cosine* features have the smaller error. So positive features are not better in general.
#
# Orthogonality saves 6 to 26 % of the mean square error here (five seeds; lengths of about 1, m = d = 16). For
# comparison: twice the vectors save half. And the signs matter: with Q as QR returns it, the mean of the estimate is
# wrong by 5 to 8 standard errors.
#
# ## Features that vanish
#
# The logarithm of a positive feature contains $-|x|^2/2$. For a vector of length 15 that is −112.5, and float32 has no
# $e^{-112.5}$: most features become 0, the products of the others do too, and attention is 0/0. An implementation of
# softmax avoids the same problem by subtracting the maximum of each row of scores. Here there are no rows of scores:
# the features themselves have to be rescaled, and not every factor leaves the result as it is. The code in the next
# exercise subtracts maxima, runs without a warning, and computes wrong attention.

# %% exercise="stabilise"
from studium_topics.performer.exercises import stabilise

# %% [markdown] tags=["experiment"]
# ## Whole rows of attention
#
# So far, an estimate was that of a single weight. Now look at outputs of attention over 64 keys, while q and k grow:

# %% tags=["experiment"]
grown = experiment.outputs(my_logs, lesson.mine(stabilise), my_orthogonal, profile=lesson.profile, seed=0)
print("size of q, k   plain mean   positive 64   1024   sine-cosine 64    1024   rows with a negative sum, 64")
for at, size in enumerate(grown.sizes):
    row = [grown.errors[kind, count][at] for kind in experiment.KINDS for count in grown.counts]
    shown = f"{row[0]:11.3f}  {row[1]:5.3f}   {row[2]:14.3f}  {row[3]:6.3f}"
    print(f"{size:12}   {grown.mean[at]:10.3f}  {shown}   {grown.negative['sine-cosine', 64][at]:.1%}")
figures.sizes(grown)

# %% [markdown] tags=["experiment"]
# Values have variance 1 here, so an error of 1 is as large as the values. At size 1, where the numbers in queries and
# keys are standard normal before the scaling, sine-cosine features with 64 vectors are 10 to 36 times worse than
# positive ones (five seeds), and a tenth of their rows has a negative sum. At size 0.5 and below they are *better*, at
# 0.5 by about a factor of two.
#
# The dotted line shows the error of not attending at all: every query gets the plain mean of the values. At size 1, 64
# positive features have **more error than that**, by a factor of 1.3 to 1.5, and 1024 about as much. (Queries that
# resemble one key fare better: in the widget, 32 positive features are well ahead of equal weights.) What positive
# features guarantee is that nothing explodes. To be *accurate*, m has to be well above $e^{|q + k|^2}$, which is
# exponential in the squared length. If all lengths double, the formula asks for the fourth power of the number of
# features.

# %% [markdown]
# **In practice**, exact attention is `F.scaled_dot_product_attention`. Yours has to come near to it as m grows:

# %% tags=["experiment", "bridge"]
generator = torch.Generator().manual_seed(0)
q, k, v = (size * torch.randn(100, 16, generator=generator) for size in (0.5, 0.5, 1.0))
exact = F.scaled_dot_product_attention(q[None, None], k[None, None], v[None, None])[0, 0]
my_stable, my_linear = lesson.mine(stabilise), lesson.mine(linear_attention)
for count in (16, 256, 4096, 65536):
    w = my_orthogonal(count, 16, generator)
    qf, kf = (my_stable(my_logs(x / 16**0.25, w), keys) for x, keys in ((q, False), (k, True)))
    apart = (my_linear(qf, kf, v) - exact).abs().max()
    print(f"{count:6} features: largest difference from torch's scaled_dot_product_attention {apart:.4f}")

# %% [markdown]
# One more digit needs a hundred times the features. So softmax attention is a limit of yours, but not one that a
# computer gets near in practice.
#
# ## Causal, in chunks
#
# A decoder may not look ahead, and a mask on the n × n table is no longer possible, because there is no table. But the
# sums can stop at token i:
#
# $$S_i = \sum_{j \le i} \varphi(k_j)\, v_j^\top = S_{i-1} + \varphi(k_i)\, v_i^\top, \qquad z_i = z_{i-1} +
# \varphi(k_i), \qquad o_i = \frac{\varphi(q_i) \cdot S_i}{\varphi(q_i) \cdot z_i} .$$
#
# This is a recurrent network whose state has one size, m × (d + 1) numbers, whatever the length of the text: there is
# no KV cache that grows. Computing it token by token is slow, and all $S_i$ at once are n · m · d numbers. The
# compromise is to cut the text into <dfn>chunks</dfn>, pieces of consecutive tokens: within a chunk, compute a small
# masked table; from one chunk to the next, carry the state. The result is the same for every size of a chunk.

# %% exercise="causal_attention"
from studium_topics.performer.exercises import causal_attention

# %% tags=["experiment"]
my_causal = lesson.mine(causal_attention)
chunks = experiment.prefix(my_causal, profile=lesson.profile, seed=0)
print("tokens   largest error   largest tensor   of the table")
for row in zip(chunks.lengths, chunks.errors, chunks.chunked, chunks.table, strict=True):
    print("{:6}   {:13.1e}   {:14,}   {:12,}".format(*row))

# %% [markdown] tags=["experiment"]
# Only rounding separates the two: the randomness is in the features, and none is in the sums. The largest tensor has
# the size of the inputs.
#
# **Think about it.** `stabilise` divides all keys by their largest feature, later keys too. Is that a leak?
#
# <details><summary>Answer</summary>
#
# Not in exact arithmetic, because the factor is in the numerator and in the denominator of each row. In float32 it can
# be one: if a later key's features are larger by a factor of $10^{45}$, the earlier ones become 0, and the first rows
# 0/0. While a model writes, the maximum is not known beforehand; as in FlashAttention, the state then shrinks whenever
# it rises.
# </details>
#
# ## A decoder that trains
#
# You have all the parts. Two things are new: the factor $d^{-1/4}$ is yours to apply, and the vectors are **redrawn**
# from time to time, so that the model does not fit itself to the errors of one draw.

# %% exercise="train_performer"
from studium_topics.performer.exercises import train_performer

# %% [markdown] tags=["experiment"]
# Now train one decoder of 112 448 weights four times, with the same initial weights, batches of prose and Adam: with
# exact softmax attention, with a plain average over all earlier tokens, with your positive features, and with
# sine-cosine features of the same 64 vectors (so there are twice as many of these). The average shows what can be
# learned without choosing, and softmax what can be learned with it. This takes one to two minutes.
#
# *Predict first: which share of the gain of softmax over the average do positive features reach?*

# %% tags=["experiment"]
lesson.predict("share of the gain", ..., "Which share of softmax's gain do 64 positive features reach, from 0 to 1?")

# %% tags=["experiment"]
result = experiment.training(
    lesson.mine(train_performer), my_causal, my_logs, my_stable, my_orthogonal, profile=lesson.profile, seed=0
)
for name, loss in result.losses.items():
    print(f"{name:12} {loss:.3f} nats a character on held-out prose, share of the gain {result.recovered(loss):+.0%}")
lesson.found("share of the gain", result.recovered(result.losses["positive"]), within=0.25)
figures.learning(result)

# %% [markdown] tags=["experiment"]
# Over three seeds (laptop), the loss is 1.76 to 1.79 with softmax, 2.23 to 2.25 with the average, 2.08 to 2.10 with
# positive features and 2.62 to 2.71 with sine-cosine features. So 64 positive features reach about a third of softmax's
# gain, and sine-cosine features, although there are twice as many, end nearly as far above the average as softmax ends
# below it.
#
# The answer to the opening question again, now in a trained model: only the features differ between the last two
# rows, and both estimate each weight without bias.
#
# ## Into a model that was trained with softmax
#
# If the estimate is so close to softmax for many features, then a model that was trained with softmax should be
# readable with them:

# %% tags=["experiment"]
print(f"trained and read with softmax: {result.losses['softmax']:.3f} nats a character")
for count, loss in zip(result.counts, result.swapped, strict=True):
    print(f"trained with softmax, read with {count:4} positive features: {loss:.3f}")
print(f"then trained with 64 features for a sixth of the steps: {result.tuned:.3f}")
for name, length in result.lengths.items():
    print(f"mean of |q + k|² in the decoder trained with {name}: {length:.1f}")

# %% [markdown] tags=["experiment"]
# It is not. With 64 vectors the loss is 2.59 to 2.73 (three seeds), worse than that of the decoder that averages, and
# 1024 vectors help little. The last lines say why: pairs have a mean $|q + k|^2$ of about 29 there (seed 0, laptop),
# which asks for more than $e^{29}$ vectors. In the decoder that was *trained* with features it is no smaller, so its 64
# vectors cannot estimate most of its weights either. But that decoder has learned to use only what survives the noise:
# read with exact softmax, its loss hardly changes (2.095 against 2.098, seed 1, laptop). The decoder that was trained
# with softmax relies on exact weights.
#
# After a sixth of the steps with features the loss is 2.13 to 2.17: better than the average, and not where training
# with features from the start ends.
#
# ## What does not reproduce at this size
#
# * **"Competitive with softmax."** The paper reports results near those of softmax attention for images, text and
#   proteins, in larger models with long training. Our decoder reaches about a third of softmax's gain.
# * **Reading a model trained with softmax** after a little fine-tuning. The paper recovers accuracy that way with a
#   small part of the original steps; ours is still far behind after a sixth of them.
# * **Time.** At 64 tokens with 64 features, linear attention does *more* arithmetic than the table, and in this lesson
#   it is slower. The order of growth is what we measured: exponents of memory of 1 and 2.
# * One learning rate ($3 \cdot 10^{-3}$) serves all four trainings, and was chosen for softmax.
#
# ## Common misconceptions
#
# * *"Unbiased means accurate."* Both estimates of a weight are unbiased. Attention divides by a sum of them, which with
#   one kind comes near to 0. (So the quotient itself is *not* unbiased, for either kind.)
# * *"Positive features always have the lower variance."* For short vectors, and for keys near the query, sine-cosine
#   features have.
# * *"More features repair everything."* The error falls as $m^{-1/2}$ and grows as $e^{|q + k|^2/2}$.
# * *"Orthogonality makes the estimate exact."* It saves a fraction of the variance.
# * *"Linear attention is faster."* It multiplies less only where n is well above m, which is not so at a few hundred
#   tokens.
# * *"The estimated attention is sparse, or of low rank by assumption."* Every key has a weight. The table has rank m at
#   most, because it is a product of thin matrices, but softmax attention need not have.
#
# ## You can now
#
# * write attention in linear time for any features, causal or not, and check it against the table;
# * derive an unbiased feature from the mean of an exponential of a normal number;
# * predict from lengths and angles which of two estimates has the smaller variance, and for which keys;
# * draw orthogonal vectors that keep an estimate unbiased, and find the bias if a sign is wrong;
# * train a decoder with random features, and judge what it lacks against a plain average and against softmax.
#
# ## Open tasks
#
# * **Ten minutes.** In the widget, at sizes 0.5, 1 and 1.5, find the smallest m for which less attention is misplaced
#   than with equal weights, over several draws. You should see about 16 for positive and 8 for sine-cosine features,
#   then 8 and 64, then 8 and none.
# * **An hour.** Train with 16, 64 and 256 vectors. You should see the share of softmax's gain rise slowly, and the time
#   of a step rise with m.
# * **A day.** Replace the features by $\mathrm{relu}(w \cdot x)$ plus a small constant, which estimates another
#   attention than softmax; the paper calls it Performer-ReLU. You should see training that is more stable, and
#   no limit in which it becomes softmax.
#
# ## Further reading
#
# * [Choromanski et al. 2020](https://arxiv.org/abs/2009.14794), the paper: lemmas 1 and 2 are the two exercises that
#   you derived.
# * [Katharopoulos et al. 2020](https://arxiv.org/abs/2006.16236): linear attention as a recurrent network.
# * [Peng et al. 2021](https://arxiv.org/abs/2103.02143): sine-cosine features for q and k that are normalised.
# * [Likhosherstov et al. 2022](https://arxiv.org/abs/2205.15317): positive features with a smaller variance.
# * [Mezzadri 2007](https://www.ams.org/notices/200705/fea-mezzadri-web.pdf): why the signs of QR matter.
# * [Yang et al. 2023](https://arxiv.org/abs/2312.06635): linear attention in chunks that is fast on GPUs.
