import copy
from functools import partial

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.controlnet.exercises.controlled_eps import controlled_eps
from studium_topics.controlnet.model import PARTS, Control, Look
from studium_topics.kits.diffusion import UNet
from studium_topics.kits.weights import drawn


@exercise(
    points=5,
    minutes=20,
    level="integrative",
    importance=3,
    hints=(
        "Whose parameters does the optimiser hold, the base's or the control's, and which of the two do gradients "
        "pass through?",
        "For each batch: levels, noise, some labels dropped, the noisy images, the prediction, the loss, the step.",
        "t, y and the coins are (B,); eps is like x0; abar[t] needs three more axes before it is multiplied by an "
        "image.",
        "`y.masked_fill(torch.rand(len(y), generator=generator) < 0.5, null)` drops labels, and "
        "`F.mse_loss(controlled_eps(base, control, x, t, untold, hint, 1.0), eps)` is the loss.",
    ),
)
def train_control(base, control, batches, abar, null, lr, generator):
    """Train a control alongside its locked base, one step of torch.optim.AdamW for each batch; return the losses.

    For each batch (x0, hint, y) draw from generator, in this order:

    * t: `torch.randint(len(abar), (B,), generator=generator)`
    * eps: `torch.randn(x0.shape, generator=generator)`
    * coins: `torch.rand(B, generator=generator)`; below 0.5, the label becomes `null`

    The loss is the mean squared error of `controlled_eps` at scale 1, for x0 with noise at level t.

    * x0: (B, 3, S, S), hint: (B, 1, S, S), y: (B,); the batches and the base stay as they are
    * abar: (T,)
    * lr: the rate; all other settings have their defaults
    * returns: one float for each batch
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.AdamW(control.parameters(), lr=lr)
    losses = []
    for x0, hint, y in batches:
        t = torch.randint(len(abar), (len(x0),), generator=generator).to(x0.device)
        eps = torch.randn(x0.shape, generator=generator).to(x0.device)
        coins = torch.rand(len(x0), generator=generator).to(x0.device)
        level = abar[t].view(-1, 1, 1, 1)
        x = level.sqrt() * x0 + (1 - level).sqrt() * eps
        untold = y.masked_fill(coins < 0.5, null)
        loss = F.mse_loss(controlled_eps(base, control, x, t, untold, hint, 1.0), eps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


train_control.equivalent(
    "untold = y.masked_fill(coins <= 0.5, null)", "a random number is exactly 0.5 once in 16 million"
)

train_control.equivalent(
    "loss = F.mse_loss(eps, controlled_eps(base, control, x, t, untold, hint, 1.0))", "a squared difference has no sign"
)

train_control.equivalent(
    "trained = [parameter for parameter in control.parameters() if True]",
    "the optimizer leaves alone what has no gradient",
)


@train_control.test("learns a batch, and leaves the base alone", points=1)
def _(train_control, rng):
    base = drawn(partial(UNet, 20, 3, (8,), 5), rng, scale=0.2).requires_grad_(False)
    copied = copy.deepcopy(base).requires_grad_(True)
    del copied.leave, copied.up
    outs = nn.ModuleList(drawn(partial(nn.Conv2d, width, width, 1), rng, scale=0.0) for width in (8, 8))
    enter = drawn(partial(nn.Conv2d, 8, 8, 1), rng, scale=0.0)
    control = Control(copied, drawn(partial(Look, 8), rng), enter, outs)
    batch = torch.randn(5, 3, 4, 4, generator=rng), torch.rand(5, 1, 4, 4, generator=rng), torch.arange(5) % 4
    before = {name: parameter.clone() for name, parameter in base.named_parameters()}
    abar = torch.linspace(0.98, 0.05, 20)
    losses = train_control(base, control, [batch] * 8, abar, 4, 0.05, torch.Generator().manual_seed(3))
    assert len(losses) == 8, f"one loss for each of 8 batches is expected, got {len(losses)}"
    early, late = sum(losses[:3]) / 3, sum(losses[-3:]) / 3
    assert late < early, f"8 steps on one batch must lower the loss, and it went from {early:.3f} to {late:.3f}"
    for name, parameter in base.named_parameters():
        assert torch.equal(parameter, before[name]), f"the base must stay as it is, and {name} was changed"


@train_control.hidden("takes exactly the steps that were asked for", points=3)
def _(train_control, rng):
    # With 8 channels GroupNorm cancels the biases before it, and AdamW makes steps of what rounding leaves of their
    # gradients.
    for widths, size, count, lr, null, seed in (((16, 24), 4, 3, 0.03, 4, 5), ((16,), 6, 4, 0.05, 0, 8)):
        base = drawn(partial(UNet, 30, 3, widths, 5), rng, scale=0.3).requires_grad_(False)
        copied = drawn(partial(UNet, 30, 3, widths, 5), rng, scale=0.3)
        del copied.up, copied.leave
        outs = nn.ModuleList(
            drawn(partial(nn.Conv2d, width, width, 1), rng, scale=0.3) for width in (*widths, widths[-1])
        )
        look, enter = drawn(partial(Look, widths[0]), rng), drawn(partial(nn.Conv2d, widths[0], widths[0], 1), rng)
        control = Control(copied, look, enter, nn.ModuleList(outs))
        twin, batches = copy.deepcopy(control), []
        for length in (6, 3, 5, 4)[:count]:
            x0 = torch.randn(length, 3, size, size, generator=rng)
            hint = torch.rand(length, 1, size, size, generator=rng)
            batches.append((x0, hint, torch.randint(5, (length,), generator=rng)))
        abar = torch.linspace(0.97, 0.02, 17)
        kept = [tuple(tensor.clone() for tensor in batch) for batch in batches]
        losses = train_control(base, control, batches, abar, null, lr, torch.Generator().manual_seed(seed))
        for batch, before in zip(batches, kept, strict=True):
            assert all(map(torch.equal, batch, before)), "the batches must stay as they are"
        generator, expected = torch.Generator().manual_seed(seed), []
        optimizer = torch.optim.AdamW(twin.parameters(), lr=lr)
        for x0, hint, y in kept:
            t = torch.randint(17, (len(y),), generator=generator)
            eps = torch.randn(x0.shape, generator=generator)
            labels = torch.where(torch.rand(len(y), generator=generator) < 0.5, torch.full_like(y, null), y)
            signal = torch.stack([abar[row] for row in t.tolist()])[:, None, None, None]
            x = signal**0.5 * x0 + (1 - signal) ** 0.5 * eps
            told = base.embed(t, labels)
            skips, middle = base.encode(x, told)
            seen, deep = twin.copy.encode(x, twin.copy.embed(t, labels), twin.zero_in(twin.look(hint)))
            skips = [skip + out(f) for skip, out, f in zip(skips, twin.zero_outs, seen, strict=False)]
            loss = (base.decode(skips, middle + twin.zero_outs[-1](deep), told) - eps).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            expected.append(loss.item())
        what = f"after {count} batches at lr={lr}"
        assert_close([float(loss) for loss in losses], expected, rtol=2e-3, atol=1e-4, message=f"the losses {what}")
        for (name, parameter), right in zip(control.named_parameters(), twin.parameters(), strict=True):
            assert_close(parameter.detach(), right.detach(), rtol=2e-2, atol=lr, message=f"{name} {what}")


@train_control.hidden("trains every part with AdamW's own weight decay, and the base collects no gradients", points=1)
def _(train_control, rng):
    base = drawn(partial(UNet, 20, 3, (8,), 6), rng, scale=0.3).requires_grad_(False)
    copied = copy.deepcopy(base).requires_grad_(True)
    del copied.up, copied.leave
    outs = nn.ModuleList(drawn(partial(nn.Conv2d, 8, 8, 1), rng, scale=0.3) for _ in range(2))
    look, enter = drawn(partial(Look, 8), rng), drawn(partial(nn.Conv2d, 8, 8, 1), rng)
    control = Control(copied, look, enter, nn.ModuleList(outs))
    batch = torch.randn(4, 3, 4, 4, generator=rng), torch.rand(4, 1, 4, 4, generator=rng), torch.arange(4)
    before = {name: parameter.clone() for name, parameter in base.named_parameters()}
    starts = {name: parameter.detach().clone() for name, parameter in control.named_parameters()}
    train_control(base, control, [batch], torch.linspace(0.9, 0.1, 20), 3, 0.4, rng)
    for name, parameter in base.named_parameters():
        assert torch.equal(parameter, before[name]), f"the base must stay as it is, and {name} was changed"
        locked = not parameter.requires_grad and parameter.grad is None
        assert locked, f"the base is locked, and {name} got a gradient"
    for part in PARTS:
        moved = [not torch.equal(p, starts[name]) for name, p in control.named_parameters() if name.startswith(part)]
        assert all(moved), f"every parameter of the control must be trained, and {part} has one that never moved"
    what = "labels 4 and 5 of the copy, which no image has: AdamW's weight decay alone shrinks them by 0.01 * lr"
    unused = control.copy.label.weight.detach()[4:]
    assert_close(unused, starts["copy.label.weight"][4:] * (1 - 0.01 * 0.4), rtol=1e-4, atol=1e-6, message=what)


@train_control.misconception(
    "You never cleared the gradients, so each step follows the sum of all gradients so far.", name="gradients-pile-up"
)
def _(base, control, batches, abar, null, lr, generator):
    optimizer, losses = torch.optim.AdamW(control.parameters(), lr=lr), []
    for x0, hint, y in batches:
        t = torch.randint(len(abar), (len(x0),), generator=generator)
        eps = torch.randn(x0.shape, generator=generator)
        untold = y.masked_fill(torch.rand(len(x0), generator=generator) < 0.5, null)
        level = abar[t].view(-1, 1, 1, 1)
        x = level.sqrt() * x0 + (1 - level).sqrt() * eps
        loss = F.mse_loss(controlled_eps(base, control, x, t, untold, hint, 1.0), eps)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_control.misconception(
    "You compared the prediction with the clean image; compare it with the noise that was added.",
    name="compared-with-the-image",
)
def _(base, control, batches, abar, null, lr, generator):
    optimizer, losses = torch.optim.AdamW(control.parameters(), lr=lr), []
    for x0, hint, y in batches:
        t = torch.randint(len(abar), (len(x0),), generator=generator)
        eps = torch.randn(x0.shape, generator=generator)
        untold = y.masked_fill(torch.rand(len(x0), generator=generator) < 0.5, null)
        level = abar[t].view(-1, 1, 1, 1)
        x = level.sqrt() * x0 + (1 - level).sqrt() * eps
        loss = F.mse_loss(controlled_eps(base, control, x, t, untold, hint, 1.0), x0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_control.misconception(
    "You left out the square roots: x_t is √ᾱ x₀ + √(1 − ᾱ) ε, because ᾱ is a share of variance.",
    name="left-out-the-roots",
)
def _(base, control, batches, abar, null, lr, generator):
    optimizer, losses = torch.optim.AdamW(control.parameters(), lr=lr), []
    for x0, hint, y in batches:
        t = torch.randint(len(abar), (len(x0),), generator=generator)
        eps = torch.randn(x0.shape, generator=generator)
        untold = y.masked_fill(torch.rand(len(x0), generator=generator) < 0.5, null)
        level = abar[t].view(-1, 1, 1, 1)
        loss = F.mse_loss(controlled_eps(base, control, level * x0 + (1 - level) * eps, t, untold, hint, 1.0), eps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_control.misconception(
    "You kept every label, so the control never has to find out from just the drawing what the base needs to know; "
    "replace a label with `null` where its coin is below 0.5.",
    name="kept-every-label",
)
def _(base, control, batches, abar, null, lr, generator):
    optimizer, losses = torch.optim.AdamW(control.parameters(), lr=lr), []
    for x0, hint, y in batches:
        t = torch.randint(len(abar), (len(x0),), generator=generator)
        eps = torch.randn(x0.shape, generator=generator)
        torch.rand(len(x0), generator=generator)
        level = abar[t].view(-1, 1, 1, 1)
        x = level.sqrt() * x0 + (1 - level).sqrt() * eps
        loss = F.mse_loss(controlled_eps(base, control, x, t, y, hint, 1.0), eps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_control.misconception(
    "You trained only the copy. The convolutions after it stay zero, so nothing that it learns reaches the base; "
    "train them too.",
    name="trained-the-copy-alone",
)
def _(base, control, batches, abar, null, lr, generator):
    optimizer, losses = torch.optim.AdamW(control.copy.parameters(), lr=lr), []
    for x0, hint, y in batches:
        t = torch.randint(len(abar), (len(x0),), generator=generator)
        eps = torch.randn(x0.shape, generator=generator)
        untold = y.masked_fill(torch.rand(len(x0), generator=generator) < 0.5, null)
        level = abar[t].view(-1, 1, 1, 1)
        x = level.sqrt() * x0 + (1 - level).sqrt() * eps
        loss = F.mse_loss(controlled_eps(base, control, x, t, untold, hint, 1.0), eps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_control.also_correct
def _(base, control, batches, abar, null, lr, generator):
    trained = [parameter for parameter in control.parameters() if parameter.requires_grad]
    optimizer, history = torch.optim.AdamW(trained, lr), []
    for images, drawings, labels in batches:
        size = labels.shape[0]
        t = torch.randint(abar.numel(), (size,), generator=generator)
        noise = torch.randn(images.shape, generator=generator)
        labels = torch.where(torch.rand(size, generator=generator).lt(0.5), null, labels)
        signal, dirt = abar[t].sqrt(), (1 - abar[t]).sqrt()
        noisy = torch.einsum("b,bchw->bchw", signal, images) + torch.einsum("b,bchw->bchw", dirt, noise)
        loss = (controlled_eps(base, control, noisy, t, labels, drawings, 1) - noise).pow(2).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        history.append(float(loss))
    return history


@train_control.also_correct
def _(base, control, batches, abar, null, lr, generator):
    def loss_of(x0, hint, y):
        t = torch.randint(0, len(abar), (len(x0),), generator=generator)
        eps = torch.randn(x0.shape, generator=generator)
        y = y.clone()
        y[torch.rand(len(x0), generator=generator) < 0.5] = null
        level = abar[t][:, None, None, None]
        told = controlled_eps(base, control, level**0.5 * x0 + (1 - level) ** 0.5 * eps, t, y, hint, 1.0)
        return nn.MSELoss()(told, eps)

    optimizer, losses = torch.optim.AdamW(list(control.parameters()), lr=lr), []
    for batch in batches:
        optimizer.zero_grad(set_to_none=False)
        losses.append(loss_of(*batch))
        losses[-1].backward()
        optimizer.step()
    return [loss.detach() for loss in losses]
