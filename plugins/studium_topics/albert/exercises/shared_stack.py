import copy

import torch
from studium import assert_close, exercise

from studium_topics.albert.model import Layer
from studium_topics.kits.weights import drawn


@exercise(
    points=4,
    minutes=10,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "With 6 layers and 2 groups, which group does each of the six layers use?",
        "Go through the layers in order. Each group serves one block of consecutive layers.",
        "L states follow the first one. Each group is used L / N times, and each result goes into the next layer.",
        "`groups[k](x, real)` runs one layer; `layer // (layers // len(groups))` is a whole number.",
    ),
)
def shared_stack(x, real, groups, layers):
    """Return all states of a stack in which layers share parameters: x, and the output of each of the L layers.

    - x (B, T, H): the input of the first layer.
    - real (B, T), bool: passed on to each layer as it is.
    - groups: N layers; `groups[k](x, real)` returns (B, T, H).
    - layers: L, a multiple of N. The first L / N layers use the first group, the next L / N the second, and so on.

    Returns a list of L + 1 tensors. Use the groups as they are, so gradients reach them; the lesson trains through it.
    """
    ### BEGIN SOLUTION
    states = [x]
    for layer in range(layers):
        group = groups[layer // (layers // len(groups))]
        states.append(group(states[-1], real))
    return states
    ### END SOLUTION


@shared_stack.test("uses each group for consecutive layers", points=1)
def _(shared_stack):
    generator = torch.Generator().manual_seed(4)
    groups = [drawn(lambda: Layer(4, 2, 6), generator) for _ in range(3)]
    x = torch.randn(2, 3, 4, generator=generator)
    real = torch.tensor([[True, True, True], [True, True, False]])
    found = list(shared_stack(x, real, groups, 6))
    assert len(found) == 7, f"x and what leaves each of 6 layers are 7 states, got {len(found)}"
    assert_close(found[0], x, message="the first state is x")
    for number, group in enumerate((0, 0, 1, 1, 2, 2)):
        expected = groups[group](found[number], real)
        what = f"6 layers of 3 groups: state {number + 1} is what group {group} makes of state {number}"
        assert_close(found[number + 1], expected, rtol=1e-4, atol=1e-5, message=what)


@shared_stack.hidden("runs the right group on the last state with the mask, for many sizes", points=1)
def _(shared_stack, rng):
    for count, layers in ((2, 6), (1, 5), (4, 4), (3, 12), (2, 2)):
        groups = [drawn(lambda: Layer(6, 2, 5), rng, scale=0.4).double() for _ in range(count)]
        state = torch.randn(3, 4, 6, generator=rng, dtype=torch.float64)
        real = torch.rand(3, 4, generator=rng) < 0.6
        real[:, 0], real[0, 1] = True, False
        found = list(shared_stack(state, real, groups, layers))
        assert len(found) == layers + 1, f"expected {layers + 1} states, got {len(found)}"
        order = [group for group in range(count) for _ in range(layers // count)]
        for number, one in enumerate(found):
            what = f"state {number} of {layers} layers in {count} groups, which are used as {order}"
            assert_close(one, state, rtol=1e-4, atol=1e-5, message=what)
            if number < layers:
                state = groups[order[number]](state, real)


@shared_stack.hidden("lets the gradient of a shared layer be the sum over its uses", points=2)
def _(shared_stack, rng):
    for count, layers in ((1, 4), (2, 6)):
        groups = [drawn(lambda: Layer(8, 2, 12), rng, scale=0.4).double() for _ in range(count)]
        x = torch.randn(2, 5, 8, generator=rng, dtype=torch.float64).requires_grad_()
        real = torch.tensor([[True] * 5, [True, True, True, False, False]])
        away = torch.randn(2, 5, 8, generator=rng, dtype=torch.float64)
        states = shared_stack(x, real, groups, layers)
        assert states[-1].requires_grad, "gradients must reach the groups: leave `detach` and `no_grad` away"
        (states[-1] * away).sum().backward()
        copies = [copy.deepcopy(groups[number // (layers // count)]) for number in range(layers)]
        state = again = x.detach().clone().requires_grad_()
        for one in copies:
            one.zero_grad()
            state = one(state, real)
        (state * away).sum().backward()
        assert x.grad is not None, "no gradient reaches x: every layer takes the state before it as it is"
        assert_close(x.grad, again.grad, rtol=1e-4, atol=1e-6, message="the gradient of x")
        for number, group in enumerate(groups):
            mine = copies[number * (layers // count) : (number + 1) * (layers // count)]
            for (name, weight), *uses in zip(
                group.named_parameters(), *(one.parameters() for one in mine), strict=True
            ):
                assert weight.grad is not None, (
                    f"no gradient reaches {name} of group {number}: use the groups themselves, not copies of them"
                )
                expected = sum(use.grad for use in uses)
                assert_close(weight.grad, expected, rtol=1e-4, atol=1e-6, message=f"the gradient of {name}")


@shared_stack.misconception(
    "You cycled through the groups, 0 1 2 0 1 2; here the layers that share a group are neighbours: 0 0 1 1 2 2.",
    name="round-robin",
)
def _(x, real, groups, layers):
    states = [x]
    for layer in range(layers):
        states.append(groups[layer % len(groups)](states[-1], real))
    return states


@shared_stack.misconception(
    "You ran each group once, which makes a stack of only N layers; run all L layers, because sharing saves "
    "parameters but no computation.",
    name="each-group-once",
)
def _(x, real, groups, layers):
    states = [x]
    for group in groups:
        states.append(group(states[-1], real))
    return states


@shared_stack.misconception(
    "You gave x to every layer; give each layer the output of the layer before it.",
    name="always-from-x",
)
def _(x, real, groups, layers):
    return [x, *(groups[layer // (layers // len(groups))](x, real) for layer in range(layers))]


@shared_stack.also_correct
def _(x, real, groups, layers):
    states = [x]
    for group in groups:
        for _ in range(layers // len(groups)):
            states.append(group(states[-1], real))
    return states


@shared_stack.also_correct
def _(x, real, groups, layers):
    found = (x,)
    for layer in range(layers):
        found += (groups[layer * len(groups) // layers](found[layer], real),)
    return found
