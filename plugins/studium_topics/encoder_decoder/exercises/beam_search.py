import math
from itertools import product

import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=6,
    minutes=35,
    level="integrative",
    importance=3,
    hints=(
        "Several extensions of one answer may stay in the beam, and none of another. Which cache does each extension "
        "need?",
        "Add the log-probabilities of all next tokens to the totals of their answers, take the best of all of them at "
        "once, and work out from the flat index which answer and which token each one was. Everything that belongs to "
        "an answer then moves with it.",
        "Scores are (n, V), flattened (n · V,); parents, newest tokens and totals are (n',); the answers are (n', t).",
        "`scores.flatten().topk(min(width, scores.numel()))`; the parent is `flat // V`, the token `flat % V`; "
        "`[part[parents] for part in kept]`. Remove the rows with eos from all of these.",
    ),
)
def beam_search(step, start, eos, width, longest, alpha=0.0):
    """Return the best answer that a beam of `width` finds, and its log-probability.

    - step(newest (n,), kept) → (logits (n, V), kept): feeds n answers one token each, `start` at first; call it once
      for the whole beam. kept is None, then a list of tensors (n, …), a row for each answer: the cache of
      self-attention. The source's cache is inside step, shared by all answers.
    - Each step keeps the `width` most likely extensions of all answers in the beam. Those ending in eos leave it,
      finished. After `longest` tokens all are finished. Stop when the beam is empty.
    - The best: the highest log p / lengthᵅ, counting eos.

    Returns its tokens, a list with eos if it has one, and log p, a float.
    """
    ### BEGIN SOLUTION
    newest, kept, finished = torch.tensor([start]), None, []
    answers, total = newest[None, :0], torch.zeros(1)
    for _ in range(longest):
        logits, kept = step(newest, kept)
        scores = total[:, None] + logits.log_softmax(-1)  # (n, V)
        total, flat = scores.flatten().topk(min(width, scores.numel()))
        parents, newest = flat // scores.shape[1], flat % scores.shape[1]
        answers = torch.cat([answers[parents], newest[:, None]], 1)
        ended = newest == eos
        finished += zip(answers[ended].tolist(), total[ended].tolist(), strict=True)
        if ended.all():
            break
        answers, total, newest, parents = (one[~ended] for one in (answers, total, newest, parents))
        kept = [part[parents] for part in kept]
    else:
        finished += zip(answers.tolist(), total.tolist(), strict=True)
    return max(finished, key=lambda one: one[1] / len(one[0]) ** alpha)
    ### END SOLUTION


beam_search.equivalent(
    "finished += zip(answers[ended].tolist(), total[ended].tolist(), strict=False)", "each answer has one total"
)

beam_search.equivalent(
    "finished += zip(answers.tolist(), total.tolist(), strict=False)", "each answer has one total here as well"
)

beam_search.equivalent("continue", "an empty beam has no extensions, and after `longest` tokens the loop ends anyway")


@beam_search.test("finds what greedy search walks past", points=1)
def _(beam_search):
    after = {
        (): [0.0, 0.0, 0.55, 0.45],
        (2,): [0.0, 0.25, 0.4, 0.35],
        (3,): [0.0, 0.9, 0.1, 0.0],
    }

    def step(newest, kept):
        """Token 2 is likelier than 3 at first, but only 3 has a likely end. Nothing else is possible afterwards."""
        texts = torch.cat([kept[0], newest[:, None]], 1) if kept else newest[:, None]
        rows = [after.get(tuple(text[1:].tolist()), [0.0, 1.0, 0.0, 0.0]) for text in texts]
        return torch.tensor(rows).log(), [texts]

    tokens, total = beam_search(step, 0, 1, 2, 5)
    assert_close(list(map(int, tokens)), [3, 1], message="a beam of 2: the tokens (1 is eos)")
    assert_close(float(total), math.log(0.45 * 0.9), rtol=1e-4, message="a beam of 2: log p = ln(0.45 · 0.9)")
    tokens, _ = beam_search(step, 0, 1, 1, 5)
    assert_close(list(map(int, tokens)), [2, 2, 1], message="a beam of 1 is greedy search: the tokens")


