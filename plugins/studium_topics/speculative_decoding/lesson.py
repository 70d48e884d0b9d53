# %% [markdown]
# # Speculative decoding
#
# To generate one token, a model of 70 billion parameters, 2 bytes each, must fetch 140 GB of weights from memory. To
# *check* five tokens that somebody suggests to it, it fetches the same 140 GB, once, and takes nearly the same time. A
# small model could make the suggestions, but it writes worse text. **Can a large model use the guesses of a small one
# to add several tokens in each pass, while the text is still distributed exactly as if the large model had generated it
# by itself?**
#
# In the widget, a small model, the *draft*, proposes words. A large model, the *target*, judges each word using a
# bar and a random needle. Press *Play*. Then pull the agreement down to 0, so the draft is nearly always wrong, and
# watch the last number: the distance from the target's distribution is still 0. Now choose one of the mistakes.

# %% tags=["widget"]
from studium_topics.speculative_decoding import figures

figures.opening()

# %% [markdown]
# In this lesson you will
#
# 1. derive the rule that keeps or replaces a drafted token, and **prove that the text stays exactly the target's**;
# 2. test this by listing every outcome, without a statistical test;
# 3. write the loop, with **two caches that you roll back** after each pass;
# 4. derive how many tokens a pass adds, and compare this with measurements;
# 5. tell when a draft makes decoding slower.
#
# **You need** a cache that can forget, from [kv-caching](kv-caching.ipynb). **Time:** 20 minutes of reading, 102
# of coding, 1 of running, without the section called Further.
#
# **History.** A decoder adds one token in each pass, and it spends the time of a pass on memory, not on arithmetic. In
# 2018 [Stern et al.](https://arxiv.org/abs/1811.03115) used extra heads of a model to predict several tokens, which the
# model then checked. This leaves greedy decoding unchanged, but not sampling. In 2022 and 2023 [Leviathan et
# al.](https://arxiv.org/abs/2211.17192) and [Chen et al.](https://arxiv.org/abs/2302.01318) independently found the
# rule that leaves *sampling* unchanged too, for any small model.
#
# | symbol | meaning |
# |---|---|
# | $p(x)$, $q(x)$ | probability of the token $x$ at one position: by the target, by the draft |
# | $\gamma$ | drafted tokens in a pass of the target |
# | $\alpha$ | here: probability that a drafted token is kept |
# | $r(x)$ | distribution from which a rejected token is replaced |
# | $N$ | tokens that a pass adds |
# | $c$ | time of a pass of the draft, in passes of the target |

# %%
from studium import show_table
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
# In <dfn>speculative decoding</dfn>, a small model, the <dfn>draft</dfn>, proposes $\gamma$ tokens one after another,
# and the large model, the <dfn>target</dfn>, judges all of them in one pass. Thanks to the causal mask, we can read the
# target's distribution after *each* of the $\gamma$ drafted tokens from a single pass. This makes $\gamma + 1$ rows of
# $p$: one to judge each drafted token, and another for the token after the last.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.speculative_decoding", "flow.svg")

# %% [markdown]
# ## Keep or replace
#
# Let's look at one position. The draft has drawn $x$ from $q$. If it proposes $x$ no more often than the target would,
# we always keep the token. If it proposes $x$ too often, we keep it only sometimes:
#
# $$\Pr(\text{keep } x) = \min\left(1, \frac{p(x)}{q(x)}\right) .$$
#
# This is the rule of Leviathan et al. (section 2.3). In the widget, the height of a bar is this probability, and the
# needle is a random number from 0 to 1: we keep the token if the needle lands inside the bar. How often does this
# happen, over all the tokens that the draft might propose? The <dfn>acceptance rate</dfn> $\alpha$ is the probability
# that a drafted token is kept, and the speed depends on it.

# %% exercise="acceptance"
from studium_topics.speculative_decoding.exercises import acceptance

# %% [markdown]
# The acceptance rate is *one minus the total variation distance* between $p$ and $q$: since
# $\min(p, q) = \tfrac12 (p + q - |p - q|)$, we have $\sum_x \min(p, q) = 1 - \tfrac12 \sum_x |p - q|$. Don't confuse it
# with the share of positions at which both models have the same likeliest token.
#
# When we reject a token, we need to replace it, and whether the text is right depends on how we do this. The obvious
# choice, a token from $p$, is wrong. We want the token that comes out to have the distribution $p$. Which distribution
# $r$ achieves that?

