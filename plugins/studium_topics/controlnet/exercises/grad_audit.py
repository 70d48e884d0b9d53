import math
from functools import partial

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.controlnet.model import PARTS, Control
from studium_topics.kits.weights import drawn


@exercise(
    points=3,
    minutes=12,
    kind="measure",
    importance=3,
    hints=(
        "When can you measure a gradient: before `backward`, after it, or after the step?",
        "In each round: clear, go backward, measure the four parts, then step.",
        "Each part has one number: the root of the sum of the squares of all its gradients, or 0 where there is none.",
        "`getattr(control, part).parameters()` has the tensors; `parameter.grad` is None where no gradient arrived.",
    ),
)
def grad_audit(control, loss_fn, lr, steps):
    """Measure how much gradient each part of a control gets in its first steps.

    Take `steps` steps of torch.optim.SGD on all parameters of the control. Before each step, measure the norm of each
    part's gradient, with all its parameters together as one long vector.

    * control: a Control; PARTS names its parts; afterwards it has taken the steps
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
    "You never cleared the gradients. `backward` adds to what is there, so each step follows, and measures, a sum.",
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
    "You measured the parameters; measure their gradients, because a zero convolution has norm 0 whatever its "
    "gradient is.",
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
    "You added up the norms of the separate tensors; for one long vector, take the root of the sum of all squares.",
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
    "You took steps of Adam; use SGD, whose step is proportional to the gradient itself.",
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
    "You measured without ever taking a step, so every dict is the one of step 0.", name="never-stepped"
)
def _(control, loss_fn, lr, steps):
    return grad_audit(control, loss_fn, 0.0, steps)


@grad_audit.misconception(
    "You trained only `zero_outs` and `zero_in`; all parts of the control take the step.",
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
