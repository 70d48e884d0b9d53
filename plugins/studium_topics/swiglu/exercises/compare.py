import copy
import statistics

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.kits.weights import drawn
from studium_topics.swiglu.exercises.paired_interval import paired_interval


@exercise(
    points=6,
    minutes=25,
    level="integrative",
    importance=3,
    hints=(
        "Which things must be the same for all kinds at one seed, and which must be new for each run?",
        "All kinds use the same batches for a seed; create a new model and a new optimizer for each pair of seed and "
        "kind. Collect the losses seed by seed, so that run i of one kind belongs to run i of the other.",
        "A model's logits are (B, T, V) and the labels (B, T): flatten both for the cross-entropy. Write the rate to "
        '`optimizer.param_groups`, a list of dictionaries with the key "lr".',
        "`group['lr'] = lr * (1 - i / len(pairs))` before each step; at the end "
        "`paired_interval(losses[kind], losses[kinds[0]], critical)`.",
    ),
)
def compare(build, batches, held_out, kinds, seeds, lr, critical):
    """Train every kind of layer with every seed, and compare each kind with the first.

    A run takes, for each batch in order, one step of `torch.optim.Adam` on the mean cross-entropy, at
    rate lr · (1 - i / n) for batch i = 0, …, n - 1. Its loss is the one on held_out, after the last step.

    * build(kind, seed): a new model, ids (B, T) to logits (B, T, V)
    * batches(seed): a list of pairs (ids, labels), each (B, T); held_out: one such pair
    * kinds, seeds: lists; lr, critical: numbers
    * returns: {kind: (losses, interval)}, losses in the order of seeds, interval by `paired_interval` against kinds[0]
    """

    ### BEGIN SOLUTION
    def loss_on(model, batch):
        ids, labels = batch
        return F.cross_entropy(model(ids).flatten(0, 1), labels.flatten())

    losses = {kind: [] for kind in kinds}
    for seed in seeds:
        pairs = batches(seed)
        for kind in kinds:
            model = build(kind, seed)
            optimizer = torch.optim.Adam(model.parameters())
            for i, batch in enumerate(pairs):
                for group in optimizer.param_groups:
                    group["lr"] = lr * (1 - i / len(pairs))
                optimizer.zero_grad()
                loss_on(model, batch).backward()
                optimizer.step()
            with torch.no_grad():
                losses[kind].append(loss_on(model, held_out).item())
    baseline = losses[kinds[0]]
    return {kind: (losses[kind], paired_interval(losses[kind], baseline, critical)) for kind in kinds}
    ### END SOLUTION


compare.equivalent('with __import__("contextlib").nullcontext():', "no gradient is asked for there")


@compare.test("trains, and compares every kind with the first one", points=2)
def _(compare, rng):
    tables = [torch.randn(7, 7, generator=rng) for _ in range(3)]

    def build(kind, seed):
        model = nn.Sequential(nn.Embedding(7, 7))
        model[0].weight.data = tables[seed] * {"wide": 1.0, "flat": 0.3}[kind]
        return model

    ids = torch.randint(7, (4, 6), generator=rng)
    pair = (ids, (ids + 1) % 7)
    found = compare(build, lambda seed: [pair] * 12, pair, ["wide", "flat"], [0, 1, 2], 0.1, 4.303)
    assert set(found) == {"wide", "flat"}, f"one entry for each kind is expected, got {sorted(found)}"
    for kind in ("wide", "flat"):
        losses, _ = found[kind]
        assert len(losses) == 3, f"one loss for each of 3 seeds is expected, got {len(losses)}"
        for seed, after in enumerate(losses):
            before = F.cross_entropy(build(kind, seed)(ids).flatten(0, 1), pair[1].flatten()).item()
            assert after < before - 0.1, f"12 steps on one batch must lower its loss, from {before:.3f} to {after:.3f}"
    apart = [ours - theirs for ours, theirs in zip(found["flat"][0], found["wide"][0], strict=True)]
    assert_close(found["flat"][1][0], sum(apart) / 3, rtol=1e-4, atol=1e-6, message="the mean of flat minus wide")


