"""The exercises: zero, lock and copy, the residuals, an audit of gradients, training, sampling, and overlap."""

import copy
import math
from functools import partial

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.controlnet.model import PARTS, Control, Look, step_between
from studium_topics.kits.diffusion import UNet
from studium_topics.kits.weights import drawn


@exercise(
    points=2,
    minutes=5,
    level="warm-up",
    importance=3,
    hints=(
        "Which tensors of a module does an optimiser change, and which ones does it never see?",
        "Walk over the parameters, at any depth, and overwrite their numbers where they are.",
        "A convolution has a weight (out, in, k, k) and a bias (out,); both are parameters.",
        "`nn.init.zeros_(parameter)` writes zeros and leaves `requires_grad` alone.",
    ),
)
def zero_module(module):
    """Set every parameter of a module to zero and return the same module.

    * module: any nn.Module, with modules inside it or not
    * returns: `module` itself, changed in place; what was trainable stays trainable

    Buffers, such as running means, stay as they are.
    """
    ### BEGIN SOLUTION
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module
    ### END SOLUTION


@zero_module.test("makes a convolution answer zero, and leaves it trainable", points=1)
def _(zero_module, rng):
    module = drawn(lambda: nn.Conv2d(3, 5, 1), rng)
    found = zero_module(module)
    assert found is module, "the same module must come back, changed in place"
    x = torch.randn(2, 3, 4, 6, generator=rng)
    assert_close(module(x).detach(), torch.zeros(2, 5, 4, 6), message="the output of the convolution")
    for name, parameter in module.named_parameters():
        assert parameter.requires_grad, f"what was trainable must stay trainable, and {name} was frozen"


@zero_module.hidden(
    "reaches parameters at any depth, and neither buffers nor what is frozen changes its kind", points=1
)
def _(zero_module, rng):
    def layers():
        inner = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
        return nn.ModuleDict({"inner": inner, "outer": nn.Conv2d(2, 6, 3), "table": nn.Embedding(7, 2)})

    module = drawn(layers, rng)
    module["table"].weight.requires_grad_(False)
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    zero_module(module)
    for name, parameter in module.named_parameters():
        assert not parameter.any(), f"every parameter must be zero, and {name} is not"
        wanted = name != "table.weight"
        assert parameter.requires_grad == wanted, f"requires_grad of {name} must stay {wanted}"
    for name, buffer in module.named_buffers():
        assert torch.equal(buffer, buffers[name]), f"buffers must stay as they are, and {name} was changed"


@zero_module.misconception(
    "You set the weights to zero and left the biases; the module then adds a constant to what it is added to.",
    name="left-the-biases",
)
def _(module):
    for name, parameter in module.named_parameters():
        if name.endswith("weight"):
            nn.init.zeros_(parameter)
    return module


@zero_module.misconception(
    "You froze the parameters as well; they start at zero, but they have to be trained away from it.",
    name="froze-the-parameters",
)
def _(module):
    for parameter in module.parameters():
        parameter.requires_grad_(False).zero_()
    return module


@zero_module.misconception(
    "You returned a copy and left the module as it was; the caller may hold the module already, so change it in place.",
    name="zeroed-a-copy",
)
def _(module):
    made = copy.deepcopy(module)
    for parameter in made.parameters():
        nn.init.zeros_(parameter)
    return made


@zero_module.misconception(
    "You drew small numbers; a small residual is noise all the same, and only exact zeros leave the base's output "
    "bit for bit.",
    name="small-instead-of-zero",
)
def _(module):
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=1e-3)
    return module


@zero_module.misconception(
    "You overwrote the whole `state_dict()`, which holds the buffers too; a running variance of 0 breaks a norm.",
    name="zeroed-buffers",
)
def _(module):
    module.load_state_dict({name: torch.zeros_like(value) for name, value in module.state_dict().items()})
    return module


