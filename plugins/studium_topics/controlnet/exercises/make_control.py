import copy
from functools import partial

import torch
from studium import exercise
from torch import nn

from studium_topics.controlnet.exercises.zero_module import zero_module
from studium_topics.controlnet.model import Control, Look
from studium_topics.kits.diffusion import UNet
from studium_topics.kits.weights import drawn


@exercise(
    points=4,
    minutes=15,
    importance=3,
    hints=(
        "What happens to `requires_grad` when you copy a parameter that is already frozen?",
        "Copy the base, make the copy trainable, remove what a control never uses, then build the convolutions.",
        "The skips have the widths `block.second.out_channels` for block in base.down; the middle has its own.",
        "`copy.deepcopy(base).requires_grad_(True)`, `del made.up, made.leave`, and "
        "`zero_module(nn.Conv2d(width, width, 1))` for each place.",
    ),
)
def make_control(base, look):
    """Lock a base, and return the control that will be trained alongside it.

    Freeze all parameters of `base`; its numbers stay. Return `Control(copy, look, zero_in, zero_outs)`:

    * copy: a trainable copy of base without `up` and `leave`, sharing no memory with it
    * look: as given; it returns C = `base.enter.out_channels` channels
    * zero_in: a 1 × 1 convolution, C to C
    * zero_outs: an nn.ModuleList of 1 × 1 convolutions, one for each skip of `base.encode` in its order, then one for
      the middle; each keeps the number of channels

    The convolutions are zero. Everything in the control is trainable. base may already be frozen.
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
    "Your copy stays frozen where the base was frozen before you copied it, because a deep copy keeps `requires_grad`; "
    "make the copy trainable.",
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
    "You left the output convolutions as PyTorch draws them, so at first the controlled model answers with noise on "
    "top of the base; set them to zero.",
    name="drawn-outputs",
)
def _(base, look):
    control = make_control(base, look)
    for out in control.zero_outs:
        out.reset_parameters()
    return control


@make_control.misconception(
    "You left `zero_in` as PyTorch draws it, so the copy starts on features that its weights were never trained for; "
    "set it to zero.",
    name="drawn-input",
)
def _(base, look):
    control = make_control(base, look)
    control.zero_in.reset_parameters()
    return control


@make_control.misconception(
    "You kept the decoder in the copy. It is never used and makes the control about twice as large; remove `up` and "
    "`leave`.",
    name="kept-the-decoder",
)
def _(base, look):
    control = make_control(base, look)
    control.copy = copy.deepcopy(base).requires_grad_(True)
    return control


@make_control.misconception(
    "You left out the convolution for the middle; the middle of the copy needs a way to the base too.",
    name="left-out-the-middle",
)
def _(base, look):
    control = make_control(base, look)
    control.zero_outs = control.zero_outs[:-1]
    return control


@make_control.misconception(
    "You used one convolution for the last skip and for the middle. They have the same width, but the two places need "
    "different additions; make one for each.",
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
