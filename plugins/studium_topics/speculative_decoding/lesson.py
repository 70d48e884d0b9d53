# %% [markdown]
# # Speculative decoding
#
# To generate one token, a model of 70 billion parameters, 2 bytes each, fetches 140 GB of weights from memory. To
# *check* five tokens that are suggested to it, it fetches the same 140 GB, once, and takes nearly the same time. A
# small model could suggest them, but its text is worse. **Can a large model use the guesses of a small one and add
# several tokens in each pass, so that the text is still distributed exactly as if the large model had generated it
# alone?**
#
# Below, a small model, the *draft*, proposes words, and a large one, the *target*, judges each by a bar and a random
# needle. Press *Play*. Then pull the agreement down to 0, so that the draft is nearly always wrong, and watch the last
# number: the distance from the target's distribution stays 0. Now choose one of the mistakes.

# %% tags=["widget"]
from studium_topics.speculative_decoding import figures

figures.opening()

# %% [markdown]
# **You will be able to**
#
# 1. derive the rule that keeps or replaces a drafted token, and **prove that the text stays exactly the target's**;
# 2. test this by listing every outcome, without a statistical test;
# 3. write the loop, with **two caches that are rolled back** after each pass;
# 4. derive how many tokens a pass adds, and compare with measurements;
# 5. say when a draft makes decoding slower.
#
# **You need** a cache that can forget: the topic [kv-caching](kv-caching.ipynb). **Time:** 20 minutes of reading, 90 of
# coding, 1 of running, without the part called Further.
#
# **History.** A decoder adds one token in each pass, and the time of a pass is spent on memory, not on arithmetic. In
# 2018 [Stern et al.](https://arxiv.org/abs/1811.03115) let extra heads of a model predict several tokens and let the
# model check them, which leaves greedy decoding unchanged, but not sampling. In 2022 and 2023
# [Leviathan et al.](https://arxiv.org/abs/2211.17192) and [Chen et al.](https://arxiv.org/abs/2302.01318) independently
# found the rule that leaves *sampling* unchanged as well, for any small model.
#
# | symbol | meaning |
# |---|---|
# | $p(x)$, $q(x)$ | probability of the token $x$ at one position: by the target, by the draft |
# | $\gamma$ | drafted tokens in a pass of the target |
# | $\alpha$ | probability that a drafted token is kept |
# | $r(x)$ | distribution from which a rejected token is replaced |
# | $N$ | tokens that a pass adds |
# | $c$ | time of a pass of the draft, in passes of the target |

# %%
import torch
import torch.nn.functional as F

from studium_topics.kits import text
from studium_topics.kits.tiny_lm import base_model
from studium_topics.speculative_decoding import models, writing
from studium_topics.speculative_decoding.chance import Dice
from studium_topics.speculative_decoding.experiment import among, exactness, mean_length, whole_text
from studium_topics.speculative_decoding.library import LibraryReader, tiny_llamas
from studium_topics.speculative_decoding.readers import CachedLM
from studium_widgets import Diagram

# %% [markdown]
# ## Draft and check
#
# <dfn>Speculative decoding</dfn> lets a small model, the <dfn>draft</dfn>, propose $\gamma$ tokens one after another,
# and lets the large model, the <dfn>target</dfn>, judge all of them in one pass. Thanks to the causal mask, a pass over
# $\gamma$ drafted tokens gives the target's distribution after *each* of them. So the pass yields $\gamma + 1$ rows of
# $p$: one to judge each drafted token, and one for the token after the last.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.speculative_decoding", "flow.svg")

# %% [markdown]
# ## Keep or replace
#
# Look at one position. The draft has drawn $x$ from $q$. If the draft proposes $x$ no more often than the target would,
# the token is always kept. If it proposes $x$ too often, the token is kept only sometimes:
#
# $$\Pr(\text{keep } x) = \min\left(1, \frac{p(x)}{q(x)}\right) .$$
#
# This is the rule of Leviathan et al. (section 2.3). The height of a bar in the widget is this probability, and the
# needle is a random number from 0 to 1: the token is kept if the needle lands inside the bar. How often does that
# happen, over all tokens that may be drafted? The <dfn>acceptance rate</dfn> $\alpha$ is the probability that a drafted
# token is kept, and the speed depends on it.

