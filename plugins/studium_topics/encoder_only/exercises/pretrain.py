from functools import partial

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.encoder_only.exercises.mlm_loss import mlm_loss
from studium_topics.kits.weights import drawn


@exercise(
    points=6,
    minutes=30,
    level="integrative",
    importance=3,
    kind="write",
    hints=(
        "What has to happen in every step, and what only once, before the loop?",
        "Before the loop: two groups of parameters and one optimiser. In the loop: set the rate, make the task, "
        "compute the loss, clear the gradients, go backward, clip, step, record the loss.",
        "A matrix has two axes and a bias has one; each group is a dict with `params` and `weight_decay`; the loss of "
        "each step is one float.",
        "`torch.optim.AdamW(groups, lr=lr)`; `for group in optimizer.param_groups: group['lr'] = ...`; "
        "`nn.utils.clip_grad_norm_(model.parameters(), 1.0)` between `loss.backward()` and `optimizer.step()`.",
    ),
)
def pretrain(model, batches, task, lr):
    """Train a model in place with AdamW, one step for each batch, and return the losses.

    | setting | value |
    |---|---|
    | learning rate of step n = 1 … N | lr · min(n / w, (N + 1 − n) / (N + 1 − w)), where w = max(1, N // 10) |
    | weight decay | 0.01 for parameters with two or more axes, 0 for biases and norms |
    | gradients | their joint norm is clipped at 1 |

    - model: a module; model(inputs) gives logits (B, T, V).
    - batches: a list of N tensors of ids (B, T), used in order.
    - task(ids): returns the inputs and the labels for `mlm_loss`; call it once per step.
    - Returns N floats: the loss of each batch before its step.
    """
    ### BEGIN SOLUTION
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr)
    steps = len(batches)
    warm = max(1, steps // 10)
    losses = []
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


pretrain.equivalent("optimizer = torch.optim.AdamW(groups)", "the loop sets the rate before each step")


@pretrain.test("learns which word follows which, and returns a loss for each batch", points=1)
def _(pretrain):
    generator = torch.Generator().manual_seed(5)
    model = drawn(lambda: nn.Sequential(nn.Embedding(7, 9), nn.Linear(9, 7)), generator, scale=0.3)
    batches = [torch.randint(7, (6, 8), generator=generator) for _ in range(60)]

    def task(ids):
        return ids, (3 * ids + 1) % 7  # each word has one answer

    def loss_now():
        with torch.no_grad():
            return float(F.cross_entropy(model(batches[0]).flatten(0, 1), task(batches[0])[1].flatten()))

    start = loss_now()
    losses = pretrain(model, batches, task, 0.1)
    assert len(losses) == 60, f"60 batches give 60 losses, got {len(losses)}"
    assert_close(losses[0], start, rtol=1e-4, message="the first loss, before the first step")
    end = loss_now()
    assert end < 0.2, f"after 60 steps the loss of this simple task should be below 0.2, got {end:.2f}"


@pretrain.hidden("follows AdamW with warm-up, decay and clipping, step by step", points=4)
def _(pretrain, rng):
    for steps, lr, size in ((29, 0.03, 2.0), (40, 0.02, 0.4), (7, 0.05, 1.0)):
        parts = partial(nn.Embedding, 9, 6), partial(nn.LayerNorm, 6), partial(nn.Linear, 6, 9)
        model = nn.Sequential(*(drawn(part, rng, scale=size) for part in parts)).double()
        data = [torch.randint(9, (3, 5), generator=rng) for _ in range(steps)]
        seen = []

        def task(ids, seen=seen):
            seen.append(ids)
            return (ids + 2) % 9, torch.where(ids % 3 == 1, (ids * ids) % 9, -100).index_fill(1, torch.tensor([0]), 4)

        table, scale, shift, out, bias = (p.detach().clone() for p in model.parameters())
        values, expected = [table, scale, shift, out, bias], []
        means, squares = ([torch.zeros_like(p) for p in values] for _ in range(2))
        for n, ids in enumerate(data, 1):  # AdamW, written out
            leaves = [p.clone().requires_grad_() for p in values]
            inputs, labels = task(ids)
            hidden = F.layer_norm(F.embedding(inputs, leaves[0]), (6,), leaves[1], leaves[2], model[1].eps)
            logits = (hidden @ leaves[3].T + leaves[4]).flatten(0, 1)
            loss = F.cross_entropy(logits, labels.flatten(), ignore_index=-100)
            grads = torch.autograd.grad(loss, leaves)
            norm = sum(float(g.square().sum()) for g in grads) ** 0.5
            warm = max(1, steps // 10)
            rate = lr * n / warm if n <= warm else lr * (steps + 1 - n) / (steps + 1 - warm)
            for i, grad in enumerate(grads):
                g = grad / max(1.0, norm)
                means[i], squares[i] = 0.9 * means[i] + 0.1 * g, 0.999 * squares[i] + 0.001 * g * g
                step = means[i] / (1 - 0.9**n) / ((squares[i] / (1 - 0.999**n)).sqrt() + 1e-8)
                values[i] = values[i] * (1 - rate * 0.01 * (i in (0, 3))) - rate * step
            expected.append(loss.item())
        seen.clear()
        found = [float(loss) for loss in pretrain(model, data, task, lr)]
        assert len(seen) == steps, f"task is called once for each of the {steps} steps, it was called {len(seen)} times"
        assert len(found) == steps, f"{steps} batches give {steps} losses, got {len(found)}"
        for n, (one, right) in enumerate(zip(found, expected, strict=True), 1):
            assert abs(one - right) <= 1e-4 * (1 + abs(right)), (
                f"the loss of step {n} of {steps} (lr {lr}) should be {right:.5f}, got {one:.5f}"
            )
        names = ("embedding", "norm's scale", "norm's shift", "matrix", "bias")
        for name, parameter, right in zip(names, model.parameters(), values, strict=True):
            what = f"the {name} after {steps} steps"
            assert_close(parameter.detach(), right, rtol=1e-4, atol=1e-5, message=what)


@pretrain.hidden("shrinks the rows of words that never come, and no bias", points=1)
def _(pretrain, rng):
    for steps, lr in ((29, 0.5), (44, 0.2)):
        net = drawn(lambda: nn.Sequential(nn.Embedding(8, 4), nn.Linear(4, 8)).double(), rng, scale=1.0)
        unused = net[0].weight[5:].detach().clone()
        data = [torch.randint(5, (3, 4), generator=rng) for _ in range(steps)]

        def task(ids):
            return ids, ids

        pretrain(net, data, task, lr)
        warm, left = steps // 10, 1.0
        for n in range(1, steps + 1):
            left *= 1 - 0.01 * lr * min(n / warm, (steps + 1 - n) / (steps + 1 - warm))
        what = f"in {steps} steps at lr {lr} weight decay alone should leave {left:.4f} of an unused row"
        assert_close(net[0].weight[5:].detach(), left * unused, rtol=1e-5, atol=1e-7, message=what)


@pretrain.misconception(
    "You did not clear the gradients between steps; `backward` adds to the gradients already stored, so each step "
    "repeats all the earlier ones.",
    name="gradients-add-up",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You applied weight decay to every parameter; exempt the biases and the scales and shifts of norms, because "
    "pulling a scale towards 0 silences its layer.",
    name="everything-decays",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.01}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You applied no weight decay; use 0.01 for the parameters with two or more axes.",
    name="nothing-decays",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.0}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You kept the learning rate at `lr` throughout; let it rise during the first tenth of the steps and fall after "
    "that.",
    name="constant-rate",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    for ids in batches:
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You started at the full learning rate; let it rise from lr / w to lr over the first N // 10 steps.",
    name="no-warm-up",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You kept the learning rate at `lr` after the warm-up; from there it should fall in a straight line.",
    name="rate-stays-up",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    warm = max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, 1.0)
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You counted the steps from 0, so the first step has a learning rate of 0 and its batch is wasted; start n at 1.",
    name="counted-from-zero",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You did not clip the gradients; where their joint norm exceeds 1, scale them down to a norm of 1.",
    name="not-clipped",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You clipped the gradient of each parameter separately; clip the norm of all the gradients together, which keeps "
    "the direction of the step.",
    name="clipped-one-by-one",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        for parameter in model.parameters():
            nn.utils.clip_grad_norm_(parameter, 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You used Adam with weight decay, which adds the decay to the gradient, and Adam then rescales it; use AdamW, "
    "which shrinks the weights directly.",
    name="decay-in-the-gradient",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.Adam(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.also_correct
def _(model, batches, task, lr):
    parameters = list(model.parameters())
    steps = len(batches)
    warm = max(1, steps // 10)
    optimizer = torch.optim.AdamW(
        [{"params": [p], "weight_decay": 0.01 if p.ndim > 1 else 0.0} for p in parameters], lr
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: min((done + 1) / warm, (steps - done) / (steps + 1 - warm))
    )
    losses = []
    for ids in batches:
        optimizer.zero_grad(set_to_none=False)
        inputs, labels = task(ids)
        logits = model(inputs)
        loss = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=-100)
        loss.backward()
        norm = torch.cat([p.grad.flatten() for p in parameters]).norm()
        for p in parameters:
            p.grad /= norm.clamp(min=1)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


@pretrain.also_correct
def _(model, batches, task, lr):
    steps, losses = len(batches), []
    warm = max(1, steps // 10)
    state = [(p, torch.zeros_like(p), torch.zeros_like(p)) for p in model.parameters()]
    for n in range(1, steps + 1):
        rate = lr * (n / warm if n <= warm else (steps + 1 - n) / (steps + 1 - warm))
        inputs, labels = task(batches[n - 1])
        loss = mlm_loss(model(inputs), labels)
        grads = torch.autograd.grad(loss, [p for p, _, _ in state])
        norm = torch.stack([g.norm() for g in grads]).norm()
        with torch.no_grad():
            for (p, mean, square), grad in zip(state, grads, strict=True):
                grad = grad / norm.clamp(min=1.0)
                mean.lerp_(grad, 0.1)
                square.mul_(0.999).addcmul_(grad, grad, value=0.001)
                if p.ndim >= 2:
                    p.mul_(1 - 0.01 * rate)
                p.sub_(rate * (mean / (1 - 0.9**n)) / ((square / (1 - 0.999**n)).sqrt() + 1e-8))
        losses.append(loss.item())
    return losses
