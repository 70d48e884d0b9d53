import torch
from studium import assert_close, exercise

from studium_topics.speculative_decoding.chance import distance, law, outcomes
from studium_topics.speculative_decoding.exercises.residual import residual
from studium_topics.speculative_decoding.readers import TableReader, random_rows


@exercise(
    points=5,
    minutes=15,
    level="core",
    importance=3,
    hints=(
        "What happens to the drafted tokens after the first rejected one, and which row of p and q does its "
        "replacement come from?",
        "Go through the drafted tokens in order. A rejection ends the pass with a replacement; if there is none, the "
        "last row of p gives another token.",
        "Token i is judged by p[i] and q[i], both (V,). Row gamma of p has no matching row in q.",
        "`chance.happens(min(1, float(p[i, token] / q[i, token])))` keeps it, and "
        "`chance.pick(residual(p[i], q[i]))` replaces it.",
    ),
)
def verify(p, q, drafted, chance):
    """Return the tokens that one pass of the target adds to the text.

    * p (gamma + 1, V): row i is the target's distribution after the first i drafted tokens.
    * q (gamma, V): row i is the distribution from which drafted[i] was drawn.
    * drafted: a list of gamma tokens; it stays as it is.
    * chance: `chance.happens(a)` is True with probability a; `chance.pick(weights)` draws one of V tokens.

    Keep each token with probability min(1, p / q), up to the first rejection; replace that token with one drawn from
    the residual. If you keep them all, add one from the target. Return a list of 1 to gamma + 1 tokens.
    """
    ### BEGIN SOLUTION
    tokens = []
    for i, token in enumerate(drafted):
        if not chance.happens(min(1.0, p[i, token] / q[i, token])):
            return [*tokens, chance.pick(residual(p[i], q[i]))]
        tokens.append(token)
    return [*tokens, chance.pick(p[len(drafted)])]
    ### END SOLUTION


verify.equivalent(
    "if not chance.happens(min(2.0, p[i, token] / q[i, token])):", "what has a probability above 1 always happens"
)


@verify.test("gives each list of tokens its probability", points=1)
def _(verify):
    p = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.5, 0.3]], dtype=torch.float64)
    q = torch.tensor([[0.2, 0.2, 0.6], [0.4, 0.3, 0.3]], dtype=torch.float64)
    found = law(lambda chance: verify(p, q, [2, 0], chance))
    expected = {(0,): 1 / 2, (1,): 1 / 6, (2, 1): 1 / 4, (2, 0, 0): 1 / 60, (2, 0, 1): 1 / 24, (2, 0, 2): 1 / 40}
    assert_close(found, expected, rtol=1e-5, atol=1e-6, message="the probability of each result for drafted [2, 0]")


@verify.hidden("leaves the distribution of the text exactly the target's", points=2)
def _(verify, rng):
    for size, gamma, start in ((2, 3, [0, 1]), (3, 2, [1]), (5, 1, [4])):
        target, draft = (TableReader(random_rows(7, size, rng)) for _ in range(2))

        def one_pass(chance, target=target, draft=draft, gamma=gamma, start=start):
            drafted, q = [], []
            for _ in range(gamma):
                q.append(draft.row([*start, *drafted]))
                drafted.append(chance.pick(q[-1]))
            p = torch.stack([target.row([*start, *drafted[:i]]) for i in range(gamma + 1)])
            return verify(p, torch.stack(q), drafted, chance)

        found = {}
        for tokens, probability in law(one_pass).items():
            rest = target.continuations([*start, *tokens], gamma + 1 - len(tokens))
            for tail, weight in rest.items():
                found[*tokens, *tail] = found.get((*tokens, *tail), 0.0) + probability * weight
        off = distance(found, target.continuations(start, gamma + 1))
        assert off < 1e-6, (
            f"with {size} tokens and {gamma} drafted, the next {gamma + 1} tokens must be distributed as the target's: "
            f"the total variation distance must be 0, got {off:.4f}"
        )


@verify.hidden("keeps as many drafted tokens as the rule allows", points=1)
def _(verify, rng):
    for size, gamma in ((4, 2), (3, 1), (2, 3)):
        p, q = random_rows(gamma + 1, size, rng), random_rows(gamma, size, rng)

        def kept(chance, p=p, q=q):
            drafted = [chance.pick(row) for row in q]
            return len(verify(p, q, drafted, chance)) - 1

        found = sum(probability * count for count, probability in outcomes(kept))
        each = torch.minimum(p[:-1], q).sum(-1)
        what = f"the expected number of kept tokens, of {gamma} from {size}"
        assert_close(found, float(each.cumprod(0).sum()), rtol=1e-5, atol=1e-6, message=what)


