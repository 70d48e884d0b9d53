# %% [markdown]
# # Evaluation metrics for LLMs
#
# A translation should say: *The minister did not sign the treaty on Friday.* System A writes "The minister did sign the
# treaty on Friday." System B writes "On Friday the minister refused to sign the treaty." System B is right, and A says
# the opposite. But BLEU, ROUGE-L and chrF, which people have used to rank translations and summaries for many years,
# all prefer **A**.
#
# Here is a second puzzle. On a benchmark of 100 questions, one model answers 62 correctly and another 58. Which model
# is better? You cannot tell from these numbers, and by the end of this lesson you will know how many questions it
# takes.
#
# **Edit the hypothesis** in the widget. Take out a word, repeat one, change a comma, or type system B's sentence, and
# watch what each metric marks and what it ignores.

# %% tags=["widget"]
from studium_topics.llm_evaluation_metrics.microscope import MetricMicroscope

MetricMicroscope()

# %% [markdown]
# In this lesson you will
#
# 1. **compute** perplexity and bits per byte, and see which one you can use to compare models with different
#    tokenisers;
# 2. **build** corpus BLEU from counts, and reproduce sacrebleu to the last digit;
# 3. **find** the bug in a ranking by likelihood, and **derive** pass@k;
# 4. **write** a paired bootstrap and a harness that reports scores with intervals;
# 5. **measure** how many items it takes to tell two models apart.
#
# **You need** [decoder-only](decoder-only.ipynb) and the idea of a standard deviation. **Time:** 25 minutes of reading,
# 120 of coding, 2 of running.
#
# **History.** Before automatic metrics, people read translations and graded them, which took weeks for each system.
# BLEU (Papineni et al. 2002) and ROUGE-L (Lin 2004) replaced the readers with counts of shared words, and counts cannot
# see meaning. For this reason, people often test language models on tasks with an answer that you can check, either by
# likelihood or by running the programs that the model writes. This settles *what to count*, and the main question
# becomes *how sure we can be of the score*.
#
# | symbol | meaning |
# |---|---|
# | $T$, $\ell_t$ | tokens of a text; loss of token $t$, $-\ln p$, in nats |
# | $c$, $r$ | here: length of all hypotheses, and of the references nearest to them |
# | $m_n$, $t_n$ | here: matched n-grams, and all n-grams of the hypotheses |
# | $n$, $c$, $k$ | for pass@k only: samples drawn, correct samples, samples allowed |
# | $N$ | items of a benchmark |
# | $d_i$ | here: value of item $i$ for one model minus its value for the other |
# | $\delta$, $q$ | mean of the $d_i$, and the share of items on which the models differ |

# %%
from studium import show_table
import torch

from studium_topics.llm_evaluation_metrics import comparison, experiment, figures
from studium_topics.llm_evaluation_metrics.items import Choice, Writing
from studium_topics.llm_evaluation_metrics.surface import (
    TOKENISERS,
    chrf,
    exact_match,
    grams,
    rouge_l,
    rouge_n,
    token_f1,
)
from studium_widgets import Diagram

# %% [markdown]
# ## Where each metric looks
#
# For each metric in this lesson, you should ask two questions. What do we add up, and what do we divide the sum by?
# Most mistakes with metrics come from a wrong answer to the second question. Metrics also differ in where they look: at
# the probabilities of a given text, at the ranking of several texts, or at a text that the model wrote.

# %% tags=["diagram"]
Diagram.from_package("studium_topics.llm_evaluation_metrics", "flow.svg")

# %% [markdown]
# ## Perplexity and bits per byte
#
# A language model gives each token of a held-out text a probability. <dfn>Perplexity</dfn> is the exponential of a
# model's mean loss per token: a model with perplexity 20 is as unsure as one that chooses among 20 equally likely
# tokens.
#
# $$\text{perplexity} = \exp\Big(\frac{1}{T} \sum_{t=1}^{T} \ell_t\Big), \qquad
# \text{bits per byte} = \frac{1}{\ln 2} \cdot \frac{\sum_t \ell_t}{\text{bytes of the text}} .$$
#
# The sum $\sum_t \ell_t$ is $-\ln p$ of the text, cut in the way that the tokeniser cuts it. (The model might also give
# some probability to the same text cut in other ways, so the sum is $-\ln p(\text{text})$ or more.) We can add up nats
# for any tokeniser, but the number of tokens $T$ depends on the tokeniser. If it makes fewer, longer tokens, we divide
# by a smaller number, so the same sum for the same text becomes a higher perplexity. <dfn>Bits per byte</dfn> are the
# bits that a model needs to encode a text, divided by the number of its bytes, which is the same for all tokenisers
# ([Gao et al. 2021](https://arxiv.org/abs/2101.00027), section 3.1).