@zero_module.also_correct
def _(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    return module


@zero_module.also_correct
def _(module):
    def clear(part):
        for parameter in part._parameters.values():
            if parameter is not None:
                parameter.data = torch.zeros_like(parameter.data)

    return module.apply(clear)


@exercise(
    points=4,
    minutes=15,
    importance=3,
    hints=(
        "What happens to `requires_grad` when you copy a parameter that is frozen already?",
        "Copy the base, make the copy trainable, remove what a control never uses, then build the convolutions.",
        "The skips have the widths `block.second.out_channels` for block in base.down; the middle has its own.",
        "`copy.deepcopy(base).requires_grad_(True)`, `del made.up, made.leave`, and "
        "`zero_module(nn.Conv2d(width, width, 1))` for each place.",
    ),
)
def make_control(base, look):
    """Lock a base, and return the control that will be trained beside it.

    All parameters of `base` are frozen; its numbers stay. Return `Control(copy, look, zero_in, zero_outs)`:

    * copy: a trainable copy of base without `up` and `leave`, sharing no memory with it
    * look: as given; it returns C = `base.enter.out_channels` channels
    * zero_in: a 1 × 1 convolution, C to C
    * zero_outs: an nn.ModuleList of 1 × 1 convolutions, one for each skip of `base.encode` in its order, one for the
      middle; channels stay

    The convolutions are zero. Everything in the control is trainable. base may come frozen.
    """
    ### BEGIN SOLUTION
    made = copy.deepcopy(base).requires_grad_(True)
    del made.up, made.leave
    base.requires_grad_(False)
    first = base.enter.out_channels
    widths = [block.second.out_channels for block in (*base.down, base.middle)]
    zero_in = zero_module(nn.Conv2d(first, first, 1))
    zero_outs = nn.ModuleList([zero_module(nn.Conv2d(width, width, 1)) for width in widths])
    return Control(made, look, zero_in, zero_outs)
    ### END SOLUTION


@make_control.test("locks the base and copies its encoder", points=1)
def _(make_control, rng):
    base = drawn(partial(UNet, 20, 3, (8, 16), 5), rng)
    before = {name: parameter.detach().clone() for name, parameter in base.named_parameters()}
    control = make_control(base, drawn(partial(Look, 8), rng))
    assert type(control).__name__ == "Control", f"a Control is expected, got {type(control).__name__}"
    for name, parameter in base.named_parameters():
        assert torch.equal(parameter, before[name]), f"the numbers of base must stay, and {name} was changed"
        assert not parameter.requires_grad, f"base must be frozen, and {name} asks for a gradient"
    for name, parameter in control.copy.named_parameters():
        assert torch.equal(parameter, before.get(name, parameter + 1)), f"{name} of the copy must equal that of base"
    for name, parameter in control.named_parameters():
        assert parameter.requires_grad, f"everything in the control must be trainable, and {name} is frozen"


@make_control.hidden("shares no memory, and keeps what the encoder needs and nothing else", points=1)
def _(make_control, rng):
    for widths, classes in (((8, 16), 5), ((8, 24, 16), 0)):
        base = drawn(partial(UNet, 20, 3, widths, classes), rng).requires_grad_(False)
        look = drawn(partial(Look, 8), rng)
        drew = copy.deepcopy(look)
        control = make_control(base, look)
        theirs = {parameter.data_ptr() for parameter in base.parameters()}
        shared = [name for name, parameter in control.named_parameters() if parameter.data_ptr() in theirs]
        assert not shared, f"the copy must share no memory with base, and {shared[0]} does"
        frozen = [name for name, parameter in control.named_parameters() if not parameter.requires_grad]
        assert not frozen, f"a base that was frozen before needs a trainable copy all the same, and {frozen[0]} is not"
        needed = {name for name, _ in base.named_parameters() if name.split(".")[0] not in ("up", "leave")}
        found = {name for name, _ in control.copy.named_parameters()}
        assert found == needed, f"the copy must hold the encoder's parameters alone, not {sorted(found ^ needed)[:2]}"
        assert control.look is look, "look must be used as it was given"
        kept = all(map(torch.equal, look.parameters(), drew.parameters()))
        assert kept, "the numbers of look must stay as they were given"
        for name in ("up", "leave"):
            assert hasattr(base, name), f"base must keep its own decoder, and {name} is gone"


@make_control.hidden("has zero convolutions of the right widths, one of its own for each place", points=2)
def _(make_control, rng):
    for widths in ((8, 16), (16, 8, 24), (24,)):
        base = drawn(partial(UNet, 20, 3, widths, 2), rng)
        control = make_control(base, drawn(partial(Look, widths[0]), rng))
        shapes = [tuple(out.weight.shape) for out in control.zero_outs]
        right = [(width, width, 1, 1) for width in (*widths, widths[-1])]
        assert shapes == right, f"zero_outs need weights of the shapes {right}, got {shapes}"
        shape, wanted = tuple(control.zero_in.weight.shape), (widths[0], widths[0], 1, 1)
        assert shape == wanted, f"zero_in needs a weight of the shape {wanted}, got {shape}"
        parts = [control.zero_in, *control.zero_outs]
        assert len({part.weight.data_ptr() for part in parts}) == len(parts), "each place needs its own convolution"
        for part in parts:
            assert part.bias is not None, "the 1 × 1 convolutions have biases, as nn.Conv2d makes them"
            for name, parameter in part.named_parameters():
                assert not parameter.any(), f"the 1 × 1 convolutions must be zero, and a {name} is not"


@make_control.misconception(
    "You copied the base after you had frozen it; a deep copy keeps `requires_grad`, so the copy is frozen as well and "
    "only the convolutions will be trained.",
    name="copied-after-freezing",
)
def _(base, look):
    base.requires_grad_(False)
    made = copy.deepcopy(base)
    del made.up, made.leave
    outs = [zero_module(nn.Conv2d(b.second.out_channels, b.second.out_channels, 1)) for b in (*base.down, base.middle)]
    first = base.enter.out_channels
    return Control(made, look, zero_module(nn.Conv2d(first, first, 1)), nn.ModuleList(outs))


@make_control.misconception(
    "You left the output convolutions as PyTorch draws them; the first answer of the controlled model is then noise "
    "on top of the base.",
    name="drawn-outputs",
)
def _(base, look):
    control = make_control(base, look)
    for out in control.zero_outs:
        out.reset_parameters()
    return control


@make_control.misconception(
    "You left `zero_in` as PyTorch draws it; the copy then starts on features that its weights were never trained for.",
    name="drawn-input",
)
def _(base, look):
    control = make_control(base, look)
    control.zero_in.reset_parameters()
    return control


@make_control.misconception(
    "You kept the decoder in the copy; nothing of it is ever used, and the control is about twice as large with it.",
    name="kept-the-decoder",
)
def _(base, look):
    control = make_control(base, look)
    control.copy = copy.deepcopy(base).requires_grad_(True)
    return control


@make_control.misconception(
    "You left out the convolution of the middle; the middle of the copy needs a way to the base as well.",
    name="left-out-the-middle",
)
def _(base, look):
    control = make_control(base, look)
    control.zero_outs = control.zero_outs[:-1]
    return control


@make_control.misconception(
    "You used one convolution for the last skip and for the middle; they have the same width, but what is added in the "
    "two places has to differ.",
    name="shared-convolution",
)
def _(base, look):
    control = make_control(base, look)
    control.zero_outs[-1] = control.zero_outs[-2]
    return control


@make_control.also_correct
def _(base, look):
    made = copy.deepcopy(base)
    for part in ("up", "leave"):
        delattr(made, part)
    for parameter in made.parameters():
        parameter.requires_grad = True
    for parameter in base.parameters():
        parameter.requires_grad = False
    widths = [base.down[0].second.out_channels, *(block.second.out_channels for block in base.down)]
    widths.append(base.middle.second.out_channels)
    convolutions = [nn.Conv2d(width, width, kernel_size=1) for width in widths]
    for convolution in convolutions:
        nn.init.zeros_(convolution.weight)
        nn.init.zeros_(convolution.bias)
    return Control(made, look, convolutions[0], nn.ModuleList(convolutions[1:]))


@make_control.also_correct
def _(base, look):
    classes = base.label.num_embeddings if base.label is not None else 0
    widths = tuple(block.second.out_channels for block in base.down)
    made = UNet(1, base.enter.in_channels, widths, classes)
    made.scale = base.scale
    made.load_state_dict(base.state_dict())
    del made.up, made.leave
    base.requires_grad_(False)
    outs = nn.ModuleList(nn.Conv2d(width, width, (1, 1)) for width in (*widths, widths[-1]))
    for parameter in outs.parameters():
        parameter.data.zero_()
    return Control(made, look, zero_module(nn.Conv2d(widths[0], widths[0], 1)), outs)


@exercise(
    points=4,
    minutes=15,
    importance=3,
    hints=(
        "Which of the two encoders is told about the hint, and which one must not notice it?",
        "Encode twice, turn the copy's features into residuals, add them to the base's features, decode once.",
        "`encode` returns (skips, middle), and `zero_outs` has one convolution for each skip and one for the middle.",
        "`control.copy.encode(x, control.copy.embed(t, y), extra)`, then `base.decode(skips, middle, told)`.",
    ),
)
def controlled_eps(base, control, x, t, y, hint, scale):
    """Return what a locked base predicts when the control's residuals are added.

    The copy encodes x, t and y with `zero_in(look(hint))` as `extra`; the base encodes them without it. Each feature of
    the copy (skips, then middle) goes through its convolution of `zero_outs`, times `scale`, and is added to the same
    feature of the base. The base decodes.

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
    "You gave the hint to the base as well; the base was never trained for it, and it has to compute as before.",
    name="hint-into-the-base",
)
def _(base, control, x, t, y, hint, scale):
    told, extra = base.embed(t, y), control.zero_in(control.look(hint))
    skips, middle = base.encode(x, told, extra)
    seen, deep = control.copy.encode(x, control.copy.embed(t, y), extra)
    added = [scale * out(f) for out, f in zip(control.zero_outs, [*seen, deep], strict=True)]
    return base.decode([a + b for a, b in zip(skips, added, strict=False)], middle + added[-1], told)


@controlled_eps.misconception(
    "You put the residuals in the place of the base's features; they have to be added, or an untrained control erases "
    "the image.",
    name="replaced-the-features",
)
def _(base, control, x, t, y, hint, scale):
    told, extra = base.embed(t, y), control.zero_in(control.look(hint))
    seen, deep = control.copy.encode(x, control.copy.embed(t, y), extra)
    added = [scale * out(f) for out, f in zip(control.zero_outs, [*seen, deep], strict=True)]
    return base.decode(added[:-1], added[-1], told)


@controlled_eps.misconception(
    "You added nothing to the middle; the coarsest features carry much of where things are.", name="left-out-the-middle"
)
def _(base, control, x, t, y, hint, scale):
    told, extra = base.embed(t, y), control.zero_in(control.look(hint))
    skips, middle = base.encode(x, told)
    seen, _ = control.copy.encode(x, control.copy.embed(t, y), extra)
    added = [scale * out(f) for out, f in zip(control.zero_outs, seen, strict=False)]
    return base.decode([a + b for a, b in zip(skips, added, strict=True)], middle, told)


@controlled_eps.misconception(
    "You scaled the hint; the copy answers without a hint, too, so its residuals have to be scaled.",
    name="scaled-the-hint",
)
def _(base, control, x, t, y, hint, scale):
    told, extra = base.embed(t, y), scale * control.zero_in(control.look(hint))
    skips, middle = base.encode(x, told)
    seen, deep = control.copy.encode(x, control.copy.embed(t, y), extra)
    added = [out(f) for out, f in zip(control.zero_outs, [*seen, deep], strict=True)]
    return base.decode([a + b for a, b in zip(skips, added, strict=False)], middle + added[-1], told)


@controlled_eps.misconception(
    "You left `extra` out of the copy; without the hint, the copy sees what the base sees, and can follow nothing.",
    name="left-out-the-hint",
)
def _(base, control, x, t, y, hint, scale):
    told = base.embed(t, y)
    skips, middle = base.encode(x, told)
    seen, deep = control.copy.encode(x, control.copy.embed(t, y))
    added = [scale * out(f) for out, f in zip(control.zero_outs, [*seen, deep], strict=True)]
    return base.decode([a + b for a, b in zip(skips, added, strict=False)], middle + added[-1], told)


@controlled_eps.misconception(
    "You gave the copy the base's embedding of level and label; the copy has an embedding of its own, which is "
    "trained.",
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


@exercise(
    points=3,
    minutes=12,
    kind="measure",
    importance=3,
    hints=(
        "When is a gradient there to be measured: before `backward`, after it, or after the step?",
        "In each round: clear, backward, measure the four parts, then step.",
        "One number for each part: the root of the sum of the squares of all its gradients, and 0 where there is none.",
        "`getattr(control, part).parameters()` has the tensors; `parameter.grad` is None where nothing arrived.",
    ),
)
def grad_audit(control, loss_fn, lr, steps):
    """Measure how much gradient each part of a control gets in its first steps.

    Take `steps` steps of torch.optim.SGD on all parameters of the control. Before each step, measure the norm of the
    gradient of each part: all its parameters together, as one long vector.

    * control: a Control; its parts are named in PARTS; it has taken the steps afterwards
    * loss_fn(control): returns the loss
    * lr: a number
    * returns: a list of `steps` dicts, from part to norm, a float; 0 where no gradient arrived
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.SGD(control.parameters(), lr=lr)
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss_fn(control).backward()
        norms = {}
        for part in PARTS:
            gradients = [p.grad for p in getattr(control, part).parameters() if p.grad is not None]
            norms[part] = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
        found.append(norms)
        optimizer.step()
    return found
    ### END SOLUTION


grad_audit.equivalent(
    "norms[part] = math.sqrt(sum((gradient.square().sum()) for gradient in gradients))",
    "math.sqrt takes a tensor of one number, too",
)


@grad_audit.test("measures four parts before each step", points=1)
def _(grad_audit, rng):
    outs = nn.ModuleList([drawn(partial(nn.Linear, 4, 1), rng)])
    look, enter, copied = (drawn(partial(nn.Linear, *size), rng) for size in ((3, 5), (5, 2), (2, 4)))
    control = Control(copied, look, enter, outs)
    x, target = torch.randn(6, 3, generator=rng), torch.randn(6, 1, generator=rng)
    tensors = [p.detach().clone().requires_grad_() for m in (outs[0], copied, enter, look) for p in m.parameters()]
    h = F.linear(F.linear(F.linear(x, *tensors[6:8]), *tensors[4:6]), *tensors[2:4])
    gradients = torch.autograd.grad((F.linear(h, *tensors[:2]) - target).square().mean(), tensors)
    expected = {
        part: float(torch.cat([g.flatten() for g in gradients[2 * i : 2 * i + 2]]).norm())
        for i, part in enumerate(PARTS)
    }

    def loss_fn(control, x=x, target=target):
        out = control.zero_outs[0](control.copy(control.zero_in(control.look(x))))
        return (out - target).square().mean()

    found = grad_audit(control, loss_fn, 0.1, 1)
    assert len(found) == 1, f"one step gives one dict, got {len(found)}"
    assert_close(found[0], expected, rtol=1e-4, atol=1e-6, message="the norms before the first step")


@grad_audit.hidden("follows plain gradient steps, and starts each one afresh", points=1)
def _(grad_audit, rng):
    for lr, steps in ((0.3, 3), (0.05, 5)):
        outs = nn.ModuleList([drawn(partial(nn.Linear, 2, 1, bias=False), rng)])
        look, enter, copied = (drawn(partial(nn.Linear, *size), rng) for size in ((3, 3), (3, 2), (2, 2)))
        control = Control(copied, look, enter, outs)
        x, target = torch.randn(5, 3, generator=rng), torch.randn(5, 1, generator=rng)

        def loss_fn(control, x=x, target=target):
            out = control.zero_outs[0](control.copy(control.zero_in(control.look(x))))
            return (out - target).square().mean()

        modules = dict(zip(PARTS, (outs, copied, enter, look), strict=True))
        tensors = {part: [p.detach().clone() for p in module.parameters()] for part, module in modules.items()}
        expected = []
        for _ in range(steps):
            tensors = {part: [p.detach().requires_grad_() for p in group] for part, group in tensors.items()}
            h = F.linear(F.linear(F.linear(x, *tensors["look"]), *tensors["zero_in"]), *tensors["copy"])
            loss = (F.linear(h, *tensors["zero_outs"]) - target).square().mean()
            flat = [p for group in tensors.values() for p in group]
            gradient = dict(zip(map(id, flat), torch.autograd.grad(loss, flat), strict=True))
            expected.append(
                {
                    part: sum(float(gradient[id(p)].pow(2).sum()) for p in group) ** 0.5
                    for part, group in tensors.items()
                }
            )
            tensors = {part: [p - lr * gradient[id(p)] for p in group] for part, group in tensors.items()}
        found = grad_audit(control, loss_fn, lr, steps)
        assert_close(list(found), expected, rtol=1e-3, atol=1e-5, message=f"{steps} steps at lr={lr}")
        for part, module in modules.items():
            for parameter, right in zip(module.parameters(), tensors[part], strict=True):
                what = f"{part} after {steps} steps at lr={lr}"
                assert_close(parameter.detach(), right.detach(), rtol=1e-3, atol=1e-5, message=what)


@grad_audit.hidden("counts a part that no gradient reaches as 0", points=1)
def _(grad_audit, rng):
    outs = nn.ModuleList([drawn(partial(nn.Linear, 3, 1), rng), drawn(partial(nn.Linear, 3, 1), rng)])
    look, enter, copied = (drawn(partial(nn.Linear, 3, 3), rng) for _ in range(3))
    x = torch.randn(4, 3, generator=rng)
    control = Control(copied, look, enter, outs)
    found = grad_audit(control, lambda control: control.zero_outs[1](control.copy(x)).square().mean(), 0.02, 2)
    for norms in found:
        assert set(norms) == set(PARTS), f"each dict needs the parts {PARTS}, got {tuple(norms)}"
        for part in ("zero_in", "look"):
            assert norms[part] == 0, f"no gradient reaches {part}, so its norm is 0, got {norms[part]}"
        for part in ("zero_outs", "copy"):
            assert norms[part] > 0, f"a gradient reaches {part}, and its norm is {norms[part]}"


@grad_audit.misconception(
    "You never cleared the gradients; `backward` adds to what is there, so each step follows, and measures, a sum.",
    name="gradients-pile-up",
)
def _(control, loss_fn, lr, steps):
    optimizer, found = torch.optim.SGD(control.parameters(), lr=lr), []
    for _ in range(steps):
        loss_fn(control).backward()
        groups = {part: [p.grad for p in getattr(control, part).parameters() if p.grad is not None] for part in PARTS}
        found.append({part: math.sqrt(sum(float(g.square().sum()) for g in group)) for part, group in groups.items()})
        optimizer.step()
    return found


@grad_audit.misconception(
    "You measured the parameters; a zero convolution has norm 0 there, whatever its gradient is.",
    name="norm-of-the-parameters",
)
def _(control, loss_fn, lr, steps):
    optimizer, found = torch.optim.SGD(control.parameters(), lr=lr), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss_fn(control).backward()
        groups = {part: list(getattr(control, part).parameters()) for part in PARTS}
        found.append(
            {part: math.sqrt(sum(float(p.detach().square().sum()) for p in group)) for part, group in groups.items()}
        )
        optimizer.step()
    return found


@grad_audit.misconception(
    "You added up the norms of the single tensors; as one long vector, a part has the root of the sum of all squares.",
    name="sum-of-norms",
)
def _(control, loss_fn, lr, steps):
    optimizer, found = torch.optim.SGD(control.parameters(), lr=lr), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss_fn(control).backward()
        groups = {part: [p.grad for p in getattr(control, part).parameters() if p.grad is not None] for part in PARTS}
        found.append({part: sum(float(g.norm()) for g in group) for part, group in groups.items()})
        optimizer.step()
    return found


@grad_audit.misconception(
    "You took steps of Adam; the audit asks for SGD, whose step is as large as the gradient itself.",
    name="adam-instead-of-sgd",
)
def _(control, loss_fn, lr, steps):
    optimizer, found = torch.optim.Adam(control.parameters(), lr=lr), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss_fn(control).backward()
        groups = {part: [p.grad for p in getattr(control, part).parameters() if p.grad is not None] for part in PARTS}
        found.append({part: math.sqrt(sum(float(g.square().sum()) for g in group)) for part, group in groups.items()})
        optimizer.step()
    return found


@grad_audit.misconception(
    "You measured without ever taking a step; every dict is then that of step 0.", name="never-stepped"
)
def _(control, loss_fn, lr, steps):
    return grad_audit(control, loss_fn, 0.0, steps)


@grad_audit.misconception(
    "You trained `zero_outs` and `zero_in` alone; all parts of the control take the step.",
    name="stepped-the-convolutions-alone",
)
def _(control, loss_fn, lr, steps):
    trained = [*control.zero_outs.parameters(), *control.zero_in.parameters()]
    optimizer, found = torch.optim.SGD(trained, lr=lr), []
    for _ in range(steps):
        control.zero_grad()
        loss_fn(control).backward()
        groups = {part: [p.grad for p in getattr(control, part).parameters() if p.grad is not None] for part in PARTS}
        found.append({part: math.sqrt(sum(float(g.square().sum()) for g in group)) for part, group in groups.items()})
        optimizer.step()
    return found


@grad_audit.also_correct
def _(control, loss_fn, lr, steps):
    audit = []
    for _ in range(steps):
        names, parameters = zip(*control.named_parameters(), strict=True)
        gradients = torch.autograd.grad(loss_fn(control), parameters, allow_unused=True)
        norms = dict.fromkeys(PARTS, 0.0)
        for name, parameter, gradient in zip(names, parameters, gradients, strict=True):
            if gradient is not None:
                norms[name.split(".")[0]] += gradient.pow(2).sum().item()
                parameter.data -= lr * gradient
        audit.append({part: total**0.5 for part, total in norms.items()})
    return audit


@grad_audit.also_correct
def _(control, loss_fn, lr, steps):
    def norm(part):
        gradients = [p.grad.flatten() for p in getattr(control, part).parameters() if p.grad is not None]
        return torch.cat(gradients).norm().item() if gradients else 0.0

    optimizer, audit = torch.optim.SGD(control.parameters(), lr), []
    for _ in range(steps):
        loss_fn(control).backward()
        audit.append({part: norm(part) for part in PARTS})
        optimizer.step()
        optimizer.zero_grad()
    return tuple(audit)


@exercise(
    points=5,
    minutes=20,
    level="integrative",
    importance=3,
    hints=(
        "Of base and control, whose parameters does the optimiser hold, and through which do gradients pass?",
        "For each batch: levels, noise, some labels away, the noisy images, the prediction, the loss, the step.",
        "t, y and the coin are (B,); eps is like x0; abar[t] needs three more axes before it meets an image.",
        "`y.masked_fill(torch.rand(len(y), generator=generator) < 0.5, null)` takes labels away, and "
        "`F.mse_loss(controlled_eps(base, control, x, t, untold, hint, 1.0), eps)` is the loss.",
    ),
)
def train_control(base, control, batches, abar, null, lr, generator):
    """Train a control beside its locked base, one step of torch.optim.AdamW for each batch; return the losses.

    For each batch (x0, hint, y) draw from generator, in this order:

    * t: `torch.randint(len(abar), (B,), generator=generator)`
    * eps: `torch.randn(x0.shape, generator=generator)`
    * coins: `torch.rand(B, generator=generator)`; below 0.5, the label is `null`

    The loss is the mean squared error of `controlled_eps` at scale 1, for x0 noised to the level t.

    * x0: (B, 3, S, S), hint: (B, 1, S, S), y: (B,)
    * abar: (T,)
    * lr: the rate; other settings as by default
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
    for widths, size, count, lr, null, seed in (((8, 16), 4, 3, 0.03, 4, 5), ((8,), 6, 4, 0.05, 0, 8)):
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
    "You compared the prediction with the clean image; the network predicts the noise that was added.",
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
    "You left out the square roots: x_t is √ᾱ x₀ + √(1 − ᾱ) ε, for ᾱ is a share of variance.", name="left-out-the-roots"
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
    "You kept every label; the control then never has to read from the drawing alone what the base needs to know.",
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
    "You trained the copy alone; behind convolutions that stay zero, nothing that it learns reaches the base.",
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


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=3,
    hints=(
        "After the last row there is no next one. Which number stands for the clean image?",
        "Start from noise, keep it, and for each row predict, step to the next row, and keep the result.",
        "The film has one state more than there are rows; t for the network is (B,), t for `step_between` is a number.",
        "`zip(rows, [*rows[1:], -1], scales)` pairs each row with the next one and its scale; "
        "`torch.full((len(x),), t)` is t for the network.",
    ),
)
def controlled_sample(base, control, hint, y, scales, rows, abar, generator):
    """Return the states of sampling, from noise to images that follow a drawing.

    Start from `torch.randn((B, 3, S, S), generator=generator)`. From each row of `rows` go to the next one, and from
    the last one to -1, with `step_between(eps, x, t, before, abar, z)`; eps comes from `controlled_eps`. In every step,
    draw z as `torch.randn(x.shape, generator=generator)`.

    * hint: (B, 1, S, S); y: (B,)
    * rows: the rows of abar to visit, a falling list of ints
    * scales: the control's scale at each of `rows`, a list
    * abar: (T,)
    * returns: (len(rows) + 1, B, 3, S, S), noise first, without gradients
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        x = torch.randn((len(hint), 3, *hint.shape[2:]), generator=generator).to(hint.device)
        film = [x]
        for t, before, scale in zip(rows, [*rows[1:], -1], scales, strict=True):
            level = torch.full((len(x),), t, device=x.device)
            eps = controlled_eps(base, control, x, level, y, hint, scale)
            z = torch.randn(x.shape, generator=generator).to(x.device)
            x = step_between(eps, x, t, before, abar, z)
            film.append(x)
    return torch.stack(film)
    ### END SOLUTION


controlled_sample.equivalent(
    "for t, before, scale in zip(rows, [*rows[1:], -2], scales, strict=True):",
    "any negative row stands for the clean image",
)
controlled_sample.equivalent(
    "for t, before, scale in zip(rows, [*rows[1:], -1], scales, strict=False):", "each row has its scale"
)
controlled_sample.equivalent("times = torch.tensor([rows[i]])", "one time is broadcast to all images")


@controlled_sample.test("keeps the noise and the state after each row", points=1)
def _(controlled_sample, rng):
    base = drawn(partial(UNet, 20, 3, (8, 16), 5), rng, scale=0.2)
    copied = drawn(partial(UNet, 20, 3, (8, 16), 5), rng, scale=0.2)
    outs = nn.ModuleList(drawn(partial(nn.Conv2d, width, width, 1), rng, scale=0.2) for width in (8, 16, 16))
    control = Control(copied, drawn(partial(Look, 8), rng), drawn(partial(nn.Conv2d, 8, 8, 1), rng), outs)
    hint, y = torch.rand(3, 1, 4, 4, generator=rng), torch.tensor([4, 0, 2])
    abar = torch.linspace(0.98, 0.05, 20)
    generator = torch.Generator().manual_seed(7)
    film = controlled_sample(base, control, hint, y, [1.0, 1.0, 0.5], [19, 11, 2], abar, generator)
    assert isinstance(film, torch.Tensor), f"a tensor is expected, got {type(film).__name__}"
    assert tuple(film.shape) == (4, 3, 3, 4, 4), f"3 rows give 4 states, so (4, 3, 3, 4, 4), got {tuple(film.shape)}"
    noise = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(7))
    assert_close(film[0], noise, message="the film starts from noise of the generator")
    assert not film.requires_grad, "a film needs no gradients: sample under torch.no_grad()"


