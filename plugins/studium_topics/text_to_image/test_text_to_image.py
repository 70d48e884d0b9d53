"""The exercises and the reference against independent oracles, the parts, the experiment, and the bench of prompts."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from scipy import linalg
from studium import Profile
from traitlets import TraitError

from studium_topics.kits import packing, shapes, training
from studium_topics.kits.weights import drawn
from studium_topics.text_to_image import exercises, experiment, figures, judge, model, reference, timeline
from studium_topics.text_to_image.bench import PromptBench

SMOKE = Profile("smoke")
MATHS = "plugins/studium_topics/text_to_image/bench_maths.js"
RUN = "plugins/studium_topics/text_to_image/test_bench.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])
EXACT = {"rtol": 1e-9, "atol": 1e-9}
DRAWN = ("flow_loss", "as_flow", "text_to_image", "clip_score", "frechet", "precision_recall")


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def untrained(seed=0, widths=(24, 48)):
    """Return a painter whose answers are not 0."""
    net = drawn(lambda: model.painter(0, widths), torch.Generator().manual_seed(seed), 0.2).eval()
    net.label.embedding.weight.data[0] = 0  # no word
    return net


def pull_to(centre, spread):
    """Return the exact velocity (z, t, ids) of images from N(centre, spread²)."""

    def velocity(z, t, ids):
        t = t.view(-1, *[1] * (z.ndim - 1))
        variance = (1 - t) ** 2 * spread**2 + t**2
        return (t - (1 - t) * spread**2) / variance * (z - (1 - t) * centre) - centre

    return velocity


@BOTH
def test_the_exact_velocity_of_a_gaussian_has_the_lowest_loss_and_leads_from_noise_to_it(ours):
    x0, ids = 2 + 0.5 * noise(4000, 3), torch.ones(4000, 2, dtype=torch.long)
    exact = pull_to(2.0, 0.5)
    lowest = ours.flow_loss(exact, x0, ids, 0.0, torch.Generator().manual_seed(1))
    for wrong in (pull_to(2.2, 0.5), pull_to(2.0, 0.8), lambda z, t, ids: 1.1 * exact(z, t, ids)):
        assert ours.flow_loss(wrong, x0, ids, 0.0, torch.Generator().manual_seed(1)) > lowest
    times = experiment.evenly(100)
    images = ours.text_to_image(
        exact,
        model.tokens,
        lambda seed: noise(3, 1, 1, seed=seed),
        lambda z: z,
        ["a"],
        range(1000),
        times,
        1.0,
        batch=1000,
    )
    assert float(images.mean()) == pytest.approx(2, abs=0.05)
    assert float(images.std()) == pytest.approx(0.5, abs=0.04)


@BOTH
def test_a_step_along_the_velocity_is_a_step_of_ddim_in_diffusers(ours):
    diffusers = pytest.importorskip("diffusers", reason="diffusers is the oracle")
    scheduler = diffusers.DDIMScheduler(clip_sample=False, timestep_spacing="trailing")
    scheduler.set_timesteps(4)
    x, eps = noise(3, 2, 4, 4), noise(3, 2, 4, 4, seed=1)
    abar, cleaner = (float(scheduler.alphas_cumprod[level]) for level in (749, 499))
    z, t, v = ours.as_flow(x, eps, abar)
    then = ours.as_flow(x, eps, cleaner)[1]
    got = (z + (then - t) * v) * (cleaner**0.5 + (1 - cleaner) ** 0.5)
    torch.testing.assert_close(got, scheduler.step(eps, 749, x).prev_sample, rtol=1e-5, atol=1e-5)


@BOTH
def test_the_frechet_distance_is_that_of_scipys_matrix_root(ours):
    for size, rank in [(3, 3), (6, 6), (5, 2)]:
        a, b = noise(size, rank), noise(size, rank, seed=1)
        one, other = a @ a.mT, b @ b.mT
        root = linalg.sqrtm((one @ other).numpy() + 1e-12 * np.eye(size)).real
        expected = float((one + other).trace() - 2 * np.trace(root))
        got = ours.frechet(torch.zeros(size).double(), one, torch.zeros(size).double(), other)
        assert float(got) == pytest.approx(expected, rel=1e-3, abs=1e-3)


@BOTH
def test_extrapolation_is_numpys_line_over_one_over_n(ours):
    counts, fids = [50, 70, 300, 900], [9.0, 7.5, 3.0, 2.9]
    expected = np.polyfit([1 / count for count in counts], fids, 1)[1]
    assert ours.fid_inf(counts, fids) == pytest.approx(expected)


@BOTH
def test_clip_scores_are_clamped_cosines(ours):
    one, other = noise(50, 6), noise(50, 6, seed=1)
    cosines = (one * other).sum(1) / (one.norm(dim=1) * other.norm(dim=1))
    torch.testing.assert_close(ours.clip_score(one, other), 2.5 * cosines.relu(), **EXACT)


@BOTH
def test_precision_and_recall_change_places_with_the_two_sets(ours):
    real, fake = noise(40, 3), 0.5 * noise(30, 3, seed=1)
    assert ours.precision_recall(real, fake, 3) == tuple(reversed(ours.precision_recall(fake, real, 3)))


def test_guidance_draws_the_same_latents_as_stable_diffusions_pipeline():
    pytest.importorskip("diffusers", reason="diffusers is the oracle")
    from studium_topics.text_to_image.library import tiny_pipeline

    pipeline = tiny_pipeline()
    start, ids = noise(2, 4, 8, 8).float(), model.tokens(["a small red ring", "a white disc"])
    with torch.no_grad():
        words, away = (pipeline.text_encoder(rows).last_hidden_state for rows in (ids, ids.flip(1)))
        asked = {"prompt_embeds": words, "negative_prompt_embeds": away, "latents": start, "guidance_scale": 4.0}
        theirs = pipeline(**asked, num_inference_steps=4, output_type="latent").images
        levels = pipeline.scheduler.timesteps.tolist()
        signal = [float(pipeline.scheduler.alphas_cumprod[level]) for level in levels] + [1.0]
        z = reference.as_flow(start, start, signal[0])[0]
        for level, (abar, cleaner) in zip(levels, itertools.pairwise(signal), strict=True):

            def velocity(z, t, rows, level=level, abar=abar):
                x = z / experiment.shrinks(reference.as_flow, abar)
                return reference.as_flow(x, pipeline.unet(x, level, rows).sample, abar)[2]

            now, then = (experiment.time_of(reference.as_flow, share) for share in (abar, cleaner))
            z = z + (then - now) * reference.guided_velocity(velocity, z, now, words, away, 4.0)
    torch.testing.assert_close(z, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.heavy
def test_throughput_is_measured_on_the_cpu_as_well():
    assert reference.images_a_second(batch=2, steps=1, device="cpu", widths=(8, 16)) > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_draws_in_bfloat16():
    assert reference.images_a_second() > 0


def test_tokens_are_known_words_in_their_order_and_leave_others_out():
    ids = model.tokens(["A small RED ring!", "a ring, not red", "", "red " * 20])
    assert [model.WORDS[i] for i in ids[0].tolist() if i] == ["a", "small", "red", "ring"]
    assert [model.WORDS[i] for i in ids[1].tolist() if i] == ["a", "ring", "red"]
    assert ids[2].tolist() == [0] * model.LENGTH
    assert ids.shape == (4, model.LENGTH)


def test_captions_say_what_is_drawn_and_leave_words_out():
    whole = model.Captioned.drawn(50, 1, unsaid=0.0)
    for scene, caption in zip(whole.scenes, whole.captions, strict=True):
        assert caption == (scene[0].caption if len(scene) == 1 else f"a {scene[0].name} and a {scene[1].name}")
    assert sum(len(scene) == 2 for scene in whole.scenes) == 20
    silent = model.Captioned.drawn(50, 1, pairs=0.0, unsaid=1.0)
    assert set(silent.captions) == {"a shape"}


def test_the_autoencoder_is_the_best_linear_one_of_its_size():
    images = model.Captioned.drawn(200, 0).images.double()
    patches = model.Patches.fit(images)
    latents = patches.encode(images)
    assert latents.shape == (200, 5, 8, 8)
    assert float(latents.std()) == pytest.approx(1, abs=0.01)
    rows = torch.nn.functional.unfold(images, 2, stride=2).mT.reshape(-1, 12)
    spectrum = torch.linalg.svdvals(rows - rows.mean(0)).square()
    back = model.Patches.decode(patches, latents)
    lost = (back - images).square().sum()
    assert float(lost) <= float(spectrum[5:].sum()) * 1.001
    assert float(lost) == pytest.approx(float(spectrum[5:].sum()), rel=0.1)  # values beyond [-1, 1] are cut off


def test_the_text_tower_is_blind_to_order():
    one, other = model.tokens(["a red ring and a blue disc", "a blue ring and a red disc"])
    tower = model.TextTower(8)
    torch.testing.assert_close(tower(one[None]), tower(other[None]))


def test_the_judge_sees_what_is_drawn():
    found = judge.checked(judge.public(), seed=4, images=480)
    assert found.kind > 0.9
    assert found.both > 0.8
    assert found.count > 0.95


def test_training_a_judge_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    made = judge.trained(0, 2)
    assert torch.equal(torch.get_rng_state(), before)
    images = model.Captioned.drawn(6, 0, pairs=0.0).images
    assert made.kinds(images).shape == (6, 3)
    listed, count = made.listed(images)
    assert listed.shape == (6, len(shapes.NAMES))
    assert set(count.tolist()) <= {1, 2, 3, 4}


def test_even_times_and_those_of_ddim_fall_from_noise_to_zero():
    assert experiment.times("straight", 4, None) == [1, 0.75, 0.5, 0.25, 0]
    found = experiment.times("DDIM", 4, reference.as_flow)
    expected = [
        reference.as_flow(torch.ones(1), torch.ones(1), float(experiment.ABAR[i]))[1] for i in (999, 749, 499, 249)
    ]
    assert found == pytest.approx([*expected, 0.0])


@BOTH
def test_ddim_and_euler_arrive_at_the_same_points(ours):
    assert experiment.straight(ours.as_flow, profile=SMOKE) < 1e-9


@BOTH
def test_a_perfect_generator_with_few_samples_looks_worse_than_a_poor_one_with_many(ours):
    found = experiment.bias(ours.frechet, ours.fid_inf, profile=SMOKE, seed=1)
    assert found.flipped > 4
    assert found.constancy < 0.3
    assert found.narrow_limit > found.perfect_limit + 0.05


@pytest.mark.sample(1)
@BOTH
def test_the_studio_runs_with_the_exercises_and_with_the_reference(ours):
    found = experiment.studio(*(getattr(ours, name) for name in DRAWN), profile=SMOKE)
    assert set(found.equal) == set(itertools.product(experiment.NETWORKS, experiment.SPACINGS, experiment.STEPS))
    assert found.guided["real"].accuracy > 0.8
    assert found.composition.apart < 1e-3
    assert all(0 <= part <= 1 for pair in found.composition.avoided.values() for part in pair)


def test_pairs_are_found_where_exactly_both_are_listed():
    listed = torch.zeros(3, len(shapes.NAMES))
    listed[:, shapes.NAMES.index("red ring")] = 1
    listed[:2, shapes.NAMES.index("blue disc")] = 0.9
    listed[0, shapes.NAMES.index("white cross")] = 0.7
    assert experiment.shown(listed, "a red ring and a blue disc").tolist() == [False, True, False]


def test_votes_have_wilsons_interval():
    low, high = figures.interval(8, 10)
    assert (low, high) == pytest.approx((0.490, 0.943), abs=1e-3)


def test_the_timeline_dates_models_by_their_first_preprint():
    points = {point["name"]: point for point in timeline.scatter().points}
    assert points["DALL-E"]["date"] == pytest.approx(2021.125, abs=0.01)
    assert points["GLIDE"]["date"] == points["LDM"]["date"]


def test_the_velocity_in_the_browser_is_that_of_the_model(call_js):
    net, z = untrained(widths=(8, 16)), noise(2, 5, 8, 8).float()
    ids = model.tokens(["a small red ring", "a blue disc and a white cross"])
    with torch.no_grad():
        expected = net(z, torch.tensor([0.3, 0.3]), ids)
    weights, scales = packing.packed(net)
    for row in range(2):
        words = [i for i in ids[row].tolist() if i]
        found = call_js(RUN, "velocity", packing.layout(net), weights.tolist(), scales, z[row].flatten(), 0.3, words)
        assert (torch.tensor(found) - expected[row].flatten()).norm() < 0.02 * expected[row].norm()  # a byte a weight


def test_words_times_and_pixels_in_the_browser_are_those_of_the_pipeline(call_js):
    prompt = "A ring, not RED and a photo"
    assert call_js(MATHS, "idsOf", prompt, list(model.WORDS)) == [i for i in model.tokens([prompt])[0].tolist() if i]
    assert call_js(MATHS, "unknownWords", prompt, list(model.WORDS)) == ["not", "photo"]
    bench = PromptBench.opening()
    for spacing in experiment.SPACINGS:
        found = call_js(MATHS, "timesOf", spacing, 4, bench.levels.tolist())
        assert found == pytest.approx(experiment.times(spacing, 4, reference.as_flow), abs=1e-6)
    patches = model.Patches(torch.tensor(bench.mean), torch.tensor(bench.basis), torch.tensor(1.0))
    z = noise(1, 5, 8, 8).float()
    pixels = call_js(MATHS, "pixelsOf", z.flatten().tolist(), bench.mean.tolist(), bench.basis.flatten().tolist())
    expected = 127.5 * (patches.decode(z)[0].movedim(0, -1) + 1)
    found = torch.tensor([pixels[str(i)] for i in range(1024)] if isinstance(pixels, dict) else pixels)
    torch.testing.assert_close(found.view(16, 16, 4)[..., :3].float(), expected, rtol=0, atol=0.51)


def test_the_bench_takes_a_trained_model_and_comes_back_from_its_file():
    net = untrained()
    patches = model.Patches.fit(model.Captioned.drawn(50, 0).images)
    bench = PromptBench.of(net, patches, torch.linspace(0, 0.9, 1000), prompt="a disc")
    assert packing.sizes(bench.tensors)[0] == len(bench.weights) == 198_605
    opening = PromptBench.opening(seed=5)
    assert opening.seed == 5
    assert opening.tensors == bench.tensors
    assert len(opening.weights) < 400_000


def test_the_model_that_the_lesson_opens_with_draws_what_it_is_asked_for():
    bench = PromptBench.opening()
    net = model.painter(0).eval()
    packing.unpack(net, bench.weights, bench.scales)
    patches = model.Patches(torch.tensor(bench.mean), torch.tensor(bench.basis), torch.tensor(1.0))
    draw = partial(reference.text_to_image, net, model.tokens, model.noise_of, patches.decode)
    images = draw(judge.captions_of_kinds(), [0], experiment.evenly(8), 3.0)
    assert experiment.share(experiment.right(judge.public(), images)) > 0.5


def test_the_bench_says_what_does_not_fit():
    with pytest.raises(TraitError, match="at most 80 characters, got 81"):
        PromptBench.opening(prompt="a" * 81)
    with pytest.raises(TraitError, match="the tensors need 198605 weights and 3307 scales, got 198604 and 3307"):
        PromptBench.opening(weights=PromptBench.opening().weights[1:])