@beam_search.hidden("keeps the likeliest extensions of the whole beam, and their caches with them", points=2)
def _(beam_search, rng):
    cases = ((5, 4, 6, 2, 3), (7, 4, 6, 5, 2), (4, 3, 7, 3, 2), (5, 2, 6, 1, 3), (6, 1, 8, 4, 0), (5, 8, 4, 0, 1))
    early = {
        (): [0.0, 0.2, 0.5, 0.3],  # eos ends one of three answers at once
        (2,): [0.0, 0.0, 0.55, 0.45],
        (3,): [0.0, 0.0, 0.6, 0.4],
        (2, 2): [0.0, 0.1, 0.45, 0.45],
        (2, 3): [0.0, 0.6, 0.2, 0.2],
    }
    both = {
        (): [0.0, 0.0, 0.6, 0.4],
        (2,): [0.0, 0.0, 0.52, 0.48],  # the two best answers of two tokens begin alike
        (3,): [0.3, 0.0, 0.4, 0.3],
        (2, 2): [0.0, 0.5, 0.25, 0.25],
    }
    for after, width, alpha, wanted in ((early, 3, 3.0, [3, 2, 1]), (both, 2, 1.0, [2, 3, 1])):

        def look_up(newest, kept, after=after):
            """Read the probabilities in the table; eos follows what is not in it."""
            texts = torch.cat([kept[0], newest[:, None]], 1) if kept else newest[:, None]
            rows = [after.get(tuple(text[1:]), [0.0, 1.0, 0.0, 0.0]) for text in texts.tolist()]
            return torch.tensor(rows).log(), [texts]

        tokens, _ = beam_search(look_up, 2, 1, width, 3, alpha)
        message = f"a beam of {width}, alpha {alpha}; the probabilities after each answer are {after}"
        assert_close(list(map(int, tokens)), wanted, message=message)
    reads = []
    for alpha, (vocabulary, width, longest, eos, start) in product((1.0, 0.6, 0.0, 0.0), cases):
        table = 1.5 * torch.randn(97, vocabulary, generator=rng, dtype=torch.float64)
        table[:, eos] -= 1 if alpha else 2  # so that answers grow long
        fed, wanted = [], []

        def step(newest, kept, table=table, fed=fed):
            hashes, same = kept or (torch.zeros(len(newest), 1, dtype=torch.long), torch.zeros(len(newest)).long())
            assert len(newest) == len(hashes), f"kept has {len(hashes)} rows for {len(newest)} newest tokens"
            assert torch.equal(hashes[:, 0], same), "row i of every tensor in kept must belong to the same answer"
            hashes = hashes * 5 + newest[:, None] + 1
            fed.append(sorted(hashes[:, 0].tolist()))
            return table[hashes[:, 0] % 97], [hashes, hashes[:, 0]]

        beam, finished = [((), 0.0, start + 1)], []
        for _ in range(longest):
            pool = []
            wanted.append(sorted(seen for _, _, seen in beam))
            for tokens, total, seen in beam:
                for token, logp in enumerate(table[seen % 97].log_softmax(-1).tolist()):
                    pool.append(((*tokens, token), total + logp, seen * 5 + token + 1))
            best = sorted(pool, key=lambda one: -one[1])[:width]
            finished += [one for one in best if one[0][-1] == eos]
            beam = [one for one in best if one[0][-1] != eos]
        expected = max(finished + beam, key=lambda one: one[1] / len(one[0]) ** alpha)
        tokens, total = beam_search(step, start, eos, width, longest, alpha)
        what = f"{vocabulary} tokens, a beam of {width}, {longest} at most, alpha {alpha}"
        assert_close(list(map(int, tokens)), list(expected[0]), message=f"the tokens: {what}")
        assert_close(float(total), expected[1], rtol=1e-4, atol=1e-4, message=f"log p: {what}")
        reads.append((what, fed, wanted))
    for what, fed, wanted in reads:
        same = all(one == two for one, two in zip(fed, wanted, strict=False))
        assert same, f"each newest token needs the rows of kept that belong to its own answer: {what}"