# %% exercise="acceptance"
from studium_topics.speculative_decoding.exercises import acceptance

# %% [markdown]
# The acceptance rate is *one minus the total variation distance* of $p$ and $q$: since
# $\min(p, q) = \tfrac12 (p + q - |p - q|)$, we have $\sum_x \min(p, q) = 1 - \tfrac12 \sum_x |p - q|$. It is not the
# share of positions at which both have the same likeliest token.
#
# A rejected token must be replaced, and the replacement decides whether the text is right. The obvious choice, a token
# from $p$, is wrong. The token that comes out must have the distribution $p$; which distribution $r$ achieves that?

# %% exercise="residual"
from studium_topics.speculative_decoding.exercises import residual

# %% [markdown]
# The <dfn>residual distribution</dfn> is what is left of the target's distribution after the draft's is subtracted,
# with negative values set to 0, rescaled so that it sums to 1.
#
# <details><summary>Derivation</summary>
#
# A token $x$ comes out in one of two ways. It is drafted and kept, with probability $q(x) \min(1, p(x)/q(x)) =
# \min(q(x), p(x))$. Or some token is rejected, which has the probability $1 - \alpha = 1 - \sum_y \min(p(y), q(y))$,
# and $x$ replaces it, with probability $r(x)$. Both together must be $p(x)$:
#
# $$\min(p(x), q(x)) + (1 - \alpha)\, r(x) = p(x) .$$
#
# Solve for $r(x)$. The numerator $p(x) - \min(p(x), q(x))$ is the amount by which $p$ exceeds $q$, or 0, and is never
# negative. Its sum is $1 - \alpha$, so that $r$ sums to 1: it is a distribution, and the only one that solves the
# equation.
#
# **The whole text.** Given the text before it, each token that comes out has the distribution
# $p(\cdot \mid \text{text before it})$, for any draft $q$. By the chain rule the product of these is the target's
# distribution of the whole text. Tokens after a rejected one are thrown away, because they were drafted for a text that
# no longer exists.
# </details>
#
# **Think about it.** At temperature 0, both distributions have all their weight on one token. What does the rule
# become?
#
# <details><summary>Answer</summary>
#
# A drafted token is kept, with probability 1, if it is the target's likeliest token, and otherwise replaced by that
# token. So greedy decoding needs no rule of its own.
# </details>
#
# Now judge a whole draft. All random decisions go through an object `chance`; the reason follows after the exercise.

# %% exercise="verify"
from studium_topics.speculative_decoding.exercises import verify

# %% [markdown] tags=["experiment"]
# ## Exact, by listing every outcome
#
# How do you test a distribution? Drawing 20,000 texts and comparing frequencies leaves noise of about one percent, and
# mistakes smaller than that pass. With a vocabulary of three tokens and two drafted tokens there is a better way: run
# the program *once for every way in which chance can decide*, multiply the probabilities of the decisions, and add up
# the probabilities of each result. `chance.outcomes` does this with your function, and returns the distribution itself.
#
# The next cell does so for eight random pairs of models, and then with one thing wrong at a time:
#
# * **replaced from the target**: the replacement comes from $p$ instead of $r$;
# * **every draft kept**: the bar is always full;
# * **likeliest token drafted**: the draft does not draw from $q$, but takes its likeliest token and reports $q$.

# %% tags=["experiment"]
lesson.predict(
    "wrong replacement", ..., "Replaced from the target: the largest distance among the eight pairs? (0 to 1)"
)

# %% tags=["experiment"]
exact = exactness(lesson.mine(verify), profile=lesson.profile, seed=0)
for name, off in exact.items():
    print(f"{name:26} largest total variation distance {off:.1e}")
