"""The exercises: exact score, Langevin dynamics, a ladder of noise levels, annealing, denoising, and the way back.

Conventions (Song and Ermon 2019, arXiv 1907.05600): noise is added as x + sigma z with z ~ N(0, I), nothing is shrunk;
a score is the gradient of a log density with respect to x; a model is called as score(x, sigma) with one sigma for each
row; a Langevin step of size a is x + a/2 score + sqrt(a) z.
"""

import torch
from studium import assert_close, exercise

# --------------------------------------------------------------------------------------------------- gmm_score


@exercise(
    points=5,
    minutes=15,
    hints=(
        "Noise of variance σ² widens each Gaussian: component k of the smoothed mixture has the variance s2_k + σ². "
        "Make that table first, with the shape (B, K).",
        "The shares p(k | x) are a softmax over k of log w_k − |x − μ_k|²/(2 v_k) − (D/2) log v_k. What cancels may be "
        "left out; v_k does not cancel, for it differs from component to component.",
        "`x.unsqueeze(-2)` is (B, 1, D), and `means - x.unsqueeze(-2)` all the ways from x to the means, (B, K, D).",
    ),
)
def gmm_score(x, sigma, means, variances, weights):
    """Give the score, the gradient of log p_σ(x), of a mixture of Gaussians after noise of standard deviation σ.

    x (B, D); sigma (B,), above 0, one for each row; the mixture before the noise: means (K, D), variances (K,) of each
    coordinate, 0 for a single point, and weights (K,), above 0, sum 1. With v_k = variances_k + σ²,

    p_σ(x) = Σ_k weights_k N(x; means_k, v_k I), and its score is Σ_k p(k | x) (means_k − x) / v_k,

    where p(k | x) is the share of component k in p_σ(x). Returns (B, D). Must stay finite far away, at |x| = 1000 and
    σ = 0.1 for instance.
    """
    ### BEGIN SOLUTION
    v = variances + sigma.unsqueeze(-1) ** 2  # (B, K)
    away = means - x.unsqueeze(-2)  # (B, K, D)
    share = (weights.log() - away.square().sum(-1) / (2 * v) - x.shape[-1] / 2 * v.log()).softmax(-1)
    return ((share / v).unsqueeze(-1) * away).sum(-2)
    ### END SOLUTION


@gmm_score.test("points to the mean of a single Gaussian, less steeply the wider it is", points=1)
def _(gmm_score):
    x, sigma = torch.tensor([[1.0, 2.0], [1.0, 2.0]]), torch.tensor([1.0, 4.0])
    found = gmm_score(x, sigma, torch.tensor([[3.0, -2.0]]), torch.tensor([4.0]), torch.tensor([1.0]))
    expected = torch.tensor([[2 / 5, -4 / 5], [2 / 20, -4 / 20]])
    assert_close(found, expected, rtol=1e-4, atol=1e-5, message="N((3, -2), 4 I) with σ = 1 and σ = 4")


@gmm_score.hidden("is the gradient of the log density, which autograd takes of torch.distributions", points=2)
def _(gmm_score, rng):
    for B, K, D in ((5, 3, 2), (3, 3, 3), (2, 4, 5), (4, 1, 1)):
        means = 3 * torch.randn(K, D, generator=rng, dtype=torch.float64)
        variances = 0.3 + 2 * torch.rand(K, generator=rng, dtype=torch.float64)
        weights = 0.1 + torch.rand(K, generator=rng, dtype=torch.float64)
        weights = weights / weights.sum()
        sigma = 0.2 + 3 * torch.rand(B, generator=rng, dtype=torch.float64)
        x = 3 * torch.randn(B, D, generator=rng, dtype=torch.float64)
        rows = []
        for row, level in zip(x, sigma, strict=True):
            at = row.clone().requires_grad_(True)
            scale = (variances + level**2).sqrt().unsqueeze(-1).expand(K, D)
            each = torch.distributions.Independent(torch.distributions.Normal(means, scale), 1)
            mixture = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(weights), each)
            rows.append(torch.autograd.grad(mixture.log_prob(at), at)[0])
        found = gmm_score(x, sigma, means, variances, weights)
        what = f"{B} points, {K} components in {D} dimensions, each row with its own σ"
        assert_close(found, torch.stack(rows), rtol=1e-3, atol=1e-4, message=what)


@gmm_score.hidden("stays finite far away, where all densities are 0 in floating point", points=1)
def _(gmm_score):
    x = torch.tensor([[1000.0, 0.0], [-1000.0, 3.0], [0.0, 1000.0]], dtype=torch.float64)
    sigma = torch.tensor([0.1, 0.1, 0.5], dtype=torch.float64)
    means = torch.tensor([[-5.0, -5.0], [5.0, 5.0]], dtype=torch.float64)
    even = torch.tensor([1.0, 1.0], dtype=torch.float64)
    found = gmm_score(x, sigma, means, even, torch.tensor([0.2, 0.8], dtype=torch.float64))
    nearest = torch.tensor([[5.0, 5.0], [-5.0, -5.0], [5.0, 5.0]], dtype=torch.float64)
    expected = (nearest - x) / (1 + sigma**2).unsqueeze(-1)
    assert_close(found, expected, rtol=1e-4, atol=1e-4, message="1000 away, the nearest component is all that counts")


@gmm_score.hidden("takes single points for data, and leaves its arguments alone", points=1)
def _(gmm_score, rng):
    means = torch.randn(3, 2, generator=rng, dtype=torch.float64)
    x = torch.randn(4, 2, generator=rng, dtype=torch.float64)
    sigma = torch.tensor([0.3, 0.7, 1.5, 4.0], dtype=torch.float64)
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    given = [x, sigma, means, torch.zeros(3, dtype=torch.float64), weights]
    kept = [value.clone() for value in given]
    found = gmm_score(*given)
    rows = []
    for row, level in zip(x, sigma, strict=True):
        chance = [w * torch.exp(-((row - m) ** 2).sum() / (2 * level**2)) for w, m in zip(weights, means, strict=True)]
        mean = sum(c * m for c, m in zip(chance, means, strict=True)) / sum(chance)
        rows.append((mean - row) / level**2)
    assert_close(found, torch.stack(rows), rtol=1e-3, atol=1e-4, message="three points, variance 0")
    assert_close(given, kept, message="the arguments after the call")


