import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.performer.exercises.causal_attention import causal_attention
from studium_topics.performer.exercises.linear_attention import linear_attention
from studium_topics.performer.exercises.log_features import log_features
from studium_topics.performer.exercises.stabilise import stabilise
from studium_topics.performer.model import decoder


@exercise(
    points=6,
    minutes=25,
    level="integrative",
    importance=3,
    hints=(
        "The features estimate exp(q · k), but attention needs exp(q · k / √d). What do you multiply q by, and what "
        "do you multiply k by?",
        "Inside the loop: choose this step's vectors, build a function `attend` from three of your functions, compute "
        "the loss, take one step.",
        "q, k and v are (B, H, T, d) and w is (m, d); your functions keep the leading axes as they are. The logits "
        "are (B, T, V), the labels (B, T).",
        "`stabilise(log_features(q * d**-0.25, w), False)` gives the features of the queries, and "
        "`F.cross_entropy(logits.flatten(0, 1), labels.flatten())` is the loss.",
    ),
)
def train_performer(model, batches, vectors, redraw, chunk, lr):
    """Train a decoder whose heads attend with your features; return the loss of each step.

    For each batch in order, take one step of `torch.optim.Adam` at rate lr on the mean
    cross-entropy. All heads use vectors[0] for the first `redraw` steps, vectors[1] for the
    next, and so on.

    * model(ids, attend): turns ids (B, T) into logits (B, T, V); train it in place. It calls
      attend(q, k, v), (B, H, T, d) each, for causal softmax attention with scores q · k / √d
    * batches: a list of pairs (ids, labels), each (B, T)
    * vectors: a list of random vectors for the features, (m, d) each
    * chunk: as for `causal_attention`
    * returns: a list of floats, each loss before its step
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for step, (ids, labels) in enumerate(batches):
        w = vectors[step // redraw]

        def attend(q, k, v, w=w):
            scale = q.shape[-1] ** -0.25
            qf = stabilise(log_features(q * scale, w), False)
            kf = stabilise(log_features(k * scale, w), True)
            return causal_attention(qf, kf, v, chunk)

        loss = F.cross_entropy(model(ids, attend).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


@train_performer.test("reads with the features of the first vectors, and learns", points=2)
def _(train_performer, rng):
    model = decoder(11, seed=4, width=16, layers=1, heads=2, hidden=24).double()
    for layer in model.layers:  # queries and keys of some length, so that attention has favourites
        for part in (layer.attention.q, layer.attention.k):
            part.weight.data.mul_(3)
    ids = torch.randint(11, (3, 9), generator=rng)
    w = torch.randn(12, 8, generator=rng, dtype=torch.float64)

    def oracle(q, k, v):
        q, k = (part / 8**0.25 for part in (q, k))
        qf, kf = (torch.exp(part @ w.T - part.square().sum(-1, keepdim=True) / 2) for part in (q, k))
        weights = (qf @ kf.mT) * torch.ones(9, 9, dtype=torch.float64).tril()
        return weights / weights.sum(-1, keepdim=True) @ v

    labels = (ids + 1) % 11
    with torch.no_grad():
        first = F.cross_entropy(model(ids, oracle).flatten(0, 1), labels.flatten())
    losses = train_performer(model, [(ids, labels)] * 6, [w, w, w], 2, 4, 0.04)
    assert len(losses) == 6, f"one loss for each of 6 batches is needed, got {len(losses)}"
    assert all(isinstance(loss, float) for loss in losses), f"floats are expected, got {type(losses[0]).__name__}"
    assert_close(float(losses[0]), first.item(), rtol=1e-6, atol=1e-6, message="the loss before the first step")
    assert losses[-1] < losses[0] - 0.3, (
        f"6 steps on one batch lower its loss; yours: {losses[0]:.3f}, {losses[-1]:.3f}"
    )


@train_performer.hidden("takes one Adam step for each batch, and changes the vectors in time", points=3)
def _(train_performer, rng):
    for heads, length, redraw, chunk, lr, steps in (
        (2, 7, 2, 3, 0.03, 4),
        (4, 5, 9, 8, 0.02, 3),
    ):
        model, twin = (decoder(9, seed=heads, width=16, layers=1, heads=heads, hidden=20).double() for _ in range(2))
        for one in (model, twin):
            for layer in one.layers:
                for part in (layer.attention.q, layer.attention.k):
                    part.weight.data.mul_(3)
        ids = torch.randint(9, (steps, 2, length), generator=rng)
        batches = [(part, (2 * part + 3) % 9) for part in ids]
        drawn = [torch.randn(6, 16 // heads, generator=rng, dtype=torch.float64) for _ in range(steps)]
        losses = train_performer(model, batches, drawn, redraw, chunk, lr)
        expected = []
        optimizer = torch.optim.Adam(twin.parameters(), lr=lr)
        for step, (inputs, labels) in enumerate(batches):
            w = drawn[step // redraw]

            def oracle(q, k, v, w=w, heads=heads):
                q, k = (part / (16 // heads) ** 0.25 for part in (q, k))
                qf, kf = (torch.exp(part @ w.T - part.square().sum(-1, keepdim=True) / 2) for part in (q, k))
                weights = (qf @ kf.mT).tril()
                return weights / weights.sum(-1, keepdim=True) @ v

            loss = F.cross_entropy(twin(inputs, oracle).flatten(0, 1), labels.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            expected.append(loss.item())
        what = f"{steps} steps with new vectors every {redraw}: "
        assert_close([float(loss) for loss in losses], expected, rtol=1e-5, atol=1e-6, message=what + "the losses")
        for found, right in zip(model.parameters(), twin.parameters(), strict=True):
            assert_close(found.detach(), right.detach(), rtol=1e-4, atol=1e-5, message=what + "the weights afterwards")


@train_performer.hidden("survives long queries and keys in float32", points=1)
def _(train_performer, rng):
    model = decoder(9, seed=1, width=16, layers=1, heads=2, hidden=16)
    for part in (model.layers[0].attention.q, model.layers[0].attention.k):
        part.weight.data.mul_(10)
    ids = torch.arange(12).reshape(2, 6) % 9
    vectors = [torch.randn(20, 8, generator=rng) for _ in range(3)]
    losses = train_performer(model, [(ids, ids)] * 3, vectors, 1, 5, 1e-3)
    assert len(losses) == 3, f"one loss for each of 3 batches is needed, got {len(losses)}"
    assert all(math.isfinite(loss) for loss in losses), (
        f"the losses stay finite for long queries and keys, got {losses}"
    )


@train_performer.misconception(
    "You left out `stabilise`. Features of long queries and keys underflow to 0 in float32, and attention becomes 0 / "
    "0.",
    name="not-stabilised",
)
def _(model, batches, vectors, redraw, chunk, lr):
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=lr), []
    for step, (ids, labels) in enumerate(batches):
        w = vectors[step // redraw]

        def attend(q, k, v, w=w):
            scale = q.shape[-1] ** -0.25
            features = [log_features(part * scale, w).exp() for part in (q, k)]
            return causal_attention(*features, v, chunk)

        loss = F.cross_entropy(model(ids, attend).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_performer.misconception(
    "You divided both q and k by √d, so the scores are q · k / d; divide each of them by the fourth root of d.",
    name="root-on-both-sides",
)
def _(model, batches, vectors, redraw, chunk, lr):
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=lr), []
    for step, (ids, labels) in enumerate(batches):
        w = vectors[step // redraw]

        def attend(q, k, v, w=w):
            scale = q.shape[-1] ** -0.5
            features = [stabilise(log_features(part * scale, w), part is k) for part in (q, k)]
            return causal_attention(*features, v, chunk)

        loss = F.cross_entropy(model(ids, attend).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_performer.misconception(
    "You did not scale q and k. The features then estimate exp(q · k), but attention needs exp(q · k / √d).",
    name="not-scaled",
)
def _(model, batches, vectors, redraw, chunk, lr):
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=lr), []
    for step, (ids, labels) in enumerate(batches):
        w = vectors[step // redraw]

        def attend(q, k, v, w=w):
            features = [stabilise(log_features(part, w), part is k) for part in (q, k)]
            return causal_attention(*features, v, chunk)

        loss = F.cross_entropy(model(ids, attend).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_performer.misconception(
    "You used attention without a mask, so each token reads the token that it should predict, and the loss falls for "
    "the wrong reason.",
    name="not-causal",
)
def _(model, batches, vectors, redraw, chunk, lr):
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=lr), []
    for step, (ids, labels) in enumerate(batches):
        w = vectors[step // redraw]

        def attend(q, k, v, w=w):
            scale = q.shape[-1] ** -0.25
            features = [stabilise(log_features(part * scale, w), part is k) for part in (q, k)]
            return linear_attention(*features, v)

        loss = F.cross_entropy(model(ids, attend).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_performer.misconception(
    "You kept the first vectors to the end, so the model can fit itself to the error of one draw; change them every "
    "`redraw` steps.",
    name="never-redrawn",
)
def _(model, batches, vectors, redraw, chunk, lr):
    return train_performer(model, batches, vectors, len(batches) + 1, chunk, lr)


@train_performer.misconception(
    "You took other vectors in every step; use each of them for `redraw` steps.",
    name="redrawn-each-step",
)
def _(model, batches, vectors, redraw, chunk, lr):
    return train_performer(model, batches, vectors * redraw, 1, chunk, lr)


@train_performer.misconception(
    "You never set the gradients back to zero, so each step follows the sum of all gradients so far.",
    name="gradients-pile-up",
)
def _(model, batches, vectors, redraw, chunk, lr):
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=lr), []
    for step, (ids, labels) in enumerate(batches):
        w = vectors[step // redraw]

        def attend(q, k, v, w=w):
            scale = q.shape[-1] ** -0.25
            features = [stabilise(log_features(part * scale, w), part is k) for part in (q, k)]
            return causal_attention(*features, v, chunk)

        loss = F.cross_entropy(model(ids, attend).flatten(0, 1), labels.flatten())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_performer.misconception(
    "You made a new optimizer in each step, so Adam forgets its moments and every step is a first step; make one "
    "before the loop.",
    name="new-optimizer-each-step",
)
def _(model, batches, vectors, redraw, chunk, lr):
    losses = []
    for step, batch in enumerate(batches):
        losses += train_performer(model, [batch], [vectors[step // redraw]], 1, chunk, lr)
    return losses


@train_performer.also_correct
def _(model, batches, vectors, redraw, chunk, lr):
    current = {}

    def features(x, keys):
        return stabilise(log_features(x / x.shape[-1] ** 0.25, current["w"]), keys)

    def attend(q, k, v):
        return causal_attention(features(q, False), features(k, True), v, chunk)

    optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=0.0)
    losses = []
    for step, (ids, labels) in enumerate(batches):
        current["w"] = vectors[step // redraw]
        model.zero_grad()
        logits = model(ids, attend)
        loss = torch.nn.CrossEntropyLoss()(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@train_performer.also_correct
def _(model, batches, vectors, redraw, chunk, lr):
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=lr)
    losses = []
    served = [w for w in vectors for _ in range(redraw)]
    for (ids, labels), w in zip(batches, served, strict=False):

        def attend(q, k, v, w=w):
            q, k = (part * part.shape[-1] ** -0.25 for part in (q, k))
            logs = [part @ w.mT - part.square().sum(-1, keepdim=True) / 2 for part in (q, k)]
            weights = (stabilise(logs[0], False) @ stabilise(logs[1], True).mT).tril()
            return weights / weights.sum(-1, keepdim=True) @ v

        loss = -model(ids, attend).log_softmax(-1).gather(-1, labels[..., None]).mean()
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()
        losses.append(loss.item())
    return losses
