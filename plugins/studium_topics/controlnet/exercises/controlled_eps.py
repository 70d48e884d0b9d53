from functools import partial

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.controlnet.model import PARTS, Control, Look
from studium_topics.kits.diffusion import UNet
from studium_topics.kits.weights import drawn


@exercise(
    points=4,
    minutes=15,
    importance=3,
    hints=(
        "Which of the two encoders gets the hint, and which one must not notice it?",
        "Encode twice, turn the copy's features into residuals, add them to the base's features, and decode once.",
        "`encode` returns (skips, middle), and `zero_outs` has one convolution for each skip and one for the middle.",
        "`control.copy.encode(x, control.copy.embed(t, y), extra)`, then `base.decode(skips, middle, told)`.",
    ),
    mutates_args=(),
)
def controlled_eps(base, control, x, t, y, hint, scale):
    """Return what a locked base predicts when the control's residuals are added.

    The copy encodes x, t and y with `zero_in(look(hint))` as `extra`; the base encodes them without it. Each feature of
    the copy (skips, then middle) goes through its convolution in `zero_outs`, is multiplied by `scale`, and is added to
    the same feature of the base. Then the base decodes.

    * x: (B, 3, S, S)
    * t, y: (B,)
    * hint: (B, 1, S, S)
    * scale: a number; 0 gives base(x, t, y) bit for bit
    * returns: (B, 3, S, S)

    Gradients must reach every part of the control.
    """
    ### BEGIN SOLUTION
    told = base.embed(t, y)
    skips, middle = base.encode(x, told)
    extra = control.zero_in(control.look(hint))
    seen, deep = control.copy.encode(x, control.copy.embed(t, y), extra)
    residuals = [scale * out(features) for out, features in zip(control.zero_outs, [*seen, deep], strict=True)]
    skips = [skip + residual for skip, residual in zip(skips, residuals[:-1], strict=True)]
    return base.decode(skips, middle + residuals[-1], told)
    ### END SOLUTION


controlled_eps.equivalent(
    "residuals = [scale * out(features) for out, features in zip(control.zero_outs, [*seen, deep], strict=False)]",
    "both have one for each place",
)

controlled_eps.equivalent(
    "skips = [skip + residual for skip, residual in zip(residuals[:-1], skips, strict=True)]",
    "a sum is the same both ways",
)

controlled_eps.equivalent(
    "skips = [skip + residual for skip, residual in zip(skips, residuals[:-1], strict=False)]",
    "both have one for each place",
)

controlled_eps.equivalent('with __import__("contextlib").nullcontext():', "no gradient of the base is asked for")


@controlled_eps.test("adds each residual where it belongs", points=1)
def _(controlled_eps, rng):
    base = drawn(partial(UNet, 20, 3, (8, 16), 5), rng, scale=0.3)
    copied = drawn(partial(UNet, 20, 3, (8, 16), 5), rng, scale=0.3)
    outs = nn.ModuleList(drawn(partial(nn.Conv2d, width, width, 1), rng, scale=0.3) for width in (8, 16, 16))
    control = Control(copied, drawn(partial(Look, 8), rng), drawn(partial(nn.Conv2d, 8, 8, 1), rng), outs)
    x, hint = torch.randn(3, 3, 4, 4, generator=rng), torch.rand(3, 1, 4, 4, generator=rng)
    t, y = torch.tensor([2, 11, 19]), torch.tensor([4, 0, 2])
    told, own = base.embed(t, y), copied.embed(t, y)
    kept, lowest = base.encode(x, told)
    first = copied.down[0](copied.enter(x) + control.zero_in(control.look(hint)), own)
    second = copied.down[1](F.avg_pool2d(first, 2), own)
    added = [0.7 * out(f) for out, f in zip(outs, (first, second, copied.middle(second, own)), strict=True)]
    expected = base.decode([kept[0] + added[0], kept[1] + added[1]], lowest + added[2], told)
    found = controlled_eps(base, control, x, t, y, hint, 0.7)
    assert_close(found, expected.detach(), rtol=1e-4, atol=1e-4, message="with the scale 0.7")