@compare.hidden("takes Adam steps at a falling rate, with the same batches for every kind", points=3)
def _(compare, rng):
    def layers():
        return nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 9, bias=False))

    for seeds, lr, count, critical in (([3, 8, 5], 0.05, 6, 4.303), ([0, 1], 0.02, 3, 12.706)):
        kinds = ["a", "b", "c"]
        models = {(kind, seed): drawn(layers, rng) for seed in seeds for kind in kinds}
        data = {seed: [tuple(torch.randint(9, (2, 3, 5), generator=rng)) for _ in range(count)] for seed in seeds}
        held_out = tuple(torch.randint(9, (2, 4, 7), generator=rng))
        built = []

        def build(kind, seed, models=models, built=built):
            built.append((kind, seed))
            return copy.deepcopy(models[kind, seed])

        found = compare(
            build, lambda seed, data=data: list(data[seed]), held_out, list(kinds), list(seeds), lr, critical
        )
        assert sorted(built) == sorted(models), f"one model for each kind and seed is expected, got {sorted(built)}"
        expected = {}
        for kind in kinds:
            expected[kind] = []
            for seed in seeds:
                start = models[kind, seed].state_dict()
                w = {name: part.clone().requires_grad_() for name, part in start.items()}
                moments = {name: (torch.zeros_like(part), torch.zeros_like(part)) for name, part in w.items()}
                for i, (ids, labels) in enumerate([*data[seed], held_out]):
                    hidden = torch.tanh(F.embedding(ids, w["0.weight"]) @ w["1.weight"].T + w["1.bias"])
                    logits = (hidden @ w["3.weight"].T).flatten(0, 1)
                    loss = (logits.logsumexp(1) - logits.gather(1, labels.flatten()[:, None])[:, 0]).mean()
                    if i == count:
                        expected[kind].append(loss.item())
                        break
                    for (name, part), slope in zip(w.items(), torch.autograd.grad(loss, list(w.values())), strict=True):
                        first, second = moments[name]
                        first.mul_(0.9).add_(slope, alpha=0.1)
                        second.mul_(0.999).add_(slope * slope, alpha=0.001)
                        size = (second / (1 - 0.999 ** (i + 1))).sqrt() + 1e-8
                        part.data -= lr * (1 - i / count) * first / (1 - 0.9 ** (i + 1)) / size
        for kind in kinds:
            what = f"the losses of kind {kind!r} with seeds {seeds}, lr={lr} and {count} batches"
            assert_close(list(found[kind][0]), expected[kind], rtol=2e-5, atol=2e-5, message=what)


@compare.hidden("gives the interval of each kind against the first, seed by seed", points=1)
def _(compare, rng):
    seeds, kinds, critical = [2, 0, 3, 1], ["z", "y", "x"], 3.182
    sizes = {"z": 2.0, "y": 0.5, "x": 1.0}  # confident guesses at random labels: the first kind is the worst
    tables = {(kind, seed): sizes[kind] * torch.randn(6, 6, generator=rng) for seed in seeds for kind in kinds}

    def build(kind, seed):
        model = nn.Sequential(nn.Embedding(6, 6))
        model[0].weight.data = tables[kind, seed].clone()
        return model

    held_out = tuple(torch.randint(6, (2, 5, 8), generator=rng))
    found = compare(build, lambda seed: [held_out], held_out, kinds, seeds, 1e-6, critical)
    losses = {}
    for kind in kinds:
        logits = [tables[kind, seed][held_out[0]].flatten(0, 1) for seed in seeds]
        losses[kind] = torch.tensor([F.cross_entropy(each, held_out[1].flatten()).item() for each in logits])
    for kind in kinds:
        apart = losses[kind] - losses["z"]
        half = critical * apart.std() / 2
        expected = [float(apart.mean()), float(apart.mean() - half), float(apart.mean() + half)]
        interval = [float(number) for number in found[kind][1]]
        assert_close(interval, expected, rtol=1e-3, atol=1e-4, message=f"the interval of {kind!r} against 'z'")


def _compare(build, batches, held_out, kinds, seeds, lr, critical, **wrong):
    def loss_on(model, batch):
        return F.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())

    losses = {kind: [] for kind in kinds}
    for seed in seeds:
        pairs = batches(seed)
        for kind in kinds:
            model = build(kind, seed)
            optimizer = wrong.get("optimizer", torch.optim.Adam)(model.parameters(), lr=lr)
            last = 0.0
            for i, batch in enumerate(pairs):
                if wrong.get("new_optimizer"):
                    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
                for group in optimizer.param_groups:
                    group["lr"] = wrong.get("rate", lambda i, n: lr * (1 - i / n))(i, len(pairs))
                if not wrong.get("pile_up"):
                    optimizer.zero_grad()
                loss = loss_on(model, batch)
                loss.backward()
                last = loss.item()
                optimizer.step()
            with torch.no_grad():
                losses[kind].append(last if wrong.get("training_loss") else loss_on(model, held_out).item())
    against = losses[wrong["against"](losses)] if "against" in wrong else losses[kinds[0]]
    return {kind: (losses[kind], paired_interval.solution(losses[kind], against, critical)) for kind in kinds}


