from itertools import islice

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.kits.weights import drawn
from studium_topics.roberta.exercises.accumulate import accumulate


@exercise(
    points=6,
    minutes=30,
    level="integrative",
    importance=3,
    kind="write",
    hints=(
        "What happens only once, what happens in each epoch, and what in each update?",
        "Outside: two groups of parameters and one optimiser. In an epoch: get the data, draw an order, cut it into "
        "batches. In an update: set the rate, clear the gradients, accumulate, step, record the loss.",
        "The order is a vector of N row numbers; a batch is `batch` of them; the loss of each update is one float.",
        "`torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), eps=1e-6)`; `for group in optimizer.param_groups: "
        "group['lr'] = ...`; `for rows in order.split(batch): ... inputs[rows]`; stop at `len(losses) == updates`.",
    ),
)
def pretrain(model, data, updates, batch, micro, lr, generator):
    """Train a model in place with RoBERTa's recipe, and return the loss of each update, as returned by `accumulate`.

    | setting | value |
    |---|---|
    | order | `torch.randperm(N, generator=generator)`, drawn every epoch; cut into batches, the last may be smaller |
    | gradient of a batch | `accumulate`, micro rows at a time |
    | AdamW | betas 0.9 and 0.98, eps 1e-6, gradients not clipped |
    | weight decay | 0.01 for parameters with two or more axes, otherwise 0 |
    | learning rate of update n = 1 … U | lr · min(n / w, (U + 1 − n) / (U + 1 − w)), where w = max(1, U // 10) |

    - data(epoch): inputs and labels (N, T), for epoch 0, 1, 2, …; call it once per epoch.
    - updates: U, when to stop, possibly in the middle of an epoch.
    """
    ### BEGIN SOLUTION
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), eps=1e-6)
    warm = max(1, updates // 10)
    losses, epoch = [], 0
    while len(losses) < updates:
        inputs, labels = data(epoch)
        order = torch.randperm(len(inputs), generator=generator)
        for rows in order.split(batch)[: updates - len(losses)]:
            n = len(losses) + 1
            for group in optimizer.param_groups:
                group["lr"] = lr * min(n / warm, (updates + 1 - n) / (updates + 1 - warm))
            optimizer.zero_grad()
            losses.append(float(accumulate(model, inputs[rows], labels[rows], micro)))
            optimizer.step()
        epoch += 1
    return losses
    ### END SOLUTION


pretrain.equivalent(
    "optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6)", "the loop sets the rate before each update"
)

pretrain.equivalent(
    "losses.append((accumulate(model, inputs[rows], labels[rows], micro)))", "accumulate already returns a float"
)


@pretrain.test("learns which token goes with which, epoch by epoch", points=1)
def _(pretrain):
    generator = torch.Generator().manual_seed(5)
    model = drawn(lambda: nn.Sequential(nn.Embedding(7, 9), nn.Linear(9, 7)), generator, scale=0.3)
    ids = torch.randint(7, (10, 8), generator=generator)
    epochs = []

    def data(epoch):
        epochs.append(epoch)
        return ids, (3 * ids + 1) % 7  # each token has one answer

    losses = pretrain(model, data, 50, 4, 3, 0.1, torch.Generator().manual_seed(1))
    assert len(losses) == 50, f"50 updates give 50 losses, got {len(losses)}"
    assert epochs == list(range(17)), (
        f"10 rows in batches of 4 are 3 updates an epoch, so 50 updates ask for epochs 0 to 16 once each, got {epochs}"
    )
    assert losses[-1] < 0.2, f"after 50 updates the loss of this simple task should be below 0.2, got {losses[-1]:.2f}"


@pretrain.hidden("follows AdamW with warm-up and decay, update by update", points=4)
def _(pretrain, rng):
    for updates, rows, batch, micro, lr in ((29, 7, 3, 2, 0.05), (40, 5, 5, 1, 0.02), (7, 6, 4, 9, 0.1)):
        parts = (lambda: nn.Embedding(9, 6)), (lambda: nn.LayerNorm(6)), (lambda: nn.Linear(6, 9))
        model = nn.Sequential(*(drawn(part, rng, scale=1.0) for part in parts)).double()
        all_ids = torch.randint(9, (rows, 5), generator=rng)
        seed = int(torch.randint(10**6, (), generator=rng))

        def data(epoch, all_ids=all_ids):
            inputs = (all_ids + epoch) % 9
            labels = torch.where((inputs + epoch) % 3 == 1, (inputs * inputs) % 9, -100)
            return inputs, labels.index_fill(1, torch.tensor([0]), 4)

        values, expected = [p.detach().clone() for p in model.parameters()], []
        means, squares = ([torch.zeros_like(p) for p in values] for _ in range(2))
        again, epoch, left = torch.Generator().manual_seed(seed), 0, []
        for n in range(1, updates + 1):  # AdamW, written out
            if not left:
                inputs, labels = data(epoch)
                left, epoch = torch.randperm(rows, generator=again).tolist(), epoch + 1
            now, left = left[:batch], left[batch:]
            leaves = [p.clone().requires_grad_() for p in values]
            hidden = F.layer_norm(F.embedding(inputs[now], leaves[0]), (6,), leaves[1], leaves[2], model[1].eps)
            logits = (hidden @ leaves[3].T + leaves[4]).flatten(0, 1)
            loss = F.cross_entropy(logits, labels[now].flatten(), ignore_index=-100)
            grads = torch.autograd.grad(loss, leaves)
            warm = max(1, updates // 10)
            rate = lr * n / warm if n <= warm else lr * (updates + 1 - n) / (updates + 1 - warm)
            for i, g in enumerate(grads):
                means[i], squares[i] = 0.9 * means[i] + 0.1 * g, 0.98 * squares[i] + 0.02 * g * g
                step = means[i] / (1 - 0.9**n) / ((squares[i] / (1 - 0.98**n)).sqrt() + 1e-6)
                values[i] = values[i] * (1 - rate * 0.01 * (i in (0, 3))) - rate * step
            expected.append(loss.item())
        losses = pretrain(model, data, updates, batch, micro, lr, torch.Generator().manual_seed(seed))
        found = [float(loss) for loss in losses]
        assert len(found) == updates, f"{updates} updates give {updates} losses, got {len(found)}"
        for n, (one, right) in enumerate(zip(found, expected, strict=True), 1):
            assert abs(one - right) <= 1e-4 * (1 + abs(right)), (
                f"the loss of update {n} of {updates} (lr {lr}, {rows} rows, batch {batch}) should be {right:.5f}, "
                f"got {one:.5f}"
            )
        names = ("embedding", "norm's scale", "norm's shift", "matrix", "bias")
        for name, parameter, right in zip(names, model.parameters(), values, strict=True):
            what = f"the {name} after {updates} updates"
            assert_close(parameter.detach(), right, rtol=1e-4, atol=1e-5, message=what)


@pretrain.hidden("shrinks the rows of tokens that never come, and runs micro rows at a time", points=1)
def _(pretrain, rng):
    for updates, lr in ((29, 0.5), (44, 0.2)):
        net = drawn(lambda: nn.Sequential(nn.Embedding(8, 4), nn.Linear(4, 8)).double(), rng, scale=1.0)
        unused = net[0].weight[5:].detach().clone()
        ids = torch.randint(5, (6, 4), generator=rng)
        sizes = []
        handle = net.register_forward_pre_hook(lambda _, arguments, sizes=sizes: sizes.append(len(arguments[0])))
        pretrain(net, lambda _, ids=ids: (ids, ids), updates, 5, 2, lr, rng)
        handle.remove()
        rounds = updates // 2
        assert sorted(sizes) == sorted([2, 2, 1, 1] * rounds + [2, 2, 1] * (updates % 2)), (
            "6 rows in batches of 5, 2 at a time, are parts of 2, 2 and 1 rows and then one of 1 row, in each epoch"
        )
        warm, left = updates // 10, 1.0
        for n in range(1, updates + 1):
            left *= 1 - 0.01 * lr * min(n / warm, (updates + 1 - n) / (updates + 1 - warm))
        what = f"in {updates} updates at lr {lr} weight decay alone should leave {left:.4f} of an unused row"
        assert_close(net[0].weight[5:].detach(), left * unused, rtol=1e-5, atol=1e-7, message=what)


@pretrain.misconception(
    "You did not clear the gradients between updates; `accumulate` adds to the gradients already stored, so each "
    "update repeats all the earlier ones.",
    name="gradients-add-up",
)
def _(model, data, updates, batch, micro, lr, generator):
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.01},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), eps=1e-6)
    warm, losses, epoch = max(1, updates // 10), [], 0
    while len(losses) < updates:
        inputs, labels = data(epoch)
        for rows in torch.randperm(len(inputs), generator=generator).split(batch)[: updates - len(losses)]:
            n = len(losses) + 1
            for group in optimizer.param_groups:
                group["lr"] = lr * min(n / warm, (updates + 1 - n) / (updates + 1 - warm))
            losses.append(accumulate(model, inputs[rows], labels[rows], micro))
            optimizer.step()
        epoch += 1
    return losses


@pretrain.misconception(
    "You kept the optimiser's default beta2 of 0.999; use 0.98, as RoBERTa does, so the second moment adapts faster.",
    name="default-betas",
)
def _(model, data, updates, batch, micro, lr, generator):
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.01},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=lr, eps=1e-6)
    warm, losses, epoch = max(1, updates // 10), [], 0
    while len(losses) < updates:
        inputs, labels = data(epoch)
        for rows in torch.randperm(len(inputs), generator=generator).split(batch)[: updates - len(losses)]:
            n = len(losses) + 1
            for group in optimizer.param_groups:
                group["lr"] = lr * min(n / warm, (updates + 1 - n) / (updates + 1 - warm))
            optimizer.zero_grad()
            losses.append(accumulate(model, inputs[rows], labels[rows], micro))
            optimizer.step()
        epoch += 1
    return losses


@pretrain.misconception(
    "You made an update for each part of `micro` rows; make one update for all parts of a batch, because that is why "
    "gradients are accumulated.",
    name="update-for-each-part",
)
def _(model, data, updates, batch, micro, lr, generator):
    return pretrain(model, data, updates, min(micro, batch), micro, lr, generator)


@pretrain.misconception(
    "You kept the learning rate at `lr` throughout; let it rise during the first tenth of the updates and fall after "
    "that.",
    name="constant-rate",
)
def _(model, data, updates, batch, micro, lr, generator):
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.01},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), eps=1e-6)
    losses, epoch = [], 0
    while len(losses) < updates:
        inputs, labels = data(epoch)
        for rows in torch.randperm(len(inputs), generator=generator).split(batch)[: updates - len(losses)]:
            optimizer.zero_grad()
            losses.append(accumulate(model, inputs[rows], labels[rows], micro))
            optimizer.step()
        epoch += 1
    return losses


