import torch
from studium import exercise

from studium_topics.speculative_decoding.exercises.best_gamma import best_gamma


@exercise(
    points=3,
    report=1,
    minutes=12,
    kind="open",
    importance=2,
    hints=(
        "When a turn begins just before a hard token, what are the drafted tokens after it worth?",
        "A drafted token only counts if all drafted tokens before it in the turn are kept, so multiply the "
        "probabilities along the way. Compare what another token adds with the time of another pass of the draft.",
        "One way is to treat each position by itself: compute the mean number of tokens for gamma = 0, 1, 2, …, divide "
        "it by the time of the turn, and take the best. Or work backwards from the end of the text, where you know the "
        "time that is still to come.",
    ),
    mutates_args=(),
)
def plan_drafts(alpha, cost):
    """Return how many tokens to draft in a turn, for each position at which a turn can begin.

    * alpha (n,): float64; alpha[i] is the probability that we keep a token drafted for position i
    * cost: the time of one pass of the draft, in passes of the target
    * returns: n whole numbers, 0 or more; number i is for a turn that begins when positions 0 to i - 1 are written

    A turn with gamma drafted tokens takes the time 1 + cost · gamma. We keep tokens up to the first rejection, and the
    target adds one.

    The goal: n tokens take at most 92 % of the expected time of the best constant gamma. In our tests, the first letter
    of a word is hard and the others are easy.
    """
    ### BEGIN SOLUTION
    keep, plan = alpha.tolist(), []
    for start in range(len(keep)):
        reached, tokens, best, length = 1.0, 1.0, 1.0, 0
        for gamma in range(1, len(keep) - start):
            reached *= keep[start + gamma - 1]
            tokens += reached
            if tokens / (1 + cost * gamma) > best:
                best, length = tokens / (1 + cost * gamma), gamma
        plan.append(length)
    return plan
    ### END SOLUTION


@plan_drafts.test("needs at most 92 % of the time that the best constant gamma needs", points=1)
def _(plan_drafts, rng):
    keep, cost = [], 0.25
    while len(keep) < 120:
        for _ in range(3):
            easy = int(torch.randint(3, 10, (1,), generator=rng))
            keep += (0.02 + 0.2 * torch.rand(1, generator=rng, dtype=torch.float64)).tolist()
            keep += (0.92 + 0.07 * torch.rand(easy, generator=rng, dtype=torch.float64)).tolist()
        keep += (0.5 + 0.15 * torch.rand(15, generator=rng, dtype=torch.float64)).tolist()
    keep = keep[:120]

    def time_of(plan):
        left = [0.0] * (len(keep) + 2)
        for start in reversed(range(len(keep))):
            reached, left[start] = 1.0, 1 + cost * plan[start]
            for place in range(start, min(start + plan[start], len(keep))):
                left[start] += reached * (1 - keep[place]) * left[place + 1]
                reached *= keep[place]
            left[start] += reached * left[min(start + plan[start], len(keep)) + 1]
        return left[0]

    plan = [int(gamma) for gamma in plan_drafts(torch.tensor(keep, dtype=torch.float64), cost)]
    assert len(plan) == 120, f"a number for each of the 120 positions is expected, got {len(plan)}"
    assert min(plan) >= 0, f"each number must be 0 or more, got {min(plan)}"
    constant = min(time_of([gamma] * len(keep)) for gamma in range(20))
    share = time_of(plan) / constant
    assert share <= 0.92, f"your plan takes {share:.0%} of the time of the best constant gamma; the goal is 92 %"