@beam_search.hidden("finds the likeliest of all answers when the beam is wide enough", points=1)
def _(beam_search, rng):
    for vocabulary, longest, alpha in ((3, 4, 0.0), (4, 3, 0.0), (3, 4, 0.7), (4, 3, 1.5)):
        table = torch.randn(211, vocabulary, generator=rng, dtype=torch.float64)
        eos = vocabulary - 1

        def step(newest, kept, table=table):
            seen = newest + 1 if kept is None else kept[0] * 7 + newest + 1
            return table[seen % 211], [seen]

        answers, stack = [], [((), 0.0, 1)]
        while stack:
            tokens, total, seen = stack.pop()
            if tokens and (tokens[-1] == eos or len(tokens) == longest):
                answers.append((tokens, total))
                continue
            for token, logp in enumerate(table[seen % 211].log_softmax(-1).tolist()):
                stack.append(((*tokens, token), total + logp, seen * 7 + token + 1))
        expected = max(answers, key=lambda one: one[1] / len(one[0]) ** alpha)
        tokens, total = beam_search(step, 0, eos, vocabulary**longest, longest, alpha)
        what = f"all {len(answers)} answers of {vocabulary} tokens, {longest} at most, alpha {alpha}"
        assert_close(list(map(int, tokens)), list(expected[0]), message=f"the tokens: {what}")
        assert_close(float(total), expected[1], rtol=1e-4, atol=1e-4, message=f"log p, not divided: {what}")


@beam_search.hidden("divides by length to the power alpha, eos included", points=1)
def _(beam_search):
    ends = (0.1, 0.35, 0.45, 0.6, 0.45)

    def step(newest, kept):
        """Offer eos with these probabilities at the first 5 steps, then end."""
        t = 0 if kept is None else int(kept[0][0])
        rows = torch.tensor([1 - ends[t], ends[t]] if t < 5 else [1e-9, 1.0]).log().expand(len(newest), 2)
        return rows, [torch.full((len(newest),), t + 1)]

    logp = [math.log(math.prod([1 - end for end in ends[:t]]) * [*ends, 1.0][t]) for t in range(6)]
    for alpha in (0.5, 0.0, 1.0, 2.0):
        length = max(range(6), key=lambda t: logp[t] / (t + 1) ** alpha)
        tokens, total = beam_search(step, 0, 1, 2, 9, alpha)
        message = f"alpha {alpha}: the answers are 0 to 5 zeros and eos"
        assert_close(list(map(int, tokens)), [0] * length + [1], message=message)
        assert_close(float(total), logp[length], rtol=1e-4, atol=1e-5, message=f"log p, alpha {alpha}")


@beam_search.hidden("feeds each answer in the beam once a step, and no finished one", points=1)
def _(beam_search, rng):
    for width, longest in ((3, 5), (1, 30), (2, 40), (1, 4)):
        table, calls = torch.randn(61, 4, generator=rng), []

        def step(newest, kept, table=table, calls=calls):
            seen = newest + 1 if kept is None else kept[0] * 5 + newest + 1
            calls.append(newest.tolist())
            return table[seen % 61], [seen]

        beam_search(step, 3, 2, width, longest)
        assert calls[0] == [3], f"the first call feeds the start token alone, [3], got {calls[0]}"
        assert len(calls) <= longest, f"at most {longest} calls of step are needed, got {len(calls)}"
        for newest in calls[1:]:
            assert newest, "step was called without any answer: stop when the beam is empty"
            assert len(newest) <= width, f"a beam of {width} feeds at most {width} tokens, got {len(newest)}"
            assert 2 not in newest, f"eos, here 2, ends an answer and is never fed, got {newest}"


@beam_search.misconception(
    "You left the cache in its old order; take the rows of the parents, because after a step row i may continue "
    "another answer and must read that answer's keys and values.",
    name="cache-not-reordered",
)
def _(step, start, eos, width, longest, alpha=0.0):
    newest, kept, finished = torch.tensor([start]), None, []
    answers, total = torch.empty(1, 0, dtype=torch.long), torch.zeros(1)
    for _ in range(longest):
        logits, kept = step(newest, kept)
        scores = total[:, None] + logits.log_softmax(-1)
        total, flat = scores.flatten().topk(min(width, scores.numel()))
        parents, newest = flat // scores.shape[1], flat % scores.shape[1]
        answers = torch.cat([answers[parents], newest[:, None]], 1)
        ended = newest == eos
        finished += zip(answers[ended].tolist(), total[ended].tolist(), strict=True)
        answers, total, newest = answers[~ended], total[~ended], newest[~ended]
        if not len(newest):
            break
        kept = [part[torch.arange(len(newest)) % len(part)] for part in kept]
    finished += zip(answers.tolist(), total.tolist(), strict=True)
    return max(finished, key=lambda one: one[1] / len(one[0]) ** alpha)


