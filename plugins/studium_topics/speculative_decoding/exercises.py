"""Exercises: keep or replace a drafted token, draft and check with two caches, and what a pass yields and costs."""

import torch
from studium import assert_close, exercise

from studium_topics.speculative_decoding.chance import Dice, distance, law, outcomes
from studium_topics.speculative_decoding.readers import TableReader, random_rows

# -------------------------------------------------------------------------------------------------- acceptance


@exercise(
    points=2,
    minutes=6,
    level="warm-up",
    importance=3,
    kind="derive",
    hints=(
        "With what probability is the token x drafted and then kept?",
        "Sum over x the product of two probabilities: that x is drafted, and that x is then kept. The product is "
        "simpler than its factors.",
        "p and q are (..., V); the sum over the last axis leaves (...).",
        "`torch.minimum(p, q)` holds the probability that x is drafted and kept.",
    ),
)
def acceptance(p, q):
    """Return the probability that a drafted token is kept.

    The token x is drawn from the draft's distribution q. It is kept with probability 1 if p(x) >= q(x), else with
    probability p(x) / q(x), where p is the target's distribution.

    * p, q (..., V): each last axis sums to 1; some entries may be 0.

    Return (...), one probability for each pair of distributions.
    """
    ### BEGIN SOLUTION
    return torch.minimum(p, q).sum(-1)
    ### END SOLUTION


@acceptance.test("weighs each token by how often it is drafted", points=1)
def _(acceptance):
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    found = acceptance(p, q)
    assert_close(found, torch.tensor(0.6), message="for p = (.5, .3, .2) and q = (.2, .2, .6)")


@acceptance.hidden("agrees with the sum over all tokens, also where some are impossible", points=1)
def _(acceptance, rng):
    for shape in ((3, 5), (2, 4, 7), (6,)):
        p, q = (torch.randn(*shape, generator=rng, dtype=torch.float64).mul(2).softmax(-1) for _ in range(2))
        p[..., 1], q[..., 3] = 0, 0
        p[..., 4] = q[..., 4] = 0
        p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
        size = shape[-1]
        expected = torch.tensor(
            [
                sum(b * min(1.0, a / b) for a, b in zip(one, other, strict=True) if b > 0)
                for one, other in zip(p.view(-1, size).tolist(), q.view(-1, size).tolist(), strict=True)
            ],
            dtype=torch.float64,
        ).view(shape[:-1])
        assert_close(acceptance(p, q), expected, rtol=1e-5, atol=1e-6, message=f"for distributions of shape {shape}")
    assert_close(acceptance(p, p), torch.tensor(1.0, dtype=torch.float64), message="for p = q")


@acceptance.misconception(
    "You averaged the probability of being kept over all tokens alike; tokens are drafted with probability q, so weigh "
    "each by it.",
    name="tokens-alike",
)
def _(p, q):
    return torch.where(q > 0, (p / q).clamp(max=1), torch.ones_like(q)).mean(-1)


@acceptance.misconception(
    "You computed the probability that two independent draws, one from p and one from q, are the same token. Here one "
    "token is drawn, and p only decides whether it is kept.",
    name="two-draws-agree",
)
def _(p, q):
    return (p * q).sum(-1)


@acceptance.misconception(
    "You computed the total variation distance, half the sum of |p - q|. That is the probability of a rejection.",
    name="rejection-instead",
)
def _(p, q):
    return (p - q).abs().sum(-1) / 2


@acceptance.misconception(
    "You weighed the tokens by p; they are drawn by the draft, with the probabilities q.",
    name="weighed-by-target",
)
def _(p, q):
    return (p * torch.where(q > 0, (p / q).clamp(max=1), torch.ones_like(q))).sum(-1)


@acceptance.misconception(
    "You divided p by q at tokens that the draft never draws: there 0 / 0 is nan, and the sum with it.",
    name="divided-by-zero",
)
def _(p, q):
    return (q * (p / q).clamp(max=1)).sum(-1)


@acceptance.also_correct
def _(p, q):
    return 1 - (p - q).abs().sum(-1) / 2


@acceptance.also_correct
def _(p, q):
    kept = torch.where(q > 0, p / torch.where(q > 0, q, 1), 0).clamp(max=1)
    return torch.einsum("...v,...v->...", q, kept)


# ---------------------------------------------------------------------------------------------------- residual


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    kind="derive",
    hints=(
        "Token x comes out if it is drafted and kept, or as the replacement of a rejected token. How much of p(x) does "
        "the first way bring already?",
        "The first way brings the smaller of p(x) and q(x). The replacement has to bring the rest of p(x), for every x "
        "at once.",
        "The rest is (..., V) and sums to the probability of a rejection over the last axis; a distribution sums to 1.",
        "`(p - q).clamp(min=0)` is the rest; divide by its `sum(-1, keepdim=True)` where that is not 0.",
    ),
)
def residual(p, q):
    """Return the distribution from which a rejected token is replaced.

    A token x is drafted from q and kept with probability min(1, p(x) / q(x)); otherwise a token drawn from your
    distribution takes its place. The token that comes out must have the distribution p, exactly.

    * p, q (..., V): distributions over the last axis; they stay as they are.

    Return (..., V). Where p equals q nothing is ever rejected; return any distribution there, without nan.
    """
    ### BEGIN SOLUTION
    rest = (p - q).clamp(min=0)
    total = rest.sum(-1, keepdim=True)  # the probability of a rejection
    return torch.where(total > 0, rest / total, p)
    ### END SOLUTION


@residual.test("brings what the draft has too little of", points=1)
def _(residual):
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    found = residual(p, q)
    assert_close(found, torch.tensor([0.75, 0.25, 0.0]), message="for p = (.5, .3, .2) and q = (.2, .2, .6)")


