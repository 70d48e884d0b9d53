"""The exercises of latent diffusion: the autoencoder's loss, its active dimensions, latent scale, attention, sampler.

Conventions: t = 0..T-1, abar_t the share of signal, z_t = sqrt(abar_t) z0 + sqrt(1 - abar_t) eps. Latents z are what
the autoencoder gives; the diffusion works on scale * z. Rombach et al. 2022, arXiv 2112.10752.
"""

import math
from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor
from torch.nn import functional as F


@exercise(
    points=3,
    minutes=5,
    hints=(
        "Which two operations turn a standard normal number into one with a given mean and standard deviation?",
        "The encoder gives the logarithm of a variance. Halving the logarithm takes the square root.",
        "All three arguments and the result have the same shape; no axis plays a part of its own.",
        "`(0.5 * logvar).exp()` is the standard deviation.",
    ),
    level="warm-up",
    importance=3,
)
def reparameterise(mean: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """Return latents z drawn from the Gaussians of the encoder, made of standard normal noise.

    * mean, logvar: (B, C, h, w), means and natural logarithms of the variances
    * eps: (B, C, h, w), standard normal
    * returns: (B, C, h, w); gradients flow to mean and logvar
    """
    ### BEGIN SOLUTION
    return mean + (0.5 * logvar).exp() * eps
    ### END SOLUTION


@reparameterise.test("moves and widens the noise", points=1)
def _(reparameterise):
    mean = torch.tensor([1.0, -2.0, 0.5]).view(1, 3, 1, 1)
    logvar = torch.tensor([4.0, 9.0, 0.25]).log().view(1, 3, 1, 1)
    eps = torch.tensor([2.0, -1.0, 3.0]).view(1, 3, 1, 1)
    got = reparameterise(mean, logvar, eps)
    assert_close(got, torch.tensor([5.0, -5.0, 2.0]).view(1, 3, 1, 1), message="variances 4, 9 and 1/4")


@reparameterise.hidden("draws from the Gaussian that torch.distributions has", points=1)
def _(reparameterise, rng):
    for shape in ((2, 3, 4, 5), (3, 1, 2, 2)):
        mean, logvar, eps = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(3))
        normal = torch.distributions.Normal(mean, logvar.exp() ** 0.5)
        below = torch.distributions.Normal(0.0, 1.0).cdf(eps)  # the same quantile of the other Gaussian
        expected = normal.icdf(below)
        assert_close(reparameterise(mean, logvar, eps), expected, rtol=1e-5, atol=1e-5, message=f"shape {shape}")


@reparameterise.hidden("lets gradients flow to both outputs of the encoder", points=1)
def _(reparameterise, rng):
    mean, logvar, eps = (torch.randn(2, 3, 2, 4, generator=rng, dtype=torch.float64) for _ in range(3))
    mean.requires_grad_(), logvar.requires_grad_()
    got = reparameterise(mean, logvar, eps)
    assert got.requires_grad, "gradients are expected to flow to mean and logvar, but the result has no gradient"
    got.sum().backward()
    assert None not in (mean.grad, logvar.grad), "gradients are expected for mean and for logvar"
    assert_close(mean.grad, torch.ones_like(mean), message="the gradient of the sum with respect to mean")
    expected = (got.detach() - mean.detach()) / 2  # half of the deviation from the mean
    assert_close(logvar.grad, expected, rtol=1e-5, atol=1e-6, message="the gradient with respect to logvar")


@reparameterise.misconception(
    "You multiplied the noise by the variance, exp(logvar); its size is the standard deviation, so halve the logarithm "
    "first.",
    name="variance-for-deviation",
)
def _(mean, logvar, eps):
    return mean + logvar.exp() * eps


@reparameterise.misconception(
    "You multiplied the noise by logvar itself; it is a logarithm and may be negative, so turn it into a standard "
    "deviation first.",
    name="logarithm-as-deviation",
)
def _(mean, logvar, eps):
    return mean + logvar * eps


@reparameterise.misconception(
    "You took the softplus of logvar for the standard deviation; the output is a logarithm, and exp undoes it.",
    name="softplus",
)
def _(mean, logvar, eps):
    return mean + F.softplus(logvar) * eps


@reparameterise.misconception(
    "You read the second output as the logarithm of the standard deviation; it is that of the variance, which is twice "
    "as large.",
    name="double-logarithm",
)
def _(mean, logvar, eps):
    return mean + (2 * logvar).exp() * eps


@reparameterise.also_correct
def _(mean, logvar, eps):
    return torch.addcmul(mean, logvar.exp().sqrt(), eps)


@reparameterise.also_correct
def _(mean, logvar, eps):
    deviation = torch.exp(logvar) ** 0.5
    return eps * deviation + mean