@beam_search.misconception(
    "You extended each answer by its own best token; take the best of all extensions together, so one answer may be "
    "extended several times and another not at all.",
    name="best-of-each",
)
def _(step, start, eos, width, longest, alpha=0.0):
    newest, kept, finished = torch.tensor([start]), None, []
    answers, total = torch.empty(1, 0, dtype=torch.long), torch.zeros(1)
    for t in range(longest):
        logits, kept = step(newest, kept)
        scores = total[:, None] + logits.log_softmax(-1)
        if t == 0:
            total, newest = scores[0].topk(min(width, scores.shape[1]))
            parents = torch.zeros_like(newest)
        else:
            total, newest = scores.max(1)
            parents = torch.arange(len(newest))
        answers = torch.cat([answers[parents], newest[:, None]], 1)
        ended = newest == eos
        finished += zip(answers[ended].tolist(), total[ended].tolist(), strict=True)
        answers, total, newest, parents = (one[~ended] for one in (answers, total, newest, parents))
        if not len(newest):
            break
        kept = [part[parents] for part in kept]
    finished += zip(answers.tolist(), total.tolist(), strict=True)
    return max(finished, key=lambda one: one[1] / len(one[0]) ** alpha)


beam_search.mistake(
    "beam-shrinks",
    "You made the beam smaller with each answer that ended; keep `width` extensions at every step.",
    replace="if ended.all():",
    by="""
        width -= int(ended.sum())
        if ended.all():
    """,
)


@beam_search.misconception(
    "You compared the answers only by their last step; compare the sums of the log-probabilities of all their tokens.",
    name="last-step-alone",
)
def _(step, start, eos, width, longest, alpha=0.0):
    newest, kept, finished = torch.tensor([start]), None, []
    answers, total = torch.empty(1, 0, dtype=torch.long), torch.zeros(1)
    for _ in range(longest):
        logits, kept = step(newest, kept)
        scores = logits.log_softmax(-1)
        last, flat = scores.flatten().topk(min(width, scores.numel()))
        parents, newest = flat // scores.shape[1], flat % scores.shape[1]
        answers, total = torch.cat([answers[parents], newest[:, None]], 1), total[parents] + last
        ended = newest == eos
        finished += zip(answers[ended].tolist(), total[ended].tolist(), strict=True)
        answers, total, newest, parents = (one[~ended] for one in (answers, total, newest, parents))
        if not len(newest):
            break
        kept = [part[parents] for part in kept]
    finished += zip(answers.tolist(), total.tolist(), strict=True)
    return max(finished, key=lambda one: one[1] / len(one[0]) ** alpha)


@beam_search.misconception(
    "You added logits; apply log_softmax first, because a row with large logits would win just because they are large.",
    name="logits-added",
)
def _(step, start, eos, width, longest, alpha=0.0):
    newest, kept, finished = torch.tensor([start]), None, []
    answers, total = torch.empty(1, 0, dtype=torch.long), torch.zeros(1)
    for _ in range(longest):
        logits, kept = step(newest, kept)
        scores = total[:, None] + logits
        total, flat = scores.flatten().topk(min(width, scores.numel()))
        parents, newest = flat // scores.shape[1], flat % scores.shape[1]
        answers = torch.cat([answers[parents], newest[:, None]], 1)
        ended = newest == eos
        finished += zip(answers[ended].tolist(), total[ended].tolist(), strict=True)
        answers, total, newest, parents = (one[~ended] for one in (answers, total, newest, parents))
        if not len(newest):
            break
        kept = [part[parents] for part in kept]
    finished += zip(answers.tolist(), total.tolist(), strict=True)
    return max(finished, key=lambda one: one[1] / len(one[0]) ** alpha)