@residual.hidden("makes what comes out the target's, in every row", points=2)
def _(residual, rng):
    for shape in ((4, 3), (2, 3, 6), (5,)):
        p, q = (torch.randn(*shape, generator=rng, dtype=torch.float64).mul(2).softmax(-1) for _ in range(2))
        before = p.clone(), q.clone()
        found = torch.as_tensor(residual(p, q))
        assert torch.equal(p, before[0]), "the argument p must stay as it is"
        assert torch.equal(q, before[1]), "the argument q must stay as it is"
        assert tuple(found.shape) == shape, f"for distributions {shape} a tensor of that shape is needed"
        kept = torch.minimum(p, q)
        out = kept + (1 - kept.sum(-1, keepdim=True)) * found
        assert_close(out, p, rtol=1e-5, atol=1e-6, message=f"the distribution of what comes out, shape {shape}")
        assert_close(found.sum(-1), torch.ones(shape[:-1], dtype=found.dtype), message="each distribution sums to 1")


@residual.hidden("stays a distribution where nothing is rejected", points=1)
def _(residual, rng):
    p = torch.randn(3, 5, generator=rng, dtype=torch.float64).softmax(-1)
    q = p.clone()
    q[1] = p[1].flip(0)
    found = torch.as_tensor(residual(p, q))
    assert found.isfinite().all(), "rows in which p equals q must be finite, not nan"
    assert (found >= 0).all(), "no probability may be negative"
    assert_close(found.sum(-1), torch.ones(3, dtype=found.dtype), message="each row sums to 1, also where p equals q")


@residual.misconception(
    "You replaced a rejected token by one from p. Tokens that the draft proposes too rarely then come out too rarely, "
    "because the accepted tokens have already brought a part of p.",
    name="from-target",
)
def _(p, q):
    return p.clone()


@residual.misconception(
    "You took |p - q|. Tokens that the draft proposes too often need no further probability: only where p exceeds q is "
    "something missing.",
    name="absolute-difference",
)
def _(p, q):
    gap = (p - q).abs()
    total = gap.sum(-1, keepdim=True)
    return torch.where(total > 0, gap / total, p)


@residual.misconception(
    "You did not divide by the sum, so that the entries add up to the probability of a rejection and not to 1.",
    name="not-normalised",
)
def _(p, q):
    return (p - q).clamp(min=0)


@residual.misconception(
    "You took q - p, which is what the draft has too much of; the replacement brings what it has too little of.",
    name="wrong-sign",
)
def _(p, q):
    rest = (q - p).clamp(min=0)
    total = rest.sum(-1, keepdim=True)
    return torch.where(total > 0, rest / total, p)


@residual.misconception(
    "Where p equals q you divided 0 by 0, which is nan. It is never needed there, but nan breaks whatever reads it.",
    name="nan-where-equal",
)
def _(p, q):
    rest = (p - q).clamp(min=0)
    return rest / rest.sum(-1, keepdim=True)


@residual.misconception(
    "You divided by the sum over all rows; each row is a distribution of its own, so sum over the last axis alone.",
    name="normalised-over-all",
)
def _(p, q):
    rest = (p - q).clamp(min=0)
    total = rest.sum()
    return rest / total if total > 0 else p.clone()


@residual.also_correct
def _(p, q):
    rest = torch.relu(p - q)
    total = rest.sum(dim=-1, keepdim=True)
    uniform = torch.full_like(p, 1 / p.shape[-1])
    return torch.where(total == 0, uniform, rest / total.clamp(min=1e-30))


@residual.also_correct
def _(p, q):
    rest = p - torch.minimum(p, q)
    rejected = 1 - torch.minimum(p, q).sum(-1, keepdim=True)
    return torch.where((p == q).all(-1, keepdim=True), p, rest / rejected)


# ------------------------------------------------------------------------------------------------------ verify


