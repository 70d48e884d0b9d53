import copy

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.mqa_gqa.exercises.convert_checkpoint import convert_checkpoint
from studium_topics.mqa_gqa.model import Sizes, grouped_lm


@exercise(
    points=4,
    minutes=20,
    level="integrative",
    importance=3,
    hints=(
        "The converted weights do not have the shape of the model's weights. Into which network do they fit?",
        "Load the converted checkpoint into a network from `smaller`, and train that network: for each batch compute "
        "the loss and the gradients and take a step. The learning rate falls after each step.",
        "The logits are (B, T, V) and the labels (B, T): the cross-entropy takes (B · T, V) and (B · T,). With n "
        "batches, step i = 0, 1, … has the rate lr · (1 − i / n).",
        "`torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, n)` makes the rate fall; call its `.step()` after the "
        "optimizer's.",
    ),
)
def uptrain(model, smaller, heads, groups, batches, lr):
    """Return a multi-head model with fewer key and value heads, converted and trained further, and the cost of this.

    Take one step of `torch.optim.Adam` for each batch in order, on all parameters and the mean
    cross-entropy. The rate falls linearly, from lr for the first batch to lr / n for the last of n.

    * model: ids (B, T) to logits (B, T, V); it is not changed
    * smaller: called without arguments, it returns such a model with `groups` heads and new weights
    * batches: pairs (ids, labels), each (B, T); the labels are already shifted
    * returns: the trained model; its loss on the first batch before training, minus the loss of `model`;
      the loss of each batch, before its step, as floats
    """
    ### BEGIN SOLUTION
    pooled = smaller()
    pooled.load_state_dict(convert_checkpoint(model.state_dict(), heads, groups))
    optimizer = torch.optim.Adam(pooled.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(batches))

    def loss_on(network, batch):
        ids, labels = batch
        return F.cross_entropy(network(ids).flatten(0, 1), labels.flatten())

    with torch.no_grad():
        before = loss_on(model, batches[0]).item()
    losses = []
    for batch in batches:
        loss = loss_on(pooled, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return pooled, losses[0] - before, losses
    ### END SOLUTION


@uptrain.test("starts from pooled heads, and lowers the loss of a batch that comes again", points=1)
def _(uptrain, rng):
    def attention(q, k, v, causal):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)

    seed, ids = int(torch.randint(1000, (1,), generator=rng)), torch.randint(9, (3, 6), generator=rng)
    model, fresh = (grouped_lm(9, Sizes(4, groups, 4, 16, 1), attention, seed + groups) for groups in (4, 2))
    batch = (ids[:, :-1], ids[:, 1:])
    pooled, damage, losses = uptrain(model, lambda: copy.deepcopy(fresh), 4, 2, [batch] * 30, 0.02)
    keys = tuple(pooled.layers[0].attention.k_proj.weight.shape)
    assert keys == (8, 16), f"the trained model must have 2 heads of keys, a weight of (8, 16), got {keys}"
    converted, state = copy.deepcopy(fresh), dict(model.state_dict())
    for name in ("layers.0.attention.k_proj.weight", "layers.0.attention.v_proj.weight"):
        state[name] = state[name].view(2, 2, 4, 16).mean(1).view(8, 16)
    converted.load_state_dict(state)
    losses_of = (F.cross_entropy(m(batch[0]).flatten(0, 1), batch[1].flatten()).item() for m in (model, converted))
    own, first = losses_of
    assert_close(losses[0], first, rtol=1e-4, atol=1e-4, message="the first loss, of the converted model")
    assert_close(damage, first - own, rtol=1e-3, atol=1e-4, message="what the conversion cost, on the first batch")
    assert losses[-1] < losses[0] - 0.3, f"30 steps must lower the loss: from {losses[0]:.3f} to {losses[-1]:.3f}"


