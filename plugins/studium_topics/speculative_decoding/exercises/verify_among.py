import torch
from studium import assert_close, exercise

from studium_topics.speculative_decoding.chance import distance, law, outcomes
from studium_topics.speculative_decoding.exercises.residual import residual
from studium_topics.speculative_decoding.readers import random_rows


@exercise(
    points=3,
    minutes=10,
    level="stretch",
    importance=1,
    hints=(
        "Once the first candidate has been rejected, which distribution must the rest of the procedure produce?",
        "It must produce the residual, so judge the second candidate as if the residual were the target.",
        "The distribution still to be produced is always (V,) and changes with each rejection; q does not.",
        "`p = residual(p, q)` after each rejection, and `chance.pick(p)` if no candidate is left.",
    ),
)
def verify_among(p, q, candidates, chance):
    """Return one token distributed exactly as p, a candidate if possible.

    * p, q (V,): the distributions of target and draft at one position; they stay as they are.
    * candidates: a list of one or more tokens, drawn from q independently of each other; it stays as it is.
    * chance: as in `verify`.

    Judge the candidates in turn and return the first that you keep. Keep each one with probability min(1, r / q), where
    r is the distribution still to be produced; for the first, this is p. If you keep none, draw the token.
    """
    ### BEGIN SOLUTION
    for token in candidates:
        if chance.happens(min(1.0, p[token] / q[token])):
            return token
        p = residual(p, q)
    return chance.pick(p)
    ### END SOLUTION


verify_among.equivalent(
    "if chance.happens(min(2.0, p[token] / q[token])):", "what has a probability above 1 always happens"
)


@verify_among.test("judges the second candidate by what is still missing", points=1)
def _(verify_among):
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    q = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
    found = law(lambda chance: [verify_among(p, q, [2, 2], chance)])
    expected = {(0,): 11 / 18, (1,): 1 / 18, (2,): 1 / 3}
    assert_close(found, expected, rtol=1e-5, atol=1e-6, message="the probability of each token for candidates 2 and 2")


@verify_among.hidden("gives the target's distribution, with any number of candidates", points=1)
def _(verify_among, rng):
    for size, count in ((3, 3), (4, 2), (6, 1), (2, 4)):
        p, q = random_rows(2, size, rng)

        def drawn(chance, p=p, q=q, count=count):
            return [verify_among(p, q, [chance.pick(q) for _ in range(count)], chance)]

        expected = {(token,): weight for token, weight in enumerate(p.tolist())}
        off = distance(law(drawn), expected)
        assert off < 1e-6, f"with {count} candidates of {size} tokens the distance from p must be 0, got {off:.4f}"


@verify_among.hidden("keeps a candidate as often as the rule allows", points=1)
def _(verify_among, rng):
    for size, count in ((3, 2), (5, 2), (2, 3)):
        p, q = random_rows(2, size, rng)
        before = p.clone()

        def missed(chance, p=p, q=q, count=count):
            drawn = [chance.pick(q) for _ in range(count)]
            given = list(drawn)
            token = verify_among(p, q, given, chance)
            assert given == drawn, f"the candidates must stay as they are: they were {drawn} and are {given}"
            return float(token not in drawn)

        found = sum(miss * probability for miss, probability in outcomes(missed))
        assert torch.equal(p, before), "the argument p must stay as it is"

        def by_the_rule(chance, p=p, q=q, count=count):
            wanted, drawn = p, [chance.pick(q) for _ in range(count)]
            for token in drawn:
                if chance.happens(float(wanted[token] / q[token])):
                    return 0.0
                rest = torch.relu(wanted - q)
                wanted = rest / rest.sum()
            return float(chance.pick(wanted) not in drawn)

        expected = sum(miss * probability for miss, probability in outcomes(by_the_rule))
        what = f"the probability that the token is none of {count} candidates, of {size} tokens"
        assert_close(found, expected, rtol=1e-5, atol=1e-6, message=what)


@verify_among.misconception(
    "You judged every candidate by p. After a rejection, a part of p has already had its chance, so judge the next "
    "candidate by the residual.",
    name="same-target-for-all",
)
def _(p, q, candidates, chance):
    for token in candidates:
        if chance.happens(min(1.0, float(p[token] / q[token]))):
            return token
    return chance.pick(residual(p, q))


@verify_among.misconception(
    "When no candidate was left, you drew from p itself; by then, only the last residual is still to be produced, so "
    "draw from that.",
    name="drawn-from-target",
)
def _(p, q, candidates, chance):
    wanted = p
    for token in candidates:
        if chance.happens(min(1.0, float(wanted[token] / q[token]))):
            return token
        wanted = residual(wanted, q)
    return chance.pick(p)


@verify_among.misconception(
    "You judged only the first candidate; the others are drawn from q as well and may be kept.",
    name="first-alone",
)
def _(p, q, candidates, chance):
    if chance.happens(min(1.0, float(p[candidates[0]] / q[candidates[0]]))):
        return candidates[0]
    return chance.pick(residual(p, q))


@verify_among.misconception(
    "You took the rejected token out of q. The candidates were drawn independently, so each of them still comes from "
    "the whole of q.",
    name="without-replacement",
)
def _(p, q, candidates, chance):
    for token in candidates:
        if chance.happens(min(1.0, float(p[token] / q[token])) if q[token] > 0 else 0.0):
            return token
        p, q = residual(p, q), q.clone()
        q[token] = 0
        q = q / q.sum()
    return chance.pick(p)


@verify_among.also_correct
def _(p, q, candidates, chance):
    if not candidates:
        return chance.pick(p)
    first, *others = candidates
    if chance.happens(float((p[first] / q[first]).clamp(max=1))):
        return first
    rest = (p - q).relu()
    p = rest / rest.sum()
    while others:
        first = others.pop(0)
        if chance.happens(float((p[first] / q[first]).clamp(max=1))):
            return first
        rest = (p - q).relu()
        p = rest / rest.sum()
    return chance.pick(p)


@verify_among.also_correct
def _(p, q, candidates, chance):
    wanted = p.clone()
    for token in candidates:
        if chance.happens(min(1.0, wanted[token].item() / q[token].item())):
            return token
        wanted = torch.relu(wanted - q)
        wanted /= wanted.sum()
    return chance.pick(wanted.tolist())