lesson.found("wrong replacement", exact["replaced from the target"], within=0.3)

# %% [markdown] tags=["experiment"]
# With nothing wrong, only rounding is left, about $10^{-16}$. A wrong replacement raises no error and the text reads
# well, because most tokens are kept ones; only the distribution shows the mistake.
#
# Exact does not mean *the same text*. Plain and speculative decoding use random numbers in different ways, so that
# equal seeds give different texts. The distributions are equal, as those of two fair dice are.

# %% [markdown]
# ## Two caches
#
# Both models keep the keys and values of what they have read, and both read tokens that are rejected later. Here is a
# model with its cache, as you have written it in *kv-caching*:
#
# * `reader.length`: it holds the first `length` tokens of the text;
# * `reader.read(tokens)`: reads the tokens that follow, and returns the distribution of the token after each;
# * `reader.crop(n)`: forgets all but the first `n` tokens.
#
# The draft comes first. It proposes in $\gamma$ passes, one token in each. The version below contains two mistakes that
# raise no error. Think of the pass after one in which *all* drafted tokens were kept: the diagram shows which token the
# draft has not read by then.

# %% exercise="propose"
from studium_topics.speculative_decoding.exercises import propose

# %% [markdown]
# Now the whole loop. After a pass, the target has read the text and all $\gamma$ drafted tokens; the draft has read all
# of them but the last. Kept tokens may stay in the caches. Everything after them was computed for a text that no longer
# exists. The last token of the text, a replacement or the additional one, has been read by *neither* model, because it
# was drawn after the pass. <dfn>Rolling back</dfn> a cache means removing the tokens that are not part of the text, so
# that the next pass continues from the rest.

# %% exercise="speculate"
from studium_topics.speculative_decoding.exercises import speculate

# %% tags=["experiment"]
print(
    f"the whole loop, every outcome listed: distance {whole_text(lesson.mine(speculate), profile=lesson.profile):.1e}"
)

# %% [markdown] tags=["experiment"]
# Now run your loop on trained models: the target is a transformer with two layers, the draft one with a ninth of its
# weights. Both are trained on Python's help pages, character by character. Here is the whole training of the draft;
# that of the target differs only in its sizes and its learning rate.

# %% tags=["experiment"]
plan = models.draft_plan(lesson.profile)
seen, held_out = models.prose()
draft = base_model(seed=0, **plan.sizes).to(lesson.profile.device)
optimizer = torch.optim.AdamW(draft.parameters(), lr=plan.rate, weight_decay=0.0)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, total_steps=plan.steps)
generator = torch.Generator().manual_seed(0)
for _ in range(plan.steps):
    batch = text.next_token_batch(seen, plan.batch, plan.length, generator)
    ids, following = (part.to(lesson.profile.device) for part in batch)  # (B, T)
    loss = F.cross_entropy(draft(ids).flatten(0, 1), following.flatten())
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(draft.parameters(), 1.0)
    optimizer.step()
    schedule.step()
target = models.trained(models.target_plan(lesson.profile), lesson.profile, seed=0)
pair = models.Pair(target, draft.eval().requires_grad_(False))
print(f"the draft has {models.matrices(draft):,} weights, the target {models.matrices(target):,}")

# %% tags=["experiment"]
prompt, characters = writing.prompts(lesson.profile)[0], text.character_vocabulary()
own = writing.greedy(CachedLM(target, temperature=0), prompt, 96)
for temperature in (0.0, 1.0):
    large, small = pair.readers(models.TRANSFORMER, temperature)
    written, kept = lesson.mine(speculate)(large, small, prompt, 96, 4, -1, Dice(0))
    print(f"temperature {temperature}: 96 tokens in {large.passes} passes of the target, kept {kept}")
    print(f"{characters.decode(written)!r}\n")
    if temperature == 0:
        print(f"tokens that are not those of the target alone: {writing.differing(written, own)}\n")

