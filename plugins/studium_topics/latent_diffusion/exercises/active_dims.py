import torch
from studium import exercise
from torch import Tensor


@exercise(
    points=5,
    minutes=20,
    hints=(
        "One direction of the data has variance λ. Its latent has a mean with variance m, and noise with variance σ². "
        "How large are the best decoder's error and the divergence, on average over the images?",
        "The error is λ σ² / (m + σ²) and the divergence (m + σ² - 1 - ln σ²) / 2. Scaling a code up or down does not "
        "change the error: which m + σ² makes the divergence smallest?",
        "With m + σ² = 1 the loss is a function of only σ², from 0 to 1. Where is its minimum, and when is that at σ² "
        "= 1? The variances λ are those of the principal directions.",
        "`torch.linalg.eigvalsh` of the covariance (D, D), and a comparison with one number made from a and b.",
    ),
    level="core",
    importance=3,
    kind="derive",
)
def active_dims(x: Tensor, d: int, a: float, b: float) -> int:
    """Return how many latents of a linear VAE are active once it is trained to the optimum.

    * x: (N, D), the data
    * loss: the mean over the rows of a times the squared error (summed) plus b times the KL divergence; a, b > 0
    * encoder: means are a linear function of x, the d variances are free numbers; decoder: linear; both have offsets
    * returns: an int; a latent is active if its divergence is not 0

    Derive a condition for one direction of the data. At most d latents can be active.
    """
    ### BEGIN SOLUTION
    centred = x - x.mean(0)
    variances = torch.linalg.eigvalsh(centred.T @ centred / len(x))  # (D,)
    return min(d, int((variances > b / (2 * a)).sum()))
    ### END SOLUTION


@active_dims.test("counts the strong directions of data with known variances", points=1)
def _(active_dims):
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 7).double()  # (128, 7), uncorrelated, variance 1
    variances = [9.0, 4.0, 2.25, 0.64, 0.36, 0.3, 0.09]
    x = corners * torch.tensor(variances, dtype=torch.float64).sqrt() + 1
    cases = ((7, 1.0), (2, 1.0), (7, 24.0), (7, 1.3))  # d and b
    got = [active_dims(x, d, 1.0, b) for d, b in cases]
    assert all(type(number) is int for number in got), f"an int is expected, got {type(got[0]).__name__}"
    case = f"for variances {variances}, a = 1, and (d, b) = {', '.join(map(str, cases))}"
    assert got == [4, 2, 0, 3], f"4, 2, 0 and 3 active latents are expected {case}, got {got}"


@active_dims.hidden("agrees with a search for the best code of each direction", points=2)
def _(active_dims, rng):
    m = torch.cat([torch.zeros(1), torch.logspace(-4, 2, 240)]).double().view(-1, 1)  # variance of the code's mean
    s = torch.logspace(-5, 1, 301, dtype=torch.float64)  # and of its noise
    seen = []
    for a, b, spread in ((0.8, 0.5, 1.0), (2.0, 3.0, 2.0), (0.5, 0.2, 0.7), (3.0, 0.05, 0.3)):
        turn = torch.linalg.qr(torch.randn(6, 6, generator=rng, dtype=torch.float64))[0]
        x = torch.randn(50, 6, generator=rng, dtype=torch.float64) * torch.logspace(0.5, -1.5, 6).double() * spread
        x = x @ turn + 3 * torch.randn(6, generator=rng, dtype=torch.float64)
        variances = torch.linalg.svdvals(x - x.mean(0)).square() / len(x)
        expected = 0
        for variance in variances.tolist():
            loss = a * variance * s / (m + s) + b * (m + s - 1 - s.log()) / 2  # (241, 301)
            expected += int(loss[1:].min() < loss[0].min() - 1e-4 * b)
        near = ((variances * 2 * a / b).log().abs() < 0.1).any()  # the search is too coarse next to the border
        seen.append((a, b, bool(near), expected, active_dims(x, 6, a, b), active_dims(x, 2, a, b)))
    for a, b, near, expected, six, two in seen:
        assert near or six == expected, f"{expected} active latents are expected for a = {a}, b = {b}, got {six}"
        assert two == min(2, six), "not more than d = 2 latents can be active"