@plan_drafts.hidden("needs at most 92 % for other texts, other costs and other lengths", points=2, mutates_args=())
def _(plan_drafts, rng):
    for length, shortest, longest, words, between, cost in (
        (130, 2, 12, 4, 20, 0.25),
        (100, 3, 9, 3, 15, 0.25),
        (100, 2, 8, 1, 0, 0.15),
        (80, 1, 6, 1, 0, 0.2),
    ):
        keep = []
        while len(keep) < length:
            for _ in range(words):
                easy = int(torch.randint(shortest, longest + 1, (1,), generator=rng))
                keep += (0.02 + 0.2 * torch.rand(1, generator=rng, dtype=torch.float64)).tolist()
                keep += (0.92 + 0.07 * torch.rand(easy, generator=rng, dtype=torch.float64)).tolist()
            keep += (0.5 + 0.15 * torch.rand(between, generator=rng, dtype=torch.float64)).tolist()
        keep = keep[:length]

        def time_of(plan, keep=keep, cost=cost):
            left = [0.0] * (len(keep) + 2)
            for start in reversed(range(len(keep))):
                reached, left[start] = 1.0, 1 + cost * plan[start]
                for place in range(start, min(start + plan[start], len(keep))):
                    left[start] += reached * (1 - keep[place]) * left[place + 1]
                    reached *= keep[place]
                left[start] += reached * left[min(start + plan[start], len(keep)) + 1]
            return left[0]

        plan = [int(gamma) for gamma in plan_drafts(torch.tensor(keep, dtype=torch.float64), cost)]
        what = f"with {length} tokens and cost = {cost}"
        assert len(plan) == length, f"{what}, {length} numbers are expected, got {len(plan)}"
        assert min(plan) >= 0, f"{what}, each number must be 0 or more, got {min(plan)}"
        constant = min(time_of([gamma] * len(keep)) for gamma in range(20))
        share = time_of(plan) / constant
        assert share <= 0.92, f"{what}, your plan takes {share:.0%} of the best constant gamma's time; the goal is 92 %"


plan_drafts.mistake(
    "one-too-far",
    "You looked one position too far ahead: the first token of a turn that begins at i is drafted for position i.",
    replace="keep[start + gamma - 1]",
    by="keep[start + gamma]",
)

plan_drafts.mistake(
    "draft-is-free",
    "You counted tokens per turn and left out the passes of the draft, so you always draft to the end of the text.",
    replace="if tokens / (1 + cost * gamma) > best:",
    by="if tokens > 0:",
)


@plan_drafts.misconception(
    "You drafted the same number of tokens everywhere; draft fewer before a hard token, and more where the text is "
    "easy.",
    name="constant",
)
def _(alpha, cost):
    return [best_gamma(float(alpha.mean()), cost, 16)[0]] * len(alpha)


@plan_drafts.misconception(
    "You used `best_gamma` with the probability at one position, as if it stayed the same for the whole turn; look at "
    "the positions that follow.",
    name="as-if-it-stayed",
)
def _(alpha, cost):
    return [best_gamma(float(keep), cost, 16)[0] for keep in alpha]


@plan_drafts.misconception(
    "You drafted on as long as each token by itself is more likely kept than not. A token only counts if all drafted "
    "tokens before it are kept, so multiply the probabilities.",
    name="each-by-itself",
)
def _(alpha, cost):
    plan = []
    for start in range(len(alpha)):
        gamma = 0
        while start + gamma < len(alpha) - 1 and alpha[start + gamma] >= 0.5:
            gamma += 1
        plan.append(gamma)
    return plan


@plan_drafts.also_correct
def _(alpha, cost):
    keep, left, plan = alpha.tolist(), [0.0] * (len(alpha) + 1), [0] * len(alpha)
    for start in reversed(range(len(keep))):
        reached, lost, best = 1.0, 0.0, float("inf")
        for gamma in range(len(keep) - start):
            time = 1 + cost * gamma + lost + reached * left[start + gamma + 1]
            if time < best:
                best, plan[start] = time, gamma
            lost += reached * (1 - keep[start + gamma]) * left[start + gamma + 1]
            reached *= keep[start + gamma]
        left[start] = best
    return plan


@plan_drafts.also_correct
def _(alpha, cost):
    plan = torch.zeros(len(alpha), dtype=torch.long)
    for start in range(len(alpha)):
        reached = alpha[start:-1].cumprod(0)
        plan[start] = int((reached > 2 * cost).sum())
    return plan