@controlled_sample.hidden("visits the rows in their order, with the scale of each", points=2)
def _(controlled_sample, rng):
    cases = ((3, 2, [19, 12, 5], [1.5, 0.4, 0.0], 6), (5, 3, [16, 9, 3, 0], [0.0, 1.0, 0.3, 2.0], 4))
    for seed, count, rows, scales, size in cases:
        base = drawn(partial(UNet, 20, 3, (8, 16), 5), rng, scale=0.25)
        copied = drawn(partial(UNet, 20, 3, (8, 16), 5), rng, scale=0.25)
        outs = nn.ModuleList(drawn(partial(nn.Conv2d, width, width, 1), rng, scale=0.5) for width in (8, 16, 16))
        look, enter = drawn(partial(Look, 8), rng), drawn(partial(nn.Conv2d, 8, 8, 1), rng)
        hint, y = torch.rand(count, 1, size, size, generator=rng), torch.randperm(5, generator=rng)[:count]
        abar = torch.cumprod(1 - torch.linspace(0.01, 0.3, 20), 0)
        control, given = Control(copied, look, enter, outs), (list(scales), list(rows))
        film = controlled_sample(base, control, hint, y, *given, abar, torch.Generator().manual_seed(seed))
        assert given == (scales, rows), "scales and rows must stay as they are"
        twin = torch.Generator().manual_seed(seed)
        x = torch.randn(count, 3, size, size, generator=twin)
        states = [x]
        with torch.no_grad():
            for place, t in enumerate(rows):
                times = torch.full((count,), t)
                told, own = base.embed(times, y), copied.embed(times, y)
                skips, middle = base.encode(x, told)
                seen, deep = copied.encode(x, own, enter(look(hint)))
                skips = [a + scales[place] * out(f) for a, out, f in zip(skips, outs, seen, strict=False)]
                eps = base.decode(skips, middle + scales[place] * outs[-1](deep), told)
                now, then = abar[t], abar[rows[place + 1]] if place + 1 < len(rows) else torch.tensor(1.0)
                clean = ((x - (1 - now) ** 0.5 * eps) / now**0.5).clamp(-1, 1)
                share = now / then
                mean = then**0.5 * (1 - share) / (1 - now) * clean + share**0.5 * (1 - then) / (1 - now) * x
                x = mean + ((1 - share) * (1 - then) / (1 - now)) ** 0.5 * torch.randn(x.shape, generator=twin)
                states.append(x)
        what = f"the film along the rows {rows} with the scales {scales}"
        assert_close(film, torch.stack(states), rtol=1e-3, atol=2e-3, message=what)