# %% exercise="perplexity_and_bits"
from studium_topics.llm_evaluation_metrics.exercises import perplexity_and_bits

# %% [markdown] tags=["experiment"]
# Let's take the simplest language model, the frequencies of tokens in a training text, and use it with three
# tokenisers. *Which one will get the lowest perplexity, and which one will predict the text best?*

# %% tags=["experiment"]
units = experiment.token_frequencies(lesson.mine(perplexity_and_bits), profile=lesson.profile, seed=0)
show_table(
    ["tokeniser", "perplexity", "bits per byte"],
    [(name, f"{value:.1f}", f"{units.bits[name]:.2f}") for name, value in units.perplexity.items()],
)

# %% [markdown] tags=["experiment"]
# The order is exactly reversed. Characters have the lowest perplexity, because each choice is among about a hundred
# characters. They also have the most bits per byte, because a character's frequency tells us nothing about its
# neighbours. **Compare perplexities only between models with the same tokeniser**, on the same text.
#
# ## Counting words: BLEU
#
# Often you have only the text that a system wrote, and not the probability it gives to a *reference*, a text that you
# know to be good. In that case, you can count what the two texts share. We call the system's text the *hypothesis*. An
# <dfn>n-gram</dfn> is a stretch of n neighbouring tokens, and the <dfn>precision</dfn> of order n is the share of the
# hypothesis's n-grams that match the reference. The hypothesis "the the the" shares every word with "the cat", so
# matches must be <dfn>clipped</dfn>: an n-gram counts at most as often as it occurs in one reference. If we used only
# precision, we would reward a hypothesis of one safe word, so there is also a brevity penalty that compares the
# lengths. BLEU is the penalty times the geometric mean of the precisions ([Papineni et al.
# 2002](https://aclanthology.org/P02-1040/), section 2.3):
#
# $$\text{BLEU} = \min\big(1, e^{\,1 - r/c}\big) \cdot \exp\Big(\frac{1}{4} \sum_{n=1}^{4} \ln \frac{m_n}{t_n}\Big).$$
#
# We sum the counts over **all** sentences first, and divide just once. This is why you will do the work in two steps:
# first count one hypothesis, then score summed counts.

# %% exercise="bleu_counts"
from studium_topics.llm_evaluation_metrics.exercises import bleu_counts

# %% exercise="bleu"
from studium_topics.llm_evaluation_metrics.exercises import bleu

# %%
REFERENCE = "The minister did not sign the treaty on Friday."
SYSTEMS = {
    "A, the opposite": "The minister did sign the treaty on Friday.",
    "B, a paraphrase": "On Friday the minister refused to sign the treaty.",
}
words = TOKENISERS["punctuation apart"]
rows = []
for name, text in SYSTEMS.items():
    row = [metric(text, REFERENCE) for metric in (lambda a, b: rouge_n(a, b, 1), rouge_l, chrf, exact_match, token_f1)]
    score = float(lesson.mine(bleu)(list(lesson.mine(bleu_counts)(words(text), [words(REFERENCE)], 4))))
    rows.append((name, f"{score:.1f}", *(f"{100 * value:.1f}" for value in row)))
show_table(["system", "BLEU", "ROUGE-1", "ROUGE-L", "chrF", "exact match", "token F1"], rows)

# %% [markdown]
# ROUGE-N compares the n-grams of two texts, and ROUGE-L their longest common subsequence ([Lin
# 2004](https://aclanthology.org/W04-1013/), who defines ROUGE-N as a recall; today people usually report the F1, as we
# do here). chrF is an F-score of character n-grams ([Popović 2015](https://aclanthology.org/W15-3049/)), and as in
# sacrebleu, its recall weighs twice as much as its precision. Exact match and token F1 compare short answers, after
# lower-casing them and removing punctuation and articles. You can find all these metrics as short functions in
# `surface.py`. None of them knows what "not" means.
#
# **In practice**, you would use `sacrebleu.metrics.BLEU`, `sacrebleu.metrics.CHRF` and `rouge_score.rouge_scorer`:

# %% tags=["experiment", "bridge"]
try:
    from rouge_score import rouge_scorer
    from sacrebleu.metrics import BLEU, CHRF
except ImportError:
    print("sacrebleu or rouge-score is not installed here; `pip install sacrebleu rouge-score` brings both.")
else:
    counts = [list(lesson.mine(bleu_counts)(words(text), [words(REFERENCE)], 4)) for text in SYSTEMS.values()]
    mine = float(lesson.mine(bleu)([sum(column) for column in zip(*counts, strict=True)]))
    joined = [" ".join(words(text)) for text in (*SYSTEMS.values(), REFERENCE)]
    library = BLEU(tokenize="none", smooth_method="none")
    theirs = library.corpus_score(joined[:2], [[joined[2]] * 2]).score
    print(f"BLEU of both sentences: {mine:.10f}, {type(library)}: {theirs:.10f}, difference {abs(mine - theirs):.0e}")
    text = SYSTEMS["B, a paraphrase"]
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    gaps = (
        100 * chrf(text, REFERENCE) - CHRF().sentence_score(text, [REFERENCE]).score,
        rouge_l(text, REFERENCE) - scorer.score(REFERENCE, text)["rougeL"].fmeasure,
    )
    print("difference of chrF and of ROUGE-L: " + ", ".join(f"{abs(gap):.0e}" for gap in gaps))

# %% [markdown] tags=["experiment"]
# A "BLEU" score is not yet a single number, because the formula does not define what a token is. [Post
# 2018](https://arxiv.org/abs/1804.08771) found differences as high as 1.8 points between commonly used configurations,
# as much as many published improvements. Let's damage some sentences of our prose and score them under several
# tokenisers. One of these cuts the text into characters and the others into words. *How far apart will the highest and
# the lowest score be if we use words?*

# %% tags=["experiment"]
lesson.predict("spread of BLEU", ..., "How many points of BLEU are the word tokenisers apart, from lowest to highest?")

# %% tags=["experiment"]
noise = experiment.noisy_sentences(lesson.mine(bleu_counts), lesson.mine(bleu), profile=lesson.profile, seed=0)
show_table(["", "BLEU"], [(name, f"{score:.1f}") for name, score in noise.corpus.items()])
print(f"mean BLEU of each sentence alone, punctuation apart: {noise.mean:.1f}")
lesson.found("spread of BLEU", noise.spread, within=0.25)

# %% [markdown] tags=["experiment"]
# The sentences are the same; we have only cut them in different places. When you report a score, add sacrebleu's
# signature, which names tokeniser and smoothing, and never copy a baseline from a paper without it. The last line
# averages the scores of single sentences instead of summing counts, and it is different again: if a sentence has no
# matching 4-gram, its score is 0.
#
# ## Ranking by likelihood
#
# For a multiple-choice question, the model does not have to write. We compute
# $\ln p(\text{choice} \mid \text{context})$ for each choice and check whether the right choice is highest. Remember
# that row $t$ of a decoder's logits predicts token $t + 1$. The code in the next exercise forgets this, and still
# returns plausible scores.

# %% exercise="choice_logprobs"
from studium_topics.llm_evaluation_metrics.exercises import choice_logprobs

# %% [markdown]
# Each further token multiplies the probability by a number below 1, so the sum of log-probabilities favours **short**
# choices. To correct this, people commonly divide by the number of tokens, characters or bytes. In EleutherAI's
# [evaluation harness](https://github.com/EleutherAI/lm-evaluation-harness), `acc` ranks by the sum and `acc_norm` by
# the sum over the number of characters, which for English is close to the number of bytes. The authors of GPT-3 ([Brown
# et al. 2020](https://arxiv.org/abs/2005.14165), section 2.4) used the likelihood per token for most tasks.
#
# To make our benchmark, we cut the held-out prose of Python's help into stretches. The first 24 tokens of each are the
# context. The model then has to choose between the true continuation and three from elsewhere, of 3 to 12 tokens. We
# compare four tiny language models, all of the same size: a **base**; its **twin**, which differs only in the seed; a
# **short** run with a third of the steps; and a **leaked** model, which saw half of the benchmark in training. Training
# will take about a quarter of a minute.