@gmm_score.misconception(
    "You left the variances of the components out; noise adds to the spread that is there already, so component k has "
    "the variance s2_k + σ²."
)
def _(x, sigma, means, variances, weights):
    v = (sigma.unsqueeze(-1) ** 2).expand(len(x), len(means))
    away = means - x.unsqueeze(-2)
    share = (weights.log() - away.square().sum(-1) / (2 * v)).softmax(-1)
    return ((share / v).unsqueeze(-1) * away).sum(-2)


@gmm_score.misconception(
    "You added σ to the variance; σ is a standard deviation, and it is variances that add up: s2_k + σ²."
)
def _(x, sigma, means, variances, weights):
    v = variances + sigma.unsqueeze(-1)
    away = means - x.unsqueeze(-2)
    share = (weights.log() - away.square().sum(-1) / (2 * v) - x.shape[-1] / 2 * v.log()).softmax(-1)
    return ((share / v).unsqueeze(-1) * away).sum(-2)


@gmm_score.misconception(
    "You took the score of the most likely component alone; the score of a sum is the average over all components, "
    "each with its share p(k | x)."
)
def _(x, sigma, means, variances, weights):
    v = variances + sigma.unsqueeze(-1) ** 2
    away = means - x.unsqueeze(-2)
    best = (weights.log() - away.square().sum(-1) / (2 * v) - x.shape[-1] / 2 * v.log()).argmax(-1)
    rows = torch.arange(len(x))
    return away[rows, best] / v[rows, best].unsqueeze(-1)


@gmm_score.misconception(
    "You averaged the components with their prior weights; how much a component counts depends on where x is: weight "
    "times density, over the sum of those."
)
def _(x, sigma, means, variances, weights):
    v = variances + sigma.unsqueeze(-1) ** 2
    away = means - x.unsqueeze(-2)
    return ((weights / v).unsqueeze(-1) * away).sum(-2)


@gmm_score.misconception(
    "You left the weights out of the shares; component k has the share weight_k times its density, not its density "
    "alone."
)
def _(x, sigma, means, variances, weights):
    v = variances + sigma.unsqueeze(-1) ** 2
    away = means - x.unsqueeze(-2)
    share = (-away.square().sum(-1) / (2 * v) - x.shape[-1] / 2 * v.log()).softmax(-1)
    return ((share / v).unsqueeze(-1) * away).sum(-2)


@gmm_score.misconception(
    "You left out that a wide Gaussian is a low one: its density has the factor v_k to the power −D/2, which differs "
    "from component to component and does not cancel."
)
def _(x, sigma, means, variances, weights):
    v = variances + sigma.unsqueeze(-1) ** 2
    away = means - x.unsqueeze(-2)
    share = (weights.log() - away.square().sum(-1) / (2 * v)).softmax(-1)
    return ((share / v).unsqueeze(-1) * away).sum(-2)


@gmm_score.misconception(
    "You took ½ log v_k for (D/2) log v_k; a Gaussian in D dimensions gets lower by √v_k in each of them."
)
def _(x, sigma, means, variances, weights):
    v = variances + sigma.unsqueeze(-1) ** 2
    away = means - x.unsqueeze(-2)
    share = (weights.log() - away.square().sum(-1) / (2 * v) - v.log() / 2).softmax(-1)
    return ((share / v).unsqueeze(-1) * away).sum(-2)


@gmm_score.misconception(
    "You took the softmax over the rows; it is the components that share a point, so it runs over the last axis."
)
def _(x, sigma, means, variances, weights):
    v = variances + sigma.unsqueeze(-1) ** 2
    away = means - x.unsqueeze(-2)
    share = (weights.log() - away.square().sum(-1) / (2 * v) - x.shape[-1] / 2 * v.log()).softmax(0)
    return ((share / v).unsqueeze(-1) * away).sum(-2)


@gmm_score.misconception(
    "You computed the densities themselves; far away all of them are 0 in floating point, and 0/0 is NaN. Work with "
    "their logarithms, and let a softmax subtract the largest."
)
def _(x, sigma, means, variances, weights):
    v = variances + sigma.unsqueeze(-1) ** 2
    away = means - x.unsqueeze(-2)
    chance = weights * torch.exp(-away.square().sum(-1) / (2 * v)) / v ** (x.shape[-1] / 2)
    share = chance / chance.sum(-1, keepdim=True)
    return ((share / v).unsqueeze(-1) * away).sum(-2)


@gmm_score.misconception(
    "You have the sign the wrong way round; a score points uphill, from x to where the density is higher: means − x."
)
def _(x, sigma, means, variances, weights):
    v = variances + sigma.unsqueeze(-1) ** 2
    away = means - x.unsqueeze(-2)
    share = (weights.log() - away.square().sum(-1) / (2 * v) - x.shape[-1] / 2 * v.log()).softmax(-1)
    return -((share / v).unsqueeze(-1) * away).sum(-2)


@gmm_score.also_correct
def _(x, sigma, means, variances, weights):
    with torch.enable_grad():
        at = x.detach().clone().requires_grad_(True)
        scale = (variances + sigma[:, None] ** 2).sqrt()[..., None].expand(-1, -1, x.shape[-1])
        each = torch.distributions.Independent(torch.distributions.Normal(means, scale, validate_args=False), 1)
        priors = torch.distributions.Categorical(weights.expand(len(x), -1), validate_args=False)
        density = torch.distributions.MixtureSameFamily(priors, each, validate_args=False)
        return torch.autograd.grad(density.log_prob(at).sum(), at)[0]


