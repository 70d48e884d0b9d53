import copy
from collections import OrderedDict

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.kits.weights import drawn
from studium_topics.lora.adapter import Adapter
from studium_topics.lora.exercises.inject import inject
from studium_topics.lora.exercises.merge import merge
from studium_topics.lora.exercises.serve import serve


@exercise(
    points=6,
    minutes=30,
    level="integrative",
    importance=3,
    hints=(
        "You have already written every piece: which of your functions makes a model trainable, and which one makes "
        "it plain again?",
        "Copy, inject, train A and B, collect A and B, serve, then compare two losses on the old domain.",
        "The logits are (B, T, V) and the labels (B, T); a cross-entropy takes (B·T, V) and (B·T,).",
        "`{name: p.detach() for name, p in model.named_parameters() if p.requires_grad}` holds the adapter, "
        "and `F.cross_entropy(model(ids).flatten(0, 1), labels.flatten())` is the loss.",
    ),
)
def finetune(base, targets, rank, alpha, batches, old, lr, generator):
    """Adapt a language model; return its adapter, the served model, and how much it forgot.

    Train the factors in a copy: for each batch in order, take one step of `torch.optim.Adam` at rate lr on its mean
    cross-entropy.

    * base: ids (B, T) to logits (B, T, V); it is not changed
    * targets, rank, alpha, generator: as for `inject`
    * batches: pairs (ids, labels), each (B, T); old: one such pair
    * returns: only the factors, as for `serve`; the merged model; its loss on old minus that of base
    """
    ### BEGIN SOLUTION
    model = copy.deepcopy(base)
    inject(model, targets, rank, alpha=alpha, generator=generator)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.Adam(trained.values(), lr=lr)

    def loss_on(network, batch):
        ids, labels = batch
        return F.cross_entropy(network(ids).flatten(0, 1), labels.flatten())

    for batch in batches:
        optimizer.zero_grad()
        loss_on(model, batch).backward()
        optimizer.step()

    adapter = {name: parameter.detach() for name, parameter in trained.items()}
    served = serve(base, adapter, alpha)
    forgotten = loss_on(served, old).item() - loss_on(base, old).item()
    return adapter, served, forgotten
    ### END SOLUTION


@finetune.test("saves the factors alone, serves a plain model, and lowers the loss on the new domain", points=2)
def _(finetune, rng):
    def layers():
        ends = nn.Embedding(9, 8), nn.Linear(8, 9, bias=False)
        return nn.Sequential(OrderedDict(embedding=ends[0], q=nn.Linear(8, 8), act=nn.Tanh(), head=ends[1]))

    base = drawn(layers, rng)
    ids = torch.randint(9, (4, 6), generator=rng)
    new, old = (ids, (ids + 1) % 9), (ids, (ids + 2) % 9)
    adapter, served, _ = finetune(base, {"q", "head"}, 2, 6.0, [new] * 30, old, 0.05, rng)
    shapes = {name: tuple(tensor.shape) for name, tensor in adapter.items()}
    right = {"q.a": (2, 8), "q.b": (8, 2), "head.a": (2, 8), "head.b": (9, 2)}
    assert shapes == right, f"the adapter must hold the factors alone, {right}, and it holds {shapes}"
    names = [name for name, _ in served.named_modules()]
    plain = [name for name, _ in base.named_modules()]
    assert names == plain, f"the served model must have the modules of base, {plain}, and it has {names}"
    losses = [F.cross_entropy(model(ids).flatten(0, 1), new[1].flatten()).item() for model in (base, served)]
    assert losses[1] < losses[0] - 0.1, (
        f"30 steps on one batch must lower its loss, and it went from {losses[0]:.3f} to {losses[1]:.3f}"
    )


