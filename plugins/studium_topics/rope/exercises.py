"""Exercises: from the frequencies of the pairs to scores, caches and longer contexts.

Pairs may be neighbours or halves, and rotate in either direction: where a statement does not choose, every choice is
right, and tests look at scores.
"""

import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

# ---------------------------------------------------------------------------------------------------- inv_freq


@exercise(
    points=3,
    minutes=6,
    level="warm-up",
    importance=2,
    hints=(
        "How many pairs does a head of width d have, and what is the exponent of the first and of the last one?",
        "There are d / 2 pairs; the first frequency is base⁰ = 1, and the last exponent is −(d − 2)/d.",
        "`torch.arange(0, d, 2)` is 2i for all pairs i.",
    ),
)
def inv_freq(d, base=10000.0):
    """Return the frequency of each pair of coordinates, in radians a position.

    θᵢ = base^(−2i/d) for i = 0, 1, …, d/2 − 1. (In Su et al. 2021, section 3.2.2, i starts at 1.)

    * d: the width of one head, even and at least 2
    * base: above 1
    * returns: (d/2,), the fastest first, float32 or float64
    """
    ### BEGIN SOLUTION
    return base ** -(torch.arange(0, d, 2) / d)
    ### END SOLUTION


@inv_freq.test("gives the two frequencies of a head of width 4", points=1)
def _(inv_freq):
    assert_close(inv_freq(4, 100.0), torch.tensor([1.0, 0.1]), message="for d=4 and base 100")


