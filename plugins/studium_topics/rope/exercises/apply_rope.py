import math

import torch
from studium import assert_close, exercise


@exercise(
    points=5,
    minutes=15,
    importance=3,
    hints=(
        "Which two coordinates form pair i, and which axis of the angles is for the heads?",
        "A pair (x, y) rotated by φ is (x cos φ − y sin φ, y cos φ + x sin φ). Both coordinates of pair i need the "
        "angle of pair i.",
        "The angles are an outer product of positions and frequencies, (T, d/2) or (B, T, d/2); with an extra axis, "
        "(B, 1, T, d/2), they broadcast over the heads.",
        "`first, second = x.chunk(2, -1)` gives halves, `x[..., 0::2]` and `x[..., 1::2]` give neighbours. bfloat16 "
        "cannot tell position 4001 from 4000: compute in float32 and end with `.to(x.dtype)`.",
    ),
)
def apply_rope(x, positions, inv):
    """Return queries or keys with each pair of coordinates rotated by position times frequency.

    You choose which coordinates form a pair, neighbours (0, 1), (2, 3), … or halves (i, i + d/2), and
    which way they rotate: the tests only look at scores. Angles, cosines and sines are computed in
    float32 or better, and gradients have to reach x.

    * x (B, H, T, d): float16, bfloat16, float32 or float64; it stays as it is
    * positions: integers, (T,) for all rows, or (B, T), different for each row
    * inv (d/2,): frequencies, from `inv_freq`
    * returns: (B, H, T, d) in the dtype of x
    """
    ### BEGIN SOLUTION
    angle = (positions[..., None] * inv).unsqueeze(-3)  # (1, T, d/2) or (B, 1, T, d/2)
    cos, sin = angle.cos(), angle.sin()
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)
    ### END SOLUTION


@apply_rope.test("keeps every length, and rotates nothing at position 0", points=1)
def _(apply_rope, rng):
    x = torch.randn(2, 3, 4, 6, generator=rng, dtype=torch.float64)
    inv = torch.tensor([1.0, 0.3, 0.05], dtype=torch.float64)
    found = apply_rope(x, torch.tensor([0, 1, 5, 9]), inv)
    assert tuple(found.shape) == (2, 3, 4, 6), f"the result must have the shape of x, got {tuple(found.shape)}"
    assert_close(found[:, :, 0], x[:, :, 0], rtol=1e-4, atol=1e-4, message="at position 0 nothing is rotated")
    assert_close(found.norm(dim=-1), x.norm(dim=-1), rtol=1e-4, atol=1e-4, message="a rotation keeps the length")
    assert not torch.allclose(found[:, :, 1:], x[:, :, 1:], atol=1e-3), "from position 1 on, vectors must be rotated"