@gmm_score.also_correct
def _(x, sigma, means, variances, weights):
    rows = []
    for row, level in zip(x, sigma, strict=True):
        v = variances + level * level
        logs = torch.log(weights) - ((row - means) ** 2).sum(1) / 2 / v - row.numel() * 0.5 * torch.log(v)
        share = torch.exp(logs - torch.logsumexp(logs, 0))
        rows.append((share / v) @ means - (share / v).sum() * row)
    return torch.stack(rows)


# ---------------------------------------------------------------------------------------------------- langevin


@exercise(
    points=4,
    minutes=10,
    hints=(
        "A loop over the n slices of `noise`: `for z in noise:`. Ask for the score where the walkers stand *now*.",
        "Drift a/2 times the score, noise √a times z: halve the one, and take the root for the other.",
    ),
)
def langevin(score, x, step, noise):
    """Walk with Langevin dynamics: n times x ← x + a/2 · score(x) + √a · z, where a is `step`.

    score(x) takes walkers (B, *) and gives the gradient of the log density at each, (B, *); x (B, *) where they start;
    step, above 0, one number; noise (n, B, *), standard normal: noise[0] is z in the first step. Returns where they
    end, (B, *). Leave the arguments as they are. Source: Song and Ermon 2019, equation 4.
    """
    ### BEGIN SOLUTION
    for z in noise:
        x = x + step / 2 * score(x) + step**0.5 * z
    return x
    ### END SOLUTION


@langevin.test("takes one step by hand", points=1)
def _(langevin):
    x, z = torch.tensor([[2.0, -4.0]]), torch.tensor([[[1.0, 0.5]]])
    found = langevin(lambda at: -at, x, 0.16, z)
    expected = torch.tensor([[2 - 0.16 + 0.4, -4 + 0.32 + 0.2]])
    assert_close(found, expected, rtol=1e-4, atol=1e-5, message="score -x, a = 0.16: 0.92 x + 0.4 z")


@langevin.hidden("asks for the score anew in every step, and uses each noise once", points=1)
def _(langevin, rng):
    for shape, n in (((3, 2), 4), ((2, 3, 2, 2), 3), ((5, 1), 1), ((4, 2), 0)):
        x = torch.randn(shape, generator=rng, dtype=torch.float64)
        noise = torch.randn(n, *shape, generator=rng, dtype=torch.float64)
        kept = [x.clone(), noise.clone()]
        for step in (0.3, 0.04):
            expected = x.clone()
            for z in noise:
                expected = torch.add(expected, 0.5 * step * (torch.sin(expected) - expected**3) + z * step**0.5)
            found = langevin(lambda at: torch.sin(at) - at**3, x, step, noise)
            what = f"{n} steps of {step:g} with the score sin x - x³, walkers of shape {shape}"
            assert_close(found, expected, rtol=1e-4, atol=1e-4, message=what)
        assert_close([x, noise], kept, message="the arguments after the call")


@langevin.hidden("ends with exactly the variance that a step of this size must give", points=2)
def _(langevin):
    # On N(0, v) the walk is linear. Unit vectors as start and as noise show how it treats a variance, without chance.
    for v, step in ((1.0, 0.4), (1.0, 1.0), (0.25, 0.3), (4.0, 0.5)):
        n = 40
        start = torch.zeros(n + 1, 1, dtype=torch.float64)
        start[0] = 1
        noise = torch.eye(n + 1, dtype=torch.float64)[1:].unsqueeze(-1)
        end = langevin(lambda at, v=v: -at / v, start, step, noise)
        kept = (1 - step / (2 * v)) ** (2 * n)
        still = v / (1 - step / (4 * v))  # the stationary variance, v only as the step goes to 0
        found = v * end[0] ** 2 + (end[1:] ** 2).sum()
        expected = torch.tensor([kept * v + (1 - kept) * still], dtype=torch.float64)
        assert_close(
            found, expected, rtol=1e-5, atol=1e-7, message=f"variance after {n} steps of {step:g} on N(0, {v:g})"
        )


@langevin.misconception(
    "You paired √(2a) with a/2: two conventions in one line. Drift a/2 belongs to noise √a (and a to √(2a)); yours "
    "doubles the variance of what you sample."
)
def _(score, x, step, noise):
    for z in noise:
        x = x + step / 2 * score(x) + (2 * step) ** 0.5 * z
    return x


@langevin.misconception(
    "You paired the drift a with noise √a: two conventions in one line. Drift a/2 belongs to noise √a; yours halves "
    "the variance of what you sample."
)
def _(score, x, step, noise):
    for z in noise:
        x = x + step * score(x) + step**0.5 * z
    return x


@langevin.misconception(
    "You left the noise out; that is gradient ascent, which ends on the tops of the density. Samples need the noise."
)
def _(score, x, step, noise):
    for _ in noise:
        x = x + step / 2 * score(x)
    return x


@langevin.misconception(
    "You multiplied z by the step itself; the variance of the noise is a, so z is multiplied by √a. Otherwise the "
    "noise dies out as the steps get small, and you climb."
)
def _(score, x, step, noise):
    for z in noise:
        x = x + step / 2 * score(x) + step * z
    return x


@langevin.misconception(
    "You asked for the score once, at the start; the walkers move, and need the score of the place where they are."
)
def _(score, x, step, noise):
    drift = score(x)
    for z in noise:
        x = x + step / 2 * drift + step**0.5 * z
    return x


@langevin.misconception(
    "You used the same noise in every step; noise[i] belongs to step i, for steps must be independent of each other."
)
def _(score, x, step, noise):
    for _ in noise:
        x = x + step / 2 * score(x) + step**0.5 * noise[0]
    return x