@controlled_eps.hidden("is the base bit for bit at scale 0 and behind zero convolutions, for any widths", points=1)
def _(controlled_eps, rng):
    for widths, size, scale, drawn_outs in (((8, 16), 4, 0, True), ((8, 24, 16), 4, 1.5, False), ((16,), 6, 0.0, True)):
        base = drawn(partial(UNet, 30, 3, widths, 4), rng, scale=0.3)
        copied = drawn(partial(UNet, 30, 3, widths, 4), rng, scale=0.3)
        outs = nn.ModuleList(
            drawn(partial(nn.Conv2d, width, width, 1), rng, scale=0.3 * drawn_outs) for width in (*widths, widths[-1])
        )
        look, enter = drawn(partial(Look, widths[0]), rng), drawn(partial(nn.Conv2d, widths[0], widths[0], 1), rng)
        x, hint = torch.randn(2, 3, size, size, generator=rng), torch.rand(2, 1, size, size, generator=rng)
        t, y = torch.tensor([29, 3]), torch.tensor([1, 3])
        kept = [tensor.clone() for tensor in (x, hint, t, y)]
        found = controlled_eps(base, Control(copied, look, enter, outs), x, t, y, hint, scale)
        what = f"at scale {scale:g}" if drawn_outs else "behind convolutions that are zero"
        assert torch.equal(torch.as_tensor(found), base(x, t, y)), f"{what} the answer must be the base's, bit for bit"
        same = all(torch.equal(now, then) for now, then in zip((x, hint, t, y), kept, strict=True))
        assert same, "the arguments must stay as they are"


@controlled_eps.hidden("adds the right residual to each place, at several scales", points=1)
def _(controlled_eps, rng):
    for widths, size, scale in (((16, 8, 24), 8, 0.4), ((8, 8), 4, -2.0)):
        base = drawn(partial(UNet, 20, 3, widths, 3), rng, scale=0.3)
        copied = drawn(partial(UNet, 20, 3, widths, 3), rng, scale=0.3)
        outs = nn.ModuleList(
            drawn(partial(nn.Conv2d, width, width, 1), rng, scale=0.3) for width in (*widths, widths[-1])
        )
        look, enter = drawn(partial(Look, widths[0]), rng), drawn(partial(nn.Conv2d, widths[0], widths[0], 1), rng)
        x, hint = torch.randn(2, 3, size, size, generator=rng), torch.rand(2, 1, size, size, generator=rng)
        t, y = torch.tensor([0, 13]), torch.tensor([2, 0])
        own, told = copied.embed(t, y), base.embed(t, y)
        mine, theirs = copied.enter(x) + enter(look(hint)), base.enter(x)
        skips, middle = [], None
        for depth, width in enumerate(widths):
            mine = copied.down[depth](F.avg_pool2d(mine, 2) if depth else mine, own)
            theirs = base.down[depth](F.avg_pool2d(theirs, 2) if depth else theirs, told)
            weight = outs[depth].weight.view(width, width)
            mixed = torch.einsum("oc,bchw->bohw", weight, mine) + outs[depth].bias.view(1, -1, 1, 1)
            skips.append(theirs + scale * mixed)
        middle = base.middle(theirs, told) + scale * outs[-1](copied.middle(mine, own))
        expected = base.decode(skips, middle, told).detach()
        found = controlled_eps(base, Control(copied, look, enter, outs), x, t, y, hint, scale)
        assert_close(found, expected, rtol=1e-3, atol=1e-3, message=f"with widths {widths} and the scale {scale:g}")


@controlled_eps.hidden("lets gradients reach every part of the control through a frozen base", points=1)
def _(controlled_eps, rng):
    base = drawn(partial(UNet, 20, 3, (8, 16), 5), rng, scale=0.3).requires_grad_(False)
    copied = drawn(partial(UNet, 20, 3, (8, 16), 5), rng, scale=0.3)
    del copied.up, copied.leave
    outs = nn.ModuleList(drawn(partial(nn.Conv2d, width, width, 1), rng, scale=0.3) for width in (8, 16, 16))
    control = Control(copied, drawn(partial(Look, 8), rng), drawn(partial(nn.Conv2d, 8, 8, 1), rng), outs)
    x, hint = torch.randn(2, 3, 8, 8, generator=rng), torch.rand(2, 1, 8, 8, generator=rng)
    found = controlled_eps(base, control, x, torch.tensor([5, 9]), torch.tensor([1, 1]), hint, 1.0)
    assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
    assert found.requires_grad, "the answer does not depend on the control as far as autograd can see"
    names, parameters = zip(*control.named_parameters(), strict=True)
    gradients = torch.autograd.grad(found.square().sum(), parameters, allow_unused=True)
    reached = {name for name, gradient in zip(names, gradients, strict=True) if gradient is not None}
    for part in PARTS:
        assert any(name.startswith(part) for name in reached), f"no gradient reaches {part}"
    assert "copy.label.weight" in reached, "no gradient reaches the copy's own embedding of the label"


