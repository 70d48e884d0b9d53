"""The exercises and the reference against diffusers' ControlNet, the given parts, the experiments, and the two keys."""

import copy
import math

import pytest
import torch
from studium import Profile
from studium.catalogue.catalogue import load_catalogue
from studium.experiments.building_blocks import experiments, run_experiment
from torch import nn
from traitlets import TraitError

from studium_topics.controlnet import exercises, experiment, model, reference
from studium_topics.controlnet.keys import SCALES, TwoKeys, drawing_of, hint_of, pictured
from studium_topics.controlnet.model import PARTS, Control, HintOnly, Look
from studium_topics.kits import training
from studium_topics.kits.diffusion import UNet

SMOKE = Profile("smoke")
MATHS = "plugins/studium_topics/controlnet/keys_maths.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def seeded(build, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def base():
    made = seeded(lambda: UNet(20, 3, (8, 16), 5))
    nn.init.normal_(made.leave[-1].weight, std=0.1, generator=torch.Generator().manual_seed(1))
    return made


@pytest.fixture(scope="module")
def theirs():
    """A tiny random U-Net of diffusers, its ControlNet, and what both are asked about."""
    diffusers = pytest.importorskip("diffusers", reason="diffusers is the oracle")
    sizes = {"sample_size": 8, "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 8}
    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    words = {"cross_attention_dim": 8, "attention_head_dim": 2}
    unet = seeded(lambda: diffusers.UNet2DConditionModel(**sizes, **blocks, **words)).requires_grad_(False)
    control = seeded(lambda: diffusers.ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16)))
    control.requires_grad_(True)
    return unet, control, (noise(2, 4, 8, 8), 10, noise(2, 3, 8, seed=1)), noise(2, 3, 16, 16, seed=2)


def steered(theirs):
    unet, control, asked, hint = theirs
    residuals, deepest = control(*asked, controlnet_cond=hint, return_dict=False)
    added = {"down_block_additional_residuals": residuals, "mid_block_additional_residual": deepest}
    return unet(*asked, **added).sample


def parts_of(control):
    """Their ControlNet in the four parts of ours."""
    seen = control.controlnet_cond_embedding
    encoder = nn.ModuleList([control.conv_in, control.time_embedding, control.down_blocks, control.mid_block])
    outs = nn.ModuleList([*control.controlnet_down_blocks, control.controlnet_mid_block])
    return Control(encoder, nn.ModuleList([seen.conv_in, seen.blocks]), seen.conv_out, outs)


@BOTH
def test_their_control_wakes_in_the_steps_in_which_ours_does(ours, theirs):
    unet, control, asked, hint = theirs
    again = unet, copy.deepcopy(control), asked, hint
    norms = ours.grad_audit(parts_of(again[1]), lambda _: steered(again).square().mean(), 0.5, 3)
    first = {part: next(step for step, row in enumerate(norms) if row[part] > 0) for part in PARTS}
    assert first == experiment.WAKING


def test_their_first_answer_is_that_of_their_base_as_ours_is(theirs, base):
    unet, _, asked, _ = theirs
    with torch.no_grad():
        assert torch.equal(steered(theirs), unet(*asked).sample)
        control = exercises.make_control(base, Look(8))
        x, t, y, hint = noise(2, 3, 8, 8), torch.tensor([3, 17]), torch.tensor([0, 4]), noise(2, 1, 8, 8)
        assert torch.equal(exercises.controlled_eps(base, control, x, t, y, hint, 1.0), base(x, t, y))


@BOTH
def test_zeroing_is_what_diffusers_does_to_a_module(ours):
    controlnet = pytest.importorskip("diffusers.models.controlnets.controlnet", reason="diffusers is the oracle")
    mine, other = (zero(seeded(lambda: nn.Conv2d(3, 4, 1))) for zero in (ours.zero_module, controlnet.zero_module))
    assert all(map(torch.equal, mine.parameters(), other.parameters()))


@BOTH
def test_a_step_between_rows_is_that_of_diffusers_ancestral_scheduler(ours, base):
    diffusers = pytest.importorskip("diffusers", reason="diffusers is the oracle")
    abar = model.schedule()
    scheduler = diffusers.DDIMScheduler(len(abar), trained_betas=(1 - abar / abar.roll(1)).tolist(), clip_sample=True)
    scheduler.alphas_cumprod, scheduler.final_alpha_cumprod = abar, torch.tensor(1.0)
    scheduler.set_timesteps(20)
    eps, x, z = noise(2, 3, 4, 4), noise(2, 3, 4, 4, seed=1), noise(2, 3, 4, 4, seed=2)
    step = {"eta": 1.0, "use_clipped_model_output": True, "variance_noise": z}
    expected = scheduler.step(eps, 45, x, **step).prev_sample
    torch.testing.assert_close(model.step_between(eps, x, 45, 40, abar, z), expected, rtol=1e-4, atol=1e-4)