@langevin.misconception(
    "You went downhill; the score points to where the density is higher, and the walkers must follow it: add it."
)
def _(score, x, step, noise):
    for z in noise:
        x = x - step / 2 * score(x) + step**0.5 * z
    return x


@langevin.misconception(
    "You changed x in place, and with it the walkers of whoever called you; make a new tensor: `x = x + …`."
)
def _(score, x, step, noise):
    for z in noise:
        x += step / 2 * score(x) + step**0.5 * z
    return x


@langevin.misconception(
    "You drew noise of your own; use the noise that you are given, so that a run can be repeated, and checked."
)
def _(score, x, step, noise):
    for _ in noise:
        x = x + step / 2 * score(x) + step**0.5 * torch.randn_like(x)
    return x


@langevin.misconception(
    "You added the noise first and asked for the score after; the drift is that of the place where the step begins."
)
def _(score, x, step, noise):
    for z in noise:
        x = x + step**0.5 * z
        x = x + step / 2 * score(x)
    return x


@langevin.also_correct
def _(score, x, step, noise):
    place = x.clone()
    for number in range(noise.shape[0]):
        move = torch.mul(score(place), step).div(2)
        place = place.add(move).add(noise[number] * torch.tensor(float(step)).sqrt().item())
    return place


# ----------------------------------------------------------------------------------------------- sigma_ladder


@exercise(
    points=3,
    minutes=8,
    hints=(
        "A constant ratio is a constant difference of logarithms.",
        "`first * (last / first) ** u` for u from 0 to 1 in equal steps does it. What is u for one level alone?",
    ),
)
def sigma_ladder(first, last, levels):
    """Give the noise levels σ_1 > σ_2 > … > σ_L of a ladder with a constant ratio σ_i / σ_{i+1}.

    first > last > 0: the largest and the smallest σ, both are on the ladder; levels: L, 1 or more. One level alone is
    `last`, for that is where samples are wanted. Returns (L,), largest first, in float64.
    Source: Song and Ermon 2019, section 4.
    """
    ### BEGIN SOLUTION
    climb = torch.arange(levels - 1, -1, -1, dtype=torch.float64) / max(levels - 1, 1)  # from 1 down to 0
    return last * (first / last) ** climb
    ### END SOLUTION


@sigma_ladder.test("goes from the first to the last level in equal ratios", points=1)
def _(sigma_ladder):
    found = sigma_ladder(8.0, 1.0, 4)
    kind = getattr(found, "dtype", type(found).__name__)
    assert "float64" in str(kind), f"the ladder is expected as a tensor in float64, got {kind}"
    expected = torch.tensor([8.0, 4.0, 2.0, 1.0], dtype=torch.float64)
    assert_close(found, expected, rtol=1e-6, atol=0, message="four levels from 8 to 1")


@sigma_ladder.hidden("keeps the ratio for any ends and any number of levels", points=1)
def _(sigma_ladder):
    for first, last, levels in ((20.0, 1.0, 10), (1.0, 0.01, 10), (50.0, 0.01, 232), (3.0, 2.0, 2)):
        ratio = (first / last) ** (1 / (levels - 1))
        expected = torch.tensor([first / ratio**i for i in range(levels)], dtype=torch.float64)
        what = f"{levels} levels from {first:g} to {last:g}"
        assert_close(sigma_ladder(first, last, levels), expected, rtol=1e-8, atol=0, message=what)


@sigma_ladder.hidden("is the last level where there is one level alone", points=1)
def _(sigma_ladder):
    for first, last in ((20.0, 1.0), (2.0, 0.25)):
        expected = torch.tensor([last], dtype=torch.float64)
        what = f"one level, from {first:g} to {last:g}"
        assert_close(sigma_ladder(first, last, 1), expected, rtol=1e-8, atol=0, message=what)


@sigma_ladder.misconception(
    "You spaced the levels evenly; then nearly all of them lie at high noise, and the last ones are far apart measured "
    "by their own size. A ladder has a constant ratio."
)
def _(first, last, levels):
    if levels == 1:
        return torch.tensor([last], dtype=torch.float64)
    return torch.linspace(first, last, levels, dtype=torch.float64)


@sigma_ladder.misconception(
    "Your ladder goes up; annealing starts at the largest σ, where all is one hill, and comes down to the smallest."
)
def _(first, last, levels):
    climb = torch.arange(levels - 1, -1, -1, dtype=torch.float64) / max(levels - 1, 1)
    return (last * (first / last) ** climb).flip(0)


@sigma_ladder.misconception(
    "You mixed two logarithms: a natural one on the way in, powers of ten on the way out. Use exp with log, and 10** "
    "with log10."
)
def _(first, last, levels):
    ends = torch.tensor([first, last], dtype=torch.float64).log()
    if levels == 1:
        return 10 ** ends[1:]
    return torch.logspace(float(ends[0]), float(ends[1]), levels, dtype=torch.float64)


@sigma_ladder.misconception(
    "Your ladder stops one rung too early: L levels have L − 1 steps between them, and `last` must be one of them."
)
def _(first, last, levels):
    if levels == 1:
        return torch.tensor([last], dtype=torch.float64)
    return first * (last / first) ** (torch.arange(levels, dtype=torch.float64) / levels)


@sigma_ladder.misconception(
    "With one level alone you gave the first σ; it has to be the last one, for that is where samples are wanted."
)
def _(first, last, levels):
    down = torch.arange(levels, dtype=torch.float64) / max(levels - 1, 1)
    return first * (last / first) ** down


@sigma_ladder.misconception(
    "You gave the variances σ²; the levels of a ladder are the standard deviations σ themselves."
)
def _(first, last, levels):
    climb = torch.arange(levels - 1, -1, -1, dtype=torch.float64) / max(levels - 1, 1)
    return (last * (first / last) ** climb) ** 2