# %% tags=["experiment"]
models = comparison.trained_models(lesson.profile, 0)
items = comparison.benchmark(100, 0)
decode = comparison.tokeniser().decode
print("context:", decode(items[0].context.tolist()))
for number, choice in enumerate(items[0].choices):
    print("      →" if number == items[0].answer else "       ", repr(decode(choice.tolist())))

# %% [markdown]
# ## When a model writes: pass@k
#
# A program is right if its tests pass, however it is written. Codex solved 28.8 % of the problems of HumanEval with one
# sample each, and 70.2 % when it was allowed 100 samples per problem ([Chen et al.
# 2021](https://arxiv.org/abs/2107.03374), abstract). <dfn>pass@k</dfn> is the probability that at least one of k
# samples is correct. If you estimate it from a single draw of k samples, the estimate will be noisy. It is better to
# draw $n > k$ samples, count the $c$ correct ones, and use them all.

# %% exercise="pass_at_k"
from studium_topics.llm_evaluation_metrics.exercises import pass_at_k

# %% [markdown]
# <details><summary>Derivation: why the mean over sets is unbiased</summary>
#
# Let $X_S = 1$ if set $S$ of $k$ samples contains a correct one. The samples are independent, so every set has
# $E[X_S] = 1 - (1 - p)^k$. Our estimate is the mean of all $X_S$. If numbers share an expectation, their mean has that
# expectation too, even though the sets overlap. The plug-in estimate $1 - (1 - c/n)^k$ is a concave function of $c$, so
# by Jensen's inequality its mean is below $1 - (1 - p)^k$ for $k > 1$ and $0 < p < 1$.
# </details>

# %% tags=["experiment"]
sampling = experiment.repeated_sampling(lesson.mine(pass_at_k), profile=lesson.profile, seed=0)
print(f"pass@10 of 400 problems is {sampling.truth:.4f}; mean error of your estimate from 20 samples")
print(f"{sampling.unbiased:+.4f}, and of 1 − (1 − c/n)^10: {sampling.plug_in:+.4f}")

# %% [markdown] tags=["experiment"]
# Our models cannot write programs, but they can continue a text. We will draw 20 samples of the next two tokens, and
# call a sample correct if it equals the original. This is the whole sampling loop:

# %% tags=["experiment"]
task, base = comparison.writing_task(12, 0), models["base"].cpu()
for item in task[:4]:
    generator = torch.Generator().manual_seed(item.seed)
    ids = item.context.expand(item.samples, -1)  # (samples, C)
    with torch.no_grad():
        for _ in item.answer:
            probabilities = base(ids)[:, -1].softmax(-1)
            ids = torch.cat([ids, torch.multinomial(probabilities, 1, generator=generator)], 1)
    correct = int((ids[:, -len(item.answer) :] == item.answer).all(1).sum())
    estimate = float(lesson.mine(pass_at_k)(item.samples, correct, item.k))
    shown = f"…{decode(item.context[-8:].tolist())!r:32} → {decode(item.answer.tolist())!r:9}"
    print(f"{shown} {correct:2} of 20, pass@5 {estimate:.2f}")

# %% [markdown]
# ## How sure is a score?
#
# The items of a benchmark are a sample of all the items that somebody could have written. This means that a score is an
# **estimate**: with another sample, you would get a different score. If a model answers a share $a$ of $N$ items right,
# its score has the standard error $\sqrt{a(1-a)/N}$. For 62 of 100 this is 4.9 points. The difference between two such
# scores, on different questions, has a standard error of $\sqrt 2 \cdot 4.9 = 6.9$ points.
#
# But both our models answered the *same* questions, and hard questions are hard for both. So let's look at the
# differences $d_i$ between their values, which are 1 for right and 0 for wrong. Whenever both models are right or both
# are wrong, the difference is 0, so the variance depends only on $\delta$ and on the share $q$ of items on which the
# models differ:
#
# $$\operatorname{Var}(d) = q - \delta^2, \qquad \text{standard error of } \delta = \sqrt{\frac{q - \delta^2}{N}} .$$
#
# <details><summary>Derivation</summary>
#
# Since $d_i$ is 1, −1 or 0, we know that $d_i^2$ is 1 on the share $q$ of the items. This means that $E[d^2] = q$, so
# $\operatorname{Var}(d) = E[d^2] - E[d]^2 = q - \delta^2$. The mean of $N$ independent items has a variance that is $N$
# times smaller.
# </details>
#
# The <dfn>paired bootstrap</dfn> draws items with replacement, computes the difference between two systems' scores on
# the drawn items, and takes quantiles of many such differences. You don't need a formula for the variance, so you can
# also use it for scores such as BLEU ([Koehn 2004](https://aclanthology.org/W04-3250/)). For BLEU, each item
# contributes a row of counts, and the score is a function of their sums, just like your `bleu`.

