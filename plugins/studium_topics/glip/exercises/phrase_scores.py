import math

import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=6,
    level="warm-up",
    importance=3,
    hints=(
        'A region is surely red and surely not a ring. How well does it fit "red ring", and what would the sigmoid of '
        "the mean logit give?",
        "Turn logits into probabilities first, and then average over the tokens of each phrase.",
        "(c, M) times (M, N) is (c, N), a sum for each phrase and region. Each phrase has its own number of tokens.",
        "`positive.to(logits.dtype) @ logits.sigmoid().mT` adds up; `positive.sum(1, keepdim=True)` counts.",
    ),
    mutates_args=(),
)
def phrase_scores(logits, positive):
    """Return how well each region of an image fits each phrase: the mean probability of its tokens.

    A token's probability is the sigmoid of its logit. It may be 0, for a logit of −∞.

    * logits (N, M): regions and tokens of one caption
    * positive (c, M): bool, which tokens belong to which phrase; each phrase has at least one
    * returns: (c, N), from 0 to 1
    """
    ### BEGIN SOLUTION
    inside = positive.to(logits.dtype)
    return inside @ logits.sigmoid().mT / inside.sum(1, keepdim=True)
    ### END SOLUTION


@phrase_scores.test('gives a region that is red and no ring one half of "red ring"', points=1)
def _(phrase_scores):
    logits = torch.tensor([[8.0, -8.0, -20.0], [8.0, 8.0, 0.0]])
    positive = torch.tensor([[True, True, False], [False, False, True], [True, False, False]])
    half, one = 0.5, 1 / (1 + math.exp(-8))
    expected = torch.tensor([[half, one], [0.0, half], [one, one]])
    assert_close(phrase_scores(logits, positive), expected, rtol=1e-4, atol=1e-6)


@phrase_scores.hidden("averages the tokens of each phrase, however many it has", points=2)
def _(phrase_scores, rng):
    for count, tokens, phrases in ((4, 7, 3), (6, 5, 2), (3, 9, 5)):
        logits = 3 * torch.randn(count, tokens, generator=rng, dtype=torch.float64)
        logits[:, -1] = -math.inf
        positive = torch.rand(phrases, tokens, generator=rng) < 0.4
        positive[:, 1] = True
        kept = logits.clone(), positive.clone()
        expected = torch.zeros(phrases, count, dtype=torch.float64)
        for phrase in range(phrases):
            own = positive[phrase].nonzero()[:, 0].tolist()
            for region in range(count):
                odds = [math.exp(float(logits[region, token])) for token in own]
                expected[phrase, region] = sum(odd / (1 + odd) for odd in odds) / len(own)
        what = f"for N={count}, M={tokens} and c={phrases}"
        assert_close(phrase_scores(logits, positive), expected, rtol=1e-6, atol=1e-6, message=what)
        assert torch.equal(logits, kept[0]), "logits must stay as they are"
        assert torch.equal(positive, kept[1]), "positive must stay as it is"


@phrase_scores.misconception(
    "You averaged the logits and took the sigmoid of the mean. One word that is surely absent then wipes out a word "
    "that is surely there, or the reverse; average probabilities.",
    name="sigmoid-of-the-mean",
)
def _(logits, positive):
    means = [logits[:, own].mean(1) for own in positive]
    return torch.stack(means).sigmoid()


@phrase_scores.misconception(
    'You took the best token, so a red disc is as good a "red ring" as a red ring; average over the tokens, because '
    "every word has to count.",
    name="best-token",
)
def _(logits, positive):
    return torch.stack([logits[:, own].amax(1) for own in positive]).sigmoid()


@phrase_scores.misconception(
    "You divided by the number of all tokens of the caption, so the same phrase scores lower in a longer caption; "
    "divide by the number of tokens in the phrase.",
    name="divided-by-all-tokens",
)
def _(logits, positive):
    return positive.to(logits.dtype) @ logits.sigmoid().mT / logits.shape[1]


@phrase_scores.misconception(
    "You added the probabilities up, so a phrase of two words can reach 2; take the mean.",
    name="summed-probabilities",
)
def _(logits, positive):
    return positive.to(logits.dtype) @ logits.sigmoid().mT


@phrase_scores.misconception(
    "You averaged the logits as they are; apply a sigmoid first, because a score is a mean of probabilities, from 0 to "
    "1.",
    name="no-sigmoid",
)
def _(logits, positive):
    return torch.stack([logits[:, own].mean(1) for own in positive])


@phrase_scores.misconception(
    "You multiplied the probabilities; average them, because a product makes the scores of long phrases small just "
    "because they are long.",
    name="multiplied-probabilities",
)
def _(logits, positive):
    return torch.stack([logits[:, own].sigmoid().prod(1) for own in positive])


@phrase_scores.also_correct
def _(logits, positive):
    return torch.stack([torch.sigmoid(logits[:, own]).mean(dim=1) for own in positive])


@phrase_scores.also_correct
def _(logits, positive):
    shares = positive / positive.sum(-1, keepdim=True)
    return torch.einsum("cm,nm->cn", shares.to(logits.dtype), 1 / (1 + torch.exp(-logits)))