@exercise(
    points=3,
    minutes=6,
    hints=(
        "The formula above is for one number. What does the divergence of independent numbers do?",
        "It adds up, because log-densities of independent numbers do.",
        "Everything but the batch axis is summed: (B, C, h, w) becomes (B,).",
        "`.flatten(1).sum(1)` of the formula for one number.",
    ),
    level="warm-up",
    importance=3,
)
def kl(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return the KL divergence of the encoder's Gaussian from the standard normal, for each image.

    * mean, logvar: (B, *), means and natural logarithms of the variances of independent latents
    * returns: (B,), in nats, all latents of an image together; gradients flow
    """
    ### BEGIN SOLUTION
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).flatten(1).sum(1)
    ### END SOLUTION


@kl.test("adds up the latents of each image", points=1)
def _(kl):
    mean, logvar = torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]]), torch.tensor([4.0, 1.0, 1.0]).log().expand(2, 3)
    first = 0.5 * (1 + 4 - 1 - math.log(4.0)) + 0.5 * 4
    second = 0.5 * (4 - 1 - math.log(4.0)) + 0.5 * 9
    assert_close(
        kl(mean, logvar), torch.tensor([first, second]), message="means 1, 2, 0 and 0, 0, 3; variances 4, 1, 1"
    )


@kl.hidden("is that of torch.distributions, for any number of axes", points=1)
def _(kl, rng):
    standard = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64))
    for shape in ((3, 5), (2, 4, 3, 2), (4, 2, 3)):
        mean, logvar = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))
        single = torch.distributions.kl_divergence(torch.distributions.Normal(mean, (logvar / 2).exp()), standard)
        expected = torch.stack([row.sum() for row in single])
        assert_close(kl(mean, logvar), expected, rtol=1e-5, atol=1e-6, message=f"shape {shape}")


@kl.hidden("pulls every latent to mean 0 and variance 1", points=1)
def _(kl, rng):
    mean, logvar = (torch.randn(2, 3, 4, generator=rng, dtype=torch.float64).requires_grad_() for _ in range(2))
    got = kl(mean, logvar)
    assert got.requires_grad, "gradients are expected to flow to mean and logvar, but the result has no gradient"
    got.sum().backward()
    assert None not in (mean.grad, logvar.grad), "gradients are expected for mean and for logvar"
    assert_close(mean.grad, mean.detach(), rtol=1e-5, atol=1e-6, message="the gradient with respect to mean")
    expected = (logvar.detach().exp() - 1) / 2
    assert_close(logvar.grad, expected, rtol=1e-5, atol=1e-6, message="the gradient with respect to logvar")
    nothing = torch.zeros(2, 3, dtype=torch.float64)
    assert_close(kl(nothing, nothing), torch.zeros(2, dtype=torch.float64), message="a standard normal itself")


@kl.misconception(
    "You averaged over the latents; their divergences add up, and a mean makes the penalty depend on the number of "
    "latents.",
    name="mean-over-latents",
)
def _(mean, logvar):
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).flatten(1).mean(1)


@kl.misconception("You left out the factor 1/2, which every term of the formula has.", name="no-half")
def _(mean, logvar):
    return (mean.square() + logvar.exp() - 1 - logvar).flatten(1).sum(1)


@kl.misconception(
    "You exchanged the signs of variance and logarithm; then the divergence is negative for wide Gaussians, and a "
    "divergence never is.",
    name="signs-exchanged",
)
def _(mean, logvar):
    return 0.5 * (mean.square() + logvar - 1 - logvar.exp()).flatten(1).sum(1)


@kl.misconception("You added up the whole batch; the result has one number for each image.", name="sum-over-the-batch")
def _(mean, logvar):
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum()


@kl.also_correct
def _(mean, logvar):
    axes = tuple(range(1, mean.ndim))
    return -0.5 * (1 + logvar - mean**2 - torch.exp(logvar)).sum(axes)


@kl.also_correct
def _(mean, logvar):
    single = (torch.expm1(logvar) - logvar + mean * mean) / 2
    return torch.einsum("bi->b", single.reshape(len(mean), -1))


@exercise(
    points=4,
    minutes=10,
    hints=(
        "An image has D numbers and d latents. By how much does each of the two means shrink its term?",
        "Error and penalty are logarithms of probabilities of the same image, so both are sums over that image. Only "
        "the images are averaged.",
        "The error becomes (B,) like the penalty; their weighted sum is averaged to one number.",
        "`(reconstruction - x).square().flatten(1).sum(1)`, and `kl(mean, logvar)`.",
    ),
    level="core",
    importance=3,
    kind="find the bug",
)
def first_stage_loss(x: Tensor, reconstruction: Tensor, mean: Tensor, logvar: Tensor, weight: float) -> Tensor:
    """Return the autoencoder's loss: per image, squared error plus weight times KL divergence.

    ```python
    error = (reconstruction - x).square().mean()
    penalty = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    return error + weight * penalty
    ```

    This code changes its balance with the number of pixels and of latents. In the corrected loss both terms are sums
    over the numbers of one image.

    * x, reconstruction: (B, *); mean, logvar: (B, *), of another shape
    * returns: one number, the mean over the B images; gradients flow
    """
    ### BEGIN SOLUTION
    error = (reconstruction - x).square().flatten(1).sum(1)  # (B,)
    return (error + weight * kl(mean, logvar)).mean()
    ### END SOLUTION


@first_stage_loss.test("adds up the pixels and the latents of an image", points=1)
def _(first_stage_loss):
    x, reconstruction = torch.zeros(2, 3, 2, 4), torch.full((2, 3, 2, 4), 0.5)  # 24 squares of 1/4: an error of 6
    mean, logvar = torch.full((2, 2, 1, 3), 2.0), torch.zeros(2, 2, 1, 3)  # 6 latents of 2: a divergence of 12
    got = first_stage_loss(x, reconstruction, mean, logvar, 0.25)
    assert_close(torch.as_tensor(got), torch.tensor(9.0), message="error 6, divergence 12, weight 0.25")


@first_stage_loss.hidden("averages over the images and over nothing else", points=1)
def _(first_stage_loss, rng):
    for pixels, latents, weight in (((3, 3, 6, 4), (3, 2, 3, 2), 0.7), ((5, 1, 4, 4), (5, 4, 1, 1), 1e-2)):
        x, reconstruction = (torch.randn(pixels, generator=rng, dtype=torch.float64) for _ in range(2))
        mean, logvar = (torch.randn(latents, generator=rng, dtype=torch.float64) for _ in range(2))
        posterior = torch.distributions.Normal(mean, (logvar / 2).exp())
        standard = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
        penalty = torch.distributions.kl_divergence(posterior, standard).sum()
        expected = ((reconstruction - x).norm() ** 2 + weight * penalty) / pixels[0]
        got = torch.as_tensor(first_stage_loss(x, reconstruction, mean, logvar, weight))
        assert got.ndim == 0, f"one number is expected, got shape {tuple(got.shape)}"
        assert_close(got, expected, rtol=1e-5, atol=1e-6, message=f"pixels {pixels}, latents {latents}")


@first_stage_loss.hidden("keeps the balance of its terms when an image is four times as large", points=1)
def _(first_stage_loss, rng):
    x, reconstruction = (torch.randn(2, 3, 4, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    mean, logvar = (torch.randn(2, 4, 2, 2, generator=rng, dtype=torch.float64) for _ in range(2))
    small = torch.as_tensor(first_stage_loss(x, reconstruction, mean, logvar, 0.3))
    tiled = [part.repeat(1, 1, 2, 2) for part in (x, reconstruction, mean, logvar)]
    large = torch.as_tensor(first_stage_loss(*tiled, 0.3))
    assert_close(large, 4 * small, rtol=1e-5, atol=1e-6, message="all parts tiled twice in both directions")


@first_stage_loss.hidden("trains the decoder and both outputs of the encoder", points=1)
def _(first_stage_loss, rng):
    x = torch.randn(3, 2, 4, generator=rng, dtype=torch.float64)
    parts = [torch.randn(3, *shape, generator=rng, dtype=torch.float64) for shape in ((2, 4), (5,), (5,))]
    reconstruction, mean, logvar = (part.requires_grad_() for part in parts)
    got = first_stage_loss(x, reconstruction, mean, logvar, 0.6)
    assert torch.as_tensor(got).requires_grad, "a number with gradients is expected, got one without"
    got.backward()
    assert all(part.grad is not None for part in parts), "gradients are expected for all three outputs of the network"
    expected = [
        2 * (reconstruction.detach() - x) / 3,
        0.2 * mean.detach(),
        0.1 * (logvar.detach().exp() - 1),
    ]
    assert_close([part.grad for part in parts], expected, rtol=1e-5, atol=1e-6, message="gradients for weight 0.6")


@first_stage_loss.misconception(
    "You kept both means; the error is then divided by the number of pixels and the penalty by the smaller number of "
    "latents, so that the penalty weighs far more than its weight says.",
    name="both-means",
)
def _(x, reconstruction, mean, logvar, weight):
    error = (reconstruction - x).square().mean()
    return error + weight * 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()


@first_stage_loss.misconception(
    "You averaged the error over the pixels and added up the penalty; so every latent is weighed against one pixel "
    "instead of the whole image, and the code collapses.",
    name="error-averaged",
)
def _(x, reconstruction, mean, logvar, weight):
    return (reconstruction - x).square().mean() + weight * kl(mean, logvar).mean()


@first_stage_loss.misconception(
    "You averaged the penalty over the latents and added up the error; the weight then means something else for each "
    "size of the code.",
    name="penalty-averaged",
)
def _(x, reconstruction, mean, logvar, weight):
    error = (reconstruction - x).square().flatten(1).sum(1).mean()
    return error + weight * 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()


@first_stage_loss.misconception(
    "You added up the images as well; the gradient then grows with the batch, so average over the B images.",
    name="batch-added-up",
)
def _(x, reconstruction, mean, logvar, weight):
    return (reconstruction - x).square().sum() + weight * kl(mean, logvar).sum()


@first_stage_loss.misconception(
    "You multiplied the error by the weight; the weight belongs to the penalty, which is meant to be small.",
    name="weight-on-the-error",
)
def _(x, reconstruction, mean, logvar, weight):
    return (weight * (reconstruction - x).square().flatten(1).sum(1) + kl(mean, logvar)).mean()


@first_stage_loss.also_correct
def _(x, reconstruction, mean, logvar, weight):
    error = F.mse_loss(reconstruction, x, reduction="sum")
    penalty = (mean.square() + logvar.exp() - 1 - logvar).sum() / 2
    return (error + weight * penalty) / len(x)


@first_stage_loss.also_correct
def _(x, reconstruction, mean, logvar, weight):
    distance = torch.linalg.vector_norm((x - reconstruction).reshape(len(x), -1), dim=1)
    return torch.mean(distance**2) + weight * torch.mean(kl(mean, logvar))


first_stage_loss.equivalent('error = F.mse_loss(x, reconstruction, reduction="sum")', "a squared error is symmetric")


@exercise(
    points=5,
    minutes=20,
    hints=(
        "One direction of the data has variance λ. Its latent has a mean of variance m and noise of variance σ². How "
        "large are the best decoder's error and the divergence, on average over the images?",
        "The error is λ σ² / (m + σ²) and the divergence (m + σ² - 1 - ln σ²) / 2. Scaling a code up or down leaves "
        "the error alone: which m + σ² makes the divergence smallest?",
        "With m + σ² = 1 the loss is a function of σ² alone, from 0 to 1. Where is its minimum, and when is that at "
        "σ² = 1? The variances λ are those of the principal directions.",
        "`torch.linalg.eigvalsh` of the covariance (D, D), and a comparison with one number made of a and b.",
    ),
    level="core",
    importance=3,
    kind="derive",
)
def active_dims(x: Tensor, d: int, a: float, b: float) -> int:
    """Return how many latents of a linear VAE are active, once it is trained to the optimum.

    * x: (N, D), the data
    * loss: the mean over the rows of a times the squared error (summed) plus b times the KL divergence; a, b > 0
    * encoder: means are a linear function of x, the d variances are free numbers; decoder: linear; both with offsets
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
    "You compared with b / a; the KL divergence has a factor 1/2, so that the border is half of it.", name="b-over-a"
)
def _(x, d, a, b):
    centred = x - x.mean(0)
    return min(d, int((torch.linalg.eigvalsh(centred.T @ centred / len(x)) > b / a).sum()))