# %% exercise="paired_interval"
from studium_topics.llm_evaluation_metrics.exercises import paired_interval

# %% [markdown]
# ## A harness
#
# You now have all the parts of an evaluation harness. Items are data; a `Choice` has `context`, `choices` and `answer`,
# and a `Writing` has `samples`, `k` and `count_correct(model)`, which is the sampling loop above. A report is a table
# of scores with a verdict, and the verdict might be "undecided".

# %% exercise="evaluate"
from studium_topics.llm_evaluation_metrics.exercises import evaluate

# %% tags=["experiment"]
count = lesson.profile.choose(smoke=8, laptop=100, gpu=100)
with torch.no_grad():
    report = lesson.mine(evaluate)(
        {name: models[name].cpu() for name in ("base", "twin", "short")},
        {"ranking": comparison.benchmark(count, 0), "writing": comparison.writing_task(count, 0)},
        1000,
        torch.Generator().manual_seed(0),
    )
show_table(
    ["task", "model", "score", "lead", "95 % interval", "verdict"],
    [
        (
            row["task"],
            row["model"],
            f"{100 * row['score']:.1f}",
            f"{100 * row['lead']:+.1f}",
            f"[{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]",
            row["verdict"],
        )  # fmt: skip
        for row in report
    ],
)

# %% [markdown]
# **What if people have to grade?** Our harness checks every answer by itself. When people have to read the answers, we
# can pay for only a few grades. Let's say that we have 400 items with an automatic score, such as chrF, and people can
# grade 40 of them. The mean of 40 grades has a standard error of $\sigma/\sqrt{40}$, where $\sigma$ is the standard
# deviation of the grades, and to halve this error we would need four times as many grades. The automatic scores cannot
# replace the grades, but they can still help us. How would you use them? The next exercise sets a goal and leaves the
# way to you. Afterwards, report what you tried.

# %% exercise="few_grades"
from studium_topics.llm_evaluation_metrics.exercises import few_grades

# %% [markdown] tags=["experiment"]
# ## How many items does it take?
#
# The twin is as good as the base *by construction*: only the random seed is different. Even so, one of the two will
# nearly always lead, whatever the benchmark. The short run had less training. Before we measure, let's compute. We want
# to find a lead $\delta$ with a 95 % interval in 80 % of the benchmarks. For this, the lead must be $1.96 + 0.84 = 2.8$
# standard errors, because 80 % of a normal distribution is above its mean minus 0.84 standard deviations. So
#
# $$N \approx 2.8^2 \cdot \frac{q - \delta^2}{\delta^2} .$$
#
# This answers the second puzzle we started with, once you know on how many questions the two models differ.

# %% tags=["experiment"]
lesson.predict(
    "items for four points",
    ...,
    "Two models differ on 14 % of the items, and one leads by 4 points. How many items does it take?",
)

# %% tags=["experiment"]
lesson.found("items for four points", 2.8**2 * (0.14 - 0.04**2) / 0.04**2, within=0.1)

# %% tags=["experiment"]
race = comparison.comparison(lesson.mine(choice_logprobs), lesson.mine(paired_interval), profile=lesson.profile, seed=0)
rows = []
for name in comparison.NAMES:
    shares = [f"{race.score(name, rule):.1%}" for rule in comparison.NORMALISERS]
    lead, low, high = race.lead.get(name, (0.0, 0.0, 0.0))
    rows.append((name, *shares, f"{100 * lead:+.1f}", f"[{100 * low:+.1f}, {100 * high:+.1f}]"))
show_table(["model", "right by the sum", "per token", "per byte", "lead per token", "95 % interval"], rows)
print("base, all choices of 7 tokens: " + ", ".join(f"{share:.1%}" for share in race.equal.mean(0).tolist()))
for name in ("twin", "short"):
    gaps = (race.hits[name] - race.hits["base"])[:, 1]
    differ, gap = float(gaps.abs().mean()), abs(float(gaps.mean()))
    need = f"{2.8**2 * (differ - gap**2) / gap**2:,.0f} items" if gap else "no number of items is enough"
    print(f"{name}: differs from the base on {differ:.0%} of the items, by {100 * gap:.1f} points: {need}")