@compare.misconception(
    "You kept the rate at lr; let it fall to zero in a straight line, because otherwise the noise of the last steps is "
    "larger than the difference you want to see.",
    name="constant-rate",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(build, batches, held_out, kinds, seeds, lr, critical, rate=lambda i, n: lr)


@compare.misconception(
    "Your rate is one step ahead: batch i has the rate lr · (1 - i / n), so the first batch has lr, and the last is "
    "not wasted at rate 0.",
    name="rate-one-step-ahead",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(build, batches, held_out, kinds, seeds, lr, critical, rate=lambda i, n: lr * (1 - (i + 1) / n))


@compare.misconception(
    "You never set the gradients back to zero, so each step follows the sum of all gradients so far; clear them before "
    "each backward pass.",
    name="gradients-pile-up",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(build, batches, held_out, kinds, seeds, lr, critical, pile_up=True)


@compare.misconception(
    "You created a new optimizer for each batch; create it once for each run, because otherwise Adam forgets its "
    "moments and every step is a first step.",
    name="new-optimizer-each-step",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(build, batches, held_out, kinds, seeds, lr, critical, new_optimizer=True)


@compare.misconception(
    "You used AdamW, whose weight decay also pulls every weight towards zero; use Adam.",
    name="weight-decay",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(build, batches, held_out, kinds, seeds, lr, critical, optimizer=torch.optim.AdamW)


@compare.misconception(
    "You reported the loss of the last training batch; report the loss on held_out, after the last step.",
    name="training-loss",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(build, batches, held_out, kinds, seeds, lr, critical, training_loss=True)


@compare.misconception(
    "You compared with the kind that came out best; compare with the first kind, because a baseline is chosen before "
    "looking at the results.",
    name="compared-with-the-best",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    def best(losses):
        return min(losses, key=lambda kind: statistics.fmean(losses[kind]))

    return _compare(build, batches, held_out, kinds, seeds, lr, critical, against=best)


@compare.misconception(
    "You built the model of every run with the first seed, so the seeds differ only in their batches; build each model "
    "with the seed of its run.",
    name="one-start-for-all-seeds",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(lambda kind, seed: build(kind, seeds[0]), batches, held_out, kinds, seeds, lr, critical)


@compare.misconception(
    "You trained every run on the batches of the first seed; each seed has its own batches, the same for all kinds.",
    name="one-set-of-batches",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(build, lambda seed: batches(seeds[0]), held_out, kinds, seeds, lr, critical)


@compare.also_correct
def _(build, batches, held_out, kinds, seeds, lr, critical):
    def run(kind, seed):
        model, pairs = build(kind, seed), batches(seed)
        optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 1 - i / len(pairs))
        criterion = nn.CrossEntropyLoss()
        for ids, labels in pairs:
            logits = model(ids)
            criterion(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)).backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        with torch.inference_mode():
            return float(criterion(model(held_out[0]).mT, held_out[1]))

    losses = {kind: [run(kind, seed) for seed in seeds] for kind in kinds}
    return {
        kind: [found, paired_interval.solution(found, losses[kinds[0]], critical)] for kind, found in losses.items()
    }


@compare.also_correct
def _(build, batches, held_out, kinds, seeds, lr, critical):
    table = torch.empty(len(kinds), len(seeds))
    for row, kind in enumerate(kinds):
        for column, seed in enumerate(seeds):
            model, pairs = build(kind, seed), batches(seed)
            optimizer = torch.optim.Adam(model.parameters())
            for step, (ids, labels) in enumerate(pairs):
                optimizer.param_groups[0]["lr"] = lr * (len(pairs) - step) / len(pairs)
                model.zero_grad()
                F.cross_entropy(model(ids).transpose(1, 2), labels).backward()
                optimizer.step()
            table[row, column] = F.cross_entropy(model(held_out[0]).mT, held_out[1]).item()
    result = {}
    for row, kind in enumerate(kinds):
        apart = table[row] - table[0]
        half = critical * apart.std().item() / len(seeds) ** 0.5
        result[kind] = (
            table[row].tolist(),
            (apart.mean().item(), apart.mean().item() - half, apart.mean().item() + half),
        )
    return result