@active_dims.hidden("agrees with a linear VAE that was trained", points=2)
def _(active_dims, rng):
    got, expected = [], []
    for a, b in ((1.0, 1.0), (0.5, 2.0)):
        x = torch.randn(80, 4, generator=rng, dtype=torch.float64)
        x = torch.linalg.qr(x - x.mean(0))[0] * 80**0.5 * torch.tensor([2.5, 1.1, 0.4, 0.1]).double() - 2
        centred = x - x.mean(0)
        code, back = (torch.randn(4, 3, generator=rng, dtype=torch.float64).mul(0.3).requires_grad_() for _ in range(2))
        logvar = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([code, back, logvar], max_iter=300, line_search_fn="strong_wolfe")

        def loss(code=code, back=back, logvar=logvar, centred=centred, a=a, b=b, optimizer=optimizer):
            optimizer.zero_grad()
            mean = centred @ code  # (80, 3)
            noise = (back.square() * logvar.exp()).sum()  # the error that the code's noise adds, on average
            error = (centred - mean @ back.T).square().sum(1).mean() + noise
            penalty = (mean.square().mean(0) + logvar.exp() - 1 - logvar).sum() / 2
            total = a * error + b * penalty
            total.backward()
            return total

        optimizer.step(loss)
        mean = centred @ code.detach()
        # Latents may share directions: the code's signal has as many large eigenvalues as there are active ones.
        signal = torch.linalg.eigvalsh(mean.T @ mean / 80)
        expected.append(int((signal > 0.02).sum()))
        got.append(active_dims(x, 3, a, b))
    assert got == expected, f"{expected} active latents are expected for a = 1, b = 1 and a = 0.5, b = 2, got {got}"


@active_dims.misconception(
    "You compared with b / a. The KL divergence has a factor 1/2, so the threshold is half of that.", name="b-over-a"
)
def _(x, d, a, b):
    centred = x - x.mean(0)
    return min(d, int((torch.linalg.eigvalsh(centred.T @ centred / len(x)) > b / a).sum()))


@active_dims.misconception(
    "You took the second moments of data that are not centred. The offsets of encoder and decoder hold the mean, so "
    "it needs no latent; subtract it first.",
    name="not-centred",
)
def _(x, d, a, b):
    return min(d, int((torch.linalg.eigvalsh(x.T @ x / len(x)) > b / (2 * a)).sum()))


@active_dims.misconception(
    "You took singular values, which are standard deviations times the root of N; the condition is about variances.",
    name="singular-values",
)
def _(x, d, a, b):
    return min(d, int((torch.linalg.svdvals(x - x.mean(0)) > b / (2 * a)).sum()))


@active_dims.misconception(
    "You compared standard deviations; compare their squares, because the squared error is about variances.",
    name="deviation-for-variance",
)
def _(x, d, a, b):
    centred = x - x.mean(0)
    return min(d, int((torch.linalg.eigvalsh(centred.T @ centred / len(x)).clamp(min=0).sqrt() > b / (2 * a)).sum()))


@active_dims.misconception(
    "You looked at the variances of the separate columns. A linear encoder can turn the axes, so the directions that "
    "count are the principal ones.",
    name="columns",
)
def _(x, d, a, b):
    return min(d, int((x.var(0, correction=0) > b / (2 * a)).sum()))


@active_dims.misconception(
    "You forgot that there are only d latents; no more than d directions can have one.", name="more-than-d"
)
def _(x, d, a, b):
    centred = x - x.mean(0)
    return int((torch.linalg.eigvalsh(centred.T @ centred / len(x)) > b / (2 * a)).sum())


@active_dims.also_correct
def _(x, d, a, b):
    scales = torch.linalg.svdvals(x - x.mean(0, keepdim=True))
    worth = 2 * a * scales**2 > b * len(x)
    return int(worth[:d].sum())


@active_dims.also_correct
def _(x, d, a, b):
    variances = torch.linalg.eigvalsh(torch.cov(x.T)).flip(0)[:d]  # divided by N - 1, as good for data of many rows
    return sum(a * v - b / 2 > 0 for v in variances.tolist())


active_dims.equivalent(
    "variances = torch.linalg.eigvalsh(centred @ centred.T / len(x))  # (D,)",
    "both products have the same eigenvalues, except for zeros",
)

active_dims.equivalent(
    "return min(d, int((variances >= b / (2 * a)).sum()))",
    "it differs only where a variance is exactly at the border, where the latent is worth nothing",
)