@controlled_sample.hidden("ends on an image of values from -1 to 1, the same for the same seed", points=1)
def _(controlled_sample, rng):
    base = drawn(partial(UNet, 20, 3, (8,), 3), rng, scale=0.3)
    copied = drawn(partial(UNet, 20, 3, (8,), 3), rng, scale=0.3)
    outs = nn.ModuleList(drawn(partial(nn.Conv2d, 8, 8, 1), rng, scale=0.3) for _ in range(2))
    control = Control(copied, drawn(partial(Look, 8), rng), drawn(partial(nn.Conv2d, 8, 8, 1), rng), outs)
    hint, y, abar = torch.rand(2, 1, 4, 4, generator=rng), torch.tensor([2, 1]), torch.linspace(0.95, 0.02, 20)
    films = []
    for seed in (4, 4, 5):
        again = torch.Generator().manual_seed(seed)
        films.append(controlled_sample(base, control, hint, y, [1.0, 1.0], [18, 7], abar, again))
    assert films[0][-1].abs().max() <= 1 + 1e-5, "the last step ends on the clean image: its row before is -1"
    assert torch.equal(films[0], films[1]), "the same seed must give the same film"
    assert not torch.equal(films[0], films[2]), "another seed must give another film"


@controlled_sample.misconception(
    "You stepped from row t to row t - 1; the next row of `rows` may be far below, and each step has to reach it.",
    name="one-row-at-a-time",
)
def _(base, control, hint, y, scales, rows, abar, generator):
    with torch.no_grad():
        x = torch.randn((len(hint), 3, *hint.shape[2:]), generator=generator)
        film = [x]
        for t, scale in zip(rows, scales, strict=True):
            eps = controlled_eps(base, control, x, torch.full((len(x),), t), y, hint, scale)
            x = step_between(eps, x, t, t - 1, abar, torch.randn(x.shape, generator=generator))
            film.append(x)
    return torch.stack(film)