@pretrain.misconception(
    "You used only the data of epoch 0, so every epoch has the same masks; call `data` for each epoch.",
    name="data-of-epoch-zero",
)
def _(model, data, updates, batch, micro, lr, generator):
    first = data(0)
    return pretrain(model, lambda epoch: first, updates, batch, micro, lr, generator)


@pretrain.misconception(
    "You applied weight decay to every parameter; use 0 for the biases and for the scales and shifts of norms.",
    name="everything-decays",
)
def _(model, data, updates, batch, micro, lr, generator):
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01)
    warm, losses, epoch = max(1, updates // 10), [], 0
    while len(losses) < updates:
        inputs, labels = data(epoch)
        for rows in torch.randperm(len(inputs), generator=generator).split(batch)[: updates - len(losses)]:
            n = len(losses) + 1
            optimizer.param_groups[0]["lr"] = lr * min(n / warm, (updates + 1 - n) / (updates + 1 - warm))
            optimizer.zero_grad()
            losses.append(accumulate(model, inputs[rows], labels[rows], micro))
            optimizer.step()
        epoch += 1
    return losses


@pretrain.also_correct
def _(model, data, updates, batch, micro, lr, generator):
    decayed = [{"params": [p], "weight_decay": 0.01 * (p.ndim > 1)} for p in model.parameters()]
    optimizer = torch.optim.AdamW(decayed, lr=lr, betas=(0.9, 0.98), eps=1e-6)
    warm = max(1, updates // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: min((done + 1) / warm, (updates - done) / (updates + 1 - warm))
    )

    def batches():
        epoch = 0
        while True:
            inputs, labels = data(epoch)
            order = torch.randperm(inputs.shape[0], generator=generator)
            for start in range(0, len(order), batch):
                rows = order[start : start + batch]
                yield inputs[rows], labels[rows]
            epoch += 1

    losses = []
    for inputs, labels in islice(batches(), updates):
        losses.append(accumulate(model, inputs, labels, micro))
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    return losses