@inv_freq.hidden("falls by the same factor from pair to pair, from 1 to base^(−(d − 2)/d)", points=2)
def _(inv_freq):
    for d, base in ((2, 50.0), (6, 10000.0), (10, 500.0), (64, 500000.0), (128, 10000.0)):
        expected = torch.tensor([base ** (-2 * i / d) for i in range(d // 2)])
        assert_close(inv_freq(d, base), expected, rtol=1e-4, atol=1e-9, message=f"for d={d} and base {base:g}")
    assert_close(inv_freq(8), torch.tensor([1.0, 0.1, 0.01, 0.001]), rtol=1e-4, message="for d=8 and the usual base")


@inv_freq.misconception(
    "You used the exponent i/d; a pair holds two coordinates, so it is 2i/d.", name="exponent-i-over-d"
)
def _(d, base=10000.0):
    return base ** -(torch.arange(d // 2) / d)


@inv_freq.misconception(
    "You let the frequencies grow; the exponent is negative, so that each pair is slower than the last.",
    name="growing-frequencies",
)
def _(d, base=10000.0):
    return base ** (torch.arange(0, d, 2) / d)


@inv_freq.misconception(
    "You gave each coordinate a frequency; the two of a pair rotate together, so there are d/2 frequencies.",
    name="one-for-each-coordinate",
)
def _(d, base=10000.0):
    return base ** -(2 * torch.arange(d) / d)


@inv_freq.misconception(
    "You counted the pairs from 1; the fastest one has i = 0 and rotates by 1 radian a position. (In the paper i "
    "starts at 1, and the exponent has i − 1.)",
    name="counted-from-one",
)
def _(d, base=10000.0):
    return base ** -(torch.arange(2, d + 1, 2) / d)


@inv_freq.misconception(
    "You spread the exponents over 0 to 1, both ends included; the last pair has −(d − 2)/d, not −1.",
    name="both-ends-included",
)
def _(d, base=10000.0):
    return base ** -torch.linspace(0, 1, d // 2)


@inv_freq.misconception(
    "You gave the wavelengths, 2π/θ: how many positions one revolution takes. θ itself is asked for.",
    name="wavelengths",
)
def _(d, base=10000.0):
    return 2 * math.pi * base ** (torch.arange(0, d, 2) / d)


@inv_freq.also_correct
def _(d, base=10000.0):
    return 1.0 / (base ** (torch.arange(0, d, 2, dtype=torch.float64) / d))


@inv_freq.also_correct
def _(d, base=10000.0):
    return torch.exp(torch.arange(d // 2) * (-2 * math.log(base) / d))


@inv_freq.also_correct
def _(d, base=10000.0):
    return torch.logspace(0, -(d - 2) / d, d // 2, base=base)


# -------------------------------------------------------------------------------------------------- apply_rope


@exercise(
    points=5,
    minutes=15,
    importance=3,
    hints=(
        "Which two coordinates make pair i, and which axis of the angles is for the heads?",
        "A pair (x, y) rotated by φ is (x cos φ − y sin φ, y cos φ + x sin φ). Both coordinates of pair i need the "
        "angle of pair i.",
        "The angles are an outer product of positions and frequencies, (T, d/2) or (B, T, d/2); with one axis more, "
        "(B, 1, T, d/2), they meet the heads.",
        "`first, second = x.chunk(2, -1)` makes halves, `x[..., 0::2]` and `x[..., 1::2]` make neighbours. bfloat16 "
        "cannot tell position 4001 from 4000: compute in float32 and end with `.to(x.dtype)`.",
    ),
)
def apply_rope(x, positions, inv):
    """Return queries or keys with each pair of coordinates rotated by position times frequency.

    Which coordinates make a pair is your choice, neighbours (0, 1), (2, 3), … or halves
    (i, i + d/2), and so is the direction: the tests look at scores. Angles, cosines and sines are
    computed in float32 or better, and gradients have to reach x.

    * x (B, H, T, d): float16, bfloat16, float32 or float64; it stays as it is
    * positions: integers, (T,) for all rows, or (B, T), each row its own
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
    "You paired halves but took the angles of neighbours: coordinate i and its partner i + d/2 then rotate by "
    "different angles, which is no rotation. Repeat the angles as `cat([angle, angle])`, or pair neighbours.",
    name="halves-with-neighbours-angles",
)
def _(x, positions, inv):
    angle = (positions[..., None] * inv).unsqueeze(-3).repeat_interleave(2, -1)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    first, second = wide.chunk(2, -1)
    return (wide * angle.cos() + torch.cat([-second, first], -1) * angle.sin()).to(x.dtype)


@apply_rope.misconception(
    "You paired neighbours but took the angles of halves: the two coordinates of a pair then rotate by different "
    "angles, which is no rotation. Repeat each angle with `repeat_interleave(2, -1)`, or pair halves.",
    name="neighbours-with-halves-angles",
)
def _(x, positions, inv):
    angle = (positions[..., None] * inv).unsqueeze(-3)
    angle = torch.cat([angle, angle], -1)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    partner = torch.stack([-wide[..., 1::2], wide[..., 0::2]], -1).flatten(-2)
    return (wide * angle.cos() + partner * angle.sin()).to(x.dtype)


@apply_rope.misconception(
    "You left out a minus: (a cos φ + b sin φ, b cos φ + a sin φ) is no rotation, and changes the length. One of the "
    "two sines is subtracted.",
    name="left-out-the-minus",
)
def _(x, positions, inv):
    angle = (positions[..., None] * inv).unsqueeze(-3)
    first, second = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos + second * sin, second * cos + first * sin], -1).to(x.dtype)


@apply_rope.misconception(
    "You rotated one half of the coordinates and left the other half as it was; all d of them make pairs.",
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
    "You numbered the tokens 0, 1, 2, … yourself; `positions` says where they are, and in a cache or a padded batch "
    "that is elsewhere.",
    name="numbered-the-tokens",
)
def _(x, positions, inv):
    angle = torch.arange(x.shape[-2])[:, None] * inv
    first, second = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)


@apply_rope.misconception(
    "You let the positions (B, T) meet the heads: (B, T, d/2) lines its B up with H. Give the angles an axis for the "
    "heads, (B, 1, T, d/2).",
    name="positions-met-the-heads",
)
def _(x, positions, inv):
    angle = positions[..., None] * inv
    first, second = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)


@apply_rope.misconception(
    "You used the first row's positions for all rows; positions (B, T) differ from row to row.",
    name="first-row-for-all",
)
def _(x, positions, inv):
    angle = (positions if positions.ndim == 1 else positions[0])[:, None] * inv
    first, second = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)


@apply_rope.misconception(
    "You computed the angles in the dtype of x; in bfloat16 position 4001 is 4000. Keep float32 for angle, cosine and "
    "sine.",
    name="angles-in-half-precision",
)
def _(x, positions, inv):
    angle = (positions.to(x.dtype)[..., None] * inv.to(x.dtype)).unsqueeze(-3)
    first, second = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


@apply_rope.misconception(
    "You added cosines and sines to x; that is how the absolute embedding of 2017 works. Rotary positions multiply: "
    "each pair is rotated.",
    name="added-instead-of-rotated",
)
def _(x, positions, inv):
    angle = (positions[..., None] * inv).unsqueeze(-3)
    return (x + torch.cat([angle.cos(), angle.sin()], -1)).to(x.dtype)


@apply_rope.misconception(
    "You took the base 10000 in place of `inv`; the frequencies are an argument, because a longer context needs other "
    "ones.",
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


# ---------------------------------------------------------------------------------------------- relative_score


@exercise(
    points=3,
    minutes=10,
    importance=2,
    hints=(
        "How do you write the dot product of two pairs with complex numbers?",
        "The dot product is the real part of one number times the conjugate of the other. A rotation by φ multiplies "
        "by e^(iφ), and the two angles of query and key leave their difference.",
        "Make complex numbers of shape (…, d/2) from q and k, and angles (…, d/2) from the offsets; the sum runs over "
        "the pairs.",
        "`torch.view_as_complex` takes (…, d/2, 2), and `torch.polar(torch.ones_like(angle), angle)` makes e^(i "
        "angle).",
    ),
)
def relative_score(q, k, offset, inv):
    """Return the score of a rotated query with a rotated key, without rotating either of them.

    The pairs are neighbours, (0, 1), (2, 3), …, read as complex numbers q₀ + i q₁, …. The query
    would be rotated forward by m · inv, the key by n · inv. The score is
    Re Σⱼ qⱼ conj(kⱼ) e^(i offset θⱼ), without scaling (Su et al. 2021, equation 12).

    * q, k (…, d): before the rotation
    * offset: m − n, a number, or a tensor that broadcasts with the axes before the last
    * inv (d/2,): the frequencies θ
    * returns: a real tensor of the broadcast shape
    """
    ### BEGIN SOLUTION
    a, b = (torch.view_as_complex(z.unflatten(-1, (-1, 2)).contiguous()) for z in (q, k))
    angle = torch.as_tensor(offset)[..., None] * inv
    return (a * b.conj() * torch.polar(torch.ones_like(angle), angle)).real.sum(-1)
    ### END SOLUTION


@relative_score.test("is the plain dot product at offset 0, and rotates the query forward", points=1)
def _(relative_score, rng):
    q, k = torch.randn(2, 3, 6, generator=rng, dtype=torch.float64)
    inv = torch.tensor([1.0, 0.5, 0.1], dtype=torch.float64)
    assert_close(relative_score(q, k, 0, inv), (q * k).sum(-1), rtol=1e-6, atol=1e-6, message="at offset 0")
    east, north = torch.eye(2, dtype=torch.float64)
    quarter = torch.tensor([math.pi / 2], dtype=torch.float64)
    what = "q = (1, 0), rotated by a quarter, is (0, 1), and so is k"
    assert_close(relative_score(east, north, 1, quarter), torch.tensor(1.0), rtol=1e-6, atol=1e-6, message=what)


@relative_score.hidden("equals the dot product of the vectors rotated to m and n", points=2)
def _(relative_score, rng):
    for d, m, n in ((6, 41, 30), (2, 3, 8), (8, 5, 5), (10, 0, 17)):
        q, k = torch.randn(2, 2, 3, d, generator=rng, dtype=torch.float64)
        inv = torch.rand(d // 2, generator=rng, dtype=torch.float64)
        expected = torch.zeros(2, 3, dtype=torch.float64)
        for i in range(d // 2):
            a, b = (p * inv[i] for p in (m, n))
            turned_q = [q[..., 2 * i] * a.cos() - q[..., 2 * i + 1] * a.sin()]
            turned_q.append(q[..., 2 * i + 1] * a.cos() + q[..., 2 * i] * a.sin())
            turned_k = [k[..., 2 * i] * b.cos() - k[..., 2 * i + 1] * b.sin()]
            turned_k.append(k[..., 2 * i + 1] * b.cos() + k[..., 2 * i] * b.sin())
            expected += turned_q[0] * turned_k[0] + turned_q[1] * turned_k[1]
        what = f"for a query at {m} and a key at {n}, d={d}"
        assert_close(relative_score(q, k, m - n, inv), expected, rtol=1e-5, atol=1e-5, message=what)
    offsets = torch.tensor([[0, 1, -4], [9, 30, -2]])
    what = "for a tensor of offsets, each as if it were alone"
    alone = [[relative_score(q[0, 0], k[0, 0], int(o), inv) for o in row] for row in offsets]
    alone = torch.stack([torch.stack(row) for row in alone])
    assert_close(relative_score(q[0, 0], k[0, 0], offsets, inv), alone, rtol=1e-5, atol=1e-5, message=what)


@relative_score.misconception(
    "You left out the conjugate: q · k adds the angles of the two, so the score would depend on m + n. With conj(k) "
    "they are subtracted.",
    name="left-out-the-conjugate",
)
def _(q, k, offset, inv):
    a, b = (torch.view_as_complex(z.unflatten(-1, (-1, 2)).contiguous()) for z in (q, k))
    angle = torch.as_tensor(offset)[..., None] * inv
    return (a * b * torch.polar(torch.ones_like(angle), angle)).real.sum(-1)


@relative_score.misconception(
    "You rotated by n − m: the query is at m, so it is ahead of the key by m − n.", name="negative-offset"
)
def _(q, k, offset, inv):
    a, b = (torch.view_as_complex(z.unflatten(-1, (-1, 2)).contiguous()) for z in (q, k))
    angle = torch.as_tensor(offset)[..., None] * inv
    return (a * b.conj() * torch.polar(torch.ones_like(angle), -angle)).real.sum(-1)


@relative_score.misconception(
    "You took absolute values, which no rotation changes; the score is the real part.", name="absolute-values"
)
def _(q, k, offset, inv):
    a, b = (torch.view_as_complex(z.unflatten(-1, (-1, 2)).contiguous()) for z in (q, k))
    angle = torch.as_tensor(offset)[..., None] * inv
    return (a * b.conj() * torch.polar(torch.ones_like(angle), angle)).abs().sum(-1)


@relative_score.misconception(
    "You took the absolute value of the sum; a score can be negative: it is the real part of the sum.",
    name="absolute-value-of-the-sum",
)
def _(q, k, offset, inv):
    a, b = (torch.view_as_complex(z.unflatten(-1, (-1, 2)).contiguous()) for z in (q, k))
    angle = torch.as_tensor(offset)[..., None] * inv
    return (a * b.conj() * torch.polar(torch.ones_like(angle), angle)).sum(-1).abs()


@relative_score.misconception(
    "You paired halves, (i, i + d/2); in this exercise the pairs are neighbours.", name="paired-halves"
)
def _(q, k, offset, inv):
    a, b = (torch.complex(*z.chunk(2, -1)) for z in (q, k))
    angle = torch.as_tensor(offset)[..., None] * inv
    return (a * b.conj() * torch.polar(torch.ones_like(angle), angle)).real.sum(-1)


@relative_score.misconception(
    "You kept the cosine alone; where q and k do not point the same way, the sine counts too: cos δθ (q₀k₀ + q₁k₁) + "
    "sin δθ (q₀k₁ − q₁k₀).",
    name="cosine-alone",
)
def _(q, k, offset, inv):
    angle = torch.as_tensor(offset)[..., None] * inv
    return ((q * k).unflatten(-1, (-1, 2)).sum(-1) * angle.cos()).sum(-1)


@relative_score.misconception("You averaged over the pairs; a score is their sum.", name="mean-over-pairs")
def _(q, k, offset, inv):
    a, b = (torch.view_as_complex(z.unflatten(-1, (-1, 2)).contiguous()) for z in (q, k))
    angle = torch.as_tensor(offset)[..., None] * inv
    return (a * b.conj() * torch.polar(torch.ones_like(angle), angle)).real.mean(-1)


@relative_score.also_correct
def _(q, k, offset, inv):
    angle = torch.as_tensor(offset).unsqueeze(-1) * inv
    (q0, q1), (k0, k1) = ((z[..., 0::2], z[..., 1::2]) for z in (q, k))
    return ((q0 * k0 + q1 * k1) * angle.cos() + (q0 * k1 - q1 * k0) * angle.sin()).sum(-1)


@relative_score.also_correct
def _(q, k, offset, inv):
    angle = torch.as_tensor(offset, dtype=torch.float32).unsqueeze(-1) * inv.float()
    cos, sin = angle.cos(), angle.sin()
    rotated = torch.stack([q[..., 0::2] * cos - q[..., 1::2] * sin, q[..., 1::2] * cos + q[..., 0::2] * sin], -1)
    return torch.einsum("...pc,...pc->...", rotated, k.unflatten(-1, (-1, 2)).expand(rotated.shape))


# ----------------------------------------------------------------------------------------------------- to_half


@exercise(
    points=3,
    minutes=10,
    importance=2,
    kind="derive",
    hints=(
        "Which two rows of a head want frequency θᵢ, and in which two rows does code for halves look for them?",
        "Row h · d + c of the weight makes coordinate c of head h. Rows 2i and 2i + 1 have to become rows i and i + "
        "d/2.",
        "Split the first axis into (H, d/2, 2) and swap two of its axes.",
        "`weight.unflatten(0, (heads, -1, 2))` splits it; swap, then `reshape`.",
    ),
)
def to_half(weight, heads):
    """Return a projection, trained with pairs of neighbours, reordered for code that uses halves.

    The weight was trained with code that rotates coordinates 2i and 2i + 1 of each head by θᵢ. With
    the returned weights, code that rotates i and i + d/2 by θᵢ, in the same direction, computes the
    same scores.

    * weight (H·d, D): of queries or keys, as in `F.linear`; head h has the rows h · d to (h + 1) · d; it stays as it is
    * heads: H
    * returns: (H·d, D)
    """
    ### BEGIN SOLUTION
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).reshape(weight.shape)
    ### END SOLUTION


@to_half.test("keeps the rows of each head, in another order", points=1)
def _(to_half):
    weight = torch.arange(16.0)[:, None] * torch.tensor([1.0, -1.0])
    found = to_half(weight, 2)
    assert tuple(found.shape) == (16, 2), f"the result must have the shape of weight, got {tuple(found.shape)}"
    for head in range(2):
        mine = slice(8 * head, 8 * head + 8)
        what = f"the rows of head {head}, sorted, must be those that it had"
        assert_close(found[mine, 0].sort().values, weight[mine, 0], message=what)
        assert_close(found[mine, 1], -found[mine, 0], message=f"the numbers of each row of head {head} stay together")
    assert not torch.equal(found, weight), "the rows must be reordered"


@to_half.hidden("gives the same scores with code for halves", points=2)
def _(to_half, rng):
    for heads, d, width in ((3, 8, 5), (1, 12, 4), (2, 6, 7), (4, 2, 3)):
        wq, wk = torch.randn(2, heads * d, width, generator=rng, dtype=torch.float64)
        x = torch.randn(2, 6, width, generator=rng, dtype=torch.float64)
        kept = wq.clone()
        inv = torch.rand(d // 2, generator=rng, dtype=torch.float64) + 0.1
        turn = torch.polar(torch.ones(6, d // 2, dtype=torch.float64), torch.arange(6)[:, None] * inv)
        neighbours, halves = [], []
        for weight in (wq, wk):
            split = (x @ weight.T).unflatten(-1, (heads, d)).transpose(1, 2)
            neighbours.append(torch.view_as_complex(split.unflatten(-1, (-1, 2)).contiguous()) * turn)
            split = (x @ to_half(weight, heads).T).unflatten(-1, (heads, d)).transpose(1, 2)
            halves.append(torch.complex(*(z.contiguous() for z in split.chunk(2, -1))) * turn)
        expected, found = ((q @ k.mH).real for q, k in (neighbours, halves))
        what = f"the scores of {heads} heads of width {d}"
        assert_close(found, expected, rtol=1e-5, atol=1e-5, message=what)
        assert torch.equal(wq, kept), "the argument weight must stay as it is"


@to_half.misconception(
    "You went the other way: this makes an order by neighbours out of one by halves. The coordinates 2i come first, "
    "then the 2i + 1.",
    name="other-direction",
)
def _(weight, heads):
    return weight.unflatten(0, (heads, 2, -1)).transpose(1, 2).reshape(weight.shape)


@to_half.misconception(
    "You reordered all rows as if they were one head; each head keeps its own d rows.", name="all-rows-as-one-head"
)
def _(weight, heads):
    return torch.cat([weight[0::2], weight[1::2]])


@to_half.misconception(
    "You put the second coordinate of each pair first; the pairs then rotate the other way, and scores with a sine in "
    "them change.",
    name="second-coordinate-first",
)
def _(weight, heads):
    return weight.unflatten(0, (heads, -1, 2)).flip(2).transpose(1, 2).reshape(weight.shape)


@to_half.misconception(
    "You reordered the columns, what the layer reads; its outputs are the rows.", name="reordered-columns"
)
def _(weight, heads):
    half = (weight.shape[1] + 1) // 2
    order = [*range(0, weight.shape[1], 2), *range(1, weight.shape[1], 2)][: 2 * half]
    return weight[:, order]


@to_half.misconception(
    "You swapped the two halves of each head; the coordinates 2i have to become the first half.", name="swapped-halves"
)
def _(weight, heads):
    return weight.unflatten(0, (heads, 2, -1)).flip(1).reshape(weight.shape)


@to_half.also_correct
def _(weight, heads):
    d = weight.shape[0] // heads
    order = [head * d + c for head in range(heads) for c in (*range(0, d, 2), *range(1, d, 2))]
    return weight[order]


@to_half.also_correct
def _(weight, heads):
    return torch.cat([torch.cat([rows[0::2], rows[1::2]]) for rows in weight.chunk(heads)]).contiguous()


# -------------------------------------------------------------------------------------------- decode_positions


@exercise(
    points=3,
    minutes=10,
    importance=2,
    hints=(
        "How many real tokens are before this one in its row?",
        "Count real tokens from the left, over all columns, cached ones included; keep only the newest counts.",
        "The counts of all columns are (B, L), as the mask; the last `new` columns are asked for.",
        "`mask.long().cumsum(-1)` counts up to each column, the column itself included.",
    ),
)
def decode_positions(mask, new):
    """Return the positions of the newest tokens, where the keys of earlier ones are in a cache.

    Padding takes no position: the offset of two tokens of a row is how many tokens further the
    second one is. The first token of a row may have any position, but the same one in later calls,
    when the mask has grown. The result for padding is ignored.

    * mask (B, L): bool, or 0 and 1; true where a column holds a token, over all columns so far
    * new: how many of the last columns are new, from 1 to L
    * returns: integers (B, new)
    """
    ### BEGIN SOLUTION
    return mask.cumsum(-1)[:, -new:] - 1
    ### END SOLUTION


for _line in ("+ 1", "- 2", "- 0"):
    decode_positions.equivalent(
        f"return mask.cumsum(-1)[:, -new:] {_line}", "a row's positions all move by the same number: offsets stay"
    )
decode_positions.equivalent("return mask.cumsum(-1)[:, -new:]", "the first token is at 1, and offsets stay")
decode_positions.equivalent("positions = mask.int().cumsum(-1) + 1", "the first token is at 2, and offsets stay")


@decode_positions.test("continues where the cache ends, and skips padding", points=1)
def _(decode_positions):
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 0, 1]])
    prompt, following = decode_positions(mask[:, :5], 5), decode_positions(mask, 3)
    assert tuple(prompt.shape) == (2, 5), f"for 5 new columns positions (2, 5) were needed, got {tuple(prompt.shape)}"
    full = prompt[0, 1:] - prompt[0, :-1]
    assert_close(full, torch.ones(4), message="in a row without padding each token is one after the last")
    assert_close(following[0] - prompt[0, -1], torch.tensor([1, 2, 3]), message="three more after the five cached")
    padded = following[1, [0, 2]] - prompt[1, -1]
    assert_close(padded, torch.tensor([1, 2]), message="two more tokens, with padding between, after those cached")


@decode_positions.hidden("counts tokens and no padding, from call to call", points=2)
def _(decode_positions, rng):
    left = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1]])
    right = torch.tensor([[1, 1, 0, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 1, 1, 1]])
    holes = (torch.rand(4, 9, generator=rng) < 0.6).long()
    holes[:, 0], holes[:, -1], holes[0, 2:4], holes[1, 3], holes[1, 4:] = 1, 1, 0, 0, 1
    masks = (("left padding", left), ("right-padded prompts", right), ("holes", holes), ("holes", holes.bool()))
    for kind, mask in masks:
        for chunks in ([7], [4, 1, 1, 1], [3, 2, 2], [1] * 7):
            chunks = [*chunks, mask.shape[1] - 7] if mask.shape[1] > 7 else chunks
            seen, parts = 0, []
            for new in chunks:
                seen += new
                parts.append(decode_positions(mask[:, :seen], new))
                what = f"the positions of {new} new columns"
                assert tuple(parts[-1].shape) == (len(mask), new), f"{what} must be {(len(mask), new)}"
            positions = torch.cat(parts, -1)
            for row, real in zip(positions, mask.bool(), strict=True):
                offsets = row[real] - row[real][0]
                what = f"with {kind} and the columns {real.int().tolist()} in calls of {chunks}, tokens from the first"
                assert_close(offsets, torch.arange(len(offsets)), message=what)


@decode_positions.misconception(
    "You started at 0 again; the keys in the cache were rotated by their own positions, so the new tokens go on after "
    "them.",
    name="started-at-zero",
)
def _(mask, new):
    return torch.arange(new).expand(mask.shape[0], new)


@decode_positions.misconception(
    "You counted the padding too. At the left it moves a whole row, which changes no score, but between two tokens "
    "it pushes them apart.",
    name="counted-padding",
)
def _(mask, new):
    return torch.arange(mask.shape[1])[-new:].expand(mask.shape[0], new)


@decode_positions.misconception(
    "You counted tokens in the cache and columns in what is new; padding among the new columns takes no position "
    "either.",
    name="counted-new-padding",
)
def _(mask, new):
    before = mask[:, : mask.shape[1] - new].long().sum(-1, keepdim=True)
    return before + torch.arange(new)


@decode_positions.misconception(
    "You gave all new tokens one position, the number of tokens; each of them has its own.", name="one-position-for-all"
)
def _(mask, new):
    return mask.long().sum(-1, keepdim=True).expand(-1, new) - 1


@decode_positions.misconception(
    "You counted from the end; when a token is added, all earlier positions change, but their keys have been rotated "
    "already.",
    name="counted-from-the-end",
)
def _(mask, new):
    return -mask.long().flip(-1).cumsum(-1).flip(-1)[:, -new:]


@decode_positions.misconception(
    "You counted down the batch; each row counts its own tokens, along the last axis.", name="counted-down-the-batch"
)
def _(mask, new):
    return mask.long().cumsum(0)[:, -new:] - 1


@decode_positions.misconception("You gave the first `new` columns; the newest are at the end.", name="first-columns")
def _(mask, new):
    return mask.long().cumsum(-1)[:, :new] - 1


@decode_positions.misconception(
    "You counted within the new columns alone; the tokens in the cache come before them.", name="new-columns-alone"
)
def _(mask, new):
    return mask[:, -new:].long().cumsum(-1) - 1


@decode_positions.also_correct
def _(mask, new):
    positions = mask.int().cumsum(-1) - 1
    return positions.masked_fill(mask == 0, 1)[:, mask.shape[1] - new :]


@decode_positions.also_correct
def _(mask, new):
    before = mask[:, : mask.shape[1] - new].long().sum(-1, keepdim=True)
    return before + mask[:, -new:].long().cumsum(-1) + 7


@decode_positions.also_correct
def _(mask, new):
    rows = []
    for row in mask.tolist():
        count, found = 0, []
        for real in row:
            found.append(count)
            count += int(real)
        rows.append(found[len(row) - new :])
    return torch.tensor(rows)


# ------------------------------------------------------------------------------------------------------ attend


@exercise(
    points=5,
    minutes=25,
    level="integrative",
    importance=3,
    hints=(
        "A key is rotated once and then kept. Which of the four, queries, keys, values and the cache, have to be "
        "rotated in a later call?",
        "Project the new columns, rotate their queries and keys by their own positions, and append keys and values to "
        "those of the cache. A query then attends to the real columns up to its own.",
        "Queries are (B, H, n, d); keys and values grow to (B, H, L, d). What may be seen is (n, L) for causality, and "
        "(B, 1, 1, L) for padding.",
        "`torch.arange(L) <= torch.arange(L)[-n:, None]` is the causal part. "
        "`F.scaled_dot_product_attention(q, k, v, attn_mask=seen)` takes both as one bool mask.",
    ),
)
def attend(x, wq, wk, wv, wo, heads, mask, cache=None):
    """Return a layer of causal rotary attention for the newest columns of a padded batch, and its cache.

    It uses your `inv_freq`, `apply_rope` and `decode_positions`. No token attends to padding, and what
    comes out for padding is ignored. Gradients have to reach x and the weights.

    * x (B, n, D): the newest n columns; it stays as it is
    * wq, wk, wv, wo (D, D): for `F.linear`, without biases
    * heads: how many heads; each is d = D / heads wide
    * mask (B, L): as for `decode_positions`
    * cache: None, or what the last call returned; its form is your choice
    * returns: (B, n, D) and the cache for the next call
    """
    ### BEGIN SOLUTION
    batch, new, width = x.shape
    d = width // heads

    def split(weight):  # (B, n, D) to (B, H, n, d)
        return F.linear(x, weight).view(batch, new, heads, d).transpose(1, 2)

    positions, inv = decode_positions(mask, new), inv_freq(d)
    q = apply_rope(split(wq), positions, inv)
    k = apply_rope(split(wk), positions, inv)
    v = split(wv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    causal = columns <= columns[-new:, None]
    seen = causal & mask.bool()[:, None, None]  # (B, 1, n, L)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)
    ### END SOLUTION


@attend.test("gives the same in one call and token by token", points=1)
def _(attend, rng):
    x = torch.randn(3, 5, 8, generator=rng, dtype=torch.float64)
    weights = torch.randn(4, 8, 8, generator=rng, dtype=torch.float64) / 2
    mask, kept = torch.ones(3, 5, dtype=torch.bool), x.clone()
    whole, _ = attend(x, *weights, 2, mask)
    assert tuple(whole.shape) == (3, 5, 8), f"the result must have the shape of x, got {tuple(whole.shape)}"
    assert torch.equal(x, kept), "the argument x must stay as it is"
    parts, cache = [], None
    for start, end in ((0, 2), (2, 3), (3, 4), (4, 5)):
        part, cache = attend(x[:, start:end], *weights, 2, mask[:, :end], cache)
        parts.append(part)
    what = "three texts of five tokens, token by token with the cache, against one call"
    assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-4, message=what)


@attend.hidden("computes what the formula says, in one of the four conventions", points=2)
def _(attend, rng):
    def by_formula(x, weights, heads, neighbours, sign):  # from complex pairs, Su et al. 2021, equation 12
        batch, length, width = x.shape
        q, k, v = ((x @ w.T).view(batch, length, heads, -1).transpose(1, 2) for w in weights[:3])
        pairs = width // heads // 2
        shape = (pairs, 2) if neighbours else (2, pairs)
        a, b = (z.unflatten(-1, shape) if neighbours else z.unflatten(-1, shape).mT for z in (q, k))
        a, b = (torch.view_as_complex(z.contiguous()) for z in (a, b))
        angle = sign * torch.arange(length, dtype=torch.float64)[:, None] * 10000.0 ** (-torch.arange(pairs) / pairs)
        rotation = torch.polar(torch.ones_like(angle), angle)
        scores = torch.einsum("bhmc,bhnc->bhmn", a * rotation, (b * rotation).conj()).real / (2 * pairs) ** 0.5
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(later, -torch.inf).softmax(-1) @ v
        return mixed.transpose(1, 2).reshape(batch, length, width) @ weights[3].T

    for batch, length, width, heads in ((2, 7, 12, 3), (1, 9, 8, 1), (3, 6, 16, 2)):
        x = torch.randn(batch, length, width, generator=rng, dtype=torch.float64, requires_grad=True)
        weights = torch.randn(4, width, width, generator=rng, dtype=torch.float64) / width**0.5 * 1.5
        found = attend(x, *weights, heads, torch.ones(batch, length, dtype=torch.bool))[0]
        conventions = [by_formula(x, weights, heads, pairs, sign) for pairs in (True, False) for sign in (1, -1)]
        nearest = min(conventions, key=lambda expected: (found - expected).detach().abs().max().item())
        what = f"{length} tokens without padding, {heads} heads, D={width}, against the nearest of the conventions"
        assert_close(found, nearest, rtol=1e-3, atol=1e-3, message=what)
        assert found.requires_grad, "gradients must reach x"
        gradients = [torch.autograd.grad(out.square().sum(), x, retain_graph=True)[0] for out in (found, nearest)]
        assert_close(*gradients, rtol=1e-2, atol=1e-2, message="the gradient with respect to x")


@attend.hidden("treats each row of a padded batch as if it were alone, from call to call", points=2)
def _(attend, rng):
    masks = {
        "padding between": [[1, 1, 0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1], [1, 0, 0, 1, 1, 0, 1, 1]],
        "left padding": [[0, 0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1, 1]],
    }
    for kind, rows in masks.items():
        mask = torch.tensor(rows)
        for heads, ends in ((2, (4, 5, 6, 7, 8)), (3, (5, 8)), (1, (8,))):
            x = torch.randn(3, 8, 12, generator=rng, dtype=torch.float64)
            weights = torch.randn(4, 12, 12, generator=rng, dtype=torch.float64) / 2
            parts, cache, start = [], None, 0
            for end in ends:
                part, cache = attend(x[:, start:end], *weights, heads, mask[:, :end], cache)
                parts.append(part)
                start = end
            found = torch.cat(parts, 1)
            for row, real in enumerate(mask.bool()):
                count = int(real.sum())
                alone = attend(x[row : row + 1, real], *weights, heads, mask.new_ones(1, count))[0][0]
                what = f"row {row}, with {kind}, {heads} heads and calls up to {ends}, against its tokens alone"
                assert_close(found[row, real], alone, rtol=1e-3, atol=1e-3, message=what)


@attend.misconception(
    "You rotated the values, too. They are added up and never meet another vector, so the sum now depends on absolute "
    "positions.",
    name="rotated-the-values",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    q, k, v = (apply_rope(z, positions, inv) for z in (q, k, v))
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    seen = (columns <= columns[-new:, None]) & mask.bool()[:, None, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.misconception(
    "You rotated the keys of the cache again. They were rotated when they were new, so each call moves them further "
    "away.",
    name="rotated-the-cache-again",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    everywhere = decode_positions(mask, mask.shape[1])
    q, k = apply_rope(q, positions, inv), apply_rope(k, everywhere, inv)
    columns = torch.arange(mask.shape[1])
    seen = (columns <= columns[-new:, None]) & mask.bool()[:, None, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.misconception(
    "You kept the keys as they were before the rotation, and never rotated them later; the keys of earlier calls then "
    "carry no positions.",
    name="cached-keys-unrotated",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    held = k if cache is None else torch.cat([cache[0], k], 2)
    q, k = apply_rope(q, positions, inv), apply_rope(k, positions, inv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    seen = (columns <= columns[-new:, None]) & mask.bool()[:, None, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (held, v)


@attend.misconception(
    "You let tokens attend to padding. Being behind is not enough for a key: its column must hold a token.",
    name="attended-to-padding",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    q, k = apply_rope(q, positions, inv), apply_rope(k, positions, inv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    seen = columns <= columns[-new:, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.misconception(
    "You began the causal mask at the first column in each call. The newest columns are the last ones, and all that is "
    "in the cache is before them.",
    name="causal-mask-from-the-top-left",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    q, k = apply_rope(q, positions, inv), apply_rope(k, positions, inv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    seen = (columns <= columns[:new, None]) & mask.bool()[:, None, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.misconception(
    "You counted the positions within the new columns. The keys in the cache have positions already, and the count "
    "goes on after them.",
    name="positions-of-the-new-columns",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask[:, -new:], new), inv_freq(width // heads)
    q, k = apply_rope(q, positions, inv), apply_rope(k, positions, inv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    seen = (columns <= columns[-new:, None]) & mask.bool()[:, None, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.misconception(
    "You numbered the columns, padding included. Padding between two tokens then pushes them apart; your "
    "`decode_positions` counts tokens alone.",
    name="columns-as-positions",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = torch.arange(mask.shape[1])[-new:].expand(batch, -1), inv_freq(width // heads)
    q, k = apply_rope(q, positions, inv), apply_rope(k, positions, inv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    seen = (columns <= columns[-new:, None]) & mask.bool()[:, None, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.misconception(
    "You let tokens attend to later ones. A call with several columns needs a causal mask among them.",
    name="no-causal-mask",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    q, k = apply_rope(q, positions, inv), apply_rope(k, positions, inv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    seen = mask.bool()[:, None, None].expand(-1, -1, new, -1)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.misconception(
    "You divided the scores by √D. Each head computes its own scores, so the width that counts is that of a head, d.",
    name="scaled-by-the-width",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    q, k = apply_rope(q, positions, inv), apply_rope(k, positions, inv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    seen = (columns <= columns[-new:, None]) & mask.bool()[:, None, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=width**-0.5)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.also_correct
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    new, length, d = x.shape[1], mask.shape[1], x.shape[2] // heads
    held = x if cache is None else torch.cat([cache, x], 1)
    positions, inv = decode_positions(mask, length), inv_freq(d)
    q, k, v = (torch.stack((held @ w.T).split(d, -1), 1) for w in (wq, wk, wv))
    q, k = apply_rope(q, positions, inv)[:, :, -new:], apply_rope(k, positions, inv)
    scores = q @ k.transpose(-1, -2) / d**0.5
    hidden = torch.ones(length, length).triu(1)[-new:].bool() | (mask == 0)[:, None, None, :]
    weights = scores.masked_fill(hidden, torch.finfo(scores.dtype).min).softmax(-1)
    return torch.cat((weights @ v).unbind(1), -1) @ wo.T, held


@attend.also_correct
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    cache = {"k": [], "v": []} if cache is None else {name: list(parts) for name, parts in cache.items()}
    split = (batch, new, heads, width // heads)
    q, k, v = (F.linear(x, w).reshape(split).permute(0, 2, 1, 3) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    cache["k"].append(apply_rope(k, positions, inv))
    cache["v"].append(v)
    k, v = torch.cat(cache["k"], 2), torch.cat(cache["v"], 2)
    rows = []
    for i in range(new):
        until = mask.shape[1] - new + i + 1
        scores = apply_rope(q, positions, inv)[:, :, i : i + 1] @ k[:, :, :until].mT * (width // heads) ** -0.5
        rows.append(scores.masked_fill(mask[:, None, None, :until] == 0, -1e30).softmax(-1) @ v[:, :, :until])
    return F.linear(torch.cat(rows, 2).permute(0, 2, 1, 3).flatten(2), wo), cache


# --------------------------------------------------------------------------------------------------- stretched


@exercise(
    points=3,
    minutes=10,
    importance=1,
    kind="derive",
    hints=(
        "What does a base b' do to the first frequency, and what to the last?",
        "Linear: positions divided by the factor are frequencies divided by it. NTK: set the last frequency under the "
        "new base to the old one over the factor, and solve for the base.",
        "Pair i then slows down by a power of the factor that grows evenly from 0 for the first of the d/2 pairs to 1 "
        "for the last.",
        "With n pairs the power is `torch.arange(n) / (n - 1)`.",
    ),
)
def stretched(inv, kind, factor):
    """Return the frequencies for a context of `factor` times the trained length.

    * inv (d/2,): the trained frequencies, base^(−2i/d), d at least 4; it stays as it is
    * kind "linear": position interpolation; every pair slows down by factor (Chen et al. 2023, equation 4)
    * kind "ntk": the frequencies of another base, under which the fastest pair stays as it is and
      the slowest slows down by exactly factor (Peng et al. 2023, section 3.1)
    * factor: 1 or more
    * returns: (d/2,)
    """
    ### BEGIN SOLUTION
    if kind == "linear":
        return inv / factor
    pairs = torch.arange(len(inv), device=inv.device)
    return inv * factor ** -(pairs / (len(inv) - 1))
    ### END SOLUTION


@stretched.test("slows the slowest pair down by the factor", points=1)
def _(stretched):
    inv = torch.tensor([1.0, 0.1, 0.01])
    assert_close(stretched(inv, "linear", 4.0), torch.tensor([0.25, 0.025, 0.0025]), message='"linear", factor 4')
    found = stretched(inv, "ntk", 4.0)
    assert_close(found[0], torch.tensor(1.0), message='"ntk" keeps the fastest pair as it was')
    assert_close(found[2], torch.tensor(0.0025), rtol=1e-4, message='"ntk" slows the slowest pair down by 4')


@stretched.hidden("is position interpolation, or the frequencies of the new base", points=2)
def _(stretched):
    for d, base, factor in ((4, 100.0, 3.0), (10, 10000.0, 8.0), (64, 500000.0, 2.5), (128, 10000.0, 1.0)):
        i = torch.arange(d // 2, dtype=torch.float64)
        inv = base ** (-2 * i / d)
        kept = inv.clone()
        what = f"with d={d}, base {base:g} and factor {factor:g}"
        found = stretched(inv, "linear", factor)
        assert_close(found, base ** (-2 * i / d) / factor, rtol=1e-5, atol=1e-12, message=f'"linear" {what}')
        new_base = base * factor ** (d / (d - 2))
        assert_close(
            stretched(inv, "ntk", factor), new_base ** (-2 * i / d), rtol=1e-5, atol=1e-12, message=f'"ntk" {what}'
        )
        assert torch.equal(inv, kept), "the argument inv must stay as it is"


@stretched.misconception(
    "You sped the pairs up; a longer context has to fit into the angles that were seen: divide.", name="sped-up"
)
def _(inv, kind, factor):
    if kind == "linear":
        return inv * factor
    return inv * factor ** (torch.arange(len(inv)) / (len(inv) - 1))


@stretched.misconception(
    "You multiplied the base by the factor itself; the slowest pair then slows down by factor^((d − 2)/d), which is "
    "too little. The base grows by factor^(d/(d − 2)).",
    name="base-times-factor",
)
def _(inv, kind, factor):
    if kind == "linear":
        return inv / factor
    return inv * factor ** -(torch.arange(len(inv)) / len(inv))


@stretched.misconception(
    'You interpolated for "ntk" too; there the fastest pair keeps its frequency.', name="interpolated-ntk"
)
def _(inv, kind, factor):
    return inv / factor


@stretched.misconception(
    "You slowed the fastest pair down most; fast pairs have seen all angles. It is the slow ones that meet new ones.",
    name="fastest-slowed-most",
)
def _(inv, kind, factor):
    if kind == "linear":
        return inv / factor
    return inv * factor ** -(torch.arange(len(inv)).flip(0) / (len(inv) - 1))


@stretched.misconception(
    "You slowed all pairs but the first down by the whole factor; under a new base the slow-down grows from pair to "
    "pair.",
    name="all-but-the-first",
)
def _(inv, kind, factor):
    if kind == "linear":
        return inv / factor
    return torch.cat([inv[:1], inv[1:] / factor])


@stretched.misconception(
    "You let the slow-down grow in equal steps from 1 to factor; under a new base it grows by equal *ratios*.",
    name="equal-steps",
)
def _(inv, kind, factor):
    if kind == "linear":
        return inv / factor
    return inv / (1 + (factor - 1) * torch.arange(len(inv)) / (len(inv) - 1))


@stretched.also_correct
def _(inv, kind, factor):
    if kind == "linear":
        return torch.mul(inv, 1 / factor)
    d = 2 * inv.shape[0]
    base = float(inv[1]) ** (-d / 2)
    return (base * factor ** (d / (d - 2))) ** -(torch.arange(0, d, 2, dtype=torch.float64) / d)


@stretched.also_correct
def _(inv, kind, factor):
    if kind == "ntk":
        return inv * torch.logspace(0, -1, len(inv), base=factor, dtype=inv.dtype) if factor != 1 else inv.clone()
    return inv / factor


# -------------------------------------------------------------------------------------------------------- yarn


@exercise(
    points=4,
    minutes=12,
    importance=1,
    hints=(
        "How many revolutions does a pair make within the trained context?",
        "A revolution is 2π radians. The share of a pair that is kept rises linearly, from 0 at `slow` revolutions to "
        "1 at `fast` ones, and stays there.",
        "The new frequency is a mixture of the old one and the old one over factor, elementwise over (d/2,).",
        "`((turns - slow) / (fast - slow)).clamp(0, 1)` is the share that is kept.",
    ),
)
def yarn(inv, factor, context, slow=1.0, fast=32.0):
    """Return YaRN's frequencies, and the gain of queries and keys.

    A pair makes r = context · θ / 2π revolutions in training. With r <= slow it is slowed down by
    factor, with r >= fast it stays, and between, its frequency is (1 − γ) θ / factor + γ θ with
    γ = (r − slow) / (fast − slow). The gain, 0.1 ln(factor) + 1, multiplies queries *and* keys, so
    scores grow by its square. (Peng et al. 2023, definitions 2 and 3, equation 22.)

    * inv (d/2,): the trained frequencies θ; it stays as it is
    * factor, context: 1 or more, and the length trained on
    * returns: the frequencies (d/2,) and the gain, a number
    """
    ### BEGIN SOLUTION
    turns = context * inv / (2 * math.pi)
    keep = ((turns - slow) / (fast - slow)).clamp(0, 1)
    return keep * inv + (1 - keep) * inv / factor, 0.1 * math.log(factor) + 1
    ### END SOLUTION


@yarn.test("keeps fast pairs, and interpolates those of less than one revolution", points=1)
def _(yarn):
    inv = torch.tensor([1.0, 0.5, 0.001])
    found, gain = yarn(inv, 4.0, 1000, 1.0, 32.0)
    assert_close(
        found, torch.tensor([1.0, 0.5, 0.00025]), message="pairs of 159, 80 and 0.16 revolutions in 1000 positions"
    )
    assert_close(torch.as_tensor(gain), torch.tensor(1.1386294), message="the gain for factor 4")


@yarn.hidden("mixes both frequencies linearly between slow and fast", points=2)
def _(yarn):
    for d, base, factor, context, slow, fast in (
        (64, 10000.0, 4.0, 2048, 1.0, 32.0),
        (16, 10000.0, 2.0, 48, 1.0, 4.0),
        (128, 500000.0, 8.0, 8192, 1.0, 4.0),
        (32, 1000.0, 3.0, 700, 2.5, 20.0),
    ):
        inv = torch.tensor([base ** (-2 * i / d) for i in range(d // 2)], dtype=torch.float64)
        kept, expected = inv.clone(), []
        for theta in inv.tolist():
            turns = context * theta / 6.283185307179586
            share = min(1.0, max(0.0, (turns - slow) / (fast - slow)))
            expected.append(theta / factor + share * (theta - theta / factor))
        found, _ = yarn(inv, factor, context, slow, fast)
        what = f"with d={d}, factor {factor:g}, context {context}, slow {slow:g} and fast {fast:g}"
        expected = torch.tensor(expected, dtype=torch.float64)
        assert_close(found, expected, rtol=1e-4, atol=1e-12, message=what)
        assert torch.equal(inv, kept), "the argument inv must stay as it is"


@yarn.hidden("gives the gain of queries and keys", points=1)
def _(yarn):
    inv = torch.tensor([1.0, 0.1, 0.01, 0.001])
    for factor, expected in ((1.0, 1.0), (2.0, 1.0693147), (16.0, 1.2772589), (32.0, 1.3465736)):
        _, gain = yarn(inv, factor, 500)
        assert_close(torch.as_tensor(gain), torch.tensor(expected), message=f"the gain for factor {factor:g}")


@yarn.misconception(
    "You left the gain at 1; that is 'NTK by parts', and Llama 3's way. YaRN also sharpens the softmax, which has more "
    "keys now.",
    name="left-out-the-gain",
)
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = ((context * inv / (2 * math.pi) - slow) / (fast - slow)).clamp(0, 1)
    return keep * inv + (1 - keep) * inv / factor, 1.0


@yarn.misconception(
    "You left out the ramp: between slow and fast a pair is neither kept nor slowed down whole, but mixed.",
    name="left-out-the-ramp",
)
def _(inv, factor, context, slow=1.0, fast=32.0):
    turns = context * inv / (2 * math.pi)
    return torch.where(turns > fast, inv, inv / factor), 0.1 * math.log(factor) + 1


@yarn.misconception(
    "You inverted the ramp: a pair of many revolutions stays, one of less than one slows down.", name="inverted-ramp"
)
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = ((context * inv / (2 * math.pi) - slow) / (fast - slow)).clamp(0, 1)
    return (1 - keep) * inv + keep * inv / factor, 0.1 * math.log(factor) + 1


@yarn.misconception("You counted radians as revolutions: one revolution is 2π of them.", name="radians-as-revolutions")
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = ((context * inv - slow) / (fast - slow)).clamp(0, 1)
    return keep * inv + (1 - keep) * inv / factor, 0.1 * math.log(factor) + 1


@yarn.misconception(
    "You did not hold γ between 0 and 1; beyond the ends of the ramp, pairs speed up or rotate backwards.",
    name="ramp-not-clamped",
)
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = (context * inv / (2 * math.pi) - slow) / (fast - slow)
    return keep * inv + (1 - keep) * inv / factor, 0.1 * math.log(factor) + 1


@yarn.misconception("You sped the slow pairs up; interpolation divides their frequency by the factor.", name="sped-up")
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = ((context * inv / (2 * math.pi) - slow) / (fast - slow)).clamp(0, 1)
    return keep * inv + (1 - keep) * inv * factor, 0.1 * math.log(factor) + 1


@yarn.misconception(
    "You gave the factor of the scores, (0.1 ln s + 1)²; query and key are multiplied by its root each.",
    name="gain-of-the-scores",
)
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = ((context * inv / (2 * math.pi) - slow) / (fast - slow)).clamp(0, 1)
    return keep * inv + (1 - keep) * inv / factor, (0.1 * math.log(factor) + 1) ** 2


@yarn.misconception(
    "You counted revolutions in the stretched context; what a pair has shown was settled in training.",
    name="stretched-context",
)
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = ((factor * context * inv / (2 * math.pi) - slow) / (fast - slow)).clamp(0, 1)
    return keep * inv + (1 - keep) * inv / factor, 0.1 * math.log(factor) + 1


@yarn.misconception("You took log₁₀; ln is the natural logarithm.", name="decimal-logarithm")
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = ((context * inv / (2 * math.pi) - slow) / (fast - slow)).clamp(0, 1)
    return keep * inv + (1 - keep) * inv / factor, 0.1 * math.log10(factor) + 1


@yarn.also_correct
def _(inv, factor, context, slow=1.0, fast=32.0):
    wavelength = 2 * math.pi / inv
    share = torch.clamp((context / wavelength - slow) / (fast - slow), min=0.0, max=1.0)
    return torch.lerp(inv / factor, inv, share), torch.tensor(factor).log() / 10 + 1


@yarn.also_correct
def _(inv, factor, context, slow=1.0, fast=32.0):
    speeds = []
    for theta in inv.tolist():
        turns = context * theta / math.tau
        gamma = 0 if turns <= slow else 1 if turns >= fast else (turns - slow) / (fast - slow)
        speeds.append(theta * gamma + theta / factor * (1 - gamma))
    return torch.tensor(speeds, dtype=inv.dtype), 1 + math.log(factor) / 10