# %% exercise="residual"
from studium_topics.speculative_decoding.exercises import residual

# %% [markdown]
# The <dfn>residual distribution</dfn> is what is left of the target's distribution after you subtract the draft's, with
# negative values set to 0, rescaled so that it sums to 1.
#
# <details><summary>Derivation</summary>
#
# There are two ways in which a token $x$ can come out. Either it is drafted and kept, which has the probability
# $q(x) \min(1, p(x)/q(x)) = \min(q(x), p(x))$. Or some token is rejected, which has the probability
# $1 - \alpha = 1 - \sum_y \min(p(y), q(y))$, and $x$ replaces it, with probability $r(x)$. Together they must give
# $p(x)$:
#
# $$\min(p(x), q(x)) + (1 - \alpha)\, r(x) = p(x) .$$
#
# Now we solve for $r(x)$. The numerator $p(x) - \min(p(x), q(x))$ is the amount by which $p$ exceeds $q$, or 0, so it
# is never negative. Its sum is $1 - \alpha$, so $r$ sums to 1. This makes $r$ a distribution, and the only one that
# solves the equation.
#
# **The whole text.** Given the text before it, each token that comes out has the distribution
# $p(\cdot \mid \text{text before it})$, for any draft $q$. By the chain rule, the product of these is the target's
# distribution of the whole text. We throw away the tokens after a rejected one, because they were drafted for a text
# that no longer exists.
# </details>
#
# **Think about it.** At temperature 0, both distributions have all their weight on one token. What does the rule
# become?
#
# <details><summary>Answer</summary>
#
# If a drafted token is the target's likeliest token, we keep it, with probability 1. Otherwise we replace it with the
# target's likeliest token. So greedy decoding does not need a separate rule.
# </details>
#
# Now you will judge all the tokens of a draft. All the random decisions go through an object `chance`; you will see why
# after the exercise.

# %% exercise="verify"
from studium_topics.speculative_decoding.exercises import verify

# %% [markdown] tags=["experiment"]
# ## Exact, by listing every outcome
#
# How can you test a distribution? If you draw 20,000 texts, for example, and compare frequencies, you are left with
# noise of about one percent, and you will miss mistakes that are smaller than that. But if the vocabulary has three
# tokens and we draft only two, there is a better way: run the program *once for every way in which chance can decide*,
# multiply the probabilities of the decisions, and add up the probabilities of each result. This is how
# `chance.outcomes` runs your function, and it returns the distribution itself.
#
# We will do this for eight random pairs of models, and then again with one mistake at a time:
#
# * **replaced from the target**: the replacement comes from $p$ instead of $r$;
# * **every draft kept**: the bar is always full;
# * **likeliest token drafted**: the draft does not draw from $q$, but takes its likeliest token and reports $q$.

# %% tags=["experiment"]
lesson.predict(
    "wrong replacement",
    ...,
    "If replacements come from the target, what is the largest distance among the eight pairs? (0 to 1)",
)

# %% tags=["experiment"]
exact = exactness(lesson.mine(verify), profile=lesson.profile, seed=0)
show_table(["", "largest total variation distance"], [(name, f"{off:.1e}") for name, off in exact.items()])
lesson.found("wrong replacement", exact["replaced from the target"], within=0.3)

# %% [markdown] tags=["experiment"]
# Without a mistake, only rounding is left, about $10^{-16}$. A wrong replacement does not raise an error, and the text
# looks fine, because most of its tokens were kept. You can see the mistake only in the distribution.
#
# Exact does not mean *the same text*. Plain and speculative decoding use random numbers in different ways, so if you
# give them the same seed, they will write different texts. It is the distributions that are equal, just like the
# distributions of two fair dice.