@controlled_sample.misconception(
    "You told the network the number of the step; it was trained on rows of abar, so it needs t itself.",
    name="step-number-for-the-row",
)
def _(base, control, hint, y, scales, rows, abar, generator):
    with torch.no_grad():
        x = torch.randn((len(hint), 3, *hint.shape[2:]), generator=generator)
        film = [x]
        for i, (t, before, scale) in enumerate(zip(rows, [*rows[1:], -1], scales, strict=True)):
            eps = controlled_eps(base, control, x, torch.full((len(x),), i), y, hint, scale)
            x = step_between(eps, x, t, before, abar, torch.randn(x.shape, generator=generator))
            film.append(x)
    return torch.stack(film)


@controlled_sample.misconception(
    "You used the starting noise again in each step; z has to be fresh, or the same pattern is added every time.",
    name="same-noise-in-each-step",
)
def _(base, control, hint, y, scales, rows, abar, generator):
    with torch.no_grad():
        x = torch.randn((len(hint), 3, *hint.shape[2:]), generator=generator)
        film = [x]
        for t, before, scale in zip(rows, [*rows[1:], -1], scales, strict=True):
            eps = controlled_eps(base, control, x, torch.full((len(x),), t), y, hint, scale)
            x = step_between(eps, x, t, before, abar, film[0])
            film.append(x)
    return torch.stack(film)


