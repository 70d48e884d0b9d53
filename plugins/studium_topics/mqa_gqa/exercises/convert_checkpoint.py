import torch
from studium import assert_close, exercise

from studium_topics.mqa_gqa.exercises.pool_heads import pool_heads


@exercise(
    points=3,
    minutes=10,
    importance=2,
    hints=(
        "Which part of a parameter's name is the name of its module, and which part of the module's name tells you its "
        "kind?",
        "The module's name is everything before the last dot. Compare the last part of that name as a whole: other "
        "names may end in the same letters.",
        "Start from a new dictionary with the same tensors, and replace the weights and biases of two kinds of "
        "modules.",
        "`name.rpartition('.')` gives the module and the parameter, `module.split('.')[-1]` gives the module's last "
        "part.",
    ),
)
def convert_checkpoint(state, heads, groups):
    """Return the checkpoint of a multi-head model with `groups` key and value heads.

    Pool every module whose last part is `k_proj` or `v_proj`, anywhere in the model, with `pool_heads`;
    some of these modules have biases and some do not. All other entries stay as they are.

    * state: {name: tensor}, as in Llama's checkpoints; a name is the module's name, a dot, and `weight` or `bias`
    * heads, groups: before and after
    * returns: a new dictionary with the same names; `state` stays as it is
    """
    ### BEGIN SOLUTION
    converted = dict(state)
    for module in {name.rpartition(".")[0] for name in state}:
        if module.split(".")[-1] in ("k_proj", "v_proj"):
            weight, bias = pool_heads(state[f"{module}.weight"], state.get(f"{module}.bias"), heads, groups)
            converted[f"{module}.weight"] = weight
            if bias is not None:
                converted[f"{module}.bias"] = bias
    return converted
    ### END SOLUTION


@convert_checkpoint.test("pools keys and values, and leaves queries and outputs alone", points=1)
def _(convert_checkpoint):
    names = [f"layers.0.self_attn.{part}_proj.weight" for part in "qkvo"]
    state = {name: torch.arange(8.0).view(4, 2) for name in names}
    found = convert_checkpoint(state, 4, 2)
    pooled, whole = torch.tensor([[1.0, 2.0], [5.0, 6.0]]), torch.arange(8.0).view(4, 2)
    assert_close(found, dict(zip(names, (whole, pooled, pooled, whole), strict=True)))


@convert_checkpoint.hidden("pools every k_proj and v_proj with its bias, and nothing else", points=1)
def _(convert_checkpoint, rng):
    for heads, groups, size in ((4, 2, 3), (6, 2, 2), (4, 4, 2), (4, 1, 5)):
        shapes = {"embed_tokens.weight": (11, 7), "norm.weight": (heads * size,), "k_proj.weight": (heads * size, 7)}
        for layer in range(2):
            at = f"model.layers.{layer}.self_attn"
            shapes |= {f"{at}.{part}_proj.weight": (heads * size, 7) for part in ("q", "k", "v", "qk", "pre_v")}
            shapes |= {f"{at}.{part}_proj.bias": (heads * size,) for part in ("q", "k") if layer}
            shapes |= {f"{at}.o_proj.weight": (7, heads * size), f"{at}.k_norm.weight": (heads * size,)}
            shapes |= {f"model.layers.{layer}.k_proj.gate.weight": (heads * size, 7)}
        state = {name: torch.randn(shape, generator=rng, dtype=torch.float64) for name, shape in shapes.items()}
        expected = dict(state)
        for name in state:
            if name.split(".")[-2] in ("k_proj", "v_proj"):
                members = state[name].view(groups, heads // groups, size, -1)
                expected[name] = members.mean(1).reshape(groups * size, *state[name].shape[1:])
        found = convert_checkpoint(state, heads, groups)
        assert_close(found, expected, rtol=1e-6, atol=1e-6, message=f"with {heads} heads in {groups} groups")


@convert_checkpoint.hidden("leaves the checkpoint that it was given as it is, and gives a new one", points=1)
def _(convert_checkpoint, rng):
    state = {
        f"layers.0.self_attn.{part}_proj.{kind}": torch.randn(shape, generator=rng, dtype=torch.float64)
        for part in "qkv"
        for kind, shape in (("weight", (6, 3)), ("bias", (6,)))
    }
    kept = {name: tensor.clone() for name, tensor in state.items()}
    found = convert_checkpoint(state, 6, 2)
    assert found is not state, "the result must be a new dictionary"
    assert_close(state, kept, rtol=0, atol=0, message="the checkpoint that you were given has changed")
    assert tuple(found["layers.0.self_attn.k_proj.bias"].shape) == (2,), "6 heads of one row in 2 groups leave 2 rows"


@convert_checkpoint.misconception(
    "You pooled the queries too; keep every query head, because otherwise you just get a smaller model.",
    name="pooled-queries",
)
def _(state, heads, groups):
    converted = dict(state)
    for name, tensor in state.items():
        if name.split(".")[-2] in ("q_proj", "k_proj", "v_proj"):
            pooled = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1)
            converted[name] = pooled.flatten(0, 1)
    return converted


@convert_checkpoint.misconception(
    "You pooled only the keys; pool the values too, because a group shares both.", name="pooled-keys-alone"
)
def _(state, heads, groups):
    converted = dict(state)
    for name, tensor in state.items():
        if name.split(".")[-2] == "k_proj":
            converted[name] = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    return converted


@convert_checkpoint.misconception(
    "You only checked how the name ends: `qk_proj.weight` also ends with `k_proj.weight`. Compare the last part of the "
    "module's name as a whole.",
    name="compared-the-ending",
)
def _(state, heads, groups):
    converted = dict(state)
    for name, tensor in state.items():
        if name.endswith(("k_proj.weight", "v_proj.weight", "k_proj.bias", "v_proj.bias")):
            converted[name] = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    return converted


@convert_checkpoint.misconception(
    "You looked for `k_proj` anywhere in the name: `k_proj.gate` is another module. Compare the last part of the "
    "module's name as a whole.",
    name="compared-anywhere",
)
def _(state, heads, groups):
    converted = dict(state)
    for name, tensor in state.items():
        if {"k_proj", "v_proj"} & set(name.split(".")):
            converted[name] = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    return converted


@convert_checkpoint.misconception(
    "You pooled only the weights; pool the biases too, where there are any.", name="forgot-the-biases"
)
def _(state, heads, groups):
    converted = dict(state)
    for name, tensor in state.items():
        if name.split(".")[-2] in ("k_proj", "v_proj") and name.endswith(".weight"):
            converted[name] = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    return converted


@convert_checkpoint.misconception(
    "You changed the checkpoint that you were given. It has to stay as it is: start from a copy.",
    name="changed-the-checkpoint",
)
def _(state, heads, groups):
    for name, tensor in state.items():
        if name.split(".")[-2] in ("k_proj", "v_proj"):
            state[name] = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    return state


@convert_checkpoint.also_correct
def _(state, heads, groups):
    def pooled(name, tensor):
        if len(name.split(".")) < 2 or name.split(".")[-2] not in {"k_proj", "v_proj"}:
            return tensor.clone()
        size = tensor.shape[0] // heads
        return tensor.reshape(groups, -1, size, *tensor.shape[1:]).mean(1).reshape(groups * size, *tensor.shape[1:])

    return {name: pooled(name, tensor) for name, tensor in state.items()}