@active_dims.misconception(
    "You took the second moments of data that are not centred; the offsets of encoder and decoder hold the mean, so "
    "that no latent is needed for it.",
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
    "You compared standard deviations; the squared error is about variances, which are their squares.",
    name="deviation-for-variance",
)
def _(x, d, a, b):
    centred = x - x.mean(0)
    return min(d, int((torch.linalg.eigvalsh(centred.T @ centred / len(x)).clamp(min=0).sqrt() > b / (2 * a)).sum()))


@active_dims.misconception(
    "You looked at the variances of the single columns; a linear encoder can turn the axes, so the directions that "
    "count are the principal ones.",
    name="columns",
)
def _(x, d, a, b):
    return min(d, int((x.var(0, correction=0) > b / (2 * a)).sum()))


@active_dims.misconception(
    "You forgot that there are only d latents; more directions than that cannot have one.", name="more-than-d"
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


@exercise(
    points=4,
    minutes=10,
    hints=(
        "The latents of the whole data set are one large mixture of Gaussians. Where does its variance come from?",
        "From two sources: the means differ from one another, and each Gaussian has a width. The variances add up.",
        "All axes go into one number: the variance of the means (B, C, h, w), and the mean of the variances.",
        "`mean.var(correction=0)` and `logvar.exp().mean()`; the scale is one over the root of their sum.",
    ),
    level="core",
    importance=3,
    kind="derive",
)
def latent_scale(mean: Tensor, logvar: Tensor) -> float:
    """Return the number by which latents are multiplied before the diffusion.

    * mean, logvar: (N, C, h, w), the encoder's outputs for N images
    * returns: a float

    Draw one z from the Gaussian of each entry, and put all N C h w numbers together: multiplied by the scale, they have
    standard deviation 1 about their common mean, for large N. Compute the scale without drawing anything.
    """
    ### BEGIN SOLUTION
    variance = mean.var(correction=0) + logvar.exp().mean()
    return float(variance.rsqrt())
    ### END SOLUTION


@latent_scale.test("knows both sources of the variance", points=1)
def _(latent_scale):
    mean = torch.tensor([2.0, 8.0]).repeat(1000).view(500, 2, 1, 2)  # variance 9 about the mean 5
    logvar = torch.tensor([1.0, 13.0, 4.0, 10.0]).log().repeat(500).view(500, 2, 1, 2)  # variances, 7 on average
    got = latent_scale(mean, logvar)
    assert isinstance(got, float), f"a float is expected, got {type(got).__name__}"
    assert_close(got, 0.25, rtol=1e-3, atol=0, message="variance 9 of the means, 7 within")


@latent_scale.hidden("brings drawn latents to standard deviation 1", points=2)
def _(latent_scale, rng):
    for shape, offset, wide, within in (((40, 4, 3, 2), 3.0, 2.0, -1.0), ((60, 2, 5, 1), -1.0, 0.3, 0.5)):
        channel = torch.randn(1, shape[1], 1, 1, generator=rng, dtype=torch.float64)
        mean = offset + channel + wide * torch.randn(shape, generator=rng, dtype=torch.float64)
        logvar = within + torch.randn(shape, generator=rng, dtype=torch.float64)
        eps = torch.randn(400, *shape, generator=rng, dtype=torch.float64)
        drawn = mean + logvar.exp().sqrt() * eps
        width = float(latent_scale(mean, logvar)) * float(drawn.std())
        assert_close(width, 1.0, rtol=0.01, atol=0, message=f"drawn latents of shape {shape}, scaled")


@latent_scale.hidden("is one number for all channels, and shrinks as latents grow", points=1)
def _(latent_scale, rng):
    mean, logvar = (torch.randn(30, 3, 2, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    mean = mean * torch.tensor([0.1, 1.0, 5.0]).double().view(1, 3, 1, 1)
    squares = float(((mean - mean.mean()) ** 2).mean()) + float(torch.exp(logvar).sum()) / logvar.numel()
    assert_close(latent_scale(mean, logvar), squares**-0.5, rtol=1e-3, atol=0, message="channels of uneven width")
    grown = latent_scale(10 * mean, logvar + 2 * math.log(10.0))
    assert_close(grown, 0.1 * squares**-0.5, rtol=1e-3, atol=0, message="all latents ten times as large")


@latent_scale.misconception(
    "You measured the means alone; each Gaussian has a variance of its own, which adds to theirs.", name="means-alone"
)
def _(mean, logvar):
    return float(1 / mean.std(correction=0))


@latent_scale.misconception(
    "You returned the standard deviation; latents are multiplied by the scale, so it is one over it.",
    name="not-inverted",
)
def _(mean, logvar):
    return float((mean.var(correction=0) + logvar.exp().mean()).sqrt())


@latent_scale.misconception(
    "You added standard deviations; those of independent parts do not add up, their variances do.",
    name="deviations-added",
)
def _(mean, logvar):
    return float(1 / (mean.std(correction=0) + (logvar / 2).exp().mean()))


@latent_scale.misconception(
    "You measured from 0; a standard deviation is measured from the common mean of all latents.", name="from-zero"
)
def _(mean, logvar):
    return float((mean.square().mean() + logvar.exp().mean()).rsqrt())


@latent_scale.misconception(
    "You measured each channel by itself and averaged; the statement asks for all numbers together, whose variance "
    "includes the differences between channels.",
    name="per-channel",
)
def _(mean, logvar):
    return float((mean.var((0, 2, 3), correction=0) + logvar.exp().mean((0, 2, 3))).mean().rsqrt())


@latent_scale.also_correct
def _(mean, logvar):
    second = (mean**2 + torch.exp(logvar)).mean()
    return 1 / math.sqrt(float(second - mean.mean() ** 2))


@latent_scale.also_correct
def _(mean, logvar):
    wide, within = mean.flatten().std(), torch.exp(logvar / 2).square().mean().sqrt()
    return 1 / math.hypot(wide.item(), within.item())


latent_scale.equivalent(
    "variance = mean.var() + logvar.exp().mean()", "the statement asks for large N, where both variances agree"
)
latent_scale.equivalent(
    "variance = mean.var(correction=1) + logvar.exp().mean()", "the statement asks for large N, where both agree"
)


@exercise(
    points=6,
    minutes=20,
    hints=(
        "Which side gives the queries, and which the keys and values? An image has H W places, and a caption L words.",
        "Each place gets a weighted average of the words' values. The weights of one place over the words sum to 1, in "
        "each head separately.",
        "Queries (B, heads, H W, C / heads), keys and values (B, heads, L, C / heads), scores (B, heads, H W, L). The "
        "mask (B, L) is the same for all heads and places.",
        "`x.flatten(2).mT`, `F.linear`, `.unflatten(-1, (heads, -1)).transpose(1, 2)`, "
        "`.masked_fill(~mask[:, None, None], -math.inf).softmax(-1)`, and back with `.unflatten(2, (H, W))`.",
    ),
    level="core",
    importance=3,
)
def cross_attend(
    x: Tensor, context: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, wo: Tensor, heads: int, mask: Tensor
) -> Tensor:
    """Return, for every place of an image, what it reads from the words of its caption.

    * x: (B, C, H, W); context: (B, L, E), one vector for each word
    * wq, wo: (C, C); wk, wv: (C, E), rows are outputs, as in `nn.Linear`
    * heads: divides C; head i has the i-th block of C / heads rows of wq, wk and wv
    * mask: (B, L) bool, True for words, False for padding, which nobody may read; each row has a word
    * returns: (B, C, H, W), after wo; gradients flow

    Scores are divided by the root of a head's width. Queries come from the image, keys and values from the words.
    """
    ### BEGIN SOLUTION
    size = x.shape[2:]
    q = F.linear(x.flatten(2).mT, wq)  # (B, H W, C)
    k, v = F.linear(context, wk), F.linear(context, wv)  # (B, L, C)
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))  # (B, heads, ., C / heads)
    scores = q @ k.mT / math.sqrt(q.shape[-1])  # (B, heads, H W, L)
    read = scores.masked_fill(~mask[:, None, None], -math.inf).softmax(-1) @ v
    out = F.linear(read.transpose(1, 2).flatten(2), wo)  # (B, H W, C)
    return out.mT.unflatten(2, size)
    ### END SOLUTION


@cross_attend.test("reads the one word of a caption at every place", points=1)
def _(cross_attend, rng):
    x = torch.randn(2, 4, 3, 5, generator=rng)
    context = torch.randn(2, 3, 6, generator=rng)
    wq, wo = (torch.randn(4, 4, generator=rng) for _ in range(2))
    wk, wv = (torch.randn(4, 6, generator=rng) for _ in range(2))
    mask = torch.tensor([[False, True, False], [False, False, True]])
    got = cross_attend(x, context, wq, wk, wv, wo, 2, mask)
    values = torch.stack([context[0, 1] @ wv.T @ wo.T, context[1, 2] @ wv.T @ wo.T])  # (2, 4)
    expected = values.view(2, 4, 1, 1).expand(2, 4, 3, 5)
    assert_close(got, expected, rtol=1e-4, atol=1e-5, message="image 0 has word 1 alone, image 1 has word 2 alone")


@cross_attend.hidden("is scaled dot-product attention with several heads", points=2)
def _(cross_attend, rng):
    for heads, width, told, places, words in ((2, 6, 5, (3, 4), 7), (3, 12, 4, (3, 2), 5), (1, 4, 7, (1, 5), 2)):
        x = torch.randn(2, width, *places, generator=rng, dtype=torch.float64)
        context = torch.randn(2, words, told, generator=rng, dtype=torch.float64)
        wq, wo = (torch.randn(width, width, generator=rng, dtype=torch.float64) for _ in range(2))
        wk, wv = (torch.randn(width, told, generator=rng, dtype=torch.float64) for _ in range(2))
        mask = torch.rand(2, words, generator=rng) < 0.6
        mask[:, int(torch.randint(words, (), generator=rng))] = True
        rows, allowed = x.movedim(1, -1).reshape(2, -1, width), mask.unsqueeze(1)  # (2, H W, C), (2, 1, L)
        each = [
            F.scaled_dot_product_attention(rows @ q.T, context @ k.T, context @ v.T, allowed)
            for q, k, v in zip(*(weight.chunk(heads) for weight in (wq, wk, wv)), strict=True)
        ]
        expected = (torch.cat(each, -1) @ wo.T).view(2, *places, width).movedim(-1, 1)
        got = cross_attend(x, context, wq, wk, wv, wo, heads, mask)
        assert_close(got, expected, rtol=1e-4, atol=1e-5, message=f"{heads} heads, image {places}, {words} words")


@cross_attend.hidden("never reads padding, and does not mind the order of the words", points=1)
def _(cross_attend, rng):
    x = torch.randn(2, 4, 3, 2, generator=rng, dtype=torch.float64)
    context = torch.randn(2, 5, 3, generator=rng, dtype=torch.float64)
    wq, wo = (torch.randn(4, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    wk, wv = (torch.randn(4, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    mask = torch.tensor([[True, True, False, True, False], [False, True, True, False, True]])
    first = cross_attend(x, context, wq, wk, wv, wo, 2, mask)
    other = torch.where(mask.unsqueeze(2), context, 100.0)
    assert_close(cross_attend(x, other, wq, wk, wv, wo, 2, mask), first, message="the same words, other padding")
    order = torch.randperm(5, generator=rng)
    turned = cross_attend(x, context[:, order], wq, wk, wv, wo, 2, mask[:, order])
    assert_close(turned, first, rtol=1e-5, atol=1e-6, message="words and mask in another order")


@cross_attend.hidden("lets gradients flow to the image, the words and all weights", points=1)
def _(cross_attend, rng):
    shapes = ((2, 4, 3, 2), (2, 3, 5), (4, 4), (4, 5), (4, 5), (4, 4))
    parts = [torch.randn(shape, generator=rng, dtype=torch.float64).requires_grad_() for shape in shapes]
    mask = torch.tensor([[True, True, False], [True, True, True]])
    got = cross_attend(*parts, 2, mask)
    assert got.requires_grad, "gradients are expected to flow, but the result has none"
    weight = torch.randn(got.shape, generator=rng, dtype=torch.float64)
    (got * weight).sum().backward()
    assert all(part.grad is not None for part in parts), "gradients are expected for image, words and all four weights"
    kept = [part.detach() for part in parts]
    for place in range(6):  # a central difference along one random direction
        step = torch.randn(shapes[place], generator=rng, dtype=torch.float64)
        ahead, behind = (
            float(
                (cross_attend(*[p + e * step if i == place else p for i, p in enumerate(kept)], 2, mask) * weight).sum()
            )
            for e in (1e-5, -1e-5)
        )
        slope = float((parts[place].grad * step).sum())
        assert_close(slope, (ahead - behind) / 2e-5, rtol=1e-3, atol=1e-4, message=f"the slope along argument {place}")


@cross_attend.hidden("leaves its arguments as they are, and treats each image by itself", points=1)
def _(cross_attend, rng):
    x = torch.randn(3, 6, 2, 2, generator=rng, dtype=torch.float64)
    context = torch.randn(3, 4, 5, generator=rng, dtype=torch.float64)
    wq, wo = (torch.randn(6, 6, generator=rng, dtype=torch.float64) for _ in range(2))
    wk, wv = (torch.randn(6, 5, generator=rng, dtype=torch.float64) for _ in range(2))
    mask = torch.tensor([[True, False, True, True], [True, True, False, False], [False, False, False, True]])
    kept = [part.clone() for part in (x, context, mask)]
    got = cross_attend(x, context, wq, wk, wv, wo, 3, mask)
    assert_close([x, context, mask], kept, message="the arguments after the call")
    for row in range(3):
        alone = cross_attend(x[row : row + 1], context[row : row + 1], wq, wk, wv, wo, 3, mask[row : row + 1])
        assert_close(alone[0], got[row], rtol=1e-5, atol=1e-6, message=f"image {row} alone")


@cross_attend.misconception(
    "You took the softmax over the places; each place distributes its own attention over the words, so the weights of "
    "a place sum to 1.",
    name="softmax-over-places",
)
def _(x, context, wq, wk, wv, wo, heads, mask):
    q = F.linear(x.flatten(2).mT, wq)
    q, k, v = (p.unflatten(-1, (heads, -1)).transpose(1, 2) for p in (q, F.linear(context, wk), F.linear(context, wv)))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    read = scores.softmax(2).masked_fill(~mask[:, None, None], 0.0) @ v
    return F.linear(read.transpose(1, 2).flatten(2), wo).mT.unflatten(2, x.shape[2:])


@cross_attend.misconception(
    "You reshaped (B, C, H, W) into rows without moving the channels to the end; a row is then C neighbouring numbers "
    "of some channel and no place of the image.",
    name="rows-without-permuting",
)
def _(x, context, wq, wk, wv, wo, heads, mask):
    q = F.linear(x.reshape(len(x), -1, x.shape[1]), wq)
    q, k, v = (p.unflatten(-1, (heads, -1)).transpose(1, 2) for p in (q, F.linear(context, wk), F.linear(context, wv)))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    read = scores.masked_fill(~mask[:, None, None], -math.inf).softmax(-1) @ v
    return F.linear(read.transpose(1, 2).flatten(2), wo).reshape(x.shape)


@cross_attend.misconception(
    "You scaled by the root of all C channels; a score is a sum over one head, so take the root of C / heads.",
    name="scaled-by-all-channels",
)
def _(x, context, wq, wk, wv, wo, heads, mask):
    q = F.linear(x.flatten(2).mT, wq)
    q, k, v = (p.unflatten(-1, (heads, -1)).transpose(1, 2) for p in (q, F.linear(context, wk), F.linear(context, wv)))
    scores = q @ k.mT / math.sqrt(x.shape[1])
    read = scores.masked_fill(~mask[:, None, None], -math.inf).softmax(-1) @ v
    return F.linear(read.transpose(1, 2).flatten(2), wo).mT.unflatten(2, x.shape[2:])


@cross_attend.misconception(
    "You let padding be read; its scores need minus infinity before the softmax, because the empty caption would "
    "otherwise read words that are not there.",
    name="reads-padding",
)
def _(x, context, wq, wk, wv, wo, heads, mask):
    q = F.linear(x.flatten(2).mT, wq)
    q, k, v = (p.unflatten(-1, (heads, -1)).transpose(1, 2) for p in (q, F.linear(context, wk), F.linear(context, wv)))
    read = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v
    return F.linear(read.transpose(1, 2).flatten(2), wo).mT.unflatten(2, x.shape[2:])


@cross_attend.misconception(
    "You used the mask upside down; True marks the words, and padding is what nobody may read.", name="mask-inverted"
)
def _(x, context, wq, wk, wv, wo, heads, mask):
    q = F.linear(x.flatten(2).mT, wq)
    q, k, v = (p.unflatten(-1, (heads, -1)).transpose(1, 2) for p in (q, F.linear(context, wk), F.linear(context, wv)))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    read = scores.masked_fill(mask[:, None, None], -math.inf).softmax(-1) @ v
    return F.linear(read.transpose(1, 2).flatten(2), wo).mT.unflatten(2, x.shape[2:])


@cross_attend.misconception(
    "You averaged the words into one vector first; then all places read the same, and no place can look at the word "
    "that concerns it.",
    name="pooled-caption",
)
def _(x, context, wq, wk, wv, wo, heads, mask):
    weight = mask.to(x.dtype).unsqueeze(2)
    pooled = (context * weight).sum(1) / weight.sum(1)
    out = F.linear(F.linear(pooled, wv), wo)
    return out[..., None, None].expand(x.shape)


@cross_attend.misconception(
    "You left out wo; after the heads are joined, one more matrix mixes them.", name="without-wo"
)
def _(x, context, wq, wk, wv, wo, heads, mask):
    q = F.linear(x.flatten(2).mT, wq)
    q, k, v = (p.unflatten(-1, (heads, -1)).transpose(1, 2) for p in (q, F.linear(context, wk), F.linear(context, wv)))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    read = scores.masked_fill(~mask[:, None, None], -math.inf).softmax(-1) @ v
    return read.transpose(1, 2).flatten(2).mT.unflatten(2, x.shape[2:])


@cross_attend.also_correct
def _(x, context, wq, wk, wv, wo, heads, mask):
    B, C, H, W = x.shape

    def split(rows):
        return rows.reshape(B, -1, heads, C // heads).transpose(1, 2)

    q = split(x.permute(0, 2, 3, 1).reshape(B, H * W, C) @ wq.T)
    read = F.scaled_dot_product_attention(q, split(context @ wk.T), split(context @ wv.T), mask[:, None, None])
    return (read.transpose(1, 2).reshape(B, H * W, C) @ wo.T).transpose(1, 2).reshape(B, C, H, W)


@cross_attend.also_correct
def _(x, context, wq, wk, wv, wo, heads, mask):
    width, out = x.shape[1] // heads, torch.zeros_like(x)
    for head in range(heads):
        rows = slice(head * width, (head + 1) * width)
        q = torch.einsum("bchw,dc->bhwd", x, wq[rows])
        k, v = context @ wk[rows].T, context @ wv[rows].T
        scores = torch.einsum("bhwd,bld->bhwl", q, k) / width**0.5
        scores = scores + torch.zeros_like(scores).masked_fill(~mask[:, None, None], -math.inf)
        read = torch.einsum("bhwl,bld->bhwd", scores.softmax(-1), v)
        out = out + torch.einsum("bhwd,cd->bchw", read, wo[:, rows])
    return out


@exercise(
    points=6,
    minutes=25,
    hints=(
        "Which three things happen between the start z and the images: at which levels, by which step, and what at the "
        "end?",
        "The levels fall evenly from T - 1, and after the last one there is no noise left. Each step guesses the clean "
        "latents and puts the predicted noise back, as much as the next level has. Pixels come in at the very end.",
        "Levels T - 1, T - 1 - T / count, …: count numbers. t is (B,), the empty caption is words (B, L) with zeros "
        "after its first column. Undo the scale before you decode.",
        "`abar[t - T // count] if t >= T // count else 1.0`, `empty[:, 1:] = 0`, `eps_u + s * (eps_c - eps_u)`, "
        "`decode(z / scale)` under `torch.no_grad()`, and `torch.stack` of the film.",
    ),
    level="integrative",
    importance=3,
)
def draw_images(
    denoiser: Callable[[Tensor, Tensor, Tensor], Tensor],
    decode: Callable[[Tensor], Tensor],
    scale: float,
    z: Tensor,
    words: Tensor,
    s: float,
    abar: Tensor,
    count: int,
) -> Tensor:
    """Return the images of all steps of guided DDIM on latents, decoded.

    * denoiser(z, t, words): predicts the noise in scaled latents, each row by itself; t is (B,) long
    * decode: latents, not scaled, to images; scale: as in `latent_scale`
    * z: (B, C, h, w), noise at t = T - 1; words: (B, L); the empty caption has 0 for all but the first word
    * s: guidance scale, 1 is conditional; abar: (T,) float64; count divides T
    * returns: (count + 1, B, 3, H, W), the start and each step's latents, decoded, without gradients

    DDIM (eta = 0) visits T - 1, T - 1 - T / count, … and ends at abar = 1.
    """
    ### BEGIN SOLUTION
    empty = words.clone()
    empty[:, 1:] = 0
    stride, T = len(abar) // count, len(abar)
    with torch.no_grad():
        film = [decode(z / scale)]
        for t in range(T - 1, -1, -stride):
            now, after = float(abar[t]), float(abar[t - stride]) if t >= stride else 1.0
            times = torch.full((len(z),), t, device=z.device)
            eps_c, eps_u = denoiser(z, times, words), denoiser(z, times, empty)
            eps = eps_u + s * (eps_c - eps_u)
            guess = (z - math.sqrt(1 - now) * eps) / math.sqrt(now)
            z = math.sqrt(after) * guess + math.sqrt(1 - after) * eps
            film.append(decode(z / scale))
    return torch.stack(film)
    ### END SOLUTION


@draw_images.test("visits levels that are spread evenly, with the caption and without", points=1)
def _(draw_images, rng):
    abar, asked = torch.linspace(0.99, 0.02, 12, dtype=torch.float64), set()
    words = torch.tensor([[1, 4, 6], [1, 3, 8]])

    def denoiser(z, t, words):
        for level, row in zip(t.tolist(), words.tolist(), strict=True):
            asked.add((level, tuple(row)))
        return 0.3 * z

    def decode(z):
        return z.repeat_interleave(2, -1).repeat_interleave(2, -2)[:, :3]

    z = torch.randn(2, 4, 2, 3, generator=rng)
    film = draw_images(denoiser, decode, 0.5, z, words, 2.0, abar, 4)
    shape = tuple(film.shape)
    assert shape == (5, 2, 3, 4, 6), f"count + 1 = 5 frames of images are expected, (5, 2, 3, 4, 6), got {shape}"
    assert_close(film[0], decode(2 * z), rtol=1e-4, atol=1e-5, message="the first frame, the start decoded")
    expected = {(t, row) for t in (11, 8, 5, 2) for row in ((1, 4, 6), (1, 3, 8), (1, 0, 0))}
    assert asked == expected, f"levels 11, 8, 5, 2, with both captions and the empty one, are expected, got {asked}"


@draw_images.hidden("takes the steps of DDIM, guided, and decodes each frame", points=2)
def _(draw_images, rng):
    for T, count, s, scale in ((12, 4, 2.5, 0.4), (10, 5, 1.0, 3.0), (6, 6, 4.0, 0.7)):
        abar = torch.linspace(0.97, 0.03, T, dtype=torch.float64)
        z = torch.randn(3, 2, 2, 3, generator=rng, dtype=torch.float64)
        words = torch.randint(2, 9, (3, 4), generator=rng)
        words[:, 0] = 1

        def denoiser(z, t, words):
            told = (words * torch.tensor([1, 2, 3, 4])).sum(1) / 20 + t / 30
            return torch.sin(z) + told.view(-1, 1, 1, 1)

        def decode(z):
            return torch.cat([z, z.square().sum(1, keepdim=True)], 1)

        film = draw_images(denoiser, decode, scale, z.clone(), words, s, abar, count)
        x, empty = z, torch.tensor([[1, 0, 0, 0]] * 3)
        for frame in range(count):
            t = torch.full((3,), T - 1 - frame * (T // count))
            with_words, without = denoiser(x, t, words), denoiser(x, t, empty)
            eps = s * with_words + (1 - s) * without
            now = abar[t[0]]
            after = abar[t[0] - T // count] if frame + 1 < count else torch.ones_like(now)
            sigma, later = ((1 - now) / now).sqrt(), ((1 - after) / after).sqrt()  # in units of the signal
            x = after.sqrt() * (x / now.sqrt() + (later - sigma) * eps)
            message = f"frame {frame + 1} of {count}, T = {T}, s = {s}, scale {scale}"
            assert_close(film[frame + 1], decode(x / scale), rtol=1e-3, atol=1e-4, message=message)


@draw_images.hidden("ends at clean latents where the predictions are perfect", points=2)
def _(draw_images, rng):
    T = 20
    abar = torch.cumprod(1 - torch.linspace(0.02, 0.4, T, dtype=torch.float64), 0)
    clean = torch.randn(1, 4, 3, 2, generator=rng, dtype=torch.float64)

    def denoiser(z, t, words):
        level = abar[t].view(-1, 1, 1, 1)
        return (z - level.sqrt() * 0.2 * clean) / (1 - level).sqrt()  # the scaled latents are 0.2 clean

    words = torch.tensor([[1, 2], [1, 3]])
    for count in (5, 2, 20):
        z = torch.randn(2, 4, 3, 2, generator=rng, dtype=torch.float64)
        film = draw_images(denoiser, lambda z: z[:, :3], 0.2, z, words, 3.0, abar, count)
        assert len(film) == count + 1, f"{count + 1} frames are expected, got {len(film)}"
        assert_close(
            film[-1],
            clean[:, :3].expand(2, -1, -1, -1),
            rtol=1e-3,
            atol=1e-4,
            message=f"the last frame of {count} steps",
        )


@draw_images.hidden("keeps the start and the captions as they are, and no gradients", points=1)
def _(draw_images, rng):
    weight = torch.tensor(0.4, requires_grad=True)
    abar = torch.linspace(0.9, 0.1, 6, dtype=torch.float64)
    z, words = torch.randn(2, 3, 2, 2, generator=rng), torch.tensor([[1, 4, 6], [1, 3, 8]])
    kept = z.clone(), words.clone()
    film = draw_images(lambda z, t, words: weight * z, lambda z: weight * z, 0.8, z, words, 2.0, abar, 3)
    assert not film.requires_grad, "the film is expected without gradients, but it has requires_grad=True"
    assert_close([z, words], list(kept), message="the start and the captions after the call")


@draw_images.misconception(
    "You multiplied by the scale on the way back; the latents were multiplied on the way in, so divide before you "
    "decode.",
    name="multiplied-on-the-way-back",
)
@torch.no_grad()
def _(denoiser, decode, scale, z, words, s, abar, count):
    empty, stride = torch.cat([words[:, :1], torch.zeros_like(words[:, 1:])], 1), len(abar) // count
    film = [decode(z * scale)]
    for t in range(len(abar) - 1, -1, -stride):
        now, after = float(abar[t]), float(abar[t - stride]) if t >= stride else 1.0
        times = torch.full((len(z),), t)
        eps_c, eps_u = denoiser(z, times, words), denoiser(z, times, empty)
        eps = eps_u + s * (eps_c - eps_u)
        z = after**0.5 * (z - (1 - now) ** 0.5 * eps) / now**0.5 + (1 - after) ** 0.5 * eps
        film.append(decode(z * scale))
    return torch.stack(film)


@draw_images.misconception(
    "You decoded the scaled latents; the decoder has only seen latents as the encoder gives them, so undo the scale "
    "first.",
    name="scale-not-undone",
)
@torch.no_grad()
def _(denoiser, decode, scale, z, words, s, abar, count):
    empty, stride = torch.cat([words[:, :1], torch.zeros_like(words[:, 1:])], 1), len(abar) // count
    film = [decode(z)]
    for t in range(len(abar) - 1, -1, -stride):
        now, after = float(abar[t]), float(abar[t - stride]) if t >= stride else 1.0
        times = torch.full((len(z),), t)
        eps_c, eps_u = denoiser(z, times, words), denoiser(z, times, empty)
        eps = eps_u + s * (eps_c - eps_u)
        z = after**0.5 * (z - (1 - now) ** 0.5 * eps) / now**0.5 + (1 - after) ** 0.5 * eps
        film.append(decode(z))
    return torch.stack(film)


@draw_images.misconception(
    "You used the `count` lowest levels; the start is noise of level T - 1, so spread the levels over all T.",
    name="lowest-levels",
)
@torch.no_grad()
def _(denoiser, decode, scale, z, words, s, abar, count):
    empty = torch.cat([words[:, :1], torch.zeros_like(words[:, 1:])], 1)
    film = [decode(z / scale)]
    for t in range(count - 1, -1, -1):
        now, after = float(abar[t]), float(abar[t - 1]) if t else 1.0
        times = torch.full((len(z),), t)
        eps_c, eps_u = denoiser(z, times, words), denoiser(z, times, empty)
        eps = eps_u + s * (eps_c - eps_u)
        z = after**0.5 * (z - (1 - now) ** 0.5 * eps) / now**0.5 + (1 - after) ** 0.5 * eps
        film.append(decode(z / scale))
    return torch.stack(film)


@draw_images.misconception(
    "You visited 0, T / count, 2 T / count, … from the top; those levels never reach T - 1, where the start is.",
    name="leading-levels",
)
@torch.no_grad()
def _(denoiser, decode, scale, z, words, s, abar, count):
    empty, stride = torch.cat([words[:, :1], torch.zeros_like(words[:, 1:])], 1), len(abar) // count
    film = [decode(z / scale)]
    for t in reversed(range(0, len(abar), stride)):
        now, after = float(abar[t]), float(abar[t - stride]) if t >= stride else 1.0
        times = torch.full((len(z),), t)
        eps_c, eps_u = denoiser(z, times, words), denoiser(z, times, empty)
        eps = eps_u + s * (eps_c - eps_u)
        z = after**0.5 * (z - (1 - now) ** 0.5 * eps) / now**0.5 + (1 - after) ** 0.5 * eps
        film.append(decode(z / scale))
    return torch.stack(film)


@draw_images.misconception(
    "You stepped by one level each time and predicted only at some; a step has to reach the next level that "
    "is visited.",
    name="steps-of-one-level",
)
@torch.no_grad()
def _(denoiser, decode, scale, z, words, s, abar, count):
    empty, stride = torch.cat([words[:, :1], torch.zeros_like(words[:, 1:])], 1), len(abar) // count
    film = [decode(z / scale)]
    for t in range(len(abar) - 1, -1, -stride):
        now, after = float(abar[t]), float(abar[t - 1]) if t else 1.0
        times = torch.full((len(z),), t)
        eps_c, eps_u = denoiser(z, times, words), denoiser(z, times, empty)
        eps = eps_u + s * (eps_c - eps_u)
        z = after**0.5 * (z - (1 - now) ** 0.5 * eps) / now**0.5 + (1 - after) ** 0.5 * eps
        film.append(decode(z / scale))
    return torch.stack(film)


@draw_images.misconception(
    "You started the guidance at the conditional prediction; here s = 1 is conditional, so start at that of the empty "
    "caption.",
    name="guidance-from-eps-c",
)
@torch.no_grad()
def _(denoiser, decode, scale, z, words, s, abar, count):
    empty, stride = torch.cat([words[:, :1], torch.zeros_like(words[:, 1:])], 1), len(abar) // count
    film = [decode(z / scale)]
    for t in range(len(abar) - 1, -1, -stride):
        now, after = float(abar[t]), float(abar[t - stride]) if t >= stride else 1.0
        times = torch.full((len(z),), t)
        eps_c, eps_u = denoiser(z, times, words), denoiser(z, times, empty)
        eps = eps_c + s * (eps_c - eps_u)
        z = after**0.5 * (z - (1 - now) ** 0.5 * eps) / now**0.5 + (1 - after) ** 0.5 * eps
        film.append(decode(z / scale))
    return torch.stack(film)


@draw_images.misconception(
    "You replaced all words by 0; the empty caption keeps its first word, because attention needs one word to read.",
    name="caption-without-a-word",
)
@torch.no_grad()
def _(denoiser, decode, scale, z, words, s, abar, count):
    empty, stride = torch.zeros_like(words), len(abar) // count
    film = [decode(z / scale)]
    for t in range(len(abar) - 1, -1, -stride):
        now, after = float(abar[t]), float(abar[t - stride]) if t >= stride else 1.0
        times = torch.full((len(z),), t)
        eps_c, eps_u = denoiser(z, times, words), denoiser(z, times, empty)
        eps = eps_u + s * (eps_c - eps_u)
        z = after**0.5 * (z - (1 - now) ** 0.5 * eps) / now**0.5 + (1 - after) ** 0.5 * eps
        film.append(decode(z / scale))
    return torch.stack(film)


@draw_images.also_correct
def _(denoiser, decode, scale, z, words, s, abar, count):
    first = torch.arange(words.shape[1], device=words.device) == 0
    both = torch.cat([words, words * first])
    levels = [*range(len(abar) - 1, -1, -(len(abar) // count))]
    shares = [*abar[levels].tolist(), 1.0]
    latents = [z]
    for i, t in enumerate(levels):
        eps_c, eps_u = denoiser(torch.cat([z, z]), z.new_full((2 * len(z),), t).long(), both).detach().chunk(2)
        eps = s * eps_c + (1 - s) * eps_u
        ratio = (shares[i + 1] / shares[i]) ** 0.5
        z = ratio * z + ((1 - shares[i + 1]) ** 0.5 - ratio * (1 - shares[i]) ** 0.5) * eps
        latents.append(z)
    with torch.no_grad():
        return torch.stack([decode(latent / scale) for latent in latents])


@draw_images.also_correct
@torch.no_grad()
def _(denoiser, decode, scale, z, words, s, abar, count):
    empty = words.clone()
    for column in range(1, words.shape[1]):
        empty[:, column] = 0
    film, stride = [decode(z / scale)], len(abar) // count
    padded = torch.cat([torch.ones(stride, dtype=abar.dtype, device=abar.device), abar])
    for k in range(count):
        t = len(abar) - 1 - k * stride
        now, after = padded[t + stride].item(), padded[t].item()
        times = torch.ones(len(z), dtype=torch.long, device=z.device) * t
        eps = denoiser(z, times, words)
        eps = eps + (s - 1) * (eps - denoiser(z, times, empty))
        guess = (z - (1 - now) ** 0.5 * eps) / now**0.5
        z = after**0.5 * guess + (1 - after) ** 0.5 * eps
        film.append(decode(1 / scale * z))
    return torch.stack(film)
