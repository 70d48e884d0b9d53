from functools import partial

import torch
from studium import assert_close, exercise
from torch import nn

from studium_topics.kits.weights import drawn


@exercise(
    points=3,
    minutes=12,
    importance=1,
    kind="measure",
    hints=(
        "A model has weights, gradients and optimizer state. Which of the three exist for a frozen parameter after a "
        "step?",
        "Take the step as usual, leave the gradients in place, and add up what is there.",
        "The size of a tensor in bytes is its number of entries times the bytes of each entry. The `grad` of a frozen "
        "parameter is None.",
        "A tensor has `tensor.numel() * tensor.element_size()` bytes; `optimizer.state.values()` are dicts, one for "
        "each parameter that was updated, whose values are the tensors.",
    ),
)
def train_memory(model, x):
    """Measure how many bytes training holds: take one step, then count.

    The step: `torch.optim.Adam` with its defaults on the parameters that are not frozen, and the loss
    `model(x).square().mean()`.

    * model: any module, whose parameters may have different dtypes
    * x: a batch of inputs for it
    * returns: three numbers of bytes: all parameters; their gradients; the tensors in the optimizer's state

    Count a parameter that the model holds under two names only once. Do not count buffers and activations.
    """
    ### BEGIN SOLUTION
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam([p for p in parameters if p.requires_grad])
    model(x).square().mean().backward()
    optimizer.step()

    def size(tensors):
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    gradients = [p.grad for p in parameters if p.grad is not None]
    state = [tensor for held in optimizer.state.values() for tensor in held.values()]
    return size(parameters), size(gradients), size(state)
    ### END SOLUTION


@train_memory.test("finds 16 bytes for each trained parameter in 32 bits: 4 + 4 + 8", points=1)
def _(train_memory, rng):
    model = drawn(partial(nn.Linear, 30, 20, bias=False, dtype=torch.float32), rng)
    weights, gradients, state = train_memory(model, torch.randn(4, 30, generator=rng, dtype=torch.float32))
    assert_close(weights, 2400, message="600 weights of 4 bytes")
    assert_close(gradients, 2400, message="600 gradients of 4 bytes")
    assert 4800 <= state <= 4800 + 64, f"Adam holds two numbers of 4 bytes for each of 600 weights, you found {state}"


@train_memory.hidden("counts gradients and state of what is trained alone, each dtype at its size", points=2)
def _(train_memory, rng):
    class Tied(nn.Module):
        def __init__(self, dtype, trained):
            super().__init__()
            self.up = nn.Linear(6, 10, dtype=dtype)  # 60 + 10
            self.down = nn.Linear(10, 6, bias=False, dtype=dtype)  # 60
            self.again = self.down
            self.register_buffer("noise", torch.zeros(50, dtype=dtype))
            self.a = nn.Parameter(torch.empty(2, 6, dtype=torch.float32))
            self.b = nn.Parameter(torch.empty(6, 2, dtype=torch.float32))
            for name, parameter in self.named_parameters():
                parameter.requires_grad_(name in trained)

        def forward(self, x):
            hidden = self.down(torch.tanh(self.up(x.to(self.up.weight.dtype))))
            return hidden.float() + x @ self.a.T @ self.b.T

    for dtype, size, trained, count in (
        (torch.bfloat16, 2, ("a", "b"), {4: 24}),
        (torch.float64, 8, ("up.weight", "b"), {8: 60, 4: 12}),
        (torch.float32, 4, ("up.weight", "up.bias", "down.weight", "a", "b"), {4: 154}),
    ):
        found = train_memory(
            drawn(partial(Tied, dtype, trained), rng), torch.randn(5, 6, generator=rng, dtype=torch.float32)
        )
        weights, gradients, state = (float(number) for number in found)
        held = sum(width * number for width, number in count.items())
        what = f"of a model with 130 {dtype} and 24 float32 parameters, of which {sum(count.values())} are trained"
        assert_close(weights, 130.0 * size + 24 * 4, rtol=1e-6, message=f"the bytes of the parameters {what}")
        assert_close(gradients, float(held), rtol=1e-6, message=f"the bytes of the gradients {what}")
        most = 2 * held + 16 * len(trained)  # a step counter for each tensor
        assert 2 * held <= state <= most, f"the optimizer's state {what} is {2 * held} bytes, you found {state:g}"