# %% [markdown]
# ## Two caches
#
# Both models store the keys and values of what they have read, and both read tokens that we might reject later. Here is
# a model with its cache, as you wrote it in *kv-caching*:
#
# * `reader.length`: it holds the first `length` tokens of the text;
# * `reader.read(tokens)`: reads the tokens that follow, and returns the distribution of the token after each;
# * `reader.crop(n)`: forgets all but the first `n` tokens.
#
# The draft comes first. It makes its proposal in $\gamma$ passes, one token in each. The version below contains two
# mistakes that do not raise an error. To find them, think of the pass after one in which we kept *all* the drafted
# tokens. The diagram shows you which token the draft has not read by then.

# %% exercise="propose"
from studium_topics.speculative_decoding.exercises import propose

# %% [markdown]
# Now you can write the complete loop. After a pass, the target has read the text and all $\gamma$ drafted tokens; the
# draft has read all but the last. We can leave the kept tokens in the caches, but everything after them was computed
# for a text that no longer exists. The last token of the text, whether it is a replacement or the additional one, has
# been read by *neither* model, because we drew it after the pass. <dfn>Rolling back</dfn> a cache means removing the
# tokens that are not part of the text, so that the next pass continues from the rest.

# %% exercise="speculate"
from studium_topics.speculative_decoding.exercises import speculate

# %% tags=["experiment"]
print(
    f"the whole loop, every outcome listed: distance {whole_text(lesson.mine(speculate), profile=lesson.profile):.1e}"
)

# %% [markdown] tags=["experiment"]
# Now let's run your loop on trained models. The target is a transformer with two layers, and the draft is a transformer
# with a ninth of its weights. We train both on Python's help pages, character by character. Here is the complete
# training of the draft; for the target, only the sizes and the learning rate are different.

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
        print(f"tokens that differ from what the target writes by itself: {writing.differing(written, own)}\n")

# %% [markdown] tags=["experiment"]
# In practice, you would use `generate(assistant_model=…)` from the transformers library, which calls a draft an
# *assistant*. The next cell gives the same two random Llamas to the library and to *your* loop.

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
# What happens if you don't roll back a cache? We will write greedy texts again, with 4 drafted tokens in a pass, and
# one mistake at a time:
#
# * **the target forgets nothing**: rejected tokens stay in its cache;
# * **the draft forgets nothing**: they stay in the draft's cache;
# * **the draft has holes**: this is the bug in `propose`. After a pass in which we kept every token, the draft does not
#   read the token that it missed.

# %% tags=["experiment"]
lesson.predict(
    "spoilt text",
    ...,
    "If the draft forgets nothing, what share of the tokens will no longer be the target's? (0 to 1)",
)

# %% tags=["experiment"]
broken = writing.roll_back(pair, lesson.mine(speculate), profile=lesson.profile)
show_table(
    ["wrong", "tokens that differ", "tokens in a pass"],
    [(name, f"{fault.differing:.0%}", f"{fault.per_pass:.2f}") for name, fault in broken.items()],
)
lesson.found("spoilt text", broken["the draft forgets nothing"].differing, within=0)

# %% [markdown] tags=["experiment"]
# Let's look at the columns separately. If the target doesn't forget the rejected tokens, it judges tokens as if they
# followed a text that was never written, and the *text* is wrong. If the draft doesn't forget them, it just makes worse
# guesses. Whatever it proposes, the target decides, so not a single token differs and we lose only *speed*. A test of
# the output cannot find such bugs on the draft's side. However, **a count of passes can**, if the loss of speed is
# large enough. The hole costs almost nothing here, because this draft depends mostly on the last few characters.
# (Laptop profile, seeds 0 and 1: the target's mistake changes 42 and 82 % of the tokens; the draft's reduces the tokens
# per pass from 2.78 to 2.41 and from 1.87 to 1.61; with holes they are 2.74 and 1.89.)

# %% [markdown]
# ## What a pass yields
#
# How much do we gain? Suppose that we keep every drafted token with the same probability $\alpha$, whatever came
# before. A pass keeps tokens up to the first rejection and then adds another token. How many tokens is this on average?
# Try to derive it; there is a closed form.

# %% exercise="expected_tokens"
from studium_topics.speculative_decoding.exercises import expected_tokens