@controlled_sample.misconception(
    "You used the first scale for every row; each row has a scale of its own.", name="first-scale-everywhere"
)
def _(base, control, hint, y, scales, rows, abar, generator):
    return controlled_sample(base, control, hint, y, [scales[0]] * len(rows), rows, abar, generator)


@controlled_sample.misconception(
    "You left the control at scale 1; `scales` says how strong it is at each row.", name="ignored-the-scales"
)
def _(base, control, hint, y, scales, rows, abar, generator):
    return controlled_sample(base, control, hint, y, [1.0] * len(rows), rows, abar, generator)


@controlled_sample.misconception(
    "You ended on the last row of `rows`, without the step from there to the clean image at -1.",
    name="stopped-at-the-last-row",
)
def _(base, control, hint, y, scales, rows, abar, generator):
    return controlled_sample(base, control, hint, y, scales, rows, abar, generator)[:-1]


@controlled_sample.also_correct
def _(base, control, hint, y, scales, rows, abar, generator):
    size, _, height, width = hint.shape
    states = [torch.randn(size, 3, height, width, generator=generator)]
    for i in range(len(rows)):
        before = rows[i + 1] if i + 1 < len(rows) else -1
        times = torch.tensor([rows[i]] * size)
        eps = controlled_eps(base, control, states[-1], times, y, hint, scales[i]).detach()
        fresh = torch.randn(size, 3, height, width, generator=generator)
        states.append(step_between(eps, states[-1], rows[i], before, abar, fresh))
    return torch.stack(states)


