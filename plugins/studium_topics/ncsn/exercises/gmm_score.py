import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=5,
    minutes=15,
    hints=(
        "What does noise of variance σ² do to each Gaussian of the mixture?",
        "The shares p(k | x) are a softmax over k of log weight plus log density. You may leave out whatever is the "
        "same for all k; the height of a Gaussian is not, because it depends on its variance.",
        "The variances after the noise form a table (B, K), the differences between the means and x a table (B, K, D).",
        "`means - x.unsqueeze(-2)`, and `.softmax(-1)` of `weights.log() - away.square().sum(-1) / (2 * v) - "
        "x.shape[-1] / 2 * v.log()`.",
    ),
    level="core",
    importance=3,
)
def gmm_score(x: Tensor, sigma: Tensor, means: Tensor, variances: Tensor, weights: Tensor) -> Tensor:
    """Return the score, the gradient of log p_σ(x), of a mixture of Gaussians after noise of standard deviation σ.

    * x: (B, D); sigma: (B,), above 0, one level for each row
    * means: (K, D); variances: (K,), of each coordinate before the noise, 0 for a single point
    * weights: (K,), above 0, with the sum 1
    * returns: (B, D), finite even where all densities are 0 in floating point, such as |x| = 1000 with σ = 0.1

    The arguments stay as they are.
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


gmm_score.mistake(
    "variances-left-out",
    "You left out the variances of the components; noise adds to the spread that is already there, so component k has "
    "the variance v_k + σ² after the noise.",
    edits=[
        (
            "v = variances + sigma.unsqueeze(-1) ** 2  # (B, K)",
            "v = (sigma.unsqueeze(-1) ** 2).expand(len(x), len(means))",
        ),
        (
            "weights.log() - away.square().sum(-1) / (2 * v) - x.shape[-1] / 2 * v.log()",
            "weights.log() - away.square().sum(-1) / (2 * v)",
        ),
    ],
)

gmm_score.mistake(
    "sigma-as-variance",
    "You added σ to the variance; add σ², because σ is a standard deviation and only variances add up.",
    replace="v = variances + sigma.unsqueeze(-1) ** 2  # (B, K)",
    by="v = variances + sigma.unsqueeze(-1)",
)


@gmm_score.misconception(
    "You used the score of the most likely component only; average the scores of all components, weighted by their "
    "shares p(k | x), because each of them contributes to the density at x.",
    name="most-likely-alone",
)
def _(x, sigma, means, variances, weights):
    v = variances + sigma.unsqueeze(-1) ** 2
    away = means - x.unsqueeze(-2)
    best = (weights.log() - away.square().sum(-1) / (2 * v) - x.shape[-1] / 2 * v.log()).argmax(-1)
    rows = torch.arange(len(x))
    return away[rows, best] / v[rows, best].unsqueeze(-1)


@gmm_score.misconception(
    "You averaged the components with their prior weights; how much a component counts depends on where x is, so "
    "weight it by its share p(k | x), which is its weight times its density, divided by the sum of these over all "
    "components.",
    name="prior-weights",
)
def _(x, sigma, means, variances, weights):
    v = variances + sigma.unsqueeze(-1) ** 2
    away = means - x.unsqueeze(-2)
    return ((weights / v).unsqueeze(-1) * away).sum(-2)


gmm_score.mistake(
    "weights-left-out",
    "You left the weights out of the shares; the share of component k is proportional to weight times density, because "
    "heavier components contribute more at every x.",
    replace="weights.log() - away.square().sum(-1) / (2 * v)",
    by="-away.square().sum(-1) / (2 * v)",
)

gmm_score.mistake(
    "height-left-out",
    "You left out that a wide Gaussian is also a low one; its density has the factor v_k to the power −D/2 (v_k after "
    "the noise), which does not cancel, because it differs between components.",
    replace="weights.log() - away.square().sum(-1) / (2 * v) - x.shape[-1] / 2 * v.log()",
    by="weights.log() - away.square().sum(-1) / (2 * v)",
)

gmm_score.mistake(
    "height-in-one-dimension",
    "You used ½ log v_k where (D/2) log v_k is needed; a Gaussian in D dimensions has the factor 1/√v_k once for each "
    "dimension.",
    replace="x.shape[-1] / 2 * v.log()",
    by="v.log() / 2",
)

gmm_score.mistake(
    "softmax-over-rows",
    "You took the softmax over the rows; take it over the components, the last axis, because the shares of the "
    "components at each point sum to 1.",
    replace="(weights.log() - away.square().sum(-1) / (2 * v) - x.shape[-1] / 2 * v.log()).softmax(-1)",
    by="(weights.log() - away.square().sum(-1) / (2 * v) - x.shape[-1] / 2 * v.log()).softmax(0)",
)

gmm_score.mistake(
    "densities-underflow",
    "You computed the densities themselves; far away they are all 0 in floating point, and 0/0 is nan. Work with their "
    "logarithms: a softmax subtracts the largest before it takes exponentials.",
    replace="share = (weights.log() - away.square().sum(-1) / (2 * v) - x.shape[-1] / 2 * v.log()).softmax(-1)",
    by="""
        chance = weights * torch.exp(-away.square().sum(-1) / (2 * v)) / v ** (x.shape[-1] / 2)
        share = chance / chance.sum(-1, keepdim=True)
    """,
)

gmm_score.mistake(
    "downhill",
    "Your score has the wrong sign; a score points uphill, from x to where the density is higher, so use mean minus x.",
    replace="((share / v).unsqueeze(-1) * away).sum(-2)",
    by="-((share / v).unsqueeze(-1) * away).sum(-2)",
)


@gmm_score.also_correct
def _(x, sigma, means, variances, weights):
    at = x.detach().requires_grad_(True)
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
