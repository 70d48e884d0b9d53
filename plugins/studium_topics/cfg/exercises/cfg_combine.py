import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=8,
    hints=(
        "Which multiple of the difference eps_c - eps_u do you have to add to eps_u if s = 1 should give eps_c?",
        'Convention "w" starts at eps_c and adds w times the same difference. Which s gives the same result?',
        "Both predictions and the result have the same shape; all axes are treated alike.",
        "`eps_u + s * (eps_c - eps_u)`, where s follows from the scale and the convention.",
    ),
    level="warm-up",
    importance=3,
)
def cfg_combine(eps_u: Tensor, eps_c: Tensor, scale: float, convention: str) -> Tensor:
    """Return the guided prediction of the noise.

    * eps_u, eps_c: (B, *), predicted without a label and with it
    * convention "s" (Imagen, diffusers): scale 0 gives eps_u, scale 1 gives eps_c
    * convention "w" (the paper's equation 6): scale 0 gives eps_c, scale -1 gives eps_u
    * both are linear in the scale
    * returns: (B, *), all channels treated alike

    The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    s = scale if convention == "s" else scale + 1
    return eps_u + s * (eps_c - eps_u)
    ### END SOLUTION


@cfg_combine.test("stretches the difference by what the scale means in either convention", points=1)
def _(cfg_combine):
    eps_u, eps_c = torch.tensor([[1.0, 5.0]]), torch.tensor([[3.0, 4.0]])
    assert_close(cfg_combine(eps_u, eps_c, 3.0, "s"), torch.tensor([[7.0, 2.0]]), message='scale 3, convention "s"')
    assert_close(cfg_combine(eps_u, eps_c, 3.0, "w"), torch.tensor([[9.0, 1.0]]), message='scale 3, convention "w"')


@cfg_combine.hidden("is unconditional at s = 0, conditional at s = 1, and goes beyond in all channels", points=1)
def _(cfg_combine, rng):
    for shape in ((3, 5), (2, 5, 3, 4)):
        eps_u, eps_c = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))
        kept = eps_u.clone(), eps_c.clone()
        for s in (2.5, 0.3, 7.5, 0.0, 1.0):
            got = cfg_combine(eps_u, eps_c, s, "s")
            assert_close([eps_u, eps_c], list(kept), message="the arguments after the call")
            expected = (1 - s) * kept[0] + s * kept[1]
            assert_close(got, expected, rtol=1e-5, atol=1e-6, message=f"s = {s}, shape {shape}")


@cfg_combine.hidden("knows the paper's w, too, from unconditional at -1 to strong at 4", points=1)
def _(cfg_combine, rng):
    eps_u, eps_c = (torch.randn(2, 4, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    kept = eps_u.clone(), eps_c.clone()
    for w in (0.7, 4.0, 0.1, 0.0, -1.0):
        got = cfg_combine(eps_u, eps_c, w, "w")
        assert_close([eps_u, eps_c], list(kept), message="the arguments after the call")
        expected = (1 + w) * kept[1] - w * kept[0]
        assert_close(got, expected, rtol=1e-5, atol=1e-6, message=f"w = {w}")


@cfg_combine.misconception(
    'You started at eps_c in both conventions; that is right only for "w". With "s", start at eps_u, because scale 1 '
    "has to give eps_c itself.",
    name="starts-at-eps-c",
)
def _(eps_u, eps_c, scale, convention):
    return eps_c + scale * (eps_c - eps_u)


@cfg_combine.misconception(
    "You used w as if it were s; the paper's w = 0 is the conditional model and s = 0 the unconditional one, so use s "
    "= w + 1.",
    name="w-for-s",
)
def _(eps_u, eps_c, scale, convention):
    return eps_u + scale * (eps_c - eps_u)


cfg_combine.mistake(
    "adds-eps-u",
    "You added the unconditional prediction; subtract it with the weight s - 1, because the two weights must sum to 1. "
    "With a plus they sum to 2s - 1, and the result is too large for the noise in x.",
    replace="eps_u + s * (eps_c - eps_u)",
    by="s * eps_c + (s - 1) * eps_u",
)

cfg_combine.mistake(
    "w-minus-1",
    "You converted the wrong way; w = 0 means s = 1, so s is w + 1 and not w - 1.",
    replace="scale + 1",
    by="scale - 1",
)

cfg_combine.mistake(
    "exchanged",
    "You swapped the two predictions; guidance starts at eps_u and goes through eps_c and beyond, because it moves "
    "towards the label.",
    replace="eps_u + s * (eps_c - eps_u)",
    by="eps_c + s * (eps_u - eps_c)",
)

cfg_combine.mistake(
    "three-channels",
    "You guided only the first three channels; guide all of them, because latents have four or more and every channel "
    "holds noise.",
    replace="eps_u + s * (eps_c - eps_u)",
    by="torch.cat([(eps_u + s * (eps_c - eps_u))[:, :3], eps_c[:, 3:]], 1)",
)


@cfg_combine.also_correct
def _(eps_u, eps_c, scale, convention):
    w = scale - (convention == "s")
    return (1 + w) * eps_c - w * eps_u


@cfg_combine.also_correct
def _(eps_u, eps_c, scale, convention):
    return torch.lerp(eps_u, eps_c, {"s": 0.0, "w": 1.0}[convention] + scale)