@controlled_sample.also_correct
def _(base, control, hint, y, scales, rows, abar, generator):
    with torch.inference_mode():
        film = torch.empty(len(rows) + 1, len(hint), 3, *hint.shape[-2:])
        film[0] = torch.randn(film.shape[1:], generator=generator)
        following = [*rows[1:], -1]
        for i, t in enumerate(rows):
            z = torch.empty_like(film[i]).normal_(generator=generator)
            eps = controlled_eps(base, control, film[i], torch.full(y.shape, t), y, hint, scales[i])
            film[i + 1] = step_between(eps, film[i], t, following[i], abar, z)
    return film.clone()


@exercise(
    points=2,
    minutes=8,
    level="warm-up",
    importance=2,
    hints=(
        "What should the number be if the image has the shape of the drawing but twice its area?",
        "Find the pixels with ink, then count those in both and those in at least one of the two.",
        "The images have three channels and the hints one; at the end there is one number for each image.",
        "`images.amax(1, keepdim=True) > 0.1` is (B, 1, S, S); `&`, `|` and `.sum((1, 2, 3))` do the rest.",
    ),
)
def mask_iou(images, hints):
    """Return how well the ink of images covers the drawings: intersection over union.

    A pixel has ink if the brightest of its three channels is above 0.1.

    * images: (B, 3, S, S), values in [-1, 1]
    * hints: (B, 1, S, S), 1 where ink is wanted, else 0
    * returns: (B,), from 0 to 1, a tensor; 1 where neither has ink
    """
    ### BEGIN SOLUTION
    ink, wanted = images.amax(1, keepdim=True) > 0.1, hints > 0.5
    union = (ink | wanted).sum((1, 2, 3))
    both = (ink & wanted).sum((1, 2, 3))
    return torch.where(union > 0, both / union.clamp(min=1), torch.ones(len(images), device=images.device))
    ### END SOLUTION