@controlled_eps.misconception(
    "You gave the hint to the base as well; the base was never trained on it and has to compute as before.",
    name="hint-into-the-base",
)
def _(base, control, x, t, y, hint, scale):
    told, extra = base.embed(t, y), control.zero_in(control.look(hint))
    skips, middle = base.encode(x, told, extra)
    seen, deep = control.copy.encode(x, control.copy.embed(t, y), extra)
    added = [scale * out(f) for out, f in zip(control.zero_outs, [*seen, deep], strict=True)]
    return base.decode([a + b for a, b in zip(skips, added, strict=False)], middle + added[-1], told)


@controlled_eps.misconception(
    "You replaced the base's features with the residuals; add them instead, or an untrained control erases the image.",
    name="replaced-the-features",
)
def _(base, control, x, t, y, hint, scale):
    told, extra = base.embed(t, y), control.zero_in(control.look(hint))
    seen, deep = control.copy.encode(x, control.copy.embed(t, y), extra)
    added = [scale * out(f) for out, f in zip(control.zero_outs, [*seen, deep], strict=True)]
    return base.decode(added[:-1], added[-1], told)


@controlled_eps.misconception(
    "You added nothing to the middle; add its residual too, because the coarsest features say much about where things "
    "are.",
    name="left-out-the-middle",
)
def _(base, control, x, t, y, hint, scale):
    told, extra = base.embed(t, y), control.zero_in(control.look(hint))
    skips, middle = base.encode(x, told)
    seen, _ = control.copy.encode(x, control.copy.embed(t, y), extra)
    added = [scale * out(f) for out, f in zip(control.zero_outs, seen, strict=False)]
    return base.decode([a + b for a, b in zip(skips, added, strict=True)], middle, told)


@controlled_eps.misconception(
    "You scaled the hint; scale the residuals instead, because the copy answers even without a hint.",
    name="scaled-the-hint",
)
def _(base, control, x, t, y, hint, scale):
    told, extra = base.embed(t, y), scale * control.zero_in(control.look(hint))
    skips, middle = base.encode(x, told)
    seen, deep = control.copy.encode(x, control.copy.embed(t, y), extra)
    added = [out(f) for out, f in zip(control.zero_outs, [*seen, deep], strict=True)]
    return base.decode([a + b for a, b in zip(skips, added, strict=False)], middle + added[-1], told)


@controlled_eps.misconception(
    "You left `extra` out of the copy; without the hint, the copy sees only what the base sees and has nothing to "
    "follow.",
    name="left-out-the-hint",
)
def _(base, control, x, t, y, hint, scale):
    told = base.embed(t, y)
    skips, middle = base.encode(x, told)
    seen, deep = control.copy.encode(x, control.copy.embed(t, y))
    added = [scale * out(f) for out, f in zip(control.zero_outs, [*seen, deep], strict=True)]
    return base.decode([a + b for a, b in zip(skips, added, strict=False)], middle + added[-1], told)


@controlled_eps.misconception(
    "You gave the copy the base's embedding of level and label; the copy has its own embedding, which is trained.",
    name="embedding-of-the-base",
)
def _(base, control, x, t, y, hint, scale):
    told, extra = base.embed(t, y), control.zero_in(control.look(hint))
    skips, middle = base.encode(x, told)
    seen, deep = control.copy.encode(x, told, extra)
    added = [scale * out(f) for out, f in zip(control.zero_outs, [*seen, deep], strict=True)]
    return base.decode([a + b for a, b in zip(skips, added, strict=False)], middle + added[-1], told)


@controlled_eps.also_correct
def _(base, control, x, t, y, hint, scale):
    with torch.no_grad():
        told = base.embed(t, y)
        skips, middle = base.encode(x, told)
    seen, deep = control.copy.encode(x, control.copy.embed(t, y), control.zero_in(control.look(hint)))
    *outs, last = control.zero_outs
    moved = [torch.add(a, out(b), alpha=scale) for a, b, out in zip(skips, seen, outs, strict=True)]
    return base.decode(moved, torch.add(middle, last(deep), alpha=scale), told)


@controlled_eps.also_correct
def _(base, control, x, t, y, hint, scale):
    side, told = control.copy, base.embed(t, y)
    theirs, bottom = base.encode(x, told)
    mine, below = side.encode(x, side.embed(t, y), extra=control.zero_in(control.look(hint)))
    features = [*theirs, bottom]
    for place, (out, feature) in enumerate(zip(control.zero_outs, [*mine, below], strict=True)):
        features[place] = features[place] + out(feature) * scale
    return base.decode(features[:-1], features[-1], told)
