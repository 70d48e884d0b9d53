# %% [markdown]
# # Performer: attention from random features
#
# Attention over n tokens computes n × n weights exp(q · k). Suppose we could write each weight as the dot product of
# two short lists of numbers, one made from q and the other from k. Then we would never need the n × n table, and the
# time would grow as n. Such lists exist, if we allow the numbers to be random: there are two formulas whose products
# are **right on average, for every q and k**.
#
# Later you will train a small decoder with each of the two. With one formula it learns. With the other, using the same
# random vectors, it ends up far behind a decoder whose attention is just a plain average of everything before. If both
# estimates are right on average, how can they differ so much? **Switch the features, then move the size of q and k.**

# %% tags=["widget"]
from studium_topics.performer.spotlight import RandomSpotlight

RandomSpotlight.example()

# %% [markdown]
# In this lesson you will
#
# 1. **write** attention without its square, by multiplying in a different order;
# 2. **derive** positive random features, and show that they are unbiased;
# 3. **derive** the variance of both kinds of features, and measure it;
# 4. **draw** orthogonal random vectors, each of which is still normal;
# 5. **build** causal attention in chunks, exact and in linear memory, and **train** a decoder with it.
#
# **You need** causal attention, from [decoder-only](decoder-only.ipynb), and the meter of the largest tensor, from
# [flash-attention](flash-attention.ipynb). **Time:** 17 minutes of reading, 116 of coding, 3 of running.
#
# **History.** Before the Performer, models for long texts restricted attention to windows, sparse patterns, hash
# buckets or a low rank. [Katharopoulos et al.](https://arxiv.org/abs/2006.16236) made it linear by replacing the
# softmax with another function of q and k. The [Performer](https://arxiv.org/abs/2009.14794) still aims for the softmax
# and estimates it. It does not assume that attention is sparse or of low rank.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $n$, $d$, $m$ | tokens, width of a head, random vectors | |
# | $q, k, v$ | queries, keys and values; q and k are already divided by $d^{1/4}$ | (n, d) |
# | $w$ | a random vector of independent standard normal numbers | (d,) |
# | $\varphi(x)$ | the features of a vector | (m,) |
# | $S_i$, $z_i$ | here: sums over the keys up to token i, in causal attention | (m, d), (m,) |

# %%
from studium import show_table
import torch
import torch.nn.functional as F
from studium_widgets import Diagram

from studium_topics.performer import experiment, figures

# %% [markdown]
# ## Two thin products
#
# Attention divides $q \cdot k$ by $\sqrt d$. We can give half of this factor, $d^{-1/4}$, to the query and half to the
# key, and then the weight of a pair is $e^{q \cdot k}$. Row i of the output is
#
# $$o_i = \frac{\sum_j e^{q_i \cdot k_j}\, v_j}{\sum_j e^{q_i \cdot k_j}} .$$
#
# If $e^{q \cdot k} = \varphi(q) \cdot \varphi(k)$ for some list of features $\varphi$, then $\varphi(q_i)$ does not
# depend on j, and we can compute both sums before we look at a query:
#
# $$o_i = \frac{\varphi(q_i) \cdot \bigl(\sum_j \varphi(k_j)\, v_j^\top\bigr)}{\varphi(q_i) \cdot \sum_j
# \varphi(k_j)} .$$
#
# <dfn>Linear attention</dfn> is attention whose weights are products of features, so you can multiply the keys and
# values first. Its time and memory grow as n and not as n².

# %% tags=["diagram"]
Diagram.from_package("studium_topics.performer", "flow.svg")

# %% [markdown]
# Let's begin with this order of multiplication. It doesn't matter yet where the features come from.

# %% exercise="linear_attention"
from studium_topics.performer.exercises import linear_attention