# %% [markdown] tags=["experiment"]
# In practice this is `generate(assistant_model=…)` of the library transformers, for which a draft is an *assistant*.
# The next cell gives the same two random Llamas to the library and to *your* loop.

# %% tags=["experiment", "bridge"]
try:
    big_llama, small_llama = tiny_llamas()
except ImportError:
    print("transformers is not installed here, so there is nothing to compare with; the lesson goes on without it")
else:
    ids, passes = torch.arange(1, 9)[None], []
    hook = big_llama.register_forward_hook(lambda *_: passes.append(1))
    options = {"max_new_tokens": 40, "do_sample": False}
    theirs = big_llama.generate(ids, assistant_model=small_llama, **options)[0, 8:].tolist()
    hook.remove()
    readers = [LibraryReader(llama, temperature=0) for llama in (big_llama, small_llama)]
    mine, _ = lesson.mine(speculate)(*readers, ids[0].tolist(), 40, 4, -1, Dice(0))
    print(f"LlamaForCausalLM.generate(assistant_model=…): 40 tokens in {len(passes)} passes of the large model")
    print(f"your loop: 40 tokens in {readers[0].passes} passes; {writing.differing(mine, theirs)} tokens differ")

# %% [markdown] tags=["experiment"]
# ## Break it
#
# What if a cache is not rolled back? Greedy texts again, with 4 drafted tokens in a pass, and one thing wrong at a
# time:
#
# * **the target forgets nothing**: rejected tokens stay in its cache;
# * **the draft forgets nothing**: they stay in the draft's cache;
# * **the draft has holes**: the bug of `propose`. After a pass in which every token was kept, the draft does not read
#   the token that it missed.

# %% tags=["experiment"]
lesson.predict(
    "spoilt text", ..., "The draft forgets nothing: what share of the tokens is no longer the target's? (0 to 1)"
)

# %% tags=["experiment"]
broken = writing.roll_back(pair, lesson.mine(speculate), profile=lesson.profile)
print(figures.faults(broken))
lesson.found("spoilt text", broken["the draft forgets nothing"].differing, within=0)

# %% [markdown] tags=["experiment"]
# Look at the columns separately. A target that forgets nothing judges tokens as if they followed a text that was never
# written, and the *text* is wrong. A draft that forgets nothing only guesses worse: whatever it proposes, the target
# decides, so not one token differs, and only *speed* is lost. A test of the output cannot find such bugs on the draft's
# side; **a count of passes can**, if the loss of speed is large enough. The hole costs almost nothing here, because
# this draft depends mostly on the last few characters. (Laptop profile, seeds 0 and 1: the target's fault changes 42
# and 82 % of the tokens; the draft's reduces the tokens of a pass from 2.78 to 2.41 and from 1.87 to 1.61; with holes
# it is 2.74 and 1.89.)

# %% [markdown]
# ## What a pass yields
#
# How much is gained? Suppose that every drafted token is kept with the same probability
# $\alpha$, whatever came before. A pass keeps tokens up to the first rejection, and then adds one more. How many tokens
# is that on average? Derive it; there is a closed form.

# %% exercise="expected_tokens"
from studium_topics.speculative_decoding.exercises import expected_tokens

# %% [markdown]
# <details><summary>Derivation</summary>
#
# The pass adds at least $k$ tokens exactly if its first $k - 1$ drafted tokens are kept, so that
# $\Pr(N \ge k) = \alpha^{k-1}$ for $k = 1, \dots, \gamma + 1$. The mean of a whole number is the sum of these
# probabilities:
#
# $$\mathbb E[N] = \sum_{k=1}^{\gamma+1} \Pr(N \ge k) = 1 + \alpha + \dots + \alpha^{\gamma}
# = \frac{1 - \alpha^{\gamma+1}}{1 - \alpha},$$
#
# for $\alpha < 1$ (Leviathan et al., equation 1). However long the draft, a pass adds fewer than $1/(1-\alpha)$ tokens
# on average.
# </details>