# %% [markdown]
# <details><summary>Derivation</summary>
#
# The pass adds at least $k$ tokens exactly if we keep its first $k - 1$ drafted tokens, so
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
lesson.predict(
    "tokens in a pass", ..., "How many tokens will a pass add when we sample, with 4 drafted by the small transformer?"
)

# %% tags=["experiment"]
formula = lesson.mine(expected_tokens)
gap = mean_length(lesson.mine(verify), lesson.mine(acceptance), formula, profile=lesson.profile)
print(f"models without a context, every outcome listed: difference from the formula {gap:.1e}")
runs = writing.lengths(pair, lesson.mine(speculate), profile=lesson.profile)
show_table(
    ["draft", "temperature", "γ", "share kept", "tokens a pass", "formula", "speed-up"],
    [
        (
            run.draft,
            f"{run.temperature:g}",
            run.gamma,
            f"{run.share:.3f}",
            f"{run.per_pass:.2f}",
            f"{formula(run.share, run.gamma):.2f}",
            f"{run.speedup:.2f}",
        )  # fmt: skip
        for run in runs
    ],
)
overlap = writing.overlaps(pair, lesson.mine(acceptance), profile=lesson.profile)
print("your acceptance on held-out text, temperature 1: " + ", ".join(f"{k} {v:.3f}" for k, v in overlap.items()))
sampled = next(run for run in runs if (run.draft, run.temperature, run.gamma) == (models.TRANSFORMER, 1.0, 4))
lesson.found("tokens in a pass", sampled.per_pass)
figures.yields(runs, formula)

# %% [markdown] tags=["experiment"]
# Without a context, the formula is exact. With trained models, some positions are easy and others hard, and
# neighbouring positions resemble each other, so it is not true that $\alpha$ is the same at all positions. Even so, the
# formula is within 7 % in all 16 rows (laptop profile, seeds 0 to 2).
#
# Two rows deserve a second look. The table of pairs is a draft that knows only the last character, and it costs
# nothing. When you sample, you get a *larger* speed-up with it than with the transformer, although we keep its tokens
# less often. At temperature 0, the share of kept tokens tells us little about the two models. The greedy text of such a
# small target soon repeats itself, and the share depends on whether the draft falls into the same loop (for the
# transformer and $\gamma = 4$, it is 0.73 with seed 0 and 0.48 with seed 1).

# %% [markdown]
# ## When does it pay?
#
# A turn consists of $\gamma$ passes of the draft, each of which costs as much as $c$ passes of the target, and of one
# pass of the target. Without a draft, we would need $\mathbb E[N]$ passes for $\mathbb E[N]$ tokens. How many tokens
# should we draft?

# %% exercise="best_gamma"
from studium_topics.speculative_decoding.exercises import best_gamma

# %%
best = lesson.mine(best_gamma)
costs = (0.0, 0.05, 0.3, 0.5)
show_table(
    ["best γ and speed-up", *(f"c = {cost:g}" for cost in costs)],
    [
        (f"α = {alpha}", *("{}: {:.2f}x".format(*best(alpha, cost, 16)) for cost in costs))
        for alpha in (0.3, 0.6, 0.8, 0.9)
    ],
)

# %% [markdown]
# With $\alpha = 0.3$ and $c = 0.5$, it is best to draft nothing. With $c = 0.05$, the optimum is flat: if you draft one
# token more or less, you lose less than 3 % of the speed-up.
#
# Compare this with the paper. In table 2, Leviathan et al. translate from English to German using T5-XXL, which has 11
# billion parameters. Their draft is T5-small, which has 77 million. At temperature 0 with $\gamma = 7$ they measure
# $\alpha = 0.75$ and 3.4 times the speed; at temperature 1, $\alpha = 0.62$ and 2.6 times. For the first, our formula
# gives 3.2, with the cost of $c = 0.02$ that they assume in table 4.
#
# **Think about it.** In the formula, a pass over $\gamma + 1$ tokens costs the same as a pass over one. When is that
# wrong?
#
# <details><summary>Answer</summary>
#
# It is wrong when a pass is limited by arithmetic instead of by the bytes that it fetches. In the time it takes an H100
# SXM to fetch one weight of two bytes, it could do about 300 multiplications in 16-bit precision (see *kv-caching*), so
# for *one* text you get a few more tokens for free. A server that decodes hundreds of texts at once will use this
# arithmetic for the other texts. There each rejected token costs time, and speculative decoding can be slower than
# plain decoding.
# </details>