@sigma_ladder.also_correct
def _(first, last, levels):
    ends = torch.tensor([first, last], dtype=torch.float64).log()
    if levels == 1:
        return ends[1:].exp()
    return torch.linspace(float(ends[0]), float(ends[1]), levels, dtype=torch.float64).exp()


@sigma_ladder.also_correct
def _(first, last, levels):
    rungs = [last]
    for _ in range(levels - 1):
        rungs.append(rungs[-1] * (first / last) ** (1 / (levels - 1)))
    return torch.tensor(rungs[::-1], dtype=torch.float64)


# ------------------------------------------------------------------------------------------- annealed_langevin


@exercise(
    points=5,
    minutes=15,
    hints=(
        "Two loops, or one loop around your `langevin`: level i has the score `score(·, σ_i)`, its own step size, and "
        "the noise noise[i].",
        "`langevin` wants a function of x alone: `lambda at: score(at, level)`, with level = σ_i for every row.",
        "The step is proportional to σ². At the last level the factor is 1, at earlier ones it is larger.",
    ),
)
def annealed_langevin(score, x, sigmas, step, noise):
    """Walk down a ladder of noise levels, with some Langevin steps at each: annealed Langevin dynamics.

    score(x, sigma) takes walkers (B, *) and sigma (B,), the level of each row, and gives (B, *); x (B, *) where they
    start; sigmas (L,) the levels in the order in which they are visited; step: the size a of a Langevin step at the
    last level; noise (L, n, B, *), standard normal: noise[i] is for the n steps at level i.

    At level i a step has the size a_i = step · σ_i² / σ_L², where σ_L is the last of sigmas. Each level starts where
    the one before ended. Returns (B, *); leave the arguments as they are. You may call `langevin`.
    Source: Song and Ermon 2019, algorithm 1.
    """
    ### BEGIN SOLUTION
    for i, sigma in enumerate(sigmas):
        level = sigma.expand(len(x))
        x = langevin(lambda at, level=level: score(at, level), x, step * (sigma / sigmas[-1]) ** 2, noise[i])
    return x
    ### END SOLUTION


@annealed_langevin.test("takes larger steps at larger noise", points=1)
def _(annealed_langevin):
    def score(at, sigma):
        return -at / sigma.view(-1, 1) ** 2

    sigmas, x = torch.tensor([2.0, 1.0]), torch.tensor([[8.0, 4.0]])
    noise = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 2.0]]]])
    found = annealed_langevin(score, x, sigmas, 0.16, noise)
    first = torch.tensor([[0.92 * 8 + 0.8, 0.92 * 4]])  # a = 0.64 at σ = 2
    expected = 0.92 * first + torch.tensor([[0.0, 0.8]])  # a = 0.16 at σ = 1
    assert_close(found, expected, rtol=1e-4, atol=1e-5, message="one step at σ = 2, one at σ = 1, a = 0.16 at the last")


@annealed_langevin.hidden("tells the model the level of every row, from the first level to the last", points=2)
def _(annealed_langevin, rng):
    for shape, levels, n in (((3, 2), [5.0, 2.0, 0.5], 2), ((2, 2, 3), [4.0, 1.0], 3), ((4, 4), [0.7], 2)):
        sigmas = torch.tensor(levels, dtype=torch.float64)
        x = torch.randn(shape, generator=rng, dtype=torch.float64)
        noise = torch.randn(len(levels), n, *shape, generator=rng, dtype=torch.float64)
        seen = []

        def score(at, sigma, seen=seen):
            seen.append((at, sigma))
            return torch.zeros_like(at)

        annealed_langevin(score, x, sigmas, 0.1, noise)
        assert len(seen) == len(levels) * n, f"{len(levels)} levels of {n} steps are expected, got {len(seen)} calls"
        for _, sigma in seen:
            got = tuple(getattr(sigma, "shape", ()))
            assert got == (len(x),), f"sigma must have the shape (B,) = ({len(x)},), one number a row, got {got}"
        expected = [torch.full((len(x),), level, dtype=torch.float64) for level in levels for _ in range(n)]
        told = [sigma for _, sigma in seen]
        assert_close(told, expected, rtol=1e-5, atol=1e-6, message="the σ that the model was told, call by call")
        assert_close(seen[0][0], x, rtol=1e-5, atol=1e-6, message="where the model was asked first")


@annealed_langevin.hidden("keeps the ratio of step to σ² at all levels, and goes on from level to level", points=2)
def _(annealed_langevin, rng):
    def score(at, sigma):
        return torch.tanh(at) / sigma.reshape(len(at), *[1] * (at.ndim - 1)) - at

    for shape, levels, n in (((3, 2), [5.0, 2.0, 0.5], 2), ((2, 2, 3), [4.0, 1.0], 3), ((3, 3), [0.7], 4)):
        sigmas = torch.tensor(levels, dtype=torch.float64)
        x = torch.randn(shape, generator=rng, dtype=torch.float64)
        noise = torch.randn(len(levels), n, *shape, generator=rng, dtype=torch.float64)
        kept = [x.clone(), sigmas.clone(), noise.clone()]
        expected = x.clone()
        for level, draws in zip(levels, noise, strict=True):
            size = 0.02 * level * level / (levels[-1] * levels[-1])
            for z in draws:
                expected = expected + 0.5 * size * (torch.tanh(expected) / level - expected) + size**0.5 * z
        found = annealed_langevin(score, x, sigmas, 0.02, noise)
        what = f"levels {levels} with {n} steps each, walkers of shape {shape}"
        assert_close(found, expected, rtol=1e-4, atol=1e-4, message=what)
        assert_close([x, sigmas, noise], kept, message="the arguments after the call")


@annealed_langevin.misconception(
    "You took the same step at every level; it has to grow with σ². Steps that suit the last level hardly move anybody "
    "at the first ones, so that nobody crosses from mode to mode."
)
def _(score, x, sigmas, step, noise):
    for i, sigma in enumerate(sigmas):
        level = sigma.expand(len(x))
        x = langevin(lambda at, level=level: score(at, level), x, step, noise[i])
    return x