@uptrain.hidden("takes one step a batch, at a rate that falls, and leaves the multi-head model as it was", points=3)
def _(uptrain, rng):
    def attention(q, k, v, causal):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)

    for groups, count, lr in ((2, 7, 0.03), (1, 4, 0.01)):
        seed = int(torch.randint(1000, (1,), generator=rng))
        model, fresh = (grouped_lm(9, Sizes(4, g, 4, 16, 1), attention, seed + g).double() for g in (4, groups))
        texts = torch.randint(9, (count, 3, 6), generator=rng)
        batches = [(ids[:, :-1], ids[:, 1:]) for ids in texts.clone()]
        kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        expected, state, losses = copy.deepcopy(fresh), dict(kept), []
        for name in ("layers.0.attention.k_proj.weight", "layers.0.attention.v_proj.weight"):
            state[name] = state[name].view(groups, 4 // groups, 4, 16).mean(1).view(4 * groups, 16)
        expected.load_state_dict(state)
        optimizer = torch.optim.Adam(expected.parameters())
        for i, ids in enumerate(texts):
            loss = F.cross_entropy(expected(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
            optimizer.param_groups[0]["lr"] = lr * (count - i) / count
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        pooled, damage, found = uptrain(model, lambda fresh=fresh: copy.deepcopy(fresh), 4, groups, batches, lr)
        what = f"with {groups} heads left and {count} batches"
        assert_close(found, losses, rtol=1e-3, atol=1e-4, message=f"the loss of each batch {what}")
        own = F.cross_entropy(model(texts[0][:, :-1]).flatten(0, 1), texts[0][:, 1:].flatten()).item()
        assert_close(damage, losses[0] - own, rtol=1e-2, atol=1e-3, message=f"what the conversion cost {what}")
        states = (dict(pooled.state_dict()), dict(expected.state_dict()))
        assert_close(*states, rtol=1e-2, atol=1e-3, message=f"the trained parameters {what}")
        assert_close(dict(model.state_dict()), kept, message="the multi-head model, which must stay as it was")
        for (ids, labels), before in zip(batches, texts, strict=True):
            assert torch.equal(ids, before[:, :-1]), "the ids of the batches must stay as they are"
            assert torch.equal(labels, before[:, 1:]), "the labels of the batches must stay as they are"


uptrain.mistake(
    "trained-from-scratch",
    "You trained a new network from its own weights; start from the converted checkpoint, which preserves what the "
    "heads have learned.",
    replace="pooled.load_state_dict(convert_checkpoint(model.state_dict(), heads, groups))",
    by="",
)

uptrain.mistake(
    "constant-rate",
    "You kept the rate at lr; let it fall linearly, because this lets the model settle in the last steps.",
    edits=[
        ("schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(batches))", ""),
        ("schedule.step()", ""),
    ],
)

uptrain.mistake(
    "rate-falls-before-the-first-step",
    "You lowered the rate before the step, so the first batch gets less than lr and the last batch gets 0; lower it "
    "after the step.",
    replace="torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(batches))",
    by="torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - (step + 1) / len(batches))",
)

uptrain.mistake(
    "gradients-added-up",
    "You never set the gradients to zero, so each step follows the sum of all gradients so far; clear them before each "
    "backward pass.",
    replace="optimizer.zero_grad()",
    by="",
)

uptrain.mistake(
    "keys-and-values-alone",
    "You trained only the merged keys and values; train all parameters, because they all have to adapt to the merged "
    "heads.",
    replace="pooled.parameters()",
    by='[p for n, p in pooled.named_parameters() if "k_proj" in n or "v_proj" in n]',
)

uptrain.mistake(
    "labels-shifted-again",
    "You shifted the labels again, so the model learns to predict the token two places ahead; use the labels as they "
    "are.",
    replace="F.cross_entropy(network(ids).flatten(0, 1), labels.flatten())",
    by="F.cross_entropy(network(ids)[:, :-1].flatten(0, 1), labels[:, 1:].flatten())",
)

uptrain.mistake(
    "loss-after-the-step",
    "You measured each loss after its step; measure it before, because the first loss should be that of the converted "
    "model.",
    replace="loss.item()",
    by="loss_on(pooled, batch).item()",
)

uptrain.mistake(
    "damage-after-training",
    "You compared the last loss with the multi-head model's; compare the loss before any step, because it shows what "
    "the conversion cost.",
    replace="losses[0]",
    by="losses[-1]",
)


@uptrain.also_correct
def _(model, smaller, heads, groups, batches, lr):
    pooled, count = smaller(), len(batches)
    pooled.load_state_dict(convert_checkpoint(model.state_dict(), heads, groups))
    optimizer = torch.optim.Adam(pooled.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / count)
    losses, before = [], None
    for ids, labels in batches:
        if before is None:
            before = F.cross_entropy(model(ids).transpose(1, 2), labels).detach()
        loss = F.cross_entropy(pooled(ids).transpose(1, 2), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return pooled, losses[0] - float(before), losses


@uptrain.also_correct
def _(model, smaller, heads, groups, batches, lr):
    pooled = smaller()
    pooled.load_state_dict(convert_checkpoint(dict(model.state_dict()), heads, groups))
    optimizer = torch.optim.Adam(pooled.parameters(), lr)
    losses = []
    for i in range(len(batches)):
        ids, labels = batches[i]
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - i / len(batches))
        logits = pooled(ids)
        loss = -logits.log_softmax(-1).gather(-1, labels[..., None]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses += [loss.item()]
    with torch.no_grad():
        logits = model(batches[0][0])
        own = -logits.log_softmax(-1).gather(-1, batches[0][1][..., None]).mean()
    return pooled, losses[0] - own.item(), losses