@exercise(
    points=5,
    minutes=15,
    level="core",
    importance=3,
    hints=(
        "What happens to the drafted tokens after the first rejected one, and from which row of p and q does its "
        "replacement come?",
        "Go through the drafted tokens in order. A rejection ends the pass with a replacement; if there is none, the "
        "last row of p gives one token more.",
        "Token i is judged by p[i] and q[i], both (V,). Row gamma of p has no row of q beside it.",
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

    Keep tokens with probability min(1, p / q) up to the first rejection, which is replaced from the residual. If all
    are kept, add one from the target. Return a list of 1 to gamma + 1 tokens.
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
    "You replaced the rejected token by one from p. What was kept has already brought a part of p, so the replacement "
    "comes from the residual.",
    name="replaced-from-target",
)
def _(p, q, drafted, chance):
    tokens = []
    for i, token in enumerate(drafted):
        if not chance.happens(min(1.0, float(p[i, token] / q[i, token]))):
            return [*tokens, chance.pick(p[i])]
        tokens.append(token)
    return [*tokens, chance.pick(p[len(drafted)])]


@verify.misconception(
    "You added no token when all were kept. The pass has computed the target's distribution after the last one, too, "
    "so a further token costs nothing.",
    name="no-bonus",
)
def _(p, q, drafted, chance):
    tokens = []
    for i, token in enumerate(drafted):
        if not chance.happens(min(1.0, float(p[i, token] / q[i, token]))):
            return [*tokens, chance.pick(residual(p[i], q[i]))]
        tokens.append(token)
    return tokens


@verify.misconception(
    "You went on after a rejection. The later tokens were drafted after the rejected one, so they belong to a text "
    "that does not exist any more.",
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


@verify.misconception(
    "You inverted the ratio: q / p always keeps the tokens that the draft proposes too often.",
    name="ratio-upside-down",
)
def _(p, q, drafted, chance):
    tokens = []
    for i, token in enumerate(drafted):
        if not chance.happens(min(1.0, float(q[i, token] / p[i, token]))):
            return [*tokens, chance.pick(residual(p[i], q[i]))]
        tokens.append(token)
    return [*tokens, chance.pick(p[len(drafted)])]


@verify.misconception(
    "You kept a token with probability p, without dividing by q. Its being drafted at all already costs a factor q.",
    name="kept-with-p",
)
def _(p, q, drafted, chance):
    tokens = []
    for i, token in enumerate(drafted):
        if not chance.happens(float(p[i, token])):
            return [*tokens, chance.pick(residual(p[i], q[i]))]
        tokens.append(token)
    return [*tokens, chance.pick(p[len(drafted)])]


@verify.misconception(
    "You kept a token only if it is the target's likeliest. That is the rule for greedy decoding; here the target "
    "samples.",
    name="kept-if-likeliest",
)
def _(p, q, drafted, chance):
    tokens = []
    for i, token in enumerate(drafted):
        if token != int(p[i].argmax()):
            return [*tokens, chance.pick(residual(p[i], q[i]))]
        tokens.append(token)
    return [*tokens, chance.pick(p[len(drafted)])]


@verify.misconception(
    "You took the replacement from the row after the rejected token; its own row, the one by which it was judged, "
    "says what belongs in its place.",
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
    "You returned only what was kept after a rejection. The replacement belongs to this pass: without it, a pass may "
    "add nothing at all, and the kept tokens come out too often.",
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


# ----------------------------------------------------------------------------------------------------- propose


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=2,
    kind="find the bug",
    hints=(
        "From which distribution does each token come, and which does `q` say? And which tokens of `text` does the "
        "draft miss after a pass in which everything was kept?",
        "A token must be drawn from the very row that is returned. The first pass must read all that the draft has not "
        "read, which may be more than the last token.",
        "`draft.read` returns (t, V), one row for each token that it reads; only its last row, (V,), is needed.",
        "`draft.read(text[draft.length :])` in the first pass, `chance.pick(row)` for each token.",
    ),
)
def propose(draft, text, gamma, chance):
    """Return gamma tokens that the draft proposes as the continuation of text, and their distributions.

    * draft: has read the first `draft.length` tokens of text, not all of them. `draft.read(tokens)` reads t more and
      returns (t, V): the distribution after each.
    * text: a list of tokens; it stays as it is.

    Return a list of gamma >= 1 tokens, and q (gamma, V), where token i was drawn from row i. Read each token once, in
    gamma passes. This version has two bugs: one changes the distribution of the text, the other costs acceptances.

    ```python
    drafted, rows, last = [], [], text[-1]
    for _ in range(gamma):
        row = draft.read([last])[-1]
        last = int(row.argmax())
        drafted.append(last)
        rows.append(row)
    return drafted, torch.stack(rows)
    ```
    """
    ### BEGIN SOLUTION
    drafted, rows, unread = [], [], text[draft.length :]
    for _ in range(gamma):
        row = draft.read(unread)[-1]
        drafted.append(chance.pick(row))
        rows.append(row)
        unread = drafted[-1:]
    return drafted, torch.stack(rows)
    ### END SOLUTION


@propose.test("draws each token from the row that it returns", points=1)
def _(propose, rng):
    rows, text = random_rows(7, 3, rng), [2, 0, 1]
    draft = TableReader(rows, text[:2])
    drafted, q = propose(draft, text, 2, Dice(1))
    assert_close(q[0], draft.row(text), message="the first row of q: the draft's distribution after the text")
    assert_close(q[1], draft.row([*text, drafted[0]]), message="the second row of q, after the first drafted token")
    found = law(lambda chance: propose(TableReader(rows, text[:2]), [*text], 2, chance)[0])
    expected = draft.continuations(text, 2)
    assert_close(found, expected, rtol=1e-5, atol=1e-6, message="the probability of each pair of drafted tokens")


@propose.hidden("reads what it missed, and every token once", points=2)
def _(propose, rng):
    for size, text, known, gamma in ((4, [1, 3, 0, 2], 2, 3), (3, [2, 1], 0, 2), (5, [4, 0, 1], 2, 1)):
        draft = TableReader(random_rows(11, size, rng), text[:known])
        given = list(text)
        drafted, q = propose(draft, given, gamma, Dice(3))
        what = f"after {len(text)} tokens, of which the draft has read {known}, for gamma = {gamma}"
        assert given == text, "the argument text must stay as it is"
        assert len(drafted) == gamma, f"{gamma} tokens are needed {what}, got {len(drafted)}"
        assert_close(draft.held, [*text, *drafted[:-1]], message=f"the tokens that the draft has read {what}")
        expected_reads = [len(text) - known, *[1] * (gamma - 1)]
        assert_close(draft.reads, expected_reads, message=f"the number of tokens in each pass {what}")
        expected = torch.stack([draft.row([*text, *drafted[:i]]) for i in range(gamma)])
        assert_close(torch.as_tensor(q), expected, message=f"the rows of q {what}")


@propose.hidden("draws, and does not take the likeliest", points=1)
def _(propose, rng):
    rows, text = random_rows(7, 4, rng), [3, 1, 1, 0]
    found = law(lambda chance: propose(TableReader(rows, text[:1]), [*text], 3, chance)[0])
    expected = TableReader(rows).continuations(text, 3)
    assert_close(found, expected, rtol=1e-5, atol=1e-6, message="the probability of each three drafted tokens")


@propose.misconception(
    "You still read the last token of the text alone. After a pass in which everything was kept the draft has missed "
    "two, and reads on after a hole.",
    name="last-token-alone",
)
def _(draft, text, gamma, chance):
    drafted, rows, last = [], [], text[-1]
    for _ in range(gamma):
        row = draft.read([last])[-1]
        last = chance.pick(row)
        drafted.append(last)
        rows.append(row)
    return drafted, torch.stack(rows)


@propose.misconception(
    "You still take the likeliest token. Then it was not drawn from q, and min(1, p / q) keeps the wrong share of it.",
    name="likeliest-token",
)
def _(draft, text, gamma, chance):
    drafted, rows, unread = [], [], text[draft.length :]
    for _ in range(gamma):
        row = draft.read(unread)[-1]
        drafted.append(int(row.argmax()))
        rows.append(row)
        unread = drafted[-1:]
    return drafted, torch.stack(rows)


@propose.misconception(
    "You changed nothing that matters: tokens are still the likeliest ones, and the text's last token is still read "
    "alone.",
    name="both-bugs",
)
def _(draft, text, gamma, chance):
    drafted, rows, last = [], [], text[-1]
    for _ in range(gamma):
        row = draft.read([last])[-1]
        last = int(row.argmax())
        drafted.append(last)
        rows.append(row)
    return drafted, torch.stack(rows)


@propose.misconception(
    "You gave the draft the whole text, although its cache holds the beginning already; it reads those tokens twice.",
    name="whole-text-again",
)
def _(draft, text, gamma, chance):
    drafted, rows, unread = [], [], text
    for _ in range(gamma):
        row = draft.read(unread)[-1]
        drafted.append(chance.pick(row))
        rows.append(row)
        unread = drafted[-1:]
    return drafted, torch.stack(rows)


@propose.misconception(
    "You drew all tokens from the row after the text; each drafted token has to be read before the next is drawn.",
    name="one-row-for-all",
)
def _(draft, text, gamma, chance):
    row = draft.read(text[draft.length :])[-1]
    return [chance.pick(row) for _ in range(gamma)], torch.stack([row] * gamma)


@propose.misconception(
    "You read the last proposed token, too. Nothing is drawn after it, so this pass of the draft is wasted.",
    name="one-pass-too-many",
)
def _(draft, text, gamma, chance):
    drafted, rows, unread = [], [], text[draft.length :]
    for _ in range(gamma):
        row = draft.read(unread)[-1]
        drafted.append(chance.pick(row))
        rows.append(row)
        unread = drafted[-1:]
    draft.read(unread)
    return drafted, torch.stack(rows)


@propose.also_correct
def _(draft, text, gamma, chance):
    whole, rows = list(text), []
    while len(rows) < gamma:
        rows.append(draft.read(whole[draft.length :])[-1])
        whole.append(chance.pick(rows[-1].tolist()))
    return whole[len(text) :], torch.stack(rows)


@propose.also_correct
def _(draft, text, gamma, chance):
    q = draft.read(text[draft.length :])[-1:]
    drafted = [chance.pick(q[0])]
    for _ in range(gamma - 1):
        q = torch.cat([q, draft.read([drafted[-1]])])
        drafted.append(chance.pick(q[-1]))
    return drafted, q


# --------------------------------------------------------------------------------------------------- speculate


@exercise(
    points=7,
    minutes=25,
    level="integrative",
    importance=3,
    hints=(
        "After a pass, which tokens in the target's cache are part of the text, and which token of the text is in "
        "neither cache?",
        "Each turn: propose, one pass of the target over what it has not read and the drafted tokens, verify, append "
        "up to `stop` and up to `new`, roll both caches back.",
        "With the prompt, the pass of the target returns more than gamma + 1 rows; verify needs the last gamma + 1. "
        "Cropping is safe: it never lengthens a cache.",
        "`target.read((text + drafted)[target.length :])[-gamma - 1 :]`, then `crop(len(text) - 1)` for both.",
    ),
)
def speculate(target, draft, prompt, new, gamma, stop, chance):
    """Return a continuation of prompt, and how many drafted tokens each pass of the target kept.

    * target, draft: their caches are empty. `read`, `length` as in `propose`; `crop(n)` forgets all but the first n
      tokens.
    * prompt: a list of tokens; it stays as it is.

    Return `new` tokens, or fewer if one is `stop`, which is then the last; and for each pass how many of gamma drafted
    tokens verify kept, used or not. The target reads each token of the text once, in one pass a turn. After a turn both
    caches hold all that they have read of the text, except its last token, and nothing else.
    """
    ### BEGIN SOLUTION
    text, kept, end = list(prompt), [], len(prompt) + new
    while len(text) < end:
        drafted, q = propose(draft, text, gamma, chance)
        p = target.read((text + drafted)[target.length :])[-gamma - 1 :]
        tokens = verify(p, q, drafted, chance)
        kept.append(len(tokens) - 1)
        for token in tokens[: end - len(text)]:
            text.append(token)
            if token == stop:
                end = len(text)
                break
        target.crop(len(text) - 1)
        draft.crop(len(text) - 1)
    return text[len(prompt) :], kept
    ### END SOLUTION


@speculate.test("writes what the target would, in fewer passes", points=2)
def _(speculate):
    cycle = torch.eye(4, dtype=torch.float64)[[1, 2, 3, 0, 2, 1, 3]]  # a target that is certain
    target, draft = TableReader(cycle), TableReader(cycle)
    found, kept = speculate(target, draft, [0, 2], 8, 3, -1, Dice(0))
    text = [0, 2]
    for _ in range(8):
        text.append(int(target.row(text).argmax()))
    assert_close(found, text[2:], message="8 tokens, with a draft that is certain of the same tokens")
    assert_close(kept, [3, 3], message="two passes, in which all three drafted tokens are kept")
    assert_close(target.reads, [5, 4], message="what the target reads: the prompt and 3 tokens, then the bonus and 3")
    assert_close(
        draft.reads, [2, 1, 1, 2, 1, 1], message="what the draft reads: the prompt first, and later what it missed"
    )


@speculate.hidden("leaves the distribution of the whole text exactly the target's", points=2)
def _(speculate, rng):
    for size, prompt, new, gamma, stop in ((2, [1, 0], 2, 2, -1), (2, [0], 3, 2, 1), (3, [2, 0], 2, 1, 2)):
        theirs, ours = random_rows(7, size, rng), random_rows(7, size, rng)

        def write(chance, theirs=theirs, ours=ours, prompt=prompt, new=new, gamma=gamma, stop=stop):
            return speculate(TableReader(theirs), TableReader(ours), [*prompt], new, gamma, stop, chance)[0]

        off = distance(law(write), TableReader(theirs).continuations(prompt, new, stop))
        assert off < 1e-6, (
            f"{new} new tokens after {prompt}, {gamma} drafted in each pass, must be distributed as the target's: the "
            f"total variation distance must be 0, got {off:.4f}"
        )


@speculate.hidden("rolls both caches back, and reads nothing twice", points=2)
def _(speculate, rng):
    for size, prompt, new, gamma, seed in ((3, [1, 2, 0], 12, 3, 5), (4, [3], 9, 2, 8), (2, [0, 1], 15, 4, 2)):
        target = TableReader(random_rows(11, size, rng))
        draft = TableReader(0.5 * target.rows + 0.5 * random_rows(11, size, rng))
        given = list(prompt)
        found, kept = speculate(target, draft, given, new, gamma, -1, Dice(seed))
        what = f"{new} tokens after {len(prompt)}, gamma = {gamma}"
        text = [*prompt, *found]
        assert given == prompt, "the argument prompt must stay as it is"
        assert len(found) == new, f"{new} new tokens are needed, got {len(found)}"
        assert_close(
            target.reads, [len(prompt) + gamma, *[1 + gamma] * (len(kept) - 1)], message=f"target reads, {what}"
        )
        missed = [len(prompt), *(2 if count == gamma else 1 for count in kept[:-1])]
        expected = [count for first in missed for count in (first, *[1] * (gamma - 1))]
        assert_close(draft.reads, expected, message=f"what the draft reads, {what}")
        assert_close(target.held, text[:-1], message=f"the target's cache at the end, {what}")
        assert_close(draft.held, text[: len(draft.held)], message=f"the draft's cache at the end, {what}")
        assert len(draft.held) < len(text), "the last token of the text must not be in the draft's cache"
        added = [count + 1 for count in kept]
        assert sum(added[:-1]) < new <= sum(added), f"the passes added {added}, which does not make {what}"


@speculate.hidden("ends with the stop token, also inside a pass", points=1)
def _(speculate):
    cycle = torch.eye(5, dtype=torch.float64)[[1, 2, 3, 0, 2, 1, 4]]
    plain, text = TableReader(cycle), [3, 0]
    for _ in range(12):
        text.append(int(plain.row(text).argmax()))
    for stop in sorted(set(text[2:]), reverse=True):
        expected = text[2 : text.index(stop, 2) + 1]
        target, draft = TableReader(cycle), TableReader(cycle)
        found, kept = speculate(target, draft, [3, 0], 12, 3, stop, Dice(1))
        assert_close(found, expected, message=f"the text of the target is {text[2:]}, and {stop} ends it")
        passes = -(-len(expected) // 4)
        assert len(kept) == passes, f"no pass is needed after the stop token, got {len(kept)} passes"
        assert_close(kept, [3] * passes, message=f"what verify kept in each pass, also after the stop token {stop}")
        assert_close(target.held, [3, 0, *expected[:-1]], message=f"the target's cache when {stop} ended the text")


@speculate.misconception(
    "You did not roll the target's cache back. Rejected tokens stay in it, and all later tokens are judged after a "
    "text that was never written.",
    name="target-not-cropped",
)
def _(target, draft, prompt, new, gamma, stop, chance):
    text, kept, end = list(prompt), [], len(prompt) + new
    while len(text) < end:
        drafted, q = propose(draft, text, gamma, chance)
        p = target.read((text + drafted)[target.length :])[-gamma - 1 :]
        tokens = verify(p, q, drafted, chance)
        kept.append(len(tokens) - 1)
        for token in tokens[: end - len(text)]:
            text.append(token)
            if token == stop:
                end = len(text)
                break
        draft.crop(len(text) - 1)
    return text[len(prompt) :], kept


@speculate.misconception(
    "You cropped the target's cache to the length of the text. Its last place then holds the rejected token, and the "
    "replacement is never read.",
    name="one-place-too-many",
)
def _(target, draft, prompt, new, gamma, stop, chance):
    text, kept, end = list(prompt), [], len(prompt) + new
    while len(text) < end:
        drafted, q = propose(draft, text, gamma, chance)
        p = target.read((text + drafted)[target.length :])[-gamma - 1 :]
        tokens = verify(p, q, drafted, chance)
        kept.append(len(tokens) - 1)
        for token in tokens[: end - len(text)]:
            text.append(token)
            if token == stop:
                end = len(text)
                break
        target.crop(len(text))
        draft.crop(len(text) - 1)
    return text[len(prompt) :], kept


@speculate.misconception(
    "You rolled back the target's cache and not the draft's. The text stays right, but the draft goes on after tokens "
    "that were rejected.",
    name="draft-not-cropped",
)
def _(target, draft, prompt, new, gamma, stop, chance):
    text, kept, end = list(prompt), [], len(prompt) + new
    while len(text) < end:
        drafted, q = propose(draft, text, gamma, chance)
        p = target.read((text + drafted)[target.length :])[-gamma - 1 :]
        tokens = verify(p, q, drafted, chance)
        kept.append(len(tokens) - 1)
        for token in tokens[: end - len(text)]:
            text.append(token)
            if token == stop:
                end = len(text)
                break
        target.crop(len(text) - 1)
    return text[len(prompt) :], kept


@speculate.misconception(
    "You emptied the caches after each pass, so that both models read the whole text again and again. Forget only what "
    "is not in the text.",
    name="emptied-the-caches",
)
def _(target, draft, prompt, new, gamma, stop, chance):
    text, kept, end = list(prompt), [], len(prompt) + new
    while len(text) < end:
        drafted, q = propose(draft, text, gamma, chance)
        p = target.read((text + drafted)[target.length :])[-gamma - 1 :]
        tokens = verify(p, q, drafted, chance)
        kept.append(len(tokens) - 1)
        for token in tokens[: end - len(text)]:
            text.append(token)
            if token == stop:
                end = len(text)
                break
        target.crop(0)
        draft.crop(0)
    return text[len(prompt) :], kept


@speculate.misconception(
    "You appended all tokens of the last pass, so that the text may have up to gamma tokens more than `new`.",
    name="overshot",
)
def _(target, draft, prompt, new, gamma, stop, chance):
    text, kept, end = list(prompt), [], len(prompt) + new
    while len(text) < end:
        drafted, q = propose(draft, text, gamma, chance)
        p = target.read((text + drafted)[target.length :])[-gamma - 1 :]
        tokens = verify(p, q, drafted, chance)
        kept.append(len(tokens) - 1)
        for token in tokens:
            text.append(token)
            if token == stop:
                end = len(text)
                break
        target.crop(len(text) - 1)
        draft.crop(len(text) - 1)
    return text[len(prompt) :], kept


@speculate.misconception(
    "You looked for the stop token only at the end of a pass. It can be among the kept tokens, and what follows it "
    "does not belong to the text.",
    name="stop-inside-missed",
)
def _(target, draft, prompt, new, gamma, stop, chance):
    text, kept, end = list(prompt), [], len(prompt) + new
    while len(text) < end:
        drafted, q = propose(draft, text, gamma, chance)
        p = target.read((text + drafted)[target.length :])[-gamma - 1 :]
        tokens = verify(p, q, drafted, chance)
        kept.append(len(tokens) - 1)
        text += tokens[: end - len(text)]
        target.crop(len(text) - 1)
        draft.crop(len(text) - 1)
        if text[-1] == stop:
            break
    return text[len(prompt) :], kept


@speculate.misconception(
    "You gave verify the first gamma + 1 rows of the target's pass. While the prompt is read these belong to the "
    "prompt; the drafted tokens are at the end.",
    name="first-rows",
)
def _(target, draft, prompt, new, gamma, stop, chance):
    text, kept, end = list(prompt), [], len(prompt) + new
    while len(text) < end:
        drafted, q = propose(draft, text, gamma, chance)
        p = target.read((text + drafted)[target.length :])[: gamma + 1]
        tokens = verify(p, q, drafted, chance)
        kept.append(len(tokens) - 1)
        for token in tokens[: end - len(text)]:
            text.append(token)
            if token == stop:
                end = len(text)
                break
        target.crop(len(text) - 1)
        draft.crop(len(text) - 1)
    return text[len(prompt) :], kept


@speculate.misconception(
    "You appended to the prompt that you were given; make a list of your own.",
    name="changed-the-prompt",
)
def _(target, draft, prompt, new, gamma, stop, chance):
    text, kept, start, end = prompt, [], len(prompt), len(prompt) + new
    while len(text) < end:
        drafted, q = propose(draft, text, gamma, chance)
        p = target.read((text + drafted)[target.length :])[-gamma - 1 :]
        tokens = verify(p, q, drafted, chance)
        kept.append(len(tokens) - 1)
        for token in tokens[: end - len(text)]:
            text.append(token)
            if token == stop:
                end = len(text)
                break
        target.crop(len(text) - 1)
        draft.crop(len(text) - 1)
    return text[start:], kept


@speculate.also_correct
def _(target, draft, prompt, new, gamma, stop, chance):
    found, kept = [], []
    while len(found) < new and stop not in found:
        drafted, q = propose(draft, prompt + found, gamma, chance)
        unread = (prompt + found)[target.length :]
        p = target.read(unread + drafted)[len(unread) - 1 :]
        tokens = verify(p, q, drafted, chance)
        kept.append(len(tokens) - 1)
        if stop in tokens:
            tokens = tokens[: tokens.index(stop) + 1]
        found = (found + tokens)[:new]
        for model in (target, draft):
            model.crop(len(prompt) + len(found) - 1)
    return found, kept


@speculate.also_correct
def _(target, draft, prompt, new, gamma, stop, chance):
    text, kept = [*prompt], []
    done = False
    while not done:
        drafted, q = propose(draft, text, gamma, chance)
        rows = target.read(text[target.length :] + drafted)
        tokens = verify(rows[rows.shape[0] - gamma - 1 :], q, drafted, chance)
        kept.append(len(tokens) - 1)
        while tokens and not done:
            text.append(tokens.pop(0))
            done = text[-1] == stop or len(text) == len(prompt) + new
        if target.length >= len(text):
            target.crop(len(text) - 1)
        if draft.length >= len(text):
            draft.crop(len(text) - 1)
    return text[len(prompt) :], kept


# --------------------------------------------------------------------------------------------- expected_tokens


@exercise(
    points=3,
    minutes=10,
    level="core",
    importance=3,
    kind="derive",
    hints=(
        "With what probability does a pass add at least 1 token, at least 2, at least k?",
        "The mean of a whole number N from 1 on is the sum over k of the probability that N is at least k.",
        "There are gamma + 1 terms: the first is 1, and each is alpha times the one before. At 1 all are equal.",
        "`(1 - alpha ** (gamma + 1)) / (1 - alpha)` is the sum, unless alpha is 1.",
    ),
)
def expected_tokens(alpha, gamma):
    """Return how many tokens a pass of the target adds on average.

    Each of gamma drafted tokens is kept with probability alpha, whatever happened before, up to the first rejection;
    then one token more is added, a replacement or a bonus.

    * alpha: a number from 0 to 1, ends included.
    * gamma: a whole number, 0 or more.

    Return a number.
    """
    ### BEGIN SOLUTION
    if alpha == 1:
        return gamma + 1
    return (1 - alpha ** (gamma + 1)) / (1 - alpha)
    ### END SOLUTION


@expected_tokens.test("counts kept tokens and the one more", points=1)
def _(expected_tokens):
    assert_close(expected_tokens(0.6, 3), 2.176, message="for alpha = 0.6 and gamma = 3")


@expected_tokens.hidden("agrees with the mean over all outcomes", points=1)
def _(expected_tokens):
    for alpha, gamma in ((0.75, 2), (0.3, 5), (0.9, 4), (0.5, 1), (0.8, 0), (0.0, 3)):

        def added(chance, alpha=alpha, gamma=gamma):
            kept = 0
            while kept < gamma and chance.happens(alpha):
                kept += 1
            return kept + 1

        expected = sum(count * probability for count, probability in outcomes(added))
        assert_close(
            expected_tokens(alpha, gamma), expected, rtol=1e-6, message=f"for alpha = {alpha}, gamma = {gamma}"
        )


@expected_tokens.hidden("is gamma + 1 where nothing is ever rejected", points=1)
def _(expected_tokens):
    for gamma in (4, 1, 0, 7):
        assert_close(expected_tokens(1.0, gamma), float(gamma + 1), message=f"for alpha = 1 and gamma = {gamma}")


@expected_tokens.misconception(
    "You summed gamma terms. A pass adds one token more than it keeps, so that there are gamma + 1.",
    name="one-term-short",
)
def _(alpha, gamma):
    return float(gamma) if alpha == 1 else (1 - alpha**gamma) / (1 - alpha)


@expected_tokens.misconception(
    "You counted the kept tokens alone; each pass adds a replacement or a bonus, too.",
    name="kept-alone",
)
def _(alpha, gamma):
    return sum(alpha**k for k in range(1, gamma + 1)) + 0.0


@expected_tokens.misconception(
    "You multiplied gamma by alpha, as if the tokens after a rejected one could still be kept.",
    name="rejections-do-not-end",
)
def _(alpha, gamma):
    return 1 + alpha * gamma


@expected_tokens.misconception(
    "At alpha = 1 you divided by zero. There every drafted token is kept, and the sum has gamma + 1 terms of 1.",
    name="divided-by-zero",
)
def _(alpha, gamma):
    return (1 - alpha ** (gamma + 1)) / (1 - alpha)


@expected_tokens.misconception(
    "You let the draft go on without end: 1 / (1 - alpha) is the mean without a limit. A pass ends after gamma tokens.",
    name="no-limit",
)
def _(alpha, gamma):
    return float(gamma + 1) if alpha == 1 else 1 / (1 - alpha)


@expected_tokens.also_correct
def _(alpha, gamma):
    return sum(alpha**k for k in range(gamma + 1))


@expected_tokens.also_correct
def _(alpha, gamma):
    mean = 1.0
    for _ in range(gamma):
        mean = 1 + alpha * mean
    return mean


# -------------------------------------------------------------------------------------------------- best_gamma


@exercise(
    points=3,
    minutes=10,
    level="core",
    importance=2,
    kind="derive",
    hints=(
        "How long does one turn take, counted in passes of the target, and how long would its tokens take without a "
        "draft?",
        "Without a draft each token takes one pass of the target. A turn takes gamma passes of the draft and one of "
        "the target. Compare all gamma.",
        "There are longest + 1 numbers to compare; of equal ones the first is meant.",
        "`expected_tokens(alpha, gamma) / (gamma * cost + 1)` is the speed-up; `max` returns the first of equals.",
    ),
)
def best_gamma(alpha, cost, longest):
    """Return the number of drafted tokens that pays most, and the speed-up there.

    * alpha: the probability that a drafted token is kept.
    * cost: the time of one pass of the draft, in passes of the target, 0 or more. The target's pass takes as long for
      gamma + 1 tokens as for one.
    * longest: gamma is 0, 1, …, longest; 0 means plain decoding.

    The speed-up is the time that plain decoding takes for a number of tokens, divided by the time that speculative
    decoding takes. Of several equal speed-ups, take the smallest gamma. Return (gamma, speed-up).
    """
    ### BEGIN SOLUTION
    speedups = [expected_tokens(alpha, gamma) / (gamma * cost + 1) for gamma in range(longest + 1)]
    best = max(range(len(speedups)), key=speedups.__getitem__)
    return best, speedups[best]
    ### END SOLUTION


@best_gamma.test("weighs what a draft yields against what it costs", points=1)
def _(best_gamma):
    gamma, speedup = best_gamma(0.6, 0.3, 10)
    assert gamma == 1, f"for alpha = 0.6 and cost = 0.3, one drafted token pays most, got {gamma}"
    assert_close(speedup, 1.6 / 1.3, rtol=1e-5, message="its speed-up: 1.6 tokens in the time of 1.3 passes")


@best_gamma.hidden("finds the best of all lengths, plain decoding included", points=2)
def _(best_gamma):
    cases = (
        (0.8, 0.05, 20),
        (0.3, 0.5, 8),
        (0.9, 0.02, 6),
        (0.75, 0.1, 12),
        (0.5, 0.25, 5),
        (1.0, 0.2, 4),
        (0.0, 0.0, 5),
    )
    for alpha, cost, longest in cases:
        tokens, best = 1.0, (0, 1.0)
        for gamma in range(1, longest + 1):
            tokens += alpha**gamma
            if tokens / (1 + gamma * cost) > best[1] + 1e-12:
                best = gamma, tokens / (1 + gamma * cost)
        found = best_gamma(alpha, cost, longest)
        what = f"(gamma, speed-up) for alpha = {alpha}, cost = {cost}, gamma up to {longest}"
        assert_close(tuple(found), best, rtol=1e-5, message=what)


@best_gamma.misconception(
    "You looked for the most tokens in a pass. That is always the longest draft; divide by the time of the turn.",
    name="most-tokens",
)
def _(alpha, cost, longest):
    values = [expected_tokens(alpha, gamma) for gamma in range(longest + 1)]
    best = max(range(longest + 1), key=values.__getitem__)
    return best, values[best] / (best * cost + 1)


@best_gamma.misconception(
    "You counted the draft once a turn; it takes gamma passes, one after another.",
    name="one-draft-pass",
)
def _(alpha, cost, longest):
    values = [expected_tokens(alpha, gamma) / (cost + 1 if gamma else 1) for gamma in range(longest + 1)]
    best = max(range(longest + 1), key=values.__getitem__)
    return best, values[best]


@best_gamma.misconception(
    "You left out the pass of the target, which every turn needs.",
    name="no-target-pass",
)
def _(alpha, cost, longest):
    values = [expected_tokens(alpha, gamma) / (gamma * cost or 1) for gamma in range(longest + 1)]
    best = max(range(longest + 1), key=values.__getitem__)
    return best, values[best]


@best_gamma.misconception(
    "You began with gamma = 1. A draft that is poor or expensive makes decoding slower, and then none is best.",
    name="never-plain",
)
def _(alpha, cost, longest):
    values = {g: expected_tokens(alpha, g) / (g * cost + 1) for g in range(1, longest + 1)}
    best = max(values, key=values.__getitem__)
    return best, values[best]


@best_gamma.misconception(
    "You stopped one short: gamma may be `longest` itself.",
    name="longest-left-out",
)
def _(alpha, cost, longest):
    values = [expected_tokens(alpha, gamma) / (gamma * cost + 1) for gamma in range(longest)]
    best = max(range(longest), key=values.__getitem__)
    return best, values[best]


@best_gamma.also_correct
def _(alpha, cost, longest):
    best, tokens, power = (0, 1.0), 1.0, 1.0
    for gamma in range(1, longest + 1):
        power *= alpha
        tokens += power
        if tokens / (1 + gamma * cost) > best[1]:
            best = gamma, tokens / (1 + gamma * cost)
    return best


@best_gamma.also_correct
def _(alpha, cost, longest):
    lengths = torch.arange(longest + 1, dtype=torch.float64)
    tokens = (alpha**lengths).cumsum(0)
    speedups = tokens / (1 + cost * lengths)
    best = int(speedups.argmax())
    return best, float(speedups[best])


# ------------------------------------------------------------------------------------------------ verify_among


@exercise(
    points=3,
    minutes=10,
    level="stretch",
    importance=1,
    hints=(
        "When the first candidate has been rejected, which distribution must the rest of the procedure produce?",
        "It must produce the residual. So judge the second candidate as if the residual were the target.",
        "The distribution that is still to be produced stays (V,) and changes with each rejection; q does not.",
        "`p = residual(p, q)` after each rejection, and `chance.pick(p)` if no candidate is left.",
    ),
)
def verify_among(p, q, candidates, chance):
    """Return one token distributed exactly as p, a candidate if possible.

    * p, q (V,): distributions of target and draft at one position.
    * candidates: a list of one or more tokens, drawn from q independently of each other.
    * chance: as in `verify`.

    Judge the candidates in turn and return the first that is kept. Each is kept with probability min(1, r / q), where
    r is the distribution that is still to be produced: p for the first. If none is kept, draw the token.
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
            return float(verify_among(p, q, drawn, chance) not in drawn)

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
    "You judged every candidate by p. After a rejection a part of p has had its chance already, so the next is judged "
    "by the residual.",
    name="same-target-for-all",
)
def _(p, q, candidates, chance):
    for token in candidates:
        if chance.happens(min(1.0, float(p[token] / q[token]))):
            return token
    return chance.pick(residual(p, q))


@verify_among.misconception(
    "When no candidate was left you drew from p itself; what is still to be produced by then is the last residual.",
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
    "You judged the first candidate alone; the others are drawn from q just as well and may be kept.",
    name="first-alone",
)
def _(p, q, candidates, chance):
    if chance.happens(min(1.0, float(p[candidates[0]] / q[candidates[0]]))):
        return candidates[0]
    return chance.pick(residual(p, q))


@verify_among.misconception(
    "You took the rejected token out of q. The candidates were drawn independently, so that each of them still comes "
    "from the whole of q.",
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