# %% [markdown]
# ## Features that are right on average
#
# A finite list of features cannot give $e^{q \cdot k}$ for all q and k, but an average over random vectors can. Let w
# be normal, and let u be any fixed vector. If we complete the square in the exponent, we get
#
# $$\mathbb E\, e^{w \cdot u} = \int \frac{e^{-|w|^2/2}}{(2\pi)^{d/2}}\, e^{w \cdot u}\, dw = e^{|u|^2/2} \int
# \frac{e^{-|w - u|^2/2}}{(2\pi)^{d/2}}\, dw = e^{|u|^2/2},$$
#
# because the last integral is over a normal density around u, which gives 1. Now set $u = q + k$. What we average on
# the left is then a factor that depends only on q, times a factor that depends only on k:
#
# $$\mathbb E\, \bigl[e^{w \cdot q}\, e^{w \cdot k}\bigr] = e^{|q + k|^2/2} = e^{|q|^2/2}\; e^{q \cdot k}\;
# e^{|k|^2/2} .$$
#
# On the right we have $e^{q \cdot k}$, which is what we want, times two factors: again, one depends only on q and the
# other only on k. So you can correct the features for them, and then average over m vectors. An estimate is
# <dfn>unbiased</dfn> if its mean over all random draws is the exact value. The <dfn>positive random features</dfn> of a
# vector are exponentials, so the weights can never be negative.
#
# In the exercise you will compute logarithms, because the features themselves might be too small for float32, as we
# will see.

# %% exercise="log_features"
from studium_topics.performer.exercises import log_features

# %% [markdown]
# ## The other formula
#
# There is an older way, using cosines. The mean of $\cos(w \cdot u)$ is the real part of the formula above for the
# imaginary vector $iu$, which is $e^{-|u|^2/2}$. With $u = q - k$, we get
#
# $$e^{q \cdot k} = e^{|q|^2/2}\; e^{-|q - k|^2/2}\; e^{|k|^2/2} = e^{|q|^2/2}\; \mathbb E \cos(w \cdot (q - k))\;
# e^{|k|^2/2},$$
#
# and since $\cos(a - b) = \cos a \cos b + \sin a \sin b$, this is a product of features too. <dfn>Sine-cosine
# features</dfn> are the cosines and sines of $w \cdot x$, times $e^{|x|^2/2} / \sqrt m$ ([Rahimi and Recht
# 2007](https://papers.nips.cc/paper/3182-random-features-for-large-scale-kernel-machines)). Both kinds are unbiased.
# But how far is one draw from the mean?

# %% exercise="variance"
from studium_topics.performer.exercises import variance

# %% [markdown] tags=["experiment"]
# If we divide your two results by the square of the value that we estimate, each of them depends on just one length
# (this is the paper's lemma 2):
#
# $$\frac{\text{variance}}{e^{2 q \cdot k}}: \qquad \frac{e^{|q + k|^2} - 1}{m} \;\text{ for positive features,} \qquad
# \frac{\cosh|q - k|^2 - 1}{m} \;\text{ for sine-cosine features.}$$
#
# So the two kinds fail in opposite places. Where k is close to q, $|q - k|$ is small and sine-cosine features are good.
# Where k is close to $-q$, $|q + k|$ is small and positive features are good; for $k = -q$ they have no error at all.
#
# **Think about it.** Most keys get little weight from a query. Which features are good for *those*, and what happens to
# the sum of a row if you use the others?
#
# <details><summary>Answer</summary>
#
# Positive features are, because a key with a small weight points away from the query. Sine-cosine features estimate
# each of the many small weights with a large error, and they often get a negative number. The sum of these estimates is
# our denominator. If it comes close to 0, the whole row is multiplied by a huge number, and if it is negative, the row
# changes its sign. Positive features cannot do this: with them, the estimate of a row is always a weighted mean of
# values. This answers the question at the top.
# </details>

# %% [markdown]
# ## Orthogonal vectors
#
# Independent vectors cover the directions unevenly, because two of them might point almost the same way. If we make the
# vectors orthogonal in groups of d, they cover the directions more evenly. The estimate stays unbiased as long as
# **each single vector is still normal**. You need to take care in two places: the lengths, and the signs that a QR
# decomposition chooses.

# %% exercise="orthogonal_gaussian"
from studium_topics.performer.exercises import orthogonal_gaussian

# %% [markdown] tags=["experiment"]
# ## Measured
#
# *Predict first: the root mean square error with 16 vectors, divided by the error with 256.*

# %% tags=["experiment"]
lesson.predict("sixteen times the vectors", ..., "How many times smaller is the error with 256 vectors than with 16?")