@annealed_langevin.misconception(
    "Your step grows with σ, not with σ²; the noise √a has to grow with σ, and so a with σ², or the ratio of drift to "
    "noise differs from level to level."
)
def _(score, x, sigmas, step, noise):
    for i, sigma in enumerate(sigmas):
        level = sigma.expand(len(x))
        x = langevin(lambda at, level=level: score(at, level), x, step * sigma / sigmas[-1], noise[i])
    return x


@annealed_langevin.misconception(
    "You visited the levels in reverse order; the walk must *end* at the least noise, so take sigmas as they come."
)
def _(score, x, sigmas, step, noise):
    for i, sigma in enumerate(sigmas.flip(0)):
        level = sigma.expand(len(x))
        x = langevin(lambda at, level=level: score(at, level), x, step * (sigma / sigmas[-1]) ** 2, noise[i])
    return x


@annealed_langevin.misconception(
    "You measured the step against the first level; `step` is the size at the *last* one: σ_i² / σ_L²."
)
def _(score, x, sigmas, step, noise):
    for i, sigma in enumerate(sigmas):
        level = sigma.expand(len(x))
        x = langevin(lambda at, level=level: score(at, level), x, step * (sigma / sigmas[0]) ** 2, noise[i])
    return x


@annealed_langevin.misconception(
    "You started each level at x anew; a level has to start where the one before ended, or all but the last are wasted."
)
def _(score, x, sigmas, step, noise):
    for i, sigma in enumerate(sigmas):
        level = sigma.expand(len(x))
        end = langevin(lambda at, level=level: score(at, level), x, step * (sigma / sigmas[-1]) ** 2, noise[i])
    return end


@annealed_langevin.misconception(
    "You told the model the last σ throughout; it has to know how noisy the density is in which the walkers stand now."
)
def _(score, x, sigmas, step, noise):
    level = sigmas[-1].expand(len(x))
    for i, sigma in enumerate(sigmas):
        x = langevin(lambda at: score(at, level), x, step * (sigma / sigmas[-1]) ** 2, noise[i])
    return x


@annealed_langevin.misconception(
    "You gave the model one number; it takes sigma (B,), one level for each row: `sigma.expand(len(x))`."
)
def _(score, x, sigmas, step, noise):
    for i, sigma in enumerate(sigmas):
        x = langevin(lambda at, sigma=sigma: score(at, sigma), x, step * (sigma / sigmas[-1]) ** 2, noise[i])
    return x


@annealed_langevin.misconception(
    "You gave the model a Python number; it takes a tensor sigma (B,), one level for each row: `sigma.expand(len(x))`."
)
def _(score, x, sigmas, step, noise):
    for i, sigma in enumerate(sigmas):
        x = langevin(lambda at, sigma=sigma: score(at, float(sigma)), x, step * (sigma / sigmas[-1]) ** 2, noise[i])
    return x


@annealed_langevin.misconception(
    "Your drift grows with σ², but not your noise; both belong to one step a_i: a_i/2 times the score, √a_i times z."
)
def _(score, x, sigmas, step, noise):
    for i, sigma in enumerate(sigmas):
        ratio = (sigma / sigmas[-1]) ** 2
        for z in noise[i]:
            x = x + step * ratio / 2 * score(x, sigma.expand(len(x))) + step**0.5 * z
    return x


@annealed_langevin.also_correct
def _(score, x, sigmas, step, noise):
    place = x.clone()
    for number, level in enumerate(sigmas.tolist()):
        size = step * (level / float(sigmas[-1])) ** 2
        told = torch.full((x.shape[0],), level, dtype=x.dtype, device=x.device)
        for z in noise[number]:
            place = place + size / 2 * score(place, told) + size**0.5 * z
    return place


# --------------------------------------------------------------------------------------------------- dsm_loss


@exercise(
    points=5,
    minutes=15,
    hints=(
        "σ has one number for each row. To multiply x0 (B, *) it needs the shape (B, 1, …, 1).",
        "The model sees x0 + σ z, and `sigma` as it came, (B,). Without λ, its target is −z/σ.",
        "With λ = σ² the σ goes inside the square: ½ |σ · score + z|².",
    ),
)
def dsm_loss(score, x0, sigma, z):
    """Give each row's denoising score matching loss, weighted with λ(σ) = σ²: ½ |σ · score(x0 + σ z, σ) + z|².

    score(x, sigma) takes noisy data (B, *) and sigma (B,) and gives (B, *): call it once, for the whole batch; x0
    (B, *) clean data; sigma (B,) the noise level of each row, above 0; z (B, *) standard normal. |·|² is the sum of
    squares over all axes of a row. Returns (B,), through which gradients reach the model.
    Source: Vincent 2011; Song and Ermon 2019, equations 5 and 6.
    """
    ### BEGIN SOLUTION
    level = sigma.view(-1, *[1] * (x0.ndim - 1))  # (B, 1, ...)
    off = level * score(x0 + level * z, sigma) + z
    return off.square().flatten(1).sum(-1) / 2
    ### END SOLUTION


@dsm_loss.test("is half of |z|² for a model that always answers 0", points=1)
def _(dsm_loss):
    z = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 1.0]])
    loss = dsm_loss(lambda x, sigma: torch.zeros_like(x), torch.ones(2, 3), torch.tensor([0.5, 7.0]), z)
    assert_close(loss, torch.tensor([7.0, 1.0]), rtol=1e-4, atol=1e-5, message="(1 + 4 + 9)/2 and (0 + 1 + 1)/2")