# %% [markdown]
# **A length for each position.** So far, $\gamma$ was the same in every turn. But text is not equally hard everywhere:
# after `impor`, the draft knows what comes next, and at the start of a word it does not. Suppose that we know at each
# position how likely we are to keep a drafted token. (A real system has to estimate this, for example from how sure the
# draft is.) How many tokens should we draft where? This is hard because a token counts only if we keep all the drafted
# tokens before it, and because each turn determines where the next one begins. The next exercise sets a goal and leaves
# the way to you. Afterwards, report what you tried.

# %% exercise="plan_drafts"
from studium_topics.speculative_decoding.exercises import plan_drafts

# %% [markdown]
# ## Further
#
# This section is optional, and we did not count it in the minutes above.
#
# ### Several candidates
#
# A draft can also propose several tokens at *one* position, as the first branches of a tree. The target then judges the
# whole tree in one pass, with a mask that lets each token see only its branch.
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
# Each further candidate adds less than the one before, because the first has already taken what both distributions
# share. Real systems spread their candidates over several positions of a tree.
# [Medusa](https://arxiv.org/abs/2401.10774) drafts with extra heads of the target itself, and
# [EAGLE](https://arxiv.org/abs/2401.15077) with a small network that reads the target's features.

# %% [markdown]
# ## What does not reproduce at this size
#
# * **Seconds.** A pass of this target is so small that it costs more to call PyTorch than to do the arithmetic. We
#   count passes and weights instead. They determine the time only if memory limits the model.
# * **The paper's $\alpha$.** Characters of help pages are not words of a translation, and both our models are weak.
# * **That a transformer is the better draft.** Here a table of pairs wins, because the target is so small that a ninth
#   of its weights is a high price. With T5-XXL, T5-small costs 2 %.
#
# ## Common misconceptions
#
# * *"The text is approximately the target's."* Its distribution is exactly the target's, but you will get a different
#   text for a given seed.
# * *"A longer draft is always faster."* We rarely reach its later tokens, and each one also costs a pass of the draft.
# * *"$\alpha$ is how often the likeliest tokens agree."* This is true only for greedy decoding. In sampling, it is one
#   minus the total variation distance.
# * *"A bad draft makes bad text."* It makes slow text.
# * *"It does less arithmetic."* It does more, because the rejected tokens are computed in vain. What it does less often
#   is fetch the weights from memory: just once for all the tokens that a pass adds.
#
# ## You can now
#
# * derive the residual distribution, and prove that speculative sampling is exact;
# * test a sampler exactly, by listing every outcome;
# * write the loop for greedy decoding and for sampling, and roll two caches back;
# * tell a bug that changes the text from a bug that costs only speed;
# * predict the tokens of a pass and the best length of a draft.
#
# ## Open tasks
#
# * **Ten minutes.** In the widget, set the agreement to 0.8 and the cost to 0.05, and find the best number of drafted
#   words. Then raise the cost to 0.5. You should see the optimum move to the left, down to one or two words.
# * **An hour.** Write a draft without a model: a reader that looks for the last three characters earlier in the text
#   and proposes what followed them there (*prompt lookup*), with all the weight on that character. If the text repeats
#   itself, you should see several tokens per pass at temperature 0.
# * **A day.** Train the draft on the target's distributions instead of the text, using the cross-entropy to $p$
#   (distillation), and measure $\alpha$ with `acceptance` on held-out text. You should see it rise by a few hundredths,
#   while the draft's loss on the text does not get any better.
#
# ## Further reading
#
# * [Leviathan et al. 2022](https://arxiv.org/abs/2211.17192): the rule, the formula and its proof, in four pages.
# * [Chen et al. 2023](https://arxiv.org/abs/2302.01318): the same rule for Chinchilla, a model of 70 billion
#   parameters, 2 to 2.5 times as fast.
# * [Stern et al. 2018](https://arxiv.org/abs/1811.03115): the greedy ancestor.
# * The topic *mqa-gqa* makes the target's cache smaller, which is the other thing that a pass must fetch.