# %% tags=["experiment"]
lesson.predict("tokens in a pass", ..., "Sampled, 4 drafted tokens from the small transformer: tokens in a pass?")

# %% tags=["experiment"]
formula = lesson.mine(expected_tokens)
gap = mean_length(lesson.mine(verify), lesson.mine(acceptance), formula, profile=lesson.profile)
print(f"models without a context, every outcome listed: difference from the formula {gap:.1e}\n")
runs = writing.lengths(pair, lesson.mine(speculate), profile=lesson.profile)
print(figures.table(runs, [formula(run.share, run.gamma) for run in runs]))
overlap = writing.overlaps(pair, lesson.mine(acceptance), profile=lesson.profile)
print("\nyour acceptance on held-out text, temperature 1: " + ", ".join(f"{k} {v:.3f}" for k, v in overlap.items()))
sampled = next(run for run in runs if (run.draft, run.temperature, run.gamma) == (models.TRANSFORMER, 1.0, 4))
lesson.found("tokens in a pass", sampled.per_pass)
figures.yields(runs, formula)

# %% [markdown] tags=["experiment"]
# Without a context the formula is exact. With trained models some positions are easy and others hard, and neighbours
# resemble each other, so that the assumption of one $\alpha$ for all positions fails. Still the formula is within 7 %
# in all 16 rows (laptop profile, seeds 0 to 2).
#
# Two rows deserve a second look. The table of pairs is a draft that knows only the last character, and costs nothing.
# In sampling it gives a *larger* speed-up than the transformer, although its tokens are kept less often. At temperature
# 0 the share that is kept says little about the two models: greedy text of so small a target soon repeats itself, and
# the share depends on whether the draft falls into the same loop (for the transformer and $\gamma = 4$, 0.73 with seed
# 0 and 0.48 with seed 1).

# %% [markdown]
# ## When does it pay?
#
# A turn consists of $\gamma$ passes of the draft, each of which costs as much as $c$ passes of the target, and of one
# pass of the target. Without a draft, $\mathbb E[N]$ tokens would take $\mathbb E[N]$ passes. How many tokens should be
# drafted?

# %% exercise="best_gamma"
from studium_topics.speculative_decoding.exercises import best_gamma

# %%
best = lesson.mine(best_gamma)
print("best γ and speed-up      c = 0       c = 0.05     c = 0.3      c = 0.5")
for alpha in (0.3, 0.6, 0.8, 0.9):
    found = (best(alpha, cost, 16) for cost in (0.0, 0.05, 0.3, 0.5))
    print(f"alpha = {alpha}          " + "".join(f"{gamma:4} {speedup:4.2f}x   " for gamma, speedup in found))

# %% [markdown]
# With $\alpha = 0.3$ and $c = 0.5$ it is best to draft nothing. With $c = 0.05$ the optimum is flat: one token more or
# less costs less than 3 % of the speed-up.
#
# Compare with the paper. Leviathan et al. (table 2) translate from English to German with T5-XXL, which has 11 billion
# parameters, and draft with T5-small, which has 77 million. At temperature 0 with $\gamma = 7$ they measure
# $\alpha = 0.75$ and 3.4 times the speed; at temperature 1, $\alpha = 0.62$ and 2.6 times. With the cost of
# $c = 0.02$ that their table 4 assumes, the formula says 3.2 for the first.
#
# **Think about it.** The formula counts a pass over $\gamma + 1$ tokens like a pass over one. When is that wrong?
#
# <details><summary>Answer</summary>
#
# It is wrong when arithmetic limits the pass, and not the bytes that it fetches. An H100 SXM does some 300
# multiplications in 16-bit precision in the time in which it fetches one weight of two bytes (see *kv-caching*), so a
# few tokens more are free for *one* text. A server that decodes hundreds of texts at once uses this arithmetic for the
# other texts: there each rejected token costs time, and speculative decoding can be slower than plain decoding.
# </details>

