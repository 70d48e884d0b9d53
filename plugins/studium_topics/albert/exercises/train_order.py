import copy
from functools import partial

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.albert.exercises.albert import albert
from studium_topics.albert.model import Sizes, parts
from studium_topics.kits.weights import drawn


@exercise(
    points=6,
    minutes=25,
    level="integrative",
    importance=3,
    kind="write",
    hints=(
        "What has to happen once before the loop, and which seven things happen in every step?",
        "In a step: make a rectangle of the pairs, run the encoder and the order head, compute the loss, clear the "
        "gradients, go backward, clip, step.",
        "A batch of B pairs becomes ids and segments (B, T), where T is the length of the longest pair, and labels "
        "(B,); logits are (B, 2).",
        '`torch.optim.Adam(parts.parameters(), lr=lr)`; `F.cross_entropy(parts["order"](pooled), labels)`; '
        "`nn.utils.clip_grad_norm_(parts.parameters(), 1.0)`.",
    ),
)
def train_order(parts, layers, batches, lr, pad):
    """Train an ALBERT on pairs of sentences in place, one step for each batch, and return the losses.

    | setting | value |
    |---|---|
    | logits | the Linear "order" on the pooled sentence |
    | loss | the mean cross-entropy with the labels |
    | optimiser | Adam over all of `parts`, constant learning rate |
    | gradients | their joint norm is clipped at 1 |

    - parts: an `nn.ModuleDict` with everything that `albert` takes, and "order".
    - layers: L, as for `albert`.
    - batches: a list; each batch is a list of (ids, segments, label) of different lengths, as from `sop_pairs`. They
      stay as they are.
    - pad: the id that fills up a batch.
    - Returns a list of floats: the loss of each batch before its step.
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(parts.parameters(), lr=lr)
    losses = []
    for pairs in batches:
        longest = max(len(ids) for ids, _, _ in pairs)
        ids = torch.tensor([[*ids, *[pad] * (longest - len(ids))] for ids, _, _ in pairs])
        segments = torch.tensor([[*kinds, *[0] * (longest - len(kinds))] for _, kinds, _ in pairs])
        labels = torch.tensor([label for _, _, label in pairs])
        device = parts["order"].weight.device
        _, pooled = albert(ids.to(device), segments.to(device), parts, layers, pad)
        loss = F.cross_entropy(parts["order"](pooled), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


train_order.equivalent(
    "segments = torch.tensor([[*kinds, *[1] * (longest - len(kinds))] for _, kinds, _ in pairs])",
    "the segment of padding is never read",
)

train_order.equivalent(
    "_, pooled = albert(ids, segments.to(device), parts, layers, pad)", "the parts are on the CPU in the tests"
)

train_order.equivalent(
    "_, pooled = albert(ids.to(device), segments, parts, layers, pad)", "the parts are on the CPU in the tests"
)

train_order.equivalent(
    'loss = F.cross_entropy(parts["order"](pooled), labels)', "the parts are on the CPU in the tests"
)


@train_order.test("learns pairs whose order is plain, and returns a loss for each batch", points=1)
def _(train_order):
    made = parts(Sizes(vocabulary=8, embedding=6, width=8, hidden=12, heads=2, length=9), seed=1)
    pairs = [([1, 3, 4, 2, 5, 2], [0, 0, 0, 0, 1, 1], 0), ([1, 5, 2, 3, 4, 2], [0, 0, 0, 1, 1, 1], 1)]
    pairs += [([1, 6, 2, 7, 4, 4, 2], [0, 0, 0, 1, 1, 1, 1], 0)]
    start = copy.deepcopy(made)
    losses = list(train_order(made, 2, [pairs] * 22, 0.03, 0))
    assert len(losses) == 22, f"22 batches give 22 losses, got {len(losses)}"
    z = 0.0
    for ids, segments, label in pairs:
        x = start["word"].weight[ids] + start["position"].weight[: len(ids)] + start["segment"].weight[segments]
        x = start["project"](start["norm"](x))[None]
        for _ in range(2):
            x = start["groups"][0](x, torch.ones(1, len(ids), dtype=torch.bool))
        logits = start["order"](torch.tanh(start["pooler"](x[:, 0])))
        z += float(F.cross_entropy(logits, torch.tensor([label])).detach()) / len(pairs)
    assert_close(losses[0], z, rtol=1e-3, atol=1e-4, message="the first loss, before the first step")
    assert losses[-1] < 0.3, f"after 22 steps the loss of these three pairs should be below 0.3, got {losses[-1]:.2f}"


@train_order.hidden("follows Adam with clipping step by step, each pair as if it were alone", points=4)
def _(train_order, rng):
    for steps, lr, pad, groups, layers, size in ((3, 0.01, 12, 2, 4, 0.7), (4, 0.02, 0, 1, 3, 0.3)):
        sizes = Sizes(vocabulary=13, embedding=6, width=8, hidden=10, heads=2, groups=groups, length=9)
        made = drawn(partial(parts, sizes), rng, scale=size).double()
        twin = copy.deepcopy(made)
        batches = []
        for count in [3, 4, 2, 3][:steps]:
            pairs = []
            for _ in range(count):
                cut, length = (int(n) for n in torch.randint(2, 5, (2,), generator=rng))
                ids = torch.randint(1, 12, (cut + length,), generator=rng).tolist()
                label = int(torch.randint(2, (), generator=rng))
                pairs.append((ids, [0] * cut + [1] * length, label))
            batches.append(pairs)
        keep = copy.deepcopy(batches)
        losses = list(train_order(made, layers, batches, lr, pad))
        assert batches == keep, "`batches` must stay as they are"
        assert len(losses) == steps, f"{steps} batches give {steps} losses, got {len(losses)}"
        weights = list(twin.parameters())
        means, squares = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
        for step, pairs in enumerate(batches, 1):
            loss = 0.0
            for ids, segments, label in pairs:
                x = twin["word"].weight[ids] + twin["position"].weight[: len(ids)] + twin["segment"].weight[segments]
                x = twin["project"](twin["norm"](x))[None]
                for number in range(layers):
                    x = twin["groups"][number * groups // layers](x, torch.ones(1, len(ids), dtype=torch.bool))
                logits = twin["order"](torch.tanh(twin["pooler"](x[0, 0])))
                loss = loss - logits.log_softmax(-1)[label] / len(pairs)
            what = f"the loss of step {step}, with pad = {pad}, {groups} groups and {layers} layers"
            assert_close(losses[step - 1], float(loss.detach()), rtol=1e-3, atol=1e-5, message=what)
            grads = torch.autograd.grad(loss, weights)
            norm = sum(grad.square().sum() for grad in grads).sqrt()
            with torch.no_grad():
                for weight, grad, mean, square in zip(weights, grads, means, squares, strict=True):
                    grad = grad * min(1.0, 1 / float(norm))
                    mean.lerp_(grad, 0.1)
                    square.lerp_(grad.square(), 0.001)
                    step_size = lr * (mean / (1 - 0.9**step)) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
                    weight -= step_size
        for (name, one), right in zip(made.named_parameters(), weights, strict=True):
            assert_close(one, right, rtol=1e-3, atol=2e-4, message=f"{name} after {steps} steps")


@train_order.hidden("returns plain floats and trains from no pair that is not in its batch", points=1)
def _(train_order, rng):
    sizes = Sizes(vocabulary=9, embedding=4, width=8, hidden=8, heads=2, length=9)
    made = drawn(partial(parts, sizes), rng, scale=0.3)
    before = {name: weight.detach().clone() for name, weight in made.named_parameters()}
    losses = train_order(made, 2, [[([1, 3, 2, 4, 2], [0, 0, 0, 1, 1], 1), ([1, 5, 2], [0, 0, 1], 0)]], 0.01, 0)
    wrong = [type(loss).__name__ for loss in losses if not isinstance(loss, float)]
    assert not wrong, f"losses are plain floats, got {wrong}: a loss tensor keeps its whole graph in memory"
    for name, weight in made.named_parameters():
        moved = float((weight.detach() - before[name]).abs().max())
        assert 0 < moved < 0.011, f"one step of Adam with lr 0.01 moves {name} by at most 0.01, it moved by {moved:.4f}"
    unused = made["word"].weight[[6, 7, 8]].detach()
    assert_close(unused, before["word.weight"][[6, 7, 8]], message="the rows of words that were not in the batch")


def _rectangle(pairs, pad):
    longest = max(len(ids) for ids, _, _ in pairs)
    ids = torch.tensor([[*ids, *[pad] * (longest - len(ids))] for ids, _, _ in pairs])
    segments = torch.tensor([[*kinds, *[0] * (longest - len(kinds))] for _, kinds, _ in pairs])
    return ids, segments, torch.tensor([label for _, _, label in pairs])


@train_order.misconception(
    "You gave the optimiser only the order head; give it all of `parts`, because the encoder has to learn too.",
    name="head-alone",
)
def _(parts, layers, batches, lr, pad):
    optimizer, losses = torch.optim.Adam(parts["order"].parameters(), lr=lr), []
    for pairs in batches:
        ids, segments, labels = _rectangle(pairs, pad)
        loss = F.cross_entropy(parts["order"](albert(ids, segments, parts, layers, pad)[1]), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_order.misconception(
    "You did not clear the gradients, so each step also follows the gradients of all batches before it.",
    name="gradients-pile-up",
)
def _(parts, layers, batches, lr, pad):
    optimizer, losses = torch.optim.Adam(parts.parameters(), lr=lr), []
    for pairs in batches:
        ids, segments, labels = _rectangle(pairs, pad)
        loss = F.cross_entropy(parts["order"](albert(ids, segments, parts, layers, pad)[1]), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_order.misconception(
    "You filled up the pairs with 0; fill them with `pad`, which is what the encoder masks, or the filler counts as a "
    "word.",
    name="filled-with-zero",
)
def _(parts, layers, batches, lr, pad):
    optimizer, losses = torch.optim.Adam(parts.parameters(), lr=lr), []
    for pairs in batches:
        ids, segments, labels = _rectangle(pairs, 0)
        loss = F.cross_entropy(parts["order"](albert(ids, segments, parts, layers, pad)[1]), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_order.misconception(
    "You did not clip the joint norm of all gradients at 1; clip it after `backward` and before the step.",
    name="no-clipping",
)
def _(parts, layers, batches, lr, pad):
    optimizer, losses = torch.optim.Adam(parts.parameters(), lr=lr), []
    for pairs in batches:
        ids, segments, labels = _rectangle(pairs, pad)
        loss = F.cross_entropy(parts["order"](albert(ids, segments, parts, layers, pad)[1]), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_order.also_correct
def _(parts, layers, batches, lr, pad):
    weights, losses = list(parts.parameters()), []
    optimizer = torch.optim.AdamW(weights, lr=lr, weight_decay=0.0)
    for pairs in batches:
        ids = nn.utils.rnn.pad_sequence([torch.tensor(one) for one, _, _ in pairs], True, pad)
        segments = nn.utils.rnn.pad_sequence([torch.tensor(one) for _, one, _ in pairs], True, 1)
        logits = parts["order"](albert(ids, segments, parts, layers, pad)[1])
        loss = -logits.log_softmax(-1)[range(len(pairs)), [label for _, _, label in pairs]].mean()
        grads = torch.autograd.grad(loss, weights)
        norm = torch.stack([grad.norm() for grad in grads]).norm()
        for weight, grad in zip(weights, grads, strict=True):
            weight.grad = grad * min(1.0, 1.0 / (float(norm) + 1e-6))
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@train_order.also_correct
def _(parts, layers, batches, lr, pad):
    optimizer = torch.optim.Adam(list(parts.parameters()), lr)
    losses = []
    for pairs in batches:
        optimizer.zero_grad()
        loss = 0.0
        for ids, segments, label in pairs:
            _, pooled = albert(torch.tensor([ids]), torch.tensor([segments]), parts, layers, pad)
            loss = loss + F.cross_entropy(parts["order"](pooled), torch.tensor([label]))
        loss = loss / len(pairs)
        loss.backward()
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss))
    return losses