@apply_rope.hidden(
    "makes scores that depend on the offset alone, and pairs that rotate at their own frequencies", points=2
)
def _(apply_rope, rng):
    x = torch.randn(2, 3, 4, 6, generator=rng, dtype=torch.float64, requires_grad=True)
    out = apply_rope(x, torch.tensor([3, 4, 9, 30]), torch.tensor([1.0, 0.3, 0.05], dtype=torch.float64))
    assert out.requires_grad, "gradients must reach x: the lesson trains a model through this function"
    (gradient,) = torch.autograd.grad(out.square().sum() / 2, x)  # x itself, because a rotation keeps lengths
    assert_close(gradient, x.detach(), rtol=1e-4, atol=1e-4, message="the gradient of half the squared length")
    for d in (2, 6, 8):
        inv = torch.rand(d // 2, generator=rng, dtype=torch.float64).sort(descending=True).values * 0.4 + 0.05
        units = torch.eye(d, dtype=torch.float64)[None, None]
        kept, rotated = units.clone(), {}
        for position in (0, 1, 4, 11, 15, 111, 115):
            rotated[position] = apply_rope(units, torch.full((d,), position), inv)[0, 0]
        assert torch.equal(units, kept), "the argument x must stay as it is"
        scores = {(m, n): rotated[m] @ rotated[n].T for m in rotated for n in rotated}  # of each coordinate with each
        for m, n, a, b in ((15, 11, 4, 0), (115, 111, 15, 11), (1, 0, 1, 0), (111, 115, 11, 15), (111, 111, 0, 0)):
            what = f"the scores of a query at {m} with a key at {n} should be those at {a} and {b} (d={d})"
            assert_close(scores[m, n], scores[a, b], rtol=1e-3, atol=1e-3, message=what)
        for m, n in ((1, 0), (4, 0), (15, 11)):
            both_ways = torch.linalg.eigvalsh((scores[m, n] + scores[m, n].T) / 2)  # each pair's cosine, twice
            expected = ((m - n) * inv).cos().repeat(2).sort().values
            what = f"the cosines between pairs at the positions {m} and {n}, smallest first, each twice (d={d})"
            assert_close(both_ways, expected, rtol=1e-3, atol=1e-3, message=what)


@apply_rope.hidden("gives each row of the batch its own positions", points=1)
def _(apply_rope, rng):
    for batch, heads in ((2, 5), (3, 3), (4, 1)):
        x = torch.randn(batch, heads, 4, 6, generator=rng, dtype=torch.float64)
        inv = torch.tensor([0.9, 0.2, 0.03], dtype=torch.float64)
        positions = torch.randint(50, (batch, 4), generator=rng)
        found = apply_rope(x, positions, inv)
        for row in range(batch):
            alone = apply_rope(x[row : row + 1], positions[row], inv)
            what = f"row {row} of {batch}, with {heads} heads, should be rotated as if it were alone"
            assert_close(found[row : row + 1], alone, rtol=1e-4, atol=1e-4, message=what)


@apply_rope.hidden("keeps the dtype, and tells position 4001 from 4000 in half precision", points=1)
def _(apply_rope, rng):
    inv = torch.tensor([1.0, 0.4, 0.1, 0.02])
    positions = torch.tensor([4000, 4001, 4002, 4010, 4077])
    for dtype in (torch.bfloat16, torch.float16, torch.float32, torch.float64):
        x = torch.randn(1, 2, 5, 8, generator=rng).to(dtype)
        found = apply_rope(x, positions, inv)
        assert found.dtype == dtype, f"the result must have the dtype of x, {dtype}, got {found.dtype}"
        precise = apply_rope(x.double(), positions, inv.double())
        what = f"for x in {dtype} at positions near 4000, against the same in float64"
        assert_close(found.double(), precise, rtol=2e-2, atol=3e-2, message=what)


@apply_rope.misconception(
    "You paired halves but used the angles for neighbours, so coordinate i and its partner i + d/2 rotate by different "
    "angles, which is not a rotation. Repeat the angles as `cat([angle, angle])`, or pair neighbours.",
    name="halves-with-neighbours-angles",
)
def _(x, positions, inv):
    angle = (positions[..., None] * inv).unsqueeze(-3).repeat_interleave(2, -1)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    first, second = wide.chunk(2, -1)
    return (wide * angle.cos() + torch.cat([-second, first], -1) * angle.sin()).to(x.dtype)


@apply_rope.misconception(
    "You paired neighbours but used the angles for halves, so the two coordinates of a pair rotate by different "
    "angles, which is not a rotation. Repeat each angle with `repeat_interleave(2, -1)`, or pair halves.",
    name="neighbours-with-halves-angles",
)
def _(x, positions, inv):
    angle = (positions[..., None] * inv).unsqueeze(-3)
    angle = torch.cat([angle, angle], -1)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    partner = torch.stack([-wide[..., 1::2], wide[..., 0::2]], -1).flatten(-2)
    return (wide * angle.cos() + partner * angle.sin()).to(x.dtype)


@apply_rope.misconception(
    "You left out a minus: (a cos φ + b sin φ, b cos φ + a sin φ) is not a rotation, because it changes the length. "
    "Subtract one of the two sines.",
    name="left-out-the-minus",
)
def _(x, positions, inv):
    angle = (positions[..., None] * inv).unsqueeze(-3)
    first, second = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos + second * sin, second * cos + first * sin], -1).to(x.dtype)