@finetune.hidden("takes one Adam step for each batch, on the factors alone, and leaves base as it was", points=3)
def _(finetune, rng):
    def layers():
        ends = nn.Embedding(11, 6), nn.Linear(10, 11, bias=False)
        return nn.Sequential(OrderedDict(embedding=ends[0], q=nn.Linear(6, 10), act=nn.Tanh(), head=ends[1]))

    for rank, alpha, lr, count in ((3, 5.0, 0.02, 3), (2, 7.0, 0.05, 6)):
        base = drawn(layers, rng)
        batches = []
        for _ in range(count):
            ids = torch.randint(11, (3, 5), generator=rng)
            batches.append((ids, (3 * ids + 1) % 11))
        old = (torch.randint(11, (4, 7), generator=rng), torch.randint(11, (4, 7), generator=rng))
        before = {name: parameter.detach().clone() for name, parameter in base.named_parameters()}
        start, _, unmoved = finetune(base, {"q"}, rank, alpha, [], old, lr, torch.Generator().manual_seed(rank))
        adapter, served, _ = finetune(base, {"q"}, rank, alpha, batches, old, lr, torch.Generator().manual_seed(rank))
        for name, parameter in base.named_parameters():
            assert torch.equal(parameter, before[name]), f"base must stay as it is, and {name} was changed"
            assert parameter.requires_grad, f"base must stay as it is, and {name} was frozen"
        assert set(adapter) == {"q.a", "q.b"}, f"the adapter must hold q.a and q.b alone, got {sorted(adapter)}"
        assert abs(unmoved) < 1e-5, f"without a batch nothing is forgotten, and you returned {unmoved}"
        a, b = (start[name].clone().requires_grad_(True) for name in ("q.a", "q.b"))
        optimizer = torch.optim.Adam([a, b], lr=lr)
        for ids, labels in batches:
            weight = before["q.weight"] + alpha / rank * b @ a
            hidden = torch.tanh(F.linear(before["embedding.weight"][ids], weight, before["q.bias"]))
            loss = F.cross_entropy((hidden @ before["head.weight"].T).flatten(0, 1), labels.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        what = f"after {count} batches with r={rank}, alpha={alpha} and lr={lr}"
        assert_close(adapter["q.b"], b.detach(), rtol=1e-2, atol=2e-3, message=f"B {what}")
        assert_close(adapter["q.a"], a.detach(), rtol=1e-2, atol=2e-3, message=f"A {what}")
        expected = {**before, "q.weight": before["q.weight"] + alpha / rank * (b @ a).detach()}
        for name, parameter in served.named_parameters():
            message = f"{name} of the served model {what}"
            assert_close(parameter.detach(), expected[name], rtol=1e-2, atol=5e-3, message=message)


@finetune.hidden("measures what was forgotten as the rise of the loss on the old domain", points=1)
def _(finetune, rng):
    base = drawn(lambda: nn.Sequential(OrderedDict(embedding=nn.Embedding(7, 6), v=nn.Linear(6, 7))), rng)
    ids = torch.arange(7).repeat(3, 1)
    new, old = (ids, (ids + 3) % 7), (ids[:2, :5], ids[:2, :5])
    _, served, forgotten = finetune(base, {"v"}, 3, 12.0, [new] * 25, old, 0.05, rng)
    first, last = (F.cross_entropy(model(old[0]).flatten(0, 1), old[1].flatten()).item() for model in (base, served))
    assert_close(float(forgotten), last - first, rtol=1e-3, atol=1e-4, message="the loss on `old` after minus before")


@finetune.misconception(
    "You created the optimizer before calling `inject`, so it holds the frozen parameters but not A and B, and "
    "nothing was trained; inject first.",
    name="optimizer-before-injection",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    model = copy.deepcopy(base)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    inject(model, targets, rank, alpha, generator)
    for ids, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(ids).flatten(0, 1), labels.flatten()).backward()
        optimizer.step()
    adapter = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    served = serve(base, adapter, alpha)
    first, last = (F.cross_entropy(m(old[0]).flatten(0, 1), old[1].flatten()).item() for m in (base, served))
    return adapter, served, last - first


@finetune.misconception(
    "You never reset the gradients to zero, so each step follows the sum of all gradients so far.",
    name="gradients-pile-up",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    model = copy.deepcopy(base)
    inject(model, targets, rank, alpha, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    for ids, labels in batches:
        F.cross_entropy(model(ids).flatten(0, 1), labels.flatten()).backward()
        optimizer.step()
    adapter = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    served = serve(base, adapter, alpha)
    first, last = (F.cross_entropy(m(old[0]).flatten(0, 1), old[1].flatten()).item() for m in (base, served))
    return adapter, served, last - first


@finetune.misconception(
    "You created a new optimizer for each batch, so Adam forgets its moments and every step is a first step; create "
    "it once, before the loop.",
    name="new-optimizer-each-step",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    model = copy.deepcopy(base)
    inject(model, targets, rank, alpha, generator)
    for ids, labels in batches:
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
        optimizer.zero_grad()
        F.cross_entropy(model(ids).flatten(0, 1), labels.flatten()).backward()
        optimizer.step()
    adapter = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    served = serve(base, adapter, alpha)
    first, last = (F.cross_entropy(m(old[0]).flatten(0, 1), old[1].flatten()).item() for m in (base, served))
    return adapter, served, last - first


@finetune.misconception(
    "You took plain gradient steps; use Adam, which divides each gradient by its running size.",
    name="sgd-instead-of-adam",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    model = copy.deepcopy(base)
    inject(model, targets, rank, alpha, generator)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr)
    for ids, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(ids).flatten(0, 1), labels.flatten()).backward()
        optimizer.step()
    adapter = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    served = serve(base, adapter, alpha)
    first, last = (F.cross_entropy(m(old[0]).flatten(0, 1), old[1].flatten()).item() for m in (base, served))
    return adapter, served, last - first


@finetune.misconception(
    "You saved the frozen weights along with the factors, which makes every customer's file as large as the model; "
    "save only A and B.",
    name="saved-the-whole-model",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    model = copy.deepcopy(base)
    inject(model, targets, rank, alpha, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    for ids, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(ids).flatten(0, 1), labels.flatten()).backward()
        optimizer.step()
    factors = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    served = serve(base, factors, alpha)
    first, last = (F.cross_entropy(m(old[0]).flatten(0, 1), old[1].flatten()).item() for m in (base, served))
    return {name: p.detach().clone() for name, p in model.named_parameters()}, served, last - first


@finetune.misconception(
    "You returned the model with its adapters still in it; return a plain model with merged weights.",
    name="served-unmerged",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    model = copy.deepcopy(base)
    inject(model, targets, rank, alpha, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    for ids, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(ids).flatten(0, 1), labels.flatten()).backward()
        optimizer.step()
    adapter = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    first, last = (F.cross_entropy(m(old[0]).flatten(0, 1), old[1].flatten()).item() for m in (base, model))
    return adapter, model, last - first


@finetune.misconception(
    "You subtracted the wrong way round; forgetting is the loss after training minus the loss before.",
    name="before-minus-after",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    adapter, served, forgotten = finetune(base, targets, rank, alpha, batches, old, lr, generator)
    return adapter, served, -forgotten


@finetune.misconception(
    "You returned the served model's loss on `old`; subtract the loss of base, because forgetting is how much the "
    "loss has risen.",
    name="loss-after-alone",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    adapter, served, forgotten = finetune(base, targets, rank, alpha, batches, old, lr, generator)
    return adapter, served, forgotten + F.cross_entropy(base(old[0]).flatten(0, 1), old[1].flatten()).item()


@finetune.misconception(
    "You measured how the loss changed on the new domain; measure forgetting on the old one.",
    name="measured-on-the-new-domain",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    adapter, served, _ = finetune(base, targets, rank, alpha, batches, old, lr, generator)
    ids, labels = batches[-1] if batches else old
    first, last = (F.cross_entropy(m(ids).flatten(0, 1), labels.flatten()).item() for m in (base, served))
    return adapter, served, last - first


@finetune.also_correct
def _(base, targets, rank, alpha, batches, old, lr, generator):
    def loss_of(network, ids, labels):
        logits = network(ids)
        return nn.CrossEntropyLoss()(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))

    with torch.no_grad():
        before = loss_of(base, *old).item()
    model = copy.deepcopy(base)
    inject(model, targets, rank, alpha, generator)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr, weight_decay=0.0)
    for ids, labels in batches:
        loss = loss_of(model, ids, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    adapter, served = {}, model
    for path, module in list(model.named_modules()):
        if isinstance(module, Adapter):
            adapter[f"{path}.b"], adapter[f"{path}.a"] = module.b.data, module.a.data
            module.linear.weight.data = merge(module.linear.weight.data, module.a.data, module.b.data, alpha)
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, module.linear)
    return adapter, served, loss_of(served, *old).item() - before
