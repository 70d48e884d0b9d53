"""The exercises and the reference against diffusers and torch.distributions; the experiments and their parts."""

import pytest
import torch
from studium import Profile

from studium_topics.kits import shapes, training
from studium_topics.kits.latents import CaptionUNet
from studium_topics.latent_diffusion import collapse, exercises, experiment, factors, reference, stages
from studium_topics.latent_diffusion.dial import CompressionDial
from studium_topics.latent_diffusion.judge import Judge
from studium_topics.latent_diffusion.world import KINDS, SIDE, WORDS, drawings, drop_captions, tokens

SMOKE = Profile("smoke")
MATHS = "plugins/studium_topics/latent_diffusion/dial_maths.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


@pytest.fixture(scope="module")
def diffusers():
    return pytest.importorskip("diffusers", reason="diffusers is the oracle")


@pytest.fixture(scope="module")
def theirs(diffusers):
    """A tiny UNet2DConditionModel with random weights."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        down, up = ("CrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D")
        return diffusers.UNet2DConditionModel(
            sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16), layers_per_block=1,
            cross_attention_dim=12, attention_head_dim=4, norm_num_groups=4, down_block_types=down, up_block_types=up,
        ).eval()  # fmt: skip


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@BOTH
def test_draws_and_divergences_are_those_of_diffusers(ours):
    mean, logvar = drawn(3, 4, 2, 5), drawn(3, 4, 2, 5, seed=1)
    vae = pytest.importorskip("diffusers.models.autoencoders.vae", reason="diffusers is the oracle")
    posterior = vae.DiagonalGaussianDistribution(torch.cat([mean, logvar], 1))
    eps = drawn(3, 4, 2, 5, seed=7)
    sample = posterior.sample(torch.Generator().manual_seed(7))
    torch.testing.assert_close(ours.reparameterise(mean, logvar, eps), sample)
    torch.testing.assert_close(ours.kl(mean, logvar), posterior.kl(), rtol=1e-5, atol=1e-5)


@BOTH
def test_attention_is_that_of_a_conditional_unet_of_diffusers(ours, theirs):
    part = theirs.down_blocks[0].attentions[0].transformer_blocks[0].attn2
    weights = [layer.weight for layer in (part.to_q, part.to_k, part.to_v, part.to_out[0])]
    x, context, mask = drawn(3, 8, 4, 5), drawn(3, 6, 12, seed=1), torch.arange(6) < torch.tensor([[6], [2], [3]])
    with torch.no_grad():
        expected = part(x.flatten(2).mT, context, attention_mask=torch.where(mask, 0.0, -1e4).unsqueeze(1))
        found = ours.cross_attend(x, context, *weights, part.heads, mask).flatten(2).mT + part.to_out[0].bias
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@BOTH
def test_images_are_those_of_scheduler_unet_and_guidance_of_diffusers(ours, diffusers, theirs):
    abar, words, table = stages.cosine_abar(40), tokens(["red ring", "blue"]), drawn(len(WORDS), 12)
    betas = 1 - abar / torch.cat([torch.ones(1, dtype=torch.float64), abar[:-1]])
    given = {"clip_sample": False, "timestep_spacing": "trailing", "set_alpha_to_one": True}
    scheduler = diffusers.DDIMScheduler(40, trained_betas=betas.numpy(), **given)
    scheduler.set_timesteps(5)
    start = drawn(2, 4, 8, 8, seed=3)

    def denoiser(z, t, words):
        return theirs(z, t, table[words]).sample

    z, empty = start, torch.where(torch.arange(3) == 0, words, 0)
    with torch.no_grad():
        for t in scheduler.timesteps:
            eps_c, eps_u = (denoiser(z, t, told) for told in (words, empty))
            z = scheduler.step(eps_u + 3 * (eps_c - eps_u), t, z).prev_sample
    film = ours.draw_images(denoiser, lambda z: z[:, :3], 0.5, start, words, 3.0, abar, 5)
    torch.testing.assert_close(film[-1], z[:, :3] / 0.5, rtol=1e-3, atol=1e-3)


@BOTH
def test_the_means_of_a_tutorial_leave_the_latents_that_the_specification_says(ours):
    x = collapse.all_digits().images.flatten(1)
    found = [ours.active_dims(x, d, 1 / 64, 1 / d) for d in (8, 16, 24, 32)]
    assert found == [0, 3, 4, 5]
    assert [ours.active_dims(x, d, 1.0, 1e-6) for d in (8, 16)] == [8, 16]


@BOTH
def test_the_scale_is_that_of_a_large_draw(ours):
    mean, logvar = 3 + 2 * drawn(400, 4, 3, 3), drawn(400, 4, 3, 3, seed=1)
    z = torch.distributions.Normal(mean, (logvar / 2).exp()).sample()
    assert ours.latent_scale(mean, logvar) == pytest.approx(float(1 / z.flatten().std()), rel=0.02)


def test_linear_vaes_at_smoke_predict_and_leave_the_random_state_alone():
    blocks = [getattr(reference, name) for name in ("reparameterise", "kl", "first_stage_loss", "active_dims")]
    state = torch.get_rng_state()
    found = experiment.collapse(*blocks, profile=SMOKE)
    assert torch.equal(torch.get_rng_state(), state)
    assert [case.predicted for case in found.cases.values()] == [0, 3, 4, 8, 16]
    assert found.mean_digit == pytest.approx(0.2933, abs=1e-4)
    assert found.over_pca("sums, d = 8") >= 1
    assert all(case.images.shape == (16, 1, 8, 8) for case in found.cases.values())


def test_the_judge_names_every_drawing():
    judge, data = Judge(SIDE), drawings(3, torch.Generator().manual_seed(5))
    seen = judge(data.images)
    assert seen.accuracy(data.kinds) == 1
    assert float(seen.share.min()) > 0.7
    grey = judge(drawn(30, 3, SIDE, SIDE))
    assert grey.accuracy(KINDS) < 0.3
    assert float(grey.share.max()) < 0.3


def test_captions_become_words_with_padding():
    assert tokens(["red ring", "ring", ""]).tolist() == [[1, 2, 9], [1, 9, 0], [1, 0, 0]]
    assert len(WORDS) == 2 + len(shapes.COLOURS) + len(shapes.FORMS)
    with pytest.raises(ValueError, match=r"captions need words of red, green, .*, got pink"):
        tokens(["pink ring"])
    words = tokens(["red ring"] * 1000)
    left = drop_captions(words, 0.3, torch.Generator().manual_seed(0))
    assert 0.25 < float((left[:, 1] == 0).float().mean()) < 0.35
    assert set(map(tuple, left.tolist())) == {(1, 2, 9), (1, 0, 0)}


def test_noise_and_v_are_two_names_of_one_prediction():
    abar, z0 = stages.cosine_abar(50), drawn(6, 4, 3, 3)
    z, t, v = stages.noised(z0, abar, torch.Generator().manual_seed(1))
    eps = stages.noise_in(lambda z, t, words: v, abar)(z, t, None)
    level = abar[t].float().view(-1, 1, 1, 1)
    torch.testing.assert_close(level.sqrt() * z0 + (1 - level).sqrt() * eps, z, rtol=1e-4, atol=1e-5)


def test_a_step_on_latents_costs_the_square_of_the_factor_less():
    net = stages.unet(4, reference.cross_attend, 0)
    words = torch.ones(2, 3, dtype=torch.long)
    large, small = (stages.step_flops(net, drawn(2, 4, side, side), words, 2) for side in (32, 8))
    assert large / small == pytest.approx(16, rel=0.05)


def test_the_unet_reads_its_caption_and_answers_0_before_training():
    net = stages.unet(4, reference.cross_attend, 0)
    z, t, words = drawn(2, 4, 4, 4), torch.tensor([3, 70]), tokens(["red ring", "blue"])
    assert isinstance(net, CaptionUNet)
    with torch.no_grad():
        assert float(net(z, t, words).abs().max()) == 0
        net.leave[-1].weight.fill_(1.0)
        assert not torch.allclose(net(z, t, words), net(z, t, tokens(["green ring", "blue"])))


@pytest.mark.heavy
def test_the_factors_run_at_smoke():
    names = ("reparameterise", "first_stage_loss", "latent_scale", "cross_attend", "draw_images")
    found = experiment.factors(*[getattr(reference, name) for name in names], profile=SMOKE)
    assert [one.numbers for one in found.by_factor.values()] == [3072, 256, 64, 16]
    assert list(found.by_factor) == list(factors.FACTORS)
    assert found.by_factor[1].kept == 1
    assert found.gap(found.best, 1) >= 0


@pytest.mark.heavy
def test_a_step_is_timed_on_the_cpu():
    seconds = reference.step_seconds((4, 8), batch=2, steps=1)
    assert next(iter(seconds)) == "side 4"
    assert min(seconds.values()) > 0


@pytest.mark.browser
def test_the_dial_in_the_browser_counts_what_the_exercise_counts(call_js):
    x = collapse.all_digits().images.flatten(1).double()
    dial = CompressionDial.of_digits()
    for latents, reduction in ((8, "mean"), (16, "mean"), (24, "mean"), (16, "sum")):
        least = call_js(MATHS, "border", 0.9, reduction, 64, latents)
        b = 0.9 * (64 / latents if reduction == "mean" else 1)
        found = call_js(MATHS, "optimum", dial.variances, latents, least)
        assert found["active"] == reference.active_dims(x, latents, 1.0, b)


@pytest.mark.browser
def test_the_dial_in_the_browser_reconstructs_as_pca_does_for_a_tiny_weight(call_js):
    dial = CompressionDial.of_digits()
    count, size = dial.images.shape
    given = {name: getattr(dial, name).ravel().tolist() for name in ("images", "mean", "variances", "directions")}
    given["count"] = count
    found = torch.tensor(call_js(MATHS, "reconstructions", given, 10, 1e-9)).view(count, size)
    centred, kept = torch.tensor(dial.images - dial.mean), torch.tensor(dial.directions[:10])
    expected = centred @ kept.T @ kept + torch.tensor(dial.mean)
    torch.testing.assert_close(found.float(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.browser
def test_switching_to_means_kills_the_latents(mount):
    page = mount(CompressionDial.of_digits(latents=8, weight=1.0))
    said = page.locator(".st-summary")
    said.filter(has_text="8 latents, KL weight 1, sums: 8 in use").wait_for()
    page.get_by_label("Put in a mistake").select_option("mean")
    said.filter(has_text="8 latents, KL weight 1, means: 0 in use").wait_for()
    assert page.state()["reduction"] == "mean"