@beam_search.misconception(
    "You left out the answers that are still in the beam after `longest` tokens; count them as finished without eos, "
    "because the best answer may be one of them.",
    name="unfinished-left-out",
)
def _(step, start, eos, width, longest, alpha=0.0):
    newest, kept, finished = torch.tensor([start]), None, []
    answers, total = torch.empty(1, 0, dtype=torch.long), torch.zeros(1)
    for _ in range(longest):
        logits, kept = step(newest, kept)
        scores = total[:, None] + logits.log_softmax(-1)
        total, flat = scores.flatten().topk(min(width, scores.numel()))
        parents, newest = flat // scores.shape[1], flat % scores.shape[1]
        answers = torch.cat([answers[parents], newest[:, None]], 1)
        ended = newest == eos
        finished += zip(answers[ended].tolist(), total[ended].tolist(), strict=True)
        answers, total, newest, parents = (one[~ended] for one in (answers, total, newest, parents))
        if not len(newest):
            break
        kept = [part[parents] for part in kept]
    return max(finished, key=lambda one: one[1] / len(one[0]) ** alpha, default=([], 0.0))


@beam_search.misconception(
    "You returned the first answer that ended; go on until the beam is empty and compare all finished answers, "
    "because a longer one may be more likely.",
    name="first-finished",
)
def _(step, start, eos, width, longest, alpha=0.0):
    newest, kept = torch.tensor([start]), None
    answers, total = torch.empty(1, 0, dtype=torch.long), torch.zeros(1)
    for _ in range(longest):
        logits, kept = step(newest, kept)
        scores = total[:, None] + logits.log_softmax(-1)
        total, flat = scores.flatten().topk(min(width, scores.numel()))
        parents, newest = flat // scores.shape[1], flat % scores.shape[1]
        answers = torch.cat([answers[parents], newest[:, None]], 1)
        if (newest == eos).any():
            first = int((newest == eos).int().argmax())
            return answers[first].tolist(), float(total[first])
        kept = [part[parents] for part in kept]
    return answers[0].tolist(), float(total[0])


@beam_search.misconception(
    "You returned log p divided by the length to the power of alpha; use that score only to choose the answer, and "
    "return log p itself, the sum.",
    name="returned-the-score",
)
def _(step, start, eos, width, longest, alpha=0.0):
    tokens, total = beam_search(step, start, eos, width, longest, alpha)
    return tokens, total / len(tokens) ** (alpha or 1.0)


@beam_search.also_correct
def _(step, start, eos, width, longest, alpha=0.0):
    logits, kept = step(torch.tensor([start]), None)
    beam, finished = [([], 0.0)], []
    for t in range(longest):
        logp = torch.log_softmax(logits, dim=-1).tolist()
        pool = [
            (total + logp[row][token], row, token)
            for row, (_, total) in enumerate(beam)
            for token in range(len(logp[row]))
        ]
        pool = sorted(pool, reverse=True)[:width]
        made = [([*beam[row][0], token], total, row) for total, row, token in pool]
        finished += [(tokens, total) for tokens, total, _ in made if tokens[-1] == eos]
        made = [one for one in made if one[0][-1] != eos]
        beam = [(tokens, total) for tokens, total, _ in made]
        if not beam or t == longest - 1:
            break
        rows = torch.tensor([row for _, _, row in made])
        kept = [part.index_select(0, rows) for part in kept]
        logits, kept = step(torch.tensor([tokens[-1] for tokens, _ in beam]), kept)
    return max(finished + beam, key=lambda one: one[1] / len(one[0]) ** alpha)


@beam_search.also_correct
def _(step, start, eos, width, longest, alpha=0.0):
    best, score = None, -math.inf
    texts, totals, rows, kept = [[start]], [0.0], None, None
    while texts:
        if kept is not None:
            kept = [part[rows] for part in kept]
        logits, kept = step(torch.tensor([text[-1] for text in texts]), kept)
        sums = torch.tensor(totals, dtype=torch.float64)[:, None] + F.log_softmax(logits.double(), -1)
        order = sums.flatten().argsort(descending=True)[:width].tolist()
        heirs, totals, rows = [], [], []
        for flat in order:
            row, token = divmod(flat, sums.shape[1])
            text, total = [*texts[row], token], float(sums[row, token])
            if token == eos or len(text) > longest:
                if total / (len(text) - 1) ** alpha > score:
                    best, score = (text[1:], total), total / (len(text) - 1) ** alpha
            else:
                heirs.append(text), totals.append(total), rows.append(row)
        texts = heirs
    return best