@BOTH
def test_a_film_ends_where_the_base_alone_ends_if_the_scale_is_0(ours, base):
    control = exercises.make_control(base, Look(8))
    for out in control.zero_outs:
        nn.init.normal_(out.weight)
    hint, y, abar = noise(2, 1, 8, 8), torch.tensor([1, 2]), torch.linspace(0.98, 0.02, 20)
    scales = ([0.0, 0.0], [1.0, 1.0])
    films = [
        ours.controlled_sample(base, control, hint, y, scale, [15, 6], abar, torch.Generator().manual_seed(0))
        for scale in scales
    ]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 8, 8, generator=generator)
    with torch.no_grad():
        for t, before in ((15, 6), (6, -1)):
            z = torch.randn(2, 3, 8, 8, generator=generator)
            x = model.step_between(base(x, torch.full((2,), t), y), x, t, before, abar, z)
    torch.testing.assert_close(films[0][-1], x)
    assert (films[1][-1] - x).abs().max() > 1e-3


@BOTH
def test_overlap_is_the_jaccard_score_of_scikit_learn(ours):
    from sklearn.metrics import jaccard_score

    images, hints = noise(5, 3, 6, 6), (noise(5, 1, 6, 6, seed=1) > 0).float()
    ink = (images.amax(1) > 0.1).flatten(1).numpy()
    expected = [jaccard_score(hint, one) for hint, one in zip(hints.flatten(1).bool().numpy(), ink, strict=True)]
    assert ours.mask_iou(images, hints).tolist() == pytest.approx(expected)


@BOTH
def test_training_moves_every_part_of_the_control_and_nothing_of_the_base(ours, base):
    control = ours.make_control(base, Look(8))
    starts = {name: parameter.detach().clone() for name, parameter in control.named_parameters()}
    before = [parameter.clone() for parameter in base.parameters()]
    batch = noise(4, 3, 8, 8), (noise(4, 1, 8, 8) > 0).float(), torch.arange(4)
    ours.train_control(base, control, [batch] * 4, torch.linspace(0.98, 0.02, 20), 4, 0.01, torch.Generator())
    assert all(map(torch.equal, base.parameters(), before))
    moved = {name.split(".")[0] for name, p in control.named_parameters() if not torch.equal(p, starts[name])}
    assert moved == set(PARTS)


def test_a_unet_in_three_pieces_is_the_unet(base):
    x, t, y = noise(3, 3, 8, 8), torch.tensor([0, 5, 19]), torch.tensor([4, 0, 1])
    told = base.embed(t, y)
    skips, middle = base.encode(x, told)
    assert torch.equal(base.decode(skips, middle, told), base(x, t, y))
    shifted = base.encode(x, told, noise(3, 8, 8, 8))[1]
    assert not torch.equal(shifted, middle)


def test_a_pooled_look_gives_the_same_features_wherever_the_shape_is():
    hint = torch.zeros(2, 1, 12, 12)
    hint[0, :, 3:6, 3:5], hint[1, :, 5:8, 6:8] = 1, 1
    pooled, plain = (seeded(lambda pooled=pooled: Look(8, pooled=pooled)) for pooled in (True, False))
    torch.testing.assert_close(*pooled(hint).detach(), rtol=1e-5, atol=1e-6)
    moved = plain(hint[:1]).roll((2, 3), (2, 3))
    torch.testing.assert_close(plain(hint[1:])[..., 3:9, 4:10], moved[..., 3:9, 4:10])


def test_features_of_the_hint_alone_fit_the_base_and_are_0_where_nothing_comes_in(base):
    alone, x = HintOnly(base), noise(2, 3, 8, 8)
    skips, middle = base.encode(x, base.embed(torch.tensor([0, 1]), torch.tensor([0, 1])))
    mine, deepest = alone.encode(x, None, torch.zeros(2, 8, 8, 8))
    assert [f.shape for f in (*mine, deepest)] == [f.shape for f in (*skips, middle)]
    assert not any(feature.any() for feature in (*mine, deepest))
    assert alone.encode(x, None, torch.ones(2, 8, 8, 8))[1].any()


def test_an_unknown_caption_is_refused_with_a_sentence():
    assert model.KINDS[model.kind("a small red disc")] == "a small red disc"
    with pytest.raises(ValueError, match='a caption such as "a small red disc" is needed, got "a huge red disc"'):
        model.kind("a huge red disc")


def test_claims_about_zeros_hold_at_smoke_and_fail_for_outputs_that_are_drawn():
    topic = load_catalogue()["controlnet"]
    for run, judged in experiments(topic):
        result = run_experiment(topic, run, SMOKE, 0)
        assert False not in [claim.holds(claim.measure(result), SMOKE) for claim in judged]

    def drawn_outputs(base, look):
        control = exercises.make_control(base, look)
        for out in control.zero_outs:
            out.reset_parameters()
        return control

    wrong = experiment.wake(drawn_outputs, exercises.controlled_eps, exercises.grad_audit, profile=SMOKE, steps=2)
    assert wrong.out_of_order > 0