# %% tags=["experiment"]
my_logs, my_orthogonal = lesson.mine(log_features), lesson.mine(orthogonal_gaussian)
found = experiment.estimates(my_logs, lesson.mine(variance), my_orthogonal, profile=lesson.profile, seed=0)
show_table(
    ["features", "measured variance over yours", "exponent of m", "relative error for k = −q"],
    [
        (kind, f"{found.ratios[kind]:.2f}", f"{found.slope(kind):+.2f}", f"{found.opposite[kind]:.1e}")
        for kind in experiment.KINDS
    ],
)
lesson.found("sixteen times the vectors", found.errors["positive"][0] / found.errors["positive"][-1], within=0.25)
figures.errors(found)

# %% tags=["experiment"]
print(f"mean square error, orthogonal divided by independent vectors: {found.orthogonal:.2f}")
print(f"mean error of your estimate, in standard errors (1 if unbiased): {found.bias:.2f}")
print(f"mean error with the signs that QR returns: {found.unsigned:.1f} standard errors")

# %% [markdown] tags=["experiment"]
# The variances match your derivation, and the error falls as $m^{-1/2}$. For these pairs, of length about 1, it is the
# *sine-cosine* features that have the smaller error. So positive features are not better in general.
#
# Orthogonality saves 6 to 26 % of the mean square error here (five seeds; lengths of about 1, m = d = 16). Compare this
# with using twice as many vectors, which saves half. And the signs matter: if you use Q just as QR returns it, the mean
# of the estimate is wrong by 5 to 8 standard errors.
#
# ## Features that vanish
#
# The logarithm of a positive feature contains $-|x|^2/2$. For a vector of length 15 this is −112.5, and float32 cannot
# represent $e^{-112.5}$. Most features become 0, and so do the products of the others, and attention is then 0/0. An
# implementation of softmax avoids the same problem by subtracting the maximum of each row of scores. But here we don't
# have rows of scores. We need to rescale the features themselves, and not every factor leaves the result unchanged. The
# code in the next exercise subtracts maxima, runs without a warning, and computes the wrong attention.

# %% exercise="stabilise"
from studium_topics.performer.exercises import stabilise

# %% [markdown] tags=["experiment"]
# ## Whole rows of attention
#
# So far, we have estimated single weights. Now let's look at outputs of attention over 64 keys, while q and k grow:

# %% tags=["experiment"]
grown = experiment.outputs(my_logs, lesson.mine(stabilise), my_orthogonal, profile=lesson.profile, seed=0)
rows = []
for at, size in enumerate(grown.sizes):
    row = [grown.errors[kind, count][at] for kind in experiment.KINDS for count in grown.counts]
    negative = grown.negative["sine-cosine", 64][at]
    rows.append((f"{size}", *(f"{error:.3f}" for error in (grown.mean[at], *row)), f"{negative:.1%}"))
show_table(
    [
        "size of q, k",
        "plain mean",
        "positive: 64",
        "1024",
        "sine-cosine: 64",
        "1024",
        "rows with a negative sum, 64",
    ],  # fmt: skip
    rows,
)
figures.sizes(grown)

# %% [markdown] tags=["experiment"]
# Values have variance 1 here, so an error of 1 is as large as the values. At size 1, the numbers in queries and keys
# are standard normal before the scaling. There, sine-cosine features with 64 vectors are 10 to 36 times worse than
# positive features (five seeds), and a tenth of their rows has a negative sum. At size 0.5 and below they are *better*,
# at 0.5 by about a factor of two.
#
# The dotted line shows the error you get if you don't attend at all and give every query the plain mean of the values.
# At size 1, 64 positive features have **more error than that**, by a factor of 1.3 to 1.5, and 1024 have about as much.
# (Queries that resemble one key do better: in the widget, 32 positive features are well ahead of equal weights.) With
# positive features, you can be sure that nothing will explode. To be *accurate*, m must be well above $e^{|q + k|^2}$,
# which is exponential in the squared length. If you double all the lengths, the formula requires the fourth power of
# the number of features.