# %% [markdown]
# ## Further
#
# This part is optional, and not counted in the minutes above.
#
# ### Several candidates
#
# A draft may propose several tokens at *one* position, as the first branches of a tree, and the target judges the whole
# tree in one pass with a mask that lets each token see its own branch alone.
# [SpecInfer](https://arxiv.org/abs/2305.09781) showed how to judge the candidates one after another and stay exact:
# after a rejection, the residual becomes the target.

# %% exercise="verify_among"
from studium_topics.speculative_decoding.exercises import verify_among

# %% tags=["experiment"]
several = among(lesson.mine(verify_among), profile=lesson.profile)
print(f"largest distance from the target's distribution: {several.distance:.1e}")
for count, share in enumerate(several.kept, 1):
    print(f"{count} candidates: the token is one of them with probability {share:.3f}")

# %% [markdown] tags=["experiment"]
# Each further candidate adds less than the one before, since the first has taken what both distributions share. Real
# systems spread their candidates over several positions of a tree.
# [Medusa](https://arxiv.org/abs/2401.10774) drafts with extra heads of the target itself, and
# [EAGLE](https://arxiv.org/abs/2401.15077) with a small network that reads the target's features.

# %% [markdown]
# ## What does not reproduce at this size
#
# * **Seconds.** A pass of this target is so small that calling PyTorch costs more than the arithmetic. We count passes
#   and weights. Only in a model that is limited by memory do these determine the time.
# * **The paper's $\alpha$.** Characters of help pages are not words of a translation, and both models here are weak.
# * **That a transformer is the better draft.** Here a table of pairs wins, because the target is so small that a ninth
#   of its weights is a high price. With T5-XXL, T5-small costs 2 %.
#
# ## Common misconceptions
#
# * *"The text is approximately the target's."* Its distribution is exactly the target's; a given seed gives another
#   text.
# * *"A longer draft is always faster."* Its later tokens are rarely reached, and each costs a pass of the draft.
# * *"$\alpha$ is how often the likeliest tokens agree."* That holds for greedy decoding alone. In sampling it is one
#   minus the total variation distance.
# * *"A bad draft makes bad text."* It makes slow text.
# * *"It does less arithmetic."* It does more, because rejected tokens are computed in vain. It fetches the weights from
#   memory less often: once for all the tokens that a pass adds.
#
# ## You can now
#
# * derive the residual distribution, and prove that speculative sampling is exact;
# * test a sampler exactly, by listing every outcome;
# * write the loop for greedy decoding and for sampling, and roll two caches back;
# * tell a bug that changes the text from one that costs speed alone;
# * predict the tokens of a pass and the best length of a draft.
#
# ## Open tasks
#
# * **Ten minutes.** In the widget, set the agreement to 0.8 and the cost to 0.05, and find the best number of drafted
#   words. Then raise the cost to 0.5. You should see the optimum move to the left, down to one or two words.
# * **An hour.** Write a draft without a model: a reader that looks for the last three characters earlier in the text
#   and proposes what followed there (*prompt lookup*), with all weight on that character. On a text that repeats
#   itself, you should see several tokens in a pass at temperature 0.
# * **A day.** Train the draft on the target's distributions in place of the text, with the cross-entropy to $p$
#   (distillation), and measure $\alpha$ with `acceptance` on held-out text. You should see it rise by a few hundredths
#   while the draft's own loss on the text gets no better.
#
# ## Further reading
#
# * [Leviathan et al. 2022](https://arxiv.org/abs/2211.17192): the rule, the formula and its proof, in four pages.
# * [Chen et al. 2023](https://arxiv.org/abs/2302.01318): the same rule for Chinchilla, a model of 70 billion
#   parameters, 2 to 2.5 times as fast.
# * [Stern et al. 2018](https://arxiv.org/abs/1811.03115): the greedy ancestor.
# * The topic *mqa-gqa* makes the target's cache smaller, the other bytes that a pass fetches.