figures.decided(race)

# %% [markdown] tags=["experiment"]
# There are four things to see in this output. Where we give one number below, it is for seed 0 at laptop size. Three
# numbers are for seeds 0, 1 and 2, and for each of these seeds we trained all four models again.
#
# * **The twin is undecided** here: it leads by 1.7 points on 300 items, with an interval from −2.3 to 5.7. The models
#   differ on 12 % of the items, so you would need thousands of items for a lead of this size, and with another seed the
#   lead might change sign.
# * **The short run is worse**, here by 13 points. For each of the three seeds, every benchmark of 800 items finds this,
#   and so do about three of four benchmarks of 100 items.
# * **The normaliser matters more than the twin's seed.** From the same log-probabilities, the base gets 35 % right by
#   the sum, 44 % per token and 35 % per byte. Per token it gains 10, 12 and 13 points over the sum. If all choices have
#   7 tokens, the sum and the sum per token give the same ranking, so the difference between them comes only from
#   length.
# * **Pairing narrows the interval** of the short run to 80, 85 and 73 % of what you would get from two independent
#   samples of items.
#
# In the figure, benchmarks of up to 400 items tell the twin from the base in 0 to 13 % of cases, and benchmarks of 800
# items in 28 %, although the two models are equal by construction. This is because we draw the benchmarks from our 300
# items. On these the twin really does lead by 1.7 points, and a benchmark that is large enough will find it.
#
# ## Contamination
#
# The leaked model leads too. Let's split the items into those that it saw during training and the others:

# %% tags=["experiment"]
for half, name in enumerate(("seen in training", "new")):
    print(f"items {name:17} lead of the leaked model over the base: {100 * race.leak(half):+5.1f} points")

# %% [markdown] tags=["experiment"]
# Its lead comes from memory: on new items, the same model is not better than the base (−7 points for seed 0). With
# seeds 0, 1 and 2, its lead on the seen items is larger than on the new items by 22, 26 and 18 points. On a real
# benchmark, you won't be given the second row. What you can do is search the training text for long n-grams of the test
# items, as the authors of GPT-3 did ([Brown et al. 2020](https://arxiv.org/abs/2005.14165), section 4), or test on
# items that were written after the training text was collected.
#
# ## Further
#
# **Calibration.** If a model tells you that it is "80 % sure", it should be right in 80 % of those cases. The
# <dfn>expected calibration error</dfn> is the mean gap between confidence and accuracy over bins of equal confidence,
# weighted by their sizes ([Guo et al. 2017](https://arxiv.org/abs/1706.04599), equation 3; they found modern networks
# overconfident). A calibrated model can still be useless: if it always answers 25 % on four choices and guesses, it is
# perfectly calibrated.

# %% exercise="expected_calibration_error"
from studium_topics.llm_evaluation_metrics.exercises import expected_calibration_error

# %% tags=["experiment"]
scores = []
for item in items:
    with torch.no_grad():
        logprobs = lesson.mine(choice_logprobs)(base, item.context, item.choices)
    scores.append(logprobs / torch.tensor([len(choice) for choice in item.choices]))
scores = torch.stack(scores)
answers = torch.tensor([item.answer for item in items])
rows = []
for temperature in (0.25, 0.5, 1.0, 2.0):
    confidence, picked = (scores / temperature).softmax(-1).max(-1)
    error = float(lesson.mine(expected_calibration_error)(confidence, picked == answers, 10))
    right = (picked == answers).float().mean()
    rows.append((f"{temperature:g}", f"{right:.0%}", f"{confidence.mean():.0%}", f"{error:.3f}"))
show_table(["temperature", "right", "mean confidence", "ECE"], rows)

# %% [markdown] tags=["experiment"]
# The temperature changes the confidence and the calibration error, but never an answer. ECE depends on the number of
# bins, and with 100 answers it is mostly noise, so report both numbers with it.
#
# **Judges.** To compare open answers, people use a judge, often a language model, and report a win rate. Strong judges
# agree with people in over 80 % of cases, which is as often as people agree with each other ([Zheng et al.
# 2023](https://arxiv.org/abs/2306.05685), abstract). But they have biases: the answer that they see first wins too
# often, and so does the longer answer. Here is a simulated judge that prefers the first position. Both systems are
# equally good.