@train_memory.misconception(
    "You counted entries, not bytes; multiply `numel()` by `element_size()`.", name="numbers-not-bytes"
)
def _(model, x):
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam([p for p in parameters if p.requires_grad])
    model(x).square().mean().backward()
    optimizer.step()
    state = sum(t.numel() for held in optimizer.state.values() for t in held.values())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.grad is not None), state


@train_memory.misconception(
    "You assumed 4 bytes for every number; bfloat16 needs 2 and float64 needs 8, so use each tensor's "
    "`element_size()`.",
    name="four-bytes-for-all",
)
def _(model, x):
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam([p for p in parameters if p.requires_grad])
    model(x).square().mean().backward()
    optimizer.step()
    state = sum(4 * t.numel() for held in optimizer.state.values() for t in held.values())
    gradients = sum(4 * p.numel() for p in parameters if p.grad is not None)
    return sum(4 * p.numel() for p in parameters), gradients, state


@train_memory.misconception(
    "You counted a gradient for every parameter; autograd stores none where requires_grad is False.",
    name="gradients-for-all",
)
def _(model, x):
    weights, _, state = train_memory(model, x)
    return weights, weights, state


@train_memory.misconception(
    "You counted two moments for every parameter; Adam keeps them only for the parameters that it updates.",
    name="state-for-all",
)
def _(model, x):
    weights, gradients, _ = train_memory(model, x)
    return weights, gradients, 2 * weights


@train_memory.misconception(
    "You looked at the optimizer before its first step; look after it, because that is when Adam creates its moments.",
    name="before-the-step",
)
def _(model, x):
    weights, gradients, _ = train_memory(model, x)
    return weights, gradients, 0


@train_memory.misconception(
    "You cleared the gradients before you counted them; count them while they are there, because they are in memory "
    "during the optimizer's step.",
    name="cleared-the-gradients",
)
def _(model, x):
    weights, _, state = train_memory(model, x)
    return weights, 0, state


@train_memory.misconception(
    "You counted only the trained weights; count the frozen ones too, because the forward pass needs them in memory.",
    name="trained-weights-alone",
)
def _(model, x):
    _, gradients, state = train_memory(model, x)
    return gradients, gradients, state


@train_memory.misconception(
    "You added up `state_dict()`, which lists tied parameters under both names and includes buffers; add up "
    "`model.parameters()` instead.",
    name="added-up-the-state-dict",
)
def _(model, x):
    _, gradients, state = train_memory(model, x)
    return sum(t.numel() * t.element_size() for t in model.state_dict().values()), gradients, state


@train_memory.also_correct
def _(model, x):
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained)
    optimizer.zero_grad()
    loss = (model(x) ** 2).mean()
    loss.backward()
    optimizer.step()
    weights = sum(p.nbytes for p in model.parameters())
    moments = [optimizer.state[p][name] for p in trained for name in ("exp_avg", "exp_avg_sq")]
    return [weights, sum(p.grad.nbytes for p in trained), sum(moment.nbytes for moment in moments)]


train_memory.equivalent(
    "optimizer = torch.optim.Adam([p for p in parameters if True])",
    "Adam makes no state for a parameter without a gradient",
)

train_memory.equivalent(
    "loss = (model(x) ** 2).sum()",
    "the sizes of gradients do not depend on the loss",
)

train_memory.equivalent(
    "loss = (model(x) ** 3).mean()",
    "the sizes of gradients do not depend on the loss",
)

train_memory.equivalent(
    "model(x).square().sum().backward()",
    "the sizes of gradients do not depend on the loss",
)

train_memory.equivalent(
    "model(x).mean().backward()",
    "the sizes of gradients do not depend on the loss",
)