# %% [markdown]
# **In practice**, exact attention is `F.scaled_dot_product_attention`. Your version should come close to it as m grows:

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
# For one more digit, you need a hundred times as many features. So softmax attention is a limit of your version, but in
# practice a computer will not get close to it.
#
# ## Causal, in chunks
#
# A decoder must not look ahead. We can no longer put a mask on the n × n table, because there is no table, but we can
# stop the sums at token i:
#
# $$S_i = \sum_{j \le i} \varphi(k_j)\, v_j^\top = S_{i-1} + \varphi(k_i)\, v_i^\top, \qquad z_i = z_{i-1} +
# \varphi(k_i), \qquad o_i = \frac{\varphi(q_i) \cdot S_i}{\varphi(q_i) \cdot z_i} .$$
#
# This is a recurrent network. Its state has m × (d + 1) numbers, however long the text is, so there is no KV cache that
# grows. If you compute it token by token, it is slow, and if you compute all the $S_i$ at once, they take n · m · d
# numbers. As a compromise, we cut the text into <dfn>chunks</dfn>, pieces of consecutive tokens. Within a chunk, we
# compute a small masked table, and from one chunk to the next, we carry the state. You will get the same result for
# every chunk size.

# %% exercise="causal_attention"
from studium_topics.performer.exercises import causal_attention

# %% tags=["experiment"]
my_causal = lesson.mine(causal_attention)
chunks = experiment.prefix(my_causal, profile=lesson.profile, seed=0)
rows = zip(chunks.lengths, chunks.errors, chunks.chunked, chunks.table, strict=True)
show_table(
    ["tokens", "largest error", "largest tensor", "of the table"],
    [(length, f"{error:.1e}", largest, whole) for length, error, largest, whole in rows],
)

# %% [markdown] tags=["experiment"]
# The two differ only by rounding, because the randomness is in the features and not in the sums. The largest tensor is
# as large as the inputs.
#
# **Think about it.** `stabilise` divides all keys by their largest feature, and this includes later keys. Is that a
# leak?
#
# <details><summary>Answer</summary>
#
# In exact arithmetic it isn't, because the factor appears in both the numerator and the denominator of each row. In
# float32 it can be one: if a later key's features are larger by a factor of $10^{45}$, the earlier features become 0,
# and the first rows are 0/0. While a model writes, we don't know the maximum in advance. As in FlashAttention, the
# state then shrinks whenever the maximum rises.
# </details>
#
# ## A decoder that trains
#
# You now have all the parts. Two things are new: you need to apply the factor $d^{-1/4}$, and from time to time you
# **redraw** the vectors, so that the model does not fit itself to the errors of one draw.

# %% exercise="train_performer"
from studium_topics.performer.exercises import train_performer

# %% [markdown] tags=["experiment"]
# Now we will train one decoder of 112 448 weights four times, with the same initial weights, the same batches of prose
# and Adam. We use exact softmax attention, a plain average over all earlier tokens, your positive features, and
# sine-cosine features of the same 64 vectors (so there are twice as many of these features). The average shows what a
# model can learn without choosing, and softmax what it can learn by choosing. This takes one to two minutes.
#
# *Predict first: how much of the gain of softmax over the average will positive features reach?*

# %% tags=["experiment"]
lesson.predict("share of the gain", ..., "How much of softmax's gain do 64 positive features reach, from 0 to 1?")

# %% tags=["experiment"]
result = experiment.training(
    lesson.mine(train_performer), my_causal, my_logs, my_stable, my_orthogonal, profile=lesson.profile, seed=0
)
show_table(
    ["", "nats per character on held-out prose", "share of the gain"],
    [(name, f"{loss:.3f}", f"{result.recovered(loss):+.0%}") for name, loss in result.losses.items()],
)
lesson.found("share of the gain", result.recovered(result.losses["positive"]), within=0.25)
figures.learning(result)

# %% [markdown] tags=["experiment"]
# Over three seeds (laptop), the loss is 1.76 to 1.79 with softmax, 2.23 to 2.25 with the average, 2.08 to 2.10 with
# positive features and 2.62 to 2.71 with sine-cosine features. So 64 positive features reach about a third of softmax's
# gain. Although there are twice as many sine-cosine features, they end up nearly as far above the average as softmax
# ends up below it.
#
# Here we have the answer to our opening question again, now in a trained model: the last two rows differ only in their
# features, and both estimate each weight without bias.
#
# ## Into a model that was trained with softmax
#
# If the estimate comes so close to softmax when there are many features, we should be able to take a model that was
# trained with softmax and run it with them:

# %% tags=["experiment"]
rows = [("trained and read with softmax", result.losses["softmax"])]
for count, loss in zip(result.counts, result.swapped, strict=True):
    rows.append((f"trained with softmax, read with {count} positive features", loss))
rows.append(("then trained with 64 features for a sixth of the steps", result.tuned))
show_table(["", "nats per character"], [(name, f"{loss:.3f}") for name, loss in rows])
for name, length in result.lengths.items():
    print(f"mean of |q + k|² in the decoder trained with {name}: {length:.1f}")

# %% [markdown] tags=["experiment"]
# This does not work. With 64 vectors the loss is 2.59 to 2.73 (three seeds), worse than for the decoder that averages,
# and 1024 vectors help little. The last lines tell us why: there, the mean of $|q + k|^2$ over pairs is about 29 (seed
# 0, laptop), which requires more than $e^{29}$ vectors. In the decoder that was *trained* with features it is no
# smaller, so the 64 vectors cannot estimate most of its weights either. But this decoder has learned to use only what
# survives the noise. If you run it with exact softmax, its loss hardly changes (2.095 compared with 2.098, seed 1,
# laptop). The decoder that was trained with softmax relies on exact weights.
#
# After we have trained it with features for a sixth of the steps, the loss is 2.13 to 2.17. This is better than the
# average, but not as good as training with features from the start.
#
# ## What does not reproduce at this size
#
# * **"Competitive with softmax."** The authors report results close to softmax attention for images, text and proteins,
#   using larger models and long training. Our decoder reaches about a third of softmax's gain.
# * **Reading a model trained with softmax** after a little fine-tuning. The authors recover accuracy this way with a
#   small part of the original steps, while our model is still far behind after a sixth of them.
# * **Time.** At 64 tokens with 64 features, linear attention does *more* arithmetic than the table, and in this lesson
#   it is slower. What we measured is the order of growth: exponents of memory of 1 and 2.
# * We use a single learning rate ($3 \cdot 10^{-3}$) for all four trainings, and we chose it for softmax.
#
# ## Common misconceptions
#
# * *"Unbiased means accurate."* Both estimates of a weight are unbiased. But attention divides by a sum of them, and
#   for one kind this sum comes close to 0. (So the quotient itself is *not* unbiased, for either kind.)
# * *"Positive features always have the lower variance."* For short vectors, and for keys close to the query,
#   sine-cosine features do.
# * *"More features repair everything."* The error falls as $m^{-1/2}$ and grows as $e^{|q + k|^2/2}$.
# * *"Orthogonality makes the estimate exact."* It saves a fraction of the variance.
# * *"Linear attention is faster."* It multiplies less only if n is well above m, which is not the case at a few hundred
#   tokens.
# * *"The estimated attention is sparse, or of low rank by assumption."* Every key has a weight. The rank of the table
#   is at most m, because it is a product of thin matrices, but this does not have to be true of softmax attention.
#
# ## You can now
#
# * write attention in linear time for any features, causal or not, and check it against the table;
# * derive an unbiased feature from the mean of an exponential of a normal number;
# * use lengths and angles to predict which of two estimates has the smaller variance, and for which keys;
# * draw orthogonal vectors that keep an estimate unbiased, and find the bias if a sign is wrong;
# * train a decoder with random features, and judge what it lacks by comparing it with a plain average and with softmax.
#
# ## Open tasks
#
# * **Ten minutes.** In the widget, at sizes 0.5, 1 and 1.5, find the smallest m for which you misplace less attention
#   than with equal weights, over several draws. You should see about 16 for positive and 8 for sine-cosine features,
#   then 8 and 64, then 8 and none.
# * **An hour.** Train with 16, 64 and 256 vectors. You should see the share of softmax's gain rise slowly, and the time
#   of a step rise with m.
# * **A day.** Replace the features with $\mathrm{relu}(w \cdot x)$ plus a small constant. This estimates a different
#   attention from softmax, which the paper calls Performer-ReLU. You should see training that is more stable, but it
#   will not become softmax in any limit.
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
