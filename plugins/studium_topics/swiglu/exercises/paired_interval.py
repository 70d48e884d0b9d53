import math
import statistics

import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=10,
    importance=3,
    hints=(
        "Both runs of a seed saw the same batches. What do you lose if you forget which run belongs to which?",
        "Take the difference seed by seed first. Its mean has a standard error that shrinks with the number of seeds.",
        "n differences give one mean and one standard deviation, with n - 1 in the denominator.",
        "`statistics.stdev(differences) / math.sqrt(len(differences))` is the standard error.",
    ),
    mutates_args=(),
)
def paired_interval(losses, baseline, critical):
    """Return the mean paired difference of two kinds of layer, and the ends of its confidence interval.

    Run i of both kinds had the same seed and saw the same batches. We use Student's interval: the
    mean plus or minus `critical` standard errors of the mean.

    * losses, baseline: two lists of n losses, 2 or more, seed by seed
    * critical: the quantile of Student's distribution with n - 1 degrees of freedom, 2.776 for n = 5 and 95 %
    * returns: (mean, low, high), numbers; the mean is negative where `losses` are the lower ones
    """
    ### BEGIN SOLUTION
    differences = [ours - theirs for ours, theirs in zip(losses, baseline, strict=True)]
    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return mean, mean - critical * error, mean + critical * error
    ### END SOLUTION


paired_interval.equivalent(
    "differences = [ours - theirs for ours, theirs in zip(losses, baseline, strict=False)]",
    "both lists have one loss for each seed",
)


@paired_interval.test("finds a small difference that all seeds share", points=1)
def _(paired_interval):
    baseline = [2.0, 2.3, 1.8, 2.1]
    losses = [1.98, 2.25, 1.77, 2.06]  # differences -.02 -.05 -.03 -.04: standard deviation .0129099
    mean, low, high = paired_interval(losses, baseline, 3.182)
    assert_close(mean, -0.035, rtol=1e-4, atol=1e-7, message="the mean difference")
    assert_close((low, high), (-0.0555397, -0.0144603), rtol=1e-4, atol=1e-6, message="the ends of the interval")


@paired_interval.hidden("covers the true difference as often as it says", points=2)
def _(paired_interval, rng):
    for count, critical in ((5, 2.776), (3, 4.303), (10, 2.262), (2, 12.706)):
        noise = torch.randn(2, count, generator=rng, dtype=torch.float64)
        baseline = (2 + noise[0]).tolist()
        losses = (2.05 + noise[0] + 0.6 * noise[1]).tolist()
        kept = list(losses), list(baseline)
        apart = torch.tensor(losses, dtype=torch.float64) - torch.tensor(baseline, dtype=torch.float64)
        half = critical * float(apart.std()) / count**0.5
        found = paired_interval(losses, baseline, critical)
        expected = (float(apart.mean()), float(apart.mean()) - half, float(apart.mean()) + half)
        assert_close(tuple(float(x) for x in found), expected, rtol=1e-5, atol=5e-6, message=f"{count} seeds")
        assert (losses, baseline) == kept, "the arguments must stay as they are"
    covered, trials = 0, 300
    for _ in range(trials):
        noise = torch.randn(2, 5, generator=rng, dtype=torch.float64)
        _, low, high = paired_interval((noise[0] + 0.2 * noise[1] - 0.1).tolist(), noise[0].tolist(), 2.776)
        covered += low <= -0.1 <= high
    assert 0.89 < covered / trials < 0.99, f"a 95 % interval covered the truth in {covered} of {trials} trials"


@paired_interval.misconception(
    "You treated the two lists as unrelated; take the difference seed by seed. The effect of a seed on both runs then "
    "cancels, whereas without pairing it makes your interval far too wide.",
    name="unpaired",
)
def _(losses, baseline, critical):
    mean = statistics.fmean(losses) - statistics.fmean(baseline)
    error = math.sqrt((statistics.variance(losses) + statistics.variance(baseline)) / len(losses))
    return mean, mean - critical * error, mean + critical * error


@paired_interval.misconception(
    "You sorted each of the two lists; keep their order, because run i of both has the same seed.",
    name="sorted-each-list",
)
def _(losses, baseline, critical):
    return paired_interval.solution(sorted(losses), sorted(baseline), critical)


@paired_interval.misconception(
    "You divided by n in the standard deviation; divide by n - 1, because the mean was estimated from the same n "
    "numbers.",
    name="divided-by-n",
)
def _(losses, baseline, critical):
    apart = [ours - theirs for ours, theirs in zip(losses, baseline, strict=True)]
    mean, error = statistics.fmean(apart), statistics.pstdev(apart) / math.sqrt(len(apart))
    return mean, mean - critical * error, mean + critical * error


@paired_interval.misconception(
    "You used the spread of single runs; divide it by √n, because the mean of n runs is known √n times better.",
    name="spread-of-single-runs",
)
def _(losses, baseline, critical):
    apart = [ours - theirs for ours, theirs in zip(losses, baseline, strict=True)]
    mean, error = statistics.fmean(apart), statistics.stdev(apart)
    return mean, mean - critical * error, mean + critical * error


@paired_interval.misconception(
    "You divided the standard deviation by n; divide by √n, because the standard error of a mean falls with √n.",
    name="divided-the-error-by-n",
)
def _(losses, baseline, critical):
    apart = [ours - theirs for ours, theirs in zip(losses, baseline, strict=True)]
    mean, error = statistics.fmean(apart), statistics.stdev(apart) / len(apart)
    return mean, mean - critical * error, mean + critical * error


@paired_interval.misconception(
    "You used 1.96, the normal quantile; use Student's quantile in `critical`, which is larger, because with few seeds "
    "the standard deviation is itself uncertain.",
    name="normal-quantile",
)
def _(losses, baseline, critical):
    apart = [ours - theirs for ours, theirs in zip(losses, baseline, strict=True)]
    mean, error = statistics.fmean(apart), statistics.stdev(apart) / math.sqrt(len(apart))
    return mean, mean - 1.96 * error, mean + 1.96 * error


@paired_interval.misconception(
    "You subtracted the other way round; subtract `baseline` from `losses`, because the difference is negative where "
    "`losses` are lower.",
    name="baseline-minus-losses",
)
def _(losses, baseline, critical):
    mean, low, high = paired_interval.solution(losses, baseline, critical)
    return -mean, -high, -low


@paired_interval.also_correct
def _(losses, baseline, critical):
    apart = torch.tensor(losses) - torch.tensor(baseline)
    half = critical * apart.std() / len(apart) ** 0.5
    return apart.mean(), apart.mean() - half, apart.mean() + half


@paired_interval.also_correct
def _(losses, baseline, critical):
    n = len(losses)
    mean = sum(losses) / n - sum(baseline) / n
    squares = sum((losses[i] - baseline[i] - mean) ** 2 for i in range(n))
    half = critical * (squares / (n - 1) / n) ** 0.5
    return [mean, mean - half, mean + half]
