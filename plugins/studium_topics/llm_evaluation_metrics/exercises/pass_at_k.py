import math

import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=12,
    importance=3,
    kind="derive",
    hints=(
        "When does a set of k samples contain no correct one?",
        "Count the sets that contain only wrong samples; every other set contains a correct one.",
        "There are n − c wrong samples, so you get the share from the binomial coefficients “n − c choose k” and “n "
        "choose k”.",
        "`math.comb(n, k)` is exact for any size, and it is 0 if k is larger than n.",
    ),
)
def pass_at_k(n, c, k):
    """Return an estimate of the probability that at least one of k samples is correct.

    A model wrote n independent samples, and c of them are correct. Take every set of k of
    these n samples: the estimate is the share of the sets that contain at least one correct
    sample. Its mean over repetitions is exactly 1 − (1 − p)ᵏ, where p is the probability
    that a sample is correct.

    * n, c, k: whole numbers with 0 ≤ c ≤ n, 1 ≤ k ≤ n, and n up to 10 000
    * returns: a number, accurate to six digits
    """
    ### BEGIN SOLUTION
    return 1 - math.comb(n - c, k) / math.comb(n, k)
    ### END SOLUTION


@pass_at_k.test("is the share of sets with a correct sample, for seven samples", points=1)
def _(pass_at_k):
    from itertools import combinations

    sets = list(combinations([True, True, False, False, False, False, False], 3))
    expected = sum(any(chosen) for chosen in sets) / len(sets)
    assert_close(float(pass_at_k(7, 2, 3)), expected, rtol=1e-5, message="n = 7, c = 2, k = 3")


@pass_at_k.hidden("agrees with the list of all sets for every n up to 8", points=1)
def _(pass_at_k):
    from itertools import combinations

    cases = [(n, c, k) for n in range(1, 9) for c in range(n + 1) for k in range(1, n + 1)]
    for n, c, k in ((8, 3, 4), *cases):
        sets = list(combinations([True] * c + [False] * (n - c), k))
        expected = sum(any(chosen) for chosen in sets) / len(sets)
        assert_close(float(pass_at_k(n, c, k)), expected, atol=1e-6, message=f"n = {n}, c = {c}, k = {k}")


@pass_at_k.hidden("is finite and precise for many samples", points=1)
def _(pass_at_k, rng):
    from fractions import Fraction

    cases = [(10_000, 3, 100), (10_000, 9_000, 5_000), (5_000, 1, 10), (2_000, 40, 1_999), (10_000, 0, 7)]
    for _ in range(5):
        n = int(torch.randint(200, 400, (), generator=rng))
        cases.append((n, int(torch.randint(1, 20, (), generator=rng)), int(torch.randint(1, 60, (), generator=rng))))
    for n, c, k in cases:
        missed = Fraction(1)
        for wrong in range(c):  # the correct ones, one after the other, each outside the k chosen
            missed *= Fraction(max(0, n - k - wrong), n - wrong)
        found = float(pass_at_k(n, c, k))
        assert_close(found, float(1 - missed), rtol=1e-6, atol=1e-9, message=f"n = {n}, c = {c}, k = {k}")


pass_at_k.mistake(
    "plug-in",
    "You put c / n into 1 − (1 − p)ᵏ. That curve bends, so its mean over repetitions is too small; count sets instead.",
    replace="math.comb(n - c, k) / math.comb(n, k)",
    by="(1 - c / n) ** k",
)

pass_at_k.mistake(
    "k-times-the-rate",
    "You multiplied c / n by k, which counts a set with two correct samples twice; count each set once.",
    replace="1 - math.comb(n - c, k) / math.comb(n, k)",
    by="min(1.0, k * c / n)",
)

pass_at_k.mistake(
    "pass-at-one",
    "You returned the share of correct samples, which is pass@1 for any k; count the sets of k samples instead.",
    replace="1 - math.comb(n - c, k) / math.comb(n, k)",
    by="c / n",
)

pass_at_k.mistake(
    "first-k",
    "Your result is always 0 or 1, as from a single set of samples; take the mean over all sets of k.",
    replace="1 - math.comb(n - c, k) / math.comb(n, k)",
    by="1.0 if c > 0 else 0.0",
)

pass_at_k.mistake(
    "share-of-failures",
    "You returned the share of sets without a correct sample; subtract it from 1.",
    replace="1 - math.comb(n - c, k) / math.comb(n, k)",
    by="math.comb(n - c, k) / math.comb(n, k)",
)


@pass_at_k.also_correct
def _(n, c, k):
    if n - c < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(n - c + 1, n + 1))


@pass_at_k.also_correct
def _(n, c, k):
    if n - c < k:
        return 1.0
    log = math.lgamma(n - c + 1) - math.lgamma(n - c - k + 1) + math.lgamma(n - k + 1) - math.lgamma(n + 1)
    return 1.0 - math.exp(log)