# %% tags=["experiment"]
generator = torch.Generator().manual_seed(0)
quality = torch.randn(4000, generator=generator) - torch.randn(4000, generator=generator)  # of A minus B, each pair


def judge(gap, bias):
    """Return 1 where the answer shown first wins, 0 where it loses and 0.5 for a tie, for gaps of quality (N,)."""
    seen = gap + bias + 0.5 * torch.randn(len(gap), generator=generator)
    return torch.where(seen.abs() < 0.2, 0.5, (seen > 0).float())


rows = []
for bias in (0.0, 0.5, 1.0):
    first, second = judge(quality, bias), 1 - judge(-quality, bias)  # A shown first, A shown second
    both = torch.where(first == second, first, 0.5)  # a win only where both orders agree
    rows.append((f"{bias}", *(f"{100 * wins.mean():.1f}" for wins in (first, second, (first + second) / 2, both))))
show_table(["bias", "win rate of A, in %: shown first", "shown second", "mean of both", "where the orders agree"], rows)

# %% [markdown] tags=["experiment"]
# Ask in both orders and average, and the bias will cancel, because the two systems swap places. Ties count as half a
# win for each side. If you drop them instead, you should report this, because this changes every win rate that is not
# 50 %. You cannot cancel a verbosity bias in this way, because the longer answer is still longer in the other order.
#
# ## What does not reproduce at this size
#
# * **The levels.** Our models have about 165 000 parameters, and we trained them for seconds. You cannot use their
#   scores to learn about large models, but the arithmetic of intervals is the same.
# * **"Per byte" does not lose in general.** We cut our choices by tokens, so bytes add noise: a choice of long tokens
#   looks better per byte. Choices that people write differ in other ways. For these, bytes have the advantage that
#   models with different tokenisers use the same unit to rank them.
# * **Benchmarks drawn from our own items** with replacement treat these 300 items as the whole world. The shares in the
#   figure therefore leave out that the items themselves are a sample.
# * **Real contamination** is subtler: paraphrases, translations, and answers without questions. Ours repeats the texts
#   word for word.
# * The judge is a formula. It shows what you can cancel by averaging over orders, but not how biased any real judge is.
#
# ## Common misconceptions
#
# * *"Lower perplexity, better model."* Only with the same tokeniser, on the same text.
# * *"BLEU is the percentage of correct words."* It is a geometric mean of clipped precisions with a penalty, and you
#   cannot compare 30 on one test set with 30 on another.
# * *"The mean of sentence BLEU is corpus BLEU."* Ratios of sums are not means of ratios.
# * *"The intervals of two models overlap, so they do not differ."* The models share their items, so look at the
#   interval of the difference.
# * *"Undecided means equal."* It means that you cannot tell the two apart using these items. If you want half the width
#   of the interval, you need four times the items.
# * *"A calibrated model is a good model."* Its confidence tells you how often it is right, which might be rarely.
#
# ## You can now
#
# * explain for each metric what it counts, what it divides by, and one failure that it cannot see;
# * choose bits per byte when the tokenisers are different, and reproduce BLEU from counts;
# * rank choices by likelihood without an index error, and report how you normalised the lengths;
# * put an interval on any difference between two scores, with pairing;
# * compute how many items a claimed lead needs before you believe it.
#
# ## Open tasks
#
# * **Ten minutes.** Type system B into the microscope and change one word at a time towards the reference. You should
#   see BLEU stay at 0 until a 4-gram matches, while chrF rises with nearly every edit.
# * **An hour.** Compute the paired interval of BLEU for two kinds of damage to the same 120 sentences, using
#   `bleu_counts` rows as a and b. You should see it shrink by half when you take four times the sentences.
# * **A day.** Add your own task to the harness, with 200 items that you write or generate, and a model that beats the
#   base on it. You should see a verdict other than "undecided", or know how many items are missing.
#
# ## Further reading
#
# * [Post 2018](https://arxiv.org/abs/1804.08771): four pages on why a BLEU score needs a signature.
# * [Miller 2024](https://arxiv.org/abs/2411.00640): error bars, clustered items and pairing for evaluations of language
#   models.
# * [Chen et al. 2021](https://arxiv.org/abs/2107.03374): section 2.1 defines pass@k and its unbiased estimate.
# * [Zheng et al. 2023](https://arxiv.org/abs/2306.05685): see section 3 on the biases of judges.
