import math
from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=6,
    minutes=25,
    hints=(
        "What happens between the start z and the images: at which levels, by which step, and what at the end?",
        "The levels fall evenly from T - 1, and after the last one there is no noise left. Each step guesses the "
        "clean latents and puts back the predicted noise, as much as the next level has. Pixels come in only at the "
        "very end.",
        "Levels T - 1, T - 1 - T / count, …: count numbers in all. t is (B,), and the empty caption is words (B, L) "
        "with zeros after its first column. Undo the scale before you decode.",
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
    """Return the decoded images of all steps of guided DDIM on latents.

    * denoiser(z, t, words): predicts the noise in scaled latents, each row by itself; t is (B,) long
    * decode: turns latents, not scaled, into images; scale: as in `latent_scale`
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
            times = torch.full((2 * len(z),), t, device=z.device)
            eps_c, eps_u = denoiser(torch.cat([z, z]), times, torch.cat([words, empty])).chunk(2)  # one call, as in cfg
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
    "You decoded the scaled latents; undo the scale first, because the decoder has seen latents only as the encoder "
    "gives them.",
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
    "You used the `count` lowest levels. The start is noise of level T - 1, so spread the levels over all T.",
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
    "You visited 0, T / count, 2 T / count, … from the top. Those levels never reach T - 1, where the start is; begin "
    "at T - 1.",
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
    "Your steps go down by only one level each; a step has to reach the next level that you visit.",
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
    "You started the guidance at the conditional prediction. Here s = 1 is conditional, so start at the prediction "
    "for the empty caption.",
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
    "You replaced all words by 0; the empty caption keeps its first word, because attention needs a word to read.",
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