@verify.hidden("is greedy decoding where the target is certain, and keeps all where both agree", points=1)
def _(verify, rng):
    certain = torch.eye(5, dtype=torch.float64)[[3, 1, 4, 0]]
    q = random_rows(3, 5, rng)
    for drafted, expected in (([3, 1, 2], [3, 1, 4]), ([3, 1, 4], [3, 1, 4, 0]), ([2, 1, 4], [3])):
        given = list(drafted)
        found = law(lambda chance, given=given: verify(certain, q, given, chance))
        assert_close(found, {tuple(expected): 1.0}, message=f"the target wants 3, 1, 4, 0, drafted is {drafted}")
        assert given == drafted, "the argument drafted must stay as it is"
    p = random_rows(4, 5, rng)
    found = law(lambda chance: verify(p, p[:3], [2, 0, 1], chance))
    expected = {(2, 0, 1, token): weight for token, weight in enumerate(p[3].tolist())}
    assert_close(
        found, expected, rtol=1e-5, atol=1e-6, message="with p = q all are kept, and one follows from the target"
    )


@verify.misconception(
    "You replaced the rejected token with one from p. The kept tokens have already supplied a part of p, so draw the "
    "replacement from the residual.",
    name="replaced-from-target",
)
def _(p, q, drafted, chance):
    tokens = []
    for i, token in enumerate(drafted):
        if not chance.happens(min(1.0, float(p[i, token] / q[i, token]))):
            return [*tokens, chance.pick(p[i])]
        tokens.append(token)
    return [*tokens, chance.pick(p[len(drafted)])]


verify.mistake(
    "no-bonus",
    "You added no token when all drafted tokens were kept. The pass has also computed the target's distribution after "
    "the last one, so another token costs nothing.",
    edits=[
        ("p[i, token] / q[i, token]", "float(p[i, token] / q[i, token])"),
        ("[*tokens, chance.pick(p[len(drafted)])]", "tokens"),
    ],
)


@verify.misconception(
    "You went on after a rejection. The later tokens were drafted after the rejected one, so they belong to a text "
    "that no longer exists.",
    name="went-on",
)
def _(p, q, drafted, chance):
    tokens = []
    for i, token in enumerate(drafted):
        if chance.happens(min(1.0, float(p[i, token] / q[i, token]))):
            tokens.append(token)
        else:
            tokens.append(chance.pick(residual(p[i], q[i])))
    return [*tokens, chance.pick(p[len(drafted)])]


verify.mistake(
    "ratio-upside-down",
    "You inverted the ratio: with q / p you always keep the tokens that the draft proposes too often. Use p / q.",
    replace="p[i, token] / q[i, token]",
    by="float(q[i, token] / p[i, token])",
)

verify.mistake(
    "kept-with-p",
    "You kept a token with probability p, without dividing by q. The draft proposes it only with probability q, so "
    "that factor is counted already.",
    replace="min(1.0, p[i, token] / q[i, token])",
    by="float(p[i, token])",
)

verify.mistake(
    "kept-if-likeliest",
    "You kept a token only if it is the target's likeliest. That is the rule for greedy decoding; here the target "
    "samples, so keep it with probability min(1, p / q).",
    replace="not chance.happens(min(1.0, p[i, token] / q[i, token]))",
    by="token != int(p[i].argmax())",
)


@verify.misconception(
    "You took the replacement from the row after the rejected token; take it from the same row that judged the token.",
    name="row-behind",
)
def _(p, q, drafted, chance):
    tokens = []
    for i, token in enumerate(drafted):
        if not chance.happens(min(1.0, float(p[i, token] / q[i, token]))):
            return [*tokens, chance.pick(residual(p[i + 1], q[min(i + 1, len(q) - 1)]))]
        tokens.append(token)
    return [*tokens, chance.pick(p[len(drafted)])]


@verify.misconception(
    "After a rejection you returned only the kept tokens. The replacement belongs to this pass: without it, a pass "
    "may add nothing at all, and the kept tokens come out too often.",
    name="no-replacement",
)
def _(p, q, drafted, chance):
    tokens = []
    for i, token in enumerate(drafted):
        if not chance.happens(min(1.0, float(p[i, token] / q[i, token]))):
            return tokens
        tokens.append(token)
    return [*tokens, chance.pick(p[len(drafted)])]


@verify.also_correct
def _(p, q, drafted, chance):
    places = torch.arange(len(drafted))
    ratios = (p[places, drafted] / q[places, drafted]).clamp(max=1)
    kept = [chance.happens(ratio) for ratio in ratios]
    n = kept.index(False) if False in kept else len(drafted)
    last = p[n] if n == len(drafted) else residual(p[n], q[n])
    return [*drafted[:n], chance.pick(last)]


@verify.also_correct
def _(p, q, drafted, chance):
    n = 0
    while n < len(drafted) and chance.happens(p[n][drafted[n]].item() / q[n][drafted[n]].item()):
        n += 1
    weights = p[n] if n == len(drafted) else (p[n] - q[n]).clamp(min=0)
    return [*drafted[:n], chance.pick(weights.tolist())]