@dsm_loss.hidden("is what theory says for the exact score of a Gaussian, each row at its own level", points=2)
def _(dsm_loss, rng):
    # Data N(m, v): the noisy score is (m - x)/(v + σ²), which leaves (v z - σ (x0 - m))/(v + σ²).
    for shape in ((3, 3), (5, 3), (4, 2, 3, 2)):
        sigma = torch.tensor([0.01, 0.4, 1.0, 3.0, 10.0], dtype=torch.float64)[: shape[0]]
        v, m = 1.7, 0.6
        x0, z = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))

        def score(x, level, v=v, m=m):
            return (m - x) / (v + level.view(-1, *[1] * (x.ndim - 1)) ** 2)

        rows = []
        for a, level, b in zip(x0, sigma, z, strict=True):
            rows.append((((v * b - level * (a - m)) / (v + level**2)) ** 2).sum() / 2)
        found = dsm_loss(score, x0, sigma, z)
        assert_close(found, torch.stack(rows), rtol=1e-4, atol=1e-6, message=f"data of shape {shape}")


@dsm_loss.hidden("shows the model the noisy batch, once, with the level of every row", points=1)
def _(dsm_loss, rng):
    x0, z = (torch.randn(4, 2, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    sigma, seen = torch.tensor([0.1, 5.0, 2.0, 0.7], dtype=torch.float64), []

    def score(x, level):
        seen.append((x, level))
        return 0.5 * x

    kept = [x0.clone(), sigma.clone(), z.clone()]
    found = dsm_loss(score, x0, sigma, z)
    assert len(seen) == 1, f"one call of the model is expected, got {len(seen)}"
    noisy = torch.stack([a + s * b for a, s, b in zip(x0, sigma, z, strict=True)])
    assert_close(seen[0][0], noisy, rtol=1e-4, atol=1e-5, message="what the model saw as x")
    assert_close(seen[0][1], sigma, message="what the model saw as sigma")
    rows = [((0.5 * s * x + b) ** 2).sum() / 2 for x, s, b in zip(noisy, sigma, z, strict=True)]
    assert_close(found, torch.stack(rows), rtol=1e-4, atol=1e-5, message="the losses of the model x/2")
    assert_close([x0, sigma, z], kept, message="the arguments after the call")


@dsm_loss.hidden("lets gradients reach the model", points=1)
def _(dsm_loss, rng):
    x0, z = (torch.randn(6, 2, generator=rng, dtype=torch.float64) for _ in range(2))
    sigma = 0.2 + 3 * torch.rand(6, generator=rng, dtype=torch.float64)
    slope = torch.tensor(-0.3, dtype=torch.float64, requires_grad=True)
    loss = dsm_loss(lambda x, level: slope * x, x0, sigma, z)
    assert hasattr(loss, "requires_grad"), f"a tensor (B,) is expected, got {type(loss).__name__}"
    assert loss.requires_grad, "gradients must reach the model: work without detach, item and no_grad"
    loss.sum().backward()
    noisy = x0 + sigma[:, None] * z
    expected = ((sigma[:, None] * -0.3 * noisy + z) * sigma[:, None] * noisy).sum()
    assert_close(slope.grad, expected, rtol=1e-4, atol=1e-5, message="the gradient of the sum with respect to a slope")


@dsm_loss.misconception(
    "You aimed at +z/σ; the score points *back* to the data, against the noise that was added: its target is −z/σ, so "
    "the sum has a plus: σ · score + z."
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (level * score(x0 + level * z, sigma) - z).square().flatten(1).sum(-1) / 2


@dsm_loss.misconception(
    "You left out the weight σ²; the targets −z/σ are of size 1/σ, so that the smallest σ would rule the loss. "
    "Multiply the difference by σ before you square it."
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (score(x0 + level * z, sigma) + z / level).square().flatten(1).sum(-1) / 2


@dsm_loss.misconception(
    "You compared the score itself with −z; the target is −z/σ, so it is σ · score that must equal −z."
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (score(x0 + level * z, sigma) + z).square().flatten(1).sum(-1) / 2


@dsm_loss.misconception(
    "You let sigma (B,) meet the last axis; it has one number for each *row*: give it the shape (B, 1, …, 1)."
)
def _(score, x0, sigma, z):
    return (sigma * score(x0 + sigma * z, sigma) + z).square().flatten(1).sum(-1) / 2


@dsm_loss.misconception(
    "You showed the model the clean data; the score that is learned is that of the *noisy* density, at x0 + σ z."
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (level * score(x0, sigma) + z).square().flatten(1).sum(-1) / 2


@dsm_loss.misconception(
    "You forgot the ½ in front; it does not move the minimum, but the figures of the lesson have it."
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (level * score(x0 + level * z, sigma) + z).square().flatten(1).sum(-1)


@dsm_loss.misconception("You took the mean over a row's axes; |·|² is the sum, the squared length of the vector.")
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (level * score(x0 + level * z, sigma) + z).square().flatten(1).mean(-1) / 2


@dsm_loss.misconception(
    "You averaged over the batch; here each row keeps its own loss, (B,), so that levels can be told apart."
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (level * score(x0 + level * z, sigma) + z).square().flatten(1).sum(-1).mean() / 2


@dsm_loss.misconception(
    "You drew noise of your own for the target; the target is the z that is *in* the noisy data, since noise that the "
    "model has not seen cannot be named."
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (level * score(x0 + level * z, sigma) + torch.randn_like(z)).square().flatten(1).sum(-1) / 2


@dsm_loss.misconception("You added σ² z; σ is the standard deviation, and noise of that size is σ z.")
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (level * score(x0 + level**2 * z, sigma) + z).square().flatten(1).sum(-1) / 2


@dsm_loss.also_correct
def _(score, x0, sigma, z):
    level = sigma.reshape(len(sigma), *(1 for _ in x0.shape[1:]))
    noisy = x0 + z * level
    target = (x0 - noisy) / level**2
    gap = (score(noisy, sigma) - target).reshape(len(x0), -1)
    return 0.5 * sigma**2 * torch.einsum("bi,bi->b", gap, gap)


# ---------------------------------------------------------------------------------------------------- tweedie


@exercise(
    points=4,
    minutes=8,
    hints=(
        "The score of the noisy density is the average of −z/σ over all z that may have led to x. Solve for the mean "
        "of z.",
        "x = x0 + σ z holds for the means too: once you have E[z | x], E[x0 | x] is what is left of x.",
    ),
)
def tweedie(x, sigma, score):
    """Turn a score into what it says about the clean data and about the noise: (E[x0 | x], E[z | x]), x = x0 + σ z.

    x (B, *) noisy data; sigma (B,), above 0, the noise level of each row; score (B, *): the gradient of log p_σ at x, a
    tensor. The first is Tweedie's formula, x + σ² · score. Returns the pair, each (B, *).
    """
    ### BEGIN SOLUTION
    level = sigma.view(-1, *[1] * (x.ndim - 1))  # (B, 1, ...)
    return x + level**2 * score, -level * score
    ### END SOLUTION


@tweedie.test("finds the two halves of x by hand", points=1)
def _(tweedie):
    x, score = torch.tensor([[3.0, 1.0], [3.0, 1.0]]), torch.tensor([[-0.5, 1.0], [-0.5, 1.0]])
    clean, noise = tweedie(x, torch.tensor([2.0, 0.5]), score)
    assert_close(clean, torch.tensor([[1.0, 5.0], [2.875, 1.25]]), rtol=1e-4, atol=1e-5, message="E[x0 | x]")
    assert_close(noise, torch.tensor([[1.0, -2.0], [0.25, -0.5]]), rtol=1e-4, atol=1e-5, message="E[z | x]")


@tweedie.hidden("gives the posterior means of Gaussian data, by Bayes' rule", points=2)
def _(tweedie, rng):
    for shape in ((4, 4), (5, 3), (3, 2, 2, 3)):
        sigma = torch.tensor([0.1, 0.9, 2.0, 7.0, 0.5], dtype=torch.float64)[: shape[0]]
        m, v = -0.8, 2.3
        x = 3 * torch.randn(shape, generator=rng, dtype=torch.float64)
        wide = sigma.reshape(-1, *(1 for _ in shape[1:]))
        kept = [x.clone(), sigma.clone()]
        clean, noise = tweedie(x, sigma, (m - x) / (v + wide**2))
        precision = 1 / v + 1 / wide**2
        expected = (m / v + x / wide**2) / precision
        assert_close(clean, expected, rtol=1e-4, atol=1e-5, message=f"E[x0 | x], shape {shape}")
        assert_close(noise, (x - expected) / wide, rtol=1e-4, atol=1e-5, message=f"E[z | x], shape {shape}")
        assert_close([x, sigma], kept, message="the arguments after the call")


@tweedie.hidden("averages over the points that x may have come from", points=1)
def _(tweedie, rng):
    points = torch.randn(4, 2, generator=rng, dtype=torch.float64)
    for level in (0.4, 1.0, 3.0):
        at = torch.randn(6, 2, generator=rng, dtype=torch.float64).requires_grad_(True)
        squared = ((at[:, None] - points) ** 2).sum(-1)
        density = torch.exp(-squared / (2 * level**2)).sum(-1).log().sum()
        score = torch.autograd.grad(density, at)[0]
        chance = torch.exp(-squared.detach() / (2 * level**2))
        expected = chance @ points / chance.sum(-1, keepdim=True)
        x = at.detach()
        clean, noise = tweedie(x, torch.full((6,), level, dtype=torch.float64), score)
        assert_close(clean, expected, rtol=1e-4, atol=1e-5, message=f"the mean of four points, σ = {level:g}")
        assert_close(x - level * noise, expected, rtol=1e-4, atol=1e-5, message=f"x - σ E[z | x], σ = {level:g}")


@tweedie.misconception(
    "You multiplied the score by σ; a score is one over a length, and so is z/σ: it takes σ² to make a way of it."
)
def _(x, sigma, score):
    level = sigma.view(-1, *[1] * (x.ndim - 1))
    return x + level * score, -level * score


@tweedie.misconception(
    "You subtracted the score; it points from x to where the data are, so the clean data lie in its direction: add it."
)
def _(x, sigma, score):
    level = sigma.view(-1, *[1] * (x.ndim - 1))
    return x - level**2 * score, level * score


@tweedie.misconception(
    "Your clean data are right, the noise has the wrong sign: the score points back, against z, so E[z | x] = −σ score."
)
def _(x, sigma, score):
    level = sigma.view(-1, *[1] * (x.ndim - 1))
    return x + level**2 * score, level * score


@tweedie.misconception(
    "You gave the noise as it is in x, σ z; asked for is E[z | x], of standard noise: divide by σ once more."
)
def _(x, sigma, score):
    level = sigma.view(-1, *[1] * (x.ndim - 1))
    return x + level**2 * score, -(level**2) * score


@tweedie.misconception("You returned the pair the other way round: the clean data come first, then the noise.")
def _(x, sigma, score):
    level = sigma.view(-1, *[1] * (x.ndim - 1))
    return -level * score, x + level**2 * score


@tweedie.misconception(
    "You let sigma (B,) meet the last axis; it has one number for each *row*: give it the shape (B, 1, …, 1)."
)
def _(x, sigma, score):
    return x + sigma**2 * score, -sigma * score


@tweedie.misconception(
    "You returned the clean data alone; asked for is the pair: the clean data and the noise, E[z | x]."
)
def _(x, sigma, score):
    return x + sigma.view(-1, *[1] * (x.ndim - 1)) ** 2 * score


@tweedie.also_correct
def _(x, sigma, score):
    noise = torch.einsum("b,b...->b...", -sigma, score)
    return [x - torch.einsum("b,b...->b...", sigma, noise), noise]
