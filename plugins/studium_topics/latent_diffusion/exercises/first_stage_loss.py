import torch
from studium import assert_close, exercise
from torch import Tensor
from torch.nn import functional as F

from studium_topics.latent_diffusion.exercises.kl import kl


@exercise(
    points=4,
    minutes=10,
    hints=(
        "An image has D numbers and d latents. By how much does each of the two means shrink its term?",
        "Error and penalty are logarithms of probabilities of the same image, so sum both over that image. Average "
        "only over the images.",
        "The error becomes (B,) like the penalty; their weighted sum is averaged to one number.",
        "`(reconstruction - x).square().flatten(1).sum(1)`, and `kl(mean, logvar)`.",
    ),
    level="core",
    importance=3,
    kind="find the bug",
    shows="both-means",
)
def first_stage_loss(x: Tensor, reconstruction: Tensor, mean: Tensor, logvar: Tensor, weight: float) -> Tensor:
    """Return the autoencoder's loss: for each image, squared error plus weight times KL divergence.

    In the code below, the balance of the two terms changes with the number of pixels and of latents. In the correct
    loss, both terms are sums over the numbers of one image.

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
    "You kept both means; they divide the error by the number of pixels and the penalty by the smaller number of "
    "latents, so the penalty weighs far more than its weight suggests.",
    name="both-means",
)
def _(x, reconstruction, mean, logvar, weight):
    error = (reconstruction - x).square().mean()
    penalty = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    return error + weight * penalty


@first_stage_loss.misconception(
    "You averaged the error over the pixels and added up the penalty; add up both, or every latent is weighed against "
    "one pixel instead of the whole image, and the latent code collapses.",
    name="error-averaged",
)
def _(x, reconstruction, mean, logvar, weight):
    return (reconstruction - x).square().mean() + weight * kl(mean, logvar).mean()


@first_stage_loss.misconception(
    "You averaged the penalty over the latents and added up the error; add up both, or the weight means something "
    "else for each size of the code.",
    name="penalty-averaged",
)
def _(x, reconstruction, mean, logvar, weight):
    error = (reconstruction - x).square().flatten(1).sum(1).mean()
    return error + weight * 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()


@first_stage_loss.misconception(
    "You added up the images as well; average over the B images, or the gradient grows with the batch.",
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