@apply_rope.misconception(
    "You rotated one half of the coordinates and left the other half as it was; rotate all d of them, in d/2 pairs.",
    name="rotated-half-the-coordinates",
)
def _(x, positions, inv):
    pairs = len(inv) // 2
    angle = (positions[..., None] * inv[: max(pairs, 1)]).unsqueeze(-3)
    if pairs == 0:
        return x.clone()
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    first, second, rest = wide[..., :pairs], wide[..., pairs : 2 * pairs], wide[..., 2 * pairs :]
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin, rest], -1).to(x.dtype)


@apply_rope.misconception(
    "You numbered the tokens 0, 1, 2, … yourself; use `positions`, because with a cache or a padded batch the tokens "
    "are at other positions.",
    name="numbered-the-tokens",
)
def _(x, positions, inv):
    angle = torch.arange(x.shape[-2])[:, None] * inv
    first, second = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)


@apply_rope.misconception(
    "You let the positions (B, T) broadcast against the heads: (B, T, d/2) lines up its B with H. Give the angles an "
    "axis for the heads, (B, 1, T, d/2).",
    name="positions-met-the-heads",
)
def _(x, positions, inv):
    angle = positions[..., None] * inv
    first, second = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)


@apply_rope.misconception(
    "You used the first row's positions for all rows; use each row's own, because positions (B, T) differ from row to "
    "row.",
    name="first-row-for-all",
)
def _(x, positions, inv):
    angle = (positions if positions.ndim == 1 else positions[0])[:, None] * inv
    first, second = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)


@apply_rope.misconception(
    "You computed the angles in the dtype of x; in bfloat16, position 4001 becomes 4000. Use float32 for the angle, "
    "the cosine and the sine.",
    name="angles-in-half-precision",
)
def _(x, positions, inv):
    angle = (positions.to(x.dtype)[..., None] * inv.to(x.dtype)).unsqueeze(-3)
    first, second = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


@apply_rope.misconception(
    "You added cosines and sines to x, which is how the absolute embedding of 2017 works. Rotary positions multiply: "
    "rotate each pair.",
    name="added-instead-of-rotated",
)
def _(x, positions, inv):
    angle = (positions[..., None] * inv).unsqueeze(-3)
    return (x + torch.cat([angle.cos(), angle.sin()], -1)).to(x.dtype)


@apply_rope.misconception(
    "You used the base 10000 instead of `inv`; use the frequencies you are given, because a longer context needs "
    "different ones.",
    name="ignored-inv",
)
def _(x, positions, inv):
    angle = (positions[..., None] * 10000.0 ** -(torch.arange(len(inv)) / len(inv))).unsqueeze(-3)
    first, second = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)


@apply_rope.also_correct
def _(x, positions, inv):
    angle = positions.double()[..., None] * inv.double()
    angle = angle[:, None] if positions.ndim == 2 else angle
    even, odd = x.double()[..., 0::2], x.double()[..., 1::2]
    cos, sin = torch.cos(angle), torch.sin(angle)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2).to(x.dtype)


@apply_rope.also_correct
def _(x, positions, inv):
    angle = (positions[..., None] * inv.double()).unsqueeze(-3)
    pairs = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angle), angle)).flatten(-2).to(x.dtype)


@apply_rope.also_correct
def _(x, positions, inv):
    angle = positions[..., None].float() * -inv.float()
    angle = torch.cat([angle, angle], -1)
    angle = angle if positions.ndim == 1 else angle.unsqueeze(1)
    wide = x.float()
    half = x.shape[-1] // 2
    rotated = torch.cat([-wide[..., half:], wide[..., :half]], -1)
    return (wide * angle.cos() + rotated * angle.sin()).to(x.dtype)


@apply_rope.also_correct
def _(x, positions, inv):
    batch, _, length, d = x.shape
    out = torch.empty_like(x)
    for row in range(batch):
        for t in range(length):
            place = int(positions[t] if positions.ndim == 1 else positions[row, t])
            turn = torch.zeros(d, d, dtype=torch.float64)
            for i, frequency in enumerate(inv.tolist()):
                c, s = math.cos(place * frequency), math.sin(place * frequency)
                turn[2 * i, 2 * i], turn[2 * i, 2 * i + 1] = c, -s
                turn[2 * i + 1, 2 * i], turn[2 * i + 1, 2 * i + 1] = s, c
            out[row, :, t] = (x[row, :, t].double() @ turn.T).to(x.dtype)
    return out