@pytest.mark.heavy
def test_a_training_step_costs_less_beside_a_locked_base_only_in_what_it_stores():
    costs = reference.training_costs(model.batches(1, 2, torch.Generator())[0], steps=1)
    assert set(costs) == {"control", "full"}
    assert all(cost.seconds > 0 for cost in costs.values())


def test_a_drawing_becomes_a_hint_and_back():
    hint = (noise(1, 16, 16) > 0).float()
    assert torch.equal(hint_of(drawing_of(hint)), hint)


def test_the_widget_shows_what_the_function_in_the_kernel_draws():
    keys = TwoKeys(on_draw=lambda hint, scale: (2 * hint - 1).expand(2, 3, -1, -1) * scale / 2)
    asked = f"2 {keys.drawings[1]}"
    keys.request = asked
    assert keys.answered == asked
    assert (keys.images == pictured((2 * hint_of(keys.drawings[1]) - 1).expand(2, 3, -1, -1))).all()


def test_the_widget_says_in_a_sentence_what_the_function_raised():
    def broken(hint, scale):
        raise ValueError("no such hint")

    keys = TwoKeys(on_draw=broken)
    keys.request = f"1 {keys.drawing}"
    assert keys.problem == "ValueError: no such hint"
    assert keys.images is None


def test_the_widget_refuses_what_is_no_drawing():
    for drawing in ["0101", "2" * 256]:
        with pytest.raises(TraitError, match="a drawing needs 256 characters 0 or 1"):
            TwoKeys(drawing=drawing)


def test_the_small_control_has_the_gradients_of_autograd(call_js):
    for zero_in, sees_image, pooled in [(True, True, False), (True, False, False), (False, True, True)]:
        for zero_out in [True, False]:
            switches = {"zeroOut": zero_out, "zeroIn": zero_in, "seesImage": sees_image, "pooled": pooled}
            found = call_js(MATHS, "descent", switches, 6)
            image = torch.tensor([0.9, -0.4, 0.6, -0.8, 0.3, -0.7, 0.5, -0.2], dtype=torch.float64)
            hint = torch.tensor([0, 0, 1, 1, 1, 0, 0, 0], dtype=torch.float64)
            target = 0.6 * hint + 0.3 * image
            seen = hint.mean().expand(8) if pooled else hint
            starts = (0.0 if zero_out else 0.6, 0.9, 0.0 if zero_in else 0.6)
            weights = [torch.tensor(start, dtype=torch.float64, requires_grad=True) for start in starts]
            for row in found:
                out, inner, enter = weights
                loss = (out * inner * (image * sees_image + enter * seen) - target).square().mean() / 2
                gradients = torch.autograd.grad(loss, weights)
                assert [row["out"], row["copy"], row["in"]] == pytest.approx(
                    [abs(float(g)) for g in gradients], abs=1e-12
                )
                assert row["loss"] == pytest.approx(loss.item())
                weights = [(w - 0.4 * g).detach().requires_grad_() for w, g in zip(weights, gradients, strict=True)]


def test_the_trap_of_the_small_control_never_moves(call_js):
    trap = {"zeroOut": True, "zeroIn": True, "seesImage": False, "pooled": False}
    rows = call_js(MATHS, "descent", trap, 30)
    assert all(row["out"] == row["copy"] == row["in"] == row["moved"] == 0 for row in rows)
    freed = call_js(MATHS, "descent", trap | {"seesImage": True}, 30)
    assert freed[-1]["loss"] < rows[-1]["loss"] / 3


def test_overlap_and_ink_in_the_page_are_those_of_python(call_js):
    image = (4 * noise(1, 3, 16, 16)).round().clamp(-4, 4) / 4  # no value near the threshold of ink, 0.1
    hint = (noise(1, 16, 16, seed=1) > 0).float()
    ink = call_js(MATHS, "inkOf", pictured(image).flatten().tolist())
    found = call_js(MATHS, "overlap", drawing_of(hint), ink)
    assert math.isclose(found, float(exercises.mask_iou(image, hint[None])), rel_tol=1e-6)


def test_a_stroke_draws_and_the_images_of_the_nearest_stored_drawing_are_shown(mount):
    page = mount(TwoKeys())
    board = page.get_by_label("Drawing: arrows move")
    before = page.state()["drawing"]
    board.focus()
    for key in ("ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    page.drawn()
    after = page.state()["drawing"]
    assert [i for i, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]] != []
    assert page.get_by_text("the nearest of the stored drawings").count() == 1


def test_stored_images_follow_their_drawings_where_the_control_is_on():
    keys = TwoKeys()
    covered = {}
    for place, scale in enumerate(SCALES):
        scores = []
        for drawing, films in zip(keys.drawings[:-1], keys.films, strict=False):
            images = torch.tensor(films[place]).permute(0, 3, 1, 2) / 127.5 - 1
            scores.append(reference.mask_iou(images, hint_of(drawing).expand(len(images), 1, -1, -1)).mean())
        covered[scale] = float(torch.stack(scores).mean())
    assert covered[1.0] > covered[0.0] + 0.3