mask_iou.equivalent(
    "ink, wanted = images.amax(1, keepdim=True) >= 0.1, hints > 0.5", "the limit is no number of single precision"
)
mask_iou.equivalent("ink, wanted = images.amax(1, keepdim=True) > 0.1, hints >= 0.5", "a drawing has 0 and 1 alone")
mask_iou.equivalent(
    "return torch.where(union > 0, both / union.clamp(min=0), torch.ones(len(images), device=images.device))",
    "where the union is empty, the other value is taken",
)


@mask_iou.test("counts ink that both have over ink that either has", points=1)
def _(mask_iou, rng):
    hints = torch.zeros(2, 1, 4, 6)
    hints[0, :, :2, :3], hints[1, :, 1:, :] = 1, 1
    images = torch.full((2, 3, 4, 6), -0.8)
    images[0, 0, 1:4, :3], images[0, 1, 1:4, :3], images[1, 1:, 1:, 2:4] = 0.3, 0.7, 0.9
    assert_close(torch.as_tensor(mask_iou(images, hints)), torch.tensor([3 / 12, 6 / 18]), message="3 of 12, 6 of 18")
    images, hints = torch.full((2, 3, 3, 2), -0.8), torch.zeros(2, 1, 3, 2)
    images[:, 1, 2, 0], hints[0, :, 2, 0] = 0.6, 1
    assert_close(torch.as_tensor(mask_iou(images, hints)), torch.tensor([1.0, 0.0]), message="1 of 1, 0 of 1")


@mask_iou.hidden("judges each image alone, by the brightest channel, and empty ones too", points=1)
def _(mask_iou, rng):
    for count, size in ((5, 4), (3, 7), (4, 6)):
        images = torch.rand(count, 3, size, size, generator=rng) * 1.8 - 1
        hints = (torch.rand(count, 1, size, size, generator=rng) < 0.4).float()
        images[-1], hints[-1] = -0.5, 0
        images[1] = -0.9
        before = images.clone(), hints.clone()
        found = mask_iou(images, hints)
        expected = []
        for image, hint in zip(images.tolist(), hints.tolist(), strict=True):
            cells = [(i, j) for i in range(size) for j in range(size)]
            ink = {(i, j) for i, j in cells if max(image[c][i][j] for c in range(3)) > 0.1}
            wanted = {(i, j) for i, j in cells if hint[0][i][j] == 1}
            expected.append(len(ink & wanted) / len(ink | wanted) if ink | wanted else 1.0)
        assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
        assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-6, message=f"{count} images of side {size}")
        same = torch.equal(images, before[0]) and torch.equal(hints, before[1])
        assert same, "the arguments must stay as they are"


@mask_iou.misconception(
    "You divided by the ink that was asked for; an image full of ink would then get a perfect 1.",
    name="divided-by-the-drawing",
)
def _(images, hints):
    ink, wanted = images.amax(1, keepdim=True) > 0.1, hints > 0.5
    return (ink & wanted).sum((1, 2, 3)) / wanted.sum((1, 2, 3))


@mask_iou.misconception(
    "You counted the pixels that agree; most pixels are background in both, so even an empty image gets a high score.",
    name="share-of-equal-pixels",
)
def _(images, hints):
    return ((images.amax(1, keepdim=True) > 0.1) == (hints > 0.5)).float().mean((1, 2, 3))


@mask_iou.misconception(
    "You computed the Dice score, twice the intersection over the sum of both areas; the union counts what both have "
    "only once.",
    name="dice-score",
)
def _(images, hints):
    ink, wanted = images.amax(1, keepdim=True) > 0.1, hints > 0.5
    return 2 * (ink & wanted).sum((1, 2, 3)) / (ink.sum((1, 2, 3)) + wanted.sum((1, 2, 3)))


@mask_iou.misconception(
    "You looked at the mean of the channels; pure red ink is dark in two of three, so that it would not count.",
    name="mean-of-the-channels",
)
def _(images, hints):
    ink, wanted = images.mean(1, keepdim=True) > 0.1, hints > 0.5
    union = (ink | wanted).sum((1, 2, 3))
    return torch.where(union > 0, (ink & wanted).sum((1, 2, 3)) / union.clamp(min=1), torch.ones(len(images)))


@mask_iou.misconception(
    "You compared each of the three channels with the drawing; a pixel has ink or not, whatever its colour.",
    name="channel-by-channel",
)
def _(images, hints):
    ink, wanted = images > 0.1, (hints > 0.5).expand_as(images)
    union = (ink | wanted).sum((1, 2, 3))
    return torch.where(union > 0, (ink & wanted).sum((1, 2, 3)) / union.clamp(min=1), torch.ones(len(images)))


@mask_iou.misconception(
    "You returned one number for the whole batch, in which large drawings count more; each image has its own.",
    name="over-the-batch",
)
def _(images, hints):
    ink, wanted = images.amax(1, keepdim=True) > 0.1, hints > 0.5
    return (ink & wanted).sum() / (ink | wanted).sum()


@mask_iou.misconception(
    "You divided by a union of 0 where neither has ink, which gives nan; nothing was asked for and nothing drawn: 1.",
    name="nan-for-empty",
)
def _(images, hints):
    ink, wanted = images.amax(1, keepdim=True) > 0.1, hints > 0.5
    return (ink & wanted).sum((1, 2, 3)) / (ink | wanted).sum((1, 2, 3))


@mask_iou.also_correct
def _(images, hints):
    scores = []
    for image, hint in zip(images, hints, strict=True):
        ink, wanted = (image > 0.1).any(0), hint[0].bool()
        union = int((ink | wanted).sum())
        scores.append(int((ink & wanted).sum()) / union if union else 1.0)
    return torch.tensor(scores)


@mask_iou.also_correct
def _(images, hints):
    ink, wanted = (images.max(1).values > 0.1).flatten(1).float(), hints.flatten(1)
    both = (ink * wanted).sum(1)
    union = ink.sum(1) + wanted.sum(1) - both
    return torch.nan_to_num(both / union, nan=1.0)
