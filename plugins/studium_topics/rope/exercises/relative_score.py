import math

import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=10,
    importance=2,
    hints=(
        "How do you write the dot product of two pairs with complex numbers?",
        "The dot product is the real part of one number times the conjugate of the other. A rotation by φ multiplies "
        "by e^(iφ), and of the two angles of query and key only their difference is left.",
        "Turn q and k into complex numbers of shape (…, d/2), and the offsets into angles (…, d/2); the sum runs over "
        "the pairs.",
        "`torch.view_as_complex` takes (…, d/2, 2), and `torch.polar(torch.ones_like(angle), angle)` makes e^(i "
        "angle).",
    ),
)
def relative_score(q, k, offset, inv):
    """Return the score of a rotated query with a rotated key, without rotating either of them.

    The pairs are neighbours, (0, 1), (2, 3), …, which we read as complex numbers q₀ + i q₁, …. Rotation
    would move the query forward by m · inv and the key by n · inv. The score is
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


relative_score.mistake(
    "left-out-the-conjugate",
    "You left out the conjugate: q · k adds the two angles, so the score would depend on m + n. With conj(k) the "
    "angles are subtracted.",
    replace="b.conj()",
    by="b",
)

relative_score.mistake(
    "negative-offset",
    "You rotated by n − m; rotate by m − n, because the query is at m, and so m − n ahead of the key.",
    replace="torch.polar(torch.ones_like(angle), angle)",
    by="torch.polar(torch.ones_like(angle), -angle)",
)

relative_score.mistake(
    "absolute-values",
    "You took absolute values, which a rotation never changes; the score is the real part.",
    replace="(a * b.conj() * torch.polar(torch.ones_like(angle), angle)).real",
    by="(a * b.conj() * torch.polar(torch.ones_like(angle), angle)).abs()",
)

relative_score.mistake(
    "absolute-value-of-the-sum",
    "You took the absolute value of the sum; take its real part, because a score can be negative.",
    replace="(a * b.conj() * torch.polar(torch.ones_like(angle), angle)).real.sum(-1)",
    by="(a * b.conj() * torch.polar(torch.ones_like(angle), angle)).sum(-1).abs()",
)

relative_score.mistake(
    "paired-halves",
    "You paired halves, (i, i + d/2); in this exercise the pairs are neighbours.",
    replace="torch.view_as_complex(z.unflatten(-1, (-1, 2)).contiguous())",
    by="torch.complex(*z.chunk(2, -1))",
)

relative_score.mistake(
    "cosine-alone",
    "You kept only the cosine; where q and k do not point the same way, the sine counts too: cos δθ (q₀k₀ + q₁k₁) + "
    "sin δθ (q₀k₁ − q₁k₀).",
    edits=[
        ("a, b = (torch.view_as_complex(z.unflatten(-1, (-1, 2)).contiguous()) for z in (q, k))", ""),
        (
            "(a * b.conj() * torch.polar(torch.ones_like(angle), angle)).real",
            "((q * k).unflatten(-1, (-1, 2)).sum(-1) * angle.cos())",
        ),
    ],
)

relative_score.mistake(
    "mean-over-pairs",
    "You averaged over the pairs; sum over them.",
    replace="(a * b.conj() * torch.polar(torch.ones_like(angle), angle)).real.sum",
    by="(a * b.conj() * torch.polar(torch.ones_like(angle), angle)).real.mean",
)


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
