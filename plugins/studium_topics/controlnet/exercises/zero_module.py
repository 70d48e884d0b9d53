import copy

import torch
from studium import assert_close, exercise
from torch import nn

from studium_topics.kits.weights import drawn


@exercise(
    points=2,
    minutes=5,
    level="warm-up",
    importance=3,
    hints=(
        "Which tensors of a module does an optimiser change, and which does it never see?",
        "Go through the parameters, at any depth, and overwrite their numbers in place.",
        "A convolution has a weight (out, in, k, k) and a bias (out,); both are parameters.",
        "`nn.init.zeros_(parameter)` writes zeros and leaves `requires_grad` alone.",
    ),
)
def zero_module(module):
    """Set every parameter of a module to zero, and return the same module.

    * module: any nn.Module, with or without modules inside it
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
    "You set the weights to zero but not the biases, so the module still adds a constant; set both to zero.",
    name="left-the-biases",
)
def _(module):
    for name, parameter in module.named_parameters():
        if name.endswith("weight"):
            nn.init.zeros_(parameter)
    return module


zero_module.mistake(
    "froze-the-parameters",
    "You froze the parameters as well; they start at zero, but training has to move them away from it.",
    replace="nn.init.zeros_(parameter)",
    by="parameter.requires_grad_(False).zero_()",
)


@zero_module.misconception(
    "You returned a copy and left the module as it was; the caller may already hold the module, so change it in place.",
    name="zeroed-a-copy",
)
def _(module):
    made = copy.deepcopy(module)
    for parameter in made.parameters():
        nn.init.zeros_(parameter)
    return made


zero_module.mistake(
    "small-instead-of-zero",
    "You drew small numbers. A small residual is still noise; only exact zeros leave the base's output bit for bit.",
    replace="nn.init.zeros_(parameter)",
    by="nn.init.normal_(parameter, std=1e-3)",
)


@zero_module.misconception(
    "You set the buffers to zero too, as writing over the whole `state_dict()` does. A running variance of 0 breaks a "
    "norm; change only the parameters.",
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
